/**
 * Walks through every component of a path and follows the links itself. Whoever can replace one
 * component decides what the path leads to, so a path is trusted only if all components are.
 * Checking by path is safe here: we only rely on it when the answer is that nobody else could have
 * changed the path meanwhile.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { resolve, sep } from 'node:path';
import { symbolicLinksMax } from './limits.ts';

export interface Component {
  path: string;
  stats: Stats;
}

/**
 * The directories and links on the way to `path`, `/` first; `path` itself comes last if it exists.
 * Throws the system's error for a directory that it cannot examine.
 */
export function componentsOf(path: string): Component[] {
  const found: Component[] = [{ path: sep, stats: lstatSync(sep) }];
  let at: string = sep;
  let links = 0;
  const rest = resolve(path).split(sep).filter(Boolean);
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const here = resolve(at, name);
    const stats = lstatSync(here, { throwIfNoEntry: false });
    if (stats === undefined) {
      if (rest.length === 0) break;
      throw Object.assign(new Error(`${here}: no such directory`), { code: 'ENOENT' });
    }
    found.push({ path: here, stats });
    if (!stats.isSymbolicLink()) {
      at = here;
      continue;
    }
    if (++links > symbolicLinksMax) throw Object.assign(new Error(`${path}: too many links`), { code: 'ELOOP' });
    const target = readlinkSync(here);
    if (target.startsWith(sep)) at = sep;
    rest.unshift(...target.split(sep).filter((part) => part !== '' && part !== '.'));
  }
  return found;
}
