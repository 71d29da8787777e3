/** The pacer over made-up surroundings: when it gives way, to whom, and where that ends. */
import { expect, test } from 'vitest';
import { Pacer, parseListing } from '../../src/backends/nftables/pacer.ts';
import { holdBudgetMs, holdBudgetRefill, holdMs, holdTimesMax, lookMs, quietMs } from '../../src/limits.ts';

class Surroundings {
  time = 1000;
  sockets: string[] = [];
  looks = 0;
  /** What happens as time goes by: a time and what to do then. */
  plan: [number, () => void][] = [];
  now = () => this.time;
  foreignSockets = () => {
    this.looks++;
    return this.sockets;
  };
  sleep = async (milliseconds: number) => {
    await Promise.resolve();
    this.time += milliseconds;
    for (const [at, act] of this.plan) if (at <= this.time) act();
  };
  close = () => undefined;
}

/** A pacer whose host commits steadily. */
function steady() {
  const around = new Surroundings();
  const pacer = new Pacer(around);
  pacer.pause();
  around.time += quietMs / 2;
  return { around, pacer };
}

test('the first transaction after a quiet time looks for nobody', () => {
  const around = new Surroundings();
  const pacer = new Pacer(around);
  around.sockets = ['nft'];
  const looks = around.looks;
  expect(pacer.pause()).toBeUndefined();
  around.time += quietMs;
  expect(pacer.pause()).toBeUndefined();
  expect(around.looks).toBe(looks);
});

test('a steady stream waits until the foreign program is done, and no longer', async () => {
  const { around, pacer } = steady();
  expect(pacer.pause()).toBeUndefined();
  around.time += lookMs;
  around.sockets = ['nft'];
  const start = around.time;
  around.plan = [[start + 200, () => around.sockets.splice(0)]];
  await pacer.pause();
  expect(around.time - start).toBeGreaterThanOrEqual(200);
  expect(around.time - start).toBeLessThan(250);
  expect(pacer.counters.holds).toBe(1);
  around.time += lookMs;
  expect(pacer.pause()).toBeUndefined();
});

test('a program that stays holds us for growing times, then never again', async () => {
  const { around, pacer } = steady();
  around.sockets = ['monitor'];
  const waits: number[] = [];
  for (let pause = pacer.pause(); pause !== undefined; pause = pacer.pause()) {
    const start = around.time;
    await pause;
    waits.push(around.time - start);
    around.time += lookMs;
  }
  expect(waits).toEqual(Array.from({ length: holdTimesMax }, (_, times) => holdMs * 2 ** times));
});

test('who was there before us holds nobody', () => {
  const around = new Surroundings();
  around.sockets = ['firewalld'];
  const pacer = new Pacer(around);
  pacer.pause();
  around.time += quietMs / 2;
  expect(pacer.pause()).toBeUndefined();
});

test('ever new sockets delay bans for no more than the budget and its refill', async () => {
  const { around, pacer } = steady();
  const start = around.time;
  let held = 0;
  for (let n = 0; around.time - start < 60_000; n++) {
    around.sockets = [`flood ${n}`];
    const before = around.time;
    await pacer.pause();
    held += around.time - before;
    around.time += lookMs;
  }
  expect(held).toBeLessThan(holdBudgetMs + (around.time - start) * holdBudgetRefill + 2 * holdMs);
});

test('only netfilter sockets of processes are read from the listing', () => {
  const listing = [
    'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode',
    '000000008743e38b 0   812        00000000 0        0        0     2        0        4       ',
    '0000000056e972f5 12  0          00000000 0        0        0     2        0        563     ',
    '0000000056e972f6 12  4242       00000000 0        0        0     2        0        777     ',
    '0000000056e972f7 12  -4127      00000000 0        0        0     2        0        778     ',
    'cut 12',
  ].join('\n');
  expect(parseListing(listing)).toEqual([{ inode: '777', pid: 4242 }]);
});
