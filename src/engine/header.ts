/**
 * The head before a message: timestamp, host, identifier and pid. Input: log bytes; the log daemon
 * and the service write the part up to the identifier's colon, everything after it belongs to the
 * patterns. Accepts the heads of rsyslog, syslog-ng, busybox, metalog, journalctl, Solaris and
 * FreeBSD (RFC 3164, RFC 3339 and RFC 5424), and, for journal lines, the same without a time.
 */
import { byte, copyBytes, digitsBefore, findByte, lies, setByte, skipDigits, word } from '#linear';
import * as ascii from './ascii.ts';
import { HEAD_FORM, HEAD_FORM_BYTES, TIME_FORM, TIME_FORM_BYTES } from './layout.ts';
import { smaller } from './scan.ts';
import { formBytes, formSerial, instantOf, scannedSeconds, scanTime, secondsAt } from './timestamp.ts';

/**
 * Words to examine between the time and the identifier: host, a facility in brackets, a second
 * host.
 */
const WORDS_MAX: i32 = 4;

/** The timestamp, empty when there is none. */
export let timeStart: i32 = 0;
export let timeEnd: i32 = 0;
/** Seconds after the remembered instant (timestamp.ts `instantOf`); -1 if it has another format. */
let timeSeconds: i32 = -1;
/** The remembered text that these seconds refer to. */
let timeSerial: i32 = -1;
export let hostStart: i32 = 0;
export let hostEnd: i32 = 0;
export let tagStart: i32 = 0;
export let tagEnd: i32 = 0;
/** Digits of the pid, empty when there is none. */
export let pidStart: i32 = 0;
export let pidEnd: i32 = 0;
/** First byte of the message after the identifier. */
export let messageStart: i32 = 0;
/** First byte after the timestamp and its brackets: where a filter with prefix `time` begins. */
export let afterTime: i32 = 0;

/*
 * How time and host of the last head are written (linear.ts `lies`): most lines of a log have the
 * same as the line before, except for the digits of the time. Positions count from the start of the
 * line.
 */
/** The serial number of the remembered time in it; another number: no place is remembered. */
let placeSerial: i32 = -1;
/** Length up to the identifier. */
let placeBytes: i32 = 0;
let placeHostStart: i32 = 0;
/** Heads in a row that were written in another way. */
let placeMisses: i32 = 0;
/**
 * After so many we remember another one, so that hosts that write in turn do not replace each other
 * with every line.
 */
const PLACE_MISSES_MAX: i32 = 8;
/** How many places were remembered so far. */
let places: i32 = 0;
/** The place of the last head; -1: none. */
export let place: i32 = -1;

/**
 * End of the timestamp at `start`, or -1. A month name of an unknown language only counts in a
 * head.
 */
// @inline
function scanHeadTime(start: i32, end: i32): i32 {
  const stop = scanTime(start, end);
  return stop < 0 ? foreignEnd(start, end) : stop;
}

/** Longest month name of an unknown language, bytes. */
const FOREIGN_BYTES: i32 = 18;

/** End of "Xxx DD hh:mm:ss ", with an unknown month name and more text than a year after it. */
function foreignEnd(start: i32, end: i32): i32 {
  const word = findByte(start, smaller(start + FOREIGN_BYTES, end), 32);
  // "3月"
  if (word === start || byte(word) !== 32 || (byte(start) < 65 && byte(word - 1) < 128)) return -1;
  const day = byte(word + 1) === 32 ? word + 2 : word + 1;
  const stop = skipDigits(day, day + 2) + 9;
  if (stop + 5 >= end || stop === day + 9 || byte(stop - 9) !== 32 || byte(stop) !== 32) return -1;
  const next = byte(stop + 1);
  return byte(stop - 6) === 58 && byte(stop - 3) === 58 && (next < 48 || next > 57) ? stop : -1;
}

/**
 * Whether we already looked for a time in the current line: 1 it has one, 0 it has none, -1 not
 * yet.
 */
let timed: i32 = -1;
/** Whether the line is one of RFC 5424; its version was read. */
let structured: bool = false;
/** Whether the line's wrapping has a time of its own: then it needs no head. */
let wrapped: bool = false;
/** That time. */
export let stampStart: i32 = 0;
export let stampEnd: i32 = 0;
/** The last head belongs to a wrapped line without an identifier, so any filter may read it. */
export let nameless: bool = false;

/** To be called before a line is first examined. */
export function beginLine(): void {
  timed = -1;
  place = -1;
}

/** Whether the line is `structured` or `wrapped`. */
let shaped: bool = false;

/** The next lines are neither. */
// @inline
export function clearShape(): void {
  if (shaped) setShape(false, false, 0, 0);
}

/** What was found about the next line by the code that unwraps it (unwrap.ts). */
export function setShape(isStructured: bool, isWrapped: bool, start: i32, end: i32): void {
  structured = isStructured;
  wrapped = isWrapped;
  shaped = isStructured || isWrapped;
  stampStart = start;
  stampEnd = end;
  nameless = false;
}

/**
 * Finds the timestamp at the start of the line; false if there is none. Sets timeStart, timeEnd,
 * afterTime.
 */
// @inline
export function readLineTime(start: i32, end: i32): bool {
  if (timed < 0) timed = findLineTime(start, end) ? 1 : 0;
  return timed > 0 || wrapped;
}

// @inline
function findLineTime(start: i32, end: i32): bool {
  timeStart = start;
  timeEnd = start;
  timeSeconds = -1;
  afterTime = start;
  let p = start;
  const bracket = p < end && byte(p) === 91;
  if (bracket) p++;
  const stop = scanHeadTime(p, end);
  if (stop < 0) return false;
  timeStart = p;
  timeEnd = stop;
  if (stop - p === formBytes) timeSeconds = scannedSeconds;
  timeSerial = formSerial;
  p = stop;
  if (bracket) {
    // PHP writes a zone name between the clock and the bracket.
    const close = findByte(p, smaller(p + 40, end), 93);
    if (close >= end || byte(close) !== 93) return false;
    p = close + 1;
  }
  if (p < end && byte(p) === 58) p++;
  while (p < end && (byte(p) === 32 || byte(p) === 9)) p++;
  afterTime = p;
  return true;
}

/** A time begins within this many bytes from the start of a line. */
const CLOCK_BYTES: i32 = 48;

/** Whether "hh:mm:ss" stands near the start of the text [start, end). */
export function hasClock(start: i32, end: i32): bool {
  const limit = smaller(start + CLOCK_BYTES, end - 7);
  for (let p = start; p < limit; p++) {
    if (byte(p + 2) !== 58 || byte(p + 5) !== 58) continue;
    if (digitsBefore(p, p + 2) === p && digitsBefore(p + 3, p + 5) === p + 3 && digitsBefore(p + 6, p + 8) === p + 6)
      return true;
  }
  return false;
}

/**
 * Takes [start, end) as an identifier with an optional "[pid]"; sets the tag and the pid. Returns
 * false if there is a bracket without a pid.
 */
// @inline
function readTag(start: i32, end: i32): bool {
  tagStart = start;
  tagEnd = end;
  pidStart = end;
  pidEnd = end;
  if (end - start > 2 && byte(end - 1) === 93) {
    if (byte(start) === 91) {
      // syslog-ng: "[identifier]:"
      tagStart = start + 1;
      tagEnd = end - 1;
      return true;
    }
    const digits = digitsBefore(start, end - 1);
    if (digits === end - 1 || digits - 1 <= start || byte(digits - 1) !== 91) return false;
    tagEnd = digits - 1;
    pidStart = digits;
    pidEnd = end - 1;
  }
  if (tagEnd - tagStart > 8 && word(tagEnd - 4) === 0x65636976 && word(tagEnd - 8) === 0x7265732e) {
    // journalctl -o with-unit: "ssh.service[1]:", "sshd@5-192.0.2.1:22.service[1]:"
    tagEnd = findByte(tagStart, tagEnd - 8, 64);
  }
  return true;
}

/** The instant of the timestamp as seen at `now`; -1 if its text has to be parsed. */
export function knownTime(now: f64): f64 {
  return timeSerial === formSerial ? instantOf(timeSeconds, now) : -1;
}

/**
 * Skips what some systems put between identifier and message: more blanks (rsyslog keeps the one
 * that a program sent), Solaris' "[ID 1 auth.info] ", a kernel clock.
 */
// @inline
function skipExtras(p: i32, end: i32): i32 {
  while (p < end && byte(p) === 32) p++;
  // Bytes after the end of the line may look like it, but then there is no bracket before the end.
  if (word(p) === 0x2044495b) {
    const close = findByte(p, smaller(p + 48, end), 93);
    if (close + 1 < end && byte(close) === 93 && byte(close + 1) === 32) return close + 2;
  } else if (word(p) === 0x6e72656b && word(p + 4) === 0x203a6c65 && byte(p + 8) === 91) {
    let q = p + 9;
    while (q < end && (byte(q) === 32 || byte(q) === 46 || (byte(q) >= 48 && byte(q) <= 57))) q++;
    if (q + 1 < end && byte(q) === 93 && byte(q + 1) === 32) return q + 2;
  }
  return p;
}

/**
 * Reads host and identifier from `start` (the byte after the timestamp). False if no word looks
 * like an identifier. Sets host, tag, pid and messageStart.
 */
// @inline
export function readIdentifier(start: i32, end: i32): bool {
  place = -1;
  hostStart = start;
  hostEnd = start;
  let p = start;
  for (let words = 0; words < WORDS_MAX; words++) {
    while (p < end && byte(p) === 32) p++;
    if (p >= end) break;
    const stop = findByte(p, end, 32);
    const last = byte(stop - 1);
    let message = -1;
    if (last === 58) {
      if (readTag(p, stop - 1)) message = stop + 1;
    } else if (last === 93 && readTag(p, stop) && pidStart < pidEnd) message = stop + 1;
    else if (byte(stop + 1) === 91) {
      // "identifier [pid]: message"
      const close = findByte(stop + 2, smaller(stop + 14, end), 93);
      if (
        close + 1 < end &&
        byte(close) === 93 &&
        byte(close + 1) === 58 &&
        close > stop + 2 &&
        digitsBefore(stop + 2, close) === stop + 2
      ) {
        tagStart = p;
        tagEnd = stop;
        pidStart = stop + 2;
        pidEnd = close;
        message = close + 3;
      }
    }
    if (message >= 0) {
      messageStart = skipExtras(smaller(message, end), end);
      return true;
    }
    // FreeBSD's "<facility.level>" is not a host.
    if (words === 0 || byte(hostStart) === 60) {
      hostStart = p;
      hostEnd = stop;
    }
    p = stop + 1;
  }
  return false;
}

/**
 * Reads the head of a syslog line: its time, if it has one, and its identifier. False if no word
 * looks like an identifier.
 */
// @inline
export function readHead(start: i32, end: i32): bool {
  if (shaped) return structured ? readStructured(start, end) : readWrapped(start, end);
  const tag = skipPlace(start, end);
  if (tag >= 0 && readHeaded(tag, end) && beginsPlainly()) {
    timeStart = start;
    timeEnd = start + formBytes;
    timeSeconds = placeSeconds;
    timeSerial = formSerial;
    afterTime = hostStart;
    return true;
  }
  readLineTime(start, end);
  if (!readIdentifier(afterTime, end)) return false;
  if (++placeMisses > PLACE_MISSES_MAX || placeSerial !== formSerial) rememberPlace(start);
  return true;
}

/**
 * Reads the head of a line of RFC 5424, "time host identifier pid message-id data"; each of them
 * may be "-"; a byte order mark may precede the message. False if there is no such head.
 */
function readStructured(start: i32, end: i32): bool {
  if (start + 1 < end && byte(start) === 45 && byte(start + 1) === 32) {
    timed = 0;
    timeStart = start;
    timeEnd = start;
    timeSeconds = -1;
    afterTime = start + 2;
  } else if (!readLineTime(start, end)) return false;
  hostStart = afterTime;
  hostEnd = findByte(afterTime, end, 32);
  tagStart = smaller(hostEnd + 1, end);
  tagEnd = findByte(tagStart, end, 32);
  pidStart = smaller(tagEnd + 1, end);
  pidEnd = findByte(pidStart, end, 32);
  const data = smaller(findByte(smaller(pidEnd + 1, end), end, 32) + 1, end);
  messageStart = skipData(data, end);
  if (messageStart < 0) return false;
  if (digitsBefore(pidStart, pidEnd) !== pidStart) pidEnd = pidStart;
  return tagEnd - tagStart > 1 || byte(tagStart) !== 45;
}

/** Start of the message after the structured data at `p`, or -1. */
function skipData(p: i32, end: i32): i32 {
  if (p >= end) return -1;
  if (byte(p) !== 45 && byte(p) !== 91) return -1;
  if (byte(p) === 45) p++;
  while (p < end && byte(p) === 91) {
    let quoted = false;
    for (p++; p < end && (quoted || byte(p) !== 93); p++) {
      if (byte(p) === 34) quoted = !quoted;
      else if (quoted && byte(p) === 92) p++;
    }
    if (p >= end) return -1;
    p++;
  }
  if (p < end && byte(p) !== 32) return -1;
  // rsyslog puts a blank before a message that already begins with one.
  while (p < end && byte(p) === 32) p++;
  return p + 3 <= end && byte(p) === 0xef && byte(p + 1) === 0xbb && byte(p + 2) === 0xbf ? p + 3 : p;
}

/**
 * Reads the head of a wrapped line. A service that writes to a container's log or to svlogd gets
 * the time from there and needs no identifier; one before the message counts only if a time or a
 * pid confirms it.
 */
function readWrapped(start: i32, end: i32): bool {
  const isTimed = readLineTime(start, end) && timeEnd > timeStart;
  const first = findByte(afterTime, end, 32);
  const hasPid = first > afterTime + 1 && byte(first - 1) === 58 && byte(first - 2) === 93;
  nameless = !(isTimed || hasPid) || !readIdentifier(afterTime, end);
  if (!nameless) return true;
  readIdentifier(afterTime, afterTime);
  tagStart = afterTime;
  tagEnd = afterTime;
  pidStart = afterTime;
  pidEnd = afterTime;
  messageStart = afterTime;
  return true;
}

/**
 * Reads "[identifier] message" after the time of the last head (metalog, which writes no host).
 * False if there is no such word; then the head has to be read again.
 */
export function readBracketed(end: i32): bool {
  const start = afterTime + 1;
  const close = findByte(start, smaller(start + 64, end), 93);
  if (timeStart === timeEnd || close + 1 >= end || close === start) return false;
  if (byte(close) !== 93 || byte(close + 1) !== 32 || findByte(start, close, 32) < close) return false;
  place = -1;
  hostStart = start;
  hostEnd = start;
  tagStart = start;
  tagEnd = close;
  pidStart = close;
  pidEnd = close;
  messageStart = close + 2;
  return true;
}

/** Whether the last identifier is the syslog daemon's. */
export function isSyslogd(): bool {
  return tagEnd - tagStart === 7 && word(tagStart) === 0x6c737973 && word(tagStart + 3) === 0x64676f6c;
}

/** Seconds after the remembered instant (timestamp.ts) of the time that `skipPlace` found. */
export let placeSeconds: i32 = 0;

/**
 * The position of the identifier in a line that begins with the remembered time and host, and ends
 * before `end`; else -1. Sets host and time.
 */
// @inline
export function skipPlace(start: i32, end: i32): i32 {
  const tag = start + placeBytes;
  if (placeSerial !== formSerial || tag >= end) return -1;
  if (!lies(start, HEAD_FORM, HEAD_FORM + HEAD_FORM_BYTES, (placeBytes + 15) >> 4)) return -1;
  placeSeconds = secondsAt(start);
  if (placeSeconds < 0) return -1;
  hostStart = start + placeHostStart;
  hostEnd = tag - 1;
  place = places;
  placeMisses = 0;
  return tag;
}

/**
 * Reads the identifier at `tag` and the blank after it, in the usual form. False if the usual path
 * has to read it.
 */
// @inline
export function readHeaded(tag: i32, end: i32): bool {
  if (byte(tag) === ascii.OPEN_BRACKET || byte(tag) === ascii.SPACE) return false;
  const stop = findByte(tag, end, ascii.SPACE);
  if (stop === end || byte(stop - 1) !== ascii.COLON || !readTag(tag, stop - 1)) return false;
  messageStart = stop + 1;
  // "last": it may repeat the line before, with any identifier (repeat.ts).
  return word(messageStart) !== 0x7473616c;
}

/**
 * False if the line may stand for several, or something may stand before its message: then the
 * usual path has to read it.
 */
// @inline
export function beginsPlainly(): bool {
  // A blank, "[ID ", "kern", "mess"
  const first = word(messageStart);
  return (first & 255) !== 32 && first !== 0x2044495b && first !== 0x6e72656b && first !== 0x7373656d;
}

/**
 * Remembers time and host of the last head, if they are in this order: time, host, identifier, with
 * a blank before each.
 */
function rememberPlace(start: i32): void {
  placeSerial = -1;
  placeMisses = 0;
  const length = tagStart - start;
  if (timeSeconds < 0 || timeStart !== start || length > HEAD_FORM_BYTES) return;
  if (hostStart !== afterTime || hostEnd <= hostStart || hostEnd + 1 !== tagStart) return;
  copyBytes(HEAD_FORM, TIME_FORM, formBytes);
  copyBytes(HEAD_FORM + HEAD_FORM_BYTES, TIME_FORM + TIME_FORM_BYTES, formBytes);
  for (let i = formBytes; i < HEAD_FORM_BYTES; i++) {
    setByte(HEAD_FORM + i, i < length ? byte(start + i) : 0);
    setByte(HEAD_FORM + HEAD_FORM_BYTES + i, i < length ? 0 : 255);
  }
  placeBytes = length;
  placeHostStart = hostStart - start;
  placeSerial = formSerial;
  places++;
}

/** [start, end) replaces the pid. */
export function setPid(start: i32, end: i32): void {
  pidStart = start;
  pidEnd = end;
}
