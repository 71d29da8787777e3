/** Searches in the engine's memory, in each build, against the plainest way to search. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Build } from '../../src/engine/host.ts';
import { type Linear, linearOf } from '../support/linear-builds.ts';

/** Few letters, so that parts of the wanted text are everywhere, also before and behind it. */
const letter = fc.constantFrom('a', 'b', '\x80', '\xff');
const letters = fc.string({ unit: letter, maxLength: 70 });
const textAt = 4_096;

describe.each<Build>(['wasm', 'scalar', 'plain'])('%s build', (build) => {
  let linear: Linear;
  let bytes: Buffer;
  beforeAll(async () => {
    ({ linear, bytes } = await linearOf(build));
  });

  /** Puts `around` + text + `around` into memory, the text at `textAt`. */
  const put = (text: string, around: string): void => {
    bytes.fill(around === '' ? '\0' : around, textAt - 64, textAt + text.length + 64, 'latin1');
    bytes.write(text, textAt, 'latin1');
  };

  test.each([
    [1, 'findByte', 'findByteLast'],
    [2, 'findPair', 'findPairLast'],
    [4, 'findWord', 'findWordLast'],
  ] as const)('%i bytes', (length, first, last) => {
    const wanted = fc.string({ unit: letter, minLength: length, maxLength: length });
    fc.assert(
      fc.property(letters, wanted, letter, fc.nat(9), fc.nat(9), (text, sought, around, skipped, left) => {
        const start = textAt + Math.min(skipped, text.length);
        const end = Math.max(start, textAt + text.length - left);
        put(text, around);
        const value = Buffer.from(sought.padEnd(4, '\0'), 'latin1').readInt32LE();
        const inside = bytes.toString('latin1', start, end);
        const [from, to] = [inside.indexOf(sought), inside.lastIndexOf(sought)];
        expect(linear[first](start, end, value)).toBe(from < 0 ? end : start + from);
        expect(linear[last](start, end, value)).toBe(to < 0 ? -1 : start + to);
      }),
      { numRuns: 500 },
    );
  });

  test('runs', () => {
    const text = fc.string({
      unit: fc.constantFrom('0', '9', '5', '.', '/', ':', ' ', '\t', '\x0e', '\x80'),
      maxLength: 50,
    });
    const mostly = fc
      .tuple(fc.constantFrom('7'.repeat(14), '7'.repeat(33), 'x'.repeat(31)), text)
      .map(([run, rest]) => run + rest);
    fc.assert(
      fc.property(fc.oneof(text, mostly), fc.constantFrom('7', '.', 'x'), (line, around) => {
        put(line, around);
        const end = textAt + line.length;
        const run = (of: RegExp): number => textAt + of.exec(line)![0].length;
        expect(linear.skipDigits(textAt, end)).toBe(run(/^[0-9]*/));
        expect(linear.skipDecimal(textAt, end)).toBe(run(/^[0-9.]*/));
        expect(linear.skipNonspace(textAt, end)).toBe(run(/^[^\t-\r ]*/));
        expect(linear.digitsBefore(textAt, end)).toBe(end - /[0-9]*$/.exec(line)![0].length);
      }),
      { numRuns: 500 },
    );
  });

  test('bytes of two sets, and how many', () => {
    const value = fc.constantFrom<number>(0, 1, 127, 128, 255);
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 16, maxLength: 16 }),
        value,
        fc.constantFrom(0, 8, 40),
        (sets, wanted, at) => {
          // The bytes around it do not belong to it.
          bytes.fill(wanted, textAt, textAt + 64);
          bytes.set(sets.slice(0, 8), textAt + at);
          bytes.set(sets.slice(8), textAt + 24);
          const found = sets.reduce((bits, byte, index) => bits | (byte === wanted ? 1 << index : 0), 0);
          expect(linear.matchBits(textAt + at, textAt + 24, wanted)).toBe(found);
          expect(linear.ones(found)).toBe(sets.filter((byte) => byte === wanted).length);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('one of two words', () => {
    const word = fc.string({ unit: letter, minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(letters, word, word, letter, fc.nat(9), fc.nat(9), (text, one, other, around, skipped, left) => {
        const start = textAt + Math.min(skipped, text.length);
        const end = Math.max(start, textAt + text.length - left);
        put(text, around);
        const [first, second] = [one, other].map((each) => Buffer.from(each, 'latin1').readInt32LE()) as [
          number,
          number,
        ];
        const inside = bytes.toString('latin1', start, end);
        const holds = inside.includes(one) || inside.includes(other);
        expect(Boolean(linear.holdsWord(start, end, first, second))).toBe(holds);
        expect(Boolean(linear.holdsWord(start, end, first, first))).toBe(inside.includes(one));
      }),
      { numRuns: 1_000 },
    );
  });

  test('four words', () => {
    const value = fc.constantFrom<number>(0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff);
    fc.assert(
      fc.property(fc.tuple(value, value, value, value), value, (words, wanted) => {
        for (const [index, word] of words.entries()) bytes.writeUInt32LE(word, textAt + index * 4);
        const found = words.reduce((bits, word, index) => bits | (word === wanted ? 1 << index : 0), 0);
        expect(linear.wordsAre(textAt, wanted | 0)).toBe(found);
        expect(linear.leastWord(textAt)).toBe(words.indexOf(Math.min(...words)));
      }),
    );
  });

  test('bytes that stand in an address', () => {
    for (let value = 0; value < 256; value++) {
      bytes.fill(value === 0 ? 65 : 0, textAt, textAt + 16);
      bytes[textAt + (value & 15)] = value;
      const stands = /[0-9A-Za-z.:_%-]/.test(String.fromCharCode(value));
      const others = value === 0 ? 0xffff : 0;
      expect(linear.addressBits(textAt), `${value}`).toBe(value === 0 ? others & ~1 : stands ? 1 << (value & 15) : 0);
    }
  });

  test('forms', () => {
    // A place takes the bytes from the first to the last of the pair.
    const place = fc.record({
      low: fc.nat(255),
      range: fc.constantFrom(0, 1, 9, 25, 255),
      off: fc.constantFrom(-1, 0, 1, 9, 10, 25, 26),
    });
    fc.assert(
      fc.property(fc.array(place, { maxLength: 3 }), fc.nat(40), (places, at) => {
        const [text, low, range] = [textAt, textAt + 256, textAt + 512];
        bytes.fill(121, text, text + 48);
        bytes.fill(121, low, low + 48);
        bytes.fill(0, range, range + 48);
        for (const [index, place] of places.entries()) {
          bytes[text + at + index] = place.low + place.off;
          bytes[low + at + index] = place.low;
          bytes[range + at + index] = place.range;
        }
        for (const blocks of [1, 2, 3]) {
          const lying = places.every(
            (place, index) => at + index >= blocks * 16 || ((place.off + 256) & 255) <= place.range,
          );
          expect(Boolean(linear.lies(text, low, range, blocks))).toBe(lying);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('clocks', () => {
    fc.assert(
      fc.property(fc.nat(99), fc.nat(99), fc.nat(99), fc.boolean(), (hour, minute, second, padded) => {
        const two = (value: number): string => String(value).padStart(2, '0');
        const first = padded && hour < 10 ? ` ${hour}` : two(hour);
        put(`${first}:${two(minute)}:${two(second)}`, '');
        const seconds = hour > 23 || minute > 59 || second > 59 ? -1 : hour * 3600 + minute * 60 + second;
        expect(linear.clockSeconds(textAt)).toBe(seconds);
      }),
    );
  });
});
