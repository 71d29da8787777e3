/** A log that became quiet is reported, and one that is often quiet is not. */
import { describe, expect, test } from 'vitest';
import { weekHours } from '../../src/limits.ts';
import { Silence } from '../../src/sources/silence.ts';

const hour = 3_600;
const day = 24 * hour;
/** A Monday, midnight. */
const start = 1_763_942_400;

/** A small generator of numbers in [0, 1), which a seed repeats. */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x297a2d39) | 0;
    return (Math.imul(state ^ (state >>> 12), 0x297a2d39) >>> 0) / 2 ** 32;
  };
}

/** The rate of a log: how many lines come in a minute. */
type Rate = (hourOfWeek: number, random: () => number, minute: number) => number;

const poisson = (mean: number, random: () => number): number => {
  let count = 0;
  for (let left = Math.exp(-mean), product = random(); product > left; product *= random()) count++;
  return count;
};
const daily = (hourOfWeek: number) => hourOfWeek % 24;
const isOffice = (hourOfWeek: number) => hourOfWeek < 120 && daily(hourOfWeek) >= 8 && daily(hourOfWeek) < 18;

/** Ten kinds of log. */
const kinds: Record<string, Rate> = {
  'a busy web server': (_, random) => poisson(20, random),
  'ssh under steady attack': (_, random) => poisson(2, random),
  'ssh of a host nobody knows, a line an hour': (_, random) => poisson(1 / 60, random),
  'storms of an hour, twice a week': (_, random, minute) =>
    Math.floor(minute / 60) % 83 === 0 ? poisson(40, random) : 0,
  'clusters of ten lines every few days': (_, random) => (random() < 1 / (60 * 72) ? 10 : 0),
  'an office, from eight to six': (at, random) => (isOffice(at) ? poisson(1, random) : 0),
  'an office whose nights are nearly quiet': (at, random) => poisson(isOffice(at) ? 1 : 1 / 200, random),
  'a job each night': (at, _, minute) => (daily(at) === 3 && minute % 60 === 10 ? 200 : 0),
  'a report on Mondays': (at, _, minute) => (at === 6 && minute % 60 === 0 ? 500 : 0),
  'day and night, ten to one': (at, random) =>
    poisson(0.3 * (1 + Math.sin((daily(at) / 24) * 2 * Math.PI)) + 0.03, random),
};

/**
 * Looks once a minute from `from` to `to` (days). Returns the days on which the log was reported as
 * quiet.
 */
function run(silence: Silence, alarms: number[], rate: Rate, from: number, to: number, random: () => number): void {
  for (let minute = from * 1440; minute < to * 1440; minute++) {
    const now = start + minute * 60;
    const before = alarms.length;
    silence.look(now, ['/log']);
    const lines = rate(Math.floor(now / hour) % weekHours, random, minute);
    if (lines > 0) silence.heard('/log', lines);
    if (alarms.length > before) alarms[before] = minute / 1440;
  }
}

function watch(saved: ConstructorParameters<typeof Silence>[0] = []) {
  const alarms: number[] = [];
  const silence = new Silence(saved, (_path, quiet) => quiet && alarms.push(Number.NaN));
  return { silence, alarms };
}

describe('over 37 days', () => {
  test('ten kinds of log together give one false alarm at most', () => {
    for (const seed of [1, 2, 3]) {
      const found = Object.entries(kinds).map(([name, rate]) => {
        const { silence, alarms } = watch();
        run(silence, alarms, rate, 0, 37, randomFrom(seed));
        return [name, alarms] as const;
      });
      const all = found.flatMap(([name, alarms]) => alarms.map((at) => `${name}: day ${at}`));
      expect(all.slice(1)).toEqual([]);
    }
  });

  test.each(['a busy web server', 'ssh under steady attack', 'a job each night', 'day and night, ten to one'])(
    'the end of %s is noticed within a day, after six hours at least',
    (name) => {
      const { silence, alarms } = watch();
      const random = randomFrom(1);
      run(silence, alarms, kinds[name]!, 0, 20, random);
      expect(alarms).toEqual([]);
      run(silence, alarms, () => 0, 20, 22, random);
      expect(alarms.length).toBe(1);
      expect(alarms[0]).toBeGreaterThanOrEqual(20.2);
      expect(alarms[0]).toBeLessThan(21.2);
      expect(silence.problems()[0]).toMatch(/^\/log: quiet for \d+ hours, \d+ lines at least/);
      silence.heard('/log', 1);
      expect(silence.problems()).toEqual([]);
    },
  );
});

test('nothing is said in the first week', () => {
  const { silence, alarms } = watch();
  const random = randomFrom(1);
  run(silence, alarms, kinds['a busy web server']!, 0, 2, random);
  run(silence, alarms, () => 0, 2, 7, random);
  expect(alarms).toEqual([]);
});

test('what was learnt survives a restart, and time without observation does not count', () => {
  const { silence, alarms } = watch();
  const random = randomFrom(1);
  run(silence, alarms, kinds['a busy web server']!, 0, 14, random);
  const second = watch(silence.histories());
  run(second.silence, second.alarms, () => 0, 16, 16.2, random);
  expect(second.alarms).toEqual([]);
  run(second.silence, second.alarms, () => 0, 16.2, 17, random);
  expect(second.alarms.length).toBe(1);
});

test('a log that is no longer followed is forgotten', () => {
  const { silence } = watch();
  silence.look(start, ['/a', '/b']);
  silence.look(start + day, ['/b']);
  expect(silence.histories().map(({ path }) => path)).toEqual(['/b']);
});
