/**
 * When the state keeper saves, over a clock and a disk of the test's making: how soon after a
 * change, how often, how long logs may wait for it, and what comes after a failure.
 */
import { statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import * as limits from '../../src/limits.ts';
import type { JournalCursor } from '../../src/sources/journal/journal.ts';
import { StateKeeper } from '../../src/state/keeper.ts';
import { loadState } from '../../src/state/load.ts';
import type { StateDisk } from '../../src/state/save.ts';
import type { IgnoredByHand } from '../../src/types.ts';
import { rememberingLog, temporaryDirectory } from '../support/control.ts';
import { CollectingVisitor, samplePosition } from '../support/state.ts';
import { until } from '../support/until.ts';

const home = { path: '', remove: (): void => {} };
const intervalSeconds = 600;

/** The monotonic clock and the timers of the program, which stand still until told. */
const clock = {
  now: 0,
  timers: new Map<object, { at: number; run: () => void }>(),
  /** When timers are due, from now on. */
  get due(): number[] {
    return [...this.timers.values()].map(({ at }) => at - this.now).toSorted((one, other) => one - other);
  },
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      const next = [...this.timers]
        .filter(([, { at }]) => at <= end)
        .toSorted(([, one], [, other]) => one.at - other.at)[0];
      if (next === undefined) break;
      this.timers.delete(next[0]);
      this.now = next[1].at;
      next[1].run();
      await settled();
    }
    this.now = end;
    await settled();
  },
};

/** A save passes some system calls of the thread pool. */
async function realUntil(state: () => boolean): Promise<void> {
  for (let turn = 0; turn < 20 && !state(); turn++) await new Promise(setImmediate);
  await until(state);
}

/** Whether a save is under way that does not wait for the disk. */
let isBusy = (): boolean => false;
async function settled(): Promise<void> {
  await realUntil(() => !isBusy());
  await new Promise(setImmediate);
}

beforeEach(() => {
  Object.assign(home, temporaryDirectory());
  clock.now = 1_000_000;
  clock.timers.clear();
  isBusy = () => false;
  vi.spyOn(performance, 'now').mockImplementation(() => clock.now);
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms: number) => {
    const handle = {};
    clock.timers.set(handle, { at: clock.now + ms, run });
    return handle;
  }) as never);
  vi.spyOn(globalThis, 'clearTimeout').mockImplementation(((handle: object) => clock.timers.delete(handle)) as never);
});
afterEach(() => {
  vi.restoreAllMocks();
  home.remove();
});

interface Setting {
  /** Between two saves. */
  seconds?: number;
  /** Bytes of the table. */
  tableBytes?: number;
  ignored?: IgnoredByHand[];
}

/** A keeper, started; the first save is over. */
async function keeping({ tableBytes = 0, seconds = intervalSeconds, ignored }: Setting = {}) {
  const path = join(home.path, 'state');
  const log = rememberingLog();
  const engine = { bytesRead: 0, tables: 0, restored: [] as unknown[] };
  const readers = { pauses: 0, unpauses: 0, isPaused: false };
  /** A write waits while `held`, and fails with `error`. */
  const disk = {
    held: undefined as Promise<void> | undefined,
    isWaiting: false,
    letGo: (): void => {},
    error: undefined as string | undefined,
  };
  const hold = (): void => {
    disk.held = new Promise((resolve) => {
      disk.letGo = () => {
        disk.held = undefined;
        disk.isWaiting = false;
        resolve();
      };
    });
  };
  const fake: StateDisk = {
    open: async () => ({
      write: async (_, __, length) => {
        disk.isWaiting = disk.held !== undefined;
        await disk.held;
        if (disk.error !== undefined) throw Object.assign(new Error(`${disk.error}: injected`), { code: disk.error });
        return { bytesWritten: length };
      },
      sync: async () => {},
      close: async () => {},
    }),
    rename: async () => {},
    unlink: async () => {},
  };
  const keeper = new StateKeeper({
    path,
    intervalSeconds: seconds,
    jails: ['sshd'],
    engine: {
      counter: () => engine.bytesRead,
      saveTable: () => {
        engine.tables++;
        let left = tableBytes;
        const read = (into: Uint8Array): number => {
          const length = Math.min(left, into.length - (into.length % 8));
          left -= length;
          return length;
        };
        return { layout: 1, entryBytes: 8, note: new Uint8Array(4), read };
      },
      restoreTable: () => null,
    },
    ...(ignored && { ignored: { byHand: ignored, ignore: () => {} } }),
    log,
    now: () => clock.now + 1_700_000_000_000,
    bootTime: () => undefined,
    disk: fake,
  });
  isBusy = () => keeper.saving !== undefined && !disk.isWaiting;
  keeper.start({
    pause: () => {
      readers.pauses++;
      readers.isPaused = true;
    },
    unpause: () => {
      readers.unpauses++;
      readers.isPaused = false;
    },
    positions: () => [samplePosition(1)],
    histories: () => [],
  });
  await clock.advance(0);
  expect(keeper.counters.saves).toBe(1);
  const saves = (): number => keeper.counters.saves - 1;
  return { keeper, log, engine, readers, disk, hold, path, saves };
}

describe('a change', () => {
  test('is saved after a moment, once however many there are, and the next of a stream later', async () => {
    const { keeper, saves, readers } = await keeping();
    expect(clock.due).toEqual([intervalSeconds * 1000]);
    for (const [index, ms] of [1, 2, 4, 4].entries()) {
      keeper.changed();
      keeper.changed();
      const wait = ms * limits.stateSoonMs;
      expect(clock.due[0]).toBe(wait);
      expect(clock.due).toHaveLength(1);
      await clock.advance(wait - 1);
      expect(saves()).toBe(index);
      await clock.advance(1);
      expect(saves()).toBe(index + 1);
    }
    expect(limits.stateSoonMsMax).toBe(4 * limits.stateSoonMs);
    expect(readers).toEqual({ pauses: 5, unpauses: 5, isPaused: false });
    await keeper.stop();
  });

  test('before the start, or after the stop, is saved by these', async () => {
    const { keeper, saves } = await keeping();
    await keeper.stop();
    expect([saves(), clock.due]).toEqual([1, []]);
    keeper.changed();
    expect(clock.due).toEqual([]);
    await keeper.stop();
    expect(saves()).toBe(1);
  });

  test('while a save runs is saved after it, and not forgotten', async () => {
    const { keeper, saves, disk, hold } = await keeping();
    hold();
    keeper.changed();
    await clock.advance(limits.stateSoonMs);
    expect(keeper.saving).toBeInstanceOf(Promise);
    keeper.changed();
    // Nothing is planned while it runs.
    expect(clock.due).toEqual([]);
    disk.letGo();
    await settled();
    expect(keeper.saving).toBe(undefined);
    expect(saves()).toBe(1);
    expect(clock.due).toEqual([2 * limits.stateSoonMs]);
    await clock.advance(2 * limits.stateSoonMs);
    expect(saves()).toBe(2);
    await keeper.stop();
  });

  test('waits longer where the file is large', async () => {
    const { keeper, saves } = await keeping({ tableBytes: 8 * limits.stateBytesPerSecond });
    const { bytes } = keeper.counters;
    expect(bytes).toBeGreaterThan(8 * limits.stateBytesPerSecond);
    keeper.changed();
    expect(clock.due[0]).toBeCloseTo((bytes / limits.stateBytesPerSecond) * 1000, 3);
    await clock.advance(8_000);
    expect(saves()).toBe(0);
    await clock.advance(100);
    expect(saves()).toBe(1);
    await keeper.stop();
  });
});

describe('at each interval', () => {
  test('that is short, a change later than that puts nothing off', async () => {
    const { keeper, saves } = await keeping({ seconds: 1 });
    for (const wait of [1, 1, 1]) {
      keeper.changed();
      expect(clock.due).toEqual([wait * limits.stateSoonMs]);
      await clock.advance(wait * limits.stateSoonMs);
    }
    expect(saves()).toBe(3);
    await keeper.stop();
  });

  test('what was read is saved, and nothing where nothing was', async () => {
    const { keeper, saves, engine } = await keeping();
    await clock.advance(intervalSeconds * 1000);
    expect([saves(), clock.due]).toEqual([0, [intervalSeconds * 1000]]);
    engine.bytesRead++;
    await clock.advance(intervalSeconds * 1000 - 1);
    expect(saves()).toBe(0);
    await clock.advance(1);
    expect([saves(), clock.due]).toEqual([1, [intervalSeconds * 1000]]);
    await clock.advance(intervalSeconds * 1000);
    expect(saves()).toBe(1);
    await keeper.stop();
  });

  test('a large file is not saved more often than the disk is to bear', async () => {
    const seconds = 2 * intervalSeconds;
    const { keeper, saves, engine } = await keeping({ tableBytes: 40 * limits.stateBytesPerSecond });
    expect(clock.due).toEqual([intervalSeconds * 1000]);
    engine.bytesRead++;
    await clock.advance(seconds * 1000);
    expect(saves()).toBe(1);
    expect(keeper.counters.bytes).toBeGreaterThan(40 * limits.stateBytesPerSecond);
    await keeper.stop();
  });
});

describe('a save that fails', () => {
  test('is tried again, later each time, and no change is tried sooner', async () => {
    const { keeper, saves, disk, log } = await keeping();
    disk.error = 'EIO';
    keeper.changed();
    await clock.advance(limits.stateSoonMs);
    expect(keeper.problem).toBe(`state not saved to ${join(home.path, 'state')}: write: EIO: injected`);
    for (const [index, wait] of [1, 2, 4, 8].entries()) {
      keeper.changed();
      expect(clock.due).toEqual([wait * limits.stateRetryMs]);
      expect(keeper.counters.failures).toEqual(new Map([['EIO', index + 1]]));
      await clock.advance(wait * limits.stateRetryMs);
    }
    expect(log.said.filter(({ text }) => text === 'state not saved')).toEqual([
      { level: 'error', text: 'state not saved', fields: { error: keeper.problem } },
    ]);
    disk.error = 'ENOSPC';
    await clock.advance(16 * limits.stateRetryMs);
    expect(keeper.counters.failures).toEqual(
      new Map([
        ['EIO', 5],
        ['ENOSPC', 1],
      ]),
    );
    expect(log.said.filter(({ text }) => text === 'state not saved')).toHaveLength(2);
    disk.error = undefined;
    await clock.advance(32 * limits.stateRetryMs);
    expect([saves(), keeper.problem]).toEqual([1, undefined]);
    expect(log.said.at(-1)).toEqual({
      level: 'info',
      text: 'the state is saved again',
      fields: { path: join(home.path, 'state') },
    });
    expect(clock.due).toEqual([intervalSeconds * 1000]);
    // A change is saved soon again.
    keeper.changed();
    expect(clock.due).toEqual([limits.stateSoonMs]);
    await keeper.stop();
    expect(log.said.filter(({ text }) => text === 'the state is saved again')).toHaveLength(1);
  });

  test('is tried at least as often as one would be saved', async () => {
    const { keeper, disk, engine } = await keeping();
    disk.error = 'EROFS';
    engine.bytesRead++;
    await clock.advance(intervalSeconds * 1000);
    for (let round = 0; round < 15; round++) {
      expect(clock.due[0]).toBe(Math.min(2 ** round * limits.stateRetryMs, intervalSeconds * 1000));
      await clock.advance(clock.due[0]!);
    }
    expect(keeper.counters.failures.get('EROFS')).toBe(16);
    expect(keeper.counters.saves).toBe(1);
  });
});

describe('logs that wait', () => {
  test('go on at once where the disk fails, and may wait no longer the next time', async () => {
    const { keeper, readers, disk, hold } = await keeping({ tableBytes: 2 * limits.statePortionBytes });
    disk.error = 'EIO';
    for (let round = 0; round < 3; round++) {
      keeper.changed();
      await clock.advance(clock.due[0]!);
      expect(readers.isPaused).toBe(false);
      expect(keeper.counters.failures.get('EIO')).toBe(round + 1);
    }
    disk.error = undefined;
    hold();
    await clock.advance(clock.due[0]!);
    await clock.advance(limits.statePauseMsMax - 1);
    expect(readers.isPaused).toBe(true);
    await clock.advance(1);
    expect(readers.isPaused).toBe(false);
    disk.letGo();
    await settled();
    expect(readers.pauses).toBe(readers.unpauses);
  });

  test('go on after the bound, and the next save may take twice as long, up to another', async () => {
    const { keeper, readers, disk, hold, saves } = await keeping({ tableBytes: 2 * limits.statePortionBytes });
    let allowed = limits.statePauseMsMax;
    keeper.changed();
    for (let round = 0; round < 5; round++) {
      hold();
      await clock.advance(clock.due[0]!);
      expect(readers.isPaused).toBe(true);
      await clock.advance(allowed - 1);
      expect(readers.isPaused).toBe(true);
      await clock.advance(1);
      expect(readers.isPaused).toBe(false);
      disk.letGo();
      await settled();
      expect(keeper.problem).toContain(
        `the disk took longer than the ${allowed} ms for which reading of logs may wait`,
      );
      expect(keeper.counters.failures.get('ETIMEDOUT')).toBe(round + 1);
      allowed = Math.min(2 * allowed, limits.statePauseMsLongest);
    }
    expect(allowed).toBe(limits.statePauseMsLongest);
    expect(keeper.counters.pauseLongestMs).toBe(limits.statePauseMsLongest);
    await clock.advance(clock.due[0]!);
    expect([saves(), keeper.problem]).toEqual([1, undefined]);
    hold();
    keeper.changed();
    await clock.advance(clock.due[0]!);
    await clock.advance(limits.statePauseMsMax - 1);
    expect(readers.isPaused).toBe(true);
    await clock.advance(1);
    expect(readers.isPaused).toBe(false);
    expect(readers.pauses).toBe(readers.unpauses);
    disk.letGo();
    await settled();
    await keeper.stop();
  });

  test('go on as soon as a small table is copied, while the disk takes its time', async () => {
    const { keeper, readers, disk, hold, saves } = await keeping();
    hold();
    keeper.changed();
    await clock.advance(limits.stateSoonMs);
    expect([readers.isPaused, saves()]).toEqual([false, 0]);
    expect(clock.due).toEqual([]);
    clock.now += 10 * limits.statePauseMsMax;
    disk.letGo();
    await settled();
    expect([saves(), keeper.problem, keeper.counters.pauseLongestMs]).toEqual([1, undefined, 0]);
    expect(keeper.counters.savedAt).toBe((clock.now + 1_700_000_000_000) / 1000);
    await keeper.stop();
  });
});

describe('the stop', () => {
  test('saves once more, after a save that runs', async () => {
    const { keeper, saves, disk, hold, readers } = await keeping();
    hold();
    keeper.changed();
    await clock.advance(limits.stateSoonMs);
    let isStopped = false;
    const stopping = keeper.stop().then(() => {
      isStopped = true;
    });
    await settled();
    expect([saves(), isStopped]).toEqual([0, false]);
    expect(clock.due).toEqual([limits.stateStopMs]);
    disk.letGo();
    await stopping;
    expect(saves()).toBe(2);
    expect(clock.due).toEqual([]);
    expect(readers.pauses).toBe(readers.unpauses);
  });

  test('does not wait for a disk that hangs longer than its bound', async () => {
    const { keeper, saves, hold, disk } = await keeping();
    hold();
    let isStopped = false;
    void keeper.stop().then(() => {
      isStopped = true;
    });
    await realUntil(() => disk.isWaiting);
    await clock.advance(limits.stateStopMs - 1);
    expect(isStopped).toBe(false);
    await clock.advance(1);
    expect([saves(), isStopped]).toEqual([0, true]);
    disk.letGo();
    await settled();
  });

  test('of a keeper that never began saves nothing', async () => {
    const keeper = new StateKeeper({
      path: join(home.path, 'state'),
      intervalSeconds,
      jails: [],
      engine: {} as never,
      log: rememberingLog(),
    });
    keeper.changed();
    expect(clock.due).toEqual([]);
    await keeper.stop();
    expect(keeper.counters.saves).toBe(0);
  });
});

describe('what is said of a state that is loaded', () => {
  const engineOf = (restored: unknown[] = []) =>
    ({
      counter: () => 0,
      saveTable: () => ({ layout: 1, entryBytes: 8, note: new Uint8Array(4), read: () => 0 }),
      restoreTable: (...given: unknown[]) => {
        restored.push(given);
        return { take: () => {}, result: { bans: 3, windows: 4 } };
      },
    }) as never;
  const path = () => join(home.path, 'kept', 'state');
  const of = (changes: object) => {
    const log = rememberingLog();
    const options = { path: path(), intervalSeconds, jails: ['web', 'sshd'], engine: engineOf(), log };
    return { log, keeper: new StateKeeper({ ...options, ...changes }) };
  };
  const cursor: JournalCursor = { kind: 'numbers', id: 'a'.repeat(32), seqnum: 9 };
  const readers = {
    pause: () => {},
    unpause: () => {},
    positions: () => [samplePosition(1)],
    histories: () => [],
    cursors: () => [cursor],
  };

  test('nothing yet, or something that is no state', () => {
    const first = of({});
    expect(first.keeper.load()).toEqual([]);
    expect(first.log.said).toEqual([
      { level: 'info', text: 'no saved state', fields: { path: path(), why: 'there is no state file yet' } },
    ]);
    const other = of({ path: join(home.path, 'x'), now: () => 1_700_000_100_000 });
    writeFileSync(join(home.path, 'x'), 'no state', { mode: 0o600 });
    expect(other.keeper.load()).toEqual([]);
    const asideAs = join(home.path, 'x.damaged-20231114T221500Z');
    expect(other.log.said).toEqual([
      {
        level: 'warn',
        text: 'saved state is not usable, starting empty',
        fields: { path: join(home.path, 'x'), why: 'it is cut short', asideAs },
      },
    ]);
  });

  test('how old it is, and what it gave; and by how much the clock was set since', async () => {
    const byHand: IgnoredByHand[] = [
      {
        network: { family: 4, bytes: Uint8Array.of(...Array(10).fill(0), 255, 255, 192, 0, 2, 7), prefix: 32 },
        until: 9e9,
      },
    ];
    const boot = { boot: 'a', seconds: 100 };
    const ignored = { byHand, ignore: () => {} };
    const first = of({ now: () => 1_700_000_000_000, bootTime: () => boot, ignored });
    first.keeper.start(readers);
    await first.keeper.stop();
    const ignores: unknown[] = [];
    const restored: unknown[][] = [];
    const second = of({
      // 50 s later by the clock of the kernel, which is 30 s less than the wall clock says.
      now: () => 1_700_000_080_000,
      bootTime: () => ({ boot: 'a', seconds: 150 }),
      engine: engineOf(restored),
      jails: ['sshd', 'web'],
      ignored: { byHand: [], ignore: (...given: unknown[]) => ignores.push(given) },
    });
    expect(second.keeper.load()).toEqual([samplePosition(1)]);
    expect(second.keeper.cursors).toEqual([cursor]);
    expect(second.log.said).toEqual([
      { level: 'warn', text: 'the clock was set since the state was saved', fields: { seconds: 30 } },
      {
        level: 'info',
        text: 'state loaded',
        fields: { path: path(), secondsOld: 80, positions: 1, bans: 3, windows: 4 },
      },
    ]);
    // The jails of the file, as numbers of now.
    expect(restored[0]!.slice(1)).toEqual([[1, 0], 1_700_000_080, 30]);
    expect(ignores).toEqual([[byHand[0]!.network, 9e9]]);
    // Nobody need listen.
    const third = of({ now: () => 1_700_000_080_000, bootTime: () => ({ boot: 'a', seconds: 180 }) });
    expect(third.keeper.load()).toHaveLength(1);
    expect(third.log.said.map(({ text }) => text)).toEqual(['state loaded']);
  });

  test('a table that the engine does not read is refused whole', async () => {
    const first = of({});
    first.keeper.start(readers);
    await first.keeper.stop();
    const second = of({ engine: { ...(engineOf() as object), restoreTable: () => null } });
    expect(second.keeper.load()).toEqual([]);
    expect(second.log.said[0]!.text).toBe('saved state is not usable, starting empty');
  });

  test('its directory is made for us alone', async () => {
    const { keeper } = of({});
    keeper.start(readers);
    await keeper.stop();
    expect(statSync(dirname(path())).mode & 0o777).toBe(0o700);
    expect(loadState(path(), new CollectingVisitor(), 0)).toMatchObject({ state: { positions: 1 } });
  });
});
