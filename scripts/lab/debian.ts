/**
 * Debian's packages, unpacked for tests and comparisons: nothing is installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** The folder of this machine's libraries below lib and usr/lib. */
export const libraries = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

/** Downloads packages and unpacks them into `folder`; throws if one is not available. */
export function unpack(folder: string, packages: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  for (const name of packages) {
    const fetch = 'cd "$1" && apt-get download -qq "$2" && dpkg-deb -x "$2"_*.deb . && rm -f -- "$2"_*.deb';
    const { status, stderr } = spawnSync('sh', ['-c', fetch, 'sh', folder, name], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`package ${name} cannot be had: ${stderr.trim()}`);
  }
}

/**
 * Makes `folder` a system for chroot(2): `packages`, their dependencies and what every Debian has,
 * unpacked and not configured. An existing one is kept.
 */
export function unpackSystem(folder: string, packages: readonly string[]): void {
  if (existsSync(folder)) return;
  const scratch = `${folder}.${process.pid}`;
  const archives = join(scratch, 'var/cache/apt/archives');
  mkdirSync(join(archives, 'partial'), { recursive: true });
  try {
    // As if nothing were installed here.
    const places = ['Dir::State::status=/dev/null', `Dir::Cache::archives=${archives}/`, 'Debug::NoLocking=1'];
    run('apt-get', [
      ...['install', '-y', '-qq', '--download-only', '--no-install-recommends'],
      ...places.flatMap((place) => ['-o', place]),
      ...['?essential', ...packages],
    ]);
    for (const name of readdirSync(archives).filter((file) => file.endsWith('.deb')))
      run('dpkg-deb', ['-x', join(archives, name), scratch]);
    rmSync(archives, { recursive: true });
    for (const name of ['proc', 'dev', 'tmp', 'root']) mkdirSync(join(scratch, name), { recursive: true });
    // What the configuration of base-files makes.
    symlinkSync('debian', join(scratch, 'etc/dpkg/origins/default'));
    renameSync(scratch, folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function run(command: string, words: readonly string[]): void {
  const { status, stderr } = spawnSync(command, words, { encoding: 'utf8', timeout: 600_000 });
  if (status !== 0) throw new Error(`${command} ${words.join(' ')}: ${stderr.trim()}`);
}
