/**
 * How long nobody need be woken again: the interrupt moderation of network cards, for log lines.
 *
 * A wake-up costs more than reading a line. One that comes now and then is served at once. Of a
 * stream of them (`gatherWakes` within `gatherWithinMs`), the next `gatherTimes` rest for
 * `gatherMs` each, and each read takes what was written meanwhile; then it is measured again, and a
 * stream that goes on rests twice as long, up to `gatherMsMax`.
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

/** How many decisions may wait for the kernel while a log is read that brought so many last. */
export function waitingMax(decided: number): number {
  return decided > decidedFewMax ? decisionsWaitingMax : decisionsWaitingOfAllMax;
}

export class Moderation {
  readonly #monotonic: () => number;
  /** Wake-ups without a rest, the first of them at `#from`. */
  #wakes = 0;
  #from = 0;
  /** How many rests are left, and how long each is. */
  #left = 0;
  #milliseconds = 0;

  /** @param monotonic milliseconds that never go back */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** After a wake-up: the rest before the next one, ms. `found`: something had been written. */
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
    // What was a stream remains one until it is half as fast.
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
