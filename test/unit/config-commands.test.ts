/**
 * The command line as an operator meets it: real processes, their output and exit status.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { countFiles } from '../../src/commands/check.ts';
import { isAbsent } from '../../src/commands/remove.ts';
import { coreEnvironment, coreFile } from '../../src/commands/start.ts';

const folder = mkdtempSync(join(tmpdir(), 'fail2zig-commands-'));
afterAll(() => rmSync(folder, { recursive: true }));

const main = join(import.meta.dirname, '../../src/main.ts');

function fail2zig(...args: string[]): { status: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
  return { status, out: stdout.replaceAll(folder, 'FOLDER'), error: stderr.replaceAll(folder, 'FOLDER') };
}

function config(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, 0o644);
  return path;
}

writeFileSync(join(folder, 'one.log'), '');
writeFileSync(join(folder, 'two.log'), '');
const good = config(
  'good.toml',
  `control.group = "root"\n[jails.sshd]\nlogpath = ["${folder}/*.log", "${folder}/none"]\nport = "ssh"\nbantime = -1\n`,
);
const bad = config('bad.toml', '[log]\nlevel = "inof"\nx = 1\n');

describe('check', () => {
  test('says OK and what is in it', () => {
    expect(fail2zig('check', '--config', good)).toEqual({
      status: 0,
      out: [
        'OK FOLDER/good.toml',
        'memory ceiling 64MB, evict_oldest; firewall auto',
        'jail sshd: filter sshd:normal, 5 failures in 10m ban for ever, port 22',
        '  FOLDER/*.log: 2 files',
        '  FOLDER/none: no such file yet; it is read once it appears',
        '',
      ].join('\n'),
      error: '',
    });
  });

  test('says what lists hold, and what is true of their jail', () => {
    const drop = config('drop.txt', '192.0.2.0/24\n2001:db8::7\n');
    const path = config('list.toml', `control.group = "root"\n[[list]]\nfile = "${drop}"\n`);
    expect(fail2zig('check', '--config', path).out.split('\n').slice(2)).toEqual([
      'jail lists: reads no log, port all',
      'list FOLDER/drop.txt: 2 addresses and prefixes, banned in lists',
      '',
    ]);
  });

  test('says everything that is wrong', () => {
    const level = 'expected one of "error", "warn", "info", "debug", found the string "inof" (did you mean "info"?)';
    expect(fail2zig('check', `--config=${bad}`)).toEqual({
      status: 78,
      out: `FOLDER/bad.toml:2:9: log.level: ${level}\nFOLDER/bad.toml:3:1: log.x: unknown key\n2 mistakes\n`,
      error: '',
    });
  });

  test('says the same as JSON', () => {
    const { status, out } = fail2zig('check', '--json', '--config', bad);
    expect(status).toBe(78);
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      problems: [
        { kind: 'type', line: 2, column: 9, key: 'log.level', hint: 'did you mean "info"?' },
        { kind: 'unknown-key', line: 3, column: 1, key: 'log.x', reason: 'unknown key' },
      ],
      omitted: 0,
    });
    const fine = fail2zig('check', '--json', '--config', good);
    expect(fine.status).toBe(0);
    expect(JSON.parse(fine.out)).toEqual({
      ok: true,
      path: 'FOLDER/good.toml',
      files: ['FOLDER/good.toml'],
      filters: [],
      jails: [
        {
          name: 'sshd',
          filter: 'sshd',
          mode: 'normal',
          logpath: [
            { path: 'FOLDER/*.log', files: 2 },
            { path: 'FOLDER/none', files: 0 },
          ],
        },
      ],
      warnings: [],
    });
  });

  test('says where the file is missing', () => {
    expect(fail2zig('check', '--config', join(folder, 'nothing'))).toMatchObject({
      status: 78,
      out: 'FOLDER/nothing: cannot be opened: no such file (write one, or name it with --config FILE)\n1 mistake\n',
    });
  });

  test('counts the files that a pattern names, across directories', () => {
    for (const name of ['a1', 'a2', 'b1']) {
      mkdirSync(join(folder, 'logs', name), { recursive: true });
      writeFileSync(join(folder, 'logs', name, 'error.log'), '');
    }
    mkdirSync(join(folder, 'logs', 'a1', 'x.log'));
    expect(countFiles(join(folder, 'logs/a?/*.log'))).toBe(2);
    expect(countFiles(join(folder, 'logs/*/error.log'))).toBe(3);
    expect(countFiles(join(folder, 'none/*/error.log'))).toBe(0);
  });
});

describe('check asks the core', () => {
  const bundled = (...args: string[]) => {
    const { status, stdout } = spawnSync(process.execPath, [join(main, '../../dist/main.cjs'), ...args], {
      encoding: 'utf8',
    });
    return { status, out: stdout.replaceAll(folder, 'FOLDER') };
  };
  const jail = `[jails.sshd]\nlogpath = "${folder}/one.log"\n`;

  test('whether the ceiling holds the configuration', () => {
    const small = config('small.toml', `memory.ceiling = "40MB"\ncontrol.socket = "${folder}/c.sock"\n${jail}`);
    const { status, out } = bundled('check', '--config', small);
    expect(status).toBe(78);
    expect(out).toMatch(/memory\.ceiling: memory\.ceiling is 40MB; at least \d+MB are needed here/);
    const enough = config('enough.toml', `memory.ceiling = "96MB"\ncontrol.socket = "${folder}/c.sock"\n${jail}`);
    expect(bundled('check', '--config', enough).status).toBe(0);
  });

  test('and says where the directory of the socket is missing', () => {
    const lost = config('lost.toml', `control.socket = "${folder}/no/such/c.sock"\n${jail}`);
    const { status, out } = bundled('check', '--config', lost);
    expect(status).toBe(78);
    expect(out).toContain('control.socket: the directory FOLDER/no/such is missing (mkdir -p FOLDER/no/such)');
  });
});

describe('filters', () => {
  test('lists them, and shows one', () => {
    expect(fail2zig('filters').out).toMatch(/^sshd +\S/m);
    expect(fail2zig('filters', 'sshd').out).toContain('modes: normal, ddos, extra, aggressive (normal by default)\n');
    expect(JSON.parse(fail2zig('filters', 'sshd', '--json').out)).toMatchObject({ name: 'sshd' });
  });

  test('names the nearest for one that there is not', () => {
    expect(fail2zig('filters', 'sshdd')).toEqual({
      status: 1,
      out: '',
      error: 'fail2zig filters: there is no filter "sshdd"; did you mean "sshd"?\n',
    });
  });
});

describe('the command line', () => {
  test.each([
    [['chek'], 'fail2zig: unknown command "chek"; did you mean "check"?'],
    [['\x1b[2J'], 'fail2zig: unknown command "\\x1b[2J"'],
    [['constructor'], 'fail2zig: unknown command "constructor"'],
    [['--confg', 'x'], 'fail2zig: unknown option "--confg"; did you mean "--config"?'],
    [['check', '--jsn'], 'fail2zig check: unknown option "--jsn"; did you mean "--json"?'],
    [['check', 'x'], 'fail2zig check: "x" is too much'],
    [['--config', 'x', 'y'], 'fail2zig: "y" is too much'],
    [['-x'], 'fail2zig: unknown option "-x"'],
    [['--config'], 'fail2zig: --config needs a value'],
  ])('%j is refused', (args, message) => {
    const { status, out, error } = fail2zig(...args);
    expect({ status, out, error: error.split('\n', 1)[0] }).toEqual({ status: 2, out: '', error: message });
  });

  test('a full disk is reported, a reader that stops early is not', () => {
    const full = openSync('/dev/full', 'w');
    const asked = spawnSync(process.execPath, [main, 'filters'], { encoding: 'utf8', stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    expect(asked).toMatchObject({ status: 70, stderr: 'fail2zig: standard output cannot be written (ENOSPC)\n' });
    const piped = spawnSync('sh', ['-c', '{ "$0" "$1" filters sshd; echo $? >&2; } | :', process.execPath, main]);
    expect(piped.stderr.toString()).toBe('0\n');
  });

  test('help and version', () => {
    expect(fail2zig('help')).toEqual(fail2zig('--help'));
    expect(fail2zig('help').out).toContain('fail2zig check');
    expect(fail2zig('check', '--help')).toMatchObject({ status: 0, error: '' });
    expect(fail2zig('--version').out).toMatch(/^fail2zig \d+\.\d+\.\d+\n$/);
  });
});

describe('starting', () => {
  test('with a configuration that cannot be used ends with EX_CONFIG and all its mistakes', () => {
    const { status, out, error } = fail2zig('--config', bad);
    expect({ status, out }).toEqual({ status: 78, out: '' });
    expect(error).toMatch(/^fail2zig: the configuration cannot be used, nothing was changed\nFOLDER\/bad\.toml:2:9: /);
    expect(error.trimEnd().split('\n')).toHaveLength(3);
  });

  test('a world-writable file is such a configuration', () => {
    const open = config('open.toml', '');
    chmodSync(open, 0o666);
    expect(fail2zig('--config', open).status).toBe(78);
  });

  test('the core inherits the variables it needs and no other', () => {
    const environment = coreEnvironment({
      PATH: '/bin',
      TZ: 'Europe/Berlin',
      NOTIFY_SOCKET: '/run/n',
      FAIL2ZIG_NOTIFY_FD: '7',
      NODE_OPTIONS: '--inspect',
      NODE_EXTRA_CA_CERTS: '/x',
      LD_PRELOAD: '/x.so',
      SECRET: 'x',
    });
    expect(environment).toEqual({
      PATH: '/bin',
      TZ: 'Europe/Berlin',
      FAIL2ZIG_NOTIFY_FD: '7',
      UV_THREADPOOL_SIZE: '2',
      MALLOC_ARENA_MAX: '1',
    });
  });

  test('the core is the bundle beside ours, else the source', () => {
    mkdirSync(join(folder, 'tree', 'commands'), { recursive: true });
    expect(coreFile(join(folder, 'tree', 'commands'))).toBeUndefined();
    writeFileSync(join(folder, 'tree', 'daemon.ts'), '');
    expect(coreFile(join(folder, 'tree', 'commands'))).toBe(join(folder, 'tree', 'daemon.ts'));
    writeFileSync(join(folder, 'tree', 'commands', 'core.cjs'), '');
    expect(coreFile(join(folder, 'tree', 'commands'))).toBe(join(folder, 'tree', 'commands', 'core.cjs'));
  });
});

test('replay reads a FILE relative to the working directory, for the jails that follow it', () => {
  const line = (second: number) =>
    `2026-11-21T03:15:0${second}Z host sshd[${second}]: Failed password for root from 192.0.2.7 port 40022 ssh2\n`;
  writeFileSync(join(folder, 'replayed.log'), [1, 2, 3, 4, 5].map(line).join(''));
  const jails = ['sshd', 'dovecot'].map(
    (jail) => `[jails.${jail}]\nlogpath = "${folder}/${jail === 'sshd' ? 'replayed' : jail}.log"\n`,
  );
  const path = config('replay.toml', `control.group = "root"\n${jails.join('')}`);
  const now = String(Date.parse('2026-11-21T03:20:00Z') / 1000);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [main, 'replay', '--config', path, '--now', now, '--json', 'replayed.log'],
    { encoding: 'utf8', cwd: folder },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ lines: 5, decisions: [{ jail: 'sshd', ip: '192.0.2.7', failures: 5 }] });
});

test('remove treats a kernel without the interface as nothing to remove, whichever bundle reports it', () => {
  // Each backend is a bundle of its own, and so is its KernelError.
  const foreign = Object.assign(new Error('read IPv4 table filter: ENOPROTOOPT'), { code: 'ENOPROTOOPT' });
  expect(isAbsent(foreign)).toBe(true);
  expect(isAbsent(new KernelError(constants.errno.ENOPROTOOPT, 'read'))).toBe(true);
  expect(isAbsent(new KernelError(constants.errno.EPERM, 'read'))).toBe(false);
  expect(isAbsent(undefined)).toBe(false);
});
