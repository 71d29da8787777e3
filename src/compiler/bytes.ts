/**
 * Byte classes and literals as the compiler handles them: sets of byte values, and UTF-8 bytes.
 * Build time only.
 */
import type { ByteClass } from './pattern.ts';

/** 256 truth values: whether the byte is in the class. */
export type ByteSet = readonly boolean[];

/** Inclusive ranges, ascending. */
type Range = readonly [first: number, last: number];

const digits: Range[] = [[0x30, 0x39]];
const letters: Range[] = [
  [0x41, 0x5a],
  [0x61, 0x7a],
];

const named: Record<NonNullable<ByteClass['name']>, Range[]> = {
  digit: digits,
  hex: [...digits, [0x41, 0x46], [0x61, 0x66]],
  word: [...digits, ...letters, [0x5f, 0x5f]],
  space: [
    [0x09, 0x0d],
    [0x20, 0x20],
  ],
  nonspace: [
    [0x00, 0x08],
    [0x0e, 0x1f],
    [0x21, 0xff],
  ],
  any: [[0x00, 0xff]],
  alpha: letters,
  base64: [...digits, ...letters, [0x2b, 0x2b], [0x2f, 0x2f], [0x3d, 0x3d]],
};

/** The UTF-8 bytes of a literal. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The set of a class. */
export function byteSet(of: ByteClass): ByteSet {
  const ranges = of.name === undefined ? [] : named[of.name];
  const listed = new Set(bytesOf(of.bytes ?? ''));
  return Array.from({ length: 256 }, (_, byte) => {
    const within = listed.has(byte) || ranges.some(([first, last]) => byte >= first && byte <= last);
    return within !== (of.not === true);
  });
}

export function complement(set: ByteSet): ByteSet {
  return set.map((within) => !within);
}

/** The set as inclusive ranges, ascending. */
export function rangesOf(set: ByteSet): Range[] {
  const ranges: [number, number][] = [];
  for (let byte = 0; byte < 256; byte++) {
    if (!set[byte]) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === byte - 1) last[1] = byte;
    else ranges.push([byte, byte]);
  }
  return ranges;
}

/**
 * The set as eight little-endian words, bit n of word w for byte 32 w + n: the interpreter's form.
 */
export function bitmapOf(set: ByteSet): number[] {
  return Array.from({ length: 8 }, (_, index) => {
    let bits = 0;
    for (let bit = 0; bit < 32; bit++) if (set[index * 32 + bit]) bits |= 1 << bit;
    return bits;
  });
}

/** Bytes of an address or host name, see `ip` in pattern.ts. */
export const addressBytes: ByteSet = byteSet({ name: 'word', bytes: ':.%-' });

const commonness = ' etaoinsrhldcumfpgwybvk0123456789.:/-,';

/** How rare the character is in a log line. */
export function rarity(character: string): number {
  const position = commonness.indexOf(character);
  return position < 0 ? commonness.length : position;
}
