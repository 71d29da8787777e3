/**
 * What the nftables backend must do to real packets and to the real kernel. Run by
 * nftables.test.ts, see topology.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { UnsupportedChange } from '../../src/backends/elements.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { formatAddress, maskAddress } from '../../src/text/address.ts';
import type { Ban, Change, JailScaffold } from '../../src/types.ts';
import { bansOf } from '../support/bans-of.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { reconcile } from '../support/reconcile.ts';
import { until } from '../support/until.ts';
import { address, ban, hour, sshd, texts, unban, wanted } from './bans.ts';
import {
  attackerV4,
  attackerV6,
  buildTopology,
  droppedPackets,
  hostV4,
  hostV6,
  insideV4,
  listenInside,
  network,
  nft,
  nftElements,
  nftJson,
} from './topology.ts';

const table = 'fail2zig';

async function installed(...jails: JailScaffold[]): Promise<NftablesBackend> {
  const backend = new NftablesBackend({ table });
  await backend.install(jails.length > 0 ? jails : [sshd]);
  return backend;
}

export const scenarios: Record<string, Scenario> = {
  'drops a banned IPv4 source and answers its neighbour': async () => {
    const prober = await network(2222, 8080);
    const backend = await installed();
    await prober.answered(attackerV4[0], hostV4, 2222);
    await backend.apply([ban(attackerV4[0])]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    const seen = droppedPackets(table, 'jail-sshd');
    assert.ok(seen > 0, 'the rule counted the packet it dropped');
    // The prober keeps trying: one more packet may come between two readings.
    assert.ok((await backend.drops()).get('sshd')! >= seen);
    await backend.apply([unban(attackerV4[0])]);
    await prober.answered(attackerV4[0], hostV4, 2222);
    assert.equal((await backend.drops()).get('sshd'), droppedPackets(table, 'jail-sshd'));
    await prober.answered(attackerV4[1], hostV4, 2222);
  },

  'drops a whole banned /64 and answers the next one': async () => {
    const prober = await network(2222, 8080);
    const backend = await installed();
    await backend.apply([ban(attackerV6[0])]);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.dropped(attackerV6[1], hostV6, 2222);
    assert.ok(droppedPackets(table, 'jail-sshd') >= 2);
    await prober.answered(attackerV6[2], hostV6, 2222);
  },

  'drops one IPv6 address alone where the jail tracks /128': async () => {
    const prober = await network(2222, 8080);
    const backend = await installed({ ...sshd, ipv6Prefix: 128 });
    await backend.apply([ban(`${attackerV6[0]}/128`)]);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.answered(attackerV6[1], hostV6, 2222);
  },

  'drops a whole IPv4 prefix, lets pass what is allowed in it, and holds single hosts beside it': async () => {
    const prober = await network(2222, 8080);
    const wide: JailScaffold = { ...sshd, ipv4Prefix: 30, allow: [address(attackerV4[1])] };
    const backend = await installed(wide);
    const prefix = formatAddress(maskAddress({ ...address(attackerV4[0]), prefix: 30 }));
    await backend.apply([ban(prefix), ban('198.51.100.7'), ban('198.51.100.128/30')]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await prober.answered(attackerV4[1], hostV4, 2222);
    await prober.answered(attackerV4[2], hostV4, 2222);
    assert.deepEqual(texts(await bansOf(backend)), ['198.51.100.128/30', '198.51.100.7', prefix].sort());
    await assert.rejects(backend.apply([ban('198.51.100.0/24')]), UnsupportedChange);
    const again = await installed(wide);
    assert.equal((await bansOf(again)).length, 3, 'bans that a later run finds');
    await again.apply([unban(prefix), unban('198.51.100.7')]);
    assert.deepEqual(texts(await bansOf(again)), ['198.51.100.128/30']);
    await prober.answered(attackerV4[0], hostV4, 2222);
    await again.install([sshd]);
    await again.install([wide]);
  },

  'drops only the ports and protocols of the jail': async () => {
    const prober = await network(2222, 8080);
    const ports = [
      { first: 9, last: 9 },
      { first: 2200, last: 2300 },
    ];
    const backend = await installed({ ...sshd, ports, protocols: ['udp', 'tcp'] });
    await backend.apply([ban(attackerV4[0]), ban(attackerV6[0])]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.answered(attackerV4[0], hostV4, 8080);
    await prober.answered(attackerV6[0], hostV6, 8080);
  },

  'drops a jail of UDP ports only UDP': async () => {
    const prober = await network(2222, 8080);
    const backend = await installed({ ...sshd, ports: [{ first: 2222, last: 2222 }], protocols: ['udp'] });
    await backend.apply([ban(attackerV4[0])]);
    await prober.answered(attackerV4[0], hostV4, 2222);
  },

  'drops forwarded packets only where the jail says so': async () => {
    const prober = await network(2222, 8080);
    await listenInside(8080);
    const input = { ...sshd, name: 'input-only' };
    const forward: JailScaffold = { ...sshd, name: 'forward-only', hooks: ['forward'] };
    const backend = await installed(input, forward);
    await backend.apply([ban(attackerV4[0], hour, 'input-only'), ban(attackerV4[1], hour, 'forward-only')]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await prober.answered(attackerV4[0], insideV4, 8080);
    await prober.dropped(attackerV4[1], insideV4, 8080);
    await prober.answered(attackerV4[1], hostV4, 2222);
  },

  'rejects where the jail says so: TCP is refused at once': async () => {
    const prober = await network(2222, 8080);
    const backend = await installed({ ...sshd, name: 'other' }, { ...sshd, action: 'reject' });
    await backend.apply([ban(attackerV4[0]), ban(attackerV6[0])]);
    await prober.refused(attackerV4[0], hostV4, 2222);
    await prober.refused(attackerV6[1], hostV6, 2222);
    assert.equal((await backend.drops()).get('sshd'), 2);
    await prober.answered(attackerV4[1], hostV4, 2222);
    const rules = JSON.stringify(nftJson('list', 'chain', 'inet', table, 'deny-sshd'));
    assert.match(rules, /"reject":{"type":"tcp reset"}/);
    assert.match(rules, /"reject":{"type":"icmpx","expr":"admin-prohibited"}/);
    // Back to dropping silently, with the bans kept.
    await backend.install([sshd]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
  },

  'lets allowed networks pass though a ban covers them, in that jail only': async () => {
    const prober = await network(2222, 8080);
    const allow = [address(attackerV6[1]), address('192.0.2.8/30')];
    const backend = await installed({ ...sshd, allow }, { ...sshd, name: 'strict' });
    await backend.apply([ban(attackerV6[0]), ban(attackerV4[0]), ban(attackerV4[2])]);
    await prober.dropped(attackerV6[0], hostV6, 2222);
    await prober.answered(attackerV6[1], hostV6, 2222);
    await prober.answered(attackerV4[0], hostV4, 2222);
    await prober.dropped(attackerV4[2], hostV4, 2222);
    await backend.apply([ban(attackerV4[0], hour, 'strict')]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
  },

  'stands before the filter chains of others': async () => {
    const prober = await network(2222, 8080);
    nft('add', 'table', 'inet', 'other');
    nft('add', 'chain', 'inet', 'other', 'input', '{ type filter hook input priority filter; }');
    nft('add', 'rule', 'inet', 'other', 'input', 'ip', 'saddr', attackerV4[0], 'counter');
    const backend = await installed();
    await backend.apply([ban(attackerV4[0])]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    const seen = JSON.stringify(nftJson('list', 'chain', 'inet', 'other', 'input'));
    assert.match(seen, /"counter":\{"packets":0,/, 'packets of a banned source in the chain of others');
  },

  'lets a source pass again when its ban has run out': async () => {
    const prober = await network(2222, 8080);
    const backend = await installed();
    await backend.apply([ban(attackerV4[0], 1500), ban(attackerV4[1])]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await until(async () => (await bansOf(backend)).length === 1, { what: 'the end of the ban' });
    await prober.answered(attackerV4[0], hostV4, 2222);
    await prober.dropped(attackerV4[1], hostV4, 2222);
  },

  'unbans, also what is not banned': async () => {
    const prober = await network(2222, 8080);
    const backend = await installed();
    await backend.apply([ban(attackerV4[0]), ban(attackerV6[0])]);
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await backend.apply([unban(attackerV4[0]), unban(attackerV6[0]), unban('203.0.113.9'), unban('203.0.113.10')]);
    await backend.apply([unban(attackerV4[0])]);
    assert.deepEqual(await bansOf(backend), []);
    assert.equal(nftElements(table, 'ban4-sshd').size, 0);
    await prober.answered(attackerV4[0], hostV4, 2222);
    await prober.answered(attackerV6[0], hostV6, 2222);
  },

  'renews the timeout of a banned source, on new kernels and on old ones': async () => {
    for (const refreshes of [undefined, false]) {
      const backend = new NftablesBackend(refreshes === undefined ? { table } : { table, refreshes });
      await backend.install([sshd]);
      await backend.apply([ban('203.0.113.1', 60_000), ban('203.0.113.2', 60_000), ban('203.0.113.3', 0)]);
      await backend.apply([ban('203.0.113.1', hour), ban('203.0.113.2', 0), ban('203.0.113.3', hour)]);
      const seen = nftElements(table, 'ban4-sshd');
      assert.ok(seen.get('203.0.113.1')! > 3500, `${seen.get('203.0.113.1')}`);
      assert.equal(seen.get('203.0.113.2'), Infinity);
      assert.ok(seen.get('203.0.113.3')! > 3500 && seen.get('203.0.113.3')! <= 3600);
      // The ban lasts as long as before: the kernel would not change such an element.
      const left = async (): Promise<number> => (await bansOf(backend))[0]!.timeoutMs;
      await backend.apply([ban('203.0.113.2', 0), ban('203.0.113.1', 60_000)]);
      await backend.apply([unban('203.0.113.2'), unban('203.0.113.3')]);
      await until(async () => (await left()) < 58_500, { what: 'some of the ban to pass' });
      await backend.apply([ban('203.0.113.1', 60_000)]);
      assert.ok((await left()) > 58_500, `a ban as long as the one before ends in ${await left()} ms`);
      await backend.remove();
      backend.close();
    }
  },

  'takes the last of several changes of one address': async () => {
    const backend = await installed();
    await backend.apply([ban('203.0.113.1'), unban('203.0.113.1'), unban('203.0.113.2'), ban('203.0.113.2')]);
    assert.deepEqual(texts(await bansOf(backend)), ['203.0.113.2']);
    await backend.apply([ban('2001:db8:0:7::1'), ban('2001:db8:0:7::2', 0)]);
    assert.deepEqual([...nftElements(table, 'ban6-sshd')], [['2001:db8:0:7::', Infinity]]);
  },

  'refuses what its sets cannot hold, and sends nothing': async () => {
    const backend = await installed();
    await assert.rejects(backend.apply([ban('203.0.113.1'), ban('203.0.113.0/24')]), UnsupportedChange);
    await assert.rejects(backend.apply([ban('203.0.113.1', hour, 'nginx')]), UnsupportedChange);
    assert.deepEqual(await bansOf(backend), []);
  },

  'adopts the bans of an earlier run with the time they have left': async () => {
    const before = await installed(sshd, { ...sshd, name: 'gone' });
    await before.apply([ban('203.0.113.1', 600_000), ban('203.0.113.2', 0), ban('2001:db8:0:9::1', 600_000)]);
    before.close();
    const after = await installed();
    assert.deepEqual(texts(await bansOf(after)), ['2001:db8:0:9::/64', '203.0.113.1', '203.0.113.2']);
    const left = (await bansOf(after)).map((each) => each.timeoutMs).sort((a, b) => a - b);
    assert.equal(left[0], 0);
    assert.ok(left[1]! > 500_000 && left[2]! <= 600_000, `${left}`);
    const names = nftJson('list', 'table', 'inet', table).nftables.map(
      (each) => Object.values(each)[0] as { name?: string },
    );
    assert.ok(!names.some((each) => each.name?.endsWith('gone')), 'objects of a jail that is gone are gone');
  },

  'adopts sets that it cannot keep as they are': async () => {
    const before = await installed();
    await before.apply([ban('2001:db8:0:1::1', 0), ban('2001:db8:0:2::1', 600_000)]);
    before.close();
    const after = await installed({ ...sshd, ipv6Prefix: 56 });
    assert.deepEqual([...nftElements(table, 'ban6-sshd')], [['2001:db8::', Infinity]]);
    after.close();
    nft('delete', 'table', 'inet', table);
    nft('add', 'table', 'inet', table);
    nft('add', 'set', 'inet', table, 'ban4-sshd', '{ type inet_service; }');
    nft('add', 'element', 'inet', table, 'ban4-sshd', '{ 22 }');
    nft('add', 'set', 'inet', table, 'ban6-sshd', '{ type ipv6_addr; flags timeout; size 10; }');
    nft('add', 'element', 'inet', table, 'ban6-sshd', '{ 2001:db8:0:1::1 timeout 1h }');
    const last = await installed();
    assert.deepEqual(texts(await bansOf(last)), ['2001:db8:0:1::/64']);
  },

  'replaces a table that others refer into': async () => {
    const before = await installed();
    await before.apply([ban('203.0.113.1')]);
    before.close();
    nft('add', 'map', 'inet', table, 'foreign', '{ type ipv4_addr : verdict; }');
    nft('add', 'element', 'inet', table, 'foreign', '{ 192.0.2.77 : jump jail-sshd }');
    const after = await installed();
    assert.deepEqual(texts(await bansOf(after)), ['203.0.113.1']);
  },

  'leaves no instant without protection while it installs again': async () => {
    buildTopology();
    const backend = await installed();
    await backend.apply([ban(attackerV4[0])]);
    const receiver = createSocket('udp4').bind(9999, hostV4);
    await once(receiver, 'listening');
    const heard = new Set<string>();
    receiver.on('message', (_, from) => heard.add(from.address));
    // Two senders, one of them banned: the other one shows that packets did arrive all the time.
    const code = `
      const sockets = ${JSON.stringify([attackerV4[0], attackerV4[1]])}.map((from) => {
        const socket = require('node:dgram').createSocket('udp4'); socket.bind(0, from); return socket; });
      setInterval(() => { for (let n = 0; n < 20; n++) for (const s of sockets) s.send('x', 9999, '${hostV4}', () => {}); }, 1);`;
    const flood = spawn('ip', ['netns', 'exec', 'attacker', process.execPath, '-e', code], { stdio: 'inherit' });
    try {
      await until(() => heard.has(attackerV4[1]), { what: 'the first packet of the innocent sender' });
      for (let round = 0; round < 25; round++) {
        heard.delete(attackerV4[1]);
        await backend.install([{ ...sshd, ipv6Prefix: round % 2 === 0 ? 56 : 64 }]);
        await until(() => heard.has(attackerV4[1]), { what: 'a packet of the innocent sender' });
      }
      assert.ok(!heard.has(attackerV4[0]), 'a packet of the banned sender came through');
      // The twin: with a real gap, the same flood passes.
      nft('flush', 'chain', 'inet', table, 'jail-sshd');
      await until(() => heard.has(attackerV4[0]), { what: 'a packet of the banned sender through the flushed chain' });
    } finally {
      flood.kill();
    }
  },

  'lists what nft lists': async () => {
    const backend = await installed(sshd, { ...sshd, name: 'nginx', ipv6Prefix: 48 });
    const changes: Change[] = [];
    for (let index = 0; index < 300; index++) {
      changes.push(ban(`198.51.${index >> 8}.${index & 255}`, index % 3 === 0 ? 0 : hour + index * 1000));
      changes.push(ban(`2001:db8:${index.toString(16)}::/48`, hour, 'nginx'));
    }
    await backend.apply(changes);
    const ours = new Map(
      (await bansOf(backend)).map((each) => [`${each.jail} ${formatAddress(each.address)}`, each.timeoutMs]),
    );
    assert.equal(ours.size, 600);
    for (const [text, seconds] of nftElements(table, 'ban4-sshd')) {
      const left = ours.get(`sshd ${text}`);
      assert.ok(left !== undefined, text);
      assert.ok(seconds === Infinity ? left === 0 : Math.abs(left / 1000 - seconds) < 30, `${text} ${left} ${seconds}`);
    }
    for (const text of nftElements(table, 'ban6-nginx').keys()) assert.ok(ours.has(`nginx ${text}/48`), text);
    assert.equal(nftElements(table, 'ban4-sshd').size + nftElements(table, 'ban6-nginx').size, 600);
  },

  'lands many bans in few transactions': async () => {
    const backend = await installed();
    const count = 20_000;
    const changes = Array.from({ length: count }, (_, index) => ban(`10.1.${index >> 8}.${index & 255}`));
    await backend.apply(changes);
    assert.equal(nftElements(table, 'ban4-sshd').size, count);
    await backend.apply(changes.map((each) => unban(formatAddress((each as { ban: Ban }).ban.address))));
    assert.equal((await bansOf(backend)).length, 0);
  },

  'notices transactions of others, and takes its own for none': async () => {
    const backend = await installed();
    await backend.disturbed();
    await backend.apply([ban('203.0.113.1')]);
    await backend.apply([unban('203.0.113.1'), ban('203.0.113.2')]);
    assert.equal(await backend.disturbed(), false, 'its own transactions');
    nft('add', 'table', 'inet', 'other');
    assert.equal(await backend.disturbed(), true, 'a transaction of somebody else');
    assert.equal(await backend.disturbed(), false, 'nothing since');
  },

  'repairs what others did to the table': async () => {
    const prober = await network(2222, 8080);
    const backend = await installed();
    const bans = [wanted(attackerV4[0]), wanted(attackerV6[0]), wanted('203.0.113.1', 0)];
    await backend.apply(bans.map((each) => ({ verb: 'ban', ban: each })));
    assert.equal(await reconcile(backend, [sshd], bans), 0, 'nothing to repair');

    nft('flush', 'ruleset');
    await prober.answered(attackerV4[0], hostV4, 2222);
    assert.equal(await reconcile(backend, [sshd], bans), 4, 'the scaffold and three elements');
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await prober.dropped(attackerV6[0], hostV6, 2222);

    nft('insert', 'rule', 'inet', table, 'input', 'accept');
    await prober.answered(attackerV4[0], hostV4, 2222);
    assert.equal(await reconcile(backend, [sshd], bans), 1, 'a rule too many');
    await prober.dropped(attackerV4[0], hostV4, 2222);

    nft('flush', 'chain', 'inet', table, 'jail-sshd');
    assert.equal(await reconcile(backend, [sshd], bans), 1, 'rules too few');
    nft('add', 'table', 'inet', table, '{ flags dormant; }');
    assert.equal(await reconcile(backend, [sshd], bans), 1, 'a table put to sleep');
    await prober.dropped(attackerV4[0], hostV4, 2222);

    nft('delete', 'element', 'inet', table, 'ban4-sshd', `{ ${attackerV4[0]} }`);
    nft('add', 'element', 'inet', table, 'ban4-sshd', `{ ${attackerV4[1]} }`);
    nft('delete', 'element', 'inet', table, 'ban4-sshd', '{ 203.0.113.1 }');
    nft('add', 'element', 'inet', table, 'ban4-sshd', '{ 203.0.113.1 timeout 1m }');
    assert.equal(await reconcile(backend, [sshd], bans), 3, 'one missing, one too many, one too short');
    await prober.dropped(attackerV4[0], hostV4, 2222);
    await prober.answered(attackerV4[1], hostV4, 2222);
    assert.equal(nftElements(table, 'ban4-sshd').get('203.0.113.1'), Infinity);
    assert.equal(await reconcile(backend, [sshd], bans), 0);
  },

  'removes all it made, and what is not there': async () => {
    const backend = await installed();
    await backend.apply([ban('203.0.113.1')]);
    await backend.remove();
    await backend.remove();
    assert.deepEqual(
      nftJson('list', 'ruleset').nftables.filter((each) => !('metainfo' in each)),
      [],
    );
  },

  'leaves the bans when it is closed': async () => {
    const backend = await installed();
    await backend.apply([ban('203.0.113.1')]);
    backend.close();
    assert.deepEqual([...nftElements(table, 'ban4-sshd').keys()], ['203.0.113.1']);
  },

  'does not hold the event loop while another transaction runs': async () => {
    const backend = await installed();
    const lines = ['add table inet other', 'add set inet other big { type ipv4_addr; }'];
    for (let block = 0; block < 160; block++) {
      const elements = Array.from({ length: 256 }, (_, index) => `10.${block}.7.${index}`).join(', ');
      lines.push(`add element inet other big { ${elements} }`);
    }
    const other = spawn('nft', ['-f', '-'], { stdio: ['pipe', 'inherit', 'inherit'] });
    other.stdin.end(lines.join('\n'));
    const ended = once(other, 'exit');
    let turns = 0;
    let running = true;
    const turning = (async () => {
      while (running) {
        turns++;
        await pause(1);
      }
    })();
    for (let index = 0; other.exitCode === null && index < 200; index++) {
      await backend.apply([ban(`203.0.113.${index}`)]);
      await pause(100);
    }
    const [code] = await ended;
    running = false;
    await turning;
    assert.equal(code, 0, 'the foreign transaction ended well');
    assert.ok(turns > 10, `${turns} turns of the event loop`);
  },
};

await answerScenario(import.meta.filename, scenarios);
