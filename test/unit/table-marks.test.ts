/**
 * The marks of the table against its entries, in the memory itself: whatever happens, a slot without an entry has no mark, and
 * every entry is found by its own.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evictionPolicies } from '../../src/config/schema.ts';
import { entryBytes, keyBytes, marksAt, tableAt } from '../../src/engine/layout.ts';
import { byte, int } from '../../src/engine/linear.ts';
import { addressOf, type Source, TableDriver } from '../support/table-driver.ts';

const start = 1_773_144_000;
const slots = 32;
const jails = [
  { maxretry: 3, findtime: 60, bantime: 90, ipv6Prefix: 64 },
  { maxretry: 1, findtime: 60, bantime: 90, ipv6Prefix: 64 },
];

/** IPv4 and IPv6 by turns, twice as many as there are slots. */
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
