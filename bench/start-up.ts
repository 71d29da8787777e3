/**
 * How long it takes until something works: the daemon until it says that it has started, in its
 * parts, and `fail2zig match` on one line. The parts of a start are a Node that does nothing, once
 * for each stage; the launch stage, until the core takes its place; and the core, which is the
 * rest. The single executable starts beside it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Daemon } from '../scripts/lab/daemon.ts';
import { buildExecutable } from '../scripts/package/executable.ts';
import { type Benchmark, type Context, differences, type Figure } from './benchmark.ts';
import { stormSettings } from './storm.ts';

const single = join(import.meta.dirname, '..', 'build', 'single');
const command = join(import.meta.dirname, '..', 'bin', 'fail2zig');
const line =
  '2026-03-10T12:00:00.000000+00:00 web1 sshd[811]: Failed password for root from 192.0.2.7 port 40001 ssh2\n';
// See Daemon.start.
const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;

/** A launch stage that has not handed over by then does not, ms. */
const launchMs = 30_000;

function times(rounds: number, work: () => void): number[] {
  return Array.from({ length: rounds }, () => {
    const started = performance.now();
    work();
    return performance.now() - started;
  });
}

function measureMatch(context: Context, rounds: number): void {
  let matched = 0;
  const bare: Figure = {
    name: 'node',
    unit: 'ms',
    values: times(rounds, () => spawnSync(process.execPath, ['-e', '0'], { env })),
  };
  const values = times(rounds, () => {
    const { stdout } = spawnSync(command, ['match', '--filter', 'sshd', '--json', '-'], {
      env,
      input: line,
      encoding: 'utf8',
    });
    if (JSON.parse(stdout).ip === '192.0.2.7') matched++;
  });
  context.report({
    workload: 'match',
    counts: { rounds, matched },
    figures: [{ name: 'until-done', unit: 'ms', values }, bare],
    problems: differences({ matched }, { matched: rounds }),
  });
}

/** The stage that reads the configuration: from exec until the core has taken its place. */
async function measureLaunch(context: Context, rounds: number): Promise<void> {
  const path = join(context.directory, 'launch.toml');
  const log = join(context.directory, 'launch.log');
  const socket = join(context.directory, 'launch.sock');
  writeFileSync(log, line);
  const control = `[control]\nsocket = "${socket}"\ngroup = "root"\n[state]\nenabled = false\n`;
  writeFileSync(path, `${control}${stormSettings(log)}`, { mode: 0o600 });
  let handed = 0;
  const values: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    const child = spawn(command, ['--config', path], { env, stdio: 'ignore' });
    const ended = once(child, 'exit');
    // The process stays the same; its command line does not.
    const isCore = (): boolean => readFileSync(`/proc/${child.pid}/cmdline`, 'latin1').includes('--config-fd');
    while (child.exitCode === null && !isCore() && performance.now() < started + launchMs) await pause(1);
    values.push(performance.now() - started);
    if (isCore()) handed++;
    child.kill('SIGKILL');
    await ended;
  }
  context.report({
    workload: 'launch',
    counts: { rounds, handed },
    figures: [{ name: 'until-core', unit: 'ms', values }],
    problems: differences({ handed }, { handed: rounds }),
  });
}

async function measureDaemon(
  context: Context,
  rounds: number,
  workload: string,
  program: string,
  counts = {},
): Promise<void> {
  const values: number[] = [];
  const cpu: number[] = [];
  const resident: number[] = [];
  let slots = 0;
  let stopped = 0;
  for (let round = 0; round < rounds; round++) {
    const directory = join(context.directory, `${workload}-${round}`);
    mkdirSync(directory);
    const log = join(directory, 'auth.log');
    writeFileSync(log, line);
    const daemon = await Daemon.start(directory, stormSettings(log), [program]);
    values.push(daemon.startMilliseconds);
    cpu.push(daemon.cpuSeconds() * 1000);
    resident.push(daemon.resident().peak / 2 ** 20);
    slots = (await daemon.status()).memory.slots;
    if ((await daemon.stop()) === 0) stopped++;
  }
  context.report({
    workload,
    counts: { rounds, stopped, slots, ...counts },
    figures: [
      { name: 'until-started', unit: 'ms', values },
      { name: 'cpu', unit: 'ms', values: cpu },
      { name: 'VmHWM', unit: 'MiB', values: resident },
    ],
    problems: differences({ stopped }, { stopped: rounds }),
  });
}

/** Without what the daemon gives up, and without its records. */
const bare = '[confinement]\nseccomp = "off"\nlandlock = false\n[state]\nenabled = false\n';

/** What confinement and audit log cost a start: with and without them by turns. */
async function measureConfinement(context: Context, rounds: number): Promise<void> {
  const log = join(context.directory, 'confined.log');
  writeFileSync(log, line);
  const cpu: Record<'with' | 'without', number[]> = { with: [], without: [] };
  for (let round = 0; round < 2 * rounds; round++) {
    // Who comes first changes too: with, without, without, with.
    const kind = round % 4 === 0 || round % 4 === 3 ? 'with' : 'without';
    const directory = join(context.directory, `confined-${round}`);
    mkdirSync(directory);
    const daemon = await Daemon.start(directory, `${kind === 'with' ? '' : bare}${stormSettings(log)}`);
    cpu[kind].push(daemon.cpuSeconds() * 1000);
    await daemon.stop();
  }
  // The kernel counts in steps of 10 ms: the mean is finer.
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  context.report({
    workload: 'confinement',
    counts: { rounds },
    figures: [
      { name: 'cpu-with', unit: 'ms', values: cpu.with },
      { name: 'cpu-without', unit: 'ms', values: cpu.without },
      { name: 'mean-more', unit: 'ms', values: [mean(cpu.with) - mean(cpu.without)] },
    ],
    problems: differences({ starts: cpu.with.length + cpu.without.length }, { starts: 2 * rounds }),
  });
}

export const startUp: Benchmark = {
  name: 'start-up',
  says: 'the daemon until "started" (nftables) and its parts, with and without confinement, the single executable, and `fail2zig match`',
  needsNetwork: true,
  options: { starts: { says: 'starts of each', value: 20 } },
  async run(context) {
    const starts = context.number('starts');
    if (context.wanted('match')) measureMatch(context, starts);
    if (context.wanted('launch')) await measureLaunch(context, starts);
    if (context.wanted('daemon')) await measureDaemon(context, starts, 'daemon', command);
    if (context.wanted('confinement')) await measureConfinement(context, starts);
    if (!context.wanted('single')) return;
    buildExecutable(single);
    await measureDaemon(context, starts, 'single', single, { bytes: statSync(single).size });
  },
};
