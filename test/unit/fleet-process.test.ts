/** The process of fail2zig-fleet. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readPage } from '../../src/client/fleet-page.ts';
import { encodeFrame } from '../../src/control/protocol.ts';
import { heapMegabytes, niceness } from '../../src/fleet/limits.ts';
import { temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

const root = join(import.meta.dirname, '../..');
let directory: ReturnType<typeof temporaryDirectory>;
let fleet: ChildProcess | undefined;
/** What it wrote to standard error. */
let said: string;

beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => {
  fleet?.kill('SIGKILL');
  directory.remove();
});

/** Starts it with this nice value, whatever that of the tests is (root may). */
async function start(nice: number, more = ''): Promise<number> {
  const path = join(directory.path, 'fail2zig.toml');
  said = '';
  const key = join(directory.path, 'key');
  writeFileSync(key, 'a-key\n', { mode: 0o600 });
  writeFileSync(path, `[fleet]\nurl = "https://127.0.0.1:9"\napi_key_file = "${key}"\n${more}`, { mode: 0o600 });
  const command = ['-n', `${nice - getPriority()}`, join(root, 'bin/fail2zig-fleet'), '--config', path];
  fleet = spawn('nice', command, { stdio: ['ignore', 'ignore', 'pipe'] });
  fleet.stderr!.on('data', (data) => {
    said += data;
  });
  await until(() => / started /.test(said), { what: 'the start' });
  return fleet.pid!;
}

/** A port that nobody has now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** The nice value of each of its threads. */
const nicenessOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).map((thread) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[16]);
  });

test('every thread gives way to the daemon', async () => {
  const found = nicenessOf(await start(0));
  expect(found.length).toBeGreaterThan(1);
  expect([...new Set(found)]).toEqual([niceness]);
});

test('started with less, it keeps that', async () => {
  expect([...new Set(nicenessOf(await start(19)))]).toEqual([19]);
});

test('it runs with a bounded heap, takes no code from text and opens no debugger', async () => {
  const pid = await start(0);
  const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  expect(command.slice(1, 5)).toEqual([
    `--max-old-space-size=${heapMegabytes}`,
    '--no-concurrent-sparkplug',
    '--disallow-code-generation-from-strings',
    '--disable-sigusr1',
  ]);
  expect(command.slice(-3)).toEqual(['--config', join(directory.path, 'fail2zig.toml'), '']);
  const caught = /^SigCgt:\s+(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1];
  expect((BigInt(`0x${caught}`) >> 9n) & 1n, 'SIGUSR1').toBe(0n);
});

test('its page is for this host alone, a problem is said once, and it ends when it is told to', async () => {
  const port = await freePort();
  const socket = join(directory.path, 'nobody');
  await start(0, `metrics_port = ${port}\n[control]\nsocket = "${socket}"\n`);
  const failures = async (): Promise<number> => {
    const page = await readPage(port).catch(() => '');
    return Number(/^fail2zig_fleet_errors_total\{part="daemon"\} (\d+)$/m.exec(page)?.[1] ?? 0);
  };
  // By then it has looked for problems more than once.
  await until(async () => (await failures()) >= 3, { what: 'three failures' });
  expect(said.match(/ something is wrong part=daemon /g)).toHaveLength(1);
  const place = port.toString(16).toUpperCase().padStart(4, '0');
  const listening = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/net/${name}`, 'latin1')
      .split('\n')
      .map((row) => row.trim().split(/\s+/))
      .filter(([, local, , state]) => local?.endsWith(`:${place}`) && state === '0A')
      .map(([, local]) => local),
  );
  expect(listening).toEqual([`0100007F:${place}`]);
  const ended = once(fleet!, 'close');
  fleet!.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  expect(said).toContain(' stopped ');
});

test('told to end, it keeps what it has read of the records', async () => {
  const port = await freePort();
  const path = (name: string): string => join(directory.path, name);
  // The position is written every few seconds; the first reading is over before.
  const event = { number: 50, at: Date.now() / 1000, event: 'pressure' };
  writeFileSync(path('records'), `${JSON.stringify(event)}\n`);
  const answer = encodeFrame({ ok: true, data: { path: path('records'), number: 41 } });
  const daemon = createServer((socket) => socket.once('data', () => socket.end(answer))).listen(path('socket'));
  writeFileSync(path('password'), 'a-password\n', { mode: 0o600 });
  const sends = `machine = "web-1"\npassword_file = "${path('password')}"\ndirectory = "${path('spool')}"\n`;
  await start(0, `${sends}metrics_port = ${port}\n[control]\nsocket = "${path('socket')}"\n`);
  const missed = async (): Promise<boolean> =>
    /^fail2zig_fleet_records_missed_total 8$/m.test(await readPage(port).catch(() => ''));
  await until(missed, { what: 'the record' });
  const ended = once(fleet!, 'close');
  // Like SIGTERM, by which the test before ends it.
  fleet!.kill('SIGINT');
  expect(await ended).toEqual([0, null]);
  daemon.close();
  const { read } = JSON.parse(readFileSync(path('spool/position'), 'utf8'));
  expect(read.number).toBe(50);
});
