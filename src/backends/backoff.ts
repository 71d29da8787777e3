/** A pause that doubles with each failure that comes soon after the one before, from `banRetryMs` up to `banRetryMsMax`. */
import { banRetryMs, banRetryMsMax } from '../limits.ts';

export class Backoff {
  readonly #now: () => number;
  #milliseconds = 0;
  #at = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The pause after a failure now, ms. Starts over where the last pause ended longer ago than it took. */
  next(): number {
    const now = this.#now();
    const isRecent = Math.abs(now - this.#at) < 2 * this.#milliseconds + banRetryMs;
    this.#milliseconds = Math.min(banRetryMsMax, isRecent ? Math.max(banRetryMs, this.#milliseconds * 2) : banRetryMs);
    this.#at = now;
    return this.#milliseconds;
  }
}
