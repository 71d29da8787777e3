/**
 * Every component of a path, one after the other, with links followed by us. Whoever may replace
 * one of them decides what stands at the path: a path is trusted only where all of them are.
 * Looking by path is safe where the answer is that nobody else could have changed it meanwhile.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { resolve, sep } from 'node:path';
import { symbolicLinksMax } from './limits.ts';

export interface Component {
  path: string;
  stats: Stats;
}

/**
 * The directories and links on the way to `path`, `/` first; `path` itself comes last where it is
 * there. Throws the system's error where a directory cannot be looked at.
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
