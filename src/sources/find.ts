/**
 * Finds the paths that match log path patterns, and reports which directories have to be watched
 * for which names. A directory may belong to the operator or to anybody: it is read in small
 * portions, and only up to `directoryEntriesMax` names.
 */

import { basename, dirname } from 'node:path';
import { directoryEntriesMax } from '../limits.ts';
import { hasWildcard, matchesComponent, splitPattern } from './glob.ts';
import { FarFile } from './mounts.ts';
import { look, mounts, nextName, openDirectory } from './place.ts';

export interface Search {
  /**
   * A name that matches `component` may appear in `directory`; called before the directory is read.
   */
  lookFor(directory: string, component: string): void;
  /** Whether a known file is being read; then we need not check that it exists. */
  isRead(path: string): boolean;
  /** A directory could not be read. */
  failed(directory: string, error: Error): void;
}

/**
 * Every matching path, with the indices of its patterns. A path without wildcards counts even if
 * nothing is there yet.
 */
export function findPaths(patterns: readonly string[][], search: Search): Map<string, readonly number[]> {
  const fits = new Map<string, readonly number[]>();
  for (const [pattern, components] of patterns.entries()) {
    // A pattern that is no longer used.
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
      // If we hold one of its files open, a removed directory continues to exist and reports
      // nothing: its parent does.
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

/** Names in a directory that match a component, sorted. */
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
 * The directory on the way to a pattern's logs that may not be read; undefined if none is known.
 * What does not exist yet is judged by the directory in which it would be created.
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
 * stat(2), where any failure means "not there": a symbolic link may loop, or its target be
 * forbidden. A path that we do not even touch is reported.
 */
function infoOf(path: string, search?: Search): ReturnType<typeof look> {
  try {
    return look(path);
  } catch (error) {
    if (error instanceof FarFile) search?.failed(path, error);
    return undefined;
  }
}
