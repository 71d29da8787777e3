/** The wall clock is set at run time and between two runs: what happens to bans and windows. */
import { readFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { bootTime, Clock, stepBetween } from '../../src/clock.ts';
import type { Engine } from '../../src/engine/host.ts';
import { clockLookMs, clockStepSecondsMin } from '../../src/limits.ts';
import { parseAddress } from '../../src/text/address.ts';
import { TableDriver, v4 } from '../support/table-driver.ts';

const year = 366 * 86_400;

test('a clock that is set is noticed once, before anybody is told the time; drift and pauses are not', () => {
  let wall = 1_700_000_000_000;
  let monotonic = 5_000;
  const steps: number[] = [];
  const clock = new Clock(
    (seconds) => steps.push(seconds),
    () => wall,
    () => monotonic,
  );
  const pass = (ms: number): void => {
    wall += ms;
    monotonic += ms;
  };
  pass(3_600_000);
  expect(clock.now()).toBe(wall);
  wall += clockStepSecondsMin * 1000 - 501;
  clock.now();
  expect(steps).toEqual([]);
  for (const step of [3_600, -3_600, year, -year, clockStepSecondsMin]) {
    wall += step * 1000;
    expect(clock.now()).toBe(wall);
    pass(1_234);
    clock.now();
    expect(steps.splice(0)).toEqual([expect.closeTo(step, -1)]);
  }
});

test('a pause of the process between two readings is no step', () => {
  let wall = 1_700_000_000_000;
  let monotonic = 5_000;
  let pauseMs = 0;
  const steps: number[] = [];
  const clock = new Clock(
    (seconds) => steps.push(seconds),
    () => wall,
    () => {
      monotonic += pauseMs;
      wall += pauseMs;
      pauseMs = 0;
      return monotonic;
    },
  );
  pauseMs = 60_000;
  clock.now();
  expect(steps).toEqual([]);
});

test('somebody who only reads the wall clock is told too: it is looked at until the stop', () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  let wall = 1_700_000_000_000;
  const steps: number[] = [];
  const clock = new Clock(
    (seconds) => steps.push(seconds),
    () => wall,
    () => 0,
  );
  clock.start();
  wall += 3_600_400;
  vi.advanceTimersByTime(clockLookMs - 1);
  expect(steps).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(steps).toEqual([3_600]);
  wall -= 1_800_600;
  vi.advanceTimersByTime(clockLookMs);
  expect(steps, 'what was left of the second is in the next step').toEqual([3_600, -1_800]);
  clock.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('a moment names its boot and the seconds since, as the kernel counts them', () => {
  const { boot, seconds } = bootTime()!;
  expect(boot).toBe(readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim());
  const uptime = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
  expect(Math.abs(seconds - uptime)).toBeLessThan(5);
});

const then = 1_700_000_000;
const a = (seconds: number) => ({ boot: 'a', seconds });
const b = (seconds: number) => ({ boot: 'b', seconds });

test.each([
  ['nothing', a(50), a(150), then + 100, 0],
  ['an hour forward', a(50), a(150), then + 3_700, 3_600],
  ['an hour back', a(50), a(150), then - 3_500, -3_600],
  ['less than is noticed', a(50), a(150), then + 101, 0],
  ['almost what is noticed', a(50), a(150), then + 99 + clockStepSecondsMin, 0],
  ['what is noticed', a(50), a(150), then + 100 + clockStepSecondsMin, clockStepSecondsMin],
  ['as much back', a(50), a(150), then + 100 - clockStepSecondsMin, -clockStepSecondsMin],
  ['the nearest second of it', a(50), a(150.3), then + 3_700, 3_600],
  ['nothing passed', a(50), a(50), then - 3_600, -3_600],
  ['the nearest second over a reboot', a(50), b(20), then - 99.6, -100],
  ['forward over a reboot: it may be time that passed', a(50), b(20), then + 3_700, 0],
  ['back over a reboot', a(50), b(20), then - 3_500, -3_500],
  ['back over a reboot that took the time since boot to where it was', a(50), b(150), then - 3_500, -3_500],
  ['a time since boot that ran backwards', a(50), a(20), then + 100, 0],
  ['nothing is known, forward', undefined, a(20), then + 5_000, 0],
  ['nothing is known, back', a(50), undefined, then - 5_000, -5_000],
])('between two runs: %s', (_, thenBoot, nowBoot, now, expected) => {
  expect(stepBetween(then, thenBoot, now, nowBoot)).toBe(expected);
});

const start = 1_763_694_928;
const jails = [{ maxretry: 3, findtime: 600, bantime: 3_600, ipv6Prefix: 64 }];
const ended = (engine: Engine, host: number) => engine.banEnd(0, parseAddress(`192.0.2.${host}`)!);
const source = (host: number) => v4(`192.0.2.${host}`);

test.each([3_600, -3_600, year, -year])(
  'what is left of bans and windows stays where the clock is set by %i s',
  async (step) => {
    for (const build of ['plain', 'wasm'] as const) {
      const table = await TableDriver.create({ build, jails, slots: 64, policy: 'evict_oldest' });
      const { engine } = table;
      for (let i = 0; i < 3; i++) table.fail(0, source(1), start);
      engine.setBan(0, parseAddress('192.0.2.2')!, start, Number.POSITIVE_INFINITY);
      for (let i = 0; i < 2; i++) table.fail(0, source(3), start);
      engine.shiftTimes(step);
      expect(ended(engine, 1)).toBe(start + 3_600 + step);
      expect(ended(engine, 2)).toBe(Number.POSITIVE_INFINITY);
      // The window is still open: the third failure bans, on the new clock.
      expect(table.fail(0, source(3), start + step + 10)).toMatchObject({ failures: 3, time: start + step + 10 });
      expect(table.fail(0, source(1), start + step + 3_599), 'still banned').toBeUndefined();
    }
  },
);

test('a time that an entry cannot hold becomes the nearest that it can', async () => {
  const table = await TableDriver.create({ build: 'plain', jails, slots: 64, policy: 'evict_oldest' });
  const { engine } = table;
  engine.setBan(0, parseAddress('192.0.2.1')!, start, start + 60);
  engine.shiftTimes(-start - 1_000);
  expect(ended(engine, 1)).toBe(0);
  engine.shiftTimes(2 ** 33);
  expect(ended(engine, 1)).toBe(4_294_967_294);
});
