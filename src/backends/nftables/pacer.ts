/**
 * Leaves gaps for other programs. A transaction of ours makes another program's running `nft -f`
 * start again (the kernel answers ERESTART), so a steady stream of bans would keep it from ever
 * finishing. So there are gaps at fixed times: short ones often, for quick changes, and long ones
 * now and then, for large files. A gap is skipped if no other process has a socket that can change
 * rules. Any local user may open such a socket, but only gains the gap; nobody can hide one. The
 * first ban after a quiet time never waits.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { netlinkListBytesMax, quietGaps } from '../../limits.ts';
import { netlinkNetfilter } from './numbers.ts';

/** Milliseconds that do not jump, and a sleep on the same clock. */
export interface Clock {
  now(): number;
  sleep(milliseconds: number): Promise<unknown>;
}

const realClock: Clock = { now: () => performance.now(), sleep: (milliseconds) => setTimeout(milliseconds) };

const text = Buffer.alloc(netlinkListBytesMax);

/**
 * Whether another process has a netlink socket of the netfilter protocol; `own` of them are ours.
 * Reads the kernel's list for this network namespace (lines of address, protocol, port, groups, …;
 * port 0 is the kernel itself). A socket that listens to groups only monitors. If the list cannot
 * be read, or is too long, the answer is yes.
 */
export function hasOthers(own: number, path = '/proc/net/netlink'): boolean {
  let length = 0;
  try {
    const list = openSync(path, 'r');
    // One read returns a page of the list.
    for (let read = -1; read !== 0; length += read) read = readSync(list, text, length, text.length - length, null);
    closeSync(list);
  } catch {
    return true;
  }
  if (length === text.length) return true;
  const sockets = text
    .toString('latin1', 0, length)
    .split('\n')
    .map((line) => line.split(' ').filter(Boolean));
  const changing = sockets.filter(
    ([, protocol, port, groups]) =>
      Number(protocol) === netlinkNetfilter && port !== '0' && Number(`0x${groups}`) === 0,
  );
  return changing.length > own;
}

export class Pacer {
  readonly #clock: Clock;
  readonly #hasOthers: () => boolean;
  /** When the last gap of each kind was. */
  readonly #since = quietGaps.map(() => Number.NEGATIVE_INFINITY);
  #committedAt = Number.NEGATIVE_INFINITY;
  #resting: Promise<void> | undefined;

  /** @param others whether another program may need a gap */
  constructor(others: () => boolean, clock: Clock = realClock) {
    this.#hasOthers = others;
    this.#clock = clock;
  }

  /** Called before each transaction: undefined = go ahead; else resolves when the gap is over. */
  pause(): Promise<void> | undefined {
    if (this.#resting !== undefined) return this.#resting;
    const now = this.#clock.now();
    this.#rested(now);
    const due = quietGaps.findIndex(({ everyMs }, kind) => now - this.#since[kind]! >= everyMs);
    if (due < 0) return undefined;
    this.#since[due] = now;
    if (this.#hasOthers()) this.#resting = this.#rest(quietGaps[due]!.milliseconds);
    return this.#resting;
  }

  async #rest(milliseconds: number): Promise<void> {
    await this.#clock.sleep(milliseconds);
    this.#resting = undefined;
    this.#rested(this.#clock.now());
  }

  /**
   * Before a transaction: the time since the last one counts as a gap of each kind that is not
   * longer.
   */
  #rested(now: number): void {
    quietGaps.forEach(({ milliseconds }, kind) => {
      if (now - this.#committedAt >= milliseconds) this.#since[kind] = now;
    });
    this.#committedAt = now;
  }
}
