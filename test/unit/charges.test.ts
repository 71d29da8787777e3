/**
 * Failures on their way to the table, and decisions on their way out: what is passed on, and the
 * limits of both areas.
 */
import { beforeEach, expect, test } from 'vitest';
import { loadAddress } from '../../src/engine/address.ts';
import { charge, resetCharges, settle, waiting } from '../../src/engine/charges.ts';
import { DECISIONS, DECISIONS_DEFERRED, JAIL_DECISIONS } from '../../src/engine/counters.ts';
import { init, isBanned, select, setJail } from '../../src/engine/engine.ts';
import * as layout from '../../src/engine/layout.ts';
import { bindMemory, float, int, setInt } from '../../src/engine/linear.ts';

const ring = 4;
const now = 1_763_694_928;
const sizes = [2, 0, 4, ring, 16, 4, 4, 32] as const;
const memory = new ArrayBuffer(layout.layOut(...sizes));
const bytes = Buffer.from(memory);

/**
 * A ring of four decisions. Jail 0 bans at once for a minute, jail 1 at the second failure and for
 * ever.
 */
beforeEach(() => {
  bindMemory(memory);
  init(...sizes);
  setInt(layout.SEED, 1);
  setInt(layout.SEED + 4, 2);
  setJail(0, 1, 600, 60, 56, 128);
  setJail(1, 2, 600, -1, 120, 128);
});

const six = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const four = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2];

/**
 * Counts a failure of the address that begins with `first` and ends with `last`. The line began at
 * `last` × 100.
 */
function fail(last: number, { jail = 0, first = four, pattern = 0 } = {}): void {
  bytes.set([...first, last], layout.ADDRESS);
  loadAddress(layout.ADDRESS);
  charge(jail, first === four ? 128 : 120, now + last, 1, 7, last * 100, pattern);
}

/** Takes the decisions out of the ring, the oldest first. */
function decisions(): object[] {
  const found: object[] = [];
  for (let taken = int(layout.RING_TAKEN); taken !== int(layout.RING_WRITTEN); taken = (taken + 1) | 0) {
    const p = layout.ringAt + (taken & (ring - 1)) * layout.DECISION_BYTES;
    found.push({
      jail: int(p + layout.DECISION_JAIL),
      family: int(p + layout.DECISION_FAMILY),
      address: [...bytes.subarray(p + layout.DECISION_ADDRESS, p + layout.DECISION_ADDRESS + 16)],
      time: float(p + layout.DECISION_TIME),
      failures: int(p + layout.DECISION_FAILURES),
      seconds: int(p + layout.DECISION_SECONDS),
      bans: int(p + layout.DECISION_BANS),
      source: int(p + layout.DECISION_SOURCE),
      prefix: int(p + layout.DECISION_PREFIX),
      pattern: int(p + layout.DECISION_PATTERN),
      offset: float(p + layout.DECISION_OFFSET),
    });
  }
  setInt(layout.RING_TAKEN, int(layout.RING_WRITTEN));
  return found;
}

const counter = (index: number): number => float(layout.COUNTERS + index * 8);

test('a decision carries all that is known of its failure', () => {
  fail(1, { pattern: 3 });
  fail(2, { jail: 1, first: six });
  fail(3, { jail: 1, first: six, pattern: 200 });
  settle(7);
  const common = { source: 7, bans: 1 };
  expect(decisions()).toEqual([
    {
      ...common,
      jail: 0,
      family: 4,
      address: [...four, 1],
      time: now + 1,
      failures: 1,
      seconds: 60,
      prefix: 128,
      pattern: 3,
      offset: 100,
    },
    {
      ...common,
      jail: 1,
      family: 6,
      address: [...six, 3],
      time: now + 3,
      failures: 2,
      seconds: -1,
      prefix: 120,
      pattern: 200,
      offset: 300,
    },
  ]);
});

test('charges wait until they are settled, or until they are as many as may wait', () => {
  const behind = layout.CHARGES + layout.CHARGES_MAX * layout.CHARGE_BYTES;
  const isUntouched = () => bytes.subarray(behind, layout.FIXED_BYTES).every((byte) => byte === 0);
  for (let count = 1; count < layout.CHARGES_MAX; count++) {
    fail(count, { jail: 1 });
    expect(waiting).toBe(count);
  }
  expect(isUntouched()).toBe(true);
  fail(layout.CHARGES_MAX, { jail: 1 });
  expect(waiting).toBe(0);
  for (let count = 1; count <= layout.CHARGES_MAX; count++) fail(count, { jail: 1 });
  expect(counter(DECISIONS)).toBe(layout.CHARGES_MAX);
  fail(1);
  expect(waiting).toBe(1);
  settle(7);
  expect(waiting).toBe(0);
});

test('charges that are forgotten reach no table', () => {
  fail(1);
  resetCharges();
  expect(waiting).toBe(0);
  settle(7);
  expect(counter(DECISIONS)).toBe(0);
});

test.each([0, 3, 4_000])(
  'a full ring is written on where its records were taken, %i decisions after the start',
  (before) => {
    setInt(layout.RING_WRITTEN, before);
    setInt(layout.RING_TAKEN, before);
    const lasts = () => decisions().map((decision) => (decision as { address: number[] }).address[15]);
    for (let last = 1; last <= ring + 2; last++) fail(last);
    settle(7);
    expect([counter(DECISIONS), counter(DECISIONS_DEFERRED)]).toEqual([ring + 2, 2]);
    expect(float(layout.jailsAt + layout.JAIL_COUNTERS + JAIL_DECISIONS * 8)).toBe(ring + 2);
    // The table knows of all of them.
    for (let last = 1; last <= ring + 2; last++) {
      bytes.set([...four, last], layout.ADDRESS);
      select(0, 128);
      expect(Boolean(isBanned(0))).toBe(true);
    }
    expect(lasts()).toEqual([1, 2, 3, 4]);
    fail(9);
    settle(7);
    expect(lasts()).toEqual([9]);
    expect([counter(DECISIONS), counter(DECISIONS_DEFERRED)]).toEqual([ring + 3, 2]);
  },
);
