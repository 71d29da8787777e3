/**
 * Our own journald in a mount namespace: tmpfs on /run and /var/log, no systemd as init. The caller
 * runs below `unshare -m`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { until } from '../support/until.ts';
import { environment, programs } from './packages.ts';

export interface JournaldForm {
  /** Variables that choose what journald writes. */
  variables?: Record<string, string>;
  settings?: string[];
}

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: environment,
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

export const journalctl = (...args: string[]): string => run(programs.journalctl, '--no-pager', ...args);

export class Journald {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Fresh directories, then journald. */
  static async start({ variables = {}, settings = [] }: JournaldForm = {}): Promise<Journald> {
    // The first process of a pid namespace has no parent there.
    const parent = process.ppid === 0 ? '' : readlinkSync(`/proc/${process.ppid}/ns/mnt`);
    if (readlinkSync('/proc/self/ns/mnt') === parent)
      throw new Error('journald is started in a mount namespace of its own only: unshare -m');
    for (const path of ['/run', '/var/log']) run('mount', '-t', 'tmpfs', 'tmpfs', path);
    mkdirSync('/run/systemd/journal', { recursive: true });
    mkdirSync('/var/log/journal');
    mkdirSync('/run/systemd/journald.conf.d', { recursive: true });
    const lines = ['[Journal]', 'ReadKMsg=no', 'Audit=no', 'RateLimitIntervalSec=0', 'Storage=persistent', ...settings];
    writeFileSync('/run/systemd/journald.conf.d/test.conf', `${lines.join('\n')}\n`);
    writeFileSync('/run/systemd/journal/flushed', '');
    const child = spawn(programs.journald, { env: { ...environment, ...variables }, stdio: ['ignore', 'ignore', 2] });
    await until(() => existsSync('/run/systemd/journal/stdout'), { what: 'journald' });
    return new Journald(child);
  }

  /** A connection on which each line is an entry. */
  static async lines(identifier: string, unit: string): Promise<Socket> {
    // journald closes its side at once.
    const socket = connect({ path: '/run/systemd/journal/stdout', allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.write(`${identifier}\n${unit}\n6\n0\n0\n0\n0\n`);
    return socket;
  }

  async stop(): Promise<void> {
    const over = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await over;
    for (const path of ['/run', '/var/log']) run('umount', '-l', path);
  }
}

/** Writes this many numbered lines and returns when they are handed over. */
export async function writeLines(socket: Socket, from: number, to: number, text: (n: number) => string): Promise<void> {
  for (let n = from; n <= to; n++) {
    if (!socket.write(`${text(n)}\n`)) await new Promise((resolve) => socket.once('drain', resolve));
  }
}
