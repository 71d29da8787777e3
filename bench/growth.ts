/**
 * The memory that remembered sources cost: the daemon and fail2ban's server, as Debian packages it,
 * follow the same log, with ever more sources, side by side (claim MM-29). Each source fails less
 * often than a ban needs, within findtime, so both must remember all of them; neither may start a
 * program. After each step both have read every line, and their resident sizes are recorded.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Daemon } from '../scripts/lab/daemon.ts';
import { fail2banConfig, fail2banLibrary, fail2banMissing, fail2banProgram } from '../scripts/lab/fail2ban.ts';
import type { Benchmark } from './benchmark.ts';
import { maxretry, sourceAddress } from './workload.ts';

const failuresPerSource = 2;
/** Reading a step takes seconds; only a hanging program takes this long, ms. */
const readMsMax = 300_000;
const mebibyte = 2 ** 20;

/** Polls until `done`; throws if that takes too long. */
async function until(what: string, done: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + readMsMax;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${readMsMax / 1000} s`);
    await pause(200);
  }
}

/** fail2ban's server in the foreground, with the same jail and an action that does nothing. */
class Fail2ban {
  readonly #child: ChildProcess;
  readonly #home: string;

  private constructor(child: ChildProcess, home: string) {
    this.#child = child;
    this.#home = home;
  }

  static async start(directory: string, log: string): Promise<Fail2ban> {
    const home = join(directory, 'fail2ban');
    mkdirSync(join(home, 'action.d'), { recursive: true });
    cpSync(join(fail2banConfig, 'filter.d'), join(home, 'filter.d'), { recursive: true });
    writeFileSync(
      join(home, 'fail2ban.conf'),
      `[DEFAULT]
loglevel = ERROR
logtarget = ${home}/log
syslogsocket = auto
socket = ${home}/socket
pidfile = ${home}/pid
dbfile = ${home}/database
dbpurgeage = 1d
dbmaxmatches = 10
[Definition]
allowipv6 = yes
`,
    );
    writeFileSync(
      join(home, 'jail.conf'),
      `[DEFAULT]
usedns = no
[sshd]
enabled = true
filter = sshd
backend = polling
logpath = ${log}
maxretry = ${maxretry}
findtime = 1h
bantime = 1h
action =
`,
    );
    const server = [fail2banProgram('fail2ban-server'), ...Fail2ban.#places(home), '-f', 'start'];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '/usr/bin/python3', ...server], {
      env: { ...process.env, PYTHONPATH: fail2banLibrary },
      stdio: 'ignore',
    });
    const made = new Fail2ban(child, home);
    await until("fail2ban's server", () => made.#failed() >= 0);
    return made;
  }

  static #places(home: string): string[] {
    return ['-c', home, '-s', join(home, 'socket'), '-p', join(home, 'pid')];
  }

  /** Failures it has counted; -1 if it does not answer. */
  #failed(): number {
    const asked = [fail2banProgram('fail2ban-client'), ...Fail2ban.#places(this.#home), 'status', 'sshd'];
    const { stdout } = spawnSync('/usr/bin/python3', asked, {
      env: { ...process.env, PYTHONPATH: fail2banLibrary },
      encoding: 'utf8',
    });
    return Number(/Total failed:\s+(\d+)/.exec(stdout ?? '')?.[1] ?? -1);
  }

  async hasRead(failures: number): Promise<void> {
    await until(`fail2ban counts ${failures} failures`, () => this.#failed() >= failures);
  }

  get failures(): number {
    return this.#failed();
  }

  residentBytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'latin1');
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** Appends the failures of sources `from` to `to`; returns the lines. */
function writeFailures(path: string, from: number, to: number): number {
  const descriptor = openSync(path, 'a');
  let lines = 0;
  for (let round = 0; round < failuresPerSource; round++) {
    const time = new Date().toISOString().replace('Z', '+00:00');
    const texts: string[] = [];
    for (let source = from; source < to; source++) {
      const [pid, port] = [1_000 + source, 1_024 + (source % 60_000)];
      const address = sourceAddress(source);
      texts.push(`${time} web1 sshd[${pid}]: Failed password for root from ${address} port ${port} ssh2\n`);
    }
    lines += texts.length;
    writeSync(descriptor, texts.join(''));
  }
  closeSync(descriptor);
  return lines;
}

const settings = (log: string): string => `[firewall]
backend = "log-only"
[metrics]
enabled = false
[jails.sshd]
logpath = "${log}"
maxretry = ${maxretry}
findtime = "1h"
bantime = "1h"
`;

export const growth: Benchmark = {
  name: 'growth',
  says: "the daemon and fail2ban's server beside each other over a log of ever more sources: resident size",
  needsNetwork: true,
  options: {
    crowd: { says: `sources, ${failuresPerSource} failures each`, value: 30_000 },
    steps: { says: 'how often both are looked at', value: 6 },
  },
  async run(context) {
    const missing = fail2banMissing();
    if (missing !== undefined) {
      process.stdout.write(`${missing}\n`);
      return;
    }
    const [sources, steps] = [context.number('crowd'), context.number('steps')];
    const log = join(context.directory, 'auth.log');
    writeFileSync(log, '');
    const daemon = await Daemon.start(context.directory, settings(log));
    const peer = await Fail2ban.start(context.directory, log);
    try {
      const [ours, theirs] = [[daemon.resident().now], [peer.residentBytes()]];
      let lines = 0;
      for (let step = 0; step < steps; step++) {
        const [from, to] = [step, step + 1].map((part) => Math.round((part / steps) * sources));
        lines += writeFailures(log, from!, to!);
        await until(`the daemon reads ${lines} lines`, async () => (await daemon.stats())['lines.matched']! >= lines);
        await peer.hasRead(lines);
        ours.push(daemon.resident().now);
        theirs.push(peer.residentBytes());
      }
      const { 'lines.matched': read, 'table.used': used } = await daemon.stats();
      const problems: string[] = [];
      if (read !== lines) problems.push(`fail2zig counted ${read} failures, not ${lines}`);
      if (peer.failures !== lines) problems.push(`fail2ban counted ${peer.failures} failures, not ${lines}`);
      if (used! < sources) problems.push(`fail2zig remembers ${used} sources, not ${sources}`);
      for (const [workload, sizes] of [
        ['fail2zig', ours],
        ['fail2ban-server', theirs],
      ] as const) {
        const inMebibytes = sizes.map((bytes) => bytes / mebibyte);
        context.report({
          workload,
          counts: { sources, lines, failures: lines },
          figures: [
            // One value a step, the first before any source.
            { name: 'resident', unit: 'MiB', values: inMebibytes },
            { name: 'growth', unit: 'MiB', values: [inMebibytes.at(-1)! - inMebibytes[0]!] },
            { name: 'a-source', unit: 'bytes', values: [(sizes.at(-1)! - sizes[0]!) / sources] },
          ],
          problems,
        });
      }
    } finally {
      await daemon.stop();
      await peer.stop();
    }
  },
};
