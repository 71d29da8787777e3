/**
 * Sub-counts: the window of a jail whose maxretry is larger than the number of failures that an
 * entry stores one by one. Findtime is divided into PARTS parts of equal length, counted from the
 * epoch. We keep the counts of the newest failure's part and of the PARTS parts before it; the
 * oldest of these contains the point one findtime before the newest failure.
 *
 * Any PARTS parts in a row span less than findtime, so failures in them lie within findtime. And
 * failures within all but one part of findtime lie in PARTS parts in a row. So a ban on their sum
 * is never too early, and at most one part late, in whatever order failures come.
 */
import { int, setInt, toInt } from '#linear';
import * as layout from './layout.ts';
import { larger } from './scan.ts';

/** Bits of a sub-count, and how many of them fit a word. */
const BITS: i32 = 10;
const MASK: i32 = 1023;
const IN_WORD: i32 = 3;

/** Empties the sub-counts at `at`. */
export function clearCounts(at: i32): void {
  for (let i = 0; i < layout.COUNTS_BYTES; i += 4) setInt(at + i, 0);
}

/**
 * Adds `failures` at `time`, at most findtime before the newest failure; returns the largest sum
 * over PARTS parts in a row. If it reaches `maxretry`, nothing is written: the ban takes the place
 * of the counts.
 */
export function addCounts(at: i32, newest: f64, time: f64, findtime: i32, failures: i32, maxretry: i32): i32 {
  const moved = layout.partOf(time, findtime) - layout.partOf(newest, findtime);
  if (moved > 0) shift(at, moved > layout.PARTS ? layout.PARTS + 1 : toInt(moved));
  const place = moved < 0 ? toInt(-moved) : 0;
  let total = failures;
  for (let i = 0; i <= layout.PARTS; i++) total += count(at, i);
  const newer = total - count(at, layout.PARTS) - (place === layout.PARTS ? failures : 0);
  const older = total - count(at, 0) - (place === 0 ? failures : 0);
  const most = larger(newer, older);
  if (most < maxretry) setCount(at, place, count(at, place) + failures);
  return most;
}

/** Failures of the part `i` parts before the newest one. */
function count(at: i32, i: i32): i32 {
  const word = wordOf(i);
  return (int(at + word * 4) >> ((i - word * IN_WORD) * BITS)) & MASK;
}

function setCount(at: i32, i: i32, value: i32): void {
  const word = wordOf(i);
  const bits = (i - word * IN_WORD) * BITS;
  setInt(at + word * 4, (int(at + word * 4) & ~(MASK << bits)) | (value << bits));
}

/** `i` ÷ IN_WORD. */
function wordOf(i: i32): i32 {
  return (i * 11) >> 5;
}

/** Makes room for `parts` newer parts. */
function shift(at: i32, parts: i32): void {
  for (let i = layout.PARTS; i >= 0; i--) setCount(at, i, i < parts ? 0 : count(at, i - parts));
}
