/** A counter's growth, a minute at a time. */

const minuteMs = 60_000;

/** How much a counter grew in the minute that ended last; until one has ended, since the start. */
export class PerMinute {
  readonly #read: () => number;
  /** The counter when the minute that runs began. */
  #value = 0;
  #grown: number | undefined;

  constructor(read: () => number) {
    this.#read = read;
    // By the clock, not when somebody asks: else a minute would be as long as nobody does.
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
