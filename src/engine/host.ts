/**
 * The engine seen from outside: the only class whose calls cross the boundary. Sources read into
 * `buffer`; counts and decisions come back. start.ts builds an engine, records.ts reads its memory.
 */
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import * as limits from '../limits.ts';
import { isTaken } from '../places.ts';
import { parseCidr } from '../text/address.ts';
import type { Address, Escalation, EvictionPolicy, FilterProgram, LineFormat, ZoneChange } from '../types.ts';
import { type FilterNames, filterNames } from './generated/names.ts';
import * as layout from './layout.ts';
import { type BanCount, Records, secondsMax, type TableBan } from './records.ts';
import {
  type RestoringTable,
  restoreTable,
  type SavedTable,
  savedTableLayout,
  saveTable,
  type TableMemory,
} from './saved-table.ts';
import { type EngineJail, type EngineOptions, type Started, startPlain, startWasm } from './start.ts';
import { zoneChanges } from './zones.ts';

export type { BanCount, Denial, TableBan } from './records.ts';
export type { Build, EngineJail, EngineOptions } from './start.ts';

/** Takes log bytes from a source. */
export interface LineSink {
  /** A part of the engine's memory: read(2) writes directly into it. */
  readonly buffer: Uint8Array;
  /**
   * Examines buffer[0…length), whose first byte stands at `offset` of `source`; returns the bytes
   * consumed. An unfinished last line is left unless `final`. In a replay fewer bytes are consumed
   * if decisions must be taken first.
   */
  feed(source: number, length: number, offset: number, now: number, final: boolean): number;
}

/** Takes journal entries from a source. */
export interface EntrySink {
  readonly buffer: Uint8Array;
  /**
   * Examines one entry, `identifier[pid]: message` in buffer[0…length), number `offset` of
   * `source`, written at `time`. `cut`: its message is longer.
   */
  feedEntry(source: number, length: number, offset: number, now: number, time: number, cut: boolean): void;
}

/** In the order of unwrap.ts's numbers; `json` is the number of the first field. */
const formats: LineFormat[] = ['auto', 'plain', 'docker', 'cri', 'json'];

/**
 * Two random words from the kernel, read from /proc: that also works in a root without devices, and
 * loading node:crypto would take 8 ms of a start.
 */
function randomSeed(): [number, number] {
  const uuid = readFileSync('/proc/sys/kernel/random/uuid', 'latin1').trim();
  const words = [uuid.slice(0, 8), uuid.slice(-8)].map((digits) => Number.parseInt(digits, 16));
  if (uuid.length !== 36 || words.some(Number.isNaN)) throw new Error('the kernel gives no random number');
  return [words[0]! | 0, words[1]! | 0];
}

/** The engine, or a class that extends it (examiner.ts). */
type EngineKind<Kind extends Engine> = new (started: Started, options: EngineOptions) => Kind;

export class Engine extends Records implements LineSink, EntrySink {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly evictionPolicy: EvictionPolicy;
  /** By filter number. */
  protected filters: readonly Pick<FilterNames, 'name' | 'modes' | 'patterns' | 'ignore'>[] = [];
  /** Zones other than local time, and the engine's numbers of a jail's format and zone. */
  #zones: (readonly ZoneChange[])[] = [];
  #forms: readonly { format: number; zone: number }[] = [];
  /** The groups of each route, by what their jails have in common, and their number. */
  #routes: Map<string, number>[] = [];
  #groups = 0;
  /**
   * While routes are rebuilt: the old ones, the new numbers of groups, the sources that were moved.
   */
  #former: { routes: Map<string, number>[]; groups: Int32Array; moved: Set<number> } | undefined;
  /** The running count of bans. */
  #counting: Promise<BanCount[]> | undefined;

  constructor(started: Started, options: EngineOptions) {
    super(started);
    const { core, memory } = started;
    this.buffer = new Uint8Array(memory, this.at.input, limits.inputBytes);
    this.ints.set(options.seed ?? randomSeed(), layout.SEED >> 2);
    core.setLive(options.live ?? true);
    this.evictionPolicy = options.evictionPolicy ?? 'evict_oldest';
    core.setPolicy(limits.evictionPolicies.indexOf(this.evictionPolicy));
    this.#take(options);
  }

  /** Sets filters and jails, by their numbers. */
  #take({ jails, filters = [], shared, now }: Pick<EngineOptions, 'jails' | 'filters' | 'shared' | 'now'>): void {
    this.filters = [...filterNames, ...filters.map((filter) => ({ ...filter, modes: [] }))];
    this.#loadPrograms(filters);
    const fields: string[] = [];
    this.#zones = [];
    this.#forms = jails.map((jail) => ({ format: this.#formatOf(jail, fields), zone: this.#zoneOf(jail) }));
    this.setClock(now ?? Math.floor(Date.now() / 1000));
    jails.forEach((jail, index) => {
      const { maxretry, findtime, bantime, ipv6Prefix, ipv4Prefix = 32 } = jail;
      this.prefixes[index] = { 4: ipv4Prefix, 6: ipv6Prefix };
      this.core.setJail(index, maxretry, findtime, bantime, ipv6Prefix, ipv4Prefix + 96);
      if (jail.escalation) this.#escalate(index, jail.escalation);
    });
    this.setIgnored(
      jails.map((jail) => jail.ignore),
      shared,
    );
  }

  /** Why these jails and filters do not fit the layout of the start; `fresh` as in `change`. */
  *unfit(
    { jails, filters = [] }: { jails: readonly (EngineJail & { name: string })[]; filters?: readonly FilterProgram[] },
    fresh: ReadonlySet<number>,
  ): Generator<string> {
    const { key, step, steps, ignores, jailsMax } = this.shape;
    const networks = ignores - limits.sharedNetworksMax;
    const programBytes = filters.reduce((sum, { program }) => sum + Buffer.byteLength(program, 'base64'), 0);
    const countOf = (values: unknown[]): number => new Set(values.map((value) => JSON.stringify(value))).size;
    const rooms: [what: string, count: number, most: number][] = [
      ['jails', jails.length, jailsMax],
      ['ignored networks', jails.reduce((sum, { ignore }) => sum + ignore.length, 0), networks],
      ['filters', filterNames.length + filters.length, limits.filtersMax],
      ['bytes of filters', programBytes, limits.programBytesMax],
      ['message fields', countOf(jails.flatMap(({ message }) => message ?? [])), limits.messageFieldsMax],
      [
        'time zones',
        countOf(jails.flatMap(({ timezone }) => (timezone?.length ? [timezone] : []))),
        limits.timezonesMax,
      ],
    ];
    for (const [what, count, most] of rooms)
      if (count > most) yield `${count} ${what} are more than the ${most} there is room for`;
    const byWhich = ', by which its bans are known';
    for (const [number, { name, filter, mode, maxretry, findtime, ipv6Prefix, ipv4Prefix = 32 }] of jails.entries()) {
      if (!isTaken({ name })) continue;
      const known = [...filters.map((own) => ({ ...own, modes: [] })), ...filterNames].find(
        (row) => row.name === filter,
      );
      const isExact = maxretry <= limits.maxretryExactMax;
      const hindrances = [
        [known === undefined || !['', ...known.modes].includes(mode), `no filter ${filter} with mode "${mode}"`],
        [!fresh.has(number) && this.prefixes[number]![6] !== ipv6Prefix, `another ipv6_prefix${byWhich}`],
        [!fresh.has(number) && this.prefixes[number]![4] !== ipv4Prefix, `another ipv4_prefix${byWhich}`],
        [ipv6Prefix > 64 && key === 8, 'the first ipv6_prefix above 64'],
        [isExact && maxretry - 2 > steps, `a maxretry above ${steps + 2}`],
        [isExact && step === 2 && findtime > 65_535, 'the first findtime above 65535 s'],
        [!isExact && step * steps < layout.COUNTS_BYTES, `the first maxretry above ${limits.maxretryExactMax}`],
      ] as const;
      for (const [stands, what] of hindrances) if (stands) yield `jail ${name} has ${what}`;
    }
  }

  /**
   * Replaces jails and filters; a jail keeps its number. `fresh`: numbers that now belong to
   * another jail, or to none; what they had is forgotten. Open windows are converted to the new
   * settings, as at a start (saved-table.ts); bans stay. New routes for every source must follow
   * (`resetRoutes`).
   */
  change(options: Pick<EngineOptions, 'jails' | 'filters' | 'shared' | 'now'>, fresh: ReadonlySet<number>): void {
    const { now = Math.floor(Date.now() / 1000) } = options;
    const { note } = this.saveTable(now);
    this.core.freeSpent(now);
    const numbers = [...this.prefixes.keys()];
    const windowOf = (jail: number): string => this.ints.subarray(this.#jailAt(jail), this.#jailAt(jail) + 2).join();
    const windows = numbers.map(windowOf);
    for (const [index, { name }] of (options.filters ?? []).entries()) {
      const filter = this.at.filters + (filterNames.length + index) * layout.FILTER_BYTES;
      if (this.filters[filterNames.length + index]?.name !== name)
        this.bytes.fill(0, filter, filter + layout.FILTER_BYTES);
    }
    for (const jail of fresh) this.ints.fill(0, this.#jailAt(jail), this.#jailAt(jail + 1));
    this.#take(options);
    const isChanged = numbers.map((jail) => fresh.has(jail) || windowOf(jail) !== windows[jail]);
    if (!isChanged.includes(true)) return;
    const saved = { layout: savedTableLayout, entryBytes: this.entryBytes, note };
    const restoring = restoreTable(this.#tableMemory(), saved, numbers, now)!;
    for (let index = 0, p = this.at.table; index < this.slots; index++, p += this.entryBytes) {
      const meta = this.ints[(p + this.shape.key) >> 2]!;
      const jail = layout.jailIn(meta);
      if (meta === 0 || !isChanged[jail]) continue;
      const isGone = fresh.has(jail);
      if (!isGone && (meta & layout.META_STATE) !== layout.TRACKING) continue;
      const entry = this.bytes.slice(p, p + this.entryBytes);
      this.core.freeEntry(index);
      if (!isGone) restoring.take(entry);
    }
  }

  /** Where a jail's record begins, in words. */
  #jailAt(jail: number): number {
    return (this.at.jails + jail * layout.JAIL_BYTES) >> 2;
  }

  /**
   * Builds the engine with its whole memory, resident from the start; no later state is allocated.
   */
  static async create<Kind extends Engine>(this: EngineKind<Kind>, options: EngineOptions): Promise<Kind> {
    return new this(options.build === 'plain' ? await startPlain(options) : startWasm(options), options);
  }

  /** The same, synchronously; possible for the builds that are one file. */
  static createNow<Kind extends Engine>(this: EngineKind<Kind>, options: EngineOptions): Kind {
    return new this(startWasm(options), options);
  }

  /** Reads the local zone's changes around `now` again; to be called about daily. */
  setClock(now: number): void {
    this.core.resetTime();
    const year = 366 * 86_400;
    const tables = [zoneChanges(now - 6 * year, now + year, layout.ZONES_MAX), ...this.#zones];
    for (const [table, changes] of tables.entries()) {
      this.core.useZone(table);
      for (const { from, offset } of changes) this.core.addZone(Number.isFinite(from) ? from : -1e15, offset);
    }
  }

  /** The number of a jail's format; the name of a new message field is written to memory. */
  #formatOf({ format = 'auto', message = '' }: EngineJail, fields: string[]): number {
    const number = formats.indexOf(format);
    if (format !== 'json') return number;
    const known = fields.indexOf(message);
    if (known >= 0) return number + known;
    const name = Buffer.from(message);
    if (fields.length >= limits.messageFieldsMax)
      throw new Error(`more than ${limits.messageFieldsMax} message fields`);
    if (name.length > limits.messageFieldBytesMax) throw new Error(`message field ${message} is too long`);
    const at = layout.FIELDS + fields.length * layout.FIELD_BYTES;
    this.bytes[at] = name.length;
    this.bytes.set(name, at + 1);
    fields.push(message);
    return number + fields.length - 1;
  }

  /** The number of a jail's zone table. */
  #zoneOf({ timezone = [] }: EngineJail): number {
    if (timezone.length === 0) return 0;
    const text = JSON.stringify(timezone);
    const known = this.#zones.findIndex((zone) => JSON.stringify(zone) === text);
    if (known >= 0) return known + 1;
    if (this.#zones.length >= limits.timezonesMax) throw new Error(`more than ${limits.timezonesMax} time zones`);
    return this.#zones.push(timezone);
  }

  /**
   * Puts the operator's programs into memory, after a table of their positions. Throws if they do
   * not fit, which the check of the configuration prevents.
   */
  #loadPrograms(filters: readonly FilterProgram[]): void {
    if (this.filters.length > limits.filtersMax) throw new Error(`more than ${limits.filtersMax} filters`);
    let at = layout.programsAt + layout.PROGRAM_TABLE_BYTES;
    for (const [index, { program }] of filters.entries()) {
      const bytes = Buffer.from(program, 'base64');
      if (at + bytes.length > layout.inputAt) throw new Error(`more than ${limits.programBytesMax} bytes of filters`);
      this.bytes.set(bytes, at);
      this.ints[(layout.programsAt >> 2) + index] = at;
      at += bytes.length;
    }
  }

  /**
   * Number and mode of a filter by name. Throws for an unknown one: names are checked when they are
   * read.
   */
  resolveFilter(name: string, mode: string): { filter: number; modeBit: number } {
    const filter = this.filters.findIndex((candidate) => candidate.name === name);
    if (filter < 0) throw new Error(`unknown filter ${name}`);
    const { modes } = this.filters[filter]!;
    const index = mode === '' ? 0 : modes.indexOf(mode);
    if (index < 0) throw new Error(`filter ${name} has no mode ${mode}`);
    return { filter, modeBit: 1 << index };
  }

  filterName(filter: number): string {
    return this.filters[filter]!.name;
  }

  /** Name of a pattern by its number in a filter. */
  patternName(filter: string, pattern: number): string {
    return this.filters.find(({ name }) => name === filter)!.patterns[pattern]!;
  }

  /**
   * A route to the given jails: pairs of a jail's index and its filter. Sources with the same jails
   * share one.
   */
  addRoute(jails: { index: number; filter: string; mode: string }[]): number {
    const route = this.core.addRoute();
    const groups = new Map<string, number>();
    this.#routes[route] = groups;
    for (const jail of jails) {
      const { filter, modeBit } = this.resolveFilter(jail.filter, jail.mode);
      const { format, zone } = this.#forms[jail.index]!;
      const form = [filter, modeBit, format, zone].join();
      if (!groups.has(form)) groups.set(form, this.#groups++);
      this.core.addToRoute(route, jail.index, filter, modeBit, format, zone);
    }
    return route;
  }

  /** Lines of `source` (0 … followedFilesMax-1) go to `route` from now on. */
  openSource(source: number, route: number): void {
    this.core.openSource(source, route);
    this.#former?.moved.add(source);
  }

  /**
   * Forgets all routes. Then new ones must follow, every open source must be moved to one, and
   * `endRoutes` called; nothing may be fed meanwhile.
   */
  resetRoutes(): void {
    this.#former = { routes: this.#routes, groups: new Int32Array(this.#groups).fill(-1), moved: new Set() };
    this.#routes = [];
    this.#groups = 0;
    this.core.resetRoutes();
  }

  /** Lines of an open source go to another route from now on. */
  moveSource(source: number, route: number): void {
    const former = this.#former;
    const before = this.ints[(this.at.sources + source * layout.SOURCE_BYTES) >> 2]!;
    this.core.moveSource(source, route);
    if (former === undefined || former.moved.has(source)) return;
    former.moved.add(source);
    for (const [form, group] of former.routes[before] ?? []) {
      // If files shared a route and no longer do, the first one keeps what their lines have begun.
      if (former.groups[group]! < 0) former.groups[group] = this.#routes[route]!.get(form) ?? -1;
    }
  }

  /** Every source was moved: unfinished connections continue. */
  endRoutes(): void {
    this.ints.set(this.#former!.groups, this.at.input >> 2);
    this.core.regroup(this.at.input);
    this.#former = undefined;
  }

  feed(source: number, length: number, offset: number, now: number, final: boolean): number {
    return this.core.feed(source, this.at.input, this.at.input + length, offset, Math.floor(now), final);
  }

  feedEntry(source: number, length: number, offset: number, now: number, time: number, cut: boolean): void {
    const start = this.at.input;
    this.core.feedEntry(source, start, start + length, offset, Math.floor(now), time, cut);
  }

  /**
   * Charges the failures that no success cancelled in time, or, at the end, `all` that wait. False:
   * take the decisions and call again.
   */
  settleAttempts(now: number, all = false): boolean {
    return Boolean(this.core.settleAttempts(Math.floor(now), all ? Infinity : now, 0));
  }

  /**
   * Sets the networks that each jail ignores, and our links, whose addresses are single hosts, as
   * far as there is room; false if some did not fit.
   */
  setIgnored(lists: readonly (readonly Address[])[], links: readonly Address[] = []): boolean {
    this.core.resetIgnores();
    const add = (jail: number, networks: readonly Address[], room: number): void => {
      for (const network of networks.slice(0, Math.max(0, room))) {
        this.#writeAddress(network);
        this.core.addIgnore(jail, bitsOf(network));
      }
    };
    let room = this.shape.ignores - limits.sharedNetworksMax;
    for (const [jail, networks] of lists.entries()) {
      add(jail, networks, room);
      room -= networks.length;
    }
    const isWide = this.prefixes.some((prefix) => prefix[4] < 32);
    const shared = [...sharedEverywhere, ...links.filter(({ family }) => family === 6 || isWide)];
    add(this.shape.jailsMax, shared, limits.sharedNetworksMax);
    return room >= 0 && shared.length <= limits.sharedNetworksMax;
  }

  /** Whether `jail` ignores the address, or the whole prefix. */
  isIgnored(jail: number, address: Address): boolean {
    this.#writeAddress(address);
    return Boolean(this.core.isIgnored(jail, bitsOf(address)));
  }

  /** Whether several hosts share the prefix: they are banned one by one, and never the prefix. */
  isShared(address: Address): boolean {
    const bits = bitsOf(address);
    if (bits === 128) return false;
    this.#writeAddress(address);
    return Boolean(this.core.isShared(bits));
  }

  /** Whether single addresses of shared networks were ever counted. */
  get hasSingles(): boolean {
    return this.ints[layout.UPPERS >> 2] !== 0;
  }

  /**
   * Prefix length of the source that `jail` counts for the address; 0 = it cannot be banned, since
   * it is the first of a prefix that hosts share.
   */
  sourceWidth(jail: number, address: Address): number {
    this.#writeAddress(address);
    return Math.max(0, this.core.sourceWidth(jail) - (address.family === 4 ? 96 : 0));
  }

  /**
   * The clock was set by `seconds`: moves all remembered times. Unfinished connections are
   * forgotten.
   */
  shiftTimes(seconds: number): void {
    this.core.shiftTimes(0, this.slots, seconds);
    this.bytes.fill(0, this.at.connections, this.at.ring);
    this.shiftDecisions(seconds);
  }

  /**
   * Number of bans that the kernel holds at epoch second `now`: one walk over the whole table, some
   * 2 ms.
   */
  countHeld(now: number): number {
    return this.core.countHeld(now);
  }

  /**
   * Up to `most` (at most `soonestMax`) of the bans that the kernel holds at `now`: those to lift
   * first (soonest.ts).
   */
  soonestBans(now: number, most: number): TableBan[] {
    const count = this.core.findSoonest(now, most);
    const places = Array.from({ length: count }, (_, place) => this.at.input + place * layout.SOONEST_BYTES);
    const indexes = places.map((p) => this.ints[(p + layout.SOONEST_INDEX) >> 2]!);
    const bans: TableBan[] = [];
    for (const index of indexes) this.eachBan(index, 1, (ban) => bans.push(ban));
    return bans;
  }

  /** Whether a ban of the address in `jail` is decided or in the kernel. */
  isBanned(jail: number, address: Address): boolean {
    this.#select(jail, address);
    return Boolean(this.core.isBanned(jail));
  }

  /**
   * Epoch second at which the ban of the address in `jail` ends; Infinity = never, undefined =
   * there is no ban.
   */
  banEnd(jail: number, address: Address): number | undefined {
    this.#select(jail, address);
    const end = this.core.endOfBan(jail);
    if (end < 0) return undefined;
    return end === secondsMax ? Number.POSITIVE_INFINITY : end;
  }

  /**
   * Position in the table (`TableBan.index`) of the ban of the address in `jail`, -1 = there is no
   * ban.
   */
  banIndex(jail: number, address: Address): number {
    return this.isBanned(jail, address) ? this.core.indexOf(jail) : -1;
  }

  /**
   * The failures of the address in `jail` since epoch second `from`, as `windowAt` returns them.
   */
  failuresOf(jail: number, address: Address, from: number): [at: number, count: number][] {
    this.#select(jail, address);
    const index = this.core.indexOf(jail);
    return index < 0 ? [] : this.windowAt(index).filter(([at]) => at >= from);
  }

  /** The ban of the address in `jail`, if there is one. */
  findBan(jail: number, address: Address): TableBan | undefined {
    let found: TableBan | undefined;
    const index = this.banIndex(jail, address);
    if (index >= 0)
      this.eachBan(index, 1, (ban) => {
        found = ban;
      });
    return found;
  }

  /** The kernel confirmed the ban. */
  confirmBan(jail: number, address: Address): void {
    this.#select(jail, address);
    this.core.confirm(jail);
  }

  /**
   * Adds a ban that did not come from a decision, until epoch second `end`, Infinity = permanent.
   * `bans` of the source are known, this one included; a larger number in the table stays.
   * `manual`: an operator made it.
   */
  setBan(jail: number, address: Address, now: number, end: number, bans = 0, manual = false): void {
    this.#select(jail, address);
    const origin = manual ? layout.META_MANUAL : 0;
    this.core.recordBan(jail, Math.floor(now), Math.min(Math.ceil(end), secondsMax), Math.min(bans, 255), origin);
  }

  /** After an unban: forgets the source. */
  forget(jail: number, address: Address): void {
    this.#select(jail, address);
    this.core.forget(jail);
  }

  /** Begins a walk over the table for the state file; `now` in epoch seconds. */
  saveTable(now: number): SavedTable {
    return saveTable(this.#tableMemory(), Math.floor(now));
  }

  /**
   * Takes entries of an earlier run, portion by portion; null if their form is unknown. `jailOf`
   * maps a jail of that run to its present number, or -1. Bans come back as decided: a sweep
   * (`eachBan`) brings them into the kernel.
   */
  restoreTable(
    saved: { layout: number; entryBytes: number; note: Uint8Array },
    jailOf: readonly number[],
    now: number,
    clockStep = 0,
  ): RestoringTable | null {
    return restoreTable(this.#tableMemory(), saved, jailOf, Math.floor(now), clockStep);
  }

  #tableMemory(): TableMemory {
    const core = this.core;
    return {
      bytes: this.bytes,
      ints: this.ints,
      jails: this.at.jails,
      scratch: this.at.input,
      scratchBytes: limits.inputBytes,
      slots: this.slots,
      ...this.shape,
      prefixes: this.prefixes,
      copyEntries: core.copyEntries,
      copiedEntries: core.copiedEntries,
      restore: (jail, width, history, seen, end, now) => {
        core.select(jail, width);
        return core.restore(jail, history, seen, end, now);
      },
    };
  }

  /**
   * Starts a run of the policy ban_all. Slice after slice, from entry 0 on: `banAll`, then
   * `resetAll` when the kernel holds its bans.
   */
  startBanAll(): void {
    this.core.beginBanAll();
  }

  /**
   * Decides a ban, from second `now` on, of each tracked source among `count` entries from `first`
   * on; returns their number.
   */
  banAll(first: number, count: number, now: number): number {
    return this.core.banTracked(first, Math.min(count, this.slots - first), Math.floor(now));
  }

  /**
   * Forgets these entries, except new ones and bans that the kernel does not hold yet. Returns
   * where the next slice starts, -1 at the end.
   */
  resetAll(first: number, count: number, now: number): number {
    const last = Math.min(this.slots, first + count);
    this.core.resetEntries(first, last - first, Math.floor(now));
    return last < this.slots ? last : -1;
  }

  /**
   * Running bans of each jail at epoch second `now`: in the kernel, and on their way. Walks over
   * the whole table, in slices, so that others get their turn; callers meanwhile share the result.
   */
  countBans(now: number): Promise<BanCount[]> {
    this.#counting ??= this.#count(now).finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #count(now: number): Promise<BanCount[]> {
    for (let first = 0; first < this.slots; first += limits.countEntries) {
      if (first > 0) await turn();
      this.core.tallyBans(first, Math.min(limits.countEntries, this.slots - first), now);
    }
    return this.prefixes.map((_, jail) => {
      const record = this.at.jails + jail * layout.JAIL_BYTES;
      return {
        held: this.ints[(record + layout.JAIL_HELD) >> 2]!,
        heldSix: this.ints[(record + layout.JAIL_HELD_SIX) >> 2]!,
        pending: this.ints[(record + layout.JAIL_PENDING) >> 2]!,
      };
    });
  }

  #escalate(jail: number, { bantimes, randomSeconds, memorySeconds, allJails }: Escalation): void {
    this.core.escalate(jail, memorySeconds, randomSeconds, allJails);
    for (let earlier = 1; earlier < layout.BANTIMES_MAX; earlier++) {
      const seconds = bantimes[Math.min(earlier, bantimes.length) - 1];
      if (seconds !== undefined) this.core.setBantime(jail, earlier, seconds);
    }
  }

  /** Selects the source for the engine's next call. */
  #select(jail: number, address: Address): void {
    this.#writeAddress(address);
    this.core.select(jail, bitsOf(address));
  }

  #writeAddress(address: Address): void {
    this.bytes.set(address.bytes, layout.ADDRESS);
  }
}

/**
 * Networks in which every address is a single host, on every machine: link-local, NAT64 (RFC 6052,
 * 8215; the first as a /64, which is what a row of the table holds), Teredo (RFC 4380).
 */
const sharedEverywhere = ['fe80::/10', '64:ff9b::/64', '64:ff9b:1::/48', '2001::/32'].map(
  (text) => parseCidr(text, 'refuse') as Address,
);

/** The prefix length on the mapped (IPv6) scale. */
const bitsOf = ({ family, prefix }: Address): number => (family === 4 ? prefix + 96 : prefix);
