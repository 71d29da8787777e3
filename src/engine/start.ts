/**
 * Builds an engine: the sizes that follow from the jails, the memory, one of the builds. Two builds
 * of one source, with the same results: wasm (with SIMD, or scalar), which production runs, and
 * plain TypeScript, which tests, coverage and mutation use.
 */
import * as limits from '../limits.ts';
import { readPart } from '../parts.ts';
import type { Address, Escalation, EvictionPolicy, FilterProgram, LineFormat, ZoneChange } from '../types.ts';
import type * as engineSource from './engine.ts';
import * as layout from './layout.ts';

export type Build = 'wasm' | 'scalar' | 'plain';

/** What the engine offers its host. */
export type Core = typeof engineSource;

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
  /** Absent: 32. */
  ipv4Prefix?: number;
  ignore: readonly Address[];
  /** How its lines are wrapped; absent: detected automatically. */
  format?: LineFormat;
  /** The field that holds the message, if the format is `json`. */
  message?: string;
  /** The time zone of times that name none; absent or empty = local time. */
  timezone?: readonly ZoneChange[];
}

export interface EngineOptions {
  build?: Build;
  jails: EngineJail[];
  /** The operator's filters, numbered after the built-in ones. */
  filters?: readonly FilterProgram[];
  /**
   * Memory of the table, bytes; rounded down to whole sets. A function is called after compilation
   * has taken its memory, with the bytes of everything else in the engine's memory.
   */
  tableBytes: number | ((otherBytes: number) => number);
  evictionPolicy?: EvictionPolicy;
  /**
   * Room for this many jails, and for twice the ignored networks, so that a reload can add some
   * (`Engine.change`). Absent: as many as there are.
   */
  jailsMax?: number;
  /** Links of this host (`Engine.setIgnored`). */
  shared?: readonly Address[];
  /** False: a line's own time is the clock (replay). */
  live?: boolean;
  /** Called with the engine's memory before its first use. */
  prepare?: (memory: ArrayBuffer) => void;
  /** Two 32-bit words; random if absent. Tests fix it. */
  seed?: [number, number];
  /** Epoch seconds around which local time is known. */
  now?: number;
}

/** An engine's code and memory, before anything is set. */
export interface Started {
  core: Core;
  memory: ArrayBuffer;
  shape: TableShape;
}

const pageBytes = 65_536;

/** The engine imports nothing from outside, so it repeats these numbers of limits.ts. */
const sameAsLimits =
  layout.FILTERS_MAX === limits.filtersMax &&
  layout.SOURCES_MAX === limits.followedFilesMax &&
  layout.ROUTES_MAX === limits.routesMax &&
  layout.ROUTE_JAILS_MAX === limits.routeJailsMax &&
  layout.FIELDS_MAX === limits.messageFieldsMax &&
  layout.PROGRAM_BYTES_MAX === limits.programBytesMax &&
  layout.INPUT_BYTES === limits.inputBytes &&
  layout.LINE_BYTES_MAX === limits.lineBytesMax &&
  layout.BANTIMES_MAX === limits.repeatBantimesMax + 1 &&
  layout.EXACT_MAX === limits.maxretryExactMax &&
  layout.MAXRETRY_MAX === limits.maxretryMax;
if (!sameAsLimits) throw new Error('engine/layout.ts and limits.ts differ: a bug of ours');

/** Bytes of a table entry, and the number of sets. */
export interface TableShape {
  /** Bytes of a key, and of one window step. */
  key: number;
  step: number;
  /** Number of steps in an entry. */
  steps: number;
  entry: number;
  /** Bytes of an entry with its mark. */
  slot: number;
  sets: number;
  /** Room for ignored and shared networks. */
  ignores: number;
  /** Room for jails. */
  jailsMax: number;
}

/** The shape that the jails need, without sets yet. */
function tableShape(jails: readonly EngineJail[]): TableShape {
  const key = jails.some((jail) => jail.ipv6Prefix > 64) ? 16 : 8;
  const exact = jails.filter((jail) => jail.maxretry <= limits.maxretryExactMax);
  const step = exact.some((jail) => jail.findtime > 65_535) ? 4 : 2;
  const counted = exact.length < jails.length ? layout.COUNTS_BYTES / step : 0;
  const entry = layout.entrySize(key, step, Math.max(counted, ...exact.map((jail) => jail.maxretry - 2)));
  // As many as fit the bytes that an entry takes anyway.
  const steps = (entry - key - 8) / step;
  return { key, step, steps, entry, slot: entry + layout.MARK_BYTES, sets: 0, ignores: 0, jailsMax: jails.length };
}

type Instantiate = (bytes: number) => { core: Core; memory: ArrayBuffer };

/** Builds the engine with its whole memory, resident from the start. */
function start(options: EngineOptions, instantiate: Instantiate): Started {
  const { jails, tableBytes } = options;
  const shape = tableShape(jails);
  const listed = jails.reduce((sum, jail) => sum + jail.ignore.length, 0);
  if (listed > limits.ignoredNetworksMax) {
    throw new Error(`${listed} ignored networks over all jails; at most ${limits.ignoredNetworksMax} are kept`);
  }
  shape.jailsMax = Math.max(jails.length, options.jailsMax ?? 0);
  const wanted = options.jailsMax === undefined ? listed : 2 * listed;
  const spare = Math.min(limits.ignoredNetworksMax, wanted + shape.jailsMax * limits.ignoredNetworksSpare);
  const ignores = spare + limits.sharedNetworksMax;
  shape.ignores = ignores;
  const counts = [shape.jailsMax, ignores, limits.connectionsMax, limits.decisionsMax] as const;
  const widths = [shape.key, shape.step, shape.steps] as const;
  const room = typeof tableBytes === 'number' ? tableBytes : tableBytes(layout.layOut(...counts, ...widths, 0));
  shape.sets = Math.max(1, Math.floor(room / (shape.slot * layout.TABLE_WAYS)));
  const { core, memory } = instantiate(layout.layOut(...counts, ...widths, shape.sets));
  options.prepare?.(memory);
  core.init(...counts, ...widths, shape.sets);
  return { core, memory, shape };
}

/** For a build that is one file. */
export function startWasm(options: EngineOptions): Started {
  const module = new WebAssembly.Module(readPart(options.build === 'scalar' ? 'engine-scalar.wasm' : 'engine.wasm'));
  return start(options, (bytes) => {
    const pages = Math.ceil(bytes / pageBytes);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const instance = new WebAssembly.Instance(module, { env: { memory, abort: abortEngine } });
    return { core: instance.exports as unknown as Core, memory: memory.buffer as ArrayBuffer };
  });
}

/** From the modules themselves. */
export async function startPlain(options: EngineOptions): Promise<Started> {
  const [core, linear] = await Promise.all([import('./engine.ts'), import('./linear.ts')]);
  return start(options, (bytes) => {
    const memory = new ArrayBuffer(Math.ceil(bytes / pageBytes) * pageBytes);
    linear.bindMemory(memory);
    return { core, memory };
  });
}

/** AssemblyScript calls this when one of its own assertions fails; the build has none. */
function abortEngine(): never {
  throw new Error('the engine stopped itself: a bug of ours');
}
