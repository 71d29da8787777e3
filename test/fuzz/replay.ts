/**
 * Millions of lines through the production build (claims D-02, AU-1): the corpus and the filters'
 * samples, changed by a seed, fed as a log in blocks. No crash, no stall: each block is consumed
 * completely and timed, every line is counted. The same seed gives the same lines and the same
 * counts.
 */
import assert from 'node:assert/strict';
import { DECISIONS, LINES, LINES_MATCHED, LINES_TOO_LONG } from '../../src/engine/counters.ts';
import { Engine } from '../../src/engine/host.ts';
import { filters } from '../../src/filters/index.ts';
import { agreementNow } from '../support/agreement.ts';
import { mutated } from './mutate.ts';
import { Random } from './random.ts';
import { lineTargets } from './targets/lines.ts';

export interface Replay {
  seed: number;
  lines: number;
  bytes: number;
  /** Lines that at least one filter took. */
  matched: number;
  tooLong: number;
  decisions: number;
  /** Lines that a change made new; the others repeat such lines in other places. */
  distinct: number;
  /** Wall time in the engine, and of the slowest block. */
  engineSeconds: number;
  slowestBlockMs: number;
  linesPerSecond: number;
}

/** Newly changed lines for each filter; blocks are drawn from them. */
const poolLinesDefault = 20_000;
/**
 * A block only takes longer than this if the engine stalls, ms: a hundred times its time on an idle
 * core.
 */
export const blockMsMax = 10_000;

const lineEnd = Buffer.from('\n');

/** The lines of one filter, each with its line end. */
function poolOf(index: number, poolLines: number, random: Random): Buffer[] {
  const target = lineTargets[index] as (typeof lineTargets)[number];
  const [corpus, words] = [target.corpus(), target.words()];
  return Array.from({ length: poolLines }, (_, number) => {
    const whole = number % 4 === 0 ? random.pick(corpus) : mutated(random, corpus, words);
    const line = whole.length > 300 && random.below(20) > 0 ? whole.subarray(0, 300) : whole;
    const oneLine = line.includes(10) ? line.filter((byte) => byte !== 10) : line;
    return Buffer.concat([oneLine, lineEnd]);
  });
}

async function engineOf(index: number): Promise<Engine> {
  const { name, modes } = filters[index] as (typeof filters)[number];
  const jail = {
    filter: name,
    mode: modes?.at(-1) ?? '',
    maxretry: 3,
    findtime: 600,
    bantime: 600,
    ipv6Prefix: 64,
    ignore: [],
  };
  const engine = await Engine.create({
    jails: [jail],
    tableBytes: 1 << 20,
    live: false,
    seed: [5, 6],
    now: agreementNow,
  });
  engine.openSource(0, engine.addRoute([{ index: 0, filter: name, mode: jail.mode }]));
  return engine;
}

export async function replay(lines: number, seed: number, poolLines = poolLinesDefault): Promise<Replay> {
  const result: Replay = {
    seed,
    lines: 0,
    bytes: 0,
    matched: 0,
    tooLong: 0,
    decisions: 0,
    distinct: 0,
    engineSeconds: 0,
    slowestBlockMs: 0,
    linesPerSecond: 0,
  };
  const random = new Random(seed);
  for (let index = 0; index < filters.length; index++) {
    const share = Math.ceil((lines - result.lines) / (filters.length - index));
    const engine = await engineOf(index);
    const pool = poolOf(index, poolLines, random);
    result.distinct += pool.length;
    for (let left = share; left > 0; ) left -= feedBlock(engine, pool, left, random, result);
    assert.equal(engine.counter(LINES), share, 'lines the engine counted');
    result.matched += engine.counter(LINES_MATCHED);
    result.tooLong += engine.counter(LINES_TOO_LONG);
    result.decisions += engine.counter(DECISIONS);
  }
  result.linesPerSecond = Math.round(result.lines / result.engineSeconds);
  return result;
}

/** One buffer full of lines; returns how many. */
function feedBlock(engine: Engine, pool: readonly Buffer[], most: number, random: Random, result: Replay): number {
  let [length, count] = [0, 0];
  while (count < most) {
    const line = random.pick(pool);
    if (length + line.length > engine.buffer.length) break;
    engine.buffer.set(line, length);
    length += line.length;
    count++;
  }
  const started = performance.now();
  for (let left = length; left > 0; ) {
    const consumed = engine.feed(0, left, result.bytes + length - left, agreementNow, false);
    assert.ok(consumed > 0, 'the engine takes nothing');
    engine.takeDecisions(() => undefined);
    engine.buffer.copyWithin(0, consumed, left);
    left -= consumed;
  }
  const ms = performance.now() - started;
  assert.ok(ms < blockMsMax, `a block of ${length} bytes took ${ms} ms`);
  result.slowestBlockMs = Math.max(result.slowestBlockMs, ms);
  result.engineSeconds += ms / 1000;
  result.lines += count;
  result.bytes += length;
  return count;
}
