/**
 * Reads the state file at start, or explains why it cannot be used; never throws for the content of
 * the file.
 *
 * The whole file is checked first (structure, every field, checksum) and handed over only then, in
 * a second pass, so a damaged file has no effect at all (a visitor that refuses the table also
 * drops the positions before it). Memory is one section, whatever the file's length. A file that is
 * damaged, truncated, of a newer version, or writable by others is renamed to
 * `<path>.damaged-<time>` for people to look at. Claim: T-02b, FM-2.
 */

import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, renameSync, unlinkSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { BootTime } from '../clock.ts';
import {
  historiesMax,
  ignoredByHandMax,
  journalCursorsMax,
  stateBytesMax,
  statePositionsMax,
  stateSectionBytesMax,
} from '../limits.ts';
import type { ReadPosition } from '../sources/file.ts';
import type { JournalCursor } from '../sources/journal/journal.ts';
import type { SavedHistory } from '../sources/silence.ts';
import type { IgnoredByHand } from '../types.ts';
import * as format from './format.ts';
import { damaged } from './format.ts';
import { temporaryPath } from './save.ts';

/** What is known about the saved table before its entries come. */
export interface LoadedTable {
  /** Version of the entries' form. */
  layout: number;
  entryBytes: number;
  /** Names of the jails in the order the entries count them. */
  jails: readonly string[];
  /** The engine's own note about its entries. */
  note: Buffer;
  /** When the file was written: epoch seconds, and seconds since boot if known. */
  time: number;
  clock: BootTime | undefined;
}

/** Receives the content of a valid file. */
export interface StateVisitor {
  position(position: ReadPosition): void;
  /** Returns whether it can read the entries; if not, the file is set aside. */
  table(table: LoadedTable): boolean;
  /** Whole entries, in order; `bytes` is valid only during the call. */
  entries(bytes: Buffer): void;
  history?(history: SavedHistory): void;
  cursor?(cursor: JournalCursor): void;
  ignored?(ignored: IgnoredByHand): void;
}

export interface LoadedState {
  /** When the file was written, epoch seconds. */
  time: number;
  positions: number;
  /** Bytes of saved entries. */
  tableBytes: number;
}

export type LoadResult =
  | { state: LoadedState }
  /**
   * Start empty. `asideAs` is the new path of the unusable file; null if there was none, or if it
   * could not be renamed.
   */
  | { state: null; why: string; asideAs: string | null };

/**
 * Reads the state at `path` into `visitor`. `now` (epoch seconds) becomes part of the name if the
 * file is set aside.
 */
export function loadState(path: string, visitor: StateVisitor, now: number): LoadResult {
  try {
    unlinkSync(temporaryPath(path));
  } catch {
    // A temporary file that a crash left; it is never used.
  }
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { state: null, why: 'there is no state file yet', asideAs: null };
    return setAside(path, message, now);
  }
  try {
    checkOwner(descriptor);
    const state = readPass(descriptor, null);
    readPass(descriptor, visitor);
    return { state };
  } catch (error) {
    if (!(error instanceof format.DamagedState) && (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return setAside(path, (error as Error).message, now);
  } finally {
    closeSync(descriptor);
  }
}

function setAside(path: string, why: string, now: number): LoadResult {
  const time = new Date(now * 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const asideAs = `${path}.damaged-${time}`;
  try {
    // A device or a directory at that path is a mistake in the configuration; we never move it.
    const found = lstatSync(path);
    if (!found.isFile() && !found.isSymbolicLink()) return { state: null, why, asideAs: null };
    renameSync(path, asideAs);
    return { state: null, why, asideAs };
  } catch (error) {
    return { state: null, why: `${why}; it could not be set aside: ${(error as Error).message}`, asideAs: null };
  }
}

/** The file must be a regular one that nobody but root and we could have written. */
function checkOwner(descriptor: number): void {
  const info = fstatSync(descriptor);
  if (!info.isFile()) damaged('it is not a regular file');
  if ((info.mode & 0o022) !== 0) damaged('others may write it');
  if (info.uid !== 0 && info.uid !== process.geteuid!()) damaged(`it belongs to user ${info.uid}`);
  if (info.size > stateBytesMax) damaged(`it is longer than ${stateBytesMax} bytes`);
}

/** Reads in order from the start, with a running checksum. */
class Reader {
  checksum = 0;
  #position = 0;
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  fill(buffer: Buffer): Buffer {
    for (let done = 0; done < buffer.length; ) {
      const count = readSync(this.#descriptor, buffer, done, buffer.length - done, this.#position);
      if (count === 0) damaged('it is cut short');
      done += count;
      this.#position += count;
    }
    return buffer;
  }

  take(buffer: Buffer): Buffer {
    this.checksum = crc32(this.fill(buffer), this.checksum);
    return buffer;
  }

  atEnd(): boolean {
    return readSync(this.#descriptor, Buffer.alloc(1), 0, 1, this.#position) === 0;
  }
}

/** One pass over the file: the first one (visitor null) checks, the second one hands over. */
function readPass(descriptor: number, visitor: StateVisitor | null): LoadedState {
  const reader = new Reader(descriptor);
  const state: LoadedState = { time: readHeader(reader), positions: 0, tableBytes: 0 };
  const head = Buffer.alloc(format.sectionHeadBytes);
  const buffer = Buffer.alloc(stateSectionBytesMax);
  let clock: BootTime | undefined;
  let jails: string[] | null = null;
  let table: LoadedTable | null = null;
  let histories = 0;
  let cursors = 0;
  let ignored = 0;
  for (let last = 0; ; ) {
    reader.take(head);
    const tag = head.readUInt32LE(0);
    const length = head.readUInt32LE(4);
    if (tag < last) damaged('its sections are out of order');
    if (length > stateSectionBytesMax) damaged('a section is too long');
    last = tag;
    if (tag === format.sectionTag.end) {
      finish(reader, length);
      return state;
    }
    const bytes = reader.take(buffer.subarray(0, length));
    if (tag === format.sectionTag.clock) {
      if (clock !== undefined) damaged('it tells its clock twice');
      clock = format.decodeClock(bytes);
    } else if (tag === format.sectionTag.jails) {
      if (jails !== null) damaged('it names its jails twice');
      jails = format.decodeJails(bytes);
    } else if (jails === null) {
      damaged('it does not name its jails first');
    } else if (tag === format.sectionTag.positions) {
      state.positions += readPositions(bytes, visitor);
      if (state.positions > statePositionsMax) damaged('it holds too many read positions');
    } else if (tag === format.sectionTag.tableHead) {
      if (table !== null) damaged('it describes its table twice');
      table = { ...readTableHead(bytes, jails), time: state.time, clock };
      if (visitor?.table(table) === false)
        damaged(`its table has form ${table.layout}, which this program does not read`);
    } else if (tag === format.sectionTag.tableEntries) {
      if (table === null || length % table.entryBytes !== 0) damaged('its table is cut in the middle');
      state.tableBytes += length;
      visitor?.entries(bytes);
    } else if (tag === format.sectionTag.histories) {
      if (++histories > historiesMax) damaged('it holds too many histories');
      const history = format.decodeHistory(bytes);
      visitor?.history?.(history);
    } else if (tag === format.sectionTag.journal) {
      if (++cursors > journalCursorsMax) damaged('it holds too many positions in the journal');
      const cursor = format.decodeCursor(bytes);
      visitor?.cursor?.(cursor);
    } else if (tag === format.sectionTag.ignored) {
      if (++ignored > ignoredByHandMax) damaged('it ignores too many networks by hand');
      const each = format.decodeIgnored(bytes);
      visitor?.ignored?.(each);
    } else {
      damaged(`it has an unknown section ${tag}`);
    }
  }
}

function readHeader(reader: Reader): number {
  const header = reader.take(Buffer.alloc(format.headerBytes));
  if (header.compare(format.stateMagic, 0, format.stateMagic.length, 0, format.stateMagic.length) !== 0)
    damaged('it is not a state file');
  const version = header.readUInt32LE(8);
  if (version !== format.stateVersion) damaged(`it has version ${version}; this program reads ${format.stateVersion}`);
  const time = header.readDoubleLE(16);
  if (header.readUInt32LE(12) !== 0 || !(time >= 0 && time <= Number.MAX_SAFE_INTEGER)) damaged('its header is wrong');
  return time;
}

function readPositions(bytes: Buffer, visitor: StateVisitor | null): number {
  let count = 0;
  for (let at = 0; at < bytes.length; count++) {
    const { position, next } = format.decodePosition(bytes, at);
    visitor?.position(position);
    at = next;
  }
  return count;
}

function readTableHead(bytes: Buffer, jails: readonly string[]): Omit<LoadedTable, 'time' | 'clock'> {
  if (bytes.length < format.tableHeadBytes) damaged('the description of its table is cut short');
  const entryBytes = bytes.readUInt32LE(4);
  if (entryBytes === 0 || entryBytes > stateSectionBytesMax) damaged('its entries have a wrong size');
  return { layout: bytes.readUInt32LE(0), entryBytes, jails, note: Buffer.from(bytes.subarray(format.tableHeadBytes)) };
}

function finish(reader: Reader, length: number): void {
  if (length !== 4) damaged('its end is wrong');
  const expected = reader.checksum;
  if (reader.fill(Buffer.alloc(4)).readUInt32LE(0) !== expected) damaged('its checksum does not fit');
  if (!reader.atEnd()) damaged('something follows its end');
}
