/**
 * Netlink messages: encoding, and strict decoding of replies. A reply is untrusted until checked:
 * every length is compared with what contains it (linux/netlink.h).
 */
/** nlmsg_type of the control messages. */
export const messageError = 2;
export const messageDone = 3;
/** nlmsg_flags. */
export const flagRequest = 0x1;
export const flagMulti = 0x2;
export const flagAck = 0x4;
export const flagDumpInterrupted = 0x10;
export const flagDump = 0x300;
export const flagCreate = 0x400;
export const flagAppend = 0x800;
/** On an error message: its copy of our request is only the header; attributes follow. */
const flagCapped = 0x100;
const flagAckAttributes = 0x200;
/** NLMSGERR_ATTR_MSG. */
const attributeMessage = 1;
/** Bits of an attribute's type field that are not part of the type. */
const typeNested = 0x8000;
const typeMask = 0x3fff;

const headerBytes = 16;
const attributeHeaderBytes = 4;
/** nla_len is 16 bits wide. */
export const attributeBytesMax = 0xffff;

/** The kernel's own errnos end at 4095; those of ipset's types follow. */
export const errnoMax = 8191;
/** Kernel texts are cut here. */
const kernelTextMax = 256;

// Buffer's own write methods check every argument again, and the daemon runs them uncompiled. For
// an element of a set they would be most of what a ban costs in JavaScript.

function putLittle16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >> 8;
}

function putLittle32(bytes: Uint8Array, at: number, value: number): void {
  putLittle16(bytes, at, value);
  putLittle16(bytes, at + 2, value >> 16);
}

function putBig32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24;
  bytes[at + 1] = value >> 16;
  bytes[at + 2] = value >> 8;
  bytes[at + 3] = value;
}

/**
 * An attribute: its number, and a text, a 32-bit number (big-endian), bytes, or nested attributes.
 */
export type Field = readonly [type: number, value: string | number | Uint8Array | readonly Field[]];

/**
 * Writes messages one after another into one growing buffer. Attributes are written inside a
 * message, nested ones between `begin` and `end`. Integers in netfilter's attributes are
 * big-endian, headers have the machine's byte order (little-endian).
 */
export class MessageWriter {
  #bytes: Buffer;
  #length = 0;
  #messageStart = -1;
  readonly #nests: number[] = [];

  constructor(initialBytes = 4096) {
    this.#bytes = Buffer.allocUnsafe(initialBytes);
  }

  /** Number of bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** The written bytes. Valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): number {
    const start = this.#length;
    const needed = start + count;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, start);
      this.#bytes = larger;
    }
    this.#length = needed;
    return start;
  }

  #pad(): void {
    const rest = this.#length & 3;
    if (rest === 0) return;
    for (let at = this.#reserve(4 - rest); at < this.#length; at++) this.#bytes[at] = 0;
  }

  /** Starts a message: nlmsghdr and nfgenmsg (family, resource id). */
  beginMessage(type: number, flags: number, sequence: number, family: number, resource = 0): void {
    const start = this.#reserve(headerBytes + 4);
    this.#messageStart = start;
    const bytes = this.#bytes;
    putLittle32(bytes, start, 0);
    putLittle16(bytes, start + 4, type);
    putLittle16(bytes, start + 6, flags);
    putLittle32(bytes, start + 8, sequence);
    putLittle32(bytes, start + 12, 0);
    bytes[start + 16] = family;
    bytes[start + 17] = 0;
    bytes[start + 18] = resource >> 8;
    bytes[start + 19] = resource;
  }

  /** Zeros for the rest of a header that is longer than nfgenmsg. */
  zeros(count: number): void {
    const start = this.#reserve(count);
    this.#bytes.fill(0, start, start + count);
  }

  /** Ends the message: writes its length into the header. */
  endMessage(): void {
    if (this.#nests.length !== 0) throw new Error('message ended inside a nested attribute');
    putLittle32(this.#bytes, this.#messageStart, this.#length - this.#messageStart);
  }

  #header(type: number, payloadBytes: number): number {
    const length = attributeHeaderBytes + payloadBytes;
    if (length > attributeBytesMax) throw new RangeError(`attribute of ${length} bytes`);
    const start = this.#reserve(length);
    putLittle16(this.#bytes, start, length);
    putLittle16(this.#bytes, start + 2, type);
    return start + attributeHeaderBytes;
  }

  begin(type: number): void {
    this.#nests.push(this.#length);
    this.#header(type | typeNested, 0);
  }

  end(): void {
    const start = this.#nests.pop();
    if (start === undefined) throw new Error('no nested attribute is open');
    const length = this.#length - start;
    if (length > attributeBytesMax) throw new RangeError(`nested attribute of ${length} bytes`);
    putLittle16(this.#bytes, start, length);
  }

  raw(type: number, payload: Uint8Array, from = 0, to = payload.length): void {
    const at = this.#header(type, to - from);
    for (let index = from; index < to; index++) this.#bytes[at + index - from] = payload[index]!;
    this.#pad();
  }

  /** Writes `frame` once for each key of `keyBytes` bytes, with the key at the frame's end. */
  framed(frame: Uint8Array, keys: Uint8Array, keyBytes: number): void {
    let at = this.#reserve((keys.length / keyBytes) * frame.length);
    const bytes = this.#bytes;
    for (let key = 0; key < keys.length; at += frame.length) {
      bytes.set(frame, at);
      for (let to = at + frame.length - keyBytes; to < at + frame.length; to++) bytes[to] = keys[key++]!;
    }
  }

  fields(fields: readonly Field[]): void {
    for (const [type, value] of fields) {
      if (typeof value === 'string') this.text(type, value);
      else if (typeof value === 'number') this.u32(type, value);
      else if (value instanceof Uint8Array) this.raw(type, value);
      else {
        this.begin(type);
        this.fields(value);
        this.end();
      }
    }
  }

  /** A NUL-terminated string. */
  text(type: number, value: string): void {
    const count = Buffer.byteLength(value);
    const at = this.#header(type, count + 1);
    this.#bytes.write(value, at);
    this.#bytes[at + count] = 0;
    this.#pad();
  }

  u32(type: number, value: number): void {
    const at = this.#header(type, 4);
    putBig32(this.#bytes, at, value);
  }

  /** A non-negative whole number below 2^53. */
  u64(type: number, value: number): void {
    const at = this.#header(type, 8);
    putBig32(this.#bytes, at, Math.floor(value / 2 ** 32));
    putBig32(this.#bytes, at + 4, value % 2 ** 32);
  }
}

/** One message of a reply; its payload is bytes [start, end) of the datagram. */
export interface Message {
  type: number;
  flags: number;
  sequence: number;
  start: number;
  end: number;
}

/** The well-formed messages of one datagram, and what is wrong with the rest. */
export interface Datagram {
  messages: Message[];
  malformed: string | null;
}

/** Splits bytes [0, length) into messages. Never throws. */
export function decodeMessages(bytes: Buffer, length: number): Datagram {
  const messages: Message[] = [];
  let at = 0;
  while (at < length) {
    if (length - at < headerBytes) return { messages, malformed: `${length - at} bytes left, no header` };
    const size = bytes.readUInt32LE(at);
    if (size < headerBytes || size > length - at) {
      return { messages, malformed: `message claims ${size} bytes of ${length - at}` };
    }
    messages.push({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      start: at + headerBytes,
      end: at + size,
    });
    at += (size + 3) & ~3;
  }
  return { messages, malformed: null };
}

/**
 * Reads the attributes in bytes [start, end): `while (reader.next())`, then type, start and end of
 * the payload. Stops at the first attribute that does not fit and sets `malformed`. Typed reads
 * return -1 or '' for a payload of wrong size.
 */
export class AttributeReader {
  readonly #bytes: Buffer;
  readonly #limit: number;
  #next: number;
  type = 0;
  start = 0;
  end = 0;
  malformed = false;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#limit = Math.min(end, bytes.length);
    this.#next = start;
  }

  next(): boolean {
    const left = this.#limit - this.#next;
    if (left < attributeHeaderBytes) {
      if (left > 0) this.malformed = true;
      return false;
    }
    const length = this.#bytes.readUInt16LE(this.#next);
    if (length < attributeHeaderBytes || length > left) {
      this.malformed = true;
      return false;
    }
    this.type = this.#bytes.readUInt16LE(this.#next + 2) & typeMask;
    this.start = this.#next + attributeHeaderBytes;
    this.end = this.#next + length;
    this.#next += (length + 3) & ~3;
    return true;
  }

  /** The attributes inside the current one. */
  nested(): AttributeReader {
    return new AttributeReader(this.#bytes, this.start, this.end);
  }

  /** Passes the payload to `decode`. */
  decode<Decoded>(decode: (bytes: Buffer, start: number, end: number) => Decoded): Decoded {
    return decode(this.#bytes, this.start, this.end);
  }

  u32(): number {
    return this.end - this.start === 4 ? this.#bytes.readUInt32BE(this.start) : -1;
  }

  u64(): number {
    if (this.end - this.start !== 8) return -1;
    return this.#bytes.readUInt32BE(this.start) * 2 ** 32 + this.#bytes.readUInt32BE(this.start + 4);
  }

  /** The text up to the first NUL. */
  text(): string {
    const stop = this.#bytes.indexOf(0, this.start);
    return this.#bytes.toString('latin1', this.start, stop < 0 || stop > this.end ? this.end : stop);
  }

  /** A copy of the payload. */
  copy(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.start, this.end));
  }
}

/** The content of an NLMSG_ERROR message; `errno` 0 is an ACK. null = malformed. */
export interface Verdict {
  errno: number;
  /** The kernel's own words; '' if it gave none. */
  words: string;
}

/** Decodes an NLMSG_ERROR payload and the extended ACK after it. Never throws. */
export function decodeVerdict(bytes: Buffer, message: Message): Verdict | null {
  if (message.end - message.start < 4 + headerBytes) return null;
  const errno = 0 - bytes.readInt32LE(message.start);
  if (errno < 0 || errno > errnoMax) return null;
  const verdict: Verdict = { errno, words: '' };
  if ((message.flags & flagAckAttributes) === 0) return verdict;
  const request = message.start + 4;
  const copied = (message.flags & flagCapped) !== 0 ? headerBytes : bytes.readUInt32LE(request);
  if (copied < headerBytes || copied > message.end - request) return verdict;
  const reader = new AttributeReader(bytes, request + ((copied + 3) & ~3), message.end);
  while (reader.next()) if (reader.type === attributeMessage) verdict.words = printable(reader.text());
  return verdict;
}

function printable(text: string): string {
  return text.slice(0, kernelTextMax).replace(/[^\x20-\x7e]/g, '?');
}
