/**
 * The fuzzer's loop: inputs by grammar and by mutation, in turn, until one shows a fault; then that
 * input is made small.
 */
import { mutated } from './mutate.ts';
import { Random } from './random.ts';
import type { Target } from './target.ts';

export interface Budget {
  /** Largest number of inputs. */
  runs: number;
  seconds: number;
  seed: number;
}

export interface Finding {
  target: string;
  seed: number;
  /** The message of what was thrown. */
  why: string;
  input: Buffer;
  /**
   * False: a fresh body accepts the input; the fault needs the earlier inputs, which the seed
   * repeats.
   */
  alone: boolean;
}

export interface Outcome {
  inputs: number;
  bytes: number;
  seconds: number;
  finding: Finding | null;
}

/** Largest number of attempts to shorten a finding. */
const shorteningsMax = 3_000;

export async function fuzz(target: Target, { runs, seconds, seed }: Budget): Promise<Outcome> {
  const random = new Random(seed);
  const [corpus, words] = [target.corpus(), target.words()];
  const body = await target.open();
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  let [inputs, bytes] = [0, 0];
  while (inputs < runs && elapsed() < seconds) {
    const byGrammar = corpus.length === 0 || (inputs & 1) === 0;
    const input = byGrammar ? target.grammar(random) : mutated(random, corpus, words);
    inputs++;
    bytes += input.length;
    try {
      await body(input);
    } catch (error) {
      const finding = await shortened(target, { target: target.name, seed, why: reason(error), input, alone: false });
      return { inputs, bytes, seconds: elapsed(), finding };
    }
  }
  return { inputs, bytes, seconds: elapsed(), finding: null };
}

function reason(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

async function fault(target: Target, input: Buffer): Promise<string | null> {
  const body = await target.open();
  try {
    await body(input);
    return null;
  } catch (error) {
    return reason(error);
  }
}

/** Removes halves, quarters … single bytes as long as a fresh body still finds a fault. */
async function shortened(target: Target, finding: Finding): Promise<Finding> {
  const first = await fault(target, finding.input);
  if (first === null) return finding;
  let [input, why] = [finding.input, first];
  let tries = 0;
  for (let size = input.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at < input.length && tries < shorteningsMax; ) {
      const shorter = Buffer.concat([input.subarray(0, at), input.subarray(at + size)]);
      const still = await fault(target, shorter);
      tries++;
      if (still === null) at += size;
      else [input, why] = [shorter, still];
    }
  }
  return { ...finding, input, why, alone: true };
}
