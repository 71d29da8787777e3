/**
 * The usual end of a line, taken from the samples: literal, address, literal, a number, literal. A
 * message that ends this way is read from the right, and what remains on the left is the text
 * before it. Any other end takes the general path, which gives the same result. Build time only.
 */
import { addressBytes, byteSet } from './bytes.ts';
import type { Token } from './pattern.ts';
import { capturesOf, listsIn } from './shape.ts';

/** A number with more digits takes the general path. */
export const usualDigitsMax = 5;

export interface UsualEnd {
  /** Before the address. */
  before: string;
  /** Between address and number. */
  between: string;
  /** After the number, at the end. */
  after: string;
}

/**
 * The usual end of a segment that ends a text searched from the right; undefined if the sample has
 * none, or if the general path could match it differently.
 */
export function usualEndOf(segment: readonly Token[], sample: string): UsualEnd | undefined {
  const [first, second, ...rest] = segment;
  if (first?.kind !== 'literal' || second?.kind !== 'ip' || second.port === true) return undefined;
  if (rest.at(-1)?.kind !== 'end' || capturesOf(rest).size > 0) return undefined;
  const before = first.text;
  // The characters around the address cannot belong to one, and the address cannot belong to the
  // text before it.
  if ([before[0], before.at(-1)].some(isOfAddress) || /[\d:]|[^ -~]/.test(before)) return undefined;
  for (let at = sample.lastIndexOf(before); at >= 0; at = at === 0 ? -1 : sample.lastIndexOf(before, at - 1)) {
    const found = /^[0-9a-f.:]+(\D+)\d+(\D.*)?$/.exec(sample.slice(at + before.length));
    const [between = '', after = ''] = found?.slice(1) ?? [];
    if (found !== null && isCertain(before, between, after, rest)) return { before, between, after };
  }
  return undefined;
}

/** Whether a line with this end certainly matches there, and at no other place. */
function isCertain(before: string, between: string, after: string, rest: readonly Token[]): boolean {
  if (isOfAddress(between[0]) || /[^ -~]/.test(between + after) || rest.some(knowsDigits)) return false;
  // The segment matches nowhere further right: what comes after its address, or before it, does not
  // occur there.
  const isOnly = rest[0]?.kind === 'literal' && rest[0].text === between && !after.includes(between);
  if (!isOnly && `${between}0${after}`.includes(before)) return false;
  for (let digits = 1; digits <= usualDigitsMax; digits++) {
    for (const digit of '0123456789') {
      const text = between + digit.repeat(digits) + after;
      if (taken(rest, text, 0) !== text.length) return false;
    }
  }
  return true;
}

function isOfAddress(character: string | undefined): boolean {
  return character !== undefined && (addressBytes[character.charCodeAt(0)] === true || '[]'.includes(character));
}

/** Whether a token distinguishes the digits of a number from each other. */
function knowsDigits(token: Token): boolean {
  if (token.kind === 'literal') return /^\d/.test(token.text);
  if (token.kind === 'choice') return token.of.some((text) => /^\d/.test(text));
  return listsIn(token).some((tokens) => tokens.some(knowsDigits));
}

/** Where the tokens end that begin at `at` of an ASCII text, or -1. No backtracking. */
function taken(tokens: readonly Token[], text: string, at: number): number {
  for (const token of tokens) {
    at = takenByOne(token, text, at);
    if (at < 0) return -1;
  }
  return at;
}

function takenByOne(token: Token, text: string, at: number): number {
  switch (token.kind) {
    case 'literal':
      return text.startsWith(token.text, at) ? at + token.text.length : -1;
    case 'choice': {
      const word = token.of.find((each) => text.startsWith(each, at));
      return word === undefined ? -1 : at + word.length;
    }
    case 'optional':
      return Math.max(at, taken(token.tokens, text, at));
    case 'either':
      return token.of.map((tokens) => taken(tokens, text, at)).find((next) => next >= 0) ?? -1;
    case 'repeat': {
      for (let times = 0; times < token.max; times++) {
        const next = taken(token.tokens, text, at);
        if (next <= at) break;
        at = next;
      }
      return at;
    }
    case 'span': {
      const set = byteSet(token.of);
      let stop = at;
      while (stop < text.length && set[text.charCodeAt(stop)]) stop++;
      // Other lines may have something else than this number here.
      if (stop > at && token.of.name !== 'digit') return -1;
      return stop - at >= token.min && stop - at <= token.max ? stop : -1;
    }
    case 'end':
      return at === text.length ? at : -1;
    default:
      return -1;
  }
}
