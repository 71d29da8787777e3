/** A log that became quiet is reported, and one that is often quiet is not. */
import { describe, expect, test } from 'vitest';
import { historiesMax, quietLines, quietLinesMax, quietSecondsMin, weekHours } from '../../src/limits.ts';
import { type SavedHistory, Silence } from '../../src/sources/silence.ts';

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

describe('what is expected and missed', () => {
  const week = 7 * day;
  /** A log that has had so many lines in every hour for two weeks, and has been quiet since. */
  const saved = (more: Partial<SavedHistory> = {}, lines = 10): SavedHistory => ({
    path: '/log',
    since: start - 2 * week,
    quietSeconds: 0,
    missed: 0,
    counts: new Float32Array(weekHours).fill(lines),
    ...more,
  });

  /** Looks once a minute for so long, from `from` on; says what changed. */
  function over(history: SavedHistory, seconds: number, from = start, everySeconds = 60) {
    const said: [path: string, isQuiet: boolean, detail: string, at: number][] = [];
    let now = from;
    const silence = new Silence([history], (...what) => said.push([...what, now - from]));
    const pass = (more: number): void => {
      for (const end = now + more; now <= end; now += everySeconds) silence.look(now, ['/log']);
    };
    pass(seconds);
    return { silence, said, pass, known: () => silence.histories()[0]! };
  }

  test('is said after six hours, if more lines than a few were to be expected, and once', () => {
    const { silence, said } = over(saved(), quietSecondsMin + hour);
    expect(said).toEqual([
      ['/log', true, 'quiet for 6 hours, 50 lines at least were to be expected meanwhile', quietSecondsMin],
    ]);
    expect(silence.problems()).toEqual([`/log: quiet for 7 hours, 60 lines at least were to be expected meanwhile`]);
    silence.heard('/log', 3);
    expect(said.slice(1)).toMatchObject([['/log', false, '', expect.anything()]]);
    expect(silence.problems()).toEqual([]);
    silence.heard('/log', 3);
    expect(said).toHaveLength(2);
    expect(silence.histories()[0]).toMatchObject({ quietSeconds: 0, missed: 0, lines: 6, due: 0 });
  });

  test('counts an hour when the next one is over, since jobs may be late', () => {
    const { known, pass } = over(saved(), hour - 60);
    expect(known()).toMatchObject({ missed: 0, due: 0, quietSeconds: hour - 60 });
    pass(60);
    expect(known()).toMatchObject({ missed: 0, due: 10 });
    pass(hour);
    expect(known()).toMatchObject({ missed: 10, due: 10 });
  });

  test('is not said where no more than a few lines are missing', () => {
    // Each hour of which the next is over counts.
    const lines = (hours: number): number => quietLines / hours;
    expect(over(saved({}, lines(5)), 7 * hour - 60).said).toEqual([]);
    expect(over(saved({}, lines(5) + 0.01), 7 * hour - 60).said).toHaveLength(1);
  });

  test('is not said before a log is known for a week', () => {
    const young = () => saved({ since: start - week + 8 * hour });
    expect(over(young(), 8 * hour - 60).said).toEqual([]);
    expect(over(young(), 8 * hour).said.map(([, , , at]) => at)).toEqual([8 * hour]);
  });

  test('is what usually comes in this hour, or in this hour of other days if that is less', () => {
    const counts = new Float32Array(weekHours);
    // A storm on Mondays at one o'clock; at two something each day.
    counts[97] = 70;
    for (let at = 2; at < weekHours; at += 24) counts[at] = 7;
    counts[98] = 3;
    const from = start + (97 - (Math.floor(start / hour) % weekHours)) * hour;
    const { known, pass } = over(saved({ counts }), hour, from);
    expect(known()).toMatchObject({ due: 10 });
    pass(hour - 60);
    expect(known()).toMatchObject({ missed: 10, due: 3 });
  });

  test('learns from each hour, at most so much, over four weeks', () => {
    const at = Math.floor(start / hour) % weekHours;
    const learnt = (since: number, lines: number): number => {
      const { silence, pass, known } = over(saved({ since }, 4), 60);
      silence.heard('/log', lines);
      pass(hour);
      return known().counts[at]!;
    };
    expect(learnt(start - 10 * week, 8)).toBe(5);
    expect(learnt(start - 10 * week, 1_000)).toBe(4 + (quietLinesMax - 4) / 4);
    // A log that is new has no average yet.
    expect(learnt(start - hour, 8)).toBe(8);
    expect(learnt(start + hour - week + 60, 8)).toBe(8);
    expect(learnt(start - week, 8)).toBe(6);
    expect(learnt(start - 2 * week, 7)).toBe(5);
    // So does a clock that was set back.
    expect(learnt(start + 10 * week, 8)).toBe(8);
  });

  test('counts no time in which nobody looked, nor a clock that goes back', () => {
    const { silence, known } = over(saved(), 0);
    for (const [at, quiet] of [
      [100, 100],
      [3_700, 220],
      [1_000, 220],
      [1_060, 280],
    ] as const) {
      silence.look(start + at, ['/log']);
      expect(known().quietSeconds, `at ${at}`).toBe(quiet);
      expect(silence.quietSecondsOf('/log')).toBe(quiet);
    }
    expect(silence.quietSecondsOf('/other')).toBeUndefined();
  });

  test('what one log lacks is nothing of another, and of one nobody follows nothing is kept', () => {
    const { silence } = over(saved(), 60);
    silence.heard('/other', 3);
    expect(silence.histories()).toHaveLength(1);
    silence.look(start + 120, ['/log', '/other']);
    silence.heard('/other', 3);
    silence.look(start + 180, ['/log', '/other']);
    expect(silence.histories().map(({ path, quietSeconds }) => [path, quietSeconds])).toEqual([
      ['/log', 180],
      ['/other', 60],
    ]);
    // A saved history is taken once: a log that comes again begins anew.
    silence.look(start + 240, []);
    silence.look(start + 300, ['/log']);
    expect(silence.histories()[0]).toMatchObject({ since: start + 300, missed: 0 });
  });

  test('of more logs than there is room for, the others have no history until there is', () => {
    const silence = new Silence([], () => {});
    const paths = Array.from({ length: historiesMax + 1 }, (_, n) => `/log ${n}`);
    silence.look(start, paths);
    expect(silence.histories()).toHaveLength(historiesMax);
    expect(silence.quietSecondsOf(paths.at(-1)!)).toBeUndefined();
    silence.look(start + 60, paths.slice(1));
    expect(silence.quietSecondsOf(paths.at(-1)!)).toBe(60);
  });
});
