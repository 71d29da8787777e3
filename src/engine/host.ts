/**
 * The engine seen from outside: owns its memory and is the only code that crosses the boundary in
 * either direction. Sources read into `buffer`; what comes back are counts and decisions. Two
 * builds of one source, same results: wasm (with SIMD, or scalar), which production runs, and plain
 * TypeScript, which tests, coverage and mutation see.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import * as limits from '../limits.ts';
import type { Address, Decision, Escalation, EvictionPolicy, FilterProgram } from '../types.ts';
import * as counters from './counters.ts';
import type * as engineSource from './engine.ts';
import { type FilterNames, filterNames } from './generated/names.ts';
import * as layout from './layout.ts';
import { type RestoringTable, restoreTable, type SavedTable, saveTable, type TableMemory } from './saved-table.ts';
import { zoneChanges } from './zones.ts';

export type Build = 'wasm' | 'scalar' | 'plain';

type Exports = Omit<typeof engineSource, 'LINE_BYTES_MAX'>;

/** A jail as the engine needs it. */
export interface EngineJail {
  filter: string;
  /** '' = the filter's default mode. */
  mode: string;
  maxretry: number;
  /** Seconds. */
  findtime: number;
  /** Seconds, -1 = permanent. */
  bantime: number;
  escalation?: Escalation | null;
  ipv6Prefix: number;
  ignore: Address[];
}

export interface EngineOptions {
  build?: Build;
  jails: EngineJail[];
  /** The operator's filters, numbered after the built-in ones. */
  filters?: readonly FilterProgram[];
  /**
   * Memory of the table, bytes; rounded down to whole sets. A function is asked when all that
   * compiling takes is taken, and told the bytes of everything else in the engine's memory.
   */
  tableBytes: number | ((otherBytes: number) => number);
  evictionPolicy?: EvictionPolicy;
  /** False: a line's own time is the clock (replay). */
  live?: boolean;
  /** Called with the engine's memory before its first use. */
  prepare?: (memory: ArrayBuffer) => void;
  /** Two 32-bit words; random where absent. Tests fix it. */
  seed?: [number, number];
  /** Epoch seconds around which local time is known. */
  now?: number;
}

/** What became of one line (`fail2zig match`). */
export interface Verdict {
  outcome:
    | 'no-pattern'
    | 'failure'
    | 'counted-before'
    | 'no-prefix'
    | 'ignored'
    | 'bad-address'
    | 'host-name'
    | 'no-failure'
    | 'no-address'
    | 'bad-time';
  /** Name of the pattern that matched. */
  pattern?: string;
  address?: Address;
  /** Bytes of the user name; a view into the engine's memory, valid until the next call. */
  user?: Uint8Array;
  /** Epoch seconds. */
  time: number;
}

/** Running bans of a jail. */
export interface BanCount {
  /** The kernel holds them. */
  held: number;
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
  /** Whether the kernel is known to hold it. */
  confirmed: boolean;
  /**
   * Bans of the source so far, this one included, as far as they are remembered; 255 = that or
   * more.
   */
  bans: number;
}

/** A failure that found no place in the table. */
export interface Denial {
  jail: number;
  address: Address;
  /** Epoch seconds. */
  time: number;
}

/** Where a source puts log bytes. */
export interface LineSink {
  /** Inside the engine's memory; read(2) straight into it. */
  readonly buffer: Uint8Array;
  /**
   * Examines buffer[0…length), whose first byte stands at `offset` of `source`; returns the bytes
   * consumed. An unfinished last line is left unless `final`. Less than that is consumed when the
   * decisions must be taken first.
   */
  feed(source: number, length: number, offset: number, now: number, final: boolean): number;
}

const outcomes: Verdict['outcome'][] = [
  'no-pattern',
  'failure',
  'counted-before',
  'no-prefix',
  'ignored',
  'bad-address',
  'host-name',
  'no-failure',
  'no-address',
  'bad-time',
];
const policies: EvictionPolicy[] = ['evict_oldest', 'ban_all', 'drop_unbanned', 'deny_new', 'log_and_drop'];
const pageBytes = 65_536;
const secondsMax = 4_294_967_295;
/** An address for each filter of the operator. */
const programTableBytes = 4 * limits.filtersMax;

/** The built engine's file; `npm run setup` makes it. */
function wasmFile(build: Build): Buffer {
  const name = build === 'wasm' ? 'engine.wasm' : 'engine-scalar.wasm';
  const folders = [join(import.meta.dirname, '..', 'build'), join(import.meta.dirname, '..', '..', 'build')];
  const path = folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
  // No test comes here: none runs where the engine is not built.
  if (!path) throw new Error(`${name} not found in ${folders.join(' or ')}: run \`npm run build\``);
  return readFileSync(path);
}

/**
 * The sizes that follow from the jails, and the bytes that an entry takes with them, alone and with
 * its mark (table.ts).
 */
function tableShape(jails: EngineJail[]) {
  const key = jails.some((jail) => jail.ipv6Prefix > 64) ? 16 : 8;
  const step = jails.some((jail) => jail.findtime > 65_535) ? 4 : 2;
  const steps = Math.max(0, ...jails.map((jail) => jail.maxretry - 2));
  const entry = layout.entrySize(key, step, steps);
  return { key, step, steps, entry, slot: entry + layout.MARK_BYTES };
}

export class Engine implements LineSink {
  readonly buffer: Uint8Array<ArrayBuffer>;
  /** Entries the table has room for. */
  readonly slots: number;
  readonly entryBytes: number;
  /** What an entry takes with its mark (table.ts). */
  readonly slotBytes: number;
  readonly memoryBytes: number;
  readonly #core: Exports;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #ints: Int32Array<ArrayBuffer>;
  readonly #floats: Float64Array<ArrayBuffer>;
  readonly #at: { input: number; ring: number; filters: number; jails: number; table: number; key: number };
  readonly #prefixes: number[];
  readonly #steps: { step: number; steps: number };
  /** By filter number. */
  readonly #filters: readonly Pick<FilterNames, 'name' | 'modes' | 'patterns' | 'ignore'>[];
  /** The count of running bans under way. */
  #counting: Promise<BanCount[]> | undefined;

  private constructor(
    core: Exports,
    memory: ArrayBuffer,
    shape: ReturnType<typeof tableShape> & { sets: number },
    prefixes: number[],
    filters: readonly FilterProgram[],
  ) {
    this.#core = core;
    this.#filters = [...filterNames, ...filters.map((filter) => ({ ...filter, modes: [] }))];
    this.#bytes = new Uint8Array(memory);
    this.#ints = new Int32Array(memory);
    this.#floats = new Float64Array(memory);
    this.#at = {
      input: layout.inputAt,
      ring: layout.ringAt,
      filters: layout.filtersAt,
      jails: layout.jailsAt,
      table: layout.tableAt,
      key: layout.keyBytes,
    };
    this.#prefixes = prefixes;
    this.#steps = { step: shape.step, steps: shape.steps };
    this.buffer = new Uint8Array(memory, layout.inputAt, limits.inputBytes);
    this.slots = shape.sets * layout.TABLE_WAYS;
    this.entryBytes = shape.entry;
    this.slotBytes = shape.slot;
    this.memoryBytes = memory.byteLength;
    this.#loadPrograms(filters);
  }

  /**
   * Builds the engine with its whole memory, resident from the start; nothing is allocated for
   * state afterwards.
   */
  static async create(options: EngineOptions): Promise<Engine> {
    if (options.build !== 'plain') return Engine.createNow(options);
    const [core, linear] = await Promise.all([import('./engine.ts'), import('./linear.ts')]);
    return Engine.#assemble(options, (pages) => {
      const memory = new ArrayBuffer(pages * pageBytes);
      linear.bindMemory(memory);
      return { core, memory };
    });
  }

  /** The same at once, which the builds that are one file allow. */
  static createNow(options: EngineOptions): Engine {
    const module = new WebAssembly.Module(wasmFile(options.build ?? 'wasm'));
    return Engine.#assemble(options, (pages) => {
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
      const instance = new WebAssembly.Instance(module, { env: { memory, abort: abortEngine } });
      return { core: instance.exports as unknown as Exports, memory: memory.buffer as ArrayBuffer };
    });
  }

  static #assemble(
    options: EngineOptions,
    instantiate: (pages: number) => { core: Exports; memory: ArrayBuffer },
  ): Engine {
    const { jails } = options;
    const shape = tableShape(jails);
    const ignores = jails.reduce((sum, jail) => sum + jail.ignore.length, 0);
    if (ignores > limits.ignoredNetworksMax) {
      throw new Error(`${ignores} ignored networks over all jails; at most ${limits.ignoredNetworksMax} are kept`);
    }
    const sizes = (sets: number) =>
      [
        limits.filtersMax,
        jails.length,
        ignores,
        limits.followedFilesMax,
        limits.routesMax,
        limits.routeJailsMax,
        limits.routeJailsMax,
        limits.connectionsMax,
        limits.decisionsMax,
        programTableBytes + limits.programBytesMax,
        limits.inputBytes,
        shape.key,
        shape.step,
        shape.steps,
        sets,
      ] as const;
    const { tableBytes } = options;
    const room = typeof tableBytes === 'number' ? tableBytes : tableBytes(layout.layOut(...sizes(0)));
    const sets = Math.max(1, Math.floor(room / (shape.slot * layout.TABLE_WAYS)));
    const { core, memory } = instantiate(Math.ceil(layout.layOut(...sizes(sets)) / pageBytes));
    options.prepare?.(memory);
    const seed = options.seed ?? [randomBytes(4).readInt32LE(), randomBytes(4).readInt32LE()];
    core.init(seed[0], seed[1], ...sizes(sets));
    const engine = new Engine(
      core,
      memory,
      { ...shape, sets },
      jails.map((jail) => jail.ipv6Prefix),
      options.filters ?? [],
    );
    core.setLive(options.live ?? true);
    core.setEviction(policies.indexOf(options.evictionPolicy ?? 'evict_oldest'));
    engine.setClock(options.now ?? Math.floor(Date.now() / 1000));
    jails.forEach((jail, index) => {
      core.setJail(index, jail.maxretry, jail.findtime, jail.bantime, jail.ipv6Prefix);
      if (jail.escalation) engine.#escalate(index, jail.escalation);
      for (const network of jail.ignore) {
        engine.#writeAddress(network);
        core.ignore(index, network.family === 4 ? network.prefix + 96 : network.prefix);
      }
    });
    return engine;
  }

  /** Reads the local zone's changes around `now` anew; to be repeated about daily. */
  setClock(now: number): void {
    this.#core.clearZones();
    const year = 366 * 86_400;
    for (const change of zoneChanges(now - 6 * year, now + year, layout.ZONES_MAX)) {
      this.#core.setZone(Number.isFinite(change.from) ? change.from : -1e15, change.offset);
    }
  }

  /**
   * Puts the operator's programs into memory, behind a table of where each begins. Throws where
   * they do not fit, which the configuration's check rules out.
   */
  #loadPrograms(filters: readonly FilterProgram[]): void {
    if (this.#filters.length > limits.filtersMax) throw new Error(`more than ${limits.filtersMax} filters`);
    let at = layout.programsAt + programTableBytes;
    for (const [index, { program }] of filters.entries()) {
      const bytes = Buffer.from(program, 'base64');
      if (at + bytes.length > layout.inputAt) throw new Error(`more than ${limits.programBytesMax} bytes of filters`);
      this.#bytes.set(bytes, at);
      this.#ints[(layout.programsAt >> 2) + index] = at;
      at += bytes.length;
    }
  }

  /**
   * Number and mode of a filter by name. Throws for an unknown one: names are checked where they
   * are read.
   */
  resolveFilter(name: string, mode: string): { filter: number; modeBit: number } {
    const filter = this.#filters.findIndex((candidate) => candidate.name === name);
    if (filter < 0) throw new Error(`unknown filter ${name}`);
    const { modes } = this.#filters[filter]!;
    const index = mode === '' ? 0 : modes.indexOf(mode);
    if (index < 0) throw new Error(`filter ${name} has no mode ${mode}`);
    return { filter, modeBit: 1 << index };
  }

  filterName(filter: number): string {
    return this.#filters[filter]!.name;
  }

  /** Name of a pattern by its number in a filter. */
  patternName(filter: string, pattern: number): string {
    return this.#filters.find(({ name }) => name === filter)!.patterns[pattern]!;
  }

  /**
   * A route to the given jails: pairs of a jail's index and its filter. Sources with the same jails
   * share one.
   */
  addRoute(jails: { index: number; filter: string; mode: string }[]): number {
    const route = this.#core.addRoute();
    for (const jail of jails) {
      const { filter, modeBit } = this.resolveFilter(jail.filter, jail.mode);
      this.#core.addToRoute(route, jail.index, filter, modeBit);
    }
    return route;
  }

  /** Lines of `source` (0 … followedFilesMax-1) go to `route` from now on. */
  openSource(source: number, route: number): void {
    this.#core.openSource(source, route);
  }

  feed(source: number, length: number, offset: number, now: number, final: boolean): number {
    return this.#core.feed(source, this.#at.input, this.#at.input + length, offset, Math.floor(now), final);
  }

  /** Decisions waiting in the ring. */
  get waiting(): number {
    return (this.#ints[layout.RING_WRITTEN >> 2]! - this.#ints[layout.RING_TAKEN >> 2]!) | 0;
  }

  /** Hands over the waiting decisions, oldest first, at most `max`; returns how many. */
  takeDecisions(take: (decision: Decision) => void, max: number = limits.decisionsMax): number {
    const count = Math.min(max, this.waiting);
    let taken = this.#ints[layout.RING_TAKEN >> 2]!;
    for (let i = 0; i < count; i++) {
      const p = this.#at.ring + (taken & (limits.decisionsMax - 1)) * layout.DECISION_BYTES;
      const int = (field: number): number => this.#ints[(p + field) >> 2]!;
      const family = int(layout.DECISION_FAMILY) === 4 ? 4 : 6;
      taken = (taken + 1) | 0;
      this.#ints[layout.RING_TAKEN >> 2] = taken;
      const address = {
        family,
        bytes: this.#bytes.slice(p + layout.DECISION_ADDRESS, p + layout.DECISION_ADDRESS + 16),
        prefix: int(layout.DECISION_PREFIX),
      } as const;
      maskAddress(address);
      take({
        jail: int(layout.DECISION_JAIL),
        address,
        time: this.#floats[(p + layout.DECISION_TIME) >> 3]!,
        failures: int(layout.DECISION_FAILURES),
        seconds: int(layout.DECISION_SECONDS),
        bans: int(layout.DECISION_BANS),
        source: int(layout.DECISION_SOURCE),
        offset: this.#floats[(p + layout.DECISION_OFFSET) >> 3]!,
        pattern: int(layout.DECISION_PATTERN),
      });
    }
    return count;
  }

  /**
   * Examines one line (without its line end) for one filter, connections followed, nothing counted
   * against anyone. `cut`: it is the first part of a longer one.
   */
  examine(
    line: Uint8Array,
    name: string,
    mode: string,
    now: number,
    journal: boolean,
    cut = line.length > limits.lineBytesMax,
  ): Verdict {
    const { filter, modeBit } = this.resolveFilter(name, mode);
    const length = Math.min(line.length, limits.lineBytesMax);
    this.buffer.set(line.subarray(0, length));
    const start = this.#at.input;
    const core = this.#core;
    const outcome = outcomes[core.examine(start, start + length, filter, modeBit, 0, Math.floor(now), journal, cut)]!;
    const found = core.lastPattern();
    const verdict: Verdict = { outcome, time: core.lastTime() };
    const { patterns, ignore } = this.#filters[filter]!;
    if (found >= 0) verdict.pattern = patterns[found] ?? ignore[found - patterns.length]!;
    if (outcome === 'failure' || outcome === 'counted-before') {
      const bytes = this.#bytes.slice(layout.ADDRESS, layout.ADDRESS + 16);
      verdict.address = core.lastFamily() === 4 ? { family: 4, bytes, prefix: 32 } : { family: 6, bytes, prefix: 128 };
    }
    if (found >= 0 && core.lastUserStart() >= 0)
      verdict.user = this.#bytes.subarray(core.lastUserStart(), core.lastUserEnd());
    return verdict;
  }

  /** Whether ignoreip of `jail` covers the address. */
  isIgnored(jail: number, address: Address): boolean {
    this.#writeAddress(address);
    return Boolean(this.#core.isIgnoredAddress(jail));
  }

  /** Whether a ban of the address in `jail` is decided or held. */
  isBanned(jail: number, address: Address): boolean {
    this.#writeAddress(address);
    return Boolean(this.#core.isBannedSource(jail));
  }

  /**
   * Epoch second at which the ban of the address in `jail` ends; Infinity = never, undefined = it
   * is not banned.
   */
  banEnd(jail: number, address: Address): number | undefined {
    this.#writeAddress(address);
    const end = this.#core.banEnds(jail);
    if (end < 0) return undefined;
    return end === secondsMax ? Number.POSITIVE_INFINITY : end;
  }

  /**
   * Position in the table (`TableBan.index`) of the ban of the address in `jail`, -1 = it is not
   * banned.
   */
  banIndex(jail: number, address: Address): number {
    this.#writeAddress(address);
    return this.#core.banIndex(jail);
  }

  /** The kernel confirmed the ban. */
  confirmBan(jail: number, address: Address): void {
    this.#writeAddress(address);
    this.#core.confirmBan(jail);
  }

  /**
   * A ban that did not come from a decision: until epoch second `end`, Infinity = permanent. `bans`
   * of the source are known of, this one included; what the table knows itself stays.
   */
  setBan(jail: number, address: Address, now: number, end: number, bans = 0): void {
    this.#writeAddress(address);
    this.#core.setBan(jail, Math.floor(now), Math.min(Math.ceil(end), secondsMax), Math.min(bans, 255));
  }

  /** Starts the source afresh after an unban. */
  forget(jail: number, address: Address): void {
    this.#writeAddress(address);
    this.#core.forgetSource(jail);
  }

  /**
   * Visits the bans among the `count` table entries from `first` on: one bounded slice of a walk
   * over the whole table. Returns where the next slice starts, or -1 at the end.
   */
  eachBan(first: number, count: number, visit: (ban: TableBan) => void): number {
    const entry = this.entryBytes;
    const key = this.#at.key;
    const last = Math.min(this.slots, first + count);
    for (let index = first; index < last; index++) {
      const p = this.#at.table + index * entry;
      const meta = this.#ints[(p + key) >> 2]!;
      const state = meta & 3;
      if (state < 2) continue;
      const end = this.#ints[(p + key + 8) >> 2]! >>> 0;
      const jail = (meta >>> 16) - 1;
      const bytes = new Uint8Array(16);
      const four = (meta & 4) === 0;
      if (four) {
        bytes.fill(255, 10, 12);
        bytes.set(this.#bytes.subarray(p, p + 4), 12);
      } else bytes.set(this.#bytes.subarray(p, p + key));
      const prefix = four ? 32 : this.#prefixes[jail]!;
      visit({
        index,
        jail,
        address: { family: four ? 4 : 6, bytes, prefix },
        end: end === secondsMax ? Number.POSITIVE_INFINITY : end,
        confirmed: state === 3,
        bans: (meta >> 8) & 255,
      });
    }
    return last < this.slots ? last : -1;
  }

  /** Begins a walk over the table for the state on disk; `now` in epoch seconds. */
  saveTable(now: number): SavedTable {
    return saveTable(this.#tableMemory(), Math.floor(now));
  }

  /**
   * Takes entries of an earlier run, portion by portion; null where they are of an unknown form.
   * `jailOf` has this run's number of each of its jails, or -1. Bans come back as decided: a sweep
   * (`eachBan`) brings them into the kernel.
   */
  restoreTable(
    saved: { layout: number; entryBytes: number; note: Uint8Array },
    jailOf: readonly number[],
    now: number,
  ): RestoringTable | null {
    return restoreTable(this.#tableMemory(), saved, jailOf, Math.floor(now));
  }

  #tableMemory(): TableMemory {
    return {
      bytes: this.#bytes,
      ints: this.#ints,
      jails: this.#at.jails,
      scratch: this.#at.input,
      scratchBytes: limits.inputBytes,
      slots: this.slots,
      entry: this.entryBytes,
      key: this.#at.key,
      ...this.#steps,
      prefixes: this.#prefixes,
      saveEntries: this.#core.saveEntries,
      savedUntil: this.#core.savedUntil,
      restoreEntry: this.#core.restoreEntry,
    };
  }

  /** Whether two full sets ask for a run of the policy ban_all. */
  get banAllDue(): boolean {
    return this.banAllTime !== 0;
  }

  /** Epoch second of the failure that asked for it; 0 = none is due. */
  get banAllTime(): number {
    return this.#ints[layout.BAN_ALL_DUE >> 2]! >>> 0;
  }

  /**
   * Starts such a run: slice after slice from entry 0 on, `banAll`, and `resetAll` when the kernel
   * holds its bans.
   */
  startBanAll(): void {
    this.#core.startBanAll();
  }

  /**
   * Decides a ban, from second `now` on, of each tracked source among `count` entries from `first`
   * on; returns how many.
   */
  banAll(first: number, count: number, now: number): number {
    return this.#core.banAll(first, Math.min(count, this.slots - first), Math.floor(now));
  }

  /**
   * Forgets these entries, but for bans that the kernel does not hold yet and newcomers. Returns
   * where the next slice starts, -1 at the end.
   */
  resetAll(first: number, count: number, now: number): number {
    const last = Math.min(this.slots, first + count);
    this.#core.resetAll(first, last - first, Math.floor(now));
    return last < this.slots ? last : -1;
  }

  /**
   * Failures that found no place since the last call, under log_and_drop; those that are too many
   * are only counted.
   */
  takeDenials(take: (denial: Denial) => void): number {
    const written = this.#ints[layout.DENIALS_WRITTEN >> 2]!;
    const count = (written - this.#ints[layout.DENIALS_TAKEN >> 2]!) | 0;
    for (let i = written - count; i < written; i++) {
      const p = layout.DENIALS + (i & (layout.DENIALS_MAX - 1)) * layout.DENIAL_BYTES;
      const family = this.#ints[(p + layout.DENIAL_FAMILY) >> 2] === 4 ? 4 : 6;
      const bytes = this.#bytes.slice(p + layout.DENIAL_ADDRESS, p + layout.DENIAL_ADDRESS + 16);
      const time = this.#floats[(p + layout.DENIAL_TIME) >> 3]!;
      take({ jail: this.#ints[p >> 2]!, address: { family, bytes, prefix: family === 4 ? 32 : 128 }, time });
    }
    this.#ints[layout.DENIALS_TAKEN >> 2] = written;
    return count;
  }

  /** A global counter by its number in counters.ts. */
  counter(index: number): number {
    return this.#floats[(layout.COUNTERS >> 3) + index]!;
  }

  /** A counter of a filter by its number (`resolveFilter`). */
  filterCounter(filter: number, index: number): number {
    return this.#floats[((this.#at.filters + filter * layout.FILTER_BYTES) >> 3) + index]!;
  }

  jailCounter(jail: number, index: number): number {
    return this.#floats[((this.#at.jails + jail * layout.JAIL_BYTES + layout.JAIL_COUNTERS) >> 3) + index]!;
  }

  /**
   * Running bans of each jail at epoch second `now`: in the kernel, and on their way. One look at
   * the whole table, in slices between which others have their turn; whoever asks meanwhile is
   * given the same.
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
      this.#core.countBans(first, Math.min(limits.countEntries, this.slots - first), now);
    }
    return this.#prefixes.map((_, jail) => {
      const record = this.#at.jails + jail * layout.JAIL_BYTES;
      return {
        held: this.#ints[(record + layout.JAIL_HELD) >> 2]!,
        pending: this.#ints[(record + layout.JAIL_PENDING) >> 2]!,
      };
    });
  }

  /** Table entries in use. */
  get tracked(): number {
    return this.counter(counters.TRACKED);
  }

  #escalate(jail: number, { bantimes, randomSeconds, memorySeconds, allJails }: Escalation): void {
    this.#core.setEscalation(jail, memorySeconds, randomSeconds, allJails);
    for (let earlier = 1; earlier < layout.BANTIMES_MAX; earlier++) {
      const seconds = bantimes[Math.min(earlier, bantimes.length) - 1];
      if (seconds !== undefined) this.#core.setBantime(jail, earlier, seconds);
    }
  }

  #writeAddress(address: Address): void {
    this.#bytes.set(address.bytes, layout.ADDRESS);
  }
}

/** Clears the bits beyond the prefix, so that a /64 is written as its network. */
function maskAddress(address: Address): void {
  const first = address.family === 4 ? 96 + address.prefix : address.prefix;
  for (let i = 0; i < 16; i++) {
    const bits = Math.min(8, Math.max(0, first - i * 8));
    address.bytes[i]! &= (0xff00 >> bits) & 255;
  }
}

/** AssemblyScript calls this when one of its own assertions fails; the build has none. */
function abortEngine(): never {
  throw new Error('the engine stopped itself: a bug of ours');
}
