/**
 * A full set under each eviction policy, against the model (test/support/table-model.ts): a table
 * of one set, more sources than it holds, escalating bans, bans that the kernel accepts late or
 * never, unbans. What is evicted, denied and counted must be the same after every event.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as counters from '../../src/engine/counters.ts';
import type { TableBan } from '../../src/engine/host.ts';
import type { EvictionPolicy } from '../../src/types.ts';
import {
  addressOf,
  type DriverOptions,
  type Source,
  sourceKey,
  sourceText,
  TableDriver,
  v4,
} from '../support/table-driver.ts';
import { type ModelJail, TableModel } from '../support/table-model.ts';

const policies = ['evict_oldest', 'ban_all', 'drop_unbanned', 'deny_new', 'log_and_drop'] as const;

const sources: Source[] = [
  ...Array.from({ length: 14 }, (_, i) => v4(`198.51.100.${i + 1}`)),
  ...Array.from({ length: 6 }, (_, i) => ({ family: 6 as const, value: (0x2001_0db8n << 96n) | (BigInt(i) << 64n) })),
];

type Event =
  | { kind: 'fail' | 'confirm' | 'forget'; jail: number; source: Source; time: number }
  | { kind: 'ban'; jail: number; source: Source; time: number; seconds: number; bans: number };

interface Plan {
  jails: ModelJail[];
  events: Event[];
}

const second = fc.integer({ min: 0, max: 60 });
const anyJail: fc.Arbitrary<ModelJail> = fc.record({
  maxretry: fc.integer({ min: 1, max: 4 }),
  findtime: fc.integer({ min: 1, max: 40 }),
  bantimes: fc.array(fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 30 }) }, fc.constant(-1)), {
    minLength: 1,
    maxLength: 4,
  }),
  memory: fc.constantFrom(-1, 0, 5, 100),
});

const anyEvent = (jails: number): fc.Arbitrary<Event> => {
  const where = { jail: fc.nat(jails - 1), source: fc.constantFrom(...sources), time: second };
  return fc.oneof(
    { weight: 12, arbitrary: fc.record({ kind: fc.constant('fail' as const), ...where }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('confirm' as const), ...where }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), ...where }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('ban' as const),
        ...where,
        seconds: fc.constantFrom(5, 20, Number.POSITIVE_INFINITY),
        bans: fc.nat(3),
      }),
    },
  );
};

const start = 1_763_694_928;
/** How the table writes the end of a permanent ban. */
const forever = 4_294_967_295;

/** Time moves on by a second now and then. A line may be a little late. */
const anyPlan: fc.Arbitrary<Plan> = fc.array(anyJail, { minLength: 1, maxLength: 2 }).chain((jails) =>
  fc.array(anyEvent(jails.length), { maxLength: 150, size: 'max' }).map((events) => ({
    jails,
    events: events.map((event, i) => ({
      ...event,
      time: start + Math.floor(i / 2) + (event.time < 50 ? 0 : event.time - 65),
    })),
  })),
);

type Make = (options: DriverOptions) => Promise<TableDriver>;
const prefix = 64;

function bansOf(table: TableDriver): Omit<TableBan, 'index'>[] {
  const bans: Omit<TableBan, 'index'>[] = [];
  table.engine.eachBan(0, table.engine.slots, ({ index: _, ...ban }) => bans.push(ban));
  return bans;
}

/** One complete run of ban_all, whose bans the kernel takes when `confirmed`. */
function runBanAll(table: TableDriver, time: number, confirmed: boolean): number {
  const { engine } = table;
  engine.startBanAll();
  const decided = engine.banAll(0, engine.slots, time);
  if (confirmed) for (const ban of bansOf(table)) if (!ban.confirmed) engine.confirmBan(ban.jail, ban.address);
  expect(engine.resetAll(0, engine.slots, time)).toBe(-1);
  return decided;
}

/** The property: table and model agree after every event. */
function agrees(policy: EvictionPolicy, make: Make, build: DriverOptions['build'] = 'plain') {
  return fc.asyncProperty(anyPlan, fc.boolean(), async ({ jails, events }, kernelWorks) => {
    const table = await make({
      build,
      policy,
      slots: 8,
      jails: jails.map(({ maxretry, findtime, bantimes, memory }) => ({
        maxretry,
        findtime,
        bantime: bantimes[0]!,
        ipv6Prefix: prefix,
        escalation: { bantimes: bantimes.slice(1), memorySeconds: memory, randomSeconds: 0, allJails: false },
      })),
    });
    const { engine } = table;
    const model = new TableModel(jails, 8, policy);
    const texts = new Map<string, Source>(sources.map((source) => [sourceKey(source, prefix), source]));
    let denied = 0;
    for (const event of events) {
      const { jail, source, time } = event;
      const key = sourceKey(source, prefix);
      const address = { ...addressOf(source), prefix: source.family === 4 ? 32 : prefix };
      if (event.kind === 'fail') {
        const expected = model.fail(jail, key, time);
        const found = table.fail(jail, source, time);
        expect(found && { time: found.time, failures: found.failures, seconds: found.seconds }).toEqual(expected);
        if (found) expect(found.bans).toBe(model.find(jail, key)!.bans);
      } else if (event.kind === 'confirm') {
        model.confirm(jail, key);
        engine.confirmBan(jail, address);
      } else if (event.kind === 'forget') {
        model.forget(jail, key);
        engine.forget(jail, address);
      } else if (event.kind === 'ban') {
        model.ban(jail, key, time, time + event.seconds, event.bans);
        engine.setBan(jail, address, time, time + event.seconds, event.bans);
      }
      const denials: string[] = [];
      engine.takeDenials((denial) => denials.push(`${denial.jail} ${denial.time} ${denial.address.bytes}`));
      const wanted = policy === 'log_and_drop' && model.counts.denied > denied;
      const lifted = policy === 'evict_oldest' ? model.lifted.splice(0) : [];
      expect(denials).toEqual([
        ...(wanted ? [`${jail} ${time} ${address.bytes}`] : []),
        ...lifted.map(({ jail, source, end }) => {
          const seconds = end === Number.POSITIVE_INFINITY ? forever : end;
          return `${jail} ${seconds} ${addressOf(texts.get(source)!).bytes}`;
        }),
      ]);
      expect(engine.banAllDue).toBe(policy === 'ban_all' && model.counts.denied > denied);
      denied = model.counts.denied;
      for (const reason of Object.keys(met) as (keyof typeof met)[]) met[reason] += model.counts[reason];
      if (engine.banAllDue) {
        expect(runBanAll(table, time, kernelWorks)).toBe(model.banAll(time).length);
        if (kernelWorks) for (const entry of model.entries) if (entry) model.confirm(entry.jail, entry.source);
        model.reset(time);
        expect(engine.banAllDue).toBe(false);
      }
      const { window, banned, remembered } = model.counts;
      expect({
        window: engine.counter(counters.EVICTIONS_OPEN),
        banned: engine.counter(counters.EVICTIONS_BANNED),
        remembered: engine.counter(counters.EVICTIONS_REMEMBERED),
        denied: engine.counter(counters.DENIED),
      }).toEqual(model.counts);
      expect(engine.counter(counters.EVICTIONS)).toBe(window + banned + remembered);
      expect(engine.tracked).toBe(model.tracked);
      const held = model.entries.filter((entry) => entry?.end !== undefined);
      expect(bansOf(table)).toEqual(
        held.map((entry) => {
          const found = texts.get(entry!.source)!;
          return {
            jail: entry!.jail,
            address: { ...addressOf(found), prefix: found.family === 4 ? 32 : prefix },
            end: entry!.end,
            confirmed: entry!.confirmed,
            restored: false,
            manual: false,
            bans: entry!.bans,
          };
        }),
      );
    }
  });
}

const real: Make = (options) => TableDriver.create(options);

/**
 * The reasons that the property met over all its runs. A reason that never occurs is not tested.
 */
const met = { window: 0, banned: 0, remembered: 0, denied: 0 };

describe.each(policies)('%s', (policy) => {
  test('gives up, denies and counts as the model does', async () => {
    await fc.assert(agrees(policy, real), { numRuns: 200 });
    await fc.assert(agrees(policy, real, 'wasm'), { numRuns: 50 });
  });

  test.each(policies.filter((other) => other !== policy))('is told from %s', async (other) => {
    const twin: Make = (options) => TableDriver.create({ ...options, policy: other });
    const { failed } = await fc.check(agrees(policy, twin), { numRuns: 100, endOnFailure: true });
    expect(failed).toBe(true);
  });
});

test('every reason for giving up occurred', () => {
  for (const [reason, count] of Object.entries(met)) expect(count, reason).toBeGreaterThan(0);
});

describe('ban_all over a table of many sets, in slices, while lines go on', () => {
  const slots = 256;
  const jails = [{ maxretry: 3, findtime: 600, bantime: 3_600, ipv6Prefix: 64 }];
  const source = (i: number): Source => v4(`10.0.${i >> 8}.${i & 255}`);
  const text = ({ address }: Pick<TableBan, 'address'>): string => address.bytes.subarray(12).join('.');

  /** Fills the table until a set is full; returns the sources that found a place. */
  async function filled(): Promise<{ table: TableDriver; tracked: Set<string>; next: number }> {
    const table = await TableDriver.create({ build: 'plain', jails, slots, policy: 'ban_all' });
    const tracked = new Set<string>();
    let next = 0;
    for (; !table.engine.banAllDue; next++) {
      const before = table.engine.counter(counters.DENIED);
      table.fail(0, source(next), start);
      if (table.engine.counter(counters.DENIED) === before) tracked.add(sourceText(source(next)));
    }
    return { table, tracked, next };
  }

  test.each([8, 64, 256])('slices of %i entries', async (slice) => {
    const { table, tracked, next } = await filled();
    const { engine } = table;
    engine.startBanAll();
    const banned: string[] = [];
    let fresh = next;
    const newcomers = (count: number): void => {
      for (const last = fresh + count; fresh < last; fresh++) {
        const denied = engine.counter(counters.DENIED);
        table.fail(0, source(fresh), start + 1);
        if (engine.counter(counters.DENIED) === denied) tracked.add(sourceText(source(fresh)));
      }
    };
    for (let at = 0; at >= 0; ) {
      engine.banAll(at, slice, start + 1);
      engine.eachBan(at, slice, (ban) => {
        expect(ban).toMatchObject({ end: start + 1 + 3_600, confirmed: false, bans: 1 });
        banned.push(text(ban));
        engine.confirmBan(0, ban.address);
      });
      // Newcomers while the kernel is written, and after it. Behind the run they are tracked.
      // Before it, they are banned when the run comes, or denied.
      newcomers(4);
      at = engine.resetAll(at, slice, start + 1);
      newcomers(4);
    }
    const left: string[] = [];
    for (const known of tracked) if (!banned.includes(known)) left.push(known);
    expect(new Set(banned).size, 'nobody is banned twice').toBe(banned.length);
    expect(banned.every((one) => tracked.has(one))).toBe(true);
    expect(left.length, 'who is neither banned nor tracked').toBe(engine.tracked);
    expect(banned.length).toBeGreaterThan(tracked.size / 2);
    expect(engine.counter(counters.DECISIONS)).toBe(banned.length);
    expect(engine.counter(counters.BAN_ALL_RUNS)).toBe(1);
  });

  test('a full set that the run has yet to come to asks for no second run, one behind it does', async () => {
    const { table, next } = await filled();
    const { engine } = table;
    engine.startBanAll();
    expect(engine.banAllDue).toBe(false);
    for (let i = 0; i < 2_000; i++) table.fail(0, source(next + i), start + 1);
    expect(engine.counter(counters.DENIED)).toBeGreaterThan(1_000);
    expect(engine.banAllDue).toBe(false);
    engine.banAll(0, slots / 2, start + 1);
    engine.eachBan(0, slots / 2, (ban) => engine.confirmBan(0, ban.address));
    expect(engine.resetAll(0, slots / 2, start + 1)).toBe(slots / 2);
    for (let i = 2_000; i < 4_000; i++) table.fail(0, source(next + i), start + 1);
    expect(engine.banAllDue).toBe(true);
  });

  test('what the kernel refused stays, and is the only thing that stays', async () => {
    const { table, tracked } = await filled();
    const { engine } = table;
    engine.startBanAll();
    engine.banAll(0, slots, start + 1);
    const refused: string[] = [];
    engine.eachBan(0, slots, (ban) => {
      if (refused.length < 5) refused.push(text(ban));
      else engine.confirmBan(0, ban.address);
    });
    expect(engine.resetAll(0, slots, start + 1)).toBe(-1);
    const kept: string[] = [];
    engine.eachBan(0, slots, (ban) => kept.push(text(ban)));
    expect(kept).toEqual(refused);
    expect(engine.tracked).toBe(5);
    expect(engine.counter(counters.EVICTIONS_BANNED)).toBe(tracked.size - 5);
  });
});
