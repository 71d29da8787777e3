/**
 * What can be fuzzed: a body that throws where an input shows a fault, and where inputs come from.
 * The same body runs over stored inputs in the tests and over new ones in the fuzzer (`npm run
 * fuzz`).
 */
import type { Random } from './random.ts';

export interface Target {
  name: string;
  /** What an input is, and what holds for each. */
  says: string;
  /** Stored inputs: what mutations start from, and what the tests replay. */
  corpus: () => Buffer[];
  /** What the format is made of, latin1. */
  words: () => string[];
  /** A new input after the format's rules. */
  grammar: (random: Random) => Buffer;
  /** A body with fresh state. */
  open: () => Promise<Body>;
}

export type Body = (input: Buffer) => void | Promise<void>;

/**
 * Batches of values of a fast-check arbitrary, one at a time; a source of numbers has its own, so
 * that its seed repeats them.
 */
export function drawing<Value>(sample: (seed: number, count: number) => Value[]): (random: Random) => Value {
  const batches = new WeakMap<Random, Value[]>();
  return (random) => {
    let batch = batches.get(random) ?? [];
    if (batch.length === 0) batch = sample(random.bits() | 0, 50);
    batches.set(random, batch);
    return batch.pop() as Value;
  };
}
