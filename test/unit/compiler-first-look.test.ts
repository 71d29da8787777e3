/**
 * What the first look searches for: something that every matching line contains.
 */
import { describe, expect, test } from 'vitest';
import { signsOf } from '../../src/compiler/first-look.ts';
import type { Filter, Token } from '../../src/compiler/pattern.ts';
import { filters } from '../../src/filters/index.ts';

const literal = (text: string): Token => ({ kind: 'literal', text });
const ip: Token = { kind: 'ip' };

/** A filter of whole lines; a pattern is its tokens and its counter-sample. */
const filterOf = (patterns: [Token[], string][], prefixes: Filter['prefixes'] = ['bare']): Filter => ({
  ...{ name: 'own', about: '', prefixes },
  patterns: patterns.map(([tokens, counter], index) => ({ name: `p${index}`, tokens, sample: '', counter })),
});

describe('signs', () => {
  test('are four bytes that stand in each pattern, the least likely ones', () => {
    const filter = filterOf([
      [[ip, literal(' "GET" 404 ')], 'x'],
      [[literal('y '), ip, literal(' 404 ')], 'x'],
    ]);
    expect(signsOf(filter)).toEqual([{ word: ' 404' }]);
  });

  test('are one for each pattern that shares none', () => {
    const filter = filterOf([
      [[ip, literal(' bad')], 'x'],
      [[literal('wrong'), ip], 'x'],
    ]);
    expect(signsOf(filter)).toEqual([{ word: 'wron' }, { word: ' bad' }]);
  });

  test('are the length, for a pattern of long lines', () => {
    const filter = filterOf([
      [[ip, literal(' bad')], 'x'],
      [[{ kind: 'span', of: { name: 'any' }, min: 900, max: 4000 }, ip], 'x'],
    ]);
    expect(signsOf(filter)).toEqual([{ length: 901 }, { word: ' bad' }]);
  });

  test.each<[string, Filter]>([
    ['a filter that needs a prefix', filterOf([[[ip, literal(' bad')], 'x']], ['time', 'syslog'])],
    ['a pattern with no four bytes of its own', filterOf([[[ip, literal('bad')], 'x']])],
    ['words that may be missing', filterOf([[[ip, { kind: 'optional', tokens: [literal(' bad')] }], 'x']])],
    ['words of a choice', filterOf([[[ip, { kind: 'choice', of: [' bad', ' wrong'] }], 'x']])],
    ['words that every counter-sample has', filterOf([[[ip, literal(' bad')], 'so bad']])],
    ['more words than are looked for', filterOf('abcd'.split('').map((name) => [[literal(name.repeat(4)), ip], 'x']))],
  ])('are not named for %s', (_, filter) => {
    expect(signsOf(filter)).toEqual([]);
  });

  test('stand in the samples of every filter that has some', () => {
    const looked = filters.filter((filter) => signsOf(filter).length > 0);
    expect(looked.length).toBeGreaterThan(4);
    for (const filter of looked) {
      for (const { sample } of [...filter.patterns, ...(filter.ignore ?? [])]) {
        const has = signsOf(filter).some((sign) =>
          'word' in sign ? sample.includes(sign.word) : sample.length >= sign.length,
        );
        expect(has, sample).toBe(true);
      }
    }
  });
});
