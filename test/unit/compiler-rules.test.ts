/** Every rule of the compiler refuses something, and CONTRIBUTING.md says so in the same words. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findingsOf, textsMax } from '../../src/compiler/check.ts';
import type { Filter, Pattern, Token } from '../../src/compiler/pattern.ts';
import { type Rule, rules } from '../../src/compiler/rules.ts';
import { ip, literal, optional, repeat, some, textToFirst, textToLast, time, until } from '../../src/filters/tokens.ts';

const end: Token = { kind: 'end' };
const pattern = (...tokens: Token[]): Pattern => ({ name: 'only', tokens, sample: '', counter: '' });
const of = (patterns: Pattern[], more: Partial<Filter> = {}): Filter => ({
  name: 'test',
  about: '',
  prefixes: ['bare'],
  patterns,
  ...more,
});
const good = pattern(literal('from '), ip);

/** What is refused, and the token that is at fault (-1: the pattern or filter as a whole). */
const refused: Record<Rule, [filter: Filter, token: number]> = {
  'no-pattern': [of([]), -1],
  name: [of([good, good]), -1],
  header: [of([good], { prefixes: [] }), -1],
  mode: [of([{ ...good, modes: ['ddos'] }]), -1],
  budget: [of([pattern(ip, ...Array.from({ length: 11 }, () => optional(literal('x'))))]), -1],
  unbounded: [
    of([
      pattern(
        ip,
        ...Array(textsMax + 1)
          .fill([literal(' '), textToFirst()])
          .flat(),
      ),
    ]),
    2 * textsMax + 2,
  ],
  'scanned-again': [of([pattern(textToLast(), literal('from'), ip, literal(' bye'), end)]), 2],
  'no-bytes': [of([pattern(ip, literal('\n'))]), 1],
  loop: [of([pattern(ip, repeat(2, ip))]), -1],
  'never-matches': [of([pattern(literal('port '), some('digit'), literal('5 from '), ip)]), 2],
  shadowed: [of([good, { ...pattern(literal('from '), ip, end), name: 'other' }]), -1],
  'matches-anything': [of([pattern(textToFirst())]), -1],
  'text-place': [of([pattern(literal('a '), textToLast(), ip)]), 1],
  'no-address': [of([pattern(literal('x'))]), -1],
  'captured-twice': [of([pattern(time, literal(' '), ip, literal(' '), time)]), 4],
  unanchored: [of([pattern(literal('x'), until(' '), ip)]), 2],
  'in-reach': [of([pattern(textToLast(), literal(' from '), ip)]), 0],
};

test.each(Object.entries(refused))('%s refuses', (rule, [filter, token]) => {
  expect(findingsOf(filter)).toEqual([expect.objectContaining({ rule, token })]);
});

test.each<[string, Token[]]>([
  ['in an optional', [ip, optional(literal('\n'))]],
  ['in a choice', [ip, { kind: 'choice', of: [' a', '\n'] }]],
  ['behind the end of an optional', [ip, optional(end, literal('x'))]],
])('a fault %s is that of its pattern', (_where, tokens) => {
  expect(findingsOf(of([pattern(...tokens)]))).toEqual([expect.objectContaining({ token: -1 })]);
});

test('what is refused is next to what is accepted', () => {
  expect(findingsOf(of([good]))).toEqual([]);
});

describe('CONTRIBUTING.md', () => {
  test('has a row for each rule, with its reason', () => {
    const [, table = ''] =
      readFileSync('CONTRIBUTING.md', 'utf8').match(/<!-- rules:begin -->\n([\s\S]*?)<!-- rules:end -->/) ?? [];
    const rows = [...table.matchAll(/^\| `([a-z-]+)` \| (.*) \|$/gm)].map(([, rule, why]) => [rule, why]);
    expect(Object.fromEntries(rows)).toEqual(rules);
  });
});
