/**
 * What the package installs on the disk.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildPackage } from '../scripts/package/deb.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, given, twin } from './claim.ts';

/** Builds the package into a folder, with the umask of a careful user; returns its path. */
type Build = (folder: string) => string;

/** Replaces the executable, which is built elsewhere: it answers what the package asks. */
const standIn = '#!/bin/sh\necho "# completions"\n';

const build: Build = (folder) => {
  const executable = join(folder, 'fail2zig');
  writeFileSync(executable, standIn);
  chmodSync(executable, 0o755);
  const deb = join(folder, 'fail2zig.deb');
  const umask = process.umask(0o077);
  try {
    buildPackage(executable, deb, 1_700_000_000, 0);
  } finally {
    process.umask(umask);
  }
  return deb;
};

/** The same, packed anew after a change. */
const changed =
  (change: (path: string) => void, ...options: string[]): Build =>
  (folder) => {
    const tree = join(folder, 'tree');
    execFileSync('dpkg-deb', ['-R', build(folder), tree]);
    change(join(tree, 'etc/fail2zig.toml'));
    const deb = join(folder, 'changed.deb');
    execFileSync('dpkg-deb', ['-Znone', ...options, '--build', tree, deb], { stdio: 'ignore' });
    return deb;
  };

claim(
  'T-01a',
  given(build),
  (make) => {
    const directory = temporaryDirectory();
    try {
      const deb = make(directory.path);
      const listed = execFileSync('dpkg-deb', ['-c', deb], { encoding: 'utf8' }).split('\n');
      const row = listed.find((line) => line.endsWith(' ./etc/fail2zig.toml')) ?? '';
      const [mode, owner] = row.split(' ');
      assert.equal(mode, '-rw-r--r--', 'mode of the configuration');
      assert.equal(owner, 'root/root', 'owner of the configuration');
      const conffiles = execFileSync('dpkg-deb', ['-I', deb, 'conffiles'], { encoding: 'utf8' });
      assert.match(conffiles, /^\/etc\/fail2zig\.toml$/m, 'an upgrade would replace the configuration');
      return 'built under umask 077: /etc/fail2zig.toml is 0644 root:root in the package, and dpkg asks before it replaces it';
    } finally {
      directory.remove();
    }
  },
  [
    twin(
      'a package that takes the mode from the umask',
      given(changed((path) => chmodSync(path, 0o600), '--root-owner-group')),
      /mode of the configuration/,
    ),
    twin(
      'a package that takes the owner from who builds it',
      given(changed((path) => chownSync(path, 1, 1))),
      /owner of the configuration/,
    ),
  ],
  { needs: ['linux', 'root'], timeoutMs: 60_000 },
);
