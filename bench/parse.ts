/**
 * Lines a second, end to end from a file: the three builds of the engine on the same bytes,
 * interleaved, with `wc -l` as the measure of what merely reading lines costs on this machine.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { median } from '../scripts/lab/figures.ts';
import type { Build } from '../src/engine/host.ts';
import { type Benchmark, type Context, differences, type Figure } from './benchmark.ts';
import { measureRound, type Round } from './rounds.ts';
import { services, type Workload, writeWorkload } from './workload.ts';

const builds: Build[] = ['wasm', 'scalar', 'plain'];
const sourcesDefault = 50_000;

/** `wc -l` runs so often for one figure: the shell counts CPU time in hundredths of a second. */
const wordCounts = 8;

/** CPU and wall seconds of `wc -l`, and what it counted. */
function wordCount(path: string): { lines: number; wallSeconds: number; cpuSeconds: number } {
  const started = performance.now();
  const { stdout } = spawnSync(
    'sh',
    ['-c', `for i in ${'. '.repeat(wordCounts)}; do wc -l <"$1"; done; times`, 'sh', path],
    { encoding: 'utf8' },
  );
  const wallSeconds = (performance.now() - started) / 1000 / wordCounts;
  // The last line of `times`: user and system time of children, as 0m0.000000s.
  const times = [...(stdout.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  const cpuSeconds = times.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
  return { lines: Number.parseInt(stdout, 10), wallSeconds, cpuSeconds: cpuSeconds / wordCounts };
}

function rates(workload: Workload, rounds: { wallSeconds: number; cpuSeconds: number }[]): Figure[] {
  const per = (amount: number, unit: (round: (typeof rounds)[number]) => number): number[] =>
    rounds.map((round) => amount / unit(round) / 1e6);
  return [
    { name: 'cpu', unit: 'M lines/s', values: per(workload.lines, ({ cpuSeconds }) => cpuSeconds) },
    { name: 'wall', unit: 'M lines/s', values: per(workload.lines, ({ wallSeconds }) => wallSeconds) },
    { name: 'bytes', unit: 'MB/s', values: per(workload.bytes, ({ cpuSeconds }) => cpuSeconds) },
  ];
}

async function measure(context: Context, name: string, lines: number, rounds: number, sources: number): Promise<void> {
  const workload = writeWorkload(name, join(context.directory, `${name}.log`), lines, sources);
  const taken: Record<Build, Round[]> = { wasm: [], scalar: [], plain: [] };
  const counted: ReturnType<typeof wordCount>[] = [];
  for (const build of builds) await measureRound(workload.path, build, workload.filter);
  for (let round = 0; round < rounds; round++) {
    counted.push(wordCount(workload.path));
    for (const build of builds) taken[build].push(await measureRound(workload.path, build, workload.filter));
  }
  rmSync(workload.path);

  const { matched, decisions } = workload;
  const cpu = (list: { cpuSeconds: number }[]): number => median(list.map(({ cpuSeconds }) => cpuSeconds));
  for (const build of builds) {
    const problems = taken[build].flatMap((round) =>
      differences({ ...round }, { lines, matched, decisions, taken: decisions }),
    );
    const ratios: Figure[] = [
      { name: 'wc', unit: 'x wc -l', values: [cpu(taken[build]) / cpu(counted)] },
      ...(build === 'plain'
        ? []
        : [{ name: 'plain', unit: 'x plain', values: [cpu(taken.plain) / cpu(taken[build])] }]),
    ];
    context.report({
      workload: `${name}/${build}`,
      counts: { lines, matched, decisions, rounds, bytesPerLine: Math.round(workload.bytes / lines) },
      figures: [...rates(workload, taken[build]), ...ratios],
      problems: [...new Set(problems)],
    });
  }
  context.report({
    workload: `${name}/wc`,
    counts: { lines, rounds },
    figures: rates(workload, counted),
    problems: [...new Set(counted.flatMap((round) => differences({ lines: round.lines }, { lines })))],
  });
}

export const parse: Benchmark = {
  name: 'parse',
  says: 'lines a second from a file to decisions: wasm with SIMD, scalar wasm, plain TypeScript, `wc -l`',
  options: {
    lines: { says: 'lines of each file', value: 2_000_000 },
    rounds: { says: 'rounds of each, interleaved', value: 5 },
    sources: { says: 'distinct attackers', value: sourcesDefault },
  },
  async run(context) {
    const [lines, rounds, sources] = ['lines', 'rounds', 'sources'].map(context.number) as [number, number, number];
    for (const name of Object.keys(services))
      if (context.wanted(name)) await measure(context, name, lines, rounds, sources);
  },
};
