/**
 * A daemon under strace(1), with every backend: start, 40 bans and everything that happens in a
 * day, with a reload and a full audit log. In a network and mount namespace (calls.test.ts).
 */
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { call } from '../../src/client/call.ts';
import { addressesPerRequestMax, metricsConnectionsMax } from '../../src/limits.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { tool, toolEnvironment } from '../support/tools.ts';
import { until } from '../support/until.ts';

const root = join(import.meta.dirname, '../..');
const bans = 40;
/** Seconds until a damaged firewall is repaired without an event. */
const repairMs = 90_000;

/** Sends commands until the audit log continues in another file. */
async function fillRecords(socket: string, path: string): Promise<void> {
  for (let list = 0; !existsSync(`${path}.1`); list++) {
    const addresses = Array.from({ length: addressesPerRequestMax }, (_, index) => `198.18.${list & 255}.${index}`);
    await call(socket, { verb: 'ban', args: { jail: 'sshd', addresses, seconds: 600 } });
  }
}

interface Traced {
  /** Calls since the filter is in force, each once. */
  calls: string[];
  /** Starts of programs and processes among them. */
  starts: string[];
  banned: number;
}

/** How our rules are flushed, by backend. */
const flush: Record<string, string[]> = {
  nftables: ['nft', 'flush', 'ruleset'],
  ipset: ['iptables-legacy', '-F'],
};

/** More connections than the metrics page accepts; resolves when one was rejected. */
async function overfill(port: number): Promise<void> {
  const sockets = Array.from({ length: metricsConnectionsMax + 1 }, () => connect(port, '127.0.0.1'));
  await Promise.race(
    sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve).on('error', () => {}))),
  );
  for (const socket of sockets) socket.destroy();
}

async function trace(backend: string): Promise<Traced> {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  execFileSync('ip', ['link', 'add', 'traced0', 'type', 'veth', 'peer', 'name', 'traced1']);
  for (const name of ['traced0', 'traced1']) execFileSync('ip', ['link', 'set', name, 'up']);
  const home = mkdtempSync('/run/calls-');
  const log = join(home, 'auth.log');
  writeFileSync(log, '');
  mkdirSync(join(home, 'run'));
  const socket = join(home, 'run/control.sock');
  const settings = join(home, 'fail2zig.toml');
  const xdp = backend === 'xdp' ? 'interfaces = ["traced0"]\n' : '';
  writeFileSync(
    settings,
    `[control]\nsocket = "${socket}"\ngroup = "root"\n[metrics]\nport = 9717\n[state]\npath = "${home}/state/state"\ninterval = 1\n[audit]\nsize = "1MB"\n[firewall]\nbackend = "${backend}"\n${xdp}[jails.sshd]\nlogpath = ["${log}", "${home}/*.more"]\nmaxretry = 1\nignoreself = false\n`,
    { mode: 0o600 },
  );
  const traced = join(home, 'trace');
  const strace = spawn(tool('strace')!, ['-f', '-qq', '-o', traced, join(root, 'bin/fail2zig'), '--config', settings], {
    env: toolEnvironment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  strace.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const ended = new Promise<void>((resolve) => strace.once('close', () => resolve()));
  await until(() => said.includes(' started ') || strace.exitCode !== null, {
    withinMs: 60_000,
    what: `the start\n${said}`,
  });
  const daemon = Number(readFileSync(`${socket}.lock`, 'latin1'));
  const failure = (number: number): string =>
    `${new Date().toISOString()} host sshd[${number}]: Failed password for root from 198.51.100.${number} port 4 ssh2\n`;
  for (let number = 1; number <= bans; number++) appendFileSync(log, failure(number));
  const banned = (): number => said.split('\n').filter((line) => / info banned /.test(line)).length;
  await until(() => banned() >= bans, { withinMs: 60_000, what: `the bans\n${said}` });
  await call(socket, { verb: 'unban', args: { addresses: ['198.51.100.1'] } });
  await call(socket, { verb: 'status', args: {} });
  await new Promise<void>((resolve, reject) => {
    get('http://127.0.0.1:9717/metrics', (answer) => answer.resume().once('end', () => resolve())).once(
      'error',
      reject,
    );
  });
  await overfill(9717);
  renameSync(log, `${log}.1`);
  writeFileSync(log, failure(50));
  writeFileSync(join(home, 'other.more'), failure(51));
  await until(() => banned() >= bans + 2, { withinMs: 60_000, what: `the rotated log\n${said}` });
  truncateSync(log, 0);
  truncateSync(log, 1 << 20);
  appendFileSync(log, `\n${failure(52)}`);
  await until(() => banned() >= bans + 3, { withinMs: 60_000, what: `a log with a hole\n${said}` });
  await fillRecords(socket, `${home}/state/state.history`);
  execFileSync(join(root, 'bin/fail2zig-client'), ['--socket', socket, 'reload', '--config', settings]);
  const [program, ...parameters] = flush[backend] ?? [];
  if (program !== undefined) {
    execFileSync(program, parameters);
    await until(() => said.includes('repaired'), { withinMs: repairMs, what: `the repair\n${said}` });
  }
  process.kill(daemon, 'SIGTERM');
  await ended;
  const lines = readFileSync(traced, 'latin1').split('\n');
  const start = lines.findLastIndex((line) => / seccomp\(SECCOMP_SET_MODE_FILTER/.test(line));
  const after = lines.slice(start + 1).flatMap((line) => /^\d+ +([a-z_0-9]+)\(/.exec(line)?.[1] ?? []);
  const calls = [...new Set(after)].sort();
  return { calls, starts: after.filter((name) => /^(execve|execveat|v?fork|clone3?)$/.test(name)), banned: banned() };
}

const scenarios: Record<string, Scenario> = Object.fromEntries(
  ['nftables', 'ipset', 'xdp'].map((backend) => [backend, () => trace(backend)]),
);

await answerScenario(import.meta.filename, scenarios);
