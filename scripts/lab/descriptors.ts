/**
 * The files of a process's descriptors, as `/proc/PID/fd` names them (proc(5)). A process may close
 * one meanwhile: a descriptor that is gone when its name is read is left out.
 */
import { readdirSync, readlinkSync } from 'node:fs';

/** Names of the open files of a process, by descriptor. */
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
