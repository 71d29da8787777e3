/**
 * The executable for aarch64, cross-built, as far as an emulator can test it: it starts, matches,
 * and is three programs by three names. The daemon is not started there: qemu-user passes netlink
 * and seccomp to this machine's kernel.
 */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildExecutable } from '../../scripts/package/executable.ts';
import { emulate, makeArm64, thisMachine } from '../../scripts/package/target.ts';
import { version } from '../../src/version.ts';

const build = join(import.meta.dirname, '../../build');
const executable = join(build, 'single-arm64');
const scratch = mkdtempSync(join(build, 'arm64-'));
const client = join(scratch, 'fail2zig-client');

beforeAll(() => {
  const target = makeArm64();
  buildExecutable(executable, [], target);
  symlinkSync(executable, client);
}, 1_800_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** EM_AARCH64 of elf.h: an ELF file names its machine here. */
const machineOf = (path: string): number => readFileSync(path).readUInt16LE(18);

test('executable and addon are ELF files of aarch64', () => {
  expect([executable, join(build, 'fail2zig-arm64.node')].map(machineOf)).toEqual([183, 183]);
}, 60_000);

test('it says its version, with the same Node inside', () => {
  const { status, stdout } = emulate(executable, ['version']);
  const node = readFileSync(join(thisMachine.node, 'package.json'), 'utf8');
  const inside = (JSON.parse(node) as { version: string }).version;
  expect({ status, stdout }).toEqual({
    status: 0,
    stdout: expect.stringContaining(`fail2zig ${version} (Node ${inside}, `),
  });
  expect(emulate(client, ['--version']).stdout).toBe(`fail2zig-client ${version}\n`);
}, 300_000);

test('it matches a line, by the engine with SIMD', () => {
  const line = '2026-03-10T12:00:00Z host sshd[7]: Failed password for root from 192.0.2.7 port 4 ssh2\n';
  const { status, stdout } = emulate(executable, ['match', '--filter', 'sshd', '--json', '-'], line);
  expect(status).toBe(0);
  expect(JSON.parse(stdout.split('\n', 1)[0] ?? '')).toMatchObject({ ip: '192.0.2.7' });
}, 300_000);

test('its addon is loaded, from a file without a name', () => {
  const path = join(scratch, 'fail2zig.toml');
  writeFileSync(path, `[jails.sshd]\nlogpath = "${path}"\n`, { mode: 0o600 });
  const { status, stdout } = emulate(executable, ['check', '--config', path]);
  expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(/^OK /) });
}, 300_000);
