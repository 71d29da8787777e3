/**
 * Durations as operators write them: whole seconds (`600`), or numbers with units, which are added
 * up (`"1d 12h"`). Units: s, m or min, h, d, w (7 d), mo (30 d), y (365 d), and their long names,
 * as in fail2ban, except that `m` always means minutes and fractions are refused. -1 means for
 * ever, if the setting allows it.
 */
import { banSecondsMax } from '../limits.ts';
import { describe } from './describe.ts';
import { accept, type Parsed, refuse } from './parsed.ts';

const secondsOf: Record<string, number> = {
  s: 1,
  sec: 1,
  second: 1,
  seconds: 1,
  m: 60,
  min: 60,
  minute: 60,
  minutes: 60,
  h: 3600,
  hour: 3600,
  hours: 3600,
  d: 86_400,
  day: 86_400,
  days: 86_400,
  w: 604_800,
  week: 604_800,
  weeks: 604_800,
  mo: 2_592_000,
  month: 2_592_000,
  months: 2_592_000,
  y: 31_536_000,
  year: 31_536_000,
  years: 31_536_000,
};

const example = 'write "10m", "1h", "1d", "1w" or whole seconds';

/** Seconds of `value` (1 … banSecondsMax), or -1 if `permanent` is allowed. */
export function parseDuration(value: unknown, permanent: boolean): Parsed<number> {
  let seconds: number;
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return refuse(`expected whole seconds, found ${describe(value)}`, example);
    seconds = value;
  } else if (typeof value === 'string') {
    const total = sumOfUnits(value);
    if (total === undefined) return refuse(`expected a duration, found ${describe(value)}`, example);
    seconds = total;
  } else {
    return refuse(`expected a duration, found ${describe(value)}`, example);
  }
  if (seconds === -1) {
    return permanent ? accept(-1) : refuse('-1 (for ever) is only possible for bantime', example);
  }
  if (seconds < 1) {
    return refuse(`must be greater than 0, found ${describe(value)}`, permanent ? 'write -1 for ever' : example);
  }
  if (seconds > banSecondsMax) {
    return refuse(
      `longer than ${banSecondsMax} s (10 years), found ${describe(value)}`,
      permanent ? 'write -1 for ever' : undefined,
    );
  }
  return accept(seconds);
}

/** Seconds of `value`, from 1 to `secondsMax`. */
export function parseInterval(value: unknown, secondsMax: number): Parsed<number> {
  const parsed = parseDuration(value, false);
  if (!parsed.ok || parsed.value <= secondsMax) return parsed;
  return refuse(`longer than ${formatDuration(secondsMax)}, found ${describe(value)}`);
}

/**
 * Adds up `1d 12h`; undefined for any other text. Digits and units only: no fraction, and no sign
 * but in "-1".
 */
function sumOfUnits(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '-1') return -1;
  if (trimmed.length > 64) return undefined;
  let total = 0;
  let rest = trimmed;
  let first = true;
  while (rest !== '') {
    const part = /^([0-9]{1,12})\s*([a-z]*)\s*/.exec(rest);
    if (!part) return undefined;
    const [whole, digits, unit] = part;
    // A number without a unit is seconds, but only alone: "1h 30" is more likely a mistake than
    // thirty seconds.
    if (unit === '' && !(first && whole.length === rest.length)) return undefined;
    const factor = unit === '' ? 1 : Object.hasOwn(secondsOf, unit) ? secondsOf[unit] : undefined;
    if (factor === undefined) return undefined;
    total += Number(digits) * factor;
    rest = rest.slice(whole.length);
    first = false;
  }
  return first ? undefined : total;
}

const shown: [string, number][] = [
  ['w', 604_800],
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
];

/**
 * The shortest text that `parseDuration` reads back as the same number of seconds; `-1` for ever.
 */
export function formatDuration(seconds: number): string {
  if (seconds === -1) return '-1';
  const parts: string[] = [];
  let rest = seconds;
  for (const [unit, factor] of shown) {
    const count = Math.floor(rest / factor);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * factor;
  }
  return parts.join(' ');
}
