/**
 * Where a segment that reaches the end of the line can be, without trying each place: one literal
 * of it (its pivot) occurs only once in what the segment matches from there on, so it is that
 * literal's last occurrence in the line. However many places an attacker offers, few are tried
 * (claims D-02a, PE-10). Build time only.
 */
import { secondReading } from './ambiguity.ts';
import { bytesOf } from './bytes.ts';
import type { Token } from './pattern.ts';
import { maximumLength, minimumLength } from './shape.ts';

/** The literal, and the fewest and most bytes between the segment's start and it. */
export interface Pivot {
  text: string;
  least: number;
  most: number;
}

/** With more places than this, a pivot does not help. */
const placesMax = 512;

/** The pivot that leaves the fewest places to try; null if the segment has none. */
export function pivotOf(segment: readonly Token[]): Pivot | null {
  if (segment.at(-1)?.kind !== 'end') return null;
  let best: Pivot | null = null;
  for (const [index, token] of segment.entries()) {
    if (token.kind !== 'literal') continue;
    const before = segment.slice(0, index);
    const pivot = { text: token.text, least: minimumLength(before), most: maximumLength(before) };
    if (places(pivot) > placesMax || (best !== null && !isBetter(pivot, best))) continue;
    if (secondReading([token], segment.slice(index + 1), true) === null) best = pivot;
  }
  return best;
}

function places({ least, most }: Pivot): number {
  return most - least + 1;
}

/** Whether a later literal is better than an earlier one. It never has fewer places. */
function isBetter(later: Pivot, earlier: Pivot): boolean {
  return places(later) === places(earlier) && bytesOf(later.text).length > bytesOf(earlier.text).length;
}
