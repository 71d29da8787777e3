import { lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { componentsOf } from '../../src/components.ts';
import { temporaryDirectory } from '../support/control.ts';

let directory: ReturnType<typeof temporaryDirectory>;

beforeEach(() => {
  directory = temporaryDirectory();
});

afterEach(() => directory.remove());

const below = (path: string): string[] =>
  componentsOf(path)
    .map((component) => component.path)
    .filter((each) => each.startsWith(directory.path))
    .map((each) => each.slice(directory.path.length));

test('every directory and link on the way, wherever links lead', () => {
  const at = (name: string): string => join(directory.path, name);
  mkdirSync(at('a'));
  mkdirSync(at('a/b'));
  writeFileSync(at('a/b/file'), '');
  symlinkSync('a/b', at('relative'));
  symlinkSync(at('relative'), at('absolute'));
  symlinkSync('../a/./b/../b/file', at('a/up'));
  expect(componentsOf(at('a'))[0]).toEqual({ path: '/', stats: lstatSync('/') });
  expect(below(at('a/b/file'))).toEqual(['', '/a', '/a/b', '/a/b/file']);
  expect(below(at('absolute/file'))).toEqual(['', '/absolute', '', '/relative', '/a', '/a/b', '/a/b/file']);
  expect(below(at('a/up')).at(-1)).toBe('/a/b/file');
  expect(below(at('a/missing'))).toEqual(['', '/a']);
});

test('a directory that is missing and a circle of links are errors', () => {
  const circle = join(directory.path, 'circle');
  symlinkSync('circle', circle);
  expect(() => componentsOf(circle)).toThrow(expect.objectContaining({ code: 'ELOOP' }));
  expect(() => componentsOf(join(directory.path, 'no/where'))).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});
