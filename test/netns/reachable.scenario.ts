/**
 * What a ban must not cut off, and what it must not miss, the same for every backend:
 *
 * - Neighbour discovery. Bans cover the prefix of the host's own link and fe80::/64, so also its
 *   router; a client behind that router still reaches the host.
 *
 *       client                     router                        host
 *       inner0 ────── veth ────── back0   outer0 ── veth ────── front0
 *       2001:db8:0:9::10   2001:db8:0:9::1   2001:db8:0:1::fe   2001:db8:0:1::1 /64
 *
 * - Neighbours. Hosts of one link share its /64: each is banned alone, and so is each address
 *   behind
 *   a 6to4 router as its /48.
 *
 * - Published ports. A jail's ports are those that the client asked for, before a destination NAT.
 *
 * Run by reachable.test.ts; the second network is that of topology.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasDestinationNat } from '../../src/backends/destination-nat.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { XdpBackend } from '../../src/backends/xdp/xdp.ts';
import { IpsetBackend } from '../../src/backends/xtables/ipset.ts';
import { IptablesBackend } from '../../src/backends/xtables/iptables.ts';
import { Ignored } from '../../src/enforcer/ignored.ts';
import type { Backend, JailScaffold } from '../../src/types.ts';
import { bansOf } from '../support/bans-of.ts';
import { enforce, enforcedJail } from '../support/enforcement.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { until } from '../support/until.ts';
import { address, ban, hour, sshd, texts, unban } from './bans.ts';
import { attackerV4, hostV4, insideV4, listen, listenInside, network, nft, Prober } from './topology.ts';

const backends: Record<string, () => Backend> = {
  nftables: () => new NftablesBackend({ table: 'fail2zig' }),
  ipset: () => new IpsetBackend(),
  iptables: () => new IptablesBackend(),
  xdp: () => new XdpBackend({ interfaces: ['front0'] }),
};

const run = (program: string, ...words: string[]) => execFileSync(program, words, { encoding: 'utf8' });
const ip = (...words: string[]) => run('ip', ...words);

const host = '2001:db8:0:1::1';
const router = '2001:db8:0:1::fe';
const client = '2001:db8:0:9::10';

/** The host's namespace is this process's; the client is the namespace `attacker` (see Prober). */
function linkRouter(): void {
  ip('link', 'set', 'lo', 'up');
  for (const name of ['attacker', 'router']) {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('link', 'add', 'front0', 'type', 'veth', 'peer', 'name', 'outer0', 'netns', 'router');
  ip('-n', 'router', 'link', 'add', 'back0', 'type', 'veth', 'peer', 'name', 'inner0', 'netns', 'attacker');
  ip('netns', 'exec', 'router', 'sysctl', '-q', '-w', 'net.ipv6.conf.all.forwarding=1');
  ip('addr', 'add', `${host}/64`, 'dev', 'front0', 'nodad');
  ip('-n', 'router', 'addr', 'add', `${router}/64`, 'dev', 'outer0', 'nodad');
  ip('-n', 'router', 'addr', 'add', '2001:db8:0:9::1/64', 'dev', 'back0', 'nodad');
  ip('-n', 'attacker', 'addr', 'add', `${client}/64`, 'dev', 'inner0', 'nodad');
  ip('link', 'set', 'front0', 'up');
  ip('-n', 'router', 'link', 'set', 'outer0', 'up');
  ip('-n', 'router', 'link', 'set', 'back0', 'up');
  ip('-n', 'attacker', 'link', 'set', 'inner0', 'up');
  ip('route', 'add', 'default', 'via', router);
  ip('-n', 'attacker', 'route', 'add', 'default', 'via', '2001:db8:0:9::1');
}

/** Both sides of the link forget each other's hardware address. */
function forgetNeighbours(): void {
  ip('neigh', 'flush', 'dev', 'front0');
  ip('-n', 'router', 'neigh', 'flush', 'dev', 'outer0');
}

function discovery(create: () => Backend): Scenario {
  return async () => {
    linkRouter();
    await listen(2222);
    const prober = new Prober();
    const isThrough = () =>
      prober.answered(client, host, 2222).then(
        () => true,
        () => false,
      );
    await until(isThrough, { what: 'the way through the router' });
    const backend = create();
    await backend.install([sshd]);
    await backend.apply([ban(router), ban('fe80::1')]);
    forgetNeighbours();
    await prober.answered(client, host, 2222);
    // The bans are in force: the router's own packets are dropped, and only its discovery passes.
    await new Prober('router').dropped(router, host, 2222);
    await backend.apply([ban(client)]);
    await prober.dropped(client, host, 2222);
    backend.close();
  };
}

/** The second neighbour, the router and the client behind it still reach the host. */
function neighbours(create: () => Backend): Scenario {
  return async () => {
    linkRouter();
    const [bad, good, late] = ['2001:db8:0:1::a', '2001:db8:0:1::b', '2001:db8:0:2::a'] as const;
    for (const each of [bad, good]) ip('-n', 'router', 'addr', 'add', `${each}/64`, 'dev', 'outer0', 'nodad');
    await listen(2222);
    const link = new Prober('router');
    const prober = new Prober();
    await until(
      () =>
        prober.answered(client, host, 2222).then(
          () => true,
          () => false,
        ),
      {
        what: 'the way through the router',
      },
    );
    const jails = [{ ...enforcedJail, maxretry: 3, ignoreself: true }];
    const ignored = new Ignored(jails);
    const backend = create();
    await backend.install(jails);
    const { attack, enforcer, engine, said } = await enforce(backend, jails, { ignored });
    engine.setIgnored(ignored.lists, ignored.links);
    enforcer.start();
    attack(bad, router, bad, good, bad);
    await until(() => enforcer.counters.bans[0] === 1, { what: 'the ban' });
    assert.deepEqual(texts(await bansOf(backend)), [bad]);
    await link.dropped(bad, host, 2222);
    await link.answered(good, host, 2222);
    await link.answered(router, host, 2222);
    await prober.answered(client, host, 2222);

    // A customer's /64 becomes a link of ours: its ban would cut off all of that link.
    attack(late, late, late);
    await until(() => enforcer.counters.bans[0] === 2, { what: 'the ban of a prefix' });
    assert.deepEqual(texts(await bansOf(backend)), ['2001:db8:0:1::a', '2001:db8:0:2::/64']);
    ip('addr', 'add', '2001:db8:0:2::1/64', 'dev', 'front0', 'nodad');
    ip('-n', 'router', 'addr', 'add', `${late}/64`, 'dev', 'outer0', 'nodad');
    await until(() => said().includes('ban lifted: the prefix is a link of ours now'), {
      what: 'the ban that is lifted',
    });
    await link.answered(late, '2001:db8:0:2::1', 2222);
    attack(late, late, late);
    await until(() => enforcer.counters.bans[0] === 3, { what: 'the ban of one address' });
    await link.dropped(late, '2001:db8:0:2::1', 2222);
    await link.dropped(bad, host, 2222);
    await enforcer.unban([{ jail: 0, address: address(`${bad}/128`) }]);
    await link.answered(bad, host, 2222);
    await enforcer.stop();
    backend.close();
  };
}

/** A customer of 6to4 has a /48; a set whose jail bans /64 holds it. */
function sixToFour(create: () => Backend): Scenario {
  return async () => {
    linkRouter();
    const [one, two, other] = ['2002:c000:201:1::1', '2002:c000:201:2::2', '2002:c000:202:1::1'] as const;
    for (const each of [one, two, other]) ip('-n', 'router', 'addr', 'add', `${each}/128`, 'dev', 'outer0', 'nodad');
    await listen(2222);
    const prober = new Prober('router');
    await until(
      () =>
        prober.answered(one, host, 2222).then(
          () => true,
          () => false,
        ),
      { what: 'the link' },
    );
    const backend = create();
    await backend.install([sshd]);
    const banned = ban('2002:c000:201::/48');
    await backend.apply([banned, ban('2001:db8:0:7::/64', 0)]);
    assert.deepEqual(texts(await bansOf(backend)), ['2001:db8:0:7::/64', '2002:c000:201::/48']);
    await prober.dropped(one, host, 2222);
    await prober.dropped(two, host, 2222);
    await prober.answered(other, host, 2222);
    // A new start finds these bans as they are.
    const next = create();
    await next.install([sshd]);
    assert.deepEqual(texts(await bansOf(next)), ['2001:db8:0:7::/64', '2002:c000:201::/48']);
    await next.apply([unban('2002:c000:201::/48')]);
    await prober.answered(one, host, 2222);
    // A ban of the prefix's first address would look like a ban of the whole prefix.
    await assert.rejects(next.apply([ban('2001:db8:0:9::/128')]), { name: 'UnsupportedChange' });
    backend.close();
    next.close();
  };
}

const jail: JailScaffold = {
  ...sshd,
  ports: [{ first: 8080, last: 8090 }],
  protocols: ['tcp', 'udp'],
  hooks: ['input', 'forward'],
};

/** Forwards what clients send to port `from` of the host to port 80 inside. */
function publish(from: number): void {
  nft('add', 'table', 'ip', 'docker');
  nft('add', 'chain', 'ip', 'docker', 'pre', '{ type nat hook prerouting priority dstnat; }');
  nft('add', 'rule', 'ip', 'docker', 'pre', `ip daddr ${hostV4} tcp dport ${from} dnat to ${insideV4}:80`);
}

function published(create: () => Backend): Scenario {
  return async () => {
    const prober = await network(2222);
    await listenInside(80);
    await listenInside(8085);
    publish(8080);
    publish(9000);
    const backend = create();
    await backend.install([jail]);
    for (const port of [8080, 9000]) await prober.answered(attackerV4[0], hostV4, port);
    await backend.apply([ban(attackerV4[0])]);
    await prober.dropped(attackerV4[0], hostV4, 8080);
    await prober.answered(attackerV4[1], hostV4, 8080);
    // Another port leads to the same service. There, nobody asked for port 8080, nor for port 80 of
    // the jail.
    await prober.answered(attackerV4[0], hostV4, 9000);
    await prober.answered(attackerV4[0], insideV4, 80);
    await prober.dropped(attackerV4[0], insideV4, 8085);
    await prober.answered(attackerV4[1], insideV4, 8085);
    // Port 80 of a jail is not what the client of 9000 asked for.
    await backend.install([{ ...jail, ports: [{ first: 80, last: 80 }] }]);
    await backend.apply([ban(attackerV4[2], hour)]);
    await prober.answered(attackerV4[2], hostV4, 9000);
    await prober.dropped(attackerV4[2], insideV4, 80);
    backend.close();
  };
}

function untracked(create: () => Backend): Scenario {
  return async () => {
    const prober = await network(2222);
    await listenInside(8085);
    nft('add', 'table', 'ip', 'raw');
    nft('add', 'chain', 'ip', 'raw', 'pre', '{ type filter hook prerouting priority raw; }');
    nft('add', 'rule', 'ip', 'raw', 'pre', 'notrack');
    const backend = create();
    await backend.install([jail]);
    await prober.answered(attackerV4[0], insideV4, 8085);
    await backend.apply([ban(attackerV4[0])]);
    await prober.dropped(attackerV4[0], insideV4, 8085);
    await prober.answered(attackerV4[1], insideV4, 8085);
    backend.close();
  };
}

/** The warnings of `fail2zig check` about jails and published ports. */
function warned(hooks: string): string[] {
  const folder = mkdtempSync('/run/check-');
  const path = join(folder, 'fail2zig.toml');
  writeFileSync(path, `[jails.ssh]\nfilter = "sshd"\nlogpath = "/var/log/auth.log"\nhooks = ${hooks}\n`);
  chmodSync(path, 0o600);
  const main = join(import.meta.dirname, '../../src/main.ts');
  const { warnings } = JSON.parse(run(process.execPath, main, 'check', '--json', '--config', path));
  return warnings.filter((warning: string) => warning.includes('DNAT'));
}

const found: Record<string, Scenario> = {
  'check says when a jail without "forward" misses published ports, by nft': async () => {
    assert.equal(await hasDestinationNat(), false);
    nft('add', 'table', 'ip', 'docker');
    nft('add', 'chain', 'ip', 'docker', 'post', '{ type nat hook postrouting priority srcnat; }');
    nft('add', 'rule', 'ip', 'docker', 'post', `snat to ${hostV4}`);
    assert.equal(await hasDestinationNat(), false, 'a source NAT publishes nothing');
    assert.deepEqual(warned('"input"'), []);
    publish(8080);
    assert.equal(await hasDestinationNat(), true);
    assert.match(warned('"input"').join(), /DNAT rules.* no "forward" in ssh:/);
    assert.deepEqual(warned('["input", "forward"]'), []);
  },

  'check finds published ports of legacy iptables, and loads no table for it': async () => {
    assert.equal(await hasDestinationNat(), false);
    assert.equal(readFileSync('/proc/net/ip_tables_names', 'utf8'), '');
    const rule = ['-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '--dport', '8080', '-j'];
    run('iptables-legacy', ...rule, 'REDIRECT', '--to-ports', '80');
    assert.equal(await hasDestinationNat(), false, 'this leads to this host');
    run('iptables-legacy', ...rule, 'DNAT', '--to-destination', `${insideV4}:80`);
    assert.equal(await hasDestinationNat(), true);
  },
};

export const scenarios: Record<string, Scenario> = {
  ...found,
  ...Object.fromEntries(
    Object.entries(backends).flatMap(([name, create]) => [
      [`${name} lets neighbour discovery pass: a client behind a banned router reaches the host`, discovery(create)],
      [`${name} bans a neighbour alone: other hosts of its link reach the host`, neighbours(create)],
      [`${name} bans a customer of 6to4 as a /48`, sixToFour(create)],
      [`${name} takes ports as the client asked for them, before a destination NAT`, published(create)],
      [`${name} takes the ports of packets without a connection as they are`, untracked(create)],
    ]),
  ),
};

await answerScenario(import.meta.filename, scenarios);
