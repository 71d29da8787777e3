/**
 * Timestamps by regular expression and JavaScript's Date, in the time zone of this process: the
 * judge of src/engine/timestamp.ts, with which it shares no code.
 */

const clock = '(?<hour>\\d{1,2}):(?<minute>\\d\\d):(?<second>\\d\\d)(?:[.,]\\d+)?';
const zone = '(?<zone>Z| UTC| GMT|[+-]\\d\\d(?::?\\d\\d)?| [+-]\\d\\d:?\\d\\d)?';
const name = '(?<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
const weekday = '(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?: |,[^]))?';
const names = 'JanFebMarAprMayJunJulAugSepOctNovDec';

const shapes = [
  // RFC 3164, with a year before or after the clock.
  `${weekday}${name}  ?(?<day>\\d\\d?),?(?: (?<year>\\d{4}))? ${clock}`,
  `${weekday}${name}  ?(?<day>\\d\\d?),? ${clock} (?<year>\\d{4})`,
  // Access logs, named, PHP, mail.
  `${weekday}(?<day>\\d\\d)(?<separator>[-/ ])${name}\\k<separator>(?<year>\\d{4})[: ]${clock}${zone}`,
  // RFC 3339, ISO 8601, nginx.
  `(?<year>\\d{4})(?<separator>[-/])(?<month>\\d\\d)\\k<separator>(?<day>\\d\\d)[T ] ?${clock}${zone}`,
  // MySQL 5.
  `(?<short>\\d\\d)(?<month>\\d\\d)(?<day>\\d\\d)  ?${clock}`,
].map((shape) => new RegExp(`^${shape}$`));

/** 2106-01-01: what lies behind does not fit the table's seconds. */
const end = Date.UTC(2106, 0, 1) / 1000;

interface Fields {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** Whether the calendar has such a day and the clock such a time. */
function exists({ year, month, day, hour, minute, second }: Fields): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  const same = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return same && year >= 1970 && year <= 2105 && hour <= 23 && minute <= 59 && second <= 60;
}

const utc = ({ year, month, day, hour, minute, second }: Fields): number =>
  Date.UTC(year, month - 1, day, hour, minute, second) / 1000;

/**
 * Instants at which clocks here show these fields: one, two in the hour that comes twice, none in
 * the one that is left out.
 */
export function instantsOf(fields: Fields): number[] {
  // A leap second is the second after the 59th.
  const shown = utc(fields);
  const offsets = [-172_800, -86_400, 0, 86_400, 172_800].map((away) => offsetAt(shown + away));
  const instants = [...new Set(offsets)].map((offset) => shown - offset);
  return instants.filter((instant) => instant + offsetAt(instant) === shown).toSorted((a, b) => a - b);
}

function offsetAt(instant: number): number {
  return -new Date(instant * 1000).getTimezoneOffset() * 60;
}

/** Local fields as seen at `now`: of two instants the later one, unless it is yet to come. */
function local(fields: Fields, now: number): number {
  const instants = instantsOf(fields);
  const { year, month, day, hour, minute, second } = fields;
  if (instants.length === 0) return new Date(year, month - 1, day, hour, minute, second).getTime() / 1000;
  return instants.findLast((instant) => instant <= now + 60) ?? instants[0]!;
}

/** Seconds east of UTC; NaN where there is no such zone. */
function offsetOf(text: string): number {
  if (/^(Z| UTC| GMT)$/.test(text)) return 0;
  const [, sign, hours, minutes = '0'] = text.match(/^ ?([+-])(\d\d):?(\d\d)?$/)!;
  if (Number(hours) > 18 || Number(minutes) > 59) return Number.NaN;
  return (Number(hours) * 3_600 + Number(minutes) * 60) * (sign === '-' ? -1 : 1);
}

/** Epoch seconds of the timestamp `text` as seen at `now`; -1 where it is none. */
export function readTime(text: string, now: number): number {
  if (/^\d{10}(\.\d+)?$/.test(text)) return inRange(Number(text.slice(0, 10)));
  if (/^@4[0-9a-f]{23}$/.test(text)) return inRange(Number(BigInt(`0x${text.slice(2, 17)}`) - 37n));
  for (const shape of shapes) {
    const groups = shape.exec(text)?.groups;
    if (!groups) continue;
    const number = (key: string): number => Number(groups[key] ?? Number.NaN);
    const month = groups.name === undefined ? number('month') : names.indexOf(groups.name) / 3 + 1;
    const year = groups.short === undefined ? number('year') : 2_000 + number('short');
    const [day, hour, minute, second] = [number('day'), number('hour'), number('minute'), number('second')];
    const fields = { year, month, day, hour, minute, second };
    if (groups.year === undefined && groups.short === undefined) return withoutYear(fields, now);
    if (!exists(fields)) return -1;
    if (groups.zone === undefined) return Math.max(-1, local(fields, now));
    const offset = offsetOf(groups.zone);
    return Number.isNaN(offset) ? -1 : Math.max(-1, utc(fields) - offset);
  }
  return -1;
}

function inRange(seconds: number): number {
  return seconds >= 0 && seconds < end ? seconds : -1;
}

/** The latest year that has such a day and does not put it more than a day into the future. */
function withoutYear(fields: Fields, now: number): number {
  if (!exists({ ...fields, year: 2000 })) return -1;
  for (let year = new Date(now * 1000).getUTCFullYear() + 1; ; year--) {
    if (!exists({ ...fields, year })) continue;
    const instant = local({ ...fields, year }, now);
    if (instant <= now + 86_400) return instant;
  }
}
