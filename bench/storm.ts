/**
 * An attack on a running daemon, written to its log at a stated rate and watched in the kernel:
 * what `latency` and `attack` share. One write(2) a line, as syslog does it.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { maxretry } from './workload.ts';

export interface Attempt {
  /** What the log says of it. */
  address: string;
  /** What a ban for it holds. */
  ban: string;
}

/** How long the last ban may take, ms; after that it counts as missing. */
const lastBanMs = 10_000;

export class Storm {
  /** Line that decided a ban → ban in the kernel, ms. */
  readonly latencies: number[] = [];
  readonly landed = new Set<string>();
  lines = 0;
  /** performance.now() of the last line, and of the last ban in the kernel. */
  lastLineAt = 0;
  lastBanAt = 0;
  /**
   * Longest time between two looks at the kernel while lines were written, ms: a delay of this
   * driver.
   */
  stallMs = 0;
  readonly #counts = new Map<string, number>();
  readonly #decidedAt = new Map<string, number>();
  readonly #path: string;
  readonly #held: ReadonlySet<string>;
  readonly #look: (() => void) | undefined;

  /**
   * @param held bans that the kernel holds before: the daemon may refresh them when it takes them
   * over
   * @param look reads what the kernel tells, without waiting; where it is given, nothing else does
   */
  constructor(path: string, held: ReadonlySet<string> = new Set(), look?: () => void) {
    this.#path = path;
    this.#held = held;
    this.#look = look;
    closeSync(openSync(path, 'a', 0o640));
  }

  /** For BanWatch. */
  land(ban: string, at: number): void {
    if (this.#held.has(ban)) return;
    this.landed.add(ban);
    this.lastBanAt = at;
    const since = this.#decidedAt.get(ban);
    if (since !== undefined) this.latencies.push(at - since);
  }

  #line({ address }: Attempt): string {
    const [pid, port] = [1000 + (this.lines % 4_000_000), 1024 + (this.lines % 60_000)];
    const time = new Date().toISOString().replace('Z', '+00:00');
    return `${time} web1 sshd[${pid}]: Failed password for root from ${address} port ${port} ssh2\n`;
  }

  /**
   * Writes the attempts, `perSecond` of them; after a pause of the machine it does not catch up
   * faster than twice that.
   */
  async write(attempts: Iterable<Attempt>, perSecond: number): Promise<void> {
    const descriptor = openSync(this.#path, 'a');
    const gap = 1000 / perSecond;
    let due = performance.now();
    for (const attempt of attempts) {
      await this.#rest(due);
      due = Math.max(due + gap, performance.now() - 1000);
      const count = (this.#counts.get(attempt.ban) ?? 0) + 1;
      this.#counts.set(attempt.ban, count);
      const text = this.#line(attempt);
      if (count === maxretry) this.#decidedAt.set(attempt.ban, performance.now());
      writeSync(descriptor, text);
      this.lines++;
    }
    this.lastLineAt = performance.now();
    closeSync(descriptor);
  }

  /** Waits until `due`; reads the kernel's notifications meanwhile. */
  async #rest(due: number): Promise<void> {
    const look = this.#look;
    if (look === undefined) {
      // Timers count whole milliseconds; waiting in turns of the event loop lets the watch run in
      // between.
      while (performance.now() < due) await (due - performance.now() > 2 ? pause(1) : new Promise(setImmediate));
      return;
    }
    // A turn for each line only: promises are garbage, and what its collection takes would be taken
    // for the daemon's.
    await new Promise(setImmediate);
    let before = performance.now();
    for (;;) {
      look();
      const now = performance.now();
      this.stallMs = Math.max(this.stallMs, now - before);
      if (now >= due) return;
      before = now;
    }
  }

  /** Resolves when every decided ban is in the kernel, or the time is over. */
  async settle(): Promise<void> {
    const deadline = performance.now() + lastBanMs;
    while (this.landed.size < this.decided && performance.now() < deadline) {
      await (this.#look === undefined ? pause(5) : new Promise(setImmediate));
      this.#look?.();
    }
  }

  /** Bans that must come. */
  get decided(): number {
    return this.#decidedAt.size;
  }

  /** Bans that are in the kernel without a reason, or missing. */
  problems(): string[] {
    const missing = [...this.#decidedAt.keys()].filter((ban) => !this.landed.has(ban));
    const surplus = [...this.landed].filter((ban) => !this.#decidedAt.has(ban));
    return [...told('missing', missing), ...told('for nothing', surplus)];
  }
}

/** How many bans, and the first of them. */
function told(what: string, bans: string[]): string[] {
  return bans.length === 0 ? [] : [`bans ${what}: ${bans.length}, first ${bans.slice(0, 3).join(' ')}`];
}

/** TOML for the measured daemon: what an operator would run, with the log's path. */
export function stormSettings(logpath: string): string {
  return `[firewall]
backend = "nftables"
[jails.sshd]
logpath = "${logpath}"
port = "ssh"
maxretry = ${maxretry}
bantime = "1h"
`;
}
