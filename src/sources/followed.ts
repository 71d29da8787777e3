/**
 * Which files are followed: patterns become paths, paths become open files. Whoever may write logs
 * controls the names and content of the files.
 *
 * A file is read once, whatever names lead to it, since each line counts once: the record of the
 * first name reads it, and the patterns of the other names apply as well. A known file keeps its
 * position when its name changes. Full: beyond `filesMax` files, paths without wildcards come
 * first, then each pattern gets an equal share; refused files are counted and reported once.
 */
import { basename, dirname } from 'node:path';
import { Backoff } from '../backoff.ts';
import { closedFilesMax, fileRetryMs, fileRetryMsMax, pollFilesMax, rescanMs, rescanRests } from '../limits.ts';
import { Directories } from './directories.ts';
import type { FileCounters, FileEvent, FileSourceOptions, ReadPosition } from './file.ts';
import { findPaths, isDirectory, namesIn, type Search } from './find.ts';
import { hasWildcard, matchesComponent, splitPattern } from './glob.ts';
import { type Events, IN_MODIFY } from './inotify.ts';
import { idOf, look, mounts, realPathOf } from './place.ts';
import type { Reader } from './reader.ts';
import { shareOut } from './shares.ts';
import { Tail } from './tail.ts';

/** A path and the file that is read there. */
export interface Followed {
  readonly path: string;
  source: number;
  /** Indices of the patterns it matches. */
  patterns: readonly number[];
  /** The file at the path now. */
  tail: Tail | null;
  /** The file whose bytes the engine got last. */
  fed: Tail | null;
  /** Old files of this path, oldest first. */
  retired: readonly Retired[];
  /** The record that reads the file, if another name led to it first. */
  same: Followed | null;
  /** Records of other names of the file. */
  aliases: readonly Followed[];
  /** The path with symbolic links resolved, where writes are visible. */
  realPath: string;
  queued: boolean;
  /** Number of decisions from the last read. */
  decided: number;
  behind: boolean;
  failure: string;
  /** Not tried again before this, ms. */
  retryAt: number;
  retry: Backoff | null;
}

/** A file whose path now leads to another file. */
export interface Retired {
  readonly tail: Tail;
  /** Until then it is watched for writers that still have it open, ms. */
  readonly until: number;
  /** It is read up to this offset at most. */
  readonly bytesMax: number;
}

const none: readonly never[] = [];

/** What `FileSource` shares with its parts. */
export interface Shared {
  readonly options: FileSourceOptions;
  readonly counters: FileCounters;
  readonly filesMax: number;
  report(kind: FileEvent['kind'], path: string, source: number, offset: number, detail: string): void;
}

export class FollowedFiles {
  readonly #shared: Shared;
  readonly #reader: Reader;
  readonly #events: Events | null;
  readonly #directories: Directories<Followed>;
  readonly #files = new Map<string, Followed>();
  /** Which record reads which file. */
  readonly #readers = new Map<string, Followed>();
  /**
   * Which record read which closed file, and how far: the file may come again under another name.
   * Oldest first.
   */
  readonly #closed = new Map<string, { readonly file: Followed; readonly tail: Tail }>();
  #patterns: string[][] = [];
  #resume: readonly ReadPosition[] = none;
  /** Paths that are followed for the first time now: an existing file is read from its end on. */
  readonly #first = new Set<Followed>();
  #isFirst = true;
  #running = true;
  #rescanTimer: NodeJS.Timeout | null = null;
  #rescanAfter = 0;
  #rescanDue = 0;
  #unwatchedReported = false;
  #refusedReported = false;
  /** Where the next poll continues. */
  #pollFrom = 0;
  /** Paths that found no room when patterns were last resolved. */
  refused = 0;
  /** Directories whose failure was reported; few, since the operator named them. */
  readonly #unreadable = new Set<string>();
  readonly #search: Search = {
    lookFor: (directory, component) => this.#directories.lookFor(directory, component),
    isRead: (path) => isRead(this.#files.get(path)),
    failed: (directory, error) => {
      this.#shared.counters.errors++;
      if (this.#unreadable.has(directory)) return;
      this.#unreadable.add(directory);
      this.#shared.report('error', directory, -1, 0, error.message);
    },
  };

  constructor(shared: Shared, reader: Reader, events: Events | null) {
    this.#shared = shared;
    this.#reader = reader;
    this.#events = events;
    this.#directories = new Directories<Followed>(events, {
      touched: (file) => this.#touched(file),
      moved: (file, path) => this.#moved(file, path),
      changed: () => this.planRescan(),
      failed: (path, error) => shared.report('error', path, -1, 0, `not watched, polled instead: ${error.message}`),
    });
  }

  get all(): Iterable<Followed> {
    return this.#files.values();
  }

  /** Number of watched directories. */
  get watched(): number {
    return this.#directories.count;
  }

  /** Opens the existing files, each at its end or where an earlier run stopped. */
  start(patterns: readonly string[], resume: readonly ReadPosition[]): void {
    this.#resume = resume;
    this.setPatterns(patterns);
    this.#resume = none;
  }

  /**
   * Follows these patterns from now on ('' is none). Files that match both old and new patterns are
   * read on without a gap, others from their end on, as at a start. `assigned` is called when every
   * followed file has its new source number, before anything is opened or closed.
   */
  setPatterns(patterns: readonly string[], assigned?: () => void): void {
    this.#patterns = patterns.map((pattern) => (pattern === '' ? [] : splitPattern(pattern)));
    mounts.allow(patterns.filter((_, index) => this.#shared.options.network?.(index)));
    for (const file of this.#files.values())
      file.patterns = file.patterns.filter((index) => this.#patterns[index]!.length > 0);
    for (const file of this.#files.values()) this.#assign(file);
    assigned?.();
    this.#isFirst = true;
    this.rescan();
    this.#isFirst = false;
    this.#first.clear();
  }

  /** Closes everything. Unread bytes stay unread. */
  stop(): void {
    this.#running = false;
    if (this.#rescanTimer !== null) clearTimeout(this.#rescanTimer);
    this.#rescanTimer = null;
    this.#directories.close();
    for (const file of this.#files.values()) this.#closeTails(file);
    this.#files.clear();
    this.#readers.clear();
  }

  /** All waiting events were read. */
  settle(isPoll: boolean): void {
    this.#directories.settle(isPoll);
  }

  /**
   * Checks the files that have no watch, and `pollFilesMax` others in turn: which file is at the
   * path, and whether it grew.
   */
  poll(): void {
    const now = this.#shared.options.monotonic();
    mounts.refresh();
    if (this.#directories.check() || now >= this.#rescanDue) this.rescan();
    const from = this.#pollFrom >= this.#files.size ? 0 : this.#pollFrom;
    this.#pollFrom = from + pollFilesMax;
    let index = 0;
    for (const file of this.#files.values()) {
      const isNext = index >= from && index < this.#pollFrom;
      index++;
      if (!isNext && file.tail?.watch && file.retired.length === 0) continue;
      if (file.failure === '' || now >= file.retryAt) this.#check(file);
      this.#reader.visit(file, now);
      if (this.#isOver(file)) this.#drop(file);
    }
  }

  /** Compares every path with the file that we read there. */
  checkAll(): void {
    for (const file of this.#files.values()) this.#check(file);
  }

  /**
   * Plans a rescan soon, but not so often that looking at names takes more than a tenth of the
   * time: anybody may create names.
   */
  planRescan(): void {
    if (this.#rescanTimer !== null || !this.#running) return;
    const begun = this.#shared.options.monotonic();
    this.#rescanTimer = setTimeout(
      () => {
        this.#rescanTimer = null;
        if (this.#running) this.rescan();
      },
      Math.max(0, this.#rescanAfter - begun),
    );
  }

  /**
   * Resolves all patterns again: opens new files, updates watches, closes files that no pattern
   * matches.
   */
  rescan(): void {
    const { monotonic } = this.#shared.options;
    const begun = monotonic();
    const { armed } = this.#directories;
    mounts.refresh();
    this.#directories.begin();
    const fits = findPaths(this.#patterns, this.#search);
    const chosen = this.#choose(fits);
    for (const file of [...this.#files.values()]) {
      if (chosen.has(file.path)) continue;
      if (!fits.has(file.path) && this.#stillFits(file)) this.#watchNames(file);
      else this.#drop(file);
    }
    const found: Followed[] = [];
    for (const [path, patterns] of chosen) {
      const file = this.#admit(path, patterns);
      if (file === null) continue;
      found.push(file);
      this.#watchNames(file);
    }
    this.#directories.sweep();
    this.#directories.check();
    // Only now: every watch is set, so no change after this check is missed.
    const isNewDirectory = armed !== this.#directories.armed;
    for (const file of found) {
      if ((isNewDirectory || !isRead(file)) && (file.failure === '' || monotonic() >= file.retryAt)) this.#check(file);
    }
    const ended = monotonic();
    this.#rescanAfter = ended + rescanRests.asked * (ended - begun);
    this.#rescanDue = ended + Math.max(rescanMs, rescanRests.unasked * (ended - begun));
  }

  /** A file failed; it is tried again after a pause that doubles. */
  fail(file: Followed, error: Error): void {
    const { counters, options, report } = this.#shared;
    counters.errors++;
    file.retry ??= new Backoff(options.monotonic, fileRetryMs, fileRetryMsMax);
    file.retryAt = options.monotonic() + file.retry.next();
    if (file.failure !== error.message) report('error', file.path, file.source, 0, error.message);
    file.failure = error.message;
  }

  /** Closes a file of this record for good. */
  close(file: Followed, tail: Tail): void {
    if (tail === file.tail) file.tail = null;
    if (tail === file.fed) file.fed = null;
    file.retired = file.retired.filter((old) => old.tail !== tail);
    if (this.#readers.get(tail.id) === file) this.#readers.delete(tail.id);
    this.#closed.delete(tail.id);
    this.#closed.set(tail.id, { file, tail });
    if (this.#closed.size > closedFilesMax) this.#closed.delete(this.#closed.keys().next().value!);
    tail.close();
  }

  /** The paths that there is room for; the first one without room is reported. */
  #choose(fits: Map<string, readonly number[]>): Map<string, readonly number[]> {
    const { filesMax } = this.#shared;
    this.refused = Math.max(0, fits.size - filesMax);
    if (this.refused === 0) return fits;
    const isLiteral = (patterns: readonly number[]): boolean => this.#isLiteral(patterns);
    const chosen = shareOut(fits, this.#patterns.length, filesMax, isLiteral, (path) => this.#files.has(path));
    this.#sayRefused([...fits.keys()].find((path) => !chosen.has(path))!, `more than ${filesMax} files fit`);
    return chosen;
  }

  #sayRefused(path: string, why: string): void {
    if (!this.#refusedReported) this.#shared.report('error', path, -1, 0, `${why}; not followed`);
    this.#refusedReported = true;
  }

  #isLiteral(patterns: readonly number[]): boolean {
    return patterns.some((index) => this.#patterns[index]?.some(hasWildcard) === false);
  }

  /**
   * The record of a path that matches a pattern, new or known; null if no source number is free for
   * it.
   */
  #admit(path: string, patterns: readonly number[]): Followed | null {
    const known = this.#files.get(path);
    if (known !== undefined) {
      if (known.patterns.join() !== patterns.join()) {
        known.patterns = patterns;
        this.#assign(known.same ?? known);
      }
      return known;
    }
    const source = this.#shared.options.assign(path, patterns, -1);
    if (source < 0) {
      this.#sayRefused(path, 'no source number is free for it');
      return null;
    }
    const file: Followed = {
      path,
      source,
      patterns,
      tail: null,
      fed: null,
      retired: none,
      same: null,
      aliases: none,
      realPath: '',
      queued: false,
      decided: 0,
      behind: false,
      failure: '',
      retryAt: 0,
      retry: null,
    };
    this.#files.set(path, file);
    if (this.#isFirst) this.#first.add(file);
    return file;
  }

  /** The patterns of all names of the file. */
  #patternsOf(file: Followed): readonly number[] {
    if (file.aliases.length === 0) return file.patterns;
    return [...new Set([file, ...file.aliases].flatMap(({ patterns }) => patterns))].sort((one, other) => one - other);
  }

  #assign(file: Followed): void {
    const source = this.#shared.options.assign(file.path, this.#patternsOf(file), file.source);
    if (source < 0) this.#sayRefused(file.path, 'there is no room for what its jails have in common');
    else file.source = source;
  }

  /** A file that a glob found and that is gone stays as long as its last lines may still come. */
  #stillFits(file: Followed): boolean {
    if (file.tail === null && file.retired.length === 0) return false;
    const names = file.path.split('/').slice(1);
    return file.patterns.some((index) => {
      const components = this.#patterns[index];
      return (
        components !== undefined &&
        components.length === names.length &&
        components.every((component, at) => matchesComponent(names[at]!, component))
      );
    });
  }

  /** Whether nothing is left to read, or to expect, at a path that only a glob found. */
  #isOver(file: Followed): boolean {
    const empty = file.tail === null && file.same === null && file.retired.length === 0 && file.failure === '';
    return empty && !this.#isLiteral(file.patterns);
  }

  #watchNames(file: Followed): void {
    const directory = dirname(file.path);
    if (this.#directories.isWanted(directory) || isDirectory(directory))
      this.#directories.follow(directory, basename(file.path), file);
    if (file.realPath !== '' && file.realPath !== file.path) {
      this.#directories.follow(dirname(file.realPath), basename(file.realPath), file);
    }
  }

  #drop(file: Followed): void {
    this.#unlink(file);
    for (const alias of file.aliases) alias.same = null;
    this.#closeTails(file);
    this.#files.delete(file.path);
    this.#refusedReported = false;
    this.#shared.options.release(file.source);
    // Another name may lead to the file too: that record opens it now.
    for (const alias of file.aliases) this.#check(alias);
  }

  #closeTails(file: Followed): void {
    if (file.tail !== null) this.close(file, file.tail);
    for (const { tail } of file.retired) this.close(file, tail);
  }

  // -- One path: which file is there now

  /** The file's name appeared or disappeared, or its permissions changed. */
  #touched(file: Followed): void {
    file.retryAt = 0;
    this.#check(file);
    this.#reader.enqueue(file);
  }

  /** A file that was at the path too briefly to be opened there is read under its new name. */
  #moved(file: Followed, path: string): boolean {
    try {
      const info = look(path);
      if (!info?.isFile() || this.#readers.has(idOf(info))) return info !== undefined;
      const tail = this.#openNew(file, path);
      if (tail !== null) this.#addRetired(file, tail);
      return true;
    } catch (error) {
      this.fail(file, error as Error);
      return true;
    }
  }

  /** If the file was closed before and is still the same, continues at the old position. */
  #readOn(file: Followed, tail: Tail): void {
    const known = this.#closed.get(tail.id);
    if (known === undefined || (known.file !== file && !this.#sharesJail(file, known.file))) return;
    tail.seekTo(known.tail.position, known.tail.fingerprint());
  }

  #addRetired(file: Followed, tail: Tail): void {
    this.#watch(file, tail);
    this.#readers.set(tail.id, file);
    this.#reader.addRetired(file, tail);
    this.#reader.enqueue(file);
  }

  /** Compares the path with the file that we read; opens, switches or closes. Never throws. */
  #check(file: Followed): void {
    try {
      const info = look(file.path);
      const id = info === undefined ? '' : idOf(info);
      if (id !== '' && id === (file.tail ?? file.same?.tail)?.id) {
        this.#succeed(file);
        return;
      }
      const replaced = file.tail;
      this.#unlink(file);
      if (replaced !== null) this.#retire(file);
      if (id !== '') this.#open(file, id, replaced);
      else if (replaced !== null) {
        this.#shared.report('vanished', file.path, file.source, 0, '');
        this.planRescan();
      } else if (this.#first.has(file)) {
        for (const position of this.#savedFor(file, '')) this.#findOld(file, position);
      }
      this.#succeed(file);
    } catch (error) {
      this.fail(file, error as Error);
    }
  }

  #succeed(file: Followed): void {
    file.failure = '';
    file.retry = null;
  }

  #open(file: Followed, id: string, replaced: Tail | null): void {
    const reader = this.#readers.get(id);
    const realPath = realPathOf(file.path);
    // Shares one string: there may be thousands.
    file.realPath = realPath === file.path ? file.path : realPath;
    this.#watchNames(file);
    if (reader !== undefined && reader !== file && reader.tail?.id === id && this.#leadsTo(reader.path, id)) {
      file.same = reader;
      reader.aliases = [...reader.aliases, file];
      this.#assign(reader);
      return;
    }
    const known = reader === undefined ? null : this.#takeOver(file, reader, id);
    const tail = known ?? this.#openNew(file, file.path);
    if (tail === null) return;
    this.#readers.set(tail.id, file);
    file.tail = tail;
    this.#watch(file, tail);
    if (known === null && this.#first.has(file)) this.#seekInitially(file, tail);
    if (replaced !== null) this.#shared.counters.rotations++;
    this.#shared.report(replaced === null ? 'appeared' : 'rotated', file.path, file.source, tail.position, '');
    this.#reader.enqueue(file);
  }

  /**
   * Opens the file at the path; null if we read it already: it was renamed to there a moment ago,
   * which an event will report.
   */
  #openNew(file: Followed, path: string): Tail | null {
    const tail = Tail.open(path);
    if (this.#readers.has(tail.id)) {
      tail.close();
      return null;
    }
    this.#readOn(file, tail);
    tail.replaces(file.retired.map((old) => old.tail));
    return tail;
  }

  #leadsTo(path: string, id: string): boolean {
    const info = look(path);
    return info !== undefined && idOf(info) === id;
  }

  /** If the file was known under another name, or earlier, it is continued, not read again. */
  #takeOver(file: Followed, reader: Followed, id: string): Tail | null {
    const isIt = (tail: Tail | null): tail is Tail => tail !== null && tail.id === id;
    if (reader !== file && !this.#sharesJail(file, reader)) return null;
    const tail = reader.retired.map((old) => old.tail).find(isIt) ?? (isIt(reader.tail) ? reader.tail : null);
    if (tail === null) return null;
    if (tail === reader.tail) reader.tail = null;
    reader.retired = reader.retired.filter((old) => old.tail !== tail);
    this.#reader.leave(reader, tail);
    return tail;
  }

  #sharesJail(one: Followed, other: Followed): boolean {
    const { jailOf = () => 0 } = this.#shared.options;
    const jails = new Set(this.#patternsOf(one).map(jailOf));
    return this.#patternsOf(other).some((pattern) => jails.has(jailOf(pattern)));
  }

  /** The path no longer leads to the file that another record reads. */
  #unlink(file: Followed): void {
    const { same } = file;
    if (same === null) return;
    file.same = null;
    same.aliases = same.aliases.filter((alias) => alias !== file);
    this.#assign(same);
  }

  /** The path no longer leads to the file that this record reads; its other names may. */
  #retire(file: Followed): void {
    this.#reader.retire(file);
    const { aliases } = file;
    if (aliases.length === 0) return;
    file.aliases = none;
    this.#assign(file);
    for (const alias of aliases) {
      alias.same = null;
      this.#check(alias);
    }
  }

  /** Watches writes to the file, whatever its name will be. */
  #watch(file: Followed, tail: Tail): void {
    tail.watch?.close();
    tail.watch = null;
    try {
      tail.watch = this.#events?.add(tail.link, IN_MODIFY, () => this.#reader.written(file, tail)) ?? null;
    } catch (error) {
      // Reported once: if one watch is refused, others are too.
      if (!this.#unwatchedReported) {
        const detail = `not watched, polled instead: ${(error as Error).message}`;
        this.#shared.report('error', file.path, -1, 0, detail);
      }
      this.#unwatchedReported = true;
    }
  }

  // -- At our start

  /** Moves to where an earlier run stopped, or else to the end. */
  #seekInitially(file: Followed, tail: Tail): void {
    const saved = this.#savedFor(file, tail.id);
    if (saved.length === 0) tail.seekEnd(this.#shared.options.sink.buffer);
    for (const position of saved) {
      if (idOfPosition(position) === tail.id) tail.seekTo(position.offset, position.mark);
      else this.#findOld(file, position);
    }
  }

  /** Saved positions of this path, and that of the file under another name. */
  #savedFor(file: Followed, id: string): ReadPosition[] {
    return this.#resume.filter((position) => position.path === file.path || idOfPosition(position) === id);
  }

  /**
   * A file that was rotated while the daemon did not run may still hold unread lines, if it is
   * still in its directory.
   */
  #findOld(file: Followed, position: ReadPosition): void {
    const directory = dirname(file.realPath === '' ? file.path : file.realPath);
    const id = idOfPosition(position);
    if (this.#readers.has(id)) return;
    for (const name of namesIn(directory, '*', this.#search)) {
      const path = `${directory}/${name}`;
      if (!this.#leadsTo(path, id)) continue;
      const tail = Tail.open(path);
      if (tail.id === id && tail.seekTo(position.offset, position.mark)) this.#addRetired(file, tail);
      else tail.close();
      return;
    }
  }
}

/** Whether the file at the path is read, by this record or that of another name. */
function isRead(file: Followed | undefined): boolean {
  return file !== undefined && (file.tail !== null || file.same !== null);
}

function idOfPosition({ device, inode }: ReadPosition): string {
  return `${device}:${inode}`;
}
