/**
 * One open log file and how far it has been read. Whoever writes the log controls its content:
 * every byte is legal.
 *
 * Invariant: bytes before `position` have been fed exactly once; bytes in [position, seen) are the
 * beginning of a line without its newline yet. They are not kept but read again when the newline
 * comes. So a tail needs no buffer of its own, and each byte of a long unfinished line is read
 * twice, not once per wake-up.
 *
 * Truncation is detected by a fingerprint: a hash of the last bytes before `position` (and before
 * `seen`). They are read together with the following bytes, in one call. So a file that was
 * truncated and has grown past our position again is noticed too (unless the same bytes stand there
 * again). The same hash finds our position in a copy of the file, and in a file that lost less than
 * half of its beginning but kept the hashed bytes.
 */

import { closeSync, fstatSync, readSync } from 'node:fs';
import type { LineSink } from '../engine/host.ts';
import { fingerprintBytesMax, lineBytesMax, rewrittenBytesMax } from '../limits.ts';
import { native } from '../native.ts';
import { systemError, type Watch } from './inotify.ts';
import { linkTo, openLog } from './place.ts';

const newline = 10;
const ENXIO = -6;

/**
 * The bytes before a position: a hash of up to `fingerprintBytesMax` bytes. `length` 0 matches
 * everything.
 */
export interface Fingerprint {
  hash: number;
  length: number;
}

/** A position and its fingerprint. */
interface Mark extends Fingerprint {
  position: number;
}

/** The result of `read`. */
export type ReadOutcome =
  /** Nothing more to read now; call again when the file changes. */
  | 'end'
  /** There is (or may be) more. */
  | 'more'
  /**
   * The file was truncated: reading continues at `position`, where the fingerprint still matches.
   */
  | 'cut';

const none: readonly never[] = [];

/** One scratch area for all tails: fingerprints are compared, the bytes are not kept. */
const scratch = new Uint8Array(fingerprintBytesMax);
/** The same area, cut to each length that is read into it. */
const scratchOf = Array.from({ length: fingerprintBytesMax + 1 }, (_, length) => scratch.subarray(0, length));

/** FNV-1a over bytes[start, end), behind what `hash` is of. */
function mix(bytes: Uint8Array, start: number, end: number, hash = 0x811c9dc5 | 0): number {
  for (let index = start; index < end; index++) hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  return hash;
}

/** Folded to 30 bits, so that it stays a small integer. */
const fold = (hash: number): number => (hash ^ (hash >>> 30)) & 0x3fffffff;

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  return fold(mix(bytes, start, end));
}

export class Tail {
  /** Device and inode. */
  readonly id: string;
  /** Bytes before it have been fed. */
  position = 0;
  /** The last read reached the end of the file. */
  atEnd = false;
  /** Bytes read from this file since it was opened, re-reads included. */
  bytesRead = 0;
  /** Reports writes to the file; closed with it. */
  watch: Watch | null = null;
  readonly #descriptor: number;
  /** Bytes before it were searched for a newline; never less than `position`. */
  #seen = 0;
  /** The engine got the first part of a line that was cut, and is skipping its rest. */
  #midLine = false;
  /**
   * The bytes up to the next newline are the rest of a line that the engine does not know: they are
   * not fed.
   */
  #discards = false;
  #hash = 0;
  #length = 0;
  #seenHash = 0;
  #seenLength = 0;
  /**
   * Which file was here before, or how far this one was read; used when the first bytes come, which
   * may be the same text again.
   */
  #before: readonly (Tail | Mark)[] = none;

  private constructor(descriptor: number, id: string) {
    this.#descriptor = descriptor;
    this.id = id;
  }

  /** Opens a regular file at its start. Throws NotALog or the system's error. */
  static open(path: string): Tail {
    const { descriptor, id } = openLog(path);
    return new Tail(descriptor, id);
  }

  /** A path to this very file, wherever it was moved. */
  get link(): string {
    return linkTo(this.#descriptor);
  }

  /** Size of the file now, bytes. */
  size(): number {
    return fstatSync(this.#descriptor).size;
  }

  /**
   * This file replaces `others`: if it holds the text of one of them again, reading continues after
   * what was read there. To be called before anything is read.
   */
  replaces(others: readonly Tail[]): void {
    if (this.bytesRead === 0) this.#before = others;
  }

  /**
   * Moves to the start of the unfinished last line, or to the end if the file ends in a newline (or
   * in one very long line).
   */
  seekEnd(buffer: Uint8Array): void {
    const size = this.size();
    const back = Math.min(size, lineBytesMax);
    const length = back === 0 ? 0 : readSync(this.#descriptor, buffer, 0, back, size - back);
    const newlineAt = length === 0 ? -1 : buffer.lastIndexOf(newline, length - 1);
    const start = size - back;
    this.#discards = newlineAt < 0 && start > 0;
    if (newlineAt < 0) {
      this.#move(start === 0 ? 0 : start + length, buffer, start === 0 ? 0 : length);
    } else {
      this.#move(start + newlineAt + 1, buffer, newlineAt + 1);
    }
  }

  /**
   * Moves to a saved position if the bytes before it still match `mark`; otherwise stays at the
   * start.
   */
  seekTo(offset: number, mark: Fingerprint): boolean {
    if (offset > this.size() || !this.#fits(offset, mark.hash, mark.length)) return false;
    this.position = offset;
    this.#seen = offset;
    this.#hash = mark.hash;
    this.#length = mark.length;
    this.#discards = offset > 0 && this.#byteAt(offset - 1) !== newline;
    return true;
  }

  /** The fingerprint of the bytes before `position`, to be saved with it. */
  fingerprint(): Fingerprint {
    return { hash: this.#hash, length: this.#length };
  }

  /**
   * One preadv straight into the engine's buffer and one `feed`. `final` also feeds an unfinished
   * last line. Throws the system's error.
   */
  read(sink: LineSink, source: number, now: number, final: boolean): ReadOutcome {
    const { buffer } = sink;
    if (this.#before.length > 0 && !this.#findAgain(buffer)) return this.#end();
    if (this.#seen > this.position && !final) {
      const from = this.#seen - this.#seenLength;
      const count = this.#readOn(buffer, from, 0, 0);
      if (count < this.#seenLength || hashBytes(buffer, 0, this.#seenLength) !== this.#seenHash) return this.#cut();
      if (count === this.#seenLength) return this.#end();
      const waits = from + count - this.position <= lineBytesMax;
      if (waits && buffer.lastIndexOf(newline, count - 1) < 0) return this.#unfinished(buffer, count, from + count);
    }
    const count = this.#readOn(buffer, this.position, this.#hash, this.#length);
    if (count < 0) return this.#cut();
    this.#seen = this.position;
    if (count === 0) return this.#end();
    if (buffer[0] === 0 && this.#skipHole(sink, source, now, count)) return 'more';
    if (this.#discards) return this.#discard(buffer, count);
    return this.#feed(sink, source, now, count, final);
  }

  /**
   * To be called before the engine gets bytes of the same source from another file or position. If
   * the engine is skipping the rest of a cut line, it stops that; with `comesBack`, this tail
   * discards the rest itself.
   */
  leave(sink: LineSink, source: number, now: number, comesBack: boolean): void {
    if (!this.#midLine) return;
    this.#midLine = false;
    this.#discards = comesBack;
    sink.buffer[0] = newline;
    sink.feed(source, 1, this.position, now, false);
  }

  close(): void {
    this.watch?.close();
    closeSync(this.#descriptor);
    this.#before = none;
  }

  /** Feeds buffer[0…count), which stands at `position` of the file. */
  #feed(sink: LineSink, source: number, now: number, count: number, final: boolean): ReadOutcome {
    const { buffer } = sink;
    const start = this.position;
    const full = count === buffer.length;
    const last = final && !full;
    const newlineAt = buffer.lastIndexOf(newline, count - 1);
    if (newlineAt < 0 && count <= lineBytesMax && !full && !last) return this.#unfinished(buffer, count, start + count);
    const consumed = sink.feed(source, count, start, now, last);
    if (consumed > 0) {
      // `scratch` holds what stands before: a short line that was read alone is no mark to go by.
      // Half of the text may go from its beginning.
      const wanted = Math.min(fingerprintBytesMax, (start + consumed) >> 1);
      const kept = Math.min(this.#length, Math.max(0, wanted - consumed));
      const before = mix(scratch, this.#length - kept, this.#length);
      this.#move(start + consumed, buffer, consumed);
      this.#hash = fold(mix(buffer, consumed - this.#length, consumed, before));
      this.#length += kept;
      const isCut = !last || consumed - 1 - newlineAt > lineBytesMax || (this.#midLine && newlineAt < 0);
      this.#midLine = buffer[consumed - 1] !== newline && isCut;
    }
    if (full || newlineAt >= consumed) return 'more';
    return consumed === count ? this.#end() : this.#unfinished(buffer, count, start + count);
  }

  /**
   * Reads the bytes after `position`; -1 if the bytes before it no longer match the fingerprint.
   */
  #readOn(buffer: Uint8Array, position: number, hash: number, length: number): number {
    const count = native.readAround(this.#descriptor, scratchOf[length]!, buffer, position);
    if (count < 0) throw systemError(count, 'preadv');
    this.bytesRead += Math.max(0, count - length);
    return count < length || (length > 0 && hashBytes(scratch, 0, length) !== hash) ? -1 : count - length;
  }

  /** Goes back to the last position whose fingerprint still matches. */
  #cut(): ReadOutcome {
    this.#seen = this.position;
    // A writer without O_APPEND continues at its old offset after the truncation and leaves a hole:
    // everything it writes is new.
    if (this.#fits(this.position, this.#hash, this.#length) || this.#becameHole()) return 'cut';
    this.#before = [{ position: this.position, ...this.fingerprint() }];
    this.position = 0;
    this.#seen = 0;
    this.#length = 0;
    this.#discards = false;
    return 'cut';
  }

  /**
   * The first bytes after a replacement: if they are text that was read before, complete or without
   * less than half of its beginning, moves behind it. False while there are no bytes.
   */
  #findAgain(buffer: Uint8Array): boolean {
    const size = this.size();
    if (size === 0) return false;
    for (const old of this.#before) {
      const { hash, length } = old instanceof Tail ? old.fingerprint() : old;
      if (length > 0) this.#seek(old.position, hash, length, size, buffer);
    }
    this.#before = none;
    return true;
  }

  /**
   * Moves behind the text that was read up to `position`, if it is in this file, after our
   * position.
   */
  #seek(position: number, hash: number, length: number, size: number, buffer: Uint8Array): void {
    const last = Math.min(position, size);
    const first = Math.max(length, this.position, Math.ceil(position / 2), last - rewrittenBytesMax);
    // Reading stops at the end of a line, so only those are tried; backwards, since the last match
    // is the right one.
    for (let end = last; end >= first; ) {
      const from = Math.max(first - length, end - buffer.length);
      const count = readSync(this.#descriptor, buffer, 0, end - from, from);
      for (let at = count; at >= length; at = lineEndBefore(buffer, at)) {
        if (hashBytes(buffer, at - length, at) !== hash) continue;
        this.#move(from + at, buffer, at);
        return;
      }
      if (from === first - length) return;
      end = from + length;
    }
  }

  /** Skips the rest of a line. */
  #discard(buffer: Uint8Array, count: number): ReadOutcome {
    const newlineAt = buffer.indexOf(newline);
    this.#discards = newlineAt < 0 || newlineAt >= count;
    const passed = this.#discards ? count : newlineAt + 1;
    this.#move(this.position + passed, buffer, passed);
    return 'more';
  }

  #byteAt(offset: number): number {
    return readSync(this.#descriptor, scratch, 0, 1, offset) === 1 ? scratch[0]! : -1;
  }

  #end(): ReadOutcome {
    this.atEnd = true;
    return 'end';
  }

  /** buffer[..length) ends at file offset `seen` and holds no newline after `position`. */
  #unfinished(buffer: Uint8Array, length: number, seen: number): ReadOutcome {
    this.#seen = seen;
    this.#seenLength = Math.min(length, fingerprintBytesMax);
    this.#seenHash = hashBytes(buffer, length - this.#seenLength, length);
    return this.#end();
  }

  /** buffer[..consumed) ends at file offset `position`. */
  #move(position: number, buffer: Uint8Array, consumed: number): void {
    this.position = position;
    this.#seen = position;
    this.#length = Math.min(consumed, fingerprintBytesMax);
    this.#hash = hashBytes(buffer, consumed - this.#length, consumed);
  }

  #fits(end: number, hash: number, length: number): boolean {
    if (length === 0) return true;
    const count = readSync(this.#descriptor, scratch, 0, length, end - length);
    return count === length && hashBytes(scratch, 0, length) === hash;
  }

  /**
   * Whether the bytes before `position` are all NUL now. Called right after the fingerprint failed
   * to match.
   */
  #becameHole(): boolean {
    const count = readSync(this.#descriptor, scratch, 0, this.#length, this.position - this.#length);
    if (count < this.#length) return false;
    for (let index = 0; index < count; index++) if (scratch[index] !== 0) return false;
    this.#hash = hashBytes(scratch, 0, count);
    return true;
  }

  /**
   * Skips NULs at the start of a line, and a buffer full of them anywhere: no log line holds those,
   * but holes of a sparse file do. False if there are none.
   */
  #skipHole(sink: LineSink, source: number, now: number, count: number): boolean {
    const { buffer } = sink;
    let zeros = 0;
    while (zeros < count && buffer[zeros] === 0) zeros++;
    if ((this.#midLine || this.#discards) && zeros < buffer.length) return false;
    this.#move(this.position + zeros, buffer, zeros);
    this.leave(sink, source, now, false);
    this.#discards = false;
    if (zeros === buffer.length) this.#passHole();
    return true;
  }

  /** Moves to the next written byte, or to the end. */
  #passHole(): void {
    const next = native.nextData(this.#descriptor, this.position);
    const position = next === ENXIO ? this.size() : next;
    // A negative result comes from file systems without support for holes: there, NULs are read.
    if (position <= this.position) return;
    // The fingerprint covers as many NULs before it.
    this.position = position;
    this.#seen = position;
  }
}

/** The end of the last line before `at`; -1 if there is none. */
function lineEndBefore(buffer: Uint8Array, at: number): number {
  const found = at < 2 ? -1 : buffer.lastIndexOf(newline, at - 2);
  return found < 0 ? -1 : found + 1;
}
