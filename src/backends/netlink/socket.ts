/**
 * A netlink socket. One exchange runs at a time. The kernel does the work inside send(), so the
 * answers are there when send() returns (RFC 3549). A message with another sequence number is
 * ignored; a malformed one becomes a KernelError.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { sendAwakeMicroseconds } from '../../limits.ts';
import { native } from '../../native.ts';
import { Turns } from '../../turns.ts';
import { KernelError } from '../kernel-error.ts';
import * as netlink from './message.ts';

const { EAGAIN, EBADMSG, EINTR, ENOBUFS, ETIMEDOUT } = constants.errno;

/** The kernel fills a dump in datagrams of at most 32 KiB (netlink_dump); ACKs are far smaller. */
const datagramBytesMax = 64 * 1024;
/**
 * Size for SO_SNDBUF and SO_RCVBUF: a batch must fit the first, the ACKs of a large scaffold the
 * second.
 */
const socketBufferBytes = 1024 * 1024;
/** An answer should be there when send() returns; we wait this long for a late one. */
const answerMilliseconds = 2000;
/** How often send() is tried again after EAGAIN or EINTR, with a growing pause. */
const sendTriesMax = 6;
/** How often a dump is restarted because its data changed meanwhile. */
const dumpTriesMax = 8;
/**
 * Datagrams left from a failed exchange: at most one per ACK of a scaffold. Bounds a socket that
 * never ends.
 */
const staleDatagramsMax = 4096;

/** Sends and receives datagrams: the kernel's socket, or a recorded one in tests. */
export interface Transport {
  /**
   * Sends one datagram: its length or -errno, at once or later. The bytes do not change until then.
   */
  send(request: Uint8Array): number | Promise<number>;
  /** Receives one datagram without waiting: its real length (may exceed `into`) or -errno. */
  receive(into: Uint8Array): number;
  /** The same on another thread, for when the kernel may work for long; absent if it never does. */
  receiveAside?(into: Uint8Array): Promise<number>;
  /** 1 = readable, 0 = timeout, or -errno. */
  wait(milliseconds: number): Promise<number>;
  close(): void;
}

/**
 * Opens a socket of `protocol` (linux/netlink.h).
 * @throws KernelError
 */
export function openTransport(
  protocol: number,
  { sendBytes = socketBufferBytes, receiveBytes = socketBufferBytes, groups = 0 } = {},
): Transport {
  const fd = native.netlinkOpen(protocol, groups, sendBytes, receiveBytes);
  if (fd < 0) throw new KernelError(-fd, `open netlink socket (protocol ${protocol})`);
  return {
    send: (request) => native.netlinkSend(fd, request, sendAwakeMicroseconds),
    receive: (into) => native.netlinkReceive(fd, into),
    receiveAside: (into) => native.netlinkReceiveAside(fd, into),
    wait: (milliseconds) => native.netlinkWait(fd, milliseconds),
    close: () => closeSync(fd),
  };
}

/** A message of a request whose ACK we wait for. */
export interface Expected {
  sequence: number;
  operation: string;
}

/** A netlink socket: exchanges in order, one at a time. */
export class NetlinkSocket {
  readonly #transport: Transport;
  readonly #answerMilliseconds: number;
  readonly #buffer = Buffer.alloc(datagramBytesMax);
  #sequence = (Math.random() * 0x7fffffff) >>> 0;
  readonly #turns = new Turns();

  constructor(transport: Transport, waitMilliseconds = answerMilliseconds) {
    this.#transport = transport;
    this.#answerMilliseconds = waitMilliseconds;
  }

  /**
   * A sequence number that no current message of this socket has; never 0, which the kernel uses
   * itself.
   */
  nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0 || 1;
    return this.#sequence;
  }

  close(): void {
    this.#transport.close();
  }

  /**
   * Sends one datagram and reads the ACK of every message in `expected`. Resolves when all have
   * arrived and none is an error. @param strays further messages of ours that may be answered, but
   * only with an error (batch begin and end) @throws KernelError: for the first refused message;
   * ENOBUFS if an answer was lost (the request may have succeeded: read back); EMSGSIZE if the
   * datagram is too large for the socket; ETIMEDOUT if nothing came; EBADMSG if a message is
   * malformed
   */
  exchange(request: Uint8Array, expected: Expected[], strays: Expected[] = []): Promise<void> {
    return this.#turns.take(() => this.#exchange(request, expected, strays));
  }

  /**
   * Requests a dump and calls `visit` for every message of it (payload after nfgenmsg). If it was
   * interrupted or a part was lost, it is requested again; `restart` then says to forget what was
   * visited. A `tolerant` dump continues when others write: it may miss or repeat something.
   */
  dump(
    encode: (writer: netlink.MessageWriter, sequence: number) => void,
    operation: string,
    visit: (bytes: Buffer, start: number, end: number) => void,
    restart: () => void,
    { tolerant = false } = {},
  ): Promise<void> {
    return this.#turns.take(async () => {
      for (let tries = 1; ; tries++) {
        const complete = await this.#dumpOnce(encode, operation, visit, tolerant ? 'tolerant' : 'strict');
        if (complete) return;
        restart();
        if (tries === dumpTriesMax) {
          throw new KernelError(EINTR, operation, 'dump interrupted again and again');
        }
      }
    });
  }

  /**
   * Sends a request (with flagAck) that is answered by one message, passed to `visit`, and an ACK.
   */
  ask(
    encode: (writer: netlink.MessageWriter, sequence: number) => void,
    operation: string,
    visit: (bytes: Buffer, start: number, end: number) => void,
  ): Promise<void> {
    return this.#turns.take(async () => {
      if (await this.#dumpOnce(encode, operation, visit, 'single')) return;
      throw new KernelError(ENOBUFS, operation, 'the answer was lost');
    });
  }

  /**
   * Discards what is left of an earlier exchange, so that it cannot be mistaken for an answer of
   * this one.
   */
  #drain(): void {
    for (let count = 0; count < staleDatagramsMax; count++) {
      const received = this.#transport.receive(this.#buffer);
      if (received === -ENOBUFS || received === -EINTR) continue;
      if (received < 0) return;
    }
  }

  async #send(request: Uint8Array, operation: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      const sent = await this.#transport.send(request);
      if (sent === request.length) return;
      if (sent >= 0) {
        throw new KernelError(EBADMSG, operation, `${sent} bytes of ${request.length} sent`);
      }
      const errno = -sent;
      const passing = errno === EAGAIN || errno === EINTR;
      if (!passing || tries === sendTriesMax) throw new KernelError(errno, operation);
      await new Promise((resolve) => setTimeout(resolve, 2 ** tries));
    }
  }

  /**
   * Waits for the next datagram and returns its length; 0 if none comes in time, -ENOBUFS if one
   * was lost.
   */
  async #receive(operation: string, mayWait: boolean, aside = false): Promise<number> {
    for (let waited = false; ; ) {
      const received =
        aside && this.#transport.receiveAside !== undefined
          ? await this.#transport.receiveAside(this.#buffer)
          : this.#transport.receive(this.#buffer);
      if (received > this.#buffer.length) {
        throw new KernelError(EBADMSG, operation, `answer of ${received} bytes cut`);
      }
      if (received >= 0) return received;
      const errno = -received;
      if (errno === EINTR) continue;
      if (errno === ENOBUFS) return received;
      if (errno !== EAGAIN) throw new KernelError(errno, operation);
      if (waited || !mayWait) return 0;
      const ready = await this.#transport.wait(this.#answerMilliseconds);
      if (ready < 0 && ready !== -EINTR) throw new KernelError(-ready, operation);
      if (ready === 0) waited = true;
    }
  }

  async #exchange(request: Uint8Array, expected: Expected[], strays: Expected[]): Promise<void> {
    const operations = new Map([...strays, ...expected].map((each) => [each.sequence, each.operation]));
    const awaited = new Set(expected.map((each) => each.sequence));
    const whole = expected.at(-1)?.operation ?? 'netlink request';
    this.#drain();
    await this.#send(request, whole);

    let refusal: KernelError | null = null;
    let lost = false;
    while (awaited.size > 0) {
      // Answers are queued inside send(): after a refusal or a loss there is nothing more to wait
      // for.
      const received = await this.#receive(whole, refusal === null && !lost);
      if (received < 0 && !lost) {
        lost = true;
        continue;
      }
      if (received <= 0) break;
      const { messages, malformed } = netlink.decodeMessages(this.#buffer, received);
      for (const message of messages) {
        const operation = operations.get(message.sequence);
        if (message.type !== netlink.messageError || operation === undefined) continue;
        const verdict = netlink.decodeVerdict(this.#buffer, message);
        if (verdict === null) {
          throw new KernelError(EBADMSG, operation, 'unreadable ACK');
        }
        awaited.delete(message.sequence);
        if (verdict.errno !== 0) {
          refusal ??= new KernelError(verdict.errno, operation, verdict.words);
        }
      }
      if (malformed !== null) throw new KernelError(EBADMSG, whole, malformed);
    }
    if (refusal !== null) throw refusal;
    if (lost) throw new KernelError(ENOBUFS, whole, 'the answer was lost');
    if (awaited.size > 0) {
      throw new KernelError(ETIMEDOUT, whole, 'the kernel did not answer');
    }
  }

  /** @returns false if the dump was interrupted or a part was lost */
  async #dumpOnce(
    encode: (writer: netlink.MessageWriter, sequence: number) => void,
    operation: string,
    visit: (bytes: Buffer, start: number, end: number) => void,
    kind: 'strict' | 'tolerant' | 'single',
  ): Promise<boolean> {
    const sequence = this.nextSequence();
    const writer = new netlink.MessageWriter(256);
    encode(writer, sequence);
    this.#drain();
    await this.#send(writer.bytes(), operation);

    let intact = true;
    for (;;) {
      // While one part of a dump is received, the kernel makes the next: some 10 ms of work in a
      // set of 300,000.
      const received = await this.#receive(operation, true, kind !== 'single');
      if (received < 0 && intact) {
        intact = false;
        continue;
      }
      if (received <= 0) {
        if (!intact) return false;
        throw new KernelError(ETIMEDOUT, operation, 'the dump did not end');
      }
      const { messages, malformed } = netlink.decodeMessages(this.#buffer, received);
      for (const message of messages) {
        if (message.sequence !== sequence) continue;
        if ((message.flags & netlink.flagDumpInterrupted) !== 0 && kind !== 'tolerant') intact = false;
        if (message.type === netlink.messageError || message.type === netlink.messageDone) {
          const verdict = this.#endOfDump(message);
          if (verdict === null) {
            throw new KernelError(EBADMSG, operation, 'unreadable end of dump');
          }
          if (verdict.errno !== 0) throw new KernelError(verdict.errno, operation, verdict.words);
          return intact;
        }
        const isPart = kind === 'single' || (message.flags & netlink.flagMulti) !== 0;
        if (!isPart || message.end - message.start < 4) {
          throw new KernelError(EBADMSG, operation, 'not a part of a dump');
        }
        if (intact) visit(this.#buffer, message.start + 4, message.end);
      }
      if (malformed !== null) throw new KernelError(EBADMSG, operation, malformed);
      // Our own part of the work takes about a millisecond: let others run in between.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #endOfDump(message: netlink.Message): netlink.Verdict | null {
    if (message.type === netlink.messageError) return netlink.decodeVerdict(this.#buffer, message);
    // NLMSG_DONE carries the result of the dump; old kernels send it empty.
    if (message.end - message.start < 4) return { errno: 0, words: '' };
    const errno = 0 - this.#buffer.readInt32LE(message.start);
    return errno < 0 || errno > netlink.errnoMax ? null : { errno, words: '' };
  }
}
