/**
 * The files that match a log path now, as the daemon would find them. Reads a bounded number of
 * directory entries.
 */
import { readdirSync, statSync } from 'node:fs';
import { matchesComponent, splitPattern } from '../sources/glob.ts';

/** At most this many directory entries are read for one path. */
const entriesMax = 20_000;

/** At most `most` paths of regular files. */
export function matchingPaths(pattern: string, most: number): string[] {
  let paths = [''];
  let left = entriesMax;
  for (const part of splitPattern(pattern)) {
    const isPlain = !/[*?]/.test(part);
    paths = paths.flatMap((path) => {
      if (isPlain) return [`${path}/${part}`];
      const names = entriesOf(path === '' ? '/' : path);
      left -= names.length;
      return left < 0 ? [] : names.filter((name) => matchesComponent(name, part)).map((name) => `${path}/${name}`);
    });
  }
  return paths.filter(isFile).slice(0, most);
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
