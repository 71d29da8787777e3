/**
 * What can be fuzzed: a body that throws if an input shows a fault, and a source of inputs. The
 * same body runs over stored inputs in the tests and over new ones in the fuzzer (`npm run fuzz`).
 */
import type { Random } from './random.ts';

export interface Target {
  name: string;
  /** What an input is, and what must hold for each. */
  says: string;
  /** Stored inputs: the start of mutations, and what the tests replay. */
  corpus: () => Buffer[];
  /** Pieces of the format, latin1. */
  words: () => string[];
  /** A new input by the rules of the format. */
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
