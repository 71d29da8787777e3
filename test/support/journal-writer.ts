/**
 * Writes journal files as journald does (systemd's Journal File Format), in each of its forms, so
 * that tests need no journald: regular or compact, fields compressed or not, sealed or not. Hash
 * tables are left out, because a reader in sequence does not use them.
 *
 * The number of entries is written last, as journald does, so that a reader may look at any time.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { zstdCompressSync } from 'node:zlib';

export interface JournalForm {
  compact?: boolean;
  /**
   * The compression of fields longer than `threshold`. xz and lz4 are only claimed: nobody reads
   * those bytes.
   */
  compress?: 'zstd' | 'lz4' | 'xz';
  threshold?: number;
  sealed?: boolean;
  /** Items of the first entry array; each is twice as long as the one before. */
  firstArray?: number;
}

export interface JournalIds {
  fileId: string;
  seqnumId: string;
  bootId: string;
}

export interface WrittenEntry {
  fields: readonly (readonly [name: string, value: string | Uint8Array])[];
  seqnum: number;
  /** Microseconds. */
  realtime: number;
  monotonic?: number;
}

export const journalIds = (): JournalIds => ({
  fileId: randomBytes(16).toString('hex'),
  seqnumId: randomBytes(16).toString('hex'),
  bootId: randomBytes(16).toString('hex'),
});

const headerBytes = 272;
const align = (offset: number): number => Math.ceil(offset / 8) * 8;
const flag = { zstd: 4, lz4: 2, xz: 1 } as const;
const incompatible = { zstd: 8, lz4: 2, xz: 1, keyed: 4, compact: 16 } as const;

export class JournalWriter {
  readonly path: string;
  readonly ids: JournalIds;
  /** Offsets of its entries. */
  readonly places: number[] = [];
  /** Offsets of all its objects. */
  readonly objects: number[] = [];
  readonly #descriptor: number;
  readonly #form: JournalForm;
  readonly #header = Buffer.alloc(headerBytes);
  readonly #data = new Map<string, number>();
  #tail = headerBytes;
  #entries = 0;
  /** The current array: its offset, its items, and how many are used. */
  #array = { at: 0, capacity: 0, used: 0 };

  constructor(path: string, form: JournalForm = {}, ids: JournalIds = journalIds()) {
    this.path = path;
    this.ids = ids;
    this.#form = form;
    this.#descriptor = openSync(path, 'wx+', 0o640);
    const { compress, compact, sealed } = form;
    const header = this.#header;
    header.write('LPKSHHRH', 0, 'latin1');
    header.writeUInt32LE(sealed ? 1 : 0, 8);
    header.writeUInt32LE(
      incompatible.keyed | (compress ? incompatible[compress] : 0) | (compact ? incompatible.compact : 0),
      12,
    );
    header[16] = 1;
    header.write(ids.fileId, 24, 'hex');
    header.write(ids.bootId, 56, 'hex');
    header.write(ids.seqnumId, 72, 'hex');
    header.writeBigUInt64LE(BigInt(headerBytes), 88);
    this.#writeHeader();
    if (sealed) this.#object(7, Buffer.alloc(48));
  }

  append({ fields, seqnum, realtime, monotonic = realtime }: WrittenEntry): void {
    const items = fields.map(([name, value]) =>
      this.#dataOf(Buffer.concat([Buffer.from(`${name}=`, 'latin1'), Buffer.from(value)])),
    );
    const offsets = [...new Set(items)].sort((one, other) => one - other);
    const step = this.#form.compact ? 4 : 16;
    const body = Buffer.alloc(48 + offsets.length * step);
    body.writeBigUInt64LE(BigInt(seqnum), 0);
    body.writeBigUInt64LE(BigInt(realtime), 8);
    body.writeBigUInt64LE(BigInt(monotonic), 16);
    body.write(this.ids.bootId, 24, 'hex');
    for (const [index, offset] of offsets.entries()) {
      if (this.#form.compact) body.writeUInt32LE(offset, 48 + index * step);
      else body.writeBigUInt64LE(BigInt(offset), 48 + index * step);
    }
    const entry = this.#object(3, body);
    this.places.push(entry);
    this.#link(entry);
    if (this.#form.sealed) this.#object(7, Buffer.alloc(48));
    const header = this.#header;
    this.#entries++;
    if (this.#entries === 1) {
      header.writeBigUInt64LE(BigInt(seqnum), 168);
      header.writeBigUInt64LE(BigInt(realtime), 184);
    }
    header.writeBigUInt64LE(BigInt(this.#entries), 152);
    header.writeBigUInt64LE(BigInt(seqnum), 160);
    header.writeBigUInt64LE(BigInt(realtime), 192);
    this.#writeHeader();
  }

  /**
   * Closes the file for good, as journald does: nothing follows. The caller gives it its new name.
   */
  archive(): void {
    this.#header[16] = 2;
    this.#writeHeader();
  }

  /** From now on, the header says that this is another file. */
  become(fileId: string): void {
    this.#header.write(fileId, 24, 'hex');
    this.#writeHeader();
  }

  /** Writes a number of eight bytes anywhere, as a faulty disk may do. */
  poke(place: number, value: bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    this.#write(bytes, place);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #dataOf(payload: Buffer): number {
    const key = payload.toString('latin1');
    const known = this.#data.get(key);
    if (known !== undefined) return known;
    const { compress, threshold = 512, compact } = this.#form;
    const packs = compress !== undefined && payload.length > threshold;
    const stored = packs ? (compress === 'zstd' ? zstdCompressSync(payload) : Buffer.from('packed')) : payload;
    const offset = this.#object(
      1,
      Buffer.concat([Buffer.alloc(compact ? 56 : 48), stored]),
      packs ? flag[compress] : 0,
    );
    this.#data.set(key, offset);
    return offset;
  }

  #link(entry: number): void {
    const size = this.#form.compact ? 4 : 8;
    if (this.#array.used === this.#array.capacity) {
      const capacity = this.#array.capacity === 0 ? (this.#form.firstArray ?? 4) : this.#array.capacity * 2;
      const at = this.#object(6, Buffer.alloc(8 + capacity * size));
      if (this.#array.at === 0) this.#header.writeBigUInt64LE(BigInt(at), 176);
      else this.#write(this.#u64(at), this.#array.at + 16);
      this.#array = { at, capacity, used: 0 };
    }
    const item = this.#form.compact ? Buffer.alloc(4) : this.#u64(entry);
    if (this.#form.compact) item.writeUInt32LE(entry);
    this.#write(item, this.#array.at + 24 + this.#array.used * size);
    this.#array.used++;
  }

  #object(type: number, body: Buffer, flags = 0): number {
    const at = this.#tail;
    this.objects.push(at);
    const bytes = Buffer.alloc(align(16 + body.length));
    bytes[0] = type;
    bytes[1] = flags;
    bytes.writeBigUInt64LE(BigInt(16 + body.length), 8);
    body.copy(bytes, 16);
    this.#write(bytes, at);
    this.#header.writeBigUInt64LE(BigInt(at), 136);
    this.#tail = at + bytes.length;
    return at;
  }

  #u64(value: number): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  }

  #writeHeader(): void {
    this.#header.writeBigUInt64LE(BigInt(this.#tail - headerBytes), 96);
    this.#write(this.#header, 0);
  }

  #write(bytes: Uint8Array, at: number): void {
    writeSync(this.#descriptor, bytes, 0, bytes.length, at);
  }
}

/** An entry about a failed login of sshd, as journald stores it. */
export function sshdEntry(seqnum: number, realtime: number, message: string | Uint8Array): WrittenEntry {
  return {
    seqnum,
    realtime,
    fields: [
      ['_SYSTEMD_UNIT', 'ssh.service'],
      ['SYSLOG_IDENTIFIER', 'sshd'],
      ['_COMM', 'sshd'],
      ['_PID', String(1_000 + (seqnum % 30_000))],
      ['MESSAGE', message],
    ],
  };
}
