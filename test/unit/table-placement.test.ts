/**
 * Where the table puts its entries: every source has two sets and goes into the emptier one. So the
 * table is well filled before it gives up any entry, and the entries that it then gives up are old.
 */
import { describe, expect, test } from 'vitest';
import { DENIED, EVICTIONS } from '../../src/engine/counters.ts';
import { type Build, Engine } from '../../src/engine/host.ts';
import * as layout from '../../src/engine/layout.ts';
import type { EvictionPolicy } from '../../src/types.ts';
import { addressOf, type Source, TableDriver } from '../support/table-driver.ts';

const start = 1_773_144_000;
const slots = 8_192;
/** One failure is a ban, so that `eachBan` shows every entry. */
const jails = [{ maxretry: 1, findtime: 600, bantime: 86_400, ipv6Prefix: 64 }];
const seeds: [number, number][] = [
  [1, 2],
  [-7, 0x1234_5678],
  [0, 0],
];

/** IPv4 and IPv6 in turn. */
function source(n: number): Source {
  if (n % 2 === 0) return { family: 4, value: BigInt(0x0a00_0000 + n) };
  return { family: 6, value: (0x2001_0db8n << 96n) | (BigInt(n) << 64n) | 7n };
}

function make(build: Build, seed: [number, number], policy: EvictionPolicy): Promise<TableDriver> {
  return TableDriver.create({ build, jails, slots, policy, seed });
}

/** Fills the table up to the first source that finds no place. Returns how many found one. */
async function filled(build: Build, seed: [number, number]): Promise<{ table: TableDriver; count: number }> {
  const table = await make(build, seed, 'deny_new');
  let count = 0;
  for (; table.engine.counter(DENIED) === 0; count++) table.fail(0, source(count), start);
  return { table, count: count - 1 };
}

describe.each(['plain', 'wasm'] as const)('%s build', (build) => {
  test.each(seeds)(
    'two thirds of the table are filled before a source finds no place: seed %i, %i',
    async (...seed) => {
      const { table, count } = await filled(build, seed);
      expect(count).toBeGreaterThan((slots * 2) / 3);
      expect(count).toBeLessThan(slots);
      expect(table.engine.tracked).toBe(count);
    },
  );

  test('what is given up in a full table has not been seen for a third of its entries', async () => {
    const table = await make(build, [5, 6], 'evict_oldest');
    const { engine } = table;
    let next = 0;
    // One source a second, so that an entry tells when its source came.
    for (; next < 2 * slots; next++) {
      table.fail(0, source(next), start + next);
      engine.confirmBan(0, addressOf(source(next), 64));
      engine.takeDenials(() => {});
    }
    expect(engine.tracked).toBe(slots);
    expect(engine.counter(EVICTIONS)).toBe(next - slots);
    const held = new Set<string>();
    engine.eachBan(0, slots, ({ address }) => held.add(`${address.bytes}`));
    expect(held.size, 'nobody is there twice').toBe(slots);
    const lost = Array.from({ length: slots / 3 }, (_, age) => next - 1 - age).filter(
      (n) => !engine.isBanned(0, addressOf(source(n), 64)),
    );
    expect(lost).toEqual([]);
  });

  test('a source stays in one place, whichever of its sets has room in between', async () => {
    const table = await make(build, [9, 10], 'deny_new');
    const { engine } = table;
    const count = slots / 2;
    for (let n = 0; n < count; n++) table.fail(0, source(n), start);
    for (let n = 0; n < count; n += 3) engine.forget(0, addressOf(source(n), 64));
    const freed = Math.ceil(count / 3);
    expect(engine.tracked).toBe(count - freed);
    for (let n = 0; n < count; n++) table.fail(0, source(n), start + 1);
    expect(engine.tracked).toBe(count);
    const held = new Set<string>();
    engine.eachBan(0, slots, ({ address }) => held.add(`${address.bytes}`));
    expect(held.size).toBe(count);
  });

  test('a table two thirds full comes back whole under another seed', async () => {
    const table = await make(build, [3, 4], 'evict_oldest');
    const count = Math.floor((slots * 2) / 3);
    for (let n = 0; n < count; n++) table.fail(0, source(n), start);
    const saved = table.engine.saveTable(start + 1);
    const portions: Uint8Array[] = [];
    for (;;) {
      const into = new Uint8Array(32_768);
      const length = saved.read(into);
      if (length === 0) break;
      portions.push(into.subarray(0, length));
    }
    for (const seed of seeds) {
      const { engine } = await make(build, seed, 'evict_oldest');
      const restoring = engine.restoreTable(saved, [0], start + 2)!;
      for (const portion of portions) restoring.take(portion);
      expect(restoring.result).toMatchObject({ bans: count, crowded: 0 });
    }
  });
});

test('the seed of a start is two words that say nothing of each other, nor of the next start', async () => {
  const words = new Set<number>();
  const jail = { filter: 'sshd', mode: '', ignore: [], ...jails[0]! };
  for (let starts = 0; starts < 4; starts++) {
    const { buffer } = await Engine.create({ build: 'wasm', jails: [jail], tableBytes: 1 << 20 });
    const memory = new Int32Array(buffer.buffer);
    for (const at of [0, 4]) words.add(memory[(layout.SEED + at) >> 2]!);
  }
  // Two equal words among eight of 32 bits: one run in 150 million.
  expect(words.size).toBe(8);
});
