/** Runs of the byte classes: every byte value against the plainest definition of the class. */
import { beforeEach, expect, test } from 'vitest';
import { bindMemory } from '../../src/engine/linear.ts';
import * as scan from '../../src/engine/scan.ts';

const bytes = new Uint8Array(64);

beforeEach(() => bindMemory(bytes.buffer));

test.each<[name: string, skip: (at: number, end: number) => number, members: RegExp]>([
  ['skipHex', scan.skipHex, /[0-9A-Fa-f]/],
  ['skipWord', scan.skipWord, /[0-9A-Za-z_]/],
  ['skipAlpha', scan.skipAlpha, /[A-Za-z]/],
  ['skipSpace', scan.skipSpace, /[\t\n\v\f\r ]/],
  ['skipDigits', scan.skipDigits, /[0-9]/],
  ['skipNonspace', scan.skipNonspace, /[^\t\n\v\f\r ]/],
])('%s', (_name, skip, members) => {
  for (let value = 0; value < 256; value++) {
    const isMember = members.test(String.fromCharCode(value));
    bytes.fill(value);
    expect(skip(8, 40), `byte ${value}`).toBe(isMember ? 40 : 8);
    expect(skip(40, 40)).toBe(40);
  }
});

test('a class in a bitmap', () => {
  bytes.fill(0);
  for (const value of [0, 31, 32, 65, 255]) bytes[value >> 3]! |= 1 << (value & 7);
  const found = Array.from({ length: 256 }, (_, value) => value).filter((value) => scan.inBitmap(0, value));
  expect(found).toEqual([0, 31, 32, 65, 255]);
  bytes.set([65, 65, 66, 66, 65], 40);
  expect(scan.skipBitmap(40, 45, 0, true)).toBe(42);
  expect(scan.skipBitmap(42, 45, 0, false)).toBe(44);
  expect(scan.skipBitmap(42, 43, 0, false)).toBe(43);
  expect(scan.skipBitmap(45, 45, 0, true)).toBe(45);
});

test('the smaller and the larger', () => {
  expect([scan.smaller(1, 2), scan.smaller(2, 1), scan.larger(1, 2), scan.larger(2, 1)]).toEqual([1, 1, 2, 2]);
});
