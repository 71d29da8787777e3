/**
 * Runs an operator's filter as a token stream (format: src/compiler/encode.ts) over a message. The
 * result is the same as that of the matcher that the compiler would emit for the filter. An
 * attacker controls the message. The program is our own: the compiler has checked it, and the VM
 * checks every access. Work is O(line) per pattern; lists nest as deep as in the definition.
 */
import { byte, findByte, findByteLast, findWordLast, int } from '#linear';
import * as ascii from './ascii.ts';
import * as capture from './capture.ts';
import { larger, scanAddress, scanAddressPort, skipBitmap, smaller } from './scan.ts';
import { scanTime } from './timestamp.ts';

/* Operations: src/compiler/operations.ts. */
export const LITERAL: i32 = 1;
export const CHOICE: i32 = 2;
export const OPTIONAL: i32 = 3;
export const EITHER: i32 = 4;
export const LIST: i32 = 5;
export const REPEAT: i32 = 6;
export const SPAN: i32 = 7;
export const IP: i32 = 8;
export const TIME: i32 = 9;
export const END: i32 = 10;
export const TEXT: i32 = 11;

/* Offsets in a program's header and in a row of its table. */
const PATTERNS: i32 = 4;
const PREFIXES: i32 = 8;
const CONNECTION: i32 = 12;
const TAGS: i32 = 16;
const FIRST_TAG: i32 = 20;
const ROW_BYTES: i32 = 20;

/* Offsets of an instruction's operands. */
const OPERANDS: i32 = 8;
const SPAN_CLASS: i32 = 20;
const TEXT_CLASS: i32 = 28;
const TEXT_PIVOT: i32 = 60;

/** The prefixes before a message, as in `filterPrefixes`. */
export function programPrefixes(program: i32): i32 {
  return int(program + PREFIXES);
}

/** How attempts are told apart, as in `filterConnection`. */
export function programConnection(program: i32): i32 {
  return int(program + CONNECTION);
}

/** Whether the program reads messages of the syslog identifier [start, end). */
export function programTag(program: i32, start: i32, end: i32): bool {
  const tags = int(program + TAGS);
  let tag = program + FIRST_TAG;
  for (let i = 0; i < tags; i++) {
    if (tagIs(tag, start, end)) return true;
    tag = afterBytes(tag);
  }
  return tags === 0;
}

/**
 * Whether [start, end) is the counted bytes at `p`; if these end in `*`, whether it begins with
 * what stands before the `*`.
 */
function tagIs(p: i32, start: i32, end: i32): bool {
  const length = int(p);
  if (length === end - start && literalAt(p, start, end)) return true;
  if (byte(p + 3 + length) !== ascii.STAR || end - start < length - 1) return false;
  for (let i = 0; i < length - 1; i++) {
    if (byte(start + i) !== byte(p + 4 + i)) return false;
  }
  return true;
}

/** The first row of the program's table of patterns. */
function tableAt(program: i32): i32 {
  let at = program + FIRST_TAG;
  for (let tags = int(program + TAGS); tags > 0; tags--) at = afterBytes(at);
  return at;
}

/** The flags of pattern number `pattern`, as in `patternFlags`. */
export function programFlags(program: i32, pattern: i32): i32 {
  let row = tableAt(program);
  for (let left = int(program + PATTERNS); left > 0; left--) {
    if (int(row) === pattern) return int(row + 8);
    row += ROW_BYTES;
  }
  return 0;
}

/**
 * The number of the first pattern that matches the message [start, end) in `mode` (a bit), or -1;
 * as in `matchFilter`.
 */
export function interpret(program: i32, start: i32, end: i32, mode: i32): i32 {
  let row = tableAt(program);
  for (let left = int(program + PATTERNS); left > 0; left--) {
    const modes = int(row + 4);
    if (modes === 0 || (modes & mode) !== 0) {
      if (walk(program + int(row + 12), program + int(row + 16), start, end) >= 0) return int(row);
      capture.clearCaptures();
    }
    row += ROW_BYTES;
  }
  return -1;
}

/** Runs the instructions in [code, stop) from `at`; returns the position after them, or -1. */
function walk(code: i32, stop: i32, at: i32, end: i32): i32 {
  while (code < stop && at >= 0) {
    const next = code + int(code + 4);
    at = step(int(code), code + OPERANDS, next, at, end);
    code = next;
  }
  return at;
}

/** Runs one instruction, whose operands are [p, stop). */
function step(operation: i32, p: i32, stop: i32, at: i32, end: i32): i32 {
  if (operation === LITERAL) return literalAt(p, at, end) ? at + int(p) : -1;
  if (operation === SPAN) return span(p, at, end);
  if (operation === IP) return int(p) !== 0 ? scanAddressPort(at, end) : scanAddress(at, end);
  if (operation === TEXT) return text(p, stop, at, end);
  if (operation === OPTIONAL) {
    const after = attempt(p, stop, at, end);
    return after < 0 ? at : after;
  }
  if (operation === CHOICE) return choice(p, stop, at, end);
  if (operation === EITHER) return either(p, stop, at, end);
  if (operation === REPEAT) return repeat(p, stop, at, end);
  if (operation === TIME) return time(at, end);
  return at === end ? at : -1;
}

/** Like `walk`; after a failure the captures are unchanged. */
function attempt(code: i32, stop: i32, at: i32, end: i32): i32 {
  const address = capture.addressStart;
  const addressStop = capture.addressEnd;
  const user = capture.userStart;
  const userStop = capture.userEnd;
  const stamp = capture.timeStart;
  const stampStop = capture.timeEnd;
  const after = walk(code, stop, at, end);
  if (after < 0) {
    capture.captureAddress(address, addressStop);
    capture.captureUser(user, userStop);
    capture.captureTime(stamp, stampStop);
  }
  return after;
}

/** The position after counted bytes at `p`. */
function afterBytes(p: i32): i32 {
  return p + 4 + ((int(p) + 3) & -4);
}

/** Whether the counted bytes at `p` stand at `at`. */
function literalAt(p: i32, at: i32, end: i32): bool {
  const length = int(p);
  if (end - at < length) return false;
  for (let i = 0; i < length; i++) {
    if (byte(at + i) !== byte(p + 4 + i)) return false;
  }
  return true;
}

function choice(p: i32, stop: i32, at: i32, end: i32): i32 {
  while (p < stop) {
    if (literalAt(p, at, end)) return at + int(p);
    p = afterBytes(p);
  }
  return -1;
}

/** Operands: LIST instructions; the first one that matches is taken. */
function either(p: i32, stop: i32, at: i32, end: i32): i32 {
  while (p < stop) {
    const next = p + int(p + 4);
    const after = attempt(p + OPERANDS, next, at, end);
    if (after >= 0) return after;
    p = next;
  }
  return -1;
}

/** Operands: maximum number of rounds, instructions. */
function repeat(p: i32, stop: i32, at: i32, end: i32): i32 {
  for (let left = int(p); left > 0; left--) {
    const after = attempt(p + 4, stop, at, end);
    if (after <= at) break;
    at = after;
  }
  return at;
}

/** Operands: min, max, capture, class. */
function span(p: i32, at: i32, end: i32): i32 {
  const longest = int(p + 4);
  const after = skipBitmap(at, smaller(end, at + longest + 1), p + SPAN_CLASS - OPERANDS, true);
  if (after - at < int(p) || after - at > longest) return -1;
  if (int(p + 8) !== 0) capture.captureUser(at, after);
  return after;
}

function time(at: i32, end: i32): i32 {
  const after = scanTime(at, end);
  if (after >= 0) capture.captureTime(at, after);
  return after;
}

/**
 * Operands: from right, max (-1 none), capture, bytes the segment takes at least, its first byte
 * (-1 unknown), class of bytes that cannot be in the text; the fewest and most bytes from the
 * segment's start to the pivot (src/compiler/pivot.ts) and the pivot as counted bytes, none where
 * there is no pivot; the segment's instructions.
 */
function text(p: i32, stop: i32, at: i32, end: i32): i32 {
  const longest = int(p + 4);
  const shortest = int(p + 12);
  const first = int(p + 16);
  const limit = skipBitmap(at, longest < 0 ? end : smaller(end, at + longest), p + TEXT_CLASS - OPERANDS, false);
  const pivot = p + TEXT_PIVOT - OPERANDS;
  let lowest = at;
  let beyond = smaller(limit, end - shortest) + 1;
  if (int(pivot + 8) !== 0) {
    const last = lastLiteral(pivot + 8, at, end);
    if (last < 0) return -1;
    lowest = larger(at, last - int(pivot + 4));
    beyond = smaller(beyond, last - int(pivot) + 1);
  }
  const segment = afterBytes(pivot + 8);
  const fromRight = int(p) !== 0;
  let place = fromRight ? beyond : lowest - 1;
  while (true) {
    place = fromRight ? placeBefore(lowest, place, first) : placeAfter(place + 1, beyond, first);
    if (place < lowest) return -1;
    const after = attempt(segment, stop, place, end);
    if (after >= 0) {
      if (int(p + 8) !== 0) capture.captureUser(at, place);
      return after;
    }
  }
}

/** The last position in [at, end) of the counted bytes at `p`, or -1. */
function lastLiteral(p: i32, at: i32, end: i32): i32 {
  const length = int(p);
  let beyond = end - length + 1;
  while (true) {
    const place =
      length < 4 ? findByteLast(at, beyond, byte(p + 4)) : findWordLast(at, smaller(end, beyond + 3), int(p + 4));
    if (place < at || literalAt(p, place, end)) return place;
    beyond = place;
  }
}

/** The last position in [at, place) of `first` (any position if that is -1), or -1. */
function placeBefore(at: i32, place: i32, first: i32): i32 {
  if (first < 0) return place - 1 < at ? -1 : place - 1;
  return findByteLast(at, place, first);
}

/** The first position in [place, beyond) of `first` (any position if that is -1), or -1. */
function placeAfter(place: i32, beyond: i32, first: i32): i32 {
  if (place >= beyond) return -1;
  if (first < 0) return place;
  const found = findByte(place, beyond, first);
  return found < beyond ? found : -1;
}
