/**
 * How fast the program is, by the recorded runs that the white paper's table leads to: what was
 * measured, beside what, and whether it reaches what was promised. What falls short is NOT MET.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { claim, NotMet, type Supply, twin } from './claim.ts';

interface Result {
  workload: string;
  counts: Record<string, number>;
  figures: { name: string; unit: string; median: number }[];
  problems: string[];
}

interface Run {
  path: string;
  command: string;
  loadBefore: number;
  loadAfter: number;
  results: Result[];
}

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

/** The results of the build that ships, steady state: one for each file. */
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

claim(
  'PE-14',
  recorded('parse'),
  (run) => {
    const results = shipped(run);
    for (const result of results) {
      const { lines, matched, decisions, bytesPerLine } = result.counts as Record<string, number>;
      assert.ok(matched! > 0 && matched! < lines!, `${matched} of ${lines} lines of ${result.workload} match`);
      assert.ok(decisions! > 0 && bytesPerLine! > 50, `no decisions or lines in ${result.workload}`);
      // Of processor time, whatever ran on how many cores.
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
  ],
);

claim(
  'PE-15',
  recorded('parse'),
  (run) => {
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
  ],
);

const tensMicroseconds = 100;

claim(
  'WHY-09',
  recorded('ban'),
  (run) => {
    const nftables = run.results.find(({ workload }) => workload === 'nftables');
    assert.ok(nftables !== undefined, `${run.path} has no bans of nftables`);
    assert.deepEqual(nftables.problems, [], 'complaints');
    assert.ok(nftables.counts.held! >= nftables.counts.singles!, 'the kernel holds fewer than were decided');
    assert.ok(
      nftables.figures.some(({ name, unit }) => name === 'decision-to-ack' && unit === 'µs'),
      'no time in µs',
    );
    const median = figure(nftables, 'decision-to-ack');
    const evidence = `median ${median.toFixed(0)} µs over ${nftables.counts.singles} bans, nftables (${load(run)}, ${run.path})`;
    return median < tensMicroseconds ? evidence : new NotMet(evidence);
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
    twin(
      'a run of another backend',
      withResults('ban', (result) => (result.workload === 'nftables' ? undefined : result)),
      /has no bans of nftables/,
    ),
  ],
);
