/**
 * The pacer over a clock that the test sets: when it makes gaps, how long they are, and for whom it
 * makes none.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { hasOthers, Pacer } from '../../src/backends/nftables/pacer.ts';
import { netlinkListBytesMax, quietGaps } from '../../src/limits.ts';
import { temporaryDirectory } from '../support/control.ts';

const [long, short] = quietGaps;
const crowded = () => true;

class Clock {
  time = 1000;
  now = () => this.time;
  sleep = async (milliseconds: number) => {
    await Promise.resolve();
    this.time += milliseconds;
  };
}

/** Transactions every `apartMs` for a time; returns the gaps that were made: when, and how long. */
async function stream(pacer: Pacer, clock: Clock, apartMs: number, forMs: number): Promise<[number, number][]> {
  const gaps: [number, number][] = [];
  const start = clock.time;
  while (clock.time - start < forMs) {
    const before = clock.time;
    await pacer.pause();
    if (clock.time > before) gaps.push([before - start, clock.time - before]);
    clock.time += apartMs;
  }
  return gaps;
}

test('the first transaction never waits, nor does one after a quiet time', async () => {
  const clock = new Clock();
  const pacer = new Pacer(crowded, clock);
  expect(pacer.pause()).toBeUndefined();
  await stream(pacer, clock, 5, 300);
  clock.time += short!.milliseconds;
  expect(pacer.pause()).toBeUndefined();
});

test('transactions that leave short gaps by themselves wait for long ones only', async () => {
  const clock = new Clock();
  const gaps = await stream(new Pacer(crowded, clock), clock, short!.milliseconds, long!.everyMs * 2);
  expect(gaps.map(([, milliseconds]) => milliseconds)).toEqual([long!.milliseconds]);
  const quiet = await stream(new Pacer(crowded, clock), clock, long!.milliseconds, long!.everyMs * 2);
  expect(quiet).toEqual([]);
});

test('a steady stream leaves a gap of each kind in every period, and rests a seventh of the time at most', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: short!.milliseconds - 1 }), async (apartMs) => {
      const clock = new Clock();
      const forMs = long!.everyMs * 3;
      const gaps = await stream(new Pacer(crowded, clock), clock, apartMs, forMs);
      for (const kind of quietGaps) {
        const ends = gaps
          .filter(([, milliseconds]) => milliseconds >= kind.milliseconds)
          .map(([at, milliseconds]) => at + milliseconds);
        const apart = [...ends, forMs].map((end, index) => end - (index === 0 ? 0 : ends[index - 1]!));
        expect(Math.max(...apart)).toBeLessThanOrEqual(
          kind.everyMs + long!.milliseconds + short!.milliseconds + apartMs,
        );
      }
      expect(gaps.reduce((sum, [, milliseconds]) => sum + milliseconds, 0)).toBeLessThan(forMs / 7);
    }),
    { numRuns: 20 },
  );
});

test('whoever asks during a gap waits for its end, not for another', async () => {
  const clock = new Clock();
  const pacer = new Pacer(crowded, clock);
  await stream(pacer, clock, 5, short!.everyMs - 10);
  clock.time += 20;
  const first = pacer.pause();
  expect(first).toBeDefined();
  expect(pacer.pause()).toBe(first);
  await first;
  expect(pacer.pause()).toBeUndefined();
});

test('nobody waits if no other program could change rules; when one appears, it gets the next gap', async () => {
  const clock = new Clock();
  let isThere = false;
  const pacer = new Pacer(() => isThere, clock);
  expect(await stream(pacer, clock, 5, long!.everyMs * 2)).toEqual([]);
  isThere = true;
  const gaps = await stream(pacer, clock, 5, long!.everyMs * 2);
  const first = (kind: { milliseconds: number }) =>
    gaps.find(([, milliseconds]) => milliseconds === kind.milliseconds)![0];
  expect(first(long)).toBeLessThanOrEqual(long!.everyMs + 5);
  expect(first(short) - first(long)).toBeLessThanOrEqual(long!.milliseconds + short!.everyMs + 5);
});

describe('whether others could change rules', () => {
  const directory = temporaryDirectory();
  afterAll(() => directory.remove());
  const head = 'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n';
  const socket = (protocol: number, port: number, groups = '00000000') =>
    `00000000d91d1aef ${String(protocol).padEnd(3)} ${String(port).padEnd(10)} ${groups} 0        0        0     2        0        4       \n`;
  const told = (own: number, ...sockets: string[]) => {
    const path = join(directory.path, 'netlink');
    writeFileSync(path, head + sockets.join(''));
    return hasOthers(own, path);
  };
  const kernels = socket(12, 0);

  test.each([
    ['our own', false, [kernels, socket(12, 700), socket(12, 4294960000)]],
    ['ours and one more', true, [kernels, socket(12, 700), socket(12, 4294960000), socket(12, 5)]],
    ['who watches', false, [kernels, socket(12, 700), socket(12, 4294960000), socket(12, 5, '00000040')]],
    ['who asks for routes', false, [kernels, socket(0, 5), socket(0, 6), socket(0, 7), socket(12, 700)]],
    ['more than is read', true, Array.from({ length: netlinkListBytesMax / 80 }, (_, port) => socket(0, port))],
  ])('%s', (_what, there, sockets) => {
    expect(told(2, ...sockets)).toBe(there);
  });

  test('if the list cannot be read, there may be other programs', () => {
    expect(hasOthers(2, join(directory.path, 'none'))).toBe(true);
  });

  test("the kernel's own list is read", () => {
    expect(hasOthers(1000)).toBe(false);
    expect(hasOthers(-1)).toBe(true);
  });
});
