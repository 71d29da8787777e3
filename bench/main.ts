/**
 * `npm run bench -- NAME… [options]`: measures, and checks what it measured. Exit status: 0 every
 * count was right; 1 one was wrong, or a benchmark could not run; 2 wrong usage.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCommandLine } from '../scripts/lab/command-line.ts';
import { load, machine } from '../scripts/lab/machine.ts';
import { enterPrivateNetwork } from '../scripts/lab/namespace.ts';
import { attack } from './attack.ts';
import { ban } from './ban.ts';
import type { Benchmark, Result } from './benchmark.ts';
import { disturbed } from './disturbed.ts';
import { files } from './files.ts';
import { growth } from './growth.ts';
import { ioUring } from './io-uring.ts';
import { latency } from './latency.ts';
import { lists } from './lists.ts';
import { parse } from './parse.ts';
import { pathological } from './pathological.ts';
import { peersBenchmark } from './peers.ts';
import { records } from './records.ts';
import { record, resultText } from './report.ts';
import { share } from './share.ts';
import { startUp } from './start-up.ts';
import { table } from './table.ts';

const benchmarks: Benchmark[] = [
  parse,
  pathological,
  table,
  latency,
  disturbed,
  lists,
  share,
  records,
  files,
  ban,
  attack,
  startUp,
  ioUring,
  peersBenchmark,
  growth,
];

function usage(): string {
  const rows = benchmarks.flatMap(({ name, says, options }) => [
    `  ${name.padEnd(14)}${says}\n`,
    ...Object.entries(options).map(
      ([option, { says: what, value }]) => `  ${''.padEnd(14)}--${option} N: ${what} (${value})\n`,
    ),
  ]);
  return `npm run bench -- NAME… [--record] [options]\n\n${rows.join('')}
  --only NAME   only workloads with this in their name
  --record      keep the results below bench/runs/
  Each line: benchmark, workload, counts, ok or what is wrong, then figures: median ± half the distance of the quartiles.`;
}

function commandLine(): { chosen: Benchmark[]; numbers: Map<string, number>; only: string; keep: boolean } {
  const known = new Set(benchmarks.flatMap(({ options }) => Object.keys(options)));
  const named: Record<string, { type: 'string' }> = Object.fromEntries(
    [...known].map((name) => [name, { type: 'string' }]),
  );
  const { values, positionals, misuse } = readCommandLine(
    'bench',
    usage(),
    { record: { type: 'boolean' }, only: { type: 'string' }, ...named },
    true,
  );
  if (positionals.length === 0) misuse('which one?');
  const chosen = positionals.map(
    (name) => benchmarks.find((each) => each.name === name) ?? misuse(`no benchmark ${name}`),
  );
  const numbers = new Map<string, number>();
  for (const name of known) {
    const text = (values as Record<string, unknown>)[name];
    if (text === undefined) continue;
    if (!chosen.some(({ options }) => name in options)) misuse(`--${name} is not for ${positionals.join(' ')}`);
    const value = Number(text);
    if (typeof text !== 'string' || text === '' || !Number.isFinite(value) || value < 0)
      misuse(`--${name} takes a number`);
    numbers.set(name, value);
  }
  const { only = '', record: keep = false } = values;
  return { chosen, numbers, only: String(only), keep: keep === true };
}

/** Runs one; returns whether everything was right. */
async function run(benchmark: Benchmark): Promise<boolean> {
  const { name, options } = benchmark;
  const settings = Object.fromEntries(
    Object.entries(options).map(([option, { value }]) => [option, numbers.get(option) ?? value]),
  );
  const results: Result[] = [];
  const directory = mkdtempSync(join(tmpdir(), `fail2zig-bench-`));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  const loadBefore = load();
  try {
    await benchmark.run({
      number: (option) => settings[option]!,
      wanted: (workload) => workload.includes(only),
      report: (result) => {
        results.push(result);
        process.stdout.write(`${resultText(name, result)}\n`);
      },
      directory,
    });
  } finally {
    remove();
  }
  const loadAfter = load();
  process.stdout.write(`${name}: load average ${loadBefore.toFixed(2)} before, ${loadAfter.toFixed(2)} after\n`);
  if (keep) {
    const path = record({ benchmark: name, options: settings, loadBefore, loadAfter, results });
    process.stdout.write(`${name}: kept in ${path}\n`);
  }
  return results.length > 0 && results.every(({ problems }) => problems.length === 0);
}

const { chosen, numbers, only, keep } = commandLine();
for (const { prepare } of chosen) prepare?.();
if (chosen.some(({ needsNetwork }) => needsNetwork)) {
  const why = enterPrivateNetwork();
  if (why !== '') {
    process.stderr.write(`bench: no private network namespace can be made here: ${why}\n`);
    process.exit(1);
  }
}
const facts = Object.entries(machine()).map(([name, value]) => `${name}=${value}`);
process.stdout.write(`${facts.join(' ')}\n`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
let right = true;
for (const benchmark of chosen) {
  try {
    right = (await run(benchmark)) && right;
  } catch (error) {
    process.stderr.write(`bench: ${benchmark.name}: ${(error as Error).message}\n`);
    right = false;
  }
}
process.exit(right ? 0 : 1);
