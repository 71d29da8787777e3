/**
 * The tracker: a fixed, seeded, set-associative table of (jail, address) → failures within findtime.
 * Controlled by attackers: which addresses come and when. Invariants: never grows, never moves an entry, touches one set
 * of eight per observation; a full set triggers the eviction policy in that set (claims MM-11, MM-14, MM-15, D-*).
 *
 * Entry: key (8 or 16 bytes) | meta | newest failure (u32 seconds) | window.
 * The window holds the distances of the earlier failures from the newest one, ascending; a banned entry keeps the end of
 * its ban there instead (u32 seconds, FOREVER for a permanent one).
 */
import { half, int, seconds, setHalf, setInt, setSeconds, spread, toInt } from '#linear';
import { family } from './address.ts';
import {
  add,
  countJail,
  DENIED,
  EVICTIONS,
  EVICTIONS_BANNED,
  JAIL_ALREADY,
  JAIL_EVICTED,
  JAIL_TOO_OLD,
  TRACKED,
} from './counters.ts';
import {
  ADDRESS,
  entryBytes,
  JAIL_BANTIME,
  JAIL_BYTES,
  JAIL_FINDTIME,
  JAIL_MAXRETRY,
  JAIL_PREFIX,
  jailsAt,
  KEY,
  keyBytes,
  SEED,
  stepBytes,
  TABLE_WAYS,
  tableAt,
  tableSets,
} from './layout.ts';

export const FREE: i32 = 0;
export const TRACKING: i32 = 1;
/** A ban was decided; the kernel has not confirmed it. */
export const DECIDED: i32 = 2;
export const BANNED: i32 = 3;

export const FOREVER: f64 = 4294967295;

/** What a full set does (types.ts EvictionPolicy, same order). */
export const EVICT_OLDEST: i32 = 0;
export const BAN_ALL: i32 = 1;
export const DROP_UNBANNED: i32 = 2;
export const DENY_NEW: i32 = 3;
export const LOG_AND_DROP: i32 = 4;

let policy: i32 = 0;

export function setPolicy(value: i32): void {
  policy = value;
}

/* meta: bits 0–1 state, 2 family 6, 3–7 failures, 16–31 jail + 1 (so that a free entry's meta is 0). */

function rotate(x: i32, bits: i32): i32 {
  return (x << bits) | (x >>> (32 - bits));
}

/** HalfSipHash-1-3 (Aumasson and Bernstein) of `words` 32-bit words at `p` and one more, under the seed of this start. */
function hashWords(p: i32, words: i32, last: i32): i32 {
  // State in locals and the round written once: one pass per word, then three more to finish.
  let v0 = int(SEED);
  let v1 = int(SEED + 4);
  let v2 = 0x6c796765 ^ v0;
  let v3 = 0x74656462 ^ v1;
  for (let i = 0; i <= words + 3; i++) {
    const m = i < words ? int(p + i * 4) : i === words ? last : 0;
    if (i === words + 1) v2 ^= 255;
    v3 ^= m;
    v0 = (v0 + v1) | 0;
    v1 = rotate(v1, 5) ^ v0;
    v0 = rotate(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotate(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotate(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotate(v1, 13) ^ v2;
    v2 = rotate(v2, 16);
    v0 ^= m;
  }
  return v1 ^ v3;
}

/** Puts the address under examination, cut to the jail's IPv6 prefix, into KEY. */
export function makeKey(jail: i32): void {
  if (family === 4) {
    setInt(KEY, int(ADDRESS + 12));
    setInt(KEY + 4, 0);
    setInt(KEY + 8, 0);
    setInt(KEY + 12, 0);
    return;
  }
  const prefix = int(jailsAt + jail * JAIL_BYTES + JAIL_PREFIX);
  for (let i = 0; i < 4; i++) {
    const bits = prefix - i * 32;
    let value = int(ADDRESS + i * 4);
    if (bits <= 0) value = 0;
    else if (bits < 32) {
      // Words are little-endian here, the prefix counts from the first byte.
      const full = bits >> 3;
      const part = bits & 7;
      let mask = full === 0 ? 0 : -1 >>> (32 - full * 8);
      if (part !== 0) mask |= ((0xff00 >> part) & 255) << (full * 8);
      value &= mask;
    }
    setInt(KEY + i * 4, value);
  }
}

function metaOf(jail: i32, state: i32, failures: i32): i32 {
  return ((jail + 1) << 16) | (failures << 3) | (family === 6 ? 4 : 0) | state;
}

function setOf(jail: i32): i32 {
  const hash = hashWords(KEY, keyBytes >> 2, (jail << 1) | (family === 6 ? 1 : 0));
  return tableAt + spread(hash, tableSets) * TABLE_WAYS * entryBytes;
}

function isEntryOf(entry: i32, tag: i32): bool {
  if ((int(entry + keyBytes) & -65532) !== tag) return false;
  if (int(entry) !== int(KEY) || int(entry + 4) !== int(KEY + 4)) return false;
  return keyBytes === 8 || (int(entry + 8) === int(KEY + 8) && int(entry + 12) === int(KEY + 12));
}

/** The entry of (jail, KEY), or 0. */
function find(jail: i32): i32 {
  return findIn(setOf(jail), metaOf(jail, 0, 0));
}

/** The entry of KEY with the jail and family of `tag` in the set that starts at `entry`, or 0. */
function findIn(entry: i32, tag: i32): i32 {
  for (let way = 0; way < TABLE_WAYS; way++) {
    if (isEntryOf(entry, tag)) return entry;
    entry += entryBytes;
  }
  return 0;
}

function stateOf(entry: i32): i32 {
  return int(entry + keyBytes) & 3;
}

/** Epoch second at which the entry's ban ends (FOREVER: never). */
function banEnd(entry: i32): f64 {
  return seconds(entry + keyBytes + 8);
}

function step(entry: i32, i: i32): i32 {
  const p = entry + keyBytes + 8 + i * stepBytes;
  return stepBytes === 2 ? half(p) : int(p);
}

function setStep(entry: i32, i: i32, value: i32): void {
  const p = entry + keyBytes + 8 + i * stepBytes;
  if (stepBytes === 2) setHalf(p, value);
  else setInt(p, value);
}

/** Whether nothing would be lost with this entry at log time `time`. */
function isSpent(entry: i32, time: f64): bool {
  const meta = int(entry + keyBytes);
  if ((meta & 3) >= DECIDED) {
    const end = banEnd(entry);
    return end !== FOREVER && time >= end;
  }
  const jail = (meta >>> 16) - 1;
  return time - seconds(entry + keyBytes + 4) > int(jailsAt + jail * JAIL_BYTES + JAIL_FINDTIME);
}

/** Makes room in the set at `first`: a free entry, a spent one, or what the policy gives up; 0 when it gives up none. */
function makeRoom(first: i32, time: f64): i32 {
  // The least recently seen entry; what is decided but not yet in the kernel goes only when there is nothing else.
  let oldest = 0;
  let oldestTime: f64 = 0;
  let oldestWeight = 0;
  let entry = first;
  for (let way = 0; way < TABLE_WAYS; way++) {
    const meta = int(entry + keyBytes);
    if (meta === 0) {
      add(TRACKED, 1);
      return entry;
    }
    if (isSpent(entry, time)) return entry;
    const state = meta & 3;
    const seen = seconds(entry + keyBytes + 4);
    const weight = state === DECIDED ? 1 : 0;
    if (policy !== DROP_UNBANNED || state === TRACKING) {
      if (oldest === 0 || weight < oldestWeight || (weight === oldestWeight && seen < oldestTime)) {
        oldest = entry;
        oldestTime = seen;
        oldestWeight = weight;
      }
    }
    entry += entryBytes;
  }
  if (oldest === 0 || policy === DENY_NEW || policy === LOG_AND_DROP) {
    add(DENIED, 1);
    return 0;
  }
  add(EVICTIONS, 1);
  const meta = int(oldest + keyBytes);
  if ((meta & 3) >= DECIDED) add(EVICTIONS_BANNED, 1);
  countJail((meta >>> 16) - 1, JAIL_EVICTED);
  return oldest;
}

/** A new entry for KEY in the set at `first`, last seen at `time`; 0 when there is no room. The caller writes its meta. */
function claimEntry(first: i32, time: f64): i32 {
  const entry = makeRoom(first, time);
  if (entry === 0) return 0;
  setInt(entry, int(KEY));
  setInt(entry + 4, int(KEY + 4));
  if (keyBytes === 16) {
    setInt(entry + 8, int(KEY + 8));
    setInt(entry + 12, int(KEY + 12));
  }
  setSeconds(entry + keyBytes + 4, time);
  return entry;
}

/** Adds a failure at `time`; returns how many lie within findtime of the newest, or 0 when it lies before them all. */
function push(entry: i32, time: f64, findtime: i32, failures: i32): i32 {
  const newest = seconds(entry + keyBytes + 4);
  if (time >= newest) {
    const shift = time - newest;
    setSeconds(entry + keyBytes + 4, time);
    if (shift > findtime) return 1;
    const moved = toInt(shift);
    // Distances grow by `moved`; those beyond findtime fall off the end; the former newest becomes the first.
    let kept = failures - 1;
    while (kept > 0 && step(entry, kept - 1) + moved > findtime) kept--;
    return kept + 2;
  }
  return newest - time > findtime ? 0 : failures + 1;
}

/** Writes the window after `push` said that `failures` (of `before`) remain and the entry stays below maxretry. */
function writeWindow(entry: i32, time: f64, newest: f64, failures: i32): void {
  if (time >= newest) {
    if (failures === 1) return;
    const moved = toInt(time - newest);
    for (let i = failures - 2; i > 0; i--) setStep(entry, i, step(entry, i - 1) + moved);
    setStep(entry, 0, moved);
    return;
  }
  const distance = toInt(newest - time);
  let i = failures - 2;
  while (i > 0 && step(entry, i - 1) > distance) {
    setStep(entry, i, step(entry, i - 1));
    i--;
  }
  setStep(entry, i, distance);
}

/**
 * Observes one failure of KEY in `jail` at log time `time`. Returns the failures within findtime when a ban is due, else 0.
 * A ban comes exactly when maxretry observed failures lie within findtime, whatever order they come in.
 */
export function observe(jail: i32, time: f64): i32 {
  const settings = jailsAt + jail * JAIL_BYTES;
  const maxretry = int(settings + JAIL_MAXRETRY);
  const first = setOf(jail);
  const tag = metaOf(jail, 0, 0);
  let entry = findIn(first, tag);
  let failures = 0;
  if (entry !== 0) {
    const meta = int(entry + keyBytes);
    const newest = seconds(entry + keyBytes + 4);
    if ((meta & 3) >= DECIDED) {
      const end = banEnd(entry);
      if (end === FOREVER || time < end) {
        if (time > newest) setSeconds(entry + keyBytes + 4, time);
        countJail(jail, JAIL_ALREADY);
        return 0;
      }
      failures = 1;
      setSeconds(entry + keyBytes + 4, time);
    } else {
      failures = push(entry, time, int(settings + JAIL_FINDTIME), (meta >> 3) & 31);
      if (failures === 0) {
        countJail(jail, JAIL_TOO_OLD);
        return 0;
      }
      if (failures < maxretry) writeWindow(entry, time, newest, failures);
    }
  } else {
    entry = claimEntry(first, time);
    if (entry === 0) return 0;
    failures = 1;
  }
  if (failures < maxretry) {
    setInt(entry + keyBytes, tag | (failures << 3) | TRACKING);
    return 0;
  }
  decide(entry, jail, seconds(entry + keyBytes + 4));
  return failures;
}

/** Marks the entry as decided, its ban running from `time`. */
function decide(entry: i32, jail: i32, time: f64): void {
  const bantime = int(jailsAt + jail * JAIL_BYTES + JAIL_BANTIME);
  setInt(entry + keyBytes, (int(entry + keyBytes) & 4) | metaOf(jail, DECIDED, 0));
  let end: f64 = FOREVER;
  if (bantime >= 0 && time + bantime < FOREVER) end = time + bantime;
  setSeconds(entry + keyBytes + 8, end);
}

/** Whether (jail, KEY) is banned, in the kernel or about to be. */
export function isBanned(jail: i32): bool {
  const entry = find(jail);
  return entry !== 0 && stateOf(entry) >= DECIDED;
}

/** The kernel holds the ban of (jail, KEY). False when the entry was given up meanwhile. */
export function confirm(jail: i32): bool {
  const entry = find(jail);
  if (entry === 0 || stateOf(entry) !== DECIDED) return false;
  setInt(entry + keyBytes, int(entry + keyBytes) | BANNED);
  return true;
}

/** Records a ban that did not come from the window (an operator's, or one found in the kernel) until `end`. */
export function recordBan(jail: i32, time: f64, end: f64): void {
  const first = setOf(jail);
  let entry = findIn(first, metaOf(jail, 0, 0));
  if (entry === 0) {
    entry = claimEntry(first, time);
    if (entry === 0) return;
  }
  setInt(entry + keyBytes, metaOf(jail, BANNED, 0));
  setSeconds(entry + keyBytes + 8, end);
}

/** Forgets (jail, KEY): an unban starts the source afresh. */
export function forget(jail: i32): bool {
  const entry = find(jail);
  if (entry === 0) return false;
  setInt(entry + keyBytes, 0);
  add(TRACKED, -1);
  return true;
}
