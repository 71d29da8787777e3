/**
 * The rules of our chains, as nf_tables expressions. Each rule tests the packet step by step and
 * stops at the first test that fails.
 */

import { sixToFour } from '../../text/address.ts';
import type { Address, BanAction, PortRange } from '../../types.ts';
import { discoveryTypes, keyBytes, prefixMask, widths } from '../elements.ts';
import { type Field, flagAppend, flagCreate } from '../netlink/message.ts';
import type { Batch, JailLayout, SetLayout } from './messages.ts';
import { attribute, command, type Hook, verdict } from './numbers.ts';

const register = { verdict: 0, data: 1 } as const;
const compare = { equal: 0, notEqual: 1, lessOrEqual: 3, greaterOrEqual: 5 } as const;
const metaKey = { nfproto: 15, l4proto: 16 } as const;
const conntrackKey = { state: 0, destinationPort: 12 } as const;
/** IP_CT_DIR_ORIGINAL. */
const originalDirection = 0;
/** NF_CT_STATE_INVALID_BIT and NF_CT_STATE_UNTRACKED_BIT, in the machine's byte order. */
const withoutConnection = Uint8Array.of(0x41, 0, 0, 0);
const protocolNumber = { tcp: 6, udp: 17, icmp6: 58 } as const;
const headerBase = { network: 1, transport: 2 } as const;
const sourceOffset = { 4: 12, 6: 8 } as const;
const nfproto = { 4: 2, 6: 10 } as const;
/** nft_reject_types, and the code that the kernel translates for both families. */
const rejectWith = { tcpReset: 1, icmpOfEither: 2 } as const;
const administrativelyProhibited = 3;

// --- Expressions ---------------------------------------------------------------------------------

function expression(name: string, ...data: Field[]): Field {
  const { expression: named, list } = attribute;
  return [
    list.item,
    [
      [named.name, name],
      [named.data, data],
    ],
  ];
}

function value(type: number, bytes: Uint8Array): Field {
  return [type, [[attribute.data.value, bytes]]];
}

function loadMeta(key: number): Field {
  const { meta } = attribute;
  return expression('meta', [meta.key, key], [meta.register, register.data]);
}

function loadConnection(key: number, ...direction: Field[]): Field {
  const { conntrack } = attribute;
  return expression('ct', [conntrack.register, register.data], [conntrack.key, key], ...direction);
}

function loadPayload(base: number, offset: number, length: number): Field {
  const { payload } = attribute;
  return expression(
    'payload',
    [payload.register, register.data],
    [payload.base, base],
    [payload.offset, offset],
    [payload.length, length],
  );
}

function compareWith(operator: number, ...bytes: number[]): Field {
  const named = attribute.compare;
  const operand = value(named.data, Uint8Array.from(bytes));
  return expression('cmp', [named.register, register.data], [named.operator, operator], operand);
}

function maskWith(mask: Uint8Array): Field {
  const { bitwise } = attribute;
  return expression(
    'bitwise',
    [bitwise.source, register.data],
    [bitwise.target, register.data],
    [bitwise.length, mask.length],
    value(bitwise.mask, mask),
    value(bitwise.exclusiveOr, new Uint8Array(mask.length)),
  );
}

function decide(code: number, chain?: string): Field {
  const { immediate, data, verdict: named } = attribute;
  const target: Field[] = chain === undefined ? [] : [[named.chain, chain]];
  const decision: Field = [data.verdict, [[named.code, code], ...target]];
  return expression('immediate', [immediate.register, register.verdict], [immediate.data, [decision]]);
}

const count = expression('counter');

function reject(type: number, code: number): Field {
  return expression('reject', [attribute.reject.type, type], [attribute.reject.code, Uint8Array.of(code)]);
}

/** Continues only with packets of one transport protocol. */
function isProtocol(number: number): Field[] {
  return [loadMeta(metaKey.l4proto), compareWith(compare.equal, number)];
}

/**
 * Loads the source of a packet of `family`, masked to `prefix` bits, into the register; packets of
 * the other family do not match.
 */
function loadSource(family: 4 | 6, prefix: number): Field[] {
  const length = keyBytes[family];
  return [
    loadMeta(metaKey.nfproto),
    compareWith(compare.equal, nfproto[family]),
    loadPayload(headerBase.network, sourceOffset[family], length),
    ...(prefix < length * 8 ? [maskWith(prefixMask(prefix, length))] : []),
  ];
}

/** Compares the two bytes in the register with a range of ports, in network order. */
function isPort({ first, last }: PortRange): Field[] {
  const compared = (operator: number, port: number) => compareWith(operator, port >> 8, port & 0xff);
  if (first === last) return [compared(compare.equal, first)];
  return [compared(compare.greaterOrEqual, first), compared(compare.lessOrEqual, last)];
}

// --- Rules ---------------------------------------------------------------------------------------

function addRule(batch: Batch, chain: string, operation: string, ...expressions: Field[]): void {
  const { rule } = attribute;
  const fields: Field[] = [
    [rule.chain, chain],
    [rule.expressions, expressions],
  ];
  batch.add(command.newRule, flagCreate | flagAppend, operation, fields);
}

/** A rule for each prefix length in the jail's sets. */
export function addDropRules(batch: Batch, { chain, denial, sets, lists }: JailLayout): void {
  for (const set of [sets[4], sets[6]]) {
    for (const width of widths(set)) addDropRule(batch, chain, set, width, denial);
  }
  for (const set of lists) addDropRule(batch, chain, set, set.prefix, denial);
}

/**
 * `[ip|ip6] saddr [& mask] @set counter drop`, or with `denial` a `goto` to that chain instead.
 * Only 6to4 sources (`ip6 saddr 2002::/16`) are looked up with the prefix length of 6to4.
 */
function addDropRule(batch: Batch, chain: string, set: SetLayout, width: number, denial: string | undefined): void {
  const { lookup } = attribute;
  const isSixToFour = set.family === 6 && width === sixToFour.bits && width !== set.prefix;
  const { head } = sixToFour;
  addRule(
    batch,
    chain,
    `add rule for set ${set.name}`,
    ...(isSixToFour
      ? [
          loadMeta(metaKey.nfproto),
          compareWith(compare.equal, nfproto[6]),
          loadPayload(headerBase.network, sourceOffset[6], head.length),
          compareWith(compare.equal, ...head),
        ]
      : []),
    ...loadSource(set.family, width),
    expression('lookup', [lookup.register, register.data], [lookup.set, set.name]),
    ...(denial === undefined ? [count, decide(verdict.drop)] : [decide(verdict.goTo, denial)]),
  );
}

/**
 * `[ip|ip6] saddr [& mask] == network return`: its packets go back to the chain that jumped here.
 */
export function addAllowRule(batch: Batch, chain: string, { family, prefix, bytes }: Address): void {
  const length = keyBytes[family];
  const mask = prefixMask(prefix, length);
  const network = mask.map((bits, index) => bits & bytes[16 - length + index]!);
  const source = loadSource(family, prefix);
  const isInside = compareWith(compare.equal, ...network);
  addRule(batch, chain, `add allow rule to ${chain}`, ...source, isInside, decide(verdict.return));
}

/** The same for addresses of a list: `[ip|ip6] saddr [& mask] @set return`. */
export function addAllowSetRule(batch: Batch, chain: string, { name, family, prefix }: SetLayout): void {
  const { lookup } = attribute;
  const isListed = expression('lookup', [lookup.register, register.data], [lookup.set, name]);
  const operation = `add allow rule for set ${name}`;
  addRule(batch, chain, operation, ...loadSource(family, prefix), isListed, decide(verdict.return));
}

/** The end of a denial chain: `counter drop`, or an answer. */
export function addDenialRules(batch: Batch, chain: string, action: BanAction): void {
  const rule = (...expressions: Field[]) => addRule(batch, chain, `add ${action} to ${chain}`, ...expressions);
  if (action === 'drop') {
    rule(count, decide(verdict.drop));
    return;
  }
  rule(...isProtocol(protocolNumber.tcp), count, reject(rejectWith.tcpReset, 0));
  rule(count, reject(rejectWith.icmpOfEither, administrativelyProhibited));
}

/** `jump chain` for every packet. */
export function addJumpRule(batch: Batch, chain: string, target: string): void {
  addRule(batch, chain, `add jump to ${target}`, decide(verdict.jump, target));
}

/**
 * The rules that send packets for some ports to a jail's chain. At the hook `forward` the packet's
 * port may be that of a container behind a destination NAT: there the port that the client asked
 * for counts, which conntrack remembers. A packet without a connection (untracked) was not
 * translated.
 *
 *     input:    [tcp|udp] dport RANGE jump chain
 *     forward:  [tcp|udp] ct original proto-dst RANGE jump chain
 *               [tcp|udp] ct state invalid,untracked dport RANGE jump chain
 */
export function addPortRules(
  batch: Batch,
  hook: Hook,
  target: string,
  { protocol, ports }: { protocol: 'tcp' | 'udp'; ports: PortRange },
): void {
  const rule = (...loadPort: Field[]) => {
    const isOurs = [...isProtocol(protocolNumber[protocol]), ...loadPort, ...isPort(ports)];
    addRule(batch, hook, `add jump to ${target}`, ...isOurs, decide(verdict.jump, target));
  };
  const ownPort = loadPayload(headerBase.transport, 2, 2);
  if (hook === 'input') {
    rule(ownPort);
    return;
  }
  const original: Field = [attribute.conntrack.direction, Uint8Array.of(originalDirection)];
  rule(loadConnection(conntrackKey.destinationPort, original));
  const isUntracked = [maskWith(withoutConnection), compareWith(compare.notEqual, 0, 0, 0, 0)];
  rule(loadConnection(conntrackKey.state), ...isUntracked, ownPort);
}

/**
 * `icmpv6 type 133-137 accept`: neighbour discovery passes, whatever is banned. A router or a host
 * of our own link may be in a banned prefix; without its answers we would lose the network. The
 * kernel accepts these messages from the local link only (hop limit 255).
 */
export function addDiscoveryRule(batch: Batch, hook: Hook): void {
  addRule(
    batch,
    hook,
    `let neighbour discovery pass at ${hook}`,
    ...isProtocol(protocolNumber.icmp6),
    loadMeta(metaKey.nfproto),
    compareWith(compare.equal, nfproto[6]),
    loadPayload(headerBase.transport, 0, 1),
    compareWith(compare.greaterOrEqual, discoveryTypes.first),
    compareWith(compare.lessOrEqual, discoveryTypes.last),
    decide(verdict.accept),
  );
}
