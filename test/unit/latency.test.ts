/** Bans are counted in buckets, by how long they waited for the kernel. */
import { expect, test } from 'vitest';
import { Latency } from '../../src/enforcer/latency.ts';
import { banLatencyBuckets } from '../../src/limits.ts';

const last = banLatencyBuckets.at(-1)!;

test('a bound belongs to its own bucket, and what lies beyond all bounds to the last', () => {
  const latency = new Latency();
  latency.note(2, banLatencyBuckets[1]!);
  latency.note(3, banLatencyBuckets[1]! + 1e-9);
  latency.note(4, last + 1);
  expect(latency.counts.slice(0, 3)).toEqual([0, 2, 3]);
  expect(latency.counts).toHaveLength(banLatencyBuckets.length + 1);
  expect(latency.counts.at(-1)).toBe(4);
  expect(latency.cumulative.slice(0, 4)).toEqual([0, 2, 5, 5]);
  expect(latency.cumulative.at(-1)).toBe(9);
});

test('the sum is that of all bans', () => {
  const latency = new Latency();
  latency.note(2, 0.25);
  latency.note(4, 0.5);
  expect(latency.sum).toBe(2.5);
});

test('a quantile is the bound of its bucket', () => {
  const latency = new Latency();
  expect(latency.quantile(0.5)).toBe(0);
  latency.note(1, 0.001);
  latency.note(1, 0.01);
  latency.note(2, 0.5);
  expect(latency.quantile(0.25)).toBe(0.001);
  expect(latency.quantile(0.26)).toBe(0.01);
  expect(latency.quantile(0.5)).toBe(0.01);
  expect(latency.quantile(1)).toBe(0.5);
  latency.note(96, last * 2);
  expect(latency.quantile(0.99)).toBe(last);
});
