/**
 * A Debian system in a folder, made by debootstrap, which is unpacked and not installed. Commands
 * run in it by chroot(1), in their own namespaces: network, mounts, processes. Nothing on the
 * machine itself is changed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { unpack } from '../../scripts/lab/debian.ts';

const tools = join(import.meta.dirname, '../../build/tools');
const base = join(tools, 'debian-bookworm');

/** Unpacks debootstrap and makes the system, once; a copy of it is what tests change. */
function makeBase(): void {
  if (existsSync(base)) return;
  unpack(tools, ['debootstrap']);
  const folder = mkdtempSync(join(tools, 'debian-'));
  const wanted = '--include=systemd,nftables,fail2ban,minisign,libgpgme11,libdevmapper1.02.1';
  execFileSync(
    join(tools, 'usr/sbin/debootstrap'),
    ['--variant=minbase', wanted, 'bookworm', folder, 'http://deb.debian.org/debian'],
    { env: { ...process.env, DEBOOTSTRAP_DIR: join(tools, 'usr/share/debootstrap') }, stdio: ['ignore', 2, 2] },
  );
  // Some of what skopeo depends on cannot be configured here, and is not needed.
  unpack(folder, ['skopeo']);
  renameSync(folder, base);
}

/** A copy of the system, gone after `remove`. */
export class DebianRoot {
  readonly path: string;

  constructor() {
    makeBase();
    this.path = mkdtempSync(join(tools, 'root-'));
    cpSync(base, this.path, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  }

  /** Runs a script of sh(1) as root inside, with /proc and a loopback of its own. */
  run(script: string): { status: number | null; output: string } {
    const inside = `mount -t proc proc "$0/proc" && mount -t tmpfs none "$0/run" && ip link set lo up
exec chroot "$0" /bin/sh -ec "$1"`;
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', inside, this.path, script],
      {
        encoding: 'utf8',
        timeout: 120_000,
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
      },
    );
    return { status, output: stdout + stderr };
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
