/**
 * What counts as one IPv6 source: a prefix where it belongs to one customer, a single address where
 * hosts share the prefix (a link of ours, link-local, NAT64, Teredo), a /48 of 6to4. In both
 * builds.
 */
import { describe, expect, test } from 'vitest';
import { JAIL_DENIED, JAIL_IGNORED } from '../../src/engine/counters.ts';
import type { Engine, TableBan } from '../../src/engine/host.ts';
import { UPPERS_MAX } from '../../src/engine/layout.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import type { Address } from '../../src/types.ts';
import { type DrivenJail, type Source, TableDriver } from '../support/table-driver.ts';

const start = 1_773_144_000;
const jail: DrivenJail = { maxretry: 3, findtime: 600, bantime: 3_600, ipv6Prefix: 64 };

function address(text: string): Address {
  const found = parseCidr(text, 'refuse');
  if (typeof found === 'string') throw new Error(text);
  return found;
}

function source(text: string): Source {
  const { family, bytes } = address(text);
  const hex = Buffer.from(family === 4 ? bytes.subarray(12) : bytes).toString('hex');
  return { family, value: BigInt(`0x${hex}`) };
}

const link = address('2001:db8:1:2::/64');

function bansOf(engine: Engine): string[] {
  const bans: TableBan[] = [];
  engine.eachBan(0, engine.slots, (ban) => bans.push(ban));
  return bans.map(({ jail: index, address: banned }) => `${index} ${formatAddress(banned)}`).sort();
}

describe.each(['plain', 'wasm'] as const)('%s build', (build) => {
  const make = (jails = [jail], slots = 1_024) => TableDriver.create({ build, jails, slots, shared: [link] });

  const fail = (table: TableDriver, ...texts: string[]): (string | undefined)[] =>
    texts.map((text) => {
      const found = table.fail(0, source(text), start);
      return found && formatAddress(found.address);
    });

  test.each([
    ['a customer', '2001:db8:7:7::1', '2001:db8:7:7::2', '2001:db8:7:7::3', '2001:db8:7:7::/64'],
    ['6to4', '2002:c000:201:1::1', '2002:c000:201:2::2', '2002:c000:201::3', '2002:c000:201::/48'],
  ])('%s is banned as a prefix', async (_, one, two, three, banned) => {
    const table = await make();
    expect(fail(table, one, two, three)).toEqual([undefined, undefined, banned]);
    expect(bansOf(table.engine)).toEqual([`0 ${banned}`]);
    table.engine.confirmBan(0, address(banned));
    expect(table.engine.findBan(0, address(banned))?.confirmed).toBe(true);
    table.engine.forget(0, address(banned));
    expect(bansOf(table.engine)).toEqual([]);
  });

  test.each([
    ['on a link of ours', '2001:db8:1:2::1', '2001:db8:1:2::2'],
    ['of link-local addresses', 'fe80::1', 'fe80::2'],
    ['behind NAT64', '64:ff9b::c000:201', '64:ff9b::c000:202'],
    ['behind a NAT64 of its own', '64:ff9b:1:77::c000:201', '64:ff9b:1:77::c000:202'],
    ['of Teredo', '2001:0:c000:201:8000:63bf:3fff:fdd2', '2001:0:c000:201:8000:63bf:3fff:fdd3'],
  ])('each address %s is a source', async (_, one, two) => {
    const table = await make();
    expect(fail(table, one, two, one, two)).toEqual([undefined, undefined, undefined, undefined]);
    expect(fail(table, one)).toEqual([one]);
    expect(bansOf(table.engine)).toEqual([`0 ${one}`]);
    expect(table.engine.isBanned(0, address(one))).toBe(true);
    expect(table.engine.isBanned(0, address(two))).toBe(false);
    expect(table.engine.isBanned(0, { ...address(one), prefix: 64 }), 'the prefix').toBe(false);
    expect(fail(table, two)).toEqual([two]);
    table.engine.confirmBan(0, address(two));
    table.engine.forget(0, address(one));
    expect(bansOf(table.engine)).toEqual([`0 ${two}`]);
  });

  describe('of an IPv4 prefix', () => {
    const wide = { ...jail, ipv4Prefix: 24 };
    const makeWide = (jails: DrivenJail[] = [wide]) =>
      TableDriver.create({ build, jails, slots: 1_024, shared: [address('203.0.113.0/25')] });

    test('hosts are one source, in the ring, the table and the answers', async () => {
      const table = await makeWide([wide, jail]);
      expect(fail(table, '192.0.2.1', '192.0.2.77', '192.0.2.255')).toEqual([undefined, undefined, '192.0.2.0/24']);
      const banned = address('192.0.2.0/24');
      const { engine } = table;
      expect(bansOf(engine)).toEqual(['0 192.0.2.0/24']);
      expect([engine.sourceWidth(0, address('192.0.2.9')), engine.sourceWidth(1, address('192.0.2.9'))]).toEqual([
        24, 32,
      ]);
      expect([engine.isBanned(0, banned), engine.isBanned(0, address('192.0.2.1'))]).toEqual([true, false]);
      engine.confirmBan(0, banned);
      expect(engine.findBan(0, banned)?.confirmed).toBe(true);
      engine.forget(0, banned);
      expect(bansOf(engine)).toEqual([]);
    });

    test('on a link of ours each host is a source, and the first address is not one', async () => {
      const table = await makeWide();
      expect(fail(table, '203.0.113.1', '203.0.113.2', '203.0.113.200')).toEqual(Array(3));
      expect(fail(table, '203.0.113.1', '203.0.113.1')).toEqual([undefined, '203.0.113.1']);
      expect(fail(table, ...Array(5).fill('203.0.113.0'))).toEqual(Array(5));
      expect(table.engine.sourceWidth(0, address('203.0.113.0'))).toBe(0);
      expect(table.engine.jailCounter(0, JAIL_IGNORED)).toBe(5);
      expect(bansOf(table.engine)).toEqual(['0 203.0.113.1']);
      expect([table.engine.isShared(address('203.0.113.0/24')), table.engine.isShared(address('203.0.113.1'))]).toEqual(
        [true, false],
      );
    });

    test('a network inside an ignored one is ignored, a wider one is not', async () => {
      const table = await makeWide([{ ...wide, ignore: [address('198.51.100.0/25')] }]);
      expect(table.engine.isIgnored(0, address('198.51.100.0/24'))).toBe(false);
      expect(table.engine.isIgnored(0, address('198.51.100.64/26'))).toBe(true);
    });

    test('another length needs a restart', async () => {
      const { engine } = await makeWide();
      const same = { ...wide, filter: 'sshd', mode: '', ignore: [], name: 'sshd' };
      expect([...engine.unfit({ jails: [same] }, new Set())]).toEqual([]);
      expect([...engine.unfit({ jails: [{ ...same, ipv4Prefix: 25 }] }, new Set())]).toEqual([
        'jail sshd has another ipv4_prefix, by which its bans are known',
      ]);
    });
  });

  test('the same lower half under two upper ones is two sources', async () => {
    const table = await make();
    expect(fail(table, 'fe80::7', '2001:db8:1:2::7', 'fe80::7', '2001:db8:1:2::7')).toEqual(Array(4));
    expect(fail(table, 'fe80::7', '2001:db8:1:2::7')).toEqual(['fe80::7', '2001:db8:1:2::7']);
    expect(bansOf(table.engine)).toEqual(['0 2001:db8:1:2::7', '0 fe80::7']);
  });

  test('the first address of a link is ignored: its ban would be that of the link', async () => {
    const table = await make();
    expect(fail(table, ...Array(5).fill('2001:db8:1:2::'))).toEqual(Array(5));
    expect(table.engine.jailCounter(0, JAIL_IGNORED)).toBe(5);
    expect(bansOf(table.engine)).toEqual([]);
    expect(table.engine.sourceWidth(0, address('2001:db8:1:2::'))).toBe(0);
  });

  test.each([
    [32, '2001:db8:5:5::9', '2001:db8:5:5::9'],
    [48, '2001:db8:1:77::9', '2001:db8:1:77::9'],
    [56, '2001:db8:1:277::9', '2001:db8:1:200::/56'],
    [128, '2001:db8:1:2::9', '2001:db8:1:2::9'],
    [128, '2002:c000:201:1::1', '2002:c000:201::/48'],
    [40, '2002:c000:201:1::1', '2002:c000:200::/40'],
  ])('where a jail bans /%i, %s is %s', async (ipv6Prefix, one, banned) => {
    const table = await make([{ ...jail, ipv6Prefix }]);
    expect(fail(table, one, one, one)).toEqual([undefined, undefined, banned]);
    expect(bansOf(table.engine)).toEqual([`0 ${banned}`]);
    expect(table.engine.isBanned(0, address(banned))).toBe(true);
  });

  test('bans of a link that went stay as they are; the prefix of one that came must not be banned', async () => {
    const table = await make();
    const { engine } = table;
    fail(table, ...Array(3).fill('2001:db8:1:2::9'), ...Array(3).fill('2001:db8:9:9::9'));
    expect(engine.isShared(address('2001:db8:1:2::/64'))).toBe(true);
    expect(engine.setIgnored([[]], [address('2001:db8:9:9::/64')])).toBe(true);
    expect(bansOf(engine)).toEqual(['0 2001:db8:1:2::9', '0 2001:db8:9:9::/64']);
    engine.confirmBan(0, address('2001:db8:1:2::9'));
    expect(engine.findBan(0, address('2001:db8:1:2::9'))?.confirmed).toBe(true);
    expect(
      ['2001:db8:1:2::/64', '2001:db8:9:9::/64', '2001:db8:9::/48', '2001:db8:9:9::9'].map((text) =>
        engine.isShared(address(text)),
      ),
    ).toEqual([false, true, true, false]);
    expect(fail(table, ...Array(3).fill('2001:db8:1:2::10')).at(-1)).toBe('2001:db8:1:2::/64');
  });

  test('a ban of a single address is saved and restored, also in the earlier form', async () => {
    const before = await make();
    fail(before, ...Array(3).fill('fe80::9'), 'fe80::8', 'fe80::8', ...Array(3).fill('2001:db8:9:9::9'));
    const saved = before.engine.saveTable(start + 1);
    const into = new Uint8Array(4_096);
    const parts: Uint8Array[] = [];
    for (let length = saved.read(into); length > 0; length = saved.read(into)) parts.push(into.slice(0, length));
    const after = await TableDriver.create({ build, jails: [jail], slots: 512, seed: [8, 9] });
    const restoring = after.engine.restoreTable(saved, [0], start + 1)!;
    for (const part of parts) restoring.take(part);
    expect(restoring.result).toMatchObject({ bans: 2, windows: 1, foreign: 0 });
    expect(bansOf(after.engine)).toEqual(['0 2001:db8:9:9::/64', '0 fe80::9']);
    expect(fail(after, 'fe80::8')).toEqual(['fe80::8']);

    const old = { ...saved, layout: 2, note: saved.note.subarray(0, 3 + 5) };
    const third = await TableDriver.create({ build, jails: [jail], slots: 512 });
    const reading = third.engine.restoreTable(old, [0], start + 1)!;
    for (const part of parts) reading.take(part);
    // That form had no single addresses, so what looks like one is not loaded.
    expect(reading.result).toMatchObject({ bans: 1, windows: 0, foreign: 2 });
    expect(bansOf(third.engine)).toEqual(['0 2001:db8:9:9::/64']);
    expect(third.engine.restoreTable({ ...saved, layout: 2 }, [0], start + 1)).toBe(null);
    expect(third.engine.restoreTable({ ...saved, note: saved.note.subarray(0, -1) }, [0], start + 1)).toBe(null);
  });

  test('when every row is taken, single addresses under further ones are denied, and no prefix is banned', async () => {
    const table = await make([{ ...jail, maxretry: 1 }]);
    const teredo = (n: number) => `2001:0:c000:${n.toString(16)}::1`;
    for (let n = 1; n <= UPPERS_MAX; n++) expect(fail(table, teredo(n))).toEqual([teredo(n)]);
    expect(fail(table, teredo(UPPERS_MAX + 1), 'fe80::1')).toEqual([undefined, undefined]);
    expect(table.engine.jailCounter(0, JAIL_DENIED)).toBe(2);
    expect(fail(table, '2001:0:c000:1::2', '2001:db8:7:7::1')).toEqual(['2001:0:c000:1::2', '2001:db8:7:7::/64']);
  });

  test('a ban that makes room in the table names the single address', async () => {
    const table = await TableDriver.create({ build, jails: [{ ...jail, maxretry: 1 }], slots: 8 });
    const { engine } = table;
    for (let n = 1; n <= 9; n++) {
      const text = `fe80::${n}`;
      table.fail(0, source(text), start + n);
      engine.confirmBan(0, address(text));
    }
    const given: string[] = [];
    engine.takeDenials(({ address: denied }) => given.push(formatAddress(denied)));
    expect(given).toEqual(['fe80::1']);
  });

  test('bans in other jails count for a single address as well', async () => {
    const escalation = { bantimes: [7_200], randomSeconds: 0, memorySeconds: 86_400, allJails: true };
    const table = await make([
      { ...jail, maxretry: 1, escalation },
      { ...jail, maxretry: 1, escalation, ipv6Prefix: 56 },
    ]);
    expect(table.fail(0, source('fe80::5'), start)?.seconds).toBe(3_600);
    expect(table.fail(1, source('fe80::5'), start)).toMatchObject({ seconds: 7_200, bans: 2 });
    expect(table.fail(1, source('fe80::6'), start)?.seconds).toBe(3_600);
  });
});
