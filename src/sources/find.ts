/**
 * Finds the paths that fit log path patterns, telling on the way which directories have to be
 * watched for which names. Directories are the operator's or anybody's: they are read in small
 * portions, and only so far (`directoryEntriesMax`).
 */

import { basename, dirname } from 'node:path';
import { directoryEntriesMax } from '../limits.ts';
import { hasWildcard, matchesComponent, splitPattern } from './glob.ts';
import { FarFile } from './mounts.ts';
import { look, mounts, nextName, openDirectory } from './place.ts';

export interface Search {
  /**
   * A name that fits `component` may appear in `directory`; called before the directory is read.
   */
  lookFor(directory: string, component: string): void;
  /** Whether a file that was found before is read: then nobody need look whether it is there. */
  isRead(path: string): boolean;
  /** A directory could not be read. */
  failed(directory: string, error: Error): void;
}

/**
 * Every path that fits, with the indices of its patterns. A path without wildcards counts even if
 * nothing is there yet.
 */
export function findPaths(patterns: readonly string[][], search: Search): Map<string, readonly number[]> {
  const fits = new Map<string, readonly number[]>();
  for (const [pattern, components] of patterns.entries()) {
    // One that is given up.
    if (components.length === 0) continue;
    const alone = [pattern];
    walk('', components, 0, search, (path) => {
      const known = fits.get(path);
      if (known === undefined) fits.set(path, alone);
      else if (!known.includes(pattern)) fits.set(path, [...known, pattern]);
    });
  }
  return fits;
}

function walk(
  directory: string,
  components: string[],
  index: number,
  search: Search,
  found: (path: string) => void,
): void {
  const component = components[index]!;
  const here = directory === '' ? '/' : directory;
  const last = index === components.length - 1;
  if (!hasWildcard(component)) {
    const path = `${directory}/${component}`;
    if (last) {
      found(path);
      // A removed directory stays alive, and silent, while we hold one of its files open: its
      // parent tells.
      if (directory !== '' && infoOf(path, search) === undefined)
        search.lookFor(dirname(directory), basename(directory));
    } else if (isDirectory(path, search)) {
      walk(path, components, index + 1, search, found);
    } else {
      search.lookFor(here, component);
    }
    return;
  }
  search.lookFor(here, component);
  for (const name of namesIn(here, component, search)) {
    const path = `${directory}/${name}`;
    if (last && (search.isRead(path) || infoOf(path, search) !== undefined)) found(path);
    if (!last && isDirectory(path, search)) walk(path, components, index + 1, search, found);
  }
}

/** Names in a directory that fit a component, sorted. */
export function namesIn(directory: string, component: string, search: Search): string[] {
  const names: string[] = [];
  try {
    const entries = openDirectory(directory);
    try {
      for (let name = nextName(entries); name !== null; name = nextName(entries)) {
        if (matchesComponent(name, component)) names.push(name);
        if (names.length >= directoryEntriesMax) break;
      }
    } finally {
      entries.closeSync();
    }
  } catch (error) {
    search.failed(directory, error as Error);
  }
  return names.sort();
}

/**
 * The directory on the way to the logs of a pattern that may not be read; undefined where none is
 * known to be barred. What is not there yet counts by what it would be made in.
 */
export function barred(pattern: string): string | undefined {
  const components = splitPattern(pattern).slice(0, -1);
  const wildcard = components.findIndex(hasWildcard);
  const fixed = wildcard < 0 ? components : components.slice(0, wildcard);
  mounts.refresh();
  for (let length = fixed.length; length >= 0; length--) {
    const directory = `/${fixed.slice(0, length).join('/')}`;
    try {
      openDirectory(directory).closeSync();
      return undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT') return code === 'EACCES' || code === 'EPERM' ? directory : undefined;
    }
  }
  return undefined;
}

export function isDirectory(path: string, search?: Search): boolean {
  return infoOf(path, search)?.isDirectory() ?? false;
}

/**
 * stat(2) where any failure means "not there": the path of a symbolic link may loop, or be
 * forbidden. What is not even looked at is told.
 */
function infoOf(path: string, search?: Search): ReturnType<typeof look> {
  try {
    return look(path);
  } catch (error) {
    if (error instanceof FarFile) search?.failed(path, error);
    return undefined;
  }
}
