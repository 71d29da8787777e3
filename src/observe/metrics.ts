/**
 * The Prometheus page: a table of series, and the text of one scrape (exposition format 0.0.4).
 * Input: label values may be anybody's text (jail names, paths) and are escaped; names are ours,
 * and a test checks them. Invariant: a page depends only on the table's getters, contains no log
 * content and changes nothing (I-01, LP-29). When full: a series is cut at `metricsRowsMax` label
 * sets, so a page is bounded by the table's length.
 */
import { metricsRowsMax } from '../limits.ts';

/** One line of a series: the label values in the order of `Series.labels`, and the value. */
export type Row = readonly [labels: readonly string[], value: number];

export interface Series {
  /**
   * `fail2zig_…`, with its unit last (`_seconds`, `_bytes`), and `_total` at the end of counters
   * only.
   */
  name: string;
  help: string;
  /** The rows of a histogram are its buckets (`le`, cumulative), then `sum` and `count`. */
  type: 'counter' | 'gauge' | 'histogram';
  /** Empty for a series with a single value. */
  labels: readonly string[];
  /**
   * Called once per page; must not block and must not change anything. Returns a bare number for a
   * series without labels; a promise if it has to read the whole table.
   */
  read(): number | Iterable<Row> | Promise<Iterable<Row>>;
}

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** In HELP, a backslash and a newline are escaped; in a label value, the quote too. */
function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text.toWellFormed()).replaceAll('"', '\\"');
}

/** Go's ParseFloat reads what JavaScript prints, except for the infinities. */
function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return Object.is(value, -0) ? '0' : String(value);
}

function formatRow(series: Series, [values, value]: Row): string {
  if (values.length !== series.labels.length) throw new Error(`metrics table: ${series.name} got wrong label values`);
  const pairs = series.labels.map((label, index) => `${label}="${escapeLabel(values[index] as string)}"`);
  const labels = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
  if (series.type === 'histogram') {
    const part = values[0] === 'sum' || values[0] === 'count' ? values[0] : `bucket${labels}`;
    return `${series.name}_${part} ${formatValue(value)}\n`;
  }
  return `${series.name}${labels} ${formatValue(value)}\n`;
}

async function formatSeries(series: Series): Promise<string> {
  let out = `# HELP ${series.name} ${escapeHelp(series.help)}\n# TYPE ${series.name} ${series.type}\n`;
  const rows = await series.read();
  if (typeof rows === 'number') return out + formatRow(series, [[], rows]);
  let count = 0;
  for (const row of rows) {
    if (count === metricsRowsMax) break;
    out += formatRow(series, row);
    count += 1;
  }
  return out;
}

/** The page of one scrape, in the table's order. */
export async function exposition(table: readonly Series[]): Promise<string> {
  let page = '';
  for (const series of table) page += await formatSeries(series);
  return page;
}
