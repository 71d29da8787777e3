/** The state keeper over a real engine and file source, and over a disk that the test controls. */
import { appendFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LINES } from '../../src/engine/counters.ts';
import { Engine } from '../../src/engine/host.ts';
import { statePauseMsMax, stateSoonMs } from '../../src/limits.ts';
import { FileSource, type ReadPosition } from '../../src/sources/file.ts';
import type { JournalCursor } from '../../src/sources/journal/journal.ts';
import { StateKeeper } from '../../src/state/keeper.ts';
import { loadState } from '../../src/state/load.ts';
import type { StateDisk } from '../../src/state/save.ts';
import { rememberingLog, temporaryDirectory } from '../support/control.ts';
import { CollectingVisitor } from '../support/state.ts';
import { until } from '../support/until.ts';

const jails = [{ filter: 'sshd', mode: '', maxretry: 3, findtime: 600, bantime: 3_600, ipv6Prefix: 64, ignore: [] }];

/** The real disk. `hold` keeps its writes from ending, `fail` makes them fail. */
class Disk implements StateDisk {
  fail: string | undefined;
  writes = 0;
  rename = rename;
  unlink = unlink;
  #holds: Promise<void> | undefined;
  #letGo = (): void => {};

  hold(): void {
    this.#holds = new Promise((resolve) => {
      this.#letGo = resolve;
    });
  }

  letGo(): void {
    this.#letGo();
    this.#holds = undefined;
  }

  async open(path: string, flags: number, mode: number): ReturnType<StateDisk['open']> {
    const handle = await open(path, flags, mode);
    return {
      write: async (buffer, offset, length) => {
        this.writes++;
        if (this.fail !== undefined) throw Object.assign(new Error('injected'), { code: this.fail });
        await this.#holds;
        return handle.write(buffer, offset, length);
      },
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  }
}

const home = { path: '', remove: (): void => {} };
let running: (() => void)[] = [];

beforeEach(() => Object.assign(home, temporaryDirectory()));
afterEach(() => {
  for (const stop of running) stop();
  running = [];
  home.remove();
});

/**
 * What a daemon has around its keeper: engine, reader of one log, keeper, with `bans` bans in the
 * table.
 */
async function start(bans = 0, intervalSeconds = 3_600) {
  const path = join(home.path, 'state', 'state');
  const logPath = join(home.path, 'auth.log');
  if (!existsSync(logPath)) writeFileSync(logPath, '');
  const engine = await Engine.create({ jails, tableBytes: 2_000_000 });
  const log = rememberingLog();
  const disk = new Disk();
  const keeper = new StateKeeper({ path, intervalSeconds, jails: ['sshd'], engine, log, disk });
  const resume: ReadPosition[] = keeper.load();
  const now = Math.floor(Date.now() / 1000);
  for (let i = 0; i < bans; i++) {
    const bytes = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, i >> 16, i >> 8, i);
    engine.setBan(0, { family: 4, bytes, prefix: 32 }, now, now + 9_999);
  }
  const route = engine.addRoute([{ index: 0, filter: 'sshd', mode: '' }]);
  const files = new FileSource({
    patterns: [logPath],
    assign: () => {
      engine.openSource(0, route);
      return 0;
    },
    release: () => {},
    sink: engine,
    now: () => Date.now() / 1000,
    monotonic: () => performance.now(),
    drain: () => engine.takeDecisions(() => {}),
    event: () => {},
    resume,
  });
  files.start();
  keeper.start(files);
  // The first save comes at once.
  await until(() => keeper.counters.saves === 1);
  disk.writes = 0;
  running.push(() => files.stop());
  return { path, logPath, engine, log, disk, keeper, files, lines: () => engine.counter(LINES) };
}

function fail(path: string, address: string): void {
  appendFileSync(
    path,
    `${new Date().toISOString()} host sshd[7]: Failed password for root from ${address} port 4 ssh2\n`,
  );
}

async function manyTurns(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
}

describe('the state keeper', () => {
  test('saves soon after a change, and again after the next', async () => {
    const { keeper, path } = await start(5);
    keeper.changed();
    await until(() => keeper.counters.saves === 2);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(keeper.counters.bytes).toBe(statSync(path).size);
    // The next save of a series waits twice as long. Both timers begin now, so that a slow machine
    // cannot change their order.
    let order = '';
    keeper.changed();
    setTimeout(() => {
      order = `${keeper.counters.saves} saves`;
    }, 1.5 * stateSoonMs);
    await until(() => keeper.counters.saves === 3);
    expect(order).toBe('2 saves');
    await keeper.stop();
    expect(keeper.counters.saves).toBe(4);
  });

  test('saves on its timer when lines were read, and only then', async () => {
    const { keeper, logPath } = await start(0, 1);
    fail(logPath, '192.0.2.1');
    await until(() => keeper.counters.saves === 2);
    const { savedAt } = keeper.counters;
    await until(() => Date.now() / 1000 > savedAt + 2.2);
    expect(keeper.counters.saves).toBe(2);
    fail(logPath, '192.0.2.1');
    await until(() => keeper.counters.saves === 3);
    await keeper.stop();
  });

  test('no line is read while a table of several portions is copied; its file is of one instant', async () => {
    const { keeper, disk, logPath, lines, files, path } = await start(30_000);
    fail(logPath, '192.0.2.1');
    await until(() => lines() === 1);
    const size = statSync(logPath).size;
    disk.hold();
    keeper.changed();
    await until(() => disk.writes === 1, { what: 'the first portion' });
    fail(logPath, '192.0.2.1');
    files.poll();
    await manyTurns();
    expect(lines()).toBe(1);
    disk.letGo();
    await until(() => lines() === 2);
    await until(() => keeper.counters.saves === 2);
    expect(keeper.counters.pauseLongestMs).toBeGreaterThan(0);
    running.shift()!();
    // What a crash at this instant leaves: the second line is behind the position, and counts once.
    const visitor = new CollectingVisitor();
    loadState(path, visitor, 0);
    expect(visitor.positions[0]!.offset).toBe(size);
    const again = await start();
    await until(() => again.lines() === 1);
    let bans = 0;
    again.engine.eachBan(0, again.engine.slots, () => bans++);
    expect(bans).toBeGreaterThan(29_000);
    fail(logPath, '192.0.2.1');
    await until(() => again.lines() === 2);
    const address = {
      family: 4 as const,
      bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1),
      prefix: 32,
    };
    expect(again.engine.isBanned(0, address)).toBe(true);
  });

  test('a small table holds up nobody, however slow the disk', async () => {
    const { keeper, disk, logPath, lines } = await start(100);
    disk.hold();
    keeper.changed();
    await until(() => disk.writes === 1);
    fail(logPath, '192.0.2.1');
    await until(() => lines() === 1);
    expect(keeper.counters.saves).toBe(1);
    disk.letGo();
    await until(() => keeper.counters.saves === 2);
    expect(keeper.problem).toBe(undefined);
    await keeper.stop();
  });

  test('if the disk is too slow for a large table, reading continues, the problem is shown, and the old file stays', async () => {
    const { keeper, disk, logPath, lines, path, log } = await start(30_000);
    const before = readFileSync(path);
    disk.hold();
    keeper.changed();
    await until(() => disk.writes === 1, { what: 'the second save' });
    fail(logPath, '192.0.2.1');
    await until(() => lines() === 1, { what: 'reading goes on' });
    disk.letGo();
    await until(() => keeper.problem !== undefined);
    expect(keeper.problem).toMatch(/^state not saved to .*: write: the disk took longer than the 500 ms/);
    expect(keeper.counters.failures.get('ETIMEDOUT')).toBe(1);
    expect(readFileSync(path)).toEqual(before);
    await until(() => keeper.counters.saves === 2, { what: 'another try' });
    expect(keeper.problem).toBe(undefined);
    expect(log.said.map(({ text }) => text)).toEqual(['no saved state', 'state not saved', 'the state is saved again']);
    await keeper.stop();
  });

  test('after a save that took too long the next may take longer, and after one that did not, no longer', {
    timeout: 60_000,
  }, async () => {
    const { keeper, disk, logPath, lines } = await start(30_000);
    let given = 0;
    const tooLong = async (limit: number): Promise<void> => {
      const before = disk.writes;
      disk.hold();
      keeper.changed();
      await until(() => disk.writes > before, { what: 'a write' });
      fail(logPath, '192.0.2.1');
      await until(() => lines() === given + 1, { what: 'reading goes on' });
      disk.letGo();
      await until(() => keeper.counters.failures.get('ETIMEDOUT') === given + 1, { what: 'the save is given up' });
      expect(keeper.problem).toContain(`longer than the ${limit} ms`);
      given++;
    };
    for (const limit of [500, 1_000, 2_000]) await tooLong(limit);
    await until(() => keeper.problem === undefined, { what: 'a save' });
    await tooLong(500);
    await keeper.stop();
  });

  test('the last save may take longer than others: nothing is read any more', async () => {
    const { keeper, disk } = await start(30_000);
    disk.hold();
    keeper.changed();
    const began = performance.now();
    const stopping = keeper.stop();
    await until(() => performance.now() > began + 2 * statePauseMsMax, { what: 'longer than another save may take' });
    disk.letGo();
    await stopping;
    expect(keeper.problem).toBe(undefined);
    expect(keeper.counters.saves).toBe(2);
  });

  test('a disk that fails is tried again and reported once, and nothing throws', async () => {
    const { keeper, disk, log } = await start(1);
    disk.fail = 'EIO';
    keeper.changed();
    await until(() => keeper.counters.failures.get('EIO') === 2);
    expect(log.said.filter(({ text }) => text === 'state not saved')).toHaveLength(1);
    expect(keeper.problem).toContain('injected');
    await keeper.stop();
    expect(keeper.counters.failures.get('EIO')).toBe(3);
    expect(keeper.counters.saves).toBe(1);
  });

  test('a missing parent directory is no reason to stop', async () => {
    rmSync(home.path, { recursive: true });
    const engine = await Engine.create({ jails, tableBytes: 100_000 });
    const path = join(home.path, 'missing', 'state', 'state');
    const keeper = new StateKeeper({ path, intervalSeconds: 1, jails: ['sshd'], engine, log: rememberingLog() });
    expect(keeper.load()).toEqual([]);
    keeper.start({ pause: () => {}, unpause: () => {}, positions: () => [], histories: () => [] });
    await keeper.stop();
    expect(keeper.problem).toContain('ENOENT');
  });
});

test('how far the journal was read is there after a restart', async () => {
  const engine = await Engine.create({ jails, tableBytes: 100_000 });
  const options = {
    path: join(home.path, 'state'),
    intervalSeconds: 60,
    jails: ['sshd'],
    engine,
    log: rememberingLog(),
  };
  const cursors: JournalCursor[] = [
    { kind: 'file', id: 'a'.repeat(32), seqnum: 5 },
    { kind: 'numbers', id: 'b'.repeat(32), seqnum: 2 ** 40 },
  ];
  const readers = {
    pause: () => {},
    unpause: () => {},
    positions: () => [],
    histories: () => [],
    cursors: () => cursors,
  };
  const keeper = new StateKeeper(options);
  keeper.start(readers);
  await keeper.stop();
  const next = new StateKeeper(options);
  next.load();
  expect(next.cursors).toEqual(cursors);
});

test.each([
  ['an hour forward', 3_600, 'a'],
  ['a year back', -366 * 86_400, 'a'],
  ['a year back over a reboot', -366 * 86_400, 'b'],
])('a clock that was set between two runs, %s, takes nothing from a ban', async (_, step, boot) => {
  const path = join(home.path, 'state', 'state');
  let wall = Date.now();
  let sinceBoot = { boot: 'a', seconds: 1_000 };
  const make = async () => {
    const engine = await Engine.create({ jails, tableBytes: 2_000_000 });
    const options = { now: () => wall, bootTime: () => sinceBoot };
    const log = rememberingLog();
    return {
      engine,
      log,
      keeper: new StateKeeper({ path, intervalSeconds: 60, jails: ['sshd'], engine, log, ...options }),
    };
  };
  const address = {
    family: 4,
    bytes: Uint8Array.of(...Array(10).fill(0), 255, 255, 192, 0, 2, 1),
    prefix: 32,
  } as const;
  const first = await make();
  first.keeper.load();
  first.engine.setBan(0, address, wall / 1000, wall / 1000 + 900);
  first.keeper.start({ pause: () => {}, unpause: () => {}, positions: () => [], histories: () => [] });
  await until(() => first.keeper.counters.saves === 1);
  await first.keeper.stop();
  // Ten seconds pass, as far as the keeper can know.
  sinceBoot = { boot, seconds: boot === 'a' ? 1_010 : 5 };
  wall += 10_000 + step * 1000;
  const second = await make();
  second.keeper.load();
  const left = second.engine.banEnd(0, address)! - wall / 1000;
  expect(left).toBeGreaterThan(boot === 'a' ? 885 : 895);
  expect(left).toBeLessThan(boot === 'a' ? 892 : 902);
  expect(second.log.said.map(({ text }) => text)).toContain('the clock was set since the state was saved');
});
