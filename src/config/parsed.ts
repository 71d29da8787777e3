/**
 * The result of every value parser of this room: the value, or what is wrong and what to write
 * instead. A parser never throws for the content of a file.
 */

export interface Refused {
  ok: false;
  /** What is wrong, as a clause: `expected a duration, found the boolean true`. */
  reason: string;
  /** What to write instead, if known. */
  hint?: string;
  /** Index of the wrong element, if the value is a list. */
  index?: number;
  /** Every further wrong element of that list. */
  more?: Refused[];
}

export type Parsed<T> = { ok: true; value: T } | Refused;

export function accept<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function refuse(reason: string, hint?: string): Refused {
  return { ok: false, reason, hint };
}
