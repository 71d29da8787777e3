/** For each rule of the compiler, a filter that it refuses, and the token at fault. */
import { textsMax } from '../../src/compiler/check.ts';
import type { Filter, Pattern, Token } from '../../src/compiler/pattern.ts';
import type { Rule } from '../../src/compiler/rules.ts';
import { ip, literal, optional, repeat, some, textToFirst, textToLast, time, until } from '../../src/filters/tokens.ts';

export const end: Token = { kind: 'end' };
export const pattern = (...tokens: Token[]): Pattern => ({ name: 'only', tokens, sample: '', counter: '' });
export const of = (patterns: Pattern[], more: Partial<Filter> = {}): Filter => ({
  name: 'test',
  about: '',
  prefixes: ['bare'],
  patterns,
  ...more,
});
export const good = pattern(literal('from '), ip);

/** The refused filter, and the token at fault (-1: the pattern or filter as a whole). */
export const refused: Record<Rule, [filter: Filter, token: number]> = {
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

/** More filters of the kind that attackers look for. */
export const reachable: Filter[] = [
  of([pattern(textToFirst(), literal(' from '), ip)]),
  of([pattern(literal('for '), textToLast(), literal(' from '), ip, literal(' port '), some('digit'))]),
];
