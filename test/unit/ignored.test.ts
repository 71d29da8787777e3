/**
 * The networks of this host: which of them are shared links, and which broadcast addresses they
 * have.
 */
import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, test } from 'vitest';
import { Ignored } from '../../src/enforcer/ignored.ts';
import { formatAddress, parseAddress, parseCidr } from '../../src/text/address.ts';
import type { Address } from '../../src/types.ts';

function ignoredOf(cidrs: string[], internal = false): Ignored {
  const found = cidrs.map((cidr) => ({ address: cidr.split('/')[0], cidr, internal }) as NetworkInterfaceInfo);
  return new Ignored([{ ignoreip: [], ignoreself: true }], () => ({ eth0: found }));
}

test.each([
  [['2001:db8:1:2::5/64'], ['2001:db8:1:2::/64']],
  // A narrower link shares its /64 with other hosts. A wider one is shared as a whole.
  [
    ['2001:db8:1:2::5/128', '2001:db8:1:3::5/124'],
    ['2001:db8:1:2::/64', '2001:db8:1:3::/64'],
  ],
  [['2001:db8:1::5/48'], ['2001:db8:1::/48']],
  [['2001:db8:1:2::5/64', '2001:db8:1:2::6/64', '2001:db8:1:2:3::7/128'], ['2001:db8:1:2::/64']],
  // Link-local addresses are single hosts everywhere.
  [['fe80::5/64', 'febf::5/64'], []],
  [
    ['fe7f::5/64', 'fec0::5/64', 'fd80::5/64'],
    ['fe7f::/64', 'fec0::/64', 'fd80::/64'],
  ],
  [['192.0.2.1/24'], ['192.0.2.0/24']],
])('%j makes the links %j', (cidrs, links) => {
  expect(ignoredOf(cidrs).links.map(formatAddress)).toEqual(links);
});

test('loopback is no link', () => {
  expect(ignoredOf(['::1/128', '127.0.0.1/8'], true).links).toEqual([]);
});

test.each([
  ['192.0.2.1/24', '192.0.2.255', true],
  ['192.0.2.1/24', '192.0.2.254', false],
  ['192.0.2.1/25', '192.0.2.127', true],
  ['192.0.2.1/25', '192.0.2.255', false],
  ['10.1.2.3/8', '10.255.255.255', true],
  // A link of two hosts and a single host have none.
  ['192.0.2.0/31', '192.0.2.1', false],
  ['192.0.2.7/32', '192.0.2.7', false],
  ['2001:db8::1/64', '2001:db8::ffff:ffff:ffff:ffff', false],
])('with %s, %s is a broadcast address: %s', (cidr, text, expected) => {
  expect(ignoredOf([cidr]).isBroadcast(parseAddress(text)!)).toBe(expected);
});

test('each of two networks has its broadcast address', () => {
  const ignored = ignoredOf(['192.0.2.1/24', '198.51.100.1/25']);
  const broadcasts = ['192.0.2.255', '198.51.100.127', '198.51.100.255'];
  expect(broadcasts.map((text) => ignored.isBroadcast(parseAddress(text)!))).toEqual([true, true, false]);
});

test('an interface whose address cannot be read takes nothing from the others', () => {
  const interfaces = [
    { address: 'fe80::1%eth0', cidr: null, internal: false },
    { address: '192.0.2.1', cidr: '192.0.2.1/24', internal: false },
  ] as NetworkInterfaceInfo[];
  const ignored = new Ignored([{ ignoreip: [], ignoreself: true }], () => ({ eth0: interfaces, eth1: undefined }));
  expect(ignored.lists.map((list) => list.map(formatAddress))).toEqual([['127.0.0.0/8', '::1', '192.0.2.1']]);
  expect(ignored.links.map(formatAddress)).toEqual(['192.0.2.0/24']);
});

test('the last known state stays while the kernel cannot be asked', () => {
  let fails = false;
  const one = { address: '2001:db8::1', cidr: '2001:db8::1/64', internal: false } as NetworkInterfaceInfo;
  const ignored = new Ignored([{ ignoreip: [], ignoreself: true }], () => {
    if (fails) throw new Error('EMFILE');
    return { eth0: [one] };
  });
  fails = true;
  expect(ignored.look()).toBe(false);
  expect(ignored.links.map(formatAddress)).toEqual(['2001:db8::/64']);
});

describe('ignored by hand', () => {
  const network = parseCidr('192.0.2.0/24', 'clear') as Address;

  test('in every jail until its time is over, also when the clock is set meanwhile', () => {
    let seconds = 1_000;
    const jails = [
      { ignoreip: ['198.51.100.7'], ignoreself: false },
      { ignoreip: [], ignoreself: false },
    ];
    const ignored = new Ignored(
      jails,
      () => ({}),
      () => seconds * 1_000,
    );
    const shown = () => ignored.lists.map((list) => list.map(formatAddress));
    ignored.ignore(network, 1_010);
    expect(shown()).toEqual([['198.51.100.7'], []]);
    expect(ignored.look()).toBe(true);
    expect(shown()).toEqual([['198.51.100.7', '192.0.2.0/24'], ['192.0.2.0/24']]);
    expect(ignored.byHand).toEqual([{ network, until: 1_010 }]);
    expect(ignored.look()).toBe(false);
    ignored.shift(5);
    seconds = 1_014;
    expect(ignored.look()).toBe(false);
    expect(ignored.byHand).toHaveLength(1);
    // At its end it is over, and a clock that is set back does not bring it back.
    seconds = 1_015;
    expect(ignored.byHand).toEqual([]);
    expect(ignored.look()).toBe(true);
    expect(shown()).toEqual([['198.51.100.7'], []]);
    seconds = 1_000;
    expect(ignored.byHand).toEqual([]);
  });

  test('a second command for the same network replaces the first, and an end in the past removes it', () => {
    const ignored = new Ignored(
      [{ ignoreip: [], ignoreself: false }],
      () => ({}),
      () => 1_000_000,
    );
    ignored.ignore(network, 1_010);
    ignored.ignore(network, 1_020);
    expect(ignored.byHand.map(({ until }) => until)).toEqual([1_020]);
    ignored.ignore(network, 0);
    expect(ignored.byHand).toEqual([]);
  });
});
