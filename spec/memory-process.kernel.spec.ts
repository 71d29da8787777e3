/**
 * The memory page for the whole process: the real daemon with the nftables backend in a namespace,
 * 200,000 distinct sources through a real log file, its size as the kernel counts it. The long runs
 * are `npm run soak`.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Check } from '../test/soak/checks.ts';
import type { Sample } from '../test/soak/sample.ts';
import { claim, given, NotMet, twin } from './claim.ts';

interface Report {
  options: { sources: number; ceiling: string };
  checks: Check[];
  stats: Record<string, number>;
  samples: Sample[];
}
type Attack = () => Promise<Report>;

const mebibyte = 1024 * 1024;
const ceilingBytes = 64 * mebibyte;
const sources = 200_000;
const run = promisify(execFile);
const soak = join(import.meta.dirname, '..', 'test', 'soak', 'main.ts');

/** A soak's report; the body finds a failed check. */
function attack(...options: string[]): Attack {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fail2zig-spec-'));
    try {
      const { NODE_V8_COVERAGE: _, ...env } = process.env;
      const done = await run(process.execPath, [soak, '--out', folder, ...options], { env }).catch((error) => error);
      const of = options[options.indexOf('--sources') + 1];
      try {
        return JSON.parse(readFileSync(join(folder, `soak-${of}.json`), 'utf8'));
      } catch (error) {
        throw new Error(`no report: ${done.stderr}`, { cause: error });
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

/** The same failures for a process that keeps a dictionary. */
const dictionary: Attack = async () => {
  const { stdout } = await run(process.execPath, [
    join(import.meta.dirname, 'twins', 'dictionary-process.ts'),
    String(sources),
  ]);
  return JSON.parse(stdout);
};

const mebibytes = (bytes: number): string => (bytes / mebibyte).toFixed(1);

let first: Promise<Report> | undefined;
/** One attack serves every claim of this file. */
const daemon: Attack = () => {
  first ??= attack('--sources', String(sources), '--seconds', '10', '--rate', '40000')();
  return first;
};
const needs = ['linux', 'root', 'namespaces', 'built', 'nft'] as const;

claim(
  ['MM-01', 'MM-13', 'D-01a', 'WHY-04'],
  given(daemon),
  async (underAttack) => {
    const { options, checks, samples } = await underAttack();
    const last = samples.at(-1)!;
    assert.ok(
      last.peakBytes <= 1.1 * ceilingBytes,
      `VmHWM ${mebibytes(last.peakBytes)} MiB is far over the ceiling of ${mebibytes(ceilingBytes)} MiB`,
    );
    assert.ok(
      samples.every(({ slots }) => slots === last.slots),
      'the table was resized',
    );
    assert.ok(last.slots >= 700_000, `${last.slots} slots`);
    assert.equal(options.sources, sources);
    const failed = checks.filter(({ ok }) => !ok).map(({ name, found }) => `${name}: ${found}`);
    assert.deepEqual(failed, [], 'checks of the soak');
    const figures = `${sources} sources, ${last.lines} lines, ${last.bans} bans: VmHWM ${mebibytes(last.peakBytes)} MiB, ${last.slots} slots`;
    return last.peakBytes <= ceilingBytes
      ? figures
      : new NotMet(`${figures}; the ceiling is ${mebibytes(ceilingBytes)} MiB`);
  },
  [
    twin('a process that keeps a dictionary of sources', given(dictionary), /is far over the ceiling/),
    twin(
      'a daemon with a smaller ceiling, which has fewer slots',
      given(attack('--sources', '1000', '--seconds', '1', '--ceiling', '60MB')),
      /^\d+ slots/,
    ),
  ],
  { needs: [...needs], timeoutMs: 240_000 },
);

const parts = ['file', 'heap', 'runtime', 'engine', 'table'];
/** A part that exceeds its bound by more than this has a bound that means nothing. */
const overMax = 1.5;

/** The size of each part and its bound, bytes. */
function partsOf(stats: Report['stats']): { part: string; bytes: number; bound: number }[] {
  const of = (name: string): number => stats[`memory.${name}`] ?? Number.NaN;
  return parts.map((part) => ({ part, bytes: of(`${part}_bytes`), bound: of(`${part}_bytes_max`) }));
}

const listOf = (stats: Report['stats']): string =>
  partsOf(stats)
    .map(({ part, bytes, bound }) => `${part} ${mebibytes(bytes)} of ${mebibytes(bound)}`)
    .join(', ');

/** The daemon's own report, with changed figures. */
const withStats =
  (change: (stats: Report['stats']) => Report['stats']): Attack =>
  async () => {
    const report = await daemon();
    return { ...report, stats: { ...report.stats, ...change(report.stats) } };
  };

claim(
  'LP-15',
  given(daemon),
  async (underAttack) => {
    const { stats } = await underAttack();
    const listed = partsOf(stats);
    const sum = listed.reduce((total, { bytes }) => total + bytes, 0);
    const bounds = listed.reduce((total, { bound }) => total + bound, 0);
    const all = stats['memory.resident_bytes'] ?? Number.NaN;
    // The kernel is asked twice, and counts pages in batches for each processor.
    assert.ok(Math.abs(sum - all) <= 2 * mebibyte, `the parts add up to ${sum} of ${all} bytes`);
    const ceiling = stats['memory.ceiling_bytes'] ?? Number.NaN;
    assert.ok(Math.abs(bounds - ceiling) <= 4096, `the bounds add up to ${bounds}, the ceiling is ${ceiling}`);
    for (const { part, bytes, bound } of listed) {
      assert.ok(bytes <= overMax * bound, `${part} takes ${bytes} of its ${bound} bytes`);
    }
    const over = listed.filter(({ bytes, bound }) => bytes > bound).map(({ part }) => part);
    return over.length === 0 ? listOf(stats) : new NotMet(`${listOf(stats)}: over its bound is ${over.join(', ')}`);
  },
  [
    twin('a process that accounts for its table only', given(dictionary), /the parts add up to \d+ of/),
    twin(
      'a list whose runtime has the bound of the engine',
      given(
        withStats(({ 'memory.runtime_bytes_max': runtime = 0, 'memory.engine_bytes_max': engine = 0 }) => ({
          'memory.runtime_bytes_max': engine,
          'memory.engine_bytes_max': runtime,
        })),
      ),
      /^runtime takes/,
    ),
    twin(
      'a list that leaves out the heap',
      given(withStats(() => ({ 'memory.heap_bytes': 0, 'memory.heap_bytes_max': 0 }))),
      /the parts add up to/,
    ),
  ],
  { needs: [...needs], timeoutMs: 240_000 },
);

claim(
  'MM-02',
  given(daemon),
  async (underAttack) => {
    const { stats } = await underAttack();
    const listed = partsOf(stats);
    const missing = listed.filter(({ bytes, bound }) => !(bytes > 0 && bound > 0)).map(({ part }) => part);
    assert.deepEqual(missing, [], 'terms that are not printed');
    // The kernel may drop clean pages of files; on a busy machine a sample may come just before the
    // daemon releases them.
    const own = listed.filter(({ part }) => part !== 'file');
    const largest = own.toSorted((one, other) => other.bytes - one.bytes)[0];
    assert.equal(largest?.part, 'table', 'the largest part of its own');
    const engine = listed.find(({ part }) => part === 'engine')!;
    assert.ok(engine.bytes < 4 * mebibyte, `buffers take ${engine.bytes} bytes`);
    return listOf(stats);
  },
  [
    twin('a process that accounts for its table only', given(dictionary), /terms that are not printed/),
    twin(
      'a daemon with less than a third of the table',
      given(attack('--sources', '1000', '--seconds', '1', '--ceiling', '52MB')),
      /the largest part of its own/,
    ),
  ],
  { needs: [...needs], timeoutMs: 240_000 },
);

/** Fewer entries than sources, so that the table is full for most of the run. */
const crowded = { sources: 600_000, ceiling: '56MB' };
const crowding = ['--ceiling', crowded.ceiling, '--seconds', '1', '--rate', '100000'];
let second: Promise<Report> | undefined;
const overrun: Attack = () => {
  second ??= attack('--sources', String(crowded.sources), ...crowding)();
  return second;
};

claim(
  ['WHY-12', 'MM-26'],
  given(overrun),
  async (underAttack) => {
    const { checks, options, samples, stats } = await underAttack();
    const last = samples.at(-1)!;
    const bound = 1.1 * Number.parseInt(options.ceiling, 10) * mebibyte;
    assert.ok(last.peakBytes <= bound, `VmHWM ${mebibytes(last.peakBytes)} MiB is over 1.1 times ${options.ceiling}`);
    const full = samples.filter(({ evictions }) => evictions > 0);
    assert.ok(full.length >= 3, `the table was full in ${full.length} samples`);
    // Clean pages of files vary within their own bound; garbage and a state being saved vary within
    // the bounds of the other parts.
    const range = (field: 'rssBytes' | 'anonymousBytes'): number[] => {
      const sizes = full.map((sample) => sample[field]);
      return [Math.min(...sizes), Math.max(...sizes)];
    };
    const [least = 0, most = Number.NaN] = range('anonymousBytes');
    assert.ok(most - least <= 5 * mebibyte, `${mebibytes(least)} to ${mebibytes(most)} MiB under a full table`);
    const evictions = stats['evictions.total'] ?? Number.NaN;
    assert.ok(evictions >= options.sources - last.slots, `${evictions} evictions, ${last.slots} slots`);
    const kinds = ['open', 'banned', 'remembered'].map((kind) => stats[`evictions.${kind}`] ?? Number.NaN);
    assert.equal(
      kinds.reduce((sum, count) => sum + count, 0),
      evictions,
      'evictions by what was given up',
    );
    assert.ok(
      samples.every(({ slots }) => slots === last.slots),
      'the table was resized',
    );
    const idle = full.slice(1).filter(({ lines }, index) => lines === full[index]!.lines && lines < last.lines);
    assert.equal(idle.length, 0, 'samples between which no line was read, though some waited');
    const fileBytes = samples.map(({ rssBytes, anonymousBytes }) => rssBytes - anonymousBytes);
    const givenBack = fileBytes.filter((bytes, index) => index > 0 && bytes < fileBytes[index - 1]!).length;
    assert.ok(givenBack > 0, `pages of files only come: ${fileBytes.map(mebibytes).join(', ')} MiB`);
    const failed = checks.filter(({ ok }) => !ok).map(({ name, found }) => `${name}: ${found}`);
    assert.deepEqual(failed, [], 'checks of the soak');
    return `${options.sources} sources, ${last.slots} slots, ${evictions} evictions, ${last.lines} lines: VmHWM ${mebibytes(last.peakBytes)} MiB of ${options.ceiling}, once the table was full ${range('rssBytes').map(mebibytes).join(' to ')} resident, ${range('anonymousBytes').map(mebibytes).join(' to ')} without files`;
  },
  [
    twin('a process that keeps a dictionary of sources', given(dictionary), /is over 1\.1 times/),
    twin('a table that never fills', given(daemon), /the table was full in 0 samples/),
    twin(
      'a daemon that denies newcomers instead',
      given(attack('--sources', '450000', '--policy', 'deny_new', ...crowding)),
      /the table was full in 0 samples/,
    ),
  ],
  { needs: [...needs], timeoutMs: 240_000 },
);
