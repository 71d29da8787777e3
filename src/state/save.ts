/**
 * Writes the state file so that a crash at any instant leaves a whole one: the old or the new.
 *
 * It writes a temporary file in the same directory (mode 0600) in portions, calls fsync, renames it
 * over the old file, and calls fsync on the directory. Every system call runs on the thread pool,
 * one portion is encoded between two turns of the event loop, and memory is one portion whatever
 * the table's size. The snapshot must not change until its `taken` is called: before the first
 * write if everything fits one portion, else before the last. On any error the temporary file is
 * removed, the old state stays as it is, and the error names the step that failed. Claim: T-02a.
 */

import { constants, promises } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { BootTime } from '../clock.ts';
import { statePortionBytes, stateSectionBytesMax, stateTableNoteBytesMax } from '../limits.ts';
import type { ReadPosition } from '../sources/file.ts';
import type { JournalCursor } from '../sources/journal/journal.ts';
import type { SavedHistory } from '../sources/silence.ts';
import type { IgnoredByHand } from '../types.ts';
import * as format from './format.ts';

/**
 * The engine's table as the state file sees it: entries of fixed size that only the engine
 * understands.
 */
export interface SavedEntries {
  /** Version of the entries' layout; a build with another layout starts with an empty table. */
  layout: number;
  entryBytes: number;
  /** The engine's own note about the entries; at most `stateTableNoteBytesMax`. */
  note: Uint8Array;
  /** Copies the next whole entries to the start of `into`; returns their bytes, 0 at the end. */
  read(into: Uint8Array): number;
}

export interface Snapshot {
  /** Epoch seconds, and seconds since boot if known. */
  time: number;
  clock?: BootTime | undefined;
  /** Names in the engine's order. */
  jails: readonly string[];
  positions: readonly ReadPosition[];
  table: SavedEntries | null;
  histories?: readonly SavedHistory[];
  cursors?: readonly JournalCursor[];
  ignored?: readonly IgnoredByHand[];
  /**
   * Everything is copied: the source of the snapshot may change again. Not called if the save fails
   * before.
   */
  taken?(): void;
}

/** The part of a FileHandle that saving needs. */
export interface StateHandle {
  write(buffer: Uint8Array, offset: number, length: number): Promise<{ bytesWritten: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The disk; tests hand in one that fails. */
export interface StateDisk {
  open(path: string, flags: number, mode: number): Promise<StateHandle>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

/**
 * The state could not be written; the old file is untouched. `code` is the system's (ENOSPC,
 * EROFS).
 */
export class StateWriteError extends Error {
  readonly code: string;
  readonly step: string;
  constructor(path: string, step: string, cause: NodeJS.ErrnoException) {
    super(`state not saved to ${path}: ${step}: ${cause.message}`, { cause });
    this.code = cause.code ?? 'UNKNOWN';
    this.step = step;
  }
}

/** Node loads `promises` at its first use, so no start waits for it. */
const realDisk: StateDisk = {
  open: (path, flags, mode) => promises.open(path, flags, mode),
  rename: (from, to) => promises.rename(from, to),
  unlink: (path) => promises.unlink(path),
};
/** One portion of the file; there is one save at a time. */
let portion: Buffer | undefined;
let saving = false;

/** The path of the temporary file. It is always the same, so crashes leave at most one. */
export function temporaryPath(path: string): string {
  return `${path}.new`;
}

/**
 * Once the file is open, writes the snapshot that `take` returns; resolves with the file's size
 * once it is on disk. One save at a time.
 */
export async function saveState(path: string, take: () => Snapshot, disk: StateDisk = realDisk): Promise<number> {
  if (saving) throw new Error('a save is under way');
  saving = true;
  const temporary = temporaryPath(path);
  let step = 'create';
  let handle: StateHandle | null = null;
  try {
    await checkReplaceable(path);
    await disk.unlink(temporary).catch(ignoreMissing);
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    handle = await disk.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    step = 'write';
    const bytes = await writePortions(handle, take());
    step = 'fsync';
    await handle.sync();
    step = 'close';
    await closeOnce();
    step = 'rename';
    await disk.rename(temporary, path);
    step = 'fsync of the directory';
    handle = await disk.open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY, 0);
    await handle.sync();
    await closeOnce();
    return bytes;
  } catch (error) {
    await closeOnce().catch(() => {});
    await disk.unlink(temporary).catch(() => {});
    throw new StateWriteError(path, step, error as NodeJS.ErrnoException);
  } finally {
    saving = false;
  }

  async function closeOnce(): Promise<void> {
    const closing = handle;
    handle = null;
    await closing?.close();
  }
}

/** A device or a directory is left alone: rename(2) would replace /dev/null by the state. */
async function checkReplaceable(path: string): Promise<void> {
  const found = await promises.lstat(path).catch(() => undefined);
  if (found === undefined || found.isFile() || found.isSymbolicLink()) return;
  throw Object.assign(new Error('it is not a regular file: name one (state.path)'), { code: 'EINVAL' });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

async function writePortions(handle: StateHandle, snapshot: Snapshot): Promise<number> {
  portion ??= Buffer.alloc(statePortionBytes);
  const sections = encode(snapshot, portion);
  let total = 0;
  let checksum = 0;
  for (let next = sections.next(); ; next = sections.next()) {
    let length = next.value;
    // The checksum ends the file, so it must be complete before the last portion is written. For
    // other portions it is computed during the write.
    if (next.done === true) {
      snapshot.taken?.();
      seal(portion, length, format.sectionTag.end, 4);
      length += format.sectionHeadBytes;
      checksum = crc32(portion.subarray(0, length), checksum);
      portion.writeUInt32LE(checksum, length);
      length += 4;
    }
    const writing = writeAll(handle, portion.subarray(0, length));
    if (next.done !== true) checksum = crc32(portion.subarray(0, length), checksum);
    await writing;
    total += length;
    if (next.done === true) return total;
  }
}

/** write(2) may write less than it was given; writing nothing at all is an error. */
async function writeAll(handle: StateHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    if (bytesWritten <= 0) throw Object.assign(new Error('the disk takes no more bytes'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

/** Writes a section's head at `at`. */
function seal(into: Buffer, at: number, tag: number, length: number): void {
  into.writeUInt32LE(tag, at);
  into.writeUInt32LE(length, at + 4);
}

/**
 * Encodes into `into`. Yields the number of bytes to write whenever it is full, and returns it at
 * the end.
 */
function* encode(snapshot: Snapshot, into: Buffer): Generator<number, number> {
  format.stateMagic.copy(into);
  into.writeUInt32LE(format.stateVersion, 8);
  into.writeUInt32LE(0, 12);
  into.writeDoubleLE(snapshot.time, 16);
  let used = format.headerBytes;
  /** Makes room for one more section of any size, and for the end. */
  function* emptied(): Generator<number, void> {
    if (into.length - used >= 2 * format.sectionHeadBytes + stateSectionBytesMax + 4) return;
    yield used;
    used = 0;
  }
  const add = (tag: number, bytes: Uint8Array): void => {
    seal(into, used, tag, bytes.length);
    into.set(bytes, used + format.sectionHeadBytes);
    used += format.sectionHeadBytes + bytes.length;
  };
  if (snapshot.clock !== undefined) add(format.sectionTag.clock, format.encodeClock(snapshot.clock));
  add(format.sectionTag.jails, format.encodeJails(snapshot.jails));
  for (const position of snapshot.positions) {
    yield* emptied();
    add(format.sectionTag.positions, format.encodePosition(position));
  }
  const { table, histories = [], cursors = [], ignored = [] } = snapshot;
  yield* emptied();
  if (table !== null) add(format.sectionTag.tableHead, encodeTableHead(table));
  for (let length = table === null ? 0 : 1; length > 0; ) {
    yield* emptied();
    length = table!.read(
      into.subarray(used + format.sectionHeadBytes, used + format.sectionHeadBytes + stateSectionBytesMax),
    );
    if (length === 0) break;
    seal(into, used, format.sectionTag.tableEntries, length);
    used += format.sectionHeadBytes + length;
  }
  for (const history of histories) {
    yield* emptied();
    add(format.sectionTag.histories, format.encodeHistory(history));
  }
  for (const cursor of cursors) {
    yield* emptied();
    add(format.sectionTag.journal, format.encodeCursor(cursor));
  }
  for (const each of ignored) {
    yield* emptied();
    add(format.sectionTag.ignored, format.encodeIgnored(each));
  }
  return used;
}

function encodeTableHead({ layout, entryBytes, note }: SavedEntries): Buffer {
  if (note.length > stateTableNoteBytesMax) throw new Error('the note about the table is too long');
  const head = Buffer.alloc(format.tableHeadBytes);
  head.writeUInt32LE(layout, 0);
  head.writeUInt32LE(entryBytes, 4);
  return Buffer.concat([head, note]);
}
