/**
 * `doctor`: each broken link is reported with a remedy, and each working one as such.
 */
import { once } from 'node:events';
import { appendFileSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { examine, type Finding } from '../../src/client/doctor.ts';
import { ControlServer } from '../../src/control/server.ts';
import { Figures, seriesOf } from '../../src/fleet/figures.ts';
import { exposition } from '../../src/observe/metrics.ts';
import { fakeOperator, listenAt, rememberingLog, temporaryDirectory } from '../support/control.ts';

let home: ReturnType<typeof temporaryDirectory>;
let log: string;
let path: string;

beforeEach(() => {
  home = temporaryDirectory();
  log = join(home.path, 'auth.log');
  path = join(home.path, 'fail2zig.toml');
  writeFileSync(log, '');
  configure(`[jails.sshd]\nlogpath = "${log}"\n`);
});
afterEach(() => home.remove());

function configure(jails: string): void {
  const control = `[control]\nsocket = "${join(home.path, 'control.sock')}"\ngroup = "root"\n`;
  writeFileSync(path, `${control}[firewall]\nbackend = "log-only"\n${jails}`, { mode: 0o600 });
}

async function found(): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const finding of examine(path, join(home.path, 'control.sock'))) findings.push(finding);
  return findings;
}

const of = (findings: Finding[], link: string): Finding => findings.find((each) => each.link === link)!;
const failure = (time: Date): string =>
  `${time.toISOString()} host sshd[7]: Failed password for root from 192.0.2.7 port 40022 ssh2\n`;

test('a configuration that cannot be used, and a daemon that does not run', async () => {
  writeFileSync(path, 'x = 1\n', { mode: 0o600 });
  const findings = await found();
  expect(of(findings, 'configuration')).toMatchObject({
    state: 'bad',
    says: expect.stringContaining('fail2zig.toml:1:1'),
  });
  expect(findings.map(({ link }) => link)).toEqual(['configuration', 'daemon', 'neighbours']);
  for (const { state, mend } of findings) if (state !== 'ok') expect(mend).toBeTruthy();
});

test('a log that counts, one of another service, one that is not there', async () => {
  writeFileSync(log, failure(new Date()));
  expect(of(await found(), 'log of sshd')).toMatchObject({ state: 'ok', says: `${log}: of the last 1 lines 1 count` });
  writeFileSync(log, 'Nov 30 03:15:28 host cron[7]: nothing of ours\n');
  expect(of(await found(), 'log of sshd')).toMatchObject({
    state: 'warning',
    mend: expect.stringContaining('fail2zig match'),
  });
  configure(`[jails.sshd]\nlogpath = "${log}.none"\n`);
  expect(of(await found(), 'log of sshd')).toMatchObject({ state: 'bad', says: `no file matches ${log}.none` });
});

test('times of another zone, and a log that nobody writes any more', async () => {
  writeFileSync(log, failure(new Date(Date.now() + 2 * 3_600_000)));
  expect(of(await found(), 'log of sshd')).toMatchObject({
    state: 'bad',
    says: expect.stringContaining('2 h ahead of the clock'),
    mend: expect.stringContaining('timezone'),
  });
  const old = new Date(Date.now() - 30 * 86_400_000);
  writeFileSync(log, failure(old));
  utimesSync(log, old, old);
  expect(of(await found(), 'log of sshd')).toMatchObject({
    state: 'warning',
    says: expect.stringMatching(/written 30 days ago$/),
  });
});

test('the engine is tried with a sample of each filter', async () => {
  configure(`[[filter]]\nname = "mine"\npatterns = ["refused {ip}{end}"]\n[jails.mine]\nlogpath = "${log}"\n`);
  expect(of(await found(), 'engine for mine')).toMatchObject({
    state: 'skipped',
    says: expect.stringContaining('no sample'),
  });
  configure(`[jails.sshd]\nlogpath = "${log}"\n`);
  appendFileSync(log, failure(new Date()));
  const { state, says } = of(await found(), 'engine for sshd');
  expect(state).toBe('ok');
  expect(says).toMatch(/^a test line from (192\.0\.2|198\.51\.100|203\.0\.113)\.\d+ leads to a ban$/);
});

test("the daemon's own problems are told", async () => {
  const askPeer = () => ({ pid: 1, uid: 0, gid: 0, groups: [] });
  const server = new ControlServer({ operator: fakeOperator(), askPeer, groupId: undefined, log: rememberingLog() });
  await listenAt(server, join(home.path, 'control.sock'));
  try {
    const daemon = (await found()).filter(({ link }) => link === 'daemon');
    expect(daemon.map(({ state }) => state)).toEqual(['ok', 'bad', 'warning']);
    expect(daemon[1]!.says).toContain('the kernel refused 1 ban');
  } finally {
    await server.close();
  }
});

test('the fleet: that nobody answers, what is wrong with it, what waits too long, and how much it does', async () => {
  let page = '';
  const server = createServer((_, response) => void response.end(page)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const key = join(home.path, 'key');
  writeFileSync(key, 'a-key\n', { mode: 0o600 });
  configure(
    `[fleet]\nurl = "https://lapi.example.net"\napi_key_file = "${key}"\nmetrics_port = ${port}\n[jails.sshd]\nlogpath = "${log}"\n`,
  );
  const figures = new Figures();
  const spool = { waiting: 3, bytes: 300, oldest: 1_000, counters: { dropped: 0, sent: 7, damaged: 0 } };
  const look = async (now: number): Promise<Finding[]> => {
    page = await exposition(seriesOf(figures, spool, () => now));
    return (await found()).filter(({ link }) => link === 'fleet');
  };
  Object.assign(figures.counters, { alertsSent: 7 });
  figures.held = 250;
  const says = '7 bans sent to https://lapi.example.net, 3 wait, 250 of others hold';
  expect(await look(1_010)).toEqual([{ link: 'fleet', state: 'ok', says }]);
  expect(await look(9_000)).toMatchObject([{ state: 'warning', says: `${says}; the oldest waits since 8000 s` }]);
  figures.fail('server', 'the server cannot be reached: "no\u001b[2J"');
  figures.problems.set('ceiling', '9 decisions have no room');
  expect(await look(1_010)).toMatchObject([
    { state: 'bad', says: 'server: the server cannot be reached: "no\\x1b[2J"' },
    { state: 'bad', says: 'ceiling: 9 decisions have no room' },
    { state: 'ok' },
  ]);
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  expect((await found()).filter(({ link }) => link === 'fleet')).toMatchObject([
    { state: 'bad', says: expect.stringContaining(`does not answer on port ${port}`), mend: expect.any(String) },
  ]);
});
