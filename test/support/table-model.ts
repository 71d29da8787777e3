/**
 * What the table should remember, as simply as possible: a list of sources with the times of their
 * failures. It judges src/engine/table.ts, with which it shares no code; slow, and of any size.
 * With a `capacity` it is one set of the table, and `policy` says what a full one evicts.
 */
import type { EvictionPolicy } from '../../src/types.ts';

export interface ModelJail {
  maxretry: number;
  findtime: number;
  /**
   * Seconds of the first, second, third … ban of a source; the last one repeats. -1 = permanent.
   */
  bantimes: number[];
  /**
   * The source's bans are remembered for this many seconds after the end of a ban, or after the
   * last failure since then.
   */
  memory: number;
}

export interface ModelBan {
  /** When the ban begins: the source's newest failure. */
  time: number;
  failures: number;
  seconds: number;
}

export interface ModelEntry {
  jail: number;
  source: string;
  /** Failures within findtime of the newest, in any order. */
  times: number[];
  /** The newest time at which the source was seen. */
  seen: number;
  /** End of the ban; undefined while there is none. */
  end: number | undefined;
  confirmed: boolean;
  /** Bans so far. */
  bans: number;
}

export interface ModelCounts {
  window: number;
  banned: number;
  remembered: number;
  denied: number;
}

export class TableModel {
  readonly counts: ModelCounts = { window: 0, banned: 0, remembered: 0, denied: 0 };
  /** Bans that made room. */
  readonly lifted: ModelEntry[] = [];
  /** By position; undefined = free. */
  readonly entries: (ModelEntry | undefined)[] = [];
  readonly #jails: ModelJail[];
  readonly #capacity: number;
  readonly #policy: EvictionPolicy;

  constructor(jails: ModelJail[], capacity = Number.POSITIVE_INFINITY, policy: EvictionPolicy = 'evict_oldest') {
    this.#jails = jails;
    this.#capacity = capacity;
    this.#policy = policy;
  }

  get tracked(): number {
    return this.entries.filter((entry) => entry !== undefined).length;
  }

  find(jail: number, source: string): ModelEntry | undefined {
    return this.entries.find((entry) => entry?.jail === jail && entry.source === source);
  }

  /** Notes one failure. Returns the ban that it causes. */
  fail(jail: number, source: string, time: number): ModelBan | undefined {
    const { maxretry, findtime, bantimes, memory } = this.#jails[jail]!;
    const entry = this.find(jail, source) ?? this.#place(jail, source, time);
    if (entry === undefined) return undefined;
    if (entry.end !== undefined) {
      if (time < entry.end) {
        entry.seen = Math.max(entry.seen, time);
        return undefined;
      }
      if (time - entry.end > memory) entry.bans = 0;
      entry.end = undefined;
      entry.confirmed = false;
      entry.seen = time;
    } else if (entry.bans > 0 && time - entry.seen > memory) entry.bans = 0;
    const newest = Math.max(entry.seen, time);
    if (time < newest - findtime) return undefined;
    entry.seen = newest;
    entry.times = [...entry.times, time].filter((failure) => failure >= newest - findtime);
    if (entry.times.length < maxretry) return undefined;
    const seconds = bantimes[Math.min(entry.bans, bantimes.length - 1)]!;
    const ban = { time: newest, failures: entry.times.length, seconds };
    entry.times = [];
    entry.end = seconds < 0 ? Number.POSITIVE_INFINITY : newest + seconds;
    entry.confirmed = false;
    entry.bans = Math.min(255, entry.bans + 1);
    return ban;
  }

  /** The kernel has accepted the ban. */
  confirm(jail: number, source: string): void {
    const entry = this.find(jail, source);
    if (entry?.end !== undefined) entry.confirmed = true;
  }

  /** A ban that did not come from failures, held by the kernel until `end`. */
  ban(jail: number, source: string, time: number, end: number, bans: number): void {
    const entry = this.find(jail, source) ?? this.#place(jail, source, time);
    if (entry === undefined) return;
    Object.assign(entry, { times: [], end, confirmed: true, bans: Math.max(entry.bans, bans) });
  }

  /** Bans every source with an open window from `time` on; returns them. */
  banAll(time: number): ModelEntry[] {
    const open = this.entries.filter((entry) => entry?.end === undefined && entry && this.worth(entry, time) === 2);
    return open.map((entry) => {
      const { bantimes } = this.#jails[entry!.jail]!;
      const seconds = bantimes[Math.min(entry!.bans, bantimes.length - 1)]!;
      const end = seconds < 0 ? Number.POSITIVE_INFINITY : time + seconds;
      return Object.assign(entry!, { times: [], end, confirmed: false, bans: Math.min(255, entry!.bans + 1) });
    });
  }

  /**
   * Forgets all but bans that the kernel does not hold yet and sources that came after `banAll`.
   */
  reset(time: number): void {
    for (const [at, entry] of this.entries.entries()) {
      if (entry === undefined) continue;
      const worth = this.worth(entry, time);
      if (worth === 4 || worth === 2) continue;
      this.#countLoss(entry, time);
      this.entries[at] = undefined;
    }
  }

  forget(jail: number, source: string): void {
    const at = this.entries.findIndex((entry) => entry?.jail === jail && entry.source === source);
    if (at >= 0) this.entries[at] = undefined;
  }

  /**
   * The worth of the entry at `time`: 0 nothing any more, 1 the memory of bans that are over, 2 an
   * open window, 3 a ban that the kernel holds, 4 a ban that the kernel does not hold yet.
   */
  worth(entry: ModelEntry, time: number): number {
    const { findtime, memory } = this.#jails[entry.jail]!;
    if (entry.end !== undefined) {
      if (time < entry.end) return entry.confirmed ? 3 : 4;
      return time - entry.end <= memory ? 1 : 0;
    }
    if (time - entry.seen <= findtime) return 2;
    return entry.bans > 0 && time - entry.seen <= memory ? 1 : 0;
  }

  #place(jail: number, source: string, time: number): ModelEntry | undefined {
    const at = this.#room(time);
    if (at < 0) {
      this.counts.denied++;
      return undefined;
    }
    const entry = { jail, source, times: [], seen: time, end: undefined, confirmed: false, bans: 0 };
    this.entries[at] = entry;
    return entry;
  }

  #mayGo(worth: number): boolean {
    if (worth < 2 || (worth < 4 && this.#policy === 'evict_oldest')) return true;
    return this.#policy === 'drop_unbanned' && worth === 2;
  }

  #room(time: number): number {
    const free = this.entries.indexOf(undefined);
    if (free >= 0) return free;
    if (this.entries.length < this.#capacity) return this.entries.length;
    // The entry of least worth; of several, the one seen longest ago; of several again, the first.
    const victims = this.entries
      .map((entry, at) => ({ at, entry: entry!, worth: this.worth(entry!, time) }))
      .filter(({ worth }) => this.#mayGo(worth))
      .sort((a, b) => a.worth - b.worth || a.entry.seen - b.entry.seen || a.at - b.at);
    const [victim] = victims;
    if (victim === undefined) return -1;
    this.#countLoss(victim.entry, time);
    if (victim.worth === 3) this.lifted.push(victim.entry);
    return victim.at;
  }

  #countLoss(entry: ModelEntry, time: number): void {
    const worth = this.worth(entry, time);
    if (worth === 1) this.counts.remembered++;
    else if (worth === 2) this.counts.window++;
    else if (worth === 3) this.counts.banned++;
  }
}
