/**
 * One comparison of the kernel with the table: records which of the table's bans the kernel holds.
 * It takes one bit for each table entry, however many bans there are. Other programs that write
 * into the kernel can change what it holds. Bans that the table does not know stay in the kernel,
 * where they end by themselves.
 */
import type { Engine, TableBan } from '../engine/host.ts';
import { sweepEntries, timeoutToleranceMs } from '../limits.ts';
import type { Address, Backend } from '../types.ts';

/** A ban that the kernel holds: the jail's number, and its remaining time (0 = without end). */
export interface HeldBan {
  jail: number;
  address: Address;
  timeoutMs: number;
}

export class Comparison {
  readonly #engine: Engine;
  /**
   * The longest time that the backend can hold; a longer ban is renewed when half of it is over.
   */
  readonly #timeoutMsMax: number;
  readonly #now: () => number;
  readonly #held: Uint8Array;

  /** @param now epoch milliseconds */
  constructor(engine: Engine, backend: Pick<Backend, 'timeoutMsMax'>, now: () => number) {
    this.#engine = engine;
    this.#timeoutMsMax = backend.timeoutMsMax ?? Number.POSITIVE_INFINITY;
    this.#now = now;
    this.#held = new Uint8Array(Math.ceil(engine.slots / 8));
  }

  /** Records a ban that the kernel holds, if it lasts as long as the table says. */
  note({ jail, address, timeoutMs }: HeldBan): void {
    const end = this.#engine.banEnd(jail, address) ?? 0;
    if (this.#isRight(timeoutMs, end * 1000 - this.#now())) this.mark(jail, address);
  }

  /** The kernel has just confirmed this ban. Nothing is marked where the table has none (-1). */
  mark(jail: number, address: Address): void {
    const entry = this.#engine.banIndex(jail, address);
    this.#held[entry >> 3]! |= 1 << (entry & 7);
  }

  /**
   * The bans among the next entries, from `first` on, that should be in the kernel and were not
   * seen; and where to continue (-1 = end).
   */
  missing(first: number): { bans: TableBan[]; next: number } {
    const bans: TableBan[] = [];
    const now = this.#now() / 1000;
    const next = this.#engine.eachBan(this.#engine.passOver(first), sweepEntries, (ban) => {
      const isHeld = (this.#held[ban.index >> 3]! & (1 << (ban.index & 7))) !== 0;
      if (ban.confirmed && !isHeld && ban.end > now) bans.push(ban);
    });
    return { bans, next };
  }

  /** Milliseconds: in `held` 0 = without end, in `wanted` Infinity = without end. */
  #isRight(held: number, wanted: number): boolean {
    if (held === 0 || wanted === Number.POSITIVE_INFINITY) return held === 0 && wanted === Number.POSITIVE_INFINITY;
    if (wanted > this.#timeoutMsMax) return held > this.#timeoutMsMax / 2;
    return Math.abs(held - wanted) <= timeoutToleranceMs;
  }
}
