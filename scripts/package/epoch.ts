/**
 * The time in built files, so that two builds of one source are the same bytes: SOURCE_DATE_EPOCH
 * (reproducible-builds.org) if it is set, else the time of the last commit.
 */
import { execFileSync } from 'node:child_process';

/** Seconds since 1970. */
export function sourceEpoch(): number {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) {
    if (!/^\d{1,11}$/.test(given)) throw new Error('SOURCE_DATE_EPOCH must be seconds since 1970');
    return Number(given);
  }
  try {
    const options = { cwd: import.meta.dirname, encoding: 'utf8' } as const;
    return Number(execFileSync('git', ['log', '-1', '--format=%ct'], options));
  } catch {
    throw new Error('no repository to take the time from: set SOURCE_DATE_EPOCH');
  }
}
