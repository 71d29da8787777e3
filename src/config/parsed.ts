/**
 * What every value parser of this room returns: the value, or why not and what to write instead.
 * A parser never throws for anything a file may contain.
 */

export interface Refused {
  ok: false;
  /** What is wrong, as a clause: `expected a duration, found the boolean true`. */
  reason: string;
  /** What to write instead, when that can be said. */
  hint?: string;
  /** Index of the offending element where the value is a list. */
  index?: number;
  /** Every further offending element of that list. */
  more?: Refused[];
}

export type Parsed<T> = { ok: true; value: T } | Refused;

export function accept<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function refuse(reason: string, hint?: string): Refused {
  return hint === undefined ? { ok: false, reason } : { ok: false, reason, hint };
}
