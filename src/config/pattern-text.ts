/**
 * The pattern language of `[[filter]]`: text with captures in braces, as the operator writes it, to
 * the tokens of src/compiler/pattern.ts. Whether they can be matched safely the compiler decides;
 * here is decided what they mean, and what was meant where somebody wrote a regular expression.
 * Input: any text. Never throws. Launch stage only: no log byte comes here.
 *
 *   text stands for itself, byte for byte; {{ and }} for a brace; {'text'} for text that looks like
 *   something else
 *   {ip}         the address of the source; once in every pattern
 *   {user}       the user name: any text, as a remote side may choose it
 *   {skip}       any text, as a remote side may choose it
 *   {word} bytes without blanks, at least one, up to the character that follows in the pattern
 *   {field} bytes, blanks too, up to the character that follows in the pattern, which cannot stand
 *   inside
 *   {part}       any text without blanks, up to the text that follows
 *   {inside}     any text within the quotes or brackets that the pattern opened before it
 *   {number}     decimal digits
 *   {digit}      one decimal digit; several in a row are so many digits, and no more
 *   {blanks}     blanks and tabs, or none
 *   {timestamp}  a time in any format that is known; where there is one, it is the time of the line
 *   {end}        the end of the line; without it, anything may follow
 *
 * {user}, {skip}, {part} and {inside} before the address end at the last place where what follows
 * them fits, so that nothing in them can pass for the rest of the line; after the address they end
 * at the first. {word}, {field} and {number} are for what the service itself writes: the filter's
 * author vouches for what cannot stand in them.
 */
import type { ByteClass, Token } from '../compiler/pattern.ts';
import { lineBytesMax } from '../limits.ts';
import { printable } from '../text/printable.ts';
import { foreignAt } from './foreign-pattern.ts';
import { numberDigitsMax, patternCharactersMax } from './limits.ts';
import { nearest } from './nearest.ts';

// biome-ignore format: one row
export const captureNames = ['ip', 'user', 'skip', 'word', 'part', 'field', 'inside', 'number', 'digit', 'blanks', 'timestamp', 'end'] as const;
type CaptureName = (typeof captureNames)[number];

export interface PatternText {
  tokens: Token[];
  /** Where in the text each token begins, UTF-16 index. */
  places: number[];
}

/** Why the text is not a pattern. */
export interface Misfit {
  /** Where in the text, UTF-16 index. */
  at: number;
  reason: string;
  hint?: string;
}

type Piece = { at: number; literal: string } | { at: number; capture: CaptureName };

/** Names that people write if they do not remember a capture's name. */
const otherNames: Record<string, CaptureName> = {
  addr: 'ip',
  address: 'ip',
  client: 'ip',
  host: 'ip',
  ip4: 'ip',
  ip6: 'ip',
  remote: 'ip',
  source: 'ip',
  login: 'user',
  username: 'user',
  any: 'skip',
  text: 'skip',
  '*': 'skip',
  string: 'word',
  int: 'number',
  integer: 'number',
  digits: 'number',
  date: 'timestamp',
  datetime: 'timestamp',
  time: 'timestamp',
  eol: 'end',
  $: 'end',
};

export function parsePattern(text: string): PatternText | Misfit {
  if (text.length > patternCharactersMax) {
    return { at: patternCharactersMax, reason: `is longer than ${patternCharactersMax} characters` };
  }
  const pieces = split(text);
  return Array.isArray(pieces) ? tokensOf(pieces) : pieces;
}

/** Literals, adjacent ones joined, and captures. */
function split(text: string): Piece[] | Misfit {
  const pieces: Piece[] = [];
  const add = (literal: string, at: number): void => {
    const last = pieces.at(-1);
    if (last !== undefined && 'literal' in last) last.literal += literal;
    else pieces.push({ at, literal });
  };
  for (let at = 0; at < text.length; ) {
    const character = text[at] as string;
    if (text.startsWith('{{', at) || text.startsWith('}}', at)) {
      add(character, at);
      at += 2;
    } else if (character === '{') {
      const braced = readBraces(text, at);
      if ('reason' in braced) return braced;
      if ('literal' in braced) add(braced.literal, at);
      else pieces.push({ at, capture: braced.capture });
      at = braced.after;
    } else if (character === '}') {
      return { at, reason: 'a "}" without "{"', hint: 'write }} for the character itself' };
    } else if (character === '\n' || character === '\r') {
      return { at, reason: 'a pattern is about one line and cannot hold a line end' };
    } else {
      const foreign = foreignAt(text, at);
      if (foreign) return { at, ...foreign };
      add(character, at);
      at++;
    }
  }
  return pieces;
}

/** The meaning of `{…}` at `at`. */
function readBraces(
  text: string,
  at: number,
): Misfit | { literal: string; after: number } | { capture: CaptureName; after: number } {
  if (text[at + 1] === "'") {
    const close = text.indexOf("'}", at + 2);
    if (close < 0) return { at, reason: "{' is not closed", hint: "write {'text'}, or {{ for the character itself" };
    const literal = text.slice(at + 2, close);
    if (literal === '') return { at, reason: "{''} is empty" };
    if (/[\r\n]/.test(literal)) return { at, reason: 'a pattern is about one line and cannot hold a line end' };
    return { literal, after: close + 2 };
  }
  const close = text.indexOf('}', at);
  if (close < 0) return { at, reason: 'a "{" that is not closed', hint: 'write {{ for the character itself' };
  const name = text.slice(at + 1, close);
  const capture = captureNames.find((known) => known === name);
  if (capture) return { capture, after: close + 1 };
  if (/^[0-9, ]+$/.test(name)) {
    return {
      at,
      reason: 'patterns have no repetition',
      hint: 'write {number} for digits, {word} for a run without blanks',
    };
  }
  const near = nearest(name.trim(), [...captureNames, ...Object.keys(otherNames)]);
  const meant = near !== undefined && Object.hasOwn(otherNames, near) ? otherNames[near] : near;
  const list = captureNames.map((known) => `{${known}}`).join(' ');
  const hint =
    meant === undefined ? `the captures are ${list}; write {{ for the character itself` : `did you mean {${meant}}?`;
  return { at, reason: `there is no capture {${printable(name, 40)}}`, hint };
}

function tokensOf(pieces: readonly Piece[]): PatternText | Misfit {
  const tokens: Token[] = [];
  const places: number[] = [];
  for (const [index, piece] of pieces.entries()) {
    const token = 'literal' in piece ? { kind: 'literal' as const, text: piece.literal } : captureToken(pieces, index);
    if (token === undefined) continue;
    if ('reason' in token) return token;
    tokens.push(token);
    places.push(piece.at);
  }
  if (tokens.length === 0) return { at: 0, reason: 'the pattern is empty' };
  return { tokens, places };
}

/** The token of the capture at `index`; undefined if it adds nothing. */
function captureToken(pieces: readonly Piece[], index: number): Token | Misfit | undefined {
  const { at, capture } = pieces[index] as { at: number; capture: CaptureName };
  const last = index === pieces.length - 1;
  switch (capture) {
    case 'ip':
      return { kind: 'ip' };
    case 'timestamp':
      return { kind: 'time' };
    case 'number':
      return { kind: 'span', of: { name: 'digit' }, min: 1, max: numberDigitsMax };
    case 'digit':
      return digits(pieces, index);
    case 'blanks':
      return { kind: 'span', of: { name: 'space' }, min: 0, max: lineBytesMax };
    case 'end':
      if (last) return { kind: 'end' };
      return { at: (pieces[index + 1] as Piece).at, reason: 'something follows {end}', hint: 'put {end} last' };
    case 'user':
      return { kind: 'text', from: last ? 'right' : sideOf(pieces, index), capture: 'user' };
    case 'skip':
      // Anything may follow a pattern anyway.
      return last ? undefined : { kind: 'text', from: sideOf(pieces, index) };
    case 'part':
      return last ? undefined : { kind: 'text', from: sideOf(pieces, index), without: { name: 'space' } };
    case 'inside': {
      const close = closerOf(pieces.slice(0, index).flatMap((piece) => ('literal' in piece ? [piece.literal] : [])));
      if (close !== undefined) return { kind: 'text', from: sideOf(pieces, index), without: { bytes: close } };
      return { at, reason: 'no quote or bracket is open before {inside}', hint: 'write {skip} for any text' };
    }
    case 'word': {
      const stop = stopAfter(pieces, index);
      return { kind: 'span', of: outside(stop === ' ' ? '' : stop, true), min: 1, max: lineBytesMax };
    }
    case 'field': {
      const stop = stopAfter(pieces, index);
      if (stop !== '') return { kind: 'span', of: outside(stop, false), min: 0, max: lineBytesMax };
      const hint = 'write the character that ends it behind it, such as a quote or bracket; {word} ends at a blank';
      return { at, reason: 'nothing says where {field} ends', hint };
    }
  }
}

/** All bytes except `stop` ('' for none), and if asked except blanks. */
function outside(stop: string, blanks: boolean): ByteClass {
  if (blanks) return stop === '' ? { name: 'nonspace' } : { name: 'space', bytes: stop, not: true };
  return { bytes: stop, not: true };
}

/**
 * The character after the capture that can end a run: ASCII, but no letter or digit; '' if there is
 * none.
 */
function stopAfter(pieces: readonly Piece[], index: number): string {
  const next = pieces[index + 1];
  if (next === undefined || !('literal' in next)) return '';
  const first = next.literal[0] as string;
  return first <= '\x7f' && !/[A-Za-z0-9]/.test(first) ? first : '';
}

/** From the right before the address, so that nothing in a text can pass for what follows it. */
function sideOf(pieces: readonly Piece[], index: number): 'left' | 'right' {
  const address = pieces.findIndex((piece) => 'capture' in piece && piece.capture === 'ip');
  return address > index ? 'right' : 'left';
}

/** The digits of adjacent {digit}s, at the first of them. */
function digits(pieces: readonly Piece[], index: number): Token | undefined {
  const isDigit = (piece: Piece | undefined): boolean =>
    piece !== undefined && 'capture' in piece && piece.capture === 'digit';
  if (isDigit(pieces[index - 1])) return undefined;
  let count = 1;
  while (isDigit(pieces[index + count])) count++;
  return { kind: 'span', of: { name: 'digit' }, min: count, max: count };
}

const closing: Record<string, string> = { '"': '"', "'": "'", '[': ']', '(': ')', '<': '>', '{': '}' };

/**
 * The character that closes the last quote or bracket opened in `texts`; undefined if none is open.
 */
export function closerOf(texts: readonly string[]): string | undefined {
  const open: string[] = [];
  for (const character of texts.join('')) {
    if (open.at(-1) === character) open.pop();
    else if (Object.hasOwn(closing, character)) open.push(closing[character] as string);
  }
  return open.at(-1);
}
