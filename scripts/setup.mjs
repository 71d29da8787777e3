/**
 * Sets up whatever is missing, and nothing that is there: dependencies, native addon, engine,
 * bundles.
 *   node scripts/setup.mjs [--tools] [--quiet]
 * `--tools` also installs the system tools that the demonstration and the tests check our work with
 * (nft, ip, …), where this is root on a Debian-like system; otherwise it names them and goes on:
 * what needs them says so itself. Plain JavaScript without dependencies: whatever Node started npm
 * can run it. FAIL2ZIG_PACKAGES=no leaves Debian's packages alone. Messages go to stderr.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');
const node = join(root, 'node_modules', '.bin', 'node');

/** Command on the PATH → Debian package. */
const tools = { nft: 'nftables', ip: 'iproute2', 'iptables-legacy': 'iptables', ipset: 'ipset', bpftool: 'bpftool' };

/**
 * Debian packages that tests compare us with or check our files with: unpacked into build/tools,
 * not installed, so that no service of theirs starts. The file says that a package is there; a
 * command that the system has already is not unpacked.
 */
const unpacked = {
  fail2ban: 'etc/fail2ban/filter.d/sshd.conf',
  sshguard: 'usr/libexec/sshguard/sshg-parser',
  'python3-prometheus-client': 'usr/lib/python3/dist-packages/prometheus_client/parser.py',
  systemd: 'usr/bin/systemd-analyze',
  mandoc: 'usr/bin/mandoc',
  prometheus: 'usr/bin/prometheus',
  minisign: 'usr/bin/minisign',
  strace: 'usr/bin/strace',
  libunwind8: `usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/libunwind.so.8`,
  libsodium23: `usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/libsodium.so.23`,
};

function say(message) {
  if (!quiet) console.error(`setup: ${message}`);
}

/** Runs a step; its output goes to stderr, so that a command's own output stays clean. */
function run(what, command, args, env = process.env) {
  const done = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (done.status === 0) return;
  console.error(`setup: ${what} failed${done.error ? `: ${done.error.message}` : ''} (${command} ${args.join(' ')})`);
  process.exit(1);
}

function isOnPath(command) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function installDependencies() {
  const lock = join(root, 'package-lock.json');
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && existsSync(node) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  say('installing dependencies (npm ci)');
  run('npm ci', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

function installTools() {
  const missing = Object.keys(tools).filter((command) => !isOnPath(command));
  if (missing.length === 0) return;
  const packages = missing.map((command) => tools[command]);
  const byHand = `install ${packages.join(', ')} (apt-get install ${packages.join(' ')})`;
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) {
    console.error(`setup: ${missing.join(', ')} not found; ${byHand}. What needs them will say so.`);
    return;
  }
  say(`installing ${packages.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = (names, stderr) =>
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], {
      env,
      stdio: ['ignore', stderr, stderr],
    }).status === 0;
  if (install(packages, 'ignore')) return;
  spawnSync('apt-get', ['update', '-qq'], { env, stdio: ['ignore', 2, 2] });
  if (packages.length > 1 && install(packages, 'ignore')) return;
  // One that this system does not know must not keep the others away.
  const refused = packages.filter((name) => !install([name], 2));
  if (refused.length > 0) console.error(`setup: could not install ${refused.join(', ')}. What needs them will say so.`);
}

function unpackTools() {
  const folder = join(root, 'build', 'tools');
  const isThere = (file) =>
    existsSync(join(folder, file)) || (file.startsWith('usr/bin/') && isOnPath(file.slice('usr/bin/'.length)));
  const missing = Object.keys(unpacked).filter((name) => !isThere(unpacked[name]));
  if (missing.length === 0) return;
  for (const name of missing) {
    const fetch =
      'cd "$1" && rm -f -- "$2"_*.deb && apt-get download -qq "$2" && dpkg-deb -x "$2"_*.deb . && rm -f -- "$2"_*.deb';
    mkdirSync(folder, { recursive: true });
    const done = isOnPath('apt-get') && spawnSync('sh', ['-c', fetch, 'sh', folder, name], { stdio: 'ignore' });
    if (done && done.status === 0) say(`unpacked ${name} for the tests`);
    else console.error(`setup: no package ${name}; the tests that need it say so.`);
  }
}

installDependencies();
run('building the native addon', node, [join(root, 'scripts', 'native.mjs')]);
run('building', node, [join(root, 'scripts', 'build.ts'), ...(quiet ? ['--quiet'] : [])]);
if (process.argv.includes('--tools') && process.env.FAIL2ZIG_PACKAGES !== 'no') {
  installTools();
  unpackTools();
}
