/**
 * Broken on purpose: the textbook dictionary of sources with a list of times, as the growing
 * trackers have it. It grows without bound.
 */
import type { Banned, Tracker } from '../support/tracker.ts';

export function growingTracker(slots: number, maxretry: number, findtime: number): Tracker {
  const times = new Map<string, number[]>();
  const banned: Banned[] = [];
  return {
    fail(address, time) {
      const inside = (times.get(address) ?? []).filter((earlier) => time - earlier <= findtime);
      inside.push(time);
      if (inside.length === maxretry) banned.push({ jail: 0, address, time });
      times.set(address, inside);
    },
    take: () => banned.splice(0),
    tracked: () => times.size,
    evicted: () => 0,
    slots: () => Math.max(slots, times.size),
    slotBytes: () => 32,
  };
}
