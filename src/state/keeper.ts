/**
 * Keeps the state on disk: loads it at start, writes it soon after a ban and on a timer, and once
 * more at the end.
 *
 * What test/netns/restart*.test.ts hold a real daemon to:
 * - One file is one instant: read positions, open windows and bans belong together. Reading of logs
 *   pauses while they are copied. So the file either has a line's failure in a window and a
 *   position behind the line, or neither. After a crash the lines since the last write are read
 *   again, and each counts once. Half-finished connections (connection.ts) are not saved: when the
 *   lines of one attempt lie on both sides of a crash, its second half stands alone.
 * - A ban is on disk `stateSoonMs` after the kernel confirmed it, `stateSoonMsMax` in a stream of
 *   bans, and later where the file is large: no more than `stateBytesPerSecond` are written on
 *   average. Until a ban is on disk, it follows from the lines that are read again.
 * - The pause takes 3 ms where everything fits one portion (some 10,000 sources); most of it is the
 *   look at 700,000 entries. A larger table goes to the page cache portion by portion, in 20 to
 *   40 ms for 450,000 sources. When a slow disk would need more than `statePauseMsMax`, the save is
 *   given up and reported, and reading goes on. The next try may take twice as long, up to
 *   `statePauseMsLongest`.
 * - Nothing here stops a ban. A failed save leaves the last file as it is, shows in `problem`,
 *   metrics and log, and is tried again.
 */
import { promises } from 'node:fs';
import { dirname } from 'node:path';
import { Backoff } from '../backoff.ts';
import { type BootTime, bootTime, stepBetween } from '../clock.ts';
import { BYTES } from '../engine/counters.ts';
import type { Engine } from '../engine/host.ts';
import * as limits from '../limits.ts';
import type { Logger } from '../log.ts';
import type { FileSource, ReadPosition } from '../sources/file.ts';
import type { JournalCursor } from '../sources/journal/journal.ts';
import type { SavedHistory } from '../sources/silence.ts';
import type { Address, IgnoredByHand } from '../types.ts';
import { type LoadedTable, loadState } from './load.ts';
import { type Snapshot, type StateDisk, type StateWriteError, saveState } from './save.ts';

export interface KeeperOptions {
  path: string;
  /** Between two saves where nothing is urgent. */
  intervalSeconds: number;
  /** Names in the engine's order, read each time they are needed. */
  readonly jails: readonly string[];
  engine: Pick<Engine, 'saveTable' | 'restoreTable' | 'counter'>;
  /** Networks that operators ignore. */
  ignored?: { readonly byHand: readonly IgnoredByHand[]; ignore(network: Address, until: number): void };
  log: Logger;
  /** Epoch milliseconds. */
  now?: () => number;
  /** The time since boot. */
  bootTime?: () => BootTime | undefined;
  /** The disk to write to; tests hand in one that fails. */
  disk?: StateDisk;
}

/** The parts of the daemon that read logs. */
export type Readers = Pick<FileSource, 'pause' | 'unpause' | 'positions' | 'histories'> & {
  cursors?(): JournalCursor[];
};

type Restoring = NonNullable<ReturnType<Engine['restoreTable']>>;

export class StateKeeper {
  /** Since the start. */
  readonly counters = {
    saves: 0,
    /** Failed saves by the error's code. */
    failures: new Map<string, number>(),
    /** Size of the last file, bytes. */
    bytes: 0,
    /** Time of the last save, epoch seconds; 0 = none yet. */
    savedAt: 0,
    /** Longest time for which reading of logs was paused, ms. */
    pauseLongestMs: 0,
  };
  /** Histories of the logs in the last run, once loaded. */
  readonly histories: SavedHistory[] = [];
  /** Read positions of the journal in the last run. */
  readonly cursors: JournalCursor[] = [];
  readonly #options: KeeperOptions;
  readonly #now: () => number;
  readonly #bootTime: () => BootTime | undefined;
  #readers: Readers | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer is due, monotonic ms. */
  #dueAt = Number.POSITIVE_INFINITY;
  #saving: Promise<void> | undefined;
  /** Something has happened since the last save. */
  #changed = false;
  #bytesRead = 0;
  #notBefore = 0;
  /** How soon a change is saved. A save costs a visit to every entry of the table. */
  readonly #soon = new Backoff(() => performance.now(), limits.stateSoonMs, limits.stateSoonMsMax);
  /** The pause after the last failed save, ms; 0 = the last save succeeded. */
  #retryMs = 0;
  readonly #retry: Backoff;
  /** Reading may wait this long for the next save, ms. */
  #pauseMs = limits.statePauseMsMax;
  #problem: string | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#bootTime = options.bootTime ?? bootTime;
    this.#retry = new Backoff(
      () => performance.now(),
      limits.stateRetryMs,
      Math.max(limits.stateRetryMs, this.#intervalMs),
    );
  }

  /** Why the state is not saved now; undefined if it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * Puts bans and windows of the last run into the engine's table and returns its read positions. A
   * file that cannot be used is set aside and reported; then everything is empty. Never throws for
   * the content of the file.
   */
  load(): ReadPosition[] {
    const { path, engine, ignored, jails, log } = this.#options;
    const now = this.#now() / 1000;
    const positions: ReadPosition[] = [];
    let restoring: Restoring | null = null;
    const visitor = {
      position: (position: ReadPosition) => void positions.push(position),
      table: (table: LoadedTable) => {
        const jailOf = table.jails.map((name) => jails.indexOf(name));
        const step = stepBetween(table.time, table.clock, now, this.#bootTime());
        if (step !== 0) log.warn('the clock was set since the state was saved', { seconds: step });
        restoring = engine.restoreTable(table, jailOf, now, step);
        return restoring !== null;
      },
      entries: (bytes: Buffer) => restoring?.take(bytes),
      history: (history: SavedHistory) => void this.histories.push(history),
      cursor: (cursor: JournalCursor) => void this.cursors.push(cursor),
      ignored: ({ network, until }: IgnoredByHand) => ignored?.ignore(network, until),
    };
    const loaded = loadState(path, visitor, now);
    if (loaded.state === null) {
      const { why, asideAs } = loaded;
      if (asideAs === null) log.info('no saved state', { path, why });
      else log.warn('saved state is not usable, starting empty', { path, why, asideAs });
      return [];
    }
    const { time } = loaded.state;
    const result = (restoring as Restoring | null)?.result;
    log.info('state loaded', { path, secondsOld: Math.round(now - time), positions: positions.length, ...result });
    return positions;
  }

  /**
   * Saves now and from then on: after a crash without a file, nobody would know where reading
   * began.
   */
  start(readers: Readers): void {
    this.#readers = readers;
    this.#changed = true;
    this.#plan(0);
  }

  /** A ban or an unban happened: save it soon. Cheap. */
  changed(): void {
    if (this.#changed) return;
    this.#changed = true;
    if (this.#readers !== undefined && this.#saving === undefined) this.#planSoon();
  }

  /** The last save, within `stateStopMs`. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    const readers = this.#readers;
    if (readers === undefined) return;
    this.#readers = undefined;
    // Nothing reads logs any more, so the disk may take its time.
    this.#pauseMs = limits.stateStopMs;
    let deadline: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      deadline = setTimeout(resolve, limits.stateStopMs);
    });
    const last = async (): Promise<void> => {
      await this.#saving;
      await this.#save(readers);
    };
    await Promise.race([last(), late]);
    clearTimeout(deadline);
  }

  /** The running save; the table must not change meanwhile. */
  get saving(): Promise<void> | undefined {
    return this.#saving;
  }

  get #intervalMs(): number {
    return this.#options.intervalSeconds * 1000;
  }

  #planSoon(): void {
    // While saves fail, only the retry timer saves.
    if (this.#retryMs > 0) return;
    this.#plan(Math.max(this.#soon.next(), this.#notBefore - performance.now()));
  }

  /** Plans a save in `ms`, unless one is due earlier. */
  #plan(ms: number): void {
    const dueAt = performance.now() + ms;
    if (dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => this.#due(), ms);
  }

  #due(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    const readers = this.#readers;
    if (readers === undefined) return;
    if (!this.#changed && this.#retryMs === 0 && this.#bytesRead === this.#options.engine.counter(BYTES)) {
      this.#plan(this.#intervalMs);
      return;
    }
    this.#saving = this.#save(readers).finally(() => {
      this.#saving = undefined;
      if (this.#readers === undefined) return;
      this.#plan(this.#retryMs > 0 ? this.#retryMs : Math.max(this.#intervalMs, this.#notBefore - performance.now()));
      if (this.#changed) this.#planSoon();
    });
  }

  /** One save; never rejects. */
  async #save(readers: Readers): Promise<void> {
    const { path, engine, ignored, disk } = this.#options;
    let release = (): void => {};
    const take = (): Snapshot => {
      const began = performance.now();
      const time = this.#now() / 1000;
      let over = false;
      release = () => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        this.counters.pauseLongestMs = Math.max(this.counters.pauseLongestMs, performance.now() - began);
        readers.unpause();
      };
      const timer = setTimeout(release, this.#pauseMs);
      readers.pause();
      this.#changed = false;
      this.#bytesRead = engine.counter(BYTES);
      const table = engine.saveTable(time);
      const read = (into: Uint8Array): number => {
        if (!over) return table.read(into);
        const why = `the disk took longer than the ${this.#pauseMs} ms for which reading of logs may wait`;
        throw Object.assign(new Error(why), { code: 'ETIMEDOUT' });
      };
      return {
        time,
        clock: this.#bootTime(),
        jails: this.#options.jails,
        positions: readers.positions(),
        histories: readers.histories(),
        cursors: readers.cursors?.() ?? [],
        ignored: ignored?.byHand ?? [],
        table: { ...table, read },
        taken: release,
      };
    };
    try {
      await promises.mkdir(dirname(path), { mode: 0o700 }).catch(() => {});
      const bytes = await saveState(path, take, disk);
      this.#saved(bytes);
    } catch (error) {
      this.#failed(error as StateWriteError);
    } finally {
      release();
    }
  }

  #saved(bytes: number): void {
    const { path, log } = this.#options;
    this.counters.saves++;
    this.counters.bytes = bytes;
    this.counters.savedAt = this.#now() / 1000;
    this.#notBefore = performance.now() + (bytes / limits.stateBytesPerSecond) * 1000;
    this.#retryMs = 0;
    this.#pauseMs = limits.statePauseMsMax;
    if (this.#problem !== undefined) log.info('the state is saved again', { path });
    this.#problem = undefined;
  }

  #failed(error: StateWriteError): void {
    const { failures } = this.counters;
    const code = error.code ?? error.name;
    failures.set(code, (failures.get(code) ?? 0) + 1);
    this.#changed = true;
    if (code === 'ETIMEDOUT') this.#pauseMs = Math.min(2 * this.#pauseMs, limits.statePauseMsLongest);
    this.#retryMs = this.#retry.next();
    if (this.#problem !== error.message) this.#options.log.error('state not saved', { error: error.message });
    this.#problem = error.message;
  }
}
