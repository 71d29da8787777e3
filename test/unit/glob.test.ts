import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchesComponent, splitPattern } from '../../src/sources/glob.ts';

describe('matchesComponent', () => {
  test.each([
    ['auth.log', 'auth.log', true],
    ['auth.log', 'auth.log.1', false],
    ['*.log', 'auth.log', true],
    ['*.log', 'auth.log.1', false],
    ['*.log', '.hidden.log', false],
    ['.*.log', '.hidden.log', true],
    ['?.log', 'a.log', true],
    ['?.log', '.log', false],
    ['?.log', 'ab.log', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['*', 'anything', true],
    ['**', 'anything', true],
    ['access[1].log', 'access1.log', false],
    ['access[1].log', 'access[1].log', true],
    ['*a*', '', false],
  ])('%s over %s: %s', (pattern, name, fits) => {
    expect(matchesComponent(name, pattern)).toBe(fits);
  });

  test('agrees with the textbook definition on every short name and pattern', () => {
    const textbook = (name: string, pattern: string): boolean => {
      if (pattern === '') return name === '';
      if (pattern[0] === '*')
        return textbook(name, pattern.slice(1)) || (name !== '' && textbook(name.slice(1), pattern));
      return name !== '' && (pattern[0] === '?' || pattern[0] === name[0]) && textbook(name.slice(1), pattern.slice(1));
    };
    const text = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), minLength: 0, maxLength: 8 });
    fc.assert(
      fc.property(text('ab'), text('ab*?'), (name, pattern) => {
        expect(matchesComponent(name, pattern)).toBe(textbook(name, pattern));
      }),
      { numRuns: 2_000 },
    );
  });

  test('a hostile name costs no more than name times pattern', () => {
    expect(matchesComponent('a'.repeat(255), `${'*a'.repeat(100)}b`)).toBe(false);
  });
});

describe('splitPattern', () => {
  test('drops empty components and dots', () => {
    expect(splitPattern('/var//log/./nginx/*.log')).toEqual(['var', 'log', 'nginx', '*.log']);
  });

  test.each(['log/auth.log', '/var/../etc/x', '/', '', '/var/log\0/x'])('refuses %j', (pattern) => {
    expect(() => splitPattern(pattern)).toThrow();
  });
});
