/**
 * From decisions to bans that the kernel holds. Everything that is not per line: batches, retries, what the operator asks.
 *
 * Invariants: the table says banned only after the backend said so; a decision is never forgotten, since the table keeps
 * it as decided until then, whatever happens to a batch (claims FM-*, D-*). One transaction at a time. Memory: one batch,
 * however many decisions wait; those that do not fit the ring, and those of failed batches, are found again by a sweep
 * over the table in bounded slices.
 */
import { DECISIONS_DEFERRED } from './engine/counters.ts';
import type { Engine, TableBan } from './engine/host.ts';
import { banBatchMax, banRetryMs, banRetryMsMax, sweepEntries } from './limits.ts';
import type { Logger } from './observe/log.ts';
import type { Address, Backend, Ban, Change, Decision, JailConfig } from './types.ts';

export interface EnforcerOptions {
  engine: Engine;
  backend: Backend;
  jails: JailConfig[];
  log: Logger;
  /** Epoch milliseconds. */
  now?: () => number;
  /** Told of each ban that the kernel confirmed. */
  banned?: (ban: TableBan) => void;
}

/** Since the start. */
export interface EnforcerCounters {
  /** Bans the kernel confirmed, per jail. */
  bans: number[];
  unbans: number;
  transactions: number;
  /** Failed transactions by the error's code. */
  failures: Map<string, number>;
  /** Decision to acknowledgement of the last batch, ms. */
  lastMilliseconds: number;
}

export class Enforcer {
  readonly counters: EnforcerCounters;
  readonly #options: Required<Omit<EnforcerOptions, 'banned'>> & Pick<EnforcerOptions, 'banned'>;
  /** The transaction under way and those queued behind it: never two at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #busy = false;
  #stopped = false;
  /** Where the sweep for decided bans goes on; -1 = none is due. */
  #sweepAt = -1;
  #deferredSeen = 0;
  #retryMs = 0;
  #retry: NodeJS.Timeout | undefined;
  #problem: string | undefined;

  constructor(options: EnforcerOptions) {
    this.#options = { now: Date.now, ...options };
    this.counters = {
      bans: options.jails.map(() => 0),
      unbans: 0,
      transactions: 0,
      failures: new Map(),
      lastMilliseconds: 0,
    };
  }

  /** What keeps bans out of the kernel now; undefined when nothing does. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Decisions may be waiting. Cheap; called after every read. */
  wake(): void {
    if (this.#busy || this.#stopped || !this.#hasWork()) return;
    if (this.#retry !== undefined) return;
    this.#busy = true;
    void this.#inTurn(() => this.#work()).finally(() => {
      this.#busy = false;
      this.wake();
    });
  }

  /** Takes over what the kernel held before we came. */
  async adopt(): Promise<number> {
    const { backend, engine, jails } = this.#options;
    const now = this.#options.now() / 1000;
    const adopt = ({ jail, address, timeoutMs }: Ban): void => {
      const index = jails.findIndex(({ name }) => name === jail);
      if (index < 0) return;
      engine.setBan(index, address, now, timeoutMs === 0 ? Number.POSITIVE_INFINITY : now + timeoutMs / 1000);
    };
    // One by one: the list of all of them could outgrow the heap, and the daemon would end before it protects anybody.
    if (backend.each) return backend.each(adopt);
    const held = await backend.list();
    for (const ban of held) adopt(ban);
    return held.length;
  }

  /** An operator's ban: in the kernel when it resolves, or rejects with the backend's error. `seconds` -1 = permanent. */
  async ban(jail: number, address: Address, seconds: number): Promise<void> {
    const { backend, engine, jails } = this.#options;
    const timeoutMs = seconds < 0 ? 0 : seconds * 1000;
    await this.#inTurn(() => backend.apply([{ verb: 'ban', ban: { jail: jails[jail]!.name, address, timeoutMs } }]));
    const now = this.#options.now() / 1000;
    engine.setBan(jail, address, now, seconds < 0 ? Number.POSITIVE_INFINITY : now + seconds);
    this.counters.bans[jail]!++;
  }

  /** Ends the ban of an address in the given jails; an absent one is no error. */
  async unban(chosen: number[], address: (jail: number) => Address): Promise<void> {
    const { backend, engine, jails } = this.#options;
    const changes: Change[] = chosen.map((jail) => ({
      verb: 'unban',
      jail: jails[jail]!.name,
      address: address(jail),
    }));
    await this.#inTurn(() => backend.apply(changes));
    for (const jail of chosen) engine.forget(jail, address(jail));
    this.counters.unbans += chosen.length;
  }

  /** Sends what waits, then nothing more. */
  async stop(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    await this.#inTurn(() => this.#work());
    this.#stopped = true;
    clearTimeout(this.#retry);
  }

  #hasWork(): boolean {
    const { engine } = this.#options;
    return engine.waiting > 0 || this.#sweepAt >= 0 || engine.counter(DECISIONS_DEFERRED) !== this.#deferredSeen;
  }

  /** Runs `task` after every transaction that was asked for before. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(task);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /** Batch after batch until nothing waits or the kernel refuses. */
  async #work(): Promise<void> {
    while (this.#hasWork()) {
      const batch = this.#gather();
      if (batch.length === 0) continue;
      if (!(await this.#apply(batch))) return;
    }
  }

  /** The next decisions: from the ring, else from the next slice of a sweep. */
  #gather(): TableBan[] {
    const { engine } = this.#options;
    const now = this.#options.now() / 1000;
    const batch: TableBan[] = [];
    engine.takeDecisions((decision) => batch.push(banOf(decision)), banBatchMax);
    if (batch.length === 0) {
      const deferred = engine.counter(DECISIONS_DEFERRED);
      if (this.#sweepAt < 0 || deferred !== this.#deferredSeen) this.#sweepAt = 0;
      this.#deferredSeen = deferred;
      // A slice holds no more bans than a batch.
      this.#sweepAt = engine.eachBan(this.#sweepAt, sweepEntries, (ban) => {
        if (!ban.confirmed) batch.push(ban);
      });
    }
    return batch.filter(({ end }) => end > now);
  }

  /** One transaction; false when it failed and a retry is planned. */
  async #apply(batch: TableBan[]): Promise<boolean> {
    const { backend, engine, jails, log } = this.#options;
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
      this.#failed(error as Error, batch.length);
      return false;
    }
    for (const ban of batch) {
      engine.confirmBan(ban.jail, ban.address);
      this.counters.bans[ban.jail]!++;
      this.#options.banned?.(ban);
    }
    this.counters.lastMilliseconds = performance.now() - started;
    if (this.#problem !== undefined) log.info('the kernel takes bans again');
    this.#problem = undefined;
    this.#retryMs = 0;
    return true;
  }

  /** The batch stays decided in the table; a sweep brings it back after a pause that doubles. */
  #failed(error: Error, bans: number): void {
    const { log } = this.#options;
    const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
    this.counters.failures.set(code, (this.counters.failures.get(code) ?? 0) + 1);
    this.#problem = `bans do not reach the kernel: ${error.message}`;
    this.#retryMs = Math.min(banRetryMsMax, Math.max(banRetryMs, this.#retryMs * 2));
    this.#sweepAt = 0;
    log.error('ban failed', { bans, error: error.message, retryMs: this.#retryMs });
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.wake();
    }, this.#retryMs);
  }
}

function banOf({ jail, address, time, seconds, bans }: Decision): TableBan {
  const end = seconds < 0 ? Number.POSITIVE_INFINITY : time + seconds;
  return { index: -1, jail, address, end, confirmed: false, bans };
}
