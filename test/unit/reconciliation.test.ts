/**
 * Reconciliation alone, over a table and a kernel of maps and with the clock of the test: when it
 * compares, what it adopts, and what it leaves alone.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { countersOf, type Delivery, type Settings } from '../../src/enforcer/delivery.ts';
import { Reconciliation } from '../../src/enforcer/reconciliation.ts';
import type { TableBan } from '../../src/engine/host.ts';
import * as limits from '../../src/limits.ts';
import { vacantJail } from '../../src/places.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import { Turns } from '../../src/turns.ts';
import type { Address, Ban, Change } from '../../src/types.ts';
import { rememberingLog } from '../support/control.ts';

const addressOf = (text: string): Address => parseCidr(text, 'clear') as Address;
const epoch = 1_700_000_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Everything that can happen without the clock happens. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 40; turns++) await turn();
}

/** The clock goes on in steps of a tick. */
async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= limits.reconcileTickMs) {
    vi.advanceTimersByTime(Math.min(left, limits.reconcileTickMs));
    await settle();
  }
}

interface Entry {
  end: number;
  confirmed: boolean;
  restored: boolean;
}

/** Reconciliation of jails `sshd` and `web`, and one that nobody has taken. */
function reconciliationOf({ keepsEnds }: { keepsEnds?: boolean } = {}) {
  const log = rememberingLog();
  const counters = countersOf(3);
  const table = new Map<string, Entry>();
  const keyOf = (jail: number, address: Address) => `${jail} ${formatAddress(address)}`;
  const world = {
    nowMs: epoch * 1_000,
    held: new Map<string, Ban>(),
    shared: [] as string[],
    ignored: [] as string[],
    listed: [] as string[],
    calls: [] as string[],
    isDisturbed: false,
    isRebuilt: false,
    isDown: false,
    failure: undefined as Error | undefined,
    /** What a dump takes, ms. */
    takesMs: 0,
    told: { disturbed: 0, changed: 0, restored: [] as (Partial<TableBan> & { text: string })[] },
    hold: undefined as Promise<void> | undefined,
  };
  const engine = {
    slots: 64,
    passOver: (first: number) => first,
    eachBan: (_first: number, _count: number, visit: (ban: TableBan) => void) => {
      [...table].forEach(([key, { end, confirmed, restored }], index) => {
        const [jail, text] = key.split(' ') as [string, string];
        visit({
          index,
          jail: Number(jail),
          address: addressOf(text),
          end,
          confirmed,
          restored,
          manual: false,
          bans: 0,
        });
      });
      return -1;
    },
    banEnd: (jail: number, address: Address) => {
      const entry = table.get(keyOf(jail, address));
      return entry?.confirmed ? entry.end : undefined;
    },
    banIndex: (jail: number, address: Address) => [...table.keys()].indexOf(keyOf(jail, address)),
    findBan: (jail: number, address: Address) => {
      const entry = table.get(keyOf(jail, address));
      return entry && { index: 0, jail, address, manual: false, bans: 3, ...entry };
    },
    setBan: (jail: number, address: Address, _now: number, end: number) =>
      table.set(keyOf(jail, address), { end, confirmed: true, restored: false }),
    confirmBan: (jail: number, address: Address) => {
      table.get(keyOf(jail, address))!.confirmed = true;
    },
    forget: (jail: number, address: Address) => table.delete(keyOf(jail, address)),
    isIgnored: (jail: number, address: Address) => world.ignored.includes(keyOf(jail, address)),
    isShared: (address: Address) => world.shared.includes(formatAddress(address)),
  };
  const backend = {
    ...(keepsEnds === undefined ? {} : { keepsEnds }),
    disturbed: async () => {
      world.calls.push('disturbed');
      const were = world.isDisturbed;
      world.isDisturbed = false;
      return were;
    },
    install: async (jails: { name: string }[]) => {
      world.calls.push(`install ${jails.map(({ name }) => name)}`);
    },
    reconcile: async (jails: { name: string }[]) => {
      world.calls.push(`compare ${jails.map(({ name }) => name)}`);
      if (world.failure) throw world.failure;
      return world.isRebuilt;
    },
    each: async (visit: (ban: Ban) => void) => {
      world.calls.push('each');
      await world.hold;
      vi.advanceTimersByTime(world.takesMs);
      for (const held of world.held.values()) visit(held);
      return world.held.size;
    },
    apply: async (changes: Change[]) => {
      world.calls.push(`apply ${changes.length}`);
      for (const change of changes) if (change.verb === 'unban') world.held.delete(formatAddress(change.address));
    },
    pause: async () => {
      world.calls.push('pause');
    },
  };
  const settings = {
    engine,
    backend,
    log,
    jails: [{ name: 'sshd', bantime: 600 }, { name: 'web', bantime: 60 }, vacantJail],
    now: () => world.nowMs,
    ignored: { isListed: (address: Address) => world.listed.includes(formatAddress(address)) },
    disturbed: () => world.told.disturbed++,
    changed: () => world.told.changed++,
    restored: (ban: TableBan) => world.told.restored.push({ ...ban, text: formatAddress(ban.address) }),
  } as unknown as Settings;
  const delivery = {
    get isDown() {
      return world.isDown;
    },
    sendable: (batch: TableBan[]) => batch,
    send: async (batch: TableBan[], landed: (part: TableBan[]) => void) => {
      for (const ban of batch) {
        const text = formatAddress(ban.address);
        world.held.set(text, heldBan(text, (ban.end - epoch) * 1_000));
      }
      landed(batch);
    },
    countFailure: (code: string) => counters.failures.set(code, 1 + (counters.failures.get(code) ?? 0)),
  } as unknown as Delivery;
  const reconciliation = new Reconciliation(settings, counters, delivery, new Turns());
  const known = (text: string, more: Partial<Entry> & { jail?: number } = {}): void => {
    const { jail = 0, ...entry } = more;
    table.set(keyOf(jail, addressOf(text)), { end: epoch + 600, confirmed: true, restored: false, ...entry });
  };
  const endOf = (text: string, jail = 0): number | undefined => table.get(keyOf(jail, addressOf(text)))?.end;
  return { reconciliation, world, counters, log, table, known, endOf };
}

const heldBan = (text: string, timeoutMs = 600_000, jail = 'sshd'): Ban => ({
  jail,
  address: addressOf(text),
  timeoutMs,
});

const comparisonsIn = (calls: string[]): number => calls.filter((call) => call === 'compare sshd,web').length;

describe('when it compares', () => {
  test('at once, and then where others wrote, at most every five seconds, else once a minute', async () => {
    const { reconciliation, world, counters } = reconciliationOf();
    await reconciliation.start(false);
    expect(world.calls.slice(0, 3)).toEqual(['disturbed', 'compare sshd,web', 'each']);
    world.isDisturbed = true;
    await pass(limits.reconcileApartMs - limits.reconcileTickMs);
    expect([world.isDisturbed, comparisonsIn(world.calls), world.told.disturbed]).toEqual([true, 1, 0]);
    await pass(limits.reconcileTickMs);
    expect([world.isDisturbed, comparisonsIn(world.calls), world.told.disturbed]).toEqual([false, 2, 1]);
    await pass(limits.reconcileMs - limits.reconcileTickMs);
    expect([comparisonsIn(world.calls), world.told.disturbed]).toEqual([2, 1]);
    await pass(limits.reconcileTickMs);
    expect([comparisonsIn(world.calls), counters.reconciles]).toEqual([3, 3]);
    await reconciliation.stop();
    expect(vi.getTimerCount()).toBe(0);
    await reconciliation.compare();
    expect(comparisonsIn(world.calls)).toBe(3);
  });

  test('after a long comparison it rests longer', async () => {
    const { reconciliation, world } = reconciliationOf();
    world.takesMs = 10_000;
    world.held.set('10.0.0.1', heldBan('10.0.0.1'));
    await reconciliation.start(false);
    world.takesMs = 0;
    world.isDisturbed = true;
    // It began 10 s ago.
    await pass(limits.comparisonRests.disturbed * 10_000 - 10_000 - limits.reconcileTickMs);
    expect(comparisonsIn(world.calls)).toBe(1);
    world.isDisturbed = false;
    await pass(limits.comparisonRests.quiet * 10_000 - limits.comparisonRests.disturbed * 10_000);
    expect(comparisonsIn(world.calls)).toBe(1);
    await pass(limits.reconcileTickMs);
    expect(comparisonsIn(world.calls)).toBe(2);
    await reconciliation.stop();
  });

  test('not while the kernel accepts nothing, nor while a comparison runs', async () => {
    const { reconciliation, world } = reconciliationOf();
    await reconciliation.start(false);
    world.isDown = true;
    await pass(2 * limits.reconcileMs);
    expect(comparisonsIn(world.calls)).toBe(1);
    world.isDown = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    world.hold = promise;
    await pass(limits.reconcileTickMs);
    expect(comparisonsIn(world.calls)).toBe(2);
    const asked = world.calls.length;
    await pass(3 * limits.reconcileMs);
    expect(world.calls.length).toBe(asked);
    // Who asks for one waits for the one that runs.
    let isOver = false;
    void reconciliation.compare().then(() => {
      isOver = true;
    });
    await settle();
    expect(isOver).toBe(false);
    resolve();
    await settle();
    expect([isOver, comparisonsIn(world.calls)]).toEqual([true, 2]);
    await reconciliation.stop();
  });

  test('not while another task has the kernel, but afterwards', async () => {
    const { reconciliation, world } = reconciliationOf();
    const { promise, resolve } = Promise.withResolvers<string>();
    const done = reconciliation.aside(() => promise);
    await reconciliation.compare();
    expect(comparisonsIn(world.calls)).toBe(0);
    resolve('done');
    expect(await done).toBe('done');
    await settle();
    expect(comparisonsIn(world.calls)).toBe(1);
    // None is needed where nothing of what is compared has changed.
    await reconciliation.aside(async () => {}, false);
    await settle();
    expect(comparisonsIn(world.calls)).toBe(1);
    await expect(reconciliation.aside(() => Promise.reject(new Error('half way')), false)).rejects.toThrow('half way');
    await settle();
    expect(world.calls.filter((call) => call.startsWith('install'))).toEqual(['install sshd,web']);
    expect(comparisonsIn(world.calls)).toBe(1);
    await reconciliation.reconcile();
    expect(comparisonsIn(world.calls)).toBe(2);
    await reconciliation.stop();
  });
});

describe('what it repairs', () => {
  test('what the kernel lacks, counted; a rebuilt table counts as one', async () => {
    const { reconciliation, world, counters, log, known } = reconciliationOf();
    await reconciliation.reconcile();
    expect([counters.repairs, reconciliation.disturbance]).toEqual([0, undefined]);
    known('10.0.0.1');
    known('10.0.0.2');
    known('10.0.0.3', { confirmed: false });
    world.held.set('10.0.0.2', heldBan('10.0.0.2'));
    world.isRebuilt = true;
    expect(await reconciliation.reconcile()).toBe(2);
    expect([...world.held.keys()].sort()).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(counters).toMatchObject({ repairs: 2, reconciles: 2 });
    expect(log.said.at(-1)).toMatchObject({ level: 'warn', fields: { repairs: 2 } });
    expect(reconciliation.disturbance).toContain('(2 repairs since the start)');
    expect(world.calls).toContain('pause');
    // A comparison that repairs nothing says nothing new, and writes nothing.
    world.isRebuilt = false;
    world.calls.length = 0;
    world.nowMs += 1_000;
    expect(await reconciliation.reconcile()).toBe(0);
    world.nowMs += limits.repairShownMs;
    expect(reconciliation.disturbance).toBeUndefined();
    expect(world.calls.filter((call) => call.startsWith('apply'))).toEqual([]);
  });

  test('a ban that the kernel confirmed meanwhile is not missing', async () => {
    const { reconciliation, world, known } = reconciliationOf();
    const { promise, resolve } = Promise.withResolvers<void>();
    world.hold = promise;
    const comparing = reconciliation.reconcile();
    await settle();
    known('10.0.0.1');
    reconciliation.mark(0, addressOf('10.0.0.1'));
    resolve();
    expect(await comparing).toBe(0);
    reconciliation.mark(0, addressOf('10.0.0.1'));
  });

  test('nothing while the kernel accepts nothing, or once it is stopped', async () => {
    const { reconciliation, world, known, counters } = reconciliationOf();
    known('10.0.0.1');
    world.isDown = true;
    expect(await reconciliation.reconcile()).toBe(0);
    expect(world.held.size).toBe(0);
    world.isDown = false;
    await reconciliation.stop();
    expect(await reconciliation.reconcile()).toBe(0);
    expect([world.held.size, counters.failures.size]).toEqual([0, 0]);
  });

  test('a comparison that fails is counted, and the next one is as good as the first', async () => {
    const { reconciliation, world, counters, log } = reconciliationOf();
    world.failure = new TypeError('no set');
    await expect(reconciliation.reconcile()).rejects.toThrow('no set');
    expect([counters.failures, counters.reconciles]).toEqual([new Map([['TypeError', 1]]), 0]);
    expect(log.said).toMatchObject([{ level: 'error', fields: { error: 'no set' } }]);
    await reconciliation.compare();
    expect(counters.failures.get('TypeError')).toBe(2);
    world.failure = undefined;
    await reconciliation.compare();
    expect(counters.reconciles).toBe(1);
  });

  test('bans of what is ignored or shared by now, or in a list, end in kernel and table, and this is said', async () => {
    const { reconciliation, world, counters, log, known, endOf } = reconciliationOf();
    for (const text of ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']) {
      known(text);
      world.held.set(text, heldBan(text));
    }
    world.ignored.push('0 10.0.0.1', '1 10.0.0.4');
    world.shared.push('10.0.0.2');
    world.listed.push('10.0.0.3');
    await reconciliation.reconcile();
    expect([...world.held.keys()]).toEqual(['10.0.0.4']);
    expect(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'].map((text) => endOf(text) !== undefined)).toEqual([
      false,
      false,
      false,
      true,
    ]);
    expect(counters).toMatchObject({ lifted: 3, repairs: 0 });
    const shared = 'ban lifted: the prefix is a link of ours now, whose hosts are banned one by one';
    const ignored = 'ban lifted: the address is ignored now';
    expect(log.said.map(({ text, fields }) => [text, fields.address])).toEqual([
      [ignored, '10.0.0.1'],
      [shared, '10.0.0.2'],
      [ignored, '10.0.0.3'],
    ]);
  });

  test('of very many such bans one transaction, the others with the next comparison', async () => {
    const { reconciliation, world, counters } = reconciliationOf();
    const more = 3;
    for (let n = 0; n < limits.changesPerTransactionMax + more; n++) {
      const text = `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
      world.held.set(text, heldBan(text));
      world.listed.push(text);
    }
    // As a set: the list is asked for each ban.
    const listed = new Set(world.listed);
    world.listed.includes = (text) => listed.has(text);
    await reconciliation.reconcile();
    expect([world.held.size, counters.lifted]).toEqual([more, limits.changesPerTransactionMax]);
    await reconciliation.reconcile();
    expect([world.held.size, counters.lifted]).toEqual([0, limits.changesPerTransactionMax + more]);
  });
});

describe('what it adopts at start', () => {
  async function adopting(
    options: { keepsEnds?: boolean } = {},
    before: (all: ReturnType<typeof reconciliationOf>) => void = () => {},
  ) {
    const all = reconciliationOf(options);
    before(all);
    await all.reconciliation.start(true);
    return all;
  }

  test('each ban of a jail of ours, with the end that the kernel has, once', async () => {
    const { reconciliation, world, counters, log, endOf } = await adopting({}, ({ world }) => {
      world.held.set('10.0.0.1', heldBan('10.0.0.1', 30_000));
      world.held.set('10.0.0.2', heldBan('10.0.0.2', 0, 'web'));
      world.held.set('10.0.0.3', heldBan('10.0.0.3', 30_000, 'gone'));
    });
    expect([endOf('10.0.0.1'), endOf('10.0.0.2', 1), endOf('10.0.0.3')]).toEqual([
      epoch + 30,
      Number.POSITIVE_INFINITY,
      undefined,
    ]);
    expect(counters.restored).toEqual([1, 1, 0]);
    expect(world.told.restored).toMatchObject([
      {
        text: '10.0.0.1',
        jail: 0,
        end: epoch + 30,
        confirmed: true,
        restored: true,
        manual: false,
        bans: 0,
        index: -1,
      },
      { text: '10.0.0.2', jail: 1 },
    ]);
    expect(log.said).toMatchObject([{ text: 'bans taken over from the kernel', fields: { bans: 3 } }]);
    expect(world.told.changed).toBe(1);
    world.held.set('10.0.0.9', heldBan('10.0.0.9'));
    await reconciliation.reconcile();
    expect(endOf('10.0.0.9'), 'only at start').toBeUndefined();
    await reconciliation.stop();
  });

  test('nothing of an empty kernel, which is not said', async () => {
    const { reconciliation, world, log } = await adopting();
    expect([log.said, world.told.changed]).toEqual([[], 0]);
    await reconciliation.stop();
  });

  const tolerance = limits.timeoutToleranceMs / 1_000;
  test.each<[what: string, known: Partial<Entry>, leftMs: number, end: number, isTold: boolean]>([
    ['a saved ban that the kernel holds is confirmed', { restored: true, confirmed: false }, 600_000, 600, true],
    ['one that was confirmed already is left alone', { restored: true }, 600_000, 600, false],
    ['one that the kernel ends later gets that end', {}, 900_000, 900, true],
    ['a little later is the same', {}, (600 + tolerance) * 1_000 - 1, 600, false],
    ['but no more than a little', {}, (600 + tolerance) * 1_000, 600 + tolerance, true],
    ['one that the kernel ends sooner keeps its end', {}, 10_000, 600, false],
    ['a decision of now is not confirmed by an older ban', { confirmed: false }, 10_000, 600, false],
  ])('%s', async (_, entry, leftMs, end, isTold) => {
    const { reconciliation, world, counters, endOf } = await adopting({}, ({ known, world }) => {
      known('10.0.0.1', entry);
      world.held.set('10.0.0.1', heldBan('10.0.0.1', leftMs));
    });
    expect(endOf('10.0.0.1')).toBe(epoch + end);
    expect([counters.restored[0], world.told.restored.length]).toEqual(isTold ? [1, 1] : [0, 0]);
    // What the table knows of it is told too.
    if (isTold) expect(world.told.restored[0]).toMatchObject({ bans: 3 });
    await reconciliation.stop();
  });

  test('where the kernel keeps no ends: the bantime of the jail, unless the table knows better', async () => {
    const { reconciliation, endOf, counters } = await adopting({ keepsEnds: false }, ({ known, world }) => {
      known('10.0.0.2', { end: epoch + 7, confirmed: false, restored: true });
      world.held.set('10.0.0.1', heldBan('10.0.0.1', 0));
      world.held.set('10.0.0.2', heldBan('10.0.0.2', 0));
      world.held.set('10.0.0.3', heldBan('10.0.0.3', 0, 'web'));
    });
    expect([endOf('10.0.0.1'), endOf('10.0.0.2'), endOf('10.0.0.3', 1)]).toEqual([epoch + 600, epoch + 7, epoch + 60]);
    expect(counters.restored).toEqual([2, 1, 0]);
    await reconciliation.stop();
  });

  test('nothing more once it is told to stop, however much the kernel holds', async () => {
    const { reconciliation, world, endOf } = reconciliationOf();
    world.held.set('10.0.0.1', heldBan('10.0.0.1'));
    const { promise, resolve } = Promise.withResolvers<void>();
    world.hold = promise;
    const starting = reconciliation.start(true);
    await settle();
    const stopping = reconciliation.stop();
    resolve();
    await Promise.all([starting, stopping]);
    expect(endOf('10.0.0.1')).toBeUndefined();
  });

  test('not what an operator bans or unbans meanwhile, in that jail', async () => {
    const { reconciliation, world, endOf } = reconciliationOf();
    world.held.set('10.0.0.1', heldBan('10.0.0.1'));
    world.held.set('10.0.0.2', heldBan('10.0.0.2'));
    const { promise, resolve } = Promise.withResolvers<void>();
    world.hold = promise;
    const starting = reconciliation.start(true);
    await settle();
    reconciliation.touch(0, addressOf('10.0.0.1'));
    reconciliation.touch(1, addressOf('10.0.0.2'));
    expect(reconciliation.adoption).toBeUndefined();
    vi.advanceTimersByTime(limits.adoptionShownMs - 1);
    expect(reconciliation.adoption).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(reconciliation.adoption).toContain('still being taken over');
    resolve();
    await starting;
    expect(reconciliation.adoption).toBeUndefined();
    expect([endOf('10.0.0.1'), endOf('10.0.0.2')]).toEqual([undefined, epoch + 600]);
    await reconciliation.stop();
  });
});
