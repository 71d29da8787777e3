/**
 * Keeps the kernel's memory bounded (firewall.bans_max): before new bans are delivered, the bans
 * that end soonest are lifted to make room. Attackers control how many bans there are.
 *
 * Invariant: no more than `bansMax` bans of the table are in the kernel. A ban that was lifted for
 * this ends in the table as well, so its source is counted afresh. An operator's bans are lifted
 * last, permanent ones last of all. More bans are lifted than needed, one in `roomShare` of the
 * bound and at least one, so that the table is not searched for each ban.
 */
import { banBatchMax, roomShare, soonestMax } from '../limits.ts';
import type { Change } from '../types.ts';
import type { EnforcerCounters, Settings } from './delivery.ts';

export class Room {
  /** The most bans that the kernel may hold. */
  readonly bansMax: number;
  readonly #settings: Settings;
  readonly #counters: EnforcerCounters;
  /** At least as many as the kernel holds. */
  #held = Number.POSITIVE_INFINITY;

  constructor(settings: Settings, counters: EnforcerCounters) {
    const { engine, backend, bansMax } = settings;
    this.#settings = settings;
    this.#counters = counters;
    this.bansMax = Math.min(bansMax || engine.slots >> 1, backend.bansMax ?? Number.POSITIVE_INFINITY);
  }

  /** The next `make` counts again. */
  recount(): void {
    this.#held = Number.POSITIVE_INFINITY;
  }

  /** The kernel accepted this many bans. */
  add(bans: number): void {
    this.#held += bans;
  }

  /**
   * Makes room for `bans` more; to be called between two transactions. Rejects with the kernel's
   * error.
   */
  async make(bans: number): Promise<void> {
    if (this.#held + bans <= this.bansMax) return;
    const { engine } = this.#settings;
    this.#held = engine.countHeld(this.#settings.now() / 1000);
    const spare = Math.floor(this.bansMax / roomShare);
    let lift = this.#held + bans - this.bansMax;
    if (lift + spare <= 0) return;
    for (lift = Math.max(1, lift + spare); lift > 0; lift -= soonestMax) await this.#lift(Math.min(lift, soonestMax));
  }

  /** Ends the `count` bans that end soonest. */
  async #lift(count: number): Promise<void> {
    const { backend, engine, jails, log } = this.#settings;
    // The table stores an end in whole seconds: rounded up, the ban would still run.
    const now = Math.floor(this.#settings.now() / 1000);
    const bans = engine.soonestBans(now, count);
    for (let at = 0; at < bans.length; at += banBatchMax) {
      const part = bans.slice(at, at + banBatchMax);
      await backend.apply(
        part.map(({ jail, address }): Change => ({ verb: 'unban', jail: jails[jail]!.name, address })),
      );
      for (const { jail, address } of part) engine.setBan(jail, address, now, now);
      this.#held -= part.length;
      this.#counters.lifted += part.length;
    }
    if (bans.length === 0) return;
    log.warn('firewall.bans_max is reached: the bans that end soonest are lifted', {
      bans: bans.length,
      bansMax: this.bansMax,
    });
  }
}
