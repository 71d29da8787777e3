/**
 * One attempt counts once, even if several processes report it; and failures of PAM modules wait
 * for the verdict of the service. A filter's `connection` says how attempts are told apart: by
 * address, by address and process, or by address and what the pattern captured.
 *
 * - Lines of one attempt have stages. We count the lines of each stage; a source has made as many
 *   attempts as its stage with the most lines has. So a line counts only if its stage gets ahead of
 *   all others, whatever the order of the lines. The line that ends a connection (`ends`) still
 *   belongs to its attempts; after it the count starts again. A line may stand for several
 *   (repeat.ts).
 * - A tentative failure (of a PAM module) is held: a success of the same user within HOLD_SECONDS
 *   cancels it, and at most this one; a line of the service or of another module about it joins it;
 *   the next attempt, or the end of the time, charges it.
 *
 * Attackers control: addresses, users, and how many of both. A success only cancels a held failure
 * of its own address, and only one of its own user or without a user name; if processes are told
 * apart, only one of its own process. Failures of others are not affected. The table is fixed: a
 * full set drops its oldest record, and its held failure is charged at once.
 */
import { byte, copyBytes, float, int, product, setByte, setFloat, setInt, spread } from '#linear';
import { copyAddress } from './address.ts';
import * as ascii from './ascii.ts';
import * as capture from './capture.ts';
import { FLAG_ENDS, FLAG_FAILURE, FLAG_GAINED, FLAG_STAGE_MAX, FLAG_STAGE_SHIFT, FLAG_TENTATIVE } from './flags.ts';
import * as header from './header.ts';
import * as layout from './layout.ts';
import { smaller } from './scan.ts';

/* How attempts are told apart, as the compiler writes it; 2 is by the address alone. */
export const BY_PID: i32 = 1;
const BY_PROCESS: i32 = 3;
export const BY_SESSION: i32 = 4;
export const BY_NUMBER: i32 = 5;

/** A record is forgotten when no line came for so many seconds: longer than a login may take. */
const LIFETIME: f64 = 300;
/** The service has this long for its verdict: PAM delays a failure by some two seconds. */
const HOLD_SECONDS: f64 = 10;
/** A stage is counted up to this number, then the record restarts. */
const COUNT_MAX: i32 = 250;

/* Fields of a record. */
const MARK: i32 = 0;
const OWNER: i32 = 4;
const SEEN: i32 = 8;
/** Bytes: attempts, then the lines of stages 1 to 7. */
const COUNTS: i32 = 16;
/** Stages of the held failure, one bit each; 0 if none is held. */
const STAGES: i32 = 24;
/** Hash of the held failure's user; 0: none. */
const USER: i32 = 28;
const TIME: i32 = 32;
const OFFSET: i32 = 40;
/** When it is due, in clock time. */
const DUE: i32 = 48;
const SOURCE: i32 = 56;
const PATTERN: i32 = 60;
const HOME: i32 = 64;

/** What a line about an attempt means. */
export const COUNTS_NOW: i32 = 1;
export const SAME: i32 = 2;
export const HELD: i32 = 3;

/** When the first held failure is due, or earlier; Infinity if none is held. */
let nextDue: f64 = Infinity;
/**
 * Another record replaced one with a held failure; that failure is in the record after all others.
 */
let evicted: bool = false;

/**
 * What the last line, or the last taken failure, charges: this many attempts, with this log time.
 */
export let counted: i32 = 0;
export let countedTime: f64 = 0;
/** The failure that `takeDue` or `takeEvicted` took; its address is in ADDRESS. */
export let takenGroup: i32 = 0;
export let takenSource: i32 = 0;
export let takenOffset: f64 = 0;
export let takenPattern: i32 = 0;

/** Hashes of the last line's attempt: what tells it apart, and its user. */
export let attemptMark: i32 = 0;
export let attemptUser: i32 = 0;

/** Forgets all held failures. */
export function resetAttempts(): void {
  nextDue = Infinity;
  evicted = false;
}

// @inline
function mix(hash: i32, value: i32): i32 {
  const mixed = product(hash ^ value, -1640531535);
  return mixed ^ (mixed >>> 15);
}

/** A seeded hash of [start, end), with ASCII letters as lower case; never 0. */
function hashText(seed: i32, start: i32, end: i32): i32 {
  let hash = seed;
  for (let p = start; p < end; p++) {
    const c = byte(p);
    hash = mix(hash, c >= ascii.UPPER_A && c <= ascii.UPPER_Z ? c + 32 : c);
  }
  return hash === 0 ? 1 : hash;
}

/** The spare record after all others. */
function spareAt(): i32 {
  return layout.attemptsAt + layout.ATTEMPT_SETS * layout.ATTEMPT_WAYS * layout.ATTEMPT_BYTES;
}

/** The record of (owner, mark); or the oldest of its set, reused for it. */
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

/**
 * This many more attempts at `stage`: returns how many of them no other stage has reported before.
 */
function advance(p: i32, stage: i32, attempts: i32): i32 {
  if (byte(p + COUNTS + stage) + attempts > COUNT_MAX) clearCounts(p);
  const told = byte(p + COUNTS + stage) + smaller(attempts, COUNT_MAX);
  const known = byte(p + COUNTS);
  setByte(p + COUNTS + stage, told);
  if (told <= known) return 0;
  setByte(p + COUNTS, told);
  return told - known;
}

/** The held failure belongs to an attempt: returns 1 if nothing else has reported that attempt. */
function settleHeld(p: i32): i32 {
  const held = int(p + STAGES);
  setInt(p + STAGES, 0);
  let first = 0;
  for (let stage = 1; stage <= FLAG_STAGE_MAX; stage++) {
    if ((held & (1 << stage)) !== 0) first |= advance(p, stage, 1);
  }
  return first;
}

/** Determines the attempt of the last line. */
function identify(kind: i32): void {
  attemptMark = hashText(int(layout.SEED) ^ kind, layout.ADDRESS, layout.ADDRESS + 16);
  if (kind === BY_PROCESS) attemptMark = hashText(attemptMark, header.pidStart, header.pidEnd);
  const named = capture.userStart >= 0 && capture.userEnd > capture.userStart;
  attemptUser = named ? hashText(int(layout.SEED + 4), capture.userStart, capture.userEnd) : 0;
  if (kind === BY_SESSION) attemptMark = mix(attemptMark, attemptUser);
}

/** The current line is about the attempt with these hashes. */
export function resumeAttempt(mark: i32, user: i32): void {
  attemptMark = mark;
  attemptUser = user;
}

/**
 * Takes the last line, about the source at ADDRESS, and says what it means: 0 nothing, COUNTS_NOW
 * as many attempts as `counted` says. `now` is the clock by which held failures wait; `kind` 0: the
 * attempt is already known.
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
    // Another module reports the same attempt.
    setInt(p + STAGES, held | bit);
    if (user !== 0) setInt(p + USER, user);
    return HELD;
  }
  // The last attempt of the line waits; the ones before it count.
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

/** Like `regroupConnections`; forgets the records of groups that no longer exist. */
export function regroupAttempts(table: i32): void {
  for (let p = layout.attemptsAt; p < spareAt(); p += layout.ATTEMPT_BYTES) {
    const owner = int(p + OWNER);
    if (owner === 0) continue;
    const group = int(table + (owner - 1) * 4);
    setInt(p + OWNER, group + 1);
    if (group < 0) setInt(p + STAGES, 0);
  }
}

/** Takes the failure that `p` holds; false if another line already reported its attempt. */
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

/** Takes the failure whose record was replaced, if there is one. */
export function takeEvicted(): bool {
  if (!evicted) return false;
  evicted = false;
  return take(spareAt());
}

/** Whether a failure is held, or was just evicted. */
// @inline
export function isHolding(): bool {
  return nextDue !== Infinity;
}

/** Whether a held failure may be due at `now`. */
// @inline
export function mayBeDue(now: f64): bool {
  return nextDue !== Infinity && now >= nextDue;
}

/** Takes one failure that was not cancelled before `now`; false if there is none left. */
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
