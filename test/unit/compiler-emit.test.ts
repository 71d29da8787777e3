/**
 * What the compiler writes: generated files are up to date, a filter's facts are right, and a
 * person can read the code.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { checkFilter } from '../../src/compiler/check.ts';
import { emitFilter } from '../../src/compiler/emit/filter.ts';
import { encodeFilter } from '../../src/compiler/encode.ts';
import { generateFiles } from '../../src/compiler/generate.ts';
import { operation } from '../../src/compiler/operations.ts';
import type { Filter, Pattern, Token } from '../../src/compiler/pattern.ts';
import { encodeConnection } from '../../src/compiler/shape.ts';
import {
  filterConnection,
  filterCount,
  filterPrefixes,
  matchFilter,
  matchTag,
  patternFlags,
} from '../../src/engine/generated/index.ts';
import { filterNames } from '../../src/engine/generated/names.ts';
import * as interpreter from '../../src/engine/interpreter.ts';
import * as linear from '../../src/engine/linear.ts';
import { filters } from '../../src/filters/index.ts';
import { bind, expectedOutcome, loadEmitted, loadInterpreted, outcome, withBytes } from '../support/matchers.ts';

beforeEach(bind);

const folder = join(import.meta.dirname, '../../src/engine/generated');

test('generated files are what the compiler writes now', () => {
  const files = generateFiles(filters);
  expect(readdirSync(folder).sort()).toEqual([...files.keys()].sort());
  for (const [name, text] of files) {
    expect(readFileSync(join(folder, name), 'utf8') === text, `${name}: run npm run generate`).toBe(true);
  }
});

test.each(filters)('what is written for $name is its file', (filter) => {
  const written = emitFilter(filter, `src/filters (${filter.name})`);
  expect(written).toBe(readFileSync(join(folder, `${filter.name}.ts`), 'utf8'));
});

test('a refused filter stops the generator with its findings', () => {
  const bad: Filter = { name: 'bad', about: '', prefixes: ['bare'], patterns: [] };
  expect(() => generateFiles([bad])).toThrow('filters refused\n  bad: it has no pattern');
});

test('a text where the checks allow none stops the generator', () => {
  const tokens: Token[] = [{ kind: 'optional', tokens: [{ kind: 'text', from: 'left' }] }];
  const unchecked: Filter = { ...demo, patterns: [{ ...pattern('inner', ''), tokens }] };
  expect(() => emitFilter(unchecked, 'a test')).toThrow('text inside optional, either or repeat');
});

test('names, prefixes, connections and tags are those of the definitions', () => {
  const codes = { syslog: 1, time: 2, bare: 3 };
  expect(filterCount).toBe(filters.length);
  expect(filterNames.map((names) => names.name)).toEqual(filters.map((filter) => filter.name));
  for (const [number, filter] of filters.entries()) {
    expect(filterNames[number]?.patterns).toEqual(filter.patterns.map((pattern) => pattern.name));
    const prefixes = filterPrefixes(number);
    expect([prefixes & 3, (prefixes >> 2) & 3, (prefixes >> 4) & 3]).toEqual(
      [0, 1, 2].map((index) => codes[filter.prefixes[index] ?? ('none' as 'bare')] ?? 0),
    );
    expect(filterConnection(number)).toBe(encodeConnection(filter.connection));
    for (const tag of filter.tags ?? [])
      expect(withBytes(tag, (start, end) => matchTag(number, start, end))).toBe(true);
    expect(withBytes('nobody', (start, end) => matchTag(number, start, end))).toBe(!filter.tags?.length);
  }
  expect(matchFilter(filters.length, 0, 0, 1)).toBe(-1);
  expect(patternFlags(filters.length, 0)).toBe(0);
  expect(filterPrefixes(filters.length)).toBe(0);
  expect(filterConnection(filters.length)).toBe(0);
  expect(matchTag(filters.length, 0, 0)).toBe(false);
});

const pattern = (name: string, text: string, more: Partial<Pattern> = {}): Pattern => ({
  name,
  tokens: [{ kind: 'literal', text }],
  sample: '',
  counter: '',
  effect: { kind: 'context' },
  ...more,
});

const demo: Filter = {
  name: 'demo-filter',
  about: '',
  prefixes: ['syslog', 'time', 'bare'],
  tags: ['sshd', 'sshd-session', 'x', 'postfix/*'],
  connection: 'pid',
  modes: ['one', 'two', 'three'],
  ignore: [pattern('ignored', 'Failed never', { effect: {} })],
  patterns: [
    pattern('failure', 'Failed', {
      effect: { stage: 3 },
      tokens: [{ kind: 'literal', text: 'Failed ' }, { kind: 'ip' }],
    }),
    pattern('gained', 'Accepted', { effect: { kind: 'context', gained: true } }),
    pattern('ends', 'Closed', { effect: { ends: true, stage: 5 }, modes: ['two', 'three'] }),
    pattern('everywhere', 'Bye', { modes: ['one', 'two', 'three'] }),
  ],
};

/** The emitted demo filter and the encoded one get the same messages. */
const targets = [
  { target: 'emitted', load: () => loadEmitted(demo) },
  {
    target: 'interpreted',
    load: () => {
      const program = 1 << 17;
      const load = (): number => {
        encodeFilter(demo).forEach((byte, index) => {
          linear.setByte(program + index, byte);
        });
        return program;
      };
      return {
        match: (start: number, end: number, mode: number) => interpreter.interpret(load(), start, end, mode),
        flags: (number: number) => interpreter.programFlags(load(), number),
        tag: (start: number, end: number) => interpreter.programTag(load(), start, end),
      };
    },
  },
];

describe('a text', () => {
  const head: Token[] = [{ kind: 'literal', text: 'no ' }, { kind: 'ip' }, { kind: 'literal', text: ' ' }];
  const user = 'user' as const;
  test.each<[what: string, tokens: Token[], message: string, taken: [from: number, to: number] | null]>([
    ['in the last place from the left takes nothing', [{ kind: 'text', from: 'left', capture: user }], 'anna', [0, 0]],
    [
      'in the last place from the right takes what is left',
      [{ kind: 'text', from: 'right', capture: user }],
      'anna',
      [0, 4],
    ],
    ['as much as it may', [{ kind: 'text', from: 'right', max: 3, capture: user }], 'anna', [0, 3]],
    [
      'up to a byte that it is without',
      [{ kind: 'text', from: 'right', without: { bytes: 'x' }, capture: user }],
      'anxna',
      [0, 2],
    ],
    [
      'from the left up to the first of some words',
      [
        { kind: 'text', from: 'left', capture: user },
        { kind: 'choice', of: ['; ', '= '] },
      ],
      'an; na= x',
      [0, 2],
    ],
    [
      'from the right up to the last of some words',
      [
        { kind: 'text', from: 'right', capture: user },
        { kind: 'choice', of: ['; ', '= '] },
      ],
      'an; na= x',
      [0, 6],
    ],
    ...(['left', 'right'] as const).flatMap((from) =>
      ['é', 'éé', 'aé', '€'].map((text): [string, Token[], string, [number, number]] => [
        `from the ${from} up to ${text}, which is several bytes`,
        [
          { kind: 'text', from, capture: user },
          { kind: 'literal', text },
        ],
        `an${text}x`,
        [0, 2],
      ]),
    ),
    ['to the end', [{ kind: 'text', from: 'right', max: 4, capture: user }, { kind: 'end' }], 'anna', [0, 4]],
    ['not to the end', [{ kind: 'text', from: 'right', max: 3, capture: user }, { kind: 'end' }], 'anna', null],
  ])('%s', (_what, tokens, rest, taken) => {
    const filter: Filter = {
      name: 'last',
      about: '',
      prefixes: ['bare'],
      patterns: [{ name: 'one', tokens: [...head, ...tokens], sample: '', counter: '' }],
    };
    expect(checkFilter(filter)).toEqual([]);
    const start = 'no 192.0.2.1 '.length;
    const expected =
      taken === null ? { pattern: -1 } : { pattern: 0, address: [3, 12], user: taken.map((at) => start + at) };
    const message = Buffer.from(`no 192.0.2.1 ${rest}`);
    expect(expectedOutcome(filter, message), 'oracle').toEqual(expected);
    expect(outcome(loadEmitted(filter).match, message, 1), 'emitted').toEqual(expected);
    expect(outcome(loadInterpreted(filter), message, 1), 'interpreted').toEqual(expected);
  });
});

test('an alternative may be empty, and may match at the very end', () => {
  const tokens: Token[] = [
    { kind: 'literal', text: 'no ' },
    { kind: 'ip' },
    { kind: 'either', of: [[{ kind: 'literal', text: ' again' }], []] },
    { kind: 'end' },
  ];
  const filter: Filter = {
    name: 'empty',
    about: '',
    prefixes: ['bare'],
    patterns: [{ ...pattern('one', ''), tokens }],
  };
  expect(checkFilter(filter)).toEqual([]);
  for (const match of [loadEmitted(filter).match, loadInterpreted(filter)]) {
    const asked = ['no 192.0.2.1', 'no 192.0.2.1 again', 'no 192.0.2.1 twice'];
    expect(asked.map((text) => outcome(match, Buffer.from(text), 1).pattern)).toEqual([0, 0, -1]);
  }
});

describe.each(targets)('$target', ({ load }) => {
  test('flags say what a pattern means', () => {
    const { flags } = load();
    expect([0, 1, 2, 3, 4, 5].map(flags)).toEqual([1 | 16 | (3 << 5) | 256, 4, 1 | 2 | (5 << 5), 0, 8, 0]);
  });

  test('ignore patterns come first and are numbered last', () => {
    const { match } = load();
    expect(outcome(match, Buffer.from('Failed never'), 1).pattern).toBe(4);
    expect(outcome(match, Buffer.from('Failed 192.0.2.1'), 1)).toEqual({ pattern: 0, address: [7, 16] });
  });

  test('a pattern applies in its modes only', () => {
    const { match } = load();
    expect([1, 2, 4].map((mode) => outcome(match, Buffer.from('Closed'), mode).pattern)).toEqual([-1, 2, 2]);
    expect([1, 2, 4].map((mode) => outcome(match, Buffer.from('Bye'), mode).pattern)).toEqual([3, 3, 3]);
  });

  test('tags are whole identifiers, or what they begin with', () => {
    const { tag } = load();
    const starred = ['postfix/smtpd', 'postfix/', 'postfix', 'postfix-x', 'postfiX/smtpd'];
    expect(starred.map((text) => withBytes(text, tag))).toEqual([true, true, false, false, false]);
    const asked = ['sshd', 'sshd-session', 'x', 'ssh', 'sshdx', 'SSHD', 'sshd-sessiom', 'y', ''];
    expect(asked.map((text) => withBytes(text, tag))).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
  });

  test('a tag that ends in a star is a beginning', () => {
    const { tag } = load();
    const asked = ['postfix/smtpd', 'postfix/in/smtpd', 'postfix/', 'postfix/*', 'postfix', 'postfixx', 'x*', '*'];
    expect(asked.map((text) => withBytes(text, tag))).toEqual([true, true, true, true, false, false, false, false]);
  });

  test('a message that ends early does not match, whatever lies behind it', () => {
    const { match } = load();
    for (let length = 0; length < 6; length++) {
      expect(
        outcome(match, Buffer.from('Closed').subarray(0, length), 2, Buffer.from('Closed').subarray(length)).pattern,
      ).toBe(-1);
    }
  });
});

test('a program states its size and header', () => {
  const bytes = encodeFilter(demo);
  bytes.forEach((byte, index) => {
    linear.setByte(4096 + index, byte);
  });
  expect(bytes.length % 4).toBe(0);
  expect(linear.int(4096)).toBe(bytes.length);
  expect(interpreter.programPrefixes(4096)).toBe(1 | (2 << 2) | (3 << 4));
  expect(interpreter.programConnection(4096)).toBe(1);
  const plain = encodeFilter({ name: 'plain', about: '', prefixes: ['bare'], patterns: [pattern('only', 'x')] });
  plain.forEach((byte, index) => {
    linear.setByte(4096 + index, byte);
  });
  expect(interpreter.programConnection(4096)).toBe(0);
  expect(withBytes('anything', (start, end) => interpreter.programTag(4096, start, end))).toBe(true);
});

test('encoder and interpreter number operations alike', () => {
  const numbers = Object.entries(operation).map(([name, number]) => [name.toUpperCase(), number]);
  const constants = new Map<unknown, unknown>(Object.entries(interpreter));
  expect(numbers).toEqual(numbers.map(([name]) => [name, constants.get(name)]));
});

test('emitted code names its source and each literal it compares', () => {
  const code = emitFilter(demo, 'src/filters/demo.ts');
  expect(code).toMatch(/^\/\*\* Generated by scripts\/generate\.ts from src\/filters\/demo\.ts\. Do not edit/);
  expect(code).toContain("// 'Accepted'");
  expect(code).toContain("/** failure: 'Failed ' ip */");
  const tricky: Filter = {
    name: 'tricky',
    about: '',
    prefixes: ['bare'],
    patterns: [pattern('comment', 'a */ b\r"\u00e9')],
  };
  expect(outcome(loadEmitted(tricky).match, Buffer.from('a */ b\r"\u00e9'), 1).pattern).toBe(0);
});
