/**
 * The ways to match a message that must agree: the emitted code, the interpreter on the encoded
 * filter, and the oracle. All engine code runs in one small memory of the plain build. A message is
 * placed in it between hostile bytes.
 */
import { stripTypeScriptTypes } from 'node:module';
import { emitFilter } from '../../src/compiler/emit/filter.ts';
import { encodeFilter } from '../../src/compiler/encode.ts';
import type { Filter } from '../../src/compiler/pattern.ts';
import { pascalCase } from '../../src/compiler/shape.ts';
import * as capture from '../../src/engine/capture.ts';
import { interpret } from '../../src/engine/interpreter.ts';
import * as linear from '../../src/engine/linear.ts';
import * as scan from '../../src/engine/scan.ts';
import * as timestamp from '../../src/engine/timestamp.ts';
import { oracleMatch, type Range } from './oracle.ts';

/** The number of the pattern and what it captured, relative to the message. */
export interface Outcome {
  pattern: number;
  address?: Range;
  user?: Range;
  time?: Range;
}

export type Match = (start: number, end: number, mode: number) => number;

export interface Emitted {
  /** The filter's first look; always true if it has none. */
  may: (start: number, end: number) => boolean;
  match: Match;
  flags: (pattern: number) => number;
  tag: (start: number, end: number) => boolean;
}

const programAt = 1 << 17;
const messageAt = 1 << 16;
const scratchAt = 1 << 15;
const memory = new ArrayBuffer(1 << 19);
const bytes = new Uint8Array(memory);

/** Gives the engine this file's memory; to be called before each test that matches. */
export function bind(): void {
  linear.bindMemory(memory);
}

/** Compiles a filter and loads what the compiler wrote. */
export function loadEmitted(filter: Filter): Emitted {
  const modules: Record<string, object> = {
    '#linear': linear,
    '../capture.ts': capture,
    '../scan.ts': scan,
    '../timestamp.ts': timestamp,
  };
  const body = stripTypeScriptTypes(emitFilter(filter, 'a test'))
    .replace(/^import (\{[^}]*\}) from '([^']+)';$/gm, "const $1 = modules['$2'];")
    .replace(/^export /gm, '');
  const name = pascalCase(filter.name);
  const may = body.includes(`function may${name}`) ? `may${name}` : '() => true';
  return new Function(
    'modules',
    `${body}\nreturn { match: match${name}, may: ${may}, flags: flags${name}, tag: tag${name} };`,
  )(modules);
}

/** A matcher that walks the encoded filter. */
export function loadInterpreted(filter: Filter): Match {
  const program = encodeFilter(filter);
  return (start, end, mode) => withProgram(program, (at) => interpret(at, start, end, mode));
}

/** Runs `use` with the address of a program in the engine's memory. */
export function withProgram<Result>(program: Uint8Array, use: (at: number) => Result): Result {
  bytes.set(program, programAt);
  return use(programAt);
}

/** Runs an engine matcher on a message. `behind` are the bytes that follow it in memory. */
export function outcome(match: Match, message: Buffer, modeBit: number, behind = Buffer.alloc(0)): Outcome {
  bytes.fill(0x3a, messageAt - 64, messageAt);
  bytes.fill(0x20, messageAt + message.length, messageAt + message.length + 64);
  bytes.set(message, messageAt);
  bytes.set(behind.subarray(0, 4096), messageAt + message.length);
  capture.clearCaptures();
  const pattern = match(messageAt, messageAt + message.length, modeBit);
  if (pattern < 0) return { pattern };
  const result: Outcome = { pattern };
  const range = (start: number, end: number): Range => [start - messageAt, end - messageAt];
  if (capture.addressStart >= 0) result.address = range(capture.addressStart, capture.addressEnd);
  if (capture.userStart >= 0) result.user = range(capture.userStart, capture.userEnd);
  if (capture.timeStart >= 0) result.time = range(capture.timeStart, capture.timeEnd);
  return result;
}

/** What the oracle says, in the same form. */
export function expectedOutcome(filter: Filter, message: Buffer, mode?: string): Outcome {
  const match = oracleMatch(filter, message, mode);
  if (match === null) return { pattern: -1 };
  const result: Outcome = { pattern: match.index };
  if (match.address !== undefined) result.address = match.address;
  if (match.user !== undefined) result.user = match.user;
  if (match.time !== undefined) result.time = match.time;
  return result;
}

/** The engine's own reading of a timestamp, for an oracle that does not judge timestamps. */
export function engineTimeLength(text: string): number {
  const message = Buffer.from(text, 'latin1');
  bytes.fill(0, scratchAt, scratchAt + message.length + 64);
  bytes.set(message, scratchAt);
  const end = timestamp.scanTime(scratchAt, scratchAt + message.length);
  return end < 0 ? 0 : end - scratchAt;
}

/** Runs `use` with the address of some bytes in the engine's memory. */
export function withBytes<Result>(text: string, use: (start: number, end: number) => Result): Result {
  bytes.fill(0x20, scratchAt, scratchAt + text.length + 64);
  bytes.set(Buffer.from(text), scratchAt);
  return use(scratchAt, scratchAt + Buffer.from(text).length);
}
