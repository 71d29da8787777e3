/**
 * The table through a restart: another engine, with another seed, loads what an engine saved, and
 * continues as if it were the first. The judge is what comes next: the failure at which a source is
 * banned.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Build } from '../../src/engine/host.ts';
import type { RestoredEntries } from '../../src/engine/saved-table.ts';
import { addressOf, type DrivenJail, type Source, TableDriver, v4 } from '../support/table-driver.ts';

const start = 1_700_000_000;
const jail: DrivenJail = { maxretry: 3, findtime: 600, bantime: 3_600, ipv6Prefix: 64 };
const builds: Build[] = ['wasm', 'plain'];

function v6(high: bigint, low = 1n): Source {
  return { family: 6, value: (0x2001_0db8n << 96n) | (high << 64n) | low };
}

interface Saved {
  layout: number;
  entryBytes: number;
  note: Uint8Array;
  entries: Uint8Array;
}

/**
 * Everything that the engine saves at `now`, read in portions of `portion` bytes. Must be called
 * before the next engine is made, because there is only one plain engine at a time.
 */
function save(driver: TableDriver, now: number, portion = 100): Saved {
  const { layout, entryBytes, note, read } = driver.engine.saveTable(now);
  const chunks: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(portion);
    const length = read(into);
    if (length === 0) break;
    chunks.push(into.slice(0, length));
  }
  return { layout, entryBytes, note: note.slice(), entries: Buffer.concat(chunks) };
}

function restore(driver: TableDriver, saved: Saved, jailOf: number[], now: number): RestoredEntries {
  const restoring = driver.engine.restoreTable(saved, jailOf, now)!;
  restoring.take(saved.entries);
  return restoring.result;
}

const nothing: RestoredEntries = { bans: 0, windows: 0, over: 0, foreign: 0, crowded: 0 };

describe.each(builds)('a saved table (%s)', (build) => {
  const driver = (jails: DrivenJail[] = [jail], seed: [number, number] = [1, 2], slots = 64) =>
    TableDriver.create({ build, jails, slots, seed });

  test('keeps open windows: the failure that was missing bans', async () => {
    const before = await driver();
    const source = v4('192.0.2.1');
    before.fail(0, source, start);
    before.fail(0, source, start + 10);
    before.fail(0, v6(7n), start + 5);
    const saved = save(before, start + 20);
    const after = await driver([jail], [7, 8]);
    expect(restore(after, saved, [0], start + 20)).toEqual({ ...nothing, windows: 2 });
    expect(after.engine.tracked).toBe(2);
    expect(after.fail(0, source, start + 600)).toMatchObject({ failures: 3 });
    expect(after.fail(0, v6(7n, 99n), start + 600)).toBe(undefined);
    expect(after.fail(0, v6(7n, 3n), start + 605)).toMatchObject({ failures: 3 });
  });

  test('keeps the times of a window: what has left findtime meanwhile does not count', async () => {
    const before = await driver();
    const source = v4('192.0.2.1');
    before.fail(0, source, start);
    before.fail(0, source, start + 10);
    const saved = save(before, start + 20);
    const after = await driver([jail], [7, 8]);
    restore(after, saved, [0], start + 20);
    expect(after.fail(0, source, start + 601)).toBe(undefined);
    expect(after.fail(0, source, start + 602)).toMatchObject({ failures: 3 });
  });

  // Up to 16 a window is a list of failures, above it sub-counts.
  const limits = [2, 15, 16, 17, 18, 40];

  test.each(limits.flatMap((before) => limits.map((after) => [before, after] as const)))(
    'with maxretry %i keeps as many failures under maxretry %i: the ban comes neither sooner nor later',
    async (maxretryBefore, maxretryAfter) => {
      const source = v4('192.0.2.1');
      const before = await driver([{ ...jail, maxretry: maxretryBefore }]);
      const known = Math.min(maxretryBefore, maxretryAfter) - 1;
      for (let n = 0; n < known; n++) expect(before.fail(0, source, start + n)).toBeUndefined();
      const saved = save(before, start + known);
      const after = await driver([{ ...jail, maxretry: maxretryAfter }], [7, 8]);
      expect(restore(after, saved, [0], start + known)).toEqual({ ...nothing, windows: 1 });
      for (let n = known; n < maxretryAfter - 1; n++) expect(after.fail(0, source, start + n), `${n}`).toBeUndefined();
      expect(after.fail(0, source, start + maxretryAfter)).toMatchObject({ failures: maxretryAfter });
      // One failure that has left the window is one less.
      const late = await driver([{ ...jail, maxretry: maxretryAfter }], [7, 8]);
      if (known < maxretryAfter - 1 || maxretryBefore > 16 || maxretryAfter > 16) return;
      restore(late, saved, [0], start + known);
      expect(late.fail(0, source, start + jail.findtime + 1)).toBeUndefined();
    },
  );

  test('honours the time that passed', async () => {
    const before = await driver([jail, { ...jail, bantime: -1 }]);
    for (const number of [0, 1]) for (let i = 0; i < 3; i++) before.fail(number, v4('192.0.2.1'), start + i);
    before.fail(0, v4('192.0.2.2'), start);
    const saved = save(before, start + 10);
    const at = async (now: number): Promise<RestoredEntries> => {
      const after = await driver([jail, { ...jail, bantime: -1 }], [7, 8]);
      return restore(after, saved, [0, 1], now);
    };
    expect(await at(start + 10)).toEqual({ ...nothing, bans: 2, windows: 1 });
    expect(await at(start + 600)).toEqual({ ...nothing, bans: 2, windows: 1 });
    expect(await at(start + 601)).toEqual({ ...nothing, bans: 2, over: 1 });
    expect(await at(start + 3_601)).toEqual({ ...nothing, bans: 2, over: 1 });
    expect(await at(start + 3_602)).toEqual({ ...nothing, bans: 1, over: 2 });
  });

  test('leaves out windows that are over, and nothing else', async () => {
    const before = await driver();
    before.fail(0, v4('192.0.2.1'), start);
    before.fail(0, v4('192.0.2.2'), start + 300);
    expect(save(before, start + 600).entries.length).toBe(2 * before.engine.entryBytes);
    expect(save(before, start + 601).entries.length).toBe(before.engine.entryBytes);
  });

  test('brings bans back with their end, as decided, and has them come first', async () => {
    const before = await driver();
    for (let i = 0; i < 20; i++) before.fail(0, v4(`192.0.2.${i}`), start);
    before.engine.setBan(0, addressOf(v4('192.0.2.100')), start, start + 500);
    before.engine.setBan(0, addressOf(v6(5n)), start, Number.POSITIVE_INFINITY);
    const saved = save(before, start + 1);
    const after = await driver([jail], [7, 8]);
    restore(after, { ...saved, entries: saved.entries.subarray(0, 2 * saved.entryBytes) }, [0], start + 1);
    expect(after.engine.tracked).toBe(2);
    expect(after.engine.banEnd(0, addressOf(v4('192.0.2.100')))).toBe(start + 500);
    expect(after.engine.banEnd(0, addressOf(v6(5n)))).toBe(Number.POSITIVE_INFINITY);
    expect(after.engine.banEnd(0, addressOf(v4('192.0.2.1')))).toBe(undefined);
    const confirmed: boolean[] = [];
    after.engine.eachBan(0, 64, (ban) => confirmed.push(ban.confirmed));
    expect(confirmed).toEqual([false, false]);
  });

  test('follows its jails by name, whatever their number and width are now', async () => {
    const wide: DrivenJail = { ...jail, ipv6Prefix: 128, findtime: 100_000, maxretry: 5 };
    const before = await driver([jail, jail]);
    before.fail(0, v4('192.0.2.1'), start);
    before.fail(1, v4('192.0.2.1'), start);
    before.fail(1, v4('192.0.2.1'), start + 1);
    before.fail(1, v6(1n), start);
    const saved = save(before, start + 2);
    // The first jail is gone. The second one is now the third, behind a jail that makes keys and
    // steps wider.
    const after = await driver([wide, wide, jail], [7, 8]);
    expect(restore(after, saved, [-1, 2], start + 2)).toEqual({ ...nothing, windows: 2, foreign: 1 });
    expect(after.fail(2, v4('192.0.2.1'), start + 3)).toMatchObject({ jail: 2, failures: 3 });
    after.fail(2, v6(1n), start + 3);
    expect(after.fail(2, v6(1n, 9n), start + 4)).toMatchObject({ failures: 3 });
    // Then back to narrow ones.
    const savedAgain = save(after, start + 5);
    const again = await driver([jail], [9, 9]);
    expect(restore(again, savedAgain, [-1, -1, 0], start + 5)).toMatchObject({ bans: 2, foreign: 0 });
  });

  test('keeps windows of more than 18 hours', async () => {
    const long: DrivenJail = { ...jail, maxretry: 4, findtime: 200_000 };
    const before = await driver([long]);
    for (const time of [0, 70_000, 140_000]) before.fail(0, v4('192.0.2.1'), start + time);
    for (const time of [0, 70_000, 140_000]) before.fail(0, v4('192.0.2.2'), start + time);
    const saved = save(before, start + 140_000);
    const after = await driver([long], [7, 8]);
    expect(restore(after, saved, [0], start + 140_000)).toEqual({ ...nothing, windows: 2 });
    expect(after.fail(0, v4('192.0.2.1'), start + 200_000)).toMatchObject({ failures: 4 });
    expect(after.fail(0, v4('192.0.2.2'), start + 200_001)).toBe(undefined);
    expect(after.fail(0, v4('192.0.2.2'), start + 200_002)).toMatchObject({ failures: 4 });
  });

  test('is not read into less than an entry', async () => {
    const before = await driver();
    const { entryBytes } = before.engine;
    before.fail(0, v4('192.0.2.1'), start);
    const { read } = before.engine.saveTable(start);
    expect(() => read(new Uint8Array(entryBytes - 1))).toThrow('no room for one entry');
    expect(read(new Uint8Array(entryBytes))).toBe(entryBytes);
  });

  test('of a jail that the list does not know is left out', async () => {
    const before = await driver([jail, jail]);
    before.fail(0, v4('192.0.2.1'), start);
    before.fail(1, v4('192.0.2.1'), start);
    const saved = save(before, start);
    const after = await driver([jail], [7, 8]);
    expect(restore(after, saved, [0, -1], start)).toEqual({ ...nothing, windows: 1, foreign: 1 });
    // Entries that name a third jail (in the upper half of the word behind the key), where there
    // were two jails.
    const forged = saved.entries.slice();
    for (let at = 0; at < forged.length; at += saved.entryBytes) forged[at + 10] = 3;
    expect(restore(await driver([jail], [7, 8]), { ...saved, entries: forged }, [0, 0], start)).toEqual({
      ...nothing,
      foreign: 2,
    });
  });

  test('an IPv6 source tracked under another prefix is not loaded', async () => {
    const before = await driver();
    before.fail(0, v6(1n), start);
    before.fail(0, v4('192.0.2.1'), start);
    const saved = save(before, start);
    const after = await driver([{ ...jail, ipv6Prefix: 56 }], [7, 8]);
    expect(restore(after, saved, [0], start)).toEqual({ ...nothing, windows: 1, foreign: 1 });
  });

  test('an IPv4 source tracked under another prefix is not believed, one of the same is', async () => {
    const wide = { ...jail, ipv4Prefix: 24 };
    const before = await driver([wide]);
    before.fail(0, v6(1n), start);
    before.fail(0, v4('192.0.2.1'), start);
    for (const last of [7, 8, 9]) before.fail(0, v4(`198.51.100.${last}`), start);
    const saved = save(before, start);
    expect(restore(await driver([jail], [7, 8]), saved, [0], start)).toEqual({ ...nothing, windows: 1, foreign: 2 });
    const after = await driver([wide], [7, 8]);
    expect(restore(after, saved, [0], start)).toEqual({ ...nothing, windows: 2, bans: 1 });
    expect(after.fail(0, v4('192.0.2.2'), start + 1)).toBe(undefined);
    expect(after.fail(0, v4('192.0.2.3'), start + 2)).toMatchObject({ failures: 3 });
    expect(after.fail(0, v4('198.51.100.10'), start + 2)).toBe(undefined);
  });

  test('fits a window to a lower maxretry and findtime', async () => {
    const before = await driver([{ ...jail, maxretry: 6 }]);
    for (const time of [0, 100, 200, 300]) before.fail(0, v4('192.0.2.1'), start + time);
    before.fail(0, v4('192.0.2.2'), start);
    before.fail(0, v4('192.0.2.2'), start + 300);
    const saved = save(before, start + 300);
    for (const maxretry of [1, 2, 3]) {
      const after = await driver([{ ...jail, maxretry, findtime: 250 }], [7, 8]);
      expect(restore(after, saved, [0], start + 300)).toMatchObject({ windows: 2 });
      expect(after.fail(0, v4('192.0.2.1'), start + 301)).toMatchObject({ failures: maxretry });
      expect(after.fail(0, v4('192.0.2.2'), start + 301) === undefined).toBe(maxretry === 3);
    }
  });

  test('into a table that is too small: bans stay, nothing is evicted, what has no room is counted', async () => {
    const before = await driver([jail], [1, 2], 512);
    for (let i = 0; i < 4; i++) before.engine.setBan(0, addressOf(v4(`198.51.100.${i}`)), start, start + 9_999);
    for (let i = 0; i < 200; i++) before.fail(0, v4(`192.0.2.${i}`), start);
    const saved = save(before, start);
    const after = await driver([jail], [7, 8], 16);
    const result = restore(after, saved, [0], start);
    expect(result.bans).toBe(4);
    expect(result.bans + result.windows).toBe(16);
    expect(result.windows + result.crowded).toBe(200);
    for (let i = 0; i < 4; i++) expect(after.engine.isBanned(0, addressOf(v4(`198.51.100.${i}`)))).toBe(true);
  });

  test('remembers how often a source was banned', async () => {
    const escalation = { bantimes: [100, 1_000], randomSeconds: 0, memorySeconds: 5_000, allJails: false };
    const jails = [{ ...jail, maxretry: 1, bantime: 10, escalation }];
    const before = await driver(jails);
    expect(before.fail(0, v4('192.0.2.1'), start)).toMatchObject({ seconds: 10, bans: 1 });
    const saved = save(before, start + 50);
    const after = await driver(jails, [7, 8]);
    expect(restore(after, saved, [0], start + 50)).toMatchObject({ bans: 1 });
    expect(after.fail(0, v4('192.0.2.1'), start + 60)).toMatchObject({ seconds: 100, bans: 2 });
  });

  test('keeps a window where maxretry goes beyond what is kept one by one, and back', async () => {
    const source = v4('192.0.2.1');
    const many = { ...jail, maxretry: 40 };
    const before = await driver();
    before.fail(0, source, start);
    before.fail(0, source, start + 10);
    const saved = save(before, start + 20);
    const counted = await driver([many], [7, 8]);
    expect(restore(counted, saved, [0], start + 20)).toEqual({ ...nothing, windows: 1 });
    expect(counted.fail(0, source, start + 30, 37)).toBe(undefined);
    const again = save(counted, start + 30);
    expect(counted.fail(0, source, start + 40, 1)).toMatchObject({ failures: 40 });

    const exact = await driver([{ ...jail, maxretry: 5, findtime: 900 }], [9, 9]);
    expect(restore(exact, again, [0], start + 30)).toEqual({ ...nothing, windows: 1 });
    expect(exact.fail(0, source, start + 500)).toMatchObject({ failures: 5 });
  });

  test('keeps sub-counts where findtime is as it was', async () => {
    const source = v4('192.0.2.1');
    const many = { ...jail, maxretry: 1_000 };
    const before = await driver([many]);
    for (let i = 0; i < 9; i++) before.fail(0, source, start + i * 60, 111);
    const saved = save(before, start + 500);
    const other = await driver([{ ...many, findtime: 1_200 }], [7, 8]);
    expect(restore(other, saved, [0], start + 500)).toEqual({ ...nothing, foreign: 1 });
    const same = await driver([many], [7, 8]);
    expect(restore(same, saved, [0], start + 500)).toEqual({ ...nothing, windows: 1 });
    expect(same.fail(0, source, start + 540, 1)).toMatchObject({ failures: 1_000 });
  });

  test('entries of an unknown form are refused', async () => {
    const saved = save(await driver(), start);
    const after = await driver();
    expect(after.engine.restoreTable({ ...saved, layout: 1 }, [0], start)).toBe(null);
    expect(after.engine.restoreTable({ ...saved, entryBytes: 32 }, [0], start)).toBe(null);
    expect(after.engine.restoreTable(saved, [0, 1], start)).toBe(null);
    expect(after.engine.restoreTable({ ...saved, note: Uint8Array.of(7, 2, 1, 64) }, [0], start)).toBe(null);
  });
});

test('any history goes on after a restart as it would have without one', async () => {
  const jails: DrivenJail[] = [
    { maxretry: 4, findtime: 50, bantime: 30, ipv6Prefix: 64 },
    { maxretry: 2, findtime: 20, bantime: -1, ipv6Prefix: 64 },
  ];
  const failure = fc.record({ jail: fc.nat(1), source: fc.nat(5), wait: fc.nat(25) });
  const sources = [v4('192.0.2.1'), v4('192.0.2.2'), v4('0.0.0.0'), v6(0n), v6(1n), v6(0xffff_ffffn)];
  await fc.assert(
    fc.asyncProperty(
      fc.array(failure, { maxLength: 40 }),
      fc.array(failure, { maxLength: 40 }),
      async (first, second) => {
        const options = { build: 'wasm' as const, jails, slots: 256 };
        const whole = await TableDriver.create({ ...options, seed: [1, 2] });
        const after = await TableDriver.create({ ...options, seed: [3, 4] });
        let now = start;
        for (const { jail: number, source, wait } of first) {
          now += wait;
          whole.fail(number, sources[source]!, now);
        }
        restore(after, save(whole, now, 64 + (first.length % 64)), [0, 1], now);
        for (const { jail: number, source, wait } of second) {
          now += wait;
          expect(after.fail(number, sources[source]!, now)).toEqual(whole.fail(number, sources[source]!, now));
        }
      },
    ),
    { numRuns: 60 },
  );
});
