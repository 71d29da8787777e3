/**
 * Short runs of the benchmarks that need no network: their counts, not their times, so that they
 * stay usable.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Benchmark, differences, type Result } from '../../bench/benchmark.ts';
import { parse } from '../../bench/parse.ts';
import { hostileLines, longest, pathological } from '../../bench/pathological.ts';
import { resultText } from '../../bench/report.ts';
import { table } from '../../bench/table.ts';
import { writeWorkload } from '../../bench/workload.ts';
import { filters } from '../../src/filters/index.ts';
import { lineBytesMax } from '../../src/limits.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'fail2zig-bench-test-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function results(benchmark: Benchmark, numbers: Record<string, number>): Promise<Result[]> {
  const reported: Result[] = [];
  await benchmark.run({
    number: (name) => numbers[name] ?? Number.NaN,
    wanted: () => true,
    report: (result) => reported.push(result),
    directory,
  });
  return reported;
}

describe('parse', () => {
  test('finds in every build what the workload was written with', async () => {
    const reported = await results(parse, { lines: 6000, rounds: 1, sources: 300 });
    expect(reported.flatMap(({ workload, problems }) => problems.map((problem) => `${workload}: ${problem}`))).toEqual(
      [],
    );
    const ways = (name: string): number => reported.filter(({ workload }) => workload.startsWith(`${name}/`)).length;
    const names = ['sshd-jumping', 'sshd-ordered', 'sshd-sessions', 'nginx-access'];
    // Where there is no compiler, the scanner in C is missing.
    for (const name of names) expect(ways(name)).toBeGreaterThanOrEqual(6);
    expect(reported).toHaveLength(names.reduce((sum, name) => sum + ways(name), 0));
    for (const { counts } of reported) expect(counts.lines).toBe(6000);
    expect(readdirSync(directory)).toEqual([]);
  }, 60_000);

  test('a workload is the same bytes for the same seed, with failures and bans in it', () => {
    const paths = ['first', 'second'].map((name) => join(directory, name));
    const [first, second] = paths.map((path) => writeWorkload('sshd', path, 3000, 100));
    expect({ ...first, path: '' }).toEqual({ ...second, path: '' });
    expect(first!.decisions).toBe(100);
    expect(first!.matched).toBeGreaterThan(2000);
    expect(first!.matched).toBeLessThan(2200);
    for (const path of paths) rmSync(path);
  });
});

describe('pathological', () => {
  test('feeds every hostile line of every filter, and every line is counted', async () => {
    const reported = await results(pathological, { block: 20_000, tries: 1, rounds: 1 });
    expect(reported.flatMap(({ workload, problems }) => problems.map((problem) => `${workload}: ${problem}`))).toEqual(
      [],
    );
    expect(reported.map(({ workload }) => workload)).toEqual(filters.map(({ name }) => name));
  }, 60_000);

  test('its lines are as long as a line may be, but for those that are longer or cut short on purpose', () => {
    for (const [name, line] of hostileLines(filters[0]!)) {
      if (name === 'overlong') expect(line.length).toBeGreaterThan(lineBytesMax);
      else if (!name.endsWith('/cut')) expect(line).toHaveLength(longest);
    }
  });
});

describe('table', () => {
  test('counts every failure, and aims where it says', async () => {
    const reported = await results(table, { slots: 4096, entries: 2000, lines: 600, rounds: 1 });
    expect(reported.flatMap(({ workload, problems }) => problems.map((problem) => `${workload}: ${problem}`))).toEqual(
      [],
    );
    expect(reported.map(({ workload }) => workload)).toEqual([
      'live',
      'flood/random',
      'flood/sequential',
      'flood/same-low-bits',
      'flood/aimed-at-seed-0',
      'flood/aimed-at-other-seed',
    ]);
  }, 60_000);
});

test('a wrong count is named', () => {
  const problems = differences({ lines: 3, matched: 2 }, { lines: 3, matched: 1 });
  expect(problems).toEqual(['matched is 2, not 1']);
  const figures = [{ name: 'wall', unit: 'ms', values: [1, 2, 4] }];
  expect(resultText('parse', { workload: 'sshd', counts: { lines: 3 }, figures, problems })).toBe(
    'parse sshd lines=3 WRONG (matched is 2, not 1) wall=2.00 ms ±75.0%',
  );
  expect(resultText('parse', { workload: 'sshd', counts: {}, figures: [], problems: [] })).toBe('parse sshd ok');
});
