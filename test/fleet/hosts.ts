/**
 * Hosts of a fleet, each in its own namespace below the caller's, which is the server's:
 *
 *   server (caller)  192.0.2.1/24 on fleet0, a bridge
 *   host1, host2     192.0.2.11, .12, and so on
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { figuresOf } from '../../src/client/fleet-page.ts';
import { until } from '../support/until.ts';

const root = join(import.meta.dirname, '..', '..');
export const serverAddress = '192.0.2.1';

export function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** The bridge, in the caller's empty namespace. */
export function buildNetwork(): void {
  ip('link', 'set', 'lo', 'up');
  ip('link', 'add', 'fleet0', 'type', 'bridge');
  ip('addr', 'add', `${serverAddress}/24`, 'dev', 'fleet0');
  ip('link', 'set', 'fleet0', 'up');
}

export interface HostOptions {
  url: string;
  /** How the server identifies it, as lines of [fleet]; by default by name, password and key. */
  known?: string;
  /** Lines of [fleet] in addition to those that every host has. */
  fleet?: string;
  interval?: string;
}

/** A host: its namespace, its daemon, its fail2zig-fleet. */
export class Host {
  readonly name: string;
  readonly directory: string;
  readonly #options: HostOptions;
  #lines = 0;
  daemon!: Daemon;
  #fleet: ChildProcess | undefined;

  constructor(number: number, directory: string, options: HostOptions) {
    this.name = `host${number}`;
    this.directory = join(directory, this.name);
    this.#options = options;
    mkdirSync(this.directory);
    ip('netns', 'add', this.name);
    ip('link', 'add', this.name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.name);
    ip('link', 'set', this.name, 'master', 'fleet0', 'up');
    ip('-n', this.name, 'link', 'set', 'lo', 'up');
    ip('-n', this.name, 'addr', 'add', `192.0.2.${10 + number}/24`, 'dev', 'eth0');
    ip('-n', this.name, 'link', 'set', 'eth0', 'up');
  }

  /** Starts the daemon; `apiKey` is the bouncer's. */
  async start(apiKey: string): Promise<void> {
    const { directory, name } = this;
    for (const [file, text] of [
      ['password', `password-of-${name}`],
      ['key', apiKey],
    ] as const) {
      writeFileSync(join(directory, file), `${text}\n`);
      chmodSync(join(directory, file), 0o600);
    }
    writeFileSync(join(directory, 'auth.log'), '');
    const settings = `[firewall]
backend = "nftables"
[fleet]
url = "${this.#options.url}"
${this.#options.known ?? `machine = "${name}"\npassword_file = "${directory}/password"\napi_key_file = "${directory}/key"`}
interval = "${this.#options.interval ?? '1s'}"
directory = "${directory}/fleet"
${this.#options.fleet ?? ''}
[jails.sshd]
logpath = "${directory}/auth.log"
maxretry = 1
bantime = "1h"
`;
    this.daemon = await Daemon.start(directory, settings, this.#inside('bin/fail2zig'));
  }

  #inside(program: string): string[] {
    return ['ip', 'netns', 'exec', this.name, join(root, program)];
  }

  startFleet(): void {
    const log = openSync(join(this.directory, 'fleet.log'), 'a');
    const config = join(this.directory, 'fail2zig.toml');
    const command = ['--pdeathsig', 'KILL', ...this.#inside('bin/fail2zig-fleet'), '--config', config];
    this.#fleet = spawn('setpriv', command, { stdio: ['ignore', log, log] });
  }

  async killFleet(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const gone = once(this.#fleet!, 'exit');
    this.#fleet!.kill(signal);
    await gone;
  }

  get fleetLog(): string {
    return readFileSync(join(this.directory, 'fleet.log'), 'utf8');
  }

  /** A failed login of `source`, which leads to a ban. */
  attack(source: string): void {
    const time = new Date().toISOString();
    const line = `${time} host sshd[${++this.#lines}]: Failed password for root from ${source} port 40022 ssh2\n`;
    appendFileSync(join(this.directory, 'auth.log'), line);
  }

  /** A command of an operator. */
  client(...words: string[]): void {
    const [program, ...others] = this.#inside('bin/fail2zig-client');
    execFileSync(program!, [...others, '--socket', join(this.directory, 'control.sock'), ...words]);
  }

  /** The kernel's elements for a jail, from nft. */
  kernelHolds(jail: string): string[] {
    const command = ['netns', 'exec', this.name, 'nft', '-j', 'list', 'table', 'inet', 'fail2zig'];
    const text = execFileSync('ip', command, { encoding: 'utf8', maxBuffer: 1 << 30 });
    const { nftables } = JSON.parse(text) as { nftables: { set?: { name: string; elem?: unknown[] } }[] };
    const ofJail = nftables.flatMap(({ set }) => (set?.name.includes(jail) ? (set.elem ?? []) : []));
    return ofJail.map((element) => {
      const value = (element as { elem?: { val: unknown } }).elem?.val ?? element;
      return typeof value === 'string' ? value : JSON.stringify(value);
    });
  }

  /** One figure of fail2zig-fleet, summed over its labels; NaN while it has no page. */
  async figure(name: string, label?: string): Promise<number> {
    // Not Node for each look: the measured processes share the cores with it.
    const ask = 'exec 3<>/dev/tcp/127.0.0.1/9101 && printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3 && cat <&3';
    const command = ['netns', 'exec', this.name, 'bash', '-c', ask];
    const { status, stdout: page } = spawnSync('ip', command, { encoding: 'utf8' });
    await pause(250);
    if (status !== 0) return Number.NaN;
    return figuresOf(page)
      .filter((figure) => figure.name === name && (label === undefined || Object.values(figure.labels).includes(label)))
      .reduce((sum, { value }) => sum + value, 0);
  }

  /** Largest resident size of fail2zig-fleet so far, MiB. */
  fleetPeakMebibytes(): number {
    return peakMebibytes(this.#fleet!.pid!);
  }

  /** The same of the daemon. */
  daemonPeakMebibytes(): number {
    return peakMebibytes(this.daemon.pid);
  }

  /** Processor seconds of daemon and fail2zig-fleet so far. */
  processorSeconds(): { daemon: number; fleet: number } {
    const of = (pid: number): number => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    };
    return { daemon: of(this.daemon.pid), fleet: of(this.#fleet!.pid!) };
  }

  async untilBanned(jail: string, address: string, what: string): Promise<number> {
    const started = performance.now();
    await until(() => this.kernelHolds(jail).includes(address), { what, withinMs: 90_000 });
    return performance.now() - started;
  }
}

const peakMebibytes = (pid: number): number =>
  Number(/VmHWM:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024;
