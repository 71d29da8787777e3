/**
 * Unwraps a line: takes it out of an entry of Docker's json-file or of a CRI log, or of a JSON
 * object, or removes the timestamp of svlogd, multilog or s6-log, a byte order mark, blanks, a
 * syslog priority, colours. Input: log bytes, all of them hostile; Docker's entry holds a
 * container's text in escaped form, so that text cannot imitate an entry. Finds the line inside,
 * copies it to memory of its own if bytes have to be removed, and leaves the buffer unchanged.
 *
 * Ambiguous cases have one rule each. A Docker entry must have exactly Docker's shape; anything
 * else is read as it is. A line is unwrapped once: an entry within an entry is text. An object with
 * a repeated key or an invalid string is not read. Nested objects are not examined. `\u0000`
 * becomes a NUL byte, half a surrogate pair U+FFFD, a line feed within a message a blank.
 *
 * Pieces of one line (CRI "P", Docker's text without a line feed) are joined per file and stream up
 * to the line limit. Full: the line with the oldest piece is dropped, and its rest is dropped and
 * counted, since it may begin with an attacker's text.
 */
import { byte, byteBits, copyBytes, findByte, int, lowestBit, setByte, setInt, skipDigits, word } from '#linear';
import * as ascii from './ascii.ts';
import * as counters from './counters.ts';
import { clearShape, setShape } from './header.ts';
import * as layout from './layout.ts';
import { smaller } from './scan.ts';
import { scanTime } from './timestamp.ts';

/* The formats of a jail's lines. AUTO recognises Docker's and CRI's. */
export const AUTO: i32 = 0;
export const PLAIN: i32 = 1;
export const DOCKER: i32 = 2;
export const CRI: i32 = 3;
/** JSON objects; plus the number of the message's field. */
export const JSON_FIELD: i32 = 4;

/** The last unwrapped line, and whether it continues after its end. */
export let lineStart: i32 = 0;
export let lineEnd: i32 = 0;
export let lineCut: bool = false;

/* The result of reading a container's log. */
const NO_ENTRY: i32 = 0;
const ENTRY: i32 = 1;
/** A piece: the line is not complete yet, or was dropped. */
const PIECE: i32 = 2;

/** The time in the wrapping. */
let stampStart: i32 = 0;
let stampEnd: i32 = 0;
/** Whether the last decoded string ends with a line feed. */
let endsInNewline: bool = false;
/** Number of pieces so far, to find the oldest. */
let pieces: i32 = 0;

/**
 * Colours are searched within this many bytes from the start of a line, where services write them.
 */
const COLOUR_BYTES: i32 = 48;
/** Longest time before the stream in a CRI log: a fraction of nine digits and a zone. */
const CRI_TIME_BYTES: i32 = 40;
/** No time with a "T" is shorter: "2026-11-21T8:00:00". */
const STAMP_BYTES_MIN: i32 = 18;

export function resetPieces(): void {
  pieces = 0;
}

/** Forgets the pieces of `source`. */
export function forgetPieces(source: i32): void {
  setInt(layout.sourcesAt + source * layout.SOURCE_BYTES + layout.SOURCE_OPEN, 0);
  for (let i = 0; i < layout.PIECES_MAX; i++) {
    const p = layout.piecesAt + i * layout.PIECE_BYTES;
    if (int(p) >> 6 === source + 1) setInt(p, 0);
  }
}

/**
 * Finds the line in [start, end) according to `format`; false if there is none. `finished`: the
 * line ends at `end`. Sets lineStart, lineEnd, lineCut, and the shape for the head (`setShape`).
 */
// @inline
export function unwrap(start: i32, end: i32, format: i32, source: i32, finished: bool): bool {
  lineStart = start;
  lineEnd = end;
  lineCut = !finished;
  if (format > PLAIN || end - start > layout.LINE_BYTES_MAX || !isPlain(start, end))
    return unwrapOther(format, source, finished);
  clearShape();
  return true;
}

/**
 * Whether the first bytes show that there is nothing to remove, so that the line stays as it is.
 */
// @inline
export function isPlain(start: i32, end: i32): bool {
  const first = start < end ? byte(start) : 0;
  if (first >= ascii.UPPER_A && first <= ascii.UPPER_Z) return true;
  // Digits, and the characters from "[" to "z".
  const isUsual = first <= ascii.NINE ? first >= ascii.ZERO : first >= ascii.OPEN_BRACKET && first < ascii.OPEN_BRACE;
  if (!isUsual || byte(start + 1) === ascii.SPACE) return false;
  const gap = byte(start + 10);
  if (gap === ascii.UNDERSCORE || (gap === ascii.UPPER_T && isStamp(start))) return false;
  if (gap === ascii.SPACE && byte(start + 30) === ascii.SPACE) return false;
  return (
    (byteBits(start, ascii.ESCAPE) | byteBits(start + 16, ascii.ESCAPE) | byteBits(start + 32, ascii.ESCAPE)) === 0
  );
}

/** Whether a time with a "T" at `p` may be the stamp of a CRI log or of svlogd -ttt. */
// @inline
function isStamp(p: i32): bool {
  const blanks = byteBits(p + STAMP_BYTES_MIN, ascii.SPACE);
  // "std"
  if (blanks === 0 || (word(p + STAMP_BYTES_MIN + lowestBit(blanks) + 1) & 0xffffff) === 0x647473) return true;
  return byte(p + 19) === ascii.DOT && byte(p + 25) === ascii.SPACE;
}

function unwrapOther(format: i32, source: i32, finished: bool): bool {
  stampStart = 0;
  stampEnd = 0;
  skipBlanks();
  if (format !== PLAIN && lineStart < lineEnd) {
    const found = readEntry(format, source, finished);
    if (found === PIECE) return false;
    if (format >= JSON_FIELD ? !readObject(format - JSON_FIELD) : found === NO_ENTRY && format !== AUTO) {
      counters.add(counters.LINES_MISSHAPEN, 1);
      return false;
    }
    skipBlanks();
  }
  dropColours();
  const structured = skipPriority();
  readStamp();
  setShape(structured, stampEnd > stampStart, stampStart, stampEnd);
  cutLine();
  return true;
}

function cutLine(): void {
  if (lineEnd - lineStart <= layout.LINE_BYTES_MAX) return;
  lineEnd = lineStart + layout.LINE_BYTES_MAX;
  lineCut = true;
}

/** Skips blanks and a byte order mark. */
function skipBlanks(): void {
  if (
    lineStart + 3 <= lineEnd &&
    byte(lineStart) === 0xef &&
    byte(lineStart + 1) === 0xbb &&
    byte(lineStart + 2) === 0xbf
  )
    lineStart += 3;
  while (lineStart < lineEnd && (byte(lineStart) === ascii.SPACE || byte(lineStart) === ascii.TAB)) lineStart++;
}

/** Skips "<38>" and the version of RFC 5424; true if they are there. */
function skipPriority(): bool {
  let p = lineStart;
  if (p < lineEnd && byte(p) === ascii.LESS) {
    let q = p + 1;
    while (q < lineEnd && isDigit(q)) q++;
    if (q > p + 1 && q < p + 5 && q < lineEnd && byte(q) === ascii.GREATER) p = q + 1;
  }
  lineStart = p;
  if (p + 4 > lineEnd || byte(p) !== ascii.ONE || byte(p + 1) !== ascii.SPACE) return false;
  const isNil = byte(p + 2) === ascii.HYPHEN && byte(p + 3) === ascii.SPACE;
  if (!isNil && (p + 7 > lineEnd || !isDigit(p + 2) || byte(p + 6) !== ascii.HYPHEN)) return false;
  lineStart = p + 2;
  return true;
}

function isDigit(p: i32): bool {
  return byte(p) >= ascii.ZERO && byte(p) <= ascii.NINE;
}

/**
 * Skips what svlogd, multilog and s6-log write before a line, and socklog's "facility.level: "
 * after it if a time follows.
 */
function readStamp(): void {
  if (lineStart + 20 > lineEnd) return;
  const isLabel = byte(lineStart) === ascii.AT;
  if (!isLabel && byte(lineStart + 10) !== ascii.UNDERSCORE && !isFraction()) return;
  const stop = scanTime(lineStart, lineEnd);
  if (stop < 0 || stop >= lineEnd || byte(stop) !== ascii.SPACE) return;
  if (stampEnd === stampStart) {
    stampStart = lineStart;
    stampEnd = stop;
  }
  lineStart = byte(stop + 1) === ascii.SPACE ? stop + 2 : stop + 1;
  const colon = findByte(lineStart, smaller(lineStart + 24, lineEnd), ascii.COLON);
  if (colon + 2 >= lineEnd || byte(colon) !== ascii.COLON || byte(colon + 1) !== ascii.SPACE) return;
  const isFacility = findByte(lineStart, colon, ascii.DOT) < colon && findByte(lineStart, colon, ascii.SPACE) === colon;
  if (isFacility && scanTime(colon + 2, lineEnd) > 0) lineStart = colon + 2;
}

/**
 * "2026-11-21T08:00:00.12345 ": only svlogd -ttt writes five digits and no zone. s6-log writes
 * nine, with a blank instead of the "T", and two blanks after them.
 */
function isFraction(): bool {
  const p = lineStart;
  if (p + 31 > lineEnd || byte(p + 19) !== ascii.DOT) return false;
  if (byte(p + 10) === ascii.UPPER_T) return byte(p + 25) === ascii.SPACE;
  return byte(p + 10) === ascii.SPACE && byte(p + 29) === ascii.SPACE && byte(p + 30) === ascii.SPACE;
}

/** Whether `p` is in our own memory, not in the input buffer. */
function isOurs(p: i32): bool {
  return p >= layout.unwrappedAt && p < layout.piecesAt + layout.PIECES_MAX * layout.PIECE_BYTES;
}

/** Removes terminal sequences (ESC [ … letter) from a line that begins with one. */
function dropColours(): void {
  const head = smaller(lineStart + COLOUR_BYTES, lineEnd);
  let p = findByte(lineStart, head, ascii.ESCAPE);
  if (p >= head) return;
  const start = isOurs(lineStart) ? lineStart : layout.unwrappedAt;
  const limit = start + layout.LINE_BYTES_MAX;
  let to = start;
  p = lineStart;
  while (p < lineEnd && to < limit) {
    if (byte(p) === ascii.ESCAPE && p + 1 < lineEnd && byte(p + 1) === ascii.OPEN_BRACKET) {
      p += 2;
      while (p < lineEnd && (byte(p) < 0x40 || byte(p) > 0x7e)) p++;
      p++;
      continue;
    }
    setByte(to, byte(p));
    to++;
    p++;
  }
  if (p < lineEnd) lineCut = true;
  lineStart = start;
  lineEnd = to;
}

/** Takes the entry of a container's log, if `format` allows one. */
function readEntry(format: i32, source: i32, finished: bool): i32 {
  if (lineEnd - lineStart < 12) return NO_ENTRY;
  const first = byte(lineStart);
  if (first === ascii.OPEN_BRACE) return format === CRI ? NO_ENTRY : readDocker(format, source, finished);
  return byte(lineStart + 10) === ascii.UPPER_T && format !== DOCKER ? readCri(format, source) : NO_ENTRY;
}

/** "2026-11-21T08:00:00.123456789Z stdout F message" */
function readCri(format: i32, source: i32): i32 {
  const stop = findByte(lineStart, smaller(lineStart + CRI_TIME_BYTES, lineEnd), ascii.SPACE);
  if (stop + 9 > lineEnd || byte(stop + 7) !== ascii.SPACE) return NO_ENTRY;
  const stream = streamOf(stop + 1);
  const tag = byte(stop + 8);
  if (stream < 0 || (tag !== ascii.UPPER_F && tag !== ascii.UPPER_P)) return NO_ENTRY;
  // Further tags follow a colon.
  const tagEnd = findByte(stop + 9, lineEnd, ascii.SPACE);
  if (tagEnd > stop + 9 && byte(stop + 9) !== ascii.COLON) return NO_ENTRY;
  if (scanTime(lineStart, lineEnd) !== stop) return NO_ENTRY;
  stampStart = lineStart;
  stampEnd = stop;
  lineStart = smaller(tagEnd + 1, lineEnd);
  return join(format, source, stream, tag === ascii.UPPER_P);
}

/** 0 where "stdout" stands at `p`, 1 for "stderr", else -1. */
function streamOf(p: i32): i32 {
  if (word(p) === 0x6f647473 && word(p + 2) === 0x74756f64) return 0;
  return word(p) === 0x65647473 && word(p + 2) === 0x72726564 ? 1 : -1;
}

/** {"log":"message\n","stream":"stdout","attrs":{…},"time":"2026-11-21T08:00:00.123456789Z"} */
function readDocker(format: i32, source: i32, finished: bool): i32 {
  const start = lineStart;
  const end = lineEnd;
  // {"log":"
  if (word(lineStart) !== 0x6f6c227b || word(lineStart + 4) !== 0x223a2267) return NO_ENTRY;
  if (!finished) return loseBoth(format, source);
  const keys = walkObject(lineStart, lineEnd, -1);
  if ((keys | KEY_ATTRIBUTES) !== (KEY_MESSAGE | KEY_STREAM | KEY_TIME | KEY_ATTRIBUTES)) return NO_ENTRY;
  const stream = streamEnd - streamStart === 6 ? streamOf(streamStart) : -1;
  const isTimed = stampEnd > stampStart && byte(stampStart - 1) === ascii.QUOTE;
  if (stream < 0 || !isTimed || !decodeString(messageStart, messageEnd, layout.unwrappedAt)) {
    // Almost Docker's shape: read as it is.
    lineStart = start;
    lineEnd = end;
    stampEnd = stampStart;
    return NO_ENTRY;
  }
  const isPiece = !endsInNewline;
  if (!isPiece && !lineCut) {
    lineEnd--;
    if (lineEnd > lineStart && byte(lineEnd - 1) === ascii.RETURN) lineEnd--;
  }
  return join(format, source, stream, isPiece);
}

/* Which keys an object has at its outermost level. */
const KEY_MESSAGE: i32 = 1;
const KEY_STREAM: i32 = 2;
const KEY_TIME: i32 = 4;
const KEY_ATTRIBUTES: i32 = 8;
const KEY_OTHER: i32 = 16;
/* Position between the quotes. */
let messageStart: i32 = 0;
let messageEnd: i32 = 0;
let streamStart: i32 = 0;
let streamEnd: i32 = 0;

/**
 * Unwraps a JSON object whose message is in the field of this number; false if it is not such an
 * object.
 */
function readObject(field: i32): bool {
  const start = stampStart;
  const stop = stampEnd;
  const keys = walkObject(lineStart, lineEnd, field);
  if (keys < 0 || (keys & KEY_MESSAGE) === 0) return false;
  if (stop > start) {
    stampStart = start;
    stampEnd = stop;
  }
  if (!decodeString(messageStart, messageEnd, isOurs(messageStart) ? messageStart : layout.unwrappedAt)) return false;
  while (lineEnd > lineStart && (byte(lineEnd - 1) === ascii.NEWLINE || byte(lineEnd - 1) === ascii.RETURN)) lineEnd--;
  return true;
}

/**
 * Reads the JSON object that fills [p, end), except for blanks: returns its keys, or -1 if it is
 * invalid or one of our keys is repeated. `field` -1: an entry of Docker.
 */
function walkObject(p: i32, end: i32, field: i32): i32 {
  let keys = 0;
  if (p >= end || byte(p) !== ascii.OPEN_BRACE) return -1;
  p = skipSpaces(p + 1, end);
  while (p < end && byte(p) === ascii.QUOTE) {
    const keyStart = p + 1;
    const keyEnd = endOfString(keyStart, end);
    p = skipSpaces(keyEnd + 1, end);
    if (p >= end || byte(p) !== ascii.COLON) return -1;
    const value = skipSpaces(p + 1, end);
    const stop = endOfValue(value, end);
    if (stop < 0) return -1;
    const key = keyOf(keyStart, keyEnd - keyStart, field);
    if ((keys & key) !== 0 && (key !== KEY_TIME || field < 0) && key !== KEY_OTHER) return -1;
    if (!takeValue(key, value, stop, (keys & key) !== 0)) return -1;
    keys |= key;
    p = skipSpaces(stop, end);
    if (p >= end || byte(p) !== ascii.COMMA) break;
    p = skipSpaces(p + 1, end);
    if (p < end && byte(p) !== ascii.QUOTE) return -1;
  }
  return p < end && byte(p) === ascii.CLOSE_BRACE && skipSpaces(p + 1, end) === end ? keys : -1;
}

/** Which of our keys the `length` bytes at `p` are. */
function keyOf(p: i32, length: i32, field: i32): i32 {
  if (field < 0) {
    if (length === 3 && (word(p) & 0xffffff) === 0x676f6c) return KEY_MESSAGE;
    if (length === 6 && word(p) === 0x65727473 && word(p + 2) === 0x6d616572) return KEY_STREAM;
    if (length === 5 && word(p) === 0x72747461 && byte(p + 4) === 115) return KEY_ATTRIBUTES;
    return length === 4 && word(p) === 0x656d6974 ? KEY_TIME : KEY_OTHER;
  }
  return isField(p, length, field) ? KEY_MESSAGE : isTimeKey(p, length) ? KEY_TIME : KEY_OTHER;
}

/** "time", "timestamp", "@timestamp", "ts" or "t" */
function isTimeKey(p: i32, length: i32): bool {
  if (length < 3) return byte(p) === 116 && (length === 1 || (length === 2 && byte(p + 1) === 115));
  if (length === 10 && byte(p) === ascii.AT) return isTimeKey(p + 1, 9);
  if (word(p) !== 0x656d6974) return false;
  return length === 4 || (length === 9 && word(p + 4) === 0x6d617473 && byte(p + 8) === 112);
}

function isField(p: i32, length: i32, field: i32): bool {
  const name = layout.FIELDS + field * layout.FIELD_BYTES;
  if (byte(name) !== length) return false;
  for (let i = 0; i < length; i++) if (byte(p + i) !== byte(name + 1 + i)) return false;
  return true;
}

/** Records the value [p, stop) of a key; false if the key cannot have this value. */
function takeValue(key: i32, p: i32, stop: i32, known: bool): bool {
  const isString = byte(p) === ascii.QUOTE;
  if (key === KEY_TIME) {
    if (!known) takeStamp(isString ? p + 1 : p, isString ? stop - 1 : stop);
    return true;
  }
  if (key === KEY_OTHER || key === KEY_ATTRIBUTES) return true;
  if (key === KEY_MESSAGE) {
    messageStart = p + 1;
    messageEnd = stop - 1;
  } else {
    streamStart = p + 1;
    streamEnd = stop - 1;
  }
  return isString;
}

/** The time in the wrapping, if we can read it; milliseconds are rounded down to seconds. */
function takeStamp(p: i32, stop: i32): void {
  if (stop - p === 13 && skipDigits(p, stop) === stop) stop = p + 10;
  if (scanTime(p, stop) !== stop) return;
  stampStart = p;
  stampEnd = stop;
}

function skipSpaces(p: i32, end: i32): i32 {
  while (p < end && (byte(p) === ascii.SPACE || byte(p) === ascii.TAB || byte(p) === ascii.RETURN)) p++;
  return p;
}

/** Position of the quote that ends the string whose text begins at `p`, or `end`. */
function endOfString(p: i32, end: i32): i32 {
  let from = p;
  while (from < end) {
    const quote = findByte(from, end, ascii.QUOTE);
    let escapes = quote;
    while (escapes > p && byte(escapes - 1) === ascii.BACKSLASH) escapes--;
    if (quote === end || ((quote - escapes) & 1) === 0) return quote;
    from = quote + 1;
  }
  return end;
}

/** End of the value at `p`, or -1: a string, a bracketed value, or text up to a comma. */
function endOfValue(p: i32, end: i32): i32 {
  const start = p;
  let depth = 0;
  while (p < end) {
    const c = byte(p);
    if (c === ascii.QUOTE) {
      p = endOfString(p + 1, end);
      if (p === end) return -1;
    } else if (c === ascii.OPEN_BRACE || c === ascii.OPEN_BRACKET) depth++;
    else if (c === ascii.CLOSE_BRACE || c === ascii.CLOSE_BRACKET) {
      if (depth === 0) return p > start ? p : -1;
      depth--;
    } else if (depth === 0 && (c === ascii.COMMA || c === ascii.SPACE)) return p > start ? p : -1;
    p++;
    if (depth === 0 && (c === ascii.QUOTE || c === ascii.CLOSE_BRACE || c === ascii.CLOSE_BRACKET)) return p;
  }
  return -1;
}

/**
 * Decodes the string [p, end) to `to`, which may be `p`: the text is never longer than the string.
 * False if an escape is invalid. The text becomes the line, cut at the limit.
 */
function decodeString(p: i32, end: i32, to: i32): bool {
  const limit = to + layout.LINE_BYTES_MAX;
  lineStart = to;
  endsInNewline = false;
  while (p < end) {
    if (to >= limit) lineCut = true;
    // Beyond the limit only the last character's kind is kept.
    const at = lineCut ? limit : to;
    let c = byte(p);
    p++;
    endsInNewline = false;
    if (c !== ascii.BACKSLASH) {
      setByte(at, c);
      to = at + 1;
      continue;
    }
    // A string does not end in a backslash.
    c = byte(p);
    p++;
    if (c === 117) {
      const code = codeAt(p, end);
      if (code < 0) return false;
      p += codeBytes;
      endsInNewline = code === ascii.NEWLINE;
      to = encode(code, at);
      continue;
    }
    c = escaped(c);
    if (c < 0) return false;
    endsInNewline = c === ascii.NEWLINE;
    setByte(at, c);
    to = at + 1;
  }
  lineEnd = lineCut ? limit : to;
  blankNewlines();
  return true;
}

/** A line feed within the line becomes a blank; the last one is the caller's business. */
function blankNewlines(): void {
  const last = endsInNewline && !lineCut ? lineEnd - 1 : lineEnd;
  for (let p = lineStart; p < last; p++) if (byte(p) === ascii.NEWLINE) setByte(p, ascii.SPACE);
}

/** The character of the escape with this letter, or -1. */
function escaped(letter: i32): i32 {
  if (letter === ascii.QUOTE || letter === ascii.BACKSLASH || letter === ascii.SLASH) return letter;
  if (letter === 110) return ascii.NEWLINE;
  if (letter === 116) return ascii.TAB;
  if (letter === 114) return ascii.RETURN;
  return letter === 98 ? 8 : letter === 102 ? 12 : -1;
}

/** Length of the last code, in bytes after its "\u". */
let codeBytes: i32 = 0;

/** Four hex digits at `p`, or -1. */
function hexAt(p: i32, end: i32): i32 {
  if (p + 4 > end) return -1;
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const c = byte(p + i);
    const lower = c | 32;
    if (c >= ascii.ZERO && c <= ascii.NINE) value = (value << 4) | (c - ascii.ZERO);
    else if (lower >= ascii.LOWER_A && lower <= ascii.LOWER_F) value = (value << 4) | (lower - ascii.LOWER_A + 10);
    else return -1;
  }
  return value;
}

/** The code point after "\u", in one or two halves, at `p`; -1 = no digits. */
function codeAt(p: i32, end: i32): i32 {
  const code = hexAt(p, end);
  codeBytes = 4;
  if (code < 0xd800 || code > 0xdfff) return code;
  const low = p + 10 <= end && byte(p + 4) === ascii.BACKSLASH && byte(p + 5) === 117 ? hexAt(p + 6, end) : -1;
  if (code > 0xdbff || low < 0xdc00 || low > 0xdfff) return 0xfffd;
  codeBytes = 10;
  return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

/** Writes a code point in UTF-8; returns its end. */
function encode(code: i32, to: i32): i32 {
  if (code < 0x80) {
    setByte(to, code);
    return to + 1;
  }
  if (code < 0x800) setByte(to++, 0xc0 | (code >> 6));
  else {
    if (code < 0x10000) setByte(to++, 0xe0 | (code >> 12));
    else {
      setByte(to++, 0xf0 | (code >> 18));
      setByte(to++, 0x80 | ((code >> 12) & 63));
    }
    setByte(to++, 0x80 | ((code >> 6) & 63));
  }
  setByte(to, 0x80 | (code & 63));
  return to + 1;
}

/* An unfinished line: a number for file, format and stream, its length, its age, its text. */
const PIECE_LENGTH: i32 = 4;
const PIECE_AGE: i32 = 8;
const PIECE_CUT: i32 = 12;
const PIECE_TEXT: i32 = 16;

/** The bit of a source that says that a line of this format and stream has begun. */
function openBit(format: i32, stream: i32): i32 {
  return 1 << (format * 2 + stream);
}

/** A line of this source has begun, but we do not know in which of its streams. */
function loseBoth(format: i32, source: i32): i32 {
  forgetPieces(source);
  const open = layout.sourcesAt + source * layout.SOURCE_BYTES + layout.SOURCE_OPEN;
  setInt(open, int(open) | openBit(format, 0) | openBit(format, 1));
  counters.add(counters.PIECES_DROPPED, 1);
  return PIECE;
}

/**
 * The text between lineStart and lineEnd continues this stream's unfinished line, if there is one;
 * the line is then complete unless `isPiece`.
 */
function join(format: i32, source: i32, stream: i32, isPiece: bool): i32 {
  const open = layout.sourcesAt + source * layout.SOURCE_BYTES + layout.SOURCE_OPEN;
  const bit = openBit(format, stream);
  const begun = (int(open) & bit) !== 0;
  if (!begun && !isPiece) return ENTRY;
  const key = ((source + 1) << 6) | (format * 2 + stream);
  const p = findPieces(key, begun);
  setInt(open, isPiece ? int(open) | bit : int(open) & ~bit);
  if (p < 0) {
    counters.add(counters.PIECES_DROPPED, 1);
    return PIECE;
  }
  const length = int(p + PIECE_LENGTH);
  const room = int(p + PIECE_CUT) === 0 ? layout.LINE_BYTES_MAX - length : 0;
  const taken = smaller(lineEnd - lineStart, room);
  copyBytes(p + PIECE_TEXT + length, lineStart, taken);
  setInt(p + PIECE_LENGTH, length + taken);
  if (taken < lineEnd - lineStart || lineCut) setInt(p + PIECE_CUT, 1);
  if (isPiece) return PIECE;
  setInt(p, 0);
  lineStart = p + PIECE_TEXT;
  lineEnd = lineStart + length + taken;
  lineCut = int(p + PIECE_CUT) !== 0;
  return ENTRY;
}

/** The unfinished line with this key, or room for one if it has not begun yet; else -1. */
function findPieces(key: i32, begun: bool): i32 {
  let oldest = layout.piecesAt;
  for (let i = 0; i < layout.PIECES_MAX; i++) {
    const p = layout.piecesAt + i * layout.PIECE_BYTES;
    if (int(p) === key) return p;
    if (int(oldest) !== 0 && (int(p) === 0 || int(p + PIECE_AGE) - int(oldest + PIECE_AGE) < 0)) oldest = p;
  }
  if (begun) return -1;
  if (int(oldest) !== 0) counters.add(counters.PIECES_DROPPED, 1);
  pieces = (pieces + 1) | 0;
  setInt(oldest, key);
  setInt(oldest + PIECE_LENGTH, 0);
  setInt(oldest + PIECE_AGE, pieces);
  setInt(oldest + PIECE_CUT, 0);
  return oldest;
}
