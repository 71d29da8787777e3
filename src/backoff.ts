/** A pause that doubles each time it is asked for soon after the last one, up to a bound. */
export class Backoff {
  readonly #now: () => number;
  readonly #from: number;
  readonly #max: number;
  #milliseconds = 0;
  #at = Number.NEGATIVE_INFINITY;

  /**
   * @param now milliseconds
   * @param from the first pause, ms
   * @param max the longest, ms
   */
  constructor(now: () => number, from: number, max: number) {
    this.#now = now;
    this.#from = from;
    this.#max = max;
  }

  /**
   * The pause from now on, ms. It starts over when nobody asked for longer than the last pause plus
   * `from`.
   */
  next(): number {
    const now = this.#now();
    const isRecent = Math.abs(now - this.#at) < 2 * this.#milliseconds + this.#from;
    this.#milliseconds = Math.min(this.#max, isRecent ? Math.max(this.#from, this.#milliseconds * 2) : this.#from);
    this.#at = now;
    return this.#milliseconds;
  }
}
