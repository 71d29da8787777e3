/**
 * The memory ceiling of the whole process (claims MM-01, MM-02, MM-11, MM-13, MM-26): the bound of
 * each part, and how file pages are kept within theirs.
 *
 * The bounds add up to the ceiling, since the table gets what the others leave:
 * - file: clean pages of the runtime's code and constants; `filePagesBytesMax`
 * - heap: JavaScript; V8's own limit (flags in commands/start.ts)
 * - runtime: V8 and libuv outside the heap, stacks, buffers; what they take at start, and
 *   `runtimeGrowthBytes`
 * - engine: its memory without the table; fixed
 * - lists: what reading lists of addresses takes, where there are any
 * - table: the rest; fixed
 *
 * File pages: the start needs each part of the runtime's code once, and 45 MiB of it stay resident.
 * madvise(MADV_DONTNEED) takes such pages from this process. The kernel keeps them in its page
 * cache and brings them back, 16 at a time, when they are used. Mappings are split, since Linux
 * 6.18 would bring back whole large folios. A machine that has no other use for its memory gains
 * nothing by that. The resident size then shows what the daemon works with, rather than all that it
 * ever looked at; the white paper says so.
 */
import { readFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import * as limits from '../limits.ts';
import { native } from '../native.ts';
import { ResidentReader, residentParts, residentPeakBytes } from './resident.ts';

/** A range of addresses. */
export interface Mapping {
  address: number;
  bytes: number;
}

const headPattern = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s*(.*)$/;

/**
 * The mappings whose pages may be dropped, read from the text of /proc/self/smaps: private, not
 * writable mappings of a file in which no page was ever written. MADV_DONTNEED would lose a written
 * page (relocated constants, `.data`), so one such page excludes its whole mapping. A read-only
 * mapping stays read-only: libraries are never unloaded, and only the loader changes protections,
 * before this runs.
 */
export function releasableMappings(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  let current: Mapping | undefined;
  for (const line of smaps.split('\n')) {
    const head = headPattern.exec(line);
    if (head) {
      const [, from, to, mode, path] = head as unknown as [string, string, string, string, string];
      const isFile = path.startsWith('/');
      const isReadOnly = mode === 'r-xp' || mode === 'r--p';
      const address = Number.parseInt(from, 16);
      current = isFile && isReadOnly ? { address, bytes: Number.parseInt(to, 16) - address } : undefined;
    } else if (current && line.startsWith('Anonymous:')) {
      if (Number.parseInt(line.slice('Anonymous:'.length), 10) === 0) found.push(current);
      current = undefined;
    }
  }
  return found;
}

/**
 * What the kernel counts, bytes: all of it, the part without a file behind it (or shared), and the
 * part with one.
 */
export interface Resident {
  all: number;
  anonymous: number;
  file: number;
}

/** One part of the process: what it takes now and what it can take at most, bytes. */
export interface Part {
  part: 'file' | 'heap' | 'runtime' | 'engine' | 'table' | 'lists';
  bytes: number;
  bytesMax: number;
}

/** What is fixed once the core has started. */
export interface Sizes {
  engine: number;
  table: number;
  /** What V8 and libuv took outside the heap when the table was sized. */
  runtime: number;
  /** What lists of addresses may take outside the heap; absent where there are none. */
  lists?: number;
}

/** The heap as V8 counts it, bytes. */
export interface Heap {
  committed: number;
  /** If the heap needs more, V8 ends the process. */
  limit: number;
}

function heapNow(): Heap {
  const { total_physical_size: committed, heap_size_limit: limit } = getHeapStatistics();
  return { committed, limit };
}

/** The ceiling is too small for the runtime on this machine. */
export class CeilingError extends Error {
  readonly neededBytes: number;

  constructor(ceilingBytes: number, neededBytes: number) {
    const mebibytes = (bytes: number): number => Math.ceil(bytes / 1024 / 1024);
    super(`memory.ceiling is ${mebibytes(ceilingBytes)}MB; at least ${mebibytes(neededBytes)}MB are needed here`);
    this.name = 'CeilingError';
    this.neededBytes = neededBytes;
  }
}

/**
 * Sizes the table: the part of the ceiling that is left when every other part takes its maximum. To
 * be called when everything else has started. Throws CeilingError when that is less than
 * `tableBytesMin`, or when the start itself exceeded the ceiling.
 */
export function sizeTable(
  ceilingBytes: number,
  engineBytes: number,
  resident: Resident,
  peakBytes: number,
  { committed, limit }: Heap,
  lists = 0,
): Sizes {
  const runtime = Math.max(0, resident.anonymous - committed);
  const others = limits.filePagesBytesMax + limit + runtime + limits.runtimeGrowthBytes + engineBytes + lists;
  const table = ceilingBytes - others;
  if (table < limits.tableBytesMin || peakBytes > ceilingBytes) {
    throw new CeilingError(ceilingBytes, Math.max(others + limits.tableBytesMin, peakBytes));
  }
  return { engine: engineBytes, table, runtime, ...(lists > 0 && { lists }) };
}

/**
 * Every part of the process, its size now and its bound; the sizes add up to what the kernel
 * counts.
 */
export function breakdown(sizes: Sizes, resident: Resident, { committed, limit }: Heap, lists = 0): Part[] {
  const runtime = Math.max(0, resident.anonymous - committed - sizes.engine - sizes.table - lists);
  return [
    { part: 'file', bytes: resident.file, bytesMax: limits.filePagesBytesMax },
    { part: 'heap', bytes: committed, bytesMax: limit },
    { part: 'runtime', bytes: runtime, bytesMax: sizes.runtime + limits.runtimeGrowthBytes },
    { part: 'engine', bytes: sizes.engine, bytesMax: sizes.engine },
    { part: 'table', bytes: sizes.table, bytesMax: sizes.table },
    ...(sizes.lists === undefined ? [] : [{ part: 'lists', bytes: lists, bytesMax: sizes.lists } as const]),
  ];
}

export interface GovernorOptions {
  ceilingBytes: number;
  mappings: Mapping[];
  /** What was resident at the last `read`. */
  resident: { all: number; file: number; read(): void };
  dropPages: (address: number, bytes: number) => number;
  /** Makes a page fault bring back less. */
  splitRange: (address: number, bytes: number, step: number) => number;
  /** Collects all garbage of the heap. */
  collect: () => void;
  /** Milliseconds of a monotonic clock. */
  now?: () => number;
}

/**
 * Cuts the mappings into pieces so that `governorLooksMax` checks release all, one piece each; the
 * rest of a mapping is a piece of its own.
 */
function piecesOf(mappings: readonly Mapping[]): Mapping[] {
  const all = mappings.reduce((sum, { bytes }) => sum + bytes, 0);
  const size = Math.ceil(all / limits.governorLooksMax / limits.pieceBytes) * limits.pieceBytes;
  return mappings.flatMap(({ address, bytes }) =>
    Array.from({ length: Math.ceil(bytes / size) }, (_, at) => ({
      address: address + at * size,
      bytes: Math.min(size, bytes - at * size),
    })),
  );
}

/**
 * Releases file pages, so that they stay under their bound and the process under its ceiling. A
 * check every `governorMs` costs one small read. Each check also releases the next piece of the
 * pages, all of them within `governorLooksMax` checks or a few more. So the resident size shows
 * what was used lately, and no ban waits until all of it is loaded again. The first checks also
 * make page faults smaller, which would take too long at the start. When a release gains almost
 * nothing, the pages are in use, and the governor pauses. Every `collectMs` it runs a garbage
 * collection.
 */
export class Governor {
  /** Releases of all pages at once. */
  releases = 0;
  readonly #pieces: readonly Mapping[];
  /** Those whose page faults still bring back as much as at the start. */
  readonly #coarse: Mapping[];
  /** The piece that the next check releases. */
  #next = 0;
  #nextLook = 0;
  /** The longest release, ms: it blocks everything else. */
  longestMilliseconds = 0;
  readonly #options: GovernorOptions;
  readonly #now: () => number;
  #pauses = 0;
  #nextCollection: number;

  constructor(options: GovernorOptions) {
    this.#options = options;
    this.#now = options.now ?? performance.now.bind(performance);
    this.#nextCollection = this.#now() + limits.collectMs;
    this.#pieces = piecesOf(options.mappings);
    this.#coarse = [...this.#pieces];
  }

  /** Releases every page that may be dropped; returns the bytes gained. */
  release(): number {
    const { mappings, resident, dropPages } = this.#options;
    resident.read();
    const before = resident.all;
    const started = performance.now();
    for (const { address, bytes } of mappings) dropPages(address, bytes);
    this.releases++;
    this.longestMilliseconds = Math.max(this.longestMilliseconds, performance.now() - started);
    resident.read();
    return before - resident.all;
  }

  /**
   * Releases the next piece; or all pages, when they reach their bound or less than the margin is
   * left under the ceiling. Does nothing if the last check was less than `governorMs` ago.
   */
  look(): void {
    const now = this.#now();
    if (now < this.#nextLook) return;
    this.#nextLook = now + limits.governorMs;
    if (now >= this.#nextCollection) {
      this.#nextCollection = now + limits.collectMs;
      this.#options.collect();
    }
    const { ceilingBytes, resident, dropPages, splitRange } = this.#options;
    for (const { address, bytes } of this.#coarse.splice(0, limits.splitsPerLook))
      splitRange(address, bytes, limits.faultBytesLater);
    const piece = this.#pieces[this.#next++ % this.#pieces.length];
    if (piece !== undefined) dropPages(piece.address, piece.bytes);
    if (this.#pauses > 0) {
      this.#pauses--;
      return;
    }
    resident.read();
    if (resident.all < ceilingBytes - limits.governorMarginBytes && resident.file < limits.filePagesBytesMax) return;
    if (this.release() < limits.governorGainBytesMin) this.#pauses = limits.governorPauses;
  }
}

/** The memory of this process, from its start on. */
export class ProcessMemory {
  readonly governor: Governor;
  readonly #ceilingBytes: number;
  #sizes: Sizes = { engine: 0, table: 0, runtime: 0 };
  /** What lists of addresses take now and at most, outside the heap. */
  lists = { bytes: 0, bytesMax: 0 };
  #timer: NodeJS.Timeout | undefined;

  /** Finds what may be released and releases it: the runtime's own start is over. */
  constructor(ceilingBytes: number) {
    this.#ceilingBytes = ceilingBytes;
    const smaps = readFileSync('/proc/self/smaps', 'latin1');
    const pageBytes = Number(/^KernelPageSize:\s+(\d+) kB$/m.exec(smaps)?.[1] ?? 4) * 1024;
    const mappings = releasableMappings(smaps);
    for (const { address, bytes } of mappings) native.splitRange(address, bytes, limits.faultBytesMax);
    this.governor = new Governor({
      ceilingBytes,
      mappings,
      resident: new ResidentReader(pageBytes),
      dropPages: native.dropPages,
      splitRange: native.splitRange,
      // Absent if the launch stage did not start the core.
      collect: () => void globalThis.gc?.(),
    });
    this.governor.release();
  }

  /**
   * Bytes for the table, beside `engineBytes` of other engine memory; throws CeilingError. File
   * pages are released before anything writes to the table. Garbage does not change its size.
   */
  sizeTable(engineBytes: number): number {
    this.governor.release();
    this.#sizes = sizeTable(
      this.#ceilingBytes,
      engineBytes,
      residentParts(),
      residentPeakBytes(),
      heapNow(),
      this.lists.bytesMax,
    );
    return this.#sizes.table;
  }

  parts(): Part[] {
    return breakdown(this.#sizes, residentParts(), heapNow(), this.lists.bytes);
  }

  /** Starts the checks. */
  govern(): void {
    this.#timer = setInterval(() => this.governor.look(), limits.governorMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
