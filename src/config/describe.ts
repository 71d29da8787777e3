/**
 * Names a TOML value in a message: `the string "ten"`, `the boolean true`, `a table`. Output is
 * safe for a terminal.
 */
import { TomlDate } from 'smol-toml';
import { printable } from '../text/printable.ts';

/** Replaces a date in the document that the schema checks. */
export const dateValue = Symbol('date');

export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `the string "${printable(value, 60)}"`;
    case 'boolean':
      return `the boolean ${value}`;
    case 'number':
      return Number.isInteger(value) ? `the integer ${value}` : `the float ${value}`;
    case 'symbol':
      return 'a date';
    case 'undefined':
      return 'nothing';
    default:
      if (Array.isArray(value)) return 'a list';
      if (value instanceof TomlDate) return 'a date';
      return 'a table';
  }
}
