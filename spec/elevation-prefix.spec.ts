/**
 * IPv4 sources that are counted by prefix, and who must not suffer from it.
 */
import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import { compilePieces } from '../src/config/compile.ts';
import { knownFilters } from '../src/config/known-filters.ts';
import { ConfigError } from '../src/config/problem.ts';
import { Ignored } from '../src/enforcer/ignored.ts';
import { parseCidr } from '../src/text/address.ts';
import type { Address } from '../src/types.ts';
import { claim, twin } from './claim.ts';
import { engineTracker, epoch } from './support/tracker.ts';

const network = (text: string): Address => parseCidr(text, 'refuse') as Address;
const link = { address: '203.0.113.9', cidr: '203.0.113.9/24', internal: false } as NetworkInterfaceInfo;
const options = {
  maxretry: [3],
  ipv4Prefix: 24,
  shared: new Ignored([], () => ({ eth0: [link] })).links,
  ignore: [network('198.51.100.7')],
};

/** Whether a jail with such a prefix can be configured for a backend. */
function isTaken(backend: string, more = ''): boolean {
  const text = `[firewall]\nbackend = "${backend}"\ninterfaces = ["eth0"]\n[defaults]\nipv4_prefix = 24
[jails.sshd]\nlogpath = "/var/log/auth.log"\n${more}`;
  try {
    compilePieces([{ path: 'test.toml', text }], { filters: knownFilters, groupId: () => 0 });
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

claim(
  'X-prefix',
  engineTracker(options),
  (tracker) => {
    const fail = (...hosts: string[]): string[] => {
      for (const host of hosts) tracker.fail(host, epoch);
      return tracker.take().map(({ address }) => address);
    };
    assert.deepEqual(fail('192.0.2.1', '192.0.2.130', '192.0.2.255'), ['192.0.2.0'], 'three hosts of a /24');
    assert.deepEqual(fail('192.0.3.1', '192.0.1.1', '192.0.3.2'), [], 'hosts of its neighbours');
    assert.deepEqual(fail(...Array(5).fill('198.51.100.7')), [], 'who is ignored');
    assert.deepEqual(fail('198.51.100.8', '198.51.100.9', '198.51.100.10'), ['198.51.100.0'], 'who is beside him');
    assert.deepEqual(fail('203.0.113.1', '203.0.113.2', '203.0.113.3'), [], 'three hosts of our link');
    assert.deepEqual(fail('203.0.113.1', '203.0.113.1'), ['203.0.113.1'], 'one host of our link');
    assert.equal(tracker.tracked(), 7, 'entries');
    const taken = ['auto', 'nftables', 'ipset', 'iptables', 'log-only', 'xdp'].filter((backend) => isTaken(backend));
    assert.deepEqual(taken, ['auto', 'nftables', 'ipset', 'iptables', 'log-only'], 'backends');
    const fleet = '[fleet]\nurl = "https://203.0.113.9"\napi_key_file = "/etc/key"\n';
    assert.ok(!isTaken('auto', fleet), 'the jail of the fleet');
    return 'three hosts of a /24 are one source, an ignored one among them none, three of our own link three; xdp and the jail of the fleet refused';
  },
  [
    twin('an engine that counts each address', engineTracker({ ...options, ipv4Prefix: 32 }), /three hosts of a \/24/),
    twin('an engine that counts wider', engineTracker({ ...options, ipv4Prefix: 22 }), /three hosts of a \/24/),
    twin('an engine that knows no ignored network', engineTracker({ ...options, ignore: [] }), /who is ignored/),
    twin('an engine that knows no link', engineTracker({ ...options, shared: [] }), /three hosts of our link/),
  ],
);
