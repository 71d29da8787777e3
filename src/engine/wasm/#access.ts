/**
 * Bytes, numbers and arithmetic for both wasm builds (AssemblyScript): the part of ../linear.ts
 * that is its own, and documented there. The VM checks every access.
 */

export function byte(p: i32): i32 {
  return load<u8>(p);
}

export function setByte(p: i32, value: i32): void {
  store<u8>(p, value as u8);
}

export function word(p: i32): i32 {
  return load<i32>(p);
}

export function int(p: i32): i32 {
  return load<i32>(p);
}

export function setInt(p: i32, value: i32): void {
  store<i32>(p, value);
}

export function half(p: i32): i32 {
  return load<u16>(p);
}

export function setHalf(p: i32, value: i32): void {
  store<u16>(p, value as u16);
}

export function float(p: i32): f64 {
  return load<f64>(p);
}

export function setFloat(p: i32, value: f64): void {
  store<f64>(p, value);
}

export function seconds(p: i32): f64 {
  return load<u32>(p) as f64;
}

export function setSeconds(p: i32, value: f64): void {
  store<u32>(p, value as u32);
}

export function toInt(value: f64): i32 {
  return value as i32;
}

export function copyBytes(to: i32, from: i32, count: i32): void {
  memory.copy(to, from, count);
}

export function fillZero(p: i32, count: i32): void {
  memory.fill(p, 0, count);
}

export function divide(a: i32, b: i32): i32 {
  return a / b;
}

export function product(a: i32, b: i32): i32 {
  return a * b;
}

export function spread(hash: i32, count: i32): i32 {
  return (((hash as u32 as u64) * (count as u32 as u64)) >> 32) as i32;
}

// @inline
export function clockSeconds(p: i32): i32 {
  const digits = load<u64>(p) & 0x0f0f000f0f000f0f;
  // The number of two digits, in the place of each first one.
  const numbers = digits * 10 + (digits >> 8);
  const hour = (numbers & 255) as i32;
  const minute = ((numbers >> 24) & 255) as i32;
  const second = ((numbers >> 48) & 255) as i32;
  if (((23 - hour) | (59 - minute) | (59 - second)) < 0) return -1;
  return hour * 3600 + minute * 60 + second;
}

export function ones(value: i32): i32 {
  return popcnt(value);
}

export function lowestBit(value: i32): i32 {
  return ctz(value);
}
