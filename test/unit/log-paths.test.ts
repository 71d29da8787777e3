/**
 * What a log path leads to: which names fit, what is opened and what is not, and what keeps us from
 * it.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDescriptors } from '../../scripts/lab/descriptors.ts';
import { directoryEntriesMax, journalNamesMax } from '../../src/limits.ts';
import type { FileSource } from '../../src/sources/file.ts';
import { barred, findPaths, isDirectory, namesIn, type Search } from '../../src/sources/find.ts';
import { hasWildcard, splitPattern } from '../../src/sources/glob.ts';
import { JournalDirectories } from '../../src/sources/journal/directories.ts';
import type { JournalSource } from '../../src/sources/journal/journal.ts';
import { Logs } from '../../src/sources/logs.ts';
import * as place from '../../src/sources/place.ts';
import { until } from '../support/until.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fail2zig-paths-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const at = (...parts: string[]): string => join(home, ...parts);
const write = (...parts: string[]): string => {
  const path = at(...parts);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, 'a line\n');
  return path;
};
const refusalOf = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return (error as Error).message;
  }
};

/** Root may read everything: this is done as another user. */
function asNobody<Result>(task: () => Result): Result {
  const effective = process.geteuid!();
  process.seteuid!(65_534);
  try {
    return task();
  } finally {
    process.seteuid!(effective);
  }
}

/** As if a directory were on a file system that depends on another machine. */
function withFar(directory: string, task: () => void): void {
  place.mounts.refresh(() => `36 35 98:0 / ${directory} rw,noatime - nfs server:/export rw\n`);
  try {
    task();
  } finally {
    place.mounts.refresh();
  }
}

describe('a pattern', () => {
  test.each([
    ['log/auth.log', 'not an absolute path: log/auth.log'],
    ['/a\0b', 'a path cannot hold a NUL byte'],
    ['/var/../etc/x', '".." is not supported in a log path: /var/../etc/x'],
    ['/', 'not a file: /'],
    ['/./.', 'not a file: /./.'],
  ])('%j is refused with the reason', (pattern, says) => {
    expect(refusalOf(() => splitPattern(pattern))).toBe(says);
  });

  test('has wildcards or not', () => {
    expect(['a*', 'a?', 'a[b]', 'a'].map(hasWildcard)).toEqual([true, true, false, false]);
  });
});

describe('what is opened', () => {
  test('regular files, through links too, and the right one', () => {
    const path = write('a.log');
    symlinkSync(path, at('link'));
    const one = place.openLog(path);
    const other = place.openLog(at('link'));
    expect(other.id).toBe(one.id);
    expect(one.id).toBe(place.idOf(fstatSync(one.descriptor, { bigint: true })));
    const bytes = Buffer.alloc(16);
    expect(bytes.toString('utf8', 0, readSync(other.descriptor, bytes))).toBe('a line\n');
    expect(place.realPathOf(at('link'))).toBe(place.realPathOf(path));
    closeSync(one.descriptor);
    closeSync(other.descriptor);
  });

  test('no directory, FIFO, socket or device, and no file of the kernel', async () => {
    mkdirSync(at('d'));
    execFileSync('mkfifo', [at('fifo')]);
    const listener = createServer().listen(at('socket'));
    await until(() => listener.listening, { what: 'a listener' });
    for (const [path, kind] of [
      [at('d'), 'directory'],
      [at('fifo'), 'FIFO'],
      [at('socket'), 'socket'],
      ['/dev/null', 'character device'],
      ['/proc/self/status', 'file of proc'],
    ] as const) {
      expect(refusalOf(() => place.openLog(path))).toBe(`${path} is a ${kind}; only regular files are followed`);
    }
    await new Promise((resolve) => listener.close(resolve));
    expect(refusalOf(() => place.openLog(at('nothing')))).toContain('ENOENT');
  });

  test('no block device, and what is refused has a code', () => {
    execFileSync('mknod', [at('disk'), 'b', '7', '200']);
    expect(() => place.openLog(at('disk'))).toThrow(
      expect.objectContaining({
        code: 'ENOTREG',
        message: `${at('disk')} is a block device; only regular files are followed`,
      }),
    );
  });

  test('without a trace where that may be, and without waiting', () => {
    const path = write('a.log');
    const flagsOf = (descriptor: number): number => {
      const [, flags] = /flags:\t(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))!;
      closeSync(descriptor);
      return Number.parseInt(flags!, 8);
    };
    const { O_NOATIME, O_NONBLOCK } = constants;
    expect(flagsOf(place.openLog(path).descriptor) & (O_NOATIME | O_NONBLOCK)).toBe(O_NOATIME | O_NONBLOCK);
    chmodSync(home, 0o755);
    // Whoever does not own the file may not ask for it, and reads it as everybody does.
    const flags = asNobody(() => flagsOf(place.openLog(path).descriptor));
    expect(flags & (O_NOATIME | O_NONBLOCK)).toBe(O_NONBLOCK);
    chmodSync(path, 0o600);
    expect(asNobody(() => refusalOf(() => place.openLog(path)))).toMatch(/^EACCES: permission denied, open/);
  });

  test('nothing on a file system that may hang', () => {
    const path = write('far', 'a.log');
    const uses: number[] = [];
    withFar(at('far'), () => {
      for (const run of [
        () => place.look(path),
        () => place.openLog(path),
        () => place.openDirectory(at('far')).closeSync(),
        () => place.withPlace(path, (descriptor) => uses.push(descriptor)),
      ])
        expect(refusalOf(run)).toContain(`lies on ${at('far')}, which is nfs`);
    });
    expect(uses).toEqual([]);
    expect(place.look(path)?.isFile()).toBe(true);
  });

  test('a file of somebody else, which only its owner may read without a trace', () => {
    const path = write('a.log');
    chownSync(path, 1000, 1000);
    closeSync(place.openLog(path).descriptor);
  });

  test('how many may be open is what the kernel says', () => {
    expect(place.descriptorsMax()).toBe(Number(execFileSync('sh', ['-c', 'ulimit -n']).toString()));
  });

  test('a place is closed whatever happens there, and nothing is no place', () => {
    write('a.log');
    let descriptor = -1;
    expect(
      refusalOf(() =>
        place.withPlace(at('a.log'), (given) => {
          descriptor = given;
          throw new Error('thrown there');
        }),
      ),
    ).toBe('thrown there');
    expect(() => fstatSync(descriptor)).toThrow('EBADF');
    expect(place.look(at('nothing'))).toBe(undefined);
    expect(place.look(at('a.log'))?.size).toBe(7n);
  });
});

/** What a search finds, and what it says on the way. */
function search(patterns: string[], isRead: string[] = []) {
  const looks: string[] = [];
  const failures: string[] = [];
  const asked: Search = {
    lookFor: (directory, component) => looks.push(`${directory} ${component}`),
    isRead: (path) => isRead.includes(path),
    failed: (directory) => failures.push(directory),
  };
  const found = findPaths(
    patterns.map((pattern) => (pattern === '' ? [] : splitPattern(pattern))),
    asked,
  );
  return { found: Object.fromEntries(found), looks, failures, asked };
}

describe('what a search finds', () => {
  test('every path that fits, once, with all of its patterns', () => {
    const paths = [write('a', '1.log'), write('a', '2.log'), write('b', '1.log'), write('b', '.hidden.log')];
    const { found, failures } = search([at('*', '*.log'), at('a', '1.log'), '', at('a', '?.log')]);
    expect(found).toEqual({ [paths[0]!]: [0, 1, 3], [paths[1]!]: [0, 3], [paths[2]!]: [0] });
    expect(failures).toEqual([]);
  });

  test('a path without a wildcard, though nothing is there yet; and it is looked for where it would come', () => {
    mkdirSync(at('a'));
    const { found, looks } = search([at('a', '1.log'), at('missing', 'deeper', '2.log'), at('*', 'x')]);
    expect(found).toEqual({ [at('a', '1.log')]: [0], [at('a', 'x')]: [2] });
    expect(looks).toContain(`${home} a`);
    expect(looks).toContain(`${home} missing`);
    expect(looks).toContain(`${home} *`);
    expect(looks.some((look) => look.includes('deeper'))).toBe(false);
  });

  test('directories too, as names; a name in the root directory is watched there, and nothing above it', () => {
    mkdirSync(at('sub'));
    expect(search([at('*')]).found).toEqual({ [at('sub')]: [0] });
    expect(search(['/no such file of ours'])).toMatchObject({ found: { '/no such file of ours': [0] }, looks: [] });
    expect(search(['/no such * of ours/x'])).toMatchObject({ found: {}, looks: ['/ no such * of ours'], failures: [] });
  });

  test('nothing on a file system that may hang, which is said', () => {
    write('far', 'a.log');
    withFar(at('far'), () => {
      expect(search([at('far', '*.log')])).toMatchObject({ found: {}, failures: [at('far')] });
      expect(isDirectory(at('far'))).toBe(false);
    });
    expect(search([at('far', '*.log')])).toMatchObject({ found: { [at('far', 'a.log')]: [0] }, failures: [] });
  });

  test('and leaves no directory open', () => {
    for (const name of ['b.log', 'a.log']) write(name);
    const before = openDescriptors().size;
    for (let count = 0; count < 5; count++) search([at('*.log')]);
    expect(openDescriptors().size).toBe(before);
  });

  test('of a directory, only what exists or is being read', () => {
    symlinkSync(at('nowhere'), at('dangling.log'));
    expect(search([at('*.log')]).found).toEqual({});
    expect(search([at('*.log')], [at('dangling.log')]).found).toEqual({ [at('dangling.log')]: [0] });
    // A file in the place of a directory leads nowhere.
    write('file');
    const { found, looks } = search([at('file', 'x.log'), at('*', '*.log')]);
    expect(found).toEqual({});
    expect(looks).toContain(`${home} file`);
  });

  test('names in order, no more than are bounded', () => {
    for (const name of ['b.log', 'a.log', 'c']) write(name);
    const { asked, failures } = search([]);
    expect(namesIn(home, '*.log', asked)).toEqual(['a.log', 'b.log']);
    expect(namesIn(at('missing'), '*', asked)).toEqual([]);
    expect(failures).toEqual([at('missing')]);
    expect(isDirectory(home)).toBe(true);
    expect(isDirectory(at('c'))).toBe(false);
    expect(isDirectory(at('missing'))).toBe(false);
  });

  test('of a directory of more names than are read, as many as are read', () => {
    mkdirSync(at('many'));
    execFileSync('sh', ['-c', `cd "$0" && seq -f %.0f.log ${directoryEntriesMax + 1} | xargs touch`, at('many')]);
    expect(namesIn(at('many'), '*.log', search([]).asked)).toHaveLength(directoryEntriesMax);
  });
});

test('a directory that may not be read is named', () => {
  mkdirSync(at('open', 'shut'), { recursive: true });
  chmodSync(home, 0o755);
  chmodSync(at('open', 'shut'), 0o700);
  const barredTo = (pattern: string): string | undefined => asNobody(() => barred(pattern));
  expect(barredTo(at('open', '*.log'))).toBe(undefined);
  expect(barredTo(at('open', 'shut', 'a.log'))).toBe(at('open', 'shut'));
  expect(barredTo(at('open', 'shut', '*', 'a.log'))).toBe(at('open', 'shut'));
  expect(barredTo(at('open', 'missing', 'deeper', 'a.log'))).toBe(undefined);
  expect(barredTo(at('open', '*', 'a.log'))).toBe(undefined);
  // What is not there would be made in a directory that may be passed but not read.
  mkdirSync(at('open', 'passed'));
  chmodSync(at('open', 'passed'), 0o711);
  expect(barredTo(at('open', 'passed', 'missing', 'a.log'))).toBe(at('open', 'passed'));
  write('open', 'file');
  expect(barredTo(at('open', 'file', 'a.log'))).toBe(undefined);
});

test('which file systems may hang is asked anew for each pattern', () => {
  const path = write('near', 'a.log');
  withFar(at('near'), () => {
    expect(refusalOf(() => place.look(path))).toContain('may hang');
    expect(barred(path)).toBe(undefined);
    expect(refusalOf(() => place.look(path))).toBe('none');
  });
});

describe('journals', () => {
  const machine = '0123456789abcdef0123456789abcdef';
  const filesOf = (directories: JournalDirectories) => {
    const failures: string[] = [];
    const files = directories.files((path) => failures.push(path));
    return { files: files.map(({ path, root }) => `${root} ${path.slice(home.length)}`).sort(), failures };
  };

  test('are the files of a named directory, and those of machines and namespaces below it', () => {
    write('one', 'user.journal');
    write('one', 'broken.journal~');
    write('one', 'notes.txt');
    write('one', machine, 'system.journal');
    write('one', `${machine}.web`, 'system.journal');
    for (const name of [
      `${machine}.`,
      `${machine}x`,
      `${machine}xy`,
      machine.slice(1),
      machine.toUpperCase(),
      `g${machine.slice(1)}`,
    ])
      write('one', name, 'no.journal');
    write('two', machine, 'system@1.journal');
    const { files, failures } = filesOf(new JournalDirectories([at('one'), at('two'), at('missing')]));
    expect(files).toEqual(
      [
        '0 /one/user.journal',
        '0 /one/broken.journal~',
        `0 /one/${machine}/system.journal`,
        `0 /one/${machine}.web/system.journal`,
        `1 /two/${machine}/system@1.journal`,
      ].sort(),
    );
    expect(failures).toEqual([]);
  });

  test('that appear or disappear are noticed, and so is their directory', () => {
    mkdirSync(at('one'));
    const directories = new JournalDirectories([at('one'), at('later')]);
    expect(directories.changed()).toBe(false);
    filesOf(directories);
    expect(directories.changed()).toBe(false);
    const path = write('one', 'a.journal');
    expect(directories.changed()).toBe(true);
    expect(filesOf(directories).files).toEqual(['0 /one/a.journal']);
    expect(directories.changed()).toBe(false);
    renameSync(path, at('b.journal'));
    expect(directories.changed()).toBe(true);
    filesOf(directories);
    write('later', 'c.journal');
    expect(directories.changed()).toBe(true);
    expect(filesOf(directories).files).toEqual(['1 /later/c.journal']);
  });

  test('on a file system that may hang are not looked for', () => {
    write('one', 'a.journal');
    withFar(at('one'), () => {
      expect(filesOf(new JournalDirectories([at('one')]))).toEqual({ files: [], failures: [] });
    });
  });

  test('of a directory of very many, as many as are read', () => {
    mkdirSync(at('many'));
    const last = journalNamesMax + 1;
    execFileSync('sh', ['-c', `cd "$0" && seq -f %.0f.journal ${last} | xargs touch`, at('many')]);
    expect(filesOf(new JournalDirectories([at('many')])).files).toHaveLength(journalNamesMax);
  });

  test('of a directory that is none are reported', () => {
    write('file');
    expect(filesOf(new JournalDirectories([at('file')]))).toEqual({ files: [], failures: [at('file')] });
  });

  test('are those of the system where none is named', () => {
    expect(new JournalDirectories([]).roots).toEqual(['/run/log/journal', '/var/log/journal']);
    expect(new JournalDirectories(['/x']).roots).toEqual(['/x']);
  });
});

test('what is followed is files and journal: each is started, stopped, paused and asked', () => {
  const told: string[] = [];
  const part = (name: string) =>
    Object.fromEntries([
      ...['start', 'stop', 'drain', 'pause', 'unpause', 'wake'].map((verb) => [
        verb,
        () => told.push(`${name} ${verb}`),
      ]),
      ...['status', 'problems', 'positions', 'cursors', 'histories'].map((what) => [what, () => [`${name} ${what}`]]),
    ]);
  const files = part('files') as unknown as FileSource;
  const journal = part('journal') as unknown as JournalSource;
  const verbs = ['start', 'stop', 'drain', 'pause', 'unpause', 'wake'] as const;
  for (const logs of [new Logs(files, journal), new Logs(files, undefined)]) for (const verb of verbs) logs[verb]();
  expect(told).toEqual([
    ...verbs.flatMap((verb) => [`files ${verb}`, `journal ${verb}`]),
    ...verbs.map((verb) => `files ${verb}`),
  ]);
  const answers = (logs: Logs) => [logs.status(), logs.problems(), logs.positions(), logs.cursors(), logs.histories()];
  expect(answers(new Logs(files, journal))).toEqual([
    ['files status', 'journal status'],
    ['files problems', 'journal problems'],
    ['files positions'],
    ['journal cursors'],
    ['files histories', 'journal histories'],
  ]);
  expect(answers(new Logs(files, undefined))).toEqual([
    ['files status'],
    ['files problems'],
    ['files positions'],
    [],
    ['files histories'],
  ]);
});
