/**
 * Numbers that stay the same while a list changes. Everything that belongs to a jail (windows,
 * bans, counters, routes) refers to it by its number, which is its place in the list of jails. So a
 * jail that remains keeps its place, and a removed jail leaves an empty place, which a later jail
 * may take. Filters work the same way.
 */
import type { FilterProgram, JailConfig } from './types.ts';

type Named = { name: string };

/** Whether a jail or a filter has this place. */
export const isTaken = ({ name }: Named): boolean => name !== '';

/** Fills the empty place of a jail: reads nothing, bans nobody. */
export const vacantJail: JailConfig = {
  name: '',
  filter: '',
  mode: '',
  logpath: [],
  maxretry: 0,
  findtime: 1,
  bantime: 1,
  escalation: null,
  ipv6Prefix: 64,
  ignoreip: [],
  ignoreself: false,
  network: false,
  ports: [],
  protocols: [],
  hooks: [],
  action: 'drop',
};

/** Fills the empty place of a filter. */
export const vacantFilter: FilterProgram = { name: '', patterns: [], ignore: [], program: '' };

/**
 * `next`, with each known name in the place that it has in `current`; new names take free places.
 */
export function placed<Row extends Named>(current: readonly Row[], next: readonly Row[], vacant: Row): Row[] {
  const rows = current.map((row) => next.find(({ name }) => name === row.name) ?? vacant);
  for (const row of next) {
    if (rows.includes(row)) continue;
    const free = rows.indexOf(vacant);
    rows[free < 0 ? rows.length : free] = row;
  }
  return rows;
}
