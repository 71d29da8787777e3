/**
 * The built-in filters' names and modes, as the configuration needs them. The one place of this
 * room that knows where they come from: the table that the compiler writes beside the matchers.
 */
import { filterNames } from '../engine/generated/names.ts';

export interface KnownFilter {
  name: string;
  /** The first is the default; empty: the filter has none. */
  modes: readonly string[];
}

export const knownFilters: readonly KnownFilter[] = filterNames;
