/**
 * What is left to code that an attacker got to run inside the core: capabilities, files, system
 * calls. The attempts are made in the real daemon, whose bundle has a hook in front.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../scripts/lab/daemon.ts';
import { codeRanges, filled } from '../src/confined.ts';
import { rowsFor, runFilter } from '../src/confinement/filter.ts';
import { allowed, type CallName, callNumbers, deadly } from '../src/confinement/system-calls.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { attempts, fileAttempts, hookedProgram, underFilter } from '../test/support/raw-calls.ts';
import { type Call, outsideOf, within } from '../test/support/seccomp.ts';
import { until } from '../test/support/until.ts';
import { claim, given, twin } from './claim.ts';

const needs = ['linux', 'root', 'namespaces', 'built'] as const;

/** How one attempt ended in a daemon with these lines of configuration. */
type Attempt = (name: string) => Promise<string>;

function attemptWith(confinement: string): Attempt {
  return async (name) => {
    const [directory, logs] = [temporaryDirectory(), temporaryDirectory()];
    const settings = `${confinement}[firewall]\nbackend = "log-only"\n[metrics]\nenabled = false\n[jails.sshd]\nlogpath = "${logs.path}/auth.log"\n`;
    writeFileSync(join(logs.path, 'auth.log'), 'line\n');
    const daemon = await Daemon.start(directory.path, settings, [
      process.execPath,
      hookedProgram(name, directory.path, logs.path),
    ]);
    try {
      const answer = (): string | undefined => daemon.said.find((line) => line.startsWith('hook: '));
      process.kill(daemon.pid, 'SIGUSR2');
      const isOver = (): boolean => !daemon.running || answer() !== undefined;
      await until(isOver, { what: `the end of "${name}"` });
      const said = answer();
      if (said !== undefined) return said.replace('hook: ', '');
      await daemon.closed;
      const code = await daemon.stop();
      if (code === 70 && daemon.said.some((line) => /: system call \d+ at 0x[0-9a-f]+ is not in/.test(line)))
        return 'ended';
      return daemon.said.includes('ended by SIGSYS') ? 'killed' : `status ${code}: ${daemon.said.at(-1)}`;
    } finally {
      await daemon.kill();
      directory.remove();
      logs.remove();
    }
  };
}

const said = ({ number, arguments: given = [] }: Call): string => `call ${number}(${given.join(', ')})`;

/** Calls as the filter of a started core judges them. */
function judge(): { passed: number; refused: number } {
  const code = codeRanges('70000000-70010000 rwxp 00000000 00:00 0 \n');
  let [passed, refused] = [0, 0];
  for (const backend of ['auto', 'xdp'] as const) {
    const rows = rowsFor(backend, false);
    const filter = filled(runFilter(rows, 'enforce', process.arch as 'x64'), code);
    const inside = rows.flatMap((row) => within(row, code));
    const outside: Call[] = [
      ...rows.flatMap((row) => outsideOf(row, rows, code)),
      ...deadly.flatMap((name) => (rows.some((row) => row.call === name) ? [] : [{ number: callNumbers[name][0] }])),
    ];
    for (const [index, verdict] of underFilter(filter, inside).entries()) {
      assert.equal(verdict, 'passed', `${backend}: ${said(inside[index]!)} inside of its row`);
      passed += 1;
    }
    for (const [index, verdict] of underFilter(filter, outside).entries()) {
      assert.equal(verdict, 'refused', `${backend}: ${said(outside[index]!)} outside of its row`);
      refused += 1;
    }
  }
  return { passed, refused };
}

claim(
  ['E-01c', 'WHY-02'],
  given(attemptWith('')),
  async (attempt) => {
    const endings = new Map<string, number>();
    for (const [name, { ending }] of Object.entries(attempts)) {
      const end = await attempt(name);
      assert.equal(end, ending, `${name}: how it ends`);
      endings.set(ending, (endings.get(ending) ?? 0) + 1);
    }
    const { passed, refused } = judge();
    const rows = new Set(allowed.map(({ call }): CallName => call)).size;
    return (
      `${[...endings].map(([ending, count]) => `${count} attempts from inside the core: ${ending}`).join('; ')}; ` +
      `${rows} calls in the table: ${passed} calls inside of a row pass, ${refused} outside of one end the process`
    );
  },
  [
    twin('a daemon without the filter', given(attemptWith('[confinement]\nseccomp = "off"\n')), /how it ends/),
    twin('a daemon that only writes down', given(attemptWith('[confinement]\nseccomp = "log"\n')), /how it ends/),
    twin(
      'a daemon without Landlock',
      given(async (name) =>
        attempts[name]?.ending === 'EACCES'
          ? attemptWith('[confinement]\nlandlock = false\n')(name)
          : attempts[name]!.ending,
      ),
      /the passwords: how it ends/,
    ),
  ],
  { needs: [...needs], timeoutMs: 900_000 },
);

/** Fields of /proc of each thread of a started daemon. */
type Threads = () => Promise<Map<string, string>[]>;

const threadsOf: Threads = async () => {
  const directory = temporaryDirectory();
  const settings = `[firewall]\nbackend = "log-only"\n[metrics]\nenabled = false\n[jails.sshd]\nlogpath = "${directory.path}/auth.log"\n`;
  const daemon = await Daemon.start(directory.path, settings);
  try {
    const tasks = `/proc/${daemon.pid}/task`;
    return readdirSync(tasks).map((thread) => {
      const lines = readFileSync(`${tasks}/${thread}/status`, 'latin1').split('\n');
      return new Map(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
    });
  } finally {
    await daemon.stop();
    directory.remove();
  }
};

const changed =
  (field: string, value: string): Threads =>
  async () => {
    const threads = await threadsOf();
    threads.at(-1)!.set(field, value);
    return threads;
  };

claim(
  'X-privileges',
  given(threadsOf),
  async (threads) => {
    const all = await threads();
    assert.ok(all.length > 3, 'threads');
    // CAP_DAC_READ_SEARCH and CAP_NET_ADMIN.
    const most = 0x1004n;
    for (const status of all) {
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
        assert.equal(BigInt(`0x${status.get(set)}`) & ~most, 0n, `${set} of a thread holds more`);
      }
      assert.equal(status.get('NoNewPrivs'), '1', 'a thread may gain privileges');
      assert.equal(status.get('Seccomp'), '2', 'a thread without a filter');
      assert.equal(status.get('Groups')?.trim(), '0', 'groups of a thread');
    }
    return `${all.length} threads: CAP_NET_ADMIN and CAP_DAC_READ_SEARCH in every set at most, no_new_privs, a filter, the group of the socket only`;
  },
  [
    twin('a thread that kept its capabilities', given(changed('CapEff', '000001ffffffffff')), /CapEff of a thread/),
    twin('a thread that may give files away', given(changed('CapPrm', '0000000000001005')), /CapPrm of a thread/),
    twin('a bounding set that is whole', given(changed('CapBnd', '000001ffffffffff')), /CapBnd of a thread/),
    twin('a thread that may gain privileges', given(changed('NoNewPrivs', '0')), /may gain privileges/),
    twin('a thread that was started without the filter', given(changed('Seccomp', '0')), /without a filter/),
    twin('a thread with further groups', given(changed('Groups', '0 4 42')), /groups of a thread/),
  ],
  { needs: [...needs], timeoutMs: 600_000 },
);

const withoutFilter = '[confinement]\nseccomp = "off"\n';

claim(
  'X-files',
  given(attemptWith(withoutFilter)),
  async (attempt) => {
    for (const [name, { ending }] of Object.entries(fileAttempts)) {
      assert.equal(await attempt(name), ending, `${name}: how it ends`);
    }
    const names = Object.keys(fileAttempts);
    return `without the filter, Landlock alone: ${names.join(', ')}: as the table of permissions says`;
  },
  [twin('a daemon without Landlock', given(attemptWith(`${withoutFilter}landlock = false\n`)), /a shell: how it ends/)],
  { needs: [...needs, 'landlock'], timeoutMs: 600_000 },
);
