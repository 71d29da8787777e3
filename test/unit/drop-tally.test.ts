/**
 * Dropped packets since the start, whatever becomes of the kernel's counters; and how they reach
 * metrics and status.
 */
import { expect, test } from 'vitest';
import { DropTally } from '../../src/observe/drop-tally.ts';
import type { Backend, Drops } from '../../src/types.ts';
import { enforce, enforcedJail } from '../support/enforcement.ts';
import { until } from '../support/until.ts';

/** A backend that only counts. */
function counting(drops: () => Drops): Backend {
  const nothing = () => Promise.resolve();
  return {
    name: 'nftables',
    install: nothing,
    apply: nothing,
    list: () => Promise.resolve([]),
    each: () => Promise.resolve(0),
    reconcile: () => Promise.resolve(0),
    drops: () => Promise.resolve(drops()),
    remove: nothing,
    close: () => undefined,
  };
}

test('counters of the kernel are added up over their new beginnings', async () => {
  let kernel: Drops = new Map();
  const tally = new DropTally(counting(() => kernel));
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
  const tally = new DropTally(counting(() => kernel));
  await tally.look();
  kernel = new Map();
  await tally.look();
  expect(tally.of('sshd')).toBe(5);
});

test('the enforcer looks by itself, and an error of the kernel keeps the last total', async () => {
  const answers: (() => Drops)[] = [
    () => new Map([['sshd', 3]]),
    () => {
      throw new Error('the kernel says no');
    },
  ];
  let looks = 0;
  const { enforcer } = await enforce(
    counting(() => answers[Math.min(looks++, 1)]!()),
    [enforcedJail],
  );
  expect(enforcer.packetsDropped(0)).toBe(0);
  enforcer.start();
  await until(() => enforcer.packetsDropped(0) === 3, { what: 'the first look' });
  await until(() => looks > 1, { what: 'the second look' });
  expect(enforcer.packetsDropped(0)).toBe(3);
  await enforcer.stop();
});
