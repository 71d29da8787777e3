/** The newest recorded run of each benchmark as rows for the white paper's table of figures. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Figure {
  name: string;
  unit: string;
  median: number;
  /** Half the distance of the quartiles by the median. */
  spread: number;
}

interface Run {
  /** From the root of the repository. */
  path: string;
  loadBefore: number;
  loadAfter: number;
  results: { workload: string; counts: Record<string, number>; figures: Figure[] }[];
}

type Row = readonly [what: string, value: string];

const root = join(import.meta.dirname, '..');

/** Throws if there is no recorded run. */
function newestRun(benchmark: string): Run {
  const path = globSync(`bench/runs/*/${benchmark}.json`, { cwd: root }).sort().at(-1);
  if (path === undefined) throw new Error(`no run of ${benchmark} below bench/runs`);
  return { ...(JSON.parse(readFileSync(join(root, path), 'utf8')) as Run), path };
}

/** A figure of a workload; throws where the run has none. */
function figureOf({ path, results }: Run, workload: string, name: string): Figure {
  const found = results.find((result) => result.workload === workload)?.figures.find((figure) => figure.name === name);
  if (found === undefined) throw new Error(`${path} holds no ${name} of ${workload}`);
  return found;
}

const count = (value: number): string => Math.round(value).toLocaleString('en-US');
const percent = ({ spread }: Figure): string => `±${Math.round(spread * 100)} %`;

const files = [
  ['sshd-jumping', 'sshd, times that jump'],
  ['sshd-ordered', 'sshd, times that go on'],
  ['sshd-sessions', "sshd, whole sessions with PAM's lines"],
  ['nginx-access', 'nginx access log, a probe in ten lines'],
] as const;

function parseRows(run: Run): Row[] {
  return files.map(([file, says]) => {
    const of = (build: string, name: string) => figureOf(run, `${file}/${build}`, name);
    const steady = of('wasm', 'cpu');
    const cold = of('replay', 'cpu');
    return [
      `Lines a second of CPU from a file, steady; beside our [C scanner](../bench/scanner.c): ${says}`,
      `${steady.median.toFixed(2)} M ${percent(steady)}, ${of('wasm', 'c').median.toFixed(2)} × C; \`fail2zig replay\` from a cold start ` +
        `${cold.median.toFixed(2)} M, ${of('replay', 'c').median.toFixed(2)} × C (steady ${of('wasm', 'plain').median.toFixed(1)} × plain TypeScript, ` +
        `${of('wasm', 'wc').median.toFixed(1)} × the time of \`wc -l\`)`,
    ];
  });
}

function tableRows(run: Run): Row[] {
  const ratio = figureOf(run, 'live', 'ratio');
  const [few, many] = [figureOf(run, 'live', 'few'), figureOf(run, 'live', 'many')];
  const floods = run.results.flatMap(({ figures }) => figures.filter(({ unit }) => unit === 'x random'));
  const medians = floods.map(({ median }) => median).sort((a, b) => a - b);
  return [
    [
      'A line with 700,000 live sources against one with 1,000',
      `${ratio.median.toFixed(2)} × ${percent(ratio)} (${count(many.median)} ns against ${count(few.median)} ns)`,
    ],
    [
      'A line from addresses chosen by who knows the source but not the seed, against random ones',
      `${medians[0]!.toFixed(2)} to ${medians.at(-1)!.toFixed(2)} ×`,
    ],
  ];
}

function latencyRows(run: Run): Row[] {
  return run.results.map(({ workload, counts }) => {
    const of = (name: string) => figureOf(run, workload, name);
    const noise = /noise=(\d+)/.exec(workload)?.[1];
    const beside =
      noise === undefined
        ? ''
        : `, beside ${count(Number(noise))} other lines/s and scrapers that hold the metrics port`;
    return [
      `Line written → element in the kernel set, ${count(counts.bans!)} bans at ${count(counts.linesPerSecond!)} lines/s${beside}`,
      `median ${of('line-to-kernel').median.toFixed(2)} ms, p99 ${of('p99').median.toFixed(1)} ms, worst ${of('worst').median.toFixed(1)} ms`,
    ];
  });
}

function banRows(run: Run): Row[] {
  const ours = ['nftables', 'ipset'].map((backend): Row => {
    const [single, batches] = [figureOf(run, backend, 'decision-to-ack'), figureOf(run, backend, 'batches')];
    return [
      `Decision → acknowledgement, ${backend}; in batches of 1,000`,
      `median ${count(single.median)} µs; ${count(batches.median)} bans/s`,
    ];
  });
  const peers = run.results.filter(({ workload }) => workload.startsWith('fail2ban/'));
  const actions = peers.map(({ workload, figures }) => {
    const ms = figures.find(({ name }) => name === 'decision-to-ack')!.median / 1000;
    return `${workload.split('/')[1]} ${ms.toFixed(1)} ms`;
  });
  return [...ours, ['The same ban by the actions of fail2ban', `median ${actions.join('; ')}`]];
}

function startRows(run: Run): Row[] {
  const of = (name: string) => figureOf(run, 'daemon', name);
  return [
    [
      'Start of the daemon: until it has started; its CPU time',
      `${count(of('until-started').median)} ms; ${count(of('cpu').median)} ms`,
    ],
  ];
}

function attackRows(run: Run): Row[] {
  return run.results.map(({ workload, counts }) => {
    const of = (name: string) => figureOf(run, workload, name).median;
    return [
      `${count(Number(workload.replace('sources=', '')))} sources, six failures each, ${count(counts.linesPerSecond!)} lines/s: bans landed`,
      `${count(counts.bans!)}; the last ${of('last-ban-after-last-line') < 0 ? 'before' : 'after'} the last line; VmHWM ${count(of('VmHWM'))} MiB; ${of('cpu').toFixed(1)} s of CPU`,
    ];
  });
}

const makers = {
  parse: parseRows,
  table: tableRows,
  latency: latencyRows,
  ban: banRows,
  'start-up': startRows,
  attack: attackRows,
};

/** The white paper with the figures of the newest runs between its marks (claim LP-12). */
export function withFigures(paper: string): string {
  const rows = Object.entries(makers).flatMap(([benchmark, rowsOf]) => {
    const run = newestRun(benchmark);
    const source = `[${benchmark}](../${run.path}), load ${run.loadBefore.toFixed(1)}–${run.loadAfter.toFixed(1)}`;
    return rowsOf(run).map(([what, value]) => `| ${what} | ${value} | ${source} |\n`);
  });
  const table = `| figure | value | run |\n|---|---|---|\n${rows.join('')}`;
  return paper.replace(
    /(<!-- figures:begin[^\n]*-->\n)[\s\S]*?(<!-- figures:end -->)/,
    (_, begin, end) => begin + table + end,
  );
}

/** What a newcomer asks first, from the newest runs: what, value, and where it was recorded. */
export function keyFigures(): readonly (readonly [what: string, value: string, run: string])[] {
  const [latency, attack, start] = [newestRun('latency'), newestRun('attack'), newestRun('start-up')];
  const source = ({ path }: Run): string => `[${path.split('/').at(-2)!.slice(0, 10)}](${path})`;
  const flood = attack.results[0]!;
  const of = (name: string): string => figureOf(latency, latency.results[0]!.workload, name).median.toFixed(1);
  return [
    [
      'A line in the log → the ban in the kernel',
      `median ${of('line-to-kernel')} ms, p99 ${of('p99')} ms`,
      source(latency),
    ],
    [
      `Resident size of the whole process under ${count(flood.counts.bans!)} attackers`,
      `${count(figureOf(attack, flood.workload, 'VmHWM').median)} MiB at most`,
      source(attack),
    ],
    ['Start of the daemon', `${count(figureOf(start, 'daemon', 'until-started').median)} ms`, source(start)],
  ];
}
