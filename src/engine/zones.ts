/**
 * When the offset of a zone from UTC changes, for the engine's zone tables.
 */
import type { ZoneChange } from '../types.ts';

const daySeconds = 86_400;

/** The offset of the process's time zone (TZ, /etc/localtime). */
function localOffset(seconds: number): number {
  return -new Date(seconds * 1000).getTimezoneOffset() * 60;
}

/**
 * The changes between `first` and `last` (UTC seconds), ascending, at most `max` of them (the
 * latest), the first from the beginning of time. `offsetAt` returns the seconds east of UTC at a
 * second of UTC; absent = local time.
 */
export function zoneChanges(first: number, last: number, max: number, offsetAt = localOffset): ZoneChange[] {
  const changes: ZoneChange[] = [{ from: Number.NEGATIVE_INFINITY, offset: offsetAt(first) }];
  for (let day = first; day < last; day += daySeconds) {
    if (offsetAt(day) === offsetAt(day + daySeconds)) continue;
    let before = day;
    let after = day + daySeconds;
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (offsetAt(middle) === offsetAt(before)) before = middle;
      else after = middle;
    }
    changes.push({ from: after, offset: offsetAt(after) });
  }
  return changes.slice(-max);
}
