/**
 * Gives way to people: every transaction of ours makes a foreign `nft -f` that is under way start
 * again (the kernel answers ERESTART), so a steady stream of bans would keep it from ever
 * finishing. While root runs a program with a netfilter socket, we hold our transactions for a
 * bounded time.
 *
 * Others control when such sockets come. Bounds: one socket holds us for `holdMs`, then twice as
 * long, each time with a transaction of ours in between, and not at all after `holdTimesMax`; all
 * together for a share of the time (`holdBudgetMs`). Sockets of processes that are not root's do
 * not count, nor do those that stay (firewalld, monitors). Where /proc cannot be read nobody is
 * given way. The first ban after a quiet time never waits.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  foreignSocketsMax,
  holdBudgetMs,
  holdBudgetRefill,
  holdMs,
  holdPollMs,
  holdTimesMax,
  lookMs,
  quietMs,
} from '../../limits.ts';

const listing = '/proc/net/netlink';
/** The column behind the socket's address, and NETLINK_NETFILTER there. */
const protocolAt = 17;
const netlinkNetfilter = '12 ';
/** Some 400 sockets; those beyond it are not seen. */
const listingBytesMax = 32 * 1024;

/** Where the pacer looks. */
export interface Surroundings {
  /** Milliseconds, never jumping. */
  now(): number;
  /**
   * Identities of the netfilter sockets that privileged processes other than this one have in our
   * namespace now.
   */
  foreignSockets(): string[];
  sleep(milliseconds: number): Promise<unknown>;
  close(): void;
}

/**
 * The netfilter sockets in a listing of /proc/net/netlink: their inode and the process that opened
 * them.
 */
export function parseListing(text: string): { inode: string; pid: number }[] {
  const found: { inode: string; pid: number }[] = [];
  for (const line of text.split('\n')) {
    // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode; the protocol first, since most lines are
    // about others.
    if (line.slice(protocolAt, protocolAt + 3) !== netlinkNetfilter) continue;
    const [, , port, , , , , , , inode] = line.trim().split(/ +/);
    const pid = Number(port);
    // The kernel's own socket has port 0; second sockets of a process bear negative ones.
    if (inode !== undefined && pid > 0) found.push({ inode, pid });
  }
  return found;
}

/** The machine as it is. */
export function realSurroundings(): Surroundings {
  let fd = -1;
  const buffer = Buffer.alloc(listingBytesMax);
  try {
    fd = openSync(listing, 'r');
  } catch {
    // Without /proc nobody is seen.
  }
  /** Whether root opened it, asked once for each socket that is there. */
  let known = new Map<string, boolean>();
  const isRoots = (pid: number): boolean => statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === 0;
  return {
    now: () => performance.now(),
    foreignSockets() {
      if (fd < 0) return [];
      const length = readSync(fd, buffer, 0, buffer.length, 0);
      const present = new Map<string, boolean>();
      for (const { inode, pid } of parseListing(buffer.toString('latin1', 0, length))) {
        if (pid !== process.pid) present.set(inode, known.get(inode) ?? isRoots(pid));
      }
      known = present;
      return [...present.keys()].filter((inode) => present.get(inode));
    },
    sleep,
    close() {
      if (fd >= 0) closeSync(fd);
      fd = -1;
    },
  };
}

export class Pacer {
  readonly #around: Surroundings;
  /** How often each socket that is still there has held us. */
  #held = new Map<string, number>();
  #budget = holdBudgetMs;
  #budgetAt: number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #committedAt = Number.NEGATIVE_INFINITY;
  /** Times we gave way, and milliseconds of it. */
  readonly counters = { holds: 0, milliseconds: 0 };

  constructor(around: Surroundings = realSurroundings()) {
    this.#around = around;
    this.#budgetAt = around.now();
    // Whoever is there before us is there to stay.
    for (const socket of this.#look()) this.#held.set(socket, holdTimesMax);
  }

  close(): void {
    this.#around.close();
  }

  /** Called before each transaction: undefined = go ahead; else resolves when it is our turn. */
  pause(): Promise<void> | undefined {
    const now = this.#around.now();
    const isSteady = now - this.#committedAt < quietMs;
    this.#committedAt = now;
    if (!isSteady || now - this.#lookedAt < lookMs) return undefined;
    const holders = this.#holders();
    return holders.length === 0 ? undefined : this.#hold(holders);
  }

  #look(): string[] {
    this.#lookedAt = this.#around.now();
    try {
      return this.#around.foreignSockets().slice(0, foreignSocketsMax);
    } catch {
      return [];
    }
  }

  /** Foreign sockets that may hold us; those that are gone are forgotten. */
  #holders(): string[] {
    const present = this.#look();
    this.#held = new Map(present.map((socket) => [socket, this.#held.get(socket) ?? 0]));
    return present.filter((socket) => this.#held.get(socket)! < holdTimesMax);
  }

  async #hold(holders: string[]): Promise<void> {
    const start = this.#around.now();
    this.#budget = Math.min(holdBudgetMs, this.#budget + (start - this.#budgetAt) * holdBudgetRefill);
    this.#budgetAt = start;
    const times = Math.min(...holders.map((socket) => this.#held.get(socket)!));
    const end = start + Math.min(this.#budget, holdMs * 2 ** times);
    let left = holders;
    while (left.length > 0 && this.#around.now() < end) {
      await this.#around.sleep(holdPollMs);
      const present = new Set(this.#look());
      left = left.filter((socket) => present.has(socket));
    }
    for (const socket of left) this.#held.set(socket, this.#held.get(socket)! + 1);
    this.#committedAt = this.#around.now();
    const milliseconds = this.#committedAt - start;
    this.#budget -= milliseconds;
    this.counters.holds++;
    this.counters.milliseconds += milliseconds;
  }
}
