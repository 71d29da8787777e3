/**
 * One open log file and how far it has been read. Its content belongs to whoever writes the log:
 * every byte is legal.
 *
 * Invariant: bytes before `position` have been fed exactly once; bytes in [position, seen) are the
 * beginning of a line whose newline has not come. They are not kept: when it comes they are read
 * again, so a tail needs no buffer of its own, and a long unfinished line costs each of its bytes
 * two reads, not one per wake-up.
 *
 * Truncation shows in a fingerprint: a hash of the last bytes that stood before `position` (and
 * before `seen`). They are read with what follows them, in one call, so a file that was cut and has
 * grown past our position again is noticed too (as long as what now stands there differs from what
 * stood there).
 */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { LineSink } from '../engine/host.ts';
import { fingerprintBytesMax, lineBytesMax } from '../limits.ts';
import { native } from '../native.ts';
import { systemError, type Watch } from './inotify.ts';

const newline = 10;

/**
 * What stands before a position: a hash of up to `fingerprintBytesMax` bytes. `length` 0 fits
 * everything.
 */
export interface Fingerprint {
  hash: number;
  length: number;
}

/** How a call of `read` ended. */
export type ReadOutcome =
  /** Nothing more to read now; wake it when the file changes. */
  | 'end'
  /** There is (or may be) more. */
  | 'more'
  /** The engine took nothing although whole lines stand there: its decision ring is full. */
  | 'blocked'
  /** The file was cut: reading goes on at `position`, which is where it still fits. */
  | 'cut';

/** A path that is not followed because of what it is. */
export class NotRegularFile extends Error {
  readonly code = 'ENOTREG';
  constructor(path: string, kind: string) {
    super(`${path} is a ${kind}; only regular files are followed`);
  }
}

/** One scratch area for all tails: fingerprints are compared, never kept as bytes. */
const scratch = new Uint8Array(fingerprintBytesMax);
/** It again, at each length that is read into it. */
const scratchOf = Array.from({ length: fingerprintBytesMax + 1 }, (_, length) => scratch.subarray(0, length));

/** FNV-1a over bytes[start, end), folded to 30 bits so that it stays a small integer. */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let index = start; index < end; index++) hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  return (hash ^ (hash >>> 30)) & 0x3fffffff;
}

/** Opens without leaving an access time behind at each read, which only the owner and root may. */
function openQuietly(path: string): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  try {
    return openSync(path, flags | (constants.O_NOATIME ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return openSync(path, flags);
  }
}

/** What to call a file that is not a regular one. */
export function kindOf(info: {
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isBlockDevice(): boolean;
}): string {
  if (info.isDirectory()) return 'directory';
  if (info.isFIFO()) return 'FIFO';
  if (info.isSocket()) return 'socket';
  return info.isBlockDevice() ? 'block device' : 'character device';
}

export class Tail {
  readonly device: bigint;
  readonly inode: bigint;
  /** Bytes before it have been fed. */
  position = 0;
  /** Bytes before it have been looked at for a newline; never less than `position`. */
  seen = 0;
  /** The last read reached the end of the file. */
  atEnd = false;
  /** Bytes read from this file since it was opened, re-reads included. */
  bytesRead = 0;
  /** How often the file was found cut. */
  truncations = 0;
  /** Tells of what is written to it; closed with it. */
  watch: Watch | null = null;
  private readonly descriptor: number;
  /** At the start of a file and after a cut: NULs that follow are a hole, not a line. */
  private mayBeHole = true;
  /** Fed up to the middle of a line that was cut: the engine is skipping its rest. */
  private midLine = false;
  /**
   * Up to the next newline stands the rest of a line of which the engine knows nothing: it is not
   * fed.
   */
  private discards = false;
  private markHash = 0;
  private markLength = 0;
  private seenHash = 0;
  private seenLength = 0;

  private constructor(descriptor: number, device: bigint, inode: bigint) {
    this.descriptor = descriptor;
    this.device = device;
    this.inode = inode;
  }

  /**
   * Opens a regular file at its start. Throws NotRegularFile or the system's error. The caller has
   * seen by stat(2) that it is a regular file; O_NONBLOCK keeps a FIFO put there in between from
   * blocking us.
   */
  static open(path: string): Tail {
    const descriptor = openQuietly(path);
    try {
      const info = fstatSync(descriptor, { bigint: true });
      if (!info.isFile()) throw new NotRegularFile(path, kindOf(info));
      return new Tail(descriptor, info.dev, info.ino);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** Leads to this very file, wherever it was moved. */
  get link(): string {
    return `/proc/self/fd/${this.descriptor}`;
  }

  /** Bytes in the file now. */
  size(): number {
    return fstatSync(this.descriptor).size;
  }

  /**
   * Moves to the start of the unfinished last line, or to the end if the file ends in a newline (or
   * in one endless line).
   */
  seekEnd(buffer: Uint8Array): void {
    const size = this.size();
    const back = Math.min(size, lineBytesMax);
    const length = back === 0 ? 0 : readSync(this.descriptor, buffer, 0, back, size - back);
    const newlineAt = length === 0 ? -1 : buffer.lastIndexOf(newline, length - 1);
    const start = size - back;
    this.mayBeHole = false;
    this.discards = newlineAt < 0 && start > 0;
    if (newlineAt < 0) {
      this.move(start === 0 ? 0 : start + length, buffer, start === 0 ? 0 : length);
    } else {
      this.move(start + newlineAt + 1, buffer, newlineAt + 1);
    }
  }

  /**
   * Moves to a saved position if the bytes before it are still the ones that were read; otherwise
   * stays at the start.
   */
  seekTo(offset: number, mark: Fingerprint): boolean {
    if (offset > this.size() || !this.fits(offset, mark.hash, mark.length)) return false;
    this.position = offset;
    this.seen = offset;
    this.markHash = mark.hash;
    this.markLength = mark.length;
    this.mayBeHole = offset === 0;
    this.discards = offset > 0 && this.byteAt(offset - 1) !== newline;
    return true;
  }

  /** The fingerprint of the bytes before `position`, for a saved position. */
  fingerprint(): Fingerprint {
    return { hash: this.markHash, length: this.markLength };
  }

  /**
   * One preadv straight into the engine's buffer and one `feed`. `final` also feeds an unfinished
   * last line. Throws the system's error.
   */
  read(sink: LineSink, source: number, now: number, final: boolean): ReadOutcome {
    const { buffer } = sink;
    const pending = this.seen - this.position;
    if (pending > 0 && !final) {
      const from = this.seen - this.seenLength;
      const count = this.readOn(buffer, from, 0, 0);
      if (count < this.seenLength || hashBytes(buffer, 0, this.seenLength) !== this.seenHash) return this.cut();
      if (count === this.seenLength) return this.end();
      const waits = from + count - this.position <= lineBytesMax;
      if (waits && buffer.lastIndexOf(newline, count - 1) < 0) return this.unfinished(buffer, count, from + count);
    }
    const count = this.readOn(buffer, this.position, this.markHash, this.markLength);
    if (count < 0) return this.cut();
    this.seen = this.position;
    if (count === 0) return this.end();
    if (this.mayBeHole && this.skipHole(buffer, count)) return 'more';
    if (this.discards) return this.discard(buffer, count);
    const full = count === buffer.length;
    const last = final && !full;
    const newlineAt = buffer.lastIndexOf(newline, count - 1);
    if (newlineAt < 0 && count <= lineBytesMax && !full && !last) {
      return this.unfinished(buffer, count, this.position + count);
    }
    const start = this.position;
    const consumed = sink.feed(source, count, start, now, last);
    if (consumed > 0) {
      this.move(start + consumed, buffer, consumed);
      const isCut = !last || consumed - 1 - newlineAt > lineBytesMax || (this.midLine && newlineAt < 0);
      this.midLine = buffer[consumed - 1] !== newline && isCut;
    }
    if (newlineAt >= consumed || (last && consumed < count)) return consumed === 0 ? 'blocked' : 'more';
    if (full) return consumed === 0 ? 'blocked' : 'more';
    return consumed === count ? this.end() : this.unfinished(buffer, count, start + count);
  }

  /**
   * To be called before the engine gets bytes of the same source from elsewhere (another file,
   * another position): if it is skipping the rest of a line that was cut, it stops; that rest is
   * discarded here when `comesBack`.
   */
  leave(sink: LineSink, source: number, now: number, comesBack: boolean): void {
    if (!this.midLine) return;
    this.midLine = false;
    this.discards = comesBack;
    sink.buffer[0] = newline;
    sink.feed(source, 1, this.position, now, false);
  }

  close(): void {
    this.watch?.close();
    closeSync(this.descriptor);
  }

  /**
   * Reads what follows `position`; -1 where the bytes before it are no longer those of the
   * fingerprint.
   */
  private readOn(buffer: Uint8Array, position: number, hash: number, length: number): number {
    const count = native.readAround(this.descriptor, scratchOf[length]!, buffer, position);
    if (count < 0) throw systemError(count, 'preadv');
    this.bytesRead += Math.max(0, count - length);
    return count < length || (length > 0 && hashBytes(scratch, 0, length) !== hash) ? -1 : count - length;
  }

  /** Goes back to where a fingerprint still fits. */
  private cut(): ReadOutcome {
    this.truncations++;
    this.seen = this.position;
    // A writer without O_APPEND goes on at its old offset after the cut and leaves a hole: what it
    // writes is all new.
    if (this.fits(this.position, this.markHash, this.markLength) || this.becameHole()) return 'cut';
    this.position = 0;
    this.seen = 0;
    this.markLength = 0;
    this.mayBeHole = true;
    this.discards = false;
    return 'cut';
  }

  /** Passes over the rest of a line. */
  private discard(buffer: Uint8Array, count: number): ReadOutcome {
    const newlineAt = buffer.indexOf(newline);
    this.discards = newlineAt < 0 || newlineAt >= count;
    const passed = this.discards ? count : newlineAt + 1;
    this.move(this.position + passed, buffer, passed);
    return 'more';
  }

  private byteAt(offset: number): number {
    return readSync(this.descriptor, scratch, 0, 1, offset) === 1 ? scratch[0]! : -1;
  }

  private end(): ReadOutcome {
    this.atEnd = true;
    return 'end';
  }

  /** buffer[..length) ends at file offset `seen` and holds no newline after `position`. */
  private unfinished(buffer: Uint8Array, length: number, seen: number): ReadOutcome {
    this.seen = seen;
    this.seenLength = Math.min(length, fingerprintBytesMax);
    this.seenHash = hashBytes(buffer, length - this.seenLength, length);
    return this.end();
  }

  /** buffer[..consumed) ends at file offset `position`. */
  private move(position: number, buffer: Uint8Array, consumed: number): void {
    this.position = position;
    this.seen = position;
    this.markLength = Math.min(consumed, fingerprintBytesMax);
    this.markHash = hashBytes(buffer, consumed - this.markLength, consumed);
  }

  private fits(end: number, hash: number, length: number): boolean {
    if (length === 0) return true;
    const count = readSync(this.descriptor, scratch, 0, length, end - length);
    return count === length && hashBytes(scratch, 0, length) === hash;
  }

  /** Whether the bytes before `position` are all NUL now. Called right after they failed to fit. */
  private becameHole(): boolean {
    const count = readSync(this.descriptor, scratch, 0, this.markLength, this.position - this.markLength);
    if (count < this.markLength) return false;
    for (let index = 0; index < count; index++) if (scratch[index] !== 0) return false;
    this.markHash = hashBytes(scratch, 0, count);
    this.mayBeHole = true;
    return true;
  }

  /**
   * Passes over NULs at the start of a file, or after a cut: no log line begins with them. False:
   * there is none (any more).
   */
  private skipHole(buffer: Uint8Array, length: number): boolean {
    let count = 0;
    while (count < length && buffer[count] === 0) count++;
    this.mayBeHole = count === length;
    if (count > 0) this.move(this.position + count, buffer, count);
    return count > 0;
  }
}
