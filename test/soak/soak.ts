/**
 * One soak: the real daemon with real log files and the nftables backend, in the network namespace
 * of this process. At the end, nft(8) shows which bans the kernel holds, and /proc shows the memory
 * of the daemon.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../support/until.ts';
import { elementOf, gapOf, gaps, judgedGap, maxretry, stepsUntil } from './attack.ts';
import { type Outcome, unlistedCalls } from './checks.ts';
import { type Sample, takeSample } from './sample.ts';
import { type Progress, writeAttack } from './writer.ts';

export interface SoakOptions {
  sources: number;
  /** The run lasts at least this long, and until every source has come. */
  seconds: number;
  linesPerSecond: number;
  /** As the configuration writes it. */
  ceiling: string;
  ceilingBytes: number;
  /** memory.eviction_policy. */
  policy: string;
  slotsMin: number;
  /** confinement.seccomp. */
  seccomp: string;
  /** Called with each sample. */
  progress?: (sample: Sample, written: Progress) => void;
}

const root = join(import.meta.dirname, '..', '..');
const port = 9_100;
const sampleMs = 1_000;
/** Time to read what was written last, ms. It is generous: only a hang reaches it. */
const drainMs = 60_000;

function configuration(options: SoakOptions, path: string): string {
  // findtime and bantime are longer than the longest soak: so the table forgets only because it is
  // full.
  return `[memory]
ceiling = "${options.ceiling}"
eviction_policy = "${options.policy}"
[firewall]
backend = "nftables"
[metrics]
port = ${port}
[state]
path = "${join(dirname(path), 'state', 'state')}"
[log]
level = "info"
[confinement]
seccomp = "${options.seccomp}"
[jails.sshd]
filter = "sshd"
logpath = ["${path}"]
maxretry = ${maxretry}
findtime = "12h"
bantime = "24h"
`;
}

/** The daemon's process, from its first line on. It has the same id as the launch stage. */
class Daemon {
  readonly lines: string[] = [];
  readonly complaints: string[] = [];
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(config: string) {
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    this.#child = spawn(join(root, 'bin', 'fail2zig'), ['--config', config], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.ended = once(this.#child, 'close').then(([code]) => code);
    createInterface({ input: this.#child.stderr! }).on('line', (line) => {
      if (this.lines.length < 1_000) this.lines.push(line);
      if (/^\S+ (warn|error) /.test(line) && this.complaints.length < 100) this.complaints.push(line);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async started(): Promise<void> {
    const ready = (): boolean => this.lines.some((line) => line.includes(' started '));
    await until(() => ready() || !this.running, { withinMs: 30_000, what: 'the daemon' });
    if (!ready()) throw new Error(`the daemon did not start:\n${this.lines.join('\n')}`);
  }

  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return this.ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** What `fail2zig-client stats` shows, by name. */
function statsOfClient(): Record<string, number> {
  const text = execFileSync(join(root, 'bin', 'fail2zig-client'), ['stats'], { encoding: 'utf8' });
  return Object.fromEntries(
    [...text.matchAll(/^([a-z._]+):\s+(-?[0-9.]+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
}

/** Attackers of each gap that the kernel holds a ban of, as nft(8) lists them. */
async function heldByKernel(sources: number): Promise<Map<number, number>> {
  const nft = spawn('nft', ['list', 'table', 'inet', 'fail2zig'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const elements = new Set<string>();
  for await (const line of createInterface({ input: nft.stdout })) {
    for (const [, element] of line.matchAll(/([0-9a-f.:]+) timeout /g)) elements.add(element!);
  }
  const held = new Map<number, number>(gaps.map((gap) => [gap, 0]));
  for (let k = 0; k < sources; k++) {
    const gap = gapOf(k);
    if (gap !== 0 && elements.has(elementOf(k))) held.set(gap, held.get(gap)! + 1);
  }
  return held;
}

export async function soak(options: SoakOptions): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'fail2zig-soak-'));
  const path = join(folder, 'auth.log');
  const config = join(folder, 'fail2zig.toml');
  writeFileSync(config, configuration(options, path), { mode: 0o644 });
  writeFileSync(path, '');
  mkdirSync('/run/fail2zig', { recursive: true });
  const daemon = new Daemon(config);
  try {
    await daemon.started();
    const samples: Sample[] = [];
    const written: Progress = { step: 0, lines: 0, bytes: 0 };
    const started = performance.now();
    const elapsed = (): number => (performance.now() - started) / 1000;
    // All attackers whose bans are judged have made their last failure; attackers with longer gaps
    // only if there is time.
    const enough = stepsUntil(options.sources, judgedGap(options.sources));
    const attack = writeAttack(
      {
        path,
        sources: options.sources,
        linesPerSecond: options.linesPerSecond,
        readBytes: () => samples.at(-1)?.readBytes ?? 0,
        done: ({ step }) => !daemon.running || (step >= enough && elapsed() >= options.seconds),
      },
      written,
    );
    let writing = true;
    void attack.finally(() => {
      writing = false;
    });
    const sample = async (): Promise<Sample> => {
      const taken = await takeSample(daemon.pid, port, elapsed());
      samples.push(taken);
      options.progress?.(taken, written);
      return taken;
    };
    while (writing && daemon.running) {
      await sample();
      await pause(sampleMs - ((performance.now() - started) % sampleMs));
    }
    await attack;
    let bans = -1;
    const settled = async (): Promise<boolean> => {
      const { lines, bans: now } = await sample();
      const same = now === bans;
      bans = now;
      if (!(lines === written.lines && same)) await pause(sampleMs / 4);
      return lines === written.lines && same;
    };
    await until(settled, { withinMs: drainMs, what: `the last of ${written.lines} lines` });
    const held = await heldByKernel(options.sources);
    const stats = statsOfClient();
    const exitCode = await daemon.stop();
    const { sources, ceilingBytes, slotsMin } = options;
    const unlisted = unlistedCalls(execFileSync('dmesg', { encoding: 'utf8', maxBuffer: 2 ** 26 }), daemon.pid);
    // The option asks to log only, so this warning is expected.
    const complaints = daemon.complaints.filter((line) => !line.includes('confinement.seccomp is \\"log\\"'));
    return { samples, sources, ceilingBytes, slotsMin, held, stats, exitCode, complaints, unlisted };
  } catch (error) {
    throw new Error(`${(error as Error).message}\nthe daemon's last words:\n${daemon.lines.slice(-20).join('\n')}`, {
      cause: error,
    });
  } finally {
    daemon.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}
