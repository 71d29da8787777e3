/**
 * The table against a plain list of failures (test/support/table-model.ts), in every build. Every
 * ban comes exactly at the failure that makes maxretry within findtime, in any order of events,
 * with every size of key and window step.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Build } from '../../src/engine/host.ts';
import type { Address } from '../../src/types.ts';
import {
  addressOf,
  type DrivenJail,
  type DriverOptions,
  type Source,
  sourceKey,
  TableDriver,
  v4,
} from '../support/table-driver.ts';
import { TableModel } from '../support/table-model.ts';

interface Event {
  jail: number;
  source: Source;
  time: number;
}

interface Plan {
  jails: DrivenJail[];
  events: Event[];
}

const documentation = 0x2001_0db8n << 96n;
/**
 * The bits in which IPv6 sources differ, inside and beyond every prefix, at the edges of bytes and
 * words.
 */
const bits = [0, 1, 31, 32, 63, 64, 65, 71, 72, 88, 94, 95];

/** Few sources, so that they come again. 32.1.13.184 has the bytes of 2001:db8::/32. */
const anySource: fc.Arbitrary<Source> = fc.oneof(
  fc.constantFrom(...['192.0.2.7', '192.0.2.8', '192.0.2.136', '192.0.66.7', '32.1.13.184'].map(v4)),
  fc.subarray(bits, { maxLength: 2 }).map((chosen) => ({
    family: 6 as const,
    value: documentation | chosen.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n),
  })),
);

const anyJail: fc.Arbitrary<DrivenJail> = fc.record({
  maxretry: fc.integer({ min: 1, max: 16 }),
  findtime: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constantFrom(600, 65_534, 65_535, 65_536, 86_400, 2_592_000)),
  bantime: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constantFrom(600, 86_400, -1)),
  ipv4Prefix: fc.oneof(fc.integer({ min: 16, max: 32 }), fc.constant(32)),
  ipv6Prefix: fc.oneof(fc.integer({ min: 32, max: 128 }), fc.constantFrom(32, 56, 64, 128)),
});

/** Times around the edges of the jail's window and ban, and some at random; in order or not. */
function anyEvents(jails: DrivenJail[], sources: Source[], length: number): fc.Arbitrary<Event[]> {
  const base = fc.constantFrom(1_763_694_928, 86_400 * 365, 2_147_483_648, 4_000_000_000);
  const event = fc.nat(jails.length - 1).chain((jail) => {
    const { findtime, bantime } = jails[jail]!;
    const edge = fc
      .tuple(
        fc.integer({ min: 0, max: 3 }),
        fc.constantFrom(findtime, Math.max(bantime, 1)),
        fc.integer({ min: -1, max: 1 }),
      )
      .map(([times, unit, slip]) => times * unit + slip);
    const anywhere = fc.integer({ min: 0, max: findtime * 2 });
    return fc.record({ jail: fc.constant(jail), source: fc.constantFrom(...sources), time: fc.oneof(edge, anywhere) });
  });
  return fc
    .tuple(base, fc.boolean(), fc.array(event, { maxLength: length, size: 'max' }))
    .map(([start, ordered, events]) => {
      const moved = events.map((one) => ({ ...one, time: start + one.time }));
      return ordered ? moved.toSorted((a, b) => a.time - b.time) : moved;
    });
}

const anyPlan: fc.Arbitrary<Plan> = fc
  .tuple(
    fc.array(anyJail, { minLength: 1, maxLength: 3 }),
    fc.array(anySource, { minLength: 1, maxLength: 6, size: 'max' }),
  )
  .chain(([jails, sources]) => fc.record({ jails: fc.constant(jails), events: anyEvents(jails, sources, 120) }));

/** What the jail counts as one source: its key in the model, and its address. */
function sourceIn({ ipv4Prefix = 32, ipv6Prefix }: DrivenJail, source: Source): { key: string; address: Address } {
  const prefix = source.family === 4 ? ipv4Prefix : ipv6Prefix;
  const below = BigInt((source.family === 4 ? 32 : 128) - prefix);
  const network = { ...source, value: (source.value >> below) << below };
  return { key: sourceKey(source, ipv6Prefix, ipv4Prefix), address: { ...addressOf(network), prefix } };
}

type Make = (options: DriverOptions) => Promise<Pick<TableDriver, 'fail'>>;

/** The property: table and model decide the same bans. */
function sameBans(build: Build, make: Make) {
  return fc.asyncProperty(anyPlan, async ({ jails, events }) => {
    const table = await make({ build, jails, slots: 8_192 });
    const model = new TableModel(jails.map((jail) => ({ ...jail, bantimes: [jail.bantime], memory: -1 })));
    for (const { jail, source, time } of events) {
      const { key, address } = sourceIn(jails[jail]!, source);
      const expected = model.fail(jail, key, time);
      const found = table.fail(jail, source, time);
      expect(found && { time: found.time, failures: found.failures, seconds: found.seconds }).toEqual(expected);
      if (found) {
        expect(found.address).toEqual(address);
        expect(found.jail).toBe(jail);
      }
    }
  });
}

const real: Make = (options) => TableDriver.create(options);

describe.each(['plain', 'wasm', 'scalar'] as const)('%s build', (build) => {
  test('bans come exactly when maxretry failures lie within findtime', async () => {
    await fc.assert(sameBans(build, real), { numRuns: build === 'plain' ? 300 : 150 });
  });
});

type Shown = Pick<TableDriver, 'fail'> & { failures(jail: number, address: Address): [number, number][] };
type Show = (options: DriverOptions) => Promise<Shown>;

const shown: Show = async (options) => {
  const table = await TableDriver.create(options);
  const failures = (jail: number, address: Address) => table.engine.failuresOf(jail, address, Number.NEGATIVE_INFINITY);
  return { fail: (...failure) => table.fail(...failure), failures };
};

/** The property: the table shows those failures of a source that the model remembers. */
function sameFailures(build: Build, show: Show) {
  return fc.asyncProperty(anyPlan, async ({ jails, events }) => {
    const table = await show({ build, jails, slots: 8_192 });
    const model = new TableModel(jails.map((jail) => ({ ...jail, bantimes: [jail.bantime], memory: -1 })));
    for (const { jail, source, time } of events) {
      const { key, address } = sourceIn(jails[jail]!, source);
      model.fail(jail, key, time);
      table.fail(jail, source, time);
      const { end, times } = model.find(jail, key)!;
      const expected = end === undefined ? times.toSorted((one, other) => other - one).map((at) => [at, 1]) : [];
      expect(table.failures(jail, address)).toEqual(expected);
    }
  });
}

describe.each(['plain', 'wasm'] as const)('%s build', (build) => {
  test('shows the failures that count, newest first', async () => {
    await fc.assert(sameFailures(build, shown), { numRuns: 40 });
  });
});

describe('a broken view is caught', () => {
  const changed =
    (change: (found: [number, number][]) => [number, number][]): Show =>
    async (options) => {
      const table = await shown(options);
      return { ...table, failures: (...about) => change(table.failures(...about)) };
    };
  const twins: Record<string, Show> = {
    'the newest only': changed((found) => found.slice(0, 1)),
    'oldest first': changed((found) => found.toReversed()),
    'times that are a second off': changed((found) => found.map(([at, count]) => [at - 1, count])),
  };
  test.each(Object.keys(twins))('%s', async (name) => {
    await expect(
      fc.assert(sameFailures('plain', twins[name]!), { numRuns: 200, endOnFailure: true }),
    ).rejects.toThrow();
  });
});

describe('a broken table is caught', () => {
  const changed =
    (change: (jail: DrivenJail) => Partial<DrivenJail>): Make =>
    ({ jails, ...options }) =>
      TableDriver.create({ ...options, jails: jails.map((jail) => ({ ...jail, ...change(jail) })) });
  const twins: Record<string, Make> = {
    'a window one second too long': changed(({ findtime }) => ({ findtime: findtime + 1 })),
    'a window one second too short': changed(({ findtime }) => ({ findtime: findtime - 1 })),
    'one failure more': changed(({ maxretry }) => ({ maxretry: Math.min(16, maxretry + 1) })),
    'one failure less': changed(({ maxretry }) => ({ maxretry: Math.max(1, maxretry - 1) })),
    'a ban one second longer in the table': changed(({ bantime }) => ({ bantime: bantime < 0 ? -1 : bantime + 1 })),
    'one bit of IPv4 too few': changed(({ ipv4Prefix = 32 }) => ({ ipv4Prefix: Math.max(16, ipv4Prefix - 1) })),
    'one bit of IPv6 too few': changed(({ ipv6Prefix }) => ({ ipv6Prefix: Math.max(32, ipv6Prefix - 1) })),
    'no difference between jails': async (options) => {
      const table = await TableDriver.create(options);
      return { fail: (_, source, time) => table.fail(0, source, time) };
    },
    'every hundredth failure is lost': async (options) => {
      const table = await TableDriver.create(options);
      let seen = 0;
      return { fail: (...failure) => (++seen % 100 === 0 ? undefined : table.fail(...failure)) };
    },
    'late lines count as new ones': async (options) => {
      const table = await TableDriver.create(options);
      let clock = 0;
      return {
        fail(jail, source, time) {
          clock = Math.max(clock, time);
          return table.fail(jail, source, clock);
        },
      };
    },
  };
  test.each(Object.keys(twins))('%s', async (name) => {
    const { failed } = await fc.check(sameBans('plain', twins[name]!), { numRuns: 300, endOnFailure: true });
    expect(failed).toBe(true);
  });
});
