/**
 * How results are printed, and how they are kept: one JSON file a benchmark below
 * bench/runs/<date>-<machine>/.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { median, quantile, spread } from '../scripts/lab/figures.ts';
import { machine } from '../scripts/lab/machine.ts';
import { buildHash } from '../scripts/long/record.ts';
import type { Figure, Result } from './benchmark.ts';

/** Three significant digits. */
function short(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3);
}

function figureText({ name, unit, values }: Figure): string {
  const distance = values.length > 1 ? ` ±${(spread(values) * 100).toFixed(1)}%` : '';
  return `${name}=${short(median(values))} ${unit}${distance}`;
}

/** Figures that were too short to be measured are left out. */
const isKnown = ({ values }: Figure): boolean => Number.isFinite(median(values));

/** `parse sshd/wasm lines=… matched=… ok lines=11.2 M/s ±1.0%`. */
export function resultText(benchmark: string, { workload, counts, figures, problems }: Result): string {
  const facts = Object.entries(counts).map(([name, value]) => `${name}=${value}`);
  const verdict = problems.length === 0 ? 'ok' : `WRONG (${problems.join('; ')})`;
  return [benchmark, workload, ...facts, verdict, ...figures.filter(isKnown).map(figureText)].join(' ');
}

export interface Run {
  benchmark: string;
  options: Record<string, number>;
  loadBefore: number;
  loadAfter: number;
  results: Result[];
}

/** The command that repeats a run. */
export function commandOf({ benchmark, options }: Pick<Run, 'benchmark' | 'options'>): string {
  const settings = Object.entries(options).map(([name, value]) => ` --${name} ${value}`);
  return `npm run bench -- ${benchmark}${settings.join('')}`;
}

/**
 * How often values lay in each of two dozen ranges up to the 99.5th percentile: `[upper end,
 * count]`.
 */
export function histogramOf(values: readonly number[], ranges = 24): [number, number][] {
  const end = quantile([...values], 0.995);
  const counts = new Array<number>(ranges).fill(0);
  for (const value of values) counts[Math.min(ranges - 1, Math.floor((value / end) * ranges))]! += 1;
  return counts.map((count, index) => [Number((((index + 1) / ranges) * end).toPrecision(4)), count]);
}

/** A run as it is stored: with the command that repeats it, build, machine, median and spread. */
export function recordOf(run: Run, now: Date): object {
  const results = run.results.map(({ figures, ...rest }) => ({
    ...rest,
    figures: figures.filter(isKnown).map(({ name, unit, values }) => ({
      name,
      unit,
      median: median(values),
      p99: quantile(values, 0.99),
      spread: spread(values),
      // Every round; of thousands of single values a histogram.
      values: values.length <= 100 ? values : undefined,
      histogram: values.length <= 100 ? undefined : histogramOf(values),
      n: values.length,
    })),
  }));
  return { command: commandOf(run), ...run, at: now.toISOString(), build: buildHash(), machine: machine(), results };
}

/** Where the runs of a day on this kind of machine are kept. */
export function runsFolder(now: Date): string {
  // The type of machine, not its name: runs are published.
  const kind = `${cpus()[0]?.model ?? 'unknown'} ${cpus().length}cpu`.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return join(import.meta.dirname, 'runs', `${now.toISOString().slice(0, 10)}-${kind}`);
}

/** Writes a run where the documents can link to it; returns the path. */
export function record(run: Run, now = new Date()): string {
  const directory = runsFolder(now);
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${run.benchmark}.json`);
  writeFileSync(path, `${JSON.stringify(recordOf(run, now), null, 2)}\n`);
  return path;
}
