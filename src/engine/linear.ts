/**
 * The engine's one memory in plain TypeScript. The wasm builds have files of the same name with the
 * same exports (`simd/#linear.ts`, and `scalar/#linear.ts` for processors without SIMD); the builds
 * differ only in these files. An access outside the memory throws here and traps there (claims
 * PE-*, T-*: no access is unchecked).
 */
export * from './scalar/bytewise.ts';

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

/** The integer part of `value`, which fits an i32. */
export function toInt(value: f64): i32 {
  return value | 0;
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

/**
 * "hh:mm:ss" at `p` in seconds, -1 if it is not a time; its digits are digits, or a blank in the
 * first place.
 */
export function clockSeconds(p: i32): i32 {
  const hour = (byte(p) & 15) * 10 + (byte(p + 1) & 15);
  const minute = (byte(p + 3) & 15) * 10 + (byte(p + 4) & 15);
  const second = (byte(p + 6) & 15) * 10 + (byte(p + 7) & 15);
  return hour > 23 || minute > 59 || second > 59 ? -1 : hour * 3600 + minute * 60 + second;
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
