/**
 * One filter read in every possible way: the engine as wasm with SIMD, as scalar wasm and as plain
 * TypeScript with the matcher that the compiler emitted; the engine as wasm with the filter as a
 * program, for the interpreter; and, message by message, emitted matcher, interpreter and oracle.
 * All must agree on every line.
 */
import assert from 'node:assert/strict';
import { encodeFilter } from '../../src/compiler/encode.ts';
import type { Filter } from '../../src/compiler/pattern.ts';
import { Examiner } from '../../src/engine/examiner.ts';
import { matchFilter } from '../../src/engine/generated/index.ts';
import { bindMemory } from '../../src/engine/linear.ts';
import { useZone } from '../../src/engine/timestamp.ts';
import { filters } from '../../src/filters/index.ts';
import type { FilterProgram } from '../../src/types.ts';
import { bind, engineTimeLength, expectedOutcome, loadInterpreted, outcome } from './matchers.ts';
import { oracleMessages, readTimesWith } from './oracle.ts';

/** The clock of lines without a year. */
export const agreementNow = Date.UTC(2025, 3, 1) / 1000;

/** The oracle reads long texts byte by byte. Only the engines read longer messages. */
const oracleBytesMax = 700;

/** There is one plain engine per process: this tells which reader made it last. */
let plainOwner: object | null = null;

/**
 * The plain modules share one set of variables, but the plain engine and the oracle have a memory
 * each. What one remembers of times says nothing about the other, so it is forgotten in between.
 */
function forgetTimes(): void {
  useZone(1);
  useZone(0);
}

/** The filter as an operator would have to write it: the patterns of one mode, without modes. */
function ofOneMode(filter: Filter, mode: string): Filter {
  const applies = ({ modes }: { modes?: string[] }): boolean => modes === undefined || modes.includes(mode);
  const plain = (patterns: Filter['patterns']): Filter['patterns'] =>
    patterns.filter(applies).map(({ modes: _, ...pattern }) => pattern);
  const { modes: _, ...rest } = filter;
  return { ...rest, name: `again-${mode}`, patterns: plain(filter.patterns), ignore: plain(filter.ignore ?? []) };
}

function programOf(filter: Filter): FilterProgram {
  return {
    name: filter.name,
    patterns: filter.patterns.map(({ name }) => name),
    ignore: (filter.ignore ?? []).map(({ name }) => name),
    program: Buffer.from(encodeFilter(filter)).toString('base64'),
  };
}

export interface Agreement {
  /** Throws if two readings of the line differ. Connections continue from one line to the next. */
  check: (line: Buffer, mode?: string) => void;
  /** What the production engine says about the last line: outcome, pattern, address, user, time. */
  last: () => string;
}

/**
 * A reader of one filter in all of its modes. From then on, the reader that was made before it must
 * not be used.
 */
export async function agreementOf(filter: Filter): Promise<Agreement> {
  const number = filters.indexOf(filter);
  const modes = filter.modes ?? [''];
  const jail = { filter: filter.name, mode: '', maxretry: 5, findtime: 600, bantime: 600, ipv6Prefix: 64, ignore: [] };
  const common = { tableBytes: 0, now: agreementNow, seed: [1, 2] as [number, number], jails: [jail] };
  const programs = modes.map((mode) => programOf(ofOneMode(filter, mode)));
  const [wasm, scalar, plain, interpreter] = await Promise.all([
    Examiner.create({ ...common, build: 'wasm' }),
    Examiner.create({ ...common, build: 'scalar' }),
    Examiner.create({ ...common, build: 'plain' }),
    Examiner.create({ ...common, build: 'wasm', filters: programs }),
  ]);
  const owner = {};
  plainOwner = owner;
  const interpreted = loadInterpreted(filter);

  const verdict = (engine: Examiner, name: string, mode: string, line: Buffer): string => {
    const { outcome, pattern, address, user, time } = engine.examine(line, name, mode, agreementNow, false);
    return [
      outcome,
      pattern ?? '-',
      address === undefined ? '-' : Buffer.from(address.bytes).toString('hex'),
      user === undefined ? '-' : JSON.stringify(Buffer.from(user).toString('latin1')),
      time,
    ].join(' ');
  };

  function checkLine(line: Buffer, mode: string): string {
    const wanted = verdict(wasm, filter.name, mode, line);
    const said = {
      'scalar wasm': verdict(scalar, filter.name, mode, line),
      'plain TypeScript': verdict(plain, filter.name, mode, line),
      interpreter: verdict(interpreter, `again-${mode}`, '', line),
    };
    for (const [name, verdict] of Object.entries(said)) assert.equal(verdict, wanted, `${name} and wasm differ`);
    return wanted;
  }

  function checkMessage(message: Buffer, mode: string): void {
    const bit = 1 << modes.indexOf(mode);
    const wanted = expectedOutcome(filter, message, mode === '' ? undefined : mode);
    const emitted = outcome((start, end, modes) => matchFilter(number, start, end, modes), message, bit);
    assert.deepEqual(emitted, wanted, 'emitted matcher and oracle differ');
    assert.deepEqual(outcome(interpreted, message, bit), wanted, 'interpreter and oracle differ');
  }

  let last = '';
  return {
    check(line, mode = modes[0] as string) {
      if (plainOwner !== owner) throw new Error('another plain engine was made since: one agreement at a time');
      bindMemory(plain.buffer.buffer);
      forgetTimes();
      last = checkLine(line, mode);
      if (line.length > oracleBytesMax) return;
      bind();
      forgetTimes();
      // Other tests judge how a timestamp is read.
      readTimesWith(engineTimeLength);
      try {
        for (const message of [line, ...oracleMessages(filter, line)]) checkMessage(message, mode);
      } finally {
        readTimesWith();
      }
    },
    last: () => last,
  };
}
