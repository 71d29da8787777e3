import { expect, test } from 'vitest';
import {
  decidedFewMax,
  decisionsWaitingMax,
  decisionsWaitingOfAllMax,
  gatherMs,
  gatherMsMax,
  gatherTimes,
  gatherWakes,
  gatherWithinMs,
} from '../../src/limits.ts';
import { Moderation, waitingMax } from '../../src/sources/moderation.ts';

/**
 * Wake-ups that come `apart` ms after each other, or after the rest before. Returns the rests that
 * they get.
 */
function wakes(count: number, apart: number, setUp = { clock: { now: 1000 }, moderation: null as Moderation | null }) {
  setUp.moderation ??= new Moderation(() => setUp.clock.now);
  const rests: number[] = [];
  for (let wake = 0; wake < count; wake++) {
    const rest = setUp.moderation.rest(true);
    rests.push(rest);
    setUp.clock.now += rest + apart;
  }
  return { ...setUp, rests, moderation: setUp.moderation };
}

const streamApart = (gatherWithinMs / gatherWakes) * 0.9;
/** Wake-ups of one round: some that rest, then those that only measure. */
const round = gatherTimes + gatherWakes - 1;

test('wake-ups that come now and then never rest', () => {
  const apart = (gatherWithinMs / gatherWakes) * 1.1;
  expect(wakes(10 * round, apart).rests.every((rest) => rest === 0)).toBe(true);
});

test('a stream rests, longer the longer it lasts, and never longer than the limit', () => {
  const { rests } = wakes(gatherWakes - 1 + 6 * round, streamApart);
  const longest = Array.from({ length: 6 }, (_, index) => {
    const from = gatherWakes - 1 + index * round;
    expect(rests.slice(from, from + gatherTimes).every((rest) => rest === rests[from])).toBe(true);
    expect(rests.slice(from + gatherTimes, from + round).every((rest) => rest === 0)).toBe(true);
    return rests[from];
  });
  expect(longest).toEqual(longest.map((_, index) => Math.min(gatherMs * 2 ** index, gatherMsMax)));
  expect(longest.at(-1)).toBe(gatherMsMax);
});

test('a wake-up that finds nothing ends the rests at once', () => {
  const stream = wakes(gatherWakes, streamApart);
  expect(stream.rests.at(-1)).toBe(gatherMs);
  expect(stream.moderation.rest(false)).toBe(0);
  expect(stream.moderation.rest(true)).toBe(0);
});

test('a stream that slows down is served at once again', () => {
  const stream = wakes(gatherWakes - 1 + round, streamApart);
  const { rests } = wakes(2 * round, (2.2 * gatherWithinMs) / gatherWakes, stream);
  // One more measurement still includes the fast wake-ups.
  expect(rests.slice(gatherTimes + gatherWakes).every((rest) => rest === 0)).toBe(true);
});

test('wake-ups that take exactly as long as a stream may are none', () => {
  const apart = gatherWithinMs / (gatherWakes - 1);
  expect(wakes(gatherWakes, apart).rests.at(-1)).toBe(0);
  expect(wakes(gatherWakes, apart * 0.999).rests.at(-1)).toBe(gatherMs);
});

test('a stream that became a little slower remains one', () => {
  const stream = wakes(gatherWakes - 1 + round, streamApart);
  const { rests } = wakes(2 * round, (1.8 * gatherWithinMs) / gatherWakes, stream);
  expect(rests.filter((rest) => rest > 0).length).toBeGreaterThanOrEqual(2 * gatherTimes - 1);
});

test('a log that brings few decisions may be read while more of them wait', () => {
  expect([0, decidedFewMax, decidedFewMax + 1].map(waitingMax)).toEqual([
    decisionsWaitingOfAllMax,
    decisionsWaitingOfAllMax,
    decisionsWaitingMax,
  ]);
});
