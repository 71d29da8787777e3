import { expect, test } from 'vitest';
import { Backoff } from '../../src/backoff.ts';

test('a pause doubles while it is asked for soon, up to its bound, and starts over after a calm', () => {
  let now = 1_000;
  const backoff = new Backoff(() => now, 10, 50);
  const next = (afterMs: number): number => {
    now += afterMs;
    return backoff.next();
  };
  // Each pause is asked for when the one before is over.
  expect([next(0), next(10), next(20), next(40), next(50)]).toEqual([10, 20, 40, 50, 50]);
  // The last pause ended as long ago as it lasted, and 10 ms more: at 109 ms that still counts as
  // soon, at 110 ms no longer.
  expect(next(109)).toBe(50);
  expect(next(110)).toBe(10);
  expect(next(29)).toBe(20);
  expect(next(50)).toBe(10);
});

test('a clock that was set back does not keep the pause for ever', () => {
  let now = 1_000_000;
  const backoff = new Backoff(() => now, 10, 50);
  backoff.next();
  now = 0;
  expect(backoff.next()).toBe(10);
});
