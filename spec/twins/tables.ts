/**
 * Broken on purpose: tables that lack one property of the real one each. All are the textbook
 * dictionary of sources with a list of times, as the growing trackers have it, with one more
 * mistake chosen by `flaw`.
 */
import type { Banned, Tracker } from '../support/tracker.ts';

export interface Flaw {
  /** Grows without bound (a dictionary). */
  grows?: boolean;
  /** Every so many observations one is lost. */
  losesEach?: number;
  /** What a full table gives up. */
  evicts?: 'newest' | 'oldest';
  /** Gives up entries without counting it. */
  silent?: boolean;
  /** Counts the window from its first failure instead of sliding. */
  fixedWindow?: boolean;
  /** One entry per line instead of one per source. */
  entryPerLine?: boolean;
}

export function dictionaryTracker(slots: number, maxretry: number, findtime: number, flaw: Flaw): Tracker {
  const times = new Map<string, number[]>();
  const banned: Banned[] = [];
  let seen = 0;
  let evicted = 0;

  function makeRoom(): void {
    if (flaw.grows || times.size < slots) return;
    const keys = [...times.keys()];
    const key = flaw.evicts === 'newest' ? keys.at(-1) : keys[0];
    if (key !== undefined) times.delete(key);
    if (!flaw.silent) evicted++;
  }

  return {
    fail(address, time) {
      seen++;
      if (flaw.losesEach !== undefined && seen % flaw.losesEach === 0) return;
      const key = flaw.entryPerLine ? `${address} ${seen}` : address;
      const known = times.get(key) ?? [];
      times.delete(key);
      makeRoom();
      const [first] = known;
      const inside = flaw.fixedWindow
        ? first !== undefined && time - first > findtime
          ? []
          : known
        : known.filter((earlier) => time - earlier <= findtime);
      inside.push(time);
      if (inside.length === maxretry) banned.push({ jail: 0, address, time });
      times.set(key, inside);
    },
    take: () => banned.splice(0),
    tracked: () => times.size,
    evicted: () => evicted,
    slots: () => (flaw.grows ? Math.max(slots, times.size) : slots),
    slotBytes: () => 32,
  };
}
