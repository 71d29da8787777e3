/**
 * Follows the journal, for hosts without log files. Whoever may write to a journal chooses its
 * messages; whoever may change its files (root, or a failing disk) can put anything there.
 *
 * Every entry that matches a jail's `journal_match` is fed once: through rotation (a closed file is
 * read to its end, before the others), vacuum (an open file stays readable), the move from /run to
 * /var (copies are recognised by their time since boot), and a restart (the position in each file
 * is saved, and the highest entry number when the directories were last read; files that are not
 * among the saved ones hold only higher numbers). Entries older than every findtime are skipped.
 *
 * journald reports changes late, and checking a header costs microseconds. So headers are checked
 * every `journalLookMs`, less often where nothing comes for long, and directories four times a
 * second. Work per turn is bounded. A file that is damaged or inconsistent is set aside with a
 * reason, reported once; a damaged entry is skipped and counted. When full: at most
 * `journalFilesMax` files are open, the oldest first; others wait.
 */
import type { EntrySink } from '../../engine/host.ts';
import * as limits from '../../limits.ts';
import type { JournalMatch } from '../../types.ts';
import type { FileStatus } from '../file.ts';
import { waitingMax } from '../moderation.ts';
import { idOf, look } from '../place.ts';
import { type SavedHistory, Silence } from '../silence.ts';
import { JournalDirectories } from './directories.ts';
import { EntryFeeder, type Unread } from './entry.ts';
import { DamagedEntry, DamagedFile, JournalFile } from './file.ts';
import { Matcher, Meanings } from './match.ts';

/**
 * How far a file was read; or the entry number above which everything in unnamed files is new. The
 * id is the file's, or that of the sequence of numbers, 32 hexadecimal digits.
 */
export interface JournalCursor {
  kind: 'file' | 'numbers';
  id: string;
  seqnum: number;
}

/** What happened; rare enough for a log line each. */
export interface JournalEvent {
  kind: 'appeared' | 'set aside' | 'error' | 'behind' | 'caught-up' | 'quiet' | 'heard';
  path: string;
  detail: string;
}

/** The entries that jails ask for, and their source number in the engine. */
export interface JournalTarget {
  match: JournalMatch;
  source: number;
  /** For `status` and histories. */
  name: string;
}

export interface JournalSourceOptions {
  /** Empty: the system's directories. */
  directories: readonly string[];
  targets: readonly JournalTarget[];
  /** The longest findtime, seconds: older entries are not read. */
  findtime: number;
  sink: EntrySink;
  /** Epoch seconds. */
  now(): number;
  /** Takes the decisions out of the ring. */
  drain(): void;
  /** Decisions that wait for the kernel. */
  waiting(): number;
  event(event: JournalEvent): void;
  resume?: readonly JournalCursor[];
  histories?: readonly SavedHistory[];
}

export interface JournalCounters {
  entries: number;
  fed: number;
  damaged: number;
  aside: number;
}

interface Open {
  readonly file: JournalFile;
  /** Its device, inode and birth. */
  readonly key: string;
  readonly root: number;
  meanings: Meanings;
  /** The number of the last entry that is behind us. */
  seqnum: number;
  damaged: number;
  /** Since when an entry is missing that the header counts, monotonic ms. */
  lateAt: number | undefined;
  /** It has the name of a closed file, though journald may not have closed it yet. */
  renamed: boolean;
  /** Its name is gone, or it is closed for good: no more entries will come. */
  ends: boolean;
}

/** For so many scans the position of a closed file is kept: then the floor is above it. */
const keptScans = 3;

interface Over {
  path: string;
  /** Why it was set aside; '' = it was read to its end. */
  why: string;
}

/** How far the entries were read of a root where journald wrote earlier. */
interface Reached {
  root: number;
  seqnum: number;
  monotonic: number;
  boot: string;
}

export class JournalSource {
  readonly counters: JournalCounters = { entries: 0, fed: 0, damaged: 0, aside: 0 };
  readonly #options: JournalSourceOptions;
  readonly #directories: JournalDirectories;
  readonly #unread: Unread = new Map();
  #targets: readonly JournalTarget[] = [];
  #feeder!: EntryFeeder;
  readonly #silence: Silence;
  #sources: readonly number[] = [];
  #findtime = 0;
  /** Oldest first. */
  #open: Open[] = [];
  /** Files that are not read any more, by device, inode and birth time. */
  #over = new Map<string, Over>();
  /** Positions in files that are not open (yet), by their id. */
  readonly #kept = new Map<string, { seqnum: number; scans: number }>();
  /** The lowest entry number that a new file may have, by the id of the sequence. */
  readonly #floor: Map<string, number>;
  #nextFloor = new Map<string, number>();
  readonly #reached = new Map<string, Reached>();
  /** Paths that cannot be read now, and those that were reported. */
  readonly #failures = new Map<string, string>();
  readonly #said = new Map<string, string>();
  /** A file was closed since the last scan. */
  #closed = false;
  /** A file was too new to be read. */
  #retries = false;
  #timer: NodeJS.Timeout | undefined;
  #paceMs = 0;
  /** When entries last came, and when files, directories and lag are checked next: monotonic ms. */
  #busyAt = 0;
  #scanAt = 0;
  #rescanAt = 0;
  #judgeAt = 0;
  #planned = false;
  /** Number of decisions from the last turn. */
  #decided = 0;
  #paused = false;
  #behind = false;
  /** Files that found no room. */
  refused = 0;

  constructor(options: JournalSourceOptions) {
    this.#options = options;
    this.#directories = new JournalDirectories(options.directories);
    this.setTargets(options.targets, options.findtime);
    const saved = (wanted: JournalCursor['kind']): Map<string, number> =>
      new Map((options.resume ?? []).filter(({ kind }) => kind === wanted).map(({ id, seqnum }) => [id, seqnum]));
    for (const [id, seqnum] of saved('file')) this.#keep(id, seqnum);
    this.#floor = saved('numbers');
    this.#silence = new Silence(options.histories ?? [], (path, quiet, detail) =>
      options.event({ kind: quiet ? 'quiet' : 'heard', path, detail }),
    );
  }

  /** Sets what is read from now on, of new entries. */
  setTargets(targets: readonly JournalTarget[], findtime: number): void {
    this.#targets = targets;
    this.#findtime = findtime;
    this.#sources = targets.map(({ source }) => source);
    this.#feeder = new EntryFeeder(new Matcher(targets.map(({ match }) => match)), this.#options.sink, this.#unread);
    // What an object means depends on the matcher.
    for (const open of this.#open) open.meanings = new Meanings();
  }

  start(): void {
    if (this.#sources.length === 0) return;
    this.#scan();
    this.#plan();
    this.#busyAt = performance.now();
    this.#pace(limits.journalLookMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#paused = true;
    for (const { file } of this.#open) file.close();
    this.#open = [];
  }

  /** Looks for entries and, at intervals, for files. The timer calls it; tests may. */
  look(): void {
    const now = performance.now();
    // Before new entries are counted: they are about to be read.
    if (now >= this.#judgeAt) {
      this.#judgeAt = now + limits.quietLookMs;
      this.#judgeLag();
      this.#silence.look(
        this.#options.now(),
        this.#targets.map(({ name }) => name),
      );
    }
    if (this.#closed || now >= this.#scanAt) this.#lookForFiles(now);
    if (this.#lookAtFiles()) {
      this.#busyAt = now;
      this.#plan();
    }
    const isIdle = now - this.#busyAt > limits.journalIdleMs;
    if (this.#timer !== undefined) this.#pace(isIdle ? limits.journalIdleLookMs : limits.journalLookMs);
  }

  #lookForFiles(now: number): void {
    this.#scanAt = now + limits.journalChangesMs;
    const isDue = this.#closed || this.#retries || now >= this.#rescanAt;
    if (!isDue && !this.#directories.changed()) return;
    this.#rescanAt = now + limits.journalRescanMs;
    this.#scan();
  }

  /** Sets the timer's interval, ms. */
  #pace(milliseconds: number): void {
    if (milliseconds === this.#paceMs) return;
    clearInterval(this.#timer);
    this.#paceMs = milliseconds;
    this.#timer = setInterval(() => this.look(), milliseconds);
  }

  /** Reads what is written by now, for `drainMs` at most. */
  drain(): void {
    if (this.#sources.length === 0) return;
    this.#scan();
    const until = performance.now() + limits.drainMs;
    while (this.#lookAtFiles() && performance.now() < until) {
      const more = this.#read();
      this.#options.drain();
      if (!more) return;
    }
  }

  pause(): void {
    this.#paused = true;
  }

  unpause(): void {
    this.#paused = false;
    this.#plan();
  }

  /** The kernel has accepted decisions. */
  wake(): void {
    if (this.#open.some(hasNews)) this.#plan();
  }

  /** How far the journal was read, for a restart. */
  cursors(): JournalCursor[] {
    const files = new Map([...this.#kept].map(([id, { seqnum }]) => [id, seqnum]));
    for (const { file, seqnum } of this.#open) files.set(file.fileId, seqnum);
    const rows = (kind: JournalCursor['kind'], numbers: Map<string, number>): JournalCursor[] =>
      [...numbers].map(([id, seqnum]) => ({ kind, id, seqnum }));
    return [...rows('file', files), ...rows('numbers', this.#floor)].slice(0, limits.journalCursorsMax);
  }

  histories(): SavedHistory[] {
    return this.#silence.histories();
  }

  /** One row for each match. */
  status(): FileStatus[] {
    const state = this.#open.length > 0 ? 'reading' : this.#failures.size > 0 ? 'failed' : 'missing';
    const [detail = ''] = this.#failures.values();
    const behind = this.lagSeconds > limits.journalBehindSeconds;
    return this.#targets.map(({ name, source }) => ({
      path: name,
      source,
      state,
      offset: 0,
      behind,
      quietSeconds: this.#silence.quietSecondsOf(name),
      detail,
    }));
  }

  /** What an operator must know, one sentence each. */
  problems(): string[] {
    const aside = [...this.#over.values()].filter(({ why }) => why !== '');
    return [
      ...(this.#sources.length > 0 && this.#open.length === 0
        ? [`there is no journal to be read: looked in ${this.#directories.roots.join(', ')}`]
        : []),
      ...aside.map(({ path, why }) => `${path} is set aside: ${why}`),
      ...[...this.#failures].map(([path, why]) => `${path}: ${why}`),
      ...[...this.unread].map(([reason, count]) => `${count} messages in the journal were not read: ${reason}`),
      ...(this.refused > 0 ? [`${this.refused} journal files wait: more than can be read at once`] : []),
      ...this.#silence.problems(),
    ];
  }

  /** Messages that were not read, by reason. */
  get unread(): Unread {
    return this.#unread;
  }

  get files(): number {
    return this.#open.length;
  }

  /**
   * By how many seconds the entry read last, or else the first one, is older than the newest one; 0
   * if all are read.
   */
  get lagSeconds(): number {
    const late = this.#open.filter(({ file }) => file.passed < file.entries);
    return late.reduce(
      (most, { file }) => Math.max(most, (file.tailRealtime - (file.realtime || file.headRealtime)) / 1e6),
      0,
    );
  }

  // --- Files -------------------------------------------------------------------------------------

  /** Opens new files, and closes those that were read to their end. */
  #scan(): void {
    this.#retries = false;
    this.#lookAtFiles();
    this.#closed = false;
    // Files that appear later hold higher numbers than these.
    const floor = new Map<string, number>();
    for (const { file } of this.#open) raise(floor, file.seqnumId, file.tailSeqnum);
    const there = new Set<string>();
    const over = new Map<string, Over>();
    this.#failures.clear();
    this.refused = 0;
    for (const { path, root } of this.#directories.files((path, error) => this.#fail(path, error))) {
      try {
        this.#meet(path, root, there, over);
      } catch (error) {
        this.#fail(path, error as Error);
      }
    }
    this.#over = over;
    this.#open.sort((one, other) => one.root - other.root || one.file.headRealtime - other.file.headRealtime);
    for (const open of this.#open) open.ends ||= !there.has(open.file.id);
    const isWhole = this.refused === 0 && this.#failures.size === 0 && !this.#retries;
    if (isWhole) this.#raiseFloor(floor);
    for (const open of this.#open.filter(isDone)) {
      this.#keep(open.file.fileId, open.seqnum);
      if (there.has(open.file.id)) over.set(open.key, { path: open.file.path, why: '' });
      this.#close(open);
    }
  }

  /**
   * A name that changes while its directory is read may be missed once, so the new floor applies
   * from the next scan on.
   */
  #raiseFloor(floor: Map<string, number>): void {
    for (const [id, seqnum] of this.#nextFloor) raise(this.#floor, id, seqnum);
    this.#nextFloor = floor;
    for (const [id, kept] of this.#kept) if (--kept.scans === 0) this.#kept.delete(id);
  }

  #keep(id: string, seqnum: number): void {
    this.#kept.set(id, { seqnum, scans: keptScans });
  }

  /** A file in a directory: opens it if it holds something to read. */
  #meet(path: string, root: number, there: Set<string>, over: Map<string, Over>): void {
    const info = look(path);
    if (info === undefined) return;
    const id = idOf(info);
    // An inode number is reused once it is free.
    const key = `${id}:${info.birthtimeNs}`;
    there.add(id);
    const known = this.#over.get(key);
    if (known !== undefined) over.set(key, known);
    const opened = this.#open.find(({ file }) => file.id === id);
    if (opened !== undefined) opened.renamed = path.includes('@');
    if (known !== undefined || opened !== undefined) return;
    if (this.#open.length >= limits.journalFilesMax) {
      this.refused++;
      return;
    }
    let file: JournalFile | undefined;
    try {
      file = new JournalFile(path);
      const open: Open = {
        file,
        key,
        root,
        meanings: new Meanings(),
        seqnum: 0,
        damaged: 0,
        lateAt: undefined,
        renamed: path.includes('@'),
        ends: endsAt(file),
      };
      this.#findStart(open);
      if (isDone(open)) {
        over.set(key, { path, why: '' });
        file.close();
        return;
      }
      this.#open.push(open);
      this.#options.event({ kind: 'appeared', path, detail: `${file.entries - file.passed} entries to read` });
    } catch (error) {
      file?.close();
      if (!(error instanceof DamagedFile)) throw error;
      // A file that journald is just creating has no header yet.
      if (Date.now() - Number(info.mtimeMs) < limits.journalYoungMs) this.#retries = true;
      else over.set(key, this.#setAside(path, error.message));
    }
  }

  /** Skips what was read before, and what is too old to count. */
  #findStart(open: Open): void {
    const { file } = open;
    const seqnum = this.#kept.get(file.fileId)?.seqnum ?? this.#floor.get(file.seqnumId) ?? 0;
    const since = (this.#options.now() - this.#findtime) * 1e6;
    open.seqnum = seqnum;
    if (open.ends && (file.tailSeqnum <= seqnum || file.tailRealtime < since)) file.passed = file.entries;
    else {
      if (seqnum > 0) file.seek(() => file.seqnum <= seqnum);
      file.seek(() => file.realtime < since);
    }
  }

  /**
   * Whether a file has entries to read. Files in /var come first, since they may be copies of those
   * in /run.
   */
  #lookAtFiles(): boolean {
    let any = false;
    for (let index = this.#open.length - 1; index >= 0; index--) {
      const open = this.#open[index]!;
      const { file } = open;
      const { archived } = file;
      try {
        if (file.look()) any = true;
        open.ends ||= endsAt(file);
        // Another file has taken its place by now.
        this.#closed ||= file.archived && !archived;
      } catch (error) {
        this.#giveUp(open, error as Error);
      }
    }
    return any;
  }

  #giveUp(open: Open, error: Error): void {
    const { file } = open;
    this.#over.set(open.key, this.#setAside(file.path, error.message));
    this.#close(open);
  }

  #close(open: Open): void {
    open.file.close();
    this.#open = this.#open.filter((other) => other !== open);
  }

  #setAside(path: string, why: string): Over {
    this.counters.aside++;
    this.#options.event({ kind: 'set aside', path, detail: why });
    return { path, why };
  }

  #fail(path: string, { message }: Error): void {
    this.#failures.set(path, message);
    if (this.#said.get(path) === message) return;
    if (this.#said.size >= limits.journalNamesMax) this.#said.clear();
    this.#said.set(path, message);
    this.#options.event({ kind: 'error', path, detail: message });
  }

  // --- Entries -----------------------------------------------------------------------------------

  #plan(): void {
    if (this.#planned || this.#paused) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      const waited = this.#options.waiting();
      if (this.#paused || waited > waitingMax(this.#decided)) return;
      const more = this.#read();
      this.#decided = this.#options.waiting() - waited;
      this.#options.drain();
      if (more) this.#plan();
    });
  }

  /** Reads one turn's share, split equally among the files; returns whether there may be more. */
  #read(): boolean {
    const files = this.#open.filter(hasNews);
    const share = Math.ceil(limits.journalTurnEntries / Math.max(1, files.length));
    const { fed } = this.#feeder;
    const before = [...fed];
    const { entries, damaged } = this.counters;
    for (const open of files) if (!this.#waits(open)) this.#readFile(open, share);
    for (const [match, { name }] of this.#targets.entries()) {
      if (fed[match]! > before[match]!) this.#silence.heard(name, fed[match]! - before[match]!);
    }
    const isOn = this.counters.entries + this.counters.damaged > entries + damaged;
    return isOn && this.#open.some(hasNews);
  }

  /**
   * Earlier entries come first: those of closed files, and those of which this file may hold
   * copies.
   */
  #waits({ file, root }: Open): boolean {
    for (const other of this.#open) {
      if (other.file === file) return false;
      const isOlder = other.ends || other.renamed || other.root < root;
      if (isOlder && other.file.seqnumId === file.seqnumId && hasNews(other)) return true;
    }
    return false;
  }

  #readFile(open: Open, share: number): void {
    const until = this.#feeder.decompressions + limits.journalTurnUnpacks;
    try {
      for (let count = 0; count < share && this.#feeder.decompressions < until; count++) {
        if (!this.#readEntry(open)) return;
      }
    } catch (error) {
      const isTheirs = error instanceof DamagedFile || (error as NodeJS.ErrnoException).code !== undefined;
      if (!isTheirs) throw error;
      this.#giveUp(open, error as Error);
    }
  }

  /** Reads one entry; false if there is none. Throws for what sets the file aside. */
  #readEntry(open: Open): boolean {
    const { file } = open;
    try {
      if (!file.next()) {
        if (!hasNews(open)) return false;
        // journald links an entry before it counts it.
        open.lateAt ??= performance.now();
        const isOver = open.ends || performance.now() - open.lateAt > limits.journalYoungMs;
        if (isOver) throw new DamagedFile('it holds fewer entries than it says');
        return false;
      }
      open.lateAt = undefined;
      if (file.seqnum <= open.seqnum) throw new DamagedEntry('its number is not above the one before it');
      open.seqnum = file.seqnum;
      this.counters.entries++;
      if (!this.#isCopy(open))
        this.counters.fed += this.#feeder.feed(file, open.meanings, this.#sources, this.#options.now());
    } catch (error) {
      if (!(error instanceof DamagedEntry)) throw error;
      this.counters.damaged++;
      if (++open.damaged > limits.journalDamagedMax)
        throw new DamagedFile(`${open.damaged} of its entries are damaged`);
    }
    return true;
  }

  /**
   * Whether journald copied the entry from a file in another directory, from /run to /var: a copy
   * has a higher number than everything that was read there, and no later time.
   */
  #isCopy({ file, root }: Open): boolean {
    const { seqnumId, seqnum, monotonic, boot } = file;
    const reached = this.#reached.get(seqnumId);
    if (reached !== undefined && seqnum <= reached.seqnum) return false;
    const isCopy =
      reached !== undefined && reached.root !== root && boot === reached.boot && monotonic <= reached.monotonic;
    if (!isCopy) this.#reached.set(seqnumId, { root, seqnum, monotonic, boot });
    return isCopy;
  }

  #judgeLag(): void {
    const isBehind = this.lagSeconds > limits.journalBehindSeconds;
    if (isBehind === this.#behind) return;
    this.#behind = isBehind;
    const detail = `${Math.round(this.lagSeconds)} seconds of entries are unread`;
    this.#options.event({ kind: isBehind ? 'behind' : 'caught-up', path: 'journal', detail });
  }
}

const hasNews = ({ file }: Open): boolean => file.passed < file.entries;
const isDone = (open: Open): boolean => open.ends && !hasNews(open);

/** Whether nothing more will be written to a file. */
function endsAt({ archived, online, path }: JournalFile): boolean {
  return archived || path.endsWith('~') || (path.includes('@') && !online);
}

function raise(numbers: Map<string, number>, id: string, seqnum: number): void {
  numbers.set(id, Math.max(seqnum, numbers.get(id) ?? 0));
}
