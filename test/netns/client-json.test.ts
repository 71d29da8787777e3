/**
 * The output of the real client with --json beside a real daemon, checked against its schema.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { outputs } from '../../scripts/output-schema.ts';
import { commandNames } from '../../src/client/help.ts';
import { temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

const home = temporaryDirectory();
const log = join(home.path, 'auth.log');
let daemon: Daemon;

beforeAll(async () => {
  writeFileSync(log, '');
  const settings = `[firewall]\nbackend = "log-only"\n[metrics]\nenabled = false\n[jails.sshd]\nlogpath = "${log}"\nmaxretry = 1\n`;
  daemon = await Daemon.start(home.path, settings);
  const line = 'host sshd[7]: Failed password for root from 192.0.2.7 port 40022 ssh2';
  appendFileSync(log, `${new Date().toISOString()} ${line}\n`);
  await until(async () => (await daemon.bans()).has('sshd 192.0.2.7'), { what: 'the ban' });
});

afterAll(async () => {
  await daemon?.stop();
  home.remove();
});

const client = (...argv: string[]): unknown => {
  const command = join(import.meta.dirname, '../../bin/fail2zig-client');
  const { stdout } = spawnSync(command, ['--socket', daemon.socket, '--json', ...argv], { encoding: 'utf8' });
  return JSON.parse(stdout);
};

const asked: [keyof typeof outputs, string[]][] = [
  ['status', ['status']],
  ['jails', ['jails']],
  ['ban', ['ban', 'sshd', '198.51.100.7', '1h', '--reason', 'a test']],
  ['list', ['list', '--sort', 'left']],
  ['why', ['why', '198.51.100.7']],
  ['unban', ['unban', '198.51.100.7']],
  ['ignore', ['ignore', '203.0.113.0/24', '1h']],
  ['ignore', ['ignore']],
  ['unignore', ['unignore', '203.0.113.0/24']],
  ['history', ['history']],
  ['stats', ['stats']],
  ['set', ['set', 'loglevel', 'info']],
  ['version', ['version']],
  ['doctor', ['doctor', '--config', join(home.path, 'fail2zig.toml')]],
  ['report', ['report', '--since', '1d']],
  ['error', ['ban', 'none', '192.0.2.7']],
];

test.each(asked)('%s', (name, argv) => {
  const { error, data } = outputs[name].safeParse(client(...argv));
  expect(error?.message).toBeUndefined();
  expect(Object.keys(data as object).length).toBeGreaterThan(0);
});

test('each command that prints JSON has a schema', () => {
  const without = commandNames.filter((name) => !Object.hasOwn(outputs, name));
  // A screen, a script for a shell, and what a reload answers.
  expect(without.filter((name) => !['top', 'completions', 'reload'].includes(name))).toEqual([]);
});
