/**
 * Follows log files: the daemon's eyes. Names and content of the files belong to whoever may write
 * logs.
 *
 * Every byte written to a followed file is fed once, in order: through rename (the old file is read
 * to its end, and watched for late writers for `lingerMs`), removal, a late first appearance of the
 * file or of its directory, and truncation. What cannot be saved: lines that a copytruncate removes
 * before they were read, and lines a truncated file held if the same bytes stand before our
 * position again (tail.ts). A file rewritten under a new inode is new.
 *
 * Woken by inotify, with a watch on each file for what is written and one on each directory for
 * names that come and go (directories.ts), and by a slow poll for events that got lost. Where
 * wake-ups come so fast that they would cost more than the lines, they are spaced (moderation.ts).
 * When much is there to read, files take turns of one buffer each, and the event loop gets its turn
 * after `turnBytesMax`. No heap buffers, promises or strings of ours per read: bytes go by preadv
 * into the engine's memory. Full: past `followedFilesMax` further files are refused and reported.
 */

import { realpathSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { LineSink } from '../engine/host.ts';
import {
  behindBytes,
  fileRetryMs,
  fileRetryMsMax,
  followedFilesMax,
  lingeringTailsMax,
  lingerMs,
  pollMs,
  rescanPolls,
  turnBytesMax,
} from '../limits.ts';
import { Directories } from './directories.ts';
import { findPaths, isDirectory, namesIn, type Search } from './find.ts';
import { hasWildcard, matchesComponent, splitPattern } from './glob.ts';
import { type Events, type EventsOptions, IN_MODIFY, Inotify } from './inotify.ts';
import { Moderation } from './moderation.ts';
import { PortableEvents } from './portable-events.ts';
import { type Fingerprint, kindOf, NotRegularFile, type ReadOutcome, Tail } from './tail.ts';

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
    | 'caught-up';
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
  /**
   * Gives a file its source number. `patterns` are the indices of those it fits; `previous` is its
   * number so far (after `setPatterns`), or -1. A negative answer refuses the file.
   */
  assign(path: string, patterns: readonly number[], previous: number): number;
  /** The number is free again: its file is gone for good. */
  release(source: number): void;
  sink: LineSink;
  /** Epoch seconds. */
  now(): number;
  /** Milliseconds that never go back. */
  monotonic(): number;
  /** Takes the decisions out of the ring; called after every `feed`. */
  drain(): void;
  event(event: FileEvent): void;
  /** Read positions of an earlier run. */
  resume?: readonly ReadPosition[];
  /** What tells of changes; the system's by default. */
  events?(options: EventsOptions): Events;
}

/** What `status` shows of a file. */
export interface FileStatus {
  path: string;
  source: number;
  state: 'reading' | 'missing' | 'failed';
  offset: number;
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

interface Followed {
  readonly path: string;
  source: number;
  /** Indices of the patterns it fits. */
  patterns: number[];
  /** Named without a wildcard: kept while it does not exist. */
  literal: boolean;
  tail: Tail | null;
  /** The one whose bytes the engine got last. */
  fed: Tail | null;
  /** Old files of this path, oldest first, with the time at which each is given up. */
  lingering: { tail: Tail; until: number }[];
  /** The path behind symbolic links, where the writing is seen. */
  realPath: string;
  queued: boolean;
  behind: boolean;
  failure: string;
  retryAt: number;
  retryDelay: number;
}

export class FileSource {
  readonly counters: FileCounters = { bytes: 0, wakes: 0, rotations: 0, truncations: 0, errors: 0 };
  private readonly options: FileSourceOptions;
  private readonly followed = new Map<string, Followed>();
  private events: Events | null = null;
  private directories: Directories<Followed>;
  private patterns: string[][] = [];
  private resume: ReadPosition[] = [];
  private queue: Followed[] = [];
  private timer: NodeJS.Timeout | null = null;
  private running = false;
  private paused = false;
  private initial = true;
  private turnPlanned = false;
  private rescanTimer: NodeJS.Timeout | null = null;
  private rescanAfter = 0;
  private readonly moderation: Moderation;
  private unwatchedReported = false;
  private polls = 0;
  private refusedForRoom = false;
  private readonly search: Search = {
    lookFor: (directory, component) => this.directories.lookFor(directory, component),
    failed: (directory, error) => {
      this.counters.errors++;
      if (this.unreadable.has(directory)) return;
      this.unreadable.add(directory);
      this.report('error', directory, -1, 0, error.message);
    },
  };
  /** Directories whose failure was told; few, since the operator named them. */
  private readonly unreadable = new Set<string>();
  private readonly turn = (): void => this.takeTurn();

  constructor(options: FileSourceOptions) {
    this.options = options;
    this.moderation = new Moderation(() => options.monotonic());
    this.patterns = options.patterns.map(splitPattern);
    this.directories = this.watchDirectories();
  }

  /** Opens what is there (at its end, or where an earlier run stopped) and begins to follow. */
  start(): void {
    this.running = true;
    this.listen();
    this.resume = [...(this.options.resume ?? [])];
    this.rescan();
    this.resume = [];
    this.initial = false;
    this.timer = setInterval(() => this.poll(), pollMs);
    this.wake();
  }

  /**
   * Follows other patterns from now on; files that fit both old and new ones are read on
   * undisturbed.
   */
  setPatterns(patterns: readonly string[]): void {
    this.patterns = patterns.map(splitPattern);
    if (this.running) this.rescan();
  }

  /** Closes everything. What was not read stays unread. */
  stop(): void {
    this.running = false;
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    if (this.rescanTimer !== null) clearTimeout(this.rescanTimer);
    this.rescanTimer = null;
    this.directories.close();
    for (const file of this.followed.values()) this.closeTails(file);
    this.followed.clear();
    this.queue = [];
    this.events?.close();
    this.events = null;
  }

  /** Reads everything that is written by now, at once. For an orderly end, and for tests. */
  drain(): void {
    this.rescan();
    for (const file of this.followed.values()) {
      this.check(file);
      for (const { tail } of file.lingering) tail.atEnd = false;
      while (this.readOnce(file) === 'more');
    }
  }

  /**
   * Where each file was read to. Includes old files that are still watched: a path may come more
   * than once.
   */
  positions(): ReadPosition[] {
    const positions: ReadPosition[] = [];
    for (const { path, tail, lingering } of this.followed.values()) {
      for (const old of lingering) positions.push(positionOf(path, old.tail));
      if (tail !== null) positions.push(positionOf(path, tail));
    }
    return positions;
  }

  /**
   * Feeds nothing from now on: what is written waits in its file. For a moment in which nothing may
   * change.
   */
  pause(): void {
    this.paused = true;
  }

  /** Goes on where `pause` stopped. */
  unpause(): void {
    if (!this.paused) return;
    this.paused = false;
    if (this.running) this.wake();
  }

  status(): FileStatus[] {
    return [...this.followed.values()].map(({ path, source, tail, failure }) => ({
      path,
      source,
      state: tail !== null ? 'reading' : failure === '' ? 'missing' : 'failed',
      offset: tail?.position ?? 0,
      detail: failure,
    }));
  }

  /**
   * Goes on with files whose lines did not fit into the decision ring. Call it when there is room
   * again.
   */
  wake(): void {
    for (const file of this.followed.values()) this.enqueue(file);
  }

  /** Directories watched. */
  get watched(): number {
    return this.directories.count;
  }

  /** Looks at every file whether or not an event told of it. The timer calls it; tests may. */
  poll(): void {
    this.polls++;
    const moved = this.directories.check();
    if (moved || this.polls % rescanPolls === 0) this.rescan();
    const now = this.options.monotonic();
    for (const file of this.followed.values()) {
      if (file.failure === '' || now >= file.retryAt) this.check(file);
      this.giveUpLingering(file, now);
      for (const old of file.lingering) old.tail.atEnd = false;
      this.enqueue(file);
      this.judgeLag(file);
    }
  }

  // -- Finding files

  /**
   * Soon, but never so often that looking at names takes more than a tenth of the time: they may be
   * anybody's.
   */
  private planRescan(): void {
    if (this.rescanTimer !== null || !this.running) return;
    const begun = this.options.monotonic();
    this.rescanTimer = setTimeout(
      () => {
        this.rescanTimer = null;
        if (this.running) this.rescan();
      },
      Math.max(0, this.rescanAfter - begun),
    );
  }

  /**
   * Resolves every pattern anew: finds new files, sets and removes watches, lets go of what nobody
   * wants.
   */
  private rescan(): void {
    const begun = this.options.monotonic();
    this.directories.begin();
    const fits = findPaths(this.patterns, this.search);
    const found: Followed[] = [];
    for (const [path, patterns] of fits) {
      const file = this.admit(path, patterns);
      if (file === null) continue;
      found.push(file);
      this.watchFile(file);
    }
    for (const file of [...this.followed.values()]) {
      if (fits.has(file.path)) continue;
      file.literal = false;
      if (this.stillFits(file)) this.watchFile(file);
      else this.drop(file);
    }
    this.directories.sweep();
    this.directories.check();
    // Only now: every watch stands, so nothing that happens after this look goes unseen.
    for (const file of found) if (file.failure === '' || this.options.monotonic() >= file.retryAt) this.check(file);
    const ended = this.options.monotonic();
    this.rescanAfter = ended + 9 * (ended - begun);
  }

  /**
   * The record of a path that fits a pattern, new or known; null when there is no room or nobody
   * wants it.
   */
  private admit(path: string, patterns: number[]): Followed | null {
    const literal = patterns.some((index) => !this.patterns[index]!.some(hasWildcard));
    const known = this.followed.get(path);
    if (known !== undefined) {
      known.literal = literal;
      if (known.patterns.join() !== patterns.join()) {
        known.patterns = patterns;
        known.source = this.options.assign(path, patterns, known.source);
      }
      return known;
    }
    if (this.followed.size >= followedFilesMax) {
      if (!this.refusedForRoom) this.report('error', path, -1, 0, `more than ${followedFilesMax} files; not followed`);
      this.refusedForRoom = true;
      return null;
    }
    const source = this.options.assign(path, patterns, -1);
    if (source < 0) {
      if (!this.refusedForRoom) this.report('error', path, -1, 0, 'no source number is free for it; not followed');
      this.refusedForRoom = true;
      return null;
    }
    const file: Followed = {
      path,
      source,
      patterns,
      literal,
      tail: null,
      fed: null,
      lingering: [],
      realPath: '',
      queued: false,
      behind: false,
      failure: '',
      retryAt: 0,
      retryDelay: fileRetryMs,
    };
    this.followed.set(path, file);
    return file;
  }

  /** A file found by a glob that is gone stays as long as its last lines may still come. */
  private stillFits(file: Followed): boolean {
    if (file.tail === null && file.lingering.length === 0) return false;
    return file.patterns.some((index) => {
      const components = this.patterns[index];
      const names = file.path.split('/').slice(1);
      return (
        components !== undefined &&
        components.length === names.length &&
        components.every((component, at) => matchesComponent(names[at]!, component))
      );
    });
  }

  private watchFile(file: Followed): void {
    const directory = dirname(file.path);
    if (isDirectory(directory)) this.directories.follow(directory, basename(file.path), file);
    if (file.realPath !== '' && file.realPath !== file.path) {
      this.directories.follow(dirname(file.realPath), basename(file.realPath), file);
    }
  }

  private drop(file: Followed): void {
    this.closeTails(file);
    this.followed.delete(file.path);
    this.refusedForRoom = false;
    this.options.release(file.source);
  }

  private closeTails(file: Followed): void {
    file.tail?.close();
    file.tail = null;
    for (const { tail } of file.lingering) tail.close();
    file.lingering = [];
  }

  // -- One path: which file stands there now

  /** Compares the path with the file we read; opens, changes over or lets go. Never throws. */
  private check(file: Followed): void {
    try {
      const info = statSync(file.path, { bigint: true, throwIfNoEntry: false });
      if (info === undefined) {
        if (file.tail !== null) {
          this.retire(file);
          this.report('vanished', file.path, file.source, 0, '');
          this.planRescan();
        } else if (this.initial) {
          for (const position of this.savedFor(file)) this.findOld(file, position);
        }
        this.succeed(file);
        return;
      }
      const { tail } = file;
      if (tail !== null && tail.inode === info.ino && tail.device === info.dev) return;
      if (tail !== null) this.retire(file);
      if (!info.isFile()) throw new NotRegularFile(file.path, kindOf(info));
      this.open(file, info.dev, info.ino, tail !== null);
      this.succeed(file);
    } catch (error) {
      this.fail(file, error as Error);
    }
  }

  private open(file: Followed, device: bigint, inode: bigint, rotated: boolean): void {
    const taken = this.takeOver(file, device, inode);
    if (taken === 'duplicate')
      throw new Error(`${file.path} is the same file as another one followed for the same pattern`);
    const tail = taken ?? Tail.open(file.path);
    file.tail = tail;
    this.watchTail(file, tail);
    file.realPath = realpathSync(file.path);
    this.watchFile(file);
    if (taken === null && this.initial) this.seekInitially(file, tail);
    if (rotated) this.counters.rotations++;
    this.report(rotated ? 'rotated' : 'appeared', file.path, file.source, tail.position, '');
    this.enqueue(file);
  }

  /**
   * The file may have been known under another name (rotation inside a glob): then it is read on,
   * not again.
   */
  private takeOver(file: Followed, device: bigint, inode: bigint): Tail | 'duplicate' | null {
    const same = (tail: Tail | null): tail is Tail => tail !== null && tail.inode === inode && tail.device === device;
    for (const other of this.followed.values()) {
      const old = other.lingering.findIndex(({ tail }) => same(tail));
      if (old >= 0 && (other === file || sharesPattern(file, other))) {
        return this.handOver(other, other.lingering.splice(old, 1)[0]!.tail);
      }
      if (other === file || !same(other.tail) || !sharesPattern(file, other)) continue;
      const info = statSync(other.path, { bigint: true, throwIfNoEntry: false });
      if (info !== undefined && info.ino === inode && info.dev === device) return 'duplicate';
      const { tail } = other;
      other.tail = null;
      this.enqueue(other);
      return this.handOver(other, tail);
    }
    return null;
  }

  private handOver(other: Followed, tail: Tail): Tail {
    if (other.fed === tail) other.fed = null;
    tail.leave(this.options.sink, other.source, this.options.now(), true);
    return tail;
  }

  /** At our start: where an earlier run stopped, else the end. */
  private seekInitially(file: Followed, tail: Tail): void {
    const saved = this.savedFor(file);
    if (saved.length === 0) {
      tail.seekEnd(this.options.sink.buffer);
      return;
    }
    for (const position of saved) {
      if (position.inode === tail.inode && position.device === tail.device) tail.seekTo(position.offset, position.mark);
      else this.findOld(file, position);
    }
  }

  private savedFor(file: Followed): ReadPosition[] {
    return this.resume.filter(({ path }) => path === file.path);
  }

  /**
   * A file that was rotated away while nobody looked still holds unread lines, if its directory
   * still has it.
   */
  private findOld(file: Followed, position: ReadPosition): void {
    const directory = dirname(file.realPath === '' ? file.path : file.realPath);
    for (const name of namesIn(directory, '*', this.search)) {
      const path = `${directory}/${name}`;
      const info = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (info === undefined || info.ino !== position.inode || info.dev !== position.device || !info.isFile()) continue;
      const tail = Tail.open(path);
      if (tail.inode === position.inode && tail.seekTo(position.offset, position.mark)) {
        this.watchTail(file, tail);
        file.lingering.push({ tail, until: this.options.monotonic() + lingerMs });
      } else {
        tail.close();
      }
      return;
    }
  }

  /**
   * The path no longer leads to this file: read it to its end, and a while longer for writers that
   * still have it open.
   */
  private retire(file: Followed): void {
    const { tail } = file;
    if (tail === null) return;
    file.tail = null;
    tail.atEnd = false;
    file.lingering.push({ tail, until: this.options.monotonic() + lingerMs });
    if (file.lingering.length > lingeringTailsMax && !this.paused) this.giveUp(file, 0);
    this.enqueue(file);
  }

  private giveUpLingering(file: Followed, now: number): void {
    if (this.paused) return;
    while (file.lingering.length > lingeringTailsMax) this.giveUp(file, 0);
    while (file.lingering.length > 0 && file.lingering[0]!.tail.atEnd && now >= file.lingering[0]!.until) {
      this.giveUp(file, 0);
    }
    if (!file.literal && file.tail === null && file.lingering.length === 0 && file.failure === '') this.drop(file);
  }

  /** Closes an old file, feeding the line it never finished. */
  private giveUp(file: Followed, index: number): void {
    const { tail } = file.lingering.splice(index, 1)[0]!;
    const { sink, now, drain } = this.options;
    try {
      if (file.fed !== tail) this.changeOver(file, tail);
      for (let outcome: ReadOutcome = 'more'; outcome === 'more' || outcome === 'cut'; drain()) {
        outcome = tail.read(sink, file.source, now(), true);
      }
      tail.leave(sink, file.source, now(), false);
    } catch (error) {
      this.report('error', file.path, file.source, tail.position, (error as Error).message);
    }
    tail.close();
  }

  private succeed(file: Followed): void {
    file.failure = '';
    file.retryDelay = fileRetryMs;
  }

  private fail(file: Followed, error: Error): void {
    this.counters.errors++;
    file.retryAt = this.options.monotonic() + file.retryDelay;
    file.retryDelay = Math.min(file.retryDelay * 2, fileRetryMsMax);
    if (file.failure !== error.message) this.report('error', file.path, file.source, 0, error.message);
    file.failure = error.message;
  }

  // -- Reading

  /** Opens the queue of events; without one, files are polled. */
  private listen(): void {
    try {
      const listeners = { woken: () => this.woken(), overflowed: () => this.overflowed() };
      this.events = (this.options.events ?? systemEvents)(listeners);
    } catch (error) {
      this.reportUnwatched('', error as Error);
    }
    this.directories = this.watchDirectories();
  }

  private watchDirectories(): Directories<Followed> {
    return new Directories<Followed>(this.events, {
      touched: (file) => this.touched(file),
      changed: () => this.planRescan(),
      failed: (path, error) => this.report('error', path, -1, 0, `not watched, polled instead: ${error.message}`),
    });
  }

  /** Hears what is written to the file, whatever its name becomes. */
  private watchTail(file: Followed, tail: Tail): void {
    tail.watch?.close();
    tail.watch = null;
    try {
      const written = (): void => {
        tail.atEnd = false;
        this.queueUp(file);
      };
      tail.watch = this.events?.add(tail.link, IN_MODIFY, written) ?? null;
    } catch (error) {
      this.reportUnwatched(file.path, error as Error);
    }
  }

  /** Once: where one watch is refused, others are too. */
  private reportUnwatched(path: string, error: Error): void {
    if (!this.unwatchedReported) this.report('error', path, -1, 0, `not watched, polled instead: ${error.message}`);
    this.unwatchedReported = true;
  }

  /** Events wait. Returns how long no others are wanted, ms. */
  private woken(): number {
    this.counters.wakes++;
    const any = this.events?.read() ?? false;
    this.takeTurn();
    return this.moderation.rest(any);
  }

  /** Events were lost: every file is looked at. */
  private overflowed(): void {
    this.planRescan();
    this.poll();
  }

  /** The name of a file came or went, or who may read it changed. */
  private touched(file: Followed): void {
    file.retryAt = 0;
    this.check(file);
    this.enqueue(file);
  }

  private enqueue(file: Followed): void {
    this.queueUp(file);
    this.planTurn();
  }

  private queueUp(file: Followed): void {
    if (file.queued) return;
    file.queued = true;
    this.queue.push(file);
  }

  /**
   * Lets each waiting file read one buffer in turn, until `turnBytesMax` are read or nothing is
   * left.
   */
  private takeTurn(): void {
    this.turnPlanned = false;
    if (!this.running || this.paused) return;
    const until = this.counters.bytes + turnBytesMax;
    let next = 0;
    while (next < this.queue.length && this.counters.bytes < until) {
      const file = this.queue[next++]!;
      file.queued = this.readOnce(file) === 'more';
      if (file.queued) this.queue.push(file);
    }
    this.queue.copyWithin(0, next);
    this.queue.length -= next;
    if (this.queue.length > 0) this.planTurn();
  }

  private planTurn(): void {
    if (this.turnPlanned || !this.running || this.paused) return;
    this.turnPlanned = true;
    setImmediate(this.turn);
  }

  /** One read of the oldest file of a path that is not at its end. Never throws. */
  private readOnce(file: Followed): ReadOutcome {
    const tail = currentTail(file);
    if (tail === null) return 'end';
    try {
      if (file.fed !== tail) this.changeOver(file, tail);
      let outcome = this.feedOnce(file, tail);
      if (outcome === 'cut') {
        this.noteCut(file, tail);
        return 'more';
      }
      // The ring was full and has just been emptied: once more. If that is not enough, the next
      // event or poll goes on.
      if (outcome === 'blocked') outcome = this.feedOnce(file, tail);
      return outcome === 'end' && tail !== file.tail && currentTail(file) !== null ? 'more' : outcome;
    } catch (error) {
      this.discard(file, tail);
      this.fail(file, error as Error);
      return 'end';
    }
  }

  private feedOnce(file: Followed, tail: Tail): ReadOutcome {
    const { sink, now, drain } = this.options;
    const before = tail.bytesRead;
    const outcome = tail.read(sink, file.source, now(), false);
    this.counters.bytes += tail.bytesRead - before;
    drain();
    return outcome;
  }

  private changeOver(file: Followed, tail: Tail): void {
    file.fed?.leave(this.options.sink, file.source, this.options.now(), true);
    file.fed = tail;
  }

  private noteCut(file: Followed, tail: Tail): void {
    tail.leave(this.options.sink, file.source, this.options.now(), false);
    this.counters.truncations++;
    this.report('truncated', file.path, file.source, tail.position, '');
  }

  private discard(file: Followed, tail: Tail): void {
    if (tail === file.tail) file.tail = null;
    if (tail === file.fed) file.fed = null;
    tail.leave(this.options.sink, file.source, this.options.now(), false);
    file.lingering = file.lingering.filter((old) => old.tail !== tail);
    tail.close();
  }

  private judgeLag(file: Followed): void {
    if (file.tail === null) return;
    const unread = file.tail.size() - file.tail.position;
    if (unread > behindBytes === file.behind) return;
    file.behind = !file.behind;
    this.report(
      file.behind ? 'behind' : 'caught-up',
      file.path,
      file.source,
      file.tail.position,
      `${unread} bytes unread`,
    );
  }

  private report(kind: FileEvent['kind'], path: string, source: number, offset: number, detail: string): void {
    this.options.event({ kind, path, source, offset, detail });
  }
}

function systemEvents(options: EventsOptions): Events {
  return process.platform === 'linux' ? new Inotify(options) : new PortableEvents(options);
}

/** The file to read from: old ones come first, so that lines stay in order. */
function currentTail(file: Followed): Tail | null {
  for (const { tail } of file.lingering) if (!tail.atEnd) return tail;
  return file.tail;
}

function positionOf(path: string, tail: Tail): ReadPosition {
  return { path, device: tail.device, inode: tail.inode, offset: tail.position, mark: tail.fingerprint() };
}

function sharesPattern(one: Followed, other: Followed): boolean {
  return one.patterns.some((pattern) => other.patterns.includes(pattern));
}
