/**
 * The installer and the scripts of the Debian package, over a root of their own: their absolute
 * paths are changed to it, and programs that would change this host are stand-ins that say how they
 * were called.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/control.ts';

const packaging = join(import.meta.dirname, '../../packaging');
const home = { path: '', remove: (): void => {} };
const at = (...names: string[]): string => join(home.path, ...names);
const calls = (): string[] =>
  existsSync(at('calls')) ? readFileSync(at('calls'), 'utf8').split('\n').slice(0, -1) : [];

/** Programs of this host that the scripts may use. */
const real = 'basename cat chmod cp dirname getconf grep gzip ln mkdir mktemp rm sed sh sha256sum tar uname'.split(' ');

function program(name: string, script: string): void {
  const path = at('bin', name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

/** A program that writes down how it was called and ends with a status. */
const standIn = (name: string, status = 0): void => program(name, `echo "${name} $*" >>${at('calls')}\nexit ${status}`);

beforeEach(() => {
  Object.assign(home, temporaryDirectory());
  mkdirSync(at('bin'));
  const folders = (process.env.PATH ?? '').split(delimiter);
  for (const name of real)
    symlinkSync(join(folders.find((folder) => existsSync(join(folder, name)))!, name), at('bin', name));
  program('id', 'echo 0');
  for (const name of ['groupadd', 'groupdel', 'systemctl', 'minisign']) standIn(name);
  standIn('getent', 2);
  // Ownership needs root: it is written down instead.
  program('install', `echo "install $*" >>${at('calls')}\nwhile [ $# -gt 2 ]; do shift; done\ncp "$1" "$2"`);
  for (const name of ['root/etc/systemd/system', 'root/run/systemd/system', 'root/var/lib', 'root/usr/local', 'from'])
    mkdirSync(at(name), { recursive: true });
});
afterEach(() => home.remove());

/** A script with its absolute paths below our root. */
function script(path: string, replaced: Readonly<Record<string, string>> = {}): string {
  let text = readFileSync(join(packaging, path), 'utf8');
  for (const [find, put] of Object.entries(replaced)) text = text.replaceAll(find, put);
  text = text.replaceAll(/(?<=^|[ "'=>,])\/(?=(?:etc|usr\/local|var|run)\/|usr\/local)/gm, `${at('root')}/`);
  const changed = at('script');
  writeFileSync(changed, text);
  return changed;
}

function run(path: string, words: readonly string[] = [], replaced?: Readonly<Record<string, string>>) {
  const { status, stdout, stderr } = spawnSync(at('bin/sh'), [script(path, replaced), ...words], {
    encoding: 'utf8',
    env: { PATH: at('bin'), TMPDIR: home.path },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { status, out: stdout, error: stderr };
}

describe('install.sh', () => {
  const version = { '@VERSION@': '1.2.3', '@PUBLIC_KEY@': 'OUR-KEY' };
  const file = `fail2zig_1.2.3_${process.arch === 'arm64' ? 'arm64' : 'amd64'}.tar.gz`;

  beforeEach(() => {
    const executable = at('from/tree/usr/bin/fail2zig');
    const files = {
      'usr/bin/fail2zig': `#!/bin/sh\necho "fail2zig $*" >>${at('calls')}\n`,
      'etc/fail2zig.toml': '# ours\n',
      'lib/systemd/system/fail2zig.service': 'ExecStart=/usr/bin/fail2zig\n',
      ...Object.fromEntries(
        ['man/man8', 'bash-completion/completions', 'zsh/vendor-completions', 'fish/vendor_completions.d'].map(
          (place) => [`usr/share/${place}/fail2zig`, 'page'],
        ),
      ),
    };
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(at('from/tree', name)), { recursive: true });
      writeFileSync(at('from/tree', name), text);
    }
    chmodSync(executable, 0o755);
    spawnSync('tar', ['-czf', at('from', file), '-C', at('from/tree'), 'usr', 'etc', 'lib']);
    const sum = createHash('sha256')
      .update(readFileSync(at('from', file)))
      .digest('hex');
    writeFileSync(at('from/SHA256SUMS'), `${sum}  ${file}\n`);
    writeFileSync(at('from/SHA256SUMS.minisig'), 'signature');
  });

  const installs = (...words: string[]) => run('install.sh', ['--from', at('from'), ...words], version);
  const isInstalled = (): boolean => existsSync(at('root/usr/local/bin')) || existsSync(at('root/etc/fail2zig.toml'));
  const refused = (says: string, ...words: string[]): void => {
    const { status, error } = installs('--yes', ...words);
    expect({ status, error: error.trim().split('\n').at(-1) }).toEqual({
      status: 1,
      error: expect.stringContaining(says),
    });
    expect(isInstalled()).toBe(false);
  };

  test('installs the program, its units and a configuration that others may read and not write', () => {
    const { status, error } = installs('--yes');
    expect([status, error]).toEqual([0, '']);
    expect(calls()[0]).toMatch(/^minisign -V -q -P OUR-KEY -m .*\/SHA256SUMS$/);
    const bin = (name: string): string => at('root/usr/local/bin', name);
    for (const name of ['fail2zig', 'fail2zig-client', 'fail2zig-fleet'])
      expect(statSync(bin(name)).mode & 0o777).toBe(0o755);
    expect(calls()).toContain(
      `install -m 0755 ${
        calls()
          .find((call) => call.startsWith('install -m 0755'))!
          .split(' ')[3]
      } ${bin('fail2zig')}`,
    );
    const configured = calls().find((call) => call.endsWith(' '.concat(at('root/etc/fail2zig.toml'))))!;
    expect(configured).toMatch(/^install -m 0644 -o root -g root /);
    expect(readFileSync(at('root/etc/systemd/system/fail2zig.service'), 'utf8')).toBe(
      `ExecStart=${at('root')}/usr/local/bin/fail2zig\n`,
    );
    expect(statSync(at('root/var/lib/fail2zig')).mode & 0o777).toBe(0o750);
    expect(statSync(at('root/etc/fail2zig.d')).mode & 0o777).toBe(0o755);
    expect(calls()).toContain('groupadd --system fail2zig');
    // Only the operator knows which logs to read.
    expect(calls().filter((call) => call.startsWith('systemctl') || call.startsWith('fail2zig'))).toEqual([]);
  });

  test('leaves a configuration that is there', () => {
    writeFileSync(at('root/etc/fail2zig.toml'), '# mine\n');
    expect(installs('--yes').status).toBe(0);
    expect(readFileSync(at('root/etc/fail2zig.toml'), 'utf8')).toBe('# mine\n');
  });

  test.each([[[]], [['--key', 'other.pub']]])('installs nothing after a false signature: %j', (words) => {
    standIn('minisign', 1);
    refused('the signature is false: nothing was installed', ...words);
    if (words.length > 0) expect(calls()[0]).toMatch(/^minisign -V -q -p other.pub -m .*\/SHA256SUMS$/);
  });

  test.each([
    ['a file that was changed', () => writeFileSync(at('from', file), 'other', { flag: 'a' })],
    ['a file that nobody signed', () => writeFileSync(at('from/SHA256SUMS'), `${'0'.repeat(64)}  other.tar.gz\n`)],
  ])('installs nothing of %s', (_, change) => {
    change();
    refused(`the checksum of ${file} is false: nothing was installed`);
    refused(`the checksum of ${file} is false: nothing was installed`, '--checksum-only');
  });

  test('installs nothing without minisign, without a key, or without root', () => {
    spawnSync('rm', [at('bin/minisign')]);
    refused('it shows a broken download, not a false one');
    standIn('minisign');
    program('id', 'echo 1000');
    refused('run this as root');
    program('id', 'echo 0');
    expect(run('install.sh', ['--yes', '--from', at('from')], { '@VERSION@': '1.2.3' })).toMatchObject({
      status: 1,
      error: expect.stringContaining('no public key'),
    });
    expect(isInstalled()).toBe(false);
  });

  test('asks first, and changes nothing where it cannot ask', () => {
    expect(installs()).toMatchObject({ status: 1, error: expect.stringContaining('add --yes') });
    expect(isInstalled()).toBe(false);
    expect(installs('--no-such-option')).toMatchObject({ status: 2 });
  });

  test('on Debian installs the package, and keeps the configuration', () => {
    standIn('dpkg');
    const deb = file.replace('.tar.gz', '.deb');
    writeFileSync(at('from', deb), 'a package');
    const sum = createHash('sha256').update('a package').digest('hex');
    writeFileSync(at('from/SHA256SUMS'), `${sum}  ${deb}\n`);
    expect(installs('--yes').status).toBe(0);
    expect(calls().at(-1)).toMatch(new RegExp(`^dpkg -i --force-confold .*/${deb}$`));
  });

  test('takes everything back, the bans in the kernel first', () => {
    installs('--yes');
    program('getent', 'exit 0');
    writeFileSync(at('calls'), '');
    expect(run('install.sh', ['--uninstall', '--yes'], version).status).toBe(0);
    expect(calls()).toEqual([
      'systemctl disable --now fail2zig-fleet.service',
      'systemctl disable --now fail2zig.service',
      'fail2zig remove',
      'groupdel fail2zig',
    ]);
    for (const name of [
      'etc/fail2zig.toml',
      'etc/fail2zig.d',
      'var/lib/fail2zig',
      'usr/local/bin/fail2zig',
      'usr/local/share/man/man8/fail2zig',
    ])
      expect([name, existsSync(at('root', name))]).toEqual([name, false]);
  });
});

describe('the Debian package', () => {
  beforeEach(() => standIn('fail2zig'));

  test('makes the group, and a directory that others do not read; starts nothing that was not started', () => {
    expect(run('debian/postinst', ['configure'])).toMatchObject({ status: 0, error: '' });
    expect(statSync(at('root/var/lib/fail2zig')).mode & 0o777).toBe(0o750);
    expect(calls()).toEqual(['getent group fail2zig', 'groupadd --system fail2zig', 'systemctl daemon-reload']);
  });

  test('an upgrade starts the new version where the old one ran; bans stay until then', () => {
    expect(run('debian/prerm', ['upgrade', '1.2.4']).status).toBe(0);
    expect(calls()).toEqual([]);
    expect(run('debian/postinst', ['configure', '1.2.3']).status).toBe(0);
    expect(calls().at(-1)).toBe('systemctl try-restart fail2zig.service fail2zig-fleet.service');
  });

  test.each(['remove', 'deconfigure'])('at "%s" the daemon ends, and our rules leave the kernel', (step) => {
    expect(run('debian/prerm', [step]).status).toBe(0);
    expect(calls()).toEqual([
      'systemctl disable --now fail2zig-fleet.service',
      'systemctl disable --now fail2zig.service',
      'fail2zig remove',
    ]);
  });

  test('only a purge takes state and group', () => {
    const state = at('root/var/lib/fail2zig');
    mkdirSync(state);
    program('getent', 'exit 0');
    expect(run('debian/postrm', ['remove']).status).toBe(0);
    expect([existsSync(state), calls()]).toEqual([true, ['systemctl daemon-reload']]);
    expect(run('debian/postrm', ['purge']).status).toBe(0);
    expect([existsSync(state), calls().includes('groupdel fail2zig')]).toEqual([false, true]);
  });
});
