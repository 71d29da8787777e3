/**
 * A filter as the token stream that src/engine/interpreter.ts walks: little-endian 32-bit words,
 * all offsets in bytes from the start of the program. For filters of the operator (`[[filter]]`);
 * expects one that `check.ts` passed.
 *
 *   header bytes, patterns tried, prefixes, connection, tags, then `tags` × (byte count, bytes
 *   padded to a word); a tag
 *             may end in `*`
 *   table     per pattern in the order tried: number, modes (0 = all), flags, code from, code to
 *   code      instructions: operation, bytes of the whole instruction, operands; lists nest
 */
import { bitmapOf, byteSet, bytesOf } from './bytes.ts';
import { operation } from './operations.ts';
import type { ByteClass, Filter, Token } from './pattern.ts';
import { pivotOf } from './pivot.ts';
import {
  encodeConnection,
  encodePrefixes,
  flagsOf,
  minimumLength,
  modeMask,
  normalise,
  type PlainToken,
  segmentsOf,
  type TextToken,
} from './shape.ts';

/**
 * The program of a filter; its length is a multiple of 4. Load it at an address that is one too.
 */
export function encodeFilter(filter: Filter): Uint8Array {
  const ignored = filter.ignore ?? [];
  const tried = [
    ...ignored.map((pattern, index) => ({ pattern, number: filter.patterns.length + index, ignore: true })),
    ...filter.patterns.map((pattern, number) => ({ pattern, number, ignore: false })),
  ];
  const tags = (filter.tags ?? []).flatMap(encodeBytes);
  const head = [
    tried.length,
    encodePrefixes(filter.prefixes),
    encodeConnection(filter.connection),
    filter.tags?.length ?? 0,
  ];
  const codes = tried.map(({ pattern }) => encodeList(normalise(pattern.tokens)));
  let at = 4 * (1 + head.length + tags.length + 5 * tried.length);
  const table = tried.flatMap(({ pattern, number, ignore }, index) => {
    const from = at;
    at += 4 * (codes[index] as number[]).length;
    return [number, modeMask(filter, pattern), flagsOf(filter, pattern, ignore), from, at];
  });
  return new Uint8Array(Int32Array.from([at, ...head, ...tags, ...table, ...codes.flat()]).buffer);
}

function encodeList(tokens: readonly Token[]): number[] {
  const { head, searched } = segmentsOf(tokens);
  return [...head.flatMap(encodeToken), ...searched.flatMap(({ text, segment }) => encodeText(text, segment))];
}

function encodeToken(token: PlainToken): number[] {
  switch (token.kind) {
    case 'literal':
      return instruction(operation.literal, encodeBytes(token.text));
    case 'choice':
      return instruction(operation.choice, token.of.flatMap(encodeBytes));
    case 'optional':
      return instruction(operation.optional, encodeList(token.tokens));
    case 'either':
      return instruction(
        operation.either,
        token.of.flatMap((tokens) => instruction(operation.list, encodeList(tokens))),
      );
    case 'repeat':
      return instruction(operation.repeat, [token.max, ...encodeList(token.tokens)]);
    case 'span':
      return instruction(operation.span, [
        token.min,
        token.max,
        token.capture === 'user' ? 1 : 0,
        ...encodeClass(token.of),
      ]);
    case 'ip':
      return instruction(operation.ip, [token.port === true ? 1 : 0]);
    case 'time':
      return instruction(operation.time, []);
    case 'end':
      return instruction(operation.end, []);
  }
}

/**
 * A text contains the segment that ends it; what follows the segment comes after the instruction.
 */
function encodeText(token: TextToken, segment: readonly PlainToken[]): number[] {
  const first = segment[0];
  const pivot = pivotOf(segment);
  const operands = [
    token.from === 'right' ? 1 : 0,
    token.max ?? -1,
    token.capture === 'user' ? 1 : 0,
    minimumLength(segment),
    first?.kind === 'literal' ? (bytesOf(first.text)[0] as number) : -1,
    ...encodeClass(token.without ?? {}),
    pivot?.least ?? 0,
    pivot?.most ?? 0,
    ...encodeBytes(pivot?.text ?? ''),
  ];
  return instruction(operation.text, [...operands, ...segment.flatMap(encodeToken)]);
}

function instruction(code: number, operands: number[]): number[] {
  return [code, 4 * (operands.length + 2), ...operands];
}

function encodeClass(of: ByteClass): number[] {
  return bitmapOf(byteSet(of));
}

/** Byte count, then the bytes, padded with zeros to whole words. */
function encodeBytes(text: string): number[] {
  const bytes = bytesOf(text);
  const padded = new Uint8Array((bytes.length + 3) & ~3);
  padded.set(bytes);
  return [bytes.length, ...new Int32Array(padded.buffer)];
}
