/**
 * A recorded run of a benchmark (bench/runs) as evidence: what no run leaves behind is found, be it
 * edited, torn or of another day. Whether its figures are good enough is the claim's own matter.
 */
import assert from 'node:assert/strict';
import { commandOf } from '../../bench/report.ts';
import { median, quantile, spread } from '../../scripts/lab/figures.ts';

export interface Figure {
  name: string;
  unit: string;
  median: number;
  spread: number;
  n: number;
  p99?: number;
  values?: readonly number[];
}

export interface RecordedRun {
  path: string;
  command: string;
  benchmark: string;
  options: Record<string, number>;
  at: string;
  /** Absent from the oldest runs. */
  build?: string;
  machine: Record<string, string | number>;
  loadBefore: number;
  loadAfter: number;
  results: { workload: string; counts: Record<string, string | number>; figures: Figure[]; problems: string[] }[];
}

/** Fails for a record that lacks what a run says, or whose figures its own values do not make. */
export function assertRecorded(run: RecordedRun): void {
  const { path, command, at, build, machine, loadBefore, loadAfter, results } = run;
  assert.equal(command, commandOf(run), `the command in ${path}`);
  assert.ok(path.includes(`/${new Date(at).toISOString().slice(0, 10)}-`), `${path} is of ${at}`);
  assert.match(build ?? '0'.repeat(16), /^[0-9a-f]{16}$/, `the build in ${path}`);
  for (const fact of ['cpu', 'cpus', 'kernel', 'node', 'commit']) assert.ok(machine[fact], `${path} names no ${fact}`);
  assert.ok(Number.isFinite(loadBefore + loadAfter), `${path} names no load`);
  assert.ok(results.length > 0, `${path} holds no result`);
  for (const { workload, counts, figures } of results) {
    const all = Object.values(counts);
    const isCount = (count: string | number): boolean => (typeof count === 'string' ? count !== '' : count >= 0);
    assert.ok(all.length > 0 && all.every(isCount), `counts of ${workload} in ${path}`);
    for (const { name, values, n, ...said } of figures) {
      const what = `${name} of ${workload} in ${path}`;
      assert.ok(n > 0 && said.median > 0 && said.spread >= 0, what);
      if (values === undefined) continue;
      const { p99 = quantile(values, 0.99) } = said;
      assert.deepEqual(
        [n, said.median, said.spread, p99],
        [values.length, median(values), spread(values), quantile(values, 0.99)],
        what,
      );
    }
  }
}
