/**
 * Follows log files. Whoever may write logs controls the names and the content of the files.
 *
 * Every byte written to a followed file is fed once, in order: through a rename (the old file is
 * read to its end, and watched for late writers for `lingerMs`), removal, a late first appearance
 * of the file or of its directory, truncation, and a copy in its place. Two losses cannot be
 * avoided: lines that a copytruncate removes before they were read, and lines of a truncated file
 * if the same bytes stand before our position again (tail.ts).
 *
 * It wakes up by inotify, with a watch on each file for writes and one on each directory for names
 * (directories.ts), and by a slow poll for lost events. If wake-ups come so fast that they would
 * cost more than the lines, they are delayed (moderation.ts). Which files are followed:
 * followed.ts. In which order they are read: reader.ts.
 */
import type { LineSink } from '../engine/host.ts';
import { drainMs, followedFilesMax, pollMs, quietLookMs } from '../limits.ts';
import { FollowedFiles, type Shared } from './followed.ts';
import { type Events, type EventsOptions, Inotify } from './inotify.ts';
import { Moderation } from './moderation.ts';
import { Reader } from './reader.ts';
import { type SavedHistory, Silence } from './silence.ts';
import type { Fingerprint, Tail } from './tail.ts';

/** What happened to a file; rare enough for a log line each. */
export interface FileEvent {
  kind: /** Opened; reading begins at `offset`. */
    | 'appeared'
    /** Another file is at the path now; the old one is read to its end first. */
    | 'rotated'
    /** Truncated; reading continues at `offset`. */
    | 'truncated'
    /** There is no file at the path any more. */
    | 'vanished'
    /** Could not be read or watched; retried with back-off. Reported once per reason. */
    | 'error'
    /** More than `behindBytes` are unread. Reported once until it has caught up. */
    | 'behind'
    | 'caught-up'
    /**
     * Nothing was written for long, compared with its history (silence.ts). Reported once until
     * something is written.
     */
    | 'quiet'
    | 'heard';
  path: string;
  /** -1 for a directory, or a file that never got a number. */
  source: number;
  offset: number;
  /** For people; empty if the kind says everything. */
  detail: string;
}

/** How far a file was read; needed at a restart. */
export interface ReadPosition {
  path: string;
  device: bigint;
  inode: bigint;
  offset: number;
  mark: Fingerprint;
}

export interface FileSourceOptions {
  /** Absolute paths, or globs as in glob.ts. */
  patterns: readonly string[];
  /** The jail of a pattern, by the pattern's index; if absent, all patterns belong to one jail. */
  jailOf?(pattern: number): number;
  /** Whether the jail of a pattern may read from file systems that can hang. */
  network?(pattern: number): boolean;
  /**
   * Gives a file its source number. `patterns` are the indices of those that its names match;
   * `previous` is its current number, or -1. A negative result refuses the file.
   */
  assign(path: string, patterns: readonly number[], previous: number): number;
  /** The number is free again: its file is gone for good. */
  release(source: number): void;
  /** Files followed at once; `followedFilesMax` if absent. */
  filesMax?: number;
  sink: LineSink;
  /** Epoch seconds. */
  now(): number;
  /** Milliseconds of a monotonic clock. */
  monotonic(): number;
  /** Takes the decisions out of the ring; called after every `feed`. */
  drain(): void;
  /** Total of lines read; absent if silence is not detected. */
  lines?(): number;
  /** Decisions that wait for the kernel; absent if reading need not wait for them. */
  waiting?(): number;
  event(event: FileEvent): void;
  /** Read positions of an earlier run. */
  resume?: readonly ReadPosition[];
  /** When logs were written in earlier runs. */
  histories?: readonly SavedHistory[];
  /** The source of file events; inotify if absent. */
  events?(options: EventsOptions): Events;
}

/** What `status` shows about a file. */
export interface FileStatus {
  path: string;
  source: number;
  state: 'reading' | 'missing' | 'failed';
  offset: number;
  /**
   * More than `behindBytes` are unread, or for a journal, entries are older than
   * `journalBehindSeconds`.
   */
  behind: boolean;
  /** Seconds since its last line; absent if no history is kept. */
  quietSeconds?: number | undefined;
  /** Why it failed; otherwise empty. */
  detail: string;
}

/** Running totals since the start. */
export interface FileCounters {
  bytes: number;
  wakes: number;
  rotations: number;
  truncations: number;
  errors: number;
}

export class FileSource {
  readonly counters: FileCounters = { bytes: 0, wakes: 0, rotations: 0, truncations: 0, errors: 0 };
  readonly #options: FileSourceOptions;
  readonly #moderation: Moderation;
  readonly #reader: Reader;
  readonly #files: FollowedFiles;
  readonly #silence: Silence;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #events: Events | null;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: FileSourceOptions) {
    this.#options = options;
    this.#moderation = new Moderation(() => options.monotonic());
    const shared: Shared = {
      options,
      counters: this.counters,
      filesMax: options.filesMax ?? followedFilesMax,
      report: (kind, path, source, offset, detail) => options.event({ kind, path, source, offset, detail }),
    };
    this.#silence = new Silence(options.histories ?? [], (path, quiet, detail) =>
      shared.report(quiet ? 'quiet' : 'heard', path, -1, 0, detail),
    );
    this.#reader = new Reader(
      shared,
      this.#silence,
      (file, tail) => this.#files.close(file, tail),
      (file, error) => this.#files.fail(file, error),
    );
    this.#events = this.#listen(shared);
    this.#files = new FollowedFiles(shared, this.#reader, this.#events);
  }

  /**
   * Opens the existing files (at their end, or where an earlier run stopped) and starts to follow.
   */
  start(): void {
    const { patterns, resume = [] } = this.#options;
    this.#files.start(patterns, resume);
    this.#timer = setInterval(() => this.poll(), pollMs);
    for (const file of this.#files.all) this.#reader.enqueue(file);
  }

  /** See `FollowedFiles.setPatterns`. */
  setPatterns(patterns: readonly string[], assigned?: () => void): void {
    this.#files.setPatterns(patterns, assigned);
  }

  /** Looks for files that appeared or disappeared. */
  rescan(): void {
    this.#files.rescan();
  }

  /** Closes everything. Unread bytes stay unread. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#reader.stop();
    this.#files.stop();
    this.#events?.close();
    this.#events = null;
  }

  /**
   * Reads at once what is written by now, for `drainMs` at most: for an orderly stop, and for
   * tests. The rest follows as usual, or in the next run.
   */
  drain(): void {
    this.#files.rescan();
    this.#files.checkAll();
    this.#reader.drain(this.#files.all, this.#options.monotonic() + drainMs);
  }

  /**
   * Where each file was read to. Includes old files that are still watched, so a path may occur
   * more than once.
   */
  positions(): ReadPosition[] {
    const positions: ReadPosition[] = [];
    for (const { path, tail, retired } of this.#files.all) {
      for (const old of retired) positions.push(positionOf(path, old.tail));
      if (tail !== null) positions.push(positionOf(path, tail));
    }
    return positions;
  }

  /**
   * Feeds nothing until `unpause`; new lines wait in their files. For a moment in which nothing may
   * change.
   */
  pause(): void {
    this.#reader.pause();
  }

  /** Continues after `pause`. */
  unpause(): void {
    this.#reader.unpause();
  }

  status(): FileStatus[] {
    return [...this.#files.all].map((file) => {
      const { tail, source, behind } = file.same ?? file;
      const state = tail !== null ? 'reading' : file.failure === '' ? 'missing' : 'failed';
      const quietSeconds = this.#silence.quietSecondsOf(file.path);
      return {
        path: file.path,
        source,
        state,
        offset: tail?.position ?? 0,
        behind,
        quietSeconds,
        detail: file.failure,
      };
    });
  }

  /** What an operator must know, one sentence each. */
  problems(): string[] {
    const failed = [...this.#files.all].filter(({ failure }) => failure !== '');
    return [
      ...failed.map(({ path, failure }) => `${path}: ${failure}`),
      ...(this.refused > 0 ? [`${this.refused} log files found no room: more than can be followed at once`] : []),
      ...this.#silence.problems(),
    ];
  }

  /** When logs were written, for the next run. */
  histories(): SavedHistory[] {
    return this.#silence.histories();
  }

  /**
   * Continues with files that waited because of their decisions. Call it when the kernel has
   * accepted some. Cheap.
   */
  wake(): void {
    this.#reader.wake();
  }

  /** Number of watched directories. */
  get watched(): number {
    return this.#files.watched;
  }

  /** Paths that match a pattern but found no room. */
  get refused(): number {
    return this.#files.refused;
  }

  /** Checks files even without an event. The timer calls it; tests may. */
  poll(): void {
    this.#hear(true);
    this.#files.poll();
    this.#reader.wake();
    this.#lookForSilence();
  }

  #lookForSilence(): void {
    const { monotonic, now, lines } = this.#options;
    if (lines === undefined || monotonic() - this.#lookedAt < quietLookMs) return;
    this.#lookedAt = monotonic();
    this.#silence.look(
      now(),
      Array.from(this.#files.all, ({ path }) => path),
    );
  }

  /** Opens the event queue; null if none is available: then files are polled. */
  #listen({ report }: Shared): Events | null {
    try {
      const listeners = { woken: () => this.#woken(), overflowed: () => this.#overflowed() };
      return this.#options.events?.(listeners) ?? new Inotify(listeners);
    } catch (error) {
      report('error', '', -1, 0, `not watched, polled instead: ${(error as Error).message}`);
      return null;
    }
  }

  /** Events wait. Returns for how many milliseconds no others are wanted. */
  #woken(): number {
    this.counters.wakes++;
    const any = this.#hear(false);
    this.#reader.takeTurn();
    return this.#moderation.rest(any);
  }

  #hear(isPoll: boolean): boolean {
    const any = this.#events?.read() ?? false;
    if (this.#events?.drained) this.#files.settle(isPoll);
    return any;
  }

  /** Events were lost: every file is checked. */
  #overflowed(): void {
    this.#files.planRescan();
    this.#files.checkAll();
    for (const file of this.#files.all) this.#reader.enqueue(file);
  }
}

function positionOf(path: string, tail: Tail): ReadPosition {
  const [device, inode] = tail.id.split(':') as [string, string];
  return { path, device: BigInt(device), inode: BigInt(inode), offset: tail.position, mark: tail.fingerprint() };
}
