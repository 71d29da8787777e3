/**
 * Where each key and value of a configuration stands, in texts that are TOML and in such that are
 * nearly so; and how several files become one document whose problems name the right file and line.
 */
import { describe, expect, test } from 'vitest';
import { tomlDepthMax, tomlMistakesMax, tomlStatementsMax } from '../../src/config/limits.ts';
import { dotted, locateKeys, offsetAt, offsetWithin, type Path, pathKey, positionAt } from '../../src/config/locate.ts';
import { TomlPieces } from '../../src/config/toml.ts';

const shownPath = (path: Path): string =>
  path.map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`)).join('');

/** Each key as `PATH KEY VALUE`, offsets of both; "~" marks a table that is only implied. */
const placesIn = (text: string): string[] =>
  [...locateKeys(text).places.values()].map(
    ({ path, key, value, implied }) => `${shownPath(path)}${implied ? '~' : ''} ${key} ${value}`,
  );

/** Each statement as `PATH START-END`, headers in brackets; "as N" names the earlier definition. */
const statementsIn = (text: string): string[] =>
  locateKeys(text).statements.map(({ path, start, end, header, duplicateOf }) => {
    const name = header ? `[${shownPath(path)}]` : shownPath(path);
    return `${name} ${start}-${end}${duplicateOf === undefined ? '' : ` as ${duplicateOf}`}`;
  });

type Row = [text: string, places: string[], statements: string[]];

describe('keys and statements', () => {
  test.each<Row>([
    ['', [], []],
    ['\ufeffa = 1', ['a 1 5'], ['a 1-6']],
    ['\n  # x\n  [a]\n  b = 1', ['a 10 10', 'a.b 15 19'], ['[a] 9-13', 'a.b 15-20']],
    ['[ a ]\nb = 1', ['a 2 2', 'a.b 6 10'], ['[a] 0-6', 'a.b 6-11']],
    ['[a.b.c]', ['a~ 1 1', 'a.b~ 3 3', 'a.b.c 5 5'], ['[a.b.c] 0-7']],
    ['[a.b]\n[a]\n[a.c]', ['a 7 7', 'a.b 3 3', 'a.c 13 13'], ['[a.b] 0-6', '[a] 6-10', '[a.c] 10-15']],
    ['[a.b]\n[a.c]', ['a~ 1 1', 'a.b 3 3', 'a.c 9 9'], ['[a.b] 0-6', '[a.c] 6-11']],
    ['[a]\n[a]', ['a 1 1'], ['[a] 0-4', '[a] 4-7 as 1']],
    [
      '[[a]]\n[[a]]\n[a.b]\nc = 1',
      ['a 2 2', 'a[0] 2 2', 'a[1] 8 8', 'a[1].b 15 15', 'a[1].b.c 18 22'],
      ['[a[0]] 0-6', '[a[1]] 6-12', '[a[1].b] 12-18', 'a[1].b.c 18-23'],
    ],
    ['[[a]]\n[a]', ['a 2 2', 'a[0] 2 2'], ['[a[0]] 0-6', '[a] 6-9 as 2']],
    ['a . b = 1', ['a~ 0 0', 'a.b 4 8'], ['a.b 0-9']],
    [`'a b'."c\\td" = 1`, ['a b~ 0 0', 'a b.c\td 6 15'], ['a b.c\td 0-16']],
    ["'a\\tb' = 1", ['a\\tb 0 9'], ['a\\tb 0-10']],
    ['"\\u0000" = 1', ['\0 0 11'], ['\0 0-12']],
    ['"\\U0010ffff" = 1', ['\u{10ffff} 0 15'], ['\u{10ffff} 0-16']],
    ['Z9.z0-_A = 1', ['Z9~ 0 0', 'Z9.z0-_A 3 11'], ['Z9.z0-_A 0-12']],
    ['a.b = {c.d = 1}', ['a~ 0 0', 'a.b 2 6', 'a.b.c~ 7 7', 'a.b.c.d 9 13'], ['a.b 0-15']],
    ['a = [\r\n1,\r\n2]\r\nb = 1\r\n', ['a 0 4', 'a[0] 7 7', 'a[1] 11 11', 'b 15 19'], ['a 0-15', 'b 15-22']],
  ])('of %j', (text, places, statements) => {
    expect(placesIn(text)).toEqual(places);
    expect(statementsIn(text)).toEqual(statements);
  });

  test.each<Row>([
    ['a = 1\nb = 2\n', ['a 0 4', 'b 6 10'], ['a 0-6', 'b 6-12']],
    ['a = [[1], 2]\nb = 3', ['a 0 4', 'a[0] 5 5', 'a[0][0] 6 6', 'a[1] 10 10', 'b 13 17'], ['a 0-13', 'b 13-18']],
    ['a = [ 1 , "x" , 2 ]', ['a 0 4', 'a[0] 6 6', 'a[1] 10 10', 'a[2] 16 16'], ['a 0-19']],
    ["a = ['[', ',', '#', 3]", ['a 0 4', 'a[0] 5 5', 'a[1] 10 10', 'a[2] 15 15', 'a[3] 20 20'], ['a 0-22']],
    ["a = ['\\', 1]", ['a 0 4', 'a[0] 5 5', 'a[1] 10 10'], ['a 0-12']],
    ['a = ["\\"", 1]', ['a 0 4', 'a[0] 5 5', 'a[1] 11 11'], ['a 0-13']],
    ['a = {\n b = 1,\n c = 2\n}\nd = 1', ['a 0 4', 'a.b 7 11', 'a.c 15 19', 'd 23 27'], ['a 0-23', 'd 23-28']],
    [
      'a = [{b = 1}, {c = 2}]\nd = 1',
      ['a 0 4', 'a[0] 5 5', 'a[0].b 6 10', 'a[1] 14 14', 'a[1].c 15 19', 'd 23 27'],
      ['a 0-23', 'd 23-28'],
    ],
    ['a = """\nb = 1\n"""\nc = 2', ['a 0 4', 'c 18 22'], ['a 0-18', 'c 18-23']],
    ['a = ["""x"y""", 1]', ['a 0 4', 'a[0] 5 5', 'a[1] 16 16'], ['a 0-18']],
    ['a = ["""x""""", 1]', ['a 0 4', 'a[0] 5 5', 'a[1] 16 16'], ['a 0-18']],
    ['a = ["""x"""]\nb = 1', ['a 0 4', 'a[0] 5 5', 'b 14 18'], ['a 0-14', 'b 14-19']],
    ["a = ['''x'y''', 1]", ['a 0 4', 'a[0] 5 5', 'a[1] 16 16'], ['a 0-18']],
    ["a = ['''\\''', 1]", ['a 0 4', 'a[0] 5 5', 'a[1] 14 14'], ['a 0-16']],
  ])('with values: %j', (text, places, statements) => {
    expect(placesIn(text)).toEqual(places);
    expect(statementsIn(text)).toEqual(statements);
  });

  test.each<Row>([
    ['[]\n', [], []],
    ['a = 1\n[]\nb = 2', ['a 0 4', 'b 9 13'], ['a 0-6', 'b 9-14']],
    ['[a]\n[]\nb = 1', ['a 1 1', 'a.b 7 11'], ['[a] 0-4', 'a.b 7-12']],
    ['= 1\nb = 2', ['b 4 8'], [' 0-4', 'b 4-9']],
    ['level 1\nx = 2', ['level 0 6', 'x 8 12'], ['level 0-8', 'x 8-13']],
    ['a [1]\nb = 1', ['a 0 2', 'b 6 10'], ['a 0-6', 'b 6-11']],
    ['"ab', ['ab 0 3'], ['ab 0-3']],
    ['"a\nb = 1', ['a 0 2', 'b 3 7'], ['a 0-3', 'b 3-8']],
    ['"a\\', ['a 0 3'], ['a 0-3']],
    ['"a\\\nb = 1', ['a 0 3', 'b 4 8'], ['a 0-4', 'b 4-9']],
    ['"\\u0', ['\0 0 4'], ['\0 0-4']],
    ['"\\u0\nb = 1', ['\0 0 4', 'b 5 9'], ['\0 0-5', 'b 5-10']],
    ['"\\Uffffffff" = 1', [' 0 15'], [' 0-16']],
    ['"\\u-001" = 1', [' 0 11'], [' 0-12']],
    ['a = [1}\nb = 2', ['a 0 4', 'a[0] 5 5', 'b 8 12'], ['a 0-8', 'b 8-13']],
    ['a = {b = [1}\nc = 2', ['a 0 4', 'a.b 5 9', 'a.b[0] 10 10', 'c 13 17'], ['a 0-13', 'c 13-18']],
    ['a = [1', ['a 0 4', 'a[0] 5 5'], ['a 0-6']],
    ['a = {b = 1]\nc = 2', ['a 0 4', 'a.b 5 9', 'c 12 16'], ['a 0-12', 'c 12-17']],
    ['a = {b = 1', ['a 0 4', 'a.b 5 9'], ['a 0-10']],
    ['a = {= 1}\nb = 2', ['a 0 4', 'b 10 14'], ['a 0-10', 'b 10-15']],
    ['a = "x\nb = 1', ['a 0 4', 'b 7 11'], ['a 0-7', 'b 7-12']],
    ['a = "x\\\nb = 1', ['a 0 4', 'b 8 12'], ['a 0-8', 'b 8-13']],
    ['a = "x\\', ['a 0 4'], ['a 0-7']],
  ])('of what is not quite TOML: %j', (text, places, statements) => {
    expect(placesIn(text)).toEqual(places);
    expect(statementsIn(text)).toEqual(statements);
  });

  test('no deeper than the bound, in lists, in tables and in keys', () => {
    const deepest = (text: string): number =>
      Math.max(...[...locateKeys(text).places.values()].map(({ path }) => path.length));
    for (const open of ['[', '{a = ', '[{a = '])
      expect(deepest(`x = ${open.repeat(3 * tomlDepthMax)}`)).toBe(1 + tomlDepthMax);
    expect(deepest(`a${'.a'.repeat(3 * tomlDepthMax)} = 1`)).toBe(tomlDepthMax);
    expect(locateKeys(`x = 1\na${'.a'.repeat(tomlDepthMax)} = 1`).tooDeep).toBe(6);
    expect(locateKeys(`a${'.a'.repeat(tomlDepthMax - 1)} = 1`).tooDeep).toBe(undefined);
  });
});

describe('lines and columns', () => {
  test('count characters, wide or not', () => {
    expect(positionAt('\u{10000}\u{103ff}\uffe5x', 5)).toEqual({ line: 1, column: 4 });
    expect(positionAt('a\nb', 1)).toEqual({ line: 1, column: 2 });
    expect(positionAt('a\nb', 99)).toEqual({ line: 2, column: 2 });
  });

  test('of a place behind the end are the end', () => {
    expect(offsetAt('a\nbc', 2, 1)).toBe(2);
    expect(offsetAt('ab\ncd', 9, 1)).toBe(5);
    expect(offsetAt('ab\ncd', 2, 9)).toBe(5);
  });

  test.each<[text: string, index: number, offset: number]>([
    ['abc', 1, 0],
    ['"abc"', 1, 2],
    ["'abc'", 1, 2],
    ['"ab', 9, 3],
    ['""', 0, 1],
    ['"a\\nb"', 2, 4],
    ["'a\\nb'", 2, 3],
    ['"\\x41b"', 1, 5],
    ['"\\uffffxy"', 2, 8],
    ['"\\U0001f600x"', 2, 11],
    ['"""\r\nab"""', 1, 6],
    ['"""\nab"""', 1, 5],
    ['"""ab"""', 1, 4],
    ['"""a\\\n  b"""', 1, 8],
    ["'''a\\\nb'''", 2, 5],
  ])('of a character of the string %j at %i', (text, index, offset) => {
    expect(offsetWithin(text, 0, index)).toBe(offset);
    expect(offsetWithin(`key = ${text}`, 6, index)).toBe(6 + offset);
  });

  test('a key is quoted where it must be', () => {
    for (const key of ['Z', 'A', 'z', 'a', '0', '9', '_', '-']) expect(dotted([key])).toBe(key);
    for (const key of ['[', '@', '{', '`', '/', ':', '.']) expect(dotted([key, 'x'])).toBe(`"${key}".x`);
  });
});

describe('several files', () => {
  const pieces = (...texts: string[]) => texts.map((text, index) => ({ path: `/etc/${'abcdef'[index]}.toml`, text }));
  const read = (...texts: string[]) => {
    const document = new TomlPieces(pieces(...texts));
    const table = document.parse();
    const said = document
      .error()
      .problems.map(
        ({ kind, file = '', line, column, key, reason, hint = '' }) =>
          `${file}:${line}:${column} ${kind} ${key}: ${reason}${hint && ` (${hint})`}`,
      );
    const at = (...path: Path): unknown => {
      const place = document.places.get(pathKey(path));
      return place && document.text.slice(place.key).split('\n', 1)[0];
    };
    return { document, table, said, at };
  };

  test('are one document: tables are joined, lists of tables continued', () => {
    const { table, said, at } = read(
      '[jails.sshd]\nport = 22\n[[filter]]\nname = "one"\n',
      '[jails.nginx]\nport = 80\n[jails.sshd]\nmaxretry = 3\n[[filter]]\nname = "two"\n',
      '[[filter]]\nname = "three"',
    );
    expect(said).toEqual([]);
    expect(JSON.parse(JSON.stringify(table))).toEqual({
      jails: { sshd: { port: 22, maxretry: 3 }, nginx: { port: 80 } },
      filter: [{ name: 'one' }, { name: 'two' }, { name: 'three' }],
    });
    expect(at('jails', 'nginx', 'port')).toBe('port = 80');
    expect(at('filter', 1, 'name')).toBe('name = "two"');
    expect(at('filter', 2, 'name')).toBe('name = "three"');
  });

  test('a key stands where it was defined first, and a header counts more than what it implies', () => {
    const { at } = read('[jails.sshd]\n', '[jails]\nx.y = 1\n', '[jails]\nx.z = 1\n');
    expect(at('jails')).toBe('jails]');
    expect(at('jails', 'sshd')).toBe('sshd]');
    expect(at('jails', 'x')).toBe('x.y = 1');
    expect(read('[jails.sshd]\n', '[jails]\n').at('jails')).toBe('jails]');
    expect(read('[jails.sshd]\n', '[jails.nginx]\n').at('jails')).toBe('jails.sshd]');
    expect(read('[jails]\n', '[jails.nginx]\n').at('jails')).toBe('jails]');
  });

  test('a key that two of them set is refused with both places, and the first counts', () => {
    const { table, said } = read(
      '# one\nlog.level = "info"\n',
      '[log]\nformat = "text"\n',
      'x = 1\n[log]\n\n  level = "warn"\nformat = "json"\n',
    );
    expect(said).toEqual([
      '/etc/c.toml:4:3 duplicate log.level: is defined twice, first in /etc/a.toml:2',
      '/etc/c.toml:5:1 duplicate log.format: is defined twice, first in /etc/b.toml:2',
    ]);
    expect(JSON.parse(JSON.stringify(table))).toEqual({ log: { level: 'info', format: 'text' }, x: 1 });
  });

  test.each([
    ['a list', '[jails.sshd]\nlogpath = ["/a"]', '[jails.sshd]\nlogpath = ["/b"]', '2:1 duplicate jails.sshd.logpath'],
    ['a date', '[log]\nx = 2026-01-01', '[log]\nx = 2026-01-01', '2:1 duplicate log.x'],
    ['a text', 'x = "a"', 'x = "b"', '1:1 duplicate x'],
    ['a number', 'x = 1', 'x = 1', '1:1 duplicate x'],
    [
      'a list of tables that is a table elsewhere',
      '[[filter]]\nname = "a"',
      '[filter]\nname = "b"',
      '1:2 duplicate filter',
    ],
    ['a table that is a list elsewhere', '[filter]\nname = "a"', '[[filter]]\nname = "b"', '1:3 duplicate filter'],
    ['a table that is a date elsewhere', '[log]\nlevel = "a"', 'log = 2026-01-01', '1:1 duplicate log'],
  ])('%s is not joined with another', (_, one, other, problem) => {
    const { said } = read(one, other);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(`/etc/b.toml:${problem}: is defined twice, first in /etc/a.toml:`);
  });

  test('share the room for keys', () => {
    // A line without a key counts too, and costs least.
    const lines = (count: number): string => '=\n'.repeat(count);
    const reason = `syntax : the file defines more than ${tomlStatementsMax} keys and tables`;
    expect(read(lines(tomlStatementsMax + 1)).said).toEqual([`:${tomlStatementsMax + 1}:1 ${reason}`]);
    expect(read(lines(tomlStatementsMax), 'x = 1').said.at(-1)).toBe(`/etc/b.toml:1:1 ${reason}`);
    expect(read(lines(tomlStatementsMax - 1), 'x = 1').said.join()).not.toContain(reason);
  });
});

describe('mistakes of the language', () => {
  const said = (text: string): string[] => {
    const document = new TomlPieces([{ path: 'x', text }]);
    document.parse();
    return document
      .error()
      .problems.map(
        ({ kind, line, column, key, reason, hint = '' }) =>
          `${line}:${column} ${kind} ${key}: ${reason}${hint && ` (${hint})`}`,
      );
  };
  const endOfLine = 'each key-value declaration must be followed by an end-of-line';

  test.each<[text: string, problems: string[]]>([
    [`a${'.a'.repeat(tomlDepthMax)} = 1`, [`1:1 syntax : a key has more than ${tomlDepthMax} parts`]],
    ['level =', ['1:8 syntax level: a value is missing after "="']],
    ['level = info', [`1:9 syntax level: ${endOfLine} (write text in quotes: "info")`]],
    ['level = info  # loud', [`1:9 syntax level: ${endOfLine} (write text in quotes: "info")`]],
    ['format = "text"\nlevel', ['2:1 syntax level: incomplete key-value: cannot find end of key']],
    ['# \x01', ['1:3 syntax : control characters are not allowed in comments']],
    [
      '# \x01\n[log]\nlevel =',
      [
        '1:3 syntax : control characters are not allowed in comments',
        '3:8 syntax log.level: a value is missing after "="',
      ],
    ],
    ['x = { a = 1, a = 2 }', ['1:14 duplicate x.a: redefines a key or table that has a value']],
    ['[__proto__]\nx = 1', ['1:2 unknown-key __proto__: unknown key']],
    [
      'a = 1\na = 2\nb =',
      ['2:1 duplicate a: is defined twice, first on line 1', '3:4 syntax b: a value is missing after "="'],
    ],
    ['a = [\n1,\n?,\n2\n]\nb =', ['3:1 syntax a[1]: invalid value', '6:4 syntax b: a value is missing after "="']],
    [
      'a = "\\q"\nb = """\nx\n\\q\ny"""\nc =',
      [
        "1:7 syntax a: unrecognised escape sequence (in single quotes a backslash is a plain character: '\\S+')",
        "4:2 syntax b: unrecognised escape sequence (in single quotes a backslash is a plain character: '\\S+')",
        '6:4 syntax c: a value is missing after "="',
      ],
    ],
  ])('%j', (text, problems) => {
    expect(said(text)).toEqual(problems);
  });

  test('end the reading after as many as are tried', () => {
    expect(said('x = ?\n'.repeat(3 * tomlMistakesMax))).toHaveLength(tomlMistakesMax + 1);
  });
});
