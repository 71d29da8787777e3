/**
 * `npm run test:fleet`: three daemons in three namespaces share bans over a real CrowdSec, from
 * Debian's package, on SQLite and on PostgreSQL; then a server of the test's own answers too much,
 * too slowly, and what it should not. It needs root, `unshare` and `apt-get download`; what it
 * starts lives in namespaces and ends with them.
 *   npm run test:fleet [-- sqlite | postgresql | tls | faults]
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { note } from '../../scripts/long/record.ts';
import { until } from '../support/until.ts';
import { CrowdSec, type Database } from './crowdsec.ts';
import { faults } from './faults.ts';
import { buildNetwork, Host, ip, serverAddress } from './hosts.ts';
import { unpackPackages } from './packages.ts';
import { overTls } from './tls.ts';

const parts = ['sqlite', 'postgresql', 'tls', 'faults'] as const;
type Part = (typeof parts)[number];

if (process.argv[2] !== 'inside') {
  unpackPackages();
  // What others do; our own parts would count later.
  const load = `${loadavg()[0]!.toFixed(2)}`;
  const chosen = parts.filter((part) => process.argv.length === 2 || process.argv.includes(part));
  const setUp = 'mount -t tmpfs none /run && mount -t proc none /proc && exec "$0" "$@"';
  const apart = ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', setUp];
  for (const part of chosen) {
    console.log(`\n${part}`);
    const inside = [...apart, process.execPath, import.meta.filename, 'inside', part, load];
    const { status } = spawnSync('unshare', inside, { stdio: 'inherit' });
    if (status !== 0) process.exit(status ?? 1);
  }
  process.exit(0);
}

const part = process.argv[3] as Part;
const say = (text: string): void => {
  console.log(`  ${text}`);
  note(`${part}: ${text}`);
};
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** How often each value was sent; throws if one was not sent exactly once. */
function eachOnce(server: CrowdSec, values: readonly string[]): void {
  const sent = server.alerts().map(({ value }) => value);
  const counts = values.map((value) => sent.filter((other) => other === value).length);
  const wrong = values.filter((_, index) => counts[index] !== 1);
  assert.deepEqual(wrong, [], 'bans that are not on the server once');
}

async function share(server: CrowdSec, hosts: readonly Host[]): Promise<void> {
  const [one, two, three] = hosts as [Host, Host, Host];
  one.attack('198.51.100.7');
  await one.untilBanned('sshd', '198.51.100.7', 'the ban on host1');
  const took = await Promise.all(
    [two, three].map((host) => host.untilBanned('fleet', '198.51.100.7', `the ban on ${host.name}`)),
  );
  say(`a ban of host1 is in the kernel of host2 and host3 after ${took.map(seconds).join(' and ')} (interval 1 s)`);
  assert.ok(!one.kernelHolds('fleet').includes('198.51.100.7'), 'its own ban came back to host1');
  const shown = server.alerts().find(({ value }) => value === '198.51.100.7');
  assert.deepEqual(shown, { scenario: 'fail2zig/sshd', value: '198.51.100.7', machine: 'host1' });
  assert.ok(server.decisions().includes('198.51.100.7'));
  say('cscli alerts list and cscli decisions list show it');
  server.cscli('decisions', 'add', '--ip', '203.0.113.9', '--duration', '1h');
  for (const host of hosts) await host.untilBanned('fleet', '203.0.113.9', `the decision on ${host.name}`);
  server.cscli('decisions', 'delete', '--ip', '203.0.113.9');
  for (const host of hosts)
    await until(() => !host.kernelHolds('fleet').includes('203.0.113.9'), { what: 'the end', withinMs: 30_000 });
  say('cscli decisions add and delete reach the kernel sets of all three');
  one.attack('198.51.100.8');
  for (const host of [two, three]) await host.untilBanned('fleet', '198.51.100.8', `the ban on ${host.name}`);
  server.cscli('decisions', 'add', '--ip', '198.51.100.8', '--duration', '2h', '--reason', 'of another');
  await one.untilBanned('fleet', '198.51.100.8', 'the decision of another');
  one.client('unban', '198.51.100.8', '--jail', 'sshd');
  await until(() => !server.scenarios().includes('fail2zig/sshd@host1 198.51.100.8'), {
    what: 'the end of the decision',
    withinMs: 30_000,
  });
  assert.ok(server.scenarios().includes('of another 198.51.100.8'), 'an unban ended the decision of another');
  one.attack('198.51.100.9');
  for (const host of [two, three]) await host.untilBanned('fleet', '198.51.100.9', `the ban on ${host.name}`);
  one.client('unban', '198.51.100.9', '--jail', 'sshd');
  for (const host of [two, three])
    await until(() => !host.kernelHolds('fleet').includes('198.51.100.9'), { what: 'the end', withinMs: 30_000 });
  say('an unban on host1 ends its decision, and the bans on host2 and host3; that of another stays');
}

async function outage(server: CrowdSec, hosts: readonly Host[]): Promise<void> {
  const [one, two] = hosts as [Host, Host, Host];
  await server.kill();
  one.attack('198.51.100.20');
  const took = await one.untilBanned('sshd', '198.51.100.20', 'a local ban without the server');
  assert.ok(two.kernelHolds('fleet').includes('198.51.100.7'), 'bans of others ended with the server');
  say(`server killed: a local ban after ${seconds(took)}, bans of others stay`);
  await until(async () => (await one.figure('problem')) > 0, { what: 'the problem', withinMs: 30_000 });
  await server.run();
  await two.untilBanned('fleet', '198.51.100.20', 'the ban of the outage');
  ip('link', 'set', one.name, 'down');
  one.attack('198.51.100.21');
  await one.untilBanned('sshd', '198.51.100.21', 'a local ban without the network');
  ip('link', 'set', one.name, 'up');
  await until(() => two.kernelHolds('fleet').includes('198.51.100.21'), { what: 'the ban', withinMs: 120_000 });
  eachOnce(server, ['198.51.100.7', '198.51.100.20', '198.51.100.21']);
  say('server restarted, host1 cut off and back: each ban is on the server once');
}

/** The process gets SIGKILL again and again while it sends. */
async function killed(server: CrowdSec, hosts: readonly Host[]): Promise<void> {
  const [one, two] = hosts as [Host, Host, Host];
  const sources = Array.from({ length: 400 }, (_, index) => `198.18.${index >> 8}.${index & 255}`);
  let kills = 0;
  for (const [index, source] of sources.entries()) {
    one.attack(source);
    if (index % 100 !== 50) continue;
    await until(() => one.kernelHolds('sshd').includes(source), { what: 'the ban', withinMs: 30_000 });
    await one.killFleet();
    one.startFleet();
    kills++;
  }
  const isOn = (held: ReadonlySet<string>): boolean => sources.every((source) => held.has(source));
  await until(() => isOn(new Set(two.kernelHolds('fleet'))), { what: 'all bans on host2', withinMs: 120_000 });
  await until(async () => (await one.figure('alerts_waiting')) === 0, { what: 'an empty spool', withinMs: 60_000 });
  // On SQLite it may keep an alert without its decision, and list neither (docs/fleet.md).
  const listed = server.alerts().filter(({ value }) => value.startsWith('198.18.'));
  assert.equal(new Set(listed.map(({ value }) => value)).size, listed.length, 'alerts that came twice');
  const unlisted = sources.length - listed.length;
  const isLocked = one.fleetLog.includes('database is locked');
  assert.ok(unlisted === 0 || isLocked, `${unlisted} bans that the server does not list`);
  const none = unlisted === 0 ? '' : `; ${unlisted} that it does not list, since its database was locked`;
  say(`${sources.length} bans, fail2zig-fleet ended by SIGKILL ${kills} times: each is on host2, none twice${none}`);
}

async function withCrowdSec(database: Database): Promise<void> {
  buildNetwork();
  const directory = mkdtempSync('/run/fleet-');
  // PostgreSQL runs as nobody.
  chmodSync(directory, 0o755);
  const server = await CrowdSec.start(join(directory), serverAddress, database);
  const hosts = [1, 2, 3].map((number) => new Host(number, directory, { url: server.url }));
  for (const host of hosts) {
    server.cscli('bouncers', 'add', host.name, '--key', `key-of-${host.name}`);
    await host.start(`key-of-${host.name}`);
    host.startFleet();
  }
  for (const { name } of hosts) {
    await until(() => server.cscli('machines', 'list', '-o', 'raw').includes(name), { what: name, withinMs: 30_000 });
    server.cscli('machines', 'validate', name);
  }
  for (const host of hosts)
    await until(async () => (await host.figure('lists_total')) > 0, { what: 'a list', withinMs: 30_000 });
  try {
    await share(server, hosts);
    await outage(server, hosts);
    await killed(server, hosts);
  } catch (error) {
    for (const host of hosts) console.error(`${host.name}:\n${host.fleetLog}`);
    throw error;
  }
  const peaks = hosts.map((host) => `${Math.round(host.fleetPeakMebibytes())} MiB`);
  say(`fail2zig-fleet took ${peaks.join(', ')} at most`);
}

await (part === 'faults' ? faults(Number(process.argv[4])) : part === 'tls' ? overTls() : withCrowdSec(part));
process.exit(0);
