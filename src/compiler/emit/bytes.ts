/** Literals and runs of bytes as engine source: comparisons a word at a time, loops over a set. */
import { type ByteSet, byteSet, bytesOf, complement, rangesOf } from '../bytes.ts';
import type { ByteClass } from '../pattern.ts';
import { comment, memory, scans, type Writer } from './writer.ts';

export function literalHere(writer: Writer, text: string): string {
  return `end - at >= ${bytesOf(text).length} && ${sameBytes(writer, text, 'at')}`;
}

/**
 * Compares the literal at a position: in whole words, the last of which may overlap; in single
 * bytes if it is shorter than four.
 */
export function sameBytes(writer: Writer, text: string, at: string): string {
  const bytes = bytesOf(text);
  const plus = (offset: number): string => (offset === 0 ? at : `${at} + ${offset}`);
  if (bytes.length < 4) {
    return [...bytes].map((byte, offset) => `${writer.use('byte', memory)}(${plus(offset)}) === ${byte}`).join(' && ');
  }
  const tests: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += 4) {
    const from = Math.min(offset, bytes.length - 4);
    tests.push(`${writer.use('word', memory)}(${plus(from)}) === ${wordAt(bytes, from)}`);
  }
  return tests.join(' && ');
}

/** Four bytes as the signed little-endian number that `word` reads, in hexadecimal. */
export function wordAt(bytes: Uint8Array, offset: number): string {
  const value = new DataView(bytes.buffer, bytes.byteOffset).getInt32(offset, true);
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

const namedRuns: [ByteClass['name'], string][] = [
  ['digit', 'skipDigits'],
  ['hex', 'skipHex'],
  ['word', 'skipWord'],
  ['space', 'skipSpace'],
  ['nonspace', 'skipNonspace'],
  ['alpha', 'skipAlpha'],
];

/** An expression: the end of the run of bytes of `set` that begins at `at`, at most `limit`. */
export function run(writer: Writer, set: ByteSet, at: string, limit: string): string {
  const key = JSON.stringify(rangesOf(set));
  const outside = set.flatMap((within, byte) => (within ? [] : [byte]));
  if (outside.length === 0) return limit;
  if (outside.length === 256) return at;
  if (outside.length === 1) return `${writer.use('findByte', memory)}(${at}, ${limit}, ${outside[0]})`;
  const name = namedRuns.find(([name]) => JSON.stringify(rangesOf(byteSet({ name }))) === key)?.[1];
  if (name !== undefined) return `${writer.use(name, scans)}(${at}, ${limit})`;
  let own = writer.runs.get(key);
  if (own === undefined) {
    own = `skipRun${writer.runs.size + 1}`;
    writer.runs.set(key, own);
    writer.functions.push(emitRun(writer, own, set));
  }
  return `${own}(${at}, ${limit})`;
}

function emitRun(writer: Writer, name: string, set: ByteSet): string {
  const inverted = set.filter((within) => within).length > 128;
  const ranges = rangesOf(inverted ? complement(set) : set);
  const tests = ranges.map(([first, last]) => {
    if (first === last) return `value === ${first}`;
    if (first === 0) return `value <= ${last}`;
    if (last === 255) return `value >= ${first}`;
    return `(value >= ${first} && value <= ${last})`;
  });
  const shown = ranges
    .map(([first, last]) => (first === last ? show(first) : `${show(first)} to ${show(last)}`))
    .join(', ');
  const test = inverted ? `if (${tests.join(' || ')}) break;` : `if (!(${tests.join(' || ')})) break;`;
  return (
    `/** End of the run of ${inverted ? 'bytes other than ' : ''}${comment(shown)} at \`at\`. */\n` +
    `function ${name}(at: i32, end: i32): i32 {\n  while (at < end) {\n    const value = ${writer.use('byte', memory)}(at);\n` +
    `    ${test}\n    at++;\n  }\n  return at;\n}`
  );
}

function show(byte: number): string {
  return byte > 0x20 && byte < 0x7f ? `'${String.fromCharCode(byte)}'` : `${byte}`;
}
