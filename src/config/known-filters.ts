/**
 * The built-in filters' names and modes, for the configuration. The only file of this room that
 * knows their source: the table that the compiler writes beside the matchers.
 */
import { filterNames } from '../engine/generated/names.ts';

export interface KnownFilter {
  name: string;
  /** The first is the default; empty: the filter has none. */
  modes: readonly string[];
}

export const knownFilters: readonly KnownFilter[] = filterNames;
