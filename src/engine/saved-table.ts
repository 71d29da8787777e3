/**
 * Saves and restores the table over a restart: its entries are copied out in portions, and put back
 * with another seed, into a table that may have another size, entry width or list of jails. Used by
 * host.ts only, which lends its views of the engine's memory.
 *
 * It saves whole entries as they are in memory (table.ts), bans first, then open windows. `note`
 * describes their form: bytes of a key and of a step, the number of steps, then the IPv6 prefix,
 * the IPv4 prefix and the findtime of each jail, four bytes each, then the rows of upper halves,
 * eight bytes each (table.ts). Times are epoch seconds, so the time between two runs counts. An
 * entry is left out if it is useless with the new settings: its jail is gone, its ban or window is
 * over, its prefix has changed, or its sets are full (the table never evicts for it). Sub-counts
 * (counts.ts) continue as sub-counts only if findtime is the same.
 */
import * as layout from './layout.ts';
import { type Prefixes, secondsMax } from './records.ts';

/**
 * Number of this form of entries. Older forms are read as well: the third had no IPv4 prefixes, the
 * second no rows, the first no sub-counts and so no findtimes.
 */
export const savedTableLayout = 4;
const layoutWithoutFours = 3;
const layoutWithoutRows = 2;
const layoutWithoutCounts = 1;

/** Memory of a running engine, and the functions to call. */
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
  /** Prefix lengths of each jail's sources. */
  prefixes: readonly Prefixes[];
  /** As in engine.ts. */
  copyEntries(first: number, bans: boolean, now: number, to: number, room: number): number;
  copiedEntries(): number;
  restore(jail: number, width: number, meta: number, seen: number, end: number, now: number): number;
}

/** A walk over the table. */
export interface SavedTable {
  layout: number;
  entryBytes: number;
  note: Uint8Array;
  /** Copies the next whole entries to the start of `into`; returns their bytes, 0 at the end. */
  read(into: Uint8Array): number;
}

/** What happened to the entries passed to `restoreTable`. */
export interface RestoredEntries {
  bans: number;
  windows: number;
  /** Bans and windows that had ended. */
  over: number;
  /** Entries of jails or prefixes that no longer exist. */
  foreign: number;
  /** Entries whose sets were full. */
  crowded: number;
}

/** The bits of meta that hold the number of bans. */
const bansMask = layout.META_BANS << layout.META_BANS_SHIFT;

/**
 * Begins a walk: bans, then windows that are open at epoch second `now`. The table must not change
 * during the walk, or an entry may be missed.
 */
export function saveTable(memory: TableMemory, now: number): SavedTable {
  const { bytes, scratch, scratchBytes, slots, entry, key, step, steps, prefixes } = memory;
  const rows = memory.ints[layout.UPPERS >> 2]!;
  let bans = true;
  let next = 0;
  return {
    layout: savedTableLayout,
    entryBytes: entry,
    note: Buffer.concat([
      Uint8Array.of(key, step, steps, ...prefixes.map((each) => each[6]), ...prefixes.map((each) => each[4])),
      ...prefixes.map((_, jail) => bytes.subarray(findtimeAt(memory, jail), findtimeAt(memory, jail) + 4)),
      bytes.subarray(layout.UPPERS + layout.UPPER_BYTES, layout.UPPERS + layout.UPPER_BYTES * (1 + rows)),
    ]),
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
 * Takes the saved entries of one file, portion by portion; null if `note` describes a form that
 * this build cannot read. @param jailOf maps the jail's number in the file to its present one; -1 =
 * it is gone @param clockStep seconds by which the clock was set since then
 */
export function restoreTable(
  memory: TableMemory,
  saved: { layout: number; entryBytes: number; note: Uint8Array },
  jailOf: readonly number[],
  now: number,
  clockStep = 0,
): RestoringTable | null {
  const [key = 0, step = 0, steps = 0, ...rest] = saved.note;
  const jails = jailOf.length;
  const families = saved.layout === savedTableLayout ? 2 : 1;
  const noted = jails * (families + (saved.layout === layoutWithoutCounts ? 0 : 4));
  const uppers = saved.note.subarray(3 + noted);
  const isKnown =
    ([savedTableLayout, layoutWithoutFours].includes(saved.layout) ||
      ([layoutWithoutRows, layoutWithoutCounts].includes(saved.layout) && uppers.length === 0)) &&
    (key === 8 || key === 16) &&
    (step === 2 || step === 4) &&
    rest.length >= noted &&
    uppers.length % layout.UPPER_BYTES === 0 &&
    saved.entryBytes === layout.entrySize(key, step, steps);
  if (!isKnown) return null;
  const last = Buffer.from(rest.slice(families * jails, noted));
  const findtimes = last.length === 0 ? [] : jailOf.map((_, jail) => Math.max(1, last.readUInt32LE(4 * jail)));
  const prefixes = jailOf.map((_, jail) => ({ 6: rest[jail]!, 4: families === 1 ? 32 : rest[jails + jail]! }));
  const form = { size: saved.entryBytes, key, step, steps, prefixes, jailOf, findtimes, uppers };
  return new RestoringTable(memory, form, now, clockStep);
}

function findtimeAt(memory: TableMemory, jail: number): number {
  return memory.jails + jail * layout.JAIL_BYTES + layout.JAIL_FINDTIME;
}

/** The form of saved entries. */
interface SavedForm {
  /** Bytes of an entry, of its key and of a step; steps of an entry. */
  size: number;
  key: number;
  step: number;
  steps: number;
  /** Of each jail in the file: prefix lengths, and its present number. */
  prefixes: readonly Prefixes[];
  jailOf: readonly number[];
  /** Findtime of each jail in the file, seconds. */
  findtimes: readonly number[];
  /** Rows of upper halves. */
  uppers: Uint8Array;
}

/** Puts saved entries into the table. */
export class RestoringTable {
  readonly result: RestoredEntries = { bans: 0, windows: 0, over: 0, foreign: 0, crowded: 0 };
  readonly #memory: TableMemory;
  readonly #form: SavedForm;
  readonly #now: number;
  readonly #clockStep: number;
  /** The new window of the current entry. */
  #window = new Uint8Array(0);

  constructor(memory: TableMemory, form: SavedForm, now: number, clockStep: number) {
    this.#memory = memory;
    this.#form = form;
    this.#now = now;
    this.#clockStep = clockStep;
  }

  /** Takes whole entries. */
  take(entries: Uint8Array): void {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    const { size } = this.#form;
    for (let at = 0; at + size <= entries.length; at += size) this.result[this.#takeEntry(view, at)]++;
  }

  /** Takes one entry and says what happened to it. */
  #takeEntry(view: DataView, at: number): keyof RestoredEntries {
    const { key, prefixes, jailOf, uppers } = this.#form;
    const meta = view.getInt32(at + key, true);
    const then = layout.jailIn(meta);
    const upper = ((meta >>> layout.META_ROW_SHIFT) - 1) * layout.UPPER_BYTES;
    const jail = jailOf[then] ?? -1;
    const isSix = (meta & layout.META_SIX) !== 0;
    if (jail < 0 || (meta & layout.META_STATE) === 0 || upper >= uppers.length) return 'foreign';
    const family = isSix ? 6 : 4;
    const prefix = prefixes[then]![family];
    if (prefix !== this.#memory.prefixes[jail]![family]) return 'foreign';
    writeAddress(this.#memory, view, at, key, isSix);
    if (upper >= 0) writeSingle(this.#memory, uppers.subarray(upper, upper + layout.UPPER_BYTES));
    const isBan = (meta & layout.META_STATE) >= layout.DECIDED;
    const ofBan = (meta & layout.META_MANUAL) | layout.META_RESTORED | layout.DECIDED;
    const state = isBan ? ofBan : this.#readWindow(view, at + key + 4, then, jail, meta);
    if (state === 0) return 'foreign';
    const seen = this.#timeAt(view, at + key + 4);
    // A window is written below.
    const end = isBan ? this.#timeAt(view, at + key + 8) : 0;
    const width = isSix && upper < 0 ? prefix : 128;
    const place = this.#memory.restore(jail, width, (meta & bansMask) | state, seen, end, this.#now);
    if (place === 0) return 'over';
    if (place < 0) return 'crowded';
    if (isBan) return 'bans';
    this.#memory.bytes.set(this.#window, place + this.#memory.key + 8);
    return 'windows';
  }

  /** A saved time, moved by the clock's step; the end of a permanent ban stays. */
  #timeAt(view: DataView, at: number): number {
    const time = view.getUint32(at, true);
    return time === secondsMax ? time : Math.min(secondsMax - 1, Math.max(0, time + this.#clockStep));
  }

  /**
   * Converts a window, whose newest failure is at `at`, into the present form of `jail`; returns
   * the bits of meta that describe it, 0 if the window is useless.
   */
  #readWindow(view: DataView, at: number, then: number, jail: number, meta: number): number {
    const { ints, jails } = this.#memory;
    const settings = jails + jail * layout.JAIL_BYTES;
    const maxretry = ints[(settings + layout.JAIL_MAXRETRY) >> 2]!;
    const findtime = ints[(settings + layout.JAIL_FINDTIME) >> 2]!;
    const failures = (meta >> layout.META_FAILURES_SHIFT) & layout.META_FAILURES;
    const isCounted = failures === layout.META_COUNTED;
    const stays = maxretry > layout.EXACT_MAX;
    if (isCounted && this.#form.step * this.#form.steps < layout.COUNTS_BYTES) return 0;
    const seen = view.getUint32(at, true);
    if (isCounted && stays) {
      if (this.#form.findtimes[then] !== findtime) return 0;
      this.#window = Uint8Array.from({ length: layout.COUNTS_BYTES }, (_, i) => view.getUint8(at + 4 + i));
    } else {
      const distances = isCounted ? this.#distancesOf(view, at, then) : this.#readDistances(view, at + 4, failures - 1);
      while (distances.length > 0 && distances.at(-1)! > findtime) distances.pop();
      if (stays) this.#countDistances(distances, seen, findtime);
      else {
        distances.length = Math.min(distances.length, Math.max(0, maxretry - 2));
        this.#writeDistances(distances);
        // If maxretry is 1 now, an earlier failure is useless.
        return ((maxretry > 1 ? distances.length + 1 : 0) << layout.META_FAILURES_SHIFT) | layout.TRACKING;
      }
    }
    return (layout.META_COUNTED << layout.META_FAILURES_SHIFT) | layout.TRACKING;
  }

  /** Distances of the entry's earlier failures from its newest one, ascending. */
  #readDistances(view: DataView, at: number, count: number): number[] {
    const { step, steps } = this.#form;
    return Array.from({ length: Math.min(count, steps) }, (_, i) =>
      step === 2 ? view.getUint16(at + i * 2, true) : view.getUint32(at + i * 4, true),
    );
  }

  /** The same from sub-counts: each failure is taken to be as old as its part allows. */
  #distancesOf(view: DataView, at: number, then: number): number[] {
    const findtime = this.#form.findtimes[then]!;
    const seen = view.getUint32(at, true);
    const newest = layout.partOf(seen, findtime);
    const distances: number[] = [];
    for (let part = 0; part <= layout.PARTS; part++) {
      const first = Math.ceil(((newest - part) * findtime) / layout.PARTS);
      const count = (view.getUint32(at + 4 + 4 * Math.floor(part / 3), true) >>> (10 * (part % 3))) & 1023;
      for (let i = part === 0 ? 1 : 0; i < count; i++) distances.push(seen - first);
    }
    return distances;
  }

  /** Writes the newest failure and those at `distances` from it as sub-counts. */
  #countDistances(distances: readonly number[], seen: number, findtime: number): void {
    const words = new Uint32Array(layout.COUNTS_BYTES / 4);
    for (const distance of [0, ...distances]) {
      const part = layout.partOf(seen, findtime) - layout.partOf(seen - distance, findtime);
      words[Math.floor(part / 3)]! += 1 << (10 * (part % 3));
    }
    this.#window = new Uint8Array(words.buffer);
  }

  #writeDistances(distances: readonly number[]): void {
    const { step } = this.#memory;
    this.#window = new Uint8Array(step === 2 ? Uint16Array.from(distances).buffer : Uint32Array.from(distances).buffer);
  }
}

/** Copies a saved key to where the engine expects the current address. */
function writeAddress({ bytes }: TableMemory, view: DataView, at: number, key: number, isSix: boolean): void {
  const to = layout.ADDRESS;
  bytes.fill(0, to, to + 16);
  const from = isSix ? 0 : 12;
  if (!isSix) bytes.fill(255, to + 10, to + 12);
  for (let i = 0; i < (isSix ? key : 4); i++) bytes[to + from + i] = view.getUint8(at + i);
}

/** Turns that key into the lower half of an address. */
function writeSingle({ bytes }: TableMemory, upper: Uint8Array): void {
  bytes.copyWithin(layout.ADDRESS + 8, layout.ADDRESS, layout.ADDRESS + 8);
  bytes.set(upper, layout.ADDRESS);
}
