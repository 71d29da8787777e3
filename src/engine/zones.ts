/**
 * Local time for the engine: when the process's time zone (TZ, /etc/localtime) changes its distance
 * from UTC.
 */

/** From `from` (UTC seconds) on, local time is `offset` seconds east of UTC. */
export interface ZoneChange {
  from: number;
  offset: number;
}

const daySeconds = 86_400;

function offsetAt(seconds: number): number {
  return -new Date(seconds * 1000).getTimezoneOffset() * 60;
}

/**
 * The changes between `first` and `last` (UTC seconds), ascending, at most `max` of them (the
 * latest), the first from the beginning of time.
 */
export function zoneChanges(first: number, last: number, max: number): ZoneChange[] {
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
