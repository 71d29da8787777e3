/** Renames as a directory hears of them, told by hand: looks for a file that moves on and on. */
import { afterAll, expect, test } from 'vitest';
import { renameLooksMax } from '../../src/limits.ts';
import { Directories } from '../../src/sources/directories.ts';
import { type Events, type Heard, IN_MOVED_FROM, IN_MOVED_TO } from '../../src/sources/inotify.ts';
import { temporaryDirectory } from '../support/control.ts';

const home = temporaryDirectory();
afterAll(() => home.remove());

/** Follows `log` in a directory; `there` says where its file can be found at a look. */
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
  return { directories, rename, looked };
}

test('a file that is renamed between any two looks is looked for until it stands', () => {
  const steps = 5 * renameLooksMax;
  const { directories, rename, looked } = followLog((path) => path.endsWith(`/log.${steps}`));
  rename('log', 'log.1');
  for (let age = 1; age < steps; age++) {
    directories.settle();
    rename(`log.${age}`, `log.${age + 1}`);
  }
  directories.settle();
  directories.settle();
  expect(looked).toEqual(Array.from({ length: steps }, (_, at) => `log.${at + 1}`));
});

test('one that is nowhere is given up', () => {
  const { directories, rename, looked } = followLog(() => false);
  rename('log', 'log.1');
  for (let look = 0; look < 3 * renameLooksMax; look++) directories.settle();
  expect(looked).toEqual(Array(renameLooksMax).fill('log.1'));
});
