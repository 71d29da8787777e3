/**
 * The iptables backend without a kernel: what it puts into the tables, when a ban ends, and what it
 * does where the kernel refuses that.
 */
import { openSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { IptablesBackend } from '../../src/backends/xtables/iptables.ts';
import type { Ours } from '../../src/backends/xtables/rules.ts';
import { Xtables } from '../../src/backends/xtables/xtables.ts';
import { native } from '../../src/native.ts';
import { parseCidr } from '../../src/text/address.ts';
import type { Address, Change, JailScaffold } from '../../src/types.ts';

let put: { family: number; rules: number }[];
/** How many of the next replaces are refused. */
let refusals: number;
let clock: number;
let errors: unknown[];
let backend: IptablesBackend;

const jail: JailScaffold = {
  ...{ name: 'sshd', hooks: ['input'], ipv6Prefix: 64, action: 'drop' },
  ...{ protocols: ['tcp'], ports: [{ first: 22, last: 22 }], allow: [] },
};
const ban = (address: string, timeoutMs: number): Change => ({
  verb: 'ban',
  ban: { jail: 'sshd', address: parseCidr(address, 'clear') as Address, timeoutMs },
});

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  native.xtablesOpen = () => openSync('/dev/null', 'r');
  [put, refusals, clock, errors] = [[], 0, 1_000, []];
  vi.spyOn(Xtables.prototype, 'put').mockImplementation(async function (this: Xtables, { chains }: Ours) {
    const rules = chains.flatMap((chain) => chain.rules).filter((rule) => 'source' in rule).length;
    put.push({ family: this.family, rules });
    if (refusals > 0) {
      refusals--;
      throw new Error('refused');
    }
  });
  for (const name of ['shape', 'mark'] as const) vi.spyOn(Xtables.prototype, name).mockReturnValue('');
  vi.spyOn(Xtables.prototype, 'sources').mockReturnValue([]);
  backend = new IptablesBackend({ now: () => clock, onError: (error) => errors.push(error) });
  await backend.install([jail]);
  put = [];
});
afterEach(() => {
  backend.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
  Reflect.deleteProperty(native, 'xtablesOpen');
});

async function pass(ms: number): Promise<void> {
  clock += ms;
  await vi.advanceTimersByTimeAsync(ms);
}

test('each ban ends in its time, of both families, and others go on', async () => {
  await backend.apply([
    ban('192.0.2.1', 1_000),
    ban('192.0.2.2', 3_000),
    ban('2001:db8::/64', 2_000),
    ban('192.0.2.3', 0),
  ]);
  expect(put.splice(0)).toEqual([
    { family: 4, rules: 3 },
    { family: 6, rules: 1 },
  ]);
  await pass(999);
  expect(put).toEqual([]);
  await pass(2);
  expect(put.splice(0)).toEqual([{ family: 4, rules: 2 }]);
  await pass(1_000);
  expect(put.splice(0)).toEqual([{ family: 6, rules: 0 }]);
  await pass(1_000);
  expect(put.splice(0)).toEqual([{ family: 4, rules: 1 }]);
  await pass(1_000_000);
  expect([put, errors]).toEqual([[], []]);
});

test('an end that the kernel refuses is said and tried again until it is done', async () => {
  await backend.apply([ban('192.0.2.1', 1_000)]);
  put = [];
  refusals = 3;
  for (let tries = 1; tries <= 3; tries++) {
    await pass(1_001);
    expect(errors.length).toBeGreaterThan(0);
  }
  await pass(1_001);
  expect(errors).toHaveLength(3);
  expect(put).toHaveLength(4);
  await pass(1_000_000);
  expect(put).toHaveLength(4);
});

test('what the kernel refused is not believed to be there', async () => {
  refusals = 1;
  await expect(backend.apply([ban('192.0.2.1', 1_000)])).rejects.toThrow('refused');
  put = [];
  await pass(10_000);
  expect(put).toEqual([]);
});

test('a table too full for its bans changes nothing', async () => {
  const small = new IptablesBackend({ bansMax: 1, now: () => clock });
  await small.install([jail]);
  put = [];
  await expect(small.apply([ban('2001:db8::/64', 0), ban('192.0.2.1', 0), ban('192.0.2.2', 0)])).rejects.toMatchObject({
    code: 'ENOSPC',
  });
  expect(put).toEqual([]);
  small.close();
});
