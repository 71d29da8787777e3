/**
 * A benchmark makes its own input, checks its counts, and reports figures with median and spread. A
 * wrong count is a failure, however good the figure.
 */

/** What was measured, once per round. */
export interface Figure {
  name: string;
  unit: string;
  values: number[];
}

export interface Result {
  /** The workload, e.g. `sshd/wasm`. */
  workload: string;
  /** Counts and settings, for people and for comparing runs. */
  counts: Record<string, number | string>;
  figures: Figure[];
  /** What is wrong; empty = ok. */
  problems: string[];
}

export interface Context {
  /** A number given on the command line, or the option's default. */
  number(name: string): number;
  /** Whether a workload was requested (--only). */
  wanted(workload: string): boolean;
  /** Prints one result at once and keeps it. */
  report(result: Result): void;
  /** Temporary, removed afterwards. */
  directory: string;
}

export interface Benchmark {
  name: string;
  /** One sentence for --help. */
  says: string;
  /** Runs in a private network namespace. */
  needsNetwork?: boolean;
  /** Fetches what may be missing, before that. */
  prepare?(): void;
  /** Its numeric options, with defaults. */
  options: Record<string, { says: string; value: number }>;
  run(context: Context): Promise<void>;
}

/** Compares counts with their expected values; returns the differences. */
export function differences(found: Record<string, number>, expected: Record<string, number>): string[] {
  return Object.entries(expected)
    .filter(([name, value]) => found[name] !== value)
    .map(([name, value]) => `${name} is ${found[name]}, not ${value}`);
}
