/**
 * Which log is fed to which jails, how a reload keeps it so, and which files are followed at all.
 */
import { describe, expect, test } from 'vitest';
import { followedFilesMax, routeJailsMax, routesMax } from '../../src/limits.ts';
import type { FileStatus } from '../../src/sources/file.ts';
import { SourceRoutes } from '../../src/sources/routes.ts';
import { shareOut } from '../../src/sources/shares.ts';
import type { JailConfig } from '../../src/types.ts';

const jail = (name: string, ...logpath: string[]) =>
  ({ name, logpath, filter: `${name}-filter`, mode: name === 'nginx' ? 'strict' : '' }) as unknown as JailConfig;
const ofJournal = (name: string, unit: string) =>
  ({ ...jail(name), journal: { text: unit, groups: [{ terms: [['_SYSTEMD_UNIT', [unit]]] }] } }) as JailConfig;

/** Routes over an engine that tells what it was told. */
function routesOf(...jails: JailConfig[]) {
  const routes: { index: number; filter: string; mode: string }[][] = [];
  const opened = new Map<number, number>();
  const moved: number[] = [];
  const engine = {
    addRoute: (given: (typeof routes)[0]) => routes.push(given) - 1,
    openSource: (source: number, route: number) => void opened.set(source, route),
    moveSource: (source: number, route: number) => {
      moved.push(source);
      opened.set(source, route);
    },
    resetRoutes: () => void routes.splice(0),
  };
  const made = new SourceRoutes(engine as never, jails);
  return {
    made,
    routes,
    moved,
    jails,
    /** The jails that a source is fed to. */
    jailsOf: (source: number): number[] => routes[opened.get(source)!]!.map(({ index }) => index),
  };
}

describe('a log', () => {
  test('is fed to the jails whose paths it fits, and to no others', () => {
    const { made, routes, jailsOf } = routesOf(
      jail('sshd', '/var/log/auth.log'),
      jail('nginx', '/var/log/a', '/var/log/b'),
      jail('all', '/var/log/*'),
    );
    expect(made.patterns).toEqual(['/var/log/auth.log', '/var/log/a', '/var/log/b', '/var/log/*']);
    expect([0, 1, 2, 3].map((pattern) => made.jailOf(pattern))).toEqual([0, 1, 1, 2]);
    expect(jailsOf(made.assign([0], -1))).toEqual([0]);
    expect(jailsOf(made.assign([2, 3], -1))).toEqual([1, 2]);
    expect(jailsOf(made.assign([1, 2], -1))).toEqual([1]);
    expect(routes).toHaveLength(3);
    expect(routes[1]).toEqual([
      { index: 1, filter: 'nginx-filter', mode: 'strict' },
      { index: 2, filter: 'all-filter', mode: '' },
    ]);
  });

  test('that is gone gives its number to the next; one that stays keeps its own', () => {
    const { made, moved, jailsOf } = routesOf(jail('sshd', '/a'), jail('nginx', '/b'));
    const [one, other] = [made.assign([0], -1), made.assign([1], -1)];
    expect([one, other]).toEqual([0, 1]);
    made.release(one);
    expect(made.assign([1], -1)).toBe(one);
    expect(made.assign([1], -1)).toBe(2);
    expect(moved).toEqual([]);
    expect(made.assign([0], other)).toBe(other);
    expect(jailsOf(other)).toEqual([0]);
    expect(moved).toEqual([other]);
  });

  test('has one route, in whatever order its patterns come, and keeps the first number too', () => {
    const { made, routes, moved, jailsOf } = routesOf(...['/a', '/b', '/c'].map((path) => jail(path, path)));
    const first = made.assign([2, 0], -1);
    expect([first, jailsOf(first)]).toEqual([0, [0, 2]]);
    expect(jailsOf(made.assign([0, 2], -1))).toEqual([0, 2]);
    expect(routes).toHaveLength(1);
    expect([made.assign([1], 0), jailsOf(0), moved]).toEqual([0, [1], [0]]);
  });

  test('may lie on a file system that can hang where its jail says so', () => {
    const network = { ...jail('far', '/far', '/away'), network: true } as JailConfig;
    const { made, jails } = routesOf(network, jail('near', '/near'));
    expect([0, 1, 2].map((pattern) => made.network(pattern))).toEqual([true, true, false]);
    jails[0] = { ...jail('far', '/far'), network: true } as JailConfig;
    made.renew();
    expect(made.patterns).toEqual(['/far', '', '/near']);
    expect([0, 1, 2].map((pattern) => made.network(pattern))).toEqual([true, false, false]);
  });

  test('is shown under each jail that reads it now', () => {
    const { made } = routesOf(jail('sshd', '/a'), jail('nginx', '/a', '/b'));
    const both = made.assign([0, 1], -1);
    const alone = made.assign([2], -1);
    const status = (source: number, path: string, state = 'reading') => ({ source, path, state }) as FileStatus;
    const followed = [status(both, '/a'), status(alone, '/b'), status(both, '/a.1', 'waiting'), status(99, '/x')];
    expect(made.logsOf(0, followed)).toEqual(['/a']);
    expect(made.logsOf(1, followed)).toEqual(['/a', '/b']);
    expect(made.statusOf(1, followed)).toEqual([followed[0], followed[1]]);
    made.release(both);
    expect(made.logsOf(0, followed)).toEqual([]);
  });

  test('for which there is no number or no route is refused', () => {
    const { made } = routesOf(jail('sshd', '/a'));
    for (let count = 0; count < followedFilesMax; count++) expect(made.assign([0], -1)).toBe(count);
    expect(made.assign([0], -1)).toBe(-1);
    made.release(7);
    expect(made.assign([0], -1)).toBe(7);
  });

  test('that would need one route more than there may be is refused, one of a known route is not', () => {
    // Every set of patterns is a route of its own.
    const { made, routes } = routesOf(...Array.from({ length: 14 }, (_, index) => jail(`j${index}`, `/${index}`)));
    const setOf = (number: number): number[] => [...Array(14).keys()].filter((bit) => (number & (1 << bit)) !== 0);
    let jails = 0;
    let refused = 0;
    for (let number = 1; number < 1 << 14 && refused === 0; number++) {
      const source = made.assign(setOf(number), 5);
      if (source < 0) refused = number;
      else jails += setOf(number).length;
    }
    expect(refused).toBeGreaterThan(0);
    expect(routes.length === routesMax || jails + setOf(refused).length > routeJailsMax).toBe(true);
    expect(routes.length).toBeLessThanOrEqual(routesMax);
    expect(jails).toBeLessThanOrEqual(routeJailsMax);
    expect(made.assign(setOf(1), 5)).toBe(5);
  });
});

describe('routes', () => {
  const many = (count: number) =>
    routesOf(...Array.from({ length: count }, (_, index) => jail(`j${index}`, `/${index}`)));

  test('are as many as are bounded', () => {
    const { made, routes } = many(routesMax + 1);
    for (let number = 0; number < routesMax; number++) expect(made.assign([number], 5)).toBe(5);
    expect(made.assign([routesMax], 5)).toBe(-1);
    expect(made.assign([routesMax - 1], 5)).toBe(5);
    expect(routes).toHaveLength(routesMax);
  });

  test('lead to as many jails together as are bounded', () => {
    const all = [...Array(64).keys()];
    const { made } = many(all.length);
    const routes = routeJailsMax / 32;
    // Each of 32 jails, and no two alike.
    for (let number = 0; number < routes; number++) {
      const chosen = all.filter((bit) =>
        bit < 2 * 16 ? ((number >> (bit % 8)) & 1) === Number(bit % 16 < 8) : bit < 48,
      );
      expect(chosen).toHaveLength(32);
      expect(made.assign(chosen, 5)).toBe(5);
    }
    expect(made.assign([63], 5)).toBe(-1);
  });
});

describe('a reload', () => {
  test('leaves a path its number, gives that of a removed one to the next, and makes the routes anew', () => {
    const { made, jails, routes, jailsOf } = routesOf(jail('sshd', '/a', '/b'), jail('nginx', '/c'));
    const kept = made.assign([1], -1);
    jails[0] = jail('sshd', '/b', '/d', '/e');
    made.renew();
    expect(routes).toEqual([]);
    expect(made.patterns).toEqual(['', '/b', '/c', '/d', '/e']);
    expect([0, 1, 2, 3, 4].map((pattern) => made.jailOf(pattern))).toEqual([-1, 0, 1, 0, 0]);
    jails[1] = jail('nginx', '/f', '/b');
    made.renew();
    // Two jails may read the same path, each under a number of its own.
    expect(made.patterns).toEqual(['/f', '/b', '', '/d', '/e', '/b']);
    expect(made.jailOf(0)).toBe(1);
    expect(made.jailOf(5)).toBe(1);
    expect(jailsOf(made.assign([1, 5], kept))).toEqual([0, 1]);
  });

  test('makes the route of a file anew that goes to the same jails, and leaves out removed paths', () => {
    const { made, jails, routes, jailsOf } = routesOf(jail('sshd', '/a', '/b'), jail('nginx', '/c'));
    const kept = made.assign([1], -1);
    jails[0] = jail('sshd', '/b');
    made.renew();
    expect(jailsOf(made.assign([1], kept))).toEqual([0]);
    expect(jailsOf(made.assign([0, 1, 2], kept))).toEqual([0, 1]);
    expect(routes).toHaveLength(2);
  });

  test('without a jail frees its paths', () => {
    const { made, jails } = routesOf(jail('sshd', '/a'), jail('nginx', '/b'));
    jails.length = 1;
    made.renew();
    expect(made.patterns).toEqual(['/a', '']);
    expect(made.jailOf(1)).toBe(-1);
  });
});

describe('the journal', () => {
  test('is one source for all jails that read the same of it', () => {
    const { made, jailsOf } = routesOf(ofJournal('sshd', 'ssh'), ofJournal('slow', 'ssh'), ofJournal('web', 'nginx'));
    const targets = made.journal();
    expect(targets.map(({ name, source, match }) => [name, source, match.text])).toEqual([
      ['journal:sshd,slow', 0, 'ssh'],
      ['journal:web', 1, 'nginx'],
    ]);
    expect(targets.map(({ source }) => jailsOf(source))).toEqual([[0, 1], [2]]);
  });

  test('after a reload keeps the source of what is still read, and frees the others', () => {
    const { made, jails, moved } = routesOf(ofJournal('sshd', 'ssh'), ofJournal('web', 'nginx'));
    made.journal();
    jails[0] = ofJournal('mail', 'postfix');
    made.renew();
    expect(made.journal().map(({ name, source }) => [name, source])).toEqual([
      ['journal:mail', 0],
      ['journal:web', 1],
    ]);
    expect(moved).toEqual([1]);
  });

  test('of many jails has a name that ends', () => {
    const { made } = routesOf(...Array.from({ length: 40 }, (_, index) => ofJournal(`jail-${index}`, 'ssh')));
    expect(made.journal()[0]!.name).toHaveLength(200);
  });

  test('for which no number is left is an error', () => {
    const { made } = routesOf(jail('sshd', '/a'), ofJournal('web', 'nginx'));
    for (let count = 0; count < followedFilesMax; count++) made.assign([0], -1);
    expect(() => made.journal()).toThrow('no room for what a jail reads of the journal');
  });
});

describe('of more files than there is room for', () => {
  const fits = (rows: Record<string, number[]>): Map<string, readonly number[]> => new Map(Object.entries(rows));
  const chosen = (rows: Record<string, number[]>, most: number, known: string[] = [], literal: number[] = []) => [
    ...shareOut(
      fits(rows),
      3,
      most,
      (patterns) => patterns.some((pattern) => literal.includes(pattern)),
      (path) => known.includes(path),
    ).keys(),
  ];

  test('each pattern has its share, in turn', () => {
    expect(chosen({ '/a1': [0], '/a2': [0], '/a3': [0], '/b1': [1], '/c1': [2], '/c2': [2] }, 5)).toEqual([
      '/a1',
      '/b1',
      '/c1',
      '/a2',
      '/c2',
    ]);
    expect(chosen({ '/a1': [0], '/a2': [0], '/b1': [1], '/b2': [1], '/c1': [2] }, 4)).toEqual([
      '/a1',
      '/b1',
      '/c1',
      '/a2',
    ]);
  });

  test('a file counts for its first pattern', () => {
    expect(chosen({ '/ab': [0, 1], '/a': [0], '/b': [1] }, 2)).toEqual(['/ab', '/b']);
    expect(
      shareOut(
        fits({ '/ab': [0, 1] }),
        2,
        1,
        () => false,
        () => false,
      ),
    ).toEqual(fits({ '/ab': [0, 1] }));
  });

  test('paths without a wildcard come first, as far as there is room', () => {
    expect(chosen({ '/a1': [0], '/a2': [0], '/l': [2], '/m': [2] }, 3, [], [2])).toEqual(['/l', '/m', '/a1']);
    expect(chosen({ '/l': [2], '/m': [2], '/n': [2] }, 2, [], [2])).toEqual(['/l', '/m']);
  });

  test('those that are followed already stay', () => {
    expect(chosen({ '/a1': [0], '/a2': [0], '/a3': [0], '/b1': [1] }, 3, ['/a3'])).toEqual(['/a3', '/b1', '/a1']);
  });
});
