/**
 * The engine: the one component that reads log bytes (CONTRIBUTING: the way of a log line). This
 * file is the root of both builds and handles a line: head → matcher → address → connection →
 * ignore list → table → decision.
 *
 * Everything in [start, end) of a line is hostile. Invariants: no access outside the engine's
 * memory (checked by the VM), no allocation, O(line) work per line; and a line can only change
 * counters, one connection record and one table entry per jail. When full: the table evicts by
 * policy; if the ring is full, decisions stay in the table for the enforcer to find, or, in a
 * replay, `feed` stops early.
 */
import { byte, fillZero, findByte, int, setInt, toInt } from '#linear';
import { ADDRESS_BAD, ADDRESS_OK, family, loadAddress, parseAddress } from './address.ts';
import * as ascii from './ascii.ts';
import * as joint from './attempts.ts';
import * as capture from './capture.ts';
import { charge, resetCharges, settle, waiting } from './charges.ts';
import {
  COUNTS,
  charged,
  follow,
  hashHost,
  prepare,
  regroupConnections,
  SAME_ATTEMPT,
  UNADDRESSED,
} from './connection.ts';
import * as counters from './counters.ts';
import { connectionOf, flagsOf, match, may, prefixesOf, readsTag } from './filter.ts';
import { FLAG_ADDRESS, FLAG_FAILURE, FLAG_IGNORE, FLAG_LIST, FLAG_WHOLE } from './flags.ts';
import * as header from './header.ts';
import { addIgnore, isIgnored, isShared, resetIgnores } from './ignore.ts';
import * as layout from './layout.ts';
import * as repeat from './repeat.ts';
import { readRepeat, repeats, textCut, textEnd, textStart } from './repeat.ts';
import { smaller } from './scan.ts';
import { countHeld, findSoonest } from './soonest.ts';
import {
  banTracked,
  beginBanAll,
  confirm,
  copiedUntil,
  copyEntries,
  endOfBan,
  escalate,
  forget,
  freeEntry,
  freeSpent,
  indexOf,
  isBanned,
  makeKey,
  nextBan,
  recordBan,
  resetEntries,
  resetTable,
  restore,
  setPolicy,
  shiftTimes,
  tallyBans,
  widthIn,
} from './table.ts';
import { addZone, decodeTime, instantOf, resetTime, scanTime, setClock, useZone } from './timestamp.ts';
import * as line from './unwrap.ts';

/* The host calls these directly. */
export {
  addIgnore,
  addZone,
  banTracked,
  beginBanAll,
  confirm,
  copyEntries,
  countHeld,
  endOfBan,
  escalate,
  findSoonest,
  forget,
  freeEntry,
  freeSpent,
  indexOf,
  isBanned,
  isIgnored,
  isShared,
  nextBan,
  recordBan,
  resetEntries,
  resetIgnores,
  resetTime,
  restore,
  setPolicy,
  shiftTimes,
  tallyBans,
  useZone,
};

/** A line's time may be this far ahead of the clock, in seconds. */
const FUTURE_MAX: f64 = 60;

/* The outcome of a line in one filter. */
export const NO_PATTERN: i32 = 0;
/** A failure, charged to an address. */
export const FAILURE: i32 = 1;
/** A failure line of an attempt that was already charged. */
export const COUNTED_BEFORE: i32 = 2;
export const NO_PREFIX: i32 = 3;
/** Matched by one of the filter's ignore patterns. */
export const IGNORED: i32 = 4;
export const BAD_ADDRESS: i32 = 5;
export const HOST_NAME: i32 = 6;
/** Recognised, but no failure. */
export const NO_FAILURE: i32 = 7;
/** A failure whose address must come from another line of the connection. */
export const NO_ADDRESS: i32 = 8;
/** A pattern matched, but the line's time does not exist. */
export const BAD_TIME: i32 = 9;
/** A failure that waits for the service's verdict. */
export const HELD: i32 = 10;
/** Says that the line before it is repeated, which did not count. */
export const REPEATS_NOTHING: i32 = 11;

/** Longest prefix length after an address of a list: "/" and digits, bytes. */
const LISTED_BYTES: i32 = 5;

/* Prefix codes, two bits each, first one lowest. */
const PREFIX_SYSLOG: i32 = 1;
const PREFIX_TIME: i32 = 2;
const PREFIX_BARE: i32 = 3;

let routes: i32 = 0;
let groups: i32 = 0;
let links: i32 = 0;
/** Whether lines are compared with the clock; a replay of finished files does not. */
let live: bool = true;

/* The current filter: its rules for heads, first look and connections (filter.ts). */
let filterAtHand: i32 = -1;
let prefixesAtHand: i32 = 0;
let looksAtHand: bool = false;
let connectionAtHand: i32 = 0;

/* The last examined line. */
let pattern: i32 = -1;
let lineTime: f64 = -1;
/** Attempts that the line stands for. */
let attempts: i32 = 1;
/** Whether the time was read from the line, and whether the line has one in an unknown format. */
let timeRead: bool = false;
let timeUnread: bool = false;
/** The line's position. */
let lineSource: i32 = 0;
let lineOffset: f64 = 0;
/**
 * Where the next line begins; -1: this is a journal entry, to which no "last message repeated" can
 * refer.
 */
let lineNext: f64 = -1;

/**
 * Lays out and clears the memory; parameters as in `layOut`. The host then writes the seed. Returns
 * the end of the memory.
 */
export function init(
  jails: i32,
  ignores: i32,
  connections: i32,
  ring: i32,
  key: i32,
  step: i32,
  steps: i32,
  sets: i32,
): i32 {
  const end = layout.layOut(jails, ignores, connections, ring, key, step, steps, sets);
  // Clearing also touches every page: the whole memory is resident from the start.
  fillZero(0, end);
  resetRoutes();
  live = true;
  resetIgnores();
  resetTime();
  line.resetPieces();
  resetTable();
  resetCharges();
  joint.resetAttempts();
  return end;
}

/** `value` false: a line's own time is the clock, for a replay of finished files. */
export function setLive(value: bool): void {
  live = value;
}

/** `four` and `six`: prefix lengths of a source in IPv4 and IPv6, on the mapped scale. */
export function setJail(jail: i32, maxretry: i32, findtime: i32, bantime: i32, six: i32, four: i32): void {
  const p = layout.jailsAt + jail * layout.JAIL_BYTES;
  setInt(p + layout.JAIL_MAXRETRY, maxretry);
  setInt(p + layout.JAIL_FINDTIME, findtime);
  escalate(jail, -1, 0, false);
  for (let i = 0; i < layout.BANTIMES_MAX; i++) setInt(p + layout.JAIL_BANTIMES + i * 4, bantime);
  setInt(p + layout.JAIL_PREFIX_SIX, six);
  setInt(p + layout.JAIL_PREFIX_FOUR, four);
}

/** Seconds of a source's ban after `earlier` others (0 … BANTIMES_MAX - 1); -1 = permanent. */
export function setBantime(jail: i32, earlier: i32, bantime: i32): void {
  setInt(layout.jailsAt + jail * layout.JAIL_BYTES + layout.JAIL_BANTIMES + earlier * 4, bantime);
}

/** Forgets every route; each source needs a new one before its next line. */
export function resetRoutes(): void {
  routes = 0;
  groups = 0;
  links = 0;
  filterAtHand = -1;
  repeat.forgetLasts(-1);
}

/** Lines of an open source go to `route` from now on; what is known of its last line is kept. */
export function moveSource(source: i32, route: i32): void {
  setInt(layout.sourcesAt + source * layout.SOURCE_BYTES, route);
}

/** Unfinished connections and held failures continue under the new numbers of their groups. */
export function regroup(table: i32): void {
  regroupConnections(table);
  joint.regroupAttempts(table);
}

/** A new, empty route: the jails that lines of some sources go to. */
export function addRoute(): i32 {
  setInt(layout.routesAt + routes * 4, -1);
  routes++;
  return routes - 1;
}

function isGroup(p: i32, filter: i32, modeBit: i32, format: i32, zone: i32): bool {
  if (int(p + layout.GROUP_FILTER) !== filter || int(p + layout.GROUP_MODE) !== modeBit) return false;
  return int(p + layout.GROUP_FORMAT) === format && int(p + layout.GROUP_ZONE) === zone;
}

/** Adds a jail to a route; jails with the same filter and mode share one match. */
export function addToRoute(route: i32, jail: i32, filter: i32, modeBit: i32, format: i32, zone: i32): void {
  let group = int(layout.routesAt + route * 4);
  let last = -1;
  while (group >= 0) {
    const p = layout.groupsAt + group * layout.GROUP_BYTES;
    if (isGroup(p, filter, modeBit, format, zone)) break;
    last = group;
    group = int(p + layout.GROUP_NEXT);
  }
  if (group < 0) {
    group = groups;
    groups++;
    const p = layout.groupsAt + group * layout.GROUP_BYTES;
    setInt(p + layout.GROUP_FILTER, filter);
    setInt(p + layout.GROUP_MODE, modeBit);
    setInt(p + layout.GROUP_FORMAT, format);
    setInt(p + layout.GROUP_ZONE, zone);
    setInt(p + layout.GROUP_NEXT, -1);
    setInt(p + layout.GROUP_JAILS, -1);
    if (last < 0) setInt(layout.routesAt + route * 4, group);
    else setInt(layout.groupsAt + last * layout.GROUP_BYTES + layout.GROUP_NEXT, group);
  }
  const link = layout.linksAt + links * layout.LINK_BYTES;
  const p = layout.groupsAt + group * layout.GROUP_BYTES;
  setInt(link, jail);
  setInt(link + 4, int(p + layout.GROUP_JAILS));
  setInt(p + layout.GROUP_JAILS, links);
  links++;
}

/** Opens (or reopens) a source whose lines go to `route`. */
export function openSource(source: i32, route: i32): void {
  fillZero(layout.sourcesAt + source * layout.SOURCE_BYTES, layout.SOURCE_BYTES);
  setInt(layout.sourcesAt + source * layout.SOURCE_BYTES, route);
  line.forgetPieces(source);
  repeat.forgetLasts(source);
}

/** The pattern that the last examined line matched, or -1. */
export function lastPattern(): i32 {
  return pattern;
}

/** Epoch seconds of the last examined line. */
export function lastTime(): f64 {
  return lineTime;
}

/** Attempts for which the last examined line is charged. */
export function lastAttempts(): i32 {
  return attempts;
}

export function lastFamily(): i32 {
  return family;
}

export function lastUserStart(): i32 {
  return capture.userStart;
}

export function lastUserEnd(): i32 {
  return capture.userEnd;
}

/**
 * The start of the message in a line with a bracket after its time: with metalog's head, if it
 * names an identifier that `filter` reads, else with the usual head; -1 = neither.
 */
function skipBracketed(start: i32, end: i32, filter: i32): i32 {
  const tag = header.afterTime + 1;
  if (header.readBracketed(end) && readsTag(filter, tag, header.tagEnd) && !readsTag(filter, tag, tag))
    return header.messageStart;
  if (!header.readHead(start, end)) return -1;
  return header.nameless || readsTag(filter, header.tagStart, header.tagEnd) ? header.messageStart : -1;
}

/** Longest identifier to look for before a wrapped line's message. */
const TAG_BYTES_MAX: i32 = 48;

/**
 * In a wrapped line: skips "identifier: " if `filter` reads that identifier, since nothing
 * distinguishes it from a message that begins this way.
 */
function skipNamed(start: i32, end: i32, filter: i32): i32 {
  const colon = findByte(start, smaller(start + TAG_BYTES_MAX, end), ascii.COLON);
  const isNamed = colon + 2 < end && byte(colon) === ascii.COLON && byte(colon + 1) === ascii.SPACE;
  return isNamed && readsTag(filter, start, colon) && !readsTag(filter, start, start) ? colon + 2 : start;
}

/**
 * The start of the message with prefix `kind`, or -1 if the line has no such prefix for `filter`.
 */
// @inline
function skipPrefix(kind: i32, start: i32, end: i32, filter: i32, journal: bool): i32 {
  if (kind === PREFIX_SYSLOG) {
    const headed = journal ? header.readIdentifier(start, end) : header.readHead(start, end);
    if (!journal && byte(header.afterTime) === ascii.OPEN_BRACKET) return skipBracketed(start, end, filter);
    if (!headed) return -1;
    if (header.nameless && !journal) return skipNamed(header.messageStart, end, filter);
    return readsTag(filter, header.tagStart, header.tagEnd) ? header.messageStart : -1;
  }
  if (journal) {
    const message = header.readIdentifier(start, end) ? header.messageStart : start;
    return kind === PREFIX_TIME && header.readLineTime(message, end) ? header.afterTime : message;
  }
  if (kind === PREFIX_TIME) return header.readLineTime(start, end) ? header.afterTime : -1;
  return start;
}

/**
 * Sets the time of a matched line from the text [start, end), if that is a time; if it has an
 * unknown format, the arrival time remains. False if it has the format of a time, but no calendar
 * or clock has that moment.
 */
function setLineTime(start: i32, end: i32, now: f64): bool {
  if (start >= end) return true;
  const time = decodeTime(start, end, now);
  if (time < 0) return scanTime(start, end) !== end;
  lineTime = time;
  timeRead = true;
  return true;
}

/**
 * The same for a line that matched with prefix `kind`: takes the time of its wrapping, else the
 * time within the message, else the time before it.
 */
// @inline
function setTime(kind: i32, now: f64): bool {
  if (header.stampEnd > header.stampStart) return setLineTime(header.stampStart, header.stampEnd, now);
  if (capture.timeStart >= 0) return setLineTime(capture.timeStart, capture.timeEnd, now);
  if (kind > PREFIX_TIME) return true;
  const known = header.knownTime(now);
  if (known < 0) return setLineTime(header.timeStart, header.timeEnd, now);
  lineTime = known;
  timeRead = true;
  return true;
}

function takeUp(filter: i32): void {
  filterAtHand = filter;
  prefixesAtHand = prefixesOf(filter);
  connectionAtHand = connectionOf(filter);
  // Only filters that read whole lines have a first look.
  looksAtHand = false;
  for (let rest = prefixesAtHand; rest !== 0; rest >>= 2) if ((rest & 3) === PREFIX_BARE) looksAtHand = true;
}

/**
 * The outcome of a line that matched a pattern of `filter` with these `flags`, after its time and
 * attempts were set: follows its connection. After FAILURE the address to charge is in ADDRESS.
 */
function judge(filter: i32, flags: i32, group: i32, now: f64): i32 {
  const connection = connectionAtHand;
  let address = ADDRESS_BAD;
  const written = (flags & FLAG_ADDRESS) !== 0 && capture.addressStart >= 0;
  if (written) address = parseAddress(capture.addressStart, capture.addressEnd);
  const failure = (flags & FLAG_FAILURE) !== 0;
  if (connection === joint.BY_PID || connection === joint.BY_NUMBER) {
    if (connection === joint.BY_NUMBER) {
      numberConnection();
      prepare();
    }
    const verdict = follow(group, flags, address === ADDRESS_OK, lineTime, attempts);
    if (verdict === COUNTS) {
      attempts = charged;
      return FAILURE;
    }
    if (verdict === SAME_ATTEMPT) return COUNTED_BEFORE;
    if (verdict !== UNADDRESSED) return NO_FAILURE;
  } else if (connection !== 0 && address === ADDRESS_OK) return takeAttempt(connection, flags, group, now);
  else if (!failure) return NO_FAILURE;
  else if (address === ADDRESS_OK) return FAILURE;
  if (!written) return NO_ADDRESS;
  if (address === ADDRESS_BAD) {
    counters.countFilter(filter, counters.FILTER_BAD_ADDRESS, 1);
    return BAD_ADDRESS;
  }
  counters.countFilter(filter, counters.FILTER_HOST_NAME, 1);
  return HOST_NAME;
}

/** The outcome of a line about an attempt, which `kind` tells apart; its address is in ADDRESS. */
function takeAttempt(kind: i32, flags: i32, group: i32, now: f64): i32 {
  const clock = live ? now : lineTime;
  const verdict = joint.join(kind, group, flags, lineTime, clock, attempts, lineSource, lineOffset, pattern);
  // The captured session id is not a user name.
  if (connectionAtHand === joint.BY_SESSION) capture.forgetUser();
  if (verdict === joint.HELD) return HELD;
  if (verdict === joint.SAME) return COUNTED_BEFORE;
  if (verdict !== joint.COUNTS_NOW) return NO_FAILURE;
  lineTime = joint.countedTime;
  attempts = joint.counted;
  return FAILURE;
}

/** Whether several lines report one attempt, so that the attempt has to be identified. */
function isJoint(): bool {
  return connectionAtHand !== 0 && connectionAtHand !== joint.BY_PID && connectionAtHand !== joint.BY_NUMBER;
}

/** Remembers the meaning of the current line, in case the next one says that it is repeated. */
function keepLast(outcome: i32, flags: i32, group: i32, source: i32): void {
  const tells = isJoint();
  if (lineNext < 0 || header.hostEnd <= header.hostStart) return;
  if ((flags & FLAG_LIST) !== 0 || (!tells && outcome !== FAILURE)) return;
  const mark = tells ? joint.attemptMark : 0;
  repeat.keepLast(source, group, hashHost(), pattern, lineNext, mark, tells ? joint.attemptUser : 0);
}

/**
 * The meaning of the line [start, end) that ends in "last message repeated N times", from `text`
 * on: that of the line it follows, if the syslog daemon wrote it: without an identifier, with its
 * own, or with that of the other line.
 */
function repeatLast(start: i32, end: i32, text: i32, filter: i32, group: i32, now: f64): i32 {
  header.beginLine();
  if (!(header.readHead(start, end) && text === header.messageStart)) {
    if (text !== header.hostEnd + 1) return NO_PREFIX;
  } else if (!header.isSyslogd() && !readsTag(filter, header.tagStart, header.tagEnd)) return NO_PREFIX;
  const last = repeat.findLast(lineSource, group, hashHost(), lineOffset);
  if (last < 0) return REPEATS_NOTHING;
  lineTime = now;
  capture.clearCaptures();
  if (!setTime(PREFIX_SYSLOG, now)) return BAD_TIME;
  pattern = int(last + repeat.PATTERN);
  attempts = repeats;
  loadAddress(last + repeat.HOME);
  if (!isJoint()) return FAILURE;
  joint.resumeAttempt(int(last + repeat.MARK), int(last + repeat.USER));
  return takeAttempt(0, flagsOf(filter, pattern), group, now);
}

/**
 * Examines one line for one filter and mode, and follows its connection. Returns the outcome; after
 * FAILURE the address to charge is in ADDRESS. `time`: its arrival time; a time in the line counts
 * instead. `journal`: it has no time, `[host ]identifier[pid]: message`. `cut`: it went on after
 * `end`, unread: only a decision that the first part allows by itself is taken.
 */
function examine(
  start: i32,
  end: i32,
  filter: i32,
  modeBit: i32,
  group: i32,
  now: f64,
  time: f64,
  journal: bool,
  cut: bool,
): i32 {
  if (filter !== filterAtHand) takeUp(filter);
  let prefixes = prefixesAtHand;
  let found = -1;
  let headed = false;
  let impossible = false;
  let flags = 0;
  pattern = -1;
  lineTime = time;
  attempts = 1;
  timeRead = false;
  timeUnread = false;
  setClock(now);
  header.beginLine();
  // Such lines need no prefix.
  if (looksAtHand && !may(filter, start, end)) return NO_PATTERN;
  while (prefixes !== 0 && found < 0) {
    const kind = prefixes & 3;
    prefixes >>= 2;
    const message = skipPrefix(kind, start, end, filter, journal);
    if (message < 0) continue;
    headed = true;
    capture.clearCaptures();
    // A line that stands for several ends with a bracket, and is never cut.
    const repeated = kind === PREFIX_SYSLOG && !cut && readRepeat(message, end);
    found = match(filter, repeated ? textStart : message, repeated ? textEnd : end, modeBit);
    if (found < 0) continue;
    if (kind !== PREFIX_SYSLOG && !journal) forgetIdentifier(start);
    pattern = found;
    flags = flagsOf(filter, found);
    if ((flags & FLAG_IGNORE) !== 0) {
      counters.countFilter(filter, counters.FILTER_IGNORED, 1);
      return IGNORED;
    }
    if ((repeated ? textCut : cut) && (flags & FLAG_WHOLE) !== 0) {
      pattern = -1;
      found = -1;
      continue;
    }
    if (!(journal || setTime(kind, now))) {
      // The text of a service that writes no times may begin like one, so the next prefixes are
      // tried.
      impossible = true;
      found = -1;
    } else if (!timeRead && !journal && header.hasClock(start, message > start ? message : end)) {
      timeUnread = true;
      counters.countFilter(filter, counters.FILTER_UNREAD_TIME, 1);
    }
    if (repeated) attempts = repeats;
  }
  if (found < 0) {
    if (impossible) {
      counters.countFilter(filter, counters.FILTER_BAD_TIME, 1);
      return BAD_TIME;
    }
    if (headed) return NO_PATTERN;
    counters.countFilter(filter, counters.FILTER_NO_PREFIX, 1);
    return NO_PREFIX;
  }
  if (connectionAtHand === joint.BY_PID) prepare();
  return judge(filter, flags, group, now);
}

/** The same of the line that was unwrapped, which may say that the one before it is repeated. */
function examineUnwrapped(filter: i32, modeBit: i32, group: i32, now: f64): i32 {
  const outcome = examine(line.lineStart, line.lineEnd, filter, modeBit, group, now, now, false, line.lineCut);
  if (outcome !== NO_PATTERN && outcome !== NO_PREFIX) return outcome;
  const last = repeat.readLast(line.lineStart, line.lineEnd);
  const repeated = last < 0 ? NO_PREFIX : repeatLast(line.lineStart, line.lineEnd, last, filter, group, now);
  return repeated === NO_PREFIX ? outcome : repeated;
}

/** Where the next line stands that is examined alone: they count from 0. */
let aloneNext: f64 = 0;

/**
 * Examines a line alone, for one filter and mode, as `takeLine` does; the one before it was the one
 * that was examined last. `format`: what it is wrapped in (unwrap.ts).
 */
export function examineAlone(
  start: i32,
  end: i32,
  filter: i32,
  modeBit: i32,
  format: i32,
  now: f64,
  journal: bool,
  cut: bool,
): i32 {
  setClock(now);
  useZone(0);
  lineSource = 0;
  lineOffset = aloneNext;
  aloneNext += 1;
  lineNext = journal ? -1 : aloneNext;
  const readable = line.unwrap(start, end, journal ? line.PLAIN : format, 0, !cut);
  if (cut) line.forgetPieces(0);
  if (!readable) {
    pattern = -1;
    return NO_PREFIX;
  }
  if (!journal) {
    const outcome = examineUnwrapped(filter, modeBit, 0, now);
    if (isAttempt(outcome)) keepLast(outcome, flagsOf(filter, pattern), 0, 0);
    return outcome;
  }
  header.setShape(false, false, 0, 0);
  return examine(start, end, filter, modeBit, 0, now, now, true, cut);
}

/** The number of the connection, which the pattern captured as its user, replaces the pid. */
function numberConnection(): void {
  const start = capture.userStart;
  header.setPid(start < 0 ? 0 : start, start < 0 ? 0 : capture.userEnd);
  capture.forgetUser();
}

/** A line without a syslog head has neither host nor pid. */
function forgetIdentifier(start: i32): void {
  header.readIdentifier(start, start);
}

/** Charges the failures at ADDRESS to one jail, unless that jail ignores the address. */
// @inline
function blame(jail: i32, now: f64, source: i32, offset: f64): void {
  const settings = layout.jailsAt + jail * layout.JAIL_BYTES;
  const width = widthIn(jail);
  if (width === 0 || isIgnored(jail, 128)) {
    counters.countJail(jail, counters.JAIL_IGNORED, attempts);
    return;
  }
  if (live) {
    if (lineTime > now + FUTURE_MAX) {
      counters.countJail(jail, counters.JAIL_FUTURE, attempts);
      return;
    }
    if (lineTime < now - int(settings + layout.JAIL_FINDTIME)) {
      counters.countJail(jail, counters.JAIL_TOO_OLD, attempts);
      return;
    }
  }
  counters.countJail(jail, counters.JAIL_FAILURES, attempts);
  charge(jail, width, lineTime, attempts, source, offset, pattern);
}

/**
 * Times that are off the clock by at least the first are not just late; by more than the second
 * they cannot be another time zone.
 */
const OFF_MIN: f64 = 1500;
const OFF_MAX: f64 = 108000;
/**
 * Lines in a row whose offsets differ from the first by no more than this were written with one
 * clock, seconds.
 */
const OFF_SPREAD: f64 = 120;

/** Records how the times of a source's lines agree with the clock (records.ts `clockOf`). */
function watchClock(source: i32, now: f64): void {
  const p = layout.sourcesAt + source * layout.SOURCE_BYTES;
  if (timeUnread) setInt(p + layout.SOURCE_UNREAD, int(p + layout.SOURCE_UNREAD) + 1);
  if (!timeRead) return;
  const off = lineTime - now;
  const distance = off < 0 ? -off : off;
  const first = int(p + layout.SOURCE_OFF);
  const lines = int(p + layout.SOURCE_OFF_LINES);
  if (distance < OFF_MIN || distance > OFF_MAX) setInt(p + layout.SOURCE_OFF_LINES, 0);
  else if (lines > 0 && off - first <= OFF_SPREAD && first - off <= OFF_SPREAD)
    setInt(p + layout.SOURCE_OFF_LINES, smaller(lines + 1, 1000));
  else {
    setInt(p + layout.SOURCE_OFF, toInt(off));
    setInt(p + layout.SOURCE_OFF_LINES, 1);
  }
}

/** Charges the failures at ADDRESS to the jails of `group`. */
// @inline
function blameGroup(group: i32, now: f64, source: i32, offset: f64): void {
  let link = int(layout.groupsAt + group * layout.GROUP_BYTES + layout.GROUP_JAILS);
  while (link >= 0) {
    const l = layout.linksAt + link * layout.LINK_BYTES;
    blame(int(l), now, source, offset);
    link = int(l + 4);
  }
}

/**
 * Charges a failure that was held and is taken now; it comes from another line than the current
 * one.
 */
function blameTaken(now: f64, source: i32): void {
  settle(source);
  lineTime = joint.countedTime;
  attempts = joint.counted;
  pattern = joint.takenPattern;
  loadAddress(layout.ADDRESS);
  blameGroup(joint.takenGroup, now, joint.takenSource, joint.takenOffset);
  settle(joint.takenSource);
}

/**
 * Charges the held failures that are due at `clock` (Infinity: all of them), if no line comes that
 * would do it. False: the ring is full and more are left.
 */
export function settleAttempts(now: f64, clock: f64, source: i32): bool {
  if (joint.mayBeDue(clock)) while (hasRoom(source) && joint.takeDue(clock)) blameTaken(now, source);
  return !joint.mayBeDue(clock);
}

/**
 * Charges the failure that the current line evicted, and the held failures that are due by then.
 */
function chargeHeld(now: f64, source: i32): void {
  if (joint.takeEvicted()) blameTaken(now, source);
  settleAttempts(now, live ? now : lineTime, source);
}

/**
 * Takes the next address of a list as the captured one; false at its end. A pattern matched the
 * quote after the list, so the line has one.
 */
function takeListed(): bool {
  const from = capture.addressEnd;
  const start = findByte(from, from + LISTED_BYTES, ascii.SPACE) + 1;
  const quote = findByte(from, start, ascii.QUOTE);
  if (quote < start || start > from + LISTED_BYTES) return false;
  let end = start;
  while (byte(end) !== ascii.SPACE && byte(end) !== ascii.QUOTE && byte(end) !== ascii.SLASH) end++;
  capture.captureAddress(start, end);
  return parseAddress(start, end) === ADDRESS_OK;
}

// @inline
function isAttempt(outcome: i32): bool {
  return outcome === FAILURE || outcome === COUNTED_BEFORE || outcome === HELD;
}

/**
 * What follows from the outcome of a line in one group; returns whether its filter took the line.
 */
// @inline
function act(outcome: i32, filter: i32, group: i32, now: f64, source: i32, offset: f64): bool {
  if (!isAttempt(outcome)) return false;
  counters.countFilter(filter, counters.FILTER_MATCHED, 1);
  const flags = flagsOf(filter, pattern);
  keepLast(outcome, flags, group, source);
  if (outcome === FAILURE) {
    blameGroup(group, now, source, offset);
    if ((flags & FLAG_LIST) !== 0) while (takeListed()) blameGroup(group, now, source, offset);
  }
  if (joint.isHolding()) chargeHeld(now, source);
  return true;
}

/**
 * The fast path of one syslog line: plain, with the remembered time and host before its identifier,
 * for the only `group` of its route. Returns where the next line begins, or -1: then the line takes
 * the usual path, which decides the same.
 */
// @inline
function takeHeaded(start: i32, limit: i32, group: i32, now: f64, source: i32, offset: f64): i32 {
  const tag = header.skipPlace(start, limit);
  if (tag < 0) return -1;
  const time = instantOf(header.placeSeconds, now);
  if (time < 0) return -1;
  const eol = findByte(tag, limit, ascii.NEWLINE);
  const end = byte(eol - 1) === ascii.RETURN ? eol - 1 : eol;
  if (eol === limit || eol - start > layout.LINE_BYTES_MAX || !line.isPlain(start, end)) return -1;
  if (!header.readHeaded(tag, end)) return -1;
  const p = layout.groupsAt + group * layout.GROUP_BYTES;
  const filter = int(p + layout.GROUP_FILTER);
  if (!readsTag(filter, header.tagStart, header.tagEnd)) {
    counters.countFilter(filter, counters.FILTER_NO_PREFIX, 1);
    return eol + 1;
  }
  if (!header.beginsPlainly()) return -1;
  if (connectionAtHand === joint.BY_PID) prepare();
  capture.clearCaptures();
  const found = match(filter, header.messageStart, end, int(p + layout.GROUP_MODE));
  if (found < 0) return eol + 1;
  const flags = flagsOf(filter, found);
  if ((flags & FLAG_IGNORE) !== 0 || capture.timeStart >= 0) return -1;
  pattern = found;
  lineTime = time;
  attempts = 1;
  timeRead = true;
  timeUnread = false;
  lineSource = source;
  lineOffset = offset;
  lineNext = offset + (eol + 1 - start);
  const outcome = judge(filter, flags, group, now);
  if (live) watchClock(source, now);
  if (act(outcome, filter, group, now, source, offset)) counters.add(counters.LINES_MATCHED, 1);
  return eol + 1;
}

/** The only group of a route whose lines may take the fast path (`takeHeaded`), or -1. */
function headedGroup(route: i32): i32 {
  const group = int(layout.routesAt + route * 4);
  if (group < 0) return -1;
  const p = layout.groupsAt + group * layout.GROUP_BYTES;
  if (int(p + layout.GROUP_NEXT) >= 0 || int(p + layout.GROUP_FORMAT) > line.PLAIN) return -1;
  takeUp(int(p + layout.GROUP_FILTER));
  return prefixesAtHand === PREFIX_SYSLOG ? group : -1;
}

/**
 * Takes one line through every group of its source's route. `finished`: it ends at `end` and does
 * not continue in unread bytes.
 */
function takeLine(start: i32, end: i32, route: i32, now: f64, source: i32, offset: f64, finished: bool): void {
  let group = int(layout.routesAt + route * 4);
  let matched = false;
  let format = -1;
  let readable = false;
  while (group >= 0) {
    const p = layout.groupsAt + group * layout.GROUP_BYTES;
    if (int(p + layout.GROUP_FORMAT) !== format) {
      if (format < 0) setClock(now);
      format = int(p + layout.GROUP_FORMAT);
      readable = line.unwrap(start, end, format, source, finished);
      if (readable && line.lineCut) counters.add(counters.LINES_TOO_LONG, 1);
    }
    if (!readable) {
      group = int(p + layout.GROUP_NEXT);
      continue;
    }
    useZone(int(p + layout.GROUP_ZONE));
    const filter = int(p + layout.GROUP_FILTER);
    lineSource = source;
    lineOffset = offset;
    const mode = int(p + layout.GROUP_MODE);
    const outcome = examineUnwrapped(filter, mode, group, now);
    if (pattern >= 0 && live) watchClock(source, now);
    if (act(outcome, filter, group, now, source, offset)) matched = true;
    group = int(p + layout.GROUP_NEXT);
  }
  if (matched) counters.add(counters.LINES_MATCHED, 1);
}

/** Each filter of the route has seen `lines` more lines. */
function countLines(route: i32, lines: i32): void {
  let group = int(layout.routesAt + route * 4);
  while (group >= 0) {
    const p = layout.groupsAt + group * layout.GROUP_BYTES;
    counters.countFilter(int(p + layout.GROUP_FILTER), counters.FILTER_LINES, lines);
    group = int(p + layout.GROUP_NEXT);
  }
}

/**
 * Whether a replay has room for one line's decisions, at most one per jail; in the daemon the table
 * keeps decisions that the ring has no room for.
 */
// @inline
function hasRoom(source: i32): bool {
  if (live || int(layout.RING_WRITTEN) - int(layout.RING_TAKEN) + waiting + links <= layout.ringMax) return true;
  settle(source);
  return int(layout.RING_WRITTEN) - int(layout.RING_TAKEN) + links <= layout.ringMax;
}

/**
 * Takes the lines in [start, end); the first byte stands at `offset` of `source`. Returns the bytes
 * consumed: an unfinished last line is left (unless `final`), and so is everything from the line on
 * that finds the ring full.
 */
export function feed(source: i32, start: i32, end: i32, offset: f64, now: f64, final: bool): i32 {
  const state = layout.sourcesAt + source * layout.SOURCE_BYTES;
  const route = int(state);
  let p = start;
  let lines = 0;
  const headed = headedGroup(route);
  while (p < end && hasRoom(source)) {
    if (headed >= 0 && int(state + 4) === 0) {
      const next = takeHeaded(p, end, headed, now, source, offset + (p - start));
      if (next >= 0) {
        lines++;
        p = next;
        continue;
      }
    }
    const eol = findByte(p, end, ascii.NEWLINE);
    if (int(state + 4) !== 0) {
      if (eol === end) {
        p = end;
        break;
      }
      setInt(state + 4, 0);
      p = eol + 1;
      continue;
    }
    let stop = eol;
    const isLong = stop - p > layout.LINE_BYTES_MAX;
    const finished = eol < end || final;
    if (!finished) {
      // A line that begins with a brace is read as a whole, if the buffer can hold it.
      const waits = byte(p) === ascii.OPEN_BRACE && (p > start || end - start < layout.INPUT_BYTES);
      if (waits || !isLong) break;
    }
    if (isLong) {
      if (eol === end) setInt(state + 4, 1);
    } else if (stop > p && byte(stop - 1) === ascii.RETURN) stop--;
    lines++;
    const next = eol === end ? end : eol + 1;
    lineNext = offset + (next - start);
    takeLine(p, stop, route, now, source, offset + (p - start), finished);
    p = next;
  }
  settle(source);
  counters.add(counters.LINES, lines);
  counters.add(counters.BYTES, p - start);
  countLines(route, lines);
  return p - start;
}

/**
 * Takes one entry of the journal, `identifier[pid]: message` in [start, end), which was written at
 * `time` and is number `offset` of its source. A message may contain line ends: it is one line.
 */
export function feedEntry(source: i32, start: i32, end: i32, offset: f64, now: f64, time: f64, cut: bool): void {
  const route = int(layout.sourcesAt + source * layout.SOURCE_BYTES);
  let stop = end;
  while (stop > start && (byte(stop - 1) === ascii.NEWLINE || byte(stop - 1) === ascii.RETURN)) stop--;
  let group = int(layout.routesAt + route * 4);
  let matched = false;
  header.setShape(false, false, 0, 0);
  lineSource = source;
  lineOffset = offset;
  lineNext = -1;
  while (group >= 0) {
    const p = layout.groupsAt + group * layout.GROUP_BYTES;
    const filter = int(p + layout.GROUP_FILTER);
    const outcome = examine(start, stop, filter, int(p + layout.GROUP_MODE), group, now, time, true, cut);
    if (act(outcome, filter, group, now, source, offset)) matched = true;
    group = int(p + layout.GROUP_NEXT);
  }
  if (matched) counters.add(counters.LINES_MATCHED, 1);
  if (cut) counters.add(counters.LINES_TOO_LONG, 1);
  settle(source);
  counters.add(counters.LINES, 1);
  counters.add(counters.BYTES, end - start);
  countLines(route, 1);
}

/**
 * Selects the source for the table's operations: the first `width` bits of ADDRESS in `jail`. The
 * host has written the bytes of ADDRESS.
 */
export function select(jail: i32, width: i32): void {
  loadAddress(layout.ADDRESS);
  makeKey(jail, width);
}

/**
 * The prefix length of the source that `jail` counts for ADDRESS, which the host has written
 * (`widthIn`).
 */
export function sourceWidth(jail: i32): i32 {
  loadAddress(layout.ADDRESS);
  return widthIn(jail);
}

/** The entry at which a walk with `copyEntries` continues. */
export function copiedEntries(): i32 {
  return copiedUntil;
}
