/**
 * Tells the recorder when a ban began, with what led to it, and when it ended. The kernel ends a
 * ban silently; so the table is searched at intervals for bans that have ended since. A ban that
 * was evicted meanwhile is missed: its first record says when it ended. Input: decisions and bans
 * in any number. When full: `historyDecisionsMax` decisions are remembered until their ban is in
 * the kernel; for more of them the record only says that there is a ban.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Engine, TableBan } from '../engine/host.ts';
import { expiryLookMs, historyDecisionsMax, sweepEntries } from '../limits.ts';
import type { Logger } from '../log.ts';
import { formatAddress } from '../text/address.ts';
import type { Address, Decision, JailConfig } from '../types.ts';
import type { Details, Recorder } from './recorder.ts';

const keyOf = (jail: number, { bytes }: Address): string => `${jail} ${Buffer.from(bytes).toString('latin1')}`;

export interface TellingOptions {
  recorder: Pick<Recorder, 'bans'>;
  log: Pick<Logger, 'debug' | 'enabled'>;
  jails: readonly JailConfig[];
  engine: Pick<Engine, 'patternName' | 'eachBan'>;
  /** The path of a followed file. */
  pathOf: (source: number) => string | undefined;
  /** Epoch milliseconds. */
  now?: () => number;
}

export class Telling {
  readonly #options: TellingOptions;
  readonly #now: () => number;
  /** Decisions whose ban the kernel does not hold yet. */
  readonly #decisions = new Map<string, Decision>();
  /** Bans that ended before this second have been recorded. */
  #endedFrom: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TellingOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#endedFrom = this.#second();
  }

  /** Looks for ended bans from now on. */
  start(): void {
    this.#timer = setTimeout(() => void this.look().finally(() => this.#timer && this.start()), expiryLookMs).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  decided(decision: Decision): void {
    const { jails, log } = this.#options;
    const { jail, address, time, seconds } = decision;
    // No byte of the line itself: its position says where to read it.
    if (log.enabled('debug')) {
      const { name, filter } = jails[jail]!;
      const { file: path, ...reason } = this.#reason(decision);
      const at = new Date(time * 1000).toISOString();
      log.debug('decided', { jail: name, address: formatAddress(address), filter, at, seconds, path, ...reason });
    }
    if (this.#decisions.size < historyDecisionsMax) this.#decisions.set(keyOf(jail, address), decision);
  }

  /** The kernel holds the ban, or held it until now. */
  tell(event: 'ban' | 'restored' | 'expired', ban: TableBan): void {
    const key = keyOf(ban.jail, ban.address);
    const decision = event === 'ban' ? this.#decisions.get(key) : undefined;
    this.#decisions.delete(key);
    const details = (): Details => ({
      until: Number.isFinite(ban.end) ? ban.end : -1,
      ...(decision && { seconds: decision.seconds, ...this.#reason(decision) }),
    });
    const { jails, recorder } = this.#options;
    recorder.bans(event, jails[ban.jail]!.name, [{ address: formatAddress(ban.address), details }]);
  }

  /** What led to a ban. */
  #reason({ jail, failures, pattern, source, offset }: Decision) {
    const { engine, jails, pathOf } = this.#options;
    return { failures, pattern: engine.patternName(jails[jail]!.filter, pattern), file: pathOf(source), offset };
  }

  /** Records each ban that the kernel held and that ended since the last look. */
  async look(): Promise<void> {
    const ended = { from: this.#endedFrom, until: this.#second() };
    this.#endedFrom = ended.until;
    const tell = (ban: TableBan): void => {
      if (ban.confirmed) this.tell('expired', ban);
    };
    for (let at = 0; at >= 0; await turn()) at = this.#options.engine.eachBan(at, 16 * sweepEntries, tell, ended);
  }

  #second(): number {
    return Math.floor(this.#now() / 1000);
  }
}
