/**
 * A text and the segment that ends it, as engine source: a search from the text's side.
 */
import { byteSet, bytesOf, complement, rarity } from '../bytes.ts';
import { describe, quote } from '../describe.ts';
import type { Token } from '../pattern.ts';
import { type Pivot, pivotOf } from '../pivot.ts';
import { commonPrefix, minimumLength, prefixesOf, type TextToken } from '../shape.ts';
import { type UsualEnd, usualDigitsMax, usualEndOf } from '../usual.ts';
import { run, sameBytes, wordAt } from './bytes.ts';
import { emitPart, leftovers, type Scope } from './tokens.ts';
import { captures, comment, indent, memory, scans, type Writer } from './writer.ts';

/** `sample`: the pattern's sample, if the segment is its last. */
export function emitSearch(scope: Scope, text: TextToken, segment: Token[], sample?: string): string[] {
  const { writer, fail } = scope;
  const number = scope.next();
  const [limit, place] = [`limit${number}`, `place${number}`];
  const lines = [
    `// ${text.capture ?? 'text'} up to the ${text.from === 'left' ? 'first' : 'last'} ${comment(describe(segment))}`,
  ];
  const longest = text.max === undefined ? 'end' : `${writer.use('smaller', scans)}(end, at + ${text.max})`;
  const bounded = text.without !== undefined || text.max !== undefined;
  if (bounded) {
    const within = text.without === undefined ? longest : run(writer, complement(byteSet(text.without)), 'at', longest);
    lines.push(`const ${limit} = ${within};`);
  }
  const last = bounded ? limit : 'end';
  const capture = (stop: string): string[] =>
    text.capture === 'user' ? [`${writer.use('captureUser', captures)}(at, ${stop});`] : [];

  if (segment.length === 0) return [...lines, ...capture(text.from === 'left' ? 'at' : last)];
  if (segment[0]?.kind === 'end') {
    return [...lines, ...(bounded ? [`if (${limit} !== end) ${fail}`] : []), ...capture('end'), 'at = end;'];
  }
  const usual = sample === undefined || bounded || text.from === 'left' ? undefined : usualEndOf(segment, sample);
  if (usual !== undefined) {
    lines.push(`const near${number} = ${emitUsualEnd(writer, usual)}(at, end);`, `if (near${number} >= 0) {`);
    lines.push(...[...capture(`near${number}`), 'return true;'].map((line) => `  ${line}`), '}');
  }
  const part = emitPart(scope, segment);
  const next = `next${number}`;
  lines.push(...emitPlaces(scope, { text, segment, place, next, part, last }));
  return [...lines, ...capture(place), `at = ${next};`];
}

/** A function that matches the usual end of a message from the right. */
function emitUsualEnd(writer: Writer, { before, between, after }: UsualEnd): string {
  const key = `${before}\0${between}\0${after}`;
  const known = writer.usual.get(key);
  if (known !== undefined) return known;
  const name = `usualEnd${writer.usual.size + 1}`;
  writer.usual.set(key, name);
  const stop = after === '' ? 'end' : `end - ${after.length}`;
  const tests = (text: string, at: string): string => sameBytes(writer, text, at);
  const said = `${quote(before)} ip ${quote(between)} digit{1,${usualDigitsMax}}${after === '' ? '' : ` ${quote(after)}`}`;
  const body = [
    `if (end - at < ${before.length + between.length + after.length + 2}) return -1;`,
    ...(after === '' ? [] : [`if (!(${tests(after, stop)})) return -1; // ${quote(after)}`]),
    `const number = ${writer.use('digitsBefore', memory)}(at, ${stop});`,
    `if (number >= ${stop} || number < end - ${after.length + usualDigitsMax}) return -1;`,
    `const stop = number - ${between.length};`,
    `if (!(${tests(between, 'stop')})) return -1; // ${quote(between)}`,
    `const address = ${writer.use('findByteLast', memory)}(at, stop, ${before.charCodeAt(before.length - 1)}) + 1;`,
    `const place = address - ${before.length};`,
    `if (place < at || !(${tests(before, 'place')})) return -1; // ${quote(before)}`,
    `return ${writer.use('fillsAddress', scans)}(address, stop, end) ? place : -1;`,
  ];
  writer.functions.push(
    `/** Where the usual end of [at, end) begins, ${comment(said)}, or -1: it ends otherwise. */\n` +
      `function ${name}(at: i32, end: i32): i32 {\n${indent(body.join('\n'))}\n}`,
  );
  return name;
}

interface Search {
  text: TextToken;
  segment: Token[];
  place: string;
  next: string;
  part: string;
  last: string;
}

/** Tries the part at each place of its rarest leading byte, from the text's side. */
function emitPlaces(scope: Scope, { text, segment, place, next, part, last }: Search): string[] {
  const { writer, fail } = scope;
  const shortest = minimumLength(segment);
  const beyond =
    last === 'end' ? `end - ${shortest - 1}` : `${writer.use('smaller', scans)}(${last} + 1, end - ${shortest - 1})`;
  const undo = leftovers(writer, segment);
  const left = text.from === 'left';
  const prefix = commonPrefix(prefixesOf(segment));
  const key = rarest(prefix);
  const plus = (position: string, more = 0): string => `${position}${plusNumber(key.offset + more)}`;
  const minus = plusNumber(-key.offset);
  const pivot = pivotOf(segment);
  const lowest = pivot === null ? 'at' : `lowest${place}`;
  const lines = [
    ...(pivot === null ? [`const beyond${place} = ${beyond};`] : emitWindow(writer, pivot, place, beyond, fail)),
    `let ${next} = -1;`,
  ];
  if (left) {
    const find = (): string => key.find('', writer, plus(place), plus(`beyond${place}`, key.more)) + minus;
    lines.push(
      `let ${place} = ${lowest};`,
      'while (true) {',
      ...(key.text === '' ? [] : [`  ${place} = ${find()}; // ${quote(key.text)}`]),
      `  if (${place} >= beyond${place}) ${fail}`,
    );
  } else {
    const find = (): string => key.find('Last', writer, plus(lowest), plus(place, key.more)) + minus;
    lines.push(
      `let ${place} = beyond${place};`,
      'while (true) {',
      key.text === '' ? `  ${place}--;` : `  ${place} = ${find()}; // ${quote(key.text)}`,
      `  if (${place} < ${lowest}) ${fail}`,
    );
  }
  lines.push(`  ${next} = ${part}(${place}, end);`, `  if (${next} >= 0) break;`);
  if (undo !== '') lines.push(indent(undo));
  if (left) lines.push(`  ${place}++;`);
  return [...lines, '}'];
}

/** The places from which the segment can reach its pivot: [lowest, beyond). */
function emitWindow(
  writer: Writer,
  { text, least, most }: Pivot,
  place: string,
  beyond: string,
  fail: string,
): string[] {
  const pivot = place.replace('place', 'pivot');
  return [
    `const ${pivot} = ${findLast(writer, text)}; // the last ${quote(text)}`,
    `if (${pivot} < 0) ${fail}`,
    `const lowest${place} = ${writer.use('larger', scans)}(at, ${pivot}${plusNumber(-most)});`,
    `const beyond${place} = ${writer.use('smaller', scans)}(${beyond}, ${pivot}${plusNumber(1 - least)});`,
  ];
}

/** Code that adds a number to an expression. */
function plusNumber(value: number): string {
  if (value === 0) return '';
  return value > 0 ? ` + ${value}` : ` - ${-value}`;
}

/** An expression: the last position of the literal in [at, end), or -1. */
function findLast(writer: Writer, text: string): string {
  const bytes = bytesOf(text);
  if (bytes.length === 1) return `${writer.use('findByteLast', memory)}(at, end, ${bytes[0]})`;
  let name = writer.lasts.get(text);
  if (name === undefined) {
    name = `findLast${writer.lasts.size + 1}`;
    writer.lasts.set(text, name);
    const latin1 = Buffer.from(bytes).toString('latin1');
    const key = rarest(latin1);
    const beyond = key.offset + key.more + 1 - bytes.length;
    const find = key.find('Last', writer, `at${plusNumber(key.offset)}`, `end${plusNumber(beyond)}`);
    writer.functions.push(
      `/** Position of the last ${comment(quote(text))} in [at, end), or -1. */\n` +
        `function ${name}(at: i32, end: i32): i32 {\n  while (true) {\n    const found = ${find}${plusNumber(-key.offset)};\n` +
        `    if (found < at) return -1;\n    if (${sameBytes(writer, text, 'found')}) return found;\n` +
        `    end = found + ${bytes.length - 1};\n  }\n}`,
    );
  }
  return `${name}(at, end)`;
}

/** What a search looks for first: one, two or four bytes. */
interface Key {
  /** '' = unknown. */
  text: string;
  /** Its offset in the literal, and how many bytes it has beyond one. */
  offset: number;
  more: number;
  /** An expression: its first or last position in [from, to). */
  find: (which: '' | 'Last', writer: Writer, from: string, to: string) => string;
}

/** At most this many bytes of a literal are compared. */
const weighedBytes = 12;

/**
 * The four bytes of the prefix that are rarest in a log line, or two, or one, if it is shorter: the
 * more bytes are searched at once, the harder it is for an attacker to write them often.
 */
function rarest(prefix: string): Key {
  const length = prefix.length < 4 ? Math.min(prefix.length, 2) : 4;
  let [offset, rank] = [0, -1];
  for (let index = 0; index + length <= Math.min(prefix.length, weighedBytes); index++) {
    const sum = [...prefix.slice(index, index + length)].reduce((total, character) => total + rarity(character), 0);
    if (sum > rank) [offset, rank] = [index, sum];
  }
  const text = prefix.slice(offset, offset + length);
  const bytes = Buffer.from(text, 'latin1');
  const [name, value] =
    length === 4
      ? ['findWord', wordAt(bytes, 0)]
      : length === 2
        ? ['findPair', `0x${bytes.readUInt16LE().toString(16)}`]
        : ['findByte', bytes[0]];
  return {
    text,
    offset,
    more: length - 1,
    find: (which, writer, from, to) => `${writer.use(`${name}${which}`, memory)}(${from}, ${to}, ${value})`,
  };
}
