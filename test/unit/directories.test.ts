/**
 * Renames as a directory hears about them, called by hand: the source looks for a file that is
 * moved again and again.
 */
import { mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { movesMax, renameLooksMax } from '../../src/limits.ts';
import { Directories } from '../../src/sources/directories.ts';
import {
  type Events,
  type Heard,
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_IGNORED,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_ONLYDIR,
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
  for (const name of ['one', 'two']) mkdirSync(join(home.path, name), { recursive: true });
  const link = join(home.path, 'link');
  rmSync(link, { force: true });
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

test('a moved file whose permissions change is still looked for', () => {
  const { directories, rename, hear, looked } = followLog(() => false);
  rename('log', 'log.1');
  hear(IN_ATTRIB, 'log.1');
  directories.settle(false);
  expect(looked).toEqual(['log.1']);
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

describe('a directory', () => {
  let number = 0;
  let here: string;
  beforeEach(() => {
    here = join(home.path, `here${number++}`);
    mkdirSync(here);
  });

  /** Directories over watches that are called by hand; what is told of them, in order. */
  function watching(withEvents = true) {
    const told: string[] = [];
    const watches: { path: string; mask: number; heard: Heard; open: boolean }[] = [];
    const refusal = { error: undefined as Error | undefined };
    const events = {
      add: (link: string, mask: number, heard: Heard) => {
        if (refusal.error !== undefined) throw refusal.error;
        const watch = { path: readlinkSync(link), mask, heard, open: true };
        watches.push(watch);
        const close = (): void => {
          watch.open = false;
        };
        return { close };
      },
    } as unknown as Events;
    const short = (path: string): string => path.slice(home.path.length + 1).replace(/^here\d+/, 'here');
    const directories = new Directories<string>(withEvents ? events : null, {
      touched: (entry) => told.push(`touched ${entry}`),
      moved: (entry, path) => {
        told.push(`moved ${entry} ${short(path)}`);
        return false;
      },
      changed: () => told.push('changed'),
      failed: (path, error) => told.push(`failed ${short(path)} ${error.message.split(',')[0]}`),
    });
    /** What is told after events of the directory that was watched last. */
    const hear = (...events: [mask: number, name: string, cookie?: number][]): string[] => {
      for (const [mask, name, cookie = 0] of events) watches.at(-1)!.heard(mask, name, cookie);
      return told.splice(0);
    };
    const open = (): string[] => watches.filter((watch) => watch.open).map(({ path }) => short(path));
    return { directories, told, watches, refusal, hear, open };
  }

  test('is watched once, for names, permissions and its own end', () => {
    const { directories, watches } = watching();
    directories.lookFor(here, '*.log');
    directories.follow(here, 'a', 'A');
    directories.follow(here, 'b', 'B');
    expect(watches.map(({ path, mask }) => [path, mask])).toEqual([
      [
        here,
        IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
      ],
    ]);
    expect([directories.count, directories.armed]).toEqual([1, 1]);
  });

  test('tells of every entry with a name, once each, and of no other', () => {
    const { directories, hear } = watching();
    for (const entry of ['A', 'B', 'A', 'B', 'C']) directories.follow(here, 'log', entry);
    directories.follow(here, 'other', 'O');
    for (const mask of [IN_CREATE, IN_DELETE, IN_MOVED_TO, IN_MOVED_FROM, IN_ATTRIB])
      expect(hear([mask, 'log'])).toEqual(['touched A', 'touched B', 'touched C']);
    expect(hear([IN_CREATE, 'other'])).toEqual(['touched O']);
    expect(hear([IN_CREATE, 'nobody'], [IN_ATTRIB, 'nobody'])).toEqual([]);
  });

  test('tells of a name for which a pattern waits, once, and not of its permissions', () => {
    const { directories, hear } = watching();
    for (const component of ['*.txt', '*.log', 'a*']) directories.lookFor(here, component);
    directories.follow(here, 'known.log', 'K');
    expect(hear([IN_CREATE, 'a.log'])).toEqual(['changed']);
    expect(hear([IN_DELETE, 'x.txt'])).toEqual(['changed']);
    expect(hear([IN_ATTRIB, 'a.log'], [IN_CREATE, 'x'], [IN_CREATE, '.log'])).toEqual([]);
    expect(hear([IN_CREATE, 'known.log'])).toEqual(['touched K']);
  });

  test.each([
    ['was removed', IN_DELETE_SELF],
    ['was moved', IN_MOVE_SELF],
    ['is no longer watched by the kernel', IN_IGNORED],
  ])('that %s is said, and watched again where it is', (_, mask) => {
    const { directories, hear, open, watches } = watching();
    directories.lookFor(here, '*');
    expect(hear([mask, ''])).toEqual(['changed']);
    expect(open()).toEqual([]);
    expect([directories.check(), directories.check(), watches.length, open()]).toEqual([true, false, 2, ['here']]);
  });

  test('whose permissions changed is said, and its watch stays', () => {
    const { directories, hear, open } = watching();
    directories.lookFor(here, '*');
    expect(hear([IN_ATTRIB, ''])).toEqual(['changed']);
    expect([directories.check(), open()]).toEqual([false, ['here']]);
  });

  test('for which nobody asks again is no longer watched', () => {
    const { directories, hear, open } = watching();
    mkdirSync(join(here, 'sub'));
    directories.lookFor(join(here, 'sub'), '*.log');
    directories.lookFor(here, '*.log');
    directories.follow(here, 'log', 'L');
    expect([directories.isWanted(here), directories.count, open()]).toEqual([true, 2, ['here/sub', 'here']]);
    directories.begin();
    expect(directories.isWanted(here)).toBe(false);
    directories.follow(here, 'new', 'N');
    directories.sweep();
    expect([directories.isWanted(here), directories.isWanted(join(here, 'sub'))]).toEqual([true, false]);
    expect([directories.count, open(), directories.armed]).toEqual([1, ['here'], 2]);
    // What was asked for before is forgotten.
    expect(hear([IN_CREATE, 'log'], [IN_CREATE, 'a.log'], [IN_CREATE, 'new'])).toEqual(['touched N']);
    directories.close();
    expect([directories.count, open()]).toEqual([0, []]);
  });

  test('that cannot be watched is said once, until it could be', () => {
    const { directories, told, open, refusal } = watching();
    const late = join(here, 'late');
    directories.lookFor(late, '*');
    expect([directories.check(), directories.count]).toEqual([false, 1]);
    expect(told.splice(0)).toEqual(['failed here/late ENOENT: no such file or directory']);
    mkdirSync(late);
    expect([directories.check(), open()]).toEqual([true, ['here/late']]);
    rmSync(late, { recursive: true });
    // The watch of what is gone is closed, which is a change.
    expect([directories.check(), open(), directories.check()]).toEqual([true, [], false]);
    expect(told.splice(0)).toEqual(['failed here/late ENOENT: no such file or directory']);
    directories.begin();
    directories.sweep();
    expect(directories.count).toBe(0);
    directories.lookFor(late, '*');
    expect(told.splice(0)).toEqual(['failed here/late ENOENT: no such file or directory']);
    mkdirSync(late);
    refusal.error = new Error('ENOSPC: no space left on device');
    expect([directories.check(), told.splice(0)]).toEqual([false, []]);
    directories.lookFor(here, '*');
    expect(told).toEqual(['failed here ENOSPC: no space left on device']);
  });

  test('without events is still found to be another one', () => {
    const { directories } = watching(false);
    directories.lookFor(here, '*');
    expect([directories.check(), directories.armed]).toEqual([false, 1]);
    renameSync(here, `${here}.old`);
    mkdirSync(here);
    expect([directories.check(), directories.check(), directories.armed]).toEqual([true, false, 2]);
    directories.close();
  });

  test('hears where a file went, also into another directory, and never of one that left all of them', () => {
    const { directories, hear, watches, told } = watching();
    mkdirSync(join(here, 'old'));
    directories.follow(here, 'log', 'L');
    directories.lookFor(join(here, 'old'), 'nothing');
    const [first, other] = watches.map(({ heard }) => heard);
    first!(IN_MOVED_FROM, 'log', 7);
    other!(IN_MOVED_TO, 'log.1', 8);
    told.splice(0);
    directories.settle(true);
    expect(told.splice(0)).toEqual([]);
    // The second half of the rename.
    other!(IN_MOVED_TO, 'log.2', 7);
    directories.settle(true);
    expect(told.splice(0)).toEqual(['moved L here/old/log.2']);
    // A file of that name in the first directory is another one.
    first!(IN_MOVED_FROM, 'log.2', 9);
    first!(IN_MOVED_TO, 'elsewhere', 9);
    directories.settle(true);
    expect(told.splice(0)).toEqual(['moved L here/old/log.2']);
    expect(hear([IN_MOVED_FROM, 'log.2', 10])).toEqual([]);
    directories.settle(true);
    expect(told).toEqual([]);
  });
});
