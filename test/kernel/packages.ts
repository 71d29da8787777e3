/**
 * Debian's kernel, qemu, busybox and what they need, unpacked under build/tools/kernel: nothing is
 * installed. The kernel is the one that linux-image-cloud-amd64 names in the release of this
 * machine's sources (Debian 12: 6.1).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { unpack } from '../../scripts/lab/debian.ts';

const root = join(import.meta.dirname, '..', '..');
export const folder = join(root, 'build', 'tools', 'kernel');

/** Including the libraries of qemu that a system without qemu lacks. */
const packages = [
  ...['qemu-system-x86', 'qemu-system-data', 'qemu-system-common', 'seabios', 'busybox-static'],
  ...['libfdt1', 'libcapstone4', 'libpmem1', 'libndctl6', 'libdaxctl1', 'librdmacm1', 'libibverbs1', 'libslirp0'],
  ...['libvdeplug2', 'liburing2', 'libfuse3-3', 'libaio1', 'libnl-3-200', 'libnl-route-3-200'],
];

export const programs = {
  qemu: join(folder, 'usr/bin/qemu-system-x86_64'),
  busybox: join(folder, 'bin/busybox'),
};

const libraries = ['usr/lib', 'lib'].map((path) => join(folder, path, 'x86_64-linux-gnu')).join(':');
export const environment = { ...process.env, LD_LIBRARY_PATH: libraries };

/** Where qemu looks for its own firmware. */
export const firmware = ['qemu', 'seabios'].map((name) => join(folder, 'usr/share', name));

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

export interface Kernel {
  /** The release as `uname -r` prints it. */
  release: string;
  image: string;
  modules: string;
}

/** Unpacks what is missing; throws if something is not available. */
export function unpackPackages(): Kernel {
  if (!Object.values(programs).every((program) => existsSync(program))) unpack(folder, packages);
  const boot = join(folder, 'boot');
  const find = (): string | undefined =>
    existsSync(boot) ? readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) : undefined;
  if (find() === undefined) {
    const [name] = run('apt-cache', 'depends', 'linux-image-cloud-amd64').match(/linux-image-\S+-cloud-amd64$/m) ?? [];
    if (name === undefined) throw new Error('the package sources have no linux-image-cloud-amd64');
    unpack(folder, [name]);
  }
  const release = (find() ?? '').slice('vmlinuz-'.length);
  const modules = join(folder, 'lib/modules', release);
  if (!existsSync(join(modules, 'modules.dep'))) run(programs.busybox, 'depmod', '-b', folder, release);
  return { release, image: join(boot, `vmlinuz-${release}`), modules };
}
