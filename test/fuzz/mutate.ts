/**
 * Changes to stored inputs: the mutation half of the fuzzer. `words` are the building blocks of the
 * format.
 */
import type { Random } from './random.ts';

/**
 * Longer inputs are cut. Every bound of the program that a number of bytes can reach is below this.
 */
export const inputBytesMax = 12_000;

const odd = [
  '\0',
  '\xff',
  '\r',
  '\t',
  ' ',
  '"',
  "'",
  '[',
  ']',
  '(',
  ')',
  '<',
  '>',
  ':',
  '::',
  ',',
  '=',
  '\\',
  '%',
  '{',
  '}',
];

function splice(input: Buffer, at: number, removed: number, added: Uint8Array): Buffer {
  return Buffer.concat([input.subarray(0, at), added, input.subarray(Math.min(input.length, at + removed))]);
}

type Change = (input: Buffer, random: Random, words: readonly string[], others: readonly Buffer[]) => Buffer;

const changes: Change[] = [
  // One byte changed, one bit changed, some bytes removed, some bytes doubled.
  (input, random) => splice(input, random.below(input.length + 1), 1, Uint8Array.of(random.below(256))),
  (input, random) => {
    const at = random.below(input.length);
    return splice(input, at, 1, Uint8Array.of((input[at] ?? 0) ^ (1 << random.below(8))));
  },
  (input, random) => splice(input, random.below(input.length + 1), 1 + random.below(16), new Uint8Array(0)),
  (input, random) => {
    const at = random.below(input.length + 1);
    return splice(input, at, 0, input.subarray(at, at + 1 + random.below(40)));
  },
  // A word of the format, put in or over something.
  (input, random, words) =>
    splice(
      input,
      random.below(input.length + 1),
      random.below(2) * random.below(8),
      Buffer.from(random.pick(words), 'latin1'),
    ),
  (input, random) => splice(input, random.below(input.length + 1), 0, Buffer.from(random.pick(odd), 'latin1')),
  // The end cut off; a second input behind the start of this one.
  (input, random) => input.subarray(0, random.below(input.length + 1)),
  (input, random, _, others) => {
    const other = random.pick(others);
    return Buffer.concat([
      input.subarray(0, random.below(input.length + 1)),
      other.subarray(random.below(other.length + 1)),
    ]);
  },
  // Far too much of something.
  (input, random, words) => {
    const text = Buffer.from(random.below(2) === 0 ? random.pick(words) : random.pick(odd), 'latin1');
    const times = random.below(8) === 0 ? 5_000 : random.below(300);
    const much = Buffer.alloc(Math.min(inputBytesMax, text.length * times), text);
    return splice(input, random.below(input.length + 1), 0, much);
  },
];

/** One of `corpus` with one to four changes. */
export function mutated(random: Random, corpus: readonly Buffer[], words: readonly string[]): Buffer {
  let input = random.pick(corpus);
  for (let left = 1 + random.below(4); left > 0; left--) input = random.pick(changes)(input, random, words, corpus);
  return Buffer.from(input.subarray(0, inputBytesMax));
}
