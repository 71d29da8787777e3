/**
 * A fail2ban tree is read as fail2ban reads it: which file wins, what is interpolated, and what
 * happens with a file that fail2ban refuses.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readFilterFile } from '../../src/import/filter-file.ts';
import { readIni } from '../../src/import/ini.ts';
import { includesMax } from '../../src/import/limits.ts';
import { Notes } from '../../src/import/notes.ts';
import { parseCall, replaceTags, splitCalls } from '../../src/import/options.ts';
import { prefixMark, Tree, Unresolved } from '../../src/import/tree.ts';

let folder: string;
let notes: Notes;
let tree: Tree;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'import-'));
  notes = new Notes();
  tree = new Tree(folder, notes);
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, text: string | Uint8Array): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

describe('one file', () => {
  const read = (text: string): Record<string, Record<string, string>> => {
    const file = readIni(text, 'f', (line, reason) => problems.push(`${line}: ${reason}`));
    return Object.fromEntries([...file.sections].map(([name, section]) => [name, plain(section)]));
  };
  const plain = (section: Map<string, { text: string }>): Record<string, string> =>
    Object.fromEntries([...section].map(([key, { text }]) => [key, text]));
  let problems: string[] = [];
  beforeEach(() => {
    problems = [];
  });

  test('keys are lower case, = or : divide, values go on in indented lines', () => {
    expect(read('[a]\nKey = one\n  two\n\n   three\nother: x = y\n')).toEqual({
      a: { key: 'one\ntwo\n\nthree', other: 'x = y' },
    });
  });

  test('a comment begins with # or ; at the start of a line, inside one with a blank and ;', () => {
    expect(read('[a]\n# no\n ; no\nx = 1 ; no\ny = 1;2#3 # yes\nz = 1\n  # no\n  2\n')).toEqual({
      a: { x: '1', y: '1;2#3 # yes', z: '1\n2' },
    });
  });

  test('what fail2ban refuses is reported, and the rest is read', () => {
    expect(read('lost = 1\n[a]\nnonsense\nx = 1\nx = 2\n[a]\ny = 3\n')).toEqual({ a: { x: '2', y: '3' } });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual(['1', '3', '5', '6']);
  });
});

describe('which file wins', () => {
  test('NAME.conf, NAME.d/*.conf, NAME.local, NAME.d/*.local, in that order', () => {
    write('jail.conf', '[a]\nw = conf\nx = conf\ny = conf\nz = conf\n');
    write('jail.d/2.conf', '[a]\nx = second\ny = second\n');
    write('jail.d/1.conf', '[a]\nx = first\nz = first\n');
    write('jail.d/1.local', '[a]\nz = last\n');
    write('jail.local', '[a]\ny = local\nz = local\n');
    const jail = tree.read('jail')!;
    const got = Object.fromEntries(['w', 'x', 'y', 'z'].map((key) => [key, jail.get('a', key)?.text]));
    expect(got).toEqual({ w: 'conf', x: 'second', y: 'local', z: 'last' });
    expect(tree.place(jail.get('a', 'z')!)).toBe('jail.d/1.local:2');
  });

  test('before stands under the file and after above it, each with its .local', () => {
    write('jail.conf', '[INCLUDES]\nbefore = b.conf\nafter = c.conf\n[a]\nx = own\ny = own\nz = own\n');
    write('b.conf', '[a]\nx = before\nw = before\n');
    write('b.local', '[a]\nw = before local\n');
    write('c.conf', '[a]\nz = after\n');
    const jail = tree.read('jail')!;
    const got = Object.fromEntries(['w', 'x', 'z'].map((key) => [key, jail.get('a', key)?.text]));
    expect(got).toEqual({ w: 'before local', x: 'own', z: 'after' });
  });

  test('includes that form a circle or double each time end', () => {
    write('jail.conf', '[INCLUDES]\nbefore = b.conf\nafter = ./././jail.conf\n[a]\nx = 1\n');
    write('b.conf', '[INCLUDES]\nbefore = jail.conf\n[a]\ny = 2\n');
    expect(tree.read('jail')?.get('a', 'y')?.text).toBe('2');
    for (let level = 0; level < 12; level++) {
      const next = `d${level + 1}.conf`;
      const twins = Array.from({ length: 3 }, (_, twin) => `../filter.d/${'./'.repeat(twin)}${next}`).join('\n ');
      write(`filter.d/d${level}.conf`, `[INCLUDES]\nbefore = ${twins}\n[a]\nx = ${level}\n`);
    }
    write('filter.d/d12.conf', '[a]\nx = 12\n');
    const files = tree.read('filter.d/d0')?.files ?? [];
    expect(files.length).toBeLessThanOrEqual(includesMax);
    expect(notes.count('warning')).toBeGreaterThan(0);
  });

  test('what is not text, not a file, or missing is skipped', () => {
    write('jail.conf', '[a]\nx = 1\n');
    write('jail.d/bad.conf', Uint8Array.of(0x5b, 0xff, 0x5d));
    mkdirSync(join(folder, 'jail.d', 'folder.conf'));
    symlinkSync('loop.conf', join(folder, 'jail.d', 'loop.conf'));
    symlinkSync('/dev/zero', join(folder, 'jail.d', 'zero.conf'));
    expect(tree.read('jail')?.get('a', 'x')?.text).toBe('1');
    expect(notes.all.map(({ place }) => place)).toEqual(['jail.d/bad.conf:1']);
    expect(tree.read('nothing')).toBeUndefined();
  });
});

describe('interpolation', () => {
  const value = (text: string, key = 'x'): string | undefined => {
    write('jail.conf', text);
    return new Tree(folder, notes).read('jail')?.get('a', key)?.text;
  };

  test.each([
    ['of an option of the section', '[a]\nx = 1%(y)s3\ny = 2\n', '123'],
    ['of a default, whatever its capitals', '[DEFAULT]\ny = 2\n[a]\nx = %(Y)s\n', '2'],
    ['of the name', '[a]\nx = %(__name__)s\n', 'a'],
    ['of an option of another section', '[b]\ny = 2%(z)s\n[a]\nx = %(b/y)s\nz = 3\n', '23'],
    ['of a default by its section', '[DEFAULT]\ny = 2\n[a]\nx = %(default/y)s\n', '2'],
    ['of a percent sign', '[a]\nx = 50%%\n', '50%'],
  ])('%s', (_, text, wanted) => expect(value(text)).toBe(wanted));

  test('known/ is what a later file replaced', () => {
    write('jail.local', '[a]\nx = %(known/x)s more\n');
    expect(value('[a]\nx = first\n')).toBe('first more');
  });

  test.each([
    ['a circle', '[a]\nx = %(y)s\ny = %(x)s\n'],
    ['a name that is defined nowhere', '[a]\nx = %(y)s\n'],
    ['a lone percent sign', '[a]\nx = 50%\n'],
    ['a value without bound', `[a]\nx = ${'%(y)s'.repeat(400)}\ny = ${'%(z)s'.repeat(400)}\nz = ${'0'.repeat(400)}\n`],
  ])('%s is told', (_, text) => expect(() => value(text)).toThrow(Unresolved));

  test('tags are replaced, also those made of tags, and a circle is reported', () => {
    const known = new Map([
      ['kind', 'b'],
      ['of-b', 'found'],
      ['self', '<self>'],
    ]);
    const replace = (text: string): string => replaceTags('x', text, (tag) => known.get(tag));
    expect(replace('<HOST> <of-<kind>> <nothing>')).toBe('<HOST> found <nothing>');
    expect(() => replace('<self>')).toThrow(Unresolved);
  });
});

describe('a filter', () => {
  test('has the options of the jail, [Init], its condition, and a mark for what stands before a message', () => {
    write('filter.d/common.conf', '[DEFAULT]\n_daemon = \\S*\n__pid_re = x\n__prefix_line = <_daemon><__pid_re>\n');
    write(
      'filter.d/f.conf',
      '[INCLUDES]\nbefore = common.conf\n[Definition]\nfailregex = ^%(__prefix_line)s<kind>-<more> <HOST>\n[Init]\nkind = init\nmore = 1\n[Init?family=inet6]\nmore = 6\n',
    );
    const filter = readFilterFile(tree, 'f', new Map([['kind', 'jail']]), false);
    expect(filter?.failregex?.text).toBe(`^${prefixMark}jail-1 <HOST>`);
    expect(readFilterFile(tree, '../jail', new Map(), false)).toBeUndefined();
  });
});

describe('calls', () => {
  test.each([
    ['sshd', { name: 'sshd', options: {} }],
    ['sshd[mode=ddos]', { name: 'sshd', options: { mode: 'ddos' } }],
    [`a[x="1, 2", y='3']`, { name: 'a', options: { x: '1, 2', y: '3' } }],
    ['a[x=1][y=2]', { name: 'a', options: { x: '1', y: '2' } }],
  ])('%s', (text, wanted) => {
    const call = parseCall(text);
    expect(typeof call === 'string' ? call : { name: call.name, options: Object.fromEntries(call.options) }).toEqual(
      wanted,
    );
  });

  test('what is not a call says so', () => expect(parseCall('a[nonsense here]')).toContain('not name=value'));

  test('lists are divided outside of brackets and quotes', () => {
    expect(splitCalls('one[a="x y"]\n  two three[b=1, c=2]')).toEqual(['one[a="x y"]', 'two', 'three[b=1, c=2]']);
  });
});
