/**
 * A ban on real packets: a backend installs itself, bans one IPv4 address and one IPv6 prefix,
 * lifts the ban again. What the attacker's connections met is returned for the specification to
 * judge. Run by product.kernel.spec.ts in namespaces of its own.
 */

import { LogOnlyBackend } from '../../src/backends/log-only.ts';
import { NftablesBackend } from '../../src/backends/nftables/nftables.ts';
import { XdpBackend } from '../../src/backends/xdp/xdp.ts';
import { IpsetBackend } from '../../src/backends/xtables/ipset.ts';
import { IptablesBackend } from '../../src/backends/xtables/iptables.ts';
import { maskAddress, parseCidr } from '../../src/text/address.ts';
import type { Address, Backend, Change, JailScaffold } from '../../src/types.ts';
import { attackerV4, attackerV6, buildTopology, hostV4, hostV6, listen, Prober } from '../../test/netns/topology.ts';
import { answerScenario, type Scenario } from '../../test/support/namespace.ts';

export type Verdict = 'answered' | 'dropped';

/**
 * What connections met, in this order of sources: the banned IPv4 address, another one, two of the
 * banned /64, one of the next.
 */
export interface Seen {
  before: Verdict[];
  banned: Verdict[];
  lifted: Verdict[];
  /** Bans that the backend says it holds. */
  held: number;
}

const jail: JailScaffold = { name: 'sshd', ipv6Prefix: 64, ports: [], protocols: [], hooks: ['input'] };
const port = 2222;
const sources: [from: string, to: string][] = [
  [attackerV4[0], hostV4],
  [attackerV4[1], hostV4],
  [attackerV6[0], hostV6],
  [attackerV6[1], hostV6],
  [attackerV6[2], hostV6],
];

function address(text: string, prefix: number): Address {
  const parsed = parseCidr(text, 'clear');
  if (typeof parsed === 'string') throw new Error(`${text}: ${parsed}`);
  return maskAddress({ ...parsed, prefix });
}

async function ban(backend: Backend): Promise<Seen> {
  buildTopology();
  await listen(port);
  const prober = new Prober();
  /** Silence is looked for where it is expected, since waiting for it takes its time. */
  const look = async (expectDropped: boolean[]): Promise<Verdict[]> => {
    const verdicts: Verdict[] = [];
    for (const [index, [from, to]] of sources.entries()) {
      const asExpected = await (expectDropped[index] ? prober.dropped(from, to, port) : prober.answered(from, to, port))
        .then(() => true)
        .catch(() => false);
      verdicts.push(asExpected === expectDropped[index] ? 'dropped' : 'answered');
    }
    return verdicts;
  };
  const targets = [address(attackerV4[0], 32), address(attackerV6[0], 64)];
  const nobody = sources.map(() => false);
  await backend.install([jail]);
  const before = await look(nobody);
  const bans: Change[] = targets.map((each) => ({
    verb: 'ban',
    ban: { jail: 'sshd', address: each, timeoutMs: 600_000 },
  }));
  await backend.apply(bans);
  const banned = await look([true, false, true, true, false]);
  const held = await backend.each(() => undefined);
  await backend.apply(targets.map((each) => ({ verb: 'unban', jail: 'sshd', address: each })));
  const lifted = await look(nobody);
  await backend.remove();
  backend.close();
  return { before, banned, lifted, held };
}

const nftables = (): Backend => new NftablesBackend({ table: 'fail2zig' });

/** Says that it bans; the kernel hears nothing of it. */
function forgetful(): Backend {
  const backend = nftables();
  backend.apply = () => Promise.resolve();
  return backend;
}

export const scenarios: Record<string, Scenario> = {
  nftables: () => ban(nftables()),
  iptables: () => ban(new IptablesBackend()),
  ipset: () => ban(new IpsetBackend()),
  xdp: () => ban(new XdpBackend({ interfaces: ['front0'] })),
  'log-only': () => ban(new LogOnlyBackend(() => {})),
  forgetful: () => ban(forgetful()),
};

await answerScenario(import.meta.filename, scenarios);
