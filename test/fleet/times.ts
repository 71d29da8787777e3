/**
 * Times of local bans beside something and without it: their p99, and how far the ratio of the two
 * can be trusted. A p99 of some hundred times hangs on a few of them, so the ratio comes with the
 * interval in which 95 of 100 ratios of redrawn times lie (bootstrap).
 */

export interface Compared {
  what: string;
  without: readonly number[];
  beside: readonly number[];
  /** Of the p99, with its interval. */
  ratio: number;
  ratioMin: number;
  ratioMax: number;
}

const redraws = 2_000;

/** The time that this share of them does not exceed. */
function at(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

const redrawn = (times: readonly number[]): number[] =>
  times.map(() => times[Math.floor(Math.random() * times.length)]!);

export function compare(what: string, without: readonly number[], beside: readonly number[]): Compared {
  const ratioOf = (one: readonly number[], other: readonly number[]): number => at(other, 0.99) / at(one, 0.99);
  const ratios = Array.from({ length: redraws }, () => ratioOf(redrawn(without), redrawn(beside)));
  const [ratioMin, ratioMax] = [0.025, 0.975].map((share) => at(ratios, share)) as [number, number];
  return { what, without, beside, ratio: ratioOf(without, beside), ratioMin, ratioMax };
}

/** Rows of text, a heading first. */
export function table(compared: readonly Compared[], shareMax: number): string[] {
  const cells = compared.map(({ what, without, beside, ratio, ratioMin, ratioMax }) => [
    what,
    ...[without, beside].flatMap((times) => [
      `${times.length}`,
      ...[0.5, 0.99, 1].map((share) => at(times, share).toFixed(1)),
    ]),
    `× ${ratio.toFixed(2)}`,
    `${ratioMin.toFixed(2)} to ${ratioMax.toFixed(2)}`,
    ratio <= 1 + shareMax ? 'met' : ratioMin <= 1 + shareMax ? 'within the doubt' : 'missed',
  ]);
  const ofTimes = ['bans', 'median', 'p99', 'max'];
  const heading = ['beside', ...ofTimes, ...ofTimes, 'p99', '95 in 100', `at most × ${1 + shareMax}`];
  const rows = [heading, ...cells];
  const widths = heading.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
  );
}
