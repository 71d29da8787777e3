/**
 * The enforcer against a kernel of the test's making: what is refused, lost or changed by others,
 * and what comes of it.
 */
import { expect, test, vi } from 'vitest';
import { UnsupportedChange } from '../../src/backends/elements.ts';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { enforcerStopMs, refusalsPerBatchMax } from '../../src/limits.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import type { Address, Backend, Ban, Change } from '../../src/types.ts';
import { enforce, enforcedJail } from '../support/enforcement.ts';
import { until } from '../support/until.ts';

/** All-or-nothing transactions over a map; `refuse` looks at each of them first. */
class FakeKernel implements Backend {
  readonly name = 'nftables';
  readonly holds = true;
  readonly held = new Map<string, Ban>();
  readonly transactions: string[][] = [];
  refuse: (bans: string[]) => Error | undefined = () => undefined;

  async install(): Promise<void> {}

  async apply(changes: Change[]): Promise<void> {
    const texts = changes.map((change) => formatAddress(change.verb === 'ban' ? change.ban.address : change.address));
    this.transactions.push(texts);
    await Promise.resolve();
    const error = this.refuse(texts);
    if (error) throw error;
    for (const [index, change] of changes.entries()) {
      if (change.verb === 'ban') this.held.set(texts[index]!, change.ban);
      else this.held.delete(texts[index]!);
    }
  }

  async each(visit: (ban: Ban) => void): Promise<number> {
    for (const ban of this.held.values()) visit(ban);
    return this.held.size;
  }

  async reconcile(): Promise<boolean> {
    return false;
  }

  async remove(): Promise<void> {}
  close(): void {}
}

const addresses = (count: number, first = 0) =>
  Array.from({ length: count }, (_, n) => `10.0.${(first + n) >> 8}.${(first + n) & 255}`);

const full = () => new KernelError(23, 'add elements');

test('one ban that the kernel refuses holds back no other, and lands when it is taken', async () => {
  const kernel = new FakeKernel();
  const bad = '10.0.1.44';
  let isRefusing = true;
  kernel.refuse = (bans) => (isRefusing && bans.includes(bad) ? full() : undefined);
  const { attack, enforcer, said } = await enforce(kernel);
  attack(...addresses(600));
  await until(() => kernel.held.size === 599, { what: 'all but the refused ban' });
  expect(kernel.held.has(bad)).toBe(false);
  expect(enforcer.problem).toContain('bans of sshd, IPv4 do not reach the kernel: add elements: ENFILE');
  expect(enforcer.counters.failures.get('ENFILE')).toBeGreaterThan(0);
  isRefusing = false;
  await until(() => kernel.held.has(bad), { what: 'the ban that was refused' });
  await until(() => enforcer.problem === undefined, { what: 'the end of the problem' });
  expect(enforcer.counters.bans).toEqual([600]);
  expect(said()).toContain('ban refused');
  await enforcer.stop();
});

test('a full set costs a bounded number of refusals, and other sets go on', async () => {
  const kernel = new FakeKernel();
  const room = 100;
  kernel.refuse = (bans) => {
    const four = [...kernel.held.keys(), ...bans].filter((text) => text.includes('.'));
    return four.length > room ? full() : undefined;
  };
  const { attack, enforcer, engine } = await enforce(kernel);
  attack(...addresses(900), '2001:db8:1::1', '2001:db8:2::1');
  await until(() => kernel.held.has('2001:db8:1::/64') && kernel.held.has('2001:db8:2::/64'), {
    what: 'the IPv6 bans',
  });
  await until(() => enforcer.problem !== undefined, { what: 'the refusal' });
  const refused = enforcer.counters.failures.get('ENFILE')!;
  expect(refused).toBeLessThanOrEqual(2 * refusalsPerBatchMax);
  attack('2001:db8:3::1');
  await until(() => kernel.held.has('2001:db8:3::/64'), { what: 'an IPv6 ban while the IPv4 set is full' });
  let decided = 0;
  engine.eachBan(0, engine.slots, ({ confirmed }) => {
    if (!confirmed) decided++;
  });
  expect(decided).toBe(903 - kernel.held.size);
  await enforcer.stop();
});

test('a ban that the backend can never hold is given up, once, and nothing else is', async () => {
  const kernel = new FakeKernel();
  kernel.refuse = (bans) => (bans.includes('10.0.0.3') ? new UnsupportedChange('10.0.0.3 does not fit') : undefined);
  const { attack, enforcer } = await enforce(kernel);
  attack(...addresses(10));
  await until(() => kernel.held.size === 9, { what: 'the other nine' });
  await until(() => enforcer.counters.unsupported === 1, { what: 'giving up' });
  const sent = kernel.transactions.length;
  attack('10.0.0.77');
  await until(() => kernel.held.has('10.0.0.77'), { what: 'a later ban' });
  expect(kernel.transactions.length).toBe(sent + 1);
  expect(enforcer.problem).toBeUndefined();
  await enforcer.stop();
});

test('while the kernel takes nothing no transaction is split, and everything lands afterwards', async () => {
  const kernel = new FakeKernel();
  let isDown = true;
  kernel.refuse = () => (isDown ? new KernelError(1, 'add elements') : undefined);
  const { attack, enforcer } = await enforce(kernel);
  attack(...addresses(50));
  await until(() => enforcer.problem !== undefined, { what: 'the problem' });
  expect(kernel.transactions.map((each) => each.length)).toEqual([50]);
  isDown = false;
  await until(() => kernel.held.size === 50, { what: 'the bans' });
  expect(enforcer.problem).toBeUndefined();
  await enforcer.stop();
});

test('a comparison brings back what the kernel lost, renews what ends too soon and keeps what the table does not know', async () => {
  const kernel = new FakeKernel();
  const { attack, enforcer, said } = await enforce(kernel);
  attack(...addresses(3000));
  await until(() => kernel.held.size === 3000, { what: 'the bans' });
  expect(await enforcer.reconcile()).toBe(0);
  for (const text of addresses(2500)) kernel.held.delete(text);
  kernel.held.get('10.0.11.1')!.timeoutMs = 1000;
  const stranger = {
    ...kernel.held.get('10.0.11.2')!,
    address: { family: 4 as const, bytes: new Uint8Array(16), prefix: 32 },
  };
  kernel.held.set('stranger', stranger);
  const confirmed = enforcer.counters.bans[0];
  expect(await enforcer.reconcile()).toBe(2501);
  expect(kernel.held.size).toBe(3001);
  expect(kernel.held.get('10.0.11.1')!.timeoutMs).toBeGreaterThan(3_500_000);
  expect(kernel.held.has('stranger')).toBe(true);
  expect(enforcer.counters).toMatchObject({ reconciles: 2, repairs: 2501 });
  expect(enforcer.counters.bans[0], 'a repair is no new ban').toBe(confirmed);
  expect(said()).toContain('repaired');
  await enforcer.stop();
});

test('an unban while a comparison runs is not undone by it', async () => {
  const kernel = new FakeKernel();
  const { attack, enforcer } = await enforce(kernel);
  attack(...addresses(2000));
  await until(() => kernel.held.size === 2000, { what: 'the bans' });
  const gone = [...kernel.held.values()].map(({ address }) => address);
  kernel.held.clear();
  const [repairs] = await Promise.all([enforcer.reconcile(), enforcer.unban([{ jail: 0, address: gone[1999]! }])]);
  expect(repairs).toBeGreaterThanOrEqual(1999);
  expect(kernel.held.size).toBe(1999);
  expect(kernel.held.has(formatAddress(gone[1999]!))).toBe(false);
  await enforcer.stop();
});

test('of a ban that saved state and kernel both know, the later end holds', async () => {
  const kernel = new FakeKernel();
  const { attack, enforcer, engine } = await enforce(kernel);
  attack('10.0.0.1', '10.0.0.2', '10.0.0.3');
  await until(() => kernel.held.size === 3, { what: 'the bans' });
  const now = Date.now() / 1000;
  const endOf = (text: string): number => engine.banEnd(0, kernel.held.get(text)!.address)!;
  const before = endOf('10.0.0.3');
  kernel.held.get('10.0.0.1')!.timeoutMs = 9_999_000;
  kernel.held.get('10.0.0.2')!.timeoutMs = 5_000;
  kernel.held.get('10.0.0.3')!.timeoutMs = (before - now) * 1000 + 300;
  enforcer.start({ adopts: true });
  await until(() => enforcer.counters.reconciles === 1, { what: 'bans taken over' });
  expect(endOf('10.0.0.1')).toBeGreaterThan(now + 9_990);
  expect(endOf('10.0.0.2')).toBeGreaterThan(now + enforcedJail.bantime - 60);
  expect(endOf('10.0.0.3')).toBe(before);
  await enforcer.stop();
});

test('bans of an earlier run without their end get one, where the table does not know better', async () => {
  const kernel = Object.assign(new FakeKernel(), { keepsEnds: false });
  const first = await enforce(kernel);
  first.attack('10.0.0.1', '10.0.0.2');
  await until(() => kernel.held.size === 2, { what: 'the bans' });
  await first.enforcer.stop();
  for (const ban of kernel.held.values()) ban.timeoutMs = 0;
  const { enforcer, engine } = await enforce(kernel);
  enforcer.start({ adopts: true });
  await until(() => kernel.held.get('10.0.0.1')!.timeoutMs > 0, { what: 'the end in the kernel' });
  const address = kernel.held.get('10.0.0.1')!.address;
  expect(engine.banEnd(0, address)).toBeGreaterThan(Date.now() / 1000 + enforcedJail.bantime - 60);
  expect(engine.banEnd(0, address)).toBeLessThan(Number.POSITIVE_INFINITY);
  await enforcer.stop();
});

/** Bans of an earlier run, of which a comparison sees one after the other, each when it is let. */
class SlowKernel extends FakeKernel {
  readonly steps: (() => void)[] = [];

  override async each(visit: (ban: Ban) => void): Promise<number> {
    // As a dump does: what is seen was true a moment ago.
    for (const held of [...this.held.values()]) {
      await new Promise<void>((resolve) => this.steps.push(resolve));
      visit(held);
    }
    return this.held.size;
  }
}

async function withEarlierBans(kernel: FakeKernel, count: number): Promise<Address[]> {
  const first = await enforce(kernel);
  first.attack(...addresses(count));
  await until(() => kernel.held.size === count, { what: 'the bans of an earlier run' });
  await first.enforcer.stop();
  return [...kernel.held.values()].map(({ address }) => address);
}

test('bans go on while those of an earlier run are taken over, and what the operator does meanwhile holds', async () => {
  const kernel = new SlowKernel();
  const [lifted, shortened, kept] = (await withEarlierBans(kernel, 3)) as [Address, Address, Address];
  const { attack, enforcer, engine, said } = await enforce(kernel);
  enforcer.start({ adopts: true });
  await until(() => kernel.steps.length === 1, { what: 'the first ban that is read' });
  attack('10.0.9.9');
  await until(() => kernel.held.has('10.0.9.9'), { what: 'a ban meanwhile' });
  await enforcer.unban([{ jail: 0, address: lifted }]);
  await enforcer.ban(0, [shortened], 60);
  expect(engine.banEnd(0, kept)).toBeUndefined();
  for (let step = 0; step < 3; step++) {
    await until(() => kernel.steps.length > step, { what: 'the next ban that is read' });
    kernel.steps[step]!();
  }
  await until(() => engine.banEnd(0, kept) !== undefined, { what: 'the last ban that is taken over' });
  await until(() => enforcer.counters.reconciles === 1, { what: 'the end of the comparison' });
  expect(engine.banEnd(0, lifted)).toBeUndefined();
  expect(engine.banEnd(0, shortened)).toBeLessThan(Date.now() / 1000 + 61);
  expect([...kernel.held.keys()].sort()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.9.9']);
  expect(kernel.held.get('10.0.0.1')!.timeoutMs).toBe(60_000);
  expect(said()).toContain('bans taken over from the kernel bans=3');
  await enforcer.stop();
});

test('stopping does not wait until all bans of an earlier run are read, and they stay', async () => {
  const kernel = new SlowKernel();
  await withEarlierBans(kernel, 100);
  const { enforcer, said } = await enforce(kernel);
  enforcer.start({ adopts: true });
  await until(() => kernel.steps.length === 1, { what: 'the first ban that is read' });
  let isStopped = false;
  void enforcer.stop().then(() => {
    isStopped = true;
  });
  await until(
    () => {
      kernel.steps.at(-1)!();
      return isStopped;
    },
    { what: 'the end' },
  );
  expect(kernel.steps.length).toBeLessThan(10);
  expect(kernel.held.size).toBe(100);
  expect(said()).not.toContain('cannot compare');
});

test('taking over goes on with the next comparison where the kernel could not be read', async () => {
  const kernel = new FakeKernel();
  const [address] = (await withEarlierBans(kernel, 1)) as [Address];
  const { enforcer, engine } = await enforce(kernel);
  const read = kernel.reconcile;
  kernel.reconcile = () => Promise.reject(new KernelError(105, 'list set'));
  enforcer.start({ adopts: true });
  await until(() => enforcer.counters.failures.get('ENOBUFS') === 1, { what: 'the comparison that failed' });
  kernel.reconcile = read;
  expect(engine.banEnd(0, address)).toBeUndefined();
  await enforcer.reconcile();
  expect(engine.banEnd(0, address)).toBeDefined();
  await enforcer.stop();
});

test('stopping brings in what waits for the kernel to come back, without waiting for the retry', async () => {
  const kernel = new FakeKernel();
  kernel.refuse = () => new KernelError(1, 'add elements');
  const { attack, enforcer } = await enforce(kernel);
  enforcer.start();
  attack(...addresses(50));
  await until(() => enforcer.problem !== undefined, { what: 'a transaction that failed' });
  kernel.refuse = () => undefined;
  await enforcer.stop();
  expect(kernel.held.size).toBe(50);
});

test('stopping ends though bans wait without end; those that are left stay decided', async () => {
  const kernel = new FakeKernel();
  const { attack, enforcer, engine } = await enforce(kernel);
  attack(...addresses(3_000));
  const clock = vi.spyOn(performance, 'now');
  const apply = kernel.apply.bind(kernel);
  let seconds = 0;
  // Each transaction seems to take a second.
  kernel.apply = async (changes) => {
    await apply(changes);
    clock.mockReturnValue(++seconds * 1_000);
    attack(...addresses(400, 3_000 + seconds * 400));
  };
  clock.mockReturnValue(0);
  await enforcer.stop();
  clock.mockRestore();
  expect(seconds).toBeGreaterThan(1);
  // Two loops send, the one that was woken and the one that stops; each may have a transaction
  // queued when time is over.
  expect(seconds).toBeLessThanOrEqual(2 + enforcerStopMs / 1_000);
  let decided = 0;
  engine.eachBan(0, engine.slots, ({ confirmed }) => {
    if (!confirmed) decided++;
  });
  expect(decided).toBe(3_000 + seconds * 400 - kernel.held.size);
  expect(decided).toBeGreaterThan(0);
});

test('sets that others took away are made anew before an operator is refused', async () => {
  const kernel = new FakeKernel();
  const { enforcer, engine } = await enforce(kernel);
  let areGone = true;
  kernel.refuse = () => (areGone ? new KernelError(2, 'add elements') : undefined);
  const { reconcile } = kernel;
  kernel.reconcile = (...args) => {
    areGone = false;
    return reconcile.apply(kernel, args);
  };
  const address = parseCidr('10.0.0.9', 'clear');
  if (typeof address === 'string') throw new Error(address);
  await enforcer.ban(0, [address], 60);
  expect([...kernel.held.keys()]).toEqual(['10.0.0.9']);
  expect(engine.isBanned(0, address)).toBe(true);
  areGone = true;
  await enforcer.unban([{ jail: 0, address: address }]);
  expect(kernel.held.size).toBe(0);
  kernel.refuse = () => new KernelError(1, 'add elements');
  await expect(enforcer.ban(0, [address], 60)).rejects.toThrow('EPERM');
  await enforcer.stop();
});

test('what others removed shows for a while after it was repaired, not what a first comparison finds', async () => {
  const kernel = new FakeKernel();
  const { attack, enforcer } = await enforce(kernel);
  attack(...addresses(3));
  await until(() => kernel.held.size === 3, { what: 'the bans' });
  for (const isFirst of [true, false]) {
    kernel.held.delete('10.0.0.1');
    expect(await enforcer.reconcile()).toBe(1);
    expect(enforcer.disturbance === undefined, 'silent').toBe(isFirst);
  }
  expect(enforcer.disturbance).toContain('repaired (2 repairs since the start)');
  await enforcer.stop();
});
