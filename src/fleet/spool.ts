/**
 * Bans and unbans that the server has not taken yet, on disk, and the position in the records. Two
 * files: `spool`, one entry a line after its checksum, and `position`, which is replaced as a
 * whole. Input: bans of our own records; files that a crash may have cut or a disk may have
 * damaged. Invariant: a ban is in the spool once, and leaves it when the server has it. A batch is
 * marked before it is sent, so that after a crash the server is asked about it and it is not sent
 * twice. When full: the oldest bans that are not being sent are dropped and counted.
 */
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { Turns } from '../turns.ts';
import { spoolLineBytesMax, spoolReadBytes, spoolRestBytes } from './limits.ts';

/** Where a ban is in the records: the number of its event, and the index of its address. */
export interface Place {
  number: number;
  index: number;
  /** Epoch seconds of the event: numbers restart when the records do. */
  at: number;
}

/** A ban of this host, or an unban by an operator. */
export interface Ban extends Place {
  jail: string;
  address: string;
  /** -1 = permanent; 0 = unbanned. */
  seconds: number;
  failures?: number;
}

/** Whether it is an unban. */
export const isUnban = ({ seconds }: Ban): boolean => seconds === 0;

/** The oldest bans, or the oldest unbans; `end`: where the next batch begins. */
export interface Batch {
  bans: Ban[];
  end: number;
}

interface Position {
  fail2zig: 'fleet-position';
  version: 1;
  /** The generation of the spool to which the offsets refer. */
  generation: number;
  /** The server has everything before it. */
  offset: number;
  /** Up to here the server may have it. */
  doubtful?: number;
  read: Place;
  dropped: number;
  sent: number;
}

const beginning: Place = { number: -1, index: -1, at: 0 };

/** Whether `place` comes after everything that was read until `read`. */
export function isAfter(place: Place, read: Place): boolean {
  if (place.number === read.number && place.at <= read.at) return place.index > read.index;
  return place.number > read.number || place.at > read.at;
}

const headOf = (generation: number): string => `{"fail2zig":"fleet-spool","version":1,"generation":${generation}}\n`;

function lineOf(ban: Ban): string {
  const text = JSON.stringify(ban);
  return `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`;
}

/** The ban in a line; undefined if the line is damaged. */
function banOf(line: string): Ban | undefined {
  const text = line.slice(9);
  if (line[8] !== ' ' || Number.parseInt(line.slice(0, 8), 16) !== crc32(text)) return undefined;
  return JSON.parse(text) as Ban;
}

export class Spool {
  readonly counters = { dropped: 0, sent: 0, damaged: 0 };
  /** Number of waiting bans. */
  waiting = 0;
  /** Epoch second of the oldest one; undefined if none waits. */
  oldest: number | undefined;
  /** What is wrong with the files that were found; undefined if nothing is. */
  problem: string | undefined;
  readonly #directory: string;
  readonly #bytesMax: number;
  readonly #turns = new Turns();
  #file!: FileHandle;
  #size = 0;
  #generation = 0;
  #offset = 0;
  #sending: number | undefined;
  /** Up to here the server may have it, as far as the last process knew. */
  #uncertainUntil = 0;
  #read: Place = beginning;
  #written = '';

  private constructor(directory: string, bytesMax: number) {
    this.#directory = directory;
    this.#bytesMax = bytesMax;
  }

  /** Opens what the last process left in `directory`. Rejects with the system's error. */
  static async open(directory: string, bytesMax: number): Promise<Spool> {
    const spool = new Spool(directory, bytesMax);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await spool.#load();
    return spool;
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#size;
  }

  /** Whether the server may have the oldest bans: they were being sent when a process ended. */
  get isUncertain(): boolean {
    return this.#offset < this.#uncertainUntil;
  }

  /** The position in the records; undefined if they were never read. */
  get read(): Place | undefined {
    return this.#read.number < 0 ? undefined : this.#read;
  }

  /** Up to this place the records contain nothing to be sent. */
  skipTo({ number, index, at }: Place): void {
    this.#read = { number, index, at: Math.max(at, this.#read.at) };
  }

  /** Stores bans after the position that was read. Rejects if the disk refuses. */
  append(bans: readonly Ban[]): Promise<void> {
    return this.#turns.take(async () => {
      const lines = bans.map(lineOf);
      const text = lines.join('');
      const over = this.#size + text.length - this.#bytesMax;
      if (over > 0) await this.#drop(text.length);
      try {
        await this.#file.appendFile(text);
        await this.#file.datasync();
      } catch (error) {
        await this.#file.truncate(this.#size).catch(() => undefined);
        throw error;
      }
      this.#size += text.length;
      this.waiting += bans.length;
      this.oldest ??= bans[0]?.at;
      const last = bans.at(-1);
      if (last !== undefined) this.skipTo(last);
    });
  }

  /** The oldest bans or the oldest unbans, at most `count`; undefined if none waits. */
  next(count: number): Promise<Batch | undefined> {
    return this.#turns.take(async () => {
      const batch: Batch = { bans: [], end: this.#offset };
      for await (const { line, end } of this.#lines(this.#offset)) {
        const ban = banOf(line);
        const [first = ban] = batch.bans;
        if (ban !== undefined && isUnban(ban) !== isUnban(first!)) break;
        if (ban === undefined) this.counters.damaged++;
        else batch.bans.push(ban);
        batch.end = end;
        if (batch.bans.length === count || end === this.#uncertainUntil) break;
      }
      this.oldest = batch.bans[0]?.at;
      return batch.bans.length === 0 ? undefined : batch;
    });
  }

  /** Marks the batch: until it is acknowledged, the server may have it. */
  begin({ end }: Batch): Promise<void> {
    return this.#turns.take(async () => {
      this.#sending = end;
      await this.#save();
    });
  }

  /** The server has the batch, or will never take it. */
  acknowledge({ bans }: Batch, sent: number): Promise<void> {
    return this.#turns.take(async () => {
      this.#offset = this.#sending ?? this.#offset;
      this.#sending = undefined;
      this.waiting -= bans.length;
      this.counters.sent += sent;
      if (this.waiting === 0) this.oldest = undefined;
      if (this.waiting === 0 && this.#size > spoolRestBytes) await this.#rewrite([]);
      await this.#save();
    });
  }

  /** Saves the position in the records, if it is new. */
  save(): Promise<void> {
    return this.#turns.take(() => this.#save());
  }

  /** `saves`: false to simulate a crash. */
  async close(saves = true): Promise<void> {
    if (saves) await this.save();
    await this.#turns.take(() => this.#file.close());
  }

  // --- Files -------------------------------------------------------------------------------------

  async #load(): Promise<void> {
    const position = await this.#loadPosition();
    const path = join(this.#directory, 'spool');
    const file = await open(path, 'a+', 0o600);
    this.#file = file;
    this.#size = (await file.stat()).size;
    const head = await this.#head();
    if (this.#size > 0 && head === undefined) await this.#setAside(path);
    else if (this.#size === 0) await this.#rewrite([]);
    else {
      this.#generation = head!.generation;
      const isOurs = position?.generation === this.#generation;
      const start = headOf(this.#generation).length;
      // A rewritten spool begins with what was not sent yet.
      this.#offset = isOurs ? Math.min(position.offset, this.#size) : start;
      await this.#count();
      this.#uncertainUntil = isOurs ? (position.doubtful ?? 0) : this.#size;
    }
    await this.#save();
  }

  /** The first line; undefined if it is not ours. */
  async #head(): Promise<{ generation: number } | undefined> {
    for await (const { line } of this.#lines(0)) {
      try {
        const head = JSON.parse(line) as { fail2zig?: unknown; version?: unknown; generation?: unknown };
        const isOurs = head.fail2zig === 'fleet-spool' && head.version === 1 && Number.isSafeInteger(head.generation);
        return isOurs ? (head as { generation: number }) : undefined;
      } catch {
        return undefined;
      }
    }
    return undefined;
  }

  /** A spool of another version is renamed. */
  async #setAside(path: string): Promise<void> {
    await this.#file.close();
    await rename(path, `${path}.unreadable`);
    this.problem = `${path} was no spool of this version: it is kept as ${path}.unreadable`;
    this.#file = await open(path, 'a+', 0o600);
    this.#size = 0;
    await this.#rewrite([]);
  }

  async #loadPosition(): Promise<Position | undefined> {
    const path = join(this.#directory, 'position');
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return undefined;
    }
    const position = positionOf(text);
    if (position === undefined) {
      this.problem = `${path} cannot be read: bans that wait are compared with those that the server has`;
      return undefined;
    }
    this.#read = position.read;
    this.counters.dropped = position.dropped;
    this.counters.sent = position.sent;
    return position;
  }

  /** Counts what waits; removes what a crash cut off at the end. */
  async #count(): Promise<void> {
    let end = this.#offset;
    for await (const { line, end: next } of this.#lines(this.#offset)) {
      end = next;
      const ban = banOf(line);
      if (ban === undefined) continue;
      this.waiting++;
      this.oldest ??= ban.at;
      if (isAfter(ban, this.#read)) this.skipTo(ban);
    }
    if (end < this.#size) await this.#file.truncate(end);
    this.#size = end;
  }

  /** Whole lines from `from` on, each with its end. */
  async *#lines(from: number): AsyncGenerator<{ line: string; end: number }> {
    const bytes = Buffer.alloc(spoolReadBytes);
    for (let at = from; ; ) {
      const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, at);
      const read = bytes.subarray(0, bytesRead);
      let start = 0;
      for (let end = read.indexOf(10); end >= 0; end = read.indexOf(10, start)) {
        yield { line: read.toString('utf8', start, end), end: at + end + 1 };
        start = end + 1;
      }
      // A line without an end that is longer than any valid one: nothing after it can be trusted.
      if (bytesRead === 0 || (start === 0 && bytesRead > spoolLineBytesMax)) return;
      if (start === 0) return;
      at += start;
    }
  }

  /** Makes room for `bytes` and a quarter more: drops the oldest bans that are not being sent. */
  async #drop(bytes: number): Promise<void> {
    const kept = this.#sending ?? this.#offset;
    const room = Math.max(0, this.#bytesMax - Math.floor(this.#bytesMax / 4) - bytes - (kept - this.#offset));
    let from = kept;
    if (this.#size - kept > room) {
      for await (const { line, end } of this.#lines(kept)) {
        from = end;
        if (banOf(line) !== undefined) {
          this.waiting--;
          this.counters.dropped++;
        }
        if (this.#size - from <= room) break;
      }
    }
    await this.#rewrite([
      [this.#offset, kept],
      [from, this.#size],
    ]);
    await this.#save();
  }

  /** Writes a new spool from parts of the old one. */
  async #rewrite(parts: [from: number, to: number][]): Promise<void> {
    const path = join(this.#directory, 'spool');
    const generation = this.#generation + 1;
    const file = await open(`${path}.new`, 'w+', 0o600);
    await file.appendFile(headOf(generation));
    const start = headOf(generation).length;
    let size = start;
    const bytes = Buffer.alloc(spoolReadBytes);
    for (const [from, to] of parts) {
      for (let at = from; at < to; ) {
        const { bytesRead } = await this.#file.read(bytes, 0, Math.min(bytes.length, to - at), at);
        if (bytesRead === 0) break;
        await file.appendFile(bytes.subarray(0, bytesRead));
        at += bytesRead;
        size += bytesRead;
      }
    }
    await file.datasync();
    await rename(`${path}.new`, path);
    await this.#file.close();
    await file.close();
    this.#file = await open(path, 'a+', 0o600);
    if (this.#sending !== undefined) this.#sending = start + (this.#sending - this.#offset);
    this.#uncertainUntil = start + Math.max(0, this.#uncertainUntil - this.#offset);
    this.#offset = start;
    this.#size = size;
    this.#generation = generation;
  }

  async #save(): Promise<void> {
    const { dropped, sent } = this.counters;
    const doubtful = Math.max(this.#sending ?? 0, this.#uncertainUntil);
    const position: Position = {
      fail2zig: 'fleet-position',
      version: 1,
      generation: this.#generation,
      offset: this.#offset,
      ...(doubtful > this.#offset && { doubtful }),
      read: this.#read,
      dropped,
      sent,
    };
    const text = `${JSON.stringify(position)}\n`;
    if (text === this.#written) return;
    const path = join(this.#directory, 'position');
    const file = await open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    this.#written = text;
  }
}

/** The position in a file; undefined if it is not of this version. */
function positionOf(text: string): Position | undefined {
  try {
    const position = JSON.parse(text) as Position;
    const { generation, offset, doubtful = 0, read, dropped, sent } = position;
    const numbers = [generation, offset, doubtful, read.number, read.index, dropped, sent];
    const isOurs = position.fail2zig === 'fleet-position' && position.version === 1;
    return isOurs && numbers.every(Number.isSafeInteger) && Number.isFinite(read.at) ? position : undefined;
  } catch {
    return undefined;
  }
}
