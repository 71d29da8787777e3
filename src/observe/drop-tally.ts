/**
 * Packets that the kernel dropped for each jail since the start, from counters that start anew
 * whenever rules are made anew: by us, or by others, who control what they say. What was counted
 * between the last look and such a change is not seen.
 */
import type { Backend } from '../types.ts';

export class DropTally {
  readonly #backend: Backend;
  /** What the kernel said last. */
  readonly #seen = new Map<string, number>();
  readonly #packets = new Map<string, number>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** As of the last look. */
  of(jail: string): number {
    return this.#packets.get(jail) ?? 0;
  }

  /** Asks the kernel. Rejects with its error. */
  async look(): Promise<void> {
    for (const [jail, count] of (await this.#backend.drops?.()) ?? []) {
      const before = this.#seen.get(jail) ?? 0;
      this.#packets.set(jail, this.of(jail) + (count >= before ? count - before : count));
      this.#seen.set(jail, count);
    }
  }
}
