/**
 * Failures on their way to the table. A source's sets are random, so most charges miss the cache,
 * and a charge that waits for memory blocks everything after it. So charges are collected and
 * settled together: one pass touches the marks of their sets, so that they are all fetched at once;
 * the next pass touches the entries that the marks point to; the last one counts the failures, in
 * the order of the lines.
 *
 * Attackers control which addresses come and when. Invariant: charges are settled before `feed`
 * returns, and the result is the same as if each line had been charged at once. When full, it
 * settles. If the decision ring is full, decisions stay in the table for the enforcer to find (a
 * replay prevents that: `engine.ts` checks how many charges wait).
 */
import { copyBytes, float, int, setFloat, setInt } from '#linear';
import { copyAddress, family, loadAddress } from './address.ts';
import * as counters from './counters.ts';
import * as layout from './layout.ts';
import {
  claimRow,
  decidedBans,
  decidedSeconds,
  decidedTime,
  deny,
  hashOf,
  likelyEntry,
  makeKey,
  observe,
  touchEntry,
  touchMarks,
} from './table.ts';

/** Number of waiting charges. */
export let waiting: i32 = 0;

/** Forgets the waiting charges. */
export function resetCharges(): void {
  waiting = 0;
}

/**
 * Charges `failures` of ADDRESS to `jail`; the source is its first `width` bits. They come from a
 * line at `offset` of `source`, with log time `time`, which `pattern` matched.
 */
// @inline
export function charge(jail: i32, width: i32, time: f64, failures: i32, source: i32, offset: f64, pattern: i32): void {
  const p = layout.CHARGES + waiting * layout.CHARGE_BYTES;
  makeKey(jail, width);
  if (!claimRow()) {
    deny(jail, time);
    return;
  }
  copyAddress(p + layout.CHARGE_ADDRESS, layout.ADDRESS);
  setInt(p + layout.CHARGE_JAIL, jail | (pattern << 8) | (width << 24));
  setInt(p + layout.CHARGE_HASH, hashOf(jail));
  setFloat(p + layout.CHARGE_TIME, time);
  setFloat(p + layout.CHARGE_OFFSET, offset);
  setInt(p + layout.CHARGE_FAILURES, failures);
  waiting++;
  if (waiting === layout.CHARGES_MAX) settle(source);
}

/** Moves the waiting charges, all from lines of `source`, into the table. */
export function settle(source: i32): void {
  const end = layout.CHARGES + waiting * layout.CHARGE_BYTES;
  // Written so that no compiler removes the reads.
  let touched = 0;
  for (let p = layout.CHARGES; p < end; p += layout.CHARGE_BYTES) touched ^= touchMarks(int(p + layout.CHARGE_HASH));
  for (let p = layout.CHARGES; p < end; p += layout.CHARGE_BYTES)
    setInt(p + layout.CHARGE_ENTRY, likelyEntry(int(p + layout.CHARGE_HASH)));
  for (let p = layout.CHARGES; p < end; p += layout.CHARGE_BYTES) touched ^= touchEntry(int(p + layout.CHARGE_ENTRY));
  setInt(layout.CHARGES_TOUCHED, touched);
  for (let p = layout.CHARGES; p < end; p += layout.CHARGE_BYTES) {
    const charged = int(p + layout.CHARGE_JAIL);
    const jail = charged & 255;
    const width = charged >>> 24;
    loadAddress(p + layout.CHARGE_ADDRESS);
    makeKey(jail, width);
    const failures = observe(
      jail,
      int(p + layout.CHARGE_HASH),
      float(p + layout.CHARGE_TIME),
      int(p + layout.CHARGE_FAILURES),
    );
    if (failures > 0) hand(jail, width, failures, source, float(p + layout.CHARGE_OFFSET), (charged >>> 8) & 0xffff);
  }
  waiting = 0;
}

/** Puts the decided ban of ADDRESS into the ring. */
function hand(jail: i32, width: i32, failures: i32, source: i32, offset: f64, pattern: i32): void {
  counters.countJail(jail, counters.JAIL_DECISIONS, 1);
  counters.add(counters.DECISIONS, 1);
  const written = int(layout.RING_WRITTEN);
  if (written - int(layout.RING_TAKEN) >= layout.ringMax) {
    // The table remembers the decision; the enforcer finds it there.
    counters.add(counters.DECISIONS_DEFERRED, 1);
    return;
  }
  const p = layout.ringAt + (written & (layout.ringMax - 1)) * layout.DECISION_BYTES;
  setInt(p + layout.DECISION_JAIL, jail);
  setInt(p + layout.DECISION_FAMILY, family);
  copyBytes(p + layout.DECISION_ADDRESS, layout.ADDRESS, 16);
  setFloat(p + layout.DECISION_TIME, decidedTime);
  setInt(p + layout.DECISION_FAILURES, failures);
  setInt(p + layout.DECISION_SECONDS, decidedSeconds);
  setInt(p + layout.DECISION_BANS, decidedBans);
  setInt(p + layout.DECISION_SOURCE, source);
  setInt(p + layout.DECISION_PREFIX, width);
  setInt(p + layout.DECISION_PATTERN, pattern);
  setFloat(p + layout.DECISION_OFFSET, offset);
  setInt(layout.RING_WRITTEN, written + 1);
}
