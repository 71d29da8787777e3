/**
 * The first look at a line, for filters that read whole lines: something that every matching line
 * contains. A line without any of it is not examined further. Build time only.
 */
import { bytesOf, rarity } from './bytes.ts';
import type { Filter, Pattern } from './pattern.ts';
import { minimumLength, normalise } from './shape.ts';

/** One thing to look for: four bytes (latin1), or a length that only long lines have. */
export type Sign = { word: string } | { length: number };

/** At most this many words: more would cost as much as the patterns. */
const wordsMax = 3;
const wordBytes = 4;
/** A pattern that only matches lines of at least this length is recognised by the length. */
const longBytesMin = 512;

/**
 * Signs of which every matching line has at least one; empty if there would be too many, or if the
 * filter's own counter-samples have them too.
 */
export function signsOf(filter: Filter): Sign[] {
  if (!filter.prefixes.includes('bare')) return [];
  const patterns = [...filter.patterns, ...(filter.ignore ?? [])];
  const lengths = patterns.map(({ tokens }) => minimumLength(normalise(tokens)));
  const long = lengths.filter((length) => length >= longBytesMin);
  let open = patterns
    .filter((_, index) => lengths[index]! < longBytesMin)
    .map(({ tokens }) => wordsIn(normalise(tokens)));
  const words: string[] = [];
  while (open.length > 0) {
    const best = bestWord(open, patterns);
    if (best === undefined || words.length === wordsMax) return [];
    words.push(best);
    open = open.filter((each) => !each.includes(best));
  }
  if (patterns.every(({ counter }) => words.some((word) => counter.includes(word)))) return [];
  return [...(long.length > 0 ? [{ length: Math.min(...long) }] : []), ...words.map((word) => ({ word }))];
}

/**
 * The word that occurs in most of `open`; of these one that occurs in few counter-samples; of these
 * the rarest.
 */
function bestWord(open: string[][], patterns: Pattern[]): string | undefined {
  const ranked = [...new Set(open.flat())].map((word) => ({
    word,
    among: open.filter((each) => each.includes(word)).length,
    idle: patterns.filter(({ counter }) => counter.includes(word)).length,
    weight: [...word].reduce((sum, character) => sum + rarity(character), 0),
  }));
  ranked.sort((one, other) => other.among - one.among || one.idle - other.idle || other.weight - one.weight);
  return ranked[0]?.word;
}

/** Every four-byte sequence that all lines of a pattern contain. */
function wordsIn(tokens: Pattern['tokens']): string[] {
  return tokens.flatMap((token) => {
    if (token.kind !== 'literal') return [];
    const text = Buffer.from(bytesOf(token.text)).toString('latin1');
    return Array.from({ length: Math.max(0, text.length - wordBytes + 1) }, (_, at) => text.slice(at, at + wordBytes));
  });
}
