/**
 * The daemon running as its own user; in a network and mount namespace (unprivileged.test.ts).
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { requestAs } from '../../spec/support/control-socket.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';

const root = join(import.meta.dirname, '../..');
const user = 65_534;

const scenarios: Record<string, Scenario> = {
  async 'own user'() {
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    const home = mkdtempSync('/run/unprivileged-');
    chmodSync(home, 0o755);
    for (const name of ['run', 'state', '/run/fail2zig']) {
      const path = name.startsWith('/') ? name : join(home, name);
      mkdirSync(path, { mode: 0o755 });
      chownSync(path, user, user);
    }
    // Only root and its group may read it; the daemon can because of CAP_DAC_READ_SEARCH.
    const log = join(home, 'auth.log');
    writeFileSync(log, '', { mode: 0o640 });
    const settings = join(home, 'fail2zig.toml');
    const socket = join(home, 'run/control.sock');
    writeFileSync(
      settings,
      `[control]\nsocket = "${socket}"\ngroup = "nogroup"\n[metrics]\nenabled = false\n[state]\npath = "${home}/state/state"\ninterval = 1\n[firewall]\nbackend = "nftables"\n[jails.sshd]\nlogpath = "${log}"\nmaxretry = 1\nignoreself = false\n`,
      { mode: 0o644 },
    );
    const capabilities = [
      '--inh-caps',
      '-all,+net_admin,+dac_read_search',
      '--ambient-caps',
      '-all,+net_admin,+dac_read_search',
    ];
    const become = ['--reuid', String(user), '--regid', String(user), '--clear-groups', ...capabilities];
    const bounding = ['--bounding-set', '-all,+net_admin,+dac_read_search'];
    const daemon = spawn('setpriv', [...become, ...bounding, join(root, 'bin/fail2zig'), '--config', settings], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    daemon.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const ended = new Promise<void>((resolve) => daemon.once('close', () => resolve()));
    try {
      await until(() => said.includes(' started ') || daemon.exitCode !== null, { what: 'the start' });
      const time = new Date().toISOString();
      appendFileSync(log, `${time} host sshd[7]: Failed password for root from 192.0.2.7 port 4 ssh2\n`);
      const list = () => execFileSync('nft', ['list', 'table', 'inet', 'fail2zig'], { encoding: 'utf8' });
      await until(() => list().includes('192.0.2.7'), { what: `the ban\n${said}` });
      const exists = (name: string) => statSync(join(home, name), { throwIfNoEntry: false }) !== undefined;
      await until(() => exists('state/state'), { what: `the state\n${said}` });
      const status = readFileSync(`/proc/${daemon.pid}/status`, 'latin1');
      const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1];
      const owner = (name: string): string => {
        const { mode, uid, gid } = statSync(join(home, name));
        return `${(mode & 0o777).toString(8)} ${uid}:${gid}`;
      };
      const admitted: boolean[] = [];
      chmodSync(socket, 0o666);
      for (const uid of [0, user, 65_533]) admitted.push((await requestAs(socket, uid, uid, 'list', {})).ok === true);
      chmodSync(socket, 0o660);
      const names = ['run/control.sock', 'state/state', 'state/state.history'];
      return {
        banned: list().includes('192.0.2.7'),
        capabilities: field('CapEff'),
        bounding: field('CapBnd'),
        uid: field('Uid'),
        owners: Object.fromEntries(names.map((name) => [name, owner(name)])),
        admitted,
        warnings: said.split('\n').filter((line) => /warn|error/.test(line) && !/ refused uid=65533 /.test(line)),
      };
    } finally {
      daemon.kill('SIGTERM');
      await ended;
    }
  },
};

await answerScenario(import.meta.filename, scenarios);
