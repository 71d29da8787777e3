/** The table of series that a Prometheus server can read. */
import type { Series } from '../../src/observe/metrics.ts';

const namePattern = /^fail2zig_[a-z][a-z0-9]*(_[a-z0-9]+)*$/;
const labelPattern = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/;

/** Throws on a table that no scrape could ever read correctly: that is a bug of ours. */
export function checkSeries(table: readonly Series[]): void {
  const seen = new Set<string>();
  for (const series of table) {
    const wrong = (why: string): Error => new Error(`metrics table: ${series.name} ${why}`);
    if (!namePattern.test(series.name)) throw wrong('is not a fail2zig_snake_case name');
    if (seen.has(series.name)) throw wrong('stands in the table twice');
    seen.add(series.name);
    if ((series.type === 'counter') !== series.name.endsWith('_total')) {
      throw wrong('must end in _total exactly where it is a counter');
    }
    if (series.help === '') throw wrong('has no help text');
    if (new Set(series.labels).size !== series.labels.length) throw wrong('names a label twice');
    for (const label of series.labels) {
      if (!labelPattern.test(label)) throw wrong(`has a bad label name "${label}"`);
    }
  }
}
