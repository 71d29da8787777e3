/** The number of dropped packets since the start, whatever happens to the kernel's counters. */
import { expect, test, vi } from 'vitest';
import { dropsLookMs } from '../../src/limits.ts';
import { DropTally } from '../../src/observe/drop-tally.ts';
import type { Backend, Drops } from '../../src/types.ts';
import { rememberingLog } from '../support/control.ts';

/** A backend that only counts. */
const counting = (drops: () => Drops): Pick<Backend, 'drops'> => ({ drops: async () => drops() });

test('counters of the kernel are added up although they start again from 0', async () => {
  let kernel: Drops = new Map();
  const tally = new DropTally(
    counting(() => kernel),
    rememberingLog(),
  );
  expect(tally.of('sshd')).toBe(0);
  const totals: number[] = [];
  for (const count of [0, 7, 7, 10, 2, 5, 0, 0, 1]) {
    kernel = new Map([
      ['sshd', count],
      ['web', 1000],
    ]);
    await tally.look();
    totals.push(tally.of('sshd'));
  }
  expect(totals).toEqual([0, 7, 7, 10, 12, 15, 15, 15, 16]);
  expect(tally.of('web')).toBe(1000);
});

test('a jail whose counter is missing for once keeps its total', async () => {
  let kernel: Drops = new Map([['sshd', 5]]);
  const tally = new DropTally(
    counting(() => kernel),
    rememberingLog(),
  );
  await tally.look();
  kernel = new Map();
  await tally.look();
  expect(tally.of('sshd')).toBe(5);
});

test('the tally looks by itself, and an error of the kernel keeps the last total', async () => {
  const answers: (() => Drops)[] = [
    () => new Map([['sshd', 3]]),
    () => {
      throw new Error('the kernel says no');
    },
  ];
  let looks = 0;
  const log = rememberingLog();
  vi.useFakeTimers();
  const tally = new DropTally(
    counting(() => answers[Math.min(looks++, 1)]!()),
    log,
  );
  tally.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(tally.of('sshd')).toBe(3);
  await vi.advanceTimersByTimeAsync(2 * dropsLookMs);
  expect(looks).toBe(3);
  expect(tally.of('sshd')).toBe(3);
  expect(log.said.map(({ text }) => text)).toEqual(Array(2).fill('cannot read the counters of dropped packets'));
  tally.stop();
  await vi.advanceTimersByTimeAsync(2 * dropsLookMs);
  expect(looks).toBe(3);
  vi.useRealTimers();
});
