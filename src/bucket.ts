/**
 * A budget that fills with time: for things that may happen a few times at once, and then only at a
 * rate.
 */
export class Bucket {
  readonly #now: () => number;
  readonly #most: number;
  readonly #refillMs: number;
  #left: number;
  #at: number;

  /**
   * @param now milliseconds; when they go back, the budget gains nothing
   * @param most what a full budget holds
   * @param refillMs the budget gains one each time this has passed, ms
   */
  constructor(now: () => number, most: number, refillMs: number) {
    this.#now = now;
    this.#most = most;
    this.#refillMs = refillMs;
    this.#left = most;
    this.#at = now();
  }

  /** Whether it may be done now. A yes takes one from the budget. */
  take(): boolean {
    const elapsed = this.#now() - this.#at;
    const gained = Math.floor(elapsed / this.#refillMs);
    this.#left = Math.min(this.#most, this.#left + Math.max(0, gained));
    this.#at += elapsed < 0 ? elapsed : gained * this.#refillMs;
    if (this.#left === 0) return false;
    this.#left--;
    return true;
  }
}
