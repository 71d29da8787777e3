/**
 * Ends of bans. The kernel ends a ban by itself and nobody is told; so the table is looked through
 * now and then for bans whose end has come since. A ban that was evicted meanwhile is missed: its
 * record of the ban says when it ended.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Engine, TableBan } from '../engine/host.ts';
import { expiryLookMs, sweepEntries } from '../limits.ts';

export class Expiry {
  readonly #engine: Pick<Engine, 'eachBan'>;
  readonly #tell: (ban: TableBan) => void;
  readonly #now: () => number;
  #from: number;
  #timer: NodeJS.Timeout | undefined;

  /** @param now epoch milliseconds */
  constructor(engine: Pick<Engine, 'eachBan'>, tell: (ban: TableBan) => void, now: () => number = Date.now) {
    this.#engine = engine;
    this.#tell = tell;
    this.#now = now;
    this.#from = this.#second();
  }

  start(): void {
    this.#timer = setTimeout(() => void this.look().finally(() => this.#timer && this.start()), expiryLookMs).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Tells of each ban that the kernel held and that ended since the last look. */
  async look(): Promise<void> {
    const ended = { from: this.#from, until: this.#second() };
    this.#from = ended.until;
    for (let at = 0; at >= 0; await turn()) {
      at = this.#engine.eachBan(at, 16 * sweepEntries, (ban) => ban.confirmed && this.#tell(ban), ended);
    }
  }

  #second(): number {
    return Math.floor(this.#now() / 1000);
  }
}
