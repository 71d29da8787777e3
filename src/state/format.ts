/**
 * The state file: what it holds and how its bytes lie. Little-endian.
 *
 *   header    "f2zstate", version u32, zero u32, time of writing f64 (epoch seconds)
 *   sections  tag u32, length u32 (at most `stateSectionBytesMax`), then so many bytes
 *   end       a section of 4 bytes: CRC32 of everything before its length field's end
 *
 * Sections in this order; all but the first may come several times, so that both writer and reader work in small
 * portions however large the table is: jails (names), bans, positions, window head, window entries.
 *
 * Whoever can write the file is root, but a disk may hand back anything: every field is checked on the way in, nothing
 * is allocated from a length before it is compared with its bound. Claims: T-02a, T-02b.
 */

import { fingerprintBytesMax, jailNameMax, jailsMax, pathBytesMax } from '../limits.ts';
import type { ReadPosition } from '../sources/file.ts';
import type { Address } from '../types.ts';

export const stateMagic = Buffer.from('f2zstate', 'latin1');
export const stateVersion = 1;
export const headerBytes = 24;
export const sectionHeadBytes = 8;

export const sectionTag = { jails: 1, bans: 2, positions: 3, windowHead: 4, windowEntries: 5, end: 0xe0f } as const;

/** Jail u16, family u8, prefix u8, address 16, expiry f64, count u32. */
export const banBytes = 32;
/** Device u64, inode u64, offset f64, mark hash u32, mark length u16, path length u16; the path follows. */
export const positionHeadBytes = 32;
/** Layout u32, entry bytes u32, total bytes f64; what the engine needs to know about its entries follows. */
export const windowHeadBytes = 16;

/** A ban that was in force when the state was written. */
export interface SavedBan {
  jail: string;
  address: Address;
  /** Epoch seconds; -1 = permanent. */
  expires: number;
  /** Bans of this address so far, this one included. */
  count: number;
}

/** Says what is wrong with a state file. */
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

/** Writes a ban at `at` of a zeroed buffer. */
export function encodeBan(into: Buffer, at: number, jail: number, ban: SavedBan): void {
  into.writeUInt16LE(jail, at);
  into[at + 2] = ban.address.family;
  into[at + 3] = ban.address.prefix;
  into.set(ban.address.bytes, at + 4);
  into.writeDoubleLE(ban.expires, at + 20);
  into.writeUInt32LE(Math.min(ban.count, 0xffff_ffff), at + 28);
}

export function decodeBan(from: Buffer, at: number, jails: readonly string[]): SavedBan {
  const jail = jails[from.readUInt16LE(at)] ?? damaged('a ban names an unknown jail');
  const family = from[at + 2];
  const prefix = from[at + 3]!;
  const bytes = new Uint8Array(from.subarray(at + 4, at + 20));
  if (family !== 4 && family !== 6) return damaged('a ban has a wrong address family');
  if (prefix > (family === 4 ? 32 : 128)) damaged('a ban has a wrong prefix length');
  if ((family === 4) !== isMapped(bytes)) damaged('a ban has an address of the other family');
  const expires = from.readDoubleLE(at + 20);
  if (!(expires === -1 || (expires >= 0 && expires <= Number.MAX_SAFE_INTEGER))) damaged('a ban has a wrong expiry');
  return { jail, address: { family, bytes, prefix }, expires, count: from.readUInt32LE(at + 28) };
}

function isMapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** A position with its path; null when the path is not valid UTF-8 of a possible length, or the offset is unknown. */
export function encodePosition(position: ReadPosition): Buffer {
  const path = Buffer.from(position.path);
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
  const path = from.toString('utf8', at + positionHeadBytes, next);
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
