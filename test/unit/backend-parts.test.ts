/**
 * The parts that backends share, one by one: keys and elements, groups of changes, names of errors,
 * the writer of messages, the netlink socket's refusals, and what each row of the choice loads.
 */
import { constants } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { backendRows, chooseBackend, NoBackendError } from '../../src/backends/choose.ts';
import * as elements from '../../src/backends/elements.ts';
import { errorName, KernelError } from '../../src/backends/kernel-error.ts';
import { LogOnlyBackend } from '../../src/backends/log-only.ts';
import { kernelName } from '../../src/backends/names.ts';
import { AttributeReader, decodeMessages, decodeVerdict, MessageWriter } from '../../src/backends/netlink/message.ts';
import { NetlinkSocket, openTransport } from '../../src/backends/netlink/socket.ts';
import { bansMaxLargest, changesPerTransactionMax, timeoutToleranceMs } from '../../src/limits.ts';
import { native } from '../../src/native.ts';
import type { Backend, Change, JailScaffold } from '../../src/types.ts';
import { address, ban, everything, refusal, unban } from '../support/recorded-scenes.ts';
import { type Answer, acknowledgement, message, recordedTransport } from '../support/recorded-transport.ts';

const { EAGAIN, EBADF, EINTR, ENOBUFS } = constants.errno;

const four: elements.SetShape = { name: 'four', family: 4, prefix: 32 };
const wide: elements.SetShape = { name: 'wide', family: 4, prefix: 20 };
const six: elements.SetShape = { name: 'six', family: 6, prefix: 64 };
const odd: elements.SetShape = { name: 'odd', family: 6, prefix: 60 };
const hex = (key: Uint8Array) => Buffer.from(key).toString('hex');
const refusalOf = (work: () => unknown): Error => {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was not refused');
};

describe('a key', () => {
  test.each<[string, elements.SetShape, string]>([
    ['203.0.113.7', four, 'cb007107'],
    ['203.0.127.0/20', wide, 'cb007000'],
    ['203.0.113.7', wide, 'cb007107'],
    ['2001:db8:1:2::/64', six, '20010db8000100020000000000000000'],
    ['2001:db8:1:2ff::/60', odd, '20010db8000102f00000000000000000'],
    ['2001:db8::7', six, '20010db8000000000000000000000007'],
    ['2002:cb00:7105::/48', six, '2002cb00710500000000000000000000'],
  ])('of %s in the set $name', (text, set, key) => {
    expect(hex(elements.toKey(set, address(text)))).toBe(key);
  });

  test('as a text is the same key again, wherever it stands', () => {
    const bytes = Uint8Array.of(9, 9, 203, 0, 113, 7, 9, 9);
    const text = elements.keyText(bytes, 2, 4);
    expect(text).toBe('\ucb00\u7107');
    expect(hex(elements.keyOfText(text))).toBe('cb007107');
  });

  test('is an address again', () => {
    const same = (set: elements.SetShape, text: string) =>
      expect(elements.toAddress(set, elements.toKey(set, address(text)))).toEqual(address(text));
    same(four, '203.0.113.7');
    same(wide, '203.0.112.0/20');
    same(six, '2001:db8:1:2::/64');
    same(six, '2001:db8::7');
    same(six, '2002:cb00:7105::/48');
  });
});

test('the longer of two times is the one without end', () => {
  expect([elements.longer(0, 5), elements.longer(5, 0), elements.longer(5, 7), elements.longer(7, 5)]).toEqual([
    0, 0, 7, 7,
  ]);
});

test.each([
  [0, 0, true],
  [0, 9_000, false],
  [9_000, 0, false],
  [9_000, 9_000, true],
  [9_000 - timeoutToleranceMs, 9_000, true],
  [9_000 - timeoutToleranceMs - 1, 9_000, false],
])('%i ms in the kernel for %i wanted: %s', (remaining, wanted, enough) => {
  expect(elements.isLongEnough(remaining, wanted)).toBe(enough);
});

describe('a set for an address', () => {
  const sets = { 4: four, 6: six };
  test('is that of its family', () => {
    expect(elements.setFor(sets, 'sshd', address('203.0.113.7'))).toBe(four);
    expect(elements.setFor(sets, 'sshd', address('2001:db8::/64'))).toBe(six);
    expect(elements.setFor(sets, 'sshd', address('2001:db8::7'))).toBe(six);
  });

  test('is refused for a jail that is not there, and for another prefix', () => {
    const unknown = refusalOf(() => elements.setFor(undefined, 'sshd', address('203.0.113.7')));
    expect(unknown.message).toBe('jail sshd is not installed');
    expect(unknown.name).toBe('UnsupportedChange');
    expect(refusalOf(() => elements.setFor(sets, 'sshd', address('2001:db8::/56'))).message).toBe(
      'jail sshd bans /64 of IPv6, not /56',
    );
    // Its key would be that of the prefix.
    expect(() => elements.setFor(sets, 'sshd', address('2001:db8::/128'))).toThrow('not /128');
  });
});

describe('changes', () => {
  const set = () => four;
  const group = (...changes: Change[]) =>
    elements.groupChanges(changes, 0, changes.length, set).map(({ bans, unbans }) => ({
      bans: bans.map(({ key, timeoutMs }) => `${hex(key)} ${timeoutMs}`),
      unbans: unbans.map(({ key }) => hex(key)),
    }));

  test('of one address: the last one counts; a ban that is over is an unban', () => {
    expect(group(ban('203.0.113.1', 1.5), ban('203.0.113.2', -1), ban('203.0.113.3'), unban('203.0.113.3'))).toEqual([
      { bans: ['cb007101 2'], unbans: ['cb007102', 'cb007103'] },
    ]);
    expect(group(unban('203.0.113.1'), ban('203.0.113.1', 0))).toEqual([{ bans: ['cb007101 0'], unbans: [] }]);
  });

  const of = (count: number): elements.Element[] =>
    Array.from({ length: count }, (_, index) => ({ key: Uint8Array.of(10, 0, 0, index), timeoutMs: 0 }));
  const shape = (parts: Iterable<elements.SetChanges<elements.SetShape>>) =>
    [...parts].map(({ bans, unbans }) => [bans, unbans].map((each) => each.map(({ key }) => key[3])));

  test('in parts are all of them, in order', () => {
    expect(shape(elements.inParts({ set: four, bans: of(5), unbans: of(3) }, 2))).toEqual([
      [[0, 1], []],
      [[2, 3], []],
      [[4], []],
      [[], [0, 1]],
      [[], [2]],
    ]);
    expect(shape(elements.inParts({ set: four, bans: of(2), unbans: [] }, 2))).toEqual([[[0, 1], []]]);
  });

  test('in smaller transactions: first by set, then in halves, and never a single one', () => {
    const [one, two, three] = [1, 2, 3].map((count) => ({ set: four, bans: of(count), unbans: [] }));
    expect(elements.smaller([one!, two!, three!])).toEqual([[one], [two, three]]);
    expect(elements.smaller([three!]).map(shape)).toEqual([[[[0, 1], []]], [[[2], []]]]);
    expect(elements.smaller([{ set: four, bans: of(1), unbans: of(1) }]).map(shape)).toEqual([
      [[[0], []]],
      [[[], [0]]],
    ]);
    expect(elements.smaller([one!])).toEqual([]);
    expect(elements.smaller([{ set: four, bans: [], unbans: of(1) }])).toEqual([]);
  });
});

test.each([
  [1, 'EPERM'],
  [11, 'EAGAIN'],
  [95, 'EOPNOTSUPP'],
  [85, 'ERESTART'],
  [512, 'ERESTARTSYS'],
  [524, 'ENOTSUPP'],
  [9_999, 'errno 9999'],
])('the error %i is called %s', (errno, name) => {
  expect(errorName(errno)).toBe(name);
  expect(new KernelError(errno, 'try').message).toBe(`try: ${name}`);
});

test('the dry run has no kernel, and its bans end', async () => {
  let now = 50_000;
  const said: Change[] = [];
  const backend = new LogOnlyBackend(
    (change) => said.push(change),
    () => now,
  );
  expect([backend.name, backend.holds]).toEqual(['log-only', false]);
  await backend.install([everything]);
  await backend.apply([
    ban('203.0.113.1', 5_000),
    ban('203.0.113.1', -1),
    ban('203.0.113.2', 2_000),
    ban('203.0.113.3', 0),
  ]);
  now += 500;
  const left: number[] = [];
  expect(await backend.each(({ timeoutMs }) => left.push(timeoutMs))).toBe(2);
  expect(left).toEqual([1_500, 0]);
  now += 1_500;
  expect(await backend.each(() => undefined)).toBe(1);
  await backend.remove();
  expect(await backend.each(() => undefined)).toBe(0);
  expect(await refusal(backend.apply([unban('203.0.113.1')]))).toBe('jail sshd is not installed');
  await backend.install([{ ...everything, name: 'web' }]);
  await backend.install([everything]);
  expect(await refusal(backend.apply([unban('203.0.113.1', 'web')]))).toBe('jail web is not installed');
  expect(said.length).toBe(4);
});

test('the dry run forgets the bans of jails that are gone', async () => {
  const backend = new LogOnlyBackend(() => undefined);
  await backend.install([everything, { ...everything, name: 'web' }]);
  await backend.apply([ban('203.0.113.1'), ban('203.0.113.2', 0, 'web'), ban('203.0.113.3', -1)]);
  await backend.install([everything]);
  const seen: string[] = [];
  expect(await backend.each(({ jail }) => seen.push(jail))).toBe(1);
  expect(seen).toEqual(['sshd']);
});

describe('a message', () => {
  test('with an attribute that is too long, or open, or not open is a bug of ours', () => {
    const writer = () => {
      const made = new MessageWriter(16);
      made.beginMessage(1, 0, 1, 0);
      return made;
    };
    expect(() => writer().raw(1, new Uint8Array(65_535))).toThrow('attribute of 65539 bytes');
    const open = writer();
    open.begin(1);
    expect(() => open.endMessage()).toThrow('message ended inside a nested attribute');
    expect(() => writer().end()).toThrow('no nested attribute is open');
    const long = writer();
    long.begin(1);
    long.raw(1, new Uint8Array(40_000));
    long.raw(1, new Uint8Array(40_000));
    const within = writer();
    within.raw(1, Uint8Array.of(1, 2, 3, 4, 5), 1, 4);
    expect([...within.bytes().subarray(20)]).toEqual([7, 0, 1, 0, 2, 3, 4, 0]);
    expect(() => long.end()).toThrow('nested attribute of 80012 bytes');
    const largest = writer();
    largest.raw(1, new Uint8Array(65_531));
    largest.endMessage();
    const reader = new AttributeReader(Buffer.from(largest.bytes()), 20, largest.length);
    expect([reader.next(), reader.end - reader.start]).toEqual([true, 65_531]);
  });
});

describe('a datagram', () => {
  const two = Buffer.concat([message(5, 2, 7, Buffer.from('abc')), message(6, 0, 8, Buffer.alloc(0))]);
  const headers = [
    { type: 5, flags: 2, sequence: 7, start: 16, end: 19 },
    { type: 6, flags: 0, sequence: 8, start: 36, end: 36 },
  ];

  test('is its messages', () => {
    expect(decodeMessages(two, two.length)).toEqual({ messages: headers, malformed: null });
  });

  test('that was cut says what is left', () => {
    const first = headers.slice(0, 1);
    expect(decodeMessages(two, 35)).toEqual({ messages: first, malformed: '15 bytes left, no header' });
    expect(decodeMessages(two, 19)).toEqual({ messages: first, malformed: null });
    expect(decodeMessages(two, 18)).toEqual({ messages: [], malformed: 'message claims 19 bytes of 18' });
    const none = Buffer.from(two);
    none.writeUInt32LE(15, 20);
    expect(decodeMessages(none, none.length)).toEqual({ messages: first, malformed: 'message claims 15 bytes of 16' });
  });
});

describe('a text', () => {
  const textOf = (payload: string, behind = '') => {
    const bytes = Buffer.from(`\0\0\0\0${payload}${behind}`, 'latin1');
    bytes.writeUInt16LE(4 + payload.length, 0);
    const reader = new AttributeReader(bytes, 0, 4 + payload.length);
    reader.next();
    return reader.text();
  };
  test('ends at its zero, or with its attribute', () => {
    expect(textOf('abc\0')).toBe('abc');
    expect(textOf('ab\0c')).toBe('ab');
    expect(textOf('abc')).toBe('abc');
    expect(textOf('abc', 'def\0')).toBe('abc');
    expect(textOf('abc', '\0')).toBe('abc');
    expect(textOf('\0')).toBe('');
  });
});

describe('a verdict', () => {
  /** An NLMSG_ERROR: errno, the header of the request (its length first), and what follows. */
  const verdict = (errno: number, flags: number, asked: number, behind = Buffer.alloc(0), copied = 16) => {
    const payload = Buffer.concat([Buffer.alloc(4 + copied), behind]);
    payload.writeInt32LE(-errno, 0);
    if (copied >= 4) payload.writeUInt32LE(asked, 4);
    const bytes = message(2, flags, 1, payload);
    return decodeVerdict(bytes, decodeMessages(bytes, bytes.length).messages[0]!);
  };
  const words = (text: string) => {
    const writer = new MessageWriter();
    writer.beginMessage(0, 0, 0, 0);
    writer.u32(2, 5);
    writer.text(1, text);
    writer.endMessage();
    return Buffer.from(writer.bytes()).subarray(20);
  };
  const [capped, extended] = [0x100, 0x200];

  test('is an errno, within its bounds', () => {
    expect(verdict(0, 0, 16)).toEqual({ errno: 0, words: '' });
    expect(verdict(8_191, 0, 16)).toEqual({ errno: 8_191, words: '' });
    expect(verdict(8_192, 0, 16)).toBe(null);
    expect(verdict(-1, 0, 16)).toBe(null);
    expect(verdict(1, 0, 16, Buffer.alloc(0), 15)).toBe(null);
  });

  test('has the words of the kernel behind the request or its header', () => {
    expect(verdict(1, capped | extended, 400, words('no'))?.words).toBe('no');
    expect(verdict(1, extended, 16, words('no'))?.words).toBe('no');
    expect(verdict(1, extended, 19, Buffer.concat([Buffer.alloc(4), words('no')]))?.words).toBe('no');
    expect(verdict(1, capped, 16, words('no'))?.words).toBe('');
  });

  test('has none where the length of the request is wrong', () => {
    expect(verdict(1, extended, 15, words('no'))?.words).toBe('');
    expect(verdict(1, extended, 400, words('no'))?.words).toBe('');
    expect(verdict(1, extended, 0, words('no'))?.words).toBe('');
    expect(verdict(1, extended, 16 + words('no').length, words('no'))?.words).toBe('');
  });

  test('has at most so many', () => {
    const long = 'x'.repeat(1_000);
    const found = verdict(1, capped | extended, 16, words(long))!.words;
    expect(found.length).toBeLessThan(1_000);
    expect(long.startsWith(found)).toBe(true);
  });
});

describe('the name of a kernel object', () => {
  test('is that of the jail as long as it fits', () => {
    expect(kernelName('p-', 'x'.repeat(18), 20)).toBe(`p-${'x'.repeat(18)}`);
    const cut = kernelName('p-', 'x'.repeat(19), 20);
    expect(cut).toMatch(/^p-x+\.[0-9a-f]{8}$/);
    expect(cut.length).toBe(20);
  });

  test('has other signs replaced, and a checksum that tells jails apart', () => {
    expect(kernelName('p-', 'a b/c', 40)).toMatch(/^p-a_b_c\.[0-9a-f]{8}$/);
    expect(kernelName('p-', 'a b/c', 40)).not.toBe(kernelName('p-', 'a b.c', 40));
  });
});

describe('a netlink socket', () => {
  const over = (answer: (request: Buffer) => Answer[] | number, more = {}) =>
    new NetlinkSocket(Object.assign(recordedTransport(answer), more), 5);
  const request = (socket: NetlinkSocket, operation = 'try') => {
    const sequence = socket.nextSequence();
    const writer = new MessageWriter();
    writer.beginMessage(1, 5, sequence, 0);
    writer.endMessage();
    return socket.exchange(writer.bytes(), [{ sequence, operation }]);
  };
  const sequenceOf = (bytes: Buffer) => bytes.readUInt32LE(8);
  const dump = (socket: NetlinkSocket, seen: number[] = []) =>
    socket.dump(
      (writer, sequence) => {
        writer.beginMessage(1, 0x305, sequence, 0);
        writer.endMessage();
      },
      'list',
      (bytes, start) => seen.push(bytes[start]!),
      () => seen.push(-1),
    );
  const part = (sequence: number, value: number, flags = 2) =>
    message(0xa00, flags, sequence, Buffer.from([1, 0, 0, 0, value]));

  test('that cannot be opened says of which protocol', () => {
    native.netlinkOpen = () => -1;
    expect(refusalOf(() => openTransport(12)).message).toBe('open netlink socket (protocol 12): EPERM');
    delete (native as Partial<typeof native>).netlinkOpen;
  });

  test('that sends a part of a datagram does not go on', async () => {
    const socket = over(() => 7);
    expect(await refusal(request(socket))).toBe('try: EBADMSG (7 bytes of 20 sent)');
  });

  test('reads what was left before it sends, interrupted or not, but not without end', async () => {
    const transport = recordedTransport((bytes) => [acknowledgement(sequenceOf(bytes))]);
    const { receive, send } = transport;
    const left = [-ENOBUFS, -EINTR, 20, -EAGAIN];
    let reads = 0;
    let isSent = false;
    transport.send = (bytes) => {
      isSent = true;
      return send(bytes);
    };
    transport.receive = (into) => {
      if (isSent) return receive(into);
      reads++;
      return left[reads - 1] ?? 20;
    };
    const socket = new NetlinkSocket(transport, 5);
    await request(socket);
    expect(reads).toBe(4);
    isSent = false;
    await request(socket);
    expect(reads).toBe(4 + 4096);
  });

  test('tries six times to send', async () => {
    const transport = recordedTransport(() => -EAGAIN);
    expect(await refusal(request(new NetlinkSocket(transport, 5)))).toBe('try: EAGAIN');
    expect(transport.requests.length).toBe(6);
  });

  test('refuses an answer that is longer than its room', async () => {
    const transport = recordedTransport(() => []);
    let received = 0;
    transport.receive = () => (received++ === 0 ? -EAGAIN : 70_000);
    expect(await refusal(request(new NetlinkSocket(transport, 5)))).toBe('try: EBADMSG (answer of 70000 bytes cut)');
  });

  test('passes on what receiving or waiting refuses, but not an interruption', async () => {
    expect(await refusal(request(over(() => [-EBADF])))).toBe('try: EBADF');
    expect(await refusal(request(over(() => [], { wait: async () => -EBADF })))).toBe('try: EBADF');
    let waits = 0;
    const wait = async () => (waits++ === 0 ? -EINTR : 0);
    expect(await refusal(request(over(() => [], { wait })))).toBe('try: ETIMEDOUT (the kernel did not answer)');
    expect(waits).toBe(2);
  });

  test('says that an answer was lost, or that it cannot be read', async () => {
    expect(await refusal(request(over(() => [-ENOBUFS])))).toBe('try: ENOBUFS (the answer was lost)');
    const short = over((bytes) => [message(2, 0, sequenceOf(bytes), Buffer.alloc(2))]);
    expect(await refusal(request(short))).toBe('try: EBADMSG (unreadable ACK)');
    const positive = Buffer.alloc(20);
    positive.writeInt32LE(7);
    expect(await refusal(request(over((bytes) => [message(2, 0, sequenceOf(bytes), positive)])))).toMatch(/EBADMSG/);
  });

  test('reads a dump to its end, which old kernels send empty', async () => {
    const seen: number[] = [];
    await dump(
      over((bytes) => [part(sequenceOf(bytes), 1), part(7, 2), message(3, 2, sequenceOf(bytes), Buffer.alloc(0))]),
      seen,
    );
    expect(seen).toEqual([1]);
  });

  test.each<[string, (sequence: number) => Answer[], string]>([
    [
      'ends with an error',
      (sequence) => [message(3, 2, sequence, Buffer.from(Int32Array.of(-1).buffer))],
      'list: EPERM',
    ],
    [
      'ends with nonsense',
      (sequence) => [message(3, 2, sequence, Buffer.from(Int32Array.of(1).buffer))],
      'list: EBADMSG (unreadable end of dump)',
    ],
    [
      'ends with an unknown error',
      (sequence) => [message(3, 2, sequence, Buffer.from(Int32Array.of(-50_000).buffer))],
      'list: EBADMSG (unreadable end of dump)',
    ],
    ['has a part that is none', (sequence) => [part(sequence, 1, 0)], 'list: EBADMSG (not a part of a dump)'],
    [
      'has a part without a header',
      (sequence) => [message(0xa00, 2, sequence, Buffer.alloc(0))],
      'list: EBADMSG (not a part of a dump)',
    ],
    ['does not end', (sequence) => [part(sequence, 1)], 'list: ETIMEDOUT (the dump did not end)'],
  ])('a dump that %s is an error', async (_what, answers, words) => {
    expect(await refusal(dump(over((bytes) => answers(sequenceOf(bytes)))))).toBe(words);
  });

  test('gives a dump up that is interrupted again and again', async () => {
    const seen: number[] = [];
    const transport = recordedTransport((bytes) => [
      part(sequenceOf(bytes), 1, 0x12),
      message(3, 2, sequenceOf(bytes), Buffer.alloc(4)),
    ]);
    expect(await refusal(dump(new NetlinkSocket(transport, 5), seen))).toBe(
      'list: EINTR (dump interrupted again and again)',
    );
    expect(transport.requests.length).toBe(8);
    expect(seen).toEqual(Array(8).fill(-1));
  });

  test('asks once, and says if the answer was lost', async () => {
    const asked = (socket: NetlinkSocket) =>
      socket.ask(
        (writer, sequence) => {
          writer.beginMessage(1, 5, sequence, 0);
          writer.endMessage();
        },
        'ask',
        () => undefined,
      );
    const transport = recordedTransport((bytes) => [-ENOBUFS, message(3, 2, sequenceOf(bytes), Buffer.alloc(4))]);
    expect(await refusal(asked(new NetlinkSocket(transport, 5)))).toBe('ask: ENOBUFS (the answer was lost)');
    expect(transport.requests.length).toBe(1);
  });
});

describe('each row of the choice', () => {
  afterEach(() => {
    for (const name of ['netlinkOpen', 'xtablesOpen', 'netlinkSend', 'netlinkReceive', 'netlinkWait'] as const)
      delete (native as Partial<typeof native>)[name];
  });
  const firewall = { backend: 'auto' as const, table: 'f2z', allowLogOnly: false, interfaces: ['lo'] };

  test('loads its backend, and is tried by itself or not', async () => {
    native.netlinkOpen = () => 0x7ffffff0;
    native.xtablesOpen = () => 0x7ffffff1;
    const loaded = await Promise.all(backendRows.map((row) => row.load(firewall, () => undefined)));
    expect(loaded.map(({ name }) => name)).toEqual(backendRows.map(({ name }) => name));
    expect(backendRows.map(({ name }) => name)).toEqual(['nftables', 'iptables', 'ipset', 'xdp', 'log-only']);
    expect(backendRows.map(({ auto }) => auto(firewall))).toEqual([true, true, true, false, false]);
    expect(backendRows.map(({ auto }) => auto({ ...firewall, allowLogOnly: true }))).toEqual([
      true,
      true,
      true,
      false,
      true,
    ]);
  });

  test.each([
    [undefined, bansMaxLargest],
    [0, bansMaxLargest],
    [100, 100 + changesPerTransactionMax],
    [bansMaxLargest, bansMaxLargest],
  ])('gives room for bans_max %s', async (bansMax, room) => {
    native.netlinkOpen = () => 0x7ffffff0;
    native.xtablesOpen = () => 0x7ffffff1;
    const sent: Buffer[] = [];
    native.netlinkSend = (_, bytes) => {
      sent.push(Buffer.from(bytes));
      return -1;
    };
    native.netlinkReceive = () => -EAGAIN;
    const row = backendRows.find(({ name }) => name === 'ipset')!;
    const backend = await row.load({ ...firewall, ...(bansMax !== undefined && { bansMax }) }, () => undefined);
    await refusal(backend.install([everything]));
    // The attribute `maxelem`, in network order.
    expect(sent[0]!.readUInt32BE(sent[0]!.indexOf(Buffer.from([8, 0, 19, 0x40])) + 4)).toBe(room);
  });

  test('that fails is named, each with its reason', async () => {
    const failing = (name: 'nftables' | 'ipset', error: unknown) => ({
      name,
      auto: () => true,
      load: async (): Promise<Backend> => Promise.reject(error),
    });
    const choose = (rows: ReturnType<typeof failing>[], backend: 'auto' | 'xdp' = 'auto', jails: JailScaffold[] = []) =>
      chooseBackend({ ...firewall, backend }, jails, () => undefined, rows);
    const refused = async (work: Promise<unknown>) => {
      const error = await work.catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(NoBackendError);
      expect((error as Error).name).toBe('NoBackendError');
      return (error as Error).message;
    };
    expect(await refused(choose([failing('nftables', new KernelError(19, 'try')), failing('ipset', 'a text')]))).toBe(
      'no usable firewall backend (nftables: try: ENODEV; ipset: a text). Nothing would be banned, so nothing is started; allow log-only for a dry run.',
    );
    expect(await refused(choose([failing('nftables', new KernelError(1, 'try')), failing('ipset', 'a text')]))).toMatch(
      /Run as root or with CAP_NET_ADMIN, or allow log-only\.$/,
    );
    expect(await refused(choose([], 'xdp'))).toBe(
      'no usable firewall backend (xdp: this build has no such backend). Choose another firewall.backend.',
    );
    expect(new NoBackendError([], 'Hint.').message).toBe('no usable firewall backend (none tried). Hint.');
  });
});
