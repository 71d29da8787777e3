/**
 * The peers on the same work: what `npm run bench -- peers --record` left, and how it is shown.
 * Whoever has the packages repeats the run with that one command.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { newestPeersRun, type PeersRun, peersTable } from '../bench/peers-table.ts';
import { claim, given, type Supply, twin } from './claim.ts';

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

claim(
  'PE-13',
  recorded(),
  ({ run }) => {
    const { results, machine, path } = run;
    const names = results.map(({ workload }) => workload.replace('parse/', ''));
    for (const peer of ['fail2zig', 'fail2ban', 'SSHGuard'])
      assert.ok(
        names.some((name) => name.startsWith(peer)),
        `no ${peer} in ${path}`,
      );
    assert.equal(new Set(results.map(({ counts }) => counts.file)).size, 1, 'files that were read');
    for (const { workload, counts, problems, figures } of results) {
      assert.deepEqual(problems, [], `complaints of ${workload}`);
      assert.ok(Number(counts.found) > 0, `what ${workload} found`);
      assert.ok(
        figures.every(({ n, spread }) => n >= 3 && Number.isFinite(spread)),
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
      withResults(({ figures }) => ({ figures: figures.map((figure) => ({ ...figure, n: 1 })) })),
      /rounds and spread/,
    ),
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
