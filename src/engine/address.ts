/**
 * Parses an address. Input: bytes that an attacker may have written, at a position that a pattern
 * determined by structure. Accepts exactly what inet_pton(3) accepts (RFC 4291 section 2.2, dotted
 * quads without leading zeros), plus brackets and an IPv6 zone id (RFC 4007 section 11), which is
 * dropped. IPv4-mapped addresses become IPv4.
 */
import { byte, byteBits, copyBytes, digitBits, fillZero, int, lowestBit, setByte, setInt, word } from '#linear';
import * as ascii from './ascii.ts';
import { ADDRESS } from './layout.ts';

/** Longest legal text: 45 bytes of address, '%' and a zone id, brackets. */
const TEXT_MAX: i32 = 80;
/** Longest dotted quad. */
const QUAD_MAX: i32 = 15;

export const ADDRESS_OK: i32 = 1;
export const ADDRESS_BAD: i32 = 0;
export const ADDRESS_HOST_NAME: i32 = -1;

/** 4 or 6: family of the address in ADDRESS. */
export let family: i32 = 0;

/** The value of a hexadecimal digit; negative for other bytes. */
function hexDigit(c: i32): i32 {
  if (c <= ascii.NINE) return c - ascii.ZERO;
  if (c >= ascii.LOWER_A && c <= ascii.LOWER_F) return c - ascii.LOWER_A + 10;
  if (c >= ascii.UPPER_A && c <= ascii.UPPER_F) return c - ascii.UPPER_A + 10;
  return -1;
}

/** The number of the `count` (1–3) digits at `p`; above 255 if a leading zero makes it invalid. */
// @inline
function octet(p: i32, count: i32): i32 {
  const first = byte(p) - ascii.ZERO;
  // Shifted so that the last digit is always in the same place: no branch for the length.
  const digits = (word(p) << ((3 - count) << 3)) & 0x0f0f0f;
  const value = (digits & 15) * 100 + ((digits >> 8) & 15) * 10 + (digits >> 16);
  // No leading zeros: some programs read them as octal.
  return first === 0 && count > 1 ? 256 : value;
}

/**
 * Which of the `length` bytes at `start` are dots, one bit each, lowest first; -1 if there are
 * other bytes than digits and dots, or too many for a quad.
 */
// @inline
export function dotsIn(start: i32, length: i32): i32 {
  if (length > QUAD_MAX) return -1;
  const inside = (1 << length) - 1;
  const dots = byteBits(start, ascii.DOT) & inside;
  return ((dots | digitBits(start)) & inside) === inside ? dots : -1;
}

/**
 * Parses a dotted quad of `length` bytes at `start` into the last four bytes of ADDRESS. `dots`:
 * its dots, as from `dotsIn`.
 */
// @inline
function parseQuad(start: i32, length: i32, dots: i32): bool {
  const one = lowestBit(dots);
  const rest = dots & (dots - 1);
  const two = lowestBit(rest);
  const last = rest & (rest - 1);
  const three = lowestBit(last);
  // At most three dots, with one to three digits around each; a missing dot shows as one after the
  // end, at 32.
  if ((last & (last - 1)) !== 0) return false;
  const second = two - one - 1;
  const third = three - two - 1;
  const fourth = length - three - 1;
  const least = (one - 1) | (second - 1) | (third - 1) | (fourth - 1);
  const most = (3 - one) | (3 - second) | (3 - third) | (3 - fourth);
  if ((least | most) < 0) return false;
  const a = octet(start, one);
  const b = octet(start + one + 1, second);
  const c = octet(start + two + 1, third);
  const d = octet(start + three + 1, fourth);
  if ((a | b | c | d) > 255) return false;
  setInt(ADDRESS + 12, a | (b << 8) | (c << 16) | (d << 24));
  return true;
}

/** Parses an IPv6 address filling [start, end). */
// @inline
function parseSix(start: i32, end: i32): bool {
  let p = start;
  let at = 0; // bytes written
  let gap = -1; // where "::" stands
  if (byte(p) === ascii.COLON) {
    if (p + 1 >= end || byte(p + 1) !== ascii.COLON) return false;
    gap = 0;
    p += 2;
  }
  while (p < end) {
    if (at === 16) return false;
    let value = 0;
    const groupStart = p;
    while (p < end && p - groupStart < 4) {
      const digit = hexDigit(byte(p));
      if (digit < 0) break;
      value = (value << 4) | digit;
      p++;
    }
    if (p === groupStart) return false;
    if (p < end && byte(p) === ascii.DOT) {
      // An embedded dotted quad must be the end of the text.
      if (at > 12) return false;
      const length = end - groupStart;
      if (!parseQuad(groupStart, length, dotsIn(groupStart, length))) return false;
      const quad = word(ADDRESS + 12);
      setByte(ADDRESS + at, quad & 255);
      setByte(ADDRESS + at + 1, (quad >> 8) & 255);
      setByte(ADDRESS + at + 2, (quad >> 16) & 255);
      setByte(ADDRESS + at + 3, (quad >> 24) & 255);
      at += 4;
      p = end;
      break;
    }
    setByte(ADDRESS + at, value >> 8);
    setByte(ADDRESS + at + 1, value & 255);
    at += 2;
    if (p === end) break;
    if (byte(p) !== ascii.COLON) return false;
    p++;
    if (p === end) return false; // a single colon at the end
    if (byte(p) === ascii.COLON) {
      if (gap >= 0) return false;
      gap = at;
      p++;
    }
  }
  if (gap < 0) return at === 16;
  if (at > 14) return false; // "::" stands for at least one group
  const tail = at - gap;
  copyBytes(ADDRESS + 16 - tail, ADDRESS + gap, tail);
  fillZero(ADDRESS + gap, 16 - at);
  return true;
}

/**
 * Parses [start, end) into ADDRESS and `family`; returns ADDRESS_OK, ADDRESS_BAD or
 * ADDRESS_HOST_NAME.
 */
// @inline
export function parseAddress(start: i32, end: i32): i32 {
  if (start < end && byte(start) === ascii.OPEN_BRACKET) {
    if (byte(end - 1) !== ascii.CLOSE_BRACKET) return ADDRESS_BAD;
    start++;
    end--;
  }
  // An empty text has no dots either.
  const dots = dotsIn(start, end - start);
  if (dots >= 0) {
    family = 4;
    setInt(ADDRESS, 0);
    setInt(ADDRESS + 4, 0);
    setInt(ADDRESS + 8, -65536); // 00 00 ff ff
    return parseQuad(start, end - start, dots) ? ADDRESS_OK : ADDRESS_BAD;
  }
  let hasColon = false;
  let hasLetter = false;
  let stop = end;
  if (end - start > TEXT_MAX) return ADDRESS_HOST_NAME;
  for (let p = start; p < end; p++) {
    const c = byte(p);
    if (c === ascii.COLON) hasColon = true;
    else if (c === ascii.PERCENT) {
      stop = p;
      break;
    } else if ((c < ascii.ZERO || c > ascii.NINE) && c !== ascii.DOT) hasLetter = true;
  }
  if (!hasColon) return hasLetter && stop === end ? ADDRESS_HOST_NAME : ADDRESS_BAD;
  // A zone id must not be empty.
  if (stop + 1 === end || !parseSix(start, stop)) return ADDRESS_BAD;
  family = familyOf(ADDRESS);
  return ADDRESS_OK;
}

/** The family of the 16 bytes at `p`: 4 for an IPv4-mapped address. */
function familyOf(p: i32): i32 {
  return int(p) === 0 && int(p + 4) === 0 && int(p + 8) === -65536 ? 4 : 6;
}

/** Copies the 16 bytes of an address; both positions are multiples of 4. */
export function copyAddress(to: i32, from: i32): void {
  // Word by word: a bulk copy would be a call into the runtime.
  setInt(to, int(from));
  setInt(to + 4, int(from + 4));
  setInt(to + 8, int(from + 8));
  setInt(to + 12, int(from + 12));
}

/** Makes the 16 bytes at `p`, a multiple of 4, the current address. */
// @inline
export function loadAddress(p: i32): void {
  copyAddress(ADDRESS, p);
  family = familyOf(p);
}
