/** Searches for one, two and four bytes against the plainest reading of them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as linear from '../../src/engine/linear.ts';

/* Few letters, so that parts of what is looked for are everywhere. */
const letters = fc.string({ unit: fc.constantFrom('a', 'b', '\x80', '\xff'), maxLength: 70 });

test.each([
  [1, linear.findByte, linear.findByteLast],
  [2, linear.findPair, linear.findPairLast],
  [4, linear.findWord, linear.findWordLast],
] as const)('%i bytes', (length, first, last) => {
  const memory = new ArrayBuffer(256);
  linear.bindMemory(memory);
  const wanted = fc.string({ unit: fc.constantFrom('a', 'b', '\x80', '\xff'), minLength: length, maxLength: length });
  fc.assert(
    fc.property(letters, wanted, fc.nat(9), fc.nat(9), (text, sought, skipped, left) => {
      const start = 64 + Math.min(skipped, text.length);
      const end = Math.max(start, 64 + text.length - left);
      const bytes = Buffer.from(memory);
      bytes.fill('a');
      bytes.write(text, 64, 'latin1');
      const value = Buffer.from(sought.padEnd(4, '\0'), 'latin1').readInt32LE();
      const inside = bytes.toString('latin1', start, end);
      const [from, to] = [inside.indexOf(sought), inside.lastIndexOf(sought)];
      expect(first(start, end, value)).toBe(from < 0 ? end : start + from);
      expect(last(start, end, value)).toBe(to < 0 ? -1 : start + to);
    }),
    { numRuns: 500 },
  );
});
