/**
 * What only one daemon may use, protected by a lock on a file that only root can open: the firewall
 * table (in one network namespace), the state file and the control socket. Otherwise a second
 * daemon would replace the rules and sets of the first, or its bans and read positions, with its
 * own. The kernel releases a lock when the process ends, for whatever reason. The file stays: after
 * a removal, somebody could lock a new file of the same name. Input: a directory that others may
 * not write. Claim: FM-1.
 */
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { native } from './native.ts';

/** Another daemon of ours already uses what this one needs. */
export class InUseError extends Error {
  constructor(what: string, own: string, holder: string) {
    super(`another fail2zig (process ${holder || 'unknown'}) holds the ${what}: stop it, or give this one a ${own}`);
    this.name = 'InUseError';
  }
}

/**
 * The path of a firewall table's lock. It names the network namespace, which the table belongs to.
 */
export function tableLockPath(table: string): string {
  return `/run/fail2zig/table-${fs.statSync('/proc/self/ns/net').ino}-${table}.lock`;
}

/**
 * Takes the lock at `path`; it lasts until the returned descriptor is closed or the process ends.
 * Throws InUseError, or the system's error if the file cannot be opened.
 */
export function takeLock(path: string, what: string, own: string): number {
  try {
    fs.mkdirSync(dirname(path), { mode: 0o755 });
  } catch {
    // It exists, or opening it will say what is wrong.
  }
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  const fd = fs.openSync(path, flags, 0o600);
  const { uid, mode } = fs.fstatSync(fd);
  const isOurs = uid === process.geteuid?.() && (mode & 0o077) === 0;
  if (!isOurs || native.tryLock(fd) < 0) {
    const holder = Buffer.alloc(16);
    const length = fs.readSync(fd, holder, 0, holder.length, 0);
    fs.closeSync(fd);
    if (!isOurs) throw new Error(`${path} is not ours alone: remove it`);
    throw new InUseError(what, own, holder.toString('latin1', 0, length).replaceAll(/[^0-9]/g, ''));
  }
  fs.ftruncateSync(fd);
  fs.writeSync(fd, String(process.pid), 0);
  return fd;
}
