/**
 * Which rooms the composition root starts, which look again and again while it runs, and which it
 * stops, in which order: the real daemon in a process of its own, with a backend that only logs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, closeSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { takeLock } from '../../src/sole.ts';
import { temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

/** Several starts of a process that reads all of its sources, on a machine that may be busy. */
vi.setConfig({ testTimeout: 90_000 });

const home = { path: '', remove: (): void => {} };
let daemon: ChildProcess | undefined;
beforeEach(() => Object.assign(home, temporaryDirectory()));
afterEach(() => {
  daemon?.kill('SIGKILL');
  home.remove();
});

const at = (name: string): string => join(home.path, name);

/** A port that nobody has now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

const program = join(import.meta.dirname, '../support/recorded-rooms.ts');
const flags = ['--expose-gc', '--max-old-space-size=192'];

/** What the daemon does again and again while it runs. */
const regular = ['Engine.settleAttempts', 'Engine.setClock', 'Log.flush'];
/** What a ban is followed by: logs that waited for it are read on. */
const onBan = ['Telling.decided', 'Logs.wake'];

/**
 * Runs the daemon until it has done everything regular after its start and everything in `banned`
 * after a ban, then stops it.
 */
async function run(configuration: string, banned: readonly string[]) {
  writeFileSync(at('auth.log'), '');
  writeFileSync(at('list.txt'), '192.0.2.0/24\n');
  const path = at('fail2zig.toml');
  writeFileSync(path, configuration, { mode: 0o644 });
  const { FAIL2ZIG_NOTIFY_FD: _, NODE_V8_COVERAGE: __, ...env } = process.env;
  daemon = spawn(process.execPath, [...flags, program, path], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', error: '' };
  daemon.stdout!.on('data', (part) => {
    said.out += part;
  });
  daemon.stderr!.on('data', (part) => {
    said.error += part;
  });
  const ended = once(daemon, 'close');
  const calls = (): string[] => said.out.split('\n').slice(0, -1);
  const ready = (): number => calls().indexOf('ServiceManager.ready');
  const does = async (what: readonly string[]): Promise<void> => {
    const seen = (): boolean => ready() >= 0 && what.every((call) => calls().includes(call, ready()));
    await until(() => seen() || daemon!.exitCode !== null, {
      what: `a daemon that does ${what.join(', ')}`,
      withinMs: 40_000,
    });
  };
  await does(regular);
  expect(said.error).toContain('info started');
  const line = `${new Date().toISOString()} host sshd[7]: Failed password for root from 192.0.2.7 port 40022 ssh2\n`;
  appendFileSync(at('auth.log'), line);
  await does(banned);
  daemon.kill('SIGTERM');
  expect(await ended, said.error).toEqual([0, null]);
  const all = calls();
  const starts = all.slice(0, ready() + 1);
  return {
    /** Without what timers of the running daemon may do meanwhile. */
    starts: starts.filter((call) => ![...regular, 'Governor.release'].includes(call)),
    last: starts.slice(-2),
    stops: all.slice(all.indexOf('ServiceManager.stopping')),
  };
}

const common = (): string => `
[memory]
ceiling = "700MB"
[jails.sshd]
logpath = ["${at('auth.log')}"]
port = ["ssh"]
maxretry = 1
[firewall]
backend = "log-only"
`;

test('with everything configured, every room starts and stops, in its order', async () => {
  const { starts, last, stops } = await run(
    `${common()}
[state]
path = "${at('state')}"
[control]
socket = "${at('socket')}"
[metrics]
enabled = true
port = ${await freePort()}
[[list]]
file = "${at('list.txt')}"
`,
    [...onBan, 'StateKeeper.changed'],
  );
  expect(starts).toEqual([
    'Lists.prepare',
    'LogOnlyBackend.install',
    'ProcessMemory.govern',
    'StateKeeper.load',
    'Recorder.start',
    'ControlServer.listen',
    'MetricsServer.start',
    'Logs.start',
    'Enforcer.start {"adopts":true}',
    'Lists.start',
    ...['DropTally', 'Clock', 'LogClocks', 'CrowdedLinks', 'Telling'].map((looker) => `${looker}.start`),
    'StateKeeper.start',
    'ServiceManager.ready',
  ]);
  // What the start took is released once it is over.
  expect(last).toEqual(['Governor.release', 'ServiceManager.ready']);
  expect(stops).toEqual([
    'ServiceManager.stopping',
    'ProcessMemory.stop',
    ...['DropTally', 'Clock', 'LogClocks', 'CrowdedLinks', 'Telling'].map((looker) => `${looker}.stop`),
    'Logs.drain',
    'Engine.settleAttempts true',
    'Lists.stop',
    'Enforcer.stop',
    'StateKeeper.stop',
    'Logs.stop',
    'MetricsServer.close',
    'ControlServer.close',
    'Recorder.close',
    'LogOnlyBackend.close',
    'Log.flush',
  ]);
});

test('what is not configured neither starts nor stops; bans that are not to be kept are removed after the last save', async () => {
  const { starts, stops } = await run(
    `${common()}keep_bans = false
[state]
enabled = false
[control]
enabled = false
[metrics]
enabled = false
`,
    onBan,
  );
  for (const room of ['Lists', 'StateKeeper', 'ControlServer', 'MetricsServer'])
    expect([...starts, ...stops].filter((call) => call.startsWith(`${room}.`))).toEqual([]);
  expect(stops).toContain('LogOnlyBackend.remove');
  expect(stops.indexOf('LogOnlyBackend.remove')).toBe(stops.indexOf('Enforcer.stop') + 1);
});

test('a daemon with a table of its own does not share the state file of another', async () => {
  const path = at('fail2zig.toml');
  writeFileSync(at('auth.log'), '');
  const configuration = `${common().replace('log-only', 'nftables')}table = "own"
[state]
path = "${at('state')}"
[control]
enabled = false
[metrics]
enabled = false
`;
  writeFileSync(path, configuration, { mode: 0o644 });
  const lock = takeLock(at('state.lock'), 'state file', 'file of its own');
  // In a network of its own, in case that it starts after all.
  const alone = process.getuid?.() === 0 ? ['-n'] : ['-rn'];
  const { FAIL2ZIG_NOTIFY_FD: _, NODE_V8_COVERAGE: __, ...env } = process.env;
  daemon = spawn('unshare', [...alone, process.execPath, ...flags, program, path], { env, stdio: 'pipe' });
  let said = '';
  daemon.stderr!.on('data', (part) => {
    said += part;
    if (said.includes('info started')) daemon!.kill('SIGKILL');
  });
  expect(await once(daemon, 'close'), said).toEqual([69, null]);
  expect(said).toContain(`another fail2zig (process ${process.pid}) holds the state file ${at('state')}`);
  closeSync(lock);
});

test('a ceiling that is too small is a mistake in the configuration, and nothing is started', async () => {
  const path = at('fail2zig.toml');
  writeFileSync(path, common().replace('700MB', '45MB'), { mode: 0o644 });
  const { FAIL2ZIG_NOTIFY_FD: _, NODE_V8_COVERAGE: __, ...env } = process.env;
  daemon = spawn(process.execPath, [...flags, program, path], { env, stdio: 'pipe' });
  let said = '';
  for (const stream of [daemon.stdout!, daemon.stderr!]) {
    stream.on('data', (part) => {
      said += part;
    });
  }
  expect(await once(daemon, 'close'), said).toEqual([78, null]);
  expect(said).toContain('memory.ceiling is 45MB; at least ');
  expect(said).not.toMatch(/Logs\.start|Enforcer\.start/);
});
