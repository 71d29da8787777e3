/** The pacer over a clock of the test's: when there are gaps, how long, and for whom not. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Pacer } from '../../src/backends/nftables/pacer.ts';
import { quietGaps } from '../../src/limits.ts';

const [long, short] = quietGaps;

class Clock {
  time = 1000;
  now = () => this.time;
  sleep = async (milliseconds: number) => {
    await Promise.resolve();
    this.time += milliseconds;
  };
}

/** Transactions every `apartMs` for a time; returns the gaps that were made: when, and how long. */
async function stream(pacer: Pacer, clock: Clock, apartMs: number, forMs: number): Promise<[number, number][]> {
  const gaps: [number, number][] = [];
  const start = clock.time;
  while (clock.time - start < forMs) {
    const before = clock.time;
    await pacer.pause();
    if (clock.time > before) gaps.push([before - start, clock.time - before]);
    clock.time += apartMs;
  }
  return gaps;
}

test('the first transaction never waits, nor does one after a quiet time', async () => {
  const clock = new Clock();
  const pacer = new Pacer(clock);
  expect(pacer.pause()).toBeUndefined();
  await stream(pacer, clock, 5, 300);
  clock.time += short!.milliseconds;
  expect(pacer.pause()).toBeUndefined();
});

test('transactions that leave short gaps by themselves wait for long ones only', async () => {
  const clock = new Clock();
  const gaps = await stream(new Pacer(clock), clock, short!.milliseconds, long!.everyMs * 2);
  expect(gaps.map(([, milliseconds]) => milliseconds)).toEqual([long!.milliseconds]);
  const quiet = await stream(new Pacer(clock), clock, long!.milliseconds, long!.everyMs * 2);
  expect(quiet).toEqual([]);
});

test('a steady stream leaves a gap of each kind in every period, and rests a seventh of the time at most', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: short!.milliseconds - 1 }), async (apartMs) => {
      const clock = new Clock();
      const forMs = long!.everyMs * 3;
      const gaps = await stream(new Pacer(clock), clock, apartMs, forMs);
      for (const kind of quietGaps) {
        const ends = gaps
          .filter(([, milliseconds]) => milliseconds >= kind.milliseconds)
          .map(([at, milliseconds]) => at + milliseconds);
        const apart = [...ends, forMs].map((end, index) => end - (index === 0 ? 0 : ends[index - 1]!));
        expect(Math.max(...apart)).toBeLessThanOrEqual(
          kind.everyMs + long!.milliseconds + short!.milliseconds + apartMs,
        );
      }
      expect(gaps.reduce((sum, [, milliseconds]) => sum + milliseconds, 0)).toBeLessThan(forMs / 7);
    }),
    { numRuns: 20 },
  );
});

test('whoever asks during a gap waits for its end, not for another', async () => {
  const clock = new Clock();
  const pacer = new Pacer(clock);
  await stream(pacer, clock, 5, short!.everyMs - 10);
  clock.time += 20;
  const first = pacer.pause();
  expect(first).toBeDefined();
  expect(pacer.pause()).toBe(first);
  await first;
  expect(pacer.pause()).toBeUndefined();
});
