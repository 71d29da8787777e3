/**
 * Lines that stand for several others.
 *
 * - "message repeated 5 times: [ text]": rsyslog writes this instead of five more lines that equal
 *   the one before ($RepeatedMsgReduction, on in Ubuntu). Input: a message after a syslog head;
 *   `text` may hold anything; it ends where the line ends.
 * - "last message repeated 5 times": the same from sysklogd, the syslogd of BSD and rsyslog before
 *   5.
 *   It names nobody, so the meaning of the line before is remembered: the last counting line of
 *   each
 *   source and group, in a table of LASTS_MAX places, where a newer line replaces the older one. It
 *   only repeats a line that it directly follows, in the same source and with the same host: if
 *   another line is in between, that one was repeated.
 */
import { byte, digitsBefore, fillZero, float, int, product, setFloat, setInt, skipDigits, word } from '#linear';
import { copyAddress } from './address.ts';
import * as ascii from './ascii.ts';
import * as layout from './layout.ts';
import { smaller } from './scan.ts';

/** Longest number of repeats that is read, digits. */
const DIGITS_MAX: i32 = 9;
/**
 * "message repeated ", then digits, then " times: [" and a text of which rsyslog keeps 800 bytes.
 */
const HEAD_BYTES: i32 = 17;
const MIDDLE_BYTES: i32 = 9;
const TEXT_BYTES_MAX: i32 = 800;

/** How many times the message was written, and where its text is; set by `readRepeat`. */
export let repeats: i32 = 1;
export let textStart: i32 = 0;
export let textEnd: i32 = 0;
/** Whether the text ended where rsyslog cut it. */
export let textCut: bool = false;

/** Whether the message [start, end) stands for several equal ones. */
// @inline
export function readRepeat(start: i32, end: i32): bool {
  // "mess"
  return word(start) === 0x7373656d && readRest(start, end);
}

function readRest(start: i32, end: i32): bool {
  // "age repeated "
  if (word(start + 4) !== 0x20656761 || word(start + 8) !== 0x65706572 || word(start + 12) !== 0x64657461) return false;
  const digits = start + HEAD_BYTES;
  const stop = skipDigits(digits, smaller(end, digits + DIGITS_MAX));
  const text = stop + MIDDLE_BYTES;
  // " times: ["
  if (stop === digits || byte(digits - 1) !== ascii.SPACE || text >= end || byte(end - 1) !== ascii.CLOSE_BRACKET)
    return false;
  if (word(stop) !== 0x6d697420 || word(stop + 4) !== 0x203a7365 || byte(stop + 8) !== ascii.OPEN_BRACKET) return false;
  readNumber(digits, stop);
  textStart = byte(text) === ascii.SPACE ? text + 1 : text;
  textEnd = end - 1;
  textCut = textEnd - text >= TEXT_BYTES_MAX;
  return repeats > 0 && textStart < textEnd;
}

/** Reads the number of repeats from the digits [start, end), at most DIGITS_MAX. */
function readNumber(start: i32, end: i32): void {
  repeats = 0;
  for (let p = start; p < end; p++) repeats = repeats * 10 + byte(p) - ascii.ZERO;
  repeats = smaller(repeats, layout.MAXRETRY_MAX);
}

/** "last message repeated " */
const LAST_TEXT_BYTES: i32 = 22;

/**
 * The start of "last message repeated N times" at the end of the line [start, end), or -1. Sets
 * `repeats`.
 */
// @inline
export function readLast(start: i32, end: i32): i32 {
  const tail = word(end - 4);
  // "imes", "time"
  return tail === 0x73656d69 || tail === 0x656d6974 ? readLastRest(start, end) : -1;
}

function readLastRest(start: i32, end: i32): i32 {
  const stop = end - (byte(end - 1) === 115 ? 6 : 5);
  const digits = digitsBefore(start, stop);
  const p = digits - LAST_TEXT_BYTES;
  if (p < start || stop === digits || stop - digits > DIGITS_MAX || word(stop) !== 0x6d697420) return -1;
  // "last message repeate"
  if (word(p) !== 0x7473616c || word(p + 4) !== 0x73656d20 || word(p + 8) !== 0x65676173) return -1;
  if (word(p + 12) !== 0x70657220 || word(p + 16) !== 0x65746165) return -1;
  if (byte(p + 20) !== 100 || byte(p + 21) !== ascii.SPACE) return -1;
  readNumber(digits, stop);
  return repeats > 0 ? p : -1;
}

/* Fields of a line that may be repeated. */
const SOURCE: i32 = 0;
/** Group + 1; 0: nothing. */
const OWNER: i32 = 4;
const HOST: i32 = 8;
export const PATTERN: i32 = 12;
/** Offset of the line after it. */
const NEXT: i32 = 16;
/** What tells its attempt apart (attempts.ts). */
export const MARK: i32 = 24;
export const USER: i32 = 28;
export const HOME: i32 = 32;

// @inline
function placeOf(source: i32, group: i32): i32 {
  return layout.lastsAt + ((source + product(group, 37)) & (layout.LASTS_MAX - 1)) * layout.LAST_BYTES;
}

/** Remembers the meaning of the line that ends before offset `next`; its address is in ADDRESS. */
export function keepLast(source: i32, group: i32, host: i32, pattern: i32, next: f64, mark: i32, user: i32): void {
  const p = placeOf(source, group);
  setInt(p + SOURCE, source);
  setInt(p + OWNER, group + 1);
  setInt(p + HOST, host);
  setInt(p + PATTERN, pattern);
  setFloat(p + NEXT, next);
  setInt(p + MARK, mark);
  setInt(p + USER, user);
  copyAddress(p + HOME, layout.ADDRESS);
}

/** The record of the line directly before the one at `offset`, or -1. */
export function findLast(source: i32, group: i32, host: i32, offset: f64): i32 {
  const p = placeOf(source, group);
  if (int(p + SOURCE) !== source || int(p + OWNER) !== group + 1) return -1;
  return int(p + HOST) === host && float(p + NEXT) === offset ? p : -1;
}

/**
 * Forgets the lines of `source`, or all (-1), when its number, or those of groups, have a new
 * meaning.
 */
export function forgetLasts(source: i32): void {
  const end = layout.lastsAt + layout.LASTS_MAX * layout.LAST_BYTES;
  for (let p = layout.lastsAt; p < end; p += layout.LAST_BYTES)
    if (source < 0 || int(p + SOURCE) === source) fillZero(p, layout.LAST_BYTES);
}
