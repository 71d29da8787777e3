/**
 * The marks of the table against its entries, in the memory itself. Whatever happens, a slot
 * without an entry has no mark, and every entry is found by its own mark.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadAddress } from '../../src/engine/address.ts';
import { DENIED } from '../../src/engine/counters.ts';
import { ADDRESS, entryBytes, keyBytes, marksAt, tableAt } from '../../src/engine/layout.ts';
import { byte, int, setByte } from '../../src/engine/linear.ts';
import { hashOf, likelyEntry, makeKey } from '../../src/engine/table.ts';
import { evictionPolicies } from '../../src/limits.ts';
import { addressOf, type Source, TableDriver } from '../support/table-driver.ts';

const start = 1_773_144_000;
const slots = 32;
const jails = [
  { maxretry: 3, findtime: 60, bantime: 90, ipv6Prefix: 64 },
  { maxretry: 1, findtime: 60, bantime: 90, ipv6Prefix: 64 },
];

/** IPv4 and IPv6 in turn, twice as many sources as there are slots. */
const source: fc.Arbitrary<Source> = fc
  .nat(2 * slots - 1)
  .map((n) =>
    n % 2 === 0
      ? { family: 4, value: BigInt(0x0a00_0000 + n) }
      : { family: 6, value: (0x2001_0db8n << 96n) | (BigInt(n) << 64n) | 7n },
  );
const step = fc.record({
  kind: fc.oneof(
    { weight: 8, arbitrary: fc.constant('fail' as const) },
    fc.constantFrom('ban' as const, 'forget' as const, 'wait' as const, 'banAll' as const),
  ),
  jail: fc.nat(jails.length - 1),
  source,
});

test.each(evictionPolicies)('%s', async (policy) => {
  const steps = fc.array(step, { minLength: 60, maxLength: 160, size: 'max' });
  let used = 0;
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(steps, fc.tuple(fc.integer(), fc.integer()), async (list, seed) => {
      const table = await TableDriver.create({ build: 'plain', jails, slots, policy, seed });
      const { engine } = table;
      let now = start;
      for (const { kind, jail, source } of list) {
        const address = addressOf(source);
        if (kind === 'fail') table.fail(jail, source, now);
        else if (kind === 'ban') engine.setBan(jail, address, now, now + 90);
        else if (kind === 'forget') engine.forget(jail, address);
        else if (kind === 'wait') now += 40;
        else {
          engine.startBanAll();
          engine.banAll(0, slots, now);
          engine.resetAll(0, slots, now);
        }
      }
      runs++;
      for (let slot = 0; slot < slots; slot++) {
        const meta = int(tableAt + slot * entryBytes + keyBytes);
        if (meta !== 0) used++;
        expect(byte(marksAt + slot) !== 0, `slot ${slot}`).toBe(meta !== 0);
      }
      engine.eachBan(0, slots, ({ index, jail, address }) => {
        expect(engine.banIndex(jail, address), `entry ${index}`).toBe(index);
      });
    }),
    { numRuns: 60 },
  );
  expect(used).toBeGreaterThan(runs * 4);
});

/** One look-up in a few dozen finds the mark of another key. */
describe('keys with the same mark', () => {
  const count = 2_500;
  const crowded = { build: 'plain', slots: 4_096, policy: 'deny_new' } as const;
  const patient = { maxretry: 2, findtime: 600, bantime: 600, ipv6Prefix: 128 };

  test.each([0, 1, 2, 3])('are told apart where they differ in word %i only', async (word) => {
    const table = await TableDriver.create({ ...crowded, jails: [patient] });
    for (let n = 0; n < count; n++) {
      const value = (0x2001_0db8n << 96n) ^ (BigInt(n + 1) << BigInt((3 - word) * 32));
      expect(table.fail(0, { family: 6, value }, start)).toBe(undefined);
    }
    expect([table.engine.tracked, table.engine.counter(DENIED)]).toEqual([count, 0]);
  });

  test('are told apart where they differ in their jail only', async () => {
    // There is one set, so both keys of an address are in it.
    const table = await TableDriver.create({ ...crowded, slots: 8, jails: [patient, patient] });
    for (let n = 0; n < count; n++) {
      const source: Source = { family: 4, value: BigInt(0x0a00_0000 + n) };
      for (const jail of [0, 1]) expect(table.fail(jail, source, start)).toBe(undefined);
      expect(table.engine.tracked).toBe(2);
      for (const jail of [0, 1]) table.engine.forget(jail, addressOf(source));
    }
  });
});

test('the entry that is fetched ahead is the one that is looked at, or taken', async () => {
  const one = { maxretry: 1, findtime: 60, bantime: 90, ipv6Prefix: 64 };
  const { engine } = await TableDriver.create({ build: 'plain', jails: [one], slots: 1_024, policy: 'deny_new' });
  const ahead = (n: number): number => {
    const { bytes } = addressOf({ family: 4, value: BigInt(n) });
    for (const [i, value] of bytes.entries()) setByte(ADDRESS + i, value);
    loadAddress(ADDRESS);
    makeKey(0, 128);
    return (likelyEntry(hashOf(0)) - tableAt) / entryBytes;
  };
  let taken = 0;
  let placed = 0;
  for (let n = 0; n < 2_000; n++) {
    const slot = ahead(n);
    expect(Number.isInteger(slot) && slot >= 0 && slot < 1_024, `slot ${slot}`).toBe(true);
    const address = addressOf({ family: 4, value: BigInt(n) });
    engine.setBan(0, address, start, start + 90);
    const index = engine.banIndex(0, address);
    if (index < 0) continue;
    placed++;
    if (slot === index) taken++;
  }
  expect(placed).toBeGreaterThan(900);
  // The other look-ups found the mark of another key first.
  expect(taken).toBeGreaterThan(placed * 0.95);
  let found = 0;
  for (let n = 0; n < 2_000; n++) {
    const index = engine.banIndex(0, addressOf({ family: 4, value: BigInt(n) }));
    if (index >= 0 && ahead(n) === index) found++;
  }
  expect(found).toBeGreaterThan(placed * 0.95);
});
