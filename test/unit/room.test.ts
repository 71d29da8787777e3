/**
 * Room for bans in the kernel: how many bans are lifted, and when none. The table decides the
 * order.
 */
import { expect, test } from 'vitest';
import type { Settings } from '../../src/enforcer/delivery.ts';
import { Room } from '../../src/enforcer/room.ts';
import { banBatchMax, roomShare } from '../../src/limits.ts';

const bansMax = roomShare * 4;
const second = 1_000;

/**
 * A room over a table that holds `held` bans, with a record of what it asked the table and the
 * kernel.
 */
function roomOf(held: number, limits: { bansMax?: number; backend?: number; slots?: number } = {}) {
  const asked = { counted: [] as number[], lifted: [] as number[], batches: [] as number[], ended: [] as number[][] };
  const counters = { lifted: 0 };
  const warned: object[] = [];
  const settings = {
    now: () => 7.5 * second,
    bansMax: limits.bansMax ?? bansMax,
    jails: [{ name: 'sshd' }],
    log: { warn: (_: string, facts: object) => warned.push(facts) },
    backend: {
      ...(limits.backend === undefined ? {} : { bansMax: limits.backend }),
      apply: async (changes: { verb: string; jail: string }[]) => {
        expect(changes.every(({ verb, jail }) => verb === 'unban' && jail === 'sshd')).toBe(true);
        asked.batches.push(changes.length);
      },
    },
    engine: {
      slots: limits.slots ?? 1_000,
      countHeld: (at: number) => {
        asked.counted.push(at);
        return held;
      },
      soonestBans: (at: number, count: number) => {
        expect(at).toBe(7);
        asked.lifted.push(count);
        return Array.from({ length: Math.min(count, held) }, (_, index) => ({ jail: 0, address: index }));
      },
      setBan: (...words: number[]) => asked.ended.push(words),
    },
  } as unknown as Settings;
  return { room: new Room(settings, counters as never), asked, counters, warned };
}

test('the bound is what was set, half of the table where nothing was, and never more than the backend holds', () => {
  expect(roomOf(0).room.bansMax).toBe(bansMax);
  expect(roomOf(0, { bansMax: 0, slots: 11 }).room.bansMax).toBe(5);
  expect(roomOf(0, { backend: 3 }).room.bansMax).toBe(3);
});

test('bans that fit a part of the room beforehand are lifted, and the spare ones with the last that fits', async () => {
  const spare = bansMax / roomShare;
  const { room, asked, counters, warned } = roomOf(bansMax - spare - 1);
  await room.make(1);
  expect(asked).toMatchObject({ counted: [7.5], lifted: [], batches: [] });
  // Bans that are known to fit are not counted again.
  await room.make(spare + 1);
  expect(asked.counted).toHaveLength(1);
  room.add(spare + 1);
  await room.make(1);
  expect(asked.counted).toHaveLength(2);
  expect([counters.lifted, warned]).toEqual([0, []]);
});

test('over the bound as many are lifted as are too many, and the spare ones', async () => {
  const { room, asked, counters, warned } = roomOf(bansMax);
  await room.make(2);
  const count = 2 + bansMax / roomShare;
  expect(asked.lifted).toEqual([count]);
  expect(asked.batches.reduce((sum, size) => sum + size, 0)).toBe(count);
  expect(Math.max(...asked.batches)).toBeLessThanOrEqual(banBatchMax);
  expect(asked.ended[0]).toEqual([0, 0, 7, 7]);
  expect(counters.lifted).toBe(count);
  expect(warned).toEqual([{ bans: count, bansMax }]);
  // Now there is room, and the count says so.
  await room.make(2);
  expect(asked.lifted).toHaveLength(1);
  room.recount();
  await room.make(2);
  expect(asked.counted).toHaveLength(2);
});

test('many bans are lifted in several transactions, each no longer than a batch', async () => {
  const held = 2 * banBatchMax;
  const { room, asked, counters } = roomOf(held, { bansMax: 1 });
  await room.make(1);
  expect(asked.batches).toEqual([banBatchMax, banBatchMax]);
  expect(asked.ended).toHaveLength(held);
  expect(counters.lifted).toBe(held);
});

test('where the table has no ban to lift nothing is said', async () => {
  const { room, asked, warned } = roomOf(0, { bansMax: 1 });
  await room.make(3);
  expect(asked).toMatchObject({ lifted: [2], batches: [] });
  expect(warned).toEqual([]);
});
