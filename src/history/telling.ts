/**
 * What the recorder is told of bans, each with what led to it. Input: decisions and bans in any
 * number. When full: `historyDecisionsMax` decisions are remembered until their ban is in the
 * kernel; the record of a further one says only that there is a ban.
 */
import type { Engine, TableBan } from '../engine/host.ts';
import { historyDecisionsMax } from '../limits.ts';
import { formatAddress } from '../text/address.ts';
import type { Address, Decision, JailConfig } from '../types.ts';
import type { Details, Recorder } from './recorder.ts';

const keyOf = (jail: number, { bytes }: Address): string => `${jail} ${Buffer.from(bytes).toString('latin1')}`;

export class Telling {
  readonly #recorder: Pick<Recorder, 'bans'>;
  readonly #jails: readonly JailConfig[];
  readonly #engine: Pick<Engine, 'patternName'>;
  readonly #pathOf: (source: number) => string | undefined;
  /** Decisions whose ban the kernel does not hold yet. */
  readonly #decisions = new Map<string, Decision>();

  constructor(
    recorder: Pick<Recorder, 'bans'>,
    jails: readonly JailConfig[],
    engine: Pick<Engine, 'patternName'>,
    pathOf: (source: number) => string | undefined,
  ) {
    this.#recorder = recorder;
    this.#jails = jails;
    this.#engine = engine;
    this.#pathOf = pathOf;
  }

  decided(decision: Decision): void {
    if (this.#decisions.size < historyDecisionsMax) {
      this.#decisions.set(keyOf(decision.jail, decision.address), decision);
    }
  }

  /** The kernel holds it, or held it until now. */
  tell(event: 'ban' | 'restored' | 'expired', ban: TableBan): void {
    const jail = this.#jails[ban.jail]!;
    const key = keyOf(ban.jail, ban.address);
    const decision = event === 'ban' ? this.#decisions.get(key) : undefined;
    this.#decisions.delete(key);
    const details = (): Details => ({
      until: Number.isFinite(ban.end) ? ban.end : -1,
      ...(decision && {
        failures: decision.failures,
        pattern: this.#engine.patternName(jail.filter, decision.pattern),
        file: this.#pathOf(decision.source),
        offset: decision.offset,
      }),
    });
    this.#recorder.bans(event, jail.name, [{ address: formatAddress(ban.address), details }]);
  }
}
