/**
 * Searches and runs, byte by byte: in plain TypeScript, and in the wasm build for processors
 * without SIMD. The other wasm build (../simd/#linear.ts) examines 16 or 64 bytes a step, and may
 * read (never write) up to 63 bytes after `end` or eighteen before `p`; the layout leaves that much
 * memory around every region that holds lines.
 */
import { byte, int, seconds, word } from '#linear';

/** First position of `wanted` in [p, end), or `end`. */
export function findByte(p: i32, end: i32, wanted: i32): i32 {
  for (let q = p; q < end; q++) if (byte(q) === wanted) return q;
  return end;
}

/** Last position of `wanted` in [p, end), or -1. */
export function findByteLast(p: i32, end: i32, wanted: i32): i32 {
  for (let q = end - 1; q >= p; q--) if (byte(q) === wanted) return q;
  return -1;
}

/** First position in [p, end - 2] of the two bytes that make `wanted`, little-endian, or `end`. */
export function findPair(p: i32, end: i32, wanted: i32): i32 {
  for (let q = p; q + 2 <= end; q++) if ((byte(q) | (byte(q + 1) << 8)) === wanted) return q;
  return end;
}

/** Last position in [p, end - 2] of the two bytes that make `wanted`, little-endian, or -1. */
export function findPairLast(p: i32, end: i32, wanted: i32): i32 {
  for (let q = end - 2; q >= p; q--) if ((byte(q) | (byte(q + 1) << 8)) === wanted) return q;
  return -1;
}

/** First position in [p, end - 4] of the four bytes that `word` reads as `wanted`, or `end`. */
export function findWord(p: i32, end: i32, wanted: i32): i32 {
  for (let q = p; q + 4 <= end; q++) if (word(q) === wanted) return q;
  return end;
}

/** Whether one of two four-byte words, as `word` reads them, is in [p, end). */
export function holdsWord(p: i32, end: i32, one: i32, other: i32): bool {
  return findWord(p, end, one) < end || findWord(p, end, other) < end;
}

/** Last position in [p, end - 4] of the four bytes that `word` reads as `wanted`, or -1. */
export function findWordLast(p: i32, end: i32, wanted: i32): i32 {
  for (let q = end - 4; q >= p; q--) if (word(q) === wanted) return q;
  return -1;
}

/* Runs of a byte class. */

/** End of the run of 0-9 in [p, end). */
export function skipDigits(p: i32, end: i32): i32 {
  while (p < end && byte(p) >= 48 && byte(p) <= 57) p++;
  return p;
}

/** End of the run of 0-9 and '.' in [p, end). */
export function skipDecimal(p: i32, end: i32): i32 {
  while (p < end && byte(p) <= 57 && (byte(p) >= 48 || byte(p) === 46)) p++;
  return p;
}

/** End of the run of bytes other than blanks (tab, LF, VT, FF, CR, space) in [p, end). */
export function skipNonspace(p: i32, end: i32): i32 {
  while (p < end && byte(p) !== 32 && (byte(p) < 9 || byte(p) > 13)) p++;
  return p;
}

/**
 * Whether each byte at `p`, `blocks` times sixteen of them, is at least the byte at `low` and at
 * most that plus the one at `range`: compares a text with a form (layout.ts).
 */
export function lies(p: i32, low: i32, range: i32, blocks: i32): bool {
  for (let i = 0; i < blocks << 4; i++) {
    if (((byte(p + i) - byte(low + i)) & 255) > byte(range + i)) return false;
  }
  return true;
}

/** Start of the run of 0-9 that ends at `end`, not before `start`. */
export function digitsBefore(start: i32, end: i32): i32 {
  while (end > start && byte(end - 1) >= 48 && byte(end - 1) <= 57) end--;
  return end;
}

/** Which of the sixteen bytes at `p` are `wanted`, one bit each, lowest first. */
export function byteBits(p: i32, wanted: i32): i32 {
  let bits = 0;
  for (let i = 0; i < 16; i++) if (byte(p + i) === wanted) bits |= 1 << i;
  return bits;
}

/** Which of the sixteen bytes at `p` are 0-9, one bit each, lowest first. */
export function digitBits(p: i32): i32 {
  let bits = 0;
  for (let i = 0; i < 16; i++) if (byte(p + i) >= 48 && byte(p + i) <= 57) bits |= 1 << i;
  return bits;
}

/** Which of the eight bytes at `p` and of those at `q` are `wanted`, one bit each, lowest first. */
export function matchBits(p: i32, q: i32, wanted: i32): i32 {
  let bits = 0;
  for (let i = 0; i < 8; i++) {
    if (byte(p + i) === wanted) bits |= 1 << i;
    if (byte(q + i) === wanted) bits |= 256 << i;
  }
  return bits;
}

/** Which of the four words at `p` are `wanted`, one bit each, lowest first. */
export function wordsAre(p: i32, wanted: i32): i32 {
  let bits = 0;
  for (let i = 0; i < 4; i++) if (int(p + i * 4) === wanted) bits |= 1 << i;
  return bits;
}

/** Which of the four unsigned words at `p` is the smallest; the first of equals. */
export function leastWord(p: i32): i32 {
  let least = 0;
  for (let i = 1; i < 4; i++) if (seconds(p + i * 4) < seconds(p + least * 4)) least = i;
  return least;
}

/**
 * Which of the sixteen bytes at `p` may occur in an address, one bit each, lowest first: letters,
 * digits and `.:-_%`.
 */
export function addressBits(p: i32): i32 {
  let bits = 0;
  for (let i = 0; i < 16; i++) {
    const value = byte(p + i);
    const lower = value | 32;
    const isLetter = lower >= 97 && lower <= 122;
    // ":" follows the digits; "-" and "." are neighbours.
    const isOther = (value >= 48 && value <= 58) || value === 45 || value === 46 || value === 95 || value === 37;
    if (isLetter || isOther) bits |= 1 << i;
  }
  return bits;
}
