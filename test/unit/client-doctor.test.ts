/**
 * `doctor`: each broken link is reported with a remedy, and each working one as such.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { examine, type Finding } from '../../src/client/doctor.ts';
import { fleetLagSeconds, silentLogSeconds, tailBytes } from '../../src/config/limits.ts';
import { ControlServer } from '../../src/control/server.ts';
import { Figures, seriesOf } from '../../src/fleet/figures.ts';
import { lineBytesMax } from '../../src/limits.ts';
import { exposition } from '../../src/observe/metrics.ts';
import { fakeOperator, listenAt, rememberingLog, temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

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

test('of a long log the last lines are looked at, none that was cut, and no empty one', async () => {
  const line = failure(new Date());
  const inTail = Math.floor((tailBytes - 1) / line.length);
  const other = 'Nov 30 03:15:28 host cron[7]: nothing of ours\n';
  // The tail begins within a line.
  writeFileSync(log, other + line.repeat(inTail + 3));
  const before = of(await found(), 'log of sshd');
  expect(before).toEqual({
    link: 'log of sshd',
    state: 'ok',
    says: `${log}: of the last ${inTail} lines ${inTail} count`,
  });
  writeFileSync(log, `\n${'x'.repeat(lineBytesMax + 1)}\n${'x'.repeat(lineBytesMax)}\n\n${line}${line.trimEnd()}`);
  expect(of(await found(), 'log of sshd').says).toBe(`${log}: of the last 3 lines 2 count`);
  writeFileSync(log, '');
  expect(of(await found(), 'log of sshd')).toEqual({ link: 'log of sshd', state: 'ok', says: `${log} is empty` });
});

test.each([
  [0, undefined],
  [-3_600, undefined],
  [8 * 60, undefined],
  // Late lines, or a clock that is off: no zone.
  [22 * 60, undefined],
  [30 * 60, 0.5],
  [3_600, 1],
  [14 * 3_600 + 60, 14],
])('times that are %i s ahead are those of a zone: %s', async (seconds, hours) => {
  writeFileSync(log, failure(new Date(Date.now() + seconds * 1000)));
  const { state, says } = of(await found(), 'log of sshd');
  expect([state, says]).toEqual(
    hours === undefined
      ? ['ok', `${log}: of the last 1 lines 1 count`]
      : ['bad', `${log}: of the last 1 lines 1 count, but their times are ${hours} h ahead of the clock`],
  );
});

test('a log is silent after a week, not before', async () => {
  for (const [ago, state] of [
    [silentLogSeconds - 60, 'ok'],
    [silentLogSeconds + 60, 'warning'],
  ] as const) {
    const then = new Date(Date.now() - ago * 1000);
    writeFileSync(log, failure(then));
    utimesSync(log, then, then);
    expect(of(await found(), 'log of sshd').state).toBe(state);
  }
});

test('each file of each pattern is looked at, and a journal is named', async () => {
  writeFileSync(`${log}.1`, failure(new Date()));
  writeFileSync(`${log}.2`, failure(new Date()).repeat(2));
  configure(`[jails.sshd]\nlogpath = ["${log}.none", "${log}.?"]\n[jails.web]\nfilter = "sshd"\nsource = "journal"\n`);
  const findings = await found();
  expect(findings.filter(({ link }) => link === 'log of sshd').map(({ state, says }) => [state, says])).toEqual([
    ['bad', `no file matches ${log}.none`],
    ['ok', `${log}.1: of the last 1 lines 1 count`],
    ['ok', `${log}.2: of the last 2 lines 2 count`],
  ]);
  expect(of(findings, 'log of web')).toMatchObject({ state: 'ok', says: expect.stringMatching(/^the journal: ./) });
  expect(of(findings, 'configuration').says).toBe(`${path} can be used: jails sshd, web`);
  expect([...new Set(findings.map(({ link }) => link))]).toEqual([
    ...['configuration', 'log of sshd', 'engine for sshd', 'log of web', 'engine for web'],
    ...['daemon', 'kernel', 'neighbours'],
  ]);
});

test('other programs that ban or flush are named, each with what to do', async () => {
  const names = ['fail2ban-server', 'sshguard', 'crowdsec', 'firewalld'];
  const neighbours = async () => (await found()).filter(({ link }) => link === 'neighbours');
  const running: ChildProcess[] = [];
  try {
    for (const name of names) {
      copyFileSync('/bin/sleep', join(home.path, name));
      const child = spawn(join(home.path, name), ['600'], { stdio: 'ignore' });
      running.push(child);
      await until(() => readFileSync(`/proc/${child.pid}/comm`, 'utf8').trim() === name, { what: name });
    }
    const findings = await neighbours();
    expect(findings.map(({ state, says }) => [state, says])).toEqual(
      names.map((name) => ['warning', `${name} runs on this host`]),
    );
    expect(new Set(findings.map(({ mend }) => mend)).size).toBe(names.length);
  } finally {
    for (const child of running) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  const after = await neighbours();
  if (after[0]!.state === 'ok')
    expect(after).toEqual([expect.objectContaining({ says: `none of ${names.join(', ')} runs here` })]);
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
  let uid = 0;
  const askPeer = () => ({ pid: 1, uid, gid: uid, groups: [] });
  const operator = fakeOperator();
  const server = new ControlServer({ operator, askPeer, groupId: undefined, log: rememberingLog() });
  await listenAt(server, join(home.path, 'control.sock'));
  const daemon = async () => (await found()).filter(({ link }) => link === 'daemon');
  try {
    const findings = await daemon();
    expect(findings.map(({ state, says }) => [state, says])).toEqual([
      ['ok', 'version 9.9.9, process 4711, backend nftables, bans since the start: 7'],
      ['bad', 'the kernel refused 1 ban\u0007'],
      ['warning', `${path} is newer than the running daemon`],
    ]);
    expect(findings[2]!.mend).toContain('reload');
    // The daemon runs since an hour and two minutes, and has read what is older than that.
    const { uptimeSeconds } = operator.whole;
    const older = Date.now() / 1000 - uptimeSeconds - 60;
    utimesSync(path, older, older);
    expect((await daemon()).map(({ state }) => state)).toEqual(['ok', 'bad']);
    const newer = older + 120;
    utimesSync(path, newer, newer);
    expect((await daemon()).map(({ state }) => state)).toEqual(['ok', 'bad', 'warning']);
    uid = 1000;
    expect(await daemon()).toMatchObject([{ state: 'bad', mend: 'run this as root' }]);
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
  expect(await look(1_000 + fleetLagSeconds)).toMatchObject([{ state: 'ok' }]);
  expect(await look(1_001 + fleetLagSeconds)).toMatchObject([{ state: 'warning' }]);
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
