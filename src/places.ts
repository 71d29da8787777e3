/**
 * Numbers that stay while a list changes. Everything that is kept of a jail (windows, bans,
 * counters, routes) goes by its number, its place in the list of jails; so a jail that stays keeps
 * its place, and one that goes leaves a vacant one, which a later jail may take. The same holds for
 * filters.
 */
import type { FilterProgram, JailConfig } from './types.ts';

type Named = { name: string };

/** Whether a place has a jail, or a filter. */
export const isTaken = ({ name }: Named): boolean => name !== '';

/** In the place of a jail: reads nothing, bans nobody. */
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

/** In the place of a filter. */
export const vacantFilter: FilterProgram = { name: '', patterns: [], ignore: [], program: '' };

/** `next` in the places that their names have in `current`, newcomers where there is room. */
export function placed<Row extends Named>(current: readonly Row[], next: readonly Row[], vacant: Row): Row[] {
  const rows = current.map((row) => next.find(({ name }) => name === row.name) ?? vacant);
  for (const row of next) {
    if (rows.includes(row)) continue;
    const free = rows.indexOf(vacant);
    rows[free < 0 ? rows.length : free] = row;
  }
  return rows;
}
