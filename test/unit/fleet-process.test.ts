/** The process of fail2zig-fleet. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { heapMegabytes, niceness } from '../../src/fleet/limits.ts';
import { temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

const root = join(import.meta.dirname, '../..');
let directory: ReturnType<typeof temporaryDirectory>;
let fleet: ChildProcess | undefined;

beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => {
  fleet?.kill('SIGKILL');
  directory.remove();
});

/** Starts it with this nice value, whatever that of the tests is (root may). */
async function start(nice: number): Promise<number> {
  const path = join(directory.path, 'fail2zig.toml');
  const key = join(directory.path, 'key');
  writeFileSync(key, 'a-key\n', { mode: 0o600 });
  writeFileSync(path, `[fleet]\nurl = "https://127.0.0.1:9"\napi_key_file = "${key}"\n`, { mode: 0o600 });
  const command = ['-n', `${nice - getPriority()}`, join(root, 'bin/fail2zig-fleet'), '--config', path];
  fleet = spawn('nice', command, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  fleet.stderr!.on('data', (data) => {
    said += data;
  });
  await until(() => / started /.test(said), { what: 'the start' });
  return fleet.pid!;
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
