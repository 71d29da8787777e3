/**
 * The single executable in a root that only contains it, the shared libraries that it links, an
 * empty directory of root, the configuration and a mounted /proc. No shell, no other program.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { buildExecutable } from '../../scripts/package/executable.ts';
import { librariesOf } from '../../scripts/package/image.ts';
import { answerScenario, type Scenario } from '../../test/support/namespace.ts';
import { until } from '../../test/support/until.ts';

const project = join(import.meta.dirname, '../..');

/** What the executable did in its root. */
export interface Seen {
  bytes: number;
  /** Names of the libraries that it links, as ldd(1) tells. */
  libraries: string[];
  /** The client's version output, called by its name. */
  client: string;
  banned: boolean;
  /** Output that is not an ordinary log line. */
  errors: string[];
  /** Files mapped into the running core, except the executable and its libraries. */
  mapped: string[];
  /** Options of the runtime in the running core. */
  flags: string[];
  threads: number;
  /** CapEff of the running core. */
  capabilities: string;
  /** Peak of resident memory, kB. */
  peakKilobytes: number;
  /** CPU time from exec until it logs that it has started, ms. */
  startCpuMilliseconds: number;
  slots: number;
}

interface Change {
  /** Bundles left out of the executable. */
  without?: string[];
  /** A library left out of the root. */
  lacks?: RegExp;
  /** The capabilities that its processes may have, beside that which chroot(2) needs. */
  capabilities?: string;
  /** A library that the loader of this root loads into each program. */
  preload?: string;
}

/** One run in a new root. It is on a disk: of a file in memory other pages stay resident. */
async function inRoot({ without = [], lacks, capabilities = '+net_admin', preload }: Change): Promise<Seen> {
  const root = mkdtempSync(join(project, 'build', 'root-'));
  chmodSync(root, 0o755);
  for (const folder of ['proc', 'var/lib/fail2zig', 'logs', 'bin']) {
    mkdirSync(join(root, folder), { recursive: true, mode: 0o755 });
  }
  const built = join(project, 'build', without.length === 0 ? 'single' : 'single-broken');
  buildExecutable(built, without);
  const executable = join(root, 'bin/fail2zig');
  linkSync(built, executable);
  symlinkSync('fail2zig', join(root, 'bin/fail2zig-client'));
  const libraries = librariesOf(built);
  for (const path of [...libraries, ...(preload === undefined ? [] : [preload])]) {
    if (lacks?.test(path)) continue;
    mkdirSync(join(root, dirname(path)), { recursive: true });
    copyFileSync(realpathSync(path), join(root, path));
  }
  if (preload !== undefined) {
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc/ld.so.preload'), preload);
  }
  execFileSync('mount', ['-t', 'proc', 'proc', join(root, 'proc')]);
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  const places = '[control]\nsocket = "/var/lib/fail2zig/control"\ngroup = "root"\n[metrics]\nenabled = false\n';
  const state = '[state]\npath = "/var/lib/fail2zig/state"\n';
  const jail = '[jails.sshd]\nlogpath = "/logs/auth.log"\nmaxretry = 1\nignoreself = false\n';
  // The confinement would hide this; a preloaded library is only visible without it.
  const confinement = preload === undefined ? '' : '[confinement]\nlandlock = false\n';
  writeFileSync(join(root, 'fail2zig.toml'), `${places}${state}${confinement}${jail}`, { mode: 0o644 });
  const log = join(root, 'logs/auth.log');
  writeFileSync(log, '');

  const limited = ['--bounding-set', `-all,+sys_chroot,${capabilities}`, '--inh-caps', '-all', 'chroot', root];
  const child = spawn('setpriv', [...limited, '/bin/fail2zig', '--config', '/fail2zig.toml'], {
    // A Node that reads these options would fail.
    env: { PATH: process.env.PATH, NODE_OPTIONS: '--require=/nowhere' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    const running = () => / started /.test(said);
    await until(() => running() || child.exitCode !== null, { what: `the start\n${said}` });
    const proc = (name: string) => readFileSync(`/proc/${child.pid}/${name}`, 'utf8');
    const seen: Seen = {
      bytes: statSync(built).size,
      libraries: libraries.map((path) => basename(path)),
      client: spawnSync('chroot', [root, '/bin/fail2zig-client', '--version'], { encoding: 'utf8' }).stdout ?? '',
      banned: false,
      errors: said.split('\n').filter((line) => line !== '' && !/ info | warn |warning: /.test(line)),
      mapped: [],
      flags: [],
      threads: 0,
      capabilities: '',
      peakKilobytes: 0,
      startCpuMilliseconds: 0,
      slots: Number(/slots=(\d+)/.exec(said)?.[1] ?? 0),
    };
    if (!running()) return seen;
    const [user = 0, system = 0] = proc('stat').split(') ')[1].split(' ').slice(11, 13).map(Number);
    appendFileSync(
      log,
      `${new Date().toISOString()} host sshd[7]: Failed password for root from 192.0.2.7 port 4 ssh2\n`,
    );
    const list = () => spawnSync('nft', ['list', 'table', 'inet', 'fail2zig'], { encoding: 'utf8' }).stdout ?? '';
    const banned = await until(() => list().includes('192.0.2.7'), { what: 'the ban' }).then(
      () => true,
      () => false,
    );
    const own = new Set(['/bin/fail2zig', ...libraries.map((path) => realpathSync(path)), ...libraries]);
    const maps = proc('maps').split('\n');
    const mapped = new Set(maps.map((line) => line.slice(73).replace(root, '')).filter((path) => path.startsWith('/')));
    const status = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(proc('status'))?.[1] ?? '';
    return {
      ...seen,
      banned,
      mapped: [...mapped].filter((path) => !own.has(path)),
      flags: (proc('cmdline').split('\0')[1] ?? '').replace('--node-options=', '').split(' '),
      threads: Number(status('Threads')),
      capabilities: status('CapEff'),
      peakKilobytes: Number(status('VmHWM')),
      startCpuMilliseconds: (user + system) * 10,
    };
  } finally {
    child.kill('SIGTERM');
    await ended;
    execFileSync('umount', [join(root, 'proc')]);
    rmSync(root, { recursive: true });
  }
}

/** A library of the C library's that the executable does not link. */
const strange = () =>
  join(dirname(librariesOf(process.execPath).find((path) => path.includes('/libm.so')) ?? ''), 'libutil.so.1');

const scenarios: Record<string, Scenario> = {
  real: () => inRoot({}),
  'no client': () => inRoot({ without: ['client.cjs'] }),
  'no libm': () => inRoot({ lacks: /libm\.so/ }),
  'no right': () => inRoot({ capabilities: '+dac_read_search' }),
  'a strange library': () => inRoot({ preload: strange() }),
};
await answerScenario(import.meta.filename, scenarios);
