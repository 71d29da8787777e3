import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  type Stats,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { compileConfig } from '../../src/config/compile.ts';
import { ownerWarnings, readConfigFile, reasonOf } from '../../src/config/file.ts';
import { findGroup } from '../../src/config/group.ts';
import { knownFilters } from '../../src/config/known-filters.ts';
import { configBytesMax, groupFileBytesMax } from '../../src/config/limits.ts';
import { ConfigError } from '../../src/config/problem.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fail2zig-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(content: string | Uint8Array, mode = 0o644): string {
  const path = join(folder, `config-${files++}.toml`);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** The one message with which `path` is refused, without the path itself. */
function refusal(path: string): string {
  try {
    readConfigFile(path);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(path, 'FILE').replaceAll(folder, 'FOLDER');
    throw error;
  }
  return 'accepted';
}

describe('the file', () => {
  test('is read as it is', () => {
    expect(readConfigFile(file('# ü\n[log]\n'))).toEqual({ text: '# ü\n[log]\n', warnings: [] });
  });

  test('loses its byte order mark', () => {
    expect(readConfigFile(file('\ufeff[log]\n')).text).toBe('[log]\n');
  });

  test('is refused where any user may write it', () => {
    expect(refusal(file('', 0o646))).toBe(
      'FILE: may be written by any user, who could then switch the protection off (chmod o-w FILE)',
    );
    expect(refusal(file('', 0o664))).toBe('accepted');
  });

  test('is refused below a directory that any user may write, near or far, also through a link', () => {
    const open = join(folder, 'open');
    mkdirSync(join(open, 'inner'), { recursive: true });
    chmodSync(open, 0o777);
    const path = join(open, 'inner', 'config.toml');
    writeFileSync(path, '');
    const reason = 'FILE: is below FOLDER/open, where any user may write and so replace the file';
    expect(refusal(path)).toBe(`${reason} (chmod o-w FOLDER/open)`);
    const link = join(folder, 'link.toml');
    symlinkSync(path, link);
    expect(refusal(link)).toBe(`${reason} (chmod o-w FOLDER/open)`);
    const linkInside = join(open, 'link.toml');
    symlinkSync(file(''), linkInside);
    expect(refusal(linkInside)).toBe(`${reason} (chmod o-w FOLDER/open)`);
    chmodSync(open, 0o1777);
    expect(refusal(path)).toBe('accepted');
  });

  test('is refused if it is not a regular file', () => {
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    expect(refusal(fifo)).toBe('FILE: is not a regular file');
    expect(refusal(folder)).toBe('FILE: is not a regular file');
    expect(refusal('/dev/null')).toBe('FILE: is not a regular file');
    expect(refusal(join(folder, 'nothing'))).toBe(
      'FILE: cannot be opened: no such file (write one, or name it with --config FILE)',
    );
    expect(refusal(join(file(''), 'x'))).toBe('FILE: cannot be opened: a part of the path is not a directory');
  });

  test('is refused when it is too large', () => {
    const path = file('');
    truncateSync(path, configBytesMax + 1);
    expect(refusal(path)).toBe('FILE: is larger than 1MB');
    writeFileSync(path, ' '.repeat(configBytesMax));
    expect(readConfigFile(path).text).toHaveLength(configBytesMax);
  });

  test('is closed, whether it was read or refused, and a problem of it is a problem of a file', () => {
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    readConfigFile(file('x = 1'));
    expect(open()).toBe(before);
    expect(refusal(folder)).not.toBe('accepted');
    expect(open()).toBe(before);
    try {
      readConfigFile(folder);
    } catch (error) {
      expect((error as ConfigError).problems).toMatchObject([{ kind: 'file', line: 0, column: 0, key: '' }]);
      expect((error as ConfigError).name).toBe('ConfigError');
    }
    try {
      readConfigFile(file('a\0'));
    } catch (error) {
      expect((error as ConfigError).problems).toMatchObject([{ kind: 'syntax', line: 1, column: 2, key: '' }]);
    }
    expect.assertions(6);
  });

  test('that fails while it is read is refused with the reason', () => {
    // Its beginning is never mapped.
    expect(() => readConfigFile('/proc/self/mem')).toThrow(
      new ConfigError('/proc/self/mem', [
        { kind: 'file', line: 0, column: 0, key: '', reason: 'cannot be read: EIO', hint: undefined },
      ]),
    );
    expect(reasonOf({ code: 'EIO' })).toBe('EIO');
    expect(reasonOf({ code: 'EACCES' })).toBe('permission denied');
    expect(reasonOf(new Error('a\nb'))).toBe('Error: a\\nb');
  });

  test.each<[string, number[], string]>([
    ['a NUL byte', [0x61, 0x0a, 0x62, 0x00], 'FILE:2:2: holds a NUL byte here'],
    ['a lone continuation', [0x80], 'FILE:1:1: is not valid UTF-8 here'],
    ['an overlong form', [0x61, 0xc0, 0xaf], 'FILE:1:2: is not valid UTF-8 here'],
    ['a surrogate', [0x0a, 0x0a, 0xed, 0xa0, 0x80], 'FILE:3:1: is not valid UTF-8 here'],
    ['a cut character', [0xc3, 0xa9, 0xe2, 0x82], 'FILE:1:2: is not valid UTF-8 here'],
    ['a byte after the first of three bytes', [0xe0, 0xa0, 0x80, 0xff], 'FILE:1:2: is not valid UTF-8 here'],
    ['a NUL byte after wide characters', [0xe0, 0xa0, 0x80, 0xc3, 0xa9, 0x00], 'FILE:1:3: holds a NUL byte here'],
    [
      'a byte after wide characters',
      [0xf0, 0x9f, 0x98, 0x80, 0xe2, 0x82, 0xac, 0xff],
      'FILE:1:3: is not valid UTF-8 here',
    ],
  ])('is refused for %s, with its place', (_, bytes, message) => {
    expect(refusal(file(Uint8Array.from(bytes)))).toBe(message);
  });

  test('that somebody else owns is read with a warning', () => {
    if (process.geteuid?.() !== 0) return expect(process.geteuid?.()).not.toBe(0);
    const path = file('', 0o664);
    chownSync(path, 1234, 4321);
    expect(readConfigFile(path).warnings).toEqual([
      `${path} belongs to user 1234, who decides what a daemon run by root does`,
      `${path} may be written by group 4321, whose members decide what a daemon run by root does`,
    ]);
  });

  test('is warned of where others decide: its owner, and its group where that may write', () => {
    const warned = (uid: number, gid: number, mode: number): string[] =>
      ownerWarnings({ uid, gid, mode } as Stats, 'F').map((text) => text.split(', ', 1)[0]!);
    const user = vi.spyOn(process, 'geteuid').mockReturnValue(1_000);
    try {
      expect(warned(0, 0, 0o644)).toEqual([]);
      expect(warned(1_000, 1_000, 0o644)).toEqual([]);
      expect(warned(1_001, 0, 0o664)).toEqual(['F belongs to user 1001']);
      expect(warned(0, 1_000, 0o664)).toEqual(['F may be written by group 1000']);
      expect(warned(0, 1_000, 0o644)).toEqual([]);
    } finally {
      user.mockRestore();
    }
  });

  test('a path with control bytes is shown harmlessly', () => {
    expect(() => readConfigFile('/nowhere/\x1b[2J')).toThrow('/nowhere/\\x1b[2J: cannot be opened: no such file');
  });
});

describe('groups', () => {
  test.each([
    ['fail2zig', 990],
    ['root', 0],
    ['short', undefined],
    ['text', undefined],
    ['huge', undefined],
    ['hex', undefined],
    ['power', undefined],
    ['largest', 4_294_967_294],
    ['none', undefined],
    ['', undefined],
  ])('%s is %s', (name, id) => {
    const path = file(
      'root:x:0:\nshort:x\ntext:x:12a:\nhuge:x:4294967295:\nhex:x:0x10:\npower:x:1e3:\nlargest:x:4294967294:\n\nfail2zig:x:990:a,b\nfail2zig:x:991:\n',
    );
    expect(findGroup(name, path)).toBe(id);
  });

  test('are looked for in a file as long as any directory service writes, and in no longer one', () => {
    const path = file('root:x:0:\n');
    truncateSync(path, groupFileBytesMax);
    expect(findGroup('root', path)).toBe(0);
    truncateSync(path, groupFileBytesMax + 1);
    expect(findGroup('root', path)).toBe(undefined);
  });

  test('without a file there are none', () => {
    expect(findGroup('root', join(folder, 'no-group'))).toBeUndefined();
  });
});

describe('the example in the repository', () => {
  const text = readFileSync(join(import.meta.dirname, '../../config/fail2zig.toml'), 'utf8');
  const surroundings = { filters: knownFilters, groupId: () => 990 };

  test('can be used as it is', () => {
    const { config, warnings } = compileConfig(text, 'example', surroundings);
    expect(warnings).toEqual([]);
    expect(config.jails.map(({ name }) => name)).toEqual(['sshd']);
  });

  test('shows the defaults: with every commented key in force, only what it says differs is different', () => {
    const full = text
      .replaceAll(/^# ([a-z_0-9]+ = |\[)/gm, '$1')
      .replaceAll(/^(ignoreip|directories|read|source|journal_match) = .*$/gm, '')
      .split('[jails.nginx', 1)[0];
    expect(full).toContain('\nceiling = "64MB"\n');
    expect(compileConfig(full, 'example', surroundings)).toEqual(compileConfig(text, 'example', surroundings));
  });
});
