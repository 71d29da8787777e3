/**
 * Reconciliation: compares the kernel with the table, repairs the kernel, and at start adopts the
 * bans that the kernel holds from an earlier run. Other programs that write into the kernel can
 * change what is found there.
 *
 * Invariants: a ban that the table has and the kernel lost comes back; a ban that only the kernel
 * has stays until it ends; a comparison never undoes what an operator does meanwhile. Memory: one
 * bit for each entry of the table, however many bans there are.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { keyText } from '../backends/elements.ts';
import type { TableBan } from '../engine/host.ts';
import * as limits from '../limits.ts';
import { isTaken } from '../places.ts';
import { formatAddress } from '../text/address.ts';
import type { Turns } from '../turns.ts';
import type { Address, Ban } from '../types.ts';
import { Comparison, type HeldBan } from './comparison.ts';
import { codeOf, type Delivery, type EnforcerCounters, type Settings } from './delivery.ts';

export class Reconciliation {
  readonly #settings: Settings;
  readonly #counters: EnforcerCounters;
  readonly #delivery: Delivery;
  readonly #turns: Turns;
  /** The comparison that runs, and what it has found so far. */
  #running: Promise<unknown> = Promise.resolve();
  #comparison: Comparison | undefined;
  /** When the last comparison began (monotonic ms), and how long it took. */
  #comparedAt = Number.NEGATIVE_INFINITY;
  #comparedMs = 0;
  /** When a comparison last found that others had changed the kernel (epoch ms). */
  #repairedAt = Number.NEGATIVE_INFINITY;
  /** When adoption began (monotonic ms); undefined = nothing is being adopted. */
  #adoptingSince: number | undefined;
  /** Addresses that an operator has banned or unbanned since then: adoption leaves them alone. */
  readonly #touched = new Set<string>();
  #ticking: NodeJS.Timeout | undefined;
  /** The allowed networks have changed: the kernel's rules have to be rewritten. */
  #mustInstall = false;
  #isStopped = false;
  /** Another task has the kernel for itself. */
  #isAside = false;

  constructor(settings: Settings, counters: EnforcerCounters, delivery: Delivery, turns: Turns) {
    this.#settings = settings;
    this.#counters = counters;
    this.#delivery = delivery;
    this.#turns = turns;
  }

  /**
   * Says that others removed our sets or rules, for a while after the repair; undefined if nobody
   * did.
   */
  get disturbance(): string | undefined {
    if (this.#settings.now() - this.#repairedAt > limits.repairShownMs) return undefined;
    const last = new Date(this.#repairedAt).toISOString();
    return `the kernel did not hold what it should, last at ${last}: repaired (${this.#counters.repairs} repairs since the start)`;
  }

  /**
   * Says that the table does not know all bans of the kernel yet; undefined if it does, or will in
   * a moment.
   */
  get adoption(): string | undefined {
    if (this.#adoptingSince === undefined || performance.now() - this.#adoptingSince < limits.adoptionShownMs)
      return undefined;
    return 'bans that the kernel holds from before are still being taken over: it drops their packets, but not all are listed yet';
  }

  /**
   * Compares now and from then on at intervals; resolves after the first comparison. `adopts`: that
   * one also adopts bans.
   */
  start(adopts: boolean): Promise<void> {
    if (adopts) this.#adoptingSince = performance.now();
    this.#ticking = setInterval(() => void this.#tick(), limits.reconcileTickMs);
    this.#ticking.unref();
    return this.compare();
  }

  /** From now on no comparison begins; a running one ends soon. */
  async stop(): Promise<void> {
    clearInterval(this.#ticking);
    this.#isStopped = true;
    await this.#running;
  }

  /** An operator bans or unbans this address. */
  touch(jail: number, address: Address): void {
    if (this.#adoptingSince !== undefined) this.#touched.add(touchedText(jail, address));
  }

  /** The kernel has just confirmed this ban. */
  mark(jail: number, address: Address): void {
    this.#comparison?.mark(jail, address);
  }

  /** Starts a comparison unless one runs; resolves when it is over, even if it failed. */
  async compare(): Promise<void> {
    if (this.#comparison === undefined && !this.#isStopped && !this.#isAside)
      this.#running = this.reconcile().catch(() => undefined);
    await this.#running;
  }

  /** Runs a task while nothing is compared. A comparison follows it, or follows it if it fails. */
  async aside<Result>(task: () => Promise<Result>, isCompared = true): Promise<Result> {
    while (this.#comparison !== undefined) await this.#running.catch(() => undefined);
    this.#isAside = true;
    try {
      return await task();
    } catch (error) {
      // The task may have failed half way.
      this.#mustInstall = isCompared = true;
      throw error;
    } finally {
      this.#isAside = false;
      if (isCompared) void this.compare();
    }
  }

  /**
   * Writes the allowed networks into the kernel's rules, and ends the bans of the table that they
   * cover. Nothing is compared: that takes seconds for many bans, and a link may come and go.
   */
  async allowAnew(): Promise<void> {
    const { engine } = this.#settings;
    this.#mustInstall = true;
    try {
      await this.aside(() => this.#turns.take(() => this.#rebuild(), true), false);
      for (let at = 0; at >= 0 && !this.#isStopped; await turn()) {
        const covered: TableBan[] = [];
        at = engine.eachBan(engine.passOver(at), limits.sweepEntries, (ban) => {
          if (this.#isIgnored(ban)) covered.push(ban);
        });
        await this.#liftIgnored(covered);
      }
    } catch (error) {
      this.#settings.log.error('cannot write the ignored addresses', { error: (error as Error).message });
    }
  }

  #isIgnored({ jail, address }: Pick<HeldBan, 'jail' | 'address'>): boolean {
    const { engine, ignored } = this.#settings;
    return engine.isIgnored(jail, address) || engine.isShared(address) || (ignored?.isListed(address) ?? false);
  }

  /** Compares when it is time, or when others wrote into the kernel. */
  async #tick(): Promise<void> {
    if (this.#comparison !== undefined || this.#delivery.isDown) return;
    const elapsed = performance.now() - this.#comparedAt;
    if (elapsed < Math.max(limits.reconcileApartMs, this.#comparedMs * limits.comparisonRests.disturbed)) return;
    const isDue = elapsed >= Math.max(limits.reconcileMs, this.#comparedMs * limits.comparisonRests.quiet);
    try {
      const isDisturbed = await this.#settings.backend.disturbed?.();
      if (isDisturbed) this.#settings.disturbed?.();
      if (isDue || isDisturbed) void this.compare();
    } catch (error) {
      this.#settings.log.warn('cannot ask the kernel', { error: (error as Error).message });
    }
  }

  /**
   * Compares kernel and table and repairs the kernel. Bans continue meanwhile. Returns the number
   * of repairs; rejects if the kernel cannot be read.
   */
  async reconcile(): Promise<number> {
    const { engine, backend, jails, log, now } = this.#settings;
    this.#comparedAt = performance.now();
    const comparison = new Comparison(engine, backend, now);
    this.#comparison = comparison;
    const adopts = this.#adoptingSince !== undefined;
    let repairs = 0;
    let found = 0;
    const ignored: HeldBan[] = [];
    const visit = ({ jail, address, timeoutMs }: Ban): void => {
      // A stop does not wait until all bans are read.
      if (this.#isStopped) throw new Error('stopped');
      found++;
      const index = jails.findIndex(({ name }) => name === jail);
      if (index < 0) return;
      if (this.#isIgnored({ jail: index, address })) {
        if (ignored.length < limits.changesPerTransactionMax) ignored.push({ jail: index, address, timeoutMs });
        return;
      }
      if (adopts) this.#adopt({ jail: index, address, timeoutMs });
      comparison.note({ jail: index, address, timeoutMs });
    };
    try {
      // Resets the notice of changes by others: this comparison looks at all of them.
      if (await backend.disturbed?.()) this.#settings.disturbed?.();
      repairs = await this.#rebuild();
      await backend.each(visit);
      if (adopts) this.#adopted(found);
      await this.#liftIgnored(ignored);
      await this.#lookAgain(comparison, visit);
      repairs += await this.#restore(comparison);
      this.#counters.reconciles++;
      return repairs;
    } catch (error) {
      if (this.#isStopped) return repairs;
      this.#delivery.countFailure(codeOf(error as Error));
      log.error('cannot compare with the kernel', { error: (error as Error).message });
      throw error;
    } finally {
      this.#comparison = undefined;
      this.#comparedMs = performance.now() - this.#comparedAt;
      this.#counters.repairs += repairs;
      // The first comparison finds what earlier runs and boots left: that is no repair.
      if (repairs > 0 && this.#counters.reconciles > 1) this.#repairedAt = now();
      if (repairs > 0) log.warn('the kernel lacked some of our bans or rules; repaired', { repairs });
    }
  }

  /** Makes our sets and rules what they should be; returns 1 if others had changed them. */
  async #rebuild(): Promise<number> {
    const { backend, jails } = this.#settings;
    if (!this.#mustInstall) return Number(await backend.reconcile(jails.filter(isTaken)));
    await backend.install(jails.filter(isTaken));
    this.#mustInstall = false;
    return 0;
  }

  /**
   * Ends bans of addresses that are ignored by now, and of prefixes that several hosts share by
   * now.
   */
  async #liftIgnored(bans: Pick<HeldBan, 'jail' | 'address'>[]): Promise<void> {
    if (bans.length === 0) return;
    const { backend, engine, jails, log } = this.#settings;
    const named = ({ jail, address }: (typeof bans)[number]) => ({ jail: jails[jail]!.name, address });
    await this.#turns.take(() => backend.apply(bans.map((ban) => ({ verb: 'unban', ...named(ban) }))));
    for (const { jail, address } of bans) engine.forget(jail, address);
    this.#counters.lifted += bans.length;
    for (const ban of bans) {
      const { jail, address } = named(ban);
      const why = engine.isShared(address)
        ? 'ban lifted: the prefix is a link of ours now, whose hosts are banned one by one'
        : 'ban lifted: the address is ignored now';
      log.info(why, { jail, address: formatAddress(address) });
    }
  }

  /**
   * A dump misses some bans while the kernel enlarges a hash table. So a ban counts as missing only
   * when two dumps agree.
   */
  async #lookAgain(comparison: Comparison, visit: (held: Ban) => void): Promise<void> {
    let missing = await this.#countMissing(comparison);
    for (let looks = 1; missing > 0 && looks < limits.looksMax; looks++) {
      await this.#settings.backend.each(visit);
      const left = await this.#countMissing(comparison);
      if (left === missing) return;
      missing = left;
    }
  }

  async #countMissing(comparison: Comparison): Promise<number> {
    let count = 0;
    for (let at = 0; at >= 0; await turn()) {
      const { bans, next } = comparison.missing(at);
      count += bans.length;
      at = next;
    }
    return count;
  }

  /** Brings the missing bans back, slice by slice; returns how many the kernel accepted. */
  async #restore(comparison: Comparison): Promise<number> {
    let restored = 0;
    for (let at = 0; at >= 0 && !this.#delivery.isDown && !this.#isStopped; await turn()) {
      await this.#settings.backend.pause?.();
      // Reading the table and writing the kernel happen in one turn, so that an unban cannot come
      // in between and be undone.
      await this.#turns.take(async () => {
        const { bans, next } = comparison.missing(at);
        at = next;
        await this.#delivery.send(this.#delivery.sendable(bans), (part) => {
          restored += part.length;
        });
      });
    }
    return restored;
  }

  /**
   * Adopts a ban that the kernel holds from an earlier run. If the table already has the ban, the
   * later end wins: the kernel may have a ban from after the last save, and the table may have an
   * end that the kernel cannot hold.
   */
  #adopt({ jail, address, timeoutMs }: HeldBan): void {
    const { backend, engine, jails } = this.#settings;
    if (this.#touched.has(touchedText(jail, address))) return;
    const now = this.#settings.now() / 1000;
    const { bantime } = jails[jail]!;
    const seconds = timeoutMs > 0 ? timeoutMs / 1000 : backend.keepsEnds === false ? bantime : -1;
    const end = seconds < 0 ? Number.POSITIVE_INFINITY : now + seconds;
    const known = engine.findBan(jail, address);
    const isKnown =
      known !== undefined && (known.end > end - limits.timeoutToleranceMs / 1000 || backend.keepsEnds === false);
    // The kernel may hold an earlier ban of a source that was banned again just now.
    if (isKnown && (known.confirmed || !known.restored)) return;
    if (isKnown) engine.confirmBan(jail, address);
    else engine.setBan(jail, address, now, end);
    this.#counters.restored[jail]!++;
    this.#settings.restored?.(known ?? { ...unseen, jail, address, end });
  }

  /** Every ban of an earlier run is in the table now. */
  #adopted(bans: number): void {
    this.#adoptingSince = undefined;
    this.#touched.clear();
    if (bans === 0) return;
    this.#settings.log.info('bans taken over from the kernel', { bans });
    this.#settings.changed?.();
  }
}

/** What we do not know about a ban that only the kernel holds. */
const unseen = { index: -1, confirmed: true, restored: true, manual: false, bans: 0 };

const touchedText = (jail: number, { bytes }: Address): string => `${jail} ${keyText(bytes)}`;
