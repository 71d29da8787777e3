/**
 * The files of a release as users get them: install.sh with valid and forged signatures, on a
 * Debian and without dpkg, and the container image.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { version } from '../../src/version.ts';
import { DebianRoot } from './debian-root.ts';

const project = join(import.meta.dirname, '../..');
let root: DebianRoot;
let scratch: string;

beforeAll(() => {
  root = new DebianRoot();
  scratch = mkdtempSync(join(project, 'build', 'release-'));
  // A key for this test only. It has no password, because nobody is there to type one.
  const { status, output } = root.run('cd /root && minisign -G -W -p key.pub -s key && ls key.pub');
  expect({ status, output }).toMatchObject({ status: 0 });
  copyFileSync(join(root.path, 'root/key.pub'), join(scratch, 'key.pub'));
  build(scratch);
  const mirror = join(root.path, 'root/mirror');
  mkdirSync(mirror);
  for (const name of [
    'SHA256SUMS',
    'install.sh',
    `fail2zig_${version}_amd64.deb`,
    `fail2zig_${version}_amd64.tar.gz`,
  ]) {
    copyFileSync(join(scratch, name), join(mirror, name));
  }
}, 900_000);

/** Builds a release into `output`, as `user` would with such an environment and umask. */
function build(output: string, user = 0, umask = '022', env: Record<string, string> = {}): void {
  const words = ['scripts/package.ts', '--level', '0', '--output', output, '--key', join(scratch, 'key.pub')];
  const command = `umask ${umask}; exec setpriv --reuid ${user} --regid ${user} --clear-groups "$@"`;
  execFileSync('sh', ['-c', command, 'sh', process.execPath, ...words], {
    cwd: project,
    stdio: 'ignore',
    env: { PATH: process.env.PATH, SOURCE_DATE_EPOCH: '1700000000', ...env },
  });
}

afterAll(() => {
  root?.remove();
  rmSync(scratch, { recursive: true, force: true });
}, 120_000);

test('another user, with another umask, locale and time zone, builds the same release', () => {
  const nobody = 65_534;
  const output = join(scratch, 'of nobody');
  mkdirSync(output);
  chownSync(output, nobody, nobody);
  chmodSync(scratch, 0o755);
  build(output, nobody, '077', { LC_ALL: 'C.UTF-8', TZ: 'Asia/Kolkata', HOME: output, TMPDIR: output });
  const sums = (folder: string) => readFileSync(join(folder, 'SHA256SUMS'), 'utf8');
  expect(sums(output)).toBe(sums(scratch));
  expect(sums(output).split('\n')).toHaveLength(7);
}, 900_000);

const sign = 'cd /root && minisign -S -W -s key -m mirror/SHA256SUMS >/dev/null && cd mirror';

test('install.sh refuses without a verifier, with a false signature and with a false checksum', () => {
  const { status, output } = root.run(`
${sign}
mv /usr/bin/minisign /usr/bin/hidden
sh install.sh --from . --yes </dev/null || echo "no verifier: $?"
mv /usr/bin/hidden /usr/bin/minisign
cp SHA256SUMS whole; echo >> SHA256SUMS
sh install.sh --from . --yes || echo "false signature: $?"
mv whole SHA256SUMS
cp fail2zig_${version}_amd64.deb whole; echo x >> fail2zig_${version}_amd64.deb
sh install.sh --from . --yes || echo "false checksum: $?"
mv whole fail2zig_${version}_amd64.deb
sh install.sh --from /nowhere --yes || echo "no mirror: $?"
sh install.sh --fro . || echo "misused: $?"
sh install.sh --from . </dev/null || echo "nobody to ask: $?"
dpkg -s fail2zig >/dev/null 2>&1 || echo 'nothing was installed'`);
  expect({ status, output }).toMatchObject({ status: 0 });
  for (const said of [
    'package minisign on Debian',
    'no verifier: 1',
    'false signature: 1',
    'false checksum: 1',
    'no mirror: 1',
    'misused: 2',
    'nobody to ask: 1',
    'nothing was installed',
  ]) {
    expect(output).toContain(said);
  }
}, 300_000);

test('install.sh installs on a Debian whatever the umask, and takes it back', () => {
  const { status, output } = root.run(`
${sign}
umask 077
sh install.sh --from . --yes
stat -c 'config %a %U %G' /etc/fail2zig.toml
fail2zig --version
sh install.sh --uninstall --yes
[ ! -e /etc/fail2zig.toml ] && [ ! -e /usr/bin/fail2zig ] && echo gone
mv /usr/bin/minisign /usr/bin/hidden
sh install.sh --from . --checksum-only --yes >/dev/null && fail2zig --version | sed 's/^/checksum only: /'
mv /usr/bin/hidden /usr/bin/minisign
dpkg --purge fail2zig >/dev/null`);
  expect({ status, output }).toMatchObject({ status: 0 });
  for (const said of [
    'config 644 root root',
    `\nfail2zig ${version}`,
    '\ngone\n',
    `checksum only: fail2zig ${version}`,
  ]) {
    expect(output).toContain(said);
  }
}, 300_000);

test('install.sh installs without dpkg, and takes it back', () => {
  const { status, output } = root.run(`
${sign}
mkdir /root/bin; for file in /usr/bin/* /usr/sbin/*; do ln -sf "$file" /root/bin/; done; rm -f /root/bin/dpkg
umask 077
PATH=/usr/local/bin:/root/bin sh install.sh --from . --yes
stat -c 'config %a %U %G' /etc/fail2zig.toml
stat -c 'program %a %U %G' /usr/local/bin/fail2zig
/usr/local/bin/fail2zig-client --version
find /usr/local/share -type f -name '*fail2zig*' | sed 's/^/page /'
PATH=/usr/local/bin:/root/bin sh install.sh --uninstall --yes
[ ! -e /etc/fail2zig.toml ] && [ ! -e /usr/local/bin/fail2zig ] && echo gone
[ -z "$(find /usr/local -name '*fail2zig*')" ] && echo 'no page left'`);
  expect({ status, output }).toMatchObject({ status: 0 });
  for (const said of [
    'config 644 root root',
    'program 755 root root',
    `\nfail2zig-client ${version}`,
    'page /usr/local/share/man/man8/fail2zig.8.gz',
    'page /usr/local/share/bash-completion/completions/fail2zig-client',
    'page /usr/local/share/zsh/site-functions/_fail2zig-client',
    'page /usr/local/share/fish/vendor_completions.d/fail2zig-client.fish',
    '\ngone\n',
    'no page left',
  ]) {
    expect(output).toContain(said);
  }
}, 300_000);

test('the image is one that skopeo reads, and what is in it starts', () => {
  const image = join(scratch, `fail2zig_${version}_amd64.oci.tar`);
  copyFileSync(image, join(root.path, 'root/image.tar'));
  const { status, output } = root.run(
    `skopeo --insecure-policy inspect oci-archive:/root/image.tar; rm /root/image.tar`,
  );
  expect({ status, output }).toMatchObject({ status: 0 });
  expect(JSON.parse(output)).toMatchObject({ Architecture: 'amd64', Os: 'linux', Env: ['PATH=/usr/bin'] });

  const [layout, home] = [join(scratch, 'layout'), join(scratch, 'root')];
  for (const folder of [layout, home]) mkdirSync(folder);
  execFileSync('tar', ['-xf', image, '-C', layout]);
  const blob = ({ digest }: { digest: string }) => join(layout, 'blobs', digest.replace(':', '/'));
  const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
  const [entry] = json(join(layout, 'index.json')).manifests;
  const [layer] = json(blob(entry)).layers;
  execFileSync('tar', ['-xzf', blob(layer), '-C', home]);
  const inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/fail2zig check';
  const said = execFileSync('unshare', ['--mount', 'sh', '-c', inside, home], { encoding: 'utf8' });
  expect(said).toContain('OK /etc/fail2zig.toml');
}, 300_000);
