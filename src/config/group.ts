/**
 * The number of a group from /etc/group. Read here and not through the C library: its name service
 * loads shared objects and may use the network, neither of which a root daemon should do at start.
 * So groups that only a directory service knows are not found.
 */
import { readFileSync, statSync } from 'node:fs';
import { groupFileBytesMax } from './limits.ts';

/** The group's number; undefined if the file cannot be read or has no such group. */
export function findGroup(name: string, file = '/etc/group'): number | undefined {
  let text: string;
  try {
    if (statSync(file).size > groupFileBytesMax) return undefined;
    text = readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
  for (const line of text.split('\n')) {
    const [group, , id] = line.split(':');
    if (group === name && /^[0-9]{1,10}$/.test(id) && Number(id) <= 0xffff_fffe) return Number(id);
  }
  return undefined;
}
