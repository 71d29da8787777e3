/**
 * Writes the file of records: what happened to bans, and who asked for it. The client reads it
 * (client/records.ts): it belongs to the group of the control socket. Input: events of ours, with
 * texts an operator or a file system chose. Invariant: every ban, unban and expiry is written with
 * its address. A burst is written in batches of addresses, so a flood costs some 20 bytes each. Two
 * files of `historyFileBytesMax`: when the newer one is full it takes the place of the older one.
 * What waits for a disk is bounded: what does not fit is counted, and the count is an event.
 * Claims: R-01a builds on it.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { Bucket } from '../bucket.ts';
import * as limits from '../limits.ts';
import type { Fields, Logger } from '../log.ts';
import { asciiJson } from '../text/json.ts';
import { Turns } from '../turns.ts';
import { type Event, eventOf, openToRead } from './event.ts';

export interface RecorderOptions {
  /** Absent where nothing is kept: then events go to the log only. */
  path: string | undefined;
  /** Who may read it beside root; undefined = nobody. */
  groupId?: number | undefined;
  log: Pick<Logger, 'record' | 'error' | 'warn'>;
  /** Epoch milliseconds. */
  now?: () => number;
  fileBytesMax?: number;
}

/** What is known of a ban. */
export type Details = Pick<Event, 'until' | 'failures' | 'pattern' | 'file' | 'offset'>;

/** A ban that began or ended; `details` is called only where they are recorded. */
export interface Told {
  address: string;
  details?: () => Details;
}

const header = '{"fail2zig":"history","version":1}';
/** How the log says it. */
const texts = { ban: 'banned', restored: 'restored', unban: 'unbanned', expired: 'ban is over' } as const;

export class Recorder {
  readonly counters = { events: 0, lost: 0 };
  readonly #options: RecorderOptions;
  readonly #now: () => number;
  readonly #details: Bucket;
  #file: FileHandle | undefined;
  #bytes = 0;
  #number = 0;
  /** What is not written yet. */
  #lines: string[] = [];
  #waitingBytes = 0;
  #lostUnsaid = 0;
  /** Addresses of a burst that have no record yet. */
  readonly #bursts = new Map<string, Omit<Event, 'number' | 'at'> & { addresses: string[] }>();
  readonly #turns = new Turns();
  /** Asked for before the confinement, which does not allow it. */
  readonly #uid = process.getuid!();
  #timer: NodeJS.Timeout | undefined;
  #problem: string | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#details = new Bucket(() => performance.now(), limits.historyBurst, limits.historyRefillMs);
  }

  /** Why records are not written now; undefined when they are. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Number of the last event. */
  get number(): number {
    return this.#number;
  }

  /** The file; undefined where nothing is kept. */
  get path(): string | undefined {
    return this.#options.path;
  }

  /** Continues the file of the last run. A file that is not ours is set aside. */
  async start(): Promise<void> {
    const { path } = this.#options;
    if (path === undefined) return;
    try {
      this.#number = (await lastNumber(path)) ?? (await lastNumber(`${path}.1`)) ?? 0;
      await this.#open(path);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Bans that began or ended: each by itself, or in a burst many to a record. */
  bans(event: keyof typeof texts, jail: string, bans: readonly Told[], asked: Pick<Event, 'by' | 'reason'> = {}): void {
    for (const { address, details } of bans) {
      if (this.#details.take()) this.#put({ event, jail, addresses: [address], ...details?.(), ...asked });
      else this.#gather({ event, jail, ...asked }, address);
    }
  }

  #gather(what: Omit<Event, 'number' | 'at'>, address: string): void {
    const key = JSON.stringify(what);
    const burst = this.#bursts.get(key) ?? { ...what, addresses: [] };
    this.#bursts.set(key, burst);
    burst.addresses.push(address);
    if (burst.addresses.length === limits.historyAddressesMax) this.#endBurst(key, burst);
    else this.#flushSoon();
  }

  #endBurst(key: string, burst: Omit<Event, 'number' | 'at'>): void {
    this.#bursts.delete(key);
    this.#put(burst);
  }

  /** What an operator had done that is no ban. */
  command(command: string, by: Event['by']): void {
    this.#put({ event: 'command', command, by });
  }

  #put(what: Omit<Event, 'number' | 'at'>): void {
    this.counters.events++;
    if (what.event in texts) this.#options.log.record(texts[what.event as keyof typeof texts], fieldsOf(what));
    if (this.path === undefined) return;
    const event: Event = { number: ++this.#number, at: this.#now() / 1000, ...what };
    // Every character is one byte: the file can be read from anywhere.
    const line = `${asciiJson(event)}\n`;
    if (this.#waitingBytes + line.length > limits.historyWaitBytesMax) {
      this.counters.lost++;
      this.#lostUnsaid++;
      return;
    }
    this.#lines.push(line);
    this.#waitingBytes += line.length;
    this.#flushSoon();
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => void this.flush(), limits.historyFlushMs);
  }

  /** Writes what waits. Never rejects. */
  async flush(): Promise<void> {
    for (const [key, burst] of this.#bursts) this.#endBurst(key, burst);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#turns.take(() => this.#write());
  }

  async #write(): Promise<void> {
    const { path } = this;
    if (path === undefined || this.#lines.length === 0) return;
    try {
      if (this.#bytes > (this.#options.fileBytesMax ?? limits.historyFileBytesMax)) await this.#rotate(path);
      const file = this.#file ?? (await this.#open(path));
      const text = this.#lines.join('');
      const count = this.#lines.length;
      await file.appendFile(text);
      this.#bytes += text.length;
      this.#lines.splice(0, count);
      this.#waitingBytes -= text.length;
      this.#problem = undefined;
      if (this.#lostUnsaid > 0) {
        const lost = this.#lostUnsaid;
        this.#lostUnsaid = 0;
        this.#put({ event: 'lost', count: lost });
      }
    } catch (error) {
      this.#fail(error as Error);
      this.#timer ??= setTimeout(() => void this.flush(), 10 * limits.historyFlushMs);
    }
  }

  async #open(path: string): Promise<FileHandle> {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
    const file = await open(path, flags, 0o600);
    this.#file = file;
    this.#bytes = (await file.stat()).size;
    await this.#share(file);
    // A line that a crash cut ends here: readers pass over what is no event.
    await file.appendFile(this.#bytes === 0 ? `${header}\n` : '\n');
    return file;
  }

  /** Lets the group of the control socket read the file. */
  async #share(file: FileHandle): Promise<void> {
    const { groupId, log } = this.#options;
    if (groupId === undefined) return;
    try {
      await file.chown(this.#uid, groupId);
      await file.chmod(0o640);
    } catch (error) {
      log.warn('only root can read the records', { groupId, error: (error as Error).message });
    }
  }

  async #rotate(path: string): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    await rename(path, `${path}.1`);
    await this.#open(path);
  }

  #fail(error: Error): void {
    const problem = `records are not written: ${error.message}`;
    if (this.#problem !== problem) this.#options.log.error(problem);
    this.#problem = problem;
  }

  async close(): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
    await this.#file?.close();
  }
}

/** The number of the last event of a file; undefined where there is none. */
async function lastNumber(path: string): Promise<number | undefined> {
  const file = await openToRead(path);
  if (file === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(limits.historyReadBytes);
    const from = Math.max(0, (await file.stat()).size - bytes.length);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
    const lines = bytes.toString('latin1', 0, bytesRead).split('\n');
    return lines.map(eventOf).findLast((event) => event !== undefined)?.number;
  } finally {
    await file.close();
  }
}

function fieldsOf({ jail, addresses = [], until, by, reason }: Omit<Event, 'number' | 'at'>): Fields {
  const end = until === undefined ? undefined : until < 0 ? 'for ever' : new Date(until * 1000).toISOString();
  const who = { uid: by?.uid, pid: by?.pid, reason };
  if (addresses.length === 1) return { jail, address: addresses[0], until: end, ...who };
  return { jail, count: addresses.length, addresses: addresses.join(' '), ...who };
}
