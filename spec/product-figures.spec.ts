/**
 * The published figures: each row of the white paper's table leads to the run that measured it, and
 * that run says how.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordOf } from '../bench/report.ts';
import { claim, type Supply, sabotaged, twin } from './claim.ts';
import type { Figure } from './support/runs.ts';

interface Run {
  command: string;
  machine: Record<string, unknown>;
  results: { workload: string; counts: Record<string, number>; figures: Figure[]; problems: string[] }[];
}

interface Published {
  rows: string[];
  /** The recorded run at a path of the repository. */
  runOf: (path: string) => Run;
}

const root = join(import.meta.dirname, '..');
/** Replaces a run that would be recorded now. */
const freshPath = 'a fresh run';

function freshRun(): Run {
  const figures = [{ name: 'cpu', unit: 'M lines/s', values: [1, 2, 3] }];
  const results = [{ workload: 'sshd', counts: { lines: 3 }, figures, problems: [] }];
  const run = { benchmark: 'parse', options: { lines: 3 }, loadBefore: 0, loadAfter: 0, results };
  return JSON.parse(JSON.stringify(recordOf(run, new Date(0)))) as Run;
}
const machineFacts = ['cpu', 'cpus', 'memoryGiB', 'kernel', 'node'];

function published(spoil: (made: Published) => Published = (made) => made): Supply<Published> {
  return {
    make() {
      const paper = readFileSync(join(root, 'docs/white-paper.md'), 'utf8');
      const table = paper.slice(paper.indexOf('<!-- figures:begin'), paper.indexOf('<!-- figures:end'));
      // Below the heads of its columns and the line under them.
      const rows = table
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .slice(2);
      const runOf = (path: string): Run =>
        path === freshPath ? freshRun() : JSON.parse(readFileSync(join(root, path), 'utf8'));
      return spoil({ rows, runOf });
    },
  };
}

/** The same with every run changed. */
const changed = (change: (run: Run) => Run): Supply<Published> =>
  published((made) => ({ ...made, runOf: (path) => change(made.runOf(path)) }));

const withFigures = (change: (figure: Figure) => Partial<Figure>): Supply<Published> =>
  changed((run) => ({
    ...run,
    results: run.results.map((result) => ({ ...result, figures: result.figures.map(change) as Figure[] })),
  }));

/** Checks that a run says how its figures were measured; returns their number. */
function figuresOf({ command, machine, results }: Run, path: string): number {
  assert.match(command, /^npm run bench -- \w/, `the command of ${path}`);
  for (const fact of machineFacts) assert.ok(machine[fact], `${fact} of the machine of ${path}`);
  assert.ok(machine.commit ?? machine.version, `what ${path} measured`);
  assert.ok(results.length > 0, `${path} holds no result`);
  let count = 0;
  for (const { workload, counts, problems, figures } of results) {
    const name = `${path}, ${workload}`;
    assert.deepEqual(problems, [], `complaints of ${name}`);
    assert.ok(workload !== '' && Object.keys(counts).length > 0, `the workload of ${name}`);
    for (const figure of figures) {
      assert.ok(figure.unit !== '' && figure.n > 0, `unit and number of values of ${figure.name}, ${name}`);
      assert.ok(Number.isFinite(figure.spread), `the spread of ${figure.name}, ${name}`);
      count++;
    }
  }
  return count;
}

claim(
  'LP-12',
  published(),
  ({ rows, runOf }) => {
    assert.ok(rows.length >= 10, `${rows.length} rows`);
    const paths = new Set<string>();
    for (const row of rows) {
      const path = /\]\(\.\.\/(bench\/runs\/[^)]+\.json)\)/.exec(row)?.[1];
      assert.ok(path !== undefined, `no run behind "${row}"`);
      paths.add(path);
    }
    let figures = 0;
    for (const path of paths) figures += figuresOf(runOf(path), path);
    // The same of what is recorded from now on.
    figuresOf(runOf(freshPath), freshPath);
    return `${rows.length} published rows over ${paths.size} runs: ${figures} figures with command, workload, machine and spread, none of them from a run with a complaint`;
  },
  [
    twin(
      'a figure that nobody measured',
      published((made) => ({ ...made, rows: [...made.rows, '| Lines a second | 10 M | on my machine |'] })),
      /no run behind/,
    ),
    twin(
      'runs without a command',
      changed((run) => ({ ...run, command: '' })),
      /the command of/,
    ),
    twin(
      'runs of an unknown machine',
      changed((run) => ({ ...run, machine: {} })),
      /cpu of the machine of/,
    ),
    twin(
      'runs that complain',
      changed((run) => ({ ...run, results: run.results.map((result) => ({ ...result, problems: ['too slow'] })) })),
      /complaints of/,
    ),
    twin(
      'runs of nobody knows what',
      changed((run) => ({ ...run, results: run.results.map((result) => ({ ...result, counts: {} })) })),
      /the workload of/,
    ),
    twin(
      'figures without a spread',
      withFigures(({ spread: _, ...figure }) => figure),
      /the spread of/,
    ),
    sabotaged('a run is recorded without its spread', /the spread of cpu, a fresh run/),
  ],
);

/** The latest recorded comparison of io_uring with preadv. */
function ringRun(spoil: (run: Run) => Run = (run) => run): Supply<Run> {
  return {
    make() {
      const path = globSync('bench/runs/*/io-uring.json', { cwd: root }).sort().at(-1);
      assert.ok(path !== undefined, 'no run is recorded');
      return spoil(JSON.parse(readFileSync(join(root, path), 'utf8')));
    },
  };
}

/** If a ring saved this share of a core, it would be worth having beside the reader, %. */
const savedMin = 1;

claim(
  'LP-19',
  ringRun(),
  ({ command, results }) => {
    assert.match(command, /^npm run bench -- io-uring/);
    const saved = results.map(({ workload, figures, problems }) => {
      assert.deepEqual(problems, [], workload);
      const of = (name: string) => figures.find((figure) => figure.name === name)!;
      assert.ok(of('saved').n >= 5 && of('preadv').median > 0, `${workload} was measured`);
      assert.ok(of('saved').median < savedMin, `a ring saves ${of('saved').median} % of a core at ${workload}`);
      return of('saved').median;
    });
    for (const files of [1, 20, 500]) {
      const rates = results.filter(({ counts }) => counts.files === files).map(({ counts }) => counts.linesPerSecond);
      assert.deepEqual(rates, [1_000, 30_000, 300_000], `the rates with ${files} files`);
    }
    const most = Math.max(...saved);
    return `1, 20 and 500 files, 1,000 to 300,000 lines/s: a ring saves ${most.toFixed(2)} % of a core at best, and is not built in`;
  },
  [
    twin(
      'a ring that saves a third of a core',
      ringRun((run) => ({
        ...run,
        results: run.results.map((result) => ({
          ...result,
          figures: result.figures.map((figure) => (figure.name === 'saved' ? { ...figure, median: 33 } : figure)),
        })),
      })),
      /a ring saves 33 %/,
    ),
    twin(
      'a run that left many files out',
      ringRun((run) => ({ ...run, results: run.results.filter(({ counts }) => counts.files !== 500) })),
      /the rates with 500 files/,
    ),
  ],
);
