/**
 * Failures on their way to the table. Which sets a source falls into is random, so most charges
 * find it in no cache; a charge that waits for memory holds up everything behind it. So charges are
 * gathered, and settled together: one pass touches the marks of their sets, so that they are
 * fetched at once, the next ones the entries that these point to, and the last one observes, in the
 * order of the lines.
 *
 * Controlled by attackers: which addresses come and when. Invariant: settled before `feed` returns,
 * what is left is what charging each line at once would have left. When full it is settled; when
 * the decision ring is full, decisions stay in the table for the enforcer to find (a replay does
 * not let it come to that: `engine.ts` asks how many charges wait).
 */
import { copyBytes, float, int, setFloat, setInt } from '#linear';
import { copyAddress, family, loadAddress } from './address.ts';
import { add, countJail, DECISIONS, DECISIONS_DEFERRED, JAIL_DECISIONS } from './counters.ts';
import {
  ADDRESS,
  CHARGE_ADDRESS,
  CHARGE_BYTES,
  CHARGE_ENTRY,
  CHARGE_HASH,
  CHARGE_JAIL,
  CHARGE_OFFSET,
  CHARGE_TIME,
  CHARGES,
  CHARGES_MAX,
  CHARGES_TOUCHED,
  DECISION_ADDRESS,
  DECISION_BANS,
  DECISION_BYTES,
  DECISION_FAILURES,
  DECISION_FAMILY,
  DECISION_JAIL,
  DECISION_OFFSET,
  DECISION_PATTERN,
  DECISION_PREFIX,
  DECISION_SECONDS,
  DECISION_SOURCE,
  DECISION_TIME,
  JAIL_BYTES,
  JAIL_PREFIX,
  jailsAt,
  RING_TAKEN,
  RING_WRITTEN,
  ringAt,
  ringMax,
} from './layout.ts';
import {
  decidedBans,
  decidedSeconds,
  decidedTime,
  hashOf,
  likelyEntry,
  makeKey,
  observe,
  touchEntry,
  touchMarks,
} from './table.ts';

/** Charges that wait. */
export let waiting: i32 = 0;

/** Forgets what waits. */
export function resetCharges(): void {
  waiting = 0;
}

/**
 * Charges the failure at ADDRESS, of a line at `offset` of `source` and of log time `time`, which
 * `pattern` took, to `jail`.
 */
// @inline
export function charge(jail: i32, time: f64, source: i32, offset: f64, pattern: i32): void {
  const p = CHARGES + waiting * CHARGE_BYTES;
  makeKey(jail);
  copyAddress(p + CHARGE_ADDRESS, ADDRESS);
  setInt(p + CHARGE_JAIL, jail | (pattern << 8));
  setInt(p + CHARGE_HASH, hashOf(jail));
  setFloat(p + CHARGE_TIME, time);
  setFloat(p + CHARGE_OFFSET, offset);
  waiting++;
  if (waiting === CHARGES_MAX) settle(source);
}

/** Brings the waiting charges, all of lines of `source`, into the table. */
export function settle(source: i32): void {
  const end = CHARGES + waiting * CHARGE_BYTES;
  // Kept, so that no compiler takes what is read for idle.
  let touched = 0;
  for (let p = CHARGES; p < end; p += CHARGE_BYTES) touched ^= touchMarks(int(p + CHARGE_HASH));
  for (let p = CHARGES; p < end; p += CHARGE_BYTES) setInt(p + CHARGE_ENTRY, likelyEntry(int(p + CHARGE_HASH)));
  for (let p = CHARGES; p < end; p += CHARGE_BYTES) touched ^= touchEntry(int(p + CHARGE_ENTRY));
  setInt(CHARGES_TOUCHED, touched);
  for (let p = CHARGES; p < end; p += CHARGE_BYTES) {
    const jail = int(p + CHARGE_JAIL) & 255;
    loadAddress(p + CHARGE_ADDRESS);
    makeKey(jail);
    const failures = observe(jail, int(p + CHARGE_HASH), float(p + CHARGE_TIME));
    if (failures > 0) hand(jail, failures, source, float(p + CHARGE_OFFSET), int(p + CHARGE_JAIL) >>> 8);
  }
  waiting = 0;
}

/** Puts the ban that was decided of ADDRESS into the ring. */
function hand(jail: i32, failures: i32, source: i32, offset: f64, pattern: i32): void {
  countJail(jail, JAIL_DECISIONS);
  add(DECISIONS, 1);
  const written = int(RING_WRITTEN);
  if (written - int(RING_TAKEN) >= ringMax) {
    // The table remembers that the ban was decided; the enforcer finds it there.
    add(DECISIONS_DEFERRED, 1);
    return;
  }
  const p = ringAt + (written & (ringMax - 1)) * DECISION_BYTES;
  setInt(p + DECISION_JAIL, jail);
  setInt(p + DECISION_FAMILY, family);
  copyBytes(p + DECISION_ADDRESS, ADDRESS, 16);
  setFloat(p + DECISION_TIME, decidedTime);
  setInt(p + DECISION_FAILURES, failures);
  setInt(p + DECISION_SECONDS, decidedSeconds);
  setInt(p + DECISION_BANS, decidedBans);
  setInt(p + DECISION_SOURCE, source);
  setInt(p + DECISION_PREFIX, family === 4 ? 32 : int(jailsAt + jail * JAIL_BYTES + JAIL_PREFIX));
  setInt(p + DECISION_PATTERN, pattern);
  setFloat(p + DECISION_OFFSET, offset);
  setInt(RING_WRITTEN, written + 1);
}
