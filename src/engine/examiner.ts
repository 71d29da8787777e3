/**
 * An engine for single lines: `fail2zig match` and the check of an operator's samples need it; the
 * daemon does not.
 */
import * as limits from '../limits.ts';
import type { Address } from '../types.ts';
import { Engine } from './host.ts';
import * as layout from './layout.ts';

/** The outcome of one line (`fail2zig match`). */
export interface Verdict {
  outcome:
    | 'no-pattern'
    | 'failure'
    | 'counted-before'
    | 'no-prefix'
    | 'ignored'
    | 'bad-address'
    | 'host-name'
    | 'no-failure'
    | 'no-address'
    | 'bad-time'
    /** It waits for the service's verdict; nothing refuted it yet. */
    | 'held'
    /** It says that the line before it is repeated, which did not count. */
    | 'repeats-nothing';
  /** Name of the pattern that matched. */
  pattern?: string;
  address?: Address;
  /** Bytes of the user name; a view into the engine's memory, valid until the next call. */
  user?: Uint8Array;
  /** Attempts that it stands for; absent = one. */
  attempts?: number;
  /** Epoch seconds. */
  time: number;
}

/** By the engine's number of the outcome. */
const outcomes: Verdict['outcome'][] = [
  'no-pattern',
  'failure',
  'counted-before',
  'no-prefix',
  'ignored',
  'bad-address',
  'host-name',
  'no-failure',
  'no-address',
  'bad-time',
  'held',
  'repeats-nothing',
];
export class Examiner extends Engine {
  /**
   * Examines one line (without its line end) for one filter. Follows connections, but counts
   * nothing. `cut`: it is the first part of a longer line.
   */
  examine(
    line: Uint8Array,
    name: string,
    mode: string,
    now: number,
    journal: boolean,
    cut = line.length > limits.lineBytesMax,
  ): Verdict {
    const { filter, modeBit } = this.resolveFilter(name, mode);
    const length = Math.min(line.length, limits.lineBytesMax);
    this.buffer.set(line.subarray(0, length));
    const start = this.at.input;
    const core = this.core;
    const outcome =
      outcomes[core.examineAlone(start, start + length, filter, modeBit, 0, Math.floor(now), journal, cut)]!;
    const found = core.lastPattern();
    const verdict: Verdict = { outcome, time: core.lastTime() };
    const { patterns, ignore } = this.filters[filter]!;
    if (found >= 0) verdict.pattern = patterns[found] ?? ignore[found - patterns.length]!;
    if (outcome === 'failure' && core.lastAttempts() > 1) verdict.attempts = core.lastAttempts();
    if (outcome === 'failure' || outcome === 'counted-before' || outcome === 'held') {
      const bytes = this.bytes.slice(layout.ADDRESS, layout.ADDRESS + 16);
      verdict.address = core.lastFamily() === 4 ? { family: 4, bytes, prefix: 32 } : { family: 6, bytes, prefix: 128 };
    }
    if (found >= 0 && core.lastUserStart() >= 0)
      verdict.user = this.bytes.subarray(core.lastUserStart(), core.lastUserEnd());
    return verdict;
  }
}
