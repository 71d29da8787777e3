/**
 * The Debian package, built by dpkg-deb from the tree of an installed system.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { version } from '../../src/version.ts';
import { thisMachine } from './target.ts';
import { compressed, setTimes, writeTree } from './tree.ts';

const root = join(import.meta.dirname, '../..');

export const { architecture } = thisMachine;

const maintainer = 'fail2zig <maintainers@fail2zig.com>';
const description = `Description: host intrusion prevention: bans who fails to authenticate
 fail2zig follows log files, counts failures of each source, and writes bans
 into the kernel itself (nftables, ipset, iptables or XDP). It starts no
 program, applies no regular expression to what an attacker writes, and its
 memory has a ceiling.`;

/** Debian's form of a changelog; the changes are in ours, beside it. */
const changelog = (epoch: number): string => `fail2zig (${version}) unstable; urgency=medium

  * CHANGELOG.md.gz beside this file says what is new.

 -- ${maintainer}  ${new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')}
`;

/** Writes the package to `output`. @param level of xz: 0 for tests, 6 for a release */
export function buildPackage(executable: string, output: string, epoch: number, level = 6): void {
  const scratch = mkdtempSync(join(dirname(executable), 'deb-'));
  try {
    writeTree(scratch, executable);
    for (const [path, bytes] of [
      ['usr/share/doc/fail2zig/changelog.gz', compressed(Buffer.from(changelog(epoch)))],
      ['usr/share/lintian/overrides/fail2zig', readFileSync(join(root, 'packaging/debian/lintian-overrides'))],
    ] as const) {
      mkdirSync(join(scratch, dirname(path)), { recursive: true });
      writeFileSync(join(scratch, path), bytes);
      chmodSync(join(scratch, path), 0o644);
    }
    const files = filesOf(scratch);
    const control = join(scratch, 'DEBIAN');
    mkdirSync(control);
    writeFileSync(
      join(control, 'md5sums'),
      files.map((file) => `${digest(file)}  ${relative(scratch, file)}\n`).join(''),
    );
    writeFileSync(
      join(control, 'control'),
      `Package: fail2zig
Version: ${version}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${kilobytesOf(files)}
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
    for (const name of ['control', 'conffiles', 'md5sums']) chmodSync(join(control, name), 0o644);
    setTimes(scratch, epoch);
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', `-z${level}`, '--build', scratch, output], {
      env: { PATH: process.env.PATH, SOURCE_DATE_EPOCH: String(epoch), DPKG_DEB_THREADS_MAX: '1' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Paths of the files below `folder`, in a fixed order. */
function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** What dpkg calls the installed size, KiB: each file rounded up. */
function kilobytesOf(files: readonly string[]): number {
  return files.reduce((sum, file) => sum + Math.ceil(statSync(file).size / 1024), 0);
}

/** The digest with which `dpkg -V` compares a file; MD5 is dpkg's choice. */
const digest = (file: string): string => createHash('md5').update(readFileSync(file)).digest('hex');
