/**
 * Netlink as the backends speak it: messages are encoded here, replies decoded strictly, errors
 * typed. A reply is bytes from outside until checked: every length is bounded by what holds it, a
 * foreign sequence number is counted and ignored, and garbage becomes a NetlinkError, never a crash
 * or a belief. One exchange runs at a time on a socket; the kernel works a request off inside
 * send(), so that its answers are there when send() returns (RFC 3549; linux/netlink.h).
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { sendAwakeMicroseconds } from '../../limits.ts';
import { native } from '../../native.ts';

/** nlmsg_type of the control messages. */
const messageError = 2;
const messageDone = 3;
/** nlmsg_flags. */
export const flagRequest = 0x1;
const flagMulti = 0x2;
export const flagAck = 0x4;
const flagDumpInterrupted = 0x10;
export const flagDump = 0x300;
export const flagExclusive = 0x200;
export const flagCreate = 0x400;
export const flagAppend = 0x800;
/** On an error message: its copy of our request is cut to the header; attributes follow. */
const flagCapped = 0x100;
const flagAckAttributes = 0x200;
/** Attribute type bits that are not part of the type. */
const typeNested = 0x8000;
const typeMask = 0x3fff;

const headerBytes = 16;
const attributeHeaderBytes = 4;
/** nla_len is 16 bits wide. */
export const attributeBytesMax = 0xffff;

/** The kernel fills a dump in datagrams of at most 32 KiB (netlink_dump); ACKs are far smaller. */
const datagramBytesMax = 64 * 1024;
/**
 * SO_SNDBUF and SO_RCVBUF asked for: a batch must fit the first, the ACKs of a large scaffold the
 * second.
 */
const socketBufferBytes = 1024 * 1024;
/** An answer is there when send() returns; this long we believe that it may still come. */
const answerMilliseconds = 2000;
/** EAGAIN or EINTR from send() is tried again this often, with a growing pause. */
const sendTriesMax = 6;
/** A dump that changes under our eyes is started again this often. */
const dumpTriesMax = 8;
/** The kernel's own end at 4095; those of ipset's types follow. */
const errnoMax = 8191;
/**
 * Datagrams left over from an exchange that failed: one per ACK of a scaffold at most; bounds a
 * socket that never ends.
 */
const staleDatagramsMax = 4096;
/** Kernel texts are cut here. */
const kernelTextMax = 256;

/** Numbers the C library knows and Node's table lacks (asm-generic/errno.h, linux/errno.h). */
const otherNames = new Map([
  [85, 'ERESTART'],
  [512, 'ERESTARTSYS'],
  [524, 'ENOTSUPP'],
  // ipset's own (linux/netfilter/ipset/ip_set.h); the last two are those of its hash types.
  [4097, 'IPSET_ERR_PROTOCOL'],
  [4098, 'IPSET_ERR_FIND_TYPE'],
  [4099, 'IPSET_ERR_MAX_SETS'],
  [4100, 'IPSET_ERR_BUSY'],
  [4101, 'IPSET_ERR_EXIST_SETNAME2'],
  [4102, 'IPSET_ERR_TYPE_MISMATCH'],
  [4103, 'IPSET_ERR_EXIST'],
  [4104, 'IPSET_ERR_INVALID_CIDR'],
  [4105, 'IPSET_ERR_INVALID_NETMASK'],
  [4106, 'IPSET_ERR_INVALID_FAMILY'],
  [4107, 'IPSET_ERR_TIMEOUT'],
  [4108, 'IPSET_ERR_REFERENCED'],
  [4109, 'IPSET_ERR_IPADDR_IPV4'],
  [4110, 'IPSET_ERR_IPADDR_IPV6'],
  [4352, 'IPSET_ERR_HASH_FULL'],
  [4353, 'IPSET_ERR_HASH_ELEM'],
]);
const errorNames = new Map(Object.entries(constants.errno).map(([name, errno]) => [errno as number, name]));
// Two names share one number on Linux; these are the ones that the netfilter sources use.
errorNames.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');
errorNames.set(constants.errno.EAGAIN, 'EAGAIN');

/** The symbol of an errno, e.g. 1 → 'EPERM'. */
export function errorName(errno: number): string {
  return errorNames.get(errno) ?? otherNames.get(errno) ?? `errno ${errno}`;
}

/** What the kernel refused, or what we could not learn from it. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  /**
   * Positive errno; ETIMEDOUT = no answer, EBADMSG = an answer we cannot believe, ENOBUFS = an
   * answer was lost.
   */
  readonly errno: number;
  /** Its symbol, e.g. 'EPERM'. */
  readonly code: string;
  /** The kernel's own words (extended ACK), '' when it gave none. */
  readonly kernelMessage: string;
  /** Offset in the request of what the kernel objects to, -1 when it did not say. */
  readonly offset: number;
  /** What was attempted, for people. */
  readonly operation: string;
  /** Sequence number of the message refused, 0 when none is known. */
  readonly sequence: number;

  constructor(
    errno: number,
    operation: string,
    detail: { sequence?: number; kernelMessage?: string; offset?: number; explanation?: string } = {},
  ) {
    const code = errorName(errno);
    const words = detail.kernelMessage || detail.explanation || '';
    super(`${operation}: ${code}${words ? ` (${words})` : ''}`);
    this.errno = errno;
    this.code = code;
    this.kernelMessage = detail.kernelMessage ?? '';
    this.offset = detail.offset ?? -1;
    this.operation = operation;
    this.sequence = detail.sequence ?? 0;
  }
}

/** Where datagrams go and come from: the kernel's socket, or a recorded one in tests. */
export interface Transport {
  /**
   * Hands one datagram over: its length or -errno, at once or later. The bytes do not change until
   * then.
   */
  send(request: Uint8Array): number | Promise<number>;
  /** One datagram into `into` without waiting: its real length (may exceed `into`) or -errno. */
  receive(into: Uint8Array): number;
  /** The same aside, where the kernel may work for long meanwhile; absent where it never does. */
  receiveAside?(into: Uint8Array): Promise<number>;
  /** 1 = something to read, 0 = time is up, or -errno. */
  wait(milliseconds: number): Promise<number>;
  close(): void;
}

/**
 * Opens a socket of `protocol` (linux/netlink.h).
 * @throws NetlinkError
 */
export function openTransport(
  protocol: number,
  { sendBytes = socketBufferBytes, receiveBytes = socketBufferBytes, groups = 0 } = {},
): Transport {
  const fd = native.netlinkOpen(protocol, groups, sendBytes, receiveBytes);
  if (fd < 0) throw new NetlinkError(-fd, `open netlink socket (protocol ${protocol})`);
  return {
    send: (request) => native.netlinkSend(fd, request, sendAwakeMicroseconds),
    receive: (into) => native.netlinkReceive(fd, into),
    receiveAside: (into) => native.netlinkReceiveAside(fd, into),
    wait: (milliseconds) => native.netlinkWait(fd, milliseconds),
    close: () => closeSync(fd),
  };
}

// Buffer's own write methods check every argument again, and the daemon runs them uncompiled: per
// element of a set that is most of what a ban costs in JavaScript.

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
 * Writes messages one after another into one growing buffer. Attributes are written inside a
 * message, nested ones between `begin` and `end`. Integers of netfilter's attributes are
 * big-endian, headers are in the machine's own order (little).
 */
export class MessageWriter {
  #bytes: Buffer;
  #length = 0;
  #messageStart = -1;
  readonly #nests: number[] = [];

  constructor(initialBytes = 4096) {
    this.#bytes = Buffer.allocUnsafe(initialBytes);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written. Valid until the next write. */
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

  /** Bytes of a header that nfgenmsg does not cover. */
  zeros(count: number): void {
    const start = this.#reserve(count);
    this.#bytes.fill(0, start, start + count);
  }

  /** Ends the message, filling its length in. */
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

  /** A NUL-terminated string. */
  text(type: number, value: string): void {
    const count = Buffer.byteLength(value);
    const at = this.#header(type, count + 1);
    this.#bytes.write(value, at);
    this.#bytes[at + count] = 0;
    this.#pad();
  }

  u8(type: number, value: number): void {
    this.#bytes[this.#header(type, 1)] = value;
    this.#pad();
  }

  u16(type: number, value: number): void {
    const at = this.#header(type, 2);
    this.#bytes[at] = value >> 8;
    this.#bytes[at + 1] = value;
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

/** A message of a reply; its payload is bytes [start, end) of the datagram. */
export interface Message {
  type: number;
  flags: number;
  sequence: number;
  start: number;
  end: number;
}

/** The messages of one datagram, as far as they are well-formed, and why the rest is not. */
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
 * Walks the attributes in bytes [start, end): `while (reader.next())` then type, start, end of the
 * payload. Ends at the first attribute that does not fit and says so in `malformed`. Typed reads
 * answer -1 / '' for a payload of wrong size.
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

  u32(): number {
    return this.end - this.start === 4 ? this.#bytes.readUInt32BE(this.start) : -1;
  }

  u64(): number {
    if (this.end - this.start !== 8) return -1;
    return this.#bytes.readUInt32BE(this.start) * 2 ** 32 + this.#bytes.readUInt32BE(this.start + 4);
  }

  /** Whether the payload equals `other`. */
  equals(other: Uint8Array): boolean {
    return this.#bytes.subarray(this.start, this.end).equals(other);
  }

  /** Up to the first NUL. */
  text(): string {
    const stop = this.#bytes.indexOf(0, this.start);
    return this.#bytes.toString('latin1', this.start, stop < 0 || stop > this.end ? this.end : stop);
  }

  /** A copy of the payload. */
  copy(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.start, this.end));
  }
}

/** What an NLMSG_ERROR message says; `errno` 0 is an ACK. null = it cannot be read. */
export interface Verdict {
  errno: number;
  kernelMessage: string;
  offset: number;
}

/** Reads an NLMSG_ERROR payload and the extended ACK behind it. Never throws. */
export function decodeVerdict(bytes: Buffer, message: Message): Verdict | null {
  if (message.end - message.start < 4 + headerBytes) return null;
  const errno = -bytes.readInt32LE(message.start);
  if (errno < 0 || errno > errnoMax) return null;
  const verdict: Verdict = { errno: errno === 0 ? 0 : errno, kernelMessage: '', offset: -1 };
  if ((message.flags & flagAckAttributes) === 0) return verdict;
  const request = message.start + 4;
  const copied = (message.flags & flagCapped) !== 0 ? headerBytes : bytes.readUInt32LE(request);
  if (copied < headerBytes || copied > message.end - request) return verdict;
  const reader = new AttributeReader(bytes, request + ((copied + 3) & ~3), message.end);
  while (reader.next()) {
    if (reader.type === 1) verdict.kernelMessage = printable(reader.text());
    // NLMSGERR_ATTR_OFFS is in the machine's own byte order, unlike netfilter's attributes.
    if (reader.type === 2 && reader.end - reader.start === 4) verdict.offset = bytes.readUInt32LE(reader.start);
  }
  return verdict;
}

function printable(text: string): string {
  return text.slice(0, kernelTextMax).replace(/[^\x20-\x7e]/g, '?');
}

/** A message of a request whose answer is awaited. */
export interface Expected {
  sequence: number;
  operation: string;
}

/** What happened while answers were read, for metrics. */
export interface NetlinkCounters {
  foreign: number;
  interruptedDumps: number;
  lostAnswers: number;
  retriedSends: number;
}

/** A netlink socket with exchanges in order, one at a time. */
export class NetlinkSocket {
  readonly #transport: Transport;
  readonly #answerMilliseconds: number;
  readonly #buffer = Buffer.alloc(datagramBytesMax);
  #sequence = (Math.random() * 0x7fffffff) >>> 0;
  #tail: Promise<unknown> = Promise.resolve();
  readonly counters: NetlinkCounters = { foreign: 0, interruptedDumps: 0, lostAnswers: 0, retriedSends: 0 };

  constructor(transport: Transport, waitMilliseconds = answerMilliseconds) {
    this.#transport = transport;
    this.#answerMilliseconds = waitMilliseconds;
  }

  /**
   * A number no message of this socket bears at the moment; never 0, which the kernel uses for its
   * own.
   */
  nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0 || 1;
    return this.#sequence;
  }

  close(): void {
    this.#transport.close();
  }

  /**
   * Sends one datagram and reads the ACK of every message in `expected`. Resolves when all are
   * there and none is an error.
   * @param strays further messages of ours that may answer, though only with an error (batch begin
   * and end)
   * @throws NetlinkError: of the first message refused; ENOBUFS when an answer was lost (it may
   * have worked: read back);
   *   EMSGSIZE when the datagram is too large for the socket; ETIMEDOUT when nothing came; EBADMSG
   *   for garbage
   */
  exchange(request: Uint8Array, expected: Expected[], strays: Expected[] = []): Promise<void> {
    return this.#inOrder(() => this.#exchange(request, expected, strays));
  }

  /**
   * Asks for a dump and hands every message of it to `visit` (payload after nfgenmsg). Started
   * again when it was interrupted or lost: `restart` then says to forget what was seen. A
   * `tolerant` dump goes on when others write: it may then miss or repeat something.
   */
  dump(
    encode: (writer: MessageWriter, sequence: number) => void,
    operation: string,
    visit: (bytes: Buffer, start: number, end: number) => void,
    restart: () => void,
    { tolerant = false } = {},
  ): Promise<void> {
    return this.#inOrder(async () => {
      for (let tries = 1; ; tries++) {
        const complete = await this.#dumpOnce(encode, operation, visit, tolerant ? 'tolerant' : 'strict');
        if (complete) return;
        restart();
        if (tries === dumpTriesMax) {
          throw new NetlinkError(constants.errno.EINTR, operation, { explanation: 'dump interrupted again and again' });
        }
      }
    });
  }

  /**
   * Asks a question (with flagAck) that is answered by one message, handed to `visit`, and an ACK.
   */
  ask(
    encode: (writer: MessageWriter, sequence: number) => void,
    operation: string,
    visit: (bytes: Buffer, start: number, end: number) => void,
  ): Promise<void> {
    return this.#inOrder(async () => {
      if (await this.#dumpOnce(encode, operation, visit, 'single')) return;
      throw new NetlinkError(constants.errno.ENOBUFS, operation, { explanation: 'the answer was lost' });
    });
  }

  #inOrder<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  /** Throws away what is left of an earlier exchange, so that it cannot be taken for ours. */
  #drain(): void {
    for (let count = 0; count < staleDatagramsMax; count++) {
      const received = this.#transport.receive(this.#buffer);
      if (received === -constants.errno.ENOBUFS || received === -constants.errno.EINTR) continue;
      if (received < 0) return;
      this.counters.foreign++;
    }
  }

  async #send(request: Uint8Array, operation: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      const sent = await this.#transport.send(request);
      if (sent === request.length) return;
      if (sent >= 0) {
        throw new NetlinkError(constants.errno.EBADMSG, operation, {
          explanation: `${sent} bytes of ${request.length} sent`,
        });
      }
      const errno = -sent;
      const passing = errno === constants.errno.EAGAIN || errno === constants.errno.EINTR;
      if (!passing || tries === sendTriesMax) throw new NetlinkError(errno, operation);
      this.counters.retriedSends++;
      await new Promise((resolve) => setTimeout(resolve, 2 ** tries));
    }
  }

  /**
   * The next datagram's length, waiting for it; 0 when none comes in time, -ENOBUFS when one was
   * lost.
   */
  async #receive(operation: string, mayWait: boolean, aside = false): Promise<number> {
    for (let waited = false; ; ) {
      const received =
        aside && this.#transport.receiveAside !== undefined
          ? await this.#transport.receiveAside(this.#buffer)
          : this.#transport.receive(this.#buffer);
      if (received > this.#buffer.length) {
        throw new NetlinkError(constants.errno.EBADMSG, operation, { explanation: `answer of ${received} bytes cut` });
      }
      if (received >= 0) return received;
      const errno = -received;
      if (errno === constants.errno.EINTR) continue;
      if (errno === constants.errno.ENOBUFS) {
        this.counters.lostAnswers++;
        return received;
      }
      if (errno !== constants.errno.EAGAIN) throw new NetlinkError(errno, operation);
      if (waited || !mayWait) return 0;
      const ready = await this.#transport.wait(this.#answerMilliseconds);
      if (ready < 0 && ready !== -constants.errno.EINTR) throw new NetlinkError(-ready, operation);
      if (ready === 0) waited = true;
    }
  }

  async #exchange(request: Uint8Array, expected: Expected[], strays: Expected[]): Promise<void> {
    const operations = new Map([...strays, ...expected].map((each) => [each.sequence, each.operation]));
    const awaited = new Set(expected.map((each) => each.sequence));
    const whole = expected.at(-1)?.operation ?? 'netlink request';
    this.#drain();
    await this.#send(request, whole);

    let refusal: NetlinkError | null = null;
    let lost = false;
    while (awaited.size > 0) {
      // Answers are queued inside send(): after a refusal or a loss there is nothing left to wait
      // for.
      const received = await this.#receive(whole, refusal === null && !lost);
      if (received < 0 && !lost) {
        lost = true;
        continue;
      }
      if (received <= 0) break;
      const { messages, malformed } = decodeMessages(this.#buffer, received);
      for (const message of messages) {
        const operation = operations.get(message.sequence);
        if (message.type !== messageError || operation === undefined) {
          this.counters.foreign++;
          continue;
        }
        const verdict = decodeVerdict(this.#buffer, message);
        if (verdict === null) {
          throw new NetlinkError(constants.errno.EBADMSG, operation, { explanation: 'unreadable ACK' });
        }
        awaited.delete(message.sequence);
        if (verdict.errno !== 0) {
          refusal ??= new NetlinkError(verdict.errno, operation, { sequence: message.sequence, ...verdict });
        }
      }
      if (malformed !== null) throw new NetlinkError(constants.errno.EBADMSG, whole, { explanation: malformed });
    }
    if (refusal !== null) throw refusal;
    if (lost) throw new NetlinkError(constants.errno.ENOBUFS, whole, { explanation: 'the answer was lost' });
    if (awaited.size > 0) {
      throw new NetlinkError(constants.errno.ETIMEDOUT, whole, { explanation: 'the kernel did not answer' });
    }
  }

  /** @returns false when the dump was interrupted or lost a part */
  async #dumpOnce(
    encode: (writer: MessageWriter, sequence: number) => void,
    operation: string,
    visit: (bytes: Buffer, start: number, end: number) => void,
    kind: 'strict' | 'tolerant' | 'single',
  ): Promise<boolean> {
    const sequence = this.nextSequence();
    const writer = new MessageWriter(256);
    encode(writer, sequence);
    this.#drain();
    await this.#send(writer.bytes(), operation);

    let intact = true;
    for (;;) {
      // With each part of a dump that is received, the kernel makes the next: some 10 ms of work in
      // a set of 300,000.
      const received = await this.#receive(operation, true, kind !== 'single');
      if (received < 0 && intact) {
        intact = false;
        continue;
      }
      if (received <= 0) {
        if (!intact) return false;
        throw new NetlinkError(constants.errno.ETIMEDOUT, operation, { explanation: 'the dump did not end' });
      }
      const { messages, malformed } = decodeMessages(this.#buffer, received);
      for (const message of messages) {
        if (message.sequence !== sequence) {
          this.counters.foreign++;
          continue;
        }
        if ((message.flags & flagDumpInterrupted) !== 0) {
          if (intact) this.counters.interruptedDumps++;
          if (kind !== 'tolerant') intact = false;
        }
        if (message.type === messageError || message.type === messageDone) {
          const verdict = this.#endOfDump(message);
          if (verdict === null) {
            throw new NetlinkError(constants.errno.EBADMSG, operation, { explanation: 'unreadable end of dump' });
          }
          if (verdict.errno !== 0) throw new NetlinkError(verdict.errno, operation, { sequence, ...verdict });
          return intact;
        }
        const isPart = kind === 'single' || (message.flags & flagMulti) !== 0;
        if (!isPart || message.end - message.start < 4) {
          throw new NetlinkError(constants.errno.EBADMSG, operation, { explanation: 'not a part of a dump' });
        }
        if (intact) visit(this.#buffer, message.start + 4, message.end);
      }
      if (malformed !== null) throw new NetlinkError(constants.errno.EBADMSG, operation, { explanation: malformed });
      // Our own part of the work takes about a millisecond: let others run in between.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #endOfDump(message: Message): Verdict | null {
    if (message.type === messageError) return decodeVerdict(this.#buffer, message);
    // NLMSG_DONE carries the dump's own result; old kernels send it empty.
    if (message.end - message.start < 4) return { errno: 0, kernelMessage: '', offset: -1 };
    const errno = -this.#buffer.readInt32LE(message.start);
    return errno < 0 || errno > errnoMax ? null : { errno: errno === 0 ? 0 : errno, kernelMessage: '', offset: -1 };
  }
}
