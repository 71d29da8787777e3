/**
 * What the compiler refuses: one row per rule, and beside it the most similar definition that it
 * accepts.
 */
import { describe, expect, test } from 'vitest';
import {
  assertFilter,
  checkFilter,
  type Finding,
  findingsOf,
  pathsMax,
  patternsMax,
  repeatMax,
  spanMax,
  textsMax,
} from '../../src/compiler/check.ts';
import type { Filter, Pattern, Token } from '../../src/compiler/pattern.ts';
import type { Rule } from '../../src/compiler/rules.ts';

const literal = (text: string): Token => ({ kind: 'literal', text });
const choice = (...of: string[]): Token => ({ kind: 'choice', of });
const optional = (...tokens: Token[]): Token => ({ kind: 'optional', tokens });
const either = (...of: Token[][]): Token => ({ kind: 'either', of });
const repeat = (max: number, ...tokens: Token[]): Token => ({ kind: 'repeat', max, tokens });
const digits = (max = 5): Token => ({ kind: 'span', of: { name: 'digit' }, min: 1, max });
const nonspaces = (max: number): Token => ({ kind: 'span', of: { name: 'nonspace' }, min: 1, max });
const word = nonspaces(64);
const spaces: Token = { kind: 'span', of: { name: 'space' }, min: 0, max: 3 };
const left: Token = { kind: 'text', from: 'left' };
const leftWithout = (bytes: string): Token => ({ kind: 'text', from: 'left', without: { bytes } });
const right: Token = { kind: 'text', from: 'right' };
const rightWithout = (bytes: string): Token => ({ kind: 'text', from: 'right', without: { bytes } });
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
const findings = (...tokens: Token[]): Finding[] => findingsOf(filter([pattern(tokens)]));

const table: [what: string, rule: Rule, refused: Token[], reason: string, accepted: Token[]][] = [
  ['an address', 'no-address', [literal('Failed')], 'a failure without an address', [literal('Failed '), ip]],
  [
    'an address on every way',
    'no-address',
    [literal('Failed'), optional(literal(' from '), ip)],
    'a failure without an address',
    [literal('Failed'), either([literal(' from '), ip], [literal(' by '), ip])],
  ],
  [
    'an address on a way that ends early',
    'no-address',
    [literal('x '), optional(literal('y'), end), ip],
    'a failure without an address',
    [literal('x '), ip, optional(literal(' y'), end), literal(' z')],
  ],
  [
    'one address',
    'captured-twice',
    [ip, literal(' to '), ip],
    'two addresses',
    [either([literal('a '), ip], [literal('b '), ip])],
  ],
  [
    'one timestamp',
    'captured-twice',
    [time, literal(' '), time, literal(' '), ip],
    'two timestamps',
    [time, literal(' '), ip],
  ],
  [
    'one user',
    'captured-twice',
    [user, literal(' as '), user, literal(' from '), ip, end],
    'two users',
    [right, literal(' as '), user, literal(' from '), ip, end],
  ],
  ['an anchored address', 'unanchored', [word, ip], 'unanchored address: a span', [word, literal(' '), ip]],
  ['an address behind a timestamp', 'unanchored', [time, word, ip], 'unanchored address: a span', [time, ip]],
  [
    'an address beside text',
    'text-place',
    [left, ip],
    'attacker text directly beside ip',
    [leftWithout(' '), literal(' '), ip],
  ],
  [
    'an address behind what may be nothing',
    'unanchored',
    [word, optional(literal(' ')), ip],
    'unanchored address: a span',
    [word, either([literal(' ')], [literal('\t')]), ip],
  ],
  [
    'an address behind a run without address bytes',
    'unanchored',
    [literal('x='), { kind: 'span', of: { name: 'word' }, min: 1, max: 9 }, ip],
    'unanchored',
    [literal('x'), { kind: 'span', of: { name: 'space' }, min: 1, max: 9 }, ip],
  ],
  [
    'an address behind a run that may be empty, and a run before that',
    'unanchored',
    [word, { kind: 'span', of: { name: 'space' }, min: 0, max: 9 }, ip],
    'unanchored',
    [literal('x'), { kind: 'span', of: { name: 'space' }, min: 0, max: 9 }, ip],
  ],
  [
    'text from the left before the address',
    'in-reach',
    [left, literal(' from '), ip, end],
    'attacker text could reach the address',
    [leftWithout(' '), literal(' from '), ip, end],
  ],
  [
    'text from the left that excludes another byte',
    'in-reach',
    [leftWithout('"'), literal(' from '), ip, end],
    'attacker text could reach the address',
    [leftWithout('f'), literal(' from '), ip, end],
  ],
  [
    'text that excludes a byte of one word',
    'in-reach',
    [leftWithout(' '), choice(' from ', '='), ip],
    'attacker text could reach the address',
    [leftWithout(' ='), choice(' from ', '='), ip],
  ],
  [
    'text from the right that could end inside another literal',
    'in-reach',
    [rightWithout(' '), optional(literal('; from '), word), literal(' from '), ip],
    'attacker text could reach the address',
    [rightWithout(' ;'), optional(literal('; from '), word), literal(' from '), ip],
  ],
  [
    'text from the left that could end inside another literal',
    'in-reach',
    [leftWithout(' '), optional(literal('; from '), word), literal(' from '), ip, literal(': '), left],
    'attacker text could reach the address',
    [leftWithout(' ;'), optional(literal('; from '), word), literal(' from '), ip, literal(': '), left],
  ],
  [
    'text that excludes bytes of its end on one way only',
    'in-reach',
    [leftWithout(' '), either([literal('=')], [literal(' from ')]), ip],
    'attacker text could reach the address',
    [leftWithout('= '), either([literal('=')], [literal(' from ')]), ip],
  ],
  [
    'text from the right without an end',
    'in-reach',
    [right, literal(' from '), ip],
    'attacker text could reach the address',
    [right, literal(' from '), ip, end],
  ],
  [
    'text from the right and text after the address',
    'in-reach',
    [right, literal(' from '), ip, literal(': '), right, end],
    'attacker text could reach the address',
    [right, literal(' from '), ip, literal(': '), leftWithout(' '), end],
  ],
  [
    'a second reading through a short delimiter',
    'in-reach',
    [right, literal(' '), ip, optional(literal(' port '), digits()), literal(': bye'), end],
    'attacker text could reach the address',
    [right, literal(' '), ip, literal(' port '), digits(), literal(': bye'), end],
  ],
  [
    'a second reading through a wide run',
    'in-reach',
    [right, literal(' from '), ip, literal(' '), { kind: 'span', of: { name: 'any' }, min: 0, max: 99 }, end],
    'attacker text could reach the address',
    [right, literal(' from '), ip, literal(' '), digits(), end],
  ],
  [
    'two texts before the address, the first loose',
    'in-reach',
    [left, literal(' as '), leftWithout(' '), literal(' from '), ip],
    'attacker text could reach the address',
    [leftWithout(' '), literal(' as '), leftWithout(' '), literal(' from '), ip],
  ],
  [
    'an address that is not walked again',
    'scanned-again',
    [right, literal('from'), ip, literal(' bye'), end],
    'the ip can hold all that stands between it and the text',
    [right, literal('from '), ip, literal(' bye'), end],
  ],
  [
    'a short run behind what it can hold',
    'scanned-again',
    [ip, literal(' '), left, literal('x'), nonspaces(33)],
    'the span can hold all that stands between it and the text',
    [ip, literal(' '), left, literal('x'), nonspaces(32)],
  ],
  [
    'a long run behind a byte that it cannot hold',
    'scanned-again',
    [ip, literal(' '), left, choice('=', 'x '), nonspaces(64)],
    'the span can hold all that stands between it and the text',
    [ip, literal(' '), left, choice('= ', 'x '), nonspaces(64)],
  ],
  [
    'a long run behind another run',
    'scanned-again',
    [ip, literal(' '), left, literal('x'), digits(), nonspaces(64)],
    'the span can hold all that stands between it and the text',
    [ip, literal(' '), left, literal('x '), digits(), nonspaces(64)],
  ],
  [
    'a long run of digits behind a byte of addresses',
    'scanned-again',
    [ip, literal(' '), left, literal('0'), digits(64)],
    'the span can hold all that stands between it and the text',
    [ip, literal(' '), left, literal(':'), digits(64)],
  ],
  [
    'two texts before the address, the second loose',
    'in-reach',
    [leftWithout(' '), literal(' as '), leftWithout(' '), choice(' from ', '='), ip],
    'attacker text could reach the address',
    [leftWithout(' '), literal(' as '), leftWithout(' '), choice(' from ', ' by '), ip],
  ],
  [
    'a loose text before one from the right',
    'in-reach',
    [left, literal(' as '), rightWithout(' '), literal(' from '), ip],
    'attacker text could reach the address',
    [leftWithout(' '), literal(' as '), rightWithout(' '), literal(' from '), ip],
  ],
  [
    'text after the address that the text before it can hold',
    'in-reach',
    [right, literal(' from '), ip, literal(': '), left, literal('.'), end],
    'attacker text could reach the address',
    [rightWithout(' '), literal(' from '), ip, literal(': '), left, literal('.'), end],
  ],
  [
    'texts side by side',
    'text-place',
    [left, right, literal(' from '), ip, end],
    'two texts side by side',
    [right, literal(' from '), ip, end],
  ],
  [
    'text beside a run',
    'text-place',
    [ip, literal(' '), left, digits(), end],
    'attacker text directly beside span',
    [ip, literal(' '), left, literal(':'), digits(), end],
  ],
  [
    'few texts',
    'unbounded',
    [ip, ...Array.from({ length: textsMax + 1 }, () => [literal(' '), left]).flat()],
    'a scan without bound',
    [ip, ...Array.from({ length: textsMax }, () => [literal(' '), left]).flat()],
  ],
  [
    'a bounded span',
    'unbounded',
    [ip, literal(' '), digits(spanMax + 1)],
    'a scan without bound',
    [ip, literal(' '), digits(spanMax)],
  ],
  [
    'a span of some bytes',
    'unbounded',
    [ip, literal(' '), digits(0)],
    'a scan without bound',
    [ip, literal(' '), digits(1)],
  ],
  [
    'a whole minimum',
    'unbounded',
    [ip, { kind: 'span', of: { name: 'space' }, min: -1, max: 2 }],
    'a minimum of 0 or more',
    [ip, { kind: 'span', of: { name: 'space' }, min: 0, max: 2 }],
  ],
  [
    'minimum below maximum',
    'never-matches',
    [ip, { kind: 'span', of: { name: 'space' }, min: 3, max: 2 }],
    'minimum is above its maximum',
    [ip, { kind: 'span', of: { name: 'space' }, min: 2, max: 2 }],
  ],
  [
    'a bounded repeat',
    'unbounded',
    [ip, repeat(repeatMax + 1, literal(' x'))],
    'a repeat needs a bound',
    [ip, repeat(repeatMax, literal(' x'))],
  ],
  [
    'a repeat of some rounds',
    'unbounded',
    [ip, repeat(0, literal(' x'))],
    'a repeat needs a bound',
    [ip, repeat(1, literal(' x'))],
  ],
  [
    'a repeat of whole rounds',
    'unbounded',
    [ip, repeat(1.5, literal(' x'))],
    'a repeat needs a bound',
    [ip, repeat(2, literal(' x'))],
  ],
  [
    'no repeat in a repeat',
    'loop',
    [ip, repeat(2, literal(' '), repeat(2, literal('x')))],
    'a repeat inside a repeat',
    [ip, repeat(2, literal(' x'))],
  ],
  [
    'no repeat in an optional in a repeat',
    'loop',
    [ip, repeat(2, literal(' '), optional(either([repeat(2, literal('x'))])))],
    'a repeat inside a repeat',
    [ip, optional(literal(' '), repeat(2, literal('x')))],
  ],
  [
    'no repeat in an alternative in a repeat',
    'loop',
    [ip, repeat(2, literal(' '), either([repeat(2, literal('x'))], [literal('y')]))],
    'a repeat inside a repeat',
    [ip, repeat(2, literal(' '), either([literal('x')], [literal('y')]))],
  ],
  [
    'no capture in a repeat',
    'loop',
    [repeat(2, literal('x '), ip)],
    'a capture inside a repeat',
    [repeat(2, literal('x ')), literal('y '), ip],
  ],
  [
    'no text inside',
    'text-place',
    [ip, optional(literal(' '), left)],
    'a text inside an optional',
    [ip, literal(' '), left],
  ],
  [
    'no text in an alternative',
    'text-place',
    [ip, either([literal(' '), left])],
    'a text inside an optional',
    [ip, either([literal(' ')]), left],
  ],
  [
    'no text in a repeat',
    'text-place',
    [ip, repeat(2, literal(' '), left)],
    'a text inside an optional',
    [ip, repeat(2, literal(' ')), literal(':'), left],
  ],
  [
    'an optional that takes something',
    'loop',
    [ip, optional(optional(literal(' x')))],
    'an optional that may take nothing',
    [ip, optional(literal(' x'))],
  ],
  [
    'an optional that takes something or the end',
    'loop',
    [ip, optional(spaces)],
    'an optional that may take nothing',
    [ip, optional(spaces, end)],
  ],
  [
    'a repeat that takes something',
    'loop',
    [ip, repeat(2, spaces)],
    'a repeat that may take nothing',
    [ip, repeat(2, literal(' '))],
  ],
  [
    'a choice in order',
    'shadowed',
    [choice('a', 'ab'), literal(' '), ip],
    "the choice 'a' comes before 'ab'",
    [choice('ab', 'a'), literal(' '), ip],
  ],
  [
    'a choice of differing words',
    'shadowed',
    [choice('a', 'a'), literal(' '), ip],
    "the choice 'a' comes before 'a'",
    [choice('a', 'b'), literal(' '), ip],
  ],
  ['a choice of words', 'no-bytes', [choice('x ', ''), ip], 'an empty literal', [choice('x ', 'y '), ip]],
  ['a choice of something', 'no-bytes', [{ kind: 'choice', of: [] }, ip], 'a choice of nothing', [choice('x '), ip]],
  [
    'an either of something',
    'no-bytes',
    [{ kind: 'either', of: [] }, ip],
    'an either of nothing',
    [either([literal('x ')]), ip],
  ],
  [
    'alternatives that are reached',
    'shadowed',
    [either([literal('b')], [literal('a')], [literal('ab')]), literal(' '), ip],
    'alternative 3 of an either is never reached: alternative 2 takes its lines',
    [either([literal('b')], [literal('ab')], [literal('a')]), literal(' '), ip],
  ],
  [
    'an empty alternative last',
    'shadowed',
    [either([], [literal('a ')]), ip],
    'alternative 2 of an either is never reached',
    [either([literal('a ')], []), ip],
  ],
  ['a literal of something', 'no-bytes', [literal(''), ip], 'an empty literal', [literal('x '), ip]],
  ['a literal of one line', 'no-bytes', [literal('a\n'), ip], 'a line feed', [literal('a\t'), ip]],
  [
    'classes of single bytes',
    'no-bytes',
    [ip, literal(' '), { kind: 'span', of: { bytes: 'ä' }, min: 1, max: 2 }],
    'more than one byte',
    [ip, literal(' '), { kind: 'span', of: { bytes: 'a' }, min: 1, max: 2 }],
  ],
  [
    'texts without single bytes',
    'no-bytes',
    [ip, literal(' '), leftWithout('ä')],
    'more than one byte',
    [ip, literal(' '), leftWithout('a')],
  ],
  [
    'classes that hold something',
    'no-bytes',
    [ip, literal(' '), { kind: 'span', of: { name: 'any', not: true }, min: 0, max: 2 }],
    'holds no byte',
    [ip, literal(' '), { kind: 'span', of: { name: 'any' }, min: 0, max: 2 }],
  ],
  [
    'text of some bytes',
    'no-bytes',
    [ip, literal(' '), { kind: 'text', from: 'left', max: 0 }],
    'a text of no bytes',
    [ip, literal(' '), { kind: 'text', from: 'left', max: 1 }],
  ],
  [
    'nothing after the end',
    'never-matches',
    [ip, end, literal(' x')],
    'something follows the end',
    [ip, literal(' x'), end],
  ],
  [
    'a byte left for the next literal',
    'never-matches',
    [digits(), literal('1 '), ip],
    "'1 ' can never match after the span",
    [digits(), literal(' '), ip],
  ],
  [
    'a byte left for a word of the next choice',
    'never-matches',
    [digits(), choice('1 ', '2 '), ip],
    "'1 ' can never match after the span",
    [digits(), choice('1 ', ' '), ip],
  ],
  [
    'a byte left after an address',
    'never-matches',
    [ip, literal('port')],
    "'port' can never match after the ip",
    [ip, literal(':port')],
  ],
  ['not an empty line', 'matches-anything', [optional(ip)], 'it matches an empty line', [ip]],
  [
    'a budget of ways',
    'budget',
    [literal('x '), ip, ...Array.from({ length: 11 }, () => optional(literal('; ')))],
    `more than ${pathsMax} ways`,
    [literal('x '), ip, ...Array.from({ length: 10 }, () => optional(literal('; ')))],
  ],
  [
    'a budget of tokens',
    'budget',
    [ip, ...Array.from({ length: 192 }, () => literal(' '))],
    'tokens, 192 are allowed',
    [ip, ...Array.from({ length: 191 }, () => literal(' '))],
  ],
  [
    'a budget of literal bytes',
    'budget',
    [ip, literal(` ${'x'.repeat(2048)}`)],
    'literal bytes, 2048 are allowed',
    [ip, literal(` ${'x'.repeat(2047)}`)],
  ],
  [
    'a budget of tokens in optionals',
    'budget',
    [ip, optional(...Array.from({ length: 191 }, () => literal(' ')))],
    '193 tokens, 192 are allowed',
    [ip, optional(...Array.from({ length: 190 }, () => literal(' ')))],
  ],
  [
    'a budget of tokens in alternatives',
    'budget',
    [ip, either(Array(96).fill(literal('(')), Array(95).fill(literal(')')))],
    '193 tokens, 192 are allowed',
    [ip, either(Array(95).fill(literal('(')), Array(95).fill(literal(')')))],
  ],
  [
    'a budget of literal bytes in choices',
    'budget',
    [ip, choice(' '.repeat(1025), '('.repeat(1024))],
    '2049 literal bytes, 2048 are allowed',
    [ip, choice(' '.repeat(1024), '('.repeat(1024))],
  ],
  [
    'a budget of literal bytes in repeats',
    'budget',
    [ip, repeat(2, literal(' '.repeat(2049)))],
    '2049 literal bytes, 2048 are allowed',
    [ip, repeat(2, literal(' '.repeat(2048)))],
  ],
];

test.each(table)('%s', (_what, rule, refused, reason, accepted) => {
  expect(findings(...refused)).toEqual([
    expect.objectContaining({ pattern: 'only', rule, reason: expect.stringContaining(reason) }),
  ]);
  expect(findings(...accepted)).toEqual([]);
});

test('a second reading is shown', () => {
  const [finding] = findings(literal('Failed '), right, literal(' from '), ip, literal(' '), left, end);
  expect(finding?.reason).toMatch(
    /^attacker text could reach the address: after the text, " from [0-9a-f:.]+ ?" may be followed by " from [^" ]+ ", which fits there too; let end close the pattern and leave no room for it after the address$/,
  );
});

test('an invalid definition is an error, not a finding', () => {
  expect(() => findingsOf(filter([pattern(undefined as unknown as Token[])]))).toThrow(TypeError);
});

describe('headers', () => {
  const good = pattern([literal('x '), ip]);
  const rows: [what: string, rule: Rule, more: Partial<Filter>, finding: string][] = [
    ['no pattern', 'no-pattern', { patterns: [] }, 'test: it has no pattern'],
    ['no prefix', 'header', { prefixes: [] }, 'test: it states no prefix'],
    ['a prefix twice', 'header', { prefixes: ['bare', 'bare'] }, 'test: a prefix is stated twice'],
    ['a name twice', 'name', { patterns: [good], ignore: [good] }, 'test: two patterns are called only'],
    [
      'a star within a tag',
      'header',
      { tags: ['a*b'] },
      "test: the tag 'a*b' may end in a '*' after other bytes and hold no other",
    ],
    [
      'a star as tag',
      'header',
      { tags: ['*'] },
      "test: the tag '*' may end in a '*' after other bytes and hold no other",
    ],
    ['too many modes', 'budget', { modes: [...'abcdefghi'] }, 'test: more than 8 modes'],
    [
      'too many patterns',
      'budget',
      {
        patterns: Array.from({ length: patternsMax + 1 }, (_, index) => ({
          ...good,
          name: `p${index}`,
          tokens: [literal(`${index} `), ip],
        })),
      },
      'test: 256 patterns, 255 are allowed',
    ],
    [
      'an unknown mode',
      'mode',
      { patterns: [{ ...good, modes: ['loud'] }] },
      'test: only: the filter has no mode loud',
    ],
    ['no mode at all', 'mode', { patterns: [{ ...good, modes: [] }] }, 'test: only: it applies in no mode'],
    [
      'a name with capitals',
      'name',
      { patterns: [{ ...good, name: 'Only' }] },
      'test: Only: a name is lower-case words',
    ],
    [
      'a name with a loose end',
      'name',
      { patterns: [{ ...good, name: 'only-' }] },
      'test: only-: a name is lower-case words',
    ],
  ];
  test.each(rows)('%s', (_what, rule, more, finding) => {
    expect(checkFilter(filter([good], more)).join('\n')).toContain(finding);
    expect(findingsOf(filter([good], more))).toEqual([expect.objectContaining({ rule })]);
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
  const finding = ['test: later: never reached: earlier, which comes before it, takes all its lines'];
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
    ['a word that begins alike', [literal('a '), ip, choice(' x', ' y')], [literal('a '), ip, literal(' yz')], true],
    [
      'words of which one begins alike',
      [literal('a '), ip, literal(' x')],
      [literal('a '), ip, choice(' xy', ' z')],
      false,
    ],
    [
      'words that begin alike, and more',
      [literal('a '), ip, literal(' x'), digits()],
      [literal('a '), ip, choice(' x:', ' x;')],
      false,
    ],
    ['a word of a longer literal', [literal('a '), choice('x ', 'y '), ip], [literal('a y '), ip], true],
    ['no word of a longer literal', [literal('a '), choice('x ', 'y '), ip], [literal('a z '), ip], false],
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
