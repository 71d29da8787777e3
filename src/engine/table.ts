/**
 * The tracker: a fixed, seeded, set-associative table of (jail, address) → failures within
 * findtime. Attackers control which addresses come and when. Invariants: it never grows, never
 * moves an entry, and touches two sets of eight per observation; if both sets are full, the
 * eviction policy acts in these two (claims MM-11, MM-14, MM-15, D-*).
 *
 * A key has two sets, and a new entry goes into the emptier one, so the sets fill evenly. With one
 * set per key, the first set would be full when a sixth of the table is in use; with two, it is at
 * seven tenths.
 *
 * A slot is a mark and an entry, stored apart. The mark is a byte of the key's hash, 0 in a free
 * slot. The marks of a set lie together, so reading eight bytes shows which entries to examine:
 * most often one or none. Entry: key (8 or 16 bytes) | meta | newest failure (u32 seconds) |
 * window. The meta of a free slot is 0 too. The window holds the distances of the earlier failures
 * from the newest one, ascending, or sub-counts (counts.ts); a banned entry holds the end of its
 * ban there instead (u32 seconds, FOREVER for a permanent one). If bans escalate, an entry outlives
 * its ban with the number of bans so far: the memory of repeat offenders is as bounded as the
 * table.
 */
import {
  copyBytes,
  divide,
  fillZero,
  half,
  int,
  lowestBit,
  matchBits,
  ones,
  product,
  seconds,
  setByte,
  setFloat,
  setHalf,
  setInt,
  setSeconds,
  spread,
  toInt,
} from '#linear';
import { family } from './address.ts';
import * as counters from './counters.ts';
import { addCounts, clearCounts } from './counts.ts';
import { isShared } from './ignore.ts';
import * as layout from './layout.ts';

export const FOREVER: f64 = 4294967295;

/*
 * What happens when both sets are full (limits.ts evictionPolicies, same order). Free and spent
 * entries are always used first, then those that only hold a number of bans.
 */
/**
 * Evicts the source seen longest ago. A banned one only if there is nothing else, and then its ban
 * ends in the kernel too; one whose ban is not in the kernel yet stays.
 */
export const EVICT_OLDEST: i32 = 0;
/**
 * Denies the new source and asks for a run: every tracked source is banned, then the table is
 * emptied (`banTracked`).
 */
export const BAN_ALL: i32 = 1;
/**
 * Evicts the source seen longest ago among those that are not banned; denies the new source if all
 * are.
 */
export const DROP_UNBANNED: i32 = 2;
/** Denies the new source: existing entries stay. */
export const DENY_NEW: i32 = 3;
/** Like DENY_NEW, but the denied source is logged. */
export const LOG_AND_DROP: i32 = 4;

let policy: i32 = 0;

export function setPolicy(value: i32): void {
  policy = value;
}

/** After the layout of the memory: no run of ban_all is active. */
export function resetTable(): void {
  policy = EVICT_OLDEST;
  setInt(layout.BAN_ALL_DONE, layout.tableSets * layout.TABLE_WAYS);
}

/**
 * Makes the bans of returning sources grow in `jail`: they are remembered for `memory` seconds (-1
 * = not at all), up to `random` seconds are added to each but the first, and with `overall` the
 * bans in other jails count too.
 */
export function escalate(jail: i32, memory: i32, random: i32, overall: bool): void {
  const settings = layout.jailsAt + jail * layout.JAIL_BYTES;
  setInt(settings + layout.JAIL_MEMORY, memory);
  setInt(settings + layout.JAIL_RANDOM, random);
  setInt(settings + layout.JAIL_OVERALL, overall ? 1 : 0);
}

/* The last ban that `observe` decided. */
/** Epoch second from which it runs. */
export let decidedTime: f64 = 0;
/** Its length in seconds, -1 = permanent. */
export let decidedSeconds: i32 = 0;
/** The source's bans so far, this one included. */
export let decidedBans: i32 = 0;

/* The worth of an entry; full sets evict the smallest. */
const SPENT: i32 = 0;
/** Only the number of its bans is useful. */
const REMEMBERED: i32 = 1;
/** Failures within findtime. */
const OPEN: i32 = 2;
/** A ban that the kernel holds. */
const HELD: i32 = 3;
/** A ban that the kernel does not hold yet. */
const UNDELIVERED: i32 = 4;
/** 2^32, more than any second: entries are ordered by worth, then by time. */
const WORTH: f64 = 4294967296;

function rotate(x: i32, bits: i32): i32 {
  return (x << bits) | (x >>> (32 - bits));
}

/**
 * HalfSipHash-1-3 (Aumasson and Bernstein) of `words` 32-bit words at `p` and of `last`, with the
 * seed of this start.
 */
function hashWords(p: i32, words: i32, last: i32): i32 {
  // The state is in locals and the round is written once: one pass per word, then three more to
  // finish.
  let v0 = int(layout.SEED);
  let v1 = int(layout.SEED + 4);
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

/** A 6to4 address (RFC 3056): the owner of the IPv4 address in it has the whole /48. */
const SIX_TO_FOUR: i32 = 0x0220;
const SIX_TO_FOUR_BITS: i32 = 48;

function prefixOf(jail: i32): i32 {
  const settings = layout.jailsAt + jail * layout.JAIL_BYTES;
  return int(settings + (family === 4 ? layout.JAIL_PREFIX_FOUR : layout.JAIL_PREFIX_SIX));
}

/**
 * The prefix length, on the mapped scale, of the source that `jail` counts for the current address:
 * the jail's prefix; shorter for a 6to4 address; the whole address if several hosts share that
 * prefix (ignore.ts). 0 for the first address of such a prefix: its ban would look like one of the
 * whole prefix, and routers have that address.
 */
// @inline
export function widthIn(jail: i32): i32 {
  let bits = prefixOf(jail);
  if (family === 6 && bits > SIX_TO_FOUR_BITS && (int(layout.ADDRESS) & 0xffff) === SIX_TO_FOUR)
    bits = SIX_TO_FOUR_BITS;
  if (bits === 128 || !isShared(bits)) return bits;
  let below = 0;
  for (let i = 0; i < 4; i++) below |= int(layout.ADDRESS + i * 4) & ~maskOf(prefixOf(jail) - i * 32);
  return below === 0 ? 0 : 128;
}

/** The mask of a word of which the first `bits` bits belong to the prefix. */
// @inline
function maskOf(bits: i32): i32 {
  if (bits <= 0) return 0;
  if (bits >= 32) return -1;
  // Words are little-endian here, the prefix counts from the first byte.
  const full = bits >> 3;
  const part = bits & 7;
  let mask = full === 0 ? 0 : -1 >>> (32 - full * 8);
  if (part !== 0) mask |= ((0xff00 >> part) & 255) << (full * 8);
  return mask;
}

/**
 * The row of UPPERS with the upper half of the key's address; 0 if KEY is the source itself, NO_ROW
 * if there is no such row yet.
 */
let row: i32 = 0;
const NO_ROW: i32 = 255;

/**
 * Writes the current address, masked to `width` bits, to KEY. In a jail that counts prefixes, a
 * single address is its lower half, and the row of its upper half.
 */
// @inline
export function makeKey(jail: i32, width: i32): void {
  row = 0;
  if (family === 4) {
    setInt(layout.KEY, int(layout.ADDRESS + 12) & maskOf(width - 96));
    setInt(layout.KEY + 4, 0);
    setInt(layout.KEY + 8, 0);
    setInt(layout.KEY + 12, 0);
    return;
  }
  if (width === 128 && prefixOf(jail) < 128) {
    row = findRow();
    setInt(layout.KEY, int(layout.ADDRESS + 8));
    setInt(layout.KEY + 4, int(layout.ADDRESS + 12));
    setInt(layout.KEY + 8, 0);
    setInt(layout.KEY + 12, 0);
    return;
  }
  for (let i = 0; i < 4; i++) setInt(layout.KEY + i * 4, int(layout.ADDRESS + i * 4) & maskOf(width - i * 32));
}

function upperAt(place: i32): i32 {
  return layout.UPPERS + place * layout.UPPER_BYTES;
}

function findRow(): i32 {
  for (let i = int(layout.UPPERS); i > 0; i--) {
    if (int(upperAt(i)) === int(layout.ADDRESS) && int(upperAt(i) + 4) === int(layout.ADDRESS + 4)) return i;
  }
  return NO_ROW;
}

/**
 * Gives the upper half of the key's address a row if it needs one; false if all are in use. Rows
 * stay, since entries refer to them.
 */
// @inline
export function claimRow(): bool {
  if (row !== NO_ROW) return true;
  const count = int(layout.UPPERS) + 1;
  if (count > layout.UPPERS_MAX) return false;
  setInt(layout.UPPERS, count);
  copyBytes(upperAt(count), layout.ADDRESS, layout.UPPER_BYTES);
  row = count;
  return true;
}

/** The tag of the current address in `jail`. */
function tagOf(jail: i32): i32 {
  const key = (row << layout.META_ROW_SHIFT) | (family === 6 ? layout.META_SIX : 0);
  return ((jail + 1) << layout.META_JAIL_SHIFT) | key;
}

function bansOf(entry: i32): i32 {
  return (int(entry + layout.keyBytes) >> layout.META_BANS_SHIFT) & layout.META_BANS;
}

/**
 * The hash of (jail, KEY): determines its two sets. All words of an IPv4 key but the first are 0.
 */
// @inline
export function hashOf(jail: i32): i32 {
  return family === 4
    ? hashWords(layout.KEY, 1, jail << 1)
    : hashWords(layout.KEY, layout.keyBytes >> 2, (row << 16) | (jail << 1) | 1);
}

/**
 * Odd, with its ones well spread (2^32 ÷ the golden ratio): derives a second number from a hash.
 */
const SECOND: i32 = -1640531535;

/** The first slot of the set for a hash. */
function setOf(hash: i32): i32 {
  return spread(hash, layout.tableSets) * layout.TABLE_WAYS;
}

/**
 * The mark of a key with this hash: from its low bits, since the number of a set comes from the
 * high ones.
 */
function markOf(hash: i32): i32 {
  const low = hash & 255;
  return low === 0 ? 1 : low;
}

function entryAt(slot: i32): i32 {
  return layout.tableAt + slot * layout.entryBytes;
}

function slotOf(entry: i32): i32 {
  return divide(entry - layout.tableAt, layout.entryBytes);
}

/*
 * The first slots of the two sets, and the mark, of the last selected key; in a tiny table both
 * sets may be the same.
 */
let firstSet: i32 = 0;
let secondSet: i32 = 0;
let mark: i32 = 0;

/** Selects the key with this hash. */
// @inline
function seek(hash: i32): void {
  firstSet = setOf(hash);
  secondSet = setOf(product(hash, SECOND));
  mark = markOf(hash);
}

/**
 * Which slots of the two sets have the mark `wanted`: one bit for each of the first set, then of
 * the second.
 */
function marked(wanted: i32): i32 {
  return matchBits(layout.marksAt + firstSet, layout.marksAt + secondSet, wanted);
}

/** The slot of a bit from `marked`: both sets are read at once, since either is as likely. */
function slotAt(bit: i32): i32 {
  return bit < layout.TABLE_WAYS ? firstSet + bit : secondSet + bit - layout.TABLE_WAYS;
}

/** Reads the marks that a lookup with this hash reads. */
export function touchMarks(hash: i32): i32 {
  return int(layout.marksAt + setOf(hash)) ^ int(layout.marksAt + setOf(product(hash, SECOND)));
}

/**
 * The entry that the marks of both sets point to: most likely the one that a key with this hash
 * has, or will get.
 */
export function likelyEntry(hash: i32): i32 {
  seek(hash);
  const found = marked(mark);
  if (found !== 0) return entryAt(slotAt(lowestBit(found)));
  const slot = freeSlot();
  return entryAt(slot < 0 ? firstSet : slot);
}

/** Reads the first and the last bytes of an entry. */
export function touchEntry(entry: i32): i32 {
  return int(entry) ^ int(entry + layout.entryBytes - 4);
}

/** The entry of (jail, KEY), or 0. */
function find(jail: i32): i32 {
  return findHashed(hashOf(jail), tagOf(jail));
}

/** The entry of KEY with the jail and family of `tag` and this hash, or 0. */
// @inline
function findHashed(hash: i32, tag: i32): i32 {
  seek(hash);
  for (let found = marked(mark); found !== 0; found &= found - 1) {
    const entry = entryAt(slotAt(lowestBit(found)));
    if (isEntryOf(entry, tag)) return entry;
  }
  return 0;
}

/** Whether an entry is that of KEY and `tag`. */
// @inline
function isEntryOf(entry: i32, tag: i32): bool {
  if (
    int(entry) !== int(layout.KEY) ||
    int(entry + 4) !== int(layout.KEY + 4) ||
    (int(entry + layout.keyBytes) & layout.META_TAG) !== tag
  )
    return false;
  return layout.keyBytes === 8 || (int(entry + 8) === int(layout.KEY + 8) && int(entry + 12) === int(layout.KEY + 12));
}

function stateOf(entry: i32): i32 {
  return int(entry + layout.keyBytes) & layout.META_STATE;
}

/** Epoch second at which the entry's ban ends (FOREVER: never). */
function banEnd(entry: i32): f64 {
  return seconds(entry + layout.keyBytes + 8);
}

function step(entry: i32, i: i32): i32 {
  const p = entry + layout.keyBytes + 8 + i * layout.stepBytes;
  return layout.stepBytes === 2 ? half(p) : int(p);
}

function setStep(entry: i32, i: i32, value: i32): void {
  const p = entry + layout.keyBytes + 8 + i * layout.stepBytes;
  if (layout.stepBytes === 2) setHalf(p, value);
  else setInt(p, value);
}

/** The worth of a used entry at log time `time`. */
function worthOf(entry: i32, time: f64): i32 {
  const meta = int(entry + layout.keyBytes);
  const settings = layout.jailsAt + layout.jailIn(meta) * layout.JAIL_BYTES;
  if ((meta & layout.META_STATE) >= layout.DECIDED) {
    const end = banEnd(entry);
    if (end === FOREVER || time < end) return (meta & layout.META_STATE) === layout.DECIDED ? UNDELIVERED : HELD;
    return time - end <= int(settings + layout.JAIL_MEMORY) ? REMEMBERED : SPENT;
  }
  const age = time - seconds(entry + layout.keyBytes + 4);
  if (age <= int(settings + layout.JAIL_FINDTIME)) return OPEN;
  return bansOf(entry) > 0 && age <= int(settings + layout.JAIL_MEMORY) ? REMEMBERED : SPENT;
}

/**
 * Whether the entry, last seen at `seen`, has failures within findtime of `time`: true for most,
 * where `worthOf` is called for many.
 */
function isOpen(entry: i32, seen: f64, time: f64): bool {
  const meta = int(entry + layout.keyBytes);
  if ((meta & layout.META_STATE) >= layout.DECIDED) return false;
  return time - seen <= int(layout.jailsAt + layout.jailIn(meta) * layout.JAIL_BYTES + layout.JAIL_FINDTIME);
}

/** Counts an evicted entry of the given worth. */
function countEviction(entry: i32, worth: i32): void {
  if (worth === SPENT) return;
  counters.add(counters.EVICTIONS, 1);
  if (worth === OPEN) counters.add(counters.EVICTIONS_OPEN, 1);
  else if (worth === HELD) counters.add(counters.EVICTIONS_BANNED, 1);
  else counters.add(counters.EVICTIONS_REMEMBERED, 1);
  counters.countJail(layout.jailIn(int(entry + layout.keyBytes)), counters.JAIL_EVICTED, 1);
}

/** A free slot of the emptier set; -1 if both are full. */
// @inline
function freeSlot(): i32 {
  const free = marked(layout.FREE);
  const second = free >> layout.TABLE_WAYS;
  if (ones(free) < 2 * ones(second)) return secondSet + lowestBit(second);
  return free === 0 ? -1 : firstSet + lowestBit(free);
}

/** Takes a free slot and returns its entry; 0 if both sets are full. The caller writes its meta. */
// @inline
function takeFree(): i32 {
  const slot = freeSlot();
  if (slot < 0) return 0;
  setByte(layout.marksAt + slot, mark);
  counters.add(counters.TRACKED, 1);
  return entryAt(slot);
}

/**
 * Makes room in two full sets: the entry of smallest worth that the policy evicts; 0 if it evicts
 * none.
 */
function makeRoom(jail: i32, time: f64): i32 {
  // Of equal worth, the one seen longest ago; entries at or above the limit stay.
  let least: f64 = WORTH * OPEN;
  if (policy === EVICT_OLDEST) least = WORTH * (canNote() ? UNDELIVERED : HELD);
  else if (policy === DROP_UNBANNED) least = WORTH * HELD;
  let victim = -1;
  let victimWorth = SPENT;
  for (let way = 0; way < 2 * layout.TABLE_WAYS; way++) {
    const slot = slotAt(way);
    const entry = entryAt(slot);
    const seen = seconds(entry + layout.keyBytes + 4);
    let worth = OPEN;
    if (!isOpen(entry, seen, time)) worth = worthOf(entry, time);
    const value = WORTH * worth + seen;
    if (value < least) {
      least = value;
      victim = slot;
      victimWorth = worth;
    }
  }
  if (victim < 0) {
    deny(jail, time);
    return 0;
  }
  const entry = entryAt(victim);
  countEviction(entry, victimWorth);
  if (victimWorth === HELD) giveUp(entry);
  setByte(layout.marksAt + victim, mark);
  return entry;
}

/** Whether the enforcer can be told of one more source. */
function canNote(): bool {
  return int(layout.DENIALS_WRITTEN) - int(layout.DENIALS_TAKEN) < layout.DENIALS_MAX;
}

/**
 * Tells the enforcer of a source in `jail`, of `width` bits if it is IPv6 (0 = the jail's own
 * prefix); returns where its address goes.
 */
function note(jail: i32, six: bool, width: i32, time: f64): i32 {
  const written = int(layout.DENIALS_WRITTEN);
  const p = layout.DENIALS + (written & (layout.DENIALS_MAX - 1)) * layout.DENIAL_BYTES;
  setInt(p, jail);
  setInt(p + layout.DENIAL_FAMILY, (six ? 6 : 4) | (width << 8));
  setFloat(p + layout.DENIAL_TIME, time);
  setInt(layout.DENIALS_WRITTEN, written + 1);
  return p + layout.DENIAL_ADDRESS;
}

/** Reports that the ban of an entry, which the kernel holds, has to end. */
function giveUp(entry: i32): void {
  const meta = int(entry + layout.keyBytes);
  const six = (meta & layout.META_SIX) !== 0;
  const place = meta >>> layout.META_ROW_SHIFT;
  const p = note(layout.jailIn(meta), six, place > 0 ? 128 : 0, banEnd(entry));
  fillZero(p, 16);
  if (place > 0) {
    copyBytes(p, upperAt(place), 8);
    copyBytes(p + 8, entry, 8);
  } else if (six) copyBytes(p, entry, layout.keyBytes);
  else {
    // ::ffff:0:0/96
    setInt(p + 8, -65536);
    setInt(p + 12, int(entry));
  }
}

/** A failure of ADDRESS in `jail` finds no room. */
export function deny(jail: i32, time: f64): void {
  counters.add(counters.DENIED, 1);
  counters.countJail(jail, counters.JAIL_DENIED, 1);
  // If a run has not reached these sets yet (they are behind BAN_ALL_DONE), it will make room
  // there.
  const done = int(layout.BAN_ALL_DONE);
  if (policy === BAN_ALL && firstSet < done && secondSet < done) setSeconds(layout.BAN_ALL_DUE, time > 0 ? time : 1);
  if (policy === LOG_AND_DROP && canNote()) copyBytes(note(jail, family === 6, 128, time), layout.ADDRESS, 16);
}

/**
 * A new entry for KEY in its sets, last seen at `time`; 0 if there is no room. The caller writes
 * its meta.
 */
// @inline
function claimEntry(jail: i32, time: f64): i32 {
  let entry = takeFree();
  if (entry === 0) entry = makeRoom(jail, time);
  if (entry === 0) return 0;
  setInt(entry, int(layout.KEY));
  setInt(entry + 4, int(layout.KEY + 4));
  if (layout.keyBytes === 16) {
    setInt(entry + 8, int(layout.KEY + 8));
    setInt(entry + 12, int(layout.KEY + 12));
  }
  setSeconds(entry + layout.keyBytes + 4, time);
  return entry;
}

/**
 * Adds a failure at `time`, at most findtime before the newest one; returns how many lie within
 * findtime of the newest.
 */
// @inline
function push(entry: i32, time: f64, newest: f64, findtime: i32, failures: i32): i32 {
  if (time < newest) return failures + 1;
  const shift = time - newest;
  setSeconds(entry + layout.keyBytes + 4, time);
  if (shift > findtime) return 1;
  const moved = toInt(shift);
  // Distances grow by `moved`; those beyond findtime are dropped; the former newest becomes the
  // first.
  let kept = failures - 1;
  while (kept > 0 && step(entry, kept - 1) + moved > findtime) kept--;
  return kept + 2;
}

/**
 * Writes the window after `push` returned `failures`, if that is less than maxretry. `newest` is
 * the previous newest failure.
 */
// @inline
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
 * Observes `count` failures of KEY in `jail`, with hash `hash`, at log time `time`. Returns the
 * failures within findtime if a ban is due, else 0. With maxretry up to EXACT_MAX, a ban comes
 * exactly when maxretry observed failures lie within findtime, in whatever order they come; above
 * it, as counts.ts says. During the ban nothing counts; after it the source starts again, except
 * for the number of its bans.
 */
// @inline
export function observe(jail: i32, hash: i32, time: f64, count: i32): i32 {
  const settings = layout.jailsAt + jail * layout.JAIL_BYTES;
  const maxretry = int(settings + layout.JAIL_MAXRETRY);
  const findtime = int(settings + layout.JAIL_FINDTIME);
  const tag = tagOf(jail);
  let entry = findHashed(hash, tag);
  let newest = time;
  let failures = 0;
  let bans = 0;
  if (entry !== 0) {
    const meta = int(entry + layout.keyBytes);
    newest = seconds(entry + layout.keyBytes + 4);
    bans = bansOf(entry);
    if ((meta & layout.META_STATE) >= layout.DECIDED) {
      const end = banEnd(entry);
      if (end === FOREVER || time < end) {
        if (time > newest) setSeconds(entry + layout.keyBytes + 4, time);
        counters.countJail(jail, counters.JAIL_ALREADY, count);
        return 0;
      }
      if (time - end > int(settings + layout.JAIL_MEMORY)) bans = 0;
      setSeconds(entry + layout.keyBytes + 4, time);
      newest = time;
    } else {
      if (newest - time > findtime) {
        counters.countJail(jail, counters.JAIL_TOO_OLD, count);
        return 0;
      }
      if (bans > 0 && time - newest > int(settings + layout.JAIL_MEMORY)) bans = 0;
      failures = (meta >> layout.META_FAILURES_SHIFT) & layout.META_FAILURES;
    }
  } else {
    entry = claimEntry(jail, time);
    if (entry === 0) return 0;
  }
  let kept = layout.META_COUNTED;
  if (maxretry > layout.EXACT_MAX) failures = addCounted(entry, newest, time, findtime, failures, count, maxretry);
  else {
    failures = addExact(entry, newest, time, findtime, failures, count, maxretry);
    kept = failures;
  }
  if (failures < maxretry) {
    const history = (bans << layout.META_BANS_SHIFT) | (kept << layout.META_FAILURES_SHIFT);
    setInt(entry + layout.keyBytes, tag | history | layout.TRACKING);
    return 0;
  }
  const others = int(settings + layout.JAIL_OVERALL) !== 0 ? bansElsewhere(jail, time) : 0;
  decide(entry, tag, bans, others, seconds(entry + layout.keyBytes + 4));
  return failures;
}

/**
 * Adds `count` failures at `time`, one by one, to a window of `failures` (0: a new one) whose
 * newest is at `newest`; returns how many lie within findtime, at most maxretry.
 */
// @inline
function addExact(entry: i32, newest: f64, time: f64, findtime: i32, failures: i32, count: i32, maxretry: i32): i32 {
  if (failures === 0) {
    failures = 1;
    count--;
    if (time > newest) setSeconds(entry + layout.keyBytes + 4, time);
  }
  while (count > 0 && failures < maxretry) {
    failures = push(entry, time, newest, findtime, failures);
    if (failures < maxretry) writeWindow(entry, time, newest, failures);
    newest = seconds(entry + layout.keyBytes + 4);
    count--;
  }
  return failures;
}

/** The same with sub-counts; returns the result of `addCounts`. */
function addCounted(entry: i32, newest: f64, time: f64, findtime: i32, failures: i32, count: i32, maxretry: i32): i32 {
  const counts = entry + layout.keyBytes + 8;
  if (failures === 0) clearCounts(counts);
  if (time > newest) setSeconds(entry + layout.keyBytes + 4, time);
  return addCounts(counts, newest, time, findtime, count, maxretry);
}

/** Bans of ADDRESS that the other jails remember at `time`. */
function bansElsewhere(jail: i32, time: f64): i32 {
  let bans = 0;
  for (let other = 0; other < layout.jailCount; other++) {
    if (other === jail || int(layout.jailsAt + other * layout.JAIL_BYTES + layout.JAIL_MAXRETRY) === 0) continue;
    makeKey(other, widthIn(other));
    const entry = find(other);
    if (entry !== 0 && worthOf(entry, time) !== SPENT) bans += bansOf(entry);
  }
  makeKey(jail, widthIn(jail));
  return bans;
}

/**
 * Marks the entry of `tag` as decided. Its ban runs from `time`, after `bans` here and `others` in
 * other jails.
 */
function decide(entry: i32, tag: i32, bans: i32, others: i32, time: f64): void {
  const settings = layout.jailsAt + layout.jailIn(tag) * layout.JAIL_BYTES;
  const earlier = bans + others;
  const length = earlier < layout.BANTIMES_MAX ? earlier : layout.BANTIMES_MAX - 1;
  decidedSeconds = int(settings + layout.JAIL_BANTIMES + length * 4);
  if (earlier > 0 && decidedSeconds >= 0) decidedSeconds += draw(int(settings + layout.JAIL_RANDOM));
  decidedTime = time;
  decidedBans = earlier < layout.META_BANS ? earlier + 1 : layout.META_BANS;
  setInt(
    entry + layout.keyBytes,
    tag | ((bans < layout.META_BANS ? bans + 1 : layout.META_BANS) << layout.META_BANS_SHIFT) | layout.DECIDED,
  );
  let end: f64 = FOREVER;
  if (decidedSeconds >= 0 && time + decidedSeconds < FOREVER) end = time + decidedSeconds;
  setSeconds(entry + layout.keyBytes + 8, end);
}

/**
 * A number from 0 to `most` that nobody can predict without the seed, and that does not reveal the
 * seed.
 */
function draw(most: i32): i32 {
  if (most === 0) return 0;
  setInt(layout.DRAWS, int(layout.DRAWS) + 1);
  return spread(hashWords(layout.DRAWS, 1, most), most + 1);
}

function increase(p: i32): void {
  setInt(p, int(p) + 1);
}

/**
 * Counts the bans that run at epoch second `now` among `count` entries from `first` on into
 * JAIL_HELD, JAIL_HELD_SIX and JAIL_PENDING of their jails; the table's first entry begins a new
 * count.
 */
export function tallyBans(first: i32, count: i32, now: f64): void {
  for (let jail = 0; first === 0 && jail < layout.jailCount; jail++) {
    setInt(layout.jailsAt + jail * layout.JAIL_BYTES + layout.JAIL_HELD, 0);
    setInt(layout.jailsAt + jail * layout.JAIL_BYTES + layout.JAIL_PENDING, 0);
    setInt(layout.jailsAt + jail * layout.JAIL_BYTES + layout.JAIL_HELD_SIX, 0);
  }
  const end = layout.tableAt + (first + count) * layout.entryBytes;
  for (let entry = layout.tableAt + first * layout.entryBytes; entry < end; entry += layout.entryBytes) {
    const meta = int(entry + layout.keyBytes);
    if ((meta & layout.META_STATE) < layout.DECIDED || banEnd(entry) <= now) continue;
    const p = layout.jailsAt + layout.jailIn(meta) * layout.JAIL_BYTES;
    const isHeld = (meta & layout.META_STATE) === layout.BANNED;
    increase(p + (isHeld ? layout.JAIL_HELD : layout.JAIL_PENDING));
    if (isHeld && (meta & layout.META_SIX) !== 0) increase(p + layout.JAIL_HELD_SIX);
  }
}

/** Whether (jail, KEY) is banned, in the kernel or soon. */
export function isBanned(jail: i32): bool {
  const entry = find(jail);
  return entry !== 0 && stateOf(entry) >= layout.DECIDED;
}

/** The kernel holds the ban of (jail, KEY); does nothing if the entry was evicted meanwhile. */
export function confirm(jail: i32): void {
  const entry = find(jail);
  if (entry !== 0 && stateOf(entry) === layout.DECIDED)
    setInt(entry + layout.keyBytes, int(entry + layout.keyBytes) | layout.BANNED);
}

/**
 * Records a ban that did not come from the window (an operator's, or one found in the kernel or in
 * the saved state) until `end`; it is at least the `bans`-th of its source. `origin` is META_MANUAL
 * or 0.
 */
export function recordBan(jail: i32, time: f64, end: f64, bans: i32, origin: i32): void {
  if (!claimRow()) return;
  const tag = tagOf(jail);
  let entry = find(jail);
  if (entry === 0) {
    entry = claimEntry(jail, time);
    if (entry === 0) return;
  } else if (bansOf(entry) > bans) bans = bansOf(entry);
  setInt(entry + layout.keyBytes, tag | (bans << layout.META_BANS_SHIFT) | origin | layout.BANNED);
  setSeconds(entry + layout.keyBytes + 8, end);
}

/**
 * The clock was set: moves the times of `count` entries from `first` on by `by` seconds. The
 * remaining time of bans and windows stays the same.
 */
export function shiftTimes(first: i32, count: i32, by: f64): void {
  const stop = layout.tableAt + (first + count) * layout.entryBytes;
  for (let entry = layout.tableAt + first * layout.entryBytes; entry < stop; entry += layout.entryBytes) {
    if (int(entry + layout.keyBytes) === 0) continue;
    setSeconds(entry + layout.keyBytes + 4, shifted(seconds(entry + layout.keyBytes + 4), by));
    if (stateOf(entry) < layout.DECIDED || banEnd(entry) === FOREVER) continue;
    setSeconds(entry + layout.keyBytes + 8, shifted(banEnd(entry), by));
  }
}

/** A time moved by `by` seconds, within the range of an entry. */
function shifted(time: f64, by: f64): f64 {
  const moved = time + by;
  if (moved < 0) return 0;
  return moved < FOREVER ? moved : FOREVER - 1;
}

/** Forgets (jail, KEY): after an unban the source starts again. */
export function forget(jail: i32): void {
  const entry = find(jail);
  if (entry !== 0) free(entry);
}

/** Whether all slots of the set that begins at slot `first` are free: FREE is 0. */
// @inline
function isSetFree(first: i32): bool {
  return (int(layout.marksAt + first) | int(layout.marksAt + first + 4)) === 0;
}

/** The entry at which the walk with `copyEntries` continues. */
export let copiedUntil: i32 = 0;

/**
 * Copies entries that are useful at `now`, bans or windows, from entry `first` on to `to`, until
 * `room` bytes are full or the table ends. Returns the bytes.
 */
export function copyEntries(first: i32, bans: bool, now: f64, to: i32, room: i32): i32 {
  const count = layout.tableSets * layout.TABLE_WAYS;
  const last = room - layout.entryBytes;
  let entry = layout.tableAt + first * layout.entryBytes;
  let length = 0;
  let index = first;
  while (index < count && length <= last) {
    // One read of a set's marks shows that all its slots are free, as most of a table is.
    if (index % layout.TABLE_WAYS === 0 && isSetFree(index)) {
      entry += layout.TABLE_WAYS * layout.entryBytes;
      index += layout.TABLE_WAYS;
      continue;
    }
    const meta = int(entry + layout.keyBytes);
    if (meta !== 0 && (meta & layout.META_STATE) >= layout.DECIDED === bans && worthOf(entry, now) !== SPENT) {
      copyBytes(to + length, entry, layout.entryBytes);
      length += layout.entryBytes;
    }
    entry += layout.entryBytes;
    index++;
  }
  copiedUntil = index;
  return length;
}

/**
 * Puts a saved entry of (jail, KEY) back: `history` is its meta without the tag, `end` the first
 * word of its window (the end of its ban). Returns its position, for the rest of the window; 0 if
 * it is spent at `now` or already in the table, -1 if its sets, or the rows, are full: nothing is
 * evicted for it.
 */
export function restore(jail: i32, history: i32, seen: f64, end: f64, now: f64): i32 {
  if (!claimRow()) return -1;
  if (find(jail) !== 0) return 0;
  const entry = takeFree();
  if (entry === 0) return -1;
  copyBytes(entry, layout.KEY, layout.keyBytes);
  setInt(entry + layout.keyBytes, tagOf(jail) | history);
  setSeconds(entry + layout.keyBytes + 4, seen);
  setSeconds(entry + layout.keyBytes + 8, end);
  if (worthOf(entry, now) !== SPENT) return entry;
  free(entry);
  return 0;
}

/** The first entry in [first, last) that is a ban; `last` if there is none. */
export function nextBan(first: i32, last: i32): i32 {
  let meta = entryAt(first) + layout.keyBytes;
  for (let index = first; index < last; index++, meta += layout.entryBytes) {
    if ((int(meta) & layout.META_STATE) >= layout.DECIDED) return index;
  }
  return last;
}

/** The number of the entry of (jail, KEY), from 0; -1 if there is none. */
export function indexOf(jail: i32): i32 {
  const entry = find(jail);
  return entry !== 0 ? slotOf(entry) : -1;
}

/** Epoch second at which the ban of (jail, KEY) ends (FOREVER: never), -1 if there is none. */
export function endOfBan(jail: i32): f64 {
  const entry = find(jail);
  return entry !== 0 && stateOf(entry) >= layout.DECIDED ? banEnd(entry) : -1;
}

/** Frees the entries that are spent at `time`: other settings might revive them. */
export function freeSpent(time: f64): void {
  const count = layout.tableSets * layout.TABLE_WAYS;
  for (let index = 0, entry = layout.tableAt; index < count; index++, entry += layout.entryBytes)
    if (int(entry + layout.keyBytes) !== 0 && worthOf(entry, time) === SPENT) free(entry);
}

/** Frees the used entry of number `index`. */
export function freeEntry(index: i32): void {
  free(entryAt(index));
}

function free(entry: i32): void {
  setInt(entry + layout.keyBytes, 0);
  setByte(layout.marksAt + slotOf(entry), layout.FREE);
  counters.add(counters.TRACKED, -1);
}

/*
 * The policy ban_all, in slices between lines: a run bans every tracked source of a slice, then
 * empties the slice.
 */

export function beginBanAll(): void {
  setInt(layout.BAN_ALL_DUE, 0);
  setInt(layout.BAN_ALL_DONE, 0);
  counters.add(counters.BAN_ALL_RUNS, 1);
}

/**
 * Decides a ban from `time` on for each source with an open window among `count` entries from
 * `first` on; returns their number.
 */
export function banTracked(first: i32, count: i32, time: f64): i32 {
  let decided = 0;
  let entry = layout.tableAt + first * layout.entryBytes;
  for (let i = 0; i < count; i++) {
    const meta = int(entry + layout.keyBytes);
    if (meta !== 0 && worthOf(entry, time) === OPEN) {
      decide(entry, meta & layout.META_TAG, bansOf(entry), 0, time);
      counters.countJail(layout.jailIn(meta), counters.JAIL_DECISIONS, 1);
      decided++;
    }
    entry += layout.entryBytes;
  }
  counters.add(counters.DECISIONS, decided);
  return decided;
}

/**
 * Empties `count` entries from `first` on, except bans that the kernel does not hold yet and
 * sources that came after `banTracked`; returns how many stay.
 */
export function resetEntries(first: i32, count: i32, time: f64): i32 {
  let kept = 0;
  let entry = layout.tableAt + first * layout.entryBytes;
  for (let i = 0; i < count; i++) {
    if (int(entry + layout.keyBytes) !== 0) {
      const worth = worthOf(entry, time);
      if (worth === UNDELIVERED || worth === OPEN) kept++;
      else {
        countEviction(entry, worth);
        free(entry);
      }
    }
    entry += layout.entryBytes;
  }
  setInt(layout.BAN_ALL_DONE, first + count);
  return kept;
}
