/**
 * The state file and real faults of disks and processes: a full and a read-only file system (a
 * small tmpfs in a mount namespace of its own), and kill -9 at random instants. STATE_KILLS sets
 * the number of kills, SEED repeats a run.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadState } from '../../src/state/load.ts';
import { CollectingVisitor, isSampleTable } from '../support/state.ts';

const writer = join(import.meta.dirname, '../support/state-writer.ts');
const kills = Number(process.env.STATE_KILLS ?? 50);
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'state-faults-'));
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

/**
 * Runs shell lines with a tmpfs of 64 KiB on $disk, which no other process sees. $save ENTRIES
 * saves one state and prints the result.
 */
function onSmallDisk(script: string): string[] {
  const lines = `set -e
    mount -t tmpfs -o size=64k,mode=700 none "$disk"
    save() { "$node" "$writer" "$disk/state" "$1" 1; }
    ${script}`;
  const env = { ...process.env, disk: home, node: process.execPath, writer };
  return execFileSync('unshare', ['-m', 'sh', '-c', lines], { env }).toString().trim().split('\n');
}

const privileged = process.geteuid!() === 0;

test.runIf(privileged)('a full disk: the error is typed, the old state stays, nothing is left over', () => {
  const output = onSmallDisk('save 100; save 5000; ls "$disk"; save 100');
  expect(output).toEqual(['1', 'ENOSPC at write', 'state', '2']);
});

test.runIf(privileged)('a read-only disk: the error is typed, and the old state can still be read', () => {
  const output = onSmallDisk('save 100; mount -o remount,ro "$disk"; save 100; mount -o remount,rw "$disk"; save 100');
  expect(output).toEqual(['1', 'EROFS at create', '2']);
});

test('kill -9 at any instant leaves a state that loads, no older than the last finished save', {
  timeout: 60_000 + kills * 2_000,
}, async () => {
  console.log(`kill test: SEED=${seed} STATE_KILLS=${kills}`);
  let random = seed;
  const path = join(home, 'state');
  let saved = 0;
  let killedWhileSaving = 0;
  for (let kill = 0; kill < kills; kill++) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    const child = spawn(process.execPath, [writer, path, '5000', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const ended = once(child, 'close');
    await once(child.stdout, 'data');
    await pause((random % 20_000) / 1000);
    child.kill('SIGKILL');
    await ended;
    saved = Number(output.trim().split('\n').at(-1));
    if (readdirSync(home).includes('state.new')) killedWhileSaving++;
    const visitor = new CollectingVisitor();
    const { state } = loadState(path, visitor, 0) as { state: { time: number } };
    expect(state, `after kill ${kill}`).not.toBe(null);
    expect(state.time).toBeGreaterThanOrEqual(saved);
    expect(state.time).toBeLessThanOrEqual(saved + 1);
    expect(isSampleTable(visitor.chunks, 5_000)).toBe(true);
    expect(readdirSync(home)).toEqual(['state']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  }
  // Otherwise no kill came during a save, and the test would prove nothing.
  expect(killedWhileSaving).toBeGreaterThan(kills / 10);
});
