/** Broken on purpose: a matcher that hands the line to a regular expression which backtracks. */
export function matchFailure(line: string): string | undefined {
  return /^Failed password for (?:.*)* from (\S+) port/.exec(line)?.[1];
}
