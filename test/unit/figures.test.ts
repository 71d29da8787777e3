/** The table of figures: each counter of the engine is in it, and no name stands for two things. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Pipeline, pipeline } from '../../spec/support/pipeline.ts';
import { noFiles, noMemory } from '../../spec/support/watched.ts';
import * as counters from '../../src/engine/counters.ts';
import { Recorder } from '../../src/history/recorder.ts';
import { DropTally } from '../../src/observe/drop-tally.ts';
import { type Figure, figuresOf, statsOf } from '../../src/observe/figures.ts';
import { exposition } from '../../src/observe/metrics.ts';
import { checkSeries } from '../support/series.ts';

let made: Pipeline;
let figures: Figure[];
const read = { engine: new Set<number>(), filter: new Set<number>(), jail: new Set<number>() };

beforeAll(async () => {
  made = await pipeline();
  const { engine } = made;
  // Notes which counters are asked for.
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
  const rooms = { recorder, drops, memory: noMemory, files: noFiles, control: undefined, keeper: undefined };
  const operator = { problems: () => ['a problem'], idleJails: () => [] };
  figures = figuresOf({ ...made, ...rooms, operator, engine: watched });
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
