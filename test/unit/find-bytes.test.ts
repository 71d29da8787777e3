/** What is looked for in the engine's memory, in each build, against the plainest reading of it. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Build } from '../../src/engine/host.ts';
import { type Linear, linearOf } from '../support/linear-builds.ts';

/* Few letters, so that parts of what is looked for are everywhere, before and behind it too. */
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

  test('bytes of a set, and how many', () => {
    const value = fc.constantFrom<number>(0, 1, 127, 128, 255);
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 8, maxLength: 8 }),
        value,
        fc.constantFrom(0, 8, 40),
        (set, wanted, at) => {
          // What stands around it is none of it.
          bytes.fill(wanted, textAt, textAt + 64);
          bytes.set(set, textAt + at);
          const found = set.reduce((bits, byte, index) => bits | (byte === wanted ? 1 << index : 0), 0);
          expect(linear.matchBits(textAt + at, wanted)).toBe(found);
          expect(linear.ones(found)).toBe(set.filter((byte) => byte === wanted).length);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('forms', () => {
    // NUL in a form stands for a digit, 1 for anything; in a text they are only themselves.
    const pair = fc.tuple(
      fc.constantFrom('\0', '\x01', '7', 'x'),
      fc.constantFrom('\0', '\x01', '0', '9', '/', ':', '7', 'x'),
    );
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 3 }), fc.nat(40), (pairs, at) => {
        const form = Array.from({ length: 48 }, () => 'y');
        const text = [...form];
        for (const [index, [wanted, written]] of pairs.entries()) {
          form[at + index] = wanted;
          text[at + index] = written;
        }
        put(text.join(''), '');
        bytes.write(form.join(''), textAt + 256, 'latin1');
        for (const blocks of [0, 1, 2, 3]) {
          const fitting = pairs.every(
            ([wanted, written], index) =>
              at + index >= blocks * 16 ||
              wanted === '\x01' ||
              (wanted === '\0' ? /[0-9]/.test(written) : wanted === written),
          );
          expect(Boolean(linear.fits(textAt, textAt + 256, blocks))).toBe(fitting);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
