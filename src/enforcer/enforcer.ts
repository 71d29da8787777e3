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
  /** When a decision was first seen to wait, and the same of the batch at hand (monotonic ms). */
  #waitingSince: number | undefined;
  #batchSince: number | undefined;
  #isStopped = false;
  /** Bans that made room in the table and are still in the kernel. */
  readonly #evicted: Denial[] = [];
  /** Where the sweep for decided bans goes on; -1 = none is due. */
  #sweepAt = -1;
  #deferredSeen = 0;
  /** When the addresses of this host were last looked at (monotonic ms). */
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

  /** What keeps bans out of the kernel now; undefined when nothing does. */
  get problem(): string | undefined {
    if (!this.#areAllIgnored) return 'there is no room for all networks that are ignored: restart to make it';
    return this.#delivery.problem;
  }

  /** The most bans that the kernel may hold. */
  get bansMax(): number {
    return this.#room.bansMax;
  }

  /** All that an operator must know about, the worst first. */
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
   * Delivers what the saved state left decided; compares kernel and table at once and from then on.
   * `adopts`: the first comparison adopts what the kernel holds from an earlier run. A million bans
   * take a while: logs are read and operators answered meanwhile, and the kernel goes on dropping.
   */
  start({ adopts = false } = {}): void {
    this.#looking = setInterval(() => this.follow(), ownAddressesLookMs);
    this.#looking.unref();
    // A dry run holds nothing that others could change.
    const compared = this.#settings.backend.holds ? this.#reconciliation.start(adopts) : undefined;
    // What the kernel still holds is adopted first: only the rest has to be delivered.
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
   * An operator's bans: in the kernel when it resolves, or rejects with the backend's error.
   * `seconds` -1 = permanent.
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

  /** Ends bans; an absent one is no error. Only those that the table held are counted. */
  async unban(bans: readonly { jail: number; address: Address }[]): Promise<void> {
    const { backend, engine, jails } = this.#settings;
    const changes: Change[] = bans.map(({ jail, address }) => ({ verb: 'unban', jail: jails[jail]!.name, address }));
    for (const { jail, address } of bans) this.#reconciliation.touch(jail, address);
    await this.#forOperator(async () => {
      await backend.apply(changes);
      for (const { jail, address } of bans) {
        if (engine.isBanned(jail, address)) this.counters.unbans++;
        engine.forget(jail, address);
      }
    });
    this.#settings.changed?.();
  }

  /**
   * Other jails in the kernel, then, at once, in the table: `commit` makes them those of the
   * settings. It waits for what `busy` promises. `fresh`: numbers whose jail is another then, or
   * none. Rejects with the backend's error where the kernel refuses; then nothing has changed.
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
        // The table holds what was decided: a sweep finds it, in the jails that stay.
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
    // What is left after that stays decided: the saved state knows it.
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

  /** Looks through the table for what was not delivered. */
  #sweep(): void {
    this.#sweepAt = 0;
    this.wake();
  }

  /**
   * Follows the addresses of this host and what is ignored by hand: they are ignored from now on,
   * and no others. False where there is no room for all of them. `inKernel` false: `allowAnew`
   * follows.
   */
  follow(inKernel = true): boolean {
    const { engine, ignored, jails, log } = this.#settings;
    this.#lookedAt = performance.now();
    if (!ignored?.look()) return this.#areAllIgnored;
    this.#areAllIgnored = engine.setIgnored(ignored.lists, ignored.links);
    for (const [index, jail] of jails.entries()) jail.allow = ignored.lists[index]!;
    log.info('what is ignored has changed: addresses of this host, or by hand');
    if (inKernel) this.allowAnew();
    return this.#areAllIgnored;
  }

  /** Brings what is ignored into the kernel's rules, and ends the bans that it covers. */
  allowAnew(): void {
    if (this.#settings.backend.holds) void this.#reconciliation.allowAnew();
  }

  /** Runs a task in its turn; sets that others removed are made anew first. */
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
   * Batch after batch until nothing waits, the kernel takes nothing, or it is `until` (monotonic
   * ms).
   */
  async #work(until = Number.POSITIVE_INFINITY): Promise<void> {
    const { backend, engine } = this.#settings;
    while (this.#hasWork() && !this.#delivery.isDown && !this.#isStopped && performance.now() < until) {
      const pause = backend.pause?.();
      if (pause !== undefined) await pause;
      // A sweep visits the whole table: others have their turn between its slices, whatever the
      // backend waits for.
      else if (this.#sweepAt >= 0) await turn();
      if (performance.now() - this.#lookedAt >= ownAddressesApartMs) this.follow();
      if (engine.banAllDue) await this.#banAll();
      else await this.#turns.take(() => this.#deliver(this.#gather()));
    }
  }

  /**
   * The policy ban_all: bans every tracked source and empties the table, slice by slice. Decisions
   * go on in between.
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
      // What did not reach the kernel stays.
      at = engine.resetAll(at, sweepEntries, now);
      await turn();
    }
  }

  /** Sends a batch, after room was made for it. */
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

  /** Whether bans made room in the table and are still in the kernel. */
  get #mustLift(): boolean {
    const { engine } = this.#settings;
    return this.#evicted.length > 0 || (engine.evictionPolicy === 'evict_oldest' && engine.hasDenials);
  }

  /** Ends the bans that made room in the table. */
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

  /** The next decisions: from the ring, else from the next slice of a sweep. */
  #gather(): TableBan[] {
    const { engine, decided } = this.#settings;
    const batch: TableBan[] = [];
    engine.takeDecisions((decision) => {
      decided?.(decision);
      batch.push(banOf(decision));
    }, decisionBatchMax);
    this.#batchSince = this.#waitingSince;
    // What is left came later; when, nobody has noted.
    if (engine.waiting === 0) this.#waitingSince = undefined;
    if (batch.length > 0) return this.#delivery.sendable(batch);
    this.#batchSince = undefined;
    const deferred = engine.counter(DECISIONS_DEFERRED);
    if (deferred !== this.#deferredSeen) this.#sweepAt = 0;
    this.#deferredSeen = deferred;
    // Another task may have swept meanwhile.
    if (this.#sweepAt < 0) return [];
    const slice = this.#decidedIn(this.#sweepAt);
    this.#sweepAt = slice.next;
    return slice.batch;
  }

  /**
   * The undelivered bans of a slice of the table, which fit one transaction; where the next begins.
   */
  #decidedIn(first: number): { batch: TableBan[]; next: number } {
    const batch: TableBan[] = [];
    const { engine } = this.#settings;
    const next = engine.eachBan(engine.passOver(first), sweepEntries, (ban) => {
      if (!ban.confirmed) batch.push(ban);
    });
    return { batch: this.#delivery.sendable(batch), next };
  }

  /** The kernel holds these bans now. */
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
