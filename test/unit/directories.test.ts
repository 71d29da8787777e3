/**
 * Renames as a directory hears about them, called by hand: the source looks for a file that is
 * moved again and again.
 */
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { movesMax, renameLooksMax } from '../../src/limits.ts';
import { Directories } from '../../src/sources/directories.ts';
import {
  type Events,
  type Heard,
  IN_CREATE,
  IN_DELETE,
  IN_MOVED_FROM,
  IN_MOVED_TO,
} from '../../src/sources/inotify.ts';
import { temporaryDirectory } from '../support/control.ts';

const home = temporaryDirectory();
afterAll(() => home.remove());

/** Follows `log` in a directory. `there` says at which path the file is found at a look. */
function followLog(there: (path: string) => boolean) {
  let heard: Heard = () => {};
  const looked: string[] = [];
  const events = {
    add: (_path: string, _mask: number, listener: Heard) => {
      heard = listener;
      return { close() {} };
    },
  } as unknown as Events;
  const directories = new Directories<string>(events, {
    touched() {},
    moved: (_entry, path) => {
      looked.push(path.slice(home.path.length + 1));
      return there(path);
    },
    changed() {},
    failed() {},
  });
  directories.follow(home.path, 'log', 'the log');
  let cookie = 0;
  const rename = (from: string, to: string): void => {
    cookie++;
    heard(IN_MOVED_FROM, from, cookie);
    heard(IN_MOVED_TO, to, cookie);
  };
  const hear = (mask: number, name: string, cookie = 0): void => heard(mask, name, cookie);
  return { directories, rename, hear, looked };
}

test('a file that is renamed between any two looks is searched for until it stays', () => {
  const steps = 5 * renameLooksMax;
  const { directories, rename, looked } = followLog((path) => path.endsWith(`/log.${steps}`));
  rename('log', 'log.1');
  for (let age = 1; age < steps; age++) {
    directories.settle(true);
    rename(`log.${age}`, `log.${age + 1}`);
  }
  for (let look = 0; look < 3; look++) directories.settle(false);
  expect(looked).toEqual(Array.from({ length: steps }, (_, at) => `log.${at + 1}`));
});

test('a path that leads to another directory is watched there', () => {
  for (const name of ['one', 'two']) mkdirSync(join(home.path, name));
  const link = join(home.path, 'link');
  symlinkSync('one', link);
  const closed: number[] = [];
  let watches = 0;
  const events = {
    add: () => {
      const number = ++watches;
      return { close: () => void closed.push(number) };
    },
  } as unknown as Events;
  const listener = { touched() {}, moved: () => false, changed() {}, failed() {} };
  const directories = new Directories<string>(events, listener);
  directories.follow(link, 'log', 'the log');
  expect([directories.check(), watches]).toEqual([false, 1]);
  rmSync(link);
  symlinkSync('two', link);
  expect([directories.check(), watches, closed]).toEqual([true, 2, [1]]);
});

test('what is found counts only after all events have been read again', () => {
  const { directories, rename, looked } = followLog(() => true);
  rename('log', 'log.1');
  directories.settle(false);
  rename('log.1', 'log.2');
  directories.settle(false);
  directories.settle(false);
  rename('log.2', 'log.3');
  directories.settle(false);
  expect(looked).toEqual(['log.1', 'log.2']);
});

test('only the poll gives up a file that is nowhere', () => {
  const { directories, rename, looked } = followLog(() => false);
  rename('log', 'log.1');
  for (let look = 0; look < 9; look++) directories.settle(false);
  expect(looked.length).toBe(9);
  for (let look = 0; look < 3 * renameLooksMax; look++) directories.settle(true);
  expect(looked.length).toBe(9 + renameLooksMax);
});

test.each([
  ['is removed', [IN_DELETE, 'log.1']],
  ['is made anew', [IN_CREATE, 'log.1']],
  ['is taken by a file from elsewhere', [IN_MOVED_TO, 'log.1', 99]],
] as const)('a name that %s is no longer looked at', (_what, event) => {
  const { directories, rename, hear, looked } = followLog(() => false);
  rename('log', 'log.1');
  hear(event[0], event[1], event[2]);
  directories.settle(false);
  expect(looked).toEqual([]);
});

test('two renames whose events are mixed', () => {
  const { directories, hear, looked } = followLog(() => true);
  directories.follow(home.path, 'other', 'the other');
  hear(IN_MOVED_FROM, 'log', 1);
  hear(IN_MOVED_FROM, 'other', 2);
  hear(IN_MOVED_TO, 'log.1', 1);
  hear(IN_MOVED_TO, 'other.1', 2);
  directories.settle(false);
  expect(looked).toEqual(['log.1', 'other.1']);
});

test('only a bounded number is searched for, the youngest', () => {
  const { directories, rename, looked } = followLog(() => false);
  for (let count = 0; count < movesMax + 10; count++) rename('log', `log.${count}`);
  directories.settle(false);
  expect(looked.length).toBe(movesMax);
  expect(looked.at(-1)).toBe(`log.${movesMax + 9}`);
});
