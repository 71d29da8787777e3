/** The Debian package, built by dpkg-deb out of the tree of an installed system. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { version } from '../../src/version.ts';
import { setTimes, writeTree } from './tree.ts';

const root = join(import.meta.dirname, '../..');

/** Debian's names of what Node calls an architecture. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
export const architecture = architectures[process.arch] ?? process.arch;

const description = `Description: host intrusion prevention: bans hosts whose failures it finds in logs
 fail2zig follows log files, counts failures of each source, and writes bans into
 the kernel itself (nftables, ipset, iptables or XDP). It starts no program, applies
 no regular expression to what an attacker writes, and its memory has a ceiling.`;

/** Writes the package to `output`. @param level of xz: 0 for tests, 6 for a release */
export function buildPackage(executable: string, output: string, epoch: number, level = 6): void {
  const scratch = mkdtempSync(join(dirname(executable), 'deb-'));
  try {
    writeTree(scratch, executable);
    const kilobytes = sizeOf(scratch);
    const control = join(scratch, 'DEBIAN');
    mkdirSync(control);
    writeFileSync(
      join(control, 'control'),
      `Package: fail2zig
Version: ${version}
Architecture: ${architecture}
Maintainer: fail2zig <maintainers@fail2zig.com>
Installed-Size: ${kilobytes}
Depends: libc6 (>= 2.28), libgcc-s1, libstdc++6
Suggests: nftables
Section: net
Priority: optional
Homepage: https://fail2zig.com
${description}
`,
    );
    writeFileSync(join(control, 'conffiles'), '/etc/fail2zig.toml\n');
    for (const script of ['postinst', 'prerm', 'postrm']) {
      copyFileSync(join(root, 'packaging/debian', script), join(control, script));
      chmodSync(join(control, script), 0o755);
    }
    for (const name of ['control', 'conffiles']) chmodSync(join(control, name), 0o644);
    setTimes(scratch, epoch);
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', `-z${level}`, '--build', scratch, output], {
      env: { PATH: process.env.PATH, SOURCE_DATE_EPOCH: String(epoch), DPKG_DEB_THREADS_MAX: '1' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** What dpkg calls the installed size, KiB: each file rounded up. */
function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + Math.ceil(statSync(join(entry.parentPath, entry.name)).size / 1024), 0);
}
