/**
 * All filters of a tree share the engine's room for programs. If they do not fit, the largest ones
 * give up patterns first, and that is reported.
 */
import { compileFilters } from '../config/filter.ts';
import { programBytesMax } from '../limits.ts';
import { type CustomFilter, tableOf } from './custom-filter.ts';

/** Rounds of giving up patterns. Each round at least halves the excess. */
const roundsMax = 24;

/** Makes the filters fit. `tell` is called for each filter that gives something up. */
export function fitFilters(filters: readonly CustomFilter[], tell: (filter: CustomFilter, text: string) => void): void {
  for (let round = 0; round < roundsMax; round++) {
    const sizes = filters.map(sizeOf);
    if (sizes.reduce((sum, size) => sum + size, 0) <= programBytesMax) return;
    const level = levelOf(sizes);
    for (const [index, filter] of filters.entries()) {
      const size = sizes[index] as number;
      if (size > level && filter.rows.length > 1) tell(filter, thin(filter, size / level));
    }
  }
}

function sizeOf(filter: CustomFilter): number {
  const [compiled] = compileFilters([tableOf(filter)], [], () => undefined);
  return compiled === undefined ? 0 : Buffer.byteLength(compiled.program.program, 'base64');
}

/**
 * How much room each filter may have so that all fit. Small filters leave the rest of their share
 * to the others.
 */
function levelOf(sizes: readonly number[]): number {
  let left = programBytesMax;
  const sorted = sizes.toSorted((one, other) => one - other);
  for (const [index, size] of sorted.entries()) {
    const share = left / (sorted.length - index);
    if (size > share) return share;
    left -= size;
  }
  return programBytesMax;
}

/** Removes patterns from all expressions of a filter; returns what was removed, in words. */
function thin(filter: CustomFilter, times: number): string {
  const untimed = (pattern: string): string => pattern.replace('{skip}[{timestamp}]{skip}', '{skip}');
  const patterns = filter.rows.map(({ pattern }) => pattern);
  const timed = new Set(patterns.filter((pattern) => untimed(pattern) !== pattern).map(untimed));
  const left = filter.rows.filter(({ pattern }) => !timed.has(pattern));
  const count = filter.rows.length;
  if (left.length < count) {
    filter.rows = left;
    return `narrower: lines without a time in brackets do not count: there is no room for more`;
  }
  const kept = Math.max(1, Math.floor((count / times) * 0.95));
  const step = (index: number): number => Math.floor((index * kept) / count);
  filter.rows = filter.rows.filter((_, index) => index === 0 || step(index) !== step(index - 1));
  return `${count - filter.rows.length} of its ${count} patterns are left out: the filters of a configuration have so much room`;
}
