/**
 * Scans shared by matchers: runs of a byte class, and the source address. An attacker controls
 * every byte; every scan stays in [at, end) and takes at most end - at steps.
 */

import { addressBits, byte, findByte, findByteLast, int, lowestBit, skipDecimal, skipDigits } from '#linear';

export { skipDigits, skipNonspace } from '#linear';

import { dotsIn } from './address.ts';
import * as ascii from './ascii.ts';
import { captureAddress } from './capture.ts';

/** Longest port, digits. */
const portDigitsMax: i32 = 5;

/** A longer run of address bytes is neither an address nor a host name. */
const addressBytesMax: i32 = 255;

export function smaller(a: i32, b: i32): i32 {
  return a < b ? a : b;
}

export function larger(a: i32, b: i32): i32 {
  return a > b ? a : b;
}

function isDigit(value: i32): bool {
  return value >= ascii.ZERO && value <= ascii.NINE;
}

function isLetter(value: i32): bool {
  const lower = value | 32;
  return lower >= ascii.LOWER_A && lower <= ascii.LOWER_Z;
}

/** End of the run of 0-9, A-F, a-f at `at`. */
export function skipHex(at: i32, end: i32): i32 {
  while (at < end) {
    const value = byte(at);
    const lower = value | 32;
    if (!isDigit(value) && (lower < ascii.LOWER_A || lower > ascii.LOWER_F)) break;
    at++;
  }
  return at;
}

/** End of the run of letters, digits and `_` at `at`. */
export function skipWord(at: i32, end: i32): i32 {
  while (at < end) {
    const value = byte(at);
    if (!isLetter(value) && !isDigit(value) && value !== ascii.UNDERSCORE) break;
    at++;
  }
  return at;
}

/** End of the run of letters at `at`. */
export function skipAlpha(at: i32, end: i32): i32 {
  while (at < end && isLetter(byte(at))) at++;
  return at;
}

/** End of the run of blanks (tab, LF, VT, FF, CR, space) at `at`. */
export function skipSpace(at: i32, end: i32): i32 {
  while (at < end) {
    const value = byte(at);
    if (value !== ascii.SPACE && (value < ascii.TAB || value > ascii.RETURN)) break;
    at++;
  }
  return at;
}

/** Whether the byte is in the class whose 256 bits are at `bitmap`. */
export function inBitmap(bitmap: i32, value: i32): bool {
  return ((int(bitmap + ((value >> 5) << 2)) >> (value & 31)) & 1) === 1;
}

/**
 * End of the run of bytes at `at` that are in the class at `bitmap` (`wanted` 1) or not in it
 * (`wanted` 0).
 */
export function skipBitmap(at: i32, end: i32, bitmap: i32, wanted: bool): i32 {
  while (at < end && inBitmap(bitmap, byte(at)) === wanted) at++;
  return at;
}

/**
 * The source address at `at`, as `ip` in src/compiler/pattern.ts defines it. Captures it and
 * returns the position after it, or -1. Only checks the structure; address.ts parses it.
 */
export function scanAddress(at: i32, end: i32): i32 {
  if (at >= end) return -1;
  if (byte(at) === ascii.OPEN_BRACKET) return scanBracketed(at + 1, end);
  const limit = smaller(end, at + addressBytesMax + 1);
  let stop = skipDecimal(at, limit);
  if (stop < limit && (addressBits(stop) & 1) !== 0) stop = skipName(stop, limit, findByte(at, stop, ascii.DOT) < stop);
  if (stop - at > addressBytesMax) return -1;
  stop = withoutColon(at, stop);
  while (stop > at && byte(stop - 1) === ascii.DOT) stop--;
  if (stop === at) return -1;
  captureAddress(at, stop);
  return stop;
}

/**
 * Whether `scanAddress` would match exactly [at, stop), where `stop` holds no byte of an address.
 * If so, captures it. False for host names, which the general path handles.
 */
export function fillsAddress(at: i32, stop: i32, end: i32): bool {
  if (dotsIn(at, stop - at) >= 0) {
    captureAddress(at, stop);
    return stop > at && byte(stop - 1) !== ascii.DOT;
  }
  return findByte(at, stop, ascii.COLON) < stop && scanAddress(at, end) === stop;
}

/** The same for `ip` with `port`: returns the position after the port, or -1. */
export function scanAddressPort(at: i32, end: i32): i32 {
  const stop = scanAddress(at, end);
  if (stop < 0) return -1;
  const after = skipPort(stop, end);
  if (after >= 0) return after;
  const dot = dotBeforePort(at, stop);
  if (dot > at) {
    captureAddress(at, dot);
    return stop;
  }
  // No port ends in a bracket, so a port inside brackets is not found.
  const colon = findByteLast(at, stop, ascii.COLON);
  if (colon <= at || skipPort(colon, stop) !== stop || withoutColon(at, colon) !== colon) return -1;
  captureAddress(at, colon);
  return stop;
}

/**
 * The dot before the port in "192.0.2.7.40122" and "2001:db8::7.40122" (neither is an address), or
 * -1.
 */
function dotBeforePort(at: i32, stop: i32): i32 {
  const dot = findByteLast(at, stop, ascii.DOT);
  const digits = stop - dot - 1;
  if (dot <= at || digits < 1 || digits > portDigitsMax || skipDigits(dot + 1, stop) < stop) return -1;
  let dots = 0;
  for (let p = at; p < dot; p++) if (byte(p) === ascii.DOT) dots++;
  return dots === 3 || (dots === 0 && findByte(at, dot, ascii.COLON) < dot) ? dot : -1;
}

/** The position after the `:` and one to five digits at `at`, or -1. */
function skipPort(at: i32, end: i32): i32 {
  if (at >= end || byte(at) !== ascii.COLON) return -1;
  const stop = skipDigits(at + 1, smaller(end, at + portDigitsMax + 2));
  const digits = stop - at - 1;
  return digits >= 1 && digits <= portDigitsMax ? stop : -1;
}

/** End of the run of bytes at `at` that may occur in an address. */
function skipAddressBytes(at: i32, limit: i32): i32 {
  while (at < limit) {
    const run = lowestBit(~addressBits(at));
    if (run < 16) return smaller(at + run, limit);
    at += 16;
  }
  return limit;
}

/** The rest of a run that is not only digits and dots; a `:` after a dot ends it. */
function skipName(at: i32, limit: i32, dotted: bool): i32 {
  const stop = skipAddressBytes(at, limit);
  const dot = dotted ? at : findByte(at, stop, ascii.DOT);
  return findByte(dot, stop, ascii.COLON);
}

/**
 * `stop`; or the position of a `:` at the end of the run [at, stop), if it is not the second of a
 * `::`.
 */
function withoutColon(at: i32, stop: i32): i32 {
  if (stop === at || byte(stop - 1) !== ascii.COLON) return stop;
  if (stop - at === 1 || byte(stop - 2) !== ascii.COLON) return stop - 1;
  return stop - at > 2 && byte(stop - 3) === ascii.COLON ? stop - 1 : stop;
}

function scanBracketed(at: i32, end: i32): i32 {
  const limit = smaller(end, at + addressBytesMax + 1);
  const stop = skipAddressBytes(at, limit);
  if (stop === at || stop >= limit || byte(stop) !== ascii.CLOSE_BRACKET) return -1;
  captureAddress(at, stop);
  return stop + 1;
}
