/**
 * Writes the state file so that a crash at any instant leaves a whole one: the old or the new.
 *
 * Temporary file in the same directory, 0600, written in sections, fsync, rename over the old, fsync of the directory.
 * Every system call runs on the thread pool and every portion of encoding is small, so log lines are read meanwhile;
 * what is saved of the table is therefore consistent entry by entry, not as a whole. On any error the temporary file is
 * removed, the old state stays as it is, and the error says at which step it failed. Claim: T-02a.
 */

import { constants } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { stateSectionBytesMax, stateWindowNoteBytesMax } from '../limits.ts';
import type { ReadPosition } from '../sources/file.ts';
import {
  banBytes,
  encodeBan,
  encodeJails,
  encodePosition,
  headerBytes,
  type SavedBan,
  sectionHeadBytes,
  sectionTag,
  stateMagic,
  stateVersion,
  windowHeadBytes,
} from './format.ts';

/** The engine's table as the state file sees it: fixed-size entries that only the engine understands. */
export interface SavedWindows {
  /** Version of the entries' layout; a build with another one starts with an empty table. */
  layout: number;
  entryBytes: number;
  /** All entries together, bytes. */
  length: number;
  /** What the engine needs to make sense of them (seed, shape); at most `stateWindowNoteBytesMax`. */
  note: Uint8Array;
  /** Copies entries [offset, offset + into.length) of the table; called once per portion, between lines. */
  read(offset: number, into: Uint8Array): void;
}

export interface Snapshot {
  /** Epoch seconds. */
  time: number;
  /** Names in the engine's order. */
  jails: readonly string[];
  /** Walked while log lines are read: an iterator of a Map may see changes, not copies. */
  bans: Iterable<SavedBan>;
  positions: readonly ReadPosition[];
  windows: SavedWindows | null;
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

/** The state could not be written; the old file is untouched. `code` is the system's (ENOSPC, EROFS, …). */
export class StateWriteError extends Error {
  readonly code: string;
  readonly step: string;
  constructor(path: string, step: string, cause: NodeJS.ErrnoException) {
    super(`state not saved to ${path}: ${step}: ${cause.message}`, { cause });
    this.code = cause.code ?? 'UNKNOWN';
    this.step = step;
  }
}

const realDisk: StateDisk = { open, rename, unlink };
const saving = new Set<string>();

/** Where a state file is prepared. One name, so that a crash leaves at most one of them behind. */
export function temporaryPath(path: string): string {
  return `${path}.new`;
}

/** Writes the snapshot; resolves with the file's size once it is on disk. One save per path at a time. */
export async function saveState(path: string, snapshot: Snapshot, disk: StateDisk = realDisk): Promise<number> {
  if (saving.has(path)) throw new Error(`a save of ${path} is under way`);
  saving.add(path);
  const temporary = temporaryPath(path);
  let step = 'create';
  let handle: StateHandle | null = null;
  try {
    await disk.unlink(temporary).catch(ignoreMissing);
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    handle = await disk.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    step = 'write';
    const bytes = await writeSections(handle, snapshot);
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
    saving.delete(path);
  }

  async function closeOnce(): Promise<void> {
    const closing = handle;
    handle = null;
    await closing?.close();
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

async function writeSections(handle: StateHandle, snapshot: Snapshot): Promise<number> {
  let total = 0;
  let checksum = 0;
  for (const section of sections(snapshot)) {
    checksum = crc32(section, checksum);
    await writeAll(handle, section);
    total += section.length;
  }
  const end = Buffer.alloc(sectionHeadBytes + 4);
  end.writeUInt32LE(sectionTag.end, 0);
  end.writeUInt32LE(4, 4);
  end.writeUInt32LE(crc32(end.subarray(0, sectionHeadBytes), checksum), sectionHeadBytes);
  await writeAll(handle, end);
  return total + end.length;
}

/** write(2) may take less than it is given; nothing at all is an error. */
async function writeAll(handle: StateHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done);
    if (bytesWritten <= 0) throw Object.assign(new Error('the disk takes no more bytes'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

/** The file in portions, each encoded when it is asked for. Each is valid until the next. */
function* sections(snapshot: Snapshot): Generator<Buffer> {
  const header = Buffer.alloc(headerBytes);
  stateMagic.copy(header);
  header.writeUInt32LE(stateVersion, 8);
  header.writeDoubleLE(snapshot.time, 16);
  yield header;
  const buffer = Buffer.alloc(sectionHeadBytes + stateSectionBytesMax);
  const seal = (tag: number, length: number): Buffer => {
    buffer.writeUInt32LE(tag, 0);
    buffer.writeUInt32LE(length, 4);
    return buffer.subarray(0, sectionHeadBytes + length);
  };
  yield seal(sectionTag.jails, encodeJails(snapshot.jails).copy(buffer, sectionHeadBytes));
  yield* banSections(snapshot, buffer, seal);
  for (const position of snapshot.positions) {
    yield seal(sectionTag.positions, encodePosition(position).copy(buffer, sectionHeadBytes));
  }
  if (snapshot.windows !== null) yield* windowSections(snapshot.windows, buffer, seal);
}

type Seal = (tag: number, length: number) => Buffer;

function* banSections(snapshot: Snapshot, buffer: Buffer, seal: Seal): Generator<Buffer> {
  const numbers = new Map(snapshot.jails.map((name, index) => [name, index]));
  let length = 0;
  for (const ban of snapshot.bans) {
    const jail = numbers.get(ban.jail);
    // The ban of a jail that a reload has just removed: it is on its way out of the kernel too.
    if (jail === undefined) continue;
    encodeBan(buffer, sectionHeadBytes + length, jail, ban);
    length += banBytes;
    if (length + banBytes <= stateSectionBytesMax) continue;
    yield seal(sectionTag.bans, length);
    length = 0;
  }
  if (length > 0) yield seal(sectionTag.bans, length);
}

function* windowSections(windows: SavedWindows, buffer: Buffer, seal: Seal): Generator<Buffer> {
  if (windows.note.length > stateWindowNoteBytesMax) throw new Error('the note about the windows is too long');
  buffer.writeUInt32LE(windows.layout, sectionHeadBytes);
  buffer.writeUInt32LE(windows.entryBytes, sectionHeadBytes + 4);
  buffer.writeDoubleLE(windows.length, sectionHeadBytes + 8);
  buffer.set(windows.note, sectionHeadBytes + windowHeadBytes);
  yield seal(sectionTag.windowHead, windowHeadBytes + windows.note.length);
  const portion = stateSectionBytesMax - (stateSectionBytesMax % windows.entryBytes);
  for (let offset = 0; offset < windows.length; offset += portion) {
    const length = Math.min(portion, windows.length - offset);
    windows.read(offset, buffer.subarray(sectionHeadBytes, sectionHeadBytes + length));
    yield seal(sectionTag.windowEntries, length);
  }
}
