/**
 * From decisions to bans that the kernel holds. Everything that is not per line: batches, retries,
 * the comparison of kernel and table, what the operator asks.
 *
 * Invariants: the table says banned only after the backend said so; a decision is never forgotten,
 * since the table keeps it as decided until then, whatever happens to a batch (claims FM-*, D-*); a
 * ban that the kernel refuses holds back no other. One transaction at a time. Memory: one batch,
 * however many decisions wait; those that do not fit the ring, and those of failed batches, are
 * found again by a sweep over the table in bounded slices.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { keyText, UnsupportedChange } from '../backends/elements.ts';
import { Backoff } from '../backoff.ts';
import { DECISIONS_DEFERRED } from '../engine/counters.ts';
import type { Engine, TableBan } from '../engine/host.ts';
import {
  adoptionShownMs,
  banBatchMax,
  banRetryMs,
  banRetryMsMax,
  comparisonRests,
  dropsLookMs,
  enforcerStopMs,
  reconcileApartMs,
  reconcileMs,
  reconcileTickMs,
  refusalsPerBatchMax,
  repairShownMs,
  sweepEntries,
  timeoutToleranceMs,
} from '../limits.ts';
import type { Logger } from '../log.ts';
import { DropTally } from '../observe/drop-tally.ts';
import type { Address, Backend, Ban, Change, Decision, JailConfig } from '../types.ts';
import { Comparison } from './comparison.ts';

export interface EnforcerOptions {
  engine: Engine;
  backend: Backend;
  jails: JailConfig[];
  log: Logger;
  /** Epoch milliseconds. */
  now?: () => number;
  /** Told of each decision that the engine hands over, before it is carried out. */
  decided?: (decision: Decision) => void;
  /** Told of each ban that the kernel confirmed. */
  banned?: (ban: TableBan) => void;
  /** Told that bans were confirmed or ended: the state on disk is no longer the whole truth. */
  changed?: () => void;
}

/** Since the start. */
export interface EnforcerCounters {
  /** Bans the kernel confirmed, per jail. */
  bans: number[];
  unbans: number;
  transactions: number;
  /** Failed transactions by the error's code. */
  failures: Map<string, number>;
  /** Bans given up because the backend cannot hold them. */
  unsupported: number;
  /** Comparisons of kernel and table. */
  reconciles: number;
  /**
   * What they had to put right: bans that were missing or wrong in the kernel, and rebuilt tables.
   */
  repairs: number;
  /** Decision to acknowledgement of the last batch, ms. */
  lastMilliseconds: number;
}

/**
 * Errors that are not about one ban: nothing else would fare better. ENOENT means that others took
 * our sets away. Any other refusal may be the fault of a single ban in the batch (a full set, above
 * all).
 */
const affectsAll = new Set(
  'EPERM EACCES ENOENT ETIMEDOUT EBADMSG ENOBUFS ENOMEM ENODEV EBADF ENOSYS ENOTSOCK EAGAIN EINTR EBUSY'.split(' '),
);

const codeOf = (error: Error): string => ('code' in error && typeof error.code === 'string' ? error.code : error.name);

export class Enforcer {
  readonly counters: EnforcerCounters;
  readonly #options: EnforcerOptions & Required<Pick<EnforcerOptions, 'now'>>;
  /** The transaction under way and those queued behind it: never two at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #busy = false;
  #stopped = false;
  /** Where the sweep for decided bans goes on; -1 = none is due. */
  #sweepAt = -1;
  #deferredSeen = 0;
  /** While the kernel takes nothing: when it is tried again. */
  #down: NodeJS.Timeout | undefined;
  readonly #downBackoff: Backoff;
  /** Sets that refuse bans, and when they are tried again. */
  readonly #refusing = new Map<string, string>();
  #refusals: NodeJS.Timeout | undefined;
  readonly #refusalBackoff: Backoff;
  #problem: string | undefined;
  /** When a comparison last found that others had changed the kernel (epoch ms). */
  #repairedAt = Number.NEGATIVE_INFINITY;
  /** The comparison under way, and when the last one began (monotonic ms). */
  #comparison: Comparison | undefined;
  #comparing: Promise<unknown> = Promise.resolve();
  #comparedAt = Number.NEGATIVE_INFINITY;
  /** How long the last one took. */
  #comparedMs = 0;
  /**
   * Since when the bans of an earlier run are being taken over (monotonic ms); undefined = they are
   * not.
   */
  #adoptingSince: number | undefined;
  /** What the operator banned or unbanned meanwhile: what is still read of these is older. */
  readonly #touched = new Set<string>();
  #ticking: NodeJS.Timeout | undefined;
  readonly #drops: DropTally;
  #dropsAt = Number.NEGATIVE_INFINITY;

  constructor(options: EnforcerOptions) {
    this.#options = { now: Date.now, ...options };
    this.#drops = new DropTally(options.backend);
    this.#downBackoff = new Backoff(this.#options.now, banRetryMs, banRetryMsMax);
    this.#refusalBackoff = new Backoff(this.#options.now, banRetryMs, banRetryMsMax);
    this.counters = {
      bans: options.jails.map(() => 0),
      unbans: 0,
      transactions: 0,
      failures: new Map(),
      unsupported: 0,
      reconciles: 0,
      repairs: 0,
      lastMilliseconds: 0,
    };
  }

  /** What keeps bans out of the kernel now; undefined when nothing does. */
  get problem(): string | undefined {
    return this.#problem ?? this.#refusing.values().next().value;
  }

  /**
   * That others removed what we had in the kernel, for a while after it was repaired; undefined
   * when nobody did.
   */
  get disturbance(): string | undefined {
    if (this.#options.now() - this.#repairedAt > repairShownMs) return undefined;
    const last = new Date(this.#repairedAt).toISOString();
    return `the kernel did not hold what it should, last at ${last}: repaired (${this.counters.repairs} repairs since the start)`;
  }

  /** Packets that the kernel dropped for a jail since the start, as last looked at. */
  packetsDropped(jail: number): number {
    return this.#drops.of(this.#options.jails[jail]!.name);
  }

  /**
   * That the table does not know all bans of the kernel yet; undefined when it does, or will in a
   * moment.
   */
  get adoption(): string | undefined {
    if (this.#adoptingSince === undefined || performance.now() - this.#adoptingSince < adoptionShownMs)
      return undefined;
    return 'bans that the kernel holds from before are still being taken over: it drops their packets, but not all are listed yet';
  }

  /** Decisions may be waiting. Cheap; called after every read. */
  wake(): void {
    if (this.#busy || this.#stopped || this.#down !== undefined || !this.#hasWork()) return;
    this.#busy = true;
    void this.#work().finally(() => {
      this.#busy = false;
      this.wake();
    });
  }

  /**
   * Takes over what the kernel held before we came. Of a ban that the table knows already (from the
   * saved state) the later end holds: the kernel may know of a ban that came after the last save,
   * the table of an end that the kernel cannot hold.
   */
  async adopt(): Promise<number> {
    // One by one: the list of all of them could outgrow the heap, and the daemon would end before
    // it protects anybody.
    return this.#options.backend.each((held) => this.#takeOver(held));
  }

  #takeOver({ jail, address, timeoutMs }: Ban): void {
    const { backend, engine, jails } = this.#options;
    const index = jails.findIndex(({ name }) => name === jail);
    if (index < 0 || this.#touched.has(touchedText(index, address))) return;
    const now = this.#options.now() / 1000;
    const { bantime } = jails[index]!;
    const seconds = timeoutMs > 0 ? timeoutMs / 1000 : backend.keepsEnds === false ? bantime : -1;
    const end = seconds < 0 ? Number.POSITIVE_INFINITY : now + seconds;
    const known = engine.banEnd(index, address);
    const isKnown = known !== undefined && (known > end - timeoutToleranceMs / 1000 || backend.keepsEnds === false);
    if (isKnown) engine.confirmBan(index, address);
    else engine.setBan(index, address, now, end);
  }

  /**
   * Compares kernel and table at once and from now on, and brings in what the saved state left to
   * be done.
   * @param adopts whether the first comparison takes over what the kernel held before we came (see
   * `adopt`). A million bans
   *   take a while: logs are read and operators answered beside it, and the kernel goes on
   *   dropping.
   */
  start({ adopts = false } = {}): void {
    this.#sweepAt = 0;
    this.wake();
    // A dry run holds nothing that others could change.
    if (this.#options.backend.name === 'log-only') return;
    if (adopts) this.#adoptingSince = performance.now();
    this.#compare();
    this.#ticking = setInterval(() => void this.#tick(), reconcileTickMs);
    this.#ticking.unref();
  }

  /**
   * An operator's ban: in the kernel when it resolves, or rejects with the backend's error.
   * `seconds` -1 = permanent.
   */
  async ban(jail: number, address: Address, seconds: number): Promise<void> {
    const { backend, engine, jails } = this.#options;
    const timeoutMs = seconds < 0 ? 0 : seconds * 1000;
    this.#touch(jail, address);
    await this.#forOperator(async () => {
      await backend.apply([{ verb: 'ban', ban: { jail: jails[jail]!.name, address, timeoutMs } }]);
      const now = this.#options.now() / 1000;
      engine.setBan(jail, address, now, seconds < 0 ? Number.POSITIVE_INFINITY : now + seconds);
      this.#comparison?.mark(jail, address);
    });
    this.counters.bans[jail]!++;
    this.#options.changed?.();
  }

  /** Ends the ban of an address in the given jails; an absent one is no error. */
  async unban(chosen: number[], address: (jail: number) => Address): Promise<void> {
    const { backend, engine, jails } = this.#options;
    const changes: Change[] = chosen.map((jail) => ({
      verb: 'unban',
      jail: jails[jail]!.name,
      address: address(jail),
    }));
    for (const jail of chosen) this.#touch(jail, address(jail));
    await this.#forOperator(async () => {
      await backend.apply(changes);
      for (const jail of chosen) engine.forget(jail, address(jail));
    });
    this.counters.unbans += chosen.length;
    this.#options.changed?.();
  }

  #touch(jail: number, address: Address): void {
    if (this.#adoptingSince !== undefined) this.#touched.add(touchedText(jail, address));
  }

  /** Sends what waits, then nothing more. */
  async stop(): Promise<void> {
    clearInterval(this.#ticking);
    this.#endPauses();
    this.#refusing.clear();
    // What is left after that stays decided: the saved state knows it.
    await this.#work(performance.now() + enforcerStopMs);
    this.#stopped = true;
    this.#endPauses();
    await this.#comparing;
    await this.#turn;
  }

  #endPauses(): void {
    clearTimeout(this.#down);
    this.#down = undefined;
    clearTimeout(this.#refusals);
    this.#refusals = undefined;
  }

  #hasWork(): boolean {
    const { engine } = this.#options;
    if (engine.waiting > 0 || this.#sweepAt >= 0 || engine.banAllDue) return true;
    return engine.counter(DECISIONS_DEFERRED) !== this.#deferredSeen;
  }

  /** Runs `task` after every transaction that was asked for before. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(task);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /**
   * In turn; sets that others took away are made anew first, so that an operator need not wait for
   * the next comparison.
   */
  async #forOperator(task: () => Promise<void>): Promise<void> {
    try {
      await this.#inTurn(task);
    } catch (error) {
      if (codeOf(error as Error) !== 'ENOENT') throw error;
      this.#compare();
      await this.#comparing;
      await this.#inTurn(task);
    }
  }

  /**
   * Batch after batch until nothing waits, the kernel takes nothing, or the time is over (monotonic
   * ms).
   */
  async #work(until = Number.POSITIVE_INFINITY): Promise<void> {
    const { backend } = this.#options;
    while (this.#hasWork() && this.#down === undefined && !this.#stopped && performance.now() < until) {
      const pause = backend.pause?.();
      if (pause !== undefined) await pause;
      // A sweep visits the whole table: others have their turn between its slices, whatever the
      // backend waits for.
      else if (this.#sweepAt >= 0) await turn();
      if (this.#options.engine.banAllDue) await this.#banAll();
      else await this.#inTurn(() => this.#send(this.#gather(), this.#confirmed));
    }
  }

  /**
   * The policy ban_all: bans every tracked source and empties the table, slice by slice. Decisions
   * go on in between.
   */
  async #banAll(): Promise<void> {
    const { engine, log } = this.#options;
    const now = Math.floor(this.#options.now() / 1000);
    log.warn('the table is full: every tracked source is banned');
    engine.startBanAll();
    for (let at = 0; at >= 0; ) {
      engine.banAll(at, sweepEntries, now);
      await this.#inTurn(async () => {
        const batch: TableBan[] = [];
        engine.eachBan(at, sweepEntries, (ban) => {
          if (!ban.confirmed) batch.push(ban);
        });
        if (this.#down === undefined) await this.#send(this.#sendable(batch), this.#confirmed);
      });
      // What did not reach the kernel stays.
      at = engine.resetAll(at, sweepEntries, now);
      await turn();
    }
  }

  /** The next decisions: from the ring, else from the next slice of a sweep. */
  #gather(): TableBan[] {
    const { engine, decided } = this.#options;
    const batch: TableBan[] = [];
    engine.takeDecisions((decision) => {
      decided?.(decision);
      batch.push(banOf(decision));
    }, banBatchMax);
    if (batch.length === 0) {
      const deferred = engine.counter(DECISIONS_DEFERRED);
      if (deferred !== this.#deferredSeen) this.#sweepAt = 0;
      this.#deferredSeen = deferred;
      // Whoever asked for this turn may have been overtaken: then there is nothing left to sweep.
      if (this.#sweepAt < 0) return [];
      // A slice holds no more bans than a batch.
      this.#sweepAt = engine.eachBan(this.#sweepAt, sweepEntries, (ban) => {
        if (!ban.confirmed) batch.push(ban);
      });
    }
    return this.#sendable(batch);
  }

  /** Those that have not ended and whose set is not left alone. */
  #sendable(batch: TableBan[]): TableBan[] {
    const now = this.#options.now() / 1000;
    const someRefuse = this.#refusing.size > 0;
    return batch.filter((ban) => ban.end > now && !(someRefuse && this.#refusing.has(this.#setOf(ban))));
  }

  /** Names the kernel's set of a ban. */
  #setOf({ jail, address }: TableBan): string {
    return `${this.#options.jails[jail]!.name}, IPv${address.family}`;
  }

  /** The kernel holds these decisions now. */
  readonly #confirmed = (batch: TableBan[]): void => {
    const { engine } = this.#options;
    for (const ban of batch) {
      engine.confirmBan(ban.jail, ban.address);
      this.#comparison?.mark(ban.jail, ban.address);
      this.counters.bans[ban.jail]!++;
      this.#options.banned?.(ban);
    }
    this.#options.changed?.();
  };

  /**
   * Brings a batch into the kernel: in one transaction, else in parts, so that a ban which the
   * kernel refuses holds back no other. What is refused stays decided in the table for a later
   * sweep.
   * @param landed told of each part that the kernel confirmed
   */
  async #send(batch: TableBan[], landed: (part: TableBan[]) => void): Promise<void> {
    const parts = [batch];
    let refusals = 0;
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      const error = await this.#transact(part, landed);
      if (error === undefined) continue;
      if (error instanceof UnsupportedChange) {
        // Nothing was sent, so that looking for the culprit costs nothing.
        if (part.length === 1) this.#giveUp(part[0]!, error);
        else parts.push(...halves(part));
        continue;
      }
      const code = codeOf(error);
      this.counters.failures.set(code, (this.counters.failures.get(code) ?? 0) + 1);
      if (affectsAll.has(code)) return this.#goDown(error, code, part.length);
      refusals++;
      const sets = [...Map.groupBy(part, (ban) => this.#setOf(ban)).values()];
      if (sets.length > 1) parts.push(...sets);
      else if (part.length > 1 && refusals < refusalsPerBatchMax) parts.push(...halves(part));
      else this.#refuse(part, error);
    }
  }

  /** One transaction; its error, if it failed. */
  async #transact(batch: TableBan[], landed: (batch: TableBan[]) => void): Promise<Error | undefined> {
    if (batch.length === 0) return undefined;
    const { backend, jails, log } = this.#options;
    const started = performance.now();
    const now = this.#options.now();
    const changes: Change[] = batch.map(({ jail, address, end }) => ({
      verb: 'ban',
      ban: { jail: jails[jail]!.name, address, timeoutMs: end === Number.POSITIVE_INFINITY ? 0 : end * 1000 - now },
    }));
    this.counters.transactions++;
    try {
      await backend.apply(changes);
    } catch (error) {
      return error as Error;
    }
    landed(batch);
    this.counters.lastMilliseconds = performance.now() - started;
    if (this.#problem !== undefined) log.info('the kernel takes bans again');
    this.#problem = undefined;
    return undefined;
  }

  /**
   * The kernel takes nothing: the bans stay decided; a sweep brings them back after a pause that
   * doubles.
   */
  #goDown(error: Error, code: string, bans: number): void {
    const { log } = this.#options;
    const retryMs = this.#downBackoff.next();
    this.#problem = `bans do not reach the kernel: ${error.message}`;
    this.#sweepAt = 0;
    log.error('ban failed', { bans, error: error.message, retryMs });
    if (this.#stopped) return;
    this.#down = setTimeout(() => {
      this.#down = undefined;
      if (code !== 'ENOENT') return this.wake();
      // Sets that are gone have to be made anew first.
      this.#compare();
      void this.#comparing.then(() => this.wake());
    }, retryMs);
  }

  /** One set takes no more: its bans stay decided and are left alone until a pause is over. */
  #refuse(part: TableBan[], error: Error): void {
    const { log } = this.#options;
    const set = this.#setOf(part[0]!);
    this.#refusing.set(set, `bans of ${set} do not reach the kernel: ${error.message}`);
    log.error('ban refused', { set, bans: part.length, error: error.message });
    this.#refusals ??= setTimeout(() => {
      this.#refusals = undefined;
      this.#refusing.clear();
      this.#sweepAt = 0;
      this.wake();
    }, this.#refusalBackoff.next());
  }

  /** The backend can never hold it: no retry would help. */
  #giveUp(ban: TableBan, error: Error): void {
    const { engine, log } = this.#options;
    engine.forget(ban.jail, ban.address);
    this.counters.unsupported++;
    log.error('ban given up', { set: this.#setOf(ban), error: error.message });
  }

  // --- Comparison --------------------------------------------------------------------------------

  /**
   * Reads the kernel's counters, and compares when it is time, or when others wrote into the
   * kernel.
   */
  async #tick(): Promise<void> {
    if (this.#comparison !== undefined || this.#down !== undefined) return;
    const elapsed = performance.now() - this.#comparedAt;
    try {
      if (performance.now() - this.#dropsAt >= dropsLookMs) {
        this.#dropsAt = performance.now();
        await this.#drops.look();
      }
      if (elapsed < Math.max(reconcileApartMs, this.#comparedMs * comparisonRests.disturbed)) return;
      if (
        elapsed >= Math.max(reconcileMs, this.#comparedMs * comparisonRests.quiet) ||
        (await this.#options.backend.disturbed?.())
      )
        this.#compare();
    } catch (error) {
      this.#options.log.warn('cannot ask the kernel', { error: (error as Error).message });
    }
  }

  #compare(): void {
    if (this.#comparison === undefined && !this.#stopped) this.#comparing = this.reconcile().catch(() => undefined);
  }

  /** Whether a ban seems to be missing in the kernel. */
  async #lacks(comparison: Comparison): Promise<boolean> {
    for (let at = 0; at >= 0; await turn()) {
      const { bans, next } = comparison.missing(at);
      if (bans.length > 0) return true;
      at = next;
    }
    return false;
  }

  /** Every ban of an earlier run is in the table. */
  #adopted(bans: number): void {
    this.#adoptingSince = undefined;
    this.#touched.clear();
    if (bans === 0) return;
    this.#options.log.info('bans taken over from the kernel', { bans });
    this.#options.changed?.();
  }

  /**
   * Compares kernel and table and repairs the kernel. Decisions go on beside it. Returns the
   * repairs; rejects when it cannot.
   */
  async reconcile(): Promise<number> {
    const { engine, backend, jails, log, now } = this.#options;
    this.#comparedAt = performance.now();
    const comparison = new Comparison(engine, jails, backend, now);
    this.#comparison = comparison;
    const adopts = this.#adoptingSince !== undefined;
    let repairs = 0;
    let found = 0;
    const visit = (held: Ban): boolean => {
      // Whoever stops us does not wait until all are read.
      if (this.#stopped) throw new Error('stopped');
      found++;
      if (adopts) this.#takeOver(held);
      return comparison.note(held);
    };
    try {
      // What others did until now is what this looks at.
      await backend.disturbed?.();
      repairs = await backend.reconcile(jails, visit);
      if (adopts) this.#adopted(found);
      // A dump misses some while the kernel enlarges a hash table: what seems to be missing is
      // looked for once more.
      if (await this.#lacks(comparison)) await backend.each(visit);
      for (let at = 0; at >= 0 && this.#down === undefined && !this.#stopped; ) {
        const pause = backend.pause?.();
        if (pause !== undefined) await pause;
        // The table is looked at and the kernel written in one turn, so that an unban in between is
        // not undone.
        await this.#inTurn(async () => {
          const { bans, next } = comparison.missing(at);
          at = next;
          await this.#send(this.#sendable(bans), (part) => {
            repairs += part.length;
          });
        });
        await turn();
      }
      this.counters.reconciles++;
      return repairs;
    } catch (error) {
      if (this.#stopped) return repairs;
      const code = codeOf(error as Error);
      this.counters.failures.set(code, (this.counters.failures.get(code) ?? 0) + 1);
      log.error('cannot compare with the kernel', { error: (error as Error).message });
      throw error;
    } finally {
      this.#comparedMs = performance.now() - this.#comparedAt;
      this.counters.repairs += repairs;
      // The first comparison meets what earlier runs and boots left behind.
      if (repairs > 0 && this.counters.reconciles > 1) this.#repairedAt = now();
      this.#comparison = undefined;
      if (repairs > 0) log.warn('the kernel did not hold what it should; repaired', { repairs });
    }
  }
}

const touchedText = (jail: number, { bytes }: Address): string => `${jail} ${keyText(bytes)}`;

function halves(part: TableBan[]): TableBan[][] {
  const middle = part.length >> 1;
  return [part.slice(middle), part.slice(0, middle)];
}

function banOf({ jail, address, time, seconds, bans }: Decision): TableBan {
  const end = seconds < 0 ? Number.POSITIVE_INFINITY : time + seconds;
  return { index: -1, jail, address, end, confirmed: false, bans };
}
