/**
 * "message repeated 5 times: [ text]": what rsyslog writes instead of five more lines that equal
 * the one before ($RepeatedMsgReduction, on in Ubuntu). Input: a message behind a syslog head;
 * `text` may hold anything, its end is the end of the line.
 */
import { byte, skipDigits, word } from '#linear';
import * as ascii from './ascii.ts';
import { MAXRETRY_MAX } from './layout.ts';
import { smaller } from './scan.ts';

/** Digits of a number of repeats that are read. */
const DIGITS_MAX: i32 = 9;
/**
 * "message repeated ", then digits, then " times: [" and a text of which rsyslog keeps 800 bytes.
 */
const HEAD_BYTES: i32 = 17;
const MIDDLE_BYTES: i32 = 9;
const TEXT_BYTES_MAX: i32 = 800;

/** How often the message was written, and where its text stands; set by `readRepeat`. */
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
  repeats = 0;
  for (let p = digits; p < stop; p++) repeats = repeats * 10 + byte(p) - ascii.ZERO;
  repeats = smaller(repeats, MAXRETRY_MAX);
  textStart = byte(text) === ascii.SPACE ? text + 1 : text;
  textEnd = end - 1;
  textCut = textEnd - text >= TEXT_BYTES_MAX;
  return repeats > 0 && textStart < textEnd;
}
