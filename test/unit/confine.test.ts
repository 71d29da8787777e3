/**
 * What the launch stage makes, gives up and forbids, in which order, and what it says where the
 * kernel or the configuration forbids less. The kernel's side is replaced: spec/elevation.kernel.spec.ts
 * asks the kernel itself.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileConfig } from '../../src/config/compile.ts';
import { knownFilters } from '../../src/config/known-filters.ts';
import { confine as confineCore } from '../../src/confined.ts';
import { confine } from '../../src/confinement/launch.ts';
import { native } from '../../src/native.ts';
import { temporaryDirectory } from '../support/control.ts';

const real = { ...native };
const { chmodSync, chownSync, mkdirSync, openSync } = fs;
const { setgroups } = process;
const home = { path: '', remove: (): void => {} };
/** What was asked of the kernel, in order. */
let asked: string[];
/** What the kernel answers. */
let answers: { landlock: number; seccomp: number };

beforeEach(() => {
  Object.assign(home, temporaryDirectory());
  asked = [];
  answers = { landlock: 6, seccomp: 0 };
  const answer = (text: string, result = 0): number => {
    asked.push(text);
    return result;
  };
  Object.assign(native, {
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
  Object.assign(native, real);
  Object.assign(fs, { chmodSync, chownSync, mkdirSync, openSync });
  syncBuiltinESMExports();
  process.setgroups = setgroups!;
  home.remove();
});

function configured(text: string) {
  const whole = `
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
  return compileConfig(whole, 'fail2zig.toml', { filters: knownFilters, groupId: () => 997 }).config;
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

describe('the started core', () => {
  test('ends at a refused call, and goes on only if every thread is confined', async () => {
    const handed = { confined: [], lacking: [], capabilities: 'f'.repeat(16) };
    await expect(confineCore(handed, true)).rejects.toThrow(
      /^not confined: (?:NoNewPrivs|CapPrm) of thread \d+ is not /,
    );
    expect(asked).toEqual(['endAtRefusedCall']);
  });
});
