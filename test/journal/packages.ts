/**
 * Debian's journald and its libraries, unpacked under build/tools/journal: nothing is installed.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { libraries, unpack } from '../../scripts/lab/debian.ts';

const root = join(import.meta.dirname, '..', '..');
const folder = join(root, 'build', 'tools', 'journal');
const packages = ['systemd', 'systemd-journal-remote', 'libsystemd-shared', 'libsystemd0', 'libmicrohttpd12'];

export const programs = {
  journald: join(folder, 'lib/systemd/systemd-journald'),
  remote: join(folder, 'lib/systemd/systemd-journal-remote'),
  journalctl: join(folder, 'bin/journalctl'),
};

export const environment = {
  ...process.env,
  LD_LIBRARY_PATH: `${folder}/usr/lib/${libraries}/systemd:${folder}/usr/lib/${libraries}`,
};

/** Unpacks what is missing; throws if something is not available. */
export function unpackPackages(): void {
  if (Object.values(programs).every((program) => existsSync(program))) return;
  unpack(folder, packages);
}
