/** What the compiler refuses, one row per rule, each beside the nearest definition it accepts. */
import { describe, expect, test } from 'vitest';
import {
  assertFilter,
  checkFilter,
  pathsMax,
  patternsMax,
  repeatMax,
  spanMax,
  textsMax,
} from '../../src/compiler/check.ts';
import type { Filter, Pattern, Token } from '../../src/compiler/pattern.ts';

const literal = (text: string): Token => ({ kind: 'literal', text });
const choice = (...of: string[]): Token => ({ kind: 'choice', of });
const optional = (...tokens: Token[]): Token => ({ kind: 'optional', tokens });
const either = (...of: Token[][]): Token => ({ kind: 'either', of });
const repeat = (max: number, ...tokens: Token[]): Token => ({ kind: 'repeat', max, tokens });
const digits = (max = 5): Token => ({ kind: 'span', of: { name: 'digit' }, min: 1, max });
const word: Token = { kind: 'span', of: { name: 'nonspace' }, min: 1, max: 64 };
const left: Token = { kind: 'text', from: 'left' };
const leftWithout = (bytes: string): Token => ({ kind: 'text', from: 'left', without: { bytes } });
const right: Token = { kind: 'text', from: 'right' };
const user: Token = { kind: 'text', from: 'right', capture: 'user' };
const ip: Token = { kind: 'ip' };
const time: Token = { kind: 'time' };
const end: Token = { kind: 'end' };

const pattern = (tokens: Token[], more: Partial<Pattern> = {}): Pattern => ({
  name: 'only',
  tokens,
  sample: '',
  counter: '',
  ...more,
});
const filter = (patterns: Pattern[], more: Partial<Filter> = {}): Filter => ({
  name: 'test',
  about: '',
  prefixes: ['syslog'],
  patterns,
  ...more,
});
const findings = (...tokens: Token[]): string[] => checkFilter(filter([pattern(tokens)]));

const table: [rule: string, refused: Token[], reason: string, accepted: Token[]][] = [
  ['an address', [literal('Failed')], 'a failure without an address', [literal('Failed '), ip]],
  [
    'an address on every way',
    [literal('Failed'), optional(literal(' from '), ip)],
    'a failure without an address',
    [literal('Failed'), either([literal(' from '), ip], [literal(' by '), ip])],
  ],
  ['one address', [ip, literal(' to '), ip], 'two addresses', [either([literal('a '), ip], [literal('b '), ip])]],
  ['one timestamp', [time, literal(' '), time, literal(' '), ip], 'two timestamps', [time, literal(' '), ip]],
  [
    'one user',
    [user, literal(' as '), user, literal(' from '), ip, end],
    'two users',
    [right, literal(' as '), user, literal(' from '), ip, end],
  ],
  ['an anchored address', [word, ip], 'unanchored address: a span', [word, literal(' '), ip]],
  ['an address beside text', [left, ip], 'attacker text directly beside ip', [leftWithout(' '), literal(' '), ip]],
  [
    'an address behind what may be nothing',
    [word, optional(literal(' ')), ip],
    'unanchored address: a span',
    [word, either([literal(' ')], [literal('\t')]), ip],
  ],
  [
    'an address behind a run without address bytes',
    [literal('x='), { kind: 'span', of: { name: 'word' }, min: 1, max: 9 }, ip],
    'unanchored',
    [literal('x'), { kind: 'span', of: { name: 'space' }, min: 1, max: 9 }, ip],
  ],
  [
    'an address behind a run that may be empty',
    [literal('x'), { kind: 'span', of: { name: 'space' }, min: 0, max: 9 }, ip],
    'unanchored',
    [literal('x'), { kind: 'span', of: { name: 'space' }, min: 1, max: 9 }, ip],
  ],
  [
    'text from the left before the address',
    [left, literal(' from '), ip, end],
    'attacker text could reach the address',
    [leftWithout(' '), literal(' from '), ip, end],
  ],
  [
    'text from the left that excludes another byte',
    [leftWithout('"'), literal(' from '), ip, end],
    'attacker text could reach the address',
    [leftWithout('f'), literal(' from '), ip, end],
  ],
  [
    'text from the right without an end',
    [right, literal(' from '), ip],
    'attacker text could reach the address',
    [right, literal(' from '), ip, end],
  ],
  [
    'text from the right and text after the address',
    [right, literal(' from '), ip, literal(': '), right, end],
    'attacker text could reach the address',
    [right, literal(' from '), ip, literal(': '), leftWithout(' '), end],
  ],
  [
    'a second reading through a short delimiter',
    [right, literal(' '), ip, optional(literal(' port '), digits()), literal(': bye'), end],
    'attacker text could reach the address',
    [right, literal(' '), ip, literal(' port '), digits(), literal(': bye'), end],
  ],
  [
    'a second reading through a wide run',
    [right, literal(' from '), ip, literal(' '), { kind: 'span', of: { name: 'any' }, min: 0, max: 99 }, end],
    'attacker text could reach the address',
    [right, literal(' from '), ip, literal(' '), digits(), end],
  ],
  [
    'two texts before the address, the first loose',
    [left, literal(' as '), leftWithout(' '), literal(' from '), ip],
    'attacker text could reach the address',
    [leftWithout(' '), literal(' as '), leftWithout(' '), literal(' from '), ip],
  ],
  [
    'texts side by side',
    [left, right, literal(' from '), ip, end],
    'two texts side by side',
    [right, literal(' from '), ip, end],
  ],
  [
    'text beside a run',
    [ip, literal(' '), left, digits(), end],
    'attacker text directly beside span',
    [ip, literal(' '), left, literal(':'), digits(), end],
  ],
  [
    'few texts',
    [ip, ...Array.from({ length: textsMax + 1 }, () => [literal(' '), left]).flat()],
    'a scan without bound',
    [ip, ...Array.from({ length: textsMax }, () => [literal(' '), left]).flat()],
  ],
  [
    'a bounded span',
    [ip, literal(' '), digits(spanMax + 1)],
    'a scan without bound',
    [ip, literal(' '), digits(spanMax)],
  ],
  ['a span of some bytes', [ip, literal(' '), digits(0)], 'a scan without bound', [ip, literal(' '), digits(1)]],
  [
    'a whole minimum',
    [ip, { kind: 'span', of: { name: 'space' }, min: -1, max: 2 }],
    'a minimum of 0 or more',
    [ip, { kind: 'span', of: { name: 'space' }, min: 0, max: 2 }],
  ],
  [
    'minimum below maximum',
    [ip, { kind: 'span', of: { name: 'space' }, min: 3, max: 2 }],
    'minimum is above its maximum',
    [ip, { kind: 'span', of: { name: 'space' }, min: 2, max: 2 }],
  ],
  [
    'a bounded repeat',
    [ip, repeat(repeatMax + 1, literal(' x'))],
    'a repeat needs a bound',
    [ip, repeat(repeatMax, literal(' x'))],
  ],
  [
    'no repeat in a repeat',
    [ip, repeat(2, literal(' '), repeat(2, literal('x')))],
    'a repeat inside a repeat',
    [ip, repeat(2, literal(' x'))],
  ],
  [
    'no repeat in an optional in a repeat',
    [ip, repeat(2, literal(' '), optional(either([repeat(2, literal('x'))])))],
    'a repeat inside a repeat',
    [ip, optional(literal(' '), repeat(2, literal('x')))],
  ],
  [
    'no capture in a repeat',
    [repeat(2, literal('x '), ip)],
    'a capture inside a repeat',
    [repeat(2, literal('x ')), literal('y '), ip],
  ],
  ['no text inside', [ip, optional(literal(' '), left)], 'a text inside an optional', [ip, literal(' '), left]],
  [
    'an optional that takes something',
    [ip, optional(optional(literal(' x')))],
    'an optional that may take nothing',
    [ip, optional(literal(' x'))],
  ],
  [
    'a repeat that takes something',
    [ip, repeat(2, { kind: 'span', of: { name: 'space' }, min: 0, max: 3 })],
    'a repeat that may take nothing',
    [ip, repeat(2, literal(' '))],
  ],
  [
    'a choice in order',
    [choice('a', 'ab'), literal(' '), ip],
    "the choice 'a' stands before 'ab'",
    [choice('ab', 'a'), literal(' '), ip],
  ],
  [
    'a choice of differing words',
    [choice('a', 'a'), literal(' '), ip],
    "the choice 'a' stands before 'a'",
    [choice('a', 'b'), literal(' '), ip],
  ],
  ['a choice of something', [{ kind: 'choice', of: [] }, ip], 'a choice of nothing', [choice('x '), ip]],
  ['an either of something', [{ kind: 'either', of: [] }, ip], 'an either of nothing', [either([literal('x ')]), ip]],
  [
    'alternatives that are reached',
    [either([literal('a')], [literal('ab')]), literal(' '), ip],
    'alternative 2 of an either is never reached',
    [either([literal('ab')], [literal('a')]), literal(' '), ip],
  ],
  [
    'an empty alternative last',
    [either([], [literal('a ')]), ip],
    'alternative 2 of an either is never reached',
    [either([literal('a ')], []), ip],
  ],
  ['a literal of something', [literal(''), ip], 'an empty literal', [literal('x '), ip]],
  ['a literal of one line', [literal('a\n'), ip], 'a line feed', [literal('a\t'), ip]],
  [
    'classes of single bytes',
    [ip, literal(' '), { kind: 'span', of: { bytes: 'ä' }, min: 1, max: 2 }],
    'more than one byte',
    [ip, literal(' '), { kind: 'span', of: { bytes: 'a' }, min: 1, max: 2 }],
  ],
  [
    'classes that hold something',
    [ip, literal(' '), { kind: 'span', of: { name: 'any', not: true }, min: 0, max: 2 }],
    'holds no byte',
    [ip, literal(' '), { kind: 'span', of: { name: 'any' }, min: 0, max: 2 }],
  ],
  [
    'text of some bytes',
    [ip, literal(' '), { kind: 'text', from: 'left', max: 0 }],
    'a text of no bytes',
    [ip, literal(' '), { kind: 'text', from: 'left', max: 1 }],
  ],
  ['nothing after the end', [ip, end, literal(' x')], 'something stands after the end', [ip, literal(' x'), end]],
  [
    'a byte left for the next literal',
    [digits(), literal('1 '), ip],
    "'1 ' can never match after the span",
    [digits(), literal(' '), ip],
  ],
  [
    'a byte left after an address',
    [ip, literal('port')],
    "'port' can never match after the ip",
    [ip, literal(':port')],
  ],
  ['not an empty line', [optional(ip)], 'it matches an empty line', [ip]],
  [
    'a budget of ways',
    [literal('x '), ip, ...Array.from({ length: 11 }, () => optional(literal('; ')))],
    `more than ${pathsMax} ways`,
    [literal('x '), ip, ...Array.from({ length: 10 }, () => optional(literal('; ')))],
  ],
  [
    'a budget of tokens',
    [ip, ...Array.from({ length: 192 }, () => literal(' '))],
    'tokens, 192 are allowed',
    [ip, ...Array.from({ length: 191 }, () => literal(' '))],
  ],
  [
    'a budget of literal bytes',
    [ip, literal(` ${'x'.repeat(2048)}`)],
    'literal bytes, 2048 are allowed',
    [ip, literal(` ${'x'.repeat(2047)}`)],
  ],
];

test.each(table)('%s', (_rule, refused, reason, accepted) => {
  expect(findings(...refused).join('\n')).toContain(`test: only: `);
  expect(findings(...refused).join('\n')).toContain(reason);
  expect(findings(...accepted)).toEqual([]);
});

describe('headers', () => {
  const good = pattern([literal('x '), ip]);
  const rows: [string, Partial<Filter>, string][] = [
    ['no pattern', { patterns: [] }, 'test: it has no pattern'],
    ['no prefix', { prefixes: [] }, 'test: it states no prefix'],
    ['a prefix twice', { prefixes: ['bare', 'bare'] }, 'test: a prefix is stated twice'],
    ['a name twice', { patterns: [good], ignore: [good] }, 'test: two patterns are called only'],
    [
      'a star within a tag',
      { tags: ['a*b'] },
      "test: the tag 'a*b' may end in a '*' after other bytes and hold no other",
    ],
    ['a star as tag', { tags: ['*'] }, "test: the tag '*' may end in a '*' after other bytes and hold no other"],
    ['too many modes', { modes: [...'abcdefghi'] }, 'test: more than 8 modes'],
    [
      'too many patterns',
      {
        patterns: Array.from({ length: patternsMax + 1 }, (_, index) => ({
          ...good,
          name: `p${index}`,
          tokens: [literal(`${index} `), ip],
        })),
      },
      'test: 256 patterns, 255 are allowed',
    ],
    ['an unknown mode', { patterns: [{ ...good, modes: ['loud'] }] }, 'test: only: the filter has no mode loud'],
    ['no mode at all', { patterns: [{ ...good, modes: [] }] }, 'test: only: it applies in no mode'],
    ['a name with capitals', { patterns: [{ ...good, name: 'Only' }] }, 'test: Only: a name is lower-case words'],
  ];
  test.each(rows)('%s', (_what, more, finding) => {
    expect(checkFilter(filter([good], more)).join('\n')).toContain(finding);
  });

  test('as many patterns as are allowed', () => {
    const patterns = Array.from({ length: patternsMax }, (_, index) => ({
      ...good,
      name: `p${index}`,
      tokens: [literal(`${index} `), ip],
    }));
    expect(checkFilter(filter(patterns))).toEqual([]);
  });

  test('a line without an address may be context, ignored, or one of a connection', () => {
    const bare = pattern([literal('Failed')]);
    expect(checkFilter(filter([{ ...bare, effect: { kind: 'context' } }]))).toEqual([]);
    expect(checkFilter(filter([good], { ignore: [{ ...bare, name: 'ignored' }] }))).toEqual([]);
    expect(checkFilter(filter([bare], { connection: 'pid' }))).toEqual([]);
  });
});

describe('shadows', () => {
  const shadowed = (earlier: Token[], later: Token[], modes?: [string[]?, string[]?]): string[] =>
    checkFilter(
      filter(
        [
          pattern(earlier, { name: 'earlier', ...(modes?.[0] === undefined ? {} : { modes: modes[0] }) }),
          pattern(later, { name: 'later', ...(modes?.[1] === undefined ? {} : { modes: modes[1] }) }),
        ],
        { modes: ['one', 'two'] },
      ),
    );
  const finding = ['test: later: never reached: earlier, which stands before it, takes all its lines'];
  const rows: [string, Token[], Token[], boolean][] = [
    ['the same', [literal('a '), ip], [literal('a '), ip], true],
    ['a longer one', [literal('a '), ip], [literal('a '), ip, literal(' b')], true],
    ['a shorter one', [literal('a '), ip, literal(' b')], [literal('a '), ip], false],
    ['a longer literal', [literal('a '), ip, literal(' b')], [literal('a '), ip, literal(' bc')], true],
    ['one with an end', [literal('a '), ip, end], [literal('a '), ip], false],
    ['one word of a choice', [choice('a ', 'b '), ip], [literal('b '), ip], true],
    ['some words of a choice', [choice('a ', 'b ', 'c '), ip], [choice('c ', 'a '), ip], true],
    ['another word', [choice('a ', 'b '), ip], [choice('b ', 'd '), ip], false],
    ['words that begin alike', [literal('a '), ip, literal(' x')], [literal('a '), ip, choice(' xy', ' xz')], true],
    ['an alternative', [either([literal('a ')], [literal('b ')]), ip], [literal('b '), ip], true],
    ['no alternative', [either([literal('a ')], [literal('b ')]), ip], [literal('c '), ip], false],
    ['the same but for the capture', [user, literal(' from '), ip, end], [right, literal(' from '), ip, end], true],
  ];
  test.each(rows)('%s', (_what, earlier, later, refused) => {
    expect(shadowed(earlier, later)).toEqual(refused ? finding : []);
  });

  test('only where both apply', () => {
    const tokens = [literal('a '), ip];
    expect(shadowed(tokens, tokens, [['one'], ['two']])).toEqual([]);
    expect(shadowed(tokens, tokens, [['one'], undefined])).toEqual([]);
    expect(shadowed(tokens, tokens, [undefined, ['two']])).toEqual(finding);
    expect(shadowed(tokens, tokens, [['one', 'two'], ['two']])).toEqual(finding);
  });
});

test('assertFilter throws every finding at once', () => {
  const bad = filter([pattern([literal('a')]), pattern([literal('b')], { name: 'other' })]);
  expect(() => assertFilter(bad)).toThrow(/filter refused\n {2}test: only: .*\n {2}test: other: /);
  expect(() => assertFilter(filter([pattern([literal('x '), ip])]))).not.toThrow();
});
