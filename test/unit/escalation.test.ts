/**
 * Bans of sources that come back: the operator's keys, the resulting lengths, and what the table
 * remembers.
 */
import { describe, expect, test } from 'vitest';
import { type EscalationKeys, parseFactor, parseMultipliers, resolveEscalation } from '../../src/config/escalation.ts';
import { BANTIMES_MAX } from '../../src/engine/layout.ts';
import { banSecondsMax, repeatBantimesMax } from '../../src/limits.ts';
import type { Escalation } from '../../src/types.ts';
import { type DrivenJail, type Source, TableDriver, v4 } from '../support/table-driver.ts';

test('configuration and engine have room for the same number of lengths', () => {
  expect(repeatBantimesMax + 1).toBe(BANTIMES_MAX);
});

describe('lengths from the keys of the configuration', () => {
  const lengths = (bantime: number, keys: EscalationKeys, count = 4): number[] | undefined =>
    resolveEscalation(bantime, { bantime_increment: true, ...keys })?.bantimes.slice(0, count);

  test.each<[what: string, bantime: number, keys: EscalationKeys, expected: number[]]>([
    ['doubled each time', 600, {}, [1_200, 2_400, 4_800, 9_600]],
    ['with a factor', 600, { bantime_factor: 1.5 }, [1_800, 3_600, 7_200, 14_400]],
    ['linear', 600, { bantime_formula: 'linear' }, [1_200, 1_800, 2_400, 3_000]],
    ['linear with a factor', 600, { bantime_formula: 'linear', bantime_factor: 2 }, [2_400, 3_600, 4_800, 6_000]],
    ['multipliers from the second on', 60, { bantime_multipliers: [1, 5, 30] }, [300, 1_800]],
    ['multipliers and a factor', 60, { bantime_multipliers: [1, 5, 30], bantime_factor: 2 }, [600, 3_600]],
    ['one multiplier', 60, { bantime_multipliers: [7] }, [420]],
    ['multipliers before a formula', 60, { bantime_multipliers: [1, 3], bantime_formula: 'linear' }, [180]],
    ['for ever in the end', 60, { bantime_multipliers: [1, 2, -1] }, [120, -1]],
    ['maxtime', 600, { bantime_maxtime: 3_000 }, [1_200, 2_400, 3_000, 3_000]],
    ['maxtime leaves for ever alone', 60, { bantime_multipliers: [1, 2, -1], bantime_maxtime: 90 }, [90, -1]],
    ['rounded, never nothing', 1, { bantime_multipliers: [1, 0.2, 2.5] }, [1, 3]],
  ])('%s', (_, bantime, keys, expected) => {
    expect(lengths(bantime, keys)).toEqual(expected);
  });

  test('never longer than the longest ban', () => {
    const all = resolveEscalation(86_400, { bantime_increment: true })!.bantimes;
    expect(all).toHaveLength(repeatBantimesMax);
    expect(all.at(-1)).toBe(banSecondsMax);
  });

  test('no escalation if it is off, or if the first ban is for ever', () => {
    expect(resolveEscalation(600, { bantime_factor: 2 })).toBeNull();
    expect(resolveEscalation(600, { bantime_increment: false })).toBeNull();
    expect(resolveEscalation(-1, { bantime_increment: true })).toBeNull();
  });

  test('the other keys', () => {
    expect(resolveEscalation(600, { bantime_increment: true })).toMatchObject({
      randomSeconds: 0,
      memorySeconds: 86_400,
      allJails: false,
    });
    const keys = { bantime_increment: true, bantime_rndtime: 60, bantime_memory: 5, bantime_overalljails: true };
    expect(resolveEscalation(600, keys)).toMatchObject({ randomSeconds: 60, memorySeconds: 5, allJails: true });
  });

  test.each<[value: unknown, reason: string]>([
    ['2', 'expected a number, found the string "2"'],
    [0, 'must be greater than 0, found the integer 0'],
    [-1, 'must be greater than 0, found the integer -1'],
    [Number.NaN, 'expected a number, found the float NaN'],
    [Number.POSITIVE_INFINITY, 'must be at most 1000000, found the float Infinity'],
  ])('factor %j is refused', (value, reason) => {
    expect(parseFactor(value)).toMatchObject({ ok: false, reason });
  });

  test.each<[value: unknown, reason: string, index?: number]>([
    [2, 'expected a list of numbers, found the integer 2'],
    [[], 'expected a list of numbers, found an empty list'],
    [[1, '2'], 'expected a number, found the string "2"', 1],
    [[1, 0], 'must be greater than 0, found the integer 0', 1],
    [[1, -2], 'must be greater than 0, found the integer -2', 1],
    [Array.from({ length: 33 }, () => 1), 'more than 32 entries'],
  ])('multipliers %j are refused', (value, reason, index) => {
    expect(parseMultipliers(value)).toMatchObject(index === undefined ? { ok: false, reason } : { reason, index });
  });

  test('equal multipliers are kept', () => {
    expect(parseMultipliers([1, 2, 2, 4])).toEqual({ ok: true, value: [1, 2, 2, 4] });
  });
});

const start = 1_763_694_928;
const jail: DrivenJail = { maxretry: 1, findtime: 600, bantime: 10, ipv6Prefix: 64 };
const growing: Escalation = { bantimes: [20, 40, -1], randomSeconds: 0, memorySeconds: 1_000, allJails: false };
const source = v4('192.0.2.7');

function driver(jails: DrivenJail[], build: 'plain' | 'wasm' | 'scalar' = 'plain', seed?: [number, number]) {
  return TableDriver.create({ build, jails, slots: 1_024, seed });
}

describe.each(['plain', 'wasm'] as const)('the table of the %s build', (build) => {
  test('each ban is longer, the last length repeats', async () => {
    const table = await driver([{ ...jail, escalation: { ...growing, bantimes: [20, 40] } }], build);
    const found: (number | undefined)[] = [];
    for (const time of [0, 9, 10, 29, 30, 69, 70, 110]) found.push(table.fail(0, source, start + time)?.seconds);
    expect(found).toEqual([10, undefined, 20, undefined, 40, undefined, 40, 40]);
  });

  test('a permanent ban in the end', async () => {
    const table = await driver([{ ...jail, escalation: growing }], build);
    let time = start;
    for (const seconds of [10, 20, 40]) {
      expect(table.fail(0, source, time)).toMatchObject({ seconds });
      time += seconds;
    }
    expect(table.fail(0, source, time)).toMatchObject({ seconds: -1, bans: 4 });
    expect(table.fail(0, source, 4_294_967_294)).toBeUndefined();
  });

  test('remembered for memorySeconds after the end, and not longer', async () => {
    const table = await driver([{ ...jail, escalation: growing }], build);
    expect(table.fail(0, source, start)).toMatchObject({ seconds: 10, bans: 1 });
    expect(table.fail(0, source, start + 10 + 1_000)).toMatchObject({ seconds: 20, bans: 2 });
    expect(table.fail(0, source, start + 1_010 + 20 + 1_001)).toMatchObject({ seconds: 10, bans: 1 });
  });

  test('a failure below maxretry prolongs the memory', async () => {
    const table = await driver([{ ...jail, maxretry: 2, escalation: growing }], build);
    for (const time of [0, 0, 900, 1_800]) table.fail(0, source, start + time);
    expect(table.fail(0, source, start + 2_400)).toMatchObject({ seconds: 20 });
    expect(table.fail(0, source, start + 4_000)).toBeUndefined();
    expect(table.fail(0, source, start + 4_000)).toMatchObject({ seconds: 10 });
  });

  test('the count of bans ends at 255', async () => {
    const escalation = { ...growing, bantimes: Array.from({ length: 31 }, (_, i) => i + 2) };
    const table = await driver([{ ...jail, bantime: 1, escalation }], build);
    let time = start;
    for (let ban = 1; ban <= 600; ban++) {
      const decision = table.fail(0, source, time);
      expect(decision).toMatchObject({ seconds: Math.min(ban, 32), bans: Math.min(ban, 255) });
      time += decision!.seconds;
    }
  });

  test('bans in other jails count where that is wanted, under each jail’s own prefix', async () => {
    const six: Source = { family: 6, value: (0x2001_0db8n << 96n) | (7n << 64n) | 1n };
    const sibling: Source = { family: 6, value: six.value + 5n };
    const jails: DrivenJail[] = [
      { ...jail, ipv6Prefix: 64, escalation: growing },
      { ...jail, ipv6Prefix: 128, escalation: { ...growing, allJails: true } },
      { ...jail, ipv6Prefix: 128, escalation: growing },
    ];
    for (const [one, other] of [
      [source, source],
      [sibling, six],
    ] as const) {
      const table = await driver(jails, build);
      expect(table.fail(0, one, start)).toMatchObject({ seconds: 10, bans: 1 });
      expect(table.fail(0, one, start + 10)).toMatchObject({ seconds: 20, bans: 2 });
      expect(table.fail(1, other, start + 11)).toMatchObject({ jail: 1, seconds: 40, bans: 3 });
      expect(table.fail(2, other, start + 11)).toMatchObject({ jail: 2, seconds: 10, bans: 1 });
      // What the first jail has forgotten counts nowhere.
      expect(table.fail(1, other, start + 2_000)).toMatchObject({ seconds: 10, bans: 1 });
    }
  });

  test('the random part lies between nothing and randomSeconds, and differs', async () => {
    const escalation = { bantimes: [20], randomSeconds: 5, memorySeconds: 1_000, allJails: false };
    const table = await driver([{ ...jail, escalation }], build);
    const added = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const one = v4(`198.51.100.${i}`);
      expect(table.fail(0, one, start)).toMatchObject({ seconds: 10 });
      const { time, seconds } = table.fail(0, one, start + 10)!;
      added.add(seconds - 20);
      // The table's end of the ban is that of the decision.
      expect(table.fail(0, one, time + seconds - 1)).toBeUndefined();
      expect(table.fail(0, one, time + seconds)).toBeDefined();
    }
    expect([...added].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

test('every build draws the same random parts from the same seed, and others from another', async () => {
  const escalation = { bantimes: [20], randomSeconds: 100_000, memorySeconds: 1_000, allJails: false };
  const drawn = async (build: 'plain' | 'wasm' | 'scalar', seed: [number, number]): Promise<number[]> => {
    const table = await driver([{ ...jail, escalation }], build, seed);
    return Array.from({ length: 20 }, (_, i) => {
      const one = v4(`198.51.100.${i}`);
      table.fail(0, one, start);
      return table.fail(0, one, start + 10)!.seconds;
    });
  };
  const plain = await drawn('plain', [3, 4]);
  expect(await drawn('wasm', [3, 4])).toEqual(plain);
  expect(await drawn('scalar', [3, 4])).toEqual(plain);
  expect(await drawn('plain', [3, 5])).not.toEqual(plain);
  expect(new Set(plain).size).toBeGreaterThan(15);
});

test('an operator’s unban forgets the bans too', async () => {
  const table = await driver([{ ...jail, escalation: growing }]);
  const { address } = table.fail(0, source, start)!;
  table.engine.forget(0, address);
  expect(table.fail(0, source, start + 1)).toMatchObject({ seconds: 10, bans: 1 });
});

test('bans known from elsewhere count: a restored state', async () => {
  const table = await driver([{ ...jail, escalation: growing }]);
  const { address } = table.fail(0, v4('192.0.2.8'), start)!;
  address.bytes[15] = 7;
  table.engine.setBan(0, address, start, start + 10, 2);
  expect(table.fail(0, source, start + 10)).toMatchObject({ seconds: 40, bans: 3 });
});
