/**
 * Which patterns to try on a message: decided by its first bytes, four at a time, so that a message
 * nobody wants costs a few comparisons. The patterns left are tried in the filter's order. Words
 * are read without asking whether the message is that long: a wrong guess only leads to patterns
 * that look again. So `dispatchReach` bytes after a message must be readable memory.
 */
import { commonPrefix } from '../shape.ts';
import { wordAt } from './bytes.ts';
import { indent } from './writer.ts';

/** How far beyond the start of a message a dispatch may read, in bytes. */
export const dispatchReach = 28;

/** Comparing more words than this one by one costs more than halving them first. */
const casesMax = 6;

export interface Candidate {
  number: number;
  /** An expression: does the pattern take the message? */
  call: string;
  /** Bits of the modes in which it applies; 0 = all. */
  modes: number;
  /** One of these (latin1) begins every message it takes. */
  prefixes: string[];
  /** Statements that undo captures of a failed try; asked for only where they are needed. */
  undo: () => string;
}

/** The body of a match function over `start`, `end` and `mode`. `use` imports an engine helper. */
export function emitDispatch(candidates: Candidate[], use: (name: string) => string): string {
  return dispatch(candidates, 0, use);
}

function dispatch(candidates: Candidate[], depth: number, use: (name: string) => string): string {
  const position = candidates.length < 3 ? -1 : decidingPosition(candidates, depth);
  if (position < 0) return attempts(candidates);
  const words = new Map<string, Candidate[]>();
  const isOpen = (candidate: Candidate): boolean => candidate.prefixes.some((prefix) => prefix.length < position + 4);
  for (const { prefixes } of candidates) {
    for (const prefix of prefixes)
      if (prefix.length >= position + 4) words.set(prefix.slice(position, position + 4), []);
  }
  for (const [word, group] of words) {
    for (const candidate of candidates) {
      const prefixes = candidate.prefixes.filter((prefix) => agrees(prefix.slice(position, position + 4), word));
      if (prefixes.length > 0) group.push({ ...candidate, prefixes });
    }
  }
  const open = candidates.filter(isOpen);
  const variable = `word${position}`;
  const branches = [...words]
    .map(([text, group]) => ({ text, bytes: Buffer.from(text, 'latin1'), group }))
    .map((branch) => ({
      ...branch,
      value: branch.bytes.readInt32LE(0),
      body: dispatch(branch.group, position + 4, use),
    }))
    .sort((one, other) => one.value - other.value);
  const read = `const ${variable} = ${use('word')}(start${position === 0 ? '' : ` + ${position}`});`;
  return `${read}\n${select(variable, branches)}\n${attempts(open)}`;
}

/** Can a message that has `word` here begin with this part of a prefix, whole or cut short? */
function agrees(part: string, word: string): boolean {
  return word.startsWith(part);
}

interface Branch {
  text: string;
  bytes: Buffer;
  value: number;
  body: string;
}

function select(variable: string, branches: Branch[]): string {
  if (branches.length > casesMax) {
    const half = branches.length >> 1;
    const middle = wordAt((branches[half] as Branch).bytes, 0);
    const [low, high] = [branches.slice(0, half), branches.slice(half)].map((part) => indent(select(variable, part)));
    return `if (${variable} < ${middle}) {\n${low}\n} else {\n${high}\n}`;
  }
  const bodies = new Map<string, Branch[]>();
  for (const branch of branches) bodies.set(branch.body, [...(bodies.get(branch.body) ?? []), branch]);
  return [...bodies]
    .map(([body, alike]) => {
      const test = alike.map(({ bytes }) => `${variable} === ${wordAt(bytes, 0)}`).join(' || ');
      return `if (${test}) { // ${alike.map(({ text }) => JSON.stringify(text)).join(' ')}\n${indent(body)}\n}`;
    })
    .join('\n');
}

/** Where the next word tells candidates apart, or -1. */
function decidingPosition(candidates: Candidate[], depth: number): number {
  const long = candidates.flatMap(({ prefixes }) => prefixes).filter((prefix) => prefix.length >= depth + 4);
  if (long.length < 2) return -1;
  const shared = commonPrefix(long).length;
  const position = Math.max(depth, Math.min(shared, Math.min(...long.map((prefix) => prefix.length)) - 4));
  const parts = new Set(long.map((prefix) => prefix.slice(position, position + 4)));
  return parts.size > 1 ? position : -1;
}

function attempts(candidates: Candidate[]): string {
  const lines = candidates.map(({ number, call, modes, undo }, index) => {
    const mode = modes === 0 ? '' : `(mode & ${modes}) !== 0 && `;
    const leaves = index === candidates.length - 1 ? '' : undo();
    return `if (${mode}${call}) return ${number};${leaves === '' ? '' : `\n${leaves}`}`;
  });
  return [...lines, 'return -1;'].join('\n');
}
