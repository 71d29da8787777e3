/**
 * How long to wait before the next wake-up: like the interrupt moderation of network cards, for log
 * lines.
 *
 * A wake-up costs more than reading a line. A single one is served at once. In a stream of them
 * (`gatherWakes` within `gatherWithinMs`), the next `gatherTimes` are delayed by `gatherMs` each,
 * and each read takes what was written meanwhile. Then the rate is measured again; if the stream
 * continues, the delay doubles, up to `gatherMsMax`.
 */
import {
  decidedFewMax,
  decisionsWaitingMax,
  decisionsWaitingOfAllMax,
  gatherMs,
  gatherMsMax,
  gatherTimes,
  gatherWakes,
  gatherWithinMs,
} from '../limits.ts';

/**
 * How many decisions may wait for the kernel while a log is read whose last read brought this many.
 */
export function waitingMax(decided: number): number {
  return decided > decidedFewMax ? decisionsWaitingMax : decisionsWaitingOfAllMax;
}

export class Moderation {
  readonly #monotonic: () => number;
  /** Wake-ups without a delay, the first of them at `#from`. */
  #wakes = 0;
  #from = 0;
  /** How many delays are left, and how long each is. */
  #left = 0;
  #milliseconds = 0;

  /** @param monotonic milliseconds of a monotonic clock */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** After a wake-up: the delay before the next one, ms. `found`: something had been written. */
  rest(found: boolean): number {
    if (!found) return this.#none();
    if (this.#left > 0) {
      this.#left--;
      return this.#milliseconds;
    }
    if (this.#wakes === 0) this.#from = this.#monotonic();
    if (++this.#wakes < gatherWakes) return 0;
    const tookMs = this.#monotonic() - this.#from;
    this.#wakes = 0;
    // A stream remains a stream until it is half as fast.
    if (tookMs >= (this.#milliseconds === 0 ? gatherWithinMs : 2 * gatherWithinMs)) return this.#none();
    this.#milliseconds = Math.min(Math.max(gatherMs, 2 * this.#milliseconds), gatherMsMax);
    this.#left = gatherTimes - 1;
    return this.#milliseconds;
  }

  #none(): number {
    this.#left = 0;
    this.#milliseconds = 0;
    return 0;
  }
}
