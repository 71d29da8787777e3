/**
 * Cuts a status into parts that each fit one frame: some jails per part, with long lists of sources
 * and problems shortened. Input: the operator's whole status, whose texts (paths, kernel messages)
 * have any length. Invariant: every part fits `frameBytesMax` and every jail is in one; each
 * shortened list says how many entries are missing.
 */
import { frameBytesMax, statusProblemsMax, statusSourcesMax, statusTextMax } from '../limits.ts';
import type { JailStatus, Status } from './answers.ts';

/** At most `max` of `texts`, each cut; the last one says how many more there are. */
function shorten(texts: readonly string[], max: number): string[] {
  const kept = texts
    .slice(0, max)
    .map((text) => (text.length > statusTextMax ? `${text.slice(0, statusTextMax)}…` : text));
  return texts.length > max ? [...kept, `and ${texts.length - max} more`] : kept;
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** The parts of `status`, at least one; each repeats everything that is not about a jail. */
export function* statusParts(status: Status): Generator<Status> {
  const common = {
    ...status,
    problems: shorten(status.problems, statusProblemsMax),
    hints: status.hints && shorten(status.hints, statusProblemsMax),
    lists: status.lists && shorten(status.lists, statusProblemsMax),
    jails: [],
  };
  // The response around it takes less than 64 bytes; one jail always fits (limits.ts).
  const room = frameBytesMax - sizeOf(common) - 64;
  let jails: JailStatus[] = [];
  let left = room;
  for (const whole of status.jails) {
    const jail = { ...whole, sources: shorten(whole.sources, statusSourcesMax) };
    const bytes = sizeOf(jail) + 1;
    if (bytes > left) {
      yield { ...common, jails };
      jails = [];
      left = room;
    }
    jails.push(jail);
    left -= bytes;
  }
  yield { ...common, jails };
}
