/**
 * Decisions that wait for the kernel. Whatever each log decided, and however many are taken at
 * once, every decision is passed on once, and those of each log in order. While a log has waiting
 * decisions, it gets at least an equal share. So the decisions of a quiet log never wait for all
 * those of a busy one.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Build, Engine } from '../../src/engine/host.ts';
import { decisionsMax } from '../../src/limits.ts';
import type { Decision } from '../../src/types.ts';

const now = 1_763_694_928;
const jail = { filter: 'sshd', mode: '', maxretry: 1, findtime: 600, bantime: 3_600, ipv6Prefix: 64, ignore: [] };
const stamp = new Date(now * 1000).toISOString();
const sources = 5;

interface Waiting {
  source: number;
  offset: number;
}

type Step = { log: number; lines: number } | { max: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ log: fc.nat(sources - 1), lines: fc.constantFrom(1, 2, 40, 700) }) },
  { weight: 3, arbitrary: fc.record({ max: fc.constantFrom(1, 3, 64, 256, decisionsMax) }) },
);

/** How decisions are taken, and whether any are left. */
interface Ring {
  take(take: (decision: Decision) => void, max: number): number;
  isEmpty(): boolean;
}

type RingOf = (engine: Engine) => Ring;

const real: RingOf = (engine) => ({
  take: (take, max) => engine.takeDecisions(take, max),
  isEmpty: () => engine.waiting === 0,
});

/** The oldest first, from whatever log. */
const inOrder: RingOf = (engine) => {
  const waiting: Decision[] = [];
  const fill = (): void => void engine.takeDecisions((decision) => void waiting.push(decision));
  return {
    take: (take, max) => {
      fill();
      const taken = waiting.splice(0, max);
      for (const decision of taken) take(decision);
      return taken.length;
    },
    isEmpty: () => {
      fill();
      return waiting.length === 0;
    },
  };
};

async function shares(build: Build, steps: readonly Step[], ringOf: RingOf): Promise<void> {
  const engine = await Engine.create({ build, jails: [jail], live: true, now, seed: [3, 4], tableBytes: 4_000_000 });
  const ring = ringOf(engine);
  const route = engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]);
  for (let source = 0; source < sources; source++) engine.openSource(source, route);
  let lines = 0;
  const waiting: Waiting[] = [];
  const offsets = Array<number>(sources).fill(0);
  for (const next of [...steps, { max: decisionsMax }]) {
    if ('lines' in next) {
      const count = Math.min(next.lines, decisionsMax - waiting.length);
      for (let line = 0; line < count; line++) {
        const address = `198.18.${lines >> 8}.${lines & 255}`;
        lines++;
        const text = Buffer.from(`${stamp} host sshd[1]: Failed password for root from ${address} port 22 ssh2\n`);
        engine.buffer.set(text);
        engine.feed(next.log, text.length, offsets[next.log]!, now, false);
        waiting.push({ source: next.log, offset: offsets[next.log]! });
        offsets[next.log]! += text.length;
      }
      continue;
    }
    const taken: Waiting[] = [];
    const count = ring.take(({ source, offset }) => void taken.push({ source, offset }), next.max);
    expect(count).toBe(taken.length);
    expect(count, 'as many as there are room and decisions for').toBe(Math.min(next.max, waiting.length));
    const logs = new Set(waiting.map(({ source }) => source));
    for (const log of logs) {
      const own = waiting.filter(({ source }) => source === log);
      const got = taken.filter(({ source }) => source === log);
      expect(got, "each log's in their order").toEqual(own.slice(0, got.length));
      expect(got.length, 'no less than its share').toBeGreaterThanOrEqual(
        Math.min(own.length, Math.floor(next.max / logs.size)),
      );
      for (const one of got) waiting.splice(waiting.indexOf(own.find(({ offset }) => offset === one.offset)!), 1);
    }
    expect(ring.isEmpty()).toBe(waiting.length === 0);
  }
  expect(waiting).toEqual([]);
}

const property = (build: Build, ringOf: RingOf) =>
  fc.asyncProperty(fc.array(step, { maxLength: 12 }), (steps) => shares(build, steps, ringOf));

describe('decisions that wait', () => {
  test.each<Build>(['wasm', 'plain'])(
    '%s build: every log has its share',
    async (build) => {
      await fc.assert(property(build, real), { numRuns: Number(process.env.SHARE_RUNS ?? 40) });
    },
    600_000,
  );

  test('the property sees a ring that is emptied in its order', async () => {
    const seen = await fc.check(property('plain', inOrder), { numRuns: 200, endOnFailure: true });
    expect(seen.failed).toBe(true);
    expect(String(seen.errorInstance)).toContain('no less than its share');
  });
});
