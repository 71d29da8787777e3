/** Which log is fed to which jails. */
import { expect, test } from 'vitest';
import { SourceRoutes } from '../../src/sources/routes.ts';
import type { JailConfig } from '../../src/types.ts';

const jail = (name: string, ...logpath: string[]) =>
  ({ name, logpath, filter: name, mode: '' }) as unknown as JailConfig;

test('a log is fed to the jails whose paths it fits, and to no others', () => {
  const routes: number[][] = [];
  const opened = new Map<number, number>();
  const engine = {
    addRoute: (jails: { index: number }[]) => routes.push(jails.map(({ index }) => index)) - 1,
    openSource: (source: number, route: number) => void opened.set(source, route),
  };
  const jails = [
    jail('sshd', '/var/log/auth.log'),
    jail('nginx', '/var/log/a', '/var/log/b'),
    jail('all', '/var/log/*'),
  ];
  const made = new SourceRoutes(engine as never, jails);
  const jailsOf = (...patterns: number[]): number[] => routes[opened.get(made.assign(patterns, -1))!]!;
  expect(made.patterns).toEqual(['/var/log/auth.log', '/var/log/a', '/var/log/b', '/var/log/*']);
  expect(jailsOf(0)).toEqual([0]);
  expect(jailsOf(2, 3)).toEqual([1, 2]);
  expect(jailsOf(1, 2)).toEqual([1]);
  expect(routes).toHaveLength(3);
});
