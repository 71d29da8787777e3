/**
 * Delivers bans to the kernel: one transaction for a batch, and what to do when the kernel refuses
 * it. Attackers control which addresses are banned; other programs control what the kernel answers.
 *
 * Invariants: a ban that the kernel refuses holds back no other; a ban that was not delivered stays
 * decided in the table, so a later sweep finds it (claims FM-*, D-*). When the kernel takes
 * nothing, or one set takes nothing, delivery pauses; each pause is twice as long as the one
 * before.
 */
import { Backoff } from '../backoff.ts';
import type { Engine, TableBan } from '../engine/host.ts';
import { banRetryMs, banRetryMsMax, refusalsPerBatchMax } from '../limits.ts';
import type { Logger } from '../log.ts';
import type { Backend, Change, Decision, JailConfig, JailScaffold } from '../types.ts';
import type { Ignored } from './ignored.ts';

export interface EnforcerOptions {
  engine: Engine;
  backend: Backend;
  /** `allow`: networks that the kernel never drops; kept up to date with `ignored`. */
  jails: (JailConfig & Pick<JailScaffold, 'allow'>)[];
  /** Addresses that are never banned; may change. */
  ignored?: Ignored;
  log: Logger;
  /** Bans that the kernel may hold; 0 = half of the table's slots. */
  bansMax?: number;
  /** Epoch milliseconds. */
  now?: () => number;
  /** Called for each decision of the engine, before it is carried out. */
  decided?: (decision: Decision) => void;
  /** Called for each new ban that the kernel confirmed. */
  banned?: (ban: TableBan) => void;
  /** Called for each ban from before the start that the kernel holds again, or still. */
  restored?: (ban: TableBan) => void;
  /** Called when others changed what the kernel holds. */
  disturbed?: () => void;
  /** Called when bans were confirmed or ended, so that the saved state is out of date. */
  changed?: () => void;
}

/** The options with every default filled in. */
export type Settings = EnforcerOptions & Required<Pick<EnforcerOptions, 'now' | 'bansMax'>>;

/** Counters since the start, for this many jails. */
export function countersOf(jails: number) {
  return {
    /** New bans that the kernel confirmed, per jail. */
    bans: Array<number>(jails).fill(0),
    /** Bans from before the start that the kernel holds again, or still, per jail. */
    restored: Array<number>(jails).fill(0),
    unbans: 0,
    /**
     * Bans that ended early: to make room in kernel or table, or because their address is ignored
     * now.
     */
    lifted: 0,
    transactions: 0,
    /** Failed transactions by the error's code. */
    failures: new Map<string, number>(),
    /** Bans given up because the backend cannot hold them. */
    unsupported: 0,
    /** Comparisons of kernel and table. */
    reconciles: 0,
    /**
     * Repairs by comparisons: bans that were missing or wrong in the kernel, and rebuilt tables.
     */
    repairs: 0,
  };
}

export type EnforcerCounters = ReturnType<typeof countersOf>;

/**
 * Errors that concern every ban, not a single one. ENOENT means that others removed our sets. Any
 * other refusal may be caused by a single ban of the batch, mostly because its set is full.
 */
const affectsAll = new Set(
  'EPERM EACCES ENOENT ETIMEDOUT EBADMSG ENOBUFS ENOMEM ENODEV EBADF ENOSYS ENOTSOCK EAGAIN EINTR EBUSY'.split(' '),
);

/**
 * Backends are bundles of their own, so their classes are recognised by name (`UnsupportedChange`).
 */
const unsupported = 'UnsupportedChange';

export const codeOf = ({ code, name }: Error & { code?: unknown }): string => (typeof code === 'string' ? code : name);

export class Delivery {
  readonly #settings: Settings;
  readonly #counters: EnforcerCounters;
  /** Called when a pause is over. `setsAreGone`: our sets have to be recreated first. */
  readonly #again: (setsAreGone: boolean) => void;
  /** Runs while the kernel accepts nothing. */
  #down: NodeJS.Timeout | undefined;
  readonly #downBackoff: Backoff;
  /** The problem of each set that refuses bans. */
  readonly #refusing = new Map<string, string>();
  /** Those of them that accept no other ban either, as far as is known. */
  readonly #full = new Set<string>();
  /** Runs while some set refuses bans. */
  #refusals: NodeJS.Timeout | undefined;
  readonly #refusalBackoff: Backoff;
  #problem: string | undefined;
  #isClosed = false;

  constructor(settings: Settings, counters: EnforcerCounters, again: (setsAreGone: boolean) => void) {
    this.#settings = settings;
    this.#counters = counters;
    this.#again = again;
    const monotonic = () => performance.now();
    this.#downBackoff = new Backoff(monotonic, banRetryMs, banRetryMsMax);
    this.#refusalBackoff = new Backoff(monotonic, banRetryMs, banRetryMsMax);
  }

  /** Why bans do not reach the kernel now; undefined when they do. */
  get problem(): string | undefined {
    return this.#problem ?? this.#refusing.values().next().value;
  }

  /** Whether the kernel accepts nothing at the moment. */
  get isDown(): boolean {
    return this.#down !== undefined;
  }

  /** Ends every pause; true if there was one, so that bans may wait in the table. */
  endPauses(): boolean {
    const paused = this.#down !== undefined || this.#refusals !== undefined;
    clearTimeout(this.#down);
    this.#down = undefined;
    clearTimeout(this.#refusals);
    this.#forgetRefusals();
    return paused;
  }

  /** From now on no pause begins. */
  close(): void {
    this.#isClosed = true;
    this.endPauses();
  }

  countFailure(code: string): void {
    this.#counters.failures.set(code, (this.#counters.failures.get(code) ?? 0) + 1);
  }

  /**
   * The bans of a batch that still run and whose set is not in a pause. A ban of an address that is
   * ignored by now, or of a prefix that several hosts share, is dropped.
   */
  sendable(batch: TableBan[]): TableBan[] {
    const { engine, ignored } = this.#settings;
    const now = this.#settings.now() / 1000;
    return batch.filter((ban) => {
      if (engine.isIgnored(ban.jail, ban.address) || engine.isShared(ban.address) || ignored?.isListed(ban.address)) {
        engine.forget(ban.jail, ban.address);
        return false;
      }
      // The name of a set is made for a ban only where a set is full.
      return ban.end > now && !(this.#full.size > 0 && this.#full.has(this.#setOf(ban)));
    });
  }

  /**
   * Sends a batch to the kernel: in one transaction, or in parts, so that a refused ban does not
   * hold back the others. Refused bans stay decided in the table.
   * @param landed called for each part that the kernel confirmed
   */
  async send(batch: TableBan[], landed: (part: TableBan[]) => void): Promise<void> {
    const parts = [batch];
    let refusals = 0;
    const refused: TableBan[] = [];
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      const error = await this.#transact(part, landed);
      if (error === undefined) continue;
      if (error.name === unsupported) {
        // Nothing was sent, so the search for the unsupported ban costs nothing.
        if (part.length === 1) this.#giveUp(part[0]!, error);
        else parts.push(...halves(part));
        continue;
      }
      const code = codeOf(error);
      this.countFailure(code);
      if (affectsAll.has(code)) return this.goDown(error, part.length);
      refusals++;
      const sets = [...Map.groupBy(part, (ban) => this.#setOf(ban)).values()];
      if (sets.length > 1) parts.push(...sets);
      else if (part.length > 1 && refusals < refusalsPerBatchMax) parts.push(...halves(part));
      else {
        refused.push(...part);
        this.#refuse(part, error);
      }
    }
    // A set that accepted other bans of this batch is not full.
    const [alone] = refused;
    if (refused.length !== 1) return;
    const set = this.#setOf(alone!);
    if (batch.some((ban) => ban !== alone && this.#setOf(ban) === set)) this.#full.delete(set);
  }

  /** Runs one transaction; returns its error if it failed. */
  async #transact(batch: TableBan[], landed: (batch: TableBan[]) => void): Promise<Error | undefined> {
    if (batch.length === 0) return undefined;
    const { backend, jails, log } = this.#settings;
    const now = this.#settings.now();
    const changes: Change[] = batch.map(({ jail, address, end }) => ({
      verb: 'ban',
      ban: { jail: jails[jail]!.name, address, timeoutMs: end === Number.POSITIVE_INFINITY ? 0 : end * 1000 - now },
    }));
    this.#counters.transactions++;
    try {
      await backend.apply(changes);
    } catch (error) {
      return error as Error;
    }
    landed(batch);
    if (this.#problem !== undefined) log.info('the kernel accepts bans again');
    this.#problem = undefined;
    return undefined;
  }

  /** Names the kernel's set of a ban. */
  #setOf({ jail, address }: TableBan): string {
    return `${this.#settings.jails[jail]!.name}, IPv${address.family}`;
  }

  /** The kernel accepts nothing: the bans stay decided until the pause is over. */
  goDown(error: Error, bans: number): void {
    const code = codeOf(error);
    const retryMs = this.#downBackoff.next();
    this.#problem = `bans do not reach the kernel: ${error.message}`;
    this.#settings.log.error('ban failed', { bans, error: error.message, retryMs });
    if (this.#isClosed) return;
    clearTimeout(this.#down);
    this.#down = setTimeout(() => {
      this.#down = undefined;
      this.#again(code === 'ENOENT');
    }, retryMs);
  }

  /** One set accepts no more bans: its bans stay decided until the pause is over. */
  #refuse(part: TableBan[], error: Error): void {
    const set = this.#setOf(part[0]!);
    this.#full.add(set);
    this.#refusing.set(set, `bans of ${set} do not reach the kernel: ${error.message}`);
    this.#settings.log.error('ban refused', { set, bans: part.length, error: error.message });
    if (this.#isClosed) return;
    this.#refusals ??= setTimeout(() => {
      this.#forgetRefusals();
      this.#again(false);
    }, this.#refusalBackoff.next());
  }

  #forgetRefusals(): void {
    this.#refusals = undefined;
    this.#refusing.clear();
    this.#full.clear();
  }

  /** The backend can never hold this ban, so there is no retry. */
  #giveUp(ban: TableBan, error: Error): void {
    const { engine, log } = this.#settings;
    engine.forget(ban.jail, ban.address);
    this.#counters.unsupported++;
    log.error('ban given up', { set: this.#setOf(ban), error: error.message });
  }
}

function halves(part: TableBan[]): TableBan[][] {
  const middle = part.length >> 1;
  return [part.slice(middle), part.slice(0, middle)];
}
