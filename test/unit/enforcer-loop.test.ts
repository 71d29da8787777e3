/**
 * The loop of the enforcer: what begins it, what it waits for, what it finds anew, and that it is
 * over after the stop.
 */
import type { NetworkInterfaceInfo } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { Ignored } from '../../src/enforcer/ignored.ts';
import { banRetryMs, ownAddressesApartMs } from '../../src/limits.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import type { Address, Decision, JailConfig } from '../../src/types.ts';
import { enforce, enforcedJail } from '../support/enforcement.ts';
import { addresses, FakeKernel } from '../support/fake-kernel.ts';
import { until } from '../support/until.ts';

const addressOf = (text: string): Address => parseCidr(text, 'clear') as Address;
const web: JailConfig = { ...enforcedJail, name: 'web', maxretry: 1_000 };

async function settle(): Promise<void> {
  for (let turns = 0; turns < 30; turns++) await turn();
}

/** The monotonic clock of the test. */
function clockOf() {
  const clock = { ms: 1_000_000, end: () => spy.mockRestore() };
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => clock.ms);
  return clock;
}

test('a wait begins with the first decision that waits, not with the last look', async () => {
  const clock = clockOf();
  try {
    const kernel = new FakeKernel();
    const { attack, enforcer } = await enforce(kernel);
    const apply = kernel.apply.bind(kernel);
    kernel.apply = async (changes) => {
      clock.ms += 250;
      await apply(changes);
    };
    for (let batch = 1; batch <= 2; batch++) {
      enforcer.wake();
      clock.ms += 60_000;
      attack(...addresses(3, 10 * batch));
      await until(() => kernel.held.size === 3 * batch, { what: 'the bans' });
      await settle();
      expect(enforcer.latency.cumulative.at(-1)).toBe(3 * batch);
      expect(enforcer.latency.sum).toBeCloseTo(3 * batch * 0.25);
    }
    await enforcer.stop();
  } finally {
    clock.end();
  }
});

test('the ban that a sweep finds has no wait that anybody measured', async () => {
  const kernel = new FakeKernel();
  kernel.refuse = () => new KernelError(1, 'add elements');
  const { attack, enforcer } = await enforce(kernel);
  attack('10.0.0.1');
  await until(() => enforcer.problem !== undefined, { what: 'the refusal' });
  kernel.refuse = () => undefined;
  await until(() => kernel.held.size === 1, { what: 'the ban' });
  await settle();
  expect([enforcer.latency.cumulative.at(-1), enforcer.counters.bans[0]]).toEqual([0, 1]);
  await enforcer.stop();
});

test('while the kernel accepts nothing, decisions wait for the end of the pause', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  try {
    const kernel = new FakeKernel();
    kernel.refuse = () => new KernelError(1, 'add elements');
    const { attack, enforcer } = await enforce(kernel);
    attack('10.0.0.1');
    await settle();
    expect(kernel.transactions).toHaveLength(1);
    kernel.refuse = () => undefined;
    attack('10.0.0.2');
    await settle();
    expect(kernel.transactions).toHaveLength(1);
    vi.advanceTimersByTime(banRetryMs);
    await settle();
    expect([...kernel.held.keys()].sort()).toEqual(['10.0.0.1', '10.0.0.2']);
    await enforcer.stop();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('own addresses are looked at before a delivery, but not before each', async () => {
  const clock = clockOf();
  try {
    const kernel = new FakeKernel();
    const own: string[] = [];
    const interfaces = vi.fn(() => ({ eth0: own.map((address) => ({ address })) as NetworkInterfaceInfo[] }));
    const ignored = new Ignored([{ ignoreip: [], ignoreself: true }], interfaces);
    const { attack, enforcer, said } = await enforce(kernel, [{ ...enforcedJail, ignoreself: true }], { ignored });
    attack('10.0.0.1');
    await until(() => kernel.held.size === 1, { what: 'the first ban' });
    await settle();
    const looks = interfaces.mock.calls.length;
    own.push('10.0.0.2');
    clock.ms += ownAddressesApartMs - 1;
    attack('10.0.0.3');
    await until(() => kernel.held.size === 2, { what: 'the second ban' });
    await settle();
    expect(interfaces.mock.calls.length).toBe(looks);
    clock.ms += 1;
    attack('10.0.0.2');
    await settle();
    expect(interfaces.mock.calls.length).toBe(looks + 1);
    expect([...kernel.held.keys()]).toEqual(['10.0.0.1', '10.0.0.3']);
    expect(said().match(/the ignored addresses have changed/g)).toHaveLength(1);
    await enforcer.stop();
  } finally {
    clock.end();
  }
});

test('what is decided while a reload has the kernel is told, and banned afterwards in the jails that stay', async () => {
  const kernel = new FakeKernel();
  const decided: string[] = [];
  const { attack, enforcer } = await enforce(kernel, [{ ...enforcedJail }, { ...web }], {
    decided: ({ address }: Decision) => decided.push(formatAddress(address)),
  });
  let installs = 0;
  kernel.install = async () => {
    if (installs++ === 0) attack('10.0.0.1');
  };
  await enforcer.change(
    [enforcedJail, web],
    new Set(),
    () => undefined,
    () => {},
  );
  expect(decided).toEqual(['10.0.0.1']);
  await until(() => kernel.held.size === 1, { what: 'the ban' });
  expect(decided).toEqual(['10.0.0.1']);
  await enforcer.stop();
});

test('nothing begins after the stop', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  try {
    const kernel = new FakeKernel();
    const { attack, enforcer } = await enforce(kernel);
    enforcer.start();
    await settle();
    expect(vi.getTimerCount()).toBe(2);
    await enforcer.stop();
    expect(vi.getTimerCount()).toBe(0);
    attack('10.0.0.1');
    await settle();
    expect(kernel.transactions).toEqual([]);
  } finally {
    vi.useRealTimers();
  }
});

test('a kernel that refuses room for new bans is a failure with its code, and tried again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const kernel = new FakeKernel();
    const { attack, enforcer, said } = await enforce(kernel, [enforcedJail], { bansMax: 2 });
    attack(...addresses(2));
    await settle();
    expect(kernel.held.size).toBe(2);
    kernel.refuse = (texts) => (kernel.held.has(texts[0]!) ? new KernelError(105, 'delete elements') : undefined);
    attack('10.0.9.9');
    await settle();
    expect(enforcer.counters.failures).toEqual(new Map([['ENOBUFS', 1]]));
    expect(said()).toContain('ban failed bans=1 error="delete elements: ENOBUFS');
    expect(kernel.held.size).toBe(2);
    kernel.refuse = () => undefined;
    vi.advanceTimersByTime(banRetryMs);
    await settle();
    expect([kernel.held.has('10.0.9.9'), kernel.held.size <= 2]).toEqual([true, true]);
    await enforcer.stop();
  } finally {
    vi.useRealTimers();
  }
});

test('an unban that a reload overtakes ends the bans of the jails that stay', async () => {
  const kernel = new FakeKernel();
  const jails = [{ ...enforcedJail }, { ...web }];
  const { enforcer, engine } = await enforce(kernel, jails);
  await enforcer.ban(0, [addressOf('10.0.0.1')], 600);
  await enforcer.ban(1, [addressOf('10.0.0.2')], 600);
  const changing = enforcer.change(
    [enforcedJail, { ...web, name: 'mail' }],
    new Set([1]),
    () => undefined,
    () => Object.assign(jails[1]!, { name: 'mail' }),
  );
  await enforcer.unban([
    { jail: 0, address: addressOf('10.0.0.1') },
    { jail: 1, address: addressOf('10.0.0.2') },
  ]);
  await changing;
  expect(kernel.transactions.at(-1)).toEqual(['10.0.0.1']);
  expect(engine.isBanned(0, addressOf('10.0.0.1'))).toBe(false);
  expect(enforcer.counters.unbans).toBe(1);
  await enforcer.stop();
});
