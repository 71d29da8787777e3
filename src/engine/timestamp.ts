/**
 * Timestamps as services write them. `scanTime` finds where one ends, by its form; `decodeTime`
 * turns its text into epoch seconds, if the calendar and the clock have such a moment. Input: log
 * bytes, some of which an attacker may have written. Formats: RFC 3164 with optional year, weekday
 * or zone name, its month in the languages of `monthOf`; RFC 3339 / ISO 8601 with fractions and
 * zones, also with slashes (nginx), a weekday (journalctl) or an underscore (svlogd);
 * day/month/year of access logs, named and PHP; day.month.year; MySQL's YYMMDD; epoch seconds;
 * TAI64 and TAI64N. A twelve-hour clock is followed by AM or PM. A text without a zone is local
 * time, by the zone table that the host filled in; a text without a year gets the year that puts it
 * next to `now`.
 */
import {
  byte,
  clockSeconds,
  divide,
  fillZero,
  float,
  int,
  lies,
  product,
  setByte,
  setFloat,
  setInt,
  toInt,
} from '#linear';
import * as ascii from './ascii.ts';
import * as layout from './layout.ts';

/**
 * A text without year may be up to this many seconds after `now`; beyond that it belongs to last
 * year.
 */
const YEAR_SLACK: f64 = 86400;
/** Years to try for such a text: two leap years are up to eight apart. */
const YEARS_TRIED: i32 = 10;
/**
 * A text without year and the same text one year later are at least this far apart, in any zone.
 */
const YEAR_SECONDS_MIN: f64 = 364 * 86400;
/** 2106-01-01: the table keeps seconds in 32 bits. */
const SECONDS_MAX: f64 = 4291747200;
/**
 * If the second of two readings of an ambiguous local time is more than these seconds after `now`,
 * the first one is taken.
 */
const ZONE_SLACK: f64 = 60;

/** -1 where none is written. */
let year: i32 = -1;
let month: i32 = 0;
let day: i32 = 0;
let hour: i32 = 0;
let minute: i32 = 0;
let second: i32 = 0;
/**
 * Position of the second's two digits, -1 if there are none, and where the fraction after them
 * ends.
 */
let secondAt: i32 = -1;
let fractionEnd: i32 = 0;
/** Whether AM or PM follows the clock. */
let halved: bool = false;
/** Position of the day's two places, -1 if it has one; whether the first may be a blank. */
let dayAt: i32 = -1;
let dayPadded: bool = false;
/** The piece of the zone table that was used for local time. */
let piece: i32 = 0;
/** End of the last zone name. */
let zoneNameEnd: i32 = 0;
/** Seconds east of UTC, when `zoned`. */
let zone: i32 = 0;
let zoned: bool = false;
/** The whole instant, when `absolute`. */
let epoch: f64 = 0;
let absolute: bool = false;

/** The current zone table: its position, and its number of changes. */
let zoneTable: i32 = 0;
let zonesAt: i32 = layout.ZONES;
let zones: i32 = 0;
/**
 * The text was read as the earlier of two times, because the later one is still in the future:
 * valid for this second only.
 */
let folded: bool = false;

/*
 * How the last decoded timestamp is written, with the digits of day and clock open (linear.ts
 * `lies`): for lines of one month, sixteen bytes are compared at a time. The meaning of such digits
 * is known while time is continuous: within the month (or the day, if it has one digit), before
 * now, in one year and one piece of the zone table. Everything else goes to the full parser.
 */
/** Length of that text; 0 = none is remembered. */
export let formBytes: i32 = 0;
/**
 * Counts the texts that were remembered or forgotten. Code that keeps more of a line than its time
 * sees from it that its copy is stale.
 */
export let formSerial: i32 = 0;
/** Offset of the clock; -1: only this exact text matches. */
let formClockAt: i32 = -1;
/** Offset of the day's two places; -1: only the remembered day matches. */
let formDayAt: i32 = -1;
/** The instant of the text, as seen at `formNow`, without the seconds from its open digits. */
let formInstant: f64 = 0;
/** The first of these seconds with a known meaning, and their number. */
let formFrom: i32 = 0;
let formSpan: i32 = 0;
let formNow: f64 = 0;
/**
 * Texts in a row that were written in another way, and after how many the next one is remembered.
 */
let formMisses: i32 = 0;
const FORM_MISSES_MAX: i32 = 8;
/** Like `now`, for texts that are only scanned. */
let clock: f64 = 0;
/**
 * Of the last scanned text: seconds after `formInstant`, -1 if it is not written like the
 * remembered one.
 */
export let scannedSeconds: i32 = -1;

/** Empties the zone tables and the cache: times are UTC until zones are added. */
export function resetTime(): void {
  fillZero(layout.ZONE_COUNTS, layout.ZONE_TABLES_MAX * 4);
  zoneTable = -1;
  useZone(0);
}

/** Times without a zone use this table from now on; 0 = local time. */
// @inline
export function useZone(table: i32): void {
  if (table !== zoneTable) changeZone(table);
}

function changeZone(table: i32): void {
  zoneTable = table;
  zonesAt = table === 0 ? layout.ZONES : layout.OTHER_ZONES + (table - 1) * layout.ZONE_TABLE_BYTES;
  zones = int(layout.ZONE_COUNTS + table * 4);
  forgetForm();
}

/** Sets the clock until the next call. */
export function setClock(now: f64): void {
  clock = now;
}

function forgetForm(): void {
  formBytes = 0;
  formMisses = 0;
  // No text matches the remembered form now, not even an empty one.
  formNow = -1;
  formSerial++;
}

/**
 * From UTC second `from` on, the time of the current table is `offset` seconds east of UTC.
 * Ascending; false if the table is full.
 */
export function addZone(from: f64, offset: i32): bool {
  if (zones === layout.ZONES_MAX) return false;
  const p = zonesAt + zones * layout.ZONE_BYTES;
  setFloat(p, from);
  setInt(p + 8, offset);
  zones++;
  setInt(layout.ZONE_COUNTS + zoneTable * 4, zones);
  forgetForm();
  return true;
}

function digit(p: i32): i32 {
  const c = byte(p);
  return c >= 48 && c <= 57 ? c - 48 : -1;
}

/** Two digits at `p` as a number, or -1. */
function two(p: i32): i32 {
  const high = digit(p);
  const low = digit(p + 1);
  return high < 0 || low < 0 ? -1 : high * 10 + low;
}

function four(p: i32): i32 {
  const high = two(p);
  const low = two(p + 2);
  return high < 0 || low < 0 ? -1 : high * 100 + low;
}

/** The ASCII letter without the accent; `code` is of ISO 8859-1. 0 = none. */
function baseLetter(code: i32): i32 {
  const place = code & 31;
  if (code < 192 || (place > 22 && place < 25) || place === 6 || place === 16) return 0;
  if (place < 6) return 97;
  if (place === 7) return 99;
  if (place < 12) return 101;
  if (place < 16) return 105;
  if (place === 17) return 110;
  if (place < 23) return 111;
  if (place < 29) return 117;
  return place === 30 || code === 0xdf ? 0 : 121;
}

/**
 * The month that begins with these three lower-case letters (the fourth distinguishes juin from
 * juillet), or 0: English, and what strftime writes in German, French, Spanish, Italian,
 * Portuguese, Dutch, Polish and the Scandinavian languages.
 */
function monthOf(name: i32, fourth: i32): i32 {
  if (name === 0x6a616e || name === 0x656e65 || name === 0x67656e || name === 0x737479) return 1;
  if (name === 0x666562 || name === 0x666576 || name === 0x6c7574) return 2;
  if (name === 0x6d6172 || name === 0x6d7274 || name === 0x6d6161) return 3;
  if (name === 0x617072 || name === 0x617672 || name === 0x616272 || name === 0x6b7769) return 4;
  if (name === 0x6d6179 || name === 0x6d6169 || name === 0x6d6167 || name === 0x6d616a || name === 0x6d6569) return 5;
  if (name === 0x6a756e || name === 0x676975 || name === 0x637a65) return 6;
  if (name === 0x6a756c || name === 0x6c7567 || name === 0x6c6970) return 7;
  if (name === 0x6a7569) return fourth === 110 ? 6 : fourth === 108 ? 7 : 0;
  if (name === 0x617567 || name === 0x616f75 || name === 0x61676f || name === 0x736965) return 8;
  if (name === 0x736570 || name === 0x736574 || name === 0x77727a) return 9;
  if (name === 0x6f6374 || name === 0x6f6b74 || name === 0x6f7474 || name === 0x6f7574 || name === 0x70617a) return 10;
  if (name === 0x6e6f76 || name === 0x6c6973) return 11;
  return name === 0x646563 || name === 0x64657a || name === 0x646963 || name === 0x677275 ? 12 : 0;
}

/** Month 1–12 of the English abbreviation at `p`, in any case, or 0. */
function monthName(p: i32): i32 {
  const name = (byte(p) << 16) | (byte(p + 1) << 8) | byte(p + 2) | 0x202020;
  if (name === 0x6a616e) return 1;
  if (name === 0x666562) return 2;
  if (name === 0x6d6172) return 3;
  if (name === 0x617072) return 4;
  if (name === 0x6d6179) return 5;
  if (name === 0x6a756e) return 6;
  if (name === 0x6a756c) return 7;
  if (name === 0x617567) return 8;
  if (name === 0x736570) return 9;
  if (name === 0x6f6374) return 10;
  if (name === 0x6e6f76) return 11;
  return name === 0x646563 ? 12 : 0;
}

/** Longest name of a month, bytes: "september", and one with letters of two bytes. */
const MONTH_BYTES_MAX: i32 = 12;

/**
 * End of the month's name at `p`, short or long, in any case, with an optional dot after it, and
 * sets `month`; -1 = none. Accents may be UTF-8 or ISO 8859-1.
 */
function readMonth(p: i32, end: i32): i32 {
  month = monthName(p);
  if (month > 0 && byte(p + 3) === 32) return p + 3;
  const limit = p + MONTH_BYTES_MAX < end ? p + MONTH_BYTES_MAX : end;
  let name = 0;
  let fourth = 0;
  let letters = 0;
  for (; p < limit; letters++) {
    let letter = byte(p);
    const next = p + 1 < limit ? byte(p + 1) : 0;
    const wide = (letter === 0xc3 || letter === 0xc5) && next >= 0x80 && next < 0xc0;
    // ź is the only two-byte letter that we support and ISO 8859-1 lacks.
    if (wide) letter = letter === 0xc5 ? 122 : baseLetter(next + 0x40);
    else letter = letter < 0x80 ? letter | 32 : baseLetter(letter);
    if (letter < 97 || letter > 122) break;
    if (letters < 3) name = (name << 8) | letter;
    else if (letters === 3) fourth = letter;
    p += wide ? 2 : 1;
  }
  month = letters < 3 ? 0 : monthOf(name, fourth);
  if (month === 0) return -1;
  return p < end && byte(p) === 46 ? p + 1 : p;
}

function isWeekday(p: i32): bool {
  const name = (byte(p) << 16) | (byte(p + 1) << 8) | byte(p + 2);
  return (
    name === 0x4d6f6e ||
    name === 0x547565 ||
    name === 0x576564 ||
    name === 0x546875 ||
    name === 0x467269 ||
    name === 0x536174 ||
    name === 0x53756e
  );
}

/** "h:mm:ss" or "hh:mm:ss" with an optional fraction at `p`; returns its end or -1. */
function readClock(p: i32, end: i32): i32 {
  if (p + 7 > end) return -1;
  if (digit(p) >= 0 && byte(p + 1) === 58) {
    hour = digit(p);
    p += 1;
  } else {
    hour = two(p);
    p += 2;
  }
  if (p + 6 > end || hour < 0 || byte(p) !== 58 || byte(p + 3) !== 58) return -1;
  minute = two(p + 1);
  second = two(p + 4);
  if (minute < 0 || second < 0) return -1;
  secondAt = p + 4;
  p += 6;
  if (p + 1 < end && (byte(p) === 46 || byte(p) === 44) && digit(p + 1) >= 0) {
    p += 2;
    while (p < end && digit(p) >= 0) p++;
  }
  fractionEnd = p;
  return readHalf(p, end);
}

/**
 * After a twelve-hour clock: whether "AM" or "PM" stands at `p`, with or without a blank before it.
 */
function isHalf(p: i32, end: i32): bool {
  if (p < end && byte(p) === 32) p++;
  if (p + 2 > end || (byte(p + 1) | 32) !== 109 || ((byte(p) | 32) !== 97 && (byte(p) | 32) !== 112)) return false;
  if (p + 2 === end) return true;
  const next = byte(p + 2) | 32;
  return digit(p + 2) < 0 && (next < 97 || next > 122);
}

/** Applies "AM" or "PM" at `p` to the hour; returns its end (or `p`). */
function readHalf(p: i32, end: i32): i32 {
  if (hour < 1 || hour > 12 || !isHalf(p, end)) return p;
  halved = true;
  if (byte(p) === 32) p++;
  if ((byte(p) | 32) === 97) {
    if (hour === 12) hour = 0;
  } else if (hour < 12) hour += 12;
  return p + 2;
}

/** Minutes that no zone has. */
const NO_ZONE: i32 = 9999;
/** A name that several zones have; this host's own is meant. */
const LOCAL_ZONE: i32 = 9998;

/** Minutes east of UTC of the zone with this name (its letters as one number). */
function zoneOf(name: i32): i32 {
  if (name === 0x555443 || name === 0x474d54 || name === 0x574554) return 0;
  if (name === 0x434554 || name === 0x4d4554 || name === 0x425354 || name === 0x57455354) return 60;
  if (name === 0x43455354 || name === 0x4d455354 || name === 0x454554 || name === 0x53415354) return 120;
  if (name === 0x45455354 || name === 0x4d534b || name === 0x494454) return 180;
  if (name === 0x504b54) return 300;
  if (name === 0x574942) return 420;
  if (name === 0x484b54 || name === 0x41575354) return 480;
  if (name === 0x4a5354 || name === 0x4b5354) return 540;
  if (name === 0x41435354) return 570;
  if (name === 0x41455354) return 600;
  if (name === 0x41434454) return 630;
  if (name === 0x41454454) return 660;
  if (name === 0x4e5a5354) return 720;
  if (name === 0x4e5a4454) return 780;
  if (name === 0x454454) return -240;
  if (name === 0x455354 || name === 0x434454) return -300;
  if (name === 0x4d4454) return -360;
  if (name === 0x4d5354 || name === 0x504454) return -420;
  if (name === 0x414b4454) return -480;
  if (name === 0x414b5354) return -540;
  if (name === 0x485354) return -600;
  // China's or the Philippines' if local time is theirs, else America's.
  if (name === 0x435354) return isLocal(28_800) ? LOCAL_ZONE : -360;
  if (name === 0x505354) return isLocal(28_800) ? LOCAL_ZONE : -480;
  // India, Israel, Ireland.
  return name === 0x495354 ? LOCAL_ZONE : NO_ZONE;
}

/** Whether local time is ever `offset` seconds east of UTC. */
function isLocal(offset: i32): bool {
  for (let i = 0; i < zones; i++) if (int(zonesAt + i * layout.ZONE_BYTES + 8) === offset) return true;
  return false;
}

/**
 * Minutes east of UTC of the zone whose name of three or four capitals stands at `p`, or NO_ZONE.
 */
function zoneNamed(p: i32, end: i32): i32 {
  let name = 0;
  let q = p;
  while (q < end && q - p < 5 && byte(q) >= 65 && byte(q) <= 90) {
    name = (name << 8) | byte(q);
    q++;
  }
  const length = q - p;
  if (length !== 3 && length !== 4) return NO_ZONE;
  if (q < end && byte(q) !== 32 && byte(q) !== 93 && byte(q) !== 44 && byte(q) !== 58) return NO_ZONE;
  zoneNameEnd = q;
  return zoneOf(name);
}

/** Reads a zone's name after a blank at `p`; returns its end (or `p`). */
function readZoneName(p: i32, end: i32): i32 {
  if (p >= end || byte(p) !== 32) return p;
  const minutes = zoneNamed(p + 1, end);
  if (minutes === NO_ZONE) return p;
  zoned = minutes !== LOCAL_ZONE;
  zone = minutes * 60;
  return zoneNameEnd;
}

/**
 * "Z", "+hh:mm", "+hhmm", "+hh" or, after a blank, one of these with a sign or a name, at `p`;
 * returns the end (or `p`).
 */
function readZone(p: i32, end: i32): i32 {
  const named = readZoneName(p, end);
  if (named > p) return named;
  let q = p;
  if (q < end && byte(q) === 32) q++;
  if (q >= end) return p;
  const c = byte(q);
  if (c === 90 && q === p) {
    zoned = true;
    zone = 0;
    return q + 1;
  }
  if ((c !== 43 && c !== 45) || q + 3 > end) return p;
  const hours = two(q + 1);
  if (hours < 0 || hours > 18) return p;
  let minutes = 0;
  let stop = q + 3;
  if (stop + 3 <= end && byte(stop) === 58 && two(stop + 1) >= 0) {
    minutes = two(stop + 1);
    stop += 3;
  } else if (stop + 2 <= end && two(stop) >= 0) {
    minutes = two(stop);
    stop += 2;
  } else if (q > p && stop < end && byte(stop) !== 32 && byte(stop) !== 93) return p;
  if (minutes > 59) return p;
  zoned = true;
  zone = (hours * 60 + minutes) * 60;
  if (c === 45) zone = -zone;
  return stop;
}

/**
 * " yyyy" at `p`; returns its end, or `p`. If more text follows directly, it is a host name:
 * "2001:db8::1", "2020-web".
 */
function readYearAfter(p: i32, end: i32): i32 {
  if (p + 5 > end || byte(p) !== 32) return p;
  const value = four(p + 1);
  if (value < 1970) return p;
  if (p + 5 < end) {
    const next = byte(p + 5);
    const colon = next === 58 && (p + 6 === end || byte(p + 6) === 32);
    if (next !== 32 && next !== 93 && next !== 44 && !colon) return p;
  }
  year = value;
  return p + 5;
}

/**
 * A day of one or two digits at `p`, `padded` with a blank or not; returns its end, or -1. The
 * digit of a one-place day stays fixed in the remembered text.
 */
function readDay(p: i32, padded: bool): i32 {
  const places = p;
  if (padded && byte(p) === 32) p++;
  day = digit(p);
  if (day < 0) return -1;
  p++;
  if (digit(p) >= 0) {
    day = day * 10 + digit(p);
    p++;
  }
  dayAt = p - places === 2 ? places : -1;
  dayPadded = padded;
  return p;
}

/**
 * "Mon D hh:mm:ss", "Mon DD yyyy hh:mm:ss", "Mon DD hh:mm:ss yyyy", with a zone name after the
 * clock or any zone after the year, at `p`.
 */
function readMonthFirst(p: i32, end: i32): i32 {
  if (p + 13 > end) return -1;
  p = readMonth(p, end);
  if (p < 0 || p + 10 > end || byte(p) !== 32) return -1;
  p = readDay(p + 1, true);
  if (p < 0) return -1;
  if (p < end && byte(p) === 44) p++;
  if (p >= end || byte(p) !== 32) return -1;
  const dated = readYearAfter(p, end);
  const gap = dated < end && byte(dated) === 44 ? dated + 1 : dated;
  if (dated > p && gap < end && byte(gap) === 32) p = gap;
  else year = -1;
  p = readClock(p + 1, end);
  if (p < 0) return -1;
  p = readZoneName(p, end);
  if (year >= 0) return p;
  const stop = readYearAfter(p, end);
  return stop > p && !zoned ? readZone(stop, end) : stop;
}

/** "DD.MM.yyyy hh:mm:ss", with an optional comma in between, at `p`. */
function readDotted(p: i32, end: i32): i32 {
  day = two(p);
  dayAt = p;
  month = two(p + 3);
  year = four(p + 6);
  if (day < 0 || month < 0 || year < 0 || byte(p + 5) !== 46) return -1;
  p += 10;
  if (byte(p) === 44) p++;
  if (byte(p) !== 32) return -1;
  p = readClock(p + 1, end);
  return p < 0 ? -1 : readZone(p, end);
}

/**
 * "DD/Mon/yyyy:hh:mm:ss +zone", "DD-Mon-yyyy hh:mm:ss[.fff] [zone]", "D Mon [yyyy] hh:mm:ss" at
 * `p`.
 */
function readDayFirst(p: i32, end: i32): i32 {
  if (p + 13 > end) return -1;
  p = readDay(p, false);
  const separator = byte(p);
  if ((separator !== 47 && separator !== 45 && separator !== 32) || byte(p + 4) !== separator) return -1;
  month = monthName(p + 1);
  if (month === 0) return -1;
  p += 4;
  year = four(p + 1);
  if (year >= 0) p += 5;
  else if (separator !== 32) return -1;
  if (byte(p) !== 58 && byte(p) !== 32) return -1;
  p = readClock(p + 1, end);
  return p < 0 ? -1 : readZone(p, end);
}

/**
 * "yyyy-mm-dd", "yyyy/mm/dd", "yyyy.mm.dd" or "yyyy Mon D" and "T" or a space, the time, an
 * optional zone, at `p`. svlogd's times are UTC: with an underscore (-tt), or with a "T" and a
 * fraction of five digits without a zone (-ttt).
 */
function readYearFirst(p: i32, end: i32): i32 {
  if (p + 17 > end) return -1;
  const separator = byte(p + 4);
  year = four(p);
  month = monthName(p + 5);
  p += month > 0 ? 8 : 7;
  if (month === 0) month = two(p - 2);
  if (year < 0 || month < 0 || byte(p) !== separator) return -1;
  p = readDay(p + 1, separator === 32);
  if (p < 0) return -1;
  const gap = byte(p);
  if (gap !== 84 && gap !== 32 && gap !== 95) return -1;
  p++;
  if (p < end && byte(p) === 32) p++;
  p = readClock(p, end);
  if (p < 0) return -1;
  const stop = readZone(p, end);
  if (stop === p && (gap === 95 || (gap === 84 && fractionEnd === p && p - secondAt === 8))) {
    zoned = true;
    zone = 0;
  }
  return stop;
}

/** A weekday in another language and, after a blank, what `readYearFirst` reads, at `p`. */
function readAnyWeekday(p: i32, end: i32): i32 {
  const limit = p + MONTH_BYTES_MAX < end ? p + MONTH_BYTES_MAX : end;
  for (p++; p < limit && (byte(p) >= 97 || byte(p) === 46); p++);
  return p < limit && byte(p) === 32 && byte(p + 5) === 45 ? readYearFirst(p + 1, end) : -1;
}

/** MySQL 5's "YYMMDD hh:mm:ss", the hour padded with a space, at `p`. */
function readCompact(p: i32, end: i32): i32 {
  if (p + 14 > end || byte(p + 6) !== 32) return -1;
  year = two(p);
  month = two(p + 2);
  day = two(p + 4);
  dayAt = p + 4;
  if (year < 0 || month < 0 || day < 0) return -1;
  year += 2000;
  p += 7;
  if (byte(p) === 32) p++;
  return readClock(p, end);
}

/** Ten digits and a fraction, not followed by a digit or letter; that many bytes must be there. */
function readEpoch(p: i32, end: i32): i32 {
  epoch = 0;
  for (let i = 0; i < 10; i++) {
    const value = digit(p + i);
    if (value < 0) return -1;
    epoch = epoch * 10 + value;
  }
  p += 10;
  if (p + 1 < end && byte(p) === 46 && digit(p + 1) >= 0) {
    p += 2;
    while (p < end && digit(p) >= 0) p++;
  }
  if (p < end) {
    const c = byte(p);
    if ((c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122)) return -1;
  }
  absolute = true;
  return p;
}

/**
 * '@' and 16 or 24 hex digits (TAI64, TAI64N): 2^62 + TAI seconds, then nanoseconds. Returns the
 * end, or -1.
 */
function readTai(p: i32, end: i32): i32 {
  if (p + 17 > end || byte(p) !== 64) return -1;
  epoch = 0;
  let digits = 0;
  for (let q = p + 1; q < end && digits < 24; q++) {
    const c = byte(q);
    let value = -1;
    if (c >= 48 && c <= 57) value = c - 48;
    else if (c >= 97 && c <= 102) value = c - 87;
    if (value < 0) break;
    if (digits === 0 && value !== 4) return -1;
    if (digits > 0 && digits < 16) epoch = epoch * 16 + value;
    digits++;
  }
  if (digits !== 24 && digits !== 16) return -1;
  // multilog and svlogd add ten seconds to the system's clock and ignore leap seconds.
  epoch -= 10;
  absolute = true;
  return p + 1 + digits;
}

function leap(y: i32): bool {
  return (y & 3) === 0 && (y !== divide(y, 100) * 100 || y === divide(y, 400) * 400);
}

function monthDays(y: i32, m: i32): i32 {
  if (m === 2) return leap(y) ? 29 : 28;
  return m === 4 || m === 6 || m === 9 || m === 11 ? 30 : 31;
}

/**
 * Whether the fields are a valid date (February 29 is valid without a year) and time; a leap second
 * is allowed.
 */
function legal(): bool {
  if (absolute) return epoch >= 0 && epoch < SECONDS_MAX;
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60) return false;
  if (year >= 0 && (year < 1970 || year > 2105)) return false;
  return day <= monthDays(year < 0 ? 2000 : year, month);
}

/**
 * Reads text that has the form of a timestamp at `start`; returns its end, or -1. Sets the fields,
 * which may be invalid.
 */
function readTime(start: i32, end: i32): i32 {
  if (end - start < 10) return -1;
  zoned = false;
  absolute = false;
  halved = false;
  year = -1;
  secondAt = -1;
  dayAt = -1;
  dayPadded = false;
  const c = byte(start);
  let stop = -1;
  if (c >= 48 && c <= 57) {
    const third = byte(start + 2);
    const fifth = byte(start + 4);
    if (fifth === 45 || fifth === 47 || fifth === 46 || fifth === 32) stop = readYearFirst(start, end);
    else if (third === 46) stop = end - start < 18 ? -1 : readDotted(start, end);
    else if (third === 47 || third === 45 || third === 32 || digit(start + 1) < 0) stop = readDayFirst(start, end);
    else {
      stop = readCompact(start, end);
      if (stop < 0) stop = readEpoch(start, end);
    }
  } else if (c === 64) stop = readTai(start, end);
  else if (c >= 65 && isWeekday(start) && (byte(start + 3) === 32 || byte(start + 3) === 44)) {
    const skip = start + (byte(start + 3) === 44 ? 5 : 4);
    if (digit(skip) < 0) stop = readMonthFirst(skip, end);
    else stop = byte(skip + 4) === 45 ? readYearFirst(skip, end) : readDayFirst(skip, end);
  } else if (c >= 65) {
    stop = readMonthFirst(start, end);
    if (stop < 0) stop = readAnyWeekday(start, end);
  }
  return stop;
}

/** Days from 1970-01-01 to the given civil date (proleptic Gregorian). */
function daysFromCivil(y: i32, m: i32, d: i32): i32 {
  // Years start in March here, so the leap day is the last one.
  const shifted = m <= 2 ? y - 1 : y;
  const era = divide(shifted, 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = divide(153 * (m > 2 ? m - 3 : m + 9) + 2, 5) + d - 1;
  const dayOfEra = yearOfEra * 365 + divide(yearOfEra, 4) - divide(yearOfEra, 100) + dayOfYear;
  return product(era, 146097) + dayOfEra - 719468;
}

/** The fields, with year `y`, as local seconds since 1970-01-01T00:00:00. */
function localSeconds(y: i32): f64 {
  const days: f64 = daysFromCivil(y, month, day);
  return days * 86400 + (hour * 3600 + minute * 60 + second);
}

/**
 * Local to UTC seconds by the zone table. In the hour that happens twice it takes the later one,
 * unless that is still in the future.
 */
function localToUtc(local: f64, now: f64): f64 {
  for (let i = zones - 1; i >= 0; i--) {
    const p = zonesAt + i * layout.ZONE_BYTES;
    const utc = local - int(p + 8);
    piece = i;
    if (i === 0) return utc;
    if (utc >= float(p)) {
      if (utc > now + ZONE_SLACK) {
        const earlier = local - int(p - layout.ZONE_BYTES + 8);
        if (earlier < float(p)) {
          folded = true;
          return earlier;
        }
      }
      return utc;
    }
  }
  return local;
}

function fieldsToUtc(y: i32, now: f64): f64 {
  const local = localSeconds(y);
  return zoned ? local - zone : localToUtc(local, now);
}

/** The civil year of an instant, in UTC; at the turn of the year it may be off by one. */
function yearNear(instant: f64): i32 {
  return 1970 + toInt(instant / 31556952);
}

function fieldsToEpoch(now: f64): f64 {
  if (absolute) return epoch;
  if (year >= 0) return fieldsToUtc(year, now);
  // The latest year that does not put the line into the future; February 29 goes back to a leap
  // year.
  const latest = yearNear(now) + 1;
  for (let y = latest; y > latest - YEARS_TRIED; y--) {
    if (day > monthDays(y, month)) continue;
    const instant = fieldsToUtc(y, now);
    if (instant <= now + YEAR_SLACK) return instant;
    if (instant - second <= now + YEAR_SLACK) folded = true;
  }
  // Never reached: the years tried contain every day.
  return now;
}

/**
 * Remembers how the text at [start, end) is written, which was just parsed and means `instant` as
 * seen at `now`.
 */
function remember(start: i32, end: i32, instant: f64, now: f64): void {
  forgetForm();
  if (end - start > layout.TIME_FORM_BYTES) return;
  for (let i = 0; i < layout.TIME_FORM_BYTES; i++) {
    const p = start + i;
    setPlace(layout.TIME_FORM + i, p < end ? byte(p) : 0, p < end ? 0 : 255);
  }
  formBytes = end - start;
  formNow = now;
  formClockAt = -1;
  formInstant = instant;
  // A text with two possible readings (localToUtc) is only remembered as it is.
  if (absolute || folded || halved || secondAt < 0 || second > 59 || instant > now) return;
  openPlaces(start);
  const past = (dayAt < 0 ? 0 : day * DAY) + hour * 3600 + minute * 60 + second;
  formInstant = instant - past;
  bound(past, now);
}

const DAY: i32 = 86400;

/** A place of the remembered text matches the bytes from `low` to `low + range`. */
function setPlace(p: i32, low: i32, range: i32): void {
  setByte(p, low);
  setByte(p + layout.TIME_FORM_BYTES, range);
}

/** Opens the digits of clock, fraction and day in the text at `start`. */
function openPlaces(start: i32): void {
  const clockAt = secondAt - 6;
  for (let i = 0; i < 8; i++) {
    // If the hour has one digit, the place before it stays fixed.
    if (i !== 2 && i !== 5 && (i > 0 || digit(clockAt) >= 0)) setPlace(layout.TIME_FORM + clockAt + i - start, 48, 9);
  }
  for (let p = secondAt + 3; p < fractionEnd; p++) setPlace(layout.TIME_FORM + p - start, 48, 9);
  formClockAt = clockAt - start;
  formDayAt = dayAt < 0 ? -1 : dayAt - start;
  if (dayAt < 0) return;
  // A blank is 16 below the digits.
  setPlace(layout.TIME_FORM + formDayAt, dayPadded ? 32 : 48, dayPadded ? 25 : 9);
  setPlace(layout.TIME_FORM + formDayAt + 1, 48, 9);
}

/** Sets which seconds of the remembered text have a known meaning; `past` was read. */
function bound(past: i32, now: f64): void {
  let from: f64 = dayAt < 0 ? formInstant : formInstant + DAY;
  let to: f64 = dayAt < 0 ? from + DAY : from + monthDays(year < 0 ? yearNear(formInstant + past) : year, month) * DAY;
  if (from < 0) from = 0;
  if (to > now + 1) to = now + 1;
  // A text without year belongs to the latest year that does not put it into the future.
  if (year < 0 && from < now + YEAR_SLACK - YEAR_SECONDS_MIN) from = now + YEAR_SLACK - YEAR_SECONDS_MIN;
  if (!zoned && zones > 0) {
    const p = zonesAt + piece * layout.ZONE_BYTES;
    if (piece > 0 && from < float(p)) from = float(p);
    for (let i = piece + 1; i < zones; i++) {
      // Where clocks are put back, the time that happens twice belongs to the later piece.
      const next = zonesAt + i * layout.ZONE_BYTES;
      const back = int(p + 8) - int(next + 8);
      const limit = float(next) - (back > 0 ? back : 0);
      if (to > limit) to = limit;
    }
  }
  formFrom = toInt(from - formInstant);
  formSpan = to > from ? toInt(to - from) : 0;
}

/**
 * Seconds to add to `formInstant` for the text at `start`; -1 if it is not written like the
 * remembered one, or its meaning is unknown.
 */
function secondsOfKnown(start: i32): i32 {
  return lies(start, layout.TIME_FORM, layout.TIME_FORM + layout.TIME_FORM_BYTES, (formBytes + 15) >> 4)
    ? secondsAt(start)
    : -1;
}

/** The same for a text that is known to have that form. */
// @inline
export function secondsAt(start: i32): i32 {
  if (formClockAt < 0) return 0;
  let past = clockSeconds(start + formClockAt);
  if (past < 0) return -1;
  if (formDayAt >= 0) {
    const p = start + formDayAt;
    const tens = byte(p);
    if (tens > 32 && tens < 48) return -1;
    past += ((tens & 15) * 10 + (byte(p + 1) & 15)) * DAY;
  }
  const since = past - formFrom;
  return since >= 0 && since < formSpan ? past : -1;
}

/** Whether a time can continue after the blank at `p`: with a zone, a year, or AM or PM. */
// @inline
function continues(p: i32, end: i32): bool {
  // Of lower-case words, only "am" and "pm" can; most host names begin with another letter.
  const value = byte(p + 1);
  return (value <= ascii.UPPER_Z || value === ascii.LOWER_A || value === 112) && goesOn(p, end);
}

function goesOn(p: i32, end: i32): bool {
  const value = byte(p + 1);
  if (value < 65) return (value >= 48 && value <= 57) || value === 43 || value === 45;
  return (value <= 90 && zoneNamed(p + 1, end) !== NO_ZONE) || isHalf(p, end);
}

/**
 * The end of the timestamp at `start` if it is written like the last decoded one and a `]` or a
 * blank follows; else -1. Agrees with `readTime`.
 */
export function scanKnownTime(start: i32, end: i32): i32 {
  const stop = start + formBytes;
  scannedSeconds = -1;
  if (formBytes === 0 || stop + 1 >= end) return -1;
  const next = byte(stop);
  if (next !== 93 && (next !== 32 || continues(stop, end))) return -1;
  scannedSeconds = secondsOfKnown(start);
  if (scannedSeconds < 0) return -1;
  formMisses = 0;
  return stop;
}

/**
 * The text at [start, end) is not written like the remembered one. The times of matched lines are
 * decoded and remembered; in a log where nothing matches, as in most, this remembers one now and
 * then.
 */
function missForm(start: i32, end: i32): void {
  formMisses++;
  if (formMisses <= FORM_MISSES_MAX) return;
  decodeTime(start, end, clock);
  formMisses = 0;
}

/**
 * The instant of a text that was scanned with `seconds` after the remembered one, as seen at `now`;
 * -1 if it has to be parsed again.
 */
export function instantOf(seconds: i32, now: f64): f64 {
  return seconds >= 0 && now === formNow ? formInstant + seconds : -1;
}

/**
 * The end of text that is written like a timestamp at `start`, or -1. "Nov 32 25:61:61" is such
 * text; it is dropped as impossible when a pattern has matched. A bare number only counts if it is
 * a time.
 */
export function scanTime(start: i32, end: i32): i32 {
  const known = scanKnownTime(start, end);
  if (known >= 0) return known;
  const stop = readTime(start, end);
  if (stop < 0 || (absolute && !legal())) return -1;
  missForm(start, stop);
  return stop;
}

/**
 * Epoch seconds of the timestamp in [start, end), as seen at `now`; -1 if it is not a timestamp.
 */
export function decodeTime(start: i32, end: i32, now: f64): f64 {
  if (end - start === formBytes && now === formNow) {
    const seconds = secondsOfKnown(start);
    if (seconds >= 0) return formInstant + seconds;
  }
  folded = false;
  if (readTime(start, end) !== end || !legal()) return -1;
  const instant = fieldsToEpoch(now);
  if (instant < 0) return -1;
  // Two forms that alternate must not replace each other with every line.
  if (now !== formNow || formMisses >= FORM_MISSES_MAX) remember(start, end, instant, now);
  else formMisses++;
  return instant;
}
