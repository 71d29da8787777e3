/**
 * Tokens as engine source, each tried where the one before it ended. What is tried inside a pattern
 * becomes a `part` function.
 */
import { byteSet, bytesOf } from '../bytes.ts';
import { describe, quote } from '../describe.ts';
import type { Token } from '../pattern.ts';
import { capturesOf } from '../shape.ts';
import { literalHere, run } from './bytes.ts';
import { captures, comment, indent, memory, scans, type Writer } from './writer.ts';

/** Code for tokens in a function with the variables `at` and `end`; `fail` returns from it. */
export interface Scope {
  writer: Writer;
  /** Gives the next number that is unused in this function. */
  next: () => number;
  fail: string;
}

/** Counts from 1. */
export function counter(): () => number {
  let count = 0;
  return () => ++count;
}

/** A function that matches tokens at `at` and returns the position after them, or -1. */
export function emitPart({ writer }: Scope, tokens: Token[]): string {
  const lines = emitTokens({ writer, next: counter(), fail: 'return -1;' }, tokens);
  const body = indent([...lines, 'return at;'].join('\n'));
  const known = writer.parts.get(body);
  if (known !== undefined) return known;
  const name = `part${writer.parts.size + 1}`;
  writer.parts.set(body, name);
  writer.functions.push(`/** ${comment(describe(tokens))} */\nfunction ${name}(at: i32, end: i32): i32 {\n${body}\n}`);
  return name;
}

export function emitTokens(scope: Scope, tokens: readonly Token[]): string[] {
  return tokens.flatMap((token) => emitToken(scope, token));
}

function emitToken(scope: Scope, token: Token): string[] {
  const { writer, fail } = scope;
  switch (token.kind) {
    case 'literal':
      return [
        `if (!(${literalHere(writer, token.text)})) ${fail} // ${quote(token.text)}`,
        `at += ${bytesOf(token.text).length};`,
      ];
    case 'choice':
      return emitChoice(scope, token.of);
    case 'optional':
      return emitOptional(scope, token.tokens);
    case 'either':
      return emitEither(scope, token.of);
    case 'repeat':
      return emitRepeat(scope, token.max, token.tokens);
    case 'span':
      return emitSpan(scope, token);
    case 'ip':
      return [
        `at = ${writer.use(token.port === true ? 'scanAddressPort' : 'scanAddress', scans)}(at, end);`,
        `if (at < 0) ${fail}`,
      ];
    case 'time': {
      const stop = `stop${scope.next()}`;
      return [
        `const ${stop} = ${writer.use('scanTime', '../timestamp.ts')}(at, end);`,
        `if (${stop} < 0) ${fail}`,
        `${writer.use('captureTime', captures)}(at, ${stop});`,
        `at = ${stop};`,
      ];
    }
    case 'end':
      return [`if (at !== end) ${fail}`];
    case 'text':
      throw new Error('text inside optional, either or repeat');
  }
}

/** A choice of more words than this first compares their first byte. */
const wordsTriedMax = 8;

function emitChoice({ writer, next, fail }: Scope, of: readonly string[]): string[] {
  const tests = (words: readonly string[]): string =>
    words
      .map((text) => `if (${literalHere(writer, text)}) at += ${bytesOf(text).length}; // ${quote(text)}`)
      .join('\nelse ');
  if (of.length <= wordsTriedMax) return [`${tests(of)}\nelse ${fail}`];
  const first = `first${next()}`;
  // After the end there is some byte, but a word that begins with it is too long.
  const groups = [...Map.groupBy(of, (text) => bytesOf(text)[0])].map(
    ([byte, words]) => `if (${first} === ${byte}) {\n${indent(`${tests(words)}\nelse ${fail}`)}\n}`,
  );
  return [`const ${first} = ${writer.use('byte', memory)}(at);`, `${groups.join(' else ')}\nelse ${fail}`];
}

function emitOptional(scope: Scope, tokens: readonly Token[]): string[] {
  const only = tokens[0];
  if (tokens.length === 1 && only?.kind === 'literal') {
    return [`if (${literalHere(scope.writer, only.text)}) at += ${bytesOf(only.text).length}; // ${quote(only.text)}`];
  }
  const next = `next${scope.next()}`;
  const undo = leftovers(scope.writer, tokens);
  return [
    `const ${next} = ${emitPart(scope, [...tokens])}(at, end);`,
    `if (${next} >= 0) at = ${next};${undo === '' ? '' : `\nelse {\n${indent(undo)}\n}`}`,
  ];
}

function emitEither(scope: Scope, of: readonly Token[][]): string[] {
  const next = `next${scope.next()}`;
  const lines = of.flatMap((tokens, index) => {
    const call = tokens.length === 0 ? 'at' : `${emitPart(scope, tokens)}(at, end)`;
    if (index === 0) return [`let ${next} = ${call};`];
    const undo = leftovers(scope.writer, of[index - 1] as Token[]);
    return [
      undo === ''
        ? `if (${next} < 0) ${next} = ${call};`
        : `if (${next} < 0) {\n${indent(`${undo}\n${next} = ${call};`)}\n}`,
    ];
  });
  return [...lines, `if (${next} < 0) ${scope.fail}`, `at = ${next};`];
}

function emitRepeat(scope: Scope, max: number, tokens: readonly Token[]): string[] {
  const number = scope.next();
  const part = emitPart(scope, [...tokens]);
  return [
    `for (let times${number} = 0; times${number} < ${max}; times${number}++) {`,
    `  const next${number} = ${part}(at, end);`,
    `  if (next${number} <= at) break;`,
    `  at = next${number};`,
    '}',
  ];
}

function emitSpan(scope: Scope, token: Extract<Token, { kind: 'span' }>): string[] {
  const { writer, fail } = scope;
  const stop = `stop${scope.next()}`;
  const limit = `${writer.use('smaller', scans)}(end, at + ${token.max + 1})`;
  const lines = [`const ${stop} = ${run(writer, byteSet(token.of), 'at', limit)};`];
  const short = token.min > 0 ? `${stop} - at < ${token.min} || ` : '';
  lines.push(`if (${short}${stop} - at > ${token.max}) ${fail}`);
  if (token.capture === 'user') lines.push(`${writer.use('captureUser', captures)}(at, ${stop});`);
  return [...lines, `at = ${stop};`];
}

/** Statements that reset captures which failed tokens may have set. */
export function leftovers(writer: Writer, tokens: readonly Token[]): string {
  const forget = { address: 'forgetAddress', user: 'forgetUser', time: 'forgetTime' };
  return [...capturesOf(tokens)].map((capture) => `${writer.use(forget[capture], captures)}();`).join('\n');
}
