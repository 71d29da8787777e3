/** What `evictions.per_minute` says, minute by minute. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PerMinute } from '../../src/observe/per-minute.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('the growth of the last whole minute, whether anybody asked before or not', () => {
  let counter = 5;
  const perMinute = new PerMinute(() => counter);
  expect(perMinute.read(), 'since the start').toBe(5);
  counter = 30;
  vi.advanceTimersByTime(59_999);
  expect(perMinute.read(), 'still in the first minute').toBe(30);
  vi.advanceTimersByTime(1);
  counter = 1_000;
  expect(perMinute.read(), 'what comes now is of the next minute').toBe(30);
  vi.advanceTimersByTime(60_000);
  expect(perMinute.read()).toBe(970);
  counter = 1_007;
  vi.advanceTimersByTime(60_000);
  expect(perMinute.read()).toBe(7);
  vi.advanceTimersByTime(3_600_000);
  expect(perMinute.read(), 'a quiet minute after a quiet hour').toBe(0);
  counter = 1_008;
  expect(perMinute.read(), 'a quiet minute stays one until it is over').toBe(0);
});
