/**
 * Keeps the kernel's memory bounded (firewall.bans_max): before bans are delivered, those that end
 * soonest make room for them. Attackers control how many bans there are.
 *
 * Invariant: no more than `bansMax` bans of the table are in the kernel. A ban that made room has
 * ended in the table as well, so its source is counted afresh. An operator's bans go last,
 * permanent ones last of their kind. Some are lifted beforehand, so that the table is not searched
 * for each ban: one in `roomShare` of the bound, one at least.
 */
import { banBatchMax, roomShare, soonestMax } from '../limits.ts';
import type { Change } from '../types.ts';
import type { EnforcerCounters, Settings } from './delivery.ts';

export class Room {
  /** The most bans that the kernel may hold. */
  readonly bansMax: number;
  readonly #settings: Settings;
  readonly #counters: EnforcerCounters;
  /** No fewer than the kernel holds. */
  #held = Number.POSITIVE_INFINITY;

  constructor(settings: Settings, counters: EnforcerCounters) {
    const { engine, backend, bansMax } = settings;
    this.#settings = settings;
    this.#counters = counters;
    this.bansMax = Math.min(bansMax || engine.slots >> 1, backend.bansMax ?? Number.POSITIVE_INFINITY);
  }

  /** Counts anew before room is made next. */
  recount(): void {
    this.#held = Number.POSITIVE_INFINITY;
  }

  /** The kernel took so many bans. */
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
    // The table writes an end in whole seconds: rounded up, it would still run.
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
    log.warn('firewall.bans_max is reached: the bans that end soonest make room', {
      bans: bans.length,
      bansMax: this.bansMax,
    });
  }
}
