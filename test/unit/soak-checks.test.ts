/**
 * The soak's own parts: an attack does what it says, and the judge accepts nothing that it must
 * refuse.
 */
import { describe, expect, test } from 'vitest';
import {
  addressOf,
  attackersMax,
  attackersWith,
  elementOf,
  failing,
  gapOf,
  gaps,
  judgedGap,
  linesPerSource,
  maxretry,
  stepsUntil,
} from '../soak/attack.ts';
import {
  check,
  checkFlat,
  lossChance,
  lossesAllowed,
  type Outcome,
  slope,
  survival,
  unlistedCalls,
} from '../soak/checks.ts';
import { plot } from '../soak/plot.ts';
import { parsePage, type Sample } from '../soak/sample.ts';

const mebibyte = 1024 * 1024;

function sample(seconds: number, change: Partial<Sample> = {}): Sample {
  const sizes = {
    rssBytes: 50 * mebibyte,
    peakBytes: 60 * mebibyte,
    anonymousBytes: 36 * mebibyte,
    fileBytes: 14 * mebibyte,
  };
  return {
    seconds,
    ...sizes,
    slots: 800_000,
    slotsUsed: 900,
    evictions: 0,
    bans: 0,
    lines: 1_200,
    readBytes: 9,
    ...change,
  };
}

describe('the attack', () => {
  test('every source comes once, every attacker as often as makes a ban, at its gap', () => {
    const count = 4_000;
    const seen = new Map<number, number[]>();
    for (let step = 0; step < count; step++) {
      failing(step, count, (source) => seen.set(source, [...(seen.get(source) ?? []), step]));
    }
    expect(seen.size).toBe(count);
    // Source 0 comes back soon enough to be seen three times here. Source 1 is not an attacker.
    expect(seen.get(0)).toEqual([0, gaps[0], 2 * gaps[0]]);
    expect(seen.get(1)).toEqual([1]);
    expect(stepsUntil(count, gaps[0])).toBe(count + (maxretry - 1) * gaps[0]);
  });

  test('the lines per source are those from which the rate is computed', () => {
    let lines = 0;
    const first = (maxretry - 1) * gaps[4];
    const steps = 100_000;
    for (let step = first; step < first + steps; step++) failing(step, 1_000_000, () => lines++);
    expect(lines / steps).toBeCloseTo(linesPerSource);
  });

  test('a gap is judged only if all its failures come before its source comes again', () => {
    expect([1_000, 1_001, 50_000, 50_001, 200_001, 10_000_000].map(judgedGap)).toEqual([
      0, 1_000, 10_000, 50_000, 200_000, 200_000,
    ]);
  });

  test('attackers are counted as they are', () => {
    for (const count of [0, 1, 10, 11, 49, 50, 51, 12_345]) {
      for (const gap of gaps) {
        const counted = Array.from({ length: count }, (_, k) => k).filter((k) => gapOf(k) === gap).length;
        expect(attackersWith(gap, count), `${count} sources, gap ${gap}`).toBe(counted);
      }
    }
    expect(gaps.map((gap) => attackersWith(gap, 10_000_000) * gaps.length)).toEqual(gaps.map(() => attackersMax));
    expect([gapOf(10 * attackersMax - 10), gapOf(10 * attackersMax)]).toEqual([2_000_000, 0]);
  });

  test('addresses are distinct, and elements are written as the kernel does', () => {
    expect(new Set(Array.from({ length: 300_000 }, (_, k) => addressOf(k))).size).toBe(300_000);
    expect(elementOf(0)).toBe('10.0.0.1');
    expect(elementOf(1)).toBe('2001:db8:0:1::');
    expect(elementOf(2 * 0x1ffff + 1)).toBe('2001:db8:2::');
    expect(elementOf(2 * 0x20000 + 1)).toBe('2001:db8:2:1::');
  });
});

describe('the judge', () => {
  const held = new Map(gaps.map((gap) => [gap as number, attackersWith(gap, 100_000)]));
  const good: Outcome = {
    samples: [sample(1), sample(2)],
    sources: 100_000,
    ceilingBytes: 64 * mebibyte,
    slotsMin: 700_000,
    held,
    stats: { 'state.saves': 3, 'state.failures': 0, 'state.bytes': 4_096 },
    exitCode: 0,
    complaints: [],
    unlisted: [],
  };
  const failed = (change: Partial<Outcome>): string[] =>
    check({ ...good, ...change })
      .filter(({ ok }) => !ok)
      .map(({ name }) => name);

  test('lets a good run pass', () => {
    expect(failed({})).toEqual([]);
  });

  test.each<[string, Partial<Outcome>]>([
    ['peak', { samples: [sample(1, { peakBytes: 70.5 * mebibyte })] }],
    ['slots', { samples: [sample(1, { slots: 699_999 })] }],
    ['bans at a gap of 1000 sources', { held: new Map([...held, [1_000, 1]]) }],
    ['bans at a gap of 50000 sources', { held: new Map([...held, [50_000, 1_999]]) }],
    ['evictions', { samples: [sample(1, { slotsUsed: 800_001 })] }],
    ['state on disk', { stats: { 'state.saves': 0, 'state.failures': 0 } }],
    ['state on disk', { stats: { 'state.saves': 3, 'state.failures': 1 } }],
    ['state on disk', { stats: {} }],
    ['stopped when asked', { exitCode: 1 }],
    ['stopped when asked', { exitCode: null }],
    ['system calls', { unlisted: ['59'] }],
    ['no complaints', { complaints: ['2026-11-21T08:00:00.000Z error ban failed'] }],
  ])('finds fault: %s', (name, change) => {
    expect(failed(change)).toEqual([name]);
  });

  test('an eviction that was not counted is found', () => {
    const samples = [sample(1, { slotsUsed: 800_000, evictions: 199_999 })];
    expect(failed({ samples, sources: 1_000_000, held: new Map(gaps.map((gap) => [gap, 20_000])) })).toEqual([
      'evictions',
    ]);
  });

  test('of what the kernel wrote down, calls of this process count, each once', () => {
    const wrote = (pid: number, call: number): string =>
      `[ 1.5] audit: type=1326 audit(1796057845.230:32): auid=1 uid=0 gid=0 ses=1 pid=${pid} comm="node" exe="/usr/bin/node" sig=0 arch=c000003e syscall=${call} compat=0 ip=0x7f code=0x7ffc0000`;
    const messages = [wrote(7, 59), wrote(77, 41), '[ 2.5] pid=7 syscall=1 ', wrote(7, 59), wrote(7, 435)];
    expect(unlistedCalls(messages.join('\n'), 7)).toEqual(['59', '435']);
  });

  test('flat and growing are told apart, and a short run is not judged', () => {
    const series = (perSecond: number): Sample[] =>
      Array.from({ length: 600 }, (_, second) => {
        // A sawtooth such as the governor makes, but above the claimed bound.
        const rssBytes = 50 * mebibyte + (second % 10) * mebibyte + second * perSecond;
        return sample(second, { rssBytes, anonymousBytes: 36 * mebibyte + second * perSecond });
      });
    expect(checkFlat(series(0)).map(({ ok }) => ok)).toEqual([true, true]);
    expect(checkFlat(series(-500)).map(({ ok }) => ok)).toEqual([true, true]);
    expect(checkFlat(series(10 * 1024)).map(({ ok }) => ok)).toEqual([false, false]);
    expect(checkFlat(series(10 * 1024).slice(0, 100))[0]?.found).toContain('not judged');
  });

  test('the slope of a line is the line', () => {
    const { perSecond, halfWidth } = slope(Array.from({ length: 200 }, (_, i) => [i, 7 + 3 * i] as const));
    expect(perSecond).toBeCloseTo(3);
    expect(halfWidth).toBeCloseTo(0);
  });

  test('losses are allowed only where chance makes some', () => {
    expect(lossesAllowed(200_000, 20_000, 800_000)).toBe(0);
    const slots = 400_000;
    const allowed = lossesAllowed(200_000, 20_000, slots);
    expect(allowed).toBeGreaterThan(20);
    expect(allowed).toBeLessThan(1_000);
    const held = new Map(gaps.map((gap) => [gap as number, attackersWith(gap, 1_000_000)]));
    const samples = [sample(1, { slots, slotsUsed: slots, evictions: 600_000 })];
    const million = { samples, sources: 1_000_000, slotsMin: slots };
    expect(failed({ ...million, held: new Map([...held, [200_000, 20_000 - allowed]]) })).toEqual([]);
    expect(failed({ ...million, held: new Map([...held, [200_000, 19_999 - allowed]]) })).toEqual([
      'bans at a gap of 200000 sources',
    ]);
  });

  test('a table that bans fill by and by forgets others sooner', () => {
    const allowed = lossesAllowed(200_000, 60_000, 753_024, 240_000);
    expect(allowed).toBeGreaterThan(10);
    expect(allowed).toBeLessThan(100);
    // Of those that come back soon it forgets none.
    expect(lossesAllowed(50_000, 60_000, 753_024, 240_000)).toBe(0);
    const samples = [sample(1, { slots: 753_024, slotsUsed: 753_024, evictions: 10_000_000, bans: 240_000 })];
    const held = new Map(gaps.map((gap) => [gap as number, 60_000]));
    const million = { samples, sources: 10_000_000 };
    expect(failed({ ...million, held: new Map([...held, [200_000, 60_000 - allowed]]) })).toEqual([]);
    expect(failed({ ...million, held: new Map([...held, [200_000, 59_999 - allowed]]) })).toHaveLength(1);
    expect(failed({ ...million, held: new Map([...held, [50_000, 59_999]]) })).toHaveLength(1);
  });

  test('survival is the gap at which the chance of a loss reaches the limit', () => {
    const gap = survival(800_000, 100_000);
    expect(lossChance(gap, 800_000)).toBeLessThanOrEqual(1e-5);
    expect(lossChance(gap + 2, 800_000)).toBeGreaterThanOrEqual(1e-5);
    expect(lossChance(0, 800_000)).toBe(0);
    expect(survival(1_600_000, 100_000)).toBeGreaterThan(1.99 * gap);
    // A set of eight loses half of its entries before as many sources as the table holds have come.
    expect(lossChance(800_000, 800_000)).toBeGreaterThan(0.4);
    expect(lossChance(800_000, 800_000)).toBeLessThan(0.6);
  });
});

test('a metrics page is summed over its labels', () => {
  const page = '# HELP a_total x\na_total{jail="a b"} 3\na_total{jail="c"} 4\nb 1.5\n';
  expect(Object.fromEntries(parsePage(page))).toEqual({ a_total: 7, b: 1.5 });
});

test('the plot is one well-formed picture that keeps the highest point', () => {
  const points = Array.from({ length: 5_000 }, (_, x) => [x, x === 2_345 ? 1_000 : 1] as const);
  const svg = plot('a < b & c', [
    { title: 't', bound: { label: 'limit', y: 500 }, curves: [{ label: 'l', colour: '#000', points }] },
  ]);
  expect(svg.startsWith('<svg ')).toBe(true);
  expect(svg).toContain('a &lt; b &amp; c');
  expect(svg.match(/<polyline/g)).toHaveLength(1);
  const drawn = /points="([^"]+)"/.exec(svg)?.[1]?.split(' ') ?? [];
  expect(drawn.length).toBeLessThanOrEqual(1_200);
  expect(new Set(drawn.map((point) => point.split(',')[1])).size).toBe(2);
  expect(svg).not.toContain('NaN');
});
