/**
 * One attempt counts once, also where several processes speak of it; and what PAM's modules refuse
 * waits for the verdict of the service. Filters say what tells attempts apart (`connection`): the
 * address, address and process, or address and what the pattern captured.
 *
 * - Lines of one attempt have stages. Of each stage we count the lines; the attempts of a source
 *   are
 *   as many as the stage with the most lines has. So a line counts only where its stage gets ahead
 *   of all others, whatever the order of the lines. The line that ends a connection (`ends`) is
 *   about its attempts; then the count begins anew. A line may stand for several (repeat.ts).
 * - A tentative failure (a PAM module's) is held: a success of the same user within HOLD_SECONDS
 *   takes it back, at most that one; a line of the service or another module about it joins it; the
 *   next attempt, or the end of the time, charges it.
 *
 * Controlled by attackers: addresses, users and how many of both. A success takes back only what is
 * held of its own address, and there only a failure of its own user or of nobody that has a name;
 * where processes are told apart, only of its own process. Nobody's other failures are touched. The
 * table is fixed: a full set gives up its oldest record, and what that holds is charged at once.
 */
import { byte, copyBytes, float, int, product, setByte, setFloat, setInt, spread } from '#linear';
import { copyAddress } from './address.ts';
import * as ascii from './ascii.ts';
import * as capture from './capture.ts';
import { FLAG_ENDS, FLAG_FAILURE, FLAG_GAINED, FLAG_STAGE_MAX, FLAG_STAGE_SHIFT, FLAG_TENTATIVE } from './flags.ts';
import * as header from './header.ts';
import * as layout from './layout.ts';
import { smaller } from './scan.ts';

/* What tells attempts apart, as the compiler writes it; 2 is the address alone. */
export const BY_PID: i32 = 1;
const BY_PROCESS: i32 = 3;
export const BY_SESSION: i32 = 4;
export const BY_NUMBER: i32 = 5;

/** A record is forgotten when no line came for so many seconds: longer than a login may take. */
const LIFETIME: f64 = 300;
/** So long the service may take for its verdict: PAM's delay of a failure is some two seconds. */
const HOLD_SECONDS: f64 = 10;
/** A stage is counted up to here, then the record starts afresh. */
const COUNT_MAX: i32 = 250;

/* A record. */
const MARK: i32 = 0;
const OWNER: i32 = 4;
const SEEN: i32 = 8;
/** Bytes: attempts, then the lines of stages 1 to 7. */
const COUNTS: i32 = 16;
/** Stages of the held failure, one bit each; 0: none is held. */
const STAGES: i32 = 24;
/** The held failure's user, as a hash; 0: none. */
const USER: i32 = 28;
const TIME: i32 = 32;
const OFFSET: i32 = 40;
/** When it is due, by the clock. */
const DUE: i32 = 48;
const SOURCE: i32 = 56;
const PATTERN: i32 = 60;
const HOME: i32 = 64;

/** What a line of an attempt means. */
export const COUNTS_NOW: i32 = 1;
export const SAME: i32 = 2;
export const HELD: i32 = 3;

/** When the first held failure is due, or earlier; Infinity: none is held. */
let nextDue: f64 = Infinity;
/** A failure was held by a record that another one needed; it stands behind the records. */
let evicted: bool = false;

/** What the last line, or the last failure taken, charges: so many attempts, of this log time. */
export let counted: i32 = 0;
export let countedTime: f64 = 0;
/** The failure that `takeDue` or `takeEvicted` took; its address is in ADDRESS. */
export let takenGroup: i32 = 0;
export let takenSource: i32 = 0;
export let takenOffset: f64 = 0;
export let takenPattern: i32 = 0;

/** What tells the attempt apart that the last line was about, and whose it was, as hashes. */
export let attemptMark: i32 = 0;
export let attemptUser: i32 = 0;

/** Forgets what is held. */
export function resetAttempts(): void {
  nextDue = Infinity;
  evicted = false;
}

// @inline
function mix(hash: i32, value: i32): i32 {
  const mixed = product(hash ^ value, -1640531535);
  return mixed ^ (mixed >>> 15);
}

/** A seeded hash of [start, end), its ASCII letters as small ones; never 0. */
function hashText(seed: i32, start: i32, end: i32): i32 {
  let hash = seed;
  for (let p = start; p < end; p++) {
    const c = byte(p);
    hash = mix(hash, c >= ascii.UPPER_A && c <= ascii.UPPER_Z ? c + 32 : c);
  }
  return hash === 0 ? 1 : hash;
}

/** The record behind all others. */
function spareAt(): i32 {
  return layout.attemptsAt + layout.ATTEMPT_SETS * layout.ATTEMPT_WAYS * layout.ATTEMPT_BYTES;
}

/** The record of (owner, mark), or the oldest of its set, taken over for it. */
function open(owner: i32, mark: i32, now: f64): i32 {
  const index = spread(product(mark, -1640531527), layout.ATTEMPT_SETS);
  const set = layout.attemptsAt + index * layout.ATTEMPT_WAYS * layout.ATTEMPT_BYTES;
  let oldest = set;
  for (let way = 0; way < layout.ATTEMPT_WAYS; way++) {
    const p = set + way * layout.ATTEMPT_BYTES;
    if (int(p + OWNER) === owner && int(p + MARK) === mark) {
      if (now - float(p + SEEN) > LIFETIME) clearCounts(p);
      setFloat(p + SEEN, now);
      return p;
    }
    if (float(p + SEEN) < float(oldest + SEEN)) oldest = p;
  }
  if (int(oldest + STAGES) !== 0) {
    copyBytes(spareAt(), oldest, layout.ATTEMPT_BYTES);
    evicted = true;
  }
  setInt(oldest + MARK, mark);
  setInt(oldest + OWNER, owner);
  setFloat(oldest + SEEN, now);
  clearCounts(oldest);
  setInt(oldest + STAGES, 0);
  return oldest;
}

function clearCounts(p: i32): void {
  setInt(p + COUNTS, 0);
  setInt(p + COUNTS + 4, 0);
}

/** So many more attempts at `stage`: of how many is this the first word? */
function advance(p: i32, stage: i32, attempts: i32): i32 {
  if (byte(p + COUNTS + stage) + attempts > COUNT_MAX) clearCounts(p);
  const told = byte(p + COUNTS + stage) + smaller(attempts, COUNT_MAX);
  const known = byte(p + COUNTS);
  setByte(p + COUNTS + stage, told);
  if (told <= known) return 0;
  setByte(p + COUNTS, told);
  return told - known;
}

/** The held failure is one of an attempt: 1 where it is the first word about it. */
function settleHeld(p: i32): i32 {
  const held = int(p + STAGES);
  setInt(p + STAGES, 0);
  let first = 0;
  for (let stage = 1; stage <= FLAG_STAGE_MAX; stage++) {
    if ((held & (1 << stage)) !== 0) first |= advance(p, stage, 1);
  }
  return first;
}

/** Finds out which attempt the line that was read last is about. */
function identify(kind: i32): void {
  attemptMark = hashText(int(layout.SEED) ^ kind, layout.ADDRESS, layout.ADDRESS + 16);
  if (kind === BY_PROCESS) attemptMark = hashText(attemptMark, header.pidStart, header.pidEnd);
  const named = capture.userStart >= 0 && capture.userEnd > capture.userStart;
  attemptUser = named ? hashText(int(layout.SEED + 4), capture.userStart, capture.userEnd) : 0;
  if (kind === BY_SESSION) attemptMark = mix(attemptMark, attemptUser);
}

/** The line at hand is about the attempt that these tell apart. */
export function resumeAttempt(mark: i32, user: i32): void {
  attemptMark = mark;
  attemptUser = user;
}

/**
 * Takes the line that was read last, about the source at ADDRESS, and says what it means: 0
 * nothing, COUNTS_NOW so many as `counted` says. `now` is the clock that held failures wait by;
 * `kind` 0: which attempt it is about is known.
 */
export function join(
  kind: i32,
  group: i32,
  flags: i32,
  time: f64,
  now: f64,
  attempts: i32,
  source: i32,
  offset: f64,
  pattern: i32,
): i32 {
  const stage = (flags >> FLAG_STAGE_SHIFT) & FLAG_STAGE_MAX;
  const gained = (flags & FLAG_GAINED) !== 0;
  counted = attempts;
  countedTime = time;
  if (stage === 0 && !gained) return (flags & FLAG_FAILURE) !== 0 ? COUNTS_NOW : 0;
  if (kind !== 0) identify(kind);
  const user = attemptUser;
  const p = open(group + 1, attemptMark, now);
  const held = int(p + STAGES);
  const heldUser = int(p + USER);
  if (gained) {
    if (heldUser === 0 || heldUser === user) setInt(p + STAGES, 0);
    return 0;
  }
  const isSameUser = heldUser === user || heldUser === 0 || user === 0;
  if ((flags & FLAG_TENTATIVE) === 0) {
    counted = advance(p, stage, attempts);
    if (held !== 0 && isSameUser) counted += settleHeld(p);
    if ((flags & FLAG_ENDS) !== 0) clearCounts(p);
    return counted > 0 ? COUNTS_NOW : SAME;
  }
  const bit = 1 << stage;
  if (held !== 0 && (held & bit) === 0 && isSameUser && attempts === 1) {
    // Another module speaks of the same attempt.
    setInt(p + STAGES, held | bit);
    if (user !== 0) setInt(p + USER, user);
    return HELD;
  }
  // The last attempt of the line waits; what came before it counts.
  counted = held !== 0 ? settleHeld(p) : 0;
  if (attempts > 1) counted += advance(p, stage, attempts - 1);
  else if (counted > 0) countedTime = float(p + TIME);
  setInt(p + STAGES, bit);
  setInt(p + USER, user);
  setFloat(p + TIME, time);
  setFloat(p + OFFSET, offset);
  setFloat(p + DUE, now + HOLD_SECONDS);
  setInt(p + SOURCE, source);
  setInt(p + PATTERN, pattern);
  copyAddress(p + HOME, layout.ADDRESS);
  if (now + HOLD_SECONDS < nextDue) nextDue = now + HOLD_SECONDS;
  return counted > 0 ? COUNTS_NOW : HELD;
}

/** As `regroupConnections`; what a group held that is no more is forgotten. */
export function regroupAttempts(table: i32): void {
  for (let p = layout.attemptsAt; p < spareAt(); p += layout.ATTEMPT_BYTES) {
    const owner = int(p + OWNER);
    if (owner === 0) continue;
    const group = int(table + (owner - 1) * 4);
    setInt(p + OWNER, group + 1);
    if (group < 0) setInt(p + STAGES, 0);
  }
}

/** Takes the failure that `p` holds; false where another line spoke of it first. */
function take(p: i32): bool {
  counted = settleHeld(p);
  if (counted === 0) return false;
  takenGroup = int(p + OWNER) - 1;
  countedTime = float(p + TIME);
  takenSource = int(p + SOURCE);
  takenOffset = float(p + OFFSET);
  takenPattern = int(p + PATTERN);
  copyBytes(layout.ADDRESS, p + HOME, 16);
  return true;
}

/** Takes the failure that lost its record, if there is one. */
export function takeEvicted(): bool {
  if (!evicted) return false;
  evicted = false;
  return take(spareAt());
}

/** Is a failure held, or was one just driven out? */
// @inline
export function isHolding(): bool {
  return nextDue !== Infinity;
}

/** May a held failure be due at `now`? */
// @inline
export function mayBeDue(now: f64): bool {
  return nextDue !== Infinity && now >= nextDue;
}

/** Takes one failure that nothing has refuted until `now`; false when none is left. */
export function takeDue(now: f64): bool {
  let next = Infinity;
  for (let p = layout.attemptsAt; p < spareAt(); p += layout.ATTEMPT_BYTES) {
    if (int(p + STAGES) === 0) continue;
    const due = float(p + DUE);
    if (due > now) next = due < next ? due : next;
    else if (take(p)) return true;
  }
  nextDue = next;
  return false;
}
