/** The table of figures holds each counter of the engine, and no name has two meanings. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Pipeline, pipeline } from '../../spec/support/pipeline.ts';
import { noFiles, noMemory } from '../../spec/support/watched.ts';
import { Latency } from '../../src/enforcer/latency.ts';
import * as counters from '../../src/engine/counters.ts';
import { Recorder } from '../../src/history/recorder.ts';
import { DropTally } from '../../src/observe/drop-tally.ts';
import { type Figure, figuresOf, statsOf } from '../../src/observe/figures.ts';
import { exposition } from '../../src/observe/metrics.ts';
import type { FileStatus } from '../../src/sources/file.ts';
import { readExposition } from '../support/exposition.ts';
import { checkSeries } from '../support/series.ts';
import { until } from '../support/until.ts';

let made: Pipeline;
let figures: Figure[];
const read = { engine: new Set<number>(), filter: new Set<number>(), jail: new Set<number>() };

beforeAll(async () => {
  made = await pipeline();
  const { engine } = made;
  // Notes which counters are read.
  const watched = new Proxy(engine, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      return (...args: number[]) => {
        if (name === 'counter') read.engine.add(args[0]!);
        if (name === 'filterCounter') read.filter.add(args[1]!);
        if (name === 'jailCounter') read.jail.add(args[1]!);
        return value.apply(target, args) as unknown;
      };
    },
  });
  const drops = new DropTally(made.backend, made.log);
  const recorder = new Recorder({ path: undefined, log: made.log });
  const routes = {
    statusOf: (): FileStatus[] => [
      { path: '/a', source: 0, state: 'reading', offset: 0, behind: true, quietSeconds: 60, detail: '' },
      { path: '/b', source: 1, state: 'reading', offset: 0, behind: false, quietSeconds: 120, detail: '' },
    ],
  };
  const rooms = { recorder, drops, routes, memory: noMemory, files: noFiles, control: undefined, keeper: undefined };
  const operator = { problems: () => ['a problem'], idleJails: () => [] };
  figures = figuresOf({ ...made, ...rooms, followed: () => [], operator, engine: watched });
});

afterAll(() => made.enforcer.stop());

test('every counter of the engine is in a figure', async () => {
  await exposition(figures);
  const missing = Object.entries(counters).filter(([name, value]) => {
    if (typeof value !== 'number') return false;
    const kind = name.startsWith('FILTER_') ? 'filter' : name.startsWith('JAIL_') ? 'jail' : 'engine';
    return !read[kind].has(value);
  });
  expect(missing).toEqual([]);
});

test('the page takes the table, and stats shows numbers', async () => {
  expect(() => checkSeries(figures)).not.toThrow();
  const stats = await statsOf(figures);
  expect(stats).toMatchObject({ problems: 1, 'jails.without_log': 0 });
  expect(Object.keys(stats).length).toBeGreaterThan(25);
  for (const value of Object.values(stats)) expect(value).toBeTypeOf('number');
});

test('the way into the kernel is a histogram, with its quantiles; logs have their lag and silence', async () => {
  const { latency } = made.enforcer;
  for (const [bans, seconds] of [
    [98, 0.0015],
    [1, 0.3],
    [1, 40],
  ] as const)
    latency.note(bans, seconds);
  const page = await exposition(figures);
  const { samples, type } = readExposition(Buffer.from(page)).get('fail2zig_ban_latency_seconds')!;
  expect(type).toBe('histogram');
  const at = (le: string) => samples.find(({ labels }) => labels.le === le)?.value;
  expect(['0.001', '0.002', '0.2', '0.5', '30', '+Inf'].map(at)).toEqual([0, 98, 98, 99, 99, 100]);
  expect(page).toContain('\nfail2zig_ban_latency_seconds_count 100\n');
  expect(page).toContain(`\nfail2zig_ban_latency_seconds_sum ${latency.sum}\n`);
  expect(await statsOf(figures)).toMatchObject({ 'bans.p50_seconds': 0.002, 'bans.p99_seconds': 0.5 });
  expect([latency.quantile(1), new Latency().quantile(0.99)]).toEqual([30, 0]);
  expect(page).toContain('\nfail2zig_jail_logs{jail="sshd"} 2\n');
  expect(page).toContain('\nfail2zig_jail_logs_behind{jail="sshd"} 1\n');
  expect(page).toContain('\nfail2zig_jail_silence_seconds{jail="sshd"} 60\n');
});

test('a ban is in the histogram once the kernel has it', async () => {
  const { latency } = made.enforcer;
  const before = latency.cumulative.at(-1)!;
  made.fail('192.0.2.1', '192.0.2.2');
  await until(() => made.backend.held.size === 2, { what: 'two bans' });
  await until(() => latency.cumulative.at(-1) === before + 2, { what: 'two more bans in it' });
});

test('a figure of several rows is their sum, unless each has a name of its own', async () => {
  const labelled = (stats: Figure['stats']): Figure => ({
    name: 'fail2zig_x',
    help: 'x',
    type: 'gauge',
    labels: ['part'],
    read: () => [
      [['a'], 1],
      [['b'], 2],
    ],
    stats,
  });
  expect(await statsOf([labelled('x'), labelled(([part]) => `x.${part}`), labelled(undefined)])).toEqual({
    x: 3,
    'x.a': 1,
    'x.b': 2,
  });
});
