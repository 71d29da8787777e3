/**
 * Finds the paths that fit log path patterns, telling on the way which directories have to be
 * watched for which names. Directories are the operator's or anybody's: they are read in small
 * portions, and only so far (`directoryEntriesMax`).
 */

import { opendirSync, type Stats, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { directoryEntriesMax } from '../limits.ts';
import { hasWildcard, matchesComponent } from './glob.ts';

export interface Search {
  /**
   * A name that fits `component` may appear in `directory`; called before the directory is read.
   */
  lookFor(directory: string, component: string): void;
  /** A directory could not be read. */
  failed(directory: string, error: Error): void;
}

/**
 * Every path that fits, with the indices of its patterns. A path without wildcards counts even if
 * nothing is there yet.
 */
export function findPaths(patterns: readonly string[][], search: Search): Map<string, number[]> {
  const fits = new Map<string, number[]>();
  for (const [pattern, components] of patterns.entries()) {
    walk('', components, 0, search, (path) => {
      const known = fits.get(path);
      if (known === undefined) fits.set(path, [pattern]);
      else if (!known.includes(pattern)) known.push(pattern);
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
      if (directory !== '' && !exists(path)) search.lookFor(dirname(directory), basename(directory));
    } else if (isDirectory(path)) {
      walk(path, components, index + 1, search, found);
    } else {
      search.lookFor(here, component);
    }
    return;
  }
  search.lookFor(here, component);
  for (const name of namesIn(here, component, search)) {
    const path = `${directory}/${name}`;
    if (last && exists(path)) found(path);
    if (!last && isDirectory(path)) walk(path, components, index + 1, search, found);
  }
}

/** Names in a directory that fit a component, sorted. */
export function namesIn(directory: string, component: string, search: Search): string[] {
  const names: string[] = [];
  try {
    const entries = opendirSync(directory);
    try {
      for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
        if (matchesComponent(entry.name, component)) names.push(entry.name);
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

export function isDirectory(path: string): boolean {
  return fileInfo(path)?.isDirectory() ?? false;
}

function exists(path: string): boolean {
  return fileInfo(path) !== undefined;
}

/**
 * stat(2) where any failure means "not there": the path of a symbolic link may loop, or be
 * forbidden.
 */
function fileInfo(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
