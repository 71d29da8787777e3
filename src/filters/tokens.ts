/**
 * Short names for tokens, so that a filter reads like the line it describes.
 * src/compiler/pattern.ts says what each token means. All of this is plain data: nothing here looks
 * at a log byte.
 */
import type { ByteClass, Token } from '../compiler/pattern.ts';
import { lineBytesMax } from '../limits.ts';

export const literal = (text: string): Token => ({ kind: 'literal', text });

export const choice = (...of: string[]): Token => ({ kind: 'choice', of });

export const optional = (...tokens: Token[]): Token => ({ kind: 'optional', tokens });

export const either = (...of: Token[][]): Token => ({ kind: 'either', of });

export const repeat = (max: number, ...tokens: Token[]): Token => ({ kind: 'repeat', max, tokens });

/** One to `max` bytes of a class. */
export const some = (name: NonNullable<ByteClass['name']>, max = lineBytesMax): Token => ({
  kind: 'span',
  of: { name },
  min: 1,
  max,
});

/** Zero to `max` bytes of a class. */
export const any = (name: NonNullable<ByteClass['name']>, max = lineBytesMax): Token => ({
  kind: 'span',
  of: { name },
  min: 0,
  max,
});

/** `min` or more of the listed bytes. */
export const run = (bytes: string, min = 1): Token => ({ kind: 'span', of: { bytes }, min, max: lineBytesMax });

/** `min` or more bytes, up to one of the listed bytes. */
export const until = (bytes: string, min = 1, max = lineBytesMax): Token => ({
  kind: 'span',
  of: { bytes, not: true },
  min,
  max,
});

/** The same, kept as the user name. */
export const userUntil = (bytes: string, min = 1): Token => ({
  kind: 'span',
  of: { bytes, not: true },
  min,
  max: lineBytesMax,
  capture: 'user',
});

/** A word whose letters may each be upper or lower case. */
export const anyCase = (word: string): Token[] =>
  [...word].map((letter) =>
    letter.toLowerCase() === letter.toUpperCase()
      ? literal(letter)
      : choice(letter.toLowerCase(), letter.toUpperCase()),
  );

export const ip: Token = { kind: 'ip' };

/** An address with a port behind it, `A:P`. IPv6 may be in brackets or not. */
export const ipPort: Token = { kind: 'ip', port: true };

export const time: Token = { kind: 'time' };

/** Nothing but blanks may follow. */
export const lineEnd: Token[] = [{ kind: 'span', of: { name: 'space' }, min: 0, max: lineBytesMax }, { kind: 'end' }];

/** Attacker text up to the first place where what follows fits. */
export const textToFirst = (without?: string): Token => ({
  kind: 'text',
  from: 'left',
  ...(without === undefined ? {} : { without: { bytes: without } }),
});

/**
 * Attacker text up to the last place where what follows fits; `max` bytes at most, where the writer
 * cuts its lines.
 */
export const textToLast = (without?: string, max?: number): Token => ({
  kind: 'text',
  from: 'right',
  ...(max === undefined ? {} : { max }),
  ...(without === undefined ? {} : { without: { bytes: without } }),
});

export const userToFirst = (without?: string): Token => ({ ...textToFirst(without), capture: 'user' }) as Token;

export const userToLast = (without?: string, max?: number): Token =>
  ({ ...textToLast(without, max), capture: 'user' }) as Token;
