/**
 * Lines a second, end to end from a file. Four files: sshd with times that jump, the same with
 * times that go on, whole sessions of a host under attack, and a web server's log with one probe in
 * ten lines. In each round, one after the other: `wc -l`, a scanner in C for the same verdicts
 * (scanner.c, where there is a compiler), the first pass of a new process, the whole command
 * `fail2zig replay`, and the steady state of the engine's three builds.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { median } from '../scripts/lab/figures.ts';
import type { Build } from '../src/engine/host.ts';
import { type Benchmark, type Context, differences, type Figure } from './benchmark.ts';
import { measureRound } from './rounds.ts';
import { findtimeSeconds, maxretry, readTime, type Workload, writeWorkload } from './workload.ts';

const measured = ['sshd-jumping', 'sshd-ordered', 'sshd-sessions', 'nginx-access'];
const builds: Build[] = ['wasm', 'scalar', 'plain'];
const sourcesDefault = 50_000;
const root = join(import.meta.dirname, '..');
// See Daemon.start.
const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;

/** `wc -l` runs this often for one figure: the shell counts CPU time in hundredths of a second. */
const wordCounts = 8;

/** What one pass took, and what it counted. */
export interface Pass {
  lines: number;
  matched?: number;
  decisions?: number;
  cpuSeconds: number;
}

/** Runs a command several times; returns the CPU seconds of one run, and the output. */
function timed(command: string[], runs = 1): { out: string; cpuSeconds: number } {
  const { stdout } = spawnSync('sh', ['-c', `for i in ${'. '.repeat(runs)}; do "$@"; done; times`, 'sh', ...command], {
    encoding: 'utf8',
    env,
    maxBuffer: 2 ** 28,
  });
  const lines = stdout.trimEnd().split('\n');
  // The last line of `times`: user and system time of children, as 0m0.000000s.
  const times = [...lines.at(-1)!.matchAll(/(\d+)m([\d.]+)s/g)];
  const cpuSeconds = times.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
  return { out: lines.slice(0, -2).join('\n'), cpuSeconds: cpuSeconds / runs };
}

function wordCount({ path }: Workload): Pass {
  const { out, cpuSeconds } = timed(['wc', '-l', path], wordCounts);
  return { lines: Number.parseInt(out, 10), cpuSeconds };
}

/** The whole command, the start of its process included. */
function replay({ path, filter }: Workload): Pass {
  const { out, cpuSeconds } = timed([
    ...[process.execPath, join(root, 'dist', 'main.cjs'), 'replay', '--json', '--filter', filter],
    ...['--maxretry', String(maxretry), '--findtime', `${findtimeSeconds}s`, '--bantime', `${findtimeSeconds}s`],
    ...['--now', String(readTime), path],
  ]);
  const { lines, matched, decisions } = JSON.parse(out);
  return { lines, matched, decisions: decisions.length, cpuSeconds };
}

function firstPass({ path, filter }: Workload): Pass {
  const program = join(import.meta.dirname, 'first-pass.ts');
  return JSON.parse(spawnSync(process.execPath, [program, path, filter], { encoding: 'utf8', env }).stdout);
}

/** Builds the scanner; undefined if there is no compiler. */
function buildScanner(directory: string): string | undefined {
  const program = join(directory, 'scanner');
  const { status } = spawnSync('cc', ['-O2', '-o', program, join(import.meta.dirname, 'scanner.c')]);
  return status === 0 ? program : undefined;
}

function scan(program: string, { path, filter }: Workload): Pass {
  const parameters = [filter === 'sshd' ? 'sshd' : 'nginx', path, String(maxretry), String(findtimeSeconds)];
  return JSON.parse(spawnSync(program, parameters, { encoding: 'utf8' }).stdout);
}

type Way = (workload: Workload) => Pass | Promise<Pass>;

/** What is measured, in the order of a round. */
function waysOf(scanner: string | undefined): Map<string, Way> {
  const steady = builds.map((build): [string, Way] => [build, ({ path, filter }) => measureRound(path, build, filter)]);
  return new Map<string, Way>([
    ['wc', wordCount],
    ...(scanner === undefined ? [] : [['c', (workload) => scan(scanner, workload)] as [string, Way]]),
    ['first-pass', firstPass],
    ['replay', replay],
    ...steady,
  ]);
}

const cpu = (passes: Pass[]): number => median(passes.map(({ cpuSeconds }) => cpuSeconds));

/** Each way's speed: in lines and bytes a second, and as a ratio to others of the same round. */
export function figures(workload: Workload, way: string, taken: Map<string, Pass[]>): Figure[] {
  const passes = taken.get(way)!;
  const per = (amount: number): number[] => passes.map(({ cpuSeconds }) => amount / cpuSeconds / 1e6);
  const beside = (other: string, turned: boolean): Figure[] => {
    const others = taken.get(other);
    if (others === undefined || other === way || way === 'wc') return [];
    const ratio = cpu(others) / cpu(passes);
    return [
      { name: other, unit: turned ? `x ${other}` : `x the speed of ${other}`, values: [turned ? 1 / ratio : ratio] },
    ];
  };
  return [
    { name: 'cpu', unit: 'M lines/s', values: per(workload.lines) },
    { name: 'bytes', unit: 'MB/s', values: per(workload.bytes) },
    ...beside('c', false),
    ...beside('wc', true),
    ...(way === 'wasm' ? beside('plain', false) : []),
  ];
}

async function measure(context: Context, name: string, ways: Map<string, Way>): Promise<void> {
  const [lines, rounds, sources] = ['lines', 'rounds', 'sources'].map(context.number) as [number, number, number];
  const workload = writeWorkload(name, join(context.directory, `${name}.log`), lines, sources);
  // Code that runs in this process must be warm.
  for (const build of builds) await measureRound(workload.path, build, workload.filter);
  const taken = new Map<string, Pass[]>([...ways.keys()].map((way) => [way, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [way, run] of ways) taken.get(way)!.push(await run(workload));
  }
  rmSync(workload.path);
  const { matched, decisions } = workload;
  for (const [way, passes] of taken) {
    const expected: Record<string, number> = way === 'wc' ? { lines } : { lines, matched, decisions };
    context.report({
      workload: `${name}/${way}`,
      counts: { lines, matched, decisions, rounds, bytesPerLine: Math.round(workload.bytes / lines) },
      figures: figures(workload, way, taken),
      problems: [...new Set(passes.flatMap((pass) => differences({ ...pass }, expected)))],
    });
  }
}

export const parse: Benchmark = {
  name: 'parse',
  says: 'lines a second of CPU from a file to decisions: first pass, replay and steady state, beside C and `wc -l`',
  options: {
    lines: { says: 'lines of each file', value: 2_000_000 },
    rounds: { says: 'rounds of each, interleaved', value: 5 },
    sources: { says: 'distinct attackers', value: sourcesDefault },
  },
  async run(context) {
    const scanner = buildScanner(context.directory);
    const ways = waysOf(scanner);
    for (const name of measured) if (context.wanted(name)) await measure(context, name, ways);
    if (scanner !== undefined) rmSync(scanner);
  },
};
