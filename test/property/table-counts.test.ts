/**
 * maxretry beyond 16, against a plain list of failures. Two laws hold for any order of events, also
 * across a restart: a ban never comes with fewer than maxretry failures within findtime, and it
 * always comes when maxretry failures lie within fifteen sixteenths of findtime.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Build } from '../../src/engine/host.ts';
import { TableDriver, v4 } from '../support/table-driver.ts';

interface Failures {
  time: number;
  count: number;
}

interface Plan {
  maxretry: number;
  findtime: number;
  bantime: number;
  events: Failures[];
  /**
   * The table is saved and restored before the event of this number. A number beyond all events
   * means never.
   */
  restart: number;
}

/** The most failures within `seconds`. */
function most(list: Failures[], seconds: number): number {
  const within = ({ time }: Failures): number =>
    list.reduce((sum, other) => sum + (other.time >= time && other.time - time <= seconds ? other.count : 0), 0);
  return Math.max(0, ...list.map(within));
}

/** What the laws allow, from a list of the failures since the source began afresh. */
class Judge {
  readonly #plan: Plan;
  /** All failures that were not too old when they came, and those within findtime of the newest. */
  #seen: Failures[] = [];
  #open: Failures[] = [];
  #end = Number.NEGATIVE_INFINITY;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  take(event: Failures, banned: boolean): void {
    const { maxretry, findtime, bantime } = this.#plan;
    if (event.time < this.#end) {
      expect(banned).toBe(false);
      return;
    }
    this.#end = Number.NEGATIVE_INFINITY;
    const newest = Math.max(event.time, ...this.#open.map(({ time }) => time));
    if (newest - event.time <= findtime) {
      this.#seen.push(event);
      this.#open = [...this.#open, event].filter(({ time }) => newest - time <= findtime);
    }
    if (banned) {
      expect(most(this.#seen, findtime)).toBeGreaterThanOrEqual(maxretry);
      this.#seen = [];
      this.#open = [];
      this.#end = newest + bantime;
    } else expect(most(this.#open, (findtime * 15) / 16)).toBeLessThan(maxretry);
  }
}

const anyPlan: fc.Arbitrary<Plan> = fc
  .record({
    maxretry: fc.oneof(fc.integer({ min: 17, max: 60 }), fc.constantFrom(17, 100, 300, 999, 1_000)),
    findtime: fc.oneof(fc.integer({ min: 1, max: 64 }), fc.constantFrom(600, 3_600, 65_536, 86_400, 2_592_000)),
    bantime: fc.constantFrom(1, 600),
    start: fc.constantFrom(1_763_694_928, 2_147_483_600, 4_000_000_000),
    ordered: fc.boolean(),
    restart: fc.nat(60),
  })
  .chain(({ maxretry, findtime, start, ordered, ...rest }) => {
    const edge = fc
      .tuple(fc.nat(40), fc.integer({ min: -1, max: 1 }))
      .map(([parts, slip]) => Math.round((parts * findtime) / 16) + slip);
    const event = fc.record({
      time: fc.oneof(edge, fc.nat(findtime * 2)).map((time) => start + time),
      count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: Math.ceil(maxretry / 4) }), fc.constant(maxretry - 1)),
    });
    const events = fc.array(event, { minLength: 1, maxLength: 60, size: 'max' });
    return events.map((list) => ({
      ...{ maxretry, findtime, ...rest },
      events: ordered ? list.toSorted((one, other) => one.time - other.time) : list,
    }));
  });

const source = v4('192.0.2.7');

async function run(build: Build, plan: Plan): Promise<number> {
  const { maxretry, findtime, bantime, events, restart } = plan;
  const jails = [{ maxretry, findtime, bantime, ipv6Prefix: 64 }];
  const make = (seed: [number, number]) => TableDriver.create({ build, jails, slots: 16, seed });
  let table = await make([1, 2]);
  const judge = new Judge(plan);
  let bans = 0;
  let latest = 0;
  for (const [index, event] of events.entries()) {
    if (index === restart) {
      const { layout, entryBytes, note, read } = table.engine.saveTable(latest);
      const chunks: Uint8Array[] = [];
      for (const into = new Uint8Array(entryBytes); read(into) > 0; ) chunks.push(into.slice());
      const saved = { layout, entryBytes, note: note.slice() };
      table = await make([3, 4]);
      table.engine.restoreTable(saved, [0], latest)!.take(Buffer.concat(chunks));
    }
    latest = Math.max(latest, event.time);
    const banned = table.fail(0, source, event.time, event.count) !== undefined;
    if (banned) bans++;
    judge.take(event, banned);
  }
  return bans;
}

describe.each<Build>(['wasm', 'plain'])('%s build', (build) => {
  test('both laws hold', async () => {
    let bans = 0;
    await fc.assert(
      fc.asyncProperty(anyPlan, async (plan) => {
        bans += await run(build, plan);
      }),
      { numRuns: 150 },
    );
    expect(bans).toBeGreaterThan(50);
  });
});
