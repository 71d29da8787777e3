/**
 * One journal file, read from its first entry to its last as it grows. The format is systemd's
 * (Journal File Format): a header, then objects at multiples of eight; the entries are listed in a
 * chain of arrays. Supports regular and compact files, with keyed hashes or without: hash tables
 * are not used.
 *
 * A file may be damaged, and whoever can write to it may put anything there: every offset, size,
 * type and order is checked, offsets in a chain must grow, and each step costs a bounded read.
 * Invalid content is thrown as `DamagedFile`, which sets the file aside, or as `DamagedEntry`,
 * which skips one entry.
 *
 * Files are read while journald writes them. So we read the number of entries first, then the
 * arrays, then the entry, then its fields: the reverse of the order of writing. Nothing that was
 * read before the number is used after it.
 */
import { closeSync, readSync } from 'node:fs';
import { journalArraysMax, journalFieldsMax, journalWindowBytes } from '../../limits.ts';
import { openLog } from '../place.ts';

export class DamagedFile extends Error {}
export class DamagedEntry extends Error {}

/** The first bytes of every journal file. */
export const journalMagic = 'LPKSHHRH';
/** The part of the header that we read. Even the oldest version has it, except for its end. */
const headerBytes = 272;
const headerBytesMin = 208;
/** Compression by xz, lz4 and zstd, keyed hash, compact. */
const incompatible = { known: 1 | 2 | 4 | 8 | 16, compact: 16 };
const state = { online: 1, archived: 2 };
const objectType = { data: 1, entry: 3, entryArray: 6 };
const objectHeadBytes = 16;
const arrayHeadBytes = 24;
const entryHeadBytes = 64;
/** Compression of a data object, by its flags. */
export const compression: Readonly<Record<number, string>> = { 1: 'xz', 2: 'lz4', 4: 'zstd' };
/** Items of an entry array read at once. */
const itemsAtOnce = 64;
/** Bytes to read of an object's start; a window reads more anyway. */
const dataHeadBytes = 512;
/** Bytes before an entry that are read with it: its fields. */
const windowBackBytes = journalWindowBytes / 4;

/** Buffers for what is near an entry and far from it; shared, used by one file at a time. */
const near = { owner: undefined as JournalFile | undefined, start: 0, length: 0, bytes: Buffer.alloc(0) };
const far = Buffer.allocUnsafeSlow(dataHeadBytes);

function number(bytes: Buffer, at: number): number {
  const high = bytes.readUInt32LE(at + 4);
  // A journal holds no offset, size, number or time above 2^53.
  return high > 0x1f_ffff ? Number.POSITIVE_INFINITY : high * 0x1_0000_0000 + bytes.readUInt32LE(at);
}

/** The head of a data object. */
export interface DataHead {
  /** The offset of its payload in the file, and its length. */
  payload: number;
  length: number;
  /** 0 = none; else a key of `compression`, or unknown. */
  compressed: number;
  /** `shown` first bytes of the payload are at `at` of `bytes`. */
  bytes: Buffer;
  at: number;
  shown: number;
}

export class JournalFile {
  readonly path: string;
  /** Device and inode. */
  readonly id: string;
  /** As in the header, hexadecimal. */
  fileId = '';
  seqnumId = '';
  /** journald has closed it for good, or has it open. */
  archived = false;
  online = false;
  /** Number of entries in the file, and of those behind us. */
  entries = 0;
  passed = 0;
  tailSeqnum = 0;
  headRealtime = 0;
  tailRealtime = 0;

  /* The current entry. */
  offset = 0;
  seqnum = 0;
  /** Microseconds since 1970, and since boot. */
  realtime = 0;
  monotonic = 0;
  boot = '';
  /** Offsets of the data objects of its fields. */
  readonly fields: number[] = [];

  readonly #descriptor: number;
  readonly #items = Buffer.allocUnsafeSlow(itemsAtOnce * 8);
  /** The state and the low half of the number of entries, from the last header. */
  #state = -1;
  #entriesLow = -1;
  #compact = false;
  #headerSize = 0;
  #firstArray = 0;
  /** The current array, its number of items, and the index of the next one. */
  #array = 0;
  #capacity = 0;
  #index = 0;
  /** Index of the first item that was read. */
  #itemsFrom = 0;
  #itemsTo = 0;

  /** Throws the system's error, NotALog or DamagedFile. */
  constructor(path: string) {
    this.path = path;
    const { descriptor, id } = openLog(path);
    this.#descriptor = descriptor;
    this.id = id;
    try {
      this.look();
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  close(): void {
    if (near.owner === this) near.owner = undefined;
    closeSync(this.#descriptor);
  }

  /** Reads the header; returns whether there are new entries. */
  look(): boolean {
    const count = readSync(this.#descriptor, far, 0, headerBytes, 0);
    // Most of the time nothing has changed: then this is all.
    if (far[16] === this.#state && far.readUInt32LE(152) === this.#entriesLow && count === headerBytes)
      return this.passed < this.entries;
    if (count < headerBytesMin) throw new DamagedFile('it has no whole header');
    // journald reserves space before it writes the header.
    if (far.toString('latin1', 0, 8) !== journalMagic) throw new DamagedFile('it is no journal file');
    const flags = far.readUInt32LE(12);
    if ((flags & ~incompatible.known) !== 0) throw new DamagedFile(`it has features that nobody here knows (${flags})`);
    const id = far.toString('hex', 24, 40);
    if (this.fileId !== '' && id !== this.fileId) throw new DamagedFile('it became another file');
    const entries = number(far, 152);
    if (entries < this.entries || entries === Number.POSITIVE_INFINITY)
      throw new DamagedFile('its number of entries is wrong');
    this.fileId = id;
    this.seqnumId = far.toString('hex', 72, 88);
    this.#state = far[16]!;
    this.#entriesLow = far.readUInt32LE(152);
    this.archived = far[16] === state.archived;
    this.online = far[16] === state.online;
    this.#compact = (flags & incompatible.compact) !== 0;
    this.#headerSize = number(far, 88);
    if (this.#headerSize < headerBytesMin || this.#headerSize > 65_536)
      throw new DamagedFile('its header size is wrong');
    this.tailSeqnum = number(far, 160);
    this.#firstArray = number(far, 176);
    this.headRealtime = number(far, 184);
    this.tailRealtime = number(far, 192);
    const grown = entries > this.entries;
    this.entries = entries;
    if (grown) this.#forget();
    return this.passed < entries;
  }

  /** Drops what was read before: journald may have written since. */
  #forget(): void {
    if (near.owner === this) near.owner = undefined;
    this.#itemsFrom = 0;
    this.#itemsTo = 0;
  }

  /** Moves to the next entry; false if there is none (yet). Throws DamagedFile or DamagedEntry. */
  next(): boolean {
    if (this.passed >= this.entries) return false;
    if (!this.#toArray()) return false;
    const offset = this.#item(this.#index);
    if (offset === 0) return false;
    if (offset <= this.offset) throw new DamagedFile('its entries are out of order');
    this.offset = offset;
    this.#index++;
    this.passed++;
    this.#readEntry();
    return true;
  }

  /** Skips the leading entries for which `isBefore` holds. */
  seek(isBefore: () => boolean): void {
    for (let arrays = 0; this.passed < this.entries && this.#toArray(); arrays++) {
      if (arrays > journalArraysMax) throw new DamagedFile('its entries are in too many arrays');
      const from = this.#index;
      const end = Math.min(this.#capacity, from + this.entries - this.passed);
      let first = from;
      let last = end;
      // Tries the last one first: mostly the whole array is skipped.
      for (let middle = end - 1; first < last; middle = Math.floor((first + last) / 2)) {
        if (this.#isBefore(middle, isBefore)) first = middle + 1;
        else last = middle;
      }
      if (first > from) this.offset = this.#item(first - 1);
      this.#index = first;
      this.passed += first - from;
      if (first < end) return;
    }
  }

  #isBefore(index: number, isBefore: () => boolean): boolean {
    const offset = this.#item(index);
    if (offset === 0) return false;
    const { offset: kept } = this;
    this.offset = offset;
    try {
      this.#readEntry();
      return isBefore();
    } catch (error) {
      if (!(error instanceof DamagedEntry)) throw error;
      return false;
    } finally {
      this.offset = kept;
    }
  }

  /** Moves to an array with an item left; false if journald has not made it yet. */
  #toArray(): boolean {
    if (this.#array > 0 && this.#index < this.#capacity) return true;
    const next = this.#array === 0 ? this.#firstArray : this.#nextArray();
    if (next === 0) return false;
    if (next <= this.#array || !this.#isPlace(next)) throw new DamagedFile('its arrays are out of order');
    const head = this.#load(next, arrayHeadBytes, false);
    const { bytes } = head;
    const size = number(bytes, head.at + 8);
    const capacity = Math.floor((size - arrayHeadBytes) / this.#itemBytes);
    if (bytes[head.at] !== objectType.entryArray || !(capacity >= 1 && capacity < 2 ** 32))
      throw new DamagedFile('an array of its entries is none');
    this.#array = next;
    this.#capacity = capacity;
    this.#index = 0;
    this.#itemsFrom = 0;
    this.#itemsTo = 0;
    return true;
  }

  #nextArray(): number {
    const { bytes, at } = this.#load(this.#array, arrayHeadBytes, false);
    return number(bytes, at + objectHeadBytes);
  }

  get #itemBytes(): number {
    return this.#compact ? 4 : 8;
  }

  #item(index: number): number {
    const size = this.#itemBytes;
    if (index < this.#itemsFrom || index >= this.#itemsTo) {
      const count = Math.min(itemsAtOnce, this.#capacity - index);
      const place = this.#array + arrayHeadBytes + index * size;
      const length = readSync(this.#descriptor, this.#items, 0, count * size, place);
      this.#itemsFrom = index;
      this.#itemsTo = index + Math.floor(length / size);
      if (length < size) throw new DamagedFile('it ends within an array of its entries');
    }
    const at = (index - this.#itemsFrom) * size;
    return this.#compact ? this.#items.readUInt32LE(at) : number(this.#items, at);
  }

  #isPlace(offset: number): boolean {
    return offset >= this.#headerSize && offset % 8 === 0 && offset <= Number.MAX_SAFE_INTEGER;
  }

  #readEntry(): void {
    const { offset, fields } = this;
    fields.length = 0;
    if (!this.#isPlace(offset)) throw new DamagedFile('an entry has no valid place');
    const head = this.#load(offset, entryHeadBytes, true);
    const size = number(head.bytes, head.at + 8);
    if (head.bytes[head.at] !== objectType.entry) throw new DamagedEntry('it is not an entry');
    const step = this.#compact ? 4 : 16;
    const count = (size - entryHeadBytes) / step;
    if (!(count >= 0 && count <= journalFieldsMax && Number.isInteger(count)))
      throw new DamagedEntry('its size is wrong');
    const { bytes, at } = this.#load(offset, size, true);
    this.seqnum = number(bytes, at + 16);
    this.realtime = number(bytes, at + 24);
    this.monotonic = number(bytes, at + 32);
    if (!Number.isFinite(this.seqnum + this.realtime)) throw new DamagedEntry('its number or time is wrong');
    this.boot = bytes.toString('latin1', at + 40, at + 56);
    for (let index = 0, place = at + entryHeadBytes; index < count; index++, place += step) {
      fields.push(this.#compact ? bytes.readUInt32LE(place) : number(bytes, place));
    }
  }

  /** The head of a data object of the current entry. Throws DamagedEntry. */
  dataAt(offset: number): DataHead {
    if (!this.#isPlace(offset) || offset >= this.offset) throw new DamagedEntry('a field has no valid place');
    const payloadAt = this.#compact ? 72 : 64;
    const { bytes, at, length } = this.#load(offset, payloadAt, true, dataHeadBytes);
    const size = number(bytes, at + 8);
    if (bytes[at] !== objectType.data || size < payloadAt || offset + size > this.offset)
      throw new DamagedEntry('a field is none');
    return {
      payload: offset + payloadAt,
      length: size - payloadAt,
      compressed: bytes[at + 1]! & 7,
      bytes,
      at: at + payloadAt,
      shown: Math.min(size, length) - payloadAt,
    };
  }

  /**
   * Copies bytes of the file from `place` on to `at` of `into`. Throws DamagedEntry if the file
   * ends before.
   */
  copy(place: number, length: number, into: Uint8Array, at: number): void {
    const from = place - near.start;
    if (near.owner === this && from >= 0 && from + length <= near.length) {
      into.set(near.bytes.subarray(from, from + length), at);
      return;
    }
    if (length > 0 && readSync(this.#descriptor, into, at, length, place) < length)
      throw new DamagedEntry('a field ends behind the file');
  }

  /**
   * Reads at least `least` bytes from `offset` on, and up to `wanted`. Uses the window if it holds
   * them; moves the window if they are just before the current entry; else reads them alone.
   */
  #load(offset: number, least: number, isNear: boolean, wanted = least): { bytes: Buffer; at: number; length: number } {
    const inWindow = near.owner === this && offset >= near.start && offset + least <= near.start + near.length;
    if (!inWindow) {
      const moves = isNear && offset + windowBackBytes >= this.offset;
      if (!moves || least > journalWindowBytes - windowBackBytes) {
        if (least > far.length) throw new DamagedEntry('it is far from its place');
        const length = readSync(this.#descriptor, far, 0, wanted, offset);
        if (length < least) throw this.#ends(isNear);
        return { bytes: far, at: 0, length };
      }
      if (near.bytes.length === 0) near.bytes = Buffer.allocUnsafeSlow(journalWindowBytes);
      near.owner = this;
      near.start = Math.max(0, offset - windowBackBytes);
      near.length = readSync(this.#descriptor, near.bytes, 0, journalWindowBytes, near.start);
    }
    const at = offset - near.start;
    if (at + least > near.length) throw this.#ends(isNear);
    return { bytes: near.bytes, at, length: Math.min(wanted, near.length - at) };
  }

  #ends(isNear: boolean): Error {
    return isNear ? new DamagedEntry('it ends behind the file') : new DamagedFile('it ends within its arrays');
  }
}
