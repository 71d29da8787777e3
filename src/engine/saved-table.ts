/**
 * The table as it survives a restart: its entries copied out in portions, and put back under
 * another seed, into a table of another size, width or list of jails. Used by host.ts only, which
 * lends its views of the engine's memory.
 *
 * Saved are whole entries as they lie in memory (table.ts), bans first, then open windows; `note`
 * says how they lie: bytes of a key and of a step, the number of steps, then the IPv6 prefix of
 * each jail. Times are epoch seconds, so that the time between two runs counts. An entry is left
 * out where the new settings make nothing of it: its jail is gone, its ban or window is over, its
 * IPv6 prefix is another one now, or its sets are full of others (the table never evicts for it).
 */
import * as layout from './layout.ts';

/** Number of this form of entries; a file with another one is not read. */
export const savedTableLayout = 1;

/** Memory of a running engine, and what it must be asked. */
export interface TableMemory {
  bytes: Uint8Array;
  ints: Int32Array;
  /** Byte position of the first jail record. */
  jails: number;
  /** Position and size of an area that is free between two lines. */
  scratch: number;
  scratchBytes: number;
  slots: number;
  entry: number;
  key: number;
  step: number;
  steps: number;
  /** IPv6 prefix of each jail. */
  prefixes: readonly number[];
  /** As in engine.ts. */
  copyEntries(first: number, bans: boolean, now: number, to: number, room: number): number;
  copiedEntries(): number;
  restore(jail: number, meta: number, seen: number, end: number, now: number): number;
}

/** A walk over the table. */
export interface SavedTable {
  layout: number;
  entryBytes: number;
  note: Uint8Array;
  /**
   * Copies the next entries, whole ones, to the start of `into`; returns their bytes, 0 at the end.
   */
  read(into: Uint8Array): number;
}

/** What became of the entries handed to `restoreTable`. */
export interface RestoredEntries {
  bans: number;
  windows: number;
  /** Bans and windows that were over. */
  over: number;
  /** Entries of jails, or of prefixes, that are no more. */
  foreign: number;
  /** Entries whose sets were full. */
  crowded: number;
}

/** Bits of meta that do not say whose the entry is: state, failures, number of bans. */
const historyMask = 0xffff & ~layout.META_SIX;
const bansMask = layout.META_BANS << layout.META_BANS_SHIFT;

/**
 * Begins a walk: bans, then windows that are open at epoch second `now`. While it lasts the table
 * must not change, or an entry may be missed.
 */
export function saveTable(memory: TableMemory, now: number): SavedTable {
  const { bytes, scratch, scratchBytes, slots, entry, key, step, steps, prefixes } = memory;
  let bans = true;
  let next = 0;
  return {
    layout: savedTableLayout,
    entryBytes: entry,
    note: Uint8Array.of(key, step, steps, ...prefixes),
    read(into) {
      const room = Math.min(into.length, scratchBytes);
      if (room < entry) throw new Error('no room for one entry');
      for (;;) {
        if (next === slots) {
          if (!bans) return 0;
          bans = false;
          next = 0;
        }
        const length = memory.copyEntries(next, bans, now, scratch, room);
        next = memory.copiedEntries();
        if (length === 0) continue;
        into.set(bytes.subarray(scratch, scratch + length));
        return length;
      }
    },
  };
}

/**
 * Takes the saved entries of one file, portion by portion; null where `note` describes none that
 * this build can read.
 * @param jailOf the jail's number now for its number then; -1 = it is gone
 */
export function restoreTable(
  memory: TableMemory,
  saved: { layout: number; entryBytes: number; note: Uint8Array },
  jailOf: readonly number[],
  now: number,
): RestoringTable | null {
  const [key = 0, step = 0, steps = 0, ...prefixes] = saved.note;
  const isKnown =
    saved.layout === savedTableLayout &&
    (key === 8 || key === 16) &&
    (step === 2 || step === 4) &&
    prefixes.length === jailOf.length &&
    saved.entryBytes === layout.entrySize(key, step, steps);
  if (!isKnown) return null;
  return new RestoringTable(memory, { key, step, steps, size: saved.entryBytes, prefixes, jailOf }, now);
}

/** How saved entries lie. */
interface SavedForm {
  /** Bytes of an entry, of its key and of a step; steps of an entry. */
  size: number;
  key: number;
  step: number;
  steps: number;
  /** IPv6 prefix of each jail then, and the jail's number now. */
  prefixes: readonly number[];
  jailOf: readonly number[];
}

/** Puts saved entries into the table. */
export class RestoringTable {
  readonly result: RestoredEntries = { bans: 0, windows: 0, over: 0, foreign: 0, crowded: 0 };
  readonly #memory: TableMemory;
  readonly #form: SavedForm;
  readonly #now: number;
  /** Distances of the entry's earlier failures from its newest, ascending. */
  readonly #distances: number[] = [];

  constructor(memory: TableMemory, form: SavedForm, now: number) {
    this.#memory = memory;
    this.#form = form;
    this.#now = now;
  }

  /** Takes whole entries. */
  take(entries: Uint8Array): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    const { size } = this.#form;
    for (let at = 0; at + size <= entries.length; at += size) this.result[this.#takeEntry(view, at)]++;
  }

  /** Takes one entry and says what became of it. */
  #takeEntry(view: DataView, at: number): keyof RestoredEntries {
    const { key, prefixes, jailOf } = this.#form;
    const meta = view.getInt32(at + key, true);
    const then = (meta >>> layout.META_JAIL_SHIFT) - 1;
    const jail = jailOf[then] ?? -1;
    const isSix = (meta & layout.META_SIX) !== 0;
    if (jail < 0 || (meta & layout.META_STATE) === 0 || (isSix && prefixes[then] !== this.#memory.prefixes[jail]))
      return 'foreign';
    writeAddress(this.#memory, view, at, key, isSix);
    const isBan = (meta & layout.META_STATE) >= layout.DECIDED;
    const ofBan = (meta & (bansMask | layout.META_MANUAL)) | layout.META_RESTORED | layout.DECIDED;
    const history = isBan ? ofBan : this.#windowOf(view, at + key, jail, meta);
    const seen = view.getUint32(at + key + 4, true);
    const end = view.getUint32(at + key + 8, true);
    const place = this.#memory.restore(jail, history & historyMask, seen, end, this.#now);
    if (place === 0) return 'over';
    if (place < 0) return 'crowded';
    if (isBan) return 'bans';
    this.#writeDistances(place);
    return 'windows';
  }

  /** Reads a window, cut to what `jail` counts now; returns its meta. */
  #windowOf(view: DataView, at: number, jail: number, meta: number): number {
    const { ints, jails } = this.#memory;
    this.#readDistances(view, at + 8, ((meta >> layout.META_FAILURES_SHIFT) & layout.META_FAILURES) - 1);
    const settings = jails + jail * layout.JAIL_BYTES;
    const findtime = ints[(settings + layout.JAIL_FINDTIME) >> 2]!;
    const most = ints[(settings + layout.JAIL_MAXRETRY) >> 2]! - 2;
    const distances = this.#distances;
    while (distances.length > 0 && distances.at(-1)! > findtime) distances.pop();
    distances.length = Math.min(distances.length, Math.max(0, most));
    const history = (meta & bansMask) | ((distances.length + 1) << layout.META_FAILURES_SHIFT) | layout.TRACKING;
    // With maxretry 1 now, an earlier failure is no use.
    return most < 0 ? history & (bansMask | layout.META_STATE) : history;
  }

  #readDistances(view: DataView, at: number, count: number): void {
    const { step, steps } = this.#form;
    this.#distances.length = 0;
    for (let i = 0; i < Math.min(count, steps); i++) {
      this.#distances.push(step === 2 ? view.getUint16(at + i * 2, true) : view.getUint32(at + i * 4, true));
    }
  }

  #writeDistances(place: number): void {
    const { bytes, step, key } = this.#memory;
    this.#distances.forEach((distance, i) => {
      const p = place + key + 8 + i * step;
      for (let shift = 0; shift < step * 8; shift += 8) bytes[p + (shift >> 3)] = distance >>> shift;
    });
  }
}

/** Puts a saved key where the engine looks for the address it is asked about. */
function writeAddress({ bytes }: TableMemory, view: DataView, at: number, key: number, isSix: boolean): void {
  const to = layout.ADDRESS;
  bytes.fill(0, to, to + 16);
  const from = isSix ? 0 : 12;
  if (!isSix) bytes.fill(255, to + 10, to + 12);
  for (let i = 0; i < (isSix ? key : 4); i++) bytes[to + from + i] = view.getUint8(at + i);
}
