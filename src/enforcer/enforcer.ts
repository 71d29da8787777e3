/**
 * The loop from decisions to bans, and an operator's commands. Delivery (delivery.ts) talks to the
 * kernel, reconciliation (reconciliation.ts) compares it with the table.
 *
 * Invariants: the table says banned only after the backend said so; a decision is never forgotten,
 * since the table keeps it as decided until then (claims FM-*, D-*); one transaction at a time.
 * Memory: one batch, however many decisions wait. Decisions that do not fit the ring, and those of
 * failed batches, are found by a sweep over the table in bounded slices.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { DECISIONS_DEFERRED } from '../engine/counters.ts';
import type { Denial, TableBan } from '../engine/host.ts';
import { decisionBatchMax, enforcerStopMs, ownAddressesApartMs, ownAddressesLookMs, sweepEntries } from '../limits.ts';
import { isTaken } from '../places.ts';
import { Turns } from '../turns.ts';
import type { Address, Change, Decision, JailScaffold } from '../types.ts';
import {
  codeOf,
  countersOf,
  Delivery,
  type EnforcerCounters,
  type EnforcerOptions,
  type Settings,
} from './delivery.ts';
import { Latency } from './latency.ts';
import { Reconciliation } from './reconciliation.ts';
import { Room } from './room.ts';

export class Enforcer {
  readonly counters: EnforcerCounters;
  readonly latency = new Latency();
  readonly #settings: Settings;
  readonly #delivery: Delivery;
  readonly #room: Room;
  readonly #reconciliation: Reconciliation;
  /** Transactions: never two at a time. */
  readonly #turns = new Turns();
  #isBusy = false;
  /**
   * When a decision was first seen to wait; the second is that of the current batch (monotonic ms).
   */
  #waitingSince: number | undefined;
  #batchSince: number | undefined;
  #isStopped = false;
  /** Bans that were evicted from the table and are still in the kernel. */
  readonly #evicted: Denial[] = [];
  /** Where the sweep for decided bans continues; -1 = no sweep runs. */
  #sweepAt = -1;
  #deferredSeen = 0;
  /** When the addresses of this host were last checked (monotonic ms). */
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: NodeJS.Timeout | undefined;
  #areAllIgnored = true;

  constructor(options: EnforcerOptions) {
    this.#settings = { now: Date.now, bansMax: 0, ...options };
    this.counters = countersOf(options.jails.length);
    this.#delivery = new Delivery(this.#settings, this.counters, (setsAreGone) => void this.#tryAgain(setsAreGone));
    this.#room = new Room(this.#settings, this.counters);
    this.#reconciliation = new Reconciliation(this.#settings, this.counters, this.#delivery, this.#turns);
  }

  /** Why bans do not reach the kernel now; undefined when they do. */
  get problem(): string | undefined {
    if (!this.#areAllIgnored) return 'there is no room for all networks that are ignored: restart to make it';
    return this.#delivery.problem;
  }

  /** The most bans that the kernel may hold. */
  get bansMax(): number {
    return this.#room.bansMax;
  }

  /** Everything that an operator must know, the worst first. */
  get problems(): (string | undefined)[] {
    return [this.problem, this.disturbance, this.#reconciliation.adoption];
  }

  /** See `Reconciliation.disturbance`. */
  get disturbance(): string | undefined {
    return this.#reconciliation.disturbance;
  }

  /** Decisions may be waiting. Cheap; called after every read. */
  wake(): void {
    if (this.#settings.engine.waiting > 0) this.#waitingSince ??= performance.now();
    if (this.#isBusy || this.#isStopped || this.#delivery.isDown || !this.#hasWork()) return;
    this.#isBusy = true;
    void this.#work().finally(() => {
      this.#isBusy = false;
      this.wake();
    });
  }

  /**
   * Delivers what the saved state left decided, compares kernel and table, and repeats that at
   * intervals. `adopts`: the first comparison adopts the bans that the kernel holds from an earlier
   * run. For a million bans that takes a while; meanwhile logs are read, operators are answered,
   * and the kernel keeps dropping.
   */
  start({ adopts = false } = {}): void {
    this.#looking = setInterval(() => this.follow(), ownAddressesLookMs);
    this.#looking.unref();
    // A dry run has nothing in the kernel that others could change.
    const compared = this.#settings.backend.holds ? this.#reconciliation.start(adopts) : undefined;
    // Bans that the kernel still holds are adopted first, so that only the others are delivered.
    if (adopts)
      void compared?.then(() => {
        this.#room.recount();
        this.#sweep();
      });
    this.follow();
    if (!adopts || compared === undefined) this.#sweep();
  }

  /** See `Reconciliation.reconcile`. */
  reconcile(): Promise<number> {
    return this.#reconciliation.reconcile();
  }

  /**
   * An operator's bans: in the kernel when it resolves. Rejects with the backend's error. `seconds`
   * -1 = permanent.
   */
  async ban(jail: number, addresses: readonly Address[], seconds: number): Promise<void> {
    const { backend, engine, jails } = this.#settings;
    const timeoutMs = seconds < 0 ? 0 : seconds * 1000;
    const { name } = jails[jail]!;
    for (const address of addresses) this.#reconciliation.touch(jail, address);
    await this.#forOperator(async () => {
      if (jails[jail]!.name !== name) throw new Error(`jail ${name} is gone`);
      await this.#room.make(addresses.length);
      await backend.apply(addresses.map((address) => ({ verb: 'ban', ban: { jail: name, address, timeoutMs } })));
      const now = this.#settings.now() / 1000;
      const end = seconds < 0 ? Number.POSITIVE_INFINITY : now + seconds;
      for (const address of addresses) {
        engine.setBan(jail, address, now, end, 0, true);
        this.#reconciliation.mark(jail, address);
      }
      this.#room.add(addresses.length);
    });
    this.counters.bans[jail]! += addresses.length;
    this.#settings.changed?.();
  }

  /**
   * Ends bans; a ban that does not exist is no error. Only bans that the table held are counted.
   */
  async unban(bans: readonly { jail: number; address: Address }[]): Promise<void> {
    const { backend, engine, jails } = this.#settings;
    const named = bans.map(({ jail, address }) => ({ jail, name: jails[jail]!.name, address }));
    for (const { jail, address } of bans) this.#reconciliation.touch(jail, address);
    await this.#forOperator(async () => {
      // A jail that a reload took away meanwhile took its bans with it.
      const there = named.filter(({ jail, name }) => jails[jail]!.name === name);
      await backend.apply(there.map(({ name, address }): Change => ({ verb: 'unban', jail: name, address })));
      for (const { jail, address } of there) {
        if (engine.isBanned(jail, address)) this.counters.unbans++;
        engine.forget(jail, address);
      }
    });
    this.#settings.changed?.();
  }

  /**
   * Replaces the jails: first in the kernel, then, at once, in the table, where `commit` replaces
   * them in the settings. Waits for the promise of `busy`. `fresh`: numbers that then belong to
   * another jail, or to none. Rejects with the backend's error if the kernel refuses; then nothing
   * has changed.
   */
  async change(
    jails: readonly JailScaffold[],
    fresh: ReadonlySet<number>,
    busy: () => Promise<void> | undefined,
    commit: () => void,
  ): Promise<void> {
    const { backend, engine, decided, jails: own } = this.#settings;
    await this.#reconciliation.aside(() =>
      this.#turns.take(async () => {
        await this.#liftEvicted();
        await backend.install(jails.filter(isTaken));
        for (let other = busy(); other !== undefined; other = busy()) await other;
        // The table keeps what was decided: a sweep finds it, for the jails that remain.
        engine.takeDecisions((decision) => decided?.(decision));
        if (this.#mustLift) engine.takeDenials((denial) => this.#evicted.push(denial));
        commit();
        for (const [index, { allow }] of jails.entries()) own[index]!.allow = allow ?? [];
        for (const jail of fresh) this.counters.bans[jail] = this.counters.restored[jail] = 0;
        const stays = this.#evicted.filter(({ jail }) => !fresh.has(jail));
        this.#evicted.splice(0, this.#evicted.length, ...stays);
        this.#room.recount();
      }),
    );
    this.#settings.changed?.();
    this.#sweep();
  }

  /** Runs a transaction in its turn. */
  inTurn(task: () => Promise<void>): Promise<void> {
    return this.#turns.take(task);
  }

  /** Makes the kernel's sets and rules what the jails ask for now. */
  install(): Promise<void> {
    const { backend, jails } = this.#settings;
    return this.#reconciliation.aside(() => this.#turns.take(() => backend.install(jails.filter(isTaken))));
  }

  /** Sends what waits, then nothing more. */
  async stop(): Promise<void> {
    clearInterval(this.#looking);
    if (this.#delivery.endPauses()) this.#sweepAt = 0;
    // What is left stays decided; the saved state has it.
    await this.#work(performance.now() + enforcerStopMs);
    this.#isStopped = true;
    this.#delivery.close();
    await this.#reconciliation.stop();
    await this.#turns.over();
  }

  /** A pause of the delivery is over: a sweep finds what was not delivered. */
  async #tryAgain(setsAreGone: boolean): Promise<void> {
    if (setsAreGone) await this.#reconciliation.compare();
    this.#sweep();
  }

  /** Starts a search of the table for bans that were not delivered. */
  #sweep(): void {
    this.#sweepAt = 0;
    this.wake();
  }

  /**
   * Updates the ignored addresses: those of this host and those that an operator ignores. False if
   * there is no room for all of them. With `inKernel` false, the caller runs `allowAnew` later.
   */
  follow(inKernel = true): boolean {
    const { engine, ignored, jails, log } = this.#settings;
    this.#lookedAt = performance.now();
    if (!ignored?.look()) return this.#areAllIgnored;
    this.#areAllIgnored = engine.setIgnored(ignored.lists, ignored.links);
    for (const [index, jail] of jails.entries()) jail.allow = ignored.lists[index]!;
    log.info('the ignored addresses have changed: those of this host, or by hand');
    if (inKernel) this.allowAnew();
    return this.#areAllIgnored;
  }

  /** Writes the ignored addresses into the kernel's rules, and ends the bans that they cover. */
  allowAnew(): void {
    if (this.#settings.backend.holds) void this.#reconciliation.allowAnew();
  }

  /** Runs a task in its turn; if others removed our sets, recreates them first. */
  async #forOperator(task: () => Promise<void>): Promise<void> {
    this.counters.transactions++;
    try {
      await this.#turns.take(task);
    } catch (error) {
      if (codeOf(error as Error) !== 'ENOENT') throw error;
      await this.#reconciliation.compare();
      await this.#turns.take(task);
    }
  }

  #hasWork(): boolean {
    const { engine } = this.#settings;
    if (engine.waiting > 0 || this.#sweepAt >= 0 || engine.banAllDue || this.#mustLift) return true;
    return engine.counter(DECISIONS_DEFERRED) !== this.#deferredSeen;
  }

  /**
   * Delivers batch after batch until nothing waits, the kernel accepts nothing, or it is `until`
   * (monotonic ms).
   */
  async #work(until = Number.POSITIVE_INFINITY): Promise<void> {
    const { backend, engine } = this.#settings;
    while (this.#hasWork() && !this.#delivery.isDown && !this.#isStopped && performance.now() < until) {
      const pause = backend.pause?.();
      if (pause !== undefined) await pause;
      // A sweep visits the whole table. Other work gets its turn between slices, whatever the
      // backend waits for.
      else if (this.#sweepAt >= 0) await turn();
      if (performance.now() - this.#lookedAt >= ownAddressesApartMs) this.follow();
      if (engine.banAllDue) await this.#banAll();
      // A long list of an operator does not delay what the logs show.
      else await this.#turns.take(() => this.#deliver(this.#gather()), true);
    }
  }

  /**
   * The policy ban_all: bans every tracked source and empties the table, slice by slice. Decisions
   * continue in between.
   */
  async #banAll(): Promise<void> {
    const { engine, log } = this.#settings;
    const now = Math.floor(this.#settings.now() / 1000);
    log.warn('the table is full: every tracked source is banned');
    engine.startBanAll();
    for (let at = 0; at >= 0; ) {
      engine.banAll(at, sweepEntries, now);
      await this.#turns.take(async () => {
        this.#batchSince = undefined;
        if (!this.#delivery.isDown) await this.#deliver(this.#decidedIn(at).batch);
      });
      // Entries that did not reach the kernel stay.
      at = engine.resetAll(at, sweepEntries, now);
      await turn();
    }
  }

  /** Sends a batch after making room for it. */
  async #deliver(batch: TableBan[]): Promise<void> {
    try {
      await this.#liftEvicted();
      await this.#room.make(batch.length);
    } catch (error) {
      this.#delivery.countFailure(codeOf(error as Error));
      return this.#delivery.goDown(error as Error, batch.length);
    }
    await this.#delivery.send(batch, this.#confirmed);
  }

  /** Whether bans were evicted from the table and are still in the kernel. */
  get #mustLift(): boolean {
    const { engine } = this.#settings;
    return this.#evicted.length > 0 || (engine.evictionPolicy === 'evict_oldest' && engine.hasDenials);
  }

  /** Ends the bans that were evicted from the table. */
  async #liftEvicted(): Promise<void> {
    const { backend, engine, jails } = this.#settings;
    if (!this.#mustLift) return;
    if (this.#evicted.length === 0) engine.takeDenials((denial) => this.#evicted.push(denial));
    await backend.apply(
      this.#evicted.map(({ jail, address }) => ({ verb: 'unban', jail: jails[jail]!.name, address })),
    );
    this.counters.lifted += this.#evicted.length;
    this.#evicted.length = 0;
  }

  /** The next decisions: from the ring, or else from the next slice of a sweep. */
  #gather(): TableBan[] {
    const { engine, decided } = this.#settings;
    const batch: TableBan[] = [];
    engine.takeDecisions((decision) => {
      decided?.(decision);
      batch.push(banOf(decision));
    }, decisionBatchMax);
    this.#batchSince = this.#waitingSince;
    // Decisions that are left came later; nobody noted when.
    if (engine.waiting === 0) this.#waitingSince = undefined;
    if (batch.length > 0) return this.#delivery.sendable(batch);
    this.#batchSince = undefined;
    const deferred = engine.counter(DECISIONS_DEFERRED);
    if (deferred !== this.#deferredSeen) this.#sweepAt = 0;
    this.#deferredSeen = deferred;
    // Another task may have finished the sweep meanwhile.
    if (this.#sweepAt < 0) return [];
    const slice = this.#decidedIn(this.#sweepAt);
    this.#sweepAt = slice.next;
    return slice.batch;
  }

  /**
   * The undelivered bans of one slice of the table, few enough for one transaction, and where the
   * next slice begins.
   */
  #decidedIn(first: number): { batch: TableBan[]; next: number } {
    const batch: TableBan[] = [];
    const { engine } = this.#settings;
    const next = engine.eachBan(engine.passOver(first), sweepEntries, (ban) => {
      if (!ban.confirmed) batch.push(ban);
    });
    return { batch: this.#delivery.sendable(batch), next };
  }

  /** The kernel has confirmed these bans. */
  readonly #confirmed = (batch: TableBan[]): void => {
    const { engine, banned, restored, changed } = this.#settings;
    this.#room.add(batch.length);
    if (this.#batchSince !== undefined) this.latency.note(batch.length, (performance.now() - this.#batchSince) / 1000);
    for (const ban of batch) {
      engine.confirmBan(ban.jail, ban.address);
      this.#reconciliation.mark(ban.jail, ban.address);
      const count = ban.restored ? this.counters.restored : this.counters.bans;
      count[ban.jail]!++;
      if (ban.restored) restored?.(ban);
      else banned?.(ban);
    }
    changed?.();
  };
}

function banOf({ jail, address, time, seconds, bans }: Decision): TableBan {
  const end = seconds < 0 ? Number.POSITIVE_INFINITY : time + seconds;
  return { index: -1, jail, address, end, confirmed: false, restored: false, manual: false, bans };
}
