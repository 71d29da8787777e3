/** Debian's packages, unpacked for what tests start or compare us with: nothing is installed. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

/** The folder of this machine's libraries below lib and usr/lib. */
export const libraries = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

/** Downloads packages and unpacks them into `folder`; throws where one cannot be had. */
export function unpack(folder: string, packages: readonly string[]): void {
  mkdirSync(folder, { recursive: true });
  for (const name of packages) {
    const fetch = 'cd "$1" && apt-get download -qq "$2" && dpkg-deb -x "$2"_*.deb . && rm -f -- "$2"_*.deb';
    const { status, stderr } = spawnSync('sh', ['-c', fetch, 'sh', folder, name], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`package ${name} cannot be had: ${stderr.trim()}`);
  }
}
