/**
 * What is wrong with a configuration, for people and for programs. Every text in a problem is
 * already safe for a terminal.
 */

export type ProblemKind = 'file' | 'syntax' | 'duplicate' | 'unknown-key' | 'type' | 'value' | 'missing';

export interface Problem {
  kind: ProblemKind;
  /** The file, if it is not the main one. */
  file?: string;
  /** From 1; 0 for the whole file. */
  line: number;
  /** From 1, in characters; 0 for the whole file. */
  column: number;
  /** Dotted key, `jails.sshd.ignoreip[2]`; empty if no key is concerned. */
  key: string;
  reason: string;
  /** What to write instead. */
  hint?: string;
}

/** `FILE:LINE:COLUMN: KEY: REASON (HINT)` on one line. */
export function formatProblem(configuration: string, problem: Problem): string {
  const path = problem.file ?? configuration;
  const place = problem.line === 0 ? path : `${path}:${problem.line}:${problem.column}`;
  const key = problem.key === '' ? '' : `${problem.key}: `;
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`;
  return `${place}: ${key}${problem.reason}${hint}`;
}

/** An unusable configuration: every problem found, in the order of its files. */
export class ConfigError extends Error {
  readonly path: string;
  readonly problems: Problem[];
  /** Problems beyond `configProblemsMax`, counted only. */
  readonly omitted: number;

  constructor(path: string, problems: Problem[], omitted = 0) {
    const lines = problems.map((problem) => formatProblem(path, problem));
    if (omitted > 0) lines.push(`${path}: ${omitted} more`);
    super(lines.join('\n'));
    this.name = 'ConfigError';
    this.path = path;
    this.problems = problems;
    this.omitted = omitted;
  }
}
