/**
 * The files that a configuration needs, as permissions for Landlock. Input: a checked
 * configuration. Its log paths may contain anybody's files, and a mount may hang, so each path is
 * compared with the list of mounts first. Claim: X-files.
 */
import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findPaths } from '../sources/find.ts';
import { hasWildcard, splitPattern } from '../sources/glob.ts';
import { JournalDirectories } from '../sources/journal/directories.ts';
import { mounts } from '../sources/place.ts';
import type { CoreConfig } from '../types.ts';
import { type Permission, rights } from './landlock.ts';

/** System files that the runtime reads, each with its reason. */
const systemFiles = [
  '/proc', // its own status, mounts, limits; the boot it runs in
  '/sys/fs/cgroup', // the memory it may have
  '/sys/devices/system/cpu', // how many processors there are
  '/dev/urandom', // the seed of the table
  '/etc/localtime', // log times without a zone
  '/usr/share/zoneinfo',
  '/etc/machine-id', // whose journals are read
  '/etc/ssl/openssl.cnf', // Node's cryptography asks for it
  '/etc/ld.so.cache', // where the runtime's libraries are
];
/** The directory with the locks of firewall tables (sole.ts). */
export const locksDirectory = '/run/fail2zig';
export const xtablesLock = '/run/xtables.lock';

const read = (path: string): Permission => ({ path, may: rights.read });
const keep = (path: string): Permission => ({ path, may: rights.keep });
const isThere = (path: string): boolean => {
  try {
    mounts.check(path);
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
};

/** The runtime and its libraries, as mapped in this process. */
export function runtime(maps = readFileSync('/proc/self/maps', 'latin1')): Permission[] {
  const files = new Set(maps.split('\n').flatMap((line) => /(\/[^\n]*)$/.exec(line)?.[1] ?? []));
  const isLoader = (path: string): boolean => /\/ld-[^/]*$/.test(path);
  return [...files].map((path) =>
    path === process.execPath || isLoader(path) ? { path, may: rights.run } : read(path),
  );
}

/**
 * The directories of a pattern's logs. For the kernel, a directory that is created again is another
 * one, so its parent is allowed too, unless it is as wide as /var or /. `missing` is called if
 * nothing on the way exists yet.
 */
function directoriesOf(pattern: string, missing: (pattern: string) => void): string[] {
  const components = splitPattern(pattern).slice(0, -1);
  const wildcard = components.findIndex(hasWildcard);
  const fixed = wildcard < 0 ? components : components.slice(0, wildcard);
  const at = (length: number): string => `/${fixed.slice(0, length).join('/')}`;
  let length = fixed.length;
  while (length > 0 && !isThere(at(length))) length -= 1;
  if (length === 0) {
    if (fixed.length === 0) return ['/'];
    missing(pattern);
    return [];
  }
  return length > 2 && length === fixed.length ? [at(length), at(length - 1)] : [at(length)];
}

/** Directories of files to which links among the logs lead. */
function linkedDirectories(patterns: readonly string[]): string[] {
  const nothing = (): void => {};
  const search = { lookFor: nothing, isRead: () => false, failed: nothing };
  const found = findPaths(patterns.map(splitPattern), search);
  return [...found.keys()].flatMap((path) => {
    try {
      mounts.check(path);
      const real = realpathSync(path);
      return real === path ? [] : [dirname(real)];
    } catch {
      return [];
    }
  });
}

/** The journals that some jail reads, as patterns of their files. */
function journals({ jails, journal }: CoreConfig): string[] {
  if (!jails.some((jail) => jail.journal !== undefined)) return [];
  return new JournalDirectories(journal.directories).roots.map((root) => `${root}/*`);
}

/** The program: the bundles and the files beside them, or its sources. */
function programFiles(core: string | undefined): string[] {
  if (core === undefined) return [];
  const folder = dirname(core);
  if (!core.endsWith('.cjs')) return [dirname(folder)];
  return [folder, join(folder, '../build'), join(folder, '../package.json')];
}

/** Everything that the core may access; `missing` is called for what does not exist yet. */
export function permissionsFor(
  config: CoreConfig,
  core: string | undefined,
  missing: (pattern: string) => void,
): Permission[] {
  mounts.refresh();
  mounts.allow(config.jails.filter(({ network }) => network).flatMap(({ logpath }) => logpath));
  const lists = (config.lists ?? []).map(({ file }) => file);
  const patterns = [...new Set([...config.jails.flatMap(({ logpath }) => logpath), ...lists])];
  const found = [...patterns, ...journals(config)].flatMap((pattern) => directoriesOf(pattern, missing));
  const logs = [...found, ...linkedDirectories(patterns)];
  const { control, state, firewall, confinement } = config;
  return [
    ...runtime(),
    ...systemFiles.map(read),
    ...programFiles(core).map(read),
    ...[...new Set([...logs, ...confinement.read])].map(read),
    ...(state.enabled ? [keep(dirname(state.path))] : []),
    ...(control.enabled ? [keep(dirname(control.path))] : []),
    ...(firewall.backend === 'log-only' ? [] : [keep(locksDirectory), { path: xtablesLock, may: rights.write }]),
    { path: '/dev/null', may: rights.write },
    // The log opens it again, to write without waiting.
    { path: '/proc/self/fd/2', may: rights.write },
    ...(process.env.NODE_V8_COVERAGE === undefined ? [] : [keep(process.env.NODE_V8_COVERAGE)]),
  ];
}
