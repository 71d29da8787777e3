/**
 * The known word nearest to a misspelt one, for "did you mean …?". Bounded: words longer than
 * `wordLengthMax` have no nearest one, so a hostile file cannot cause quadratic work.
 */

/** No key, command, filter or service name is longer. */
const wordLengthMax = 48;

/**
 * The candidate with the smallest edit distance, if that is small for the word's length; otherwise
 * undefined.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word === '' || word.length > wordLengthMax) return undefined;
  const wanted = normalised(word);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    if (candidate.length > wordLengthMax) continue;
    const distance = editDistance(wanted, normalised(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `maxRetry`, `max-retry` and `max_retry` are the same word for a reader. */
function normalised(word: string): string {
  return word.toLowerCase().replaceAll('-', '_');
}

/**
 * Optimal string alignment: insertions, deletions, replacements and swaps of neighbours, each
 * costing one.
 */
export function editDistance(one: string, other: string): number {
  const width = other.length + 1;
  const rows = new Uint16Array((one.length + 1) * width);
  for (let column = 0; column < width; column++) rows[column] = column;
  for (let row = 1; row <= one.length; row++) {
    rows[row * width] = row;
    for (let column = 1; column < width; column++) {
      const same = one[row - 1] === other[column - 1] ? 0 : 1;
      const here = row * width + column;
      let cost = Math.min(rows[here - width] + 1, rows[here - 1] + 1, rows[here - width - 1] + same);
      const swapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (swapped) cost = Math.min(cost, rows[here - 2 * width - 2] + 1);
      rows[here] = cost;
    }
  }
  return rows[rows.length - 1];
}
