/**
 * What the launch stage makes, gives up and forbids, in which order, and what it says where the
 * kernel or the configuration forbids less. The kernel's side is replaced; that itself is asked by
 * spec/elevation.kernel.spec.ts.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { launch } from '../../src/commands/start.ts';
import { compileConfig } from '../../src/config/compile.ts';
import { knownFilters } from '../../src/config/known-filters.ts';
import { confine as confineCore } from '../../src/confined.ts';
import { permissionsFor } from '../../src/confinement/files.ts';
import { rights } from '../../src/confinement/landlock.ts';
import { confine } from '../../src/confinement/launch.ts';
import { native } from '../../src/native.ts';
import { temporaryDirectory } from '../support/control.ts';

/** Functions of the addon that the tests replace by ones that do the same and say so. */
const real = Object.fromEntries(
  (['memfd', 'seal', 'datagramTo', 'datagramOpen'] as const).map((name) => [name, native[name]]),
) as Record<string, (...given: unknown[]) => number>;
const { chmodSync, chownSync, mkdirSync, openSync } = fs;
const { setgroups } = process;
const home = { path: '', remove: (): void => {} };
/** What was asked of the kernel, in order. */
let asked: string[];
/** What the kernel answers. */
let answers: { landlock: number; seccomp: number };

const replaced = new Set<string>();
function replace(functions: Record<string, (...given: never[]) => number>): void {
  for (const name of Object.keys(functions)) replaced.add(name);
  Object.assign(native, functions);
}

function answer(text: string, result = 0): number {
  asked.push(text);
  return result;
}

beforeEach(() => {
  Object.assign(home, temporaryDirectory());
  asked = [];
  answers = { landlock: 6, seccomp: 0 };
  replace({
    prctl: (option: number, second: number) => answer(`prctl ${option} ${second}`),
    capset: (low: number, high: number) => answer(`capset ${low} ${high}`),
    seccomp: (flags: number) => answer(`seccomp ${flags}`, answers.seccomp),
    landlockVersion: () => answers.landlock,
    landlockRuleset: () => answer('ruleset', openSync('/dev/null', 'r')),
    landlockRule: () => 0,
    landlockRestrict: () => answer('restrict'),
    endAtRefusedCall: () => answer('endAtRefusedCall'),
  });
  const octal = (mode: unknown): string => Number(mode).toString(8);
  fs.mkdirSync = ((path: string, options: { mode: number }) =>
    void asked.push(`mkdir ${path} ${octal(options.mode)}`)) as never;
  fs.chmodSync = (path, mode) => void asked.push(`chmod ${path} ${octal(mode)}`);
  fs.chownSync = (path, _user, group) => void asked.push(`chown ${path} ${group}`);
  fs.openSync = ((path: string, flags: string, mode?: number) => {
    if (mode === undefined || !path.startsWith('/run/')) return openSync(path, flags, mode);
    asked.push(`open ${path} ${flags} ${octal(mode)}`);
    return openSync('/dev/null', 'r');
  }) as never;
  syncBuiltinESMExports();
  process.setgroups = (groups) => void asked.push(`setgroups ${groups.join(' ')}`);
});
afterEach(() => {
  // Without a replacement the addon's own function is there again.
  for (const name of replaced) Reflect.deleteProperty(native, name);
  Object.assign(fs, { chmodSync, chownSync, mkdirSync, openSync });
  syncBuiltinESMExports();
  process.setgroups = setgroups!;
  home.remove();
});

const configuration = (text: string): string => `
[state]
path = "${join(home.path, 'own', 'state')}"
[control]
enabled = false
group = "fail2zig"
[metrics]
enabled = false
[jails.sshd]
logpath = "/var/log/auth.log"
${text}`;

function configured(text: string) {
  return compileConfig(configuration(text), 'fail2zig.toml', { filters: knownFilters, groupId: () => 997 }).config;
}
const confined = (text = '') => confine(configured(text), undefined);

describe('the launch stage', () => {
  test('makes what the core may not make, for itself and the group alone', () => {
    confined();
    const own = join(home.path, 'own');
    expect(asked.slice(0, 5)).toEqual([
      `mkdir ${own} 700`,
      `chown ${own} 997`,
      `chmod ${own} 750`,
      'mkdir /run/fail2zig 755',
      // Whoever could open it could hold it, and with it every ban.
      'open /run/xtables.lock a 600',
    ]);
  });

  test.each([
    ['nftables', ['mkdir /run/fail2zig 755']],
    ['log-only', []],
  ])('makes no lock that the backend %s does not take', (backend, made) => {
    confined(`[firewall]\nbackend = "${backend}"`);
    expect(asked.filter((each) => / \/run\//.test(each))).toEqual(made);
  });

  test('gives up its rights first, then files, then system calls', () => {
    confined();
    const steps = asked.filter((each) => /^(?:setgroups|prctl 38|capset|ruleset|restrict|seccomp)/.test(each));
    const isRoot = process.getuid?.() === 0;
    const names = ['setgroups', 'prctl', 'capset', 'ruleset', 'restrict', 'seccomp'].slice(isRoot ? 0 : 1);
    expect(steps.map((each) => each.split(' ')[0])).toEqual(names);
    if (isRoot) expect(steps[0]).toBe('setgroups 997');
    // The ambient set is emptied before the capabilities go, and what is kept is raised after it.
    const raised = asked.map((each) => /^prctl 47 (\d)/.exec(each)?.[1]).filter((each) => each !== undefined);
    expect(raised[0]).toBe('4');
    expect(raised.slice(1).every((each) => each === '2')).toBe(true);
    const at = (text: RegExp): number => asked.findIndex((each) => text.test(each));
    expect(at(/^prctl 47 4/)).toBeLessThan(at(/^capset/));
  });

  test.each([
    ['', {}, ['files: Landlock 6', 'system calls: seccomp'], []],
    ['[confinement]\nlandlock = false', {}, ['system calls: seccomp'], ['confinement.landlock is false']],
    ['[confinement]\nseccomp = "off"', {}, ['files: Landlock 6'], ['confinement.seccomp is "off"']],
    ['[confinement]\nseccomp = "log"', {}, ['files: Landlock 6'], ['confinement.seccomp is "log"']],
    ['', { landlock: 0 }, ['system calls: seccomp'], ['this kernel has no Landlock']],
    ['', { landlock: 3 }, ['files: Landlock 3', 'system calls: seccomp'], ['Landlock 3 of this kernel does not']],
    [
      '',
      { seccomp: -constants.errno.EINVAL },
      ['files: Landlock 6'],
      ['this kernel takes no system-call filter (errno 22)'],
    ],
  ] as const)('says what is in force and what is not: %j, %j', (text, kernel, inForce, lacking) => {
    Object.assign(answers, kernel);
    const handed = confined(text);
    const [user, ...others] = handed.confined;
    expect(user).toMatch(/^user \d+ with /);
    expect(others).toEqual(inForce);
    const said = handed.lacking.filter((each) => !each.includes('no directory on its way'));
    expect(said.map((each, index) => each.slice(0, lacking[index]?.length))).toEqual(lacking);
    expect(handed.filters === undefined).toBe(!asked.some((each) => each.startsWith('seccomp')) || answers.seccomp < 0);
  });
});

describe('the core is started', () => {
  const { execve } = process;
  const environment = { ...process.env };
  afterEach(() => {
    process.execve = execve!;
    process.env = environment;
  });

  /** What the launch does between the confinement and its end, in order. */
  function launched(text = ''): { steps: string[]; command: readonly string[]; env: NodeJS.ProcessEnv } {
    const path = join(home.path, 'fail2zig.toml');
    // Only the group that every host has is sure to be there.
    fs.writeFileSync(path, configuration(text).replace('"fail2zig"', '"root"'), { mode: 0o644 });
    for (const [name, call] of Object.entries(real)) {
      replace({
        [name]: (...given: unknown[]) => {
          const result = call(...given);
          return answer(`${name} ${given.join(' ')}${name === 'seal' ? '' : ` = ${result}`}`, result);
        },
      });
    }
    replace({
      closeOnExec: (first: number, last: number) => answer(`closeOnExec ${first} ${last}`),
      keepOnExec: (fd: number) => answer(`keepOnExec ${fd}`),
    });
    let command: readonly string[] = [];
    let env: NodeJS.ProcessEnv = {};
    process.execve = ((_file: string, words: string[], variables: NodeJS.ProcessEnv) => {
      asked.push('execve');
      [command, env] = [words, variables];
    }) as never;
    const { write } = process.stderr;
    let said = '';
    process.stderr.write = ((text: string) => {
      said += text;
      return true;
    }) as never;
    try {
      launch(path);
    } finally {
      process.stderr.write = write;
    }
    expect(asked, said).toContain('execve');
    const at = asked.findLastIndex((each) => each.startsWith('seccomp'));
    return { steps: asked.slice(at + 1), command, env };
  }
  const made = (steps: readonly string[], name: string): number[] =>
    steps.filter((each) => each.startsWith(`${name} `)).map((each) => Number(each.split(' = ')[1]));

  test('with a sealed record, and no descriptor but the standard ones and those that it needs', () => {
    const { steps, command } = launched('[audit]\njournal = false');
    const [record] = made(steps, 'memfd');
    expect(steps).toEqual([
      `memfd fail2zig-config = ${record}`,
      `seal ${record}`,
      `closeOnExec 3 ${0xffff_ffff}`,
      `keepOnExec ${record}`,
      'execve',
    ]);
    // F_SEAL_SEAL, _SHRINK, _GROW and _WRITE.
    expect(native.seals(record!)).toBe(15);
    expect(command.slice(-2)).toEqual(['--config-fd', String(record)]);
    fs.closeSync(record!);
  });

  test('with the sockets of the service manager and of syslog, and a clean environment', () => {
    const socket = join(home.path, 'socket');
    fs.closeSync(native.unixBind(socket));
    process.env = { ...environment, NOTIFY_SOCKET: '@nobody-hears', LD_PRELOAD: '/tmp/x.so', WATCHDOG_USEC: '7' };
    const { steps, env } = launched('[log]\ntarget = "syslog"\nsocket = "/nowhere"');
    const kept = steps.filter((each) => each.startsWith('keepOnExec')).map((each) => Number(each.split(' ')[1]));
    const [record] = made(steps, 'memfd');
    // It is opened before the confinement, which may forbid it.
    const syslog = made(asked, 'datagramOpen');
    expect(syslog).toHaveLength(1);
    expect(kept).toEqual([record, ...syslog]);
    expect([env.LD_PRELOAD, env.NOTIFY_SOCKET, env.WATCHDOG_USEC]).toEqual([undefined, undefined, '7']);
    for (const fd of kept) fs.closeSync(fd);
  });
});

test('what may be written may not be run, and only the runtime may be run', () => {
  const [execute, write] = [0x1, 0x2];
  const permissions = permissionsFor(configured('[firewall]\nbackend = "ipset"'), undefined, () => {});
  const run = permissions.filter(({ may }) => (may & execute) !== 0);
  expect(
    run.every(({ path, may }) => (may & ~rights.run) === 0 && (path === process.execPath || /\/ld-[^/]*$/.test(path))),
  ).toBe(true);
  expect(run.some(({ path }) => path === process.execPath)).toBe(true);
  const written = permissions.filter(({ may }) => (may & write) !== 0).map(({ path }) => path);
  const own = [join(home.path, 'own'), '/run/fail2zig', '/run/xtables.lock', '/dev/null', '/proc/self/fd/2'];
  expect(written.filter((path) => path !== process.env.NODE_V8_COVERAGE)).toEqual(own);
  // execute; and of what is only read: nothing is written, made or removed.
  expect([rights.read, rights.run, rights.write]).toEqual([0xc, 0x5, 0x4006]);
  expect(rights.keep & ~(0xc | 0x4002 | 0x20 | 0x80 | 0x100 | 0x200)).toBe(0);
});

test('a list may be read where it is, whatever it is used for', () => {
  const folders = ['bans', 'ignored'].map((name) => join(home.path, name));
  for (const folder of folders) {
    mkdirSync(folder, { recursive: true });
    fs.writeFileSync(join(folder, 'list.txt'), '192.0.2.1\n');
  }
  const rows = ['ban', 'ignore'].map((use, at) => `[[list]]\nfile = "${folders[at]}/list.txt"\nuse = "${use}"\n`);
  const permissions = permissionsFor(configured(rows.join('')), undefined, () => {});
  const read = permissions.filter(({ may }) => may === rights.read).map(({ path }) => path);
  expect(read).toEqual(expect.arrayContaining(folders));
});

describe('the started core', () => {
  test('ends at a refused call, and goes on only if every thread is confined', async () => {
    const handed = { confined: [], lacking: [], capabilities: 'f'.repeat(16) };
    await expect(confineCore(handed, true)).rejects.toThrow(
      /^not confined: (?:NoNewPrivs|CapPrm) of thread \d+ is not /,
    );
    expect(asked).toEqual(['endAtRefusedCall']);
  });
});
