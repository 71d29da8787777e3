/**
 * The usual end of a line: derived from a pattern and its sample, and only where nothing else can
 * be meant.
 */
import { describe, expect, test } from 'vitest';
import { emitFilter } from '../../src/compiler/emit/filter.ts';
import type { Pattern, Token } from '../../src/compiler/pattern.ts';
import { usualEndOf } from '../../src/compiler/usual.ts';
import { filters } from '../../src/filters/index.ts';

const literal = (text: string): Token => ({ kind: 'literal', text });
const ip: Token = { kind: 'ip' };
const end: Token = { kind: 'end' };
const number: Token = { kind: 'span', of: { name: 'digit' }, min: 1, max: 10 };
const preauth: Token = { kind: 'optional', tokens: [literal(' [preauth]')] };
const blanks: Token = { kind: 'span', of: { name: 'space' }, min: 0, max: 9 };
const usual = [literal(' from '), ip, literal(' port '), number, preauth, blanks, end];

describe('a usual end', () => {
  test('is the text around address and number in the sample', () => {
    const plain = { before: ' from ', between: ' port ', after: '' };
    expect(usualEndOf(usual, 'Failed for x from 192.0.2.7 port 22')).toEqual(plain);
    expect(usualEndOf(usual, 'Failed for x from 2001:db8::7 port 22 [preauth]')).toEqual({
      ...plain,
      after: ' [preauth]',
    });
  });

  test('is found even if the text before the address occurs in the sample again', () => {
    const segment = [literal(' '), ...usual.slice(1)];
    const found = { before: ' ', between: ' port ', after: ' [preauth]' };
    expect(usualEndOf(segment, 'Disconnected from x 192.0.2.7 port 22 [preauth]')).toEqual(found);
  });

  test('is found among alternatives, choices and repetitions', () => {
    const of: Token = { kind: 'either', of: [[literal(' port '), number], [literal(' [preauth]')]] };
    const repeated: Token[] = [literal(' from '), ip, { kind: 'repeat', max: 2, tokens: [of] }, end];
    expect(usualEndOf(repeated, 'x from 192.0.2.7 port 22 [preauth]')?.after).toBe(' [preauth]');
    const chosen: Token[] = [...usual.slice(0, 4), { kind: 'choice', of: [' ssh2', ' ssh'] }, end];
    expect(usualEndOf(chosen, 'x from 192.0.2.7 port 22 ssh2')?.after).toBe(' ssh2');
  });

  const none: [string, Token[], string?][] = [
    ['the segment begins with another token', [ip, ...usual.slice(1)]],
    ['no address follows', [literal(' from '), number, ...usual.slice(2)]],
    ['the address takes its port', [literal(' from '), { kind: 'ip', port: true }, ...usual.slice(2)]],
    ['the line goes on', usual.slice(0, -1)],
    ['the rest captures', [...usual.slice(0, 4), { ...number, min: 0, capture: 'user' }, end]],
    ['the sample has no number', usual, 'x from 192.0.2.7'],
    ['the sample ends otherwise', usual, 'x from 192.0.2.7 port 22 ssh2'],
    ['the number is too short for the token', [...usual.slice(0, 3), { ...number, min: 2 }, end]],
    ['the number is too long for the token', [...usual.slice(0, 3), { ...number, max: 4 }, end]],
    ['a literal knows its digits', [...usual.slice(0, 3), { kind: 'optional', tokens: [literal('0')] }, number, end]],
    ['a choice knows its digits', [...usual.slice(0, 3), { kind: 'choice', of: ['22', 'x'] }, blanks, end]],
    ['what precedes could be of the address', [literal(' from:'), ...usual.slice(1)], 'x from:192.0.2.7 port 22'],
    ['what precedes could begin in the address', [literal('from '), ...usual.slice(1)]],
    ['the address could be of what precedes', [literal(' 7 '), ...usual.slice(1)], 'x 7 192.0.2.7 port 22'],
    ['a bracket precedes', [literal(' ['), ...usual.slice(1)], 'x [192.0.2.7 port 22'],
    ['what follows could be of the address', [literal(' '), ip, literal('-p '), number, end], 'x 192.0.2.7-p 22'],
    [
      'what precedes stands behind the number as well',
      [literal(' from '), ip, { kind: 'choice', of: [' port '] }, number, literal(' from '), end],
      'x from 192.0.2.7 port 22 from ',
    ],
    [
      'what follows the address stands behind the number as well',
      [literal(' '), ip, literal(' port '), number, literal(' port '), end],
      'x 192.0.2.7 port 22 port ',
    ],
    [
      'a text of its own stands there',
      [...usual.slice(0, 4), literal(' '), { kind: 'span', of: { name: 'alpha' }, min: 1, max: 9 }, end],
      'x from 192.0.2.7 port 22 abc',
    ],
    ['a time stands there', [...usual.slice(0, 4), literal(' '), { kind: 'time' }, end], 'x from 192.0.2.7 port 2 1'],
  ];
  test.each(none)('is none where %s', (_, tokens, sample = 'x from 192.0.2.7 port 22') => {
    expect(usualEndOf(tokens, sample)).toBeUndefined();
  });
});

test('the frequent messages of sshd have one', () => {
  const { patterns } = filters.find(({ name }) => name === 'sshd')!;
  for (const name of ['failed', 'invalid-user', 'too-many-attempts', 'closed-user']) {
    const { tokens, sample } = patterns.find((pattern) => pattern.name === name)!;
    const segment = tokens.slice(tokens.findLastIndex(({ kind }) => kind === 'text') + 1);
    expect(usualEndOf(segment, sample), name).toMatchObject({ between: ' port ' });
  }
});

describe('the function for a usual end', () => {
  const emitted = (after: Token[], ending: string, more: Pattern[] = []): string => {
    const tokens: Token[] = [
      { kind: 'literal', text: 'no ' },
      { kind: 'text', from: 'right', capture: 'user' },
      { kind: 'literal', text: ' from ' },
      { kind: 'ip' },
      { kind: 'literal', text: ' port ' },
      { kind: 'span', of: { name: 'digit' }, min: 1, max: 5 },
      ...after,
      { kind: 'end' },
    ];
    const own = { name: 'one', tokens, sample: `no anna from 192.0.2.1 port 22${ending}`, counter: '' };
    const patterns = [own, ...more.map((each) => ({ ...own, ...each }))];
    return emitFilter({ name: 'usual', about: '', prefixes: ['bare'], patterns }, 'a test');
  };
  const functionIn = (code: string): string => /\/\*\* Where the usual end.*?\n}\n/s.exec(code)?.[0] ?? '';

  test('compares from the right, each literal at its place', () => {
    const code = emitted([{ kind: 'optional', tokens: [{ kind: 'literal', text: ' ssh2' }] }], ' ssh2');
    expect(
      functionIn(code),
    ).toBe(`/** Where the usual end of [at, end) begins, ' from ' ip ' port ' digit{1,5} ' ssh2', or -1: it ends otherwise. */
function usualEnd1(at: i32, end: i32): i32 {
  if (end - at < 19) return -1;
  if (!(word(end - 5) === 0x68737320 && word(end - 5 + 1) === 0x32687373)) return -1; // ' ssh2'
  const number = digitsBefore(at, end - 5);
  if (number >= end - 5 || number < end - 10) return -1;
  const stop = number - 6;
  if (!(word(stop) === 0x726f7020 && word(stop + 2) === 0x2074726f)) return -1; // ' port '
  const address = findByteLast(at, stop, 32) + 1;
  const place = address - 6;
  if (place < at || !(word(place) === 0x6f726620 && word(place + 2) === 0x206d6f72)) return -1; // ' from '
  return fillsAddress(address, stop, end) ? place : -1;
}
`);
    expect(code).toContain('const near1 = usualEnd1(at, end);');
    expect(code).toMatch(/import \{ .*digitsBefore, findByteLast,.* \} from '#linear';/);
    expect(code).toMatch(/import \{ fillsAddress, .* \} from '\.\.\/scan\.ts';/);
  });

  test('has nothing to compare behind a number at the end', () => {
    expect(
      functionIn(emitted([], '')),
    ).toBe(`/** Where the usual end of [at, end) begins, ' from ' ip ' port ' digit{1,5}, or -1: it ends otherwise. */
function usualEnd1(at: i32, end: i32): i32 {
  if (end - at < 14) return -1;
  const number = digitsBefore(at, end);
  if (number >= end || number < end - 5) return -1;
  const stop = number - 6;
  if (!(word(stop) === 0x726f7020 && word(stop + 2) === 0x2074726f)) return -1; // ' port '
  const address = findByteLast(at, stop, 32) + 1;
  const place = address - 6;
  if (place < at || !(word(place) === 0x6f726620 && word(place + 2) === 0x206d6f72)) return -1; // ' from '
  return fillsAddress(address, stop, end) ? place : -1;
}
`);
  });

  test('is one for all patterns that end alike, and absent where the sample ends otherwise', () => {
    const other = emitted([], '', [{ name: 'two', effect: { stage: 2 } } as Pattern]);
    expect(other.match(/function usualEnd/g)?.length).toBe(1);
    expect(other.match(/usualEnd1\(at, end\);/g)?.length).toBe(2);
    expect(emitted([], ' and more')).not.toContain('usualEnd');
  });
});
