/**
 * The netlink codec with any input: what we write reads back the same, and no reply, however cut,
 * forged or mixed with messages of others, crashes it, hangs it or makes it accept something that
 * was not sent.
 */
import { constants } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { AttributeReader, decodeMessages, decodeVerdict, MessageWriter } from '../../src/backends/netlink/message.ts';
import { NetlinkSocket } from '../../src/backends/netlink/socket.ts';
import { decodeChain, decodeElements, decodeRule, decodeSet, decodeTable } from '../../src/backends/nftables/decode.ts';
import { Batch, encodeDump } from '../../src/backends/nftables/messages.ts';
import { command } from '../../src/backends/nftables/numbers.ts';
import { decodeMembers } from '../../src/backends/xtables/ipset.ts';
import { acknowledgement, askedSequences, message, recordedTransport } from '../support/recorded-transport.ts';

type Node = { type: number; value: Uint8Array | Node[] };

const leaf = fc.record({ type: fc.integer({ min: 1, max: 0x3fff }), value: fc.uint8Array({ maxLength: 40 }) });
const tree = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.record({ type: fc.integer({ min: 1, max: 0x3fff }), value: fc.array(tie('node'), { maxLength: 4 }) }),
  ),
})).node;

function write(writer: MessageWriter, node: Node): void {
  if (node.value instanceof Uint8Array) {
    writer.raw(node.type, node.value);
    return;
  }
  writer.begin(node.type);
  for (const child of node.value) write(writer, child);
  writer.end();
}

function expectSame(reader: AttributeReader, nodes: Node[]): void {
  for (const node of nodes) {
    expect(reader.next()).toBe(true);
    expect(reader.type).toBe(node.type);
    if (node.value instanceof Uint8Array) expect(reader.copy().equals(node.value)).toBe(true);
    else expectSame(reader.nested(), node.value);
  }
  expect(reader.next()).toBe(false);
  expect(reader.malformed).toBe(false);
}

/** Bytes that look like netlink, then damaged: bits set, cut, repeated. */
const damaged = (bytes: fc.Arbitrary<Uint8Array>) =>
  fc
    .tuple(bytes, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), fc.nat())
    .map(([original, changes, cut]) => {
      const copy = Buffer.from(original);
      for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value;
      return copy.subarray(0, copy.length - (cut % (copy.length + 1)));
    });

const wellFormed = fc.array(tree, { maxLength: 4 }).map((nodes) => {
  const writer = new MessageWriter(16);
  writer.beginMessage(0xa0c, 2, 7, 1);
  for (const node of nodes) write(writer, node);
  writer.endMessage();
  return Buffer.from(writer.bytes());
});

const hostile = fc.oneof(
  damaged(wellFormed),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);

/** Walks everything that a decoder could get. It returns nothing; it only must come to an end. */
function walk(reader: AttributeReader, depth: number): number {
  let count = 0;
  while (reader.next()) {
    count++;
    reader.u32();
    reader.u64();
    reader.text();
    reader.copy();
    if (depth > 0) count += walk(reader.nested(), depth - 1);
  }
  return count;
}

describe('netlink codec', () => {
  test('what is written reads back the same', () => {
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 5 }), fc.nat(0xffff), fc.nat(0xffffffff), (nodes, type, sequence) => {
        const writer = new MessageWriter(16);
        writer.beginMessage(type, 5, sequence, 1);
        for (const node of nodes) write(writer, node);
        writer.endMessage();
        const bytes = Buffer.from(writer.bytes());
        const { messages, malformed } = decodeMessages(bytes, bytes.length);
        expect(malformed).toBe(null);
        expect(messages).toEqual([{ type, flags: 5, sequence, start: 16, end: bytes.length }]);
        expectSame(new AttributeReader(bytes, 20, bytes.length), nodes);
      }),
    );
  });

  test('numbers and texts read back the same', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.maxSafeNat(), fc.stringMatching(/^[ -~]{0,30}$/), (short, long, text) => {
        const writer = new MessageWriter(16);
        writer.beginMessage(1, 0, 1, 0);
        writer.u32(1, short);
        writer.u64(2, long);
        writer.text(3, text);
        writer.endMessage();
        const reader = new AttributeReader(Buffer.from(writer.bytes()), 20, writer.length);
        reader.next();
        expect(reader.u32()).toBe(short);
        expect(reader.u64()).toBe(-1);
        reader.next();
        expect(reader.u64()).toBe(long);
        reader.next();
        expect(reader.text()).toBe(text);
      }),
    );
  });

  test('elements read back the same, over as many messages as they need', () => {
    const element = fc.record({
      key: fc.uint8Array({ minLength: 4, maxLength: 4 }),
      timeoutMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 40 })),
    });
    fc.assert(
      fc.property(fc.array(element, { minLength: 1, maxLength: 8 }), fc.constantFrom(1, 900), (elements, repeat) => {
        const many = Array.from({ length: repeat }, () => elements).flat();
        let sequence = 0;
        const batch = new Batch('table', () => ++sequence);
        batch.addElements('set', many);
        const bytes = Buffer.from(batch.finish());
        const { messages, malformed } = decodeMessages(bytes, bytes.length);
        expect(malformed).toBe(null);
        expect(messages.length).toBe(2 + Math.ceil(many.length / 1250));
        let index = 0;
        for (const { start, end } of messages.slice(1, -1)) {
          const whole = decodeElements(bytes, start + 4, end, 4, (at, remaining) => {
            const { key, timeoutMs } = many[index++]!;
            expect(bytes.subarray(at, at + 4).equals(key)).toBe(true);
            expect(remaining).toBe(timeoutMs);
          });
          expect(whole).toBe(true);
        }
        expect(index).toBe(many.length);
      }),
      { numRuns: 30 },
    );
  });

  test('no bytes crash a decoder, and none reads beyond what it was given', () => {
    fc.assert(
      fc.property(hostile, (bytes) => {
        const { messages } = decodeMessages(bytes, bytes.length);
        let end = 0;
        for (const each of messages) {
          expect(each.start).toBeGreaterThanOrEqual(end + 16);
          expect(each.end).toBeLessThanOrEqual(bytes.length);
          end = each.end;
          decodeVerdict(bytes, each);
          const count = walk(new AttributeReader(bytes, each.start, each.end), 3);
          expect(count).toBeLessThanOrEqual(bytes.length * 4);
          for (const decode of [decodeChain, decodeSet, decodeRule, decodeTable]) decode(bytes, each.start, each.end);
          for (const decode of [decodeElements, decodeMembers]) {
            decode(bytes, each.start, each.end, 4, (at) => expect(at + 4).toBeLessThanOrEqual(each.end));
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a member of an ipset that is cut is not delivered', () => {
    const writer = new MessageWriter(64);
    writer.beginMessage(0x60f, 2, 1, 1);
    writer.begin(8);
    writer.begin(7);
    writer.begin(1);
    writer.raw(1, Uint8Array.of(203, 0, 113, 1));
    writer.end();
    writer.raw(6, Uint8Array.of(0, 0, 0, 9));
    writer.end();
    writer.end();
    writer.endMessage();
    const bytes = Buffer.from(writer.bytes());
    const seen: number[][] = [];
    expect(decodeMembers(bytes, 20, bytes.length, 4, (...member) => seen.push(member))).toBe(true);
    expect(seen).toEqual([[36, 9_000]]);
    for (let length = 21; length < bytes.length; length++) {
      expect(decodeMembers(bytes, 20, length, 4, () => expect.unreachable('a cut member'))).toBe(false);
    }
    // The lengths of all around it are right; its time is too short, or reaches beyond it.
    for (const length of [6, 200]) {
      bytes.writeUInt16LE(length, 40);
      expect(decodeMembers(bytes, 20, bytes.length, 4, () => expect.unreachable('a cut time'))).toBe(false);
    }
  });

  test('an element whose attributes lie is not delivered', () => {
    const writer = new MessageWriter(64);
    writer.beginMessage(0xa0c, 2, 1, 1);
    writer.begin(3);
    writer.begin(1);
    writer.begin(1);
    writer.raw(1, Uint8Array.of(203, 0, 113, 1));
    writer.end();
    writer.end();
    writer.end();
    writer.endMessage();
    const bytes = Buffer.from(writer.bytes());
    const seen: number[] = [];
    expect(decodeElements(bytes, 20, bytes.length, 4, (at) => seen.push(at))).toBe(true);
    expect(seen).toEqual([36]);
    for (let length = 21; length < bytes.length; length++) {
      expect(decodeElements(bytes, 20, length, 4, () => expect.unreachable('a cut element'))).toBe(false);
    }
    expect(decodeElements(bytes, 20, bytes.length, 16, () => expect.unreachable('a key of other length'))).toBe(false);
  });
});

describe('netlink exchange', () => {
  const ask = (socket: NetlinkSocket) => {
    const batch = new Batch('t', () => socket.nextSequence());
    batch.addElements('s', [{ key: Uint8Array.of(203, 0, 113, 1), timeoutMs: 0 }]);
    batch.addElements('s', [{ key: Uint8Array.of(203, 0, 113, 2), timeoutMs: 0 }]);
    return socket.exchange(batch.finish(), batch.expected, batch.strays);
  };

  test('no reply but every ACK is believed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(hostile, fc.constantFrom(-105, -4)), { maxLength: 6 }), async (answers) => {
        const socket = new NetlinkSocket(recordedTransport(() => answers));
        await expect(ask(socket)).rejects.toBeInstanceOf(KernelError);
      }),
      { numRuns: 500 },
    );
  });

  test('foreign messages among the ACKs change nothing', async () => {
    const foreign = fc.oneof(
      fc.nat(0x7fffffff).map((sequence) => acknowledgement((sequence | 0x80000000) >>> 0, 1)),
      fc.uint8Array({ maxLength: 30 }).map((payload) => message(0xa0c, 0, 0, payload)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(foreign, { maxLength: 5 }), fc.boolean(), async (strangers, together) => {
        const transport = recordedTransport((request) => {
          const parts = [...strangers, ...askedSequences(request).map((sequence) => acknowledgement(sequence))];
          return together ? [Buffer.concat(parts)] : parts;
        });
        await expect(ask(new NetlinkSocket(transport))).resolves.toBeUndefined();
      }),
    );
  });

  test('a dump over hostile bytes ends with a typed error or with nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(hostile, fc.constantFrom(-105, -4)), { maxLength: 6 }), async (answers) => {
        const socket = new NetlinkSocket(recordedTransport(() => answers));
        const work = socket.dump(
          (writer, sequence) => encodeDump(writer, sequence, command.getElement),
          'list',
          () => undefined,
          () => undefined,
        );
        await expect(work).rejects.toBeInstanceOf(KernelError);
      }),
      { numRuns: 300 },
    );
  });

  test('an interrupted dump starts again and forgets what it saw', async () => {
    const part = (sequence: number, flags: number, value: number) =>
      message(0xa00, 2 | flags, sequence, Buffer.from([1, 0, 0, 0, value]));
    const done = (sequence: number) => message(3, 2, sequence, Buffer.alloc(4));
    const transport = recordedTransport((request, count) => {
      const sequence = request.readUInt32LE(8);
      if (count === 1) return [part(sequence, 0, 1), part(sequence, 0x10, 2), done(sequence)];
      if (count === 2) return [part(sequence, 0, 3), -constants.errno.ENOBUFS, done(sequence)];
      return [part(sequence, 0, 4), Buffer.concat([part(sequence, 0, 5), done(sequence)])];
    });
    const socket = new NetlinkSocket(transport);
    let seen: number[] = [];
    await socket.dump(
      (writer, sequence) => encodeDump(writer, sequence, command.getTable),
      'list',
      (bytes, start) => seen.push(bytes[start]!),
      () => {
        seen = [];
      },
    );
    expect(seen).toEqual([4, 5]);
    expect(transport.requests.length).toBe(3);
  });

  test('an error in the middle is the one reported, with the words of the kernel', async () => {
    const transport = recordedTransport((request) => {
      const [first, second] = askedSequences(request);
      return [acknowledgement(first!), acknowledgement(second!, 28, 'No room\nfor \x1b[31mmore')];
    });
    const error = await ask(new NetlinkSocket(transport)).catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      name: 'KernelError',
      errno: 28,
      code: 'ENOSPC',
      operation: 'add 1 element of set s',
      message: 'add 1 element of set s: ENOSPC (No room?for ?[31mmore)',
    });
  });

  test('a refused batch begin is reported though no ACK was asked of it', async () => {
    const socket = new NetlinkSocket(recordedTransport((request) => [acknowledgement(request.readUInt32LE(8), 1)]));
    await expect(ask(socket)).rejects.toMatchObject({ code: 'EPERM', operation: 'batch begin' });
  });

  test('EAGAIN and EINTR from send are tried again, EMSGSIZE is not', async () => {
    const transport = recordedTransport((request, count) => {
      if (count < 3) return count === 1 ? -constants.errno.EAGAIN : -constants.errno.EINTR;
      return askedSequences(request).map((sequence) => acknowledgement(sequence));
    });
    await ask(new NetlinkSocket(transport));
    expect(transport.requests.length).toBe(3);
    const full = recordedTransport(() => -constants.errno.EMSGSIZE);
    await expect(ask(new NetlinkSocket(full))).rejects.toMatchObject({ code: 'EMSGSIZE' });
    expect(full.requests.length).toBe(1);
  });

  test('answers of an exchange that failed are not taken for those of the next', async () => {
    const transport = recordedTransport((request, count) => {
      const asked = askedSequences(request);
      if (count === 1) return [acknowledgement(asked[0]!, 2), acknowledgement(asked[1]!, 2), acknowledgement(7, 2)];
      return asked.map((sequence) => acknowledgement(sequence));
    });
    const socket = new NetlinkSocket(transport);
    const [first, second] = await Promise.allSettled([ask(socket), ask(socket)]);
    expect(first.status).toBe('rejected');
    expect(second.status).toBe('fulfilled');
  });
});
