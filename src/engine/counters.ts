/**
 * Counters are in the engine's memory as floats (exact to 2^53), so that the host reads them
 * without a call. The global ones come first, then eight for each filter, then eight for each jail.
 */
import { float, setFloat } from '#linear';
import * as layout from './layout.ts';

export const LINES: i32 = 0;
export const LINES_MATCHED: i32 = 1;
/** Lines over the limit: cut, the first part parsed. */
export const LINES_TOO_LONG: i32 = 2;
export const BYTES: i32 = 3;
export const DECISIONS: i32 = 4;
/** Entries in use now. */
export const TRACKED: i32 = 5;
/**
 * Entries evicted before they were spent: with a ban, with failures within findtime, or remembered.
 */
export const EVICTIONS: i32 = 6;
/**
 * Evictions of sources whose ban the kernel held; with evict_oldest the ban then ends there too.
 */
export const EVICTIONS_BANNED: i32 = 7;
/** Failures without room, under a policy that protects the existing entries. */
export const DENIED: i32 = 8;
/** Connections evicted for newer ones before they ended. */
export const CONNECTIONS_EVICTED: i32 = 9;
/** Decisions that found the ring full: they stay in the table until a sweep finds them. */
export const DECISIONS_DEFERRED: i32 = 10;
/** Evictions of sources whose failures were within findtime. */
export const EVICTIONS_OPEN: i32 = 11;
/** Evictions of sources that were remembered only for their number of bans. */
export const EVICTIONS_REMEMBERED: i32 = 12;
/** Runs of the policy ban_all. */
export const BAN_ALL_RUNS: i32 = 13;
/** Lines that are not wrapped as the jail's format says. */
export const LINES_MISSHAPEN: i32 = 14;
/** Pieces of lines that were dropped because the rest of the line was. */
export const PIECES_DROPPED: i32 = 15;

export const FILTER_LINES: i32 = 0;
export const FILTER_MATCHED: i32 = 1;
/** Lines that matched one of the filter's ignore patterns. */
export const FILTER_IGNORED: i32 = 2;
/** The pattern matched, but there was no address at its position (or a host name). */
export const FILTER_BAD_ADDRESS: i32 = 3;
export const FILTER_HOST_NAME: i32 = 4;
export const FILTER_NO_PREFIX: i32 = 5;
/** The pattern matched, but no calendar or clock has the line's time. */
export const FILTER_BAD_TIME: i32 = 6;
/** The pattern matched, but the line begins with a time in an unknown format. */
export const FILTER_UNREAD_TIME: i32 = 7;

export const JAIL_FAILURES: i32 = 0;
export const JAIL_DECISIONS: i32 = 1;
/** Failures of addresses in ignoreip. */
export const JAIL_IGNORED: i32 = 2;
/** Failures of a source whose ban is running. */
export const JAIL_ALREADY: i32 = 3;
export const JAIL_TOO_OLD: i32 = 4;
export const JAIL_FUTURE: i32 = 5;
export const JAIL_EVICTED: i32 = 6;
/** Failures without room in the table. */
export const JAIL_DENIED: i32 = 7;

export function add(counter: i32, amount: f64): void {
  const p = layout.COUNTERS + counter * 8;
  setFloat(p, float(p) + amount);
}

export function countFilter(filter: i32, counter: i32, amount: f64): void {
  const p = layout.filtersAt + filter * layout.FILTER_BYTES + counter * 8;
  setFloat(p, float(p) + amount);
}

export function countJail(jail: i32, counter: i32, amount: f64): void {
  const p = layout.jailsAt + jail * layout.JAIL_BYTES + layout.JAIL_COUNTERS + counter * 8;
  setFloat(p, float(p) + amount);
}
