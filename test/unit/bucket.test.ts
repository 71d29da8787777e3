import { expect, test } from 'vitest';
import { Bucket } from '../../src/bucket.ts';

test('a full budget, then one per interval, never more than the budget holds', () => {
  let now = 0;
  const bucket = new Bucket(() => now, 3, 10);
  const taken = (): number => [...Array(9)].filter(() => bucket.take()).length;
  expect(taken()).toBe(3);
  now += 9;
  expect(taken()).toBe(0);
  now += 1;
  expect(taken()).toBe(1);
  now += 25;
  expect(taken()).toBe(2);
  now += 5;
  expect(taken()).toBe(1);
  now += 1e9;
  expect(taken()).toBe(3);
});

test('a clock that goes back gains nothing and costs nothing', () => {
  let now = 1e6;
  const bucket = new Bucket(() => now, 1, 10);
  expect(bucket.take()).toBe(true);
  now = 0;
  expect(bucket.take()).toBe(false);
  now = 10;
  expect(bucket.take()).toBe(true);
});
