/**
 * What backends do to a kernel, in scenes that run on a real one (test/netns/recordings.test.ts)
 * and over its recorded answers (test/unit/recordings.test.ts). Written to use every kind of
 * message and rule once.
 */
import assert from 'node:assert/strict';
import { hasDestinationNat } from '../../src/backends/destination-nat.ts';
import { KernelError } from '../../src/backends/kernel-error.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { XdpBackend } from '../../src/backends/xdp/xdp.ts';
import { IpsetBackend } from '../../src/backends/xtables/ipset.ts';
import { IptablesBackend } from '../../src/backends/xtables/iptables.ts';
import { formatAddress, parseCidr } from '../../src/text/address.ts';
import type { Address, Backend, Change, JailScaffold } from '../../src/types.ts';

/**
 * Does what somebody else would, where there is a kernel: runs a program, or sends a `packet` to
 * 127.0.0.1 from there.
 */
export type Outside = (command: string) => void;
/** A scene throws if something is not as it should be. */
export type Scene = (outside: Outside) => Promise<void>;

/** Milliseconds. */
const hour = 3_600_000;

export function address(text: string): Address {
  const parsed = parseCidr(text, 'clear');
  if (typeof parsed === 'string') throw new Error(`${text}: ${parsed}`);
  return parsed;
}

export const ban = (text: string, timeoutMs = hour, jail = 'sshd'): Change => ({
  verb: 'ban',
  ban: { jail, address: address(text), timeoutMs },
});
export const unban = (text: string, jail = 'sshd'): Change => ({ verb: 'unban', jail, address: address(text) });

export const everything: JailScaffold = { name: 'sshd', ipv6Prefix: 64, ports: [], protocols: [], hooks: ['input'] };
export const web: JailScaffold = {
  name: 'nginx web',
  ipv4Prefix: 24,
  ipv6Prefix: 48,
  ports: [
    { first: 443, last: 443 },
    { first: 8080, last: 8090 },
  ],
  protocols: ['tcp', 'udp'],
  hooks: ['input', 'forward'],
  action: 'reject',
  allow: [address('192.0.2.0/24'), address('2001:db8:5::/48')],
};

/** What a backend holds: jail, address, and seconds, rounded to the next ten, 0 = without end. */
export async function held(backend: Backend): Promise<string[]> {
  const seen: string[] = [];
  const count = await backend.each(({ jail, address, timeoutMs }) => {
    seen.push(`${jail} ${formatAddress(address)} ${Math.ceil(timeoutMs / 10_000) * 10}`);
  });
  assert.equal(count, seen.length);
  return seen.sort();
}

/** Bans of both jails, and what is then held. `single`: an IPv4 ban of a jail with a prefix. */
const some = (single = '203.0.113.0/24'): Change[] => [
  ban('203.0.113.1'),
  ban('203.0.113.2', 0),
  ban('203.0.113.3'),
  unban('203.0.113.3'),
  ban('2001:db8:1:2::/64'),
  ban('2002:cb00:7105::/48', 20_000),
  ban('2001:db8:7:7::7/128'),
  ban(single, hour, 'nginx web'),
  ban('2001:db8:9::/48', 2 * hour, 'nginx web'),
];
const heldThen = (single = '203.0.113.0/24'): string[] =>
  [
    `nginx web ${single} 3600`,
    'nginx web 2001:db8:9::/48 7200',
    'sshd 2001:db8:1:2::/64 3600',
    'sshd 2001:db8:7:7::7 3600',
    'sshd 2002:cb00:7105::/48 20',
    'sshd 203.0.113.1 3600',
    'sshd 203.0.113.2 0',
  ].sort();

/** The message of an expected error. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  assert(error instanceof Error, 'it was not refused');
  return error.message;
}

/** Timers do not run by themselves: those that are started are noted here. */
export function collectTimers() {
  const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  const started: { callback: () => unknown; wait: number }[] = [];
  const stopped = new Set<unknown>();
  Object.assign(globalThis, {
    setTimeout: (callback: () => unknown, wait: number) => {
      const timer = { callback, wait, unref() {} };
      started.push(timer);
      return timer;
    },
    clearTimeout: (timer: unknown) => {
      if (timer !== undefined) stopped.add(timer);
    },
  });
  return {
    started,
    get stopped() {
      return stopped.size;
    },
    waits: () => started.map(({ wait }) => wait),
    /** Runs the last one. */
    fire: async () => await started.at(-1)?.callback(),
    restore: () => Object.assign(globalThis, real),
  };
}

const nftables = (more = {}) => new NftablesBackend({ table: 'fail2zig', ...more });

export const scenes: Record<string, Scene> = {
  async 'nftables-day'(outside) {
    const backend = nftables({ setElementsMax: 5000 });
    assert.equal(await backend.disturbed(), false);
    await backend.install([everything, web]);
    await backend.apply(some());
    assert.deepEqual(await held(backend), heldThen());
    assert.equal(await backend.disturbed(), false);
    assert.equal(await backend.reconcile([everything, web]), false);
    assert.deepEqual(
      [...(await backend.drops())],
      [
        ['sshd', 0],
        ['nginx web', 0],
      ],
    );
    outside('nft add element inet fail2zig ban4-sshd { 127.0.0.1 }');
    outside('packet');
    assert.equal(await backend.disturbed(), true);
    assert.equal(await backend.disturbed(), false);
    assert.deepEqual(
      [...(await backend.drops())],
      [
        ['sshd', 1],
        ['nginx web', 0],
      ],
    );
    await backend.apply([unban('127.0.0.1'), ban('203.0.113.1', 2 * hour), ban('203.0.113.2', 1000)]);
    outside('nft flush chain inet fail2zig jail-sshd');
    assert.equal(await backend.reconcile([everything, web]), true);
    assert.equal((await held(backend)).length, 7);
    await backend.remove();
    await backend.remove();
    backend.close();
  },

  async 'nftables-restart'() {
    const first = nftables();
    await first.install([everything, web]);
    await first.apply(some());
    first.close();
    // Adopts what stays as it was, moves what gets another prefix, and removes the rest.
    const second = nftables();
    const jails = [
      { ...everything, ipv6Prefix: 56 },
      { ...web, ipv4Prefix: 32, name: 'other' },
    ];
    await second.install(jails);
    assert.deepEqual(await held(second), [
      'sshd 2001:db8:1::/56 3600',
      'sshd 2001:db8:7::/56 3600',
      'sshd 2002:cb00:7105::/48 20',
      'sshd 203.0.113.1 3600',
      'sshd 203.0.113.2 0',
    ]);
    await second.remove();
    second.close();
  },

  async 'nftables-old-kernel'() {
    const backend = nftables({ refreshes: false });
    await backend.install([everything]);
    await backend.apply([ban('203.0.113.1', 20_000), ban('203.0.113.2')]);
    await backend.apply([ban('203.0.113.1', hour), ban('203.0.113.2', 10_000), unban('203.0.113.9')]);
    assert.deepEqual(await held(backend), ['sshd 203.0.113.1 3600', 'sshd 203.0.113.2 10']);
    await backend.remove();
    backend.close();
  },

  async 'nftables-many'() {
    const backend = nftables({ refreshes: true, setElementsMax: 1251 });
    await backend.install([everything]);
    const many = Array.from({ length: 1251 }, (_, n) => ban(`10.1.${n >> 8}.${n & 255}`));
    await backend.apply(many);
    assert.equal((await held(backend)).length, 1251);
    assert.match(await refusal(backend.apply([ban('203.0.113.1')])), /^add 1 element of set ban4-sshd: ENFILE/);
    // Sets with another comment are made anew, and all elements move.
    await backend.install([{ ...everything, ipv4Prefix: 28 }]);
    assert.equal((await held(backend)).length, 1251);
    await backend.remove();
    backend.close();
  },

  async 'nftables-lists'() {
    const backend = nftables();
    const jail = { ...everything, lists: { 4: [32, 24], 6: [128, 48] }, allowLists: { 4: [32], 6: [64] } };
    const emptied: string[] = [];
    backend.listed.emptied = (name) => void emptied.push(name);
    await backend.install([jail]);
    assert.deepEqual(emptied, ['sshd', '']);
    const of24 = { jail: 'sshd', family: 4, prefix: 24 } as const;
    const of48 = { jail: 'sshd', family: 6, prefix: 48 } as const;
    const ignored = { jail: '', family: 4, prefix: 32 } as const;
    const none = new Uint8Array(0);
    const six = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    await backend.listed.apply([
      { set: of24, adds: Uint8Array.of(203, 0, 113, 0, 198, 51, 100, 0), removes: none },
      { set: of48, adds: six, removes: none },
      { set: ignored, adds: Uint8Array.of(192, 0, 2, 1), removes: none },
    ]);
    await backend.listed.apply([
      { set: of24, adds: Uint8Array.of(192, 0, 2, 0), removes: Uint8Array.of(203, 0, 113, 0) },
    ]);
    const keys = async (set: Parameters<typeof backend.listed.each>[0], length: number) => {
      const seen: string[] = [];
      await backend.listed.each(
        set,
        (bytes, at) => void seen.push(Buffer.from(bytes).toString('hex', at, at + length)),
      );
      return seen.sort();
    };
    assert.deepEqual(await keys(of24, 4), ['c0000200', 'c6336400']);
    assert.deepEqual(await keys(of48, 16), ['20010db8000900000000000000000000']);
    assert.deepEqual(await keys(ignored, 4), ['c0000201']);
    emptied.length = 0;
    await backend.install([jail]);
    assert.deepEqual(emptied, []);
    assert.equal((await keys(of24, 4)).length, 2);
    await backend.install([{ ...jail, lists: { 4: [32, 24, 16], 6: [48] } }]);
    assert.deepEqual(emptied, ['sshd']);
    assert.deepEqual(await held(backend), []);
    await backend.remove();
    backend.close();
  },

  async 'nftables-others'(outside) {
    // A table of that name whose objects are not ours, and a chain that cannot be deleted.
    outside('nft add table inet fail2zig');
    outside('nft add set inet fail2zig ban4-sshd { type inet_service; }');
    outside('nft add element inet fail2zig ban4-sshd { 22 }');
    outside('nft add chain inet fail2zig old');
    outside('nft add chain inet fail2zig older');
    outside('nft add rule inet fail2zig older jump old');
    const backend = nftables({ refreshes: true });
    await backend.install([everything]);
    assert.deepEqual(await held(backend), []);
    outside('nft delete table inet fail2zig');
    assert.match(await refusal(backend.apply([ban('203.0.113.1')])), /ENOENT/);
    assert.match(await refusal(backend.each(() => undefined)), /^list set ban4-sshd: ENOENT/);
    assert.equal(await backend.reconcile([everything]), true);
    await backend.apply([ban('203.0.113.1')]);
    backend.close();
  },

  async 'ipset-day'(outside) {
    const backend = new IpsetBackend({ setElementsMax: 5000 });
    assert.equal(await backend.disturbed(), false);
    await backend.install([everything, web]);
    await backend.apply(some());
    await backend.apply([ban('0.0.0.0'), unban('0.0.0.0')]);
    assert.deepEqual(await held(backend), heldThen());
    assert.equal(await backend.disturbed(), false);
    assert.equal(await backend.reconcile([everything, web]), false);
    outside('ipset add f2z4-sshd 127.0.0.1');
    outside('packet');
    assert.equal(await backend.disturbed(), true);
    assert.equal(await backend.disturbed(), false);
    assert.deepEqual(
      [...(await backend.drops())],
      [
        ['sshd', 1],
        ['nginx web', 0],
      ],
    );
    outside('ipset del f2z4-sshd 127.0.0.1');
    assert.equal(await backend.disturbed(), true);
    await backend.apply([unban('203.0.113.1'), ban('203.0.113.2', 1000)]);
    outside('iptables-legacy -F f2z-sshd');
    assert.equal(await backend.disturbed(), true);
    assert.equal(await backend.reconcile([everything, web]), true);
    assert.equal(await backend.reconcile([everything, web]), false);
    assert.equal((await held(backend)).length, 6);
    outside('iptables-legacy -F');
    outside('ip6tables-legacy -F');
    outside('iptables-legacy -X');
    outside('ip6tables-legacy -X');
    outside('ipset destroy f2z6n-sshd');
    assert.equal(await backend.reconcile([everything, web]), true);
    assert.equal((await held(backend)).length, 3);
    await backend.remove();
    await backend.remove();
    backend.close();
  },

  async 'ipset-restart'(outside) {
    outside('ipset create f2zother hash:ip');
    outside('ipset create f2z4-gone hash:ip');
    outside('ipset create f2z-new hash:ip');
    const first = new IpsetBackend();
    await first.install([everything, web]);
    await first.apply(some());
    first.close();
    const second = new IpsetBackend({ setElementsMax: 2 });
    await second.install([{ ...everything, ipv6Prefix: 56 }]);
    assert.deepEqual(await held(second), [
      'sshd 2001:db8:1::/56 3600',
      'sshd 2001:db8:7::/56 3600',
      'sshd 203.0.113.1 3600',
      'sshd 203.0.113.2 0',
    ]);
    assert.equal(
      await refusal(second.apply([ban('203.0.113.5'), ban('203.0.113.6')])),
      'add 2 elements of set f2z4-sshd: IPSET_ERR_HASH_FULL',
    );
    await second.remove();
    second.close();
  },

  async 'ipset-many'() {
    const backend = new IpsetBackend();
    await backend.install([everything]);
    await backend.apply(Array.from({ length: 1700 }, (_, n) => ban(`10.1.${n >> 8}.${n & 255}`)));
    await backend.apply([ban('203.0.113.1', 3_000_000_000), ban('2001:db8:1:2::/64')]);
    assert.equal((await held(backend)).length, 1702);
    await backend.remove();
    backend.close();
  },

  async 'iptables-day'(outside) {
    outside('iptables-legacy -A INPUT -p tcp --dport 9 -j ACCEPT');
    outside('iptables-legacy -N other');
    outside('iptables-legacy -A other -j RETURN');
    outside('iptables-legacy -A FORWARD -j other');
    let now = 1_000_000;
    const backend = new IptablesBackend({ bansMax: 6, now: () => now });
    await backend.install([everything, web]);
    await backend.apply(some());
    assert.deepEqual(await held(backend), heldThen());
    assert.equal(await backend.disturbed(), false);
    assert.equal(await backend.reconcile([everything, web]), false);
    await backend.apply([ban('127.0.0.1', 60_000)]);
    outside('packet');
    assert.deepEqual(
      [...(await backend.drops())],
      [
        ['sshd', 1],
        ['nginx web', 0],
      ],
    );
    await backend.apply([unban('127.0.0.1'), unban('203.0.113.77')]);
    assert.deepEqual(
      [...(await backend.drops())],
      [
        ['sshd', 1],
        ['nginx web', 0],
      ],
    );
    now += 10_000;
    assert((await held(backend)).includes('sshd 203.0.113.1 3590'));
    assert.match(
      await refusal(backend.apply([1, 2, 3, 4, 5].map((n) => ban(`198.51.100.${n}`)))),
      /^put 8 rules into the IPv4 filter table: ENOSPC \(this backend holds 6\)$/,
    );
    outside('iptables-legacy -A INPUT -p tcp --dport 10 -j ACCEPT');
    assert.equal(await backend.disturbed(), true);
    assert.equal(await backend.disturbed(), false);
    // The iptables programs sort the chains.
    assert.equal(await backend.reconcile([everything, web]), true);
    assert.equal(await backend.reconcile([everything, web]), false);
    outside('iptables-legacy -D f2z-sshd 1');
    assert.equal(await backend.reconcile([everything, web]), true);
    outside('iptables-legacy -D INPUT 1');
    assert.equal(await backend.reconcile([everything, web]), true);
    assert.equal((await held(backend)).length, 6);
    await backend.install([everything]);
    assert.equal((await held(backend)).length, 4);
    await backend.remove();
    assert.deepEqual(await held(backend), []);
    backend.close();
  },

  async 'iptables-restart'() {
    const first = new IptablesBackend();
    await first.install([everything, web]);
    await first.apply(some());
    first.close();
    const second = new IptablesBackend();
    await second.install([
      { ...everything, ipv6Prefix: 56 },
      { ...web, ports: [] },
    ]);
    assert.deepEqual(await held(second), [
      'nginx web 2001:db8:9::/48 0',
      'nginx web 203.0.113.0/24 0',
      'sshd 2001:db8:1::/56 0',
      'sshd 2001:db8:7:7::7 0',
      'sshd 2002:cb00:7105::/48 0',
      'sshd 203.0.113.1 0',
      'sshd 203.0.113.2 0',
    ]);
    await second.remove();
    second.close();
  },

  async 'iptables-ends'() {
    let now = 5_000;
    const timers = collectTimers();
    try {
      const backend = new IptablesBackend({ now: () => now });
      await backend.install([everything]);
      assert.equal(timers.started.length, 0);
      await backend.apply([ban('203.0.113.1', 60_000), ban('203.0.113.2', 100_000), ban('203.0.113.3', 0)]);
      await backend.apply([ban('2001:db8:1:2::/64', 60_100)]);
      assert.deepEqual(timers.waits(), [60_000, 60_000]);
      now += 60_000;
      await timers.fire();
      assert.deepEqual(await held(backend), ['sshd 2001:db8:1:2::/64 10', 'sshd 203.0.113.2 40', 'sshd 203.0.113.3 0']);
      // Not sooner than a quarter of a second after the last one.
      assert.deepEqual(timers.waits(), [60_000, 60_000, 250]);
      now += 250;
      await timers.fire();
      assert.deepEqual(await held(backend), ['sshd 203.0.113.2 40', 'sshd 203.0.113.3 0']);
      await backend.apply([ban('203.0.113.4', 2 ** 40), unban('203.0.113.2')]);
      assert.deepEqual(timers.waits(), [60_000, 60_000, 250, 39_750, 2 ** 31 - 1]);
      await backend.remove();
      assert.equal(timers.stopped, 5);
      backend.close();
    } finally {
      timers.restore();
    }
  },

  async 'xdp-day'(outside) {
    outside('ip link add veth0 type veth peer name veth1');
    outside('ip link set veth0 up');
    outside('ip link set veth1 up');
    const { ipv4Prefix: _, action: __, ...ports } = web;
    const backend = new XdpBackend({ interfaces: ['lo', 'veth0'], bansMax: 1000, record: '/run/f2z-record' });
    await backend.install([everything, ports]);
    assert.equal(backend.notes.length, 0);
    await backend.apply(some('203.0.113.0'));
    assert.deepEqual(await held(backend), heldThen('203.0.113.0'));
    assert.equal(await backend.reconcile([everything, ports]), false);
    await backend.apply([ban('127.0.0.1')]);
    outside('packet');
    assert.deepEqual(
      [...(await backend.drops())],
      [
        ['sshd', 1],
        ['nginx web', 0],
      ],
    );
    await backend.apply([ban('127.0.0.1', 1)]);
    outside('sleep 0.05');
    assert.deepEqual(await held(backend), heldThen('203.0.113.0'));
    outside('ip link set dev veth0 xdp off');
    assert.equal(await backend.reconcile([everything, ports]), true);
    // The bans of a jail that stays are kept when others come and go.
    const narrow = { ...everything, ports: [{ first: 22, last: 22 }], protocols: ['tcp' as const] };
    await backend.install([narrow, { ...everything, name: 'third', ipv6Prefix: 56 }]);
    assert.equal((await held(backend)).length, 5);
    await backend.apply([ban('203.0.113.1', hour, 'third'), ban('203.0.113.1', 20_000), unban('203.0.113.1', 'third')]);
    assert.equal((await held(backend)).length, 5);
    outside('sysctl -q -w net.ipv4.ip_forward=1');
    assert.equal(
      backend.notes[0],
      'this host forwards packets, and the xdp backend cannot tell those from its own: it drops both, though hooks has no "forward" in sshd, third',
    );
    await backend.remove();
    backend.close();
  },

  async 'xdp-restart'(outside) {
    outside('ip link add veth0 type veth peer name veth1');
    const options = { interfaces: ['veth0'], bansMax: 3, record: '/run/f2z-record' };
    const first = new XdpBackend(options);
    await first.install([everything]);
    await first.apply([ban('203.0.113.1'), ban('203.0.113.2', 0), ban('2001:db8:1:2::/64', 1)]);
    outside('sleep 0.05');
    // Full, but one of them is over.
    await first.apply([ban('203.0.113.3')]);
    assert.match(await refusal(first.apply([ban('203.0.113.4')])), /E2BIG/);
    first.close();
    const second = new XdpBackend(options);
    await second.install([{ ...everything, ipv6Prefix: 56 }]);
    assert.deepEqual(await held(second), ['sshd 203.0.113.1 3600', 'sshd 203.0.113.2 0', 'sshd 203.0.113.3 3600']);
    second.close();
    const third = new XdpBackend(options);
    await third.remove();
    third.close();
  },

  async 'destination-nat'(outside) {
    assert.equal(await hasDestinationNat(), false);
    outside('nft add table ip nat');
    outside('nft add chain ip nat prerouting { type nat hook prerouting priority dstnat; }');
    outside('nft add chain ip nat postrouting { type nat hook postrouting priority srcnat; }');
    outside('nft add rule ip nat postrouting tcp dport 80 masquerade');
    outside('nft add rule ip nat postrouting tcp dport 80 counter snat to 192.0.2.1');
    assert.equal(await hasDestinationNat(), false);
    outside('nft add rule ip nat prerouting tcp dport 80 dnat to 192.0.2.1');
    assert.equal(await hasDestinationNat(), true);
    outside('nft delete table ip nat');
    outside('iptables-legacy -t nat -A POSTROUTING -j MASQUERADE');
    assert.equal(await hasDestinationNat(), false);
    outside('iptables-legacy -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to 192.0.2.1');
    assert.equal(await hasDestinationNat(), true);
  },

  async 'destination-nat-6'(outside) {
    outside('ip6tables-legacy -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to 2001:db8::1');
    assert.equal(await hasDestinationNat(), true);
  },

  async refusals() {
    const missing = new XdpBackend({ interfaces: ['absent0'] });
    assert.match(await refusal(missing.install([everything])), /^look at interface absent0: ENODEV/);
    missing.close();
    assert(KernelError.length > 0);
  },
};
