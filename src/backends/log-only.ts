/**
 * The dry run: says what it would ban and does not touch the kernel. Bans are remembered with their
 * end, so that `each` answers like a real backend; an unknown jail is refused as well. Full: beyond
 * `logOnlyBansMax` bans the oldest are forgotten.
 */

import { logOnlyBansMax } from '../limits.ts';
import type { Address, Backend, Ban, Change, JailScaffold } from '../types.ts';

interface Remembered {
  ban: Ban;
  /** In the time of `now`, ms; Infinity = never. */
  end: number;
}

const keyOf = (jail: string, { bytes, prefix }: Address) =>
  `${jail}/${prefix}/${Buffer.from(bytes).toString('latin1')}`;

export class LogOnlyBackend implements Backend {
  readonly name = 'log-only';
  readonly holds = false;
  readonly #say: (action: Change) => void;
  readonly #now: () => number;
  readonly #jails = new Set<string>();
  readonly #bans = new Map<string, Remembered>();

  /** @param say called for every change @param now milliseconds of a clock that does not jump */
  constructor(say: (action: Change) => void, now: () => number = () => performance.now()) {
    this.#say = say;
    this.#now = now;
  }

  async install(jails: JailScaffold[]): Promise<void> {
    this.#jails.clear();
    for (const jail of jails) this.#jails.add(jail.name);
    for (const [key, { ban }] of this.#bans) if (!this.#jails.has(ban.jail)) this.#bans.delete(key);
  }

  async apply(changes: Change[]): Promise<void> {
    for (const change of changes) {
      const { jail, address } = change.verb === 'ban' ? change.ban : change;
      if (!this.#jails.has(jail)) throw new Error(`jail ${jail} is not installed`);
      this.#say(change);
      const key = keyOf(jail, address);
      this.#bans.delete(key);
      if (change.verb === 'ban' && change.ban.timeoutMs >= 0) {
        if (this.#bans.size === logOnlyBansMax) this.#bans.delete(this.#bans.keys().next().value!);
        const { timeoutMs } = change.ban;
        this.#bans.set(key, { ban: change.ban, end: timeoutMs === 0 ? Infinity : this.#now() + timeoutMs });
      }
    }
  }

  async each(visit: (ban: Ban) => void): Promise<number> {
    const now = this.#now();
    for (const [key, { ban, end }] of this.#bans) {
      if (end <= now) this.#bans.delete(key);
      else visit({ ...ban, timeoutMs: end === Infinity ? 0 : end - now });
    }
    return this.#bans.size;
  }

  async reconcile(): Promise<boolean> {
    return false;
  }

  async remove(): Promise<void> {
    this.#bans.clear();
    this.#jails.clear();
  }

  close(): void {}
}
