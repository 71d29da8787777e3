/** Every rule of the compiler refuses something, and CONTRIBUTING.md says so in the same words. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findingsOf } from '../../src/compiler/check.ts';
import type { Token } from '../../src/compiler/pattern.ts';
import { rules } from '../../src/compiler/rules.ts';
import { ip, literal, optional } from '../../src/filters/tokens.ts';
import { end, good, of, pattern, reachable, refused } from '../support/refused-filters.ts';

test.each(Object.entries(refused))('%s refuses', (rule, [filter, token]) => {
  expect(findingsOf(filter)).toEqual([expect.objectContaining({ rule, token })]);
});

test('attacker text before an address is refused in every form', () => {
  for (const filter of reachable) expect(findingsOf(filter)).toEqual([expect.objectContaining({ rule: 'in-reach' })]);
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
