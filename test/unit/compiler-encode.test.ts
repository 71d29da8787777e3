/**
 * The words of a program, as src/compiler/encode.ts defines them: the interpreter's input.
 */
import { describe, expect, test } from 'vitest';
import { encodeFilter } from '../../src/compiler/encode.ts';
import { operation } from '../../src/compiler/operations.ts';
import type { Filter, Pattern, Token } from '../../src/compiler/pattern.ts';

const literal = (text: string): Token => ({ kind: 'literal', text });
const choice = (...of: string[]): Token => ({ kind: 'choice', of });
const end: Token = { kind: 'end' };
const ip: Token = { kind: 'ip' };

const pattern = (...tokens: Token[]): Pattern => ({ name: 'only', tokens, sample: '', counter: '' });

function wordsOf(patterns: Pattern[], more: Partial<Filter> = {}): number[] {
  const program = encodeFilter({ name: 'test', about: '', prefixes: ['bare'], patterns, ...more });
  return [...new Int32Array(program.buffer)];
}

/** Operation, bytes of the whole instruction, operands. */
function instruction(name: keyof typeof operation, ...operands: number[]): number[] {
  return [operation[name], 4 * (2 + operands.length), ...operands];
}

/** Byte count, then the bytes, padded to a word. */
function counted(text: string): number[] {
  const bytes = Buffer.from(text);
  const padded = Buffer.concat([bytes, Buffer.alloc(3)]);
  return [
    bytes.length,
    ...Array.from({ length: Math.ceil(bytes.length / 4) }, (_, word) => padded.readInt32LE(4 * word)),
  ];
}

const noBytes = Array<number>(8).fill(0);
const digits = [0, 0x3ff << 16, 0, 0, 0, 0, 0, 0];

describe('an instruction', () => {
  test.each<[what: string, tokens: Token[], code: number[]]>([
    ['a literal', [literal('é=ab')], instruction('literal', ...counted('é=ab'))],
    ['a choice', [choice('abcd', 'e')], instruction('choice', ...counted('abcd'), ...counted('e'))],
    [
      'an optional',
      [{ kind: 'optional', tokens: [literal('a'), ip] }],
      instruction('optional', ...instruction('literal', ...counted('a')), ...instruction('ip', 0)),
    ],
    [
      'an either',
      [{ kind: 'either', of: [[ip, end], []] }],
      instruction(
        'either',
        ...instruction('list', ...instruction('ip', 0), ...instruction('end')),
        ...instruction('list'),
      ),
    ],
    [
      'a repeat',
      [{ kind: 'repeat', max: 7, tokens: [literal('a')] }],
      instruction('repeat', 7, ...instruction('literal', ...counted('a'))),
    ],
    ['a span', [{ kind: 'span', of: { name: 'digit' }, min: 1, max: 5 }], instruction('span', 1, 5, 0, ...digits)],
    [
      'a user',
      [{ kind: 'span', of: { name: 'digit' }, min: 0, max: 6, capture: 'user' }],
      instruction('span', 0, 6, 1, ...digits),
    ],
    ['an address', [ip], instruction('ip', 0)],
    ['an address with its port', [{ kind: 'ip', port: true }], instruction('ip', 1)],
    ['a timestamp', [{ kind: 'time' }], instruction('time')],
    ['the end', [end], instruction('end')],
  ])('%s', (_what, tokens, code) => {
    expect(wordsOf([pattern(...tokens)]).slice(10)).toEqual(code);
  });
});

describe('a text', () => {
  test('states its end: fewest bytes, first byte, and the literal it is found by', () => {
    const segment = [...instruction('literal', ...counted(' from ')), ...instruction('ip', 0), ...instruction('end')];
    expect(
      wordsOf([pattern({ kind: 'text', from: 'right', capture: 'user' }, literal(' from '), ip, end)]).slice(10),
    ).toEqual(instruction('text', 1, -1, 1, 7, 0x20, ...noBytes, 0, 0, ...counted(' from '), ...segment));
  });

  test('states how far the literal is, at least and at most', () => {
    const segment = [
      ...instruction('choice', ...counted('abc'), ...counted('b')),
      ...instruction('literal', ...counted(';;')),
      ...instruction('end'),
    ];
    expect(
      wordsOf([pattern({ kind: 'text', from: 'right' }, choice('abc', 'b'), literal(';;'), end)]).slice(10),
    ).toEqual(instruction('text', 1, -1, 0, 3, -1, ...noBytes, 1, 3, ...counted(';;'), ...segment));
  });

  test('states its bounds; the next one follows behind its segment', () => {
    const without = [0, 1 << 27, 0, 0, 0, 0, 0, 0];
    expect(
      wordsOf([
        pattern({ kind: 'text', from: 'left', max: 9, without: { bytes: ';' } }, literal(';'), ip, literal(' '), {
          kind: 'text',
          from: 'left',
        }),
      ]).slice(10),
    ).toEqual([
      ...instruction(
        'text',
        ...[0, 9, 0, 3, 0x3b, ...without, 0, 0, 0],
        ...instruction('literal', ...counted(';')),
        ...instruction('ip', 0),
        ...instruction('literal', ...counted(' ')),
      ),
      ...instruction('text', 0, -1, 0, 0, -1, ...noBytes, 0, 0, 0),
    ]);
  });
});

test('header and table say what stands where', () => {
  const words = wordsOf([pattern(ip), { ...pattern(end), modes: ['two'] }], {
    prefixes: ['syslog', 'time'],
    tags: ['sshd', 'x'],
    connection: 'pid',
    modes: ['one', 'two'],
    ignore: [{ ...pattern(end), effect: { ends: true } }],
  });
  const [first, second, third] = [24, 26, 29].map((word) => 4 * word) as [number, number, number];
  expect(words).toEqual([
    ...[4 * 31, 3, 1 | (2 << 2), 1, 2, ...counted('sshd'), ...counted('x')],
    ...[2, 0, 2 | 8, first, second],
    ...[0, 0, 1 | 16 | 256, second, third],
    ...[1, 2, 1 | 256, third, 4 * 31],
    ...instruction('end'),
    ...instruction('ip', 0),
    ...instruction('end'),
  ]);
});
