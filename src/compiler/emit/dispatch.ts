/**
 * Which patterns to try on a message: decided by its first bytes, four at a time, so that an
 * irrelevant message costs a few comparisons. The remaining patterns are tried in the filter's
 * order. Words are read even if the message is shorter: a wrong guess only selects patterns that
 * check for themselves. So `dispatchReach` bytes after a message must be readable memory.
 */
import { commonPrefix } from '../shape.ts';
import { wordAt } from './bytes.ts';
import { indent } from './writer.ts';

/** How many bytes after the start of a message a dispatch may read. */
export const dispatchReach = 28;

/** Up to this many words are compared one by one; more are halved first. */
const casesMax = 6;

export interface Candidate {
  number: number;
  /** An expression: whether the pattern matches the message. */
  call: string;
  /** Bits of the modes in which it applies; 0 = all. */
  modes: number;
  /** Every message that it matches begins with one of these (latin1). */
  prefixes: string[];
  /** Statements that reset captures of a failed try; called only if they are needed. */
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

/** Whether a message with `word` here can begin with this part of a prefix, whole or shortened. */
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

/** The position of the next word that distinguishes candidates, or -1. */
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
