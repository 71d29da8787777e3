/**
 * What the descriptors of a process stand for, as `/proc/PID/fd` names it (proc(5)). A process
 * opens and closes while one looks: a descriptor that is gone by the time its name is read is left
 * out.
 */
import { readdirSync, readlinkSync } from 'node:fs';

/** Names of what a process holds open, by descriptor. */
export function openDescriptors(pid: number | 'self' = 'self'): Map<number, string> {
  const open = new Map<number, string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      open.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return open;
}
