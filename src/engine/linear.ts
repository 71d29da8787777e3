/**
 * The engine's one memory, as plain TypeScript sees it. The wasm build has a file of the same name
 * (`wasm/#linear.ts`) with the same exports; these two files are the only place where the builds
 * differ. Reads and writes outside the memory throw here and trap there (claims PE-*, T-*: no
 * access is unchecked).
 */

let bytes = new Uint8Array(0);
let ints = new Int32Array(0);
let floats = new Float64Array(0);

/**
 * Gives the engine its memory; the plain build has one engine per process. `buffer.byteLength` is a
 * multiple of 8.
 */
export function bindMemory(buffer: ArrayBuffer): void {
  bytes = new Uint8Array(buffer);
  ints = new Int32Array(buffer);
  floats = new Float64Array(buffer);
}

function outside(p: number): never {
  throw new RangeError(`engine memory access out of bounds at ${p}`);
}

/** The byte at `p`. */
export function byte(p: i32): i32 {
  const value = bytes[p];
  return value === undefined ? outside(p) : value;
}

export function setByte(p: i32, value: i32): void {
  if (p < 0 || p >= bytes.length) outside(p);
  bytes[p] = value;
}

/** Four bytes at `p` (any alignment), little-endian, as a signed integer. */
export function word(p: i32): i32 {
  if (p < 0 || p + 4 > bytes.length) outside(p);
  return bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24);
}

/** The signed integer at `p`, a multiple of 4. */
export function int(p: i32): i32 {
  const value = ints[p >> 2];
  return value === undefined ? outside(p) : value;
}

export function setInt(p: i32, value: i32): void {
  if (p < 0 || p + 4 > bytes.length) outside(p);
  ints[p >> 2] = value;
}

/** The unsigned 16-bit integer at `p`, a multiple of 2. */
export function half(p: i32): i32 {
  if (p < 0 || p + 2 > bytes.length) outside(p);
  return bytes[p]! | (bytes[p + 1]! << 8);
}

export function setHalf(p: i32, value: i32): void {
  if (p < 0 || p + 2 > bytes.length) outside(p);
  bytes[p] = value;
  bytes[p + 1] = value >> 8;
}

/** The float at `p`, a multiple of 8. */
export function float(p: i32): f64 {
  const value = floats[p >> 3];
  return value === undefined ? outside(p) : value;
}

export function setFloat(p: i32, value: f64): void {
  if (p < 0 || p + 8 > bytes.length) outside(p);
  floats[p >> 3] = value;
}

/** The unsigned 32-bit integer at `p` (a multiple of 4), as a float: epoch seconds until 2106. */
export function seconds(p: i32): f64 {
  return int(p) >>> 0;
}

/** Stores `value`, 0 ≤ value < 2^32, as an unsigned 32-bit integer. */
export function setSeconds(p: i32, value: f64): void {
  setInt(p, value | 0);
}

/** The integer part of `value`, which lies within the range of an i32. */
export function toInt(value: f64): i32 {
  return value | 0;
}

/*
 * Searches and runs. The wasm build looks at sixteen bytes a step or at 64, and may read (never
 * write) up to 63 bytes behind `end` or eighteen before `p`; the layout keeps that much memory
 * around every region that lines stand in.
 */

/** First position of `wanted` in [p, end), or `end`. */
export function findByte(p: i32, end: i32, wanted: i32): i32 {
  if (p >= end) return end;
  if (p < 0 || end > bytes.length) outside(end);
  if (end - p > 32) {
    const found = bytes.subarray(p, end).indexOf(wanted);
    return found < 0 ? end : p + found;
  }
  while (p < end && bytes[p] !== wanted) p++;
  return p;
}

/** Last position of `wanted` in [p, end), or -1. */
export function findByteLast(p: i32, end: i32, wanted: i32): i32 {
  if (p >= end) return -1;
  if (p < 0 || end > bytes.length) outside(end);
  for (let q = end - 1; q >= p; q--) if (bytes[q] === wanted) return q;
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

/** Whether one of two words of four bytes, as `word` reads them, stands in [p, end). */
export function holdsWord(p: i32, end: i32, one: i32, other: i32): bool {
  return findWord(p, end, one) < end || findWord(p, end, other) < end;
}

/** Last position in [p, end - 4] of the four bytes that `word` reads as `wanted`, or -1. */
export function findWordLast(p: i32, end: i32, wanted: i32): i32 {
  for (let q = end - 4; q >= p; q--) if (word(q) === wanted) return q;
  return -1;
}

/** Moves `count` bytes; the ranges may overlap. */
export function copyBytes(to: i32, from: i32, count: i32): void {
  if (to < 0 || from < 0 || count < 0 || to + count > bytes.length || from + count > bytes.length) outside(to);
  bytes.copyWithin(to, from, from + count);
}

export function fillZero(p: i32, count: i32): void {
  if (p < 0 || count < 0 || p + count > bytes.length) outside(p);
  bytes.fill(0, p, p + count);
}

/** a / b for a ≥ 0, b > 0, rounded down. */
export function divide(a: i32, b: i32): i32 {
  return (a / b) | 0;
}

/** The low 32 bits of a × b. */
export function product(a: i32, b: i32): i32 {
  return Math.imul(a, b);
}

/** ⌊u32(hash) × count ÷ 2^32⌋: a hash spread evenly over 0…count-1, without a division. */
export function spread(hash: i32, count: i32): i32 {
  return Math.floor(((hash >>> 0) * count) / 4294967296);
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
 * Whether each of the bytes at `p`, of `blocks` sixteen bytes, is at least the one at `low` and at
 * most that and the one at `range`: what a form says of a text (layout.ts).
 */
export function lies(p: i32, low: i32, range: i32, blocks: i32): bool {
  for (let i = 0; i < blocks << 4; i++) {
    if (((byte(p + i) - byte(low + i)) & 255) > byte(range + i)) return false;
  }
  return true;
}

/**
 * "hh:mm:ss" at `p` in seconds, -1 where no clock shows that; its digits are digits, or a blank in
 * the first place.
 */
export function clockSeconds(p: i32): i32 {
  const hour = (byte(p) & 15) * 10 + (byte(p + 1) & 15);
  const minute = (byte(p + 3) & 15) * 10 + (byte(p + 4) & 15);
  const second = (byte(p + 6) & 15) * 10 + (byte(p + 7) & 15);
  return hour > 23 || minute > 59 || second > 59 ? -1 : hour * 3600 + minute * 60 + second;
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

/** Which of the eight bytes at `p` are `wanted`, one bit each, lowest first. */
export function matchBits(p: i32, wanted: i32): i32 {
  let bits = 0;
  for (let i = 0; i < 8; i++) if (byte(p + i) === wanted) bits |= 1 << i;
  return bits;
}

/** Which of the four words at `p` are `wanted`, one bit each, lowest first. */
export function wordsAre(p: i32, wanted: i32): i32 {
  let bits = 0;
  for (let i = 0; i < 4; i++) if (int(p + i * 4) === wanted) bits |= 1 << i;
  return bits;
}

/**
 * Which of the four words at `p`, numbers without a sign, is the least one; the first of equals.
 */
export function leastWord(p: i32): i32 {
  let least = 0;
  for (let i = 1; i < 4; i++) if (seconds(p + i * 4) < seconds(p + least * 4)) least = i;
  return least;
}

/**
 * Which of the sixteen bytes at `p` may stand in an address, one bit each, lowest first: letters,
 * digits and `.:-_%`.
 */
export function addressBits(p: i32): i32 {
  let bits = 0;
  for (let i = 0; i < 16; i++) {
    const value = byte(p + i);
    const lower = value | 32;
    const isLetter = lower >= 97 && lower <= 122;
    // Behind the digits stands ":"; "-" and "." are neighbours.
    const isOther = (value >= 48 && value <= 58) || value === 45 || value === 46 || value === 95 || value === 37;
    if (isLetter || isOther) bits |= 1 << i;
  }
  return bits;
}

/** How many bits of `value`, 0 ≤ value < 256, are set. */
export function ones(value: i32): i32 {
  let count = 0;
  for (let rest = value; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** Position of the lowest set bit; 32 for 0. */
export function lowestBit(value: i32): i32 {
  return value === 0 ? 32 : 31 - Math.clz32(value & -value);
}
