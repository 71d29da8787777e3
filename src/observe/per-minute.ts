/**
 * How much a counter grows per minute.
 */

const minuteMs = 60_000;

/**
 * How much a counter grew in the last whole minute; before the first one is over, since the start.
 */
export class PerMinute {
  readonly #read: () => number;
  /** The counter's value when the current minute began. */
  #value = 0;
  #grown: number | undefined;

  constructor(read: () => number) {
    this.#read = read;
    // A timer, not the callers, ends the minute: otherwise it would last until somebody asks.
    setInterval(() => this.#turn(), minuteMs).unref();
  }

  read(): number {
    return this.#grown ?? this.#read() - this.#value;
  }

  #turn(): void {
    const value = this.#read();
    this.#grown = value - this.#value;
    this.#value = value;
  }
}
