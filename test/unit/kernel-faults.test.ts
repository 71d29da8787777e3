/**
 * Backends over a kernel that is overtaken, refuses, or answers nonsense: recordings of a real one
 * with single answers changed, and kernels that only know what a test asks of them.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { hasDestinationNat } from '../../src/backends/destination-nat.ts';
import { MessageWriter } from '../../src/backends/netlink/message.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { XdpBackend } from '../../src/backends/xdp/xdp.ts';
import { IpsetBackend } from '../../src/backends/xtables/ipset.ts';
import { IptablesBackend } from '../../src/backends/xtables/iptables.ts';
import { Xtables } from '../../src/backends/xtables/xtables.ts';
import { xdpPrefixesMax, xdpScopesMax } from '../../src/limits.ts';
import { native } from '../../src/native.ts';
import type { Change, JailScaffold } from '../../src/types.ts';
import { hexOf, replayKernel } from '../support/kernel-recording.ts';
import { ban, collectTimers, everything, held, refusal, unban, web } from '../support/recorded-scenes.ts';
import { acknowledgement, askedSequences, message, recordedTransport } from '../support/recorded-transport.ts';

const { EAGAIN, EBADF, EBUSY, EMSGSIZE, ENOBUFS, ENOENT, EPERM } = constants.errno;

const callsOf = (name: string): string[] =>
  readFileSync(join(import.meta.dirname, `../recordings/${name}.txt`), 'utf8')
    .trimEnd()
    .split('\n');
/** The same call with another result. */
const answered = (call: string, result: number): string => `${call.split(' = ')[0]} = ${result}`;
const replay = (calls: string[], scene: () => Promise<void>) => replayKernel(`${calls.join('\n')}\n`, scene);

describe('a legacy table', () => {
  const calls = callsOf('iptables-restart');
  const replacing = calls.findIndex((call) => call.startsWith('xtablesReplace'));
  const reading = calls.slice(replacing - 2, replacing);
  const locking = replacing - 3;
  const overtaken = [answered(calls[replacing]!, -EAGAIN), ...reading];
  const install = async () => new IptablesBackend().install([everything, web]);
  const upTo = (end: number, ...more: string[]) => [...calls.slice(0, end), ...more];

  test('is read and replaced again where another program was faster, five times in all', async () => {
    const often = [overtaken, overtaken, overtaken, overtaken].flat();
    const rest = 'calls of the recording were not made';
    await expect(replay([...calls.slice(0, replacing), ...often, ...calls.slice(replacing)], install)).rejects.toThrow(
      rest,
    );
    await replay(upTo(replacing, ...often, answered(calls[replacing]!, -EAGAIN), 'closeSync 703 = nothing'), async () =>
      expect(await refusal(install())).toBe('replace IPv4 table filter: EAGAIN'),
    );
  });

  test('is left alone if the kernel refuses', async () => {
    await replay(upTo(replacing, answered(calls[replacing]!, -EPERM), 'closeSync 703 = nothing'), async () =>
      expect(await refusal(install())).toBe('replace IPv4 table filter: EPERM'),
    );
  });

  test('is asked for again where its size has changed meanwhile, five times in all', async () => {
    const [info, entries] = calls.slice(2, 4) as [string, string];
    const changed = [info, answered(entries, -EAGAIN)];
    const again = [changed, changed, changed, changed].flat();
    const rest = calls.slice(4, replacing);
    await replay(
      [
        ...calls.slice(0, 2),
        ...again,
        info,
        entries,
        ...rest,
        answered(calls[replacing]!, -EPERM),
        'closeSync 703 = nothing',
      ],
      async () => expect(await refusal(install())).toBe('replace IPv4 table filter: EPERM'),
    );
    await replay([...calls.slice(0, 2), ...again, ...changed], async () =>
      expect(await refusal(install())).toBe('read IPv4 table filter: EAGAIN'),
    );
    await replay([...calls.slice(0, 2), info, answered(entries, -EPERM)], async () =>
      expect(await refusal(install())).toBe('read IPv4 table filter: EPERM'),
    );
  });

  test('whose bytes are wrong is refused', async () => {
    const [info, entries] = calls.slice(2, 4) as [string, string];
    const wrong = entries.replace('9800', '9900');
    expect(wrong).not.toBe(entries);
    await replay([...calls.slice(0, 2), info, wrong], async () =>
      expect(await refusal(install())).toBe('read IPv4 table filter: EBADMSG (malformed table)'),
    );
  });

  test('is waited for while another program has its lock, and not where the lock cannot be had', async () => {
    const isHeld = [answered(calls[locking]!, -EAGAIN), answered(calls[locking]!, -EAGAIN)];
    await replay(
      [
        ...calls.slice(0, locking),
        ...isHeld,
        ...calls.slice(locking, replacing),
        answered(calls[replacing]!, -EPERM),
        'closeSync 703 = nothing',
      ],
      async () => expect(await refusal(install())).toBe('replace IPv4 table filter: EPERM'),
    );
    await replay(upTo(locking, answered(calls[locking]!, -EBADF), 'closeSync 703 = nothing'), async () =>
      expect(await refusal(install())).toBe(
        'lock IPv4 table filter: EBADF (/run/xtables.lock is held by another program)',
      ),
    );
  });

  test('that others keep locked is given up in the end', async () => {
    const { now } = performance;
    let at = 0;
    performance.now = () => (at += 6_000);
    try {
      const isHeld = answered(calls[locking]!, -EAGAIN);
      await replay(upTo(locking, isHeld, isHeld, 'closeSync 703 = nothing'), async () =>
        expect(await refusal(install())).toMatch(/^lock IPv4 table filter: EAGAIN/),
      );
    } finally {
      performance.now = now;
    }
  });

  test('needs a socket', async () => {
    await replay(['xtablesOpen 6 = -1'], async () => {
      expect(() => new Xtables(6, 'f2z-')).toThrow('open socket for IPv6 tables: EPERM');
    });
  });
});

describe('bans of the iptables backend that end', () => {
  test('are ended later where the table could not be replaced, and somebody hears of it', async () => {
    const calls = callsOf('iptables-ends');
    // What removes the first ban; before that nothing is read to list the bans.
    const opened = calls.map((call, index) => (call.startsWith('openSync') ? index : -1)).filter((index) => index >= 0);
    const ending = opened[4]!;
    let now = 5_000;
    const errors: unknown[] = [];
    const timers = collectTimers();
    try {
      await replay(
        [
          ...calls.slice(0, ending + 1),
          'tryLock 703 = -9',
          'closeSync 703 = nothing',
          calls[ending]!,
          'tryLock 703 = -9',
          'closeSync 703 = nothing',
        ],
        async () => {
          const backend = new IptablesBackend({ now: () => now, onError: (error) => errors.push(error) });
          await backend.install([everything]);
          await backend.apply([ban('203.0.113.1', 60_000), ban('203.0.113.2', 100_000), ban('203.0.113.3', 0)]);
          await backend.apply([ban('2001:db8:1:2::/64', 60_100)]);
          now += 60_000;
          await timers.fire();
          expect(timers.waits()).toEqual([60_000, 60_000, 250]);
          expect(String(errors[0])).toMatch(/lock IPv4 table filter: EBADF/);
          await timers.fire();
          expect(errors.length).toBe(2);
          expect(timers.waits()).toEqual([60_000, 60_000, 250, 250]);
        },
      );
    } finally {
      timers.restore();
    }
  });
});

describe('the ipset backend', () => {
  const calls = callsOf('ipset-restart');
  const looking = calls.findIndex((call) => call.includes(' 83 '));
  const install = async () => new IpsetBackend().install([everything, web]);

  test.each([
    ['has no socket', [answered(calls[looking - 1]!, -24)], 'look up set f2z4-sshd: EMFILE'],
    [
      'is refused',
      [calls[looking - 1]!, answered(calls[looking]!, -1), 'closeSync 704 = nothing'],
      'look up set f2z4-sshd: EPERM',
    ],
    [
      'finds no set',
      [
        calls[looking - 1]!,
        `${answered(calls[looking]!, 40)} > 3:x0600000007000000ffff7a342d73736864(23)`,
        'closeSync 704 = nothing',
      ],
      'look up set f2z4-sshd: ENOENT',
    ],
  ])('says so where the number of a set %s', async (_what, answers, words) => {
    await replay([...calls.slice(0, looking - 1), ...answers], async () =>
      expect(await refusal(install())).toBe(words),
    );
  });

  test('makes no set where the kernel refuses it', async () => {
    const transport = recordedTransport((request) => [acknowledgement(askedSequences(request)[0]!, 4098)]);
    await replay(['xtablesOpen 4 = 702', 'xtablesOpen 6 = 703'], async () => {
      const backend = new IpsetBackend({ open: () => transport });
      expect(await refusal(backend.install([everything]))).toBe('create set f2z4-sshd: IPSET_ERR_FIND_TYPE');
    });
  });

  test.each([
    [4097, 'IPSET_ERR_PROTOCOL'],
    [4100, 'IPSET_ERR_BUSY'],
    [4110, 'IPSET_ERR_IPADDR_IPV6'],
    [4352, 'IPSET_ERR_HASH_FULL'],
    [4353, 'IPSET_ERR_HASH_ELEM'],
  ])('knows the error %i', async (errno, name) => {
    const transport = recordedTransport((request) => [acknowledgement(askedSequences(request)[0]!, errno)]);
    await replay(['xtablesOpen 4 = 702', 'xtablesOpen 6 = 703'], async () => {
      const backend = new IpsetBackend({ open: () => transport });
      expect(await refusal(backend.install([everything]))).toBe(`create set f2z4-sshd: ${name}`);
    });
  });
});

describe('a destination NAT', () => {
  const calls = callsOf('destination-nat');
  /** The calls of the first question: no legacy table, and then the rules. */
  const [names4, names6, ...asking] = calls.slice(0, 5) as [string, string, ...string[]];
  const done = calls[5]!;
  const answer = async (recorded: string[], found: boolean) =>
    replay(recorded, async () => expect(await hasDestinationNat()).toBe(found));
  const legacy = calls.slice(34, 39);
  const none = [names6, ...asking, done, calls[6]!];

  test('is not looked for where the names of the tables cannot be read', async () => {
    await answer([`${names4.split(' = ')[0]} = !ENOENT`, ...none], false);
  });

  test('is not there where the kernel refuses the legacy table, or its rules', async () => {
    const [names, opened, info, entries, closed] = legacy as [string, string, string, string, string];
    await answer([names, opened, answered(info, -EPERM), closed, ...none], false);
    await answer([names, opened, info, answered(entries, -EPERM), closed, ...none], false);
    await answer([names, answered(opened, -1), answered(info.replace(' 701 ', ' -1 '), -EBADF), ...none], false);
  });

  test('is not there where the kernel refuses its rules of nftables', async () => {
    await answer([names4, names6, ...asking.slice(0, -1), answered(asking.at(-1)!, -EPERM), calls[6]!], false);
  });

  /** A rule with one expression, as the kernel lists it. */
  const rule = (name: string, ...data: [type: number, value: number | string][]) => {
    const writer = new MessageWriter();
    writer.beginMessage(0xa06, 2, 0x20000000, 2);
    writer.text(1, 'nat');
    writer.begin(4);
    writer.begin(1);
    writer.text(1, name);
    writer.begin(2);
    writer.fields(data);
    writer.end();
    writer.end();
    writer.end();
    writer.endMessage();
    return `netlinkReceiveAside 701 [65536] = ${writer.length} > 1:x${hexOf(writer.bytes())}`;
  };
  test.each<[string, boolean, string, [number, number | string][]]>([
    [
      'one of iptables-nft',
      true,
      'target',
      [
        [2, 1],
        [1, 'DNAT'],
      ],
    ],
    ['another target', false, 'target', [[1, 'SNAT']]],
    ['a match of that name', false, 'match', [[1, 'DNAT']]],
    ['another attribute of that name', false, 'target', [[3, 'DNAT']]],
    [
      'one of nftables',
      true,
      'nat',
      [
        [2, 2],
        [1, 1],
      ],
    ],
    ['a source NAT', false, 'nat', [[1, 0]]],
    ['another attribute of that number', false, 'nat', [[2, 1]]],
  ])('is found in %s: %s', async (_what, found, name, data) => {
    await answer([names4, names6, ...asking, rule(name, ...data), done, calls[6]!], found);
  });
});

describe('nftables', () => {
  /** Sets and elements are never there; `batch` answers transactions, by default with every ACK. */
  function kernel(batch: (request: Buffer, count: number) => (Buffer | number)[] | number | undefined) {
    let batches = 0;
    return recordedTransport((request) => {
      const type = request.readUInt16LE(4);
      const sequence = request.readUInt32LE(8);
      if (type !== 0x10) return [message(3, 2, sequence, Buffer.alloc(4))];
      return batch(request, ++batches) ?? askedSequences(request).map((each) => acknowledgement(each));
    });
  }
  const backendOver = (transport: ReturnType<typeof kernel>) =>
    new NftablesBackend({ table: 'fail2zig', refreshes: true, open: () => transport });
  const batchesOf = ({ requests }: ReturnType<typeof kernel>) =>
    requests.filter((each) => each.readUInt16LE(4) === 0x10);
  const typesOf = (request: Buffer): number[] => {
    const types: number[] = [];
    for (let at = 0; at < request.length; at += (request.readUInt32LE(at) + 3) & ~3)
      types.push(request.readUInt16LE(at + 4));
    return types;
  };
  const several: Change[] = [1, 2, 3, 4].map((n) => ban(`203.0.113.${n}`));

  test('a transaction whose ACKs were lost is repeated with one ACK', async () => {
    const transport = kernel((_, count) => (count === 1 ? [-ENOBUFS] : undefined));
    await backendOver(transport).install([everything]);
    const [first, second, ...more] = batchesOf(transport);
    expect(more).toEqual([]);
    expect(typesOf(second!)).toEqual(typesOf(first!));
    expect(askedSequences(first!).length).toBe(typesOf(first!).length - 2);
    expect(askedSequences(second!)).toEqual(askedSequences(first!).slice(-1));
  });

  test('a transaction of one message whose ACK was lost is not repeated', async () => {
    const transport = kernel((_, count) => (count > 1 ? [-ENOBUFS] : undefined));
    const backend = backendOver(transport);
    await backend.install([everything]);
    expect(await refusal(backend.apply([ban('203.0.113.1')]))).toMatch(/ENOBUFS/);
    expect(batchesOf(transport).length).toBe(2);
  });

  test('a scaffold that is too large gets a socket of its size, which is closed', async () => {
    const small = kernel(() => -EMSGSIZE);
    const large = kernel(() => undefined);
    const sizes: (number | undefined)[] = [];
    let closed = 0;
    large.close = () => closed++;
    const open = (sendBytes?: number) => {
      sizes.push(sendBytes);
      return sendBytes === undefined ? small : large;
    };
    const backend = new NftablesBackend({ table: 'fail2zig', refreshes: true, open });
    await backend.install([everything]);
    const [sent] = batchesOf(large);
    expect(sizes).toEqual([undefined, sent!.length + 4096]);
    expect(askedSequences(sent!).length).toBe(1);
    expect(closed).toBe(1);
  });

  test('what else refuses a scaffold is passed on', async () => {
    const transport = kernel(() => -EPERM);
    expect(await refusal(backendOver(transport).install([everything]))).toMatch(/EPERM/);
    expect(batchesOf(transport).length).toBe(1);
  });

  test('a table that others use or change is read once more, and then replaced', async () => {
    for (const errno of [ENOENT, EBUSY, constants.errno.EEXIST, constants.errno.EINVAL]) {
      const transport = kernel((request, count) =>
        count < 3 ? [acknowledgement(askedSequences(request)[0]!, errno)] : undefined,
      );
      await backendOver(transport).install([everything]);
      const [first, second, third, ...more] = batchesOf(transport).map(typesOf);
      expect(more).toEqual([]);
      expect(second).toEqual(first);
      // Add the table, delete it with all that is in it, and add it again.
      expect(third!.slice(1, 4)).toEqual([0xa00, 0xa02, 0xa00]);
      expect(first!.slice(1, 3)).toEqual([0xa00, 0xa09]);
    }
    const never = kernel((request) => [acknowledgement(askedSequences(request)[0]!, EBUSY)]);
    expect(await refusal(backendOver(never).install([everything]))).toMatch(/^add table fail2zig: EBUSY/);
    expect(batchesOf(never).length).toBe(3);
  });

  test('bans that are too many for one datagram go in halves, a single one is refused', async () => {
    const transport = kernel((request) => (request.length > 250 && request.length < 1000 ? -EMSGSIZE : undefined));
    const backend = backendOver(transport);
    await backend.install([everything]);
    await backend.apply(several);
    const parts = batchesOf(transport).slice(1);
    expect(parts.map(({ length }) => length < 250)).toEqual([false, true, true]);
    const never = kernel((_, count) => (count > 1 ? -EMSGSIZE : undefined));
    const other = backendOver(never);
    await other.install([everything]);
    expect(await refusal(other.apply(several.slice(0, 1)))).toMatch(/EMSGSIZE/);
    expect(batchesOf(never).length).toBe(2);
  });

  test('nothing is sent for nothing', async () => {
    const transport = kernel(() => undefined);
    const backend = backendOver(transport);
    await backend.install([everything]);
    const before = transport.requests.length;
    await backend.apply([]);
    expect(transport.requests.length).toBe(before);
  });

  test('an object that cannot be read is an error', async () => {
    const transport = recordedTransport((request) => {
      const sequence = request.readUInt32LE(8);
      return [
        message(0xa00, 2, sequence, Buffer.from([1, 0, 0, 0, 3, 0, 1, 0])),
        message(3, 2, sequence, Buffer.alloc(4)),
      ];
    });
    expect(await refusal(backendOver(transport).install([everything]))).toBe('list tables: EBADMSG (malformed object)');
  });
});

describe('the xdp backend', () => {
  afterEach(() => {
    delete (native as Partial<typeof native>).netlinkOpen;
  });
  const refused = async (jails: JailScaffold[], interfaces = ['lo']): Promise<string> => {
    native.netlinkOpen = () => 0x7ffffff0;
    return refusal(new XdpBackend({ interfaces }).install(jails));
  };
  const many = (count: number, jail: (index: number) => Partial<JailScaffold>) =>
    Array.from({ length: count }, (_, index) => ({ ...everything, name: `jail-${index}`, ...jail(index) }));

  test('says what it cannot do', async () => {
    expect(await refused([everything], [])).toBe('the xdp backend needs firewall.interfaces');
    expect(await refused([everything, web])).toBe('the xdp backend only drops, but jail nginx web has action "reject"');
    expect(await refused([{ ...web, action: 'drop' }])).toBe(
      'the xdp backend has no ipv4_prefix, but jail nginx web has',
    );
    expect(await refused([{ ...everything, hooks: ['forward'] }])).toBe(
      'the xdp backend cannot tell packets to be forwarded from those for this host, but jail sshd has no "input" in hooks',
    );
    expect(await refused(many(xdpPrefixesMax + 1, (index) => ({ ipv6Prefix: 64 - index })))).toBe(
      `the xdp backend knows ${xdpPrefixesMax} lengths of IPv6 prefixes at most, not ${xdpPrefixesMax + 1}`,
    );
    const port = (index: number) => ({ ports: [{ first: index, last: index }], protocols: ['tcp' as const] });
    expect(await refused(many(xdpScopesMax + 1, port))).toBe(
      `the xdp backend knows ${xdpScopesMax} different lists of ports and allowed networks at most, not ${xdpScopesMax + 1}`,
    );
  });

  describe('over a program of an earlier run', () => {
    const calls = callsOf('xdp-restart');
    const open = calls.findIndex((call) => call.startsWith('bpf 13 '));
    const start = calls.lastIndexOf('netlinkOpen 0 0 1048576 1048576 = 701', open);
    const record = '/run/f2z-record';
    const install = async () =>
      new XdpBackend({ interfaces: ['veth0'], bansMax: 3, record }).install([{ ...everything, ipv6Prefix: 56 }]);
    const looking = calls.slice(start, open);
    const read = `readFileSync "${record}" "latin1" = `;
    const boot = calls.find((call) => call.startsWith('readFileSync "/proc/sys/kernel/random/boot_id"'))!;
    const written = calls.find((call) => call.startsWith(`writeFileSync "${record}"`))!;
    const ours = written.slice(`writeFileSync "${record}" `.length, written.indexOf(' x = '));
    const hidden = answered(calls[open]!, -EPERM);
    const makeBans = calls.find((call) => call.startsWith('bpf 0 '))!.replace(/= \d+$/, '= -1');

    test('that may not be opened, a program that the record names is ours', async () => {
      await replay([...looking, hidden, `${read}${ours}`, boot, makeBans], async () =>
        expect(await refusal(install())).toBe('create map f2z_bans: EPERM (needs CAP_BPF and CAP_NET_ADMIN)'),
      );
    });

    test('an error other than that of a right that is missing is passed on', async () => {
      await replay([...looking, answered(calls[open]!, -EBADF)], async () =>
        expect(await refusal(install())).toMatch(/^open program \d+: EBADF/),
      );
    });

    test("a program with another name is somebody else's, and is closed", async () => {
      const other = calls[open + 1]!.replace('6661696c327a6967', '6661696c327a6968');
      expect(other).not.toBe(calls[open + 1]);
      await replay(
        [...looking, calls[open]!, other, 'closeSync 702 = nothing', makeBans.replace('702', '703')],
        async () => expect(await refusal(install())).toMatch(/^create map f2z_bans: EPERM/),
      );
    });

    test('a map that cannot be made has the others closed', async () => {
      const makes = calls.slice(open).filter((call) => call.startsWith('bpf 0 '));
      const first = calls.slice(start, calls.indexOf(makes[0]!, open));
      const failed = [
        makes[0]!,
        makes[1]!,
        answered(makes[2]!, -EPERM),
        'closeSync 704 = nothing',
        'closeSync 705 = nothing',
      ];
      await replay([...first, ...failed, 'closeSync 702 = nothing'], async () =>
        expect(await refusal(install())).toMatch(/^create map f2z_dropped: EPERM/),
      );
    });

    test('a program that cannot be loaded or attached leaves nothing behind', async () => {
      const loading = calls.findIndex((call, index) => index > open && call.startsWith('bpf 5 '));
      const maps = [
        'closeSync 704 = nothing',
        'closeSync 705 = nothing',
        'closeSync 706 = nothing',
        'closeSync 702 = nothing',
      ];
      const acknowledged = calls[loading + 3]!;
      const refusedBy = acknowledged.replace(/(01000020)01\(7\)/, '$101000000f0ffffff');
      expect(refusedBy).not.toBe(acknowledged);
      await replay([...calls.slice(start, loading + 3), refusedBy, 'closeSync 707 = nothing', ...maps], async () =>
        expect(await refusal(install())).toMatch(/^attach program to interface veth0: EBUSY/),
      );
    });
  });

  test('before it is installed holds nothing', async () => {
    native.netlinkOpen = () => 0x7ffffff0;
    const backend = new XdpBackend({ interfaces: ['lo'] });
    expect(await refusal(backend.apply([ban('203.0.113.1')]))).toBe('jail sshd is not installed');
    expect(await refusal(backend.apply([unban('203.0.113.1')]))).toBe('jail sshd is not installed');
    expect(await refusal(held(backend))).toBe('the xdp backend is not installed');
    expect(backend.notes).toEqual([]);
    expect(await backend.reconcile([everything])).toBe(false);
  });
});
