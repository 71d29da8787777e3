/**
 * The oracle: the pattern language taken literally. It runs a filter's tokens over a Buffer exactly
 * as src/compiler/pattern.ts says, byte by byte, and shares no code with the emitted matchers, the
 * interpreter or the engine's scanners. Slow on purpose; keep it simple.
 */
import type { ByteClass, Filter, Pattern, Token } from '../../src/compiler/pattern.ts';
import { readTime as readClock } from './time-oracle.ts';

export type Range = [start: number, end: number];

export interface Captures {
  address?: Range;
  user?: Range;
  time?: Range;
}

export interface OracleMatch extends Captures {
  pattern: string;
  /** Position in `filter.patterns`, or `filter.patterns.length` + position in `filter.ignore`. */
  index: number;
  ignored: boolean;
  addressText?: string;
}

/** The state of a walk: the next byte, and what was captured so far. */
interface Place {
  at: number;
  captures: Captures;
}

const classes: Record<NonNullable<ByteClass['name']>, RegExp> = {
  digit: /[0-9]/,
  hex: /[0-9A-Fa-f]/,
  word: /[0-9A-Za-z_]/,
  space: /[\t\n\v\f\r ]/,
  nonspace: /[^\t\n\v\f\r ]/,
  any: /[\s\S]/,
  alpha: /[A-Za-z]/,
  base64: /[0-9A-Za-z+/=]/,
};

export function inClass(of: ByteClass, byte: number): boolean {
  const character = String.fromCharCode(byte);
  const named = of.name !== undefined && classes[of.name].test(character);
  const listed = of.bytes?.includes(character) ?? false;
  return (named || listed) !== (of.not === true);
}

/** Longest timestamp at the start of `text`, as the services write them; 0 where there is none. */
export function timeLength(text: string): number {
  const month = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
  const clock = '[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?';
  const zone = '(?:Z|[+-][0-9]{2}:?[0-9]{2})';
  const formats = [
    `${month} [ 0-9][0-9](?: [0-9]{4})? ${clock}`,
    `(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat) ${month} [ 0-9][0-9] ${clock}(?: [0-9]{4})?`,
    `[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ]${clock}(?: ?${zone})?`,
    `[0-9]{2}/${month}/[0-9]{4}:${clock}(?: ${zone})?`,
    `[0-9]{2}-${month}-[0-9]{4} ${clock}`,
    `[0-9]{6} [ 0-9][0-9]:[0-9]{2}:[0-9]{2}`,
    '[0-9]{10}(?:[.,][0-9]{1,9})?',
  ];
  return Math.max(...formats.map((format) => text.match(new RegExp(`^${format}`))?.[0].length ?? 0));
}

let readTime = timeLength;

/**
 * Reads `time` tokens with another function: for tests that are not about timestamps. Absent = the
 * oracle's own.
 */
export function readTimesWith(read = timeLength): void {
  readTime = read;
}

function isAddressByte(byte: number | undefined): boolean {
  return byte !== undefined && /[0-9A-Za-z:._%-]/.test(String.fromCharCode(byte));
}

/** The end of the unbracketed address that starts at `at`; `at` if there is none. */
function addressEnd(message: Buffer, at: number): number {
  let end = at;
  while (end < message.length && isAddressByte(message[end])) {
    if (message[end] === 0x3a && message.subarray(at, end).includes('.')) break;
    end++;
  }
  if (end - at > 255) return at;
  let text = message.toString('latin1', at, end);
  if (/(^|[^:]):$/.test(text) || text.endsWith(':::')) text = text.slice(0, -1);
  text = text.replace(/\.+$/, '');
  return at + text.length;
}

/** `ip` with `port`: the text before the port is the address. */
function walkAddressPort(message: Buffer, { at, captures }: Place): Place | null {
  const found = (address: Range, end: number): Place => ({ at: end, captures: { ...captures, address } });
  const bracketed = message.toString('latin1', at).match(/^\[([0-9A-Za-z:._%-]{1,255})\](:[0-9]{1,5})(?![0-9])/);
  if (message[at] === 0x5b)
    return bracketed && found([at + 1, at + 1 + bracketed[1]!.length], at + bracketed[0].length);
  const end = addressEnd(message, at);
  if (end === at) return null;
  const behind = message.toString('latin1', end).match(/^:[0-9]{1,5}(?![0-9])/);
  if (behind !== null) return found([at, end], end + behind[0].length);
  const dotted = message.toString('latin1', at, end).match(/^((?:[^.]*\.){3}[^.]*|[^.:]*:[^.]*)\.[0-9]{1,5}$/);
  if (dotted !== null) return found([at, at + dotted[1]!.length], end);
  // The last colon, unless the address before it would end in a single colon.
  const within = message.toString('latin1', at, end).match(/^(.*[^:]|(?:.*[^:])?::):[0-9]{1,5}$/);
  return within && found([at, at + within[1]!.length], end);
}

function walkToken(token: Token, message: Buffer, { at, captures }: Place): Place | null {
  switch (token.kind) {
    case 'literal': {
      const bytes = Buffer.from(token.text);
      return message.subarray(at, at + bytes.length).equals(bytes) ? { at: at + bytes.length, captures } : null;
    }
    case 'choice': {
      for (const text of token.of) {
        const place = walkToken({ kind: 'literal', text }, message, { at, captures });
        if (place !== null) return place;
      }
      return null;
    }
    case 'optional':
      return walkAll(token.tokens, message, { at, captures }) ?? { at, captures };
    case 'either': {
      for (const tokens of token.of) {
        const place = walkAll(tokens, message, { at, captures });
        if (place !== null) return place;
      }
      return null;
    }
    case 'repeat': {
      let place: Place = { at, captures };
      for (let times = 0; times < token.max; times++) {
        const next = walkAll(token.tokens, message, place);
        if (next === null || next.at === place.at) break;
        place = next;
      }
      return place;
    }
    case 'span': {
      let end = at;
      while (end < message.length && inClass(token.of, message[end] as number)) end++;
      if (end - at < token.min || end - at > token.max) return null;
      return { at: end, captures: token.capture === 'user' ? { ...captures, user: [at, end] } : captures };
    }
    case 'ip': {
      if (token.port === true) return walkAddressPort(message, { at, captures });
      if (message[at] === 0x5b) {
        let end = at + 1;
        while (end < message.length && isAddressByte(message[end])) end++;
        if (end === at + 1 || end - at - 1 > 255 || message[end] !== 0x5d) return null;
        return { at: end + 1, captures: { ...captures, address: [at + 1, end] } };
      }
      const end = addressEnd(message, at);
      return end === at ? null : { at: end, captures: { ...captures, address: [at, end] } };
    }
    case 'time': {
      const length = readTime(message.toString('latin1', at));
      return length === 0 ? null : { at: at + length, captures: { ...captures, time: [at, at + length] } };
    }
    case 'end':
      return at === message.length ? { at, captures } : null;
    case 'text':
      throw new Error('text inside optional, either or repeat');
  }
}

/** Tokens without text, in order. */
function walkAll(tokens: Token[], message: Buffer, from: Place): Place | null {
  let place: Place | null = from;
  for (const token of tokens) {
    place = walkToken(token, message, place);
    if (place === null) return null;
  }
  return place;
}

/** A whole pattern: fixed tokens, then a text, then the segment that ends it, and so on. */
export function walkPattern(tokens: Token[], message: Buffer, from: Place = { at: 0, captures: {} }): Captures | null {
  const split = tokens.findIndex((token) => token.kind === 'text');
  const place = walkAll(split < 0 ? tokens : tokens.slice(0, split), message, from);
  if (place === null || split < 0) return place?.captures ?? null;
  const text = tokens[split] as Extract<Token, { kind: 'text' }>;
  const rest = tokens.slice(split + 1);
  const next = rest.findIndex((token) => token.kind === 'text');
  const segment = next < 0 ? rest : rest.slice(0, next);
  const after = next < 0 ? [] : rest.slice(next);

  const places: number[] = [];
  for (let end = place.at; end <= message.length && end - place.at <= (text.max ?? message.length); end++) {
    places.push(end);
    if (text.without !== undefined && end < message.length && inClass(text.without, message[end] as number)) break;
  }
  if (text.from === 'right') places.reverse();
  for (const end of places) {
    const captures = text.capture === 'user' ? { ...place.captures, user: [place.at, end] as Range } : place.captures;
    const found = walkAll(segment, message, { at: end, captures });
    if (found !== null) return walkPattern(after, message, found);
  }
  return null;
}

/**
 * The pattern that matches the message: first those of `ignore`, then `patterns`, in their order.
 * `mode` absent = the default.
 */
export function oracleMatch(filter: Filter, message: Buffer, mode = filter.modes?.[0]): OracleMatch | null {
  const attempt = (patterns: Pattern[], base: number, ignored: boolean): OracleMatch | null => {
    for (const [position, pattern] of patterns.entries()) {
      if (pattern.modes !== undefined && (mode === undefined || !pattern.modes.includes(mode))) continue;
      const captures = walkPattern(pattern.tokens, message);
      if (captures === null) continue;
      const match: OracleMatch = { pattern: pattern.name, index: base + position, ignored, ...captures };
      if (captures.address !== undefined) match.addressText = message.toString('latin1', ...captures.address);
      return match;
    }
    return null;
  };
  return attempt(filter.ignore ?? [], filter.patterns.length, true) ?? attempt(filter.patterns, 0, false);
}

/** The text of "message repeated 5 times: [ text]", or the message itself. */
function unfold(message: Buffer): Buffer {
  const text = message.toString('latin1');
  const folded = /^message repeated 0*[1-9][0-9]* times: \[ ?/.exec(text);
  return folded !== null && /.\]$/s.test(text.slice(folded[0].length))
    ? message.subarray(folded[0].length, -1)
    : message;
}

/** Every message a line may hold: one per prefix of the filter that fits, in the filter's order. */
export function oracleMessages(filter: Filter, line: Buffer): Buffer[] {
  const text = line.toString('latin1');
  return filter.prefixes.flatMap((prefix) => {
    if (prefix === 'bare') return [line];
    const bracket = text.startsWith('[') ? 1 : 0;
    const time = timeLength(text.slice(prefix === 'time' ? bracket : 0));
    if (time === 0) return [];
    if (prefix === 'time') {
      const rest = text.slice(bracket + time);
      if (bracket === 1 && !rest.startsWith(']')) return [];
      return [line.subarray(text.length - rest.slice(bracket).replace(/^:?[ \t]*/, '').length)];
    }
    const header = text.slice(time).match(/^ (?:[^ ]*[^ :] )?([^ :[]+)(?:\[[0-9]+\])?: /);
    const isTag = (tag: string): boolean =>
      tag.endsWith('*') ? header?.[1]?.startsWith(tag.slice(0, -1)) === true : header?.[1] === tag;
    const tagged = header !== null && (!filter.tags?.length || filter.tags.some(isTag));
    return tagged ? [unfold(line.subarray(time + header[0].length))] : [];
  });
}

/**
 * Whether a line's time does not exist. It is the time that the pattern captured or, without one,
 * the time at the beginning of the line.
 */
export function atNoTime(line: Buffer, message: Buffer, captured: Range | undefined, now: number): boolean {
  const head = line.toString('latin1').replace(/^\[/, '');
  const text = captured === undefined ? head.slice(0, timeLength(head)) : message.toString('latin1', ...captured);
  return text !== '' && readClock(text, now) < 0;
}

/** A whole line: the first prefix under which a pattern matches. */
export function oracleLine(filter: Filter, line: Buffer, mode?: string): OracleMatch | null {
  for (const message of oracleMessages(filter, line)) {
    const match = oracleMatch(filter, message, mode);
    if (match !== null) return match;
  }
  return null;
}
