/**
 * Gives way to other programs: a transaction of ours makes a foreign `nft -f` that is under way
 * start again (the kernel answers ERESTART), so a steady stream of bans would keep it from ever
 * finishing. So there are quiet gaps at fixed times: short ones often, for what takes a moment, and
 * long ones now and then, for large files. A gap passes unused where nobody has a socket by which
 * rules are changed. That can be feigned, since any local user may open such a socket, and gains
 * nothing but the gap; a socket cannot be hidden. The first ban after a quiet time never waits.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { netlinkListBytesMax, quietGaps } from '../../limits.ts';
import { netlinkNetfilter } from './numbers.ts';

/** Milliseconds, never jumping; and a sleep on the same clock. */
export interface Clock {
  now(): number;
  sleep(milliseconds: number): Promise<unknown>;
}

const realClock: Clock = { now: () => performance.now(), sleep: (milliseconds) => setTimeout(milliseconds) };

const text = Buffer.alloc(netlinkListBytesMax);

/**
 * Whether somebody beside us, who have `own` of them, has a socket of the netfilter protocol: from
 * the kernel's list for this network namespace (lines of address, protocol, port, groups, …; port 0
 * is the kernel's own end). Who listens to groups watches. A list that cannot be read, or is longer
 * than it should be, may hold one.
 */
export function hasOthers(own: number, path = '/proc/net/netlink'): boolean {
  let length = 0;
  try {
    const list = openSync(path, 'r');
    // A read gives a page of it.
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
  /** Since when there was no gap of each kind. */
  readonly #since = quietGaps.map(() => Number.NEGATIVE_INFINITY);
  #committedAt = Number.NEGATIVE_INFINITY;
  #resting: Promise<void> | undefined;

  /** @param others whether anybody is there to give way to */
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

  /** A transaction comes: the time since the last one was a gap of each kind that is no longer. */
  #rested(now: number): void {
    quietGaps.forEach(({ milliseconds }, kind) => {
      if (now - this.#committedAt >= milliseconds) this.#since[kind] = now;
    });
    this.#committedAt = now;
  }
}
