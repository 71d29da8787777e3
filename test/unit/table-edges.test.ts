/**
 * The table at its edges: findtime to the second, a full ring of denials, a run at second 0,
 * entries that come back twice.
 */
import { describe, expect, test } from 'vitest';
import { DENIED, JAIL_TOO_OLD } from '../../src/engine/counters.ts';
import { DENIALS_MAX } from '../../src/engine/layout.ts';
import type { EvictionPolicy } from '../../src/types.ts';
import { addressOf, type DrivenJail, type Source, TableDriver, v4 } from '../support/table-driver.ts';

const start = 1_763_694_928;
const jail: DrivenJail = { maxretry: 2, findtime: 10, bantime: 60, ipv6Prefix: 64 };
const source = v4('192.0.2.1');
const driver = (jails: DrivenJail[] = [jail], policy: EvictionPolicy = 'evict_oldest', slots = 64) =>
  TableDriver.create({ build: 'plain', jails, slots, policy });

/**
 * Each row: the seconds of the failures, in the order in which they come, and whether the last one
 * bans.
 */
describe('failures within findtime of each other', () => {
  test.each<[maxretry: number, seconds: number[], bans: boolean]>([
    [1, [0], true],
    [2, [0, 10], true],
    [2, [0, 11], false],
    [2, [0, 11, 21], true],
    [2, [0, 11, 22], false],
    [2, [20, 10], true],
    [2, [20, 9], false],
    [2, [20, 9, 30], true],
    [3, [0, 5, 10], true],
    [3, [0, 5, 11], false],
    [3, [0, 5, 11, 15], true],
    [3, [0, 5, 11, 16], false],
    [3, [10, 5, 0], true],
    [3, [10, 5, 4], true],
    [3, [10, 5, -1, 14], true],
    [3, [20, 11, 10], true],
    [3, [20, 11, 9], false],
    [4, [0, 0, 0, 0], true],
    [4, [0, 3, 6, 10], true],
    [4, [0, 3, 6, 11], false],
    [4, [0, 3, 6, 11, 13], true],
    [4, [0, 3, 6, 11, 14], false],
    [4, [6, 3, 0, 10], true],
    [4, [10, 0, 5, 3], true],
  ])('maxretry %i: %j', async (maxretry, seconds, bans) => {
    const table = await driver([{ ...jail, maxretry }]);
    const decisions = seconds.map((second) => table.fail(0, source, start + second));
    expect(decisions.map((decision) => decision?.failures)).toEqual(
      seconds.map((_, index) => (bans && index === seconds.length - 1 ? maxretry : undefined)),
    );
  });

  test('what lies before all of them is counted as too old', async () => {
    const table = await driver();
    table.fail(0, source, start);
    table.fail(0, source, start - 11);
    expect(table.engine.jailCounter(0, JAIL_TOO_OLD)).toBe(1);
  });
});

test('a ban runs to its last second', async () => {
  const table = await driver([{ ...jail, maxretry: 1 }]);
  expect(table.fail(0, source, start)).toMatchObject({ seconds: 60, bans: 1 });
  expect(table.fail(0, source, start + 59)).toBe(undefined);
  expect(table.fail(0, source, start + 60)).toMatchObject({ seconds: 60 });
});

test('once the ring is full, denials that nobody takes are only counted', async () => {
  const table = await driver([{ ...jail, bantime: -1 }], 'log_and_drop', 8);
  const failing = (count: number, from: number) => {
    for (let i = 0; i < count; i++) table.fail(0, v4(`198.51.100.${from + i}`), start);
  };
  failing(8, 0);
  failing(DENIALS_MAX + 5, 8);
  const taken: string[] = [];
  const take = () => table.engine.takeDenials(({ address, time }) => taken.push(`${address.bytes[15]} ${time}`));
  expect(take()).toBe(DENIALS_MAX);
  expect(taken).toEqual(Array.from({ length: DENIALS_MAX }, (_, i) => `${8 + i} ${start}`));
  expect(table.engine.counter(DENIED)).toBe(DENIALS_MAX + 5);
  expect(take()).toBe(0);
  failing(1, 200);
  expect(take()).toBe(1);
  expect(taken.at(-1)).toBe(`200 ${start}`);
});

test('a run is due even if the clock of a line says 1970', async () => {
  const table = await driver([jail], 'ban_all', 8);
  for (let i = 0; i < 8; i++) table.fail(0, v4(`198.51.100.${i}`), 0);
  expect(table.engine.banAllDue).toBe(false);
  table.fail(0, v4('198.51.100.8'), 0);
  expect(table.engine.banAllDue).toBe(true);
});

test('what is saved comes back once, under the settings of its own jail', async () => {
  const jails: DrivenJail[] = [
    { ...jail, maxretry: 9, findtime: 1 },
    { ...jail, maxretry: 3, findtime: 10 },
  ];
  const before = await driver(jails);
  for (const second of [0, 8]) before.fail(1, source, start + second);
  const saved = before.engine.saveTable(start + 8);
  const entries = new Uint8Array(1_000);
  const length = saved.read(entries);
  const after = await driver(jails);
  const results = [1, 2].map(() => {
    const restoring = after.engine.restoreTable(saved, [0, 1], start + 8)!;
    restoring.take(entries.slice(0, length));
    return restoring.result;
  });
  expect(results.map(({ windows, over }) => [windows, over])).toEqual([
    [1, 0],
    [0, 1],
  ]);
  expect(after.engine.tracked).toBe(1);
  expect(after.fail(1, source, start + 10)).toMatchObject({ failures: 3 });
});

test('what the table says of a source, from its first failure to the day it is forgotten', async () => {
  const table = await driver();
  const { engine } = table;
  const address = addressOf(source);
  const said = () => {
    let confirmed: boolean | undefined;
    engine.eachBan(0, 64, (ban) => {
      confirmed = ban.confirmed;
    });
    return [
      engine.tracked,
      engine.isBanned(0, address),
      engine.banEnd(0, address),
      engine.banIndex(0, address) >= 0,
      confirmed,
    ];
  };
  expect(said()).toEqual([0, false, undefined, false, undefined]);
  engine.confirmBan(0, address);
  engine.forget(0, address);
  expect(said()).toEqual([0, false, undefined, false, undefined]);
  table.fail(0, source, start);
  engine.confirmBan(0, address);
  expect(said()).toEqual([1, false, undefined, false, undefined]);
  table.fail(0, source, start);
  expect(said()).toEqual([1, true, start + 60, true, false]);
  engine.confirmBan(0, address);
  expect(said()).toEqual([1, true, start + 60, true, true]);
  engine.forget(0, address);
  expect(said()).toEqual([0, false, undefined, false, undefined]);
});

describe.each([32, 33, 39, 40, 41, 63, 64, 65, 72, 95, 96, 97, 126, 127, 128])('IPv6 under /%i', (prefix) => {
  const value = 0x2001_0db8_a5a5_a5a5_a5a5_a5a5_a5a5_a5a5n;
  /** The source whose address differs in this one bit, counted from 1. */
  const other = (bit: number): Source => ({ family: 6, value: value ^ (1n << BigInt(128 - bit)) });

  test.each([...new Set([1, 17, 32, Math.min(prefix, 64), prefix])])('bit %i tells sources apart', async (bit) => {
    const table = await driver([{ ...jail, ipv6Prefix: prefix }]);
    table.fail(0, { family: 6, value }, start);
    expect(table.fail(0, other(bit), start)).toBe(undefined);
    expect(table.engine.tracked).toBe(2);
  });

  test.each([...new Set([prefix + 1, 128])].filter((bit) => bit > prefix && bit <= 128))(
    'bit %i does not',
    async (bit) => {
      const table = await driver([{ ...jail, ipv6Prefix: prefix }]);
      table.fail(0, { family: 6, value }, start);
      expect(table.fail(0, other(bit), start)).toMatchObject({ failures: 2 });
    },
  );
});
