/** The agent against a stand-in for the server: each ban arrives once, whatever breaks. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Figures } from '../../src/fleet/figures.ts';
import { loginMarginMs } from '../../src/fleet/limits.ts';
import { alertOf, bansOf, Sender } from '../../src/fleet/sender.ts';
import { Server } from '../../src/fleet/server.ts';
import { Spool } from '../../src/fleet/spool.ts';
import type { Event } from '../../src/history/event.ts';
import { temporaryDirectory } from '../support/control.ts';
import { answerLost, decision, dropped, StandInLapi, silent, status } from '../support/lapi.ts';
import { until } from '../support/until.ts';

let lapi: StandInLapi;
let place: string;
let stop: AbortController;
let running: Promise<void> = Promise.resolve();
let number = 0;

beforeEach(async () => {
  lapi = await StandInLapi.start();
  lapi.machines.set('web-1', { password: 'p', isValid: true });
  place = temporaryDirectory().path;
  mkdirSync(join(place, 'state'));
  writeFileSync(join(place, 'state', 'history'), '{"fail2zig":"history","version":1}\n');
  number = 0;
});

afterEach(async () => {
  stop.abort();
  await running;
  await lapi.close();
});

function record(event: Partial<Event>): void {
  const whole = { number: ++number, at: Date.now() / 1000, event: 'ban', jail: 'sshd', ...event };
  appendFileSync(join(place, 'state', 'history'), `${JSON.stringify(whole)}\n`);
}

const ban = (address: string, more: Partial<Event> = {}): void =>
  record({ addresses: [address], until: Math.floor(Date.now() / 1000) + 600, failures: 5, ...more });

async function start(options: { spoolBytes?: number } = {}): Promise<{ figures: Figures; spool: Spool }> {
  const config = { url: lapi.url };
  const credentials = { machine: 'web-1', password: 'p', tls: {} };
  const server = new Server({ config, credentials, scenarios: ['fail2zig/sshd'], answerMs: 2_000 });
  const spool = await Spool.open(join(place, 'fleet'), options.spoolBytes ?? 1 << 20);
  const figures = new Figures();
  const sender = new Sender({
    machine: 'web-1',
    fleetJail: 'fleet',
    bantimes: new Map([['sshd', 900]]),
    daemon: { records: async () => ({ path: join(place, 'state', 'history'), number }) },
    server,
    spool,
    figures,
    retryMs: 5,
    log: { info: () => undefined, warn: () => undefined },
  });
  stop = new AbortController();
  running = sender.run(stop.signal).then(() => spool.close());
  await until(() => spool.read !== undefined, { what: 'the position' });
  return { figures, spool };
}

const unban = (address: string, more: Partial<Event> = {}): void =>
  record({ event: 'unban', addresses: [address], by: { uid: 0, pid: 7 }, ...more });
const held = (): string[] => lapi.alerts.flatMap(({ decisions }) => decisions).map(({ value }) => value);

const values = (): string[] => lapi.alerts.map(({ source }) => source.value);

test('a ban becomes an alert with one decision, and nothing of a log is in it', async () => {
  ban('192.0.2.1');
  const { figures, spool } = await start();
  // What was before it joined stays here.
  ban('192.0.2.7', { pattern: 'failed', file: '/var/log/auth.log', offset: 17 });
  ban('192.0.2.8', { jail: 'fleet' });
  record({ event: 'expired', addresses: ['192.0.2.1'] });
  record({ addresses: ['198.51.100.1', '2001:db8:0:1::/64'], jail: 'nginx' });
  await until(() => figures.counters.alertsSent === 3, { what: 'three alerts' });
  expect(values()).toEqual(['192.0.2.7', '198.51.100.1', '2001:db8:0:1::/64']);
  const [alert] = lapi.alerts;
  expect(alert).toMatchObject({
    scenario: 'fail2zig/sshd',
    events: [],
    events_count: 5,
    source: { scope: 'Ip', value: '192.0.2.7', ip: '192.0.2.7' },
    decisions: [{ type: 'ban', scope: 'Ip', value: '192.0.2.7', origin: 'crowdsec', scenario: 'fail2zig/sshd@web-1' }],
  });
  expect(alert!.decisions[0]!.duration).toMatch(/^(599|600)s$/);
  expect(JSON.stringify(alert)).not.toMatch(/auth\.log|pattern|offset/);
  expect(lapi.alerts[2]).toMatchObject({
    source: { scope: 'Range', range: '2001:db8:0:1::/64', ip: '2001:db8:0:1::' },
  });
  await until(() => spool.waiting === 0, { what: 'an empty spool' });
});

test('an outage delays bans and loses none', async () => {
  const { figures } = await start();
  lapi.fault('/v1/alerts', status(502, 'bad gateway'), dropped, status(429), silent);
  ban('192.0.2.1');
  ban('192.0.2.2');
  await until(() => figures.counters.alertsSent === 2, { what: 'both alerts' });
  expect(values().toSorted()).toEqual(['192.0.2.1', '192.0.2.2']);
  expect(figures.errors.get('alerts')).toBeGreaterThanOrEqual(4);
  await until(() => !figures.problems.has('alerts'), { what: 'the end of the problem' });
});

test('a batch that the server took, and whose answer was lost, is not sent again', async () => {
  const { figures, spool } = await start();
  lapi.fault('/v1/alerts', answerLost);
  ban('192.0.2.1');
  await until(() => figures.counters.alertsKnown === 1, { what: 'the question' });
  ban('192.0.2.2');
  await until(() => figures.counters.alertsSent === 1, { what: 'the next ban' });
  expect(values()).toEqual(['192.0.2.1', '192.0.2.2']);
  await until(() => spool.waiting === 0, { what: 'an empty spool' });
});

test('an alert in doubt is looked for among all since its ban, in whole hours and one more', async () => {
  const { figures } = await start();
  for (const hours of [0, 5, 50]) {
    lapi.fault('/v1/alerts', answerLost);
    const known = figures.counters.alertsKnown;
    ban('192.0.2.1', { at: Date.now() / 1000 - hours * 3_600 - 60 });
    await until(() => figures.counters.alertsKnown === known + 1, { what: `the question after ${hours} hours` });
    const [path] = lapi.requests.filter((each) => each.startsWith('GET /v1/alerts?')).slice(-1);
    const { searchParams } = new URL(path!.slice('GET '.length), lapi.url);
    expect(Object.fromEntries(searchParams)).toEqual({
      ...{ scope: 'Ip', value: '192.0.2.1' },
      // 0 is no limit: the one in doubt may be behind many others.
      ...{ since: `${hours + 2}h`, limit: '0' },
    });
  }
});

test('another alert of the address is not the one in doubt', async () => {
  const { figures, spool } = await start();
  ban('192.0.2.1');
  await until(() => figures.counters.alertsSent === 1, { what: 'the first ban' });
  lapi.fault('/v1/alerts', dropped);
  ban('192.0.2.1');
  await until(() => spool.read?.number === 2 && spool.waiting === 0, { what: 'the second ban' });
  expect(lapi.alerts.map(({ message }) => message)).toEqual([
    expect.stringContaining('record 1.0'),
    expect.stringContaining('record 2.0'),
  ]);
});

test('nor by the next process, and bans of the time between are sent', async () => {
  const { spool } = await start();
  lapi.fault('/v1/alerts', (request, response, done) => {
    answerLost(request, response, done);
    stop.abort();
  });
  ban('192.0.2.1');
  await until(() => values().length === 1, { what: 'the alert' });
  await running;
  expect(spool.waiting).toBe(1);
  ban('192.0.2.2');
  const { figures } = await start();
  await until(() => figures.counters.alertsSent === 1, { what: 'the second ban' });
  expect(values()).toEqual(['192.0.2.1', '192.0.2.2']);
  expect(figures.counters.recordsMissed).toBe(0);
});

test('a ban that the server refuses holds up no other', async () => {
  const { figures } = await start();
  lapi.refuses = (value) => value === '192.0.2.2';
  for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) ban(address);
  await until(() => figures.counters.alertsSent + figures.counters.alertsRefused === 3, { what: 'all three' });
  expect(figures.counters.alertsRefused).toBe(1);
  expect(values()).toEqual(['192.0.2.1', '192.0.2.3']);
});

test('a machine that the server does not know registers once and waits to be let in', async () => {
  lapi.machines.clear();
  const { figures } = await start();
  ban('192.0.2.1');
  await until(() => figures.problems.get('alerts')?.includes('not validated'), { what: 'the wait' });
  expect(figures.problems.get('alerts')).toContain('cscli machines validate web-1');
  expect(lapi.requests.filter((request) => request === 'POST /v1/watchers')).toHaveLength(1);
  lapi.machines.get('web-1')!.isValid = true;
  await until(() => figures.counters.alertsSent === 1, { what: 'the alert' });
});

test('a server that was started anew, and knows no login of before, is asked for another at once', async () => {
  const { figures } = await start();
  ban('192.0.2.9');
  await until(() => figures.counters.alertsSent === 1, { what: 'a login' });
  lapi.fault('/v1/alerts', status(401, '{"message":"signature is invalid"}'));
  ban('192.0.2.1');
  await until(() => figures.counters.alertsSent === 2, { what: 'the alert' });
  expect(figures.errors.size).toBe(0);
});

test('a login that is about to end is made anew before it is used', async () => {
  let now = Date.now();
  const server = new Server({
    config: { url: lapi.url },
    credentials: { machine: 'web-1', password: 'p', tls: {} },
    now: () => now,
  });
  const logins = (): number => lapi.requests.filter((each) => each === 'POST /v1/watchers/login').length;
  await server.heartbeat();
  // The stand-in lets a login hold for an hour.
  now += 3_600_000 - loginMarginMs - 60_000;
  await server.heartbeat();
  expect(logins()).toBe(1);
  now += 120_000;
  await server.heartbeat();
  expect(logins()).toBe(2);
});

test('a wrong password is named as what it is', async () => {
  lapi.machines.set('web-1', { password: 'other', isValid: true });
  const { figures } = await start();
  ban('192.0.2.1');
  await until(() => figures.problems.has('alerts'), { what: 'the problem' });
  expect(figures.problems.get('alerts')).toBe('the server knows machine web-1 by another password');
});

test('what has no room on disk is dropped and counted, the newest kept', async () => {
  const { figures, spool } = await start({ spoolBytes: 64 * 1024 });
  lapi.fault('/v1/watchers/login', ...Array.from({ length: 3 }, () => status(503)));
  for (let index = 0; index < 800; index++) ban(`198.18.${index >> 8}.${index & 255}`);
  await until(() => spool.counters.dropped > 0, { what: 'a full spool' });
  await until(() => spool.waiting === 0, { what: 'an empty spool' });
  expect(figures.counters.alertsSent + spool.counters.dropped).toBe(800);
  expect(values()).toContain('198.18.3.31');
  expect(new Set(values()).size).toBe(values().length);
});

test('records that were gone before they were read are counted', async () => {
  const { figures } = await start();
  number += 10;
  ban('192.0.2.1');
  record({ event: 'lost', count: 4 });
  await until(() => figures.counters.alertsSent === 1, { what: 'the alert' });
  await until(() => figures.counters.recordsLost === 4, { what: 'the loss' });
  expect(figures.counters.recordsMissed).toBe(10);
});

test('a record of a burst does not say until when: the jail does', () => {
  const event: Event = { number: 4, at: 100, event: 'ban', jail: 'sshd', addresses: ['192.0.2.1', '192.0.2.2'] };
  const options = { fleetJail: 'fleet', bantimes: new Map([['sshd', -1]]) };
  const read = { number: 4, index: 0, at: 100 };
  const bans = bansOf(event, read, options);
  expect(bans.map(({ address, seconds }) => [address, seconds])).toEqual([['192.0.2.2', -1]]);
  expect(alertOf(bans[0]!, 'm').decisions).toMatchObject([{ duration: `${10 * 365 * 86_400}s` }]);
});

test('a ban lasts for the server as long as its record says, above all one without an end', () => {
  const none = { number: 0, index: -1, at: 0 };
  const options = { fleetJail: 'fleet', bantimes: new Map([['sshd', 900]]) };
  const secondsOf = (until?: number): number[] => {
    const event = { number: 1, at: 1_000, event: 'ban', jail: 'sshd', addresses: ['192.0.2.1'] } as const;
    const whole = { ...event, ...(until !== undefined && { until }) } as unknown as Event;
    return bansOf(whole, none, options).map(({ seconds }) => seconds);
  };
  expect([-1, 1_060, 1_000, 900, undefined].map(secondsOf)).toEqual([[-1], [60], [1], [1], [900]]);
});

test('an unban ends our decision, in its turn and whatever breaks; not that of others', async () => {
  const { figures, spool } = await start();
  const others = { message: 'x', scenario: 'y', source: { scope: 'Ip', value: '192.0.2.1' } };
  lapi.alerts.push({ ...others, decisions: [decision('192.0.2.1', { scenario: 'fail2zig/sshd@web-2' })] });
  lapi.fault('/v1/decisions', status(500), answerLost, dropped);
  ban('192.0.2.1');
  ban('192.0.2.2');
  unban('192.0.2.1');
  unban('198.51.100.1', { jail: 'fleet' });
  ban('2001:db8:0:1::/64');
  unban('2001:db8:0:1::/64');
  ban('192.0.2.1', { jail: 'nginx' });
  await until(() => figures.counters.unbansSent === 2 && spool.waiting === 0, { what: 'two unbans' });
  expect(held()).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.1']);
  expect(values()).toEqual(['192.0.2.1', '192.0.2.1', '192.0.2.2', '2001:db8:0:1::/64', '192.0.2.1']);
  expect(figures.problems.size).toBe(0);
});

test('an unban that the server will never take holds up nothing', async () => {
  const { figures } = await start();
  lapi.fault('/v1/decisions', status(400));
  unban('192.0.2.1');
  ban('192.0.2.2');
  await until(() => figures.counters.alertsSent === 1, { what: 'the ban behind it' });
  expect(figures.counters).toMatchObject({ alertsRefused: 1, unbansSent: 0 });
});
