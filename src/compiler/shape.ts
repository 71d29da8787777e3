/**
 * Properties of tokens that need no matching: normal form, lengths, leading bytes, captures. Build
 * time only.
 */
import { bytesOf } from './bytes.ts';
import type { Filter, Pattern, Token } from './pattern.ts';

/** Longest `ip`, brackets included, and the bytes that its port adds (pattern.ts). */
const addressBytesMax = 257;
const portBytesMax = 6;

export type TextToken = Extract<Token, { kind: 'text' }>;
export type PlainToken = Exclude<Token, TextToken>;

/**
 * Same meaning, fewer tokens: adjacent literals joined, one-word choices made literals, empty
 * literals dropped.
 */
export function normalise(tokens: readonly Token[]): Token[] {
  const result: Token[] = [];
  for (const token of tokens) {
    const next = normaliseToken(token);
    const last = result.at(-1);
    if (next.kind === 'literal' && last?.kind === 'literal') {
      result[result.length - 1] = { kind: 'literal', text: last.text + next.text };
    } else if (next.kind !== 'literal' || next.text !== '') {
      result.push(next);
    }
  }
  return result;
}

function normaliseToken(token: Token): Token {
  switch (token.kind) {
    case 'choice':
      return token.of.length === 1 ? { kind: 'literal', text: token.of[0] as string } : token;
    case 'optional':
    case 'repeat':
      return { ...token, tokens: normalise(token.tokens) };
    case 'either':
      return { ...token, of: token.of.map(normalise) };
    default:
      return token;
  }
}

/** The fewest bytes that the tokens can match. */
export function minimumLength(tokens: readonly Token[]): number {
  let length = 0;
  for (const token of tokens) {
    if (token.kind === 'literal') length += bytesOf(token.text).length;
    else if (token.kind === 'choice') length += Math.min(...token.of.map((text) => bytesOf(text).length));
    else if (token.kind === 'either') length += Math.min(...token.of.map(minimumLength));
    else if (token.kind === 'span') length += token.min;
    else if (token.kind === 'ip') length += token.port === true ? 3 : 1;
    else if (token.kind === 'time') length += 1;
  }
  return length;
}

/** The most bytes that the tokens can match; Infinity if unbounded. */
export function maximumLength(tokens: readonly Token[]): number {
  let length = 0;
  for (const token of tokens) {
    if (token.kind === 'literal') length += bytesOf(token.text).length;
    else if (token.kind === 'choice') length += Math.max(...token.of.map((text) => bytesOf(text).length));
    else if (token.kind === 'optional') length += maximumLength(token.tokens);
    else if (token.kind === 'either') length += Math.max(...token.of.map(maximumLength));
    else if (token.kind === 'repeat') length += token.max * maximumLength(token.tokens);
    else if (token.kind === 'span') length += token.max;
    else if (token.kind === 'ip') length += addressBytesMax + (token.port === true ? portBytesMax : 0);
    else if (token.kind !== 'end') return Number.POSITIVE_INFINITY;
  }
  return length;
}

/**
 * A pattern divided at its texts: the tokens before the first one, then each text with the segment
 * that ends it.
 */
export interface Segments {
  head: PlainToken[];
  searched: { text: TextToken; segment: PlainToken[] }[];
}

export function segmentsOf(tokens: readonly Token[]): Segments {
  const segments: Segments = { head: [], searched: [] };
  for (const token of tokens) {
    if (token.kind === 'text') segments.searched.push({ text: token, segment: [] });
    else (segments.searched.at(-1)?.segment ?? segments.head).push(token);
  }
  return segments;
}

const prefixBytesMax = 24;
const prefixesMax = 64;

/** What a match begins with, as latin1; `open`: the next token continues it. */
interface Beginning {
  text: string;
  open: boolean;
}

/** Byte strings (as latin1); every match begins with one of them. An empty one means unknown. */
export function prefixesOf(tokens: readonly Token[]): string[] {
  return [...new Set(beginningsOf(tokens).map(({ text }) => text))];
}

function beginningsOf(tokens: readonly Token[]): Beginning[] {
  let beginnings: Beginning[] = [{ text: '', open: true }];
  for (const token of tokens) {
    const more = continuations(token);
    const next = beginnings.flatMap((before) => (before.open ? more.map((after) => joined(before, after)) : [before]));
    if (next.length > prefixesMax) return shortened(next) ?? beginnings.map(({ text }) => ({ text, open: false }));
    beginnings = next;
  }
  return beginnings;
}

/**
 * Their first bytes, as many as keep the number of different ones small; undefined if even four
 * bytes are too many.
 */
function shortened(beginnings: Beginning[]): Beginning[] | undefined {
  for (const length of [12, 8, 4]) {
    const texts = new Set(beginnings.map(({ text }) => text.slice(0, length)));
    if (texts.size <= prefixesMax) return [...texts].map((text) => ({ text, open: false }));
  }
  return undefined;
}

function joined(before: Beginning, after: Beginning): Beginning {
  const text = before.text + after.text;
  return { text: text.slice(0, prefixBytesMax), open: after.open && text.length < prefixBytesMax };
}

function continuations(token: Token): Beginning[] {
  const literal = (text: string) => ({ text: Buffer.from(text).toString('latin1'), open: true });
  switch (token.kind) {
    case 'literal':
      return [literal(token.text)];
    case 'choice':
      return token.of.map(literal);
    case 'optional':
      return [{ text: '', open: true }, ...beginningsOf(token.tokens)];
    case 'either':
      return token.of.flatMap(beginningsOf);
    default:
      return [{ text: '', open: false }];
  }
}

/** The longest string all of `texts` begin with. */
export function commonPrefix(texts: readonly string[]): string {
  let common = texts[0] ?? '';
  for (const text of texts) while (!text.startsWith(common)) common = common.slice(0, -1);
  return common;
}

/** The captures that the tokens may set. */
export function capturesOf(tokens: readonly Token[]): Set<'address' | 'user' | 'time'> {
  const captures = new Set<'address' | 'user' | 'time'>();
  for (const token of tokens) {
    if (token.kind === 'ip') captures.add('address');
    else if (token.kind === 'time') captures.add('time');
    else if ((token.kind === 'span' || token.kind === 'text') && token.capture === 'user') captures.add('user');
    for (const tokens of listsIn(token)) for (const capture of capturesOf(tokens)) captures.add(capture);
  }
  return captures;
}

/** The token lists inside a token. */
export function listsIn(token: Token): readonly Token[][] {
  if (token.kind === 'either') return token.of;
  return token.kind === 'optional' || token.kind === 'repeat' ? [token.tokens] : [];
}

/** Whether there is such a token, at any depth. */
export function holds(tokens: readonly Token[], isSuch: (token: Token) => boolean): boolean {
  return tokens.some((token) => isSuch(token) || listsIn(token).some((inner) => holds(inner, isSuch)));
}

/** `failed-password` as `FailedPassword`. */
export function pascalCase(name: string): string {
  return name.replace(/(?:^|[^A-Za-z0-9]+)([A-Za-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Bits of `patternFlags`; the stage of an attempt (0 = none) takes the three from `stageShift` on.
 */
export const flagBits = {
  failure: 1,
  ends: 2,
  gained: 4,
  ignore: 8,
  address: 16,
  whole: 256,
  tentative: 512,
  list: 1024,
} as const;
export const stageShift = 5;

/**
 * A pattern that matches no more of a message than this is decided in the first part of a cut line,
 * whatever comes before the message.
 */
const earlyBytesMax = 2048;

/**
 * Whether the text after the cut of a line could change what the pattern matches, or whether it may
 * match. That is so if the pattern reads the end of the line or searches from there, since a
 * client's text would be there instead; if nothing fixed ends its address; and if a pattern that is
 * tried earlier might have matched the whole line.
 */
function takesWholeLines(filter: Filter, pattern: Pattern): boolean {
  const address = pattern.tokens.findLastIndex((token) => capturesOf([token]).has('address'));
  const isEnded = pattern.tokens.slice(address + 1).some(({ kind }) => kind === 'literal' || kind === 'choice');
  const ignored = filter.ignore ?? [];
  const before = filter.patterns.slice(0, filter.patterns.indexOf(pattern));
  return (
    readsEnd(pattern.tokens) ||
    !isEnded ||
    ignored.some((other) => mayTakeAsWell(other, pattern, false)) ||
    before.some((other) => mayTakeAsWell(other, pattern, other.effect?.kind !== 'context'))
  );
}

function readsEnd(tokens: readonly Token[]): boolean {
  return holds(tokens, (token) => token.kind === 'end' || (token.kind === 'text' && token.from === 'right'));
}

/**
 * Whether `other` might match a whole line whose first part `pattern` matches, with another
 * meaning.
 */
function mayTakeAsWell(other: Pattern, pattern: Pattern, charges: boolean): boolean {
  if (!readsEnd(other.tokens) && maximumLength(other.tokens) <= earlyBytesMax) return false;
  // Tokens that both begin with match the same bytes.
  const differs = (token: Token, index: number): boolean =>
    token.kind === 'text' || JSON.stringify(token) !== JSON.stringify(pattern.tokens[index]);
  const shared = other.tokens.findIndex(differs);
  if (shared < 0) return true;
  if (charges && capturesOf(other.tokens.slice(0, shared)).has('address')) return false;
  const beginnings = prefixesOf(pattern.tokens.slice(shared));
  return prefixesOf(other.tokens.slice(shared)).some((text) =>
    beginnings.some((own) => own.startsWith(text) || text.startsWith(own)),
  );
}

export function flagsOf(filter: Filter, pattern: Pattern, ignored: boolean): number {
  const {
    kind = 'failure',
    ends = false,
    gained = false,
    stage = 0,
    tentative = false,
    list = false,
  } = pattern.effect ?? {};
  return (
    (kind === 'failure' && !ignored ? flagBits.failure : 0) |
    (ends ? flagBits.ends : 0) |
    (gained ? flagBits.gained : 0) |
    (ignored ? flagBits.ignore : 0) |
    (capturesOf(pattern.tokens).has('address') ? flagBits.address : 0) |
    (!ignored && takesWholeLines(filter, pattern) ? flagBits.whole : 0) |
    (tentative ? flagBits.tentative : 0) |
    (list ? flagBits.list : 0) |
    (stage << stageShift)
  );
}

/** The number for `connection`; 0: none. */
export function encodeConnection(connection: Filter['connection']): number {
  return connection === undefined ? 0 : 1 + ['pid', 'address', 'process', 'session', 'number'].indexOf(connection);
}

/** Two bits per prefix, the first tried lowest; 0 ends the list. */
export function encodePrefixes(prefixes: readonly ('syslog' | 'time' | 'bare')[]): number {
  const codes = { syslog: 1, time: 2, bare: 3 };
  return prefixes.reduce((bits, prefix, index) => bits | (codes[prefix] << (2 * index)), 0);
}

/** Bits of the modes in which a pattern applies; 0 = all. */
export function modeMask(filter: Filter, pattern: Pattern): number {
  const modes = filter.modes ?? [];
  const bits = (pattern.modes ?? []).reduce((mask, mode) => mask | (1 << modes.indexOf(mode)), 0);
  return bits === (1 << modes.length) - 1 ? 0 : bits;
}
