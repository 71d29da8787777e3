/**
 * Debian's journald and what belongs to it, unpacked under build/tools/journal: nothing is
 * installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const folder = join(root, 'build', 'tools', 'journal');
const packages = ['systemd', 'systemd-journal-remote', 'libsystemd-shared', 'libsystemd0', 'libmicrohttpd12'];

export const programs = {
  journald: join(folder, 'lib/systemd/systemd-journald'),
  remote: join(folder, 'lib/systemd/systemd-journal-remote'),
  journalctl: join(folder, 'bin/journalctl'),
};

const libraries = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
export const environment = {
  ...process.env,
  LD_LIBRARY_PATH: `${folder}/usr/lib/${libraries}/systemd:${folder}/usr/lib/${libraries}`,
};

/** Unpacks what is not there; throws where it cannot be had. */
export function unpackPackages(): void {
  if (Object.values(programs).every((program) => existsSync(program))) return;
  mkdirSync(folder, { recursive: true });
  for (const name of packages) {
    const fetch = 'cd "$1" && apt-get download -qq "$2" && dpkg-deb -x "$2"_*.deb . && rm -f -- "$2"_*.deb';
    const { status, stderr } = spawnSync('sh', ['-c', fetch, 'sh', folder, name], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`package ${name} cannot be had: ${stderr.trim()}`);
  }
}
