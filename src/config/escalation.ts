/**
 * How long the bans of a returning source last. The operator's keys are fail2ban's
 * (bantime.increment and related ones). The core gets the plain list of lengths, so it computes no
 * formula while it runs.
 */

import { banSecondsMax, repeatBantimesMax } from '../limits.ts';
import type { Escalation } from '../types.ts';
import { describe } from './describe.ts';
import { banMemorySecondsDefault, multiplierMax } from './limits.ts';
import { accept, type Parsed, refuse } from './parsed.ts';

export const bantimeFormulas = ['exponential', 'linear'] as const;

/** The keys as written; all optional. */
export interface EscalationKeys {
  bantime_increment?: boolean | undefined;
  bantime_factor?: number | undefined;
  bantime_formula?: (typeof bantimeFormulas)[number] | undefined;
  bantime_multipliers?: number[] | undefined;
  bantime_maxtime?: number | undefined;
  bantime_rndtime?: number | undefined;
  bantime_memory?: number | undefined;
  bantime_overalljails?: boolean | undefined;
}

/** A number above 0, whole or not. */
export function parseFactor(value: unknown): Parsed<number> {
  if (typeof value !== 'number' || Number.isNaN(value)) return refuse(`expected a number, found ${describe(value)}`);
  if (value <= 0) return refuse(`must be greater than 0, found ${describe(value)}`);
  if (value > multiplierMax) return refuse(`must be at most ${multiplierMax}, found ${describe(value)}`);
  return accept(value);
}

/** Factors of bantime for the first, second, third … ban; -1 is for ever. */
export function parseMultipliers(value: unknown): Parsed<number[]> {
  const example = 'write [1, 2, 4, 8]; -1 is for ever';
  if (!Array.isArray(value) || value.length === 0) {
    return refuse(
      `expected a list of numbers, found ${Array.isArray(value) ? 'an empty list' : describe(value)}`,
      example,
    );
  }
  const most = repeatBantimesMax + 1;
  if (value.length > most) return refuse(`more than ${most} entries`);
  for (const [index, item] of value.entries()) {
    const parsed = item === -1 ? accept(-1) : parseFactor(item);
    if (!parsed.ok) return { ...parsed, index };
  }
  return accept(value);
}

/**
 * What the core needs, or null if all bans last `bantime`. If both multipliers and formula are set,
 * the multipliers count.
 */
export function resolveEscalation(bantime: number, keys: EscalationKeys): Escalation | null {
  if (!keys.bantime_increment || bantime < 0) return null;
  const { bantime_factor: factor = 1, bantime_maxtime: longest = banSecondsMax } = keys;
  const { bantime_formula: formula, bantime_multipliers: multipliers } = keys;
  const multiplier = (earlier: number): number => {
    if (multipliers) return multipliers[Math.min(earlier, multipliers.length - 1)]!;
    return formula === 'linear' ? earlier + 1 : 2 ** earlier;
  };
  const length = multipliers ? Math.max(1, multipliers.length - 1) : repeatBantimesMax;
  const bantimes = Array.from({ length }, (_, index) => {
    const times = multiplier(index + 1);
    return times < 0 ? -1 : Math.max(1, Math.min(longest, Math.round(bantime * factor * times)));
  });
  return {
    bantimes,
    randomSeconds: keys.bantime_rndtime ?? 0,
    memorySeconds: keys.bantime_memory ?? banMemorySecondsDefault,
    allJails: keys.bantime_overalljails ?? false,
  };
}
