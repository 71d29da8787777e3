/**
 * What `check --suggest` finds out about a host: its services with their logs or journal, the ports
 * of sshd, a free port for the metrics page. Looks below `root` ('' is this host). It only reads; a
 * file that cannot be read counts as missing.
 */

import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogSeconds } from '../config/limits.ts';
import { journalOrigins } from '../filters/journal.ts';
import { matchingPaths } from '../import/log-files.ts';
import { JournalDirectories, systemDirectories } from '../sources/journal/directories.ts';
import { logFilesMax, metricsPorts } from './limits.ts';
import { type Service, services, sharedLogs } from './services.ts';
import { readBelow, sshdPorts } from './sshd-config.ts';

/** A service on this host, and where its lines are. */
export interface Found {
  service: Service;
  /**
   * Configured log paths; empty with `journal`. Neither of them: nobody keeps the service's lines.
   */
  logs: readonly string[];
  journal: boolean;
}

export interface Facts {
  found: readonly Found[];
  sshdPorts: readonly number[];
  /** The usual port, unless another program has it. */
  metricsPort: number;
  /** The address from which the operator is logged in over SSH. */
  session?: string | undefined;
}

export function factsOf(root: string, session: string | undefined, now = Date.now() / 1000): Facts {
  const journals = new JournalDirectories(systemDirectories.map((directory) => root + directory));
  const hasJournal = journals.files(() => {}).length > 0;
  return {
    found: services.flatMap((service) => findService(service, root, hasJournal, now) ?? []),
    sshdPorts: sshdPorts(root),
    metricsPort: freePort(root),
    session,
  };
}

function findService(service: Service, root: string, hasJournal: boolean, now: number): Found | undefined {
  const { logs } = service;
  const isShared = typeof logs === 'string';
  const there = (isShared ? sharedLogs[logs] : logs).filter((path) => newest(root + path) >= 0);
  const isInstalled = hasUnit(service, root) || service.settings.some((path) => existsSync(root + path));
  if (!isShared && there.length > 0) return { service, logs: there, journal: false };
  if (!isInstalled) return undefined;
  const [log] = there;
  // A host that switched from syslog to the journal keeps its last log file for ever.
  const isWritten = log !== undefined && (!hasJournal || now - newest(root + log) < silentLogSeconds);
  if (isWritten) return { service, logs: [log], journal: false };
  const journal = hasJournal && service.filters.every((filter) => journalOrigins.has(filter));
  return { service, logs: [], journal };
}

/** When a file that matches the pattern was last written, seconds; -1 if there is none. */
function newest(pattern: string): number {
  const times = matchingPaths(pattern, logFilesMax).map((path) => statSync(path).mtimeMs / 1000);
  return Math.max(-1, ...times);
}

const unitFolders = ['/etc/systemd/system', '/usr/lib/systemd/system', '/lib/systemd/system'];

/** Whether one of the service's units has a unit file that is not masked, or an init script. */
function hasUnit({ filters }: Service, root: string): boolean {
  const units = filters.flatMap((filter) => journalOrigins.get(filter)?.units ?? []);
  return units.some((unit) => {
    const paths = unitFolders.map((folder) => `${root}${folder}/${unit}.service`);
    if (paths.some((path) => linkOf(path) === '/dev/null')) return false;
    return [...paths, `${root}/etc/init.d/${unit}`].some((path) => existsSync(path));
  });
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** A port for the metrics page on which no other program listens. */
function freePort(root: string): number {
  const taken = new Map<number, string[]>();
  for (const table of ['tcp', 'tcp6']) {
    for (const line of readBelow(root, `/proc/net/${table}`).split('\n')) {
      const [, local = '', , state, ...rest] = line.trim().split(/\s+/);
      // proc(5): 0A is LISTEN; the tenth field is the socket's inode.
      if (state !== '0A') continue;
      const port = Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16);
      taken.set(port, [...(taken.get(port) ?? []), rest[5] ?? '']);
    }
  }
  const isFree = (port: number): boolean => {
    const inodes = taken.get(port);
    return inodes === undefined || inodes.every((inode) => isOurs(root, inode));
  };
  const [usual = 0] = metricsPorts;
  return metricsPorts.find(isFree) ?? usual;
}

/** Whether a running fail2zig holds the socket: only root can see the sockets of others. */
function isOurs(root: string, inode: string): boolean {
  return namesIn(`${root}/proc`)
    .filter((name) => /^[0-9]+$/.test(name))
    .filter((pid) => readBelow(root, `/proc/${pid}/cmdline`).includes('fail2zig'))
    .some((pid) => {
      const folder = `${root}/proc/${pid}/fd`;
      return namesIn(folder).some((fd) => linkOf(join(folder, fd)) === `socket:[${inode}]`);
    });
}

/** The names in a directory; empty if it cannot be read or its process has ended. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
