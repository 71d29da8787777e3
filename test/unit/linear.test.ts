/**
 * The engine's one memory in plain TypeScript: an access outside of it neither reads nor writes,
 * and throws.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import * as linear from '../../src/engine/linear.ts';

const size = 64;
const bytes = new Uint8Array(size);

beforeEach(() => {
  for (let i = 0; i < size; i++) bytes[i] = i;
  linear.bindMemory(bytes.buffer);
});

/** Functions that read or write: name, how many bytes they touch, and a call at a place. */
const accesses: [name: string, width: number, access: (p: number) => unknown][] = [
  ['byte', 1, linear.byte],
  ['setByte', 1, (p) => linear.setByte(p, 7)],
  ['word', 4, linear.word],
  ['int', 4, linear.int],
  ['setInt', 4, (p) => linear.setInt(p, 7)],
  ['half', 2, linear.half],
  ['setHalf', 2, (p) => linear.setHalf(p, 7)],
  ['float', 8, linear.float],
  ['setFloat', 8, (p) => linear.setFloat(p, 7)],
  ['seconds', 4, linear.seconds],
  ['setSeconds', 4, (p) => linear.setSeconds(p, 7)],
  ['byteBits', 16, (p) => linear.byteBits(p, 7)],
  ['digitBits', 16, linear.digitBits],
  ['matchBits', 8, (p) => linear.matchBits(p, 0, 7)],
  ['matchBits of the other', 8, (p) => linear.matchBits(0, p, 7)],
  ['findByte', 1, (p) => linear.findByte(p, p + 1, 7)],
  ['findByteLast', 1, (p) => linear.findByteLast(p, p + 1, 7)],
  ['copyBytes from', 3, (p) => linear.copyBytes(0, p, 3)],
  ['copyBytes to', 3, (p) => linear.copyBytes(p, 0, 3)],
  ['fillZero', 3, (p) => linear.fillZero(p, 3)],
];

test.each(accesses)('%s stays inside', (_name, width, access) => {
  const before = bytes.slice();
  for (const p of [0, size - width]) expect(() => access(p)).not.toThrow();
  bytes.set(before);
  for (const p of [-width, size]) {
    expect(() => access(p), `at ${p}`).toThrow(/^engine memory access out of bounds at -?\d+$/);
    expect(() => access(p), `at ${p}`).toThrow(RangeError);
  }
  expect(bytes).toEqual(before);
});

test.each(accesses.filter(([name, width]) => [2, 3, 16].includes(width) || name.startsWith('matchBits')))(
  '%s does not reach over the end',
  (_name, width, access) => {
    const before = bytes.slice();
    for (const p of [-1, size - width + 1]) expect(() => access(p), `at ${p}`).toThrow('out of bounds');
    expect(bytes).toEqual(before);
  },
);

test('a word may stand anywhere, whole', () => {
  expect(() => linear.word(size - 3)).toThrow(`out of bounds at ${size - 3}`);
  expect(() => linear.word(-1)).toThrow('out of bounds at -1');
  bytes.set([0x01, 0x82, 0x43, 0xf4], 5);
  expect(linear.word(5)).toBe(0xf4438201 | 0);
});

test('counts below nothing are refused', () => {
  expect(() => linear.fillZero(0, -1)).toThrow('out of bounds');
  expect(() => linear.copyBytes(0, 0, -1)).toThrow('out of bounds');
  expect(() => linear.fillZero(size, 0)).not.toThrow();
  expect(() => linear.copyBytes(size, size, 0)).not.toThrow();
});

describe('what is written is read back', () => {
  test('bytes and halves', () => {
    linear.setByte(3, 0x1ff);
    expect([...bytes.subarray(2, 5)]).toEqual([2, 0xff, 4]);
    linear.setHalf(6, 0x1_8102);
    expect([...bytes.subarray(5, 9)]).toEqual([5, 0x02, 0x81, 8]);
    expect(linear.half(6)).toBe(0x8102);
  });

  test('integers and floats, in their places', () => {
    linear.setInt(8, -2);
    expect(linear.int(8)).toBe(-2);
    expect([...bytes.subarray(7, 13)]).toEqual([7, 0xfe, 0xff, 0xff, 0xff, 12]);
    linear.setFloat(16, 0.1);
    expect(linear.float(16)).toBe(0.1);
    expect([bytes[15], bytes[24]]).toEqual([15, 24]);
  });

  test('epoch seconds up to 2106', () => {
    for (const value of [0, 1_763_694_928, 2_147_483_648, 4_294_967_295]) {
      linear.setSeconds(20, value);
      expect(linear.seconds(20)).toBe(value);
    }
  });

  test('ranges that overlap, and zeros', () => {
    linear.copyBytes(10, 8, 4);
    expect([...bytes.subarray(7, 15)]).toEqual([7, 8, 9, 8, 9, 10, 11, 14]);
    linear.fillZero(8, 3);
    expect([...bytes.subarray(7, 12)]).toEqual([7, 0, 0, 0, 9]);
  });
});

describe('numbers', () => {
  test.each([
    [0, 1, 0],
    [59, 60, 0],
    [60, 60, 1],
    [2_147_483_647, 7, 306_783_378],
  ])('%i / %i', (a, b, expected) => expect(linear.divide(a, b)).toBe(expected));

  test.each([
    [3, 5, 15],
    [65_536, 65_536, 0],
    [-1, 2_147_483_647, -2_147_483_647],
    [0x9e37_79b1 | 0, 0x85eb_ca6b | 0, Number(BigInt.asIntN(32, 0x9e37_79b1n * 0x85eb_ca6bn))],
  ])('the low half of %i × %i', (a, b, expected) => expect(linear.product(a, b)).toBe(expected));

  test.each([
    [0, 10, 0],
    [-1, 10, 9],
    [0x7fff_ffff, 10, 4],
    [-0x8000_0000, 10, 5],
    [-1, 2_000_000, 1_999_999],
  ])('%i spread over %i', (hash, count, expected) => expect(linear.spread(hash, count)).toBe(expected));

  test('the integer part', () => expect([1.9, 0, 604_800.5].map(linear.toInt)).toEqual([1, 0, 604_800]));

  test('the lowest bit', () => {
    expect(linear.lowestBit(0)).toBe(32);
    for (let bit = 0; bit < 32; bit++) {
      expect(linear.lowestBit(1 << bit)).toBe(bit);
      expect(linear.lowestBit(-1 << bit)).toBe(bit);
    }
  });
});

/* Every byte value, against the plainest reading of the class. */
test.each<[name: string, skip: (p: number, end: number) => number, isIn: (value: number) => boolean]>([
  ['skipDigits', linear.skipDigits, (value) => /[0-9]/.test(String.fromCharCode(value))],
  ['skipDecimal', linear.skipDecimal, (value) => /[0-9.]/.test(String.fromCharCode(value))],
  ['skipNonspace', linear.skipNonspace, (value) => !'\t\n\v\f\r '.includes(String.fromCharCode(value))],
])('%s', (_name, skip, isIn) => {
  for (let value = 0; value < 256; value++) {
    bytes.fill(value, 0, size);
    expect(skip(8, 40), `byte ${value}`).toBe(isIn(value) ? 40 : 8);
    expect(skip(40, 40)).toBe(40);
    expect(skip(48, 40)).toBe(48);
  }
});

test('bits of dots and digits', () => {
  for (let value = 0; value < 256; value++) {
    bytes.fill(120, 0, size);
    for (const at of [8, 11, 23, 24]) bytes[at] = value;
    expect(linear.byteBits(8, 46), `byte ${value}`).toBe(value === 46 ? 0b1000_0000_0000_1001 : 0);
    expect(linear.digitBits(8), `byte ${value}`).toBe(value >= 48 && value <= 57 ? 0b1000_0000_0000_1001 : 0);
  }
});

describe('searches', () => {
  const big = new Uint8Array(128);

  beforeEach(() => {
    big.fill(120);
    linear.bindMemory(big.buffer);
  });

  /** Short ranges are searched in a loop, long ones by the runtime. Both find the same. */
  test.each([1, 2, 31, 32, 33, 34, 64])('a byte in %i others', (length) => {
    const [start, end] = [16, 16 + length];
    big[start - 1] = 7;
    big[end] = 7;
    expect(linear.findByte(start, end, 7)).toBe(end);
    expect(linear.findByteLast(start, end, 7)).toBe(-1);
    big[start] = 7;
    big[end - 1] = 7;
    expect(linear.findByte(start, end, 7)).toBe(start);
    expect(linear.findByteLast(start, end, 7)).toBe(end - 1);
    expect(linear.findByte(end, start, 7)).toBe(start);
    expect(linear.findByteLast(end, start, 7)).toBe(-1);
    expect(linear.findByte(start, start, 7)).toBe(start);
  });

  test('a range that reaches outside is refused', () => {
    for (const find of [linear.findByte, linear.findByteLast]) {
      expect(() => find(-1, 4, 7)).toThrow('out of bounds at -1');
      expect(() => find(120, 129, 7)).toThrow('out of bounds at 128');
      expect(() => find(0, 128, 7)).not.toThrow();
    }
  });

  test('two and four bytes, whole', () => {
    big.set([1, 2], 20);
    expect(linear.findPair(16, 22, 0x0201)).toBe(20);
    expect(linear.findPair(16, 21, 0x0201)).toBe(21);
    expect(linear.findPairLast(20, 22, 0x0201)).toBe(20);
    expect(linear.findPairLast(16, 21, 0x0201)).toBe(-1);
    expect(linear.findPairLast(21, 30, 0x0201)).toBe(-1);
    big.set([1, 2, 3, 4], 20);
    expect(linear.findWord(16, 24, 0x04030201)).toBe(20);
    expect(linear.findWord(16, 23, 0x04030201)).toBe(23);
    expect(linear.findWordLast(20, 24, 0x04030201)).toBe(20);
    expect(linear.findWordLast(16, 23, 0x04030201)).toBe(-1);
    expect(linear.findWordLast(21, 30, 0x04030201)).toBe(-1);
  });
});
