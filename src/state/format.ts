/**
 * The state file: what it holds and how its bytes lie. Little-endian.
 *
 *   header    "f2zstate", version u32, zero u32, time of writing f64 (epoch seconds)
 *   sections  tag u32, length u32 (at most `stateSectionBytesMax`), then so many bytes
 *   end       a section of 4 bytes: CRC32 of everything before its length field's end
 *
 * Sections in this order; all but the heads may come several times, so that both writer and reader
 * work in small portions however large the table is: clock (boot id and seconds since boot when the
 * file was written; may be missing), jails (names), positions, table head, table entries (bans
 * first, then open windows), histories, read positions of journals, networks ignored by hand.
 *
 * Whoever can write the file is root, but a disk may hand back anything: every field is checked on
 * the way in, nothing is allocated from a length before it is compared with its bound. Claims:
 * T-02a, T-02b.
 */

import type { BootTime } from '../clock.ts';
import { fingerprintBytesMax, jailNameMax, jailsMax, pathBytesMax, weekHours } from '../limits.ts';
import type { ReadPosition } from '../sources/file.ts';
import type { JournalCursor } from '../sources/journal/journal.ts';
import type { SavedHistory } from '../sources/silence.ts';
import { formatAddress, parseCidr } from '../text/address.ts';
import { decodeName, encodeName } from '../text/names.ts';
import type { IgnoredByHand } from '../types.ts';

export const stateMagic = Buffer.from('f2zstate', 'latin1');
export const stateVersion = 1;
export const headerBytes = 24;
export const sectionHeadBytes = 8;

export const sectionTag = {
  clock: 0,
  jails: 1,
  positions: 2,
  tableHead: 3,
  tableEntries: 4,
  histories: 5,
  journal: 6,
  ignored: 7,
  end: 0xe0f,
} as const;

/**
 * Device u64, inode u64, offset f64, mark hash u32, mark length u16, path length u16; the path
 * follows.
 */
export const positionHeadBytes = 32;
/** Layout u32, entry bytes u32; what the engine needs to know about its entries follows. */
export const tableHeadBytes = 8;

/** Seconds since boot f64; the boot id as text follows. */
const clockHeadBytes = 8;
/** Longest boot id, bytes: a UUID has 36. */
const bootIdBytesMax = 64;

/** The state file is damaged; says how. */
export class DamagedState extends Error {}

export function damaged(why: string): never {
  throw new DamagedState(why);
}

export function encodeJails(jails: readonly string[]): Buffer {
  return Buffer.concat(jails.map((name) => Buffer.concat([Buffer.of(name.length), Buffer.from(name, 'latin1')])));
}

export function decodeJails(bytes: Buffer): string[] {
  const jails: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes[at]!;
    if (length === 0 || length > jailNameMax || at + 1 + length > bytes.length)
      damaged('a jail name has a wrong length');
    const name = bytes.toString('latin1', at + 1, at + 1 + length);
    if (!/^[\x21-\x7e]+$/.test(name)) damaged('a jail name holds strange characters');
    if (jails.push(name) > jailsMax) damaged('too many jails');
    at += 1 + length;
  }
  return jails;
}

export function encodeClock({ boot, seconds }: BootTime): Buffer {
  const bytes = Buffer.alloc(clockHeadBytes + boot.length);
  bytes.writeDoubleLE(seconds, 0);
  bytes.write(boot, clockHeadBytes, 'latin1');
  return bytes;
}

export function decodeClock(bytes: Buffer): BootTime {
  if (bytes.length < clockHeadBytes || bytes.length > clockHeadBytes + bootIdBytesMax)
    damaged('its clock has a wrong length');
  const seconds = bytes.readDoubleLE(0);
  if (!(seconds >= 0 && seconds <= Number.MAX_SAFE_INTEGER)) damaged('its clock is wrong');
  return { seconds, boot: bytes.toString('latin1', clockHeadBytes) };
}

/**
 * Since f64 (epoch seconds), quiet seconds f64, missed f64, a float for each hour of the week; the
 * path follows.
 */
export const historyHeadBytes = 24 + 4 * weekHours;

/** A log's history with its path, one per section. */
export function encodeHistory({ path, since, quietSeconds, missed, counts }: SavedHistory): Buffer {
  const head = Buffer.alloc(historyHeadBytes);
  for (const [index, value] of [since, quietSeconds, missed].entries()) head.writeDoubleLE(value, 8 * index);
  for (const [hour, count] of counts.entries()) head.writeFloatLE(count, 24 + 4 * hour);
  return Buffer.concat([head, Buffer.from(encodeName(path))]);
}

export function decodeHistory(from: Buffer): SavedHistory {
  if (from.length <= historyHeadBytes || from.length > historyHeadBytes + pathBytesMax)
    damaged('a history has a wrong length');
  const [since, quietSeconds, missed] = [0, 8, 16].map((at) => from.readDoubleLE(at)) as [number, number, number];
  const counts = Float32Array.from({ length: weekHours }, (_, hour) => from.readFloatLE(24 + 4 * hour));
  const values = [since, quietSeconds, missed, ...counts];
  if (!values.every((value) => value >= 0 && value <= Number.MAX_SAFE_INTEGER)) damaged('a history has a wrong number');
  const path = decodeName(from.subarray(historyHeadBytes));
  if (!/^(\/|journal:)[^\0]*$/.test(path)) damaged('a history has no absolute path');
  return { path, since, quietSeconds, missed, counts };
}

/** Kind u32, zero u32, number f64, id of 16 bytes. */
const cursorBytes = 32;
const cursorKinds: readonly JournalCursor['kind'][] = ['file', 'numbers'];

export function encodeCursor({ kind, id, seqnum }: JournalCursor): Buffer {
  const bytes = Buffer.alloc(cursorBytes);
  bytes.writeUInt32LE(cursorKinds.indexOf(kind), 0);
  bytes.writeDoubleLE(seqnum, 8);
  bytes.write(id, 16, 'hex');
  return bytes;
}

export function decodeCursor(bytes: Buffer): JournalCursor {
  if (bytes.length !== cursorBytes) damaged('a position in the journal has a wrong length');
  const kind = cursorKinds[bytes.readUInt32LE(0)] ?? damaged('a position in the journal is of an unknown kind');
  const seqnum = bytes.readDoubleLE(8);
  if (!Number.isSafeInteger(seqnum) || seqnum < 0 || bytes.readUInt32LE(4) !== 0)
    damaged('a position in the journal has a wrong number');
  return { kind, seqnum, id: bytes.toString('hex', 16) };
}

/** End in epoch seconds f64 (infinite: never); the text follows. One network per section. */
export function encodeIgnored({ network, until }: IgnoredByHand): Buffer {
  const head = Buffer.alloc(8);
  head.writeDoubleLE(until, 0);
  return Buffer.concat([head, Buffer.from(formatAddress(network))]);
}

export function decodeIgnored(bytes: Buffer): IgnoredByHand {
  const network = bytes.length > 8 ? parseCidr(bytes.toString('latin1', 8), 'refuse') : undefined;
  const until = bytes.length > 8 ? bytes.readDoubleLE(0) : -1;
  if (typeof network !== 'object' || !(until >= 0)) damaged('a network that is ignored by hand is wrong');
  return { network, until };
}

/** A position with its path. */
export function encodePosition(position: ReadPosition): Buffer {
  const path = Buffer.from(encodeName(position.path));
  const bytes = Buffer.alloc(positionHeadBytes + path.length);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, position.device), 0);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, position.inode), 8);
  bytes.writeDoubleLE(position.offset, 16);
  bytes.writeUInt32LE(position.mark.hash, 24);
  bytes.writeUInt16LE(position.mark.length, 28);
  bytes.writeUInt16LE(path.length, 30);
  path.copy(bytes, positionHeadBytes);
  return bytes;
}

/** Reads the position at `at`; returns it with where the next one begins. */
export function decodePosition(from: Buffer, at: number): { position: ReadPosition; next: number } {
  if (at + positionHeadBytes > from.length) damaged('a read position is cut short');
  const offset = from.readDoubleLE(at + 16);
  const length = from.readUInt16LE(at + 28);
  const pathBytes = from.readUInt16LE(at + 30);
  const next = at + positionHeadBytes + pathBytes;
  if (!Number.isSafeInteger(offset) || offset < 0) damaged('a read position has a wrong offset');
  if (length > fingerprintBytesMax || length > offset) damaged('a read position has a wrong fingerprint');
  if (pathBytes > pathBytesMax || next > from.length) damaged('a read position has a wrong path length');
  const path = decodeName(from.subarray(at + positionHeadBytes, next));
  if (!path.startsWith('/') || path.includes('\0')) damaged('a read position has no absolute path');
  const position = {
    path,
    device: from.readBigUInt64LE(at),
    inode: from.readBigUInt64LE(at + 8),
    offset,
    mark: { hash: from.readUInt32LE(at + 24), length },
  };
  return { position, next };
}
