/**
 * The speed of the program, by the recorded runs to which the white paper's table leads: what was
 * measured, compared with what, and whether it reaches the promise. A figure that falls short is
 * NOT MET.
 */
import assert from 'node:assert/strict';
import fs, { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { figures } from '../bench/parse.ts';
import { measureRound } from '../bench/rounds.ts';
import { writeWorkload } from '../bench/workload.ts';
import { inputBytes } from '../src/limits.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, NotMet, type Supply, sabotaged, twin } from './claim.ts';
import { assertRecorded, type RecordedRun } from './support/runs.ts';

type Result = Omit<RecordedRun['results'][number], 'counts'> & { counts: Record<string, number> };

type Run = Omit<RecordedRun, 'results'> & { results: Result[] };

const root = join(import.meta.dirname, '..');

/** The recorded run of a benchmark to which the white paper's table leads. */
function recorded(benchmark: string, spoil: (run: Run) => Run = (run) => run): Supply<Run> {
  return {
    make() {
      const paper = readFileSync(join(root, 'docs/white-paper.md'), 'utf8');
      const path = new RegExp(`\\]\\(\\.\\./(bench/runs/[^)]+/${benchmark}\\.json)\\)`).exec(paper)?.[1];
      assert.ok(path !== undefined, `the white paper names no run of ${benchmark}`);
      return spoil({ ...JSON.parse(readFileSync(join(root, path), 'utf8')), path });
    },
  };
}

const withResults = (benchmark: string, change: (result: Result) => Result | undefined): Supply<Run> =>
  recorded(benchmark, (run) => ({ ...run, results: run.results.flatMap((result) => change(result) ?? []) }));

/** The results of the shipped build in steady state: one for each file. */
function shipped({ path, results }: Run): Result[] {
  const found = results.filter(({ workload }) => workload.endsWith('/wasm'));
  assert.ok(found.length >= 4, `${path} measures ${found.length} files`);
  return found;
}

function figure({ workload, figures }: Result, name: string): number {
  const found = figures.find((each) => each.name === name);
  assert.ok(found !== undefined && found.median > 0, `no ${name} of ${workload}`);
  return found.median;
}

const load = ({ loadBefore, loadAfter }: Run): string => `load ${loadBefore.toFixed(1)} to ${loadAfter.toFixed(1)}`;
const fileOf = ({ workload }: Result): string => workload.split('/')[0]!;
const promisedMillions = 5.96;

claim(
  'LP-07',
  recorded('parse'),
  (run) => {
    const rates = shipped(run).map((result) => {
      assert.deepEqual(result.problems, [], `complaints of ${result.workload}`);
      assert.ok(result.counts.decisions! > 0, `no decision in ${result.workload}`);
      return { file: fileOf(result), millions: figure(result, 'cpu') };
    });
    const said = rates.map(({ file, millions }) => `${file} ${millions.toFixed(2)} M`).join(', ');
    const evidence = `lines a second, from a file to decisions: ${said} (${load(run)}, ${run.path})`;
    return rates.every(({ millions }) => millions > promisedMillions) ? evidence : new NotMet(evidence);
  },
  [
    twin(
      'a run that lost lines',
      withResults('parse', (result) => ({ ...result, problems: ['lines is 1, not 2'] })),
      /complaints of/,
    ),
    twin(
      'a run without decisions',
      withResults('parse', (result) => ({ ...result, counts: { ...result.counts, decisions: 0 } })),
      /no decision in/,
    ),
    twin(
      'a run of one easy file',
      withResults('parse', (result) => (result.workload.startsWith('nginx-access/') ? result : undefined)),
      /measures 1 files/,
    ),
  ],
);

const liveLines = 4_000;

/**
 * One pass as the benchmark measures it: what was read before, while and after its clock ran, and
 * the result of the lines.
 */
async function assertPass(): Promise<void> {
  const { path, remove } = temporaryDirectory();
  const { cpuUsage } = process;
  const { readSync } = fs;
  /** Bytes read after so many looks at the clock. */
  const read = [0, 0, 0];
  let looks = 0;
  try {
    const { bytes, filter, matched, decisions, ...workload } = writeWorkload(
      'sshd-ordered',
      join(path, 'log'),
      liveLines,
      100,
    );
    process.cpuUsage = (...parameters) => {
      looks++;
      return cpuUsage.apply(process, parameters);
    };
    fs.readSync = ((...parameters: Parameters<typeof readSync>) => {
      const count = readSync(...parameters);
      // The beginning of a file is examined first, and the engine is a file too.
      if ((parameters[1] as Uint8Array).length === inputBytes) read[looks]! += count;
      return count;
    }) as typeof readSync;
    syncBuiltinESMExports();
    const round = await measureRound(workload.path, 'wasm', filter);
    assert.deepEqual([looks, read], [2, [0, bytes, 0]], 'bytes read before, while and after the clock ran');
    assert.ok(matched > 0 && matched < liveLines, `${matched} of ${liveLines} lines of a workload match`);
    assert.deepEqual(
      [round.lines, round.matched, round.decisions, round.taken],
      [liveLines, matched, decisions, decisions],
      'lines, matches, decisions, and decisions that were taken',
    );
  } finally {
    process.cpuUsage = cpuUsage;
    fs.readSync = readSync;
    syncBuiltinESMExports();
    remove();
  }
}

claim(
  'PE-14',
  recorded('parse'),
  async (run) => {
    await assertPass();
    const results = shipped(run);
    for (const result of results) {
      const { lines, matched, decisions, bytesPerLine } = result.counts as Record<string, number>;
      assert.ok(matched! > 0 && matched! < lines!, `${matched} of ${lines} lines of ${result.workload} match`);
      assert.ok(decisions! > 0 && bytesPerLine! > 50, `no decisions or lines in ${result.workload}`);
      // CPU time, however many cores it ran on.
      figure(result, 'cpu');
    }
    const shares = results.map((result) => {
      const { lines, matched } = result.counts as { lines: number; matched: number };
      return `${fileOf(result)} ${Math.round((100 * matched) / lines)} %`;
    });
    return `lines for each second of processor time, read from a file of which some lines match: ${shares.join(', ')}`;
  },
  [
    twin(
      'a run of failures alone',
      withResults('parse', (result) => ({ ...result, counts: { ...result.counts, matched: result.counts.lines! } })),
      /lines of .* match/,
    ),
    twin(
      'a run that ends with the match',
      withResults('parse', (result) => ({ ...result, counts: { ...result.counts, decisions: 0 } })),
      /no decisions or lines/,
    ),
    twin(
      'a run by the clock on the wall',
      withResults('parse', (result) => ({ ...result, figures: result.figures.filter(({ name }) => name !== 'cpu') })),
      /no cpu of/,
    ),
    sabotaged('a pass is read before its clock runs', /bytes read before, while and after/),
    sabotaged('a pass ends with the match', /decisions that were taken/),
  ],
);

/** Figures of passes in which the engine takes three times as long as `wc`. */
function assertRatio(): void {
  const taken = new Map(
    Object.entries({ wc: 2, c: 4, wasm: 6, plain: 60 }).map(([way, cpuSeconds]) => [way, [{ lines: 1, cpuSeconds }]]),
  );
  const workload = { filter: 'sshd', path: '', lines: 6_000_000, bytes: 600_000_000, matched: 1, decisions: 1 };
  const of = Object.fromEntries(figures(workload, 'wasm', taken).map(({ name, values }) => [name, values[0]]));
  assert.deepEqual([of.cpu, of.wc], [1, 3], 'millions of lines a second, and how many times as long as wc that is');
}

claim(
  'PE-15',
  recorded('parse'),
  (run) => {
    assertRatio();
    const ratios = shipped(run).map((result) => {
      const file = fileOf(result);
      const beside = run.results.find(({ workload }) => workload === `${file}/wc`);
      assert.ok(beside !== undefined, `${file} was not read by wc`);
      assert.equal(beside.counts.lines, result.counts.lines, `lines that wc found in ${file}`);
      const ratio = figure(result, 'wc');
      const measured = figure(beside, 'cpu') / figure(result, 'cpu');
      assert.ok(Math.abs(ratio / measured - 1) < 0.25, `${file}: ${ratio} is said, ${measured} measured`);
      return `${file} ${ratio.toFixed(1)}`;
    });
    return `times what \`wc -l\` takes for the same file in the same run: ${ratios.join(', ')} (${run.path})`;
  },
  [
    twin(
      'a run without wc',
      withResults('parse', (result) => (result.workload.endsWith('/wc') ? undefined : result)),
      /was not read by wc/,
    ),
    twin(
      'a ratio to something else',
      withResults('parse', (result) => ({
        ...result,
        figures: result.figures.map((each) => (each.name === 'wc' ? { ...each, median: each.median / 3 } : each)),
      })),
      /is said, .* measured/,
    ),
    sabotaged('the ratio to wc is the other way round', /how many times as long as wc/),
  ],
);

const tensMicroseconds = 100;
const isTens = (median: number): boolean => median < tensMicroseconds;

claim(
  'WHY-09',
  recorded('ban'),
  (run) => {
    assertRecorded(run);
    const nftables = run.results.find(({ workload }) => workload === 'nftables');
    assert.ok(nftables !== undefined, `${run.path} has no bans of nftables`);
    assert.deepEqual(nftables.problems, [], 'complaints');
    assert.ok(nftables.counts.held! >= nftables.counts.singles!, 'the kernel holds fewer than were decided');
    assert.ok(
      nftables.figures.some(({ name, unit }) => name === 'decision-to-ack' && unit === 'µs'),
      'no time in µs',
    );
    const { n } = nftables.figures.find(({ name }) => name === 'decision-to-ack')!;
    assert.deepEqual([n, nftables.counts.singles], [run.options.singles, run.options.singles], 'bans that were timed');
    const median = figure(nftables, 'decision-to-ack');
    const row = readFileSync(join(root, 'docs/white-paper.md'), 'utf8')
      .split('\n')
      .find((line) => line.includes(run.path) && line.includes('acknowledgement, nftables'));
    assert.match(row ?? '', new RegExp(` median ${median.toFixed(0)} µs`), 'what the white paper says of it');
    const evidence = `median ${median.toFixed(0)} µs over ${nftables.counts.singles} bans, nftables (${load(run)}, ${run.path})`;
    assert.deepEqual([10, 99, 100, 5_000].filter(isTens), [10, 99], 'medians that are tens of microseconds');
    return isTens(median) ? evidence : new NotMet(evidence);
  },
  [
    twin(
      'bans that the kernel does not hold',
      withResults('ban', (result) => ({ ...result, counts: { ...result.counts, held: 1 } })),
      /holds fewer than were decided/,
    ),
    twin(
      'milliseconds',
      withResults('ban', (result) => ({ ...result, figures: result.figures.map((each) => ({ ...each, unit: 'ms' })) })),
      /no time in µs/,
    ),
    sabotaged('a median of any length counts as tens of microseconds', /medians that are tens of microseconds/),
    sabotaged('the white paper says another time for a ban than was recorded', /what the white paper says/),
    twin(
      'a run of a few bans',
      withResults('ban', (result) => ({ ...result, figures: result.figures.map((each) => ({ ...each, n: 1 })) })),
      /bans that were timed|of nftables in/,
    ),
    twin(
      'a run without counts',
      withResults('ban', (result) => ({ ...result, counts: {} })),
      /counts of/,
    ),
    twin(
      'a run of another backend',
      withResults('ban', (result) => (result.workload === 'nftables' ? undefined : result)),
      /has no bans of nftables/,
    ),
  ],
);
