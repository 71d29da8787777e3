/**
 * What the host reads from the engine's memory without a call: decisions, denials, table entries,
 * counters.
 */
import * as limits from '../limits.ts';
import { hasBitsBelow, maskByte, widthOfPrefix } from '../text/address.ts';
import type { Address, Decision } from '../types.ts';
import * as counters from './counters.ts';
import * as layout from './layout.ts';
import type { Core, Started, TableShape } from './start.ts';

/** Running bans of a jail. */
export interface BanCount {
  /** Bans that the kernel holds, and the IPv6 bans among them. */
  held: number;
  heldSix: number;
  /** Decided, not yet confirmed by the kernel. */
  pending: number;
}

/** A ban as the table remembers it. */
export interface TableBan {
  /** Position in the table, for paging. */
  index: number;
  jail: number;
  address: Address;
  /** Epoch seconds; Infinity = permanent. */
  end: number;
  /** Whether the kernel has confirmed it. */
  confirmed: boolean;
  /** It comes from the saved state, so it is not new. */
  restored: boolean;
  /** An operator made it. */
  manual: boolean;
  /** Remembered bans of the source, this one included; 255 = that or more. */
  bans: number;
}

/**
 * A failure that found no room in the table, or a ban that has to end because its entry was
 * evicted.
 */
export interface Denial {
  jail: number;
  address: Address;
  /** Epoch seconds: the time of the failure, or the end that the ban would have had. */
  time: number;
}

/** Written over the jail of a decision that was taken out of order. */
const takenDecision = -1;

/** Prefix lengths of a source of a jail, for IPv4 and IPv6. */
export interface Prefixes {
  4: number;
  6: number;
}

/** The end of a permanent ban, as stored in an entry. */
export const secondsMax = 4_294_967_295;

export class Records {
  protected readonly core: Core;
  /** Entries the table has room for. */
  readonly slots: number;
  readonly entryBytes: number;
  /** What an entry takes with its mark (table.ts). */
  readonly slotBytes: number;
  readonly memoryBytes: number;
  protected readonly bytes: Uint8Array<ArrayBuffer>;
  protected readonly ints: Int32Array<ArrayBuffer>;
  protected readonly floats: Float64Array<ArrayBuffer>;
  /** Positions of the regions: `layout` has those of the last engine that was created. */
  protected readonly at: {
    input: number;
    connections: number;
    ring: number;
    filters: number;
    jails: number;
    table: number;
    sources: number;
  };
  protected readonly shape: TableShape;
  /** Prefix lengths of each jail's sources. */
  protected readonly prefixes: Prefixes[] = [];

  constructor({ core, memory, shape }: Started) {
    this.core = core;
    this.bytes = new Uint8Array(memory);
    this.ints = new Int32Array(memory);
    this.floats = new Float64Array(memory);
    this.at = {
      input: layout.inputAt,
      connections: layout.connectionsAt,
      ring: layout.ringAt,
      filters: layout.filtersAt,
      jails: layout.jailsAt,
      table: layout.tableAt,
      sources: layout.sourcesAt,
    };
    this.shape = shape;
    this.slots = shape.sets * layout.TABLE_WAYS;
    this.entryBytes = shape.entry;
    this.slotBytes = shape.slot;
    this.memoryBytes = memory.byteLength;
  }

  /** Decisions waiting in the ring. */
  get waiting(): number {
    return (this.ints[layout.RING_WRITTEN >> 2]! - this.ints[layout.RING_TAKEN >> 2]!) | 0;
  }

  /**
   * Passes on the waiting decisions, oldest first; returns their number. If there are more than
   * `max`, each log gets an equal share, so the decisions of a quiet log do not wait for all those
   * of a busy one.
   */
  takeDecisions(take: (decision: Decision) => void, max: number = limits.decisionsMax): number {
    const places = this.#nextDecisions(max);
    for (const p of places) {
      const int = (field: number): number => this.ints[(p + field) >> 2]!;
      const family = int(layout.DECISION_FAMILY) === 4 ? 4 : 6;
      const jail = int(layout.DECISION_JAIL);
      this.ints[(p + layout.DECISION_JAIL) >> 2] = takenDecision;
      this.#passTaken();
      const bits = int(layout.DECISION_PREFIX);
      const bytes = this.bytes.slice(p + layout.DECISION_ADDRESS, p + layout.DECISION_ADDRESS + 16);
      for (let at = bits >> 3; at < 16; at++) bytes[at] &= maskByte(bits, at);
      take({
        jail,
        address: { family, bytes, prefix: bits - (family === 4 ? 96 : 0) },
        time: this.floats[(p + layout.DECISION_TIME) >> 3]!,
        failures: int(layout.DECISION_FAILURES),
        seconds: int(layout.DECISION_SECONDS),
        bans: int(layout.DECISION_BANS),
        source: int(layout.DECISION_SOURCE),
        offset: this.floats[(p + layout.DECISION_OFFSET) >> 3]!,
        pattern: int(layout.DECISION_PATTERN),
      });
    }
    return places.length;
  }

  /** Positions of the next decisions. */
  #nextDecisions(max: number): number[] {
    const waiting: number[] = [];
    const first = this.ints[layout.RING_TAKEN >> 2]!;
    for (let i = 0; i < this.waiting; i++) {
      const p = this.#ringPlace(first + i);
      if (this.ints[(p + layout.DECISION_JAIL) >> 2] !== takenDecision) waiting.push(p);
    }
    if (waiting.length <= max) return waiting;
    const bySource = Map.groupBy(waiting, (p) => this.ints[(p + layout.DECISION_SOURCE) >> 2]!);
    const share = Math.max(1, Math.floor(max / bySource.size));
    const early = new Set([...bySource.values()].flatMap((places) => places.slice(0, share)).slice(0, max));
    for (const p of waiting) if (early.size < max) early.add(p);
    return [...early];
  }

  /** Frees the places at the beginning that were taken out of order. */
  #passTaken(): void {
    const at = layout.RING_TAKEN >> 2;
    while (
      this.waiting > 0 &&
      this.ints[(this.#ringPlace(this.ints[at]!) + layout.DECISION_JAIL) >> 2] === takenDecision
    )
      this.ints[at] = (this.ints[at]! + 1) | 0;
  }

  #ringPlace(decision: number): number {
    return this.at.ring + (decision & (limits.decisionsMax - 1)) * layout.DECISION_BYTES;
  }

  /** Where a walk goes on that passes over entries without a ban, a bounded number of them. */
  passOver(first: number): number {
    return this.core.nextBan(first, Math.min(this.slots, first + limits.passedEntriesMax));
  }

  /**
   * Visits the bans among the `count` table entries from `first` on: one bounded slice of a walk
   * over the whole table. Returns where the next slice starts, or -1 at the end. `ended`: only bans
   * that end at or after epoch second `from` and before `until`.
   */
  eachBan(
    first: number,
    count: number,
    visit: (ban: TableBan) => void,
    ended?: { from: number; until: number },
  ): number {
    const entry = this.entryBytes;
    const { key } = this.shape;
    const last = Math.min(this.slots, first + count);
    const next = (from: number): number => this.core.nextBan(from, last);
    for (let index = next(first); index < last; index = next(index + 1)) {
      const p = this.at.table + index * entry;
      const meta = this.ints[(p + key) >> 2]!;
      const end = this.ints[(p + key + 8) >> 2]! >>> 0;
      if (ended !== undefined && (end < ended.from || end >= ended.until)) continue;
      const jail = layout.jailIn(meta);
      const bytes = new Uint8Array(16);
      const four = (meta & layout.META_SIX) === 0;
      const row = meta >>> layout.META_ROW_SHIFT;
      if (four) {
        bytes.fill(255, 10, 12);
        bytes.set(this.bytes.subarray(p, p + 4), 12);
      } else if (row > 0) {
        const upper = layout.UPPERS + row * layout.UPPER_BYTES;
        bytes.set(this.bytes.subarray(upper, upper + 8));
        bytes.set(this.bytes.subarray(p, p + 8), 8);
      } else bytes.set(this.bytes.subarray(p, p + key));
      visit({
        index,
        jail,
        address: this.#source(jail, four, bytes, row > 0 ? 128 : 0),
        end: end === secondsMax ? Number.POSITIVE_INFINITY : end,
        confirmed: (meta & layout.META_STATE) === layout.BANNED,
        restored: (meta & layout.META_RESTORED) !== 0,
        manual: (meta & layout.META_MANUAL) !== 0,
        bans: (meta >> layout.META_BANS_SHIFT) & layout.META_BANS,
      });
    }
    return last < this.slots ? last : -1;
  }

  /** The source whose first address is `bytes`; `width` 0 = the jail's own prefix length. */
  #source(jail: number, four: boolean, bytes: Uint8Array, width: number): Address {
    const prefix = this.prefixes[jail]![four ? 4 : 6];
    if (four) return { family: 4, bytes, prefix: prefix < 32 && hasBitsBelow(bytes, prefix + 96) ? 32 : prefix };
    return { family: 6, bytes, prefix: width || widthOfPrefix(bytes, prefix) };
  }

  /**
   * The failures in the window of table entry `index`, newest first: epoch second and count. With
   * sub-counts (counts.ts) one row for each part of findtime, at its first second. Empty for a ban.
   */
  protected windowAt(index: number): [at: number, count: number][] {
    const p = this.at.table + index * this.entryBytes + this.shape.key;
    const meta = this.ints[p >> 2]!;
    if ((meta & layout.META_STATE) !== layout.TRACKING) return [];
    const newest = this.ints[(p + 4) >> 2]! >>> 0;
    const failures = (meta >> layout.META_FAILURES_SHIFT) & layout.META_FAILURES;
    if (failures !== layout.META_COUNTED) {
      const { step } = this.shape;
      const distances = step === 2 ? new Uint16Array(this.bytes.buffer) : this.ints;
      const first = (p + 8) / step;
      return Array.from({ length: failures }, (_, i) => [i === 0 ? newest : newest - distances[first + i - 1]!, 1]);
    }
    const findtime = this.ints[(this.at.jails + layout.jailIn(meta) * layout.JAIL_BYTES + layout.JAIL_FINDTIME) >> 2]!;
    const part = layout.partOf(newest, findtime);
    const counts = Array.from({ length: layout.PARTS + 1 }, (_, i): [number, number] => [
      Math.ceil(((part - i) * findtime) / layout.PARTS),
      (this.ints[((p + 8) >> 2) + Math.floor(i / 3)]! >>> (10 * (i % 3))) & 1023,
    ]);
    return counts.filter(([, count]) => count > 0);
  }

  /** Whether two full sets ask for a run of the policy ban_all. */
  get banAllDue(): boolean {
    return this.banAllTime !== 0;
  }

  /** Epoch second of the failure that asked for it; 0 = none is due. */
  get banAllTime(): number {
    return this.ints[layout.BAN_ALL_DUE >> 2]! >>> 0;
  }

  /**
   * Passes on what the table reports: under log_and_drop failures without room (if there are too
   * many, some are only counted); under evict_oldest bans whose entries were evicted and which have
   * to end in the kernel (no more entries are evicted than the ring can report). Returns their
   * number.
   */
  takeDenials(take: (denial: Denial) => void): number {
    const written = this.ints[layout.DENIALS_WRITTEN >> 2]!;
    const count = (written - this.ints[layout.DENIALS_TAKEN >> 2]!) | 0;
    for (let i = written - count; i < written; i++) {
      const p = layout.DENIALS + (i & (layout.DENIALS_MAX - 1)) * layout.DENIAL_BYTES;
      const kind = this.ints[(p + layout.DENIAL_FAMILY) >> 2]!;
      const bytes = this.bytes.slice(p + layout.DENIAL_ADDRESS, p + layout.DENIAL_ADDRESS + 16);
      const time = this.floats[(p + layout.DENIAL_TIME) >> 3]!;
      const jail = this.ints[p >> 2]!;
      take({ jail, address: this.#source(jail, (kind & 255) === 4, bytes, kind >> 8), time });
    }
    this.ints[layout.DENIALS_TAKEN >> 2] = written;
    return count;
  }

  /** Whether `takeDenials` has something to pass on. */
  get hasDenials(): boolean {
    return this.ints[layout.DENIALS_WRITTEN >> 2] !== this.ints[layout.DENIALS_TAKEN >> 2];
  }

  /** Moves the times of the waiting decisions by `seconds`. */
  protected shiftDecisions(seconds: number): void {
    const taken = this.ints[layout.RING_TAKEN >> 2]!;
    for (let i = 0; i < this.waiting; i++) {
      const p = this.at.ring + ((taken + i) & (limits.decisionsMax - 1)) * layout.DECISION_BYTES;
      this.floats[(p + layout.DECISION_TIME) >> 3]! += seconds;
    }
  }

  /** How the times of a source's last lines agreed with the clock. */
  clockOf(source: number): { offSeconds: number; offLines: number; unreadTimes: number } {
    const p = (this.at.sources + source * layout.SOURCE_BYTES) >> 2;
    return {
      offSeconds: this.ints[p + (layout.SOURCE_OFF >> 2)]!,
      offLines: this.ints[p + (layout.SOURCE_OFF_LINES >> 2)]!,
      unreadTimes: this.ints[p + (layout.SOURCE_UNREAD >> 2)]!,
    };
  }

  /** A global counter by its number in counters.ts. */
  counter(index: number): number {
    return this.floats[(layout.COUNTERS >> 3) + index]!;
  }

  /** A counter of a filter by its number (`resolveFilter`). */
  filterCounter(filter: number, index: number): number {
    return this.floats[((this.at.filters + filter * layout.FILTER_BYTES) >> 3) + index]!;
  }

  jailCounter(jail: number, index: number): number {
    return this.floats[((this.at.jails + jail * layout.JAIL_BYTES + layout.JAIL_COUNTERS) >> 3) + index]!;
  }

  /** Table entries in use. */
  get tracked(): number {
    return this.counter(counters.TRACKED);
  }
}
