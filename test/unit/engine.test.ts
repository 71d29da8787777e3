/**
 * What the engine counts, ignores, refuses and cuts, seen from outside through `feed` and
 * `examine`, in both builds.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { encodeFilter } from '../../src/compiler/encode.ts';
import type { Filter, Token } from '../../src/compiler/pattern.ts';
import * as counters from '../../src/engine/counters.ts';
import { Examiner } from '../../src/engine/examiner.ts';
import type { Build, EngineJail, EngineOptions } from '../../src/engine/host.ts';
import {
  decisionsMax,
  filtersMax,
  ignoredNetworksMax,
  ignoredNetworksSpare,
  lineBytesMax,
  programBytesMax,
} from '../../src/limits.ts';
import type { Address, Decision, FilterProgram } from '../../src/types.ts';

const now = 1_763_694_928;

function network(text: string, family: 4 | 6, prefix: number): Address {
  const bytes = new Uint8Array(16);
  if (family === 4) bytes.set([0xff, 0xff, ...text.split('.').map(Number)], 10);
  else
    for (const [index, group] of text.split(':').entries())
      new DataView(bytes.buffer).setUint16(index * 2, Number.parseInt(group, 16));
  return { family, bytes, prefix };
}

function jail(more: Partial<EngineJail> = {}): EngineJail {
  return {
    filter: 'sshd',
    mode: '',
    maxretry: 1,
    findtime: 600,
    bantime: 60,
    ipv6Prefix: 64,
    ignore: [],
    ...more,
  };
}

/** An engine whose source 0 is fed to all jails. */
async function engineOf(build: Build, jails: EngineJail[], more: Partial<EngineOptions> = {}): Promise<Examiner> {
  const engine = await Examiner.create({ build, jails, now, seed: [1, 2], tableBytes: 400_000, ...more });
  engine.openSource(0, engine.addRoute(jails.map(({ filter, mode }, index) => ({ index, filter, mode }))));
  return engine;
}

let pid = 0;

function stamped(message: string, time = now): string {
  return `${new Date(time * 1000).toISOString()} host sshd[${++pid}]: ${message}\n`;
}

function failure(address: string, time = now): string {
  return stamped(`Failed password for root from ${address} port 22 ssh2`, time);
}

function feed(engine: Examiner, text: string, final = false, source = 0, offset = 0): number {
  const { length } = Buffer.from(text);
  engine.buffer.set(Buffer.from(text));
  return engine.feed(source, length, offset, now, final);
}

/** Feeds lines in portions that fit the buffer; returns the bytes taken. */
function feedMany(engine: Examiner, lines: string[]): number {
  let taken = 0;
  for (let i = 0; i < lines.length; i += 500) taken += feed(engine, lines.slice(i, i + 500).join(''), false, 0, taken);
  return taken;
}

function decisionsOf(engine: Examiner): Decision[] {
  const decisions: Decision[] = [];
  engine.takeDecisions((decision) => void decisions.push(decision));
  return decisions;
}

beforeEach(() => {
  pid = 0;
});

describe.each<Build>(['plain', 'wasm'])('%s build', (build) => {
  /** For each network: its first and last address, and their neighbours outside. */
  test.each<[what: string, ignored: Address, inside: string[], outside: string[]]>([
    ['one IPv4 address', network('198.51.100.7', 4, 32), ['198.51.100.7'], ['198.51.100.6', '198.51.100.8']],
    ['IPv4 /31', network('198.51.100.6', 4, 31), ['198.51.100.6', '198.51.100.7'], ['198.51.100.5', '198.51.100.8']],
    ['IPv4 /24', network('192.0.2.0', 4, 24), ['192.0.2.0', '192.0.2.255'], ['192.0.1.255', '192.0.3.0']],
    ['IPv4 /20', network('203.0.112.0', 4, 20), ['203.0.112.0', '203.0.127.255'], ['203.0.111.255', '203.0.128.0']],
    ['IPv4 /9', network('10.128.0.0', 4, 9), ['10.128.0.0', '10.255.255.255'], ['10.127.255.255', '11.0.0.0']],
    ['all of IPv4', network('0.0.0.0', 4, 0), ['0.0.0.0', '255.255.255.255'], ['2001:db8::1', '::fffe:192.0.2.1']],
    [
      'one IPv6 address',
      network('2001:db8:0:0:0:0:0:7', 6, 128),
      ['2001:db8::7'],
      ['2001:db8::6', '2001:db8::8', '2001:db8:0:0:1::7'],
    ],
    [
      'IPv6 /64',
      network('2001:db8:0:1:0:0:0:0', 6, 64),
      ['2001:db8:0:1::', '2001:db8:0:1:ffff:ffff:ffff:ffff'],
      ['2001:db8:0:2::', '2001:db8::ffff:ffff:ffff:ffff', '2001:db9:0:1::'],
    ],
    [
      'IPv6 /61',
      network('2001:db8:0:8:0:0:0:0', 6, 61),
      ['2001:db8:0:8::', '2001:db8:0:f:ffff::'],
      ['2001:db8:0:7:ffff::', '2001:db8:0:10::'],
    ],
    [
      'IPv6 /32',
      network('2001:db8:0:0:0:0:0:0', 6, 32),
      ['2001:db8::', '2001:db8:ffff::1'],
      ['2001:db9::', '192.0.2.1'],
    ],
    ['everything', network('0:0:0:0:0:0:0:0', 6, 0), ['::', '192.0.2.1', '2001:db8::1'], []],
  ])('ignoreip: %s', async (_what, ignored, inside, outside) => {
    const engine = await engineOf(build, [jail({ ignore: [ignored], ipv6Prefix: 128 })]);
    feed(engine, inside.map((address) => failure(address)).join(''));
    expect(decisionsOf(engine)).toEqual([]);
    expect(engine.jailCounter(0, counters.JAIL_IGNORED)).toBe(inside.length);
    expect(engine.jailCounter(0, counters.JAIL_FAILURES)).toBe(0);
    feed(engine, outside.map((address) => failure(address)).join(''));
    expect(decisionsOf(engine)).toHaveLength(outside.length);
    expect(engine.jailCounter(0, counters.JAIL_IGNORED)).toBe(inside.length);
    expect(engine.jailCounter(0, counters.JAIL_FAILURES)).toBe(outside.length);
  });

  test('ignoreip: each jail has its own list, whatever jails come before it', async () => {
    const one = network('192.0.2.1', 4, 32);
    const two = network('192.0.2.2', 4, 32);
    const three = network('192.0.2.3', 4, 32);
    const lists = [[], [one], [two, three], [three]];
    const ignoring = async () => {
      const engine = await engineOf(
        build,
        lists.map((ignore) => jail({ ignore })),
      );
      return lists.map((_, index) => [one, two, three].map((address) => engine.isIgnored(index, address)));
    };
    const expected = lists.map((list) => [one, two, three].map((address) => list.includes(address)));
    expect(await ignoring()).toEqual(expected);
    // A second engine starts with empty lists.
    expect(await ignoring()).toEqual(expected);
  });

  test('ignoreip wins in its jail only', async () => {
    const engine = await engineOf(build, [jail({ ignore: [network('192.0.2.1', 4, 32)] }), jail()]);
    feed(engine, failure('192.0.2.1'));
    expect(decisionsOf(engine).map((decision) => decision.jail)).toEqual([1]);
  });

  test('as many ignored networks as are allowed, and one more', async () => {
    const ignore = Array.from({ length: ignoredNetworksMax }, (_, i) => network(`10.${i >> 8}.${i & 255}.0`, 4, 24));
    const engine = await engineOf(build, [jail({ ignore: ignore.slice(1) }), jail({ ignore: ignore.slice(0, 1) })]);
    expect(engine.isIgnored(0, ignore.at(-1)!)).toBe(true);
    expect(engine.isIgnored(1, ignore[0]!)).toBe(true);
    expect(engine.isIgnored(0, ignore[0]!)).toBe(false);
    await expect(engineOf(build, [jail({ ignore }), jail({ ignore: ignore.slice(0, 1) })])).rejects.toThrow(
      `${ignoredNetworksMax + 1} ignored networks over all jails; at most ${ignoredNetworksMax} are kept`,
    );
  });

  test('what jails ignore later shares the room that is left, and what has none is said', async () => {
    const engine = await engineOf(build, [jail(), jail()]);
    const networks = Array.from({ length: 2 * ignoredNetworksSpare }, (_, i) => network(`10.0.${i}.0`, 4, 24));
    const half = networks.slice(0, ignoredNetworksSpare);
    expect(engine.setIgnored([half, networks.slice(ignoredNetworksSpare)])).toBe(true);
    expect(engine.isIgnored(1, networks.at(-1)!)).toBe(true);
    expect(engine.setIgnored([networks, half])).toBe(false);
    expect(engine.isIgnored(0, networks.at(-1)!)).toBe(true);
    expect(engine.isIgnored(1, half[0]!)).toBe(false);
  });

  test('the outcome of each line is counted once, by filter and in total', async () => {
    const engine = await engineOf(build, [jail(), jail({ maxretry: 2 }), jail({ filter: 'dovecot' })]);
    const text = [
      failure('192.0.2.1'),
      failure('host.example.org'),
      failure('192.0.2.256'),
      stamped('Accepted password for root from 192.0.2.9 port 22 ssh2'),
      'a line of nobody\n',
      stamped('Server listening on 0.0.0.0 port 22.'),
    ];
    const length = text.join('').length;
    expect(feed(engine, text.join(''))).toBe(length);
    expect(engine.counter(counters.LINES)).toBe(6);
    expect(engine.counter(counters.BYTES)).toBe(length);
    expect(engine.counter(counters.LINES_MATCHED)).toBe(1);
    expect(engine.counter(counters.LINES_TOO_LONG)).toBe(0);
    const ofFilter = (name: string) => {
      const { filter } = engine.resolveFilter(name, '');
      const count = (index: number) => engine.filterCounter(filter, index);
      return {
        lines: count(counters.FILTER_LINES),
        matched: count(counters.FILTER_MATCHED),
        badAddress: count(counters.FILTER_BAD_ADDRESS),
        hostName: count(counters.FILTER_HOST_NAME),
        noPrefix: count(counters.FILTER_NO_PREFIX),
      };
    };
    expect(ofFilter('sshd')).toEqual({ lines: 6, matched: 1, badAddress: 1, hostName: 1, noPrefix: 1 });
    expect(ofFilter('dovecot')).toMatchObject({ lines: 6, matched: 0, badAddress: 0, hostName: 0 });
    expect(ofFilter('nginx-http-auth')).toEqual({ lines: 0, matched: 0, badAddress: 0, hostName: 0, noPrefix: 0 });
    expect([0, 1, 2].map((index) => engine.jailCounter(index, counters.JAIL_FAILURES))).toEqual([1, 1, 0]);
    expect([0, 1, 2].map((index) => engine.jailCounter(index, counters.JAIL_DECISIONS))).toEqual([1, 0, 0]);
    expect(engine.counter(counters.DECISIONS)).toBe(1);
    expect(engine.waiting).toBe(1);
    expect(engine.tracked).toBe(2);
  });

  test('a live line counts from findtime ago to a minute ahead, to the second', async () => {
    const engine = await engineOf(build, [jail(), jail({ findtime: 10 })]);
    const times = [now - 601, now - 600, now - 11, now - 10, now + 60, now + 61];
    feed(engine, times.map((time, i) => failure(`192.0.2.${i}`, time)).join(''));
    const count = (index: number) => [0, 1].map((number) => engine.jailCounter(number, index));
    expect(count(counters.JAIL_TOO_OLD)).toEqual([1, 3]);
    expect(count(counters.JAIL_FUTURE)).toEqual([1, 1]);
    expect(count(counters.JAIL_FAILURES)).toEqual([4, 2]);
    const banned = decisionsOf(engine).filter((decision) => decision.jail === 0);
    expect(banned.map(({ time }) => time)).toEqual(times.slice(1, -1));
  });

  test('a replay takes each line at its own time', async () => {
    const engine = await engineOf(build, [jail()], { live: false });
    const times = [now - 1_000_000, now, now + 1_000_000];
    feed(engine, times.map((time, i) => failure(`192.0.2.${i}`, time)).join(''));
    expect(decisionsOf(engine).map(({ time }) => time)).toEqual(times);
    expect(engine.jailCounter(0, counters.JAIL_TOO_OLD)).toBe(0);
    expect(engine.jailCounter(0, counters.JAIL_FUTURE)).toBe(0);
  });

  test('a decision names the source of its line and where the line began', async () => {
    const engine = await engineOf(build, [jail({ ipv6Prefix: 56, bantime: 77 })]);
    engine.openSource(5, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
    const first = stamped('Server listening on 0.0.0.0 port 22.');
    feed(engine, first + failure('2001:db8:1:2ff:3:4:5:6') + failure('192.0.2.1'), false, 5, 1_000);
    const [six, four] = decisionsOf(engine);
    expect(six).toMatchObject({ jail: 0, failures: 1, seconds: 77, bans: 1, source: 5, offset: 1_000 + first.length });
    expect(six!.address).toEqual(network('2001:db8:1:200:0:0:0:0', 6, 56));
    expect(four!.address).toEqual(network('192.0.2.1', 4, 32));
  });

  test('of two IPv6 addresses that differ in one bit, jails with a prefix before it count one source', async () => {
    const bitOf = (bit: number) => 1n << BigInt(127 - bit);
    const prefixes = Array.from({ length: 97 }, (_, n) => 32 + n);
    // As many jails as one engine takes at once.
    for (let from = 0; from < prefixes.length; from += 16) {
      const widths = prefixes.slice(from, from + 16);
      const engine = await engineOf(
        build,
        widths.map((ipv6Prefix) => jail({ ipv6Prefix, maxretry: 2 })),
      );
      for (let bit = 32; bit < 128; bit++) {
        const one = (BigInt(0x2001_0000 + bit) << 96n) | 0xa5c3_96f0_5a3c_690f_c3a5_f096n;
        const textOf = (value: bigint) => value.toString(16).padStart(32, '0').match(/..../g)!.join(':');
        feed(engine, failure(textOf(one)) + failure(textOf(one ^ bitOf(bit))));
        const found = decisionsOf(engine).map(({ jail: index, address }) => ({ index, address }));
        const expected = widths.flatMap((prefix, index) => {
          const masked = (one >> BigInt(128 - prefix)) << BigInt(128 - prefix);
          return prefix <= bit ? [{ index, address: network(textOf(masked), 6, prefix) }] : [];
        });
        expect(
          found.sort((first, second) => first.index - second.index),
          `bit ${bit}`,
        ).toEqual(expected);
      }
    }
  });

  test('so of two IPv4 addresses', async () => {
    const widths = Array.from({ length: 9 }, (_, n) => 24 + n);
    const engine = await engineOf(
      build,
      widths.map((ipv4Prefix) => jail({ ipv4Prefix, maxretry: 2 })),
    );
    for (let bit = 24; bit < 32; bit++) {
      const last = 0xa5;
      feed(engine, failure(`10.0.${bit}.${last}`) + failure(`10.0.${bit}.${last ^ (1 << (31 - bit))}`));
      const found = decisionsOf(engine).map(({ address: { bytes, prefix } }) => [prefix, bytes[15]]);
      const expected = widths.filter((prefix) => prefix <= bit);
      expect(
        found.sort(([one], [other]) => one! - other!),
        `bit ${bit}`,
      ).toEqual(expected.map((prefix) => [prefix, last & (0xff00 >> (prefix - 24)) & 0xff]));
    }
  });

  test('decisions are returned in order, no more than wanted', async () => {
    const engine = await engineOf(build, [jail()]);
    feed(engine, [1, 2, 3, 4, 5].map((i) => failure(`192.0.2.${i}`)).join(''));
    const last = (decisions: Decision[]) => decisions.map(({ address }) => address.bytes[15]);
    const first: Decision[] = [];
    expect(engine.takeDecisions((decision) => void first.push(decision), 2)).toBe(2);
    expect(last(first)).toEqual([1, 2]);
    expect(engine.waiting).toBe(3);
    expect(last(decisionsOf(engine))).toEqual([3, 4, 5]);
    expect(engine.takeDecisions(() => expect(0).toBe(1))).toBe(0);
    expect(engine.waiting).toBe(0);
  });

  test('a decision that the caller cannot take is not returned again', async () => {
    const engine = await engineOf(build, [jail()]);
    feed(engine, failure('192.0.2.1') + failure('192.0.2.2'));
    const stop = () =>
      engine.takeDecisions(() => {
        throw new Error('no');
      });
    expect(stop).toThrow('no');
    expect(decisionsOf(engine).map(({ address }) => address.bytes[15])).toEqual([2]);
  });

  test('lines end with LF, with CRLF, or with the file', async () => {
    const engine = await engineOf(build, [jail()]);
    const [one, two, three] = [1, 2, 3].map((i) => failure(`192.0.2.${i}`));
    const text = one! + two!.replace('\n', '\r\n');
    expect(feed(engine, text + three!.trimEnd())).toBe(text.length);
    expect(engine.counter(counters.LINES)).toBe(2);
    expect(feed(engine, three!.trimEnd())).toBe(0);
    expect(feed(engine, three!.trimEnd(), true)).toBe(three!.length - 1);
    expect(engine.counter(counters.LINES)).toBe(3);
    expect(decisionsOf(engine)).toHaveLength(3);
    expect(feed(engine, '\n\r\n\n')).toBe(4);
    expect(engine.counter(counters.LINES)).toBe(6);
    expect(engine.counter(counters.LINES_MATCHED)).toBe(3);
  });

  test('a line of the longest length is whole, one byte more is cut', async () => {
    const engine = await engineOf(build, [jail()]);
    const tail = ' from 192.0.2.1 port 22 ssh2';
    const head = stamped('Failed password for ').trimEnd();
    const line = (length: number) => `${head} ${'u'.repeat(length - head.length - 1 - tail.length)}${tail}\n`;
    const longest = line(lineBytesMax);
    expect(longest).toHaveLength(lineBytesMax + 1);
    expect(feed(engine, longest)).toBe(longest.length);
    expect(engine.counter(counters.LINES_TOO_LONG)).toBe(0);
    expect(decisionsOf(engine)).toHaveLength(1);
    const long = line(lineBytesMax + 1) + failure('192.0.2.2');
    expect(feed(engine, long)).toBe(long.length);
    expect(engine.counter(counters.LINES_TOO_LONG)).toBe(1);
    expect(engine.counter(counters.LINES)).toBe(3);
    expect(decisionsOf(engine).map(({ address }) => address.bytes[15])).toEqual([2]);
  });

  test('the first part of a cut line counts, and its rest is skipped over any number of reads', async () => {
    const engine = await engineOf(build, [jail({ filter: 'nginx-limit-req' })]);
    const failure = (client: string) =>
      `2025/11/21 03:15:28 [error] 8#8: *4 limiting requests, excess: 5.120 by zone "z", client: ${client}, server: h, request: "GET /\n`;
    const long = failure('192.0.2.1')
      .trimEnd()
      .padEnd(lineBytesMax + 1, 'a');
    expect(feed(engine, long)).toBe(long.length);
    expect(engine.counter(counters.LINES_TOO_LONG)).toBe(1);
    expect(decisionsOf(engine)).toHaveLength(1);
    const rest = failure('192.0.2.2').trimEnd();
    expect(feed(engine, rest)).toBe(rest.length);
    expect(feed(engine, rest, true)).toBe(rest.length);
    const end = `${rest}\n${failure('192.0.2.3')}`;
    expect(feed(engine, end)).toBe(end.length);
    expect(decisionsOf(engine).map(({ address }) => address.bytes[15])).toEqual([3]);
    expect(engine.counter(counters.LINES)).toBe(2);
    // A source that is opened again begins with a complete line.
    feed(engine, long);
    engine.openSource(0, 0);
    feed(engine, failure('192.0.2.4'));
    expect(decisionsOf(engine).map(({ address }) => address.bytes[15])).toContain(4);
  });

  test.each([1, 2, 3])('a replay of %i jails leaves the line for which the ring has no room', async (jails) => {
    const engine = await engineOf(
      build,
      Array.from({ length: jails }, () => jail()),
      { live: false },
    );
    const fitting = Math.floor(decisionsMax / jails);
    const lines = Array.from({ length: fitting + 2 }, (_, i) => failure(`198.18.${i >> 8}.${i & 255}`));
    const before = feedMany(engine, lines.slice(0, fitting - 100));
    const last = lines.slice(fitting - 100, fitting).join('').length;
    expect(feed(engine, lines.slice(fitting - 100).join(''), false, 0, before)).toBe(last);
    expect(engine.counter(counters.LINES)).toBe(fitting);
    expect(engine.waiting).toBe(fitting * jails);
    // The next line has room only after one decision more than these was taken.
    const tooFew = jails - 1 - (decisionsMax % jails);
    expect(engine.takeDecisions(() => undefined, tooFew)).toBe(tooFew);
    expect(feed(engine, lines.slice(fitting).join(''))).toBe(0);
    expect(decisionsOf(engine)).toHaveLength(fitting * jails - tooFew);
    expect(feed(engine, lines.slice(fitting).join(''))).toBe(lines.slice(fitting).join('').length);
    expect(engine.counter(counters.DECISIONS_DEFERRED)).toBe(0);
  });

  test('a daemon takes every line; what the ring has no room for stays in the table', async () => {
    const engine = await engineOf(build, [jail()], { tableBytes: 1_000_000 });
    const lines = Array.from({ length: decisionsMax + 2 }, (_, i) => failure(`198.18.${i >> 8}.${i & 255}`));
    expect(feedMany(engine, lines)).toBe(lines.join('').length);
    expect(engine.waiting).toBe(decisionsMax);
    expect(engine.counter(counters.DECISIONS)).toBe(decisionsMax + 2);
    expect(engine.counter(counters.DECISIONS_DEFERRED)).toBe(2);
    expect(decisionsOf(engine).at(-1)!.address).toEqual(network('198.18.15.255', 4, 32));
    expect(engine.isBanned(0, network('198.18.16.1', 4, 32))).toBe(true);
    feed(engine, failure('192.0.2.1'));
    expect(decisionsOf(engine).map(({ address }) => address)).toEqual([network('192.0.2.1', 4, 32)]);
  });

  test('lines of services without connections count by themselves', async () => {
    const engine = await engineOf(build, [jail({ filter: 'vsftpd' }), jail({ filter: 'nginx-http-auth' })]);
    const vsftpd = (message: string) => stamped(message).replace('sshd[', 'vsftpd[');
    const nginx = (client: string, referrer = '') =>
      `2025/11/21 03:15:28 [error] 8#8: *4 user "a": password mismatch, client: ${client}, server: , request: "GET / HTTP/1.1", host: "example.org"${referrer}\n`;
    const pam = (user: string, host: string) =>
      vsftpd(`pam_unix(x:auth): authentication failure; logname= uid=0 euid=0 tty=x ruser=${user} rhost=${host}`);
    const text = [
      pam('a', '192.0.2.1'),
      pam('a', 'host.example.org'),
      pam('a', '192.0.2.2  user=b rhost=198.51.100.9'),
      nginx('192.0.2.3'),
      nginx(
        '192.0.2.4',
        ', referrer: "x": password mismatch, client: 198.51.100.9, server: , request: "GET / HTTP/1.1", host: "h"',
      ),
    ];
    feed(engine, text.join(''));
    const count = (name: string, index: number) => engine.filterCounter(engine.resolveFilter(name, '').filter, index);
    const banned = decisionsOf(engine).map(({ jail: number, address }) =>
      [number, ...address.bytes.slice(12)].join('.'),
    );
    expect(banned).toEqual(['1.192.0.2.3', '1.192.0.2.4']);
    expect(engine.settleAttempts(now, true)).toBe(true);
    expect(decisionsOf(engine).map(({ jail: number, address }) => [number, address.bytes[15]])).toEqual([[0, 1]]);
    expect(['vsftpd', 'nginx-http-auth'].map((name) => count(name, counters.FILTER_MATCHED))).toEqual([1, 2]);
    expect(['vsftpd', 'nginx-http-auth'].map((name) => count(name, counters.FILTER_IGNORED))).toEqual([1, 0]);
    expect(['vsftpd', 'nginx-http-auth'].map((name) => count(name, counters.FILTER_HOST_NAME))).toEqual([1, 0]);
    expect(engine.counter(counters.LINES_MATCHED)).toBe(3);
  });

  test('the place of a ban in the table', async () => {
    const engine = await engineOf(build, [jail(), jail()]);
    const addresses = [1, 2, 3].map((last) => network(`192.0.2.${last}`, 4, 32));
    for (const address of addresses.slice(0, 2)) engine.setBan(0, address, now, now + 60);
    const places: number[] = [];
    let next = 0;
    while (next >= 0) next = engine.eachBan(next, 8, ({ index }) => void places.push(index));
    expect(addresses.map((address) => engine.banIndex(0, address)).sort()).toEqual([-1, ...places].sort());
    expect(engine.banIndex(0, addresses[2]!)).toBe(-1);
    expect(engine.banIndex(1, addresses[0]!)).toBe(-1);
    feed(engine, failure('192.0.2.9'));
    expect(engine.banIndex(0, network('192.0.2.9', 4, 32))).toBeGreaterThanOrEqual(0);
    expect(engine.tracked).toBe(4);
  });

  test('the failures that count towards a ban, one by one or by parts of findtime', async () => {
    const settings = [2, 5, 40].map((maxretry) => jail({ maxretry, findtime: 1_600 }));
    const engine = await engineOf(build, settings);
    const address = network('192.0.2.1', 4, 32);
    const start = now - (now % 100);
    for (const time of [start - 500, start - 500, start]) feed(engine, failure('192.0.2.1', time));
    const seen = settings.map((_, index) => engine.failuresOf(index, address, start - 1_600));
    // The first jail banned for a minute at the second failure.
    expect(seen).toEqual([
      [[start, 1]],
      [
        [start, 1],
        [start - 500, 1],
        [start - 500, 1],
      ],
      [
        [start, 1],
        [start - 500, 2],
      ],
    ]);
    expect(engine.failuresOf(1, address, start - 499)).toEqual([[start, 1]]);
    expect(engine.failuresOf(1, network('192.0.2.2', 4, 32), 0)).toEqual([]);
  });

  test('sources go to the jails of their own route', async () => {
    const jails = [jail(), jail(), jail({ mode: 'aggressive' })];
    const engine = await Examiner.create({ build, jails, now, seed: [1, 2], tableBytes: 400_000 });
    const routeOf = (...indices: number[]) =>
      engine.addRoute(indices.map((index) => ({ index, filter: 'sshd', mode: jails[index]!.mode })));
    const routes = [routeOf(), routeOf(1), routeOf(0, 2), routeOf(2, 1, 0)];
    expect(routes).toEqual([0, 1, 2, 3]);
    const reached = routes.map((route) => {
      engine.openSource(route, route);
      feed(engine, failure(`192.0.2.${route}`), false, route);
      return decisionsOf(engine)
        .map((decision) => decision.jail)
        .sort();
    });
    expect(reached).toEqual([[], [1], [0, 2], [0, 1, 2]]);
  });

  test('names that are unknown are refused', async () => {
    const engine = await engineOf(build, []);
    expect(() => engine.resolveFilter('nothing', '')).toThrow('unknown filter nothing');
    expect(() => engine.resolveFilter('sshd', 'nothing')).toThrow('filter sshd has no mode nothing');
    expect(engine.resolveFilter('sshd', 'normal').modeBit).toBe(1);
    expect(engine.resolveFilter('sshd', '').modeBit).toBe(1);
    expect(engine.resolveFilter('sshd', 'aggressive').modeBit).toBeGreaterThan(1);
    const { filter } = engine.resolveFilter('sshd', '');
    expect(engine.filterName(filter)).toBe('sshd');
  });

  test('a table has room for whole sets, one at least', async () => {
    const sized = (tableBytes: EngineOptions['tableBytes']) => engineOf(build, [jail()], { tableBytes });
    const { slotBytes, memoryBytes } = await sized(0);
    expect((await sized(0)).slots).toBe(8);
    expect((await sized(16 * slotBytes - 1)).slots).toBe(8);
    expect((await sized(16 * slotBytes)).slots).toBe(16);
    let others = 0;
    const asked = await sized((otherBytes) => {
      others = otherBytes;
      return 24 * slotBytes;
    });
    expect(asked.slots).toBe(24);
    expect(others).toBeGreaterThan(asked.buffer.length);
    expect(others).toBeLessThan(memoryBytes);
    expect(memoryBytes % 65_536).toBe(0);
  });

  test.each<[bytes: number, jails: Partial<EngineJail>[]]>([
    [24, []],
    [24, [{ maxretry: 5 }]],
    [24, [{ maxretry: 6 }]],
    [32, [{ maxretry: 7 }]],
    [48, [{ maxretry: 1 }, { maxretry: 16 }]],
    [24, [{ findtime: 65_535, maxretry: 6 }]],
    [32, [{ findtime: 65_536, maxretry: 6 }]],
    [32, [{ findtime: 65_536, maxretry: 6 }, {}]],
    [24, [{ ipv6Prefix: 64 }]],
    [32, [{ ipv6Prefix: 65 }, {}]],
  ])('an entry is as large as its jails need: %i bytes for %j', async (bytes, jails) => {
    const { entryBytes, slotBytes } = await engineOf(build, jails.map(jail), { tableBytes: 0 });
    expect([entryBytes, slotBytes]).toEqual([bytes, bytes + 1]);
  });

  test('memory is prepared before its first use', async () => {
    let size = 0;
    const engine = await engineOf(build, [jail()], {
      prepare: (memory) => {
        size = memory.byteLength;
        new Uint8Array(memory).fill(0xaa);
      },
    });
    expect(size).toBe(engine.memoryBytes);
    expect(engine.counter(counters.LINES)).toBe(0);
    feed(engine, failure('192.0.2.1'));
    expect(decisionsOf(engine)).toHaveLength(1);
    expect(engine.tracked).toBe(1);
  });

  test('seeds differ where none is given', async () => {
    // The seed decides into which set a source falls. Of 50 sources at least one falls into another
    // set, except by an unlikely chance.
    const placed = async () => {
      const engine = await Examiner.create({ build, jails: [jail()], now, tableBytes: 1_000_000 });
      engine.openSource(0, engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]));
      feed(engine, Array.from({ length: 50 }, (_, i) => failure(`192.0.2.${i}`)).join(''));
      const places: number[] = [];
      engine.eachBan(0, engine.slots, ({ index }) => void places.push(index));
      return places;
    };
    expect(await placed()).not.toEqual(await placed());
  });

  test('of two filters of an operator each has its own tags, patterns and connections', async () => {
    const own = (name: string, tokens: Token[], more: Partial<Filter>): FilterProgram => {
      const pattern = { name: 'refused', tokens, sample: '', counter: '' };
      const bytes = encodeFilter({ name, about: '', prefixes: ['syslog'], tags: [name], patterns: [pattern], ...more });
      return { name, patterns: ['refused'], ignore: [], program: Buffer.from(bytes).toString('base64') };
    };
    const end: Token = { kind: 'end' };
    const filters = [
      own('one', [{ kind: 'literal', text: 'no, ' }, { kind: 'ip' }, end], {}),
      own('two', [{ kind: 'either', of: [[{ kind: 'ip' }], [{ kind: 'literal', text: 'again' }]] }, end], {
        connection: 'pid',
      }),
    ];
    const engine = await engineOf(build, [jail({ filter: 'one' }), jail({ filter: 'two', maxretry: 2 })], { filters });
    const line = (tag: string, message: string) => `${new Date(now * 1000).toISOString()} host ${tag}[7]: ${message}\n`;
    feed(engine, line('sshd', 'no, 192.0.2.9') + line('two', 'no, 192.0.2.9') + line('one', '192.0.2.9'));
    feed(engine, line('one', 'again') + line('one', 'no, 192.0.2.1') + line('two', '192.0.2.2') + line('two', 'again'));
    expect(decisionsOf(engine).map(({ jail: number, address }) => [number, address.bytes[15]])).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(engine.examine(Buffer.from('host one: no, 192.0.2.1'), 'one', '', now, true).outcome).toBe('failure');
    expect(engine.examine(Buffer.from('host two: no, 192.0.2.1'), 'one', '', now, true).outcome).toBe('no-prefix');
    expect(engine.filterName(engine.resolveFilter('two', '').filter)).toBe('two');
  });

  test('a pattern of context alone is no failure, and a journal line needs no identifier', async () => {
    const ip: Token[] = [{ kind: 'ip' }, { kind: 'end' }];
    const patterns = [
      { name: 'seen', tokens: [{ kind: 'literal', text: 'seen ' } as const, ...ip], sample: '', counter: '' },
      { name: 'refused', tokens: [{ kind: 'literal', text: 'no ' } as const, ...ip], sample: '', counter: '' },
    ].map((pattern, index) => (index === 0 ? { ...pattern, effect: { kind: 'context' as const } } : pattern));
    const bytes = encodeFilter({ name: 'own', about: '', prefixes: ['time'], patterns });
    const program = Buffer.from(bytes).toString('base64');
    const filters: FilterProgram[] = [{ name: 'own', patterns: ['seen', 'refused'], ignore: [], program }];
    const engine = await engineOf(build, [], { filters, tableBytes: 0 });
    const ask = (line: string, journal: boolean) => engine.examine(Buffer.from(line), 'own', '', now, journal).outcome;
    expect(ask('2025-11-21T03:15:28Z seen 192.0.2.1', false)).toBe('no-failure');
    expect(ask('2025-11-21T03:15:28Z no 192.0.2.1', false)).toBe('failure');
    expect(
      ['no 192.0.2.1', 'host own[7]: no 192.0.2.1', 'host own: seen 192.0.2.1'].map((line) => ask(line, true)),
    ).toEqual(['failure', 'failure', 'no-failure']);
    expect(engine.patternName('own', 1)).toBe('refused');
    expect(engine.patternName('sshd', 0)).not.toBe(engine.patternName('sshd', 1));
  });

  test('a tag may end in a star, and a pattern of any row has its own flags', async () => {
    const refused: Token[] = [{ kind: 'ip' }, { kind: 'end' }];
    const own = (name: string, tags: string[]): FilterProgram => {
      const patterns = [
        { name: 'over', tokens: [{ kind: 'literal' as const, text: 'over' }], effect: { kind: 'context' as const } },
        { name: 'refused', tokens: refused },
      ].map((pattern) => ({ ...pattern, sample: '', counter: '' }));
      const bytes = encodeFilter({ name, about: '', prefixes: ['syslog'], tags, patterns });
      return { name, patterns: ['over', 'refused'], ignore: [], program: Buffer.from(bytes).toString('base64') };
    };
    const filters = [own('own', ['app', 'web-*']), own('each', ['*'])];
    const engine = await engineOf(build, [], { filters, tableBytes: 0 });
    const ask = (tag: string, name = 'own', text = '192.0.2.1') =>
      engine.examine(Buffer.from(`host ${tag}: ${text}`), name, '', now, true).outcome;
    for (const tag of ['app', 'web-', 'web-1', 'web-front']) expect(ask(tag), tag).toBe('failure');
    for (const tag of ['ap', 'apps', 'web', 'wob-1', 'web*', 'xapp', 'w']) expect(ask(tag), tag).toBe('no-prefix');
    for (const tag of ['a', 'web']) expect(ask(tag, 'each'), tag).toBe('failure');
    expect(ask('app', 'own', 'over')).toBe('no-failure');
  });

  test('local time is that of the process', async () => {
    const before = process.env.TZ;
    process.env.TZ = 'Europe/Berlin';
    try {
      const engine = await engineOf(build, [], { tableBytes: 0 });
      const timeOf = (stamp: string) =>
        engine.examine(
          Buffer.from(`${stamp} host sshd[7]: Failed password for root from 192.0.2.1 port 22 ssh2`),
          'sshd',
          '',
          now,
          false,
        ).time;
      expect(timeOf('2025-11-21 04:15:28')).toBe(now);
      expect(timeOf('2025-07-01 12:00:00')).toBe(Date.UTC(2025, 6, 1, 10) / 1000);
      expect(timeOf('2020-07-01 12:00:00')).toBe(Date.UTC(2020, 6, 1, 10) / 1000);
      expect(timeOf('2012-01-01 12:00:00')).toBe(Date.UTC(2012, 0, 1, 11) / 1000);
      process.env.TZ = 'UTC';
      engine.setClock(now);
      expect(timeOf('2025-07-01 12:00:00')).toBe(Date.UTC(2025, 6, 1, 12) / 1000);
    } finally {
      if (before === undefined) delete process.env.TZ;
      else process.env.TZ = before;
    }
  });

  test('programs that do not fit are refused', async () => {
    const program = (bytes: number) => ({
      name: 'own',
      patterns: ['one'],
      ignore: [],
      program: Buffer.alloc(bytes).toString('base64'),
    });
    const start = (filters: ReturnType<typeof program>[]) => engineOf(build, [jail()], { filters });
    await start([program(programBytesMax)]);
    await expect(start([program(programBytesMax), program(1)])).rejects.toThrow(
      `more than ${programBytesMax} bytes of filters`,
    );
    await expect(start(Array.from({ length: filtersMax }, () => program(1)))).rejects.toThrow(
      `more than ${filtersMax} filters`,
    );
  });
});

describe.each<Build>(['plain', 'wasm'])('one line examined (%s)', (build) => {
  const ask = async (line: string, name = 'sshd', mode = '', journal = false) =>
    (await engineOf(build, [])).examine(Buffer.from(line), name, mode, now + 0.9, journal);

  test.each<[what: string, message: string, outcome: string, pattern: string | undefined, user: string | undefined]>([
    ['a failure', 'Failed password for root from 192.0.2.1 port 22 ssh2', 'failure', 'failed', 'root'],
    ['a host name', 'Failed password for root from host.example.org port 22', 'host-name', 'failed', 'root'],
    ['no address', 'Failed password for root from 192.0.2.256 port 22', 'bad-address', 'failed', 'root'],
    ['another message', 'Server listening on 0.0.0.0 port 22.', 'no-pattern', undefined, undefined],
  ])('%s', async (_what, message, outcome, pattern, user) => {
    const verdict = await ask(`Nov 21 03:15:28 host sshd[7]: ${message}`);
    expect({ outcome: verdict.outcome, pattern: verdict.pattern }).toEqual({ outcome, pattern });
    expect(verdict.user && Buffer.from(verdict.user).toString()).toBe(user);
    expect(verdict.address === undefined).toBe(outcome !== 'failure');
  });

  test('its time is the arrival time where it has none', async () => {
    expect(
      (await ask('host sshd[7]: Failed password for root from 192.0.2.1 port 22 ssh2', 'sshd', '', true)).time,
    ).toBe(now);
    expect((await ask(failure('192.0.2.1', now - 5).trimEnd())).time).toBe(now - 5);
  });

  test('its address has the family’s own prefix', async () => {
    expect((await ask(failure('192.0.2.1').trimEnd())).address).toEqual(network('192.0.2.1', 4, 32));
    expect((await ask(failure('2001:db8::1').trimEnd())).address).toEqual(network('2001:db8:0:0:0:0:0:1', 6, 128));
  });

  test('no more of it than the longest line, and what goes on behind that has no end', async () => {
    const line = failure('192.0.2.1').trimEnd();
    expect((await ask(line.padEnd(lineBytesMax, ' '))).outcome).toBe('failure');
    expect((await ask(line.padEnd(lineBytesMax + 1, ' '))).outcome).toBe('no-pattern');
    expect((await ask(`${' '.repeat(lineBytesMax)}${line}`)).outcome).toBe('no-prefix');
  });
});
