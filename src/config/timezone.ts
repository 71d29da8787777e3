/**
 * `timezone`: the zone of a jail's logs, as a list of changes of its offset from UTC, so that the
 * core needs no zone data. "Europe/Berlin", or "+02:00" for a fixed offset.
 */
import { zoneChanges } from '../engine/zones.ts';
import type { ZoneChange } from '../types.ts';
import { describe } from './describe.ts';
import { timezoneChangesMax } from './limits.ts';
import { nearest } from './nearest.ts';
import { accept, type Parsed, refuse } from './parsed.ts';

const yearSeconds = 366 * 86_400;
/** Long before any log line: JSON holds no infinity. */
const always = -1e15;

export function parseTimezone(value: unknown, now = Math.floor(Date.now() / 1000)): Parsed<ZoneChange[]> {
  if (typeof value !== 'string') return refuse(`expected a time zone, found ${describe(value)}`);
  if (value === 'local') return accept([]);
  const fixed = /^([+-])(\d\d):?([0-5]\d)$/.exec(value);
  if (fixed) {
    const seconds = Number(fixed[2]) * 3_600 + Number(fixed[3]) * 60;
    if (seconds > 18 * 3_600) return refuse('must be within 18 hours of UTC');
    return accept([{ from: always, offset: fixed[1] === '-' ? -seconds : seconds }]);
  }
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: value, timeZoneName: 'longOffset' });
  } catch {
    const close = nearest(value, Intl.supportedValuesOf('timeZone'));
    return refuse(
      `expected a time zone such as "Europe/Berlin" or "+02:00", found ${describe(value)}`,
      close === undefined ? undefined : `did you mean "${close}"?`,
    );
  }
  const offsetAt = (seconds: number): number => {
    const text = format.format(seconds * 1000);
    const [, sign, hours = '0', minutes = '0'] = /([+-])(\d\d):(\d\d)$/.exec(text) ?? [];
    return (Number(hours) * 3_600 + Number(minutes) * 60) * (sign === '-' ? -1 : 1);
  };
  const changes = zoneChanges(now - yearSeconds, now + 6 * yearSeconds, timezoneChangesMax, offsetAt);
  return accept(changes.map(({ from, offset }) => ({ from: Math.max(from, always), offset })));
}
