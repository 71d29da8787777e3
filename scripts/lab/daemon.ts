/**
 * The real daemon as a child process: started with its own configuration in its own directory,
 * watched from outside.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { responses } from '../../src/client/call.ts';
import type { ListPart, Stats, Status } from '../../src/control/answers.ts';

const root = join(import.meta.dirname, '..', '..');
/**
 * A start takes a tenth of this on a busy machine; with the state of some 100,000 sources it takes
 * longer, ms.
 */
const startMs = 60_000;
/**
 * A stop sends bans and saves the state within the bounds of limits.ts, much faster than this, ms.
 */
const stopMs = 60_000;
/** Clock ticks in a second, as /proc shows them (USER_HZ). */
const ticksPerSecond = 100;

export class Daemon {
  readonly socket: string;
  /** Its standard error so far. */
  readonly said: string[];
  /** From spawn to its line "started", ms. */
  startMilliseconds = 0;
  readonly #child: ChildProcess;
  /** Resolves when the process is gone and its output was read. */
  readonly closed: Promise<unknown>;
  readonly #listeners: ((line: string) => void)[] = [];

  private constructor(child: ChildProcess, socket: string) {
    this.#child = child;
    this.socket = socket;
    this.said = [];
    createInterface({ input: child.stderr! }).on('line', (line) => {
      this.said.push(line);
      for (const listener of this.#listeners) listener(line);
    });
    this.closed = once(child, 'close').catch(() => {});
    child.once('close', (_, signal) => {
      if (signal !== null) this.said.push(`ended by ${signal}`);
    });
  }

  /**
   * Starts bin/fail2zig with `settings` (TOML, beside where its socket goes) and resolves when it
   * says that it has started.
   * @param isStarted resolves when it has started; it need not say so then
   * @throws Error with what it said, where it ended or was silent
   */
  static async start(
    directory: string,
    settings: string,
    program = [join(root, 'bin', 'fail2zig')],
    isStarted?: () => Promise<void>,
  ): Promise<Daemon> {
    const socket = join(directory, 'control.sock');
    const path = join(directory, 'fail2zig.toml');
    const state = /^\[state\]/m.test(settings) ? '' : `[state]\npath = "${join(directory, 'state', 'state')}"\n`;
    writeFileSync(path, `[control]\nsocket = "${socket}"\ngroup = "root"\n${state}${settings}`, { mode: 0o600 });
    // If set, Node loads a certificate bundle: 2 MB that a daemon under a service manager does not
    // have.
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    const started = performance.now();
    // However this program ends, the daemon ends with it.
    const command = ['--pdeathsig', 'KILL', ...program, '--config', path];
    const child = spawn('setpriv', command, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    const daemon = new Daemon(child, socket);
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`the daemon ${why}\n${daemon.said.join('\n')}`));
      const timer = setTimeout(() => fail(`did not start within ${startMs} ms`), startMs);
      child.once('error', (error) => fail(error.message));
      child.once('close', (code) => fail(`ended with status ${code}`));
      void isStarted?.().then(resolve, reject);
      daemon.onLine((line) => {
        if (!/ started |"msg":"started"/.test(line)) return;
        clearTimeout(timer);
        daemon.startMilliseconds = performance.now() - started;
        resolve();
      });
    });
    return daemon;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  onLine(listener: (line: string) => void): void {
    this.#listeners.push(listener);
  }

  async status(): Promise<Status> {
    return this.#ask('status');
  }

  async stats(): Promise<Stats> {
    return this.#ask('stats');
  }

  /** Bans and the seconds each has left, as `jail address`. */
  async bans(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for await (const { bans } of this.#parts<ListPart>('list')) {
      for (const { jail, address, remainingSeconds } of bans) found.set(`${jail} ${address}`, remainingSeconds);
    }
    return found;
  }

  async ban(jail: string, address: string, seconds: number): Promise<void> {
    await this.#ask('ban', { jail, addresses: [address], seconds });
  }

  async unban(address: string): Promise<void> {
    await this.#ask('unban', { addresses: [address] });
  }

  async #ask<Answer>(verb: string, args: Record<string, unknown> = {}): Promise<Answer> {
    let answer: Answer | undefined;
    for await (const part of this.#parts<Answer>(verb, args)) answer ??= part;
    return answer as Answer;
  }

  async *#parts<Part>(verb: string, args: Record<string, unknown> = {}): AsyncGenerator<Part> {
    for await (const response of responses(this.socket, { verb, args })) {
      if (!response.ok && response.error.message.includes('too many requests')) {
        await pause(1_000);
        yield* this.#parts<Part>(verb, args);
        return;
      }
      if (!response.ok) throw new Error(`${verb}: ${response.error.message}`);
      // An answer in parts ends with an empty one.
      if (Object.keys(response.data as object).length > 0) yield response.data as Part;
    }
  }

  /** VmRSS and VmHWM of the whole process, bytes. */
  resident(): { now: number; peak: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, 'latin1');
    const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) * 1024;
    return { now: field('VmRSS'), peak: field('VmHWM') };
  }

  /** CPU time of all its threads since the start, user and system, seconds. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** Stops it; resolves to its exit status, null if it had to be killed. */
  async stop(): Promise<number | null> {
    if (!this.running) return this.#child.exitCode;
    // When it is gone and its output was read.
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopMs);
    const [code] = await ended;
    clearTimeout(timer);
    return code;
  }
}
