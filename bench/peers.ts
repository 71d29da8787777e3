/**
 * The same log through fail2zig, fail2ban, SSHGuard and CrowdSec, as Debian packages them: each
 * reads the file with the command it has for that, offline. CPU seconds are those of all its
 * processes, less those of a run over one line, so that the start of an interpreter does not count.
 * Nothing is banned; it runs in a private network namespace nevertheless.
 *
 * The programs do not count the same: fail2ban counts lines, fail2zig attempts, SSHGuard attacks,
 * CrowdSec sources that filled a bucket. So each count must be the same in every round, but
 * CrowdSec's, and ours that of the workload.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail2banMissing } from '../scripts/lab/fail2ban.ts';
import { type Benchmark, type Context, differences } from './benchmark.ts';
import { crowdsecCommand, crowdsecFound, crowdsecMissing } from './crowdsec.ts';
import { findtimeSeconds, maxretry, readTime, type Workload, writeWorkload } from './workload.ts';

const root = join(import.meta.dirname, '..');
const unpacked = join(root, 'build/tools');
export const workloadName = 'sshd-sessions';

interface Peer {
  name: string;
  /** Why it cannot be measured here; undefined if it can. */
  missing(): string | undefined;
  /** The pipeline over a file; the file is standard input as well. */
  commands(path: string): string[];
  /** The number of findings in its output. */
  found(output: string): number;
  version(): string;
  /** Its counts vary from run to run by this share; absent = not at all. */
  varies?: number;
}

/** So that anybody can see that all read the same bytes. */
export const fingerprint = (text: string): string =>
  createHash('sha256').update(text, 'latin1').digest('hex').slice(0, 16);

const main = [process.execPath, join(root, 'dist/main.cjs')];
const packageVersion = (name: string): string =>
  /^Version: (.*)$/m.exec(spawnSync('apt-cache', ['show', name], { encoding: 'utf8' }).stdout ?? '')?.[1] ?? 'unknown';

/** A program of SSHGuard: the system's, or the one that the set-up unpacked. */
function sshguard(name: string): string | undefined {
  const places = ['/usr/libexec/sshguard', join(unpacked, 'usr/libexec/sshguard')];
  return places.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

const sshguardMissing = (): string | undefined =>
  sshguard('sshg-parser') === undefined
    ? 'NOT COMPARED with SSHGuard: it is not here (apt-get install sshguard)'
    : undefined;

const peers: readonly Peer[] = [
  {
    name: 'fail2zig replay',
    missing: () => undefined,
    commands: (path) => [
      ...[
        ...main,
        'replay',
        '--json',
        '--filter',
        'sshd',
        '--maxretry',
        `${maxretry}`,
        '--findtime',
        `${findtimeSeconds}s`,
      ],
      ...['--bantime', `${findtimeSeconds}s`, '--now', String(readTime), path],
    ],
    found: (output) => (JSON.parse(output) as { matched: number }).matched,
    version: () => (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version,
  },
  {
    name: 'fail2ban-regex',
    missing: fail2banMissing,
    commands: (path) => {
      const installed = !existsSync(join(unpacked, 'usr/bin/fail2ban-regex'));
      const folder = installed ? '/' : unpacked;
      const library = join(folder, 'usr/lib/python3/dist-packages');
      const program = join(folder, 'usr/bin/fail2ban-regex');
      const configuration = join(folder, 'etc/fail2ban');
      return ['env', `PYTHONPATH=${library}`, '/usr/bin/python3', program, '-c', configuration, path, 'sshd'];
    },
    found: (output) => Number(/(\d+) matched/.exec(output)?.[1]),
    version: () => packageVersion('fail2ban'),
  },
  {
    name: 'SSHGuard, parser',
    missing: sshguardMissing,
    commands: () => [sshguard('sshg-parser')!],
    found: (output) => output.split('\n').filter((line) => /^\d/.test(line)).length,
    version: () => packageVersion('sshguard'),
  },
  {
    name: 'SSHGuard, parser and blocker',
    missing: sshguardMissing,
    commands: () => [sshguard('sshg-parser')!, '|', sshguard('sshg-blocker')!, '-a', '30', '-p', '120', '-s', '1800'],
    found: (output) => output.split('\n').filter((line) => line.startsWith('block ')).length,
    version: () => packageVersion('sshguard'),
  },
  {
    name: 'CrowdSec, replay',
    missing: crowdsecMissing,
    commands: crowdsecCommand,
    found: crowdsecFound,
    // Its buckets fill in parallel, so the attempt that fills one differs from run to run.
    varies: 0.1,
    version: () => packageVersion('crowdsec'),
  },
];

interface Took {
  status: number[];
  cpuSeconds: number;
  residentKiB: number[];
}

function run(directory: string, peer: Peer, path: string): Took & { found: number } {
  const output = join(directory, 'output');
  const program = join(import.meta.dirname, 'peer-run.py');
  const done = spawnSync('/usr/bin/python3', [program, path, output, ...peer.commands(path)], {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  });
  if (done.status !== 0) throw new Error(`${peer.name}: ${done.error?.message ?? done.stderr.trim()}`);
  return { ...(JSON.parse(done.stdout) as Took), found: peer.found(readFileSync(output, 'utf8')) };
}

function measure(context: Context, peer: Peer, workload: Workload): void {
  const one = join(context.directory, 'one.log');
  const text = readFileSync(workload.path, 'latin1');
  writeFileSync(one, text.slice(0, text.indexOf('\n') + 1), 'latin1');
  const rounds = Array.from({ length: context.number('rounds') }, () => ({
    start: run(context.directory, peer, one),
    whole: run(context.directory, peer, workload.path),
  }));
  const found = rounds[0]!.whole.found;
  const { varies = 0 } = peer;
  const far = rounds.filter(({ whole }) => Math.abs(whole.found - found) > varies * found);
  const problems = far.flatMap(({ whole }) => differences({ found: whole.found }, { found }));
  if (!(found > 0)) problems.push('nothing found');
  if (peer.name.startsWith('fail2zig')) problems.push(...differences({ found }, { found: workload.matched }));
  const resident = ({ residentKiB }: Took) => residentKiB.reduce((sum, each) => sum + each, 0) / 1024;
  context.report({
    workload: `parse/${peer.name}`,
    counts: { version: peer.version(), file: fingerprint(text), lines: workload.lines, found },
    figures: [
      {
        name: 'cpu',
        unit: 'lines/s',
        values: rounds.map(({ start, whole }) => workload.lines / Math.max(0.001, whole.cpuSeconds - start.cpuSeconds)),
      },
      { name: 'start', unit: 's', values: rounds.map(({ start }) => start.cpuSeconds) },
      { name: 'resident', unit: 'MiB', values: rounds.map(({ whole }) => resident(whole)) },
    ],
    problems,
  });
}

export const peersBenchmark: Benchmark = {
  name: 'peers',
  says: 'the same log through fail2zig, fail2ban, SSHGuard and CrowdSec, as Debian packages them: lines a second, memory',
  // Inside the private network nothing can be downloaded.
  prepare: () => void crowdsecMissing(),
  needsNetwork: true,
  options: {
    lines: { says: 'lines of the log', value: 200_000 },
    sources: { says: 'attacking sources', value: 300 },
    rounds: { says: 'rounds', value: 3 },
  },
  async run(context) {
    const path = join(context.directory, 'auth.log');
    const workload = writeWorkload(workloadName, path, context.number('lines'), context.number('sources'));
    for (const peer of peers) {
      if (!context.wanted(`parse/${peer.name}`)) continue;
      const missing = peer.missing();
      if (missing === undefined) measure(context, peer, workload);
      else process.stdout.write(`${missing}\n`);
    }
  },
};
