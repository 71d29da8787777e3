import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { configBytesMax, configPiecesMax, tomlStatementsMax } from '../../src/config/limits.ts';
import { loadConfig } from '../../src/config/load.ts';
import { piecesDirectory, readPieces } from '../../src/config/pieces.ts';
import { ConfigError } from '../../src/config/problem.ts';

const jail = '[jails.sshd]\nlogpath = "/var/log/auth.log"\n';
let home: string;
let path: string;
let directory: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'fail2zig-pieces-'));
  path = join(home, 'fail2zig.toml');
  directory = join(home, 'fail2zig.d');
  writeFileSync(path, `control.group = "root"\n${jail}`, { mode: 0o644 });
});
afterEach(() => rmSync(home, { recursive: true }));

function put(name: string, text: string | Uint8Array): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  writeFileSync(join(directory, name), text, { mode: 0o644 });
}

/** The lines with which the files are refused, or the warnings if they are accepted. */
function said(): string[] {
  try {
    return loadConfig(path).warnings.map((line) => line.replaceAll(home, 'HOME'));
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(home, 'HOME').split('\n');
    throw error;
  }
}

describe('the directory', () => {
  test('is beside the file and has its name', () => {
    expect(piecesDirectory('/etc/fail2zig.toml')).toBe('/etc/fail2zig.d');
    expect(piecesDirectory('/srv/own')).toBe('/srv/own.d');
  });

  test('need not be there', () => {
    expect(readPieces(path)).toMatchObject({ pieces: [{ path }], warnings: [] });
    expect(said()).toEqual([]);
  });

  test('is refused if it is not a directory', () => {
    writeFileSync(directory, '');
    expect(said()).toEqual([
      'HOME/fail2zig.d: is not a directory (it holds the files that continue the configuration)',
    ]);
    rmSync(directory);
    symlinkSync('nowhere', directory);
    expect(said()).toEqual(['HOME/fail2zig.d: cannot be read: no such file']);
  });

  test('may be a link to one that nobody else may write', () => {
    put('a.toml', 'log.level = "debug"\n');
    symlinkSync(directory, join(home, 'other.d'));
    writeFileSync(join(home, 'other.toml'), '', { mode: 0o644 });
    expect(loadConfig(join(home, 'other.toml')).config.log.level).toBe('debug');
    chmodSync(directory, 0o777);
    expect(() => loadConfig(join(home, 'other.toml'))).toThrow(
      `other.d: may be written by any user, who could then switch the protection off (chmod o-w ${home}/other.d)`,
    );
  });

  test('has a bound', () => {
    mkdirSync(directory, { mode: 0o755 });
    for (let index = 0; index <= configPiecesMax; index++) put(`${index}.toml`, '');
    expect(readPieces(path).pieces.at(-1)).toMatchObject({
      path: directory,
      problems: [{ kind: 'file', reason: `has ${configPiecesMax + 1} files; at most ${configPiecesMax} are allowed` }],
    });
    rmSync(join(directory, '0.toml'));
    expect(readPieces(path).pieces).toHaveLength(configPiecesMax + 1);
    expect(readPieces(path).pieces.every(({ problems }) => problems === undefined)).toBe(true);
  });

  test('is warned of where it belongs to somebody else, and so is a file in it', () => {
    if (process.geteuid?.() !== 0) return expect(process.geteuid?.()).not.toBe(0);
    put('a.toml', '');
    chownSync(directory, 1234, 0);
    chownSync(join(directory, 'a.toml'), 1235, 0);
    expect(said()).toEqual([
      'HOME/fail2zig.d belongs to user 1234, who decides what a daemon run by root does',
      'HOME/fail2zig.d/a.toml belongs to user 1235, who decides what a daemon run by root does',
    ]);
  });

  test('is read by the bytes of the names, and only what ends in .toml', () => {
    for (const name of ['b.toml', 'B.toml', '10.toml', 'é.toml', 'c.toml', '9.toml', 'a.toml', '.c.toml', 'README.md'])
      put(name, '');
    put('off.toml.bak', 'no TOML');
    expect(
      loadConfig(path)
        .files.slice(1)
        .map((file) => file.slice(directory.length + 1)),
    ).toEqual(['10.toml', '9.toml', 'B.toml', 'a.toml', 'b.toml', 'c.toml', 'é.toml']);
    expect(said()).toEqual(['HOME/fail2zig.d/off.toml.bak is not read: its name does not end in .toml']);
  });
});

describe('a piece', () => {
  test('obeys the rules for the file, and all faults are named at once', () => {
    writeFileSync(path, `${jail}colour = 1\n`);
    put('a.toml', Uint8Array.of(0x61, 0x0a, 0xff));
    put('b.toml', '');
    chmodSync(join(directory, 'b.toml'), 0o666);
    put('c.toml', 'log.level = "inof"\n');
    mkdirSync(join(directory, 'd.toml'));
    symlinkSync('/nowhere/at/all', join(directory, 'e.toml'));
    expect(said()).toEqual([
      'HOME/fail2zig.toml:3:1: jails.sshd.colour: unknown key',
      'HOME/fail2zig.d/a.toml:2:1: is not valid UTF-8 here',
      'HOME/fail2zig.d/b.toml: may be written by any user, who could then switch the protection off (chmod o-w HOME/fail2zig.d/b.toml)',
      'HOME/fail2zig.d/c.toml:1:13: log.level: expected one of "error", "warn", "info", "debug", found the string "inof" (did you mean "info"?)',
      'HOME/fail2zig.d/d.toml: is not a regular file',
      expect.stringMatching(/^HOME\/fail2zig\.d\/e\.toml: cannot be opened: no such file/),
    ]);
  });

  test('closes with its own end what it left open', () => {
    put('a.toml', '[log]\nlevel = """debug\n');
    put('b.toml', 'format = "text"\n');
    expect(said()).toEqual([
      expect.stringMatching(/^HOME\/fail2zig\.d\/a\.toml:\d+:\d+: log\.level: /),
      expect.stringMatching(/^HOME\/fail2zig\.d\/b\.toml:1:1: format: unknown key/),
    ]);
  });

  test('shares the bounds of the file', () => {
    put('a.toml', `# ${'x'.repeat(configBytesMax / 2)}\n`);
    put('b.toml', `# ${'x'.repeat(configBytesMax / 2)}\n`);
    put('c.toml', '');
    expect(said()).toEqual(['HOME/fail2zig.d/b.toml: makes the configuration larger than 1MB']);
    const { pieces } = readPieces(path);
    // What is behind it is not read at all.
    expect(pieces.map((piece) => piece.path.slice(home.length))).toEqual([
      '/fail2zig.toml',
      '/fail2zig.d/a.toml',
      '/fail2zig.d/b.toml',
    ]);
    expect(pieces[2]).toMatchObject({ text: '', problems: [{ kind: 'file', line: 0, column: 0, key: '' }] });
    const others = pieces[0]!.text.length + pieces[1]!.text.length;
    put('b.toml', ' '.repeat(configBytesMax - others));
    expect(readPieces(path).pieces).toHaveLength(4);
    expect(readPieces(path).pieces[2]).not.toHaveProperty('problems');
    // Bytes count, not characters.
    put('b.toml', `#${'é'.repeat(Math.ceil((configBytesMax - others) / 2))}`);
    expect(readPieces(path).pieces[2]).toHaveProperty('problems');
  });

  test('shares the bound of keys', () => {
    put('a.toml', `[jails.sshd]\n${'x.y = 1\n'.repeat(tomlStatementsMax / 2)}`);
    put('b.toml', `[jails.sshd]\n${'x.y = 1\n'.repeat(tomlStatementsMax / 2)}`);
    expect(said()).toContainEqual(
      expect.stringMatching(/^HOME\/fail2zig\.d\/b\.toml:\d+:1: the file defines more than 20000 keys and tables$/),
    );
  });

  test('continues the list of filters, and problems name its own lines', () => {
    const filter = (name: string, pattern: string): string => `[[filter]]\nname = "${name}"\npattern = '${pattern}'\n`;
    writeFileSync(path, jail + filter('one', 'one {ip}'));
    put('a.toml', filter('two', 'two {ip}') + filter('three', 'three {ipp}'));
    expect(said()).toEqual([expect.stringMatching(/^HOME\/fail2zig\.d\/a\.toml:6:18: filter\[1\]\.pattern: /)]);
    put('a.toml', filter('two', 'two {ip}') + filter('one', 'three {ip}'));
    expect(said()).toContainEqual(
      expect.stringMatching(/^HOME\/fail2zig\.d\/a\.toml:5:8: filter\[1\]\.name: "one" names an earlier filter too/),
    );
    put('a.toml', filter('two', 'two {ip}'));
    expect(loadConfig(path).config.filters.map(({ name }) => name)).toEqual(['one', 'two']);
  });

  test('does not turn a name of the language into a table', () => {
    put('a.toml', '[jails.sshd.__proto__]\nx = 1\n[constructor]\n');
    put('b.toml', 'toString = 1\n');
    expect(said()).toEqual([
      expect.stringContaining('a.toml:1:2: jails.sshd.__proto__: unknown key'),
      expect.stringContaining('a.toml:3:2: constructor: unknown key'),
      expect.stringContaining('b.toml:1:1: toString: unknown key'),
    ]);
  });
});
