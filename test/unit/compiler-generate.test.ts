/**
 * The generated files about all filters together: the engine's switch over them, and the host's
 * table of names.
 */
import { stripTypeScriptTypes } from 'node:module';
import { beforeEach, describe, expect, test } from 'vitest';
import { generateFiles } from '../../src/compiler/generate.ts';
import type { Filter, Pattern } from '../../src/compiler/pattern.ts';
import { pascalCase } from '../../src/compiler/shape.ts';
import { bind, loadEmitted, withBytes } from '../support/matchers.ts';

beforeEach(bind);

const pattern = (name: string, text: string): Pattern => ({
  name,
  tokens: [{ kind: 'literal', text }, { kind: 'ip' }],
  sample: '',
  counter: '',
});
const mail: Filter = {
  name: 'mail-in',
  about: 'Mail that comes in',
  prefixes: ['syslog', 'time'],
  tags: ['smtpd'],
  connection: 'pid',
  modes: ['normal', 'strict'],
  ignore: [pattern('monitor', 'probe from ')],
  patterns: [pattern('refused', 'refused '), { ...pattern('odd', 'odd '), modes: ['strict'] }],
};
const web: Filter = { name: 'web', about: 'Pages', prefixes: ['bare'], patterns: [pattern('denied', 'denied ')] };

interface Index {
  filterCount: number;
  matchFilter: (filter: number, start: number, end: number, mode: number) => number;
  patternFlags: (filter: number, pattern: number) => number;
  filterPrefixes: (filter: number) => number;
  filterConnection: (filter: number) => number;
  matchTag: (filter: number, start: number, end: number) => boolean;
  mayMatch: (filter: number, start: number, end: number) => boolean;
}

/** What a generated file exports. */
function load<Exports>(text: string, modules: Record<string, object> = {}): Exports {
  const names = [...text.matchAll(/^export (?:const|function) (\w+)/gm)].map(([, name]) => name);
  const body = stripTypeScriptTypes(text)
    .replace(/^import (\{[^}]*\}) from '([^']+)';$/gm, "const $1 = modules['$2'];")
    .replace(/^export /gm, '');
  return new Function('modules', `${body}\nreturn { ${names.join(', ')} };`)(modules);
}

function loadIndex(filters: Filter[]): Index {
  const matchers = filters.map((filter) => {
    const { match, may, flags, tag } = loadEmitted(filter);
    const name = pascalCase(filter.name);
    return [
      `./${filter.name}.ts`,
      { [`match${name}`]: match, [`may${name}`]: may, [`flags${name}`]: flags, [`tag${name}`]: tag },
    ];
  });
  return load<Index>(generateFiles(filters).get('index.ts') as string, Object.fromEntries(matchers));
}

test('a file for each filter, one for all, and one of names; each says what it was made from', () => {
  const files = [...generateFiles([mail, web])].map(([name, text]) => [name, text.split('\n')[0]]);
  const banner = (source: string): unknown => expect.stringContaining(`from ${source}. Do not edit`);
  expect(files).toEqual([
    ['mail-in.ts', banner('src/filters (mail-in)')],
    ['web.ts', banner('src/filters (web)')],
    ['index.ts', banner('src/filters')],
    ['names.ts', banner('src/filters')],
  ]);
});

test('what is refused stops the generator with all that was found', () => {
  const empty = { ...web, patterns: [] };
  expect(() => generateFiles([mail, empty, { ...empty, name: 'site' }])).toThrow(
    /^filters refused\n {2}web: it has no pattern\n {2}site: it has no pattern$/,
  );
});

describe('the switch', () => {
  test('asks the filter of a number for its matches', () => {
    const { filterCount, matchFilter } = loadIndex([mail, web]);
    const asked = (text: string, mode: number): number[] =>
      [0, 1].map((filter) => withBytes(text, (start, end) => matchFilter(filter, start, end, mode)));
    expect(filterCount).toBe(2);
    expect(asked('refused 192.0.2.1', 1)).toEqual([0, -1]);
    expect(asked('denied 192.0.2.1', 1)).toEqual([-1, 0]);
    expect(asked('odd 192.0.2.1', 1)).toEqual([-1, -1]);
    expect(asked('odd 192.0.2.1', 2)).toEqual([1, -1]);
    expect(asked('probe from 192.0.2.1', 1)).toEqual([2, -1]);
  });

  test('knows what each filter reads and what its patterns mean', () => {
    const { filterConnection, filterPrefixes, matchTag, mayMatch, patternFlags } = loadIndex([mail, web]);
    expect([0, 1].map((filter) => filterPrefixes(filter))).toEqual([1 | (2 << 2), 3]);
    expect([0, 1].map((filter) => filterConnection(filter))).toEqual([1, 0]);
    const reads = (tag: string): boolean[] =>
      [0, 1].map((filter) => withBytes(tag, (start, end) => matchTag(filter, start, end)));
    expect(reads('smtpd')).toEqual([true, true]);
    expect(reads('httpd')).toEqual([false, true]);
    const may = (text: string): boolean[] =>
      [0, 1].map((filter) => withBytes(text, (start, end) => mayMatch(filter, start, end)));
    expect(may('denied 192.0.2.1')).toEqual([true, true]);
    expect(may('granted 192.0.2.1')).toEqual([true, false]);
    expect([0, 1, 2].map((number) => patternFlags(0, number))).toEqual([1 | 16 | 256, 1 | 16 | 256, 8 | 16]);
    expect([0, 1].map((number) => patternFlags(1, number))).toEqual([1 | 16 | 256, 0]);
  });

  test.each([[[mail, web]], [[web]], [[]]])('knows nothing about other numbers: %#', (filters) => {
    const index = loadIndex(filters);
    const other = filters.length;
    expect(index.filterCount).toBe(other);
    withBytes('denied 192.0.2.1', (start, end) => {
      expect(index.matchFilter(other, start, end, 1)).toBe(-1);
      expect(index.matchTag(other, start, end)).toBe(false);
      expect(index.mayMatch(other, start, end)).toBe(true);
    });
    expect(index.patternFlags(other, 0)).toBe(0);
    expect(index.filterPrefixes(other)).toBe(0);
    expect(index.filterConnection(other)).toBe(0);
  });

  test.each([
    ['without a filter, marks', [], true],
    ['with filters, reads', [mail, web], false],
  ])('%s what it is given', (_what, filters, unused) => {
    const parameters = generateFiles(filters)
      .get('index.ts')
      ?.match(/\b_?(start|end|mode|pattern)(?=: i32)/g);
    expect(parameters?.map((name) => name.startsWith('_'))).toEqual(Array(8).fill(unused));
  });
});

test('names go by number, with nothing left out', () => {
  const { filterNames } = load<{ filterNames: unknown }>(generateFiles([mail, web]).get('names.ts') as string);
  expect(filterNames).toEqual([
    {
      name: 'mail-in',
      about: 'Mail that comes in',
      modes: ['normal', 'strict'],
      patterns: ['refused', 'odd'],
      ignore: ['monitor'],
    },
    { name: 'web', about: 'Pages', modes: [], patterns: ['denied'], ignore: [] },
  ]);
});
