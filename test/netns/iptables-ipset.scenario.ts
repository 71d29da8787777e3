/**
 * What the ipset and the iptables backend must do to real packets and to the real kernel, the same
 * for both; checked with `ipset list` and `iptables-legacy-save`. Run by iptables-ipset.test.ts,
 * see topology.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { UnsupportedChange } from '../../src/backends/elements.ts';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { IpsetBackend } from '../../src/backends/xtables/ipset.ts';
import { IptablesBackend } from '../../src/backends/xtables/iptables.ts';
import { native } from '../../src/native.ts';
import { formatAddress, maskAddress } from '../../src/text/address.ts';
import type { Backend, Change, JailScaffold } from '../../src/types.ts';
import { bansOf } from '../support/bans-of.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { reconcile } from '../support/reconcile.ts';
import { until } from '../support/until.ts';
import { address, ban, hour, sshd, texts, unban, wanted } from './bans.ts';
import { attackerV4, attackerV6, hostV4, hostV6, insideV4, listenInside, network } from './topology.ts';

const run = (program: string, ...words: string[]) => execFileSync(program, words, { encoding: 'utf8' });

/** A backend, and what other programs say about its jail `sshd`. */
interface Subject {
  create: () => Backend;
  seen: () => string[];
  /** Changes by others that only its type of kernel object allows. */
  foreign: (() => unknown)[];
}

const ipsetMembers = (set: string) =>
  run('ipset', 'list', set)
    .split('Members:\n')[1]!
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' ')[0]!);

const savedSources = (program: string) =>
  [...run(program).matchAll(/^-A f2z-sshd -s (\S+) -j DROP$/gm)].map((found) => found[1]!);

const subjects: Record<string, Subject> = {
  ipset: {
    create: () => new IpsetBackend(),
    seen: () => [...ipsetMembers('f2z4-sshd'), ...ipsetMembers('f2z6n-sshd')].sort(),
    foreign: [
      () => run('ipset', 'del', 'f2z4-sshd', '203.0.113.2'),
      () => run('ipset', 'add', 'f2z4-sshd', '203.0.113.77'),
      () => run('ipset', 'flush', 'f2z6n-sshd'),
    ],
  },
  iptables: {
    create: () => new IptablesBackend(),
    seen: () =>
      [
        ...savedSources('iptables-legacy-save').map((each) => each.replace('/32', '')),
        ...savedSources('ip6tables-legacy-save'),
      ].sort(),
    foreign: [
      () => run('iptables-legacy', '-D', 'f2z-sshd', '1'),
      // Of the same size as the rule that it replaces.
      () => run('iptables-legacy', '-R', 'f2z-sshd', '1', '-s', '192.0.2.201', '-j', 'DROP'),
      () => run('ip6tables-legacy', '-R', 'f2z-sshd', '1', '-s', '2001:db8::201', '-j', 'DROP'),
    ],
  },
};

function scenariosOf({ create, seen, foreign }: Subject): Record<string, Scenario> {
  const installed = async (...jails: JailScaffold[]) => {
    const backend = create();
    await backend.install(jails.length > 0 ? jails : [sshd]);
    return backend;
  };
  return {
    'drops banned sources and answers their neighbours': async () => {
      const prober = await network(2222, 8080);
      const backend = await installed();
      await backend.apply([ban(attackerV4[0]), ban(attackerV6[0])]);
      await prober.dropped(attackerV4[0], hostV4, 2222);
      await prober.answered(attackerV4[1], hostV4, 2222);
      await prober.dropped(attackerV6[0], hostV6, 2222);
      await prober.dropped(attackerV6[1], hostV6, 2222);
      await prober.answered(attackerV6[2], hostV6, 2222);
      await backend.apply([unban(attackerV4[0]), unban(attackerV6[0]), unban('203.0.113.77')]);
      await prober.answered(attackerV4[0], hostV4, 2222);
      await prober.answered(attackerV6[0], hostV6, 2222);
    },

    'counts what it drops, over changes of its rules': async () => {
      const prober = await network(2222, 8080);
      const backend = await installed(sshd, { ...sshd, name: 'other' });
      await backend.apply([ban(attackerV4[0]), ban(attackerV6[0])]);
      await prober.dropped(attackerV4[0], hostV4, 2222);
      await prober.dropped(attackerV6[0], hostV6, 2222);
      const saved = () => {
        const rules = run('iptables-legacy-save', '-c') + run('ip6tables-legacy-save', '-c');
        return [...rules.matchAll(/^\[(\d+):\d+\] -A f2z-sshd .*-j DROP$/gm)].reduce(
          (sum, [, count]) => sum + Number(count),
          0,
        );
      };
      const first = (await backend.drops!()).get('sshd')!;
      assert.ok(first >= 2 && first <= saved(), `${first} counted, ${saved()} seen by iptables-save`);
      await backend.apply([ban(attackerV4[1]), ban('203.0.113.1')]);
      await prober.dropped(attackerV4[1], hostV4, 2222);
      const second = (await backend.drops!()).get('sshd')!;
      assert.ok(second > first, `${second} after ${first}`);
      await prober.answered(attackerV4[2], hostV4, 2222);
      assert.equal((await backend.drops!()).get('other'), 0);
    },

    'drops only the ports, protocols and hooks of the jail': async () => {
      const prober = await network(2222, 8080);
      await listenInside(8080);
      const tcp: JailScaffold = { ...sshd, ports: [{ first: 2200, last: 2300 }], protocols: ['tcp'] };
      const udp: JailScaffold = { ...tcp, name: 'udp', protocols: ['udp'] };
      const forward: JailScaffold = { ...sshd, name: 'forward', hooks: ['forward'] };
      const backend = await installed(tcp, udp, forward);
      await backend.apply([
        ban(attackerV4[0]),
        ban(attackerV6[0]),
        ban(attackerV4[1], hour, 'udp'),
        ban(attackerV4[2], hour, 'forward'),
      ]);
      await prober.dropped(attackerV4[0], hostV4, 2222);
      await prober.dropped(attackerV6[0], hostV6, 2222);
      await prober.answered(attackerV4[0], hostV4, 8080);
      await prober.answered(attackerV6[0], hostV6, 8080);
      await prober.answered(attackerV4[1], hostV4, 2222);
      await prober.answered(attackerV4[2], hostV4, 2222);
      await prober.dropped(attackerV4[2], insideV4, 8080);
      await prober.answered(attackerV4[0], insideV4, 8080);
    },

    'lets a source pass again when its ban has run out, and renews one': async () => {
      const prober = await network(2222, 8080);
      const backend = await installed();
      await backend.apply([ban(attackerV4[0], 2000), ban(attackerV4[1], 2000)]);
      await backend.apply([ban(attackerV4[1])]);
      await prober.dropped(attackerV4[0], hostV4, 2222);
      await until(() => !seen().includes(attackerV4[0]), { what: 'the end of the ban' });
      await prober.answered(attackerV4[0], hostV4, 2222);
      await prober.dropped(attackerV4[1], hostV4, 2222);
    },

    'holds and lists what the other programs see': async () => {
      const backend = await installed();
      const changes: Change[] = [];
      for (let index = 0; index < 200; index++) {
        changes.push(ban(`198.51.100.${index}`, index % 2 === 0 ? 0 : hour));
        changes.push(ban(`2001:db8:0:${(index + 1).toString(16)}::1`));
      }
      await backend.apply(changes);
      assert.equal(seen().length, 400);
      assert.deepEqual(texts(await bansOf(backend)), seen());
      const permanent = (await bansOf(backend)).filter((each) => each.timeoutMs === 0);
      assert.equal(permanent.length, 100);
      await assert.rejects(backend.apply([ban('198.51.100.0/24')]), UnsupportedChange);
    },

    'lets allowed networks pass though a ban covers them': async () => {
      const prober = await network(2222, 8080);
      const allow = [address(attackerV6[1]), address('192.0.2.8/30')];
      const backend = await installed({ ...sshd, allow });
      await backend.apply([ban(attackerV6[0]), ban(attackerV4[0]), ban(attackerV4[2])]);
      await prober.dropped(attackerV6[0], hostV6, 2222);
      await prober.answered(attackerV6[1], hostV6, 2222);
      await prober.answered(attackerV4[0], hostV4, 2222);
      await prober.dropped(attackerV4[2], hostV4, 2222);
      assert.equal((await bansOf(backend)).length, 3, 'what lets pass is no ban');
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
      // The same bans for a jail that bans single hosts again, and the other way round.
      await again.install([sshd]);
      await again.install([wide]);
    },

    'rejects where the jail says so: TCP is refused at once': async () => {
      const prober = await network(2222, 8080);
      const allow = [address(attackerV6[1])];
      const answering: JailScaffold = { ...sshd, action: 'reject', allow };
      const silent: JailScaffold = { ...sshd, name: 'silent' };
      const backend = await installed(answering, silent);
      await backend.apply([ban(attackerV4[0]), ban(attackerV6[0]), ban(attackerV4[2], hour, 'silent')]);
      await prober.refused(attackerV4[0], hostV4, 2222);
      await prober.refused(attackerV6[0], hostV6, 2222);
      await prober.answered(attackerV6[1], hostV6, 2222);
      await prober.answered(attackerV4[1], hostV4, 2222);
      await prober.dropped(attackerV4[2], hostV4, 2222);
      assert.equal((await backend.drops!()).get('sshd'), 2);
      assert.equal((await bansOf(backend)).length, 3);
      const saved = run('iptables-legacy-save') + run('ip6tables-legacy-save');
      assert.match(saved, /--reject-with icmp-admin-prohibited/);
      assert.match(saved, /--reject-with icmp6-adm-prohibited/);
      assert.equal(saved.match(/--reject-with tcp-reset/g)?.length, 2);
      // Back to dropping silently, with the bans kept.
      await backend.install([{ ...sshd, allow }, silent]);
      await prober.dropped(attackerV4[0], hostV4, 2222);
      assert.doesNotMatch(run('iptables-legacy-save'), /REJECT|:reject/);
      await backend.remove();
      await prober.answered(attackerV4[0], hostV4, 2222);
    },

    'adopts the bans of an earlier run and drops jails that are gone': async () => {
      const before = await installed(sshd, { ...sshd, name: 'gone' });
      await before.apply([ban('203.0.113.1'), ban('2001:db8:0:1::1'), ban('203.0.113.9', hour, 'gone')]);
      // Longer than ipset can hold: it holds what it can.
      await before.apply([ban('203.0.113.2', 3_000 * hour)]);
      before.close();
      const after = await installed();
      const found = await bansOf(after);
      assert.deepEqual(texts(found), ['2001:db8:0:1::/64', '203.0.113.1', '203.0.113.2']);
      const least = Math.min(...found.map(({ timeoutMs }) => timeoutMs || Number.POSITIVE_INFINITY));
      assert.ok(after.keepsEnds === false || least > hour / 2, `${least} ms are left of an hour`);
      await after.apply([unban('203.0.113.2')]);
      assert.doesNotMatch(run('iptables-legacy-save') + run('ipset', 'list', '-n'), /gone/);
      const wider = await installed({ ...sshd, ipv6Prefix: 48 });
      assert.deepEqual(texts(await bansOf(wider)), ['2001:db8::/48', '203.0.113.1']);
    },

    'leaves the rules of others and their counters alone, and removes all of its own': async () => {
      await network(2222, 8080);
      run('iptables-legacy', '-N', 'mine');
      run('iptables-legacy', '-A', 'INPUT', '-s', '192.0.2.200');
      run('iptables-legacy', '-A', 'INPUT', '-p', 'tcp', '--dport', '80', '-j', 'mine');
      run('iptables-legacy', '-A', 'mine', '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'ACCEPT');
      run('iptables-legacy', '-A', 'INPUT', '-c', '7', '700', '-s', '192.0.2.201', '-j', 'DROP');
      run('ipset', 'create', 'theirs', 'hash:ip');
      const rules = () =>
        run('iptables-legacy-save', '-c')
          .split('\n')
          .filter((line) => !line.startsWith('#') && !/^:[A-Z]+ /.test(line));
      const before = rules();
      const backend = await installed({ ...sshd, hooks: ['input', 'forward'] });
      await backend.apply([ban('203.0.113.1')]);
      await backend.apply([ban('203.0.113.2')]);
      assert.deepEqual(
        rules().filter((line) => !line.includes('f2z')),
        before,
      );
      assert.notDeepEqual(rules(), before);
      await backend.remove();
      await backend.remove();
      assert.deepEqual(rules(), before);
      assert.equal(run('ipset', 'list', '-n'), 'theirs\n');
    },

    'repairs what others did': async () => {
      const prober = await network(2222, 8080);
      const backend = await installed();
      const bans = [wanted(attackerV4[0]), wanted(attackerV6[0], 0)];
      await backend.apply(bans.map((each) => ({ verb: 'ban', ban: each })));
      assert.equal(await reconcile(backend, [sshd], bans), 0, 'nothing to repair');
      run('iptables-legacy', '-F');
      await prober.answered(attackerV4[0], hostV4, 2222);
      assert.ok((await reconcile(backend, [sshd], bans)) > 0);
      await prober.dropped(attackerV4[0], hostV4, 2222);
      run('ip6tables-legacy', '-F', 'INPUT');
      assert.ok((await reconcile(backend, [sshd], bans)) > 0);
      await prober.dropped(attackerV6[0], hostV6, 2222);
      assert.equal(await reconcile(backend, [sshd], [bans[1]!]), 1, 'one that nobody wants any more');
      await prober.answered(attackerV4[0], hostV4, 2222);
      assert.equal(await reconcile(backend, [sshd], bans), 1, 'one that is missing');
      await prober.dropped(attackerV4[0], hostV4, 2222);
    },

    'notices at the next look that others changed what it holds, and its own changes are none': async () => {
      const backend = await installed();
      const changes = [
        () => run('iptables-legacy', '-F', 'INPUT'),
        () => run('ip6tables-legacy', '-D', 'f2z-sshd', '1'),
        () => run('iptables-legacy', '-A', 'f2z-sshd', '-s', '192.0.2.200', '-j', 'DROP'),
        ...foreign,
      ];
      await backend.apply([ban('203.0.113.1'), ban('203.0.113.2'), ban('203.0.113.3'), ban('2001:db8:0:7::1')]);
      await backend.apply([unban('203.0.113.3'), ban('203.0.113.1', 2 * hour)]);
      assert.equal(await backend.disturbed!(), false, 'only own changes');
      const policy = () => /^:INPUT ACCEPT \[(\d+):/m.exec(run('iptables-legacy-save', '-c'))![1];
      run('ip', 'link', 'set', 'lo', 'up');
      const before = policy();
      run('bash', '-c', 'echo x > /dev/udp/127.0.0.1/9');
      assert.notEqual(policy(), before, 'packets were counted');
      assert.equal(await backend.disturbed!(), false, 'only packets');
      for (const change of changes) {
        change();
        assert.equal(await backend.disturbed!(), true, `${change}`);
        assert.equal(await backend.disturbed!(), false, 'it was seen');
        await backend.install([sshd]);
        await backend.apply([ban('203.0.113.2')]);
        assert.equal(await backend.disturbed!(), false, 'repaired');
      }
    },

    'waits for the lock of the iptables programs': async () => {
      const lock = openSync('/run/xtables.lock', 'a');
      assert.equal(native.tryLock(lock), 0);
      let done = false;
      const work = installed().then(() => {
        done = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(done, false);
      const { closeSync } = await import('node:fs');
      closeSync(lock);
      await work;
    },
  };
}

export const scenarios: Record<string, Scenario> = {
  ...Object.fromEntries(
    Object.entries(subjects).flatMap(([name, subject]) =>
      Object.entries(scenariosOf(subject)).map(([title, scenario]) => [`${name} ${title}`, scenario]),
    ),
  ),

  'iptables refuses more bans than it can hold, and changes nothing': async () => {
    const backend = new IptablesBackend({ bansMax: 2 });
    await backend.install([sshd]);
    await backend.apply([ban('203.0.113.1'), ban('2001:db8:0:1::1')]);
    const refused = backend.apply([ban('2001:db8:0:2::1'), ban('203.0.113.2'), ban('203.0.113.3')]);
    await assert.rejects(refused, (error) => error instanceof KernelError && error.code === 'ENOSPC');
    assert.deepEqual(subjects.iptables!.seen(), ['2001:db8:0:1::/64', '203.0.113.1']);
    await backend.apply([unban('203.0.113.1'), ban('203.0.113.2'), ban('203.0.113.3')]);
    assert.deepEqual(texts(await bansOf(backend)), ['2001:db8:0:1::/64', '203.0.113.2', '203.0.113.3']);
  },

  'ipset says IPSET_ERR_HASH_FULL when a set is full, and takes the ban once there is room': async () => {
    const backend = new IpsetBackend({ setElementsMax: 64 });
    await backend.install([sshd]);
    const many = Array.from({ length: 2000 }, (_, index) => ban(`10.0.${index >> 8}.${index & 255}`));
    const refused = backend.apply(many);
    await assert.rejects(refused, (error) => error instanceof KernelError && error.code === 'IPSET_ERR_HASH_FULL');
    await backend.apply(
      (await bansOf(backend)).map(({ jail, address: held }) => ({ verb: 'unban', jail, address: held })),
    );
    await backend.apply([ban('203.0.113.1')]);
    assert.deepEqual(subjects.ipset!.seen(), ['203.0.113.1']);
  },

  'ipset: elements that end are nobody else’s work, unless half of them go': async () => {
    const backend = new IpsetBackend();
    await backend.install([sshd]);
    const many = Array.from({ length: 20 }, (_, index) => ban(`203.0.113.${index + 10}`));
    await backend.apply([...many, ban('203.0.113.1', 1000)]);
    assert.equal(await backend.disturbed(), false);
    await until(() => !subjects.ipset!.seen().includes('203.0.113.1'), { what: 'the end of the ban' });
    // By the clock of this process it is not yet time: the kernel's may be ahead of it.
    const { now } = performance;
    performance.now = () => now.call(performance) - 900;
    assert.equal(await backend.disturbed(), false, 'it ended');
    performance.now = now;
    run('ipset', 'flush', 'f2z4-sshd');
    assert.equal(await backend.disturbed(), true);
  },

  'ipset: what we have unbanned hides no loss later': async () => {
    const backend = new IpsetBackend();
    await backend.install([sshd]);
    await backend.apply([ban('203.0.113.1'), ban('203.0.113.2'), ban('203.0.113.3')]);
    await backend.apply([unban('203.0.113.1')]);
    assert.equal(await backend.disturbed(), false, 'our own unban');
    run('ipset', 'del', 'f2z4-sshd', '203.0.113.2');
    assert.equal(await backend.disturbed(), true);
  },

  'ipset: a set of equal size that others swap in is noticed': async () => {
    const backend = new IpsetBackend();
    await backend.install([sshd]);
    await backend.apply([ban('203.0.113.1'), ban('203.0.113.2')]);
    assert.equal(await backend.disturbed(), false);
    const bound = /maxelem (\d+)/.exec(run('ipset', 'list', '-t', 'f2z4-sshd'))![1]!;
    for (const most of ['65536', bound]) {
      run('ipset', 'create', 'theirs', 'hash:ip', 'timeout', '0', 'maxelem', most);
      run('ipset', 'add', 'theirs', '192.0.2.1');
      run('ipset', 'add', 'theirs', '192.0.2.2');
      run('ipset', 'swap', 'theirs', 'f2z4-sshd');
      assert.equal(await backend.disturbed(), true, `of at most ${most}`);
      run('ipset', 'swap', 'theirs', 'f2z4-sshd');
      run('ipset', 'destroy', 'theirs');
      await backend.disturbed();
      assert.equal(await backend.disturbed(), false, 'it was seen');
    }
  },

  'ipset: a smaller bound keeps the bans that last longest': async () => {
    const before = new IpsetBackend();
    await before.install([sshd]);
    const bans = Array.from({ length: 200 }, (_, index) => ban(`10.0.0.${index}`, (index + 1) * hour));
    await before.apply([...bans, ban('203.0.113.1', 0)]);
    const after = new IpsetBackend({ setElementsMax: 64 });
    await after.install([sshd]);
    const held = subjects.ipset!.seen();
    assert.equal(held.length, 64);
    assert.ok(held.includes('203.0.113.1') && held.includes('10.0.0.199') && !held.includes('10.0.0.1'), `${held}`);
  },

  'ipset says ENOENT when its sets are gone, and the ban lands after reconcile': async () => {
    const backend = new IpsetBackend();
    await backend.install([sshd]);
    run('iptables-legacy', '-F');
    run('ip6tables-legacy', '-F');
    run('ipset', 'destroy');
    const refused = backend.apply([ban('203.0.113.1')]);
    await assert.rejects(refused, (error) => error instanceof KernelError && error.code === 'ENOENT');
    await reconcile(backend, [sshd], [wanted('203.0.113.1')]);
    assert.deepEqual(subjects.ipset!.seen(), ['203.0.113.1']);
  },
};

await answerScenario(import.meta.filename, scenarios);
