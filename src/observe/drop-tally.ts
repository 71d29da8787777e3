/**
 * Packets that the kernel dropped for each jail since the start. The kernel's counters restart at
 * zero whenever rules are recreated: by us, or by other programs, which can set the counters to
 * anything. Packets between the last look and such a change are not counted.
 */
import { dropsLookMs } from '../limits.ts';
import type { Logger } from '../log.ts';
import type { Backend } from '../types.ts';

export class DropTally {
  readonly #backend: Pick<Backend, 'drops'>;
  readonly #log: Logger;
  /** The kernel's counters at the last look. */
  readonly #seen = new Map<string, number>();
  readonly #packets = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(backend: Pick<Backend, 'drops'>, log: Logger) {
    this.#backend = backend;
    this.#log = log;
  }

  /** Looks now, and from then on at intervals. */
  start(): void {
    void this.#next();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Packets of a jail, at the last look. */
  of(jail: string): number {
    return this.#packets.get(jail) ?? 0;
  }

  /** Reads the kernel's counters. Rejects with its error. */
  async look(): Promise<void> {
    for (const [jail, count] of (await this.#backend.drops?.()) ?? []) {
      const before = this.#seen.get(jail) ?? 0;
      this.#packets.set(jail, this.of(jail) + (count >= before ? count - before : count));
      this.#seen.set(jail, count);
    }
  }

  async #next(): Promise<void> {
    this.#timer = setTimeout(() => void this.#next(), dropsLookMs);
    this.#timer.unref();
    try {
      await this.look();
    } catch (error) {
      this.#log.warn('cannot read the counters of dropped packets', { error: (error as Error).message });
    }
  }
}
