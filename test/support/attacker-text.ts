/**
 * What an attacker puts into a field he controls, to move an address or to hide his own: other
 * addresses, phrases and separators of the log format, quotes, brackets, bytes that are not text,
 * and simply too much of it. No line feed, because a log line ends there. `fakes` are the addresses
 * used; no honest field of a test may hold one.
 */
import fc from 'fast-check';

export const fakes = ['8.8.8.8', '2001:db8:bad::1', '203.0.113.66', '::ffff:8.8.8.8'] as const;

const separators = [
  ' ',
  ':',
  ': ',
  ',',
  '"',
  "'",
  '(',
  ')',
  '[',
  ']',
  '=',
  ' - ',
  '\t',
  '\r',
  '\0',
  '\x1b[2J',
  '\xff\xfe',
];

/** `phrases` of the format. Each may hold `%` where a fake address goes. */
export function attackerText(phrases: readonly string[], bytesMax = 600): fc.Arbitrary<string> {
  const fake = fc.constantFrom(...fakes);
  const phrase = fc.tuple(fc.constantFrom(...phrases), fake).map(([text, address]) => text.replaceAll('%', address));
  const noise = fc
    .array(fc.integer({ min: 0, max: 255 }), { maxLength: 8 })
    .map((bytes) => String.fromCharCode(...bytes).replaceAll('\n', ''));
  const filler = fc.integer({ min: 1, max: 5000 }).map((length) => 'A'.repeat(length));
  const piece = fc.oneof(
    { weight: 6, arbitrary: phrase },
    { weight: 2, arbitrary: fake },
    { weight: 2, arbitrary: fc.constantFrom(...separators) },
    { weight: 2, arbitrary: fc.constantFrom('x', 'root', 'a b') },
    { weight: 1, arbitrary: noise },
    { weight: 1, arbitrary: filler },
  );
  return fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('').slice(0, bytesMax));
}
