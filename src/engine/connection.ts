/**
 * How the lines of one connection count together. Services such as sshd write several lines for one
 * attempt, some of them without the address; lines with the same host and pid belong to one
 * connection.
 *
 * - A failure is charged to the connection's address. Without one it stays pending until another
 *   line
 *   of the connection has the address: at its end that is another closing line.
 * - A context line (recognised, but no failure) provides the address and the user name.
 * - Stages order the lines of one attempt: a later stage of an attempt that already counted does
 *   not
 *   count again.
 * - Several user names in one connection make every line of it count: somebody is guessing names.
 * - A success clears what is pending, but cancels nothing that has counted.
 *
 * Attackers control how many connections there are. The table is fixed; a full set drops its oldest
 * connection, which is counted; at most one pending failure is lost with it (claims D-*, MM-04).
 */
import { byte, int, leastWord, lowestBit, product, seconds, setInt, setSeconds, spread, word, wordsAre } from '#linear';
import { copyAddress, loadAddress } from './address.ts';
import * as ascii from './ascii.ts';
import * as capture from './capture.ts';
import * as counters from './counters.ts';
import { FLAG_ENDS, FLAG_FAILURE, FLAG_GAINED, FLAG_STAGE_MAX, FLAG_STAGE_SHIFT } from './flags.ts';
import * as header from './header.ts';
import * as layout from './layout.ts';
import { smaller } from './scan.ts';

/** A connection is remembered for this many seconds of log time. */
const LIFETIME: f64 = 300;
/** User names are compared by their first bytes. */
const USER_BYTES_MAX: i32 = 256;

/*
 * A set is CONNECTION_WAYS keys of 16 bytes, one cache line, followed by as many bodies of 48
 * bytes: a line that belongs to none of them only reads the keys. The fields of the keys stand side
 * by side, so that all keys are compared at once.
 */
const BODIES: i32 = layout.CONNECTION_WAYS * 16;
const BODY_BYTES: i32 = layout.CONNECTION_BYTES - 16;

/* Keys. */
const PID: i32 = 0;
const HOST: i32 = 16;
/** Group + 1; 0 is a free record. */
const OWNER: i32 = 32;
/** Epoch second of the first line; 0 in a free record, which makes it the oldest. */
const CREATED: i32 = 48;

/* Body. */
const STATE: i32 = 0;
const USER: i32 = 4;
const HOME: i32 = 16;

const HAS_ADDRESS: i32 = 1;
const HAS_USER: i32 = 2;
const SEVERAL: i32 = 4;
const PENDING: i32 = 8;
const STAGE_SHIFT: i32 = 4;
/** The connection ended before its address was known. */
const ENDED: i32 = 128;

/** What a line means. */
export const CONTEXT: i32 = 0;
export const COUNTS: i32 = 1;
/** A failure of an attempt that was already counted. */
export const SAME_ATTEMPT: i32 = 2;
/** A failure whose address is not known yet. */
export const UNADDRESSED: i32 = 3;

/** Attempts to charge after COUNTS. */
export let charged: i32 = 1;

/** Key and body of the current connection. */
let key: i32 = 0;
let body: i32 = 0;

/** The hash of the host in the remembered place of this number (header.ts `place`). */
let hostHash: i32 = 0;
let hashedPlace: i32 = -1;

/** The hash of the last head's host. */
// @inline
export function hashHost(): i32 {
  if (header.place >= 0 && header.place === hashedPlace) return hostHash;
  hostHash = hashText(header.hostStart, header.hostEnd);
  hashedPlace = header.place;
  return hostHash;
}

/** A seeded hash of [start, end), four bytes a step: only to tell names apart. */
// @inline
function hashText(start: i32, end: i32): i32 {
  let hash = int(layout.SEED) ^ (end - start);
  let p = start;
  while (p + 4 < end) {
    hash = mix(hash, word(p));
    p += 4;
  }
  // The last one to four bytes.
  return p < end ? mix(hash, word(p) & (-1 >>> ((4 - end + p) << 3))) : hash;
}

function mix(hash: i32, value: i32): i32 {
  const mixed = product(hash ^ value, -1640531535);
  return mixed ^ (mixed >>> 15);
}

/** The number in the digits [start, end), modulo 2^32. */
// @inline
function readPid(start: i32, end: i32): i32 {
  const length = end - start;
  if (length <= 4) return lastDigits(end, length);
  if (length <= 8) return product(lastDigits(end - 4, length - 4), 10000) + lastDigits(end, 4);
  let pid = 0;
  for (let p = start; p < end; p++) pid = (product(pid, 10) + byte(p) - ascii.ZERO) | 0;
  return pid;
}

/** The number in the `count` digits before `end`, one to four of them. */
// @inline
function lastDigits(end: i32, count: i32): i32 {
  const digits = word(end - 4) & 0x0f0f0f0f & (-1 << ((4 - count) << 3));
  // Two digits in each half, the first one lowest.
  const pairs = (product(digits, 10) + (digits >> 8)) & 0x00ff00ff;
  return (pairs & 255) * 100 + (pairs >> 16);
}

/** The last head's pid, the hash of its host, and the set of both. */
let pid: i32 = 0;
let host: i32 = 0;
let set: i32 = 0;
/** Written by `prepare`, so that no compiler removes the reads. */
// biome-ignore lint/correctness/noUnusedVariables: nobody reads it
let touched: i32 = 0;

/**
 * To be called when a head with a pid was read, long before `follow`: its set is probably not in
 * the cache.
 */
// @inline
export function prepare(): void {
  if (header.pidStart >= header.pidEnd) return;
  pid = readPid(header.pidStart, header.pidEnd);
  host = hashHost();
  const index = spread(product(pid ^ host ^ int(layout.SEED + 4), -1640531527), layout.connectionSets);
  set = layout.connectionsAt + index * layout.CONNECTION_WAYS * layout.CONNECTION_BYTES;
  touched ^= int(set) ^ int(set + BODIES);
}

/**
 * Finds the live record of (owner, host, pid) in `set`, or reuses the oldest one; sets `key` and
 * `body`. Returns whether it was found.
 */
// @inline
function open(owner: i32, time: f64): bool {
  const same = wordsAre(set + PID, pid) & wordsAre(set + HOST, host) & wordsAre(set + OWNER, owner);
  if (same !== 0) {
    const way = lowestBit(same);
    key = set + way * 4;
    body = set + BODIES + way * BODY_BYTES;
    return time - seconds(key + CREATED) <= LIFETIME;
  }
  const oldest = leastWord(set + CREATED);
  key = set + oldest * 4;
  body = set + BODIES + oldest * BODY_BYTES;
  const oldestTime = seconds(key + CREATED);
  if (oldestTime > 0 && time - oldestTime <= LIFETIME) counters.add(counters.CONNECTIONS_EVICTED, 1);
  return false;
}

/**
 * Groups got new numbers: `table` + 4 × old number holds the new one, or -1; connections of those
 * are forgotten.
 */
export function regroupConnections(table: i32): void {
  for (let index = 0; index < layout.connectionSets; index++) {
    const keys = layout.connectionsAt + index * layout.CONNECTION_WAYS * layout.CONNECTION_BYTES;
    for (let p = keys; p < keys + layout.CONNECTION_WAYS * 4; p += 4) {
      const owner = int(p + OWNER);
      if (owner === 0) continue;
      const group = int(table + (owner - 1) * 4);
      setInt(p + OWNER, group + 1);
      if (group < 0) setInt(p + CREATED, 0);
    }
  }
}

function isHome(p: i32): bool {
  for (let i = 0; i < 16; i += 4) if (int(p + i) !== int(layout.ADDRESS + i)) return false;
  return true;
}

/**
 * Adds one matched line to its connection and says what it counts. Head and user name were read
 * before; `flags` are those of its pattern. `hasAddress`: ADDRESS holds the line's address;
 * `attempts`: how many the line reports. On COUNTS, ADDRESS holds the address to charge.
 */
// @inline
export function follow(group: i32, flags: i32, hasAddress: bool, time: f64, attempts: i32): i32 {
  const gained = (flags & FLAG_GAINED) !== 0;
  const context = (flags & FLAG_FAILURE) === 0 || gained;
  charged = context ? 1 : attempts;
  if (header.pidStart >= header.pidEnd) {
    if (context) return CONTEXT;
    return hasAddress ? COUNTS : UNADDRESSED;
  }
  let known = open(group + 1, time);
  const p = body;
  const ends = (flags & FLAG_ENDS) !== 0;
  // The same pid with another sender is another connection: charging the first sender would punish
  // an innocent host. So is a connection with lines after its end, except for another closing line.
  if (known) {
    const before = int(p + STATE);
    if (hasAddress && (before & HAS_ADDRESS) !== 0 && !isHome(p + HOME)) known = false;
    if ((before & ENDED) !== 0 && !ends) known = false;
  }
  if (!known) {
    setInt(key + PID, pid);
    setInt(key + HOST, host);
    setSeconds(key + CREATED, time);
    setInt(p + STATE, 0);
  }

  let state = int(p + STATE);
  const userStart = capture.userStart;
  const userBytes = capture.userEnd - userStart;
  if (userStart >= 0 && userBytes > 0) {
    const user = hashText(userStart, userStart + smaller(userBytes, USER_BYTES_MAX));
    if ((state & HAS_USER) === 0) {
      setInt(p + USER, user);
      state |= HAS_USER;
    } else if (int(p + USER) !== user) state |= SEVERAL;
  }
  if (gained) state &= ~PENDING;
  if (hasAddress) {
    copyAddress(p + HOME, layout.ADDRESS);
    state |= HAS_ADDRESS;
  }
  const wasPending = (state & PENDING) !== 0;
  state &= ~PENDING;
  const stage = (flags >> FLAG_STAGE_SHIFT) & FLAG_STAGE_MAX;
  let same = false;
  if (!context && stage > 0) {
    const before = state >> STAGE_SHIFT;
    same = before > 0 && stage > before;
    // If one line reports several attempts, the first is the one that was already counted.
    if (same && attempts > 1) {
      same = false;
      charged = attempts - 1;
    }
    state = (state & 15) | (stage << STAGE_SHIFT);
  }
  const counts = wasPending || ((state & SEVERAL) !== 0 && known && !same) || (!context && !same);
  let verdict = same ? SAME_ATTEMPT : CONTEXT;
  if (same && !hasAddress && (state & HAS_ADDRESS) !== 0) loadAddress(p + HOME);
  if (counts) {
    if ((state & HAS_ADDRESS) !== 0) {
      if (!hasAddress) loadAddress(p + HOME);
      verdict = COUNTS;
    } else {
      state |= PENDING;
      verdict = UNADDRESSED;
    }
  }
  // OpenSSH up to 7.4 names the address only in its last line.
  const waits = ends && verdict === UNADDRESSED;
  setInt(p + STATE, waits ? state | ENDED : state);
  setInt(key + OWNER, ends && !waits ? 0 : group + 1);
  if (ends && !waits) setInt(key + CREATED, 0);
  return verdict;
}
