/**
 * The rules that jails need in a legacy filter table, for the ipset and the iptables backend: our
 * own chains, and the jumps to them at the head of the hooks.
 */
import type { Drops, JailScaffold, PortRange } from '../../types.ts';
import { discoveryTypes, keyBytes, prefixMask } from '../elements.ts';
import type { Xtables } from './xtables.ts';

/** Netfilter's hook numbers. */
export const hookNumbers = { input: 1, forward: 2 } as const;
export type Hook = keyof typeof hookNumbers;

/** A rule of ours. */
export interface Rule {
  protocol?: 'tcp' | 'udp' | 'icmp6';
  /** The packet's destination ports; only with TCP or UDP. */
  ports?: PortRange;
  /** The ports that the client asked for, before a destination NAT; only with TCP or UDP. */
  asked?: PortRange;
  /** Only packets without a connection: invalid or untracked. */
  isUntracked?: boolean;
  /** Only with ICMPv6. */
  icmpType?: number;
  /** Network-order source address and mask, 4 or 16 bytes each. */
  source?: { key: Uint8Array; mask: Uint8Array };
  /** Index of an ipset that must hold the source. */
  setIndex?: number;
  target: 'drop' | 'return' | 'reset' | 'prohibited' | { chain: string };
}

/**
 * Everything of ours in the table: chains, and the jumps to them at the head of the hooks, in
 * order.
 */
export interface Ours {
  chains: { name: string; rules: Rule[] }[];
  jumps: { hook: Hook; rule: Rule }[];
}

/**
 * What happens to packets of a jail's banned sources; and the chain that this needs, which all
 * jails share and which comes before theirs.
 */
export function denialOf({ action }: JailScaffold, prefix: string): Rule['target'] {
  return action === 'reject' ? { chain: rejectChainName(prefix) } : 'drop';
}

export function denialChains(jails: JailScaffold[], prefix: string): Ours['chains'] {
  if (!jails.some(({ action }) => action === 'reject')) return [];
  return [{ name: rejectChainName(prefix), rules: [{ protocol: 'tcp', target: 'reset' }, { target: 'prohibited' }] }];
}

/** Cannot be the chain of a jail: their names have no colon (see kernelName). */
const rejectChainName = (prefix: string) => `${prefix}:reject`;

/**
 * The jumps to a jail's chain: one per hook, protocol and port range; without ports one for every
 * packet. Forwarded packets may have passed a destination NAT: there the port that the client asked
 * for counts. A packet without a connection was not translated.
 */
export function jumpRules({ hooks, ports, protocols }: JailScaffold, chain: string): Ours['jumps'] {
  const target = { chain };
  if (ports.length === 0) return hooks.map((hook) => ({ hook, rule: { target } }));
  const jumps: Ours['jumps'] = [];
  for (const range of ports) {
    for (const protocol of protocols) {
      const own: Rule = { protocol, ports: range, target };
      if (hooks.includes('input')) jumps.push({ hook: 'input', rule: own });
      if (!hooks.includes('forward')) continue;
      jumps.push({ hook: 'forward', rule: { protocol, asked: range, target } });
      jumps.push({ hook: 'forward', rule: { ...own, isUntracked: true } });
    }
  }
  return jumps;
}

/**
 * The rules at the head of a jail's chain that let packets pass, whatever is banned: those of its
 * allowed networks, and neighbour discovery (without it we could lose the network). If a jail has
 * ports, neighbour discovery never reaches its chain.
 */
export function passRules({ allow = [], ports }: JailScaffold, family: 4 | 6): Rule[] {
  const length = keyBytes[family];
  const rules: Rule[] = [];
  if (family === 6 && ports.length === 0) {
    for (let icmpType: number = discoveryTypes.first; icmpType <= discoveryTypes.last; icmpType++) {
      rules.push({ protocol: 'icmp6', icmpType, target: 'return' });
    }
  }
  for (const { family: theirs, bytes, prefix } of allow) {
    if (theirs !== family) continue;
    const mask = prefixMask(prefix, length);
    const key = bytes.subarray(16 - length).map((byte, at) => byte & mask[at]!);
    rules.push({ source: { key, mask }, target: 'return' });
  }
  return rules;
}

/** Packets that the jails' chains dropped, both families together. */
export async function dropsOf(tables: Xtables[], chains: { jail: string; chain: string }[]): Promise<Drops> {
  const dropped: Drops = new Map(chains.map(({ jail }) => [jail, 0]));
  for (const each of tables) {
    const counts = await each.dropped();
    for (const { jail, chain } of chains) dropped.set(jail, dropped.get(jail)! + (counts.get(chain) ?? 0));
  }
  return dropped;
}
