/**
 * Which prefix lengths a list is stored with. The kernel looks up a packet once for each length, so
 * there are few of them: a prefix of another length is written as several longer ones. The lengths
 * follow from the list alone, so a restart finds the same ones. Small edits seldom change them,
 * since only the magnitude of the counts matters.
 */
import { listLengthsMax } from '../limits.ts';

/** Prefixes by length. */
export type Counts = Uint32Array;

/** The shortest of `lengths` that is at least `length`. */
export const lengthFor = (lengths: readonly number[], length: number): number =>
  lengths.find((each) => each >= length) ?? length;

/** How many elements prefixes with these counts become with these lengths. */
export const elementsIn = (counts: Counts, lengths: readonly number[]): number =>
  counts.reduce(
    (sum, count, length) => sum + (count === 0 ? 0 : count * 2 ** (lengthFor(lengths, length) - length)),
    0,
  );

/** At most `listLengthsMax` lengths, shortest first, that need the fewest elements. */
export function lengthsFor(counts: Counts, most = listLengthsMax): number[] {
  const found = [...counts.keys()].filter((length) => counts[length]! > 0);
  if (found.length <= most) return found;
  const magnitude = found.map((length) => 2 ** Math.floor(Math.log2(counts[length]!)));
  /**
   * For each last length: the cost of the best choice up to it, and the index of the length before
   * it.
   */
  let best = found.map((last, at) => ({ cost: costOf(0, at, last), chosen: [last] }));
  function costOf(from: number, to: number, length: number): number {
    let cost = 0;
    for (let at = from; at <= to; at++) cost += magnitude[at]! * 2 ** (length - found[at]!);
    return cost;
  }
  for (let used = 2; used <= most; used++) {
    const before = best;
    best = found.map((last, at) => {
      let choice = before[at]!;
      for (let from = 0; from < at; from++) {
        const cost = before[from]!.cost + costOf(from + 1, at, last);
        if (cost < choice.cost) choice = { cost, chosen: [...before[from]!.chosen, last] };
      }
      return choice;
    });
  }
  return best.at(-1)!.chosen;
}
