/**
 * A netlink socket without a kernel: a function answers each request with datagrams or errnos, in
 * order.
 */
import { constants } from 'node:os';
import type { Transport } from '../../src/backends/netlink/socket.ts';

/** What a receive yields: a datagram, or a negative errno. */
export type Answer = Uint8Array | number;

export interface RecordedTransport extends Transport {
  /** Copies of everything that was sent. */
  readonly requests: Buffer[];
}

/** @param answer the datagrams for a request, or a negative errno that send() itself returns */
export function recordedTransport(answer: (request: Buffer, count: number) => Answer[] | number): RecordedTransport {
  const requests: Buffer[] = [];
  let queue: Answer[] = [];
  return {
    requests,
    async send(request) {
      const copy = Buffer.from(request);
      requests.push(copy);
      const answers = answer(copy, requests.length);
      if (typeof answers === 'number') return answers;
      queue = queue.concat(answers);
      return request.length;
    },
    receive(into) {
      const next = queue.shift();
      if (next === undefined) return -constants.errno.EAGAIN;
      if (typeof next === 'number') return next;
      into.set(next.subarray(0, into.length));
      return next.length;
    },
    wait: async () => (queue.length > 0 ? 1 : 0),
    close() {},
  };
}

/** A netlink message: header and payload, padded. */
export function message(type: number, flags: number, sequence: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc((16 + payload.length + 3) & ~3);
  bytes.writeUInt32LE(16 + payload.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(payload, 16);
  return bytes;
}

/**
 * An NLMSG_ERROR as the kernel sends it with capped ACKs; errno 0 is an ACK, `text` the extended
 * message.
 */
export function acknowledgement(sequence: number, errno = 0, text = ''): Buffer {
  const words = Buffer.from(`${text}\0`);
  const payload = Buffer.alloc(text === '' ? 20 : 24 + ((words.length + 3) & ~3));
  payload.writeInt32LE(-errno, 0);
  payload.writeUInt32LE(16, 4);
  payload.writeUInt32LE(sequence, 12);
  if (text !== '') {
    payload.writeUInt16LE(4 + words.length, 20);
    payload.writeUInt16LE(1, 22);
    words.copy(payload, 24);
  }
  return message(2, 0x100 | (text === '' ? 0 : 0x200), sequence, payload);
}

/** The messages of a request that ask for an ACK: their sequence numbers. */
export function askedSequences(request: Buffer): number[] {
  const sequences: number[] = [];
  for (let at = 0; at + 16 <= request.length; at += (request.readUInt32LE(at) + 3) & ~3) {
    if ((request.readUInt16LE(at + 6) & 4) !== 0) sequences.push(request.readUInt32LE(at + 8));
  }
  return sequences;
}
