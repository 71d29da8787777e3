/**
 * Random definitions of filters that the compiler accepts: all three readings match the same lines.
 */
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { checkFilter } from '../../src/compiler/check.ts';
import type { ByteClass, Filter, Pattern, Token } from '../../src/compiler/pattern.ts';
import { bind, expectedOutcome, loadEmitted, loadInterpreted, outcome } from '../support/matchers.ts';
import { attackerText, messageOf } from '../support/messages.ts';

beforeEach(bind);

/* Few letters, so that one token's bytes are often another's. */
const words = ['a', 'ab', 'abc', 'b', 'bca', ' ', ' from ', 'for ', ': ', '=', 'user=', 'Failed password for ', 'ä'];
const literal = fc.constantFrom(...words).map((text): Token => ({ kind: 'literal', text }));
const byteClass: fc.Arbitrary<ByteClass> = fc.oneof(
  fc
    .constantFrom('digit', 'hex', 'word', 'space', 'nonspace', 'any', 'alpha', 'base64')
    .map((name) => ({ name }) as ByteClass),
  fc.record({ bytes: fc.constantFrom('a', 'ab', ' ', ' \t"', ':='), not: fc.boolean() }),
);
const leaf: fc.Arbitrary<Token> = fc.oneof(
  { weight: 4, arbitrary: literal },
  fc
    .uniqueArray(fc.constantFrom(...words), { minLength: 2, maxLength: 4 })
    .map((of): Token => ({ kind: 'choice', of })),
  fc.tuple(byteClass, fc.nat(2), fc.nat(4), fc.nat(5)).map(
    ([of, min, more, user]): Token => ({
      kind: 'span',
      of,
      min,
      max: Math.max(1, min + more),
      ...(user === 0 ? { capture: 'user' as const } : {}),
    }),
  ),
  fc.constant<Token>({ kind: 'ip' }),
  fc.constant<Token>({ kind: 'ip', port: true }),
);

const { list } = fc.letrec<{ token: Token; list: Token[] }>((tie) => ({
  token: fc.oneof(
    { maxDepth: 2, depthSize: 'small' },
    leaf,
    tie('list').map((tokens): Token => ({ kind: 'optional', tokens })),
    fc.array(tie('list'), { minLength: 1, maxLength: 3 }).map((of): Token => ({ kind: 'either', of })),
    fc
      .tuple(tie('list'), fc.integer({ min: 1, max: 3 }))
      .map(([tokens, max]): Token => ({ kind: 'repeat', max, tokens })),
  ),
  list: fc.array(tie('token'), { minLength: 1, maxLength: 3 }),
}));

const text: fc.Arbitrary<Token> = fc
  .tuple(fc.constantFrom('left' as const, 'right' as const), fc.option(fc.nat(20)), fc.option(byteClass), fc.boolean())
  .map(([from, max, without, user]) => ({
    kind: 'text',
    from,
    ...(max === null ? {} : { max: max + 1 }),
    ...(without === null ? {} : { without }),
    ...(user ? { capture: 'user' as const } : {}),
  }));

/** Token lists joined by texts. A literal follows each text, as the compiler requires. */
const tokens: fc.Arbitrary<Token[]> = fc
  .tuple(list, fc.array(fc.tuple(text, literal, list), { maxLength: 2 }), fc.boolean())
  .map(([head, more, end]) => [
    ...head,
    ...more.flatMap(([text, first, rest]) => [text, first, ...rest]),
    ...(end ? [{ kind: 'end' } as Token] : []),
  ]);

const pattern = (name: string) =>
  fc.tuple(tokens, fc.constantFrom<string[] | undefined>(undefined, ['one'], ['two'])).map(
    ([tokens, modes]): Pattern => ({
      name,
      effect: { kind: 'context' },
      ...(modes === undefined ? {} : { modes }),
      tokens,
      sample: '',
      counter: '',
    }),
  );

const accepted: fc.Arbitrary<Filter> = fc
  .tuple(pattern('first'), fc.option(pattern('second')), fc.option(pattern('third')), fc.option(pattern('ignored')))
  .map(([first, second, third, ignored]): Filter => {
    const filter: Filter = { name: 'random', about: '', prefixes: ['bare'], modes: ['one', 'two'], patterns: [first] };
    for (const more of [second, third]) {
      if (more !== null && checkFilter({ ...filter, patterns: [...filter.patterns, more] }).length === 0)
        filter.patterns.push(more);
    }
    if (ignored !== null && checkFilter({ ...filter, ignore: [ignored] }).length === 0) filter.ignore = [ignored];
    return filter;
  })
  .filter((filter) => checkFilter(filter).length === 0);

test('random filters are matched alike by emitted code, interpreter and oracle', () => {
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
        for (const [index, [message, behind]] of messages.entries()) {
          const mode = index & 1;
          const expected = expectedOutcome(filter, message, filter.modes?.[mode]);
          if (expected.pattern >= 0) matched++;
          const hostile = Buffer.from(behind, 'latin1');
          expect(outcome(emitted.match, message, 1 << mode, hostile), 'emitted').toEqual(expected);
          expect(outcome(interpreted, message, 1 << mode, hostile), 'interpreted').toEqual(expected);
        }
      },
    ),
    { numRuns: 300 },
  );
  expect(matched).toBeGreaterThan(runs);
});
