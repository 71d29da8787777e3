/**
 * Timestamps by regular expression and JavaScript's Date, in the time zone of this process. It
 * judges src/engine/timestamp.ts and shares no code with it.
 */

const clock = '(?<hour>\\d{1,2}):(?<minute>\\d\\d):(?<second>\\d\\d)(?<fraction>[.,]\\d+)?(?: ?(?<half>[AaPp])[Mm])?';
/** Minutes east of UTC; NaN = local time. */
const zoneNames: Record<string, number> = {
  ...{ UTC: 0, GMT: 0, WET: 0, WEST: 60, CET: 60, MET: 60, BST: 60, CEST: 120, MEST: 120, EET: 120, SAST: 120 },
  ...{ EEST: 180, MSK: 180, IDT: 180, PKT: 300, WIB: 420, HKT: 480, AWST: 480, JST: 540, KST: 540, ACST: 570 },
  ...{ AEST: 600, ACDT: 630, AEDT: 660, NZST: 720, NZDT: 780, EDT: -240, EST: -300, CDT: -300, CST: -360 },
  ...{ MDT: -360, MST: -420, PDT: -420, PST: -480, AKDT: -480, AKST: -540, HST: -600, IST: Number.NaN },
};
const named = `(?<zone> (?:${Object.keys(zoneNames).join('|')}))?`;
const zone = `(?<zone>Z| (?:${Object.keys(zoneNames).join('|')})| ?[+-]\\d\\d(?::?\\d\\d)?)?`;
const months = 'jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec';
/** In upper or lower case. */
const name = `(?<name>(?i:${months}))`;
const word = '(?<word>[A-Za-z\x80-\xff]{3,12})\\.?';
const weekday = '(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?: |,[^]))?';
/** A weekday in any language. It may stand only before a year. */
const anyWeekday = `(?:${weekday}|[A-\xff][a-z{|}~\x7f-\xff.]{0,10} )`;
const day = '(?<day>(?:(?<= ) )?\\d\\d?)';

const shapes = [
  // RFC 3164, with a year before or after the clock.
  `${weekday}${word}  ?(?<day>\\d\\d?),?(?: (?<year>\\d{4}),?)? ${clock}${named}`,
  `${weekday}${word}  ?(?<day>\\d\\d?),? ${clock}${named} (?<year>\\d{4})`,
  `${weekday}${word}  ?(?<day>\\d\\d?),? ${clock} (?<year>\\d{4})(?=$| )${zone}`,
  // Access logs, named, PHP, mail.
  `${weekday}(?<day>\\d\\d?)(?<separator>[-/ ])${name}\\k<separator>(?<year>\\d{4})[: ]${clock}${zone}`,
  `${weekday}(?<day>\\d\\d?) ${name} ${clock}${zone}`,
  `(?<day>\\d\\d)\\.(?<month>\\d\\d)\\.(?<year>\\d{4}),? ${clock}${zone}`,
  // RFC 3339, ISO 8601, nginx, journalctl, svlogd.
  `(?<year>\\d{4})(?<separator>[-/. ])(?:(?<month>\\d\\d)|${name})\\k<separator>${day}(?<gap>[T _]) ?${clock}${zone}`,
  `${anyWeekday}(?<year>\\d{4})-(?:(?<month>\\d\\d)|${name})-${day}(?<gap>[T _]) ?${clock}${zone}`,
  // MySQL 5.
  `(?<short>\\d\\d)(?<month>\\d\\d)(?<day>\\d\\d)  ?${clock}`,
].map((shape) => new RegExp(`^${shape}$`));

/** The month that a word begins with, without accents and in lower case; 0 = none. */
function monthOf(word: string): number {
  const plain = word
    .replace(/\xc5[\x80-\xbf]/g, 'z')
    .replace(/\xc3([\x80-\xbf])/g, (_, low: string) => String.fromCharCode(low.charCodeAt(0) + 0x40))
    .replace(/[\x80-\xff]/g, (letter) => letter.normalize('NFD').charAt(0))
    .toLowerCase();
  const stems = [
    ...['jan|ene|gen|sty', 'feb|fev|lut', 'mar|mrt|maa', 'apr|avr|abr|kwi', 'may|mai|mag|maj|mei', 'jun|juin|giu|cze'],
    ...['jul|juil|lug|lip', 'aug|aou|ago|sie', 'sep|set|wrz', 'oct|okt|ott|out|paz', 'nov|lis', 'dec|dez|dic|gru'],
  ];
  if (!/^[a-z]+$/.test(plain)) return 0;
  return stems.findIndex((stem) => new RegExp(`^(?:${stem})`).test(plain)) + 1;
}

/** 2106-01-01: later times do not fit into the table's seconds. */
const end = Date.UTC(2106, 0, 1) / 1000;

interface Fields {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** Whether such a day exists in the calendar and such a time on the clock. */
function exists({ year, month, day, hour, minute, second }: Fields): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  const same = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return same && year >= 1970 && year <= 2105 && hour <= 23 && minute <= 59 && second <= 60;
}

const utc = ({ year, month, day, hour, minute, second }: Fields): number =>
  Date.UTC(year, month - 1, day, hour, minute, second) / 1000;

/**
 * The instants at which local clocks show these fields: usually one, two in the hour that comes
 * twice, none in the hour that is skipped.
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

/**
 * The instant of local fields, as seen at `now`. Of two instants it is the later one, unless that
 * is still in the future.
 */
function local(fields: Fields, now: number): number {
  const instants = instantsOf(fields);
  const { year, month, day, hour, minute, second } = fields;
  if (instants.length === 0) return new Date(year, month - 1, day, hour, minute, second).getTime() / 1000;
  return instants.findLast((instant) => instant <= now + 60) ?? instants[0]!;
}

/** Seconds east of UTC; null = local time; NaN if there is no such zone. */
function offsetOf(text: string | undefined): number | null {
  const named = text === 'Z' ? 0 : zoneNames[text?.trim() ?? 'IST'];
  if (named !== undefined) return Number.isNaN(named) ? null : named * 60;
  const [, sign, hours, minutes = '0'] = text!.match(/^ ?([+-])(\d\d):?(\d\d)?$/)!;
  if (Number(hours) > 18 || Number(minutes) > 59) return Number.NaN;
  return (Number(hours) * 3_600 + Number(minutes) * 60) * (sign === '-' ? -1 : 1);
}

/** Epoch seconds of the timestamp `text`, as seen at `now`; -1 if it is none. */
export function readTime(text: string, now: number): number {
  if (/^\d{10}(\.\d+)?$/.test(text)) return inRange(Number(text.slice(0, 10)));
  if (/^@4[0-9a-f]{15}(?:[0-9a-f]{8})?$/.test(text)) return inRange(Number(BigInt(`0x${text.slice(2, 17)}`) - 10n));
  for (const shape of shapes) {
    const groups = shape.exec(text)?.groups;
    if (!groups) continue;
    const number = (key: string): number => Number(groups[key] ?? Number.NaN);
    const short =
      groups.name === undefined ? number('month') : months.split('|').indexOf(groups.name.toLowerCase()) + 1;
    const month = groups.word === undefined ? short : monthOf(groups.word);
    const year = groups.short === undefined ? number('year') : 2_000 + number('short');
    const [day, minute, second] = [number('day'), number('minute'), number('second')];
    let hour = number('hour');
    if (groups.half !== undefined) {
      if (hour < 1 || hour > 12) return -1;
      hour = (hour % 12) + (/p/i.test(groups.half) ? 12 : 0);
    }
    const fields = { year, month, day, hour, minute, second };
    // svlogd writes UTC and does not say so.
    const svlogd = groups.gap === '_' || (groups.gap === 'T' && groups.fraction?.length === 6);
    const offset = offsetOf(groups.zone ?? (svlogd ? 'Z' : undefined));
    if (groups.year === undefined && groups.short === undefined) return withoutYear(fields, now, offset);
    if (!exists(fields)) return -1;
    if (offset === null) return Math.max(-1, local(fields, now));
    return Number.isNaN(offset) ? -1 : Math.max(-1, utc(fields) - offset);
  }
  return -1;
}

function inRange(seconds: number): number {
  return seconds >= 0 && seconds < end ? seconds : -1;
}

/** The latest year in which the day exists and is not more than a day in the future. */
function withoutYear(fields: Fields, now: number, offset: number | null): number {
  if (!exists({ ...fields, year: 2000 })) return -1;
  for (let year = new Date(now * 1000).getUTCFullYear() + 1; ; year--) {
    if (!exists({ ...fields, year })) continue;
    const instant = offset === null ? local({ ...fields, year }, now) : utc({ ...fields, year }) - offset;
    if (instant <= now + 86_400) return instant;
  }
}
