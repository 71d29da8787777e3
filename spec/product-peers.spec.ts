/**
 * The peers on the same work: what `npm run bench -- peers --record` stored, and how it is shown.
 * Whoever has the packages repeats the run with that one command.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprint, workloadName } from '../bench/peers.ts';
import { newestPeersRun, type PeersRun, peersTable } from '../bench/peers-table.ts';
import { writeWorkload } from '../bench/workload.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, given, type Supply, sabotaged, twin } from './claim.ts';
import { assertRecorded, type RecordedRun } from './support/runs.ts';

interface Shown {
  run: PeersRun;
  paper: string;
}

function recorded(spoil: (made: Shown) => Shown = (made) => made): Supply<Shown> {
  return given(spoil({ run: newestPeersRun(), paper: readFileSync('docs/white-paper.md', 'utf8') }));
}

const withResults = (change: (result: PeersRun['results'][number], index: number) => object) =>
  recorded(({ run, paper }) => {
    const results = run.results.map((result, index) => ({ ...result, ...change(result, index) }));
    return { run: { ...run, results }, paper };
  });

/** The fingerprint of the log that the command of a run makes. */
function fileOf({ options }: PeersRun): string {
  const { path, remove } = temporaryDirectory();
  try {
    const log = join(path, 'log');
    writeWorkload(workloadName, log, options.lines!, options.sources!);
    return fingerprint(readFileSync(log, 'latin1'));
  } finally {
    remove();
  }
}

claim(
  'PE-13',
  recorded(),
  ({ run }) => {
    assertRecorded(run);
    const { results, machine, path, options } = run;
    const names = results.map(({ workload }) => workload.replace('parse/', ''));
    for (const peer of ['fail2zig', 'fail2ban', 'SSHGuard'])
      assert.ok(
        names.some((name) => name.startsWith(peer)),
        `no ${peer} in ${path}`,
      );
    const read = new Set(results.map(({ counts }) => `${counts.lines} lines of ${counts.file}`));
    assert.deepEqual([...read], [`${options.lines} lines of ${fileOf(run)}`], 'files that were read');
    for (const { workload, counts, problems, figures } of results) {
      assert.deepEqual(problems, [], `complaints of ${workload}`);
      assert.ok(Number(counts.found) > 0, `what ${workload} found`);
      assert.ok(
        figures.every(({ n, values }) => n >= 3 && values?.length === n),
        `rounds and spread of ${workload}`,
      );
    }
    const rows = results.map(({ figures }, index) => {
      const cpu = figures.find(({ name }) => name === 'cpu')!;
      return `${names[index]} ${Math.round(cpu.median / 1000)} k ±${Math.round(cpu.spread * 100)} %`;
    });
    return `lines a second of CPU time over the same ${results[0]!.counts.lines} lines: ${rows.join(', ')} (${machine.cpu}, load ${run.loadBefore.toFixed(1)})`;
  },
  [
    twin(
      'a run in which each reads a file of its own',
      withResults(({ counts }, index) => ({ counts: { ...counts, file: `${index}` } })),
      /files that were read/,
    ),
    twin(
      'a run of ours alone',
      recorded(({ run, paper }) => ({ run: { ...run, results: run.results.slice(0, 1) }, paper })),
      /no fail2ban/,
    ),
    twin(
      'a peer that finds nothing',
      withResults(({ counts }, index) => ({ counts: { ...counts, found: index } })),
      /what .* found/,
    ),
    twin(
      'a single round',
      withResults(({ figures }) => ({
        figures: figures.map((figure) => ({ ...figure, n: 1, values: [figure.median], spread: 0, p99: figure.median })),
      })),
      /rounds and spread/,
    ),
    twin(
      'a log that the command does not make',
      withResults(({ counts }) => ({ counts: { ...counts, file: '0'.repeat(16) } })),
      /files that were read/,
    ),
    twin(
      'a run without counts',
      withResults(() => ({ counts: {} })),
      /counts of/,
    ),
    sabotaged('fail2ban is recorded many times as fast as it was', /cpu of parse\/fail2ban-regex/),
  ],
);

claim(
  'LP-14',
  recorded(),
  ({ run, paper }) => {
    assert.ok(paper.includes(peersTable(run)), 'the table of the white paper is that of the run');
    for (const { workload, figures } of run.results)
      for (const wanted of ['cpu', 'resident'])
        assert.ok(
          figures.some(({ name, median }) => name === wanted && median > 0),
          `${wanted} of ${workload}`,
        );
    return `${run.results.length} rows with throughput and memory in docs/white-paper.md, made from ${run.path}`;
  },
  [
    twin(
      'a table that somebody typed',
      recorded(({ run, paper }) => ({ run, paper: paper.replace(/(<!-- peers:begin[\s\S]*?)\d+ k/, '$19 k') })),
      /the table of the white paper is that of the run/,
    ),
    twin(
      'a run that measured no memory',
      recorded(({ run, paper }) => {
        const results = run.results.map((result) => ({
          ...result,
          figures: result.figures.map((figure) => (figure.name === 'resident' ? { ...figure, median: 0 } : figure)),
        }));
        const spoilt = { ...run, results };
        return { run: spoilt, paper: paper.replace(peersTable(run), peersTable(spoilt)) };
      }),
      /resident of/,
    ),
  ],
);

const root = join(import.meta.dirname, '..');

type GrowthRun = RecordedRun & { build: string };

type Grown = GrowthRun['results'][number] & { sizes: readonly number[]; growth: number };

/** With fewer sources, growth could not be distinguished from what a start leaves. */
const crowdMin = 10_000;
/** The daemon's share of what fail2ban grows by, and its bound, MiB: what a start leaves behind. */
const growthShareMax = 0.1;
const growthMax = 4;

function growthRun(spoil: (run: GrowthRun) => GrowthRun = (run) => run): Supply<GrowthRun> {
  const path = globSync('bench/runs/*/growth.json', { cwd: root }).sort().at(-1);
  assert.ok(path !== undefined, 'nobody recorded npm run bench -- growth');
  return given(spoil({ ...(JSON.parse(readFileSync(join(root, path), 'utf8')) as GrowthRun), path }));
}

const withGrowth = (change: (result: GrowthRun['results'][number]) => Partial<GrowthRun['results'][number]>) =>
  growthRun((run) => ({ ...run, results: run.results.map((result) => ({ ...result, ...change(result) })) }));

claim(
  'MM-29',
  growthRun(),
  (run) => {
    assertRecorded(run);
    const { benchmark, at, build, loadBefore, options, results } = run;
    assert.equal(benchmark, 'growth', 'the benchmark');
    assert.match(build, /^[0-9a-f]{16}$/, 'the build that was measured');
    const [ours, theirs] = ['fail2zig', 'fail2ban-server'].map((name) => {
      const found = results.find(({ workload }) => workload === name);
      assert.ok(found !== undefined, `no ${name} in the run`);
      assert.deepEqual(found.problems, [], `complaints of ${name}`);
      const sizes = found.figures.find((figure) => figure.name === 'resident')!.values!;
      return { ...found, sizes, growth: sizes.at(-1)! - sizes[0]! };
    }) as [Grown, Grown];
    assert.deepEqual(ours.counts, theirs.counts, 'what both counted');
    const sources = Number(ours.counts.sources);
    assert.ok(sources >= crowdMin, `${sources} sources are too few`);
    assert.deepEqual(
      [ours, theirs].map(({ sizes }) => sizes.length),
      [options.steps! + 1, options.steps! + 1],
      'sizes that were read',
    );
    const shrinks = theirs.sizes.some((size, index) => index > 0 && size <= theirs.sizes[index - 1]!);
    assert.ok(
      !shrinks,
      `fail2ban grows with every step: ${theirs.sizes.map((size) => size.toFixed(1)).join(', ')} MiB`,
    );
    const share = ours.growth / theirs.growth;
    assert.ok(share <= growthShareMax && ours.growth <= growthMax, `the daemon grew by ${ours.growth.toFixed(1)} MiB`);
    return `${sources} sources, both beside each other: fail2ban's server grew by ${theirs.growth.toFixed(1)} MiB, the daemon by ${ours.growth.toFixed(1)} MiB (${at.slice(0, 10)}, load ${loadBefore.toFixed(0)}, build ${build})`;
  },
  [
    twin(
      'a daemon that grows with its sources',
      growthRun((run) => {
        const theirs = run.results.find(({ workload }) => workload === 'fail2ban-server')!;
        return { ...run, results: [{ ...theirs, workload: 'fail2zig' }, theirs] };
      }),
      /the daemon grew by/,
    ),
    twin(
      'a fail2ban that read another log',
      withGrowth(({ workload, counts }) => (workload === 'fail2zig' ? {} : { counts: { ...counts, failures: 1 } })),
      /what both counted/,
    ),
    twin(
      'a run of a few sources',
      withGrowth(({ counts }) => ({ counts: { ...counts, sources: 50 } })),
      /50 sources are too few/,
    ),
    twin(
      'a fail2ban that forgot on the way',
      withGrowth(({ figures }) => ({
        figures: figures.map((figure) => (figure.values ? { ...figure, values: figure.values.toReversed() } : figure)),
      })),
      /fail2ban grows with every step/,
    ),
    twin(
      'a run of nobody knows which build',
      growthRun((run) => ({ ...run, build: '' })),
      /the build/,
    ),
    sabotaged("fail2ban's size at the end is recorded as another one", /resident of fail2ban-server/),
  ],
);
