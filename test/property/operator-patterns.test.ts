/**
 * Patterns as operators write them. Whatever the text, it is refused or becomes a program. The
 * program, the matcher that the compiler would emit, and the oracle agree on every message. A place
 * in a pattern is found in the file.
 */
import fc from 'fast-check';
import { parse } from 'smol-toml';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { checkFilter } from '../../src/compiler/check.ts';
import type { Filter, Pattern } from '../../src/compiler/pattern.ts';
import { offsetWithin } from '../../src/config/locate.ts';
import { captureNames, parsePattern } from '../../src/config/pattern-text.ts';
import { bind, engineTimeLength, expectedOutcome, loadEmitted, loadInterpreted, outcome } from '../support/matchers.ts';
import { attackerText, messageOf } from '../support/messages.ts';
import { readTimesWith } from '../support/oracle.ts';

beforeEach(bind);
// Other tests judge how a timestamp is read.
beforeAll(() => readTimesWith(engineTimeLength));
afterAll(() => readTimesWith());

/** Few words that are similar, so that a capture often holds the text that should end it. */
const words = ['login', ' ', ' from ', ' for "', '"', '", ', ': ', '=', 'a', 'ab', ' port ', '{{', "{'.*'}", 'ü', '5'];
const piece = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...words) },
  { weight: 2, arbitrary: fc.constantFrom(...captureNames.map((name) => `{${name}}`)) },
);
const address = fc.constantFrom(
  '{ip}',
  ' {ip}',
  ' from {ip}',
  '={ip}{end}',
  ' from {ip}{end}',
  ' from {ip}:{number}{end}',
);
const text = fc
  .tuple(fc.array(piece, { maxLength: 6 }), address, fc.array(piece, { maxLength: 3 }))
  .map(([before, ip, after]) => [...before, ip, ...(ip.endsWith('{end}') ? [] : after)].join(''));

function patternOf(text: string, name: string): Pattern | null {
  const parsed = parsePattern(text);
  return 'reason' in parsed ? null : { name, tokens: parsed.tokens, sample: '', counter: '' };
}

const accepted: fc.Arbitrary<Filter> = fc
  .tuple(text, text, text)
  .map(([first, second, ignored]) => {
    const filter: Filter = { name: 'own', about: '', prefixes: ['bare'], patterns: [] };
    for (const pattern of [patternOf(first, 'first'), patternOf(second, 'second')]) {
      const wider = { ...filter, patterns: [...filter.patterns, pattern as Pattern] };
      if (pattern !== null && checkFilter(wider).length === 0) filter.patterns.push(pattern);
    }
    const ignore = patternOf(ignored, 'ignored');
    if (ignore !== null && checkFilter({ ...filter, ignore: [ignore] }).length === 0) filter.ignore = [ignore];
    return filter;
  })
  .filter((filter) => filter.patterns.length > 0);

test('program, matcher and oracle agree on every message', () => {
  let runs = 0;
  let matched = 0;
  fc.assert(
    fc.property(
      accepted.chain((filter) =>
        fc.tuple(
          fc.constant(filter),
          fc.array(fc.tuple(messageOf(filter), attackerText(filter)), { minLength: 12, maxLength: 12 }),
        ),
      ),
      ([filter, messages]) => {
        runs++;
        const emitted = loadEmitted(filter);
        const interpreted = loadInterpreted(filter);
        for (const [message, behind] of messages) {
          const expected = expectedOutcome(filter, message);
          if (expected.pattern >= 0) matched++;
          const hostile = Buffer.from(behind, 'latin1');
          expect(outcome(emitted.match, message, 1, hostile), 'emitted').toEqual(expected);
          expect(outcome(interpreted, message, 1, hostile), 'interpreted').toEqual(expected);
        }
      },
    ),
    { numRuns: 300 },
  );
  expect(matched).toBeGreaterThan(runs);
});

test('any text is a pattern or refused at a place inside it', () => {
  const any = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc
      .array(fc.oneof(piece, fc.constantFrom('{', '}', '\\', '(', ')', '[', ']', '<HOST>', '.*', '$', '^', '\n')), {
        maxLength: 12,
      })
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(any, (text) => {
      const parsed = parsePattern(text);
      if ('reason' in parsed) {
        expect(parsed.at).toBeGreaterThanOrEqual(0);
        expect(parsed.at).toBeLessThanOrEqual(text.length);
      } else {
        expect(parsed.places).toHaveLength(parsed.tokens.length);
        expect(parsed.places).toEqual(parsed.places.toSorted((one, other) => one - other));
      }
    }),
    { numRuns: 3000 },
  );
});

test('a place in a string of any kind is found in the file', () => {
  const part = fc.constantFrom('a', 'ü', '😀', '\\n', '\\"', '\\u0041', '\\U0001F600', '\\x41', '\\\\', ' ', '{');
  const multiLine = fc.oneof(part, fc.constantFrom('\n', '\\\n   ', '\\ \n\n', '"', '""'));
  const source = fc.oneof(
    fc.array(part).map((parts) => `"${parts.join('')}"`),
    fc.array(part).map((parts) => `'${parts.join('')}'`),
    fc
      .tuple(fc.constantFrom('', '\n'), fc.array(multiLine))
      .map(([first, parts]) => `"""${first}${parts.join('')}x"""`),
    fc.tuple(fc.constantFrom('', '\n'), fc.array(part)).map(([first, parts]) => `'''${first}${parts.join('')}'''`),
  );
  const escaped: Record<string, string> = { n: '\n', '"': '"', '\\': '\\', u: 'A', U: '😀', x: 'A' };
  fc.assert(
    fc.property(source, (source) => {
      let value: string;
      try {
        value = parse(`key = ${source}`).key as string;
      } catch {
        fc.pre(false);
        return;
      }
      for (let index = 0; index < value.length; index++) {
        // The second half of a surrogate pair has no place of its own.
        if (/[\udc00-\udfff]/.test(value[index] as string)) continue;
        const at = offsetWithin(source, 0, index);
        const literal = source.startsWith("'");
        const found = !literal && source[at] === '\\' ? escaped[source[at + 1] as string] : source[at];
        expect(found?.[0]).toBe(value[index]);
      }
      expect(source.slice(offsetWithin(source, 0, value.length))).toMatch(/^(["']|""".*|'''.*)$/);
    }),
    { numRuns: 2000 },
  );
});
