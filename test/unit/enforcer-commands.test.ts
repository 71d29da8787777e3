/**
 * What an operator asks of the enforcer (bans, unbans, a reload), what it says about itself, and
 * how it follows what others do to the kernel.
 */
import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, test, vi } from 'vitest';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { Comparison } from '../../src/enforcer/comparison.ts';
import { Ignored } from '../../src/enforcer/ignored.ts';
import type { Engine, TableBan } from '../../src/engine/host.ts';
import * as limits from '../../src/limits.ts';
import { vacantJail } from '../../src/places.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import type { Address, Ban, JailConfig, JailScaffold } from '../../src/types.ts';
import { enforce, enforcedJail } from '../support/enforcement.ts';
import { addresses, FakeKernel } from '../support/fake-kernel.ts';
import { until } from '../support/until.ts';

const addressOf = (text: string): Address => parseCidr(text, 'clear') as Address;
const web: JailConfig = { ...enforcedJail, name: 'web' };

/** The monotonic clock, ahead by what is set here. */
function clockAhead() {
  const real = performance.now.bind(performance);
  const ahead = { ms: 0, end: () => spy.mockRestore() };
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => real() + ahead.ms);
  return ahead;
}

/** Keeps the names of the jails it is told to install, and those it is told to compare. */
class TellingKernel extends FakeKernel {
  readonly installs: string[][] = [];
  readonly comparisons: string[][] = [];
  areOthersHere = false;

  override async install(jails: JailScaffold[] = []): Promise<void> {
    this.installs.push(jails.map(({ name }) => name));
  }

  override async reconcile(jails: JailScaffold[] = []): Promise<boolean> {
    this.comparisons.push(jails.map(({ name }) => name));
    return false;
  }

  async disturbed(): Promise<boolean> {
    const were = this.areOthersHere;
    this.areOthersHere = false;
    return were;
  }
}

describe('bans of an operator', () => {
  test('are for as long as asked, in kernel and table, counted, and saved', async () => {
    const kernel = new FakeKernel();
    let changes = 0;
    const { enforcer, engine } = await enforce(kernel, [enforcedJail, web], { changed: () => changes++ });
    await enforcer.ban(1, addresses(3).map(addressOf), 600);
    await enforcer.ban(0, [addressOf('192.0.2.1')], -1);
    expect([...kernel.held.values()].map(({ jail, timeoutMs }) => [jail, timeoutMs])).toEqual([
      ...Array(3).fill(['web', 600_000]),
      ['sshd', 0],
    ]);
    expect(engine.findBan(1, addressOf('10.0.0.0'))).toMatchObject({ manual: true, confirmed: true });
    expect(engine.banEnd(1, addressOf('10.0.0.0'))! - Date.now() / 1000).toBeGreaterThan(595);
    expect(engine.banEnd(1, addressOf('10.0.0.0'))! - Date.now() / 1000).toBeLessThan(602);
    expect(engine.banEnd(0, addressOf('192.0.2.1'))).toBe(Number.POSITIVE_INFINITY);
    expect(enforcer.counters).toMatchObject({ bans: [1, 3], restored: [0, 0], unbans: 0, transactions: 2 });
    expect(changes).toBe(2);
    await enforcer.stop();
  });

  test('end where they were, and only those that ran are counted', async () => {
    const kernel = new FakeKernel();
    let changes = 0;
    const { enforcer, engine } = await enforce(kernel, [enforcedJail, web], { changed: () => changes++ });
    await enforcer.ban(0, [addressOf('10.0.0.1')], 600);
    await enforcer.unban([
      { jail: 0, address: addressOf('10.0.0.1') },
      { jail: 1, address: addressOf('10.0.0.2') },
    ]);
    expect(kernel.transactions.at(-1)).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(kernel.held.size).toBe(0);
    expect(engine.isBanned(0, addressOf('10.0.0.1'))).toBe(false);
    expect(enforcer.counters).toMatchObject({ unbans: 1, transactions: 2 });
    expect(changes).toBe(2);
    await enforcer.stop();
  });

  test('that the kernel refuses are none: the table does not say banned', async () => {
    const kernel = new FakeKernel();
    const { enforcer, engine } = await enforce(kernel);
    kernel.refuse = () => new KernelError(23, 'add elements');
    await expect(enforcer.ban(0, [addressOf('10.0.0.1')], 600)).rejects.toThrow('ENFILE');
    expect(engine.isBanned(0, addressOf('10.0.0.1'))).toBe(false);
    expect(enforcer.counters.bans[0]).toBe(0);
    kernel.refuse = () => undefined;
    await enforcer.ban(0, [addressOf('10.0.0.1')], 600);
    kernel.refuse = () => new KernelError(23, 'delete elements');
    await expect(enforcer.unban([{ jail: 0, address: addressOf('10.0.0.1') }])).rejects.toThrow('ENFILE');
    expect(engine.isBanned(0, addressOf('10.0.0.1'))).toBe(true);
    expect(enforcer.counters.unbans).toBe(0);
    await enforcer.stop();
  });

  test('of a jail that a reload takes away meanwhile are refused, and land in no other', async () => {
    const kernel = new FakeKernel();
    const jails = [{ ...enforcedJail }, { ...web }];
    const { enforcer } = await enforce(kernel, jails);
    const changing = enforcer.change(
      [enforcedJail, { ...web, name: 'mail' }],
      new Set([1]),
      () => undefined,
      () => Object.assign(jails[1]!, { name: 'mail' }),
    );
    const banning = enforcer.ban(1, [addressOf('10.0.0.1')], 600);
    await expect(banning).rejects.toThrow('jail web is gone');
    await changing;
    expect(kernel.held.size).toBe(0);
    await enforcer.stop();
  });
});

describe('a reload', () => {
  const next: JailScaffold[] = [{ ...enforcedJail, allow: [addressOf('198.51.100.0/24')] }, vacantJail];

  test('goes to the kernel first, then into the settings; what belongs to other jails now starts at nothing', async () => {
    const kernel = new TellingKernel();
    const jails = [{ ...enforcedJail }, { ...web }];
    let changes = 0;
    const { attack, enforcer } = await enforce(kernel, jails, { changed: () => changes++ });
    attack('10.0.0.1');
    await until(() => kernel.held.size === 1, { what: 'the ban' });
    enforcer.counters.bans[1] = 7;
    enforcer.counters.restored[1] = 8;
    const order: string[] = [];
    const waits = [Promise.resolve(order.push('busy')), undefined];
    const sent = changes;
    await enforcer.change(
      next,
      new Set([1]),
      () => {
        order.push(`busy after ${kernel.installs.length} installs`);
        return waits.shift() as Promise<void> | undefined;
      },
      () => order.push('commit'),
    );
    expect(order).toEqual(['busy', 'busy after 1 installs', 'busy after 1 installs', 'commit']);
    expect(kernel.installs).toEqual([['sshd']]);
    expect(enforcer.counters).toMatchObject({ bans: [1, 0], restored: [0, 0] });
    expect(jails.map((jail: JailScaffold) => jail.allow?.map(formatAddress))).toEqual([['198.51.100.0/24'], []]);
    expect(changes).toBe(sent + 1);
    expect(kernel.held.size).toBe(1);
    await enforcer.stop();
  });

  test('that the kernel refuses changes nothing, and the rules of before are written again', async () => {
    const kernel = new TellingKernel();
    const jails = [{ ...enforcedJail }, { ...web }];
    const { enforcer } = await enforce(kernel, jails);
    const install = kernel.install.bind(kernel);
    kernel.install = async (given) => {
      await install(given);
      if (kernel.installs.length === 1) throw new KernelError(1, 'add table');
    };
    let commits = 0;
    const changing = enforcer.change(
      next,
      new Set([1]),
      () => undefined,
      () => commits++,
    );
    await expect(changing).rejects.toThrow('EPERM');
    await until(() => kernel.installs.length === 2, { what: 'the rules of before' });
    await until(() => enforcer.counters.reconciles === 1, { what: 'the comparison that follows' });
    expect(kernel.installs).toEqual([['sshd'], ['sshd', 'web']]);
    expect([commits, kernel.comparisons]).toEqual([0, []]);
    // Once they are written, a comparison compares.
    await enforcer.reconcile();
    expect(kernel.comparisons).toEqual([['sshd', 'web']]);
    await enforcer.stop();
  });

  test('while a comparison runs waits for its end, and none begins until it is over', async () => {
    const kernel = new TellingKernel();
    let letGo = (): void => {};
    kernel.each = () =>
      new Promise((resolve) => {
        letGo = () => resolve(0);
      });
    const { enforcer } = await enforce(kernel, [{ ...enforcedJail }]);
    enforcer.start();
    await until(() => kernel.comparisons.length === 1, { what: 'the comparison' });
    const installing = enforcer.install();
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(kernel.installs).toEqual([]);
    letGo();
    await installing;
    expect(kernel.installs).toEqual([['sshd']]);
    await until(() => kernel.comparisons.length === 2, { what: 'the comparison that follows' });
    letGo();
    await enforcer.stop();
  });
});

describe('the kernel in the hands of others', () => {
  test('is compared as soon as they have written, and what they took comes back', async () => {
    const kernel = new TellingKernel();
    const clock = clockAhead();
    let told = 0;
    const { attack, enforcer } = await enforce(kernel, [enforcedJail], { disturbed: () => told++ });
    try {
      attack('10.0.0.1');
      await until(() => kernel.held.size === 1, { what: 'the ban' });
      enforcer.start();
      await until(() => enforcer.counters.reconciles === 1, { what: 'the first comparison' });
      kernel.held.clear();
      kernel.areOthersHere = true;
      clock.ms += limits.reconcileApartMs;
      await until(() => enforcer.counters.reconciles === 2, { what: 'the comparison after a change by others' });
      expect(kernel.held.size).toBe(1);
      expect([told, enforcer.counters.repairs]).toEqual([1, 1]);
      expect(enforcer.disturbance).toContain('repaired (1 repairs since the start)');
      expect(enforcer.problems).toContain(enforcer.disturbance);
    } finally {
      clock.end();
      await enforcer.stop();
    }
  });

  test('is compared once a minute where nobody has written', async () => {
    const kernel = new TellingKernel();
    const clock = clockAhead();
    const { enforcer } = await enforce(kernel);
    try {
      enforcer.start();
      await until(() => enforcer.counters.reconciles === 1, { what: 'the first comparison' });
      let asked = 0;
      const { disturbed } = kernel;
      kernel.disturbed = () => {
        asked++;
        return disturbed.call(kernel);
      };
      clock.ms += limits.reconcileApartMs;
      await until(() => asked > 0, { what: 'a look' });
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      expect(enforcer.counters.reconciles).toBe(1);
      clock.ms += limits.reconcileMs;
      await until(() => enforcer.counters.reconciles === 2, { what: 'the comparison that is due' });
    } finally {
      clock.end();
      await enforcer.stop();
    }
  });

  test('that cannot be asked is said in the log, and asked again', async () => {
    const kernel = new TellingKernel();
    const clock = clockAhead();
    const { enforcer, said } = await enforce(kernel);
    try {
      enforcer.start();
      await until(() => enforcer.counters.reconciles === 1, { what: 'the first comparison' });
      kernel.disturbed = () => Promise.reject(new Error('no descriptor'));
      clock.ms += limits.reconcileApartMs;
      await until(() => said().includes('cannot ask the kernel'), { what: 'the warning' });
      expect(said()).toContain('error="no descriptor"');
    } finally {
      clock.end();
      await enforcer.stop();
    }
  });

  test('a repair is shown for an hour', async () => {
    const kernel = new FakeKernel();
    let now = Date.now();
    const { attack, enforcer } = await enforce(kernel, [enforcedJail], { now: () => now });
    attack('10.0.0.1');
    await until(() => kernel.held.size === 1, { what: 'the ban' });
    await enforcer.reconcile();
    kernel.held.clear();
    await enforcer.reconcile();
    const shown = new Date(now).toISOString();
    expect(enforcer.disturbance).toBe(
      `the kernel did not hold what it should, last at ${shown}: repaired (1 repairs since the start)`,
    );
    now += limits.repairShownMs;
    expect(enforcer.disturbance).toContain(shown);
    now++;
    expect(enforcer.disturbance).toBe(undefined);
    await enforcer.stop();
  });

  test('that does not answer is an error with its code, in log and counters', async () => {
    const kernel = new FakeKernel();
    kernel.each = () => Promise.reject(new KernelError(105, 'list set'));
    const { enforcer, said } = await enforce(kernel);
    await expect(enforcer.reconcile()).rejects.toThrow('ENOBUFS');
    expect(said()).toContain('cannot compare with the kernel');
    expect(enforcer.counters).toMatchObject({ reconciles: 0, repairs: 0, failures: new Map([['ENOBUFS', 1]]) });
    await enforcer.stop();
  });
});

describe('what the enforcer says about itself', () => {
  test('bans of an earlier run that are still taken over, once it takes longer than a moment', async () => {
    const kernel = new FakeKernel();
    kernel.held.set('10.0.0.1', { jail: 'sshd', address: addressOf('10.0.0.1'), timeoutMs: 60_000 });
    let letGo = (): void => {};
    const each = kernel.each.bind(kernel);
    kernel.each = async (visit) => {
      await new Promise<void>((resolve) => {
        letGo = resolve;
      });
      return each(visit);
    };
    const clock = clockAhead();
    const { enforcer, engine } = await enforce(kernel);
    try {
      enforcer.start({ adopts: true });
      expect(enforcer.problems).toEqual([undefined, undefined, undefined]);
      clock.ms += limits.adoptionShownMs + 1;
      expect(enforcer.problems.at(-1)).toContain('still being taken over');
      await until(() => {
        letGo();
        return engine.banEnd(0, addressOf('10.0.0.1')) !== undefined;
      });
      await until(() => enforcer.counters.reconciles === 1, { what: 'the end of the comparison' });
      expect(enforcer.problems).toEqual([undefined, undefined, undefined]);
    } finally {
      clock.end();
      await enforcer.stop();
    }
  });

  test('ignored networks for which there is no room, until there is', async () => {
    const ignored = new Ignored([{ ignoreip: [], ignoreself: true }], () => ({
      eth0: [{ address: '192.0.2.1' }] as NetworkInterfaceInfo[],
    }));
    const { enforcer, engine } = await enforce(new FakeKernel(), [{ ...enforcedJail }], { ignored });
    const setIgnored = engine.setIgnored.bind(engine);
    ignored.ignore(addressOf('198.51.100.0/24'), Number.POSITIVE_INFINITY);
    engine.setIgnored = () => false;
    expect(enforcer.follow()).toBe(false);
    expect(enforcer.problem).toBe('there is no room for all networks that are ignored: restart to make it');
    // Nothing has changed since: there is still none.
    expect(enforcer.follow()).toBe(false);
    engine.setIgnored = setIgnored;
    ignored.ignore(addressOf('198.51.100.0/24'), 0);
    expect(enforcer.follow()).toBe(true);
    expect(enforcer.problem).toBe(undefined);
    await enforcer.stop();
  });

  test('that the kernel takes bans again, once', async () => {
    const kernel = new FakeKernel();
    const { attack, enforcer, said } = await enforce(kernel);
    kernel.refuse = () => new KernelError(1, 'add elements');
    attack('10.0.0.1');
    await until(() => enforcer.problem !== undefined, { what: 'the problem' });
    expect(enforcer.problem).toBe('bans do not reach the kernel: add elements: EPERM');
    expect(said()).toContain('ban failed bans=1 error="add elements: EPERM" retryMs=100');
    kernel.refuse = () => undefined;
    await until(() => kernel.held.size === 1, { what: 'the ban' });
    attack('10.0.0.2');
    await until(() => kernel.held.size === 2, { what: 'the next ban' });
    expect(said().match(/the kernel accepts bans again/g)).toHaveLength(1);
    await enforcer.stop();
  });

  test('how long bans waited for the kernel', async () => {
    const kernel = new FakeKernel();
    const { attack, enforcer } = await enforce(kernel);
    attack(...addresses(5));
    await until(() => kernel.held.size === 5, { what: 'the bans' });
    await until(() => enforcer.latency.cumulative.at(-1) === 5, { what: 'the waits' });
    expect(enforcer.latency.sum).toBeGreaterThan(0);
    expect(enforcer.latency.sum).toBeLessThan(5 * 60);
    // Those of an operator did not wait for a decision.
    await enforcer.ban(0, [addressOf('192.0.2.1')], 60);
    expect(enforcer.latency.cumulative.at(-1)).toBe(5);
    await enforcer.stop();
  });
});

test('a dry run compares nothing, adopts nothing and delivers', async () => {
  const kernel = Object.assign(new TellingKernel(), { holds: false });
  kernel.held.set('10.0.0.9', { jail: 'sshd', address: addressOf('10.0.0.9'), timeoutMs: 60_000 });
  const { attack, enforcer, engine } = await enforce(kernel);
  enforcer.start({ adopts: true });
  attack('10.0.0.1');
  await until(() => kernel.held.has('10.0.0.1'), { what: 'the ban' });
  enforcer.allowAnew();
  expect(engine.banEnd(0, addressOf('10.0.0.9'))).toBe(undefined);
  expect([kernel.comparisons, kernel.installs]).toEqual([[], []]);
  await enforcer.stop();
});

test('under ban_all a full table bans every source that it tracks, and is empty afterwards', async () => {
  const kernel = new FakeKernel();
  const patient = { ...enforcedJail, maxretry: 3 };
  const options = { tableBytes: 4_096, evictionPolicy: 'ban_all' as const };
  const { attack, enforcer, engine, said } = await enforce(kernel, [patient], options);
  const room = engine.slots;
  for (let n = 0; n < 4 * room && !said().includes('the table is full'); n += 8) {
    attack(...addresses(8, n));
    await until(() => !engine.banAllDue && engine.waiting === 0, { what: 'what was decided is done' });
  }
  await until(() => said().includes('the table is full: every tracked source is banned'));
  await until(() => kernel.held.size > room / 2, { what: 'the bans' });
  await until(() => engine.tracked < room / 2, { what: 'an empty table' });
  await enforcer.stop();
  for (const { jail, timeoutMs } of kernel.held.values()) {
    expect(jail).toBe('sshd');
    expect(timeoutMs).toBeGreaterThan((enforcedJail.bantime - 60) * 1000);
  }
});

describe('a comparison', () => {
  const now = 1_000_000;
  /** Of a table of one ban in entry 9 that ends in so many seconds. */
  function comparisonOf(seconds: number, timeoutMsMax?: number, confirmed = true) {
    const address = addressOf('10.0.0.1');
    const end = now / 1000 + seconds;
    const ban = { index: 9, jail: 0, address, end, confirmed } as TableBan;
    const engine = {
      slots: 16,
      banEnd: (jail: number) => (jail === 0 ? end : undefined),
      banIndex: (jail: number) => (jail === 0 ? 9 : -1),
      passOver: (first: number) => first,
      eachBan: (_: number, __: number, visit: (ban: TableBan) => void) => {
        visit(ban);
        return -1;
      },
    } as unknown as Engine;
    const backend = timeoutMsMax === undefined ? {} : { timeoutMsMax };
    const comparison = new Comparison(engine, backend, () => now);
    return {
      comparison,
      /** Whether it is there if the kernel holds it for so long. */
      isThere: (timeoutMs: number, jail = 0) => {
        comparison.note({ jail, address, timeoutMs });
        return comparison.missing(0).bans.length === 0;
      },
    };
  }

  const tolerance = limits.timeoutToleranceMs;
  test.each<[seconds: number, timeoutMs: number, most: number | undefined, isThere: boolean]>([
    [100, 100_000, undefined, true],
    [100, 100_000 + tolerance, undefined, true],
    [100, 100_000 - tolerance, undefined, true],
    [100, 100_001 + tolerance, undefined, false],
    [100, 99_999 - tolerance, undefined, false],
    [100, 0, undefined, false],
    [Number.POSITIVE_INFINITY, 0, undefined, true],
    [Number.POSITIVE_INFINITY, 1 << 30, undefined, false],
    // A backend that cannot hold it all renews it when half is over.
    [100, 60_000, 60_000, true],
    [100, 30_001, 60_000, true],
    [100, 30_000, 60_000, false],
    [60, 50_000, 60_000, false],
    [60, 60_000, 60_000, true],
  ])('of a ban with %d s left that the kernel holds for %d ms', (seconds, timeoutMs, most, isThere) => {
    expect(comparisonOf(seconds, most).isThere(timeoutMs)).toBe(isThere);
  });

  test('misses no ban that is over, that is not confirmed, or that it was told of', () => {
    expect(comparisonOf(0).comparison.missing(0).bans).toEqual([]);
    expect(comparisonOf(1).comparison.missing(0).bans).toHaveLength(1);
    expect(comparisonOf(1, undefined, false).comparison.missing(0).bans).toEqual([]);
    const { comparison, isThere } = comparisonOf(100);
    expect(isThere(100_000, 1), 'of another jail').toBe(false);
    comparison.mark(1, addressOf('10.0.0.1'));
    expect(comparison.missing(0)).toMatchObject({ bans: [{ index: 9 }], next: -1 });
    comparison.mark(0, addressOf('10.0.0.1'));
    expect(comparison.missing(0).bans).toEqual([]);
  });
});

test('a kernel that forgets bans while they are read is not believed at once, nor asked without end', async () => {
  const kernel = new FakeKernel();
  const { attack, enforcer } = await enforce(kernel);
  attack(...addresses(80));
  await until(() => kernel.held.size === 80, { what: 'the bans' });
  let dumps = 0;
  // Each dump shows one more.
  kernel.each = async (visit: (ban: Ban) => void) => {
    const shown = [...kernel.held.values()].slice(0, ++dumps);
    for (const ban of shown) visit(ban);
    return shown.length;
  };
  expect(await enforcer.reconcile()).toBe(80 - limits.looksMax);
  expect(dumps).toBe(limits.looksMax);
  await enforcer.stop();
});
