/**
 * Gives way to other programs: a transaction of ours makes a foreign `nft -f` that is under way
 * start again (the kernel answers ERESTART), so a steady stream of bans would keep it from ever
 * finishing. Nothing shows without doubt that such a program runs: a local user can open netlink
 * sockets and start processes that look like it. So there are quiet gaps at fixed times, whoever is
 * there: short ones often, for what takes a moment, and long ones now and then, for large files.
 * The first ban after a quiet time never waits.
 */
import { setTimeout } from 'node:timers/promises';
import { quietGaps } from '../../limits.ts';

/** Milliseconds, never jumping; and a sleep on the same clock. */
export interface Clock {
  now(): number;
  sleep(milliseconds: number): Promise<unknown>;
}

const realClock: Clock = { now: () => performance.now(), sleep: (milliseconds) => setTimeout(milliseconds) };

export class Pacer {
  readonly #clock: Clock;
  /** Since when there was no gap of each kind. */
  readonly #since = quietGaps.map(() => Number.NEGATIVE_INFINITY);
  #committedAt = Number.NEGATIVE_INFINITY;
  #resting: Promise<void> | undefined;

  constructor(clock: Clock = realClock) {
    this.#clock = clock;
  }

  /** Called before each transaction: undefined = go ahead; else resolves when the gap is over. */
  pause(): Promise<void> | undefined {
    if (this.#resting !== undefined) return this.#resting;
    const now = this.#clock.now();
    this.#rested(now);
    const due = quietGaps.findIndex(({ everyMs }, kind) => now - this.#since[kind]! >= everyMs);
    if (due >= 0) this.#resting = this.#rest(quietGaps[due]!.milliseconds);
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
