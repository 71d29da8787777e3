/**
 * The Debian package in a fresh Debian: it installs without starting anything, bans, keeps bans
 * over an upgrade, and removes everything when it is purged.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unpackSystem } from '../../scripts/lab/debian.ts';
import { buildPackage } from '../../scripts/package/deb.ts';
import { buildExecutable } from '../../scripts/package/executable.ts';
import { commands } from '../../src/commands/table.ts';
import { DebianRoot } from './debian-root.ts';

const build = join(import.meta.dirname, '../../build');
let root: DebianRoot;
let deb: string;
let scratch: string;

beforeAll(() => {
  root = new DebianRoot();
  mkdirSync(build, { recursive: true });
  scratch = mkdtempSync(join(build, 'package-'));
  deb = join(scratch, 'fail2zig.deb');
  buildExecutable(join(build, 'single'));
  buildPackage(join(build, 'single'), deb, 1_700_000_000, 0);
  copyFileSync(deb, join(root.path, 'root/fail2zig.deb'));
}, 900_000);

afterAll(() => {
  root?.remove();
  rmSync(scratch, { recursive: true, force: true });
}, 120_000);

/** Every file of the system, except those that dpkg and the loader keep for themselves. */
const listing = `find / -xdev \\( -path /proc -o -path /dev -o -path /run -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \\
  -o -path /tmp -o -path /root \\) -prune -o -printf '%p %m %u %g\\n' | grep -v -e '^/etc/group-\\? ' -e '^/etc/gshadow-\\? ' \\
  -e '^/ ' -e '^/etc ' -e '^/etc/.pwd.lock' | sort`;

/** Starts the daemon and waits until it says so. */
const start = `: > /tmp/said; fail2zig 2>/tmp/said & pid=$!
i=0; until grep -q started /tmp/said; do i=$((i + 1)); [ $i -lt 300 ] || { cat /tmp/said; exit 9; }; sleep 0.1; done`;

test('the package installs, bans, is upgraded, and goes without a trace', () => {
  const { status, output } = root.run(`
umask 077
${listing} > /tmp/before
dpkg -i /root/fail2zig.deb
dpkg -V fail2zig && echo 'files as packed'
for name in ${Object.keys(commands).join(' ')}; do fail2zig $name --help >/dev/null; done
for name in doctor report top reload; do fail2zig-client $name --help >/dev/null; done
fail2zig-fleet --help >/dev/null && echo 'every command answers'
systemctl enable fail2zig.service fail2zig-fleet.service
stat -c 'config %a %U %G' /etc/fail2zig.toml
cat /proc/[0-9]*/comm 2>/dev/null | grep -q fail2zig && exit 8
grep -x 'source = "journal"' /etc/fail2zig.toml
mkdir -p /var/log /etc/ssh; touch /var/log/auth.log; echo 'Port 2222' > /etc/ssh/sshd_config
fail2zig check --suggest > /etc/fail2zig.toml
rm -r /etc/ssh
sed -i 's/^maxretry.*/maxretry = 1/' /etc/fail2zig.toml
fail2zig check
${start}
echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) host sshd[7]: Failed password for root from 192.0.2.7 port 4 ssh2" >> /var/log/auth.log
i=0; until nft list table inet fail2zig | grep -q 192.0.2.7; do i=$((i + 1)); [ $i -lt 300 ]; sleep 0.1; done
echo banned
fail2zig-client list
kill $pid; wait $pid
dpkg -i --force-confold /root/fail2zig.deb
nft list table inet fail2zig | grep -q 192.0.2.7 && echo 'held over the upgrade'
${start}
fail2zig-client list | grep 192.0.2.7
kill $pid; wait $pid
rm -f /var/log/auth.log
dpkg --purge fail2zig
nft list ruleset | grep -c . || echo 'no rules left'
${listing} > /tmp/after
diff /tmp/before /tmp/after && echo 'nothing left'`);
  expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining('nothing left') });
  for (const said of [
    'config 644 root root',
    'files as packed',
    'every command answers',
    'Next:',
    'jail sshd: filter sshd:normal',
    'port 2222',
    'banned',
    'held over the upgrade',
    'no rules left',
  ]) {
    expect(output).toContain(said);
  }
}, 300_000);

test('the package holds what an operator looks for', () => {
  const project = join(build, '..');
  const listed = execFileSync('dpkg-deb', ['-c', deb], { encoding: 'utf8' });
  const pages = globSync('man/*.[1-8]', { cwd: project }).map((page) => `man${page.at(-1)}/${basename(page)}.gz`);
  const units = globSync('systemd/*.service', { cwd: project }).map((unit) => `lib/systemd/system/${basename(unit)}`);
  expect([pages.length, units.length]).toEqual([expect.toSatisfy((count) => count > 3), 2]);
  for (const path of [
    ...pages.map((page) => `usr/share/man/${page}`),
    ...units,
    'usr/bin/fail2zig',
    'usr/bin/fail2zig-client -> fail2zig',
    'usr/bin/fail2zig-fleet -> fail2zig',
    'usr/lib/sysusers.d/fail2zig.conf',
    'usr/lib/tmpfiles.d/fail2zig.conf',
    'usr/share/bash-completion/completions/fail2zig-client',
    'usr/share/zsh/vendor-completions/_fail2zig-client',
    'usr/share/fish/vendor_completions.d/fail2zig-client.fish',
    'usr/share/doc/fail2zig/copyright.inside.gz',
  ]) {
    expect(listed).toContain(` ./${path}\n`);
  }
}, 60_000);

test('the executable says where it looked for a place for its native part', () => {
  const { status, output } = root.run(`
mkdir -m 1777 /tmp/open && dpkg-deb -x /root/fail2zig.deb /tmp/unpacked && mv /tmp/unpacked/usr/bin/fail2zig /tmp/open/
printf '[jails.sshd]\\nlogpath = "/var/log/auth.log"\\n' > /tmp/fail2zig.toml
env -i /tmp/open/fail2zig check --config /tmp/fail2zig.toml || echo "status $?"
env -i /tmp/open/fail2zig version
rm -r /tmp/open /tmp/unpacked /tmp/fail2zig.toml`);
  expect({ status, output }).toMatchObject({ status: 0 });
  expect(output).toContain('fail2zig: there is no place to load the native part from: ');
  expect(output).toContain('/var/lib/fail2zig (ENOENT), /run/fail2zig (ENOENT), /tmp/open (others may write it)');
  expect(output).toContain('status 70');
  expect(output).toContain('fail2zig 0.');
}, 120_000);

test('lintian finds nothing that is not explained', () => {
  const home = join(build, 'tools', 'lintian');
  unpackSystem(home, ['lintian']);
  const inside = `mount -t proc proc "$0/proc" && mount -t tmpfs none "$0/tmp" && mount --bind /dev "$0/dev" &&
cp "$1" "$0/tmp/" && exec chroot "$0" lintian --allow-root --tag-display-limit 0 --pedantic -E -I /tmp/fail2zig.deb`;
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', inside, home, deb],
    {
      encoding: 'utf8',
      timeout: 600_000,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', HOME: '/tmp' },
    },
  );
  expect({ status, output: stdout + stderr }).toEqual({ status: 0, output: '' });
}, 900_000);

test('two packages of the same source are the same bytes', () => {
  const other = join(scratch, 'other');
  mkdirSync(other);
  const again = join(other, 'fail2zig.deb');
  copyFileSync(join(build, 'single'), join(other, 'single'));
  buildPackage(join(other, 'single'), again, 1_700_000_000, 0);
  execFileSync('cmp', [deb, again]);
}, 300_000);
