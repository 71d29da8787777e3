/**
 * What survives a restart of the real daemon: bans, open windows and read positions, on nftables in
 * its own namespace; and the effect of a disk that is full or read-only. Started by
 * restart.test.ts, one scenario per process.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import type { Event } from '../../src/history/event.ts';
import { changesPerTransactionMax } from '../../src/limits.ts';
import { parseCidr } from '../../src/text/address.ts';
import type { Address } from '../../src/types.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';
import { nft, nftElements, nftJson } from './topology.ts';

/** A configuration, a log and a place for the state under the scenario's private /run. */
class Host {
  readonly directory = mkdtempSync('/run/restart-');
  readonly log = join(this.directory, 'auth.log');
  readonly state = join(this.directory, 'state', 'state');
  #lines = 0;

  constructor() {
    writeFileSync(this.log, '');
  }

  start(extra = '', firewall = ''): Promise<Daemon> {
    const settings = `[firewall]
backend = "nftables"
${firewall}
[metrics]
enabled = false
[state]
path = "${this.state}"
interval = "1s"
[jails.sshd]
logpath = "${this.log}"
maxretry = 3
bantime = "1h"
${extra}`;
    return Daemon.start(this.directory, settings);
  }

  /** Failures of an address, each on a connection of its own. */
  fail(address: string, times: number, path = this.log): void {
    for (let i = 0; i < times; i++) {
      const pid = 1_000 + this.#lines++;
      const line = `${new Date().toISOString()} host sshd[${pid}]: Failed password for root from ${address} port 40022 ssh2\n`;
      appendFileSync(path, line);
    }
  }
}

const elements = (): string[] => [...nftElements('fail2zig', 'ban4-sshd').keys()].sort();
const timeout = { withinMs: 15_000 };

async function banned(daemon: Daemon, ...addresses: string[]): Promise<void> {
  const wanted = addresses.map((address) => `sshd ${address}`).sort();
  await until(async () => [...(await daemon.bans()).keys()].sort().join() === wanted.join(), {
    ...timeout,
    what: `exactly these bans: ${wanted.join(', ')}`,
  });
}

/** Waits until a file is on disk that was written after this call. */
async function saved(daemon: Daemon): Promise<void> {
  const { 'state.saves': before } = await daemon.stats();
  await until(async () => (await daemon.stats())['state.saves']! > before!, { ...timeout, what: 'a save' });
}

export const scenarios: Record<string, Scenario> = {
  'bans, windows and positions survive an orderly restart; lines written meanwhile count': async () => {
    const host = new Host();
    let daemon = await host.start();
    host.fail('192.0.2.1', 3);
    host.fail('192.0.2.2', 2);
    await banned(daemon, '192.0.2.1');
    // The daemon says where the records are, and the client reads them.
    const words = ['--socket', daemon.socket, '--json', 'history', '192.0.2.1'];
    const history = (): Event[] => {
      const text = execFileSync(process.execPath, [join('dist', 'client.cjs'), ...words], { encoding: 'utf8' });
      return (JSON.parse(text) as { events: Event[] }).events;
    };
    // A ban is listed before its record is on the disk.
    await until(() => history().length > 0, { ...timeout, what: 'the record of the ban' });
    assert.deepEqual(
      history().map(({ event, failures, addresses }) => [event, failures, addresses]),
      [['ban', 3, ['192.0.2.1']]],
    );
    assert.equal(await daemon.stop(), 0);
    // The control group may read the records, and root alone the state.
    const modeOf = (path: string): number => statSync(path).mode & 0o777;
    const modes = [join(host.directory, 'state'), host.state, `${host.state}.history`].map(modeOf);
    assert.deepEqual(modes, [0o750, 0o600, 0o640]);
    assert.deepEqual(readdirSync(join(host.directory, 'state')).sort(), [
      'state',
      'state.history',
      'state.history.seal',
      'state.lock',
    ]);
    host.fail('192.0.2.2', 1);
    host.fail('192.0.2.3', 2);
    daemon = await host.start();
    await banned(daemon, '192.0.2.1', '192.0.2.2');
    host.fail('192.0.2.3', 1);
    await banned(daemon, '192.0.2.1', '192.0.2.2', '192.0.2.3');
    await until(() => elements().length === 3, { ...timeout, what: 'the bans in the kernel' });
    await daemon.stop();
  },

  'a log rotated while nobody read it is read to its end, then the new one': async () => {
    const host = new Host();
    let daemon = await host.start();
    host.fail('192.0.2.1', 1);
    await until(async () => (await daemon.stats())['lines.total'] === 1, timeout);
    await daemon.stop();
    host.fail('192.0.2.1', 1);
    renameSync(host.log, `${host.log}.1`);
    host.fail('192.0.2.1', 1);
    daemon = await host.start();
    await banned(daemon, '192.0.2.1');
    assert.equal((await daemon.stats())['lines.total'], 2);
    await daemon.stop();
  },

  'after a reboot the kernel holds the bans again, each for what is left of it': async () => {
    const host = new Host();
    let daemon = await host.start();
    host.fail('192.0.2.1', 3);
    await banned(daemon, '192.0.2.1');
    await daemon.ban('sshd', '192.0.2.2', 500);
    await daemon.ban('sshd', '192.0.2.3', -1);
    await daemon.ban('sshd', '192.0.2.4', 1);
    await daemon.ban('sshd', '192.0.2.5', 500);
    await daemon.unban('192.0.2.5');
    await daemon.stop();
    nft('delete', 'table', 'inet', 'fail2zig');
    // The end of the short ban is saved in whole seconds, rounded up.
    await until(() => Date.now() / 1000 > statSync(host.state).mtimeMs / 1000 + 2.1, timeout);
    daemon = await host.start();
    await until(() => elements().length === 3, { ...timeout, what: 'the bans in the kernel' });
    const left = nftElements('fail2zig', 'ban4-sshd');
    assert.deepEqual([...left.keys()].sort(), ['192.0.2.1', '192.0.2.2', '192.0.2.3']);
    assert.ok(left.get('192.0.2.1')! > 3_500 && left.get('192.0.2.1')! < 3_600, `left: ${left.get('192.0.2.1')}`);
    assert.ok(left.get('192.0.2.2')! > 400 && left.get('192.0.2.2')! < 500, `left: ${left.get('192.0.2.2')}`);
    assert.equal(left.get('192.0.2.3'), Number.POSITIVE_INFINITY);
    await banned(daemon, '192.0.2.1', '192.0.2.2', '192.0.2.3');
    await daemon.stop();
  },

  'kill -9 before anything was saved: the kernel keeps its bans, the daemon takes them over': async () => {
    const host = new Host();
    let daemon = await host.start();
    host.fail('192.0.2.1', 3);
    await until(() => existsSync(host.state), { ...timeout, what: 'the first state' });
    await daemon.ban('sshd', '192.0.2.2', 500);
    rmSync(host.state);
    await daemon.kill();
    rmSync(host.state, { force: true });
    daemon = await host.start();
    await banned(daemon, '192.0.2.1', '192.0.2.2');
    await daemon.stop();
  },

  'a stop takes the bans away where the operator wants that, and the next start puts them back': async () => {
    const host = new Host();
    const keeping = 'keep_bans = false';
    let daemon = await host.start('', keeping);
    host.fail('192.0.2.1', 3);
    await banned(daemon, '192.0.2.1');
    assert.deepEqual(elements(), ['192.0.2.1']);
    assert.equal(await daemon.stop(), 0);
    const tables = () => nftJson('list', 'tables').nftables.filter((each) => 'table' in each);
    assert.deepEqual(tables(), []);
    daemon = await host.start('', keeping);
    await until(() => elements().length === 1, { ...timeout, what: 'the ban in the kernel again' });
    const left = nftElements('fail2zig', 'ban4-sshd').get('192.0.2.1')!;
    assert.ok(left > 3_500 && left <= 3_600, `left: ${left}`);
    // A crash is not a stop.
    await daemon.kill();
    assert.deepEqual(elements(), ['192.0.2.1']);
  },

  'many bans in the kernel are taken over beside the work, and protect meanwhile': async () => {
    const host = new Host();
    const count = 150_000;
    const before = new NftablesBackend({ table: 'fail2zig' });
    await before.install([{ name: 'sshd', ipv6Prefix: 64, ports: [], protocols: [], hooks: ['input'] }]);
    const earlier = (n: number) => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
    for (let first = 0; first < count; first += changesPerTransactionMax) {
      const length = Math.min(changesPerTransactionMax, count - first);
      await before.apply(
        Array.from({ length }, (_, n) => {
          const address = parseCidr(earlier(first + n), 'refuse') as Address;
          return { verb: 'ban', ban: { jail: 'sshd', address, timeoutMs: 3_600_000 } };
        }),
      );
    }
    before.close();
    const daemon = await host.start();
    host.fail('192.0.2.1', 3);
    const isTakenOver = () => daemon.said.some((line) => line.includes('bans taken over'));
    const status = await daemon.status();
    // With --terse: without the elements, which nft would otherwise read first.
    const rules = JSON.stringify(nftJson('-t', 'list', 'chain', 'inet', 'fail2zig', 'jail-sshd'));
    assert.match(rules, /"right":"@ban4-sshd".*"goto":{"target":"deny-sshd"/);
    await until(isTakenOver, { withinMs: 60_000, what: 'the bans of an earlier run' });
    assert.ok(status.jails[0]!.bansActive < count, 'an operator had to wait for the bans of an earlier run');
    const lineOf = (text: string) => daemon.said.findIndex((line) => line.includes(text));
    const [ban, end] = [lineOf('banned jail=sshd address=192.0.2.1'), lineOf('bans taken over')];
    assert.ok(ban >= 0 && ban < end, `a ban had to wait for those of an earlier run:\n${daemon.said.join('\n')}`);
    const { jails, problems, memory } = await daemon.status();
    assert.equal(jails[0]!.bansActive, count + 1);
    assert.deepEqual(problems, []);
    assert.ok(memory.residentBytes < memory.ceilingBytes, `${memory.residentBytes} bytes resident`);
    await daemon.unban(earlier(count - 1));
    assert.equal((await daemon.status()).jails[0]!.bansActive, count);
    await daemon.stop();
  },

  'a damaged state is set aside, said, and the daemon starts empty': async () => {
    const host = new Host();
    let daemon = await host.start();
    // The first save may otherwise hold these lines already.
    await until(async () => (await daemon.stats())['state.saves']! > 0, { ...timeout, what: 'the first save' });
    host.fail('192.0.2.1', 2);
    await saved(daemon);
    await daemon.stop();
    const bytes = readFileSync(host.state);
    bytes[bytes.length - 20]! ^= 1;
    writeFileSync(host.state, bytes);
    daemon = await host.start();
    const said = daemon.said.find((line) => line.includes('saved state is not usable'));
    assert.match(said ?? '', / warn .*its checksum does not fit.*damaged-/);
    assert.ok(readdirSync(join(host.directory, 'state')).some((name) => name.startsWith('state.damaged-')));
    host.fail('192.0.2.1', 2);
    await until(async () => (await daemon.stats())['lines.total'] === 2, timeout);
    assert.equal((await daemon.bans()).size, 0);
    await daemon.stop();
  },

  'a full disk: banning goes on, everybody can see it, the old file stays whole, and it heals': async () => {
    const host = new Host();
    mkdirSync(join(host.directory, 'state'));
    const disk = join(host.directory, 'state');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'none', disk]);
    const daemon = await host.start();
    host.fail('192.0.2.1', 3);
    await banned(daemon, '192.0.2.1');
    await saved(daemon);
    const before = readFileSync(host.state);
    // All but one page is taken: the state of 500 sources does not fit any more.
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, 'ballast'), Buffer.alloc((bavail - 1) * bsize));
    for (let i = 0; i < 500; i++) host.fail(`198.51.${100 + (i >> 8)}.${i & 255}`, 1);
    host.fail('192.0.2.2', 3);
    await until(async () => (await daemon.status()).problems.some((problem) => problem.includes('ENOSPC')), {
      ...timeout,
      what: 'the problem in status',
    });
    assert.ok((await daemon.stats())['state.failures']! > 0);
    assert.ok(daemon.said.some((line) => / error state not saved .*ENOSPC/.test(line)));
    assert.deepEqual(readFileSync(host.state).subarray(0, 8), before.subarray(0, 8));
    host.fail('192.0.2.3', 3);
    await until(() => elements().join() === '192.0.2.1,192.0.2.2,192.0.2.3', { ...timeout, what: 'bans go on' });
    assert.deepEqual(readdirSync(disk).sort(), [
      'ballast',
      'state',
      'state.history',
      'state.history.seal',
      'state.lock',
    ]);
    rmSync(join(disk, 'ballast'));
    await until(async () => (await daemon.status()).problems.length === 0, { ...timeout, what: 'the problem is over' });
    await daemon.kill();
    const again = await host.start();
    await banned(again, '192.0.2.1', '192.0.2.2', '192.0.2.3');
    await again.stop();
  },

  'a read-only disk: banning goes on, everybody can see it, the old file stays as it is': async () => {
    const host = new Host();
    const disk = join(host.directory, 'state');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'none', disk]);
    const daemon = await host.start();
    host.fail('192.0.2.1', 3);
    await banned(daemon, '192.0.2.1');
    await saved(daemon);
    // The daemon holds files open there: a second mount over the first one is read-only at once.
    execFileSync('mount', ['--bind', disk, disk]);
    execFileSync('mount', ['-o', 'remount,bind,ro', disk]);
    const before = readFileSync(host.state);
    host.fail('192.0.2.2', 3);
    await until(async () => (await daemon.status()).problems.some((problem) => problem.includes('EROFS')), timeout);
    await until(() => elements().join() === '192.0.2.1,192.0.2.2', { ...timeout, what: 'bans go on' });
    assert.deepEqual(readFileSync(host.state), before);
    assert.equal(await daemon.stop(), 0);
    assert.deepEqual(readFileSync(host.state), before);
  },

  'others may have written the state: it is not believed': async () => {
    const host = new Host();
    let daemon = await host.start();
    await daemon.ban('sshd', '192.0.2.1', 500);
    await daemon.stop();
    chmodSync(host.state, 0o666);
    nft('delete', 'table', 'inet', 'fail2zig');
    daemon = await host.start();
    assert.equal((await daemon.bans()).size, 0);
    assert.ok(daemon.said.some((line) => line.includes('others may write it')));
    await daemon.stop();
  },

  'a second daemon for the same table is refused before it changes anything': async () => {
    const host = new Host();
    const daemon = await host.start();
    host.fail('192.0.2.1', 3);
    await banned(daemon, '192.0.2.1');
    const rules = () => execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }).replace(/ expires \w+/g, '');
    const before = rules();
    const second = new Host();
    await assert.rejects(second.start('[jails.dovecot]\nlogpath = "/nowhere"'), (error: Error) => {
      assert.match(error.message, /ended with status 69/);
      assert.match(error.message, new RegExp(`another fail2zig \\(process ${daemon.pid}\\) holds the table`));
      return true;
    });
    assert.equal(rules(), before);
    assert.ok(!existsSync(second.state), 'the second one wrote a state');
    await daemon.kill();
    const third = await second.start();
    assert.equal(await third.stop(), 0, 'the table of one that was killed is free');
  },

  'a second daemon with the same state file is refused, whatever its table': async () => {
    const host = new Host();
    const daemon = await host.start();
    host.fail('192.0.2.1', 3);
    await banned(daemon, '192.0.2.1');
    const second = new Host();
    const settings = (path: string, backend: string) => `[firewall]
backend = "${backend}"
table = "other"
[metrics]
enabled = false
[state]
path = "${path}"
[jails.sshd]
logpath = "${second.log}"
`;
    const alias = join(second.directory, 'alias');
    symlinkSync(join(host.directory, 'state'), alias);
    for (const path of [host.state, join(alias, 'state')]) {
      await assert.rejects(Daemon.start(second.directory, settings(path, 'nftables')), (error: Error) => {
        assert.match(error.message, /ended with status 69/);
        assert.match(
          error.message,
          new RegExp(`another fail2zig \\(process ${daemon.pid}\\) holds the state file ${path}`),
        );
        return true;
      });
    }
    assert.ok(!execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }).includes('other'), 'it made its table');
    const beside = await Daemon.start(second.directory, settings(join(host.directory, 'state', 'other'), 'nftables'));
    assert.equal(await beside.stop(), 0);
    await daemon.kill();
    const third = await Daemon.start(second.directory, settings(host.state, 'nftables'));
    assert.equal(await third.stop(), 0, 'the state of one that was killed is free');
  },

  'nothing that a dry run decided is enforced by a later run': async () => {
    const host = new Host();
    const settings = `[firewall]
backend = "log-only"
[metrics]
enabled = false
[state]
path = "${host.state}"
[jails.sshd]
logpath = "${host.log}"
maxretry = 3
`;
    let daemon = await Daemon.start(host.directory, settings);
    host.fail('192.0.2.1', 3);
    await banned(daemon, '192.0.2.1');
    assert.equal(await daemon.stop(), 0);
    daemon = await host.start();
    host.fail('192.0.2.2', 3);
    await banned(daemon, '192.0.2.2');
    assert.deepEqual(elements(), ['192.0.2.2']);
    assert.equal(await daemon.stop(), 0);
    const state = readFileSync(host.state);
    daemon = await Daemon.start(host.directory, settings);
    assert.equal(await daemon.stop(), 0);
    assert.deepEqual(readFileSync(host.state), state);
  },

  'an address that the host gets is ignored from then on, in table and kernel': async () => {
    const host = new Host();
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    const daemon = await host.start('ignoreself = true');
    host.fail('192.0.2.1', 3);
    host.fail('192.0.2.2', 3);
    await daemon.ban('sshd', '2001:db8:1::7', 900);
    await banned(daemon, '192.0.2.1', '192.0.2.2', '2001:db8:1::/64');
    for (const address of ['192.0.2.1/32', '2001:db8:1::99/128'])
      execFileSync('ip', ['address', 'add', address, 'dev', 'lo']);
    await banned(daemon, '192.0.2.2', '2001:db8:1::/64');
    await until(() => elements().join() === '192.0.2.2', { ...timeout, what: 'the kernel without the ban' });
    assert.ok(
      daemon.said.some((line) => line.includes('ban lifted: the address is ignored now jail=sshd address=192.0.2.1')),
    );
    // A prefix that holds an address of ours stays banned: that address alone passes.
    const listed = (): string =>
      execFileSync('nft', ['list', 'chain', 'inet', 'fail2zig', 'deny-sshd'], { encoding: 'utf8' });
    await until(() => listed().includes('2001:db8:1::99'), {
      ...timeout,
      what: 'a rule that lets our own address pass',
    });
    host.fail('192.0.2.1', 3);
    host.fail('192.0.2.3', 3);
    await banned(daemon, '192.0.2.2', '192.0.2.3', '2001:db8:1::/64');
    await assert.rejects(daemon.ban('sshd', '192.0.2.1', 60), /is in ignoreip/);
    // Two addresses that come at once may be told in one line or in two.
    const told = (): number => daemon.said.filter((line) => line.includes('those of this host')).length;
    const before = told();
    execFileSync('ip', ['address', 'del', '192.0.2.1/32', 'dev', 'lo']);
    await until(() => told() > before, { ...timeout, what: 'the line that the address has gone' });
    host.fail('192.0.2.1', 3);
    await banned(daemon, '192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8:1::/64');
    assert.deepEqual((await daemon.status()).problems, []);
    assert.equal(await daemon.stop(), 0);
  },

  'what an operator ignores stays ignored over a restart, in table and kernel': async () => {
    const host = new Host();
    let daemon = await host.start();
    const client = (...words: string[]) =>
      execFileSync(process.execPath, [join('dist', 'client.cjs'), '--socket', daemon.socket, ...words], {
        encoding: 'utf8',
      });
    host.fail('192.0.2.1', 3);
    host.fail('192.0.2.9', 3);
    await daemon.ban('sshd', '2001:db8:1::7', 900);
    await banned(daemon, '192.0.2.1', '192.0.2.9', '2001:db8:1::/64');
    const said = client('ignore', '192.0.2.0/29', '2001:db8:1::99', '1h');
    assert.match(said, /ignored: 192\.0\.2\.0\/29 for (1h|59m 59s)\n/);
    assert.match(said, /the ban of 192\.0\.2\.1 in sshd has ended\n/);
    await saved(daemon);
    assert.equal(await daemon.stop(), 0);
    host.fail('192.0.2.2', 3);
    host.fail('192.0.2.10', 3);
    daemon = await host.start();
    await banned(daemon, '192.0.2.9', '192.0.2.10', '2001:db8:1::/64');
    assert.deepEqual(elements(), ['192.0.2.10', '192.0.2.9']);
    const listed = (): string =>
      execFileSync('nft', ['list', 'chain', 'inet', 'fail2zig', 'deny-sshd'], { encoding: 'utf8' });
    await until(() => listed().includes('2001:db8:1::99'), { ...timeout, what: 'a rule that lets it pass' });
    client('unignore', '192.0.2.0/29', '2001:db8:1::99');
    await until(() => !listed().includes('2001:db8:1::99'), { ...timeout, what: 'the rule to go' });
    host.fail('192.0.2.3', 3);
    await banned(daemon, '192.0.2.3', '192.0.2.9', '192.0.2.10', '2001:db8:1::/64');
    assert.deepEqual((await daemon.status()).problems, []);
    assert.equal(await daemon.stop(), 0);
  },

  'SIGHUP changes nothing and says so; bans go on': async () => {
    const host = new Host();
    const daemon = await host.start();
    process.kill(daemon.pid, 'SIGHUP');
    await until(() => daemon.said.some((line) => line.includes('SIGHUP changes nothing')), timeout);
    host.fail('192.0.2.1', 3);
    await banned(daemon, '192.0.2.1');
    assert.equal(await daemon.stop(), 0);
  },

  'an IPv6 prefix is unbanned as the list shows it, beside jails that ban narrower ones': async () => {
    const host = new Host();
    const daemon = await host.start(`[jails.single]\nfilter = "sshd"\nlogpath = "${host.log}"\nipv6_prefix = 128`);
    await daemon.ban('sshd', '2001:db8:9::1', 60);
    await daemon.ban('single', '2001:db8:9::1', 60);
    assert.deepEqual([...(await daemon.bans()).keys()].sort(), ['single 2001:db8:9::1', 'sshd 2001:db8:9::/64']);
    await daemon.unban('2001:db8:9::/64');
    assert.deepEqual([...(await daemon.bans()).keys()], ['single 2001:db8:9::1']);
    await assert.rejects(daemon.unban('2001:db8::/32'), /wider than a/);
    await daemon.stop();
  },
};

await answerScenario(import.meta.filename, scenarios);
