/**
 * A filter by its number: below `filterCount` a built-in one, above it one of the operator's, whose
 * program (src/compiler/encode.ts) the host put into memory. Numbers come from the host; programs
 * have passed the compiler's checks. The functions mean the same for both kinds.
 */
import { int } from '#linear';
import {
  filterConnection,
  filterCount,
  filterPrefixes,
  matchFilter,
  matchTag,
  mayMatch,
  patternFlags,
} from './generated/index.ts';
import { interpret, programConnection, programFlags, programPrefixes, programTag } from './interpreter.ts';
import { programsAt } from './layout.ts';

/** Where the program of `filter` begins: the region starts with an address for each. */
function programOf(filter: i32): i32 {
  return int(programsAt + ((filter - filterCount) << 2));
}

/**
 * The number of the first pattern of `filter` that matches the message [start, end) in `mode` (a
 * bit), or -1.
 */
// @inline
export function match(filter: i32, start: i32, end: i32, mode: i32): i32 {
  if (filter < filterCount) return matchFilter(filter, start, end, mode);
  return interpret(programOf(filter), start, end, mode);
}

/** A quick test of the line [start, end): false if no pattern of `filter` can match it. */
// @inline
export function may(filter: i32, start: i32, end: i32): bool {
  return filter >= filterCount || mayMatch(filter, start, end);
}

/**
 * What a pattern means: 1 failure, 2 connection ends, 4 login gained, 8 ignore, 16 has an address;
 * stage << 5; 256 takes whole lines only; 512 is
 * tentative; 1024 a list.
 */
// @inline
export function flagsOf(filter: i32, pattern: i32): i32 {
  if (filter < filterCount) return patternFlags(filter, pattern);
  return programFlags(programOf(filter), pattern);
}

/**
 * The prefixes before a message, two bits each, the first one to try lowest: 1 syslog, 2 time, 3
 * bare, 0 no more.
 */
// @inline
export function prefixesOf(filter: i32): i32 {
  if (filter < filterCount) return filterPrefixes(filter);
  return programPrefixes(programOf(filter));
}

/**
 * How attempts are told apart: 0 not at all, 1 host and pid, 2 address, 3 process, 4 session, 5
 * number.
 */
// @inline
export function connectionOf(filter: i32): i32 {
  if (filter < filterCount) return filterConnection(filter);
  return programConnection(programOf(filter));
}

/** Whether `filter` reads messages of the syslog identifier [start, end). */
// @inline
export function readsTag(filter: i32, start: i32, end: i32): bool {
  if (filter < filterCount) return matchTag(filter, start, end);
  return programTag(programOf(filter), start, end);
}
