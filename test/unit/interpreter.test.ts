/**
 * Definitions, each with messages that a matcher could easily read wrongly: interpreter and emitted
 * code agree with the oracle.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { checkFilter } from '../../src/compiler/check.ts';
import { encodeFilter } from '../../src/compiler/encode.ts';
import type { ByteClass, Filter, Token } from '../../src/compiler/pattern.ts';
import { programTag } from '../../src/engine/interpreter.ts';
import {
  bind,
  expectedOutcome,
  loadEmitted,
  loadInterpreted,
  outcome,
  withBytes,
  withProgram,
} from '../support/matchers.ts';

beforeEach(bind);

const literal = (text: string): Token => ({ kind: 'literal', text });
const choice = (...of: string[]): Token => ({ kind: 'choice', of });
const optional = (...tokens: Token[]): Token => ({ kind: 'optional', tokens });
const span = (name: NonNullable<ByteClass['name']>, min: number, max: number): Token => ({
  kind: 'span',
  of: { name },
  min,
  max,
});
const user: Token = { kind: 'span', of: { name: 'word' }, min: 1, max: 8, capture: 'user' };
const text = (from: 'left' | 'right', max?: number): Token => ({
  kind: 'text',
  from,
  capture: 'user',
  ...(max === undefined ? {} : { max }),
});
const ip: Token = { kind: 'ip' };
const time: Token = { kind: 'time' };
const end: Token = { kind: 'end' };
/**
 * The end of a line as most services write it. It reaches the end of the line, so one of its
 * literals tells its place.
 */
const tail = (pivot: string): Token[] => [literal(' from '), ip, literal(pivot), span('digit', 1, 5), end];

function filterOf(tokens: Token[], more: Partial<Filter> = {}): Filter {
  const pattern = { name: 'only', effect: { kind: 'context' as const }, tokens, sample: '', counter: '' };
  return { name: 'test', about: '', prefixes: ['bare'], patterns: [pattern], ...more };
}

test.each<[what: string, tokens: Token[], matching: string[], others: string[]]>([
  [
    'an optional that fails gives its user back',
    [literal('a '), optional(user, literal('!'))],
    ['a bob', 'a bob!'],
    ['b'],
  ],
  [
    'an optional that fails gives its address back',
    [literal('a '), optional(ip, literal('!'))],
    ['a 192.0.2.1', 'a 192.0.2.1!'],
    [''],
  ],
  [
    'an optional that fails gives its time back',
    [optional(time, literal('!')), literal('2026')],
    ['2026-03-10 12:00:00', '2026-03-10 12:00:00!2026'],
    ['2026-03-10 12:00:00!'],
  ],
  [
    'an alternative that fails gives its user back',
    [{ kind: 'either', of: [[user, literal('!')], [literal('bob')]] }],
    ['bob', 'bob!'],
    ['eve'],
  ],
  [
    'as many rounds as there may be',
    [{ kind: 'repeat', max: 3, tokens: [literal('a')] }, literal('b')],
    ['b', 'aab', 'aaab'],
    ['aaaab', 'a'],
  ],
  ['a span', [literal('a'), span('digit', 2, 3), literal('b')], ['a12b', 'a123b'], ['a1b', 'a1234b', 'a12']],
  [
    'one of many words, the first that fits',
    [choice('mailer', 'mail', 'm', 'pop', 'po', 'imap', 'smtp', 'é', 'ê', 'xy', 'x'), end],
    ['mailer', 'mail', 'm', 'pop', 'po', 'imap', 'é', 'ê', 'xy', 'x'],
    ['', 'maile', 'ma', 'p', 'y', 'Mail', 'imapx', 'Ã', 'smt'],
  ],
  [
    'one of many words, then what begins like another',
    [choice('mailer', 'mail', 'mux', 'pop', 'po', 'imap', 'smtp', 'xy', 'zed'), span('nonspace', 1, 9), end],
    ['mailx', 'mailers', 'pops', 'imap4', 'xyz', 'zed!'],
    ['mai', 'mu!', 'pa!', 'imx', 'smt!', 'x!!', 'ze!', 'quux', 'mailer '],
  ],
  [
    'text from the left, up to one of several words',
    [text('left'), choice('=', ': '), end],
    ['a=', 'a: ', '=', '=a='],
    ['a', '=a', ': a'],
  ],
  [
    'text from the right, up to one of several words',
    [text('right'), choice('=', ': ')],
    ['a=b=c', 'a: b', '='],
    ['a', ':', 'a:b'],
  ],
  ['text up to the end', [literal('a'), text('left'), end], ['a', 'abc'], ['', 'b']],
  ['text from the right, up to the end', [literal('a'), text('right'), end], ['a', 'abc'], ['', 'b']],
  ['a little text', [literal('a'), text('left', 2), literal('!')], ['a!', 'ab!', 'abc!', 'a!!!!'], ['abcd!', 'abc']],
  [
    'a little text from the right',
    [literal('a'), text('right', 2), literal('!')],
    ['a!', 'abc!', 'a!!!!'],
    ['abcd!', 'abc'],
  ],
  ['a little text up to the end', [literal('a'), text('left', 2), end], ['a', 'ab', 'abc'], ['abcd']],
  ['a little text from the right, up to the end', [literal('a'), text('right', 2), end], ['a', 'ab', 'abc'], ['abcd']],
  ...[' ', ':', ' p ', ' po ', ' port ', ' port port '].map((pivot): [string, Token[], string[], string[]] => [
    `text, then what "${pivot}" places`,
    [literal('x '), text('right'), ...tail(pivot)],
    [
      `x eve from 192.0.2.1${pivot}22`,
      `x  from 198.51.100.1${pivot}1 from 192.0.2.1${pivot}22`,
      `x from port from 192.0.2.1${pivot}22`,
      `x  from 192.0.2.1${pivot}22`,
    ],
    [
      `x from 192.0.2.1${pivot}22`,
      `x eve from 192.0.2.1${pivot}`,
      `x eve from 192.0.2.1${pivot}22 `,
      `x eve from 192.0.2.1${pivot}port`,
      'x eve from 192.0.2.1',
      `x${pivot}22`,
      'x ',
    ],
  ]),
])('%s', (_what, tokens, matching, others) => {
  const filter = filterOf(tokens);
  expect(checkFilter(filter)).toEqual([]);
  const emitted = loadEmitted(filter);
  const interpreted = loadInterpreted(filter);
  for (const message of [...matching, ...others]) {
    const bytes = Buffer.from(message);
    const expected = expectedOutcome(filter, bytes);
    expect(expected.pattern, message).toBe(matching.includes(message) ? 0 : -1);
    for (const behind of ['', ...matching].map((text) => Buffer.from(text))) {
      expect(outcome(interpreted, bytes, 1, behind), message).toEqual(expected);
      expect(outcome(emitted.match, bytes, 1, behind), message).toEqual(expected);
    }
  }
});

describe('an identifier', () => {
  test.each<[tags: string[] | undefined, identifier: string, read: boolean]>([
    [undefined, 'anything', true],
    [['sshd'], 'sshd', true],
    [['sshd'], 'sshd-session', false],
    [['sshd'], 'ssh', false],
    [['cron', 'sshd'], 'sshd', true],
    [['sshd-*'], 'sshd-auth', true],
    [['sshd-*'], 'sshd-', true],
    [['sshd-*'], 'sshd', false],
    [['sshd-*'], 'sshx-auth', false],
    [['*'], '', true],
  ])('of a filter that reads %s: %s', (tags, identifier, read) => {
    const filter = filterOf([literal('a')], tags === undefined ? {} : { tags });
    // The bytes behind it would make it another identifier.
    const line = `${identifier}-auth`;
    withProgram(encodeFilter(filter), (program) =>
      withBytes(line, (start) => expect(programTag(program, start, start + identifier.length)).toBe(read)),
    );
  });
});
