/**
 * Follows log files: the daemon's eyes. Names and content of the files belong to whoever may write
 * logs.
 *
 * Every byte written to a followed file is fed once, in order: through rename (the old file is read
 * to its end, and watched for late writers for `lingerMs`), removal, a late first appearance of the
 * file or of its directory, truncation, and a copy of it in its place. What cannot be saved: lines
 * that a copytruncate removes before they were read, and lines a truncated file held if the same
 * bytes stand before our position again (tail.ts).
 *
 * Woken by inotify, with a watch on each file for what is written and one on each directory for
 * names that come and go (directories.ts), and by a slow poll for events that got lost. Where
 * wake-ups come so fast that they would cost more than the lines, they are spaced (moderation.ts).
 * Which files are followed: followed.ts. In which order they are read: reader.ts.
 */
import type { LineSink } from '../engine/host.ts';
import { drainMs, followedFilesMax, pollMs, quietLookMs } from '../limits.ts';
import { FollowedFiles, type Shared } from './followed.ts';
import { type Events, type EventsOptions, Inotify } from './inotify.ts';
import { Moderation } from './moderation.ts';
import { Reader } from './reader.ts';
import { type SavedHistory, Silence } from './silence.ts';
import type { Fingerprint, Tail } from './tail.ts';

/** What happened to a file; rare, and worth a log line each. */
export interface FileEvent {
  kind: /** Opened; reading begins at `offset`. */
    | 'appeared'
    /** Another file stands at the path now; the old one is read to its end first. */
    | 'rotated'
    /** Cut; read again from `offset`. */
    | 'truncated'
    /** No file at the path any more. */
    | 'vanished'
    /** Could not be read or watched; retried with back-off. Once per reason. */
    | 'error'
    /** More than `behindBytes` are unread. Once until it has caught up. */
    | 'behind'
    | 'caught-up'
    /** Nothing was written for long, against its history (silence.ts). Once until it is heard. */
    | 'quiet'
    | 'heard';
  path: string;
  /** -1 for a directory, or a file that never got a number. */
  source: number;
  offset: number;
  /** For people; empty where the kind says all. */
  detail: string;
}

/** How far a file was read: what a restart needs. */
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
  /** The jail that a pattern, by its index, belongs to; all are of one where absent. */
  jailOf?(pattern: number): number;
  /** Whether the jail of a pattern, by its index, may read from file systems that can hang. */
  network?(pattern: number): boolean;
  /**
   * Gives a file its source number. `patterns` are the indices of those that its names fit;
   * `previous` is its number so far, or -1. A negative answer refuses the file.
   */
  assign(path: string, patterns: readonly number[], previous: number): number;
  /** The number is free again: its file is gone for good. */
  release(source: number): void;
  /** Files followed at once; `followedFilesMax` where absent. */
  filesMax?: number;
  sink: LineSink;
  /** Epoch seconds. */
  now(): number;
  /** Milliseconds that never go back. */
  monotonic(): number;
  /** Takes the decisions out of the ring; called after every `feed`. */
  drain(): void;
  /** Lines read in all; absent where silence is not noticed. */
  lines?(): number;
  /** Decisions that wait for the kernel; absent where reading need not wait for them. */
  waiting?(): number;
  event(event: FileEvent): void;
  /** Read positions of an earlier run. */
  resume?: readonly ReadPosition[];
  /** When logs were written in earlier runs. */
  histories?: readonly SavedHistory[];
  /** What tells of changes; inotify where absent. */
  events?(options: EventsOptions): Events;
}

/** What `status` shows of a file. */
export interface FileStatus {
  path: string;
  source: number;
  state: 'reading' | 'missing' | 'failed';
  offset: number;
  /** More than `behindBytes`, or a journal's worth of time, are unread. */
  behind: boolean;
  /** Since its last line; absent where no history is kept. */
  quietSeconds?: number | undefined;
  /** Why it failed; empty otherwise. */
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

  /** Opens what is there (at its end, or where an earlier run stopped) and begins to follow. */
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

  /** Looks for files that came or went. */
  rescan(): void {
    this.#files.rescan();
  }

  /** Closes everything. What was not read stays unread. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#reader.stop();
    this.#files.stop();
    this.#events?.close();
    this.#events = null;
  }

  /**
   * Reads what is written by now, at once, for `drainMs` at most: for an orderly end, and for
   * tests. The rest follows as usual, or from its position in the next run.
   */
  drain(): void {
    this.#files.rescan();
    this.#files.checkAll();
    this.#reader.drain(this.#files.all, this.#options.monotonic() + drainMs);
  }

  /**
   * Where each file was read to. Includes old files that are still watched: a path may come more
   * than once.
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
   * Feeds nothing from now on: what is written waits in its file. For a moment in which nothing may
   * change.
   */
  pause(): void {
    this.#reader.pause();
  }

  /** Goes on where `pause` stopped. */
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

  /** What an operator must know about, one sentence each. */
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

  /** Goes on with files whose decisions waited. Call it when the kernel has taken some. Cheap. */
  wake(): void {
    this.#reader.wake();
  }

  /** Directories watched. */
  get watched(): number {
    return this.#files.watched;
  }

  /** Paths that fit a pattern and found no room. */
  get refused(): number {
    return this.#files.refused;
  }

  /** Looks at files whether or not an event told of them. The timer calls it; tests may. */
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

  /** Opens the queue of events; null where there is none to be had: then files are polled. */
  #listen({ report }: Shared): Events | null {
    try {
      const listeners = { woken: () => this.#woken(), overflowed: () => this.#overflowed() };
      return this.#options.events?.(listeners) ?? new Inotify(listeners);
    } catch (error) {
      report('error', '', -1, 0, `not watched, polled instead: ${(error as Error).message}`);
      return null;
    }
  }

  /** Events wait. Returns how long no others are wanted, ms. */
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

  /** Events were lost: every file is looked at. */
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
