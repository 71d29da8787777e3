/**
 * Cuts a status to what one frame carries: jails a page at a time, long lists of sources and
 * problems shortened. Input: the operator's whole status, whose texts (paths, kernel messages) have
 * any length. Invariant: the page fits `frameBytesMax` and moves the cursor on, whatever the texts
 * are; what was left out is counted where it is missing.
 */
import { frameBytesMax, statusProblemsMax, statusSourcesMax, statusTextMax } from '../limits.ts';
import type { JailStatus, Status } from './verbs.ts';

/** At most `max` of `texts`, each cut, and a last one that says how many more there are. */
function shorten(texts: readonly string[], max: number): string[] {
  const kept = texts
    .slice(0, max)
    .map((text) => (text.length > statusTextMax ? `${text.slice(0, statusTextMax)}…` : text));
  return texts.length > max ? [...kept, `and ${texts.length - max} more`] : kept;
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/**
 * The page of `status` that starts at `cursor`; its `cursor` is where the next one starts, absent
 * on the last.
 */
export function statusPage(status: Status, cursor: string | undefined): Status {
  const from = cursor === undefined ? 0 : Number(cursor);
  const problems = shorten(status.problems, statusProblemsMax);
  const jails: JailStatus[] = [];
  // What stands around the jails: the page without them, the cursor, and the response's own few
  // bytes.
  let left = frameBytesMax - sizeOf({ ...status, problems, jails, cursor: '999999' }) - 64;
  for (let index = from; index < status.jails.length; index++) {
    const whole = status.jails[index] as JailStatus;
    const jail = { ...whole, sources: shorten(whole.sources, statusSourcesMax) };
    left -= sizeOf(jail) + 1;
    if (left < 0 && jails.length > 0) return { ...status, problems, jails, cursor: String(index) };
    jails.push(jail);
  }
  return { ...status, problems, jails };
}
