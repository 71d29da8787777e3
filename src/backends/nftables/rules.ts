/**
 * The rules of our chains, as nf_tables expressions. Each rule asks the packet one thing after the
 * other and ends at the first that is not so.
 */
import type { Address, BanAction, PortRange } from '../../types.ts';
import { discoveryTypes, keyBytes, prefixMask } from '../elements.ts';
import { flagAppend, flagCreate, type MessageWriter } from '../netlink/message.ts';
import type { Batch, SetLayout } from './messages.ts';
import { attribute, command, type Hook, verdict } from './numbers.ts';

const register = { verdict: 0, data: 1 } as const;
const compare = { equal: 0, notEqual: 1, lessOrEqual: 3, greaterOrEqual: 5 } as const;
const metaKey = { nfproto: 15, l4proto: 16 } as const;
const conntrackKey = { state: 0, destinationPort: 12 } as const;
/** IP_CT_DIR_ORIGINAL. */
const originalDirection = 0;
/** NF_CT_STATE_INVALID_BIT and NF_CT_STATE_UNTRACKED_BIT, in the machine's order. */
const withoutConnection = Uint8Array.of(0x41, 0, 0, 0);
const protocolNumber = { tcp: 6, udp: 17, icmp6: 58 } as const;
const headerBase = { network: 1, transport: 2 } as const;
const sourceOffset = { 4: 12, 6: 8 } as const;
const nfproto = { 4: 2, 6: 10 } as const;
/** nft_reject_types, and the code that the kernel translates for either family. */
const rejectWith = { tcpReset: 1, icmpOfEither: 2 } as const;
const administrativelyProhibited = 3;

function expression(writer: MessageWriter, name: string, body: () => void): void {
  writer.begin(attribute.list.item);
  writer.text(attribute.expression.name, name);
  writer.begin(attribute.expression.data);
  body();
  writer.end();
  writer.end();
}

function value(writer: MessageWriter, type: number, bytes: Uint8Array): void {
  writer.begin(type);
  writer.raw(attribute.data.value, bytes);
  writer.end();
}

function loadMeta(writer: MessageWriter, key: number): void {
  expression(writer, 'meta', () => {
    writer.u32(attribute.meta.key, key);
    writer.u32(attribute.meta.register, register.data);
  });
}

function loadConnection(writer: MessageWriter, key: number, direction?: number): void {
  expression(writer, 'ct', () => {
    writer.u32(attribute.conntrack.register, register.data);
    writer.u32(attribute.conntrack.key, key);
    if (direction !== undefined) writer.u8(attribute.conntrack.direction, direction);
  });
}

function loadPayload(writer: MessageWriter, base: number, offset: number, length: number): void {
  expression(writer, 'payload', () => {
    writer.u32(attribute.payload.register, register.data);
    writer.u32(attribute.payload.base, base);
    writer.u32(attribute.payload.offset, offset);
    writer.u32(attribute.payload.length, length);
  });
}

function compareWith(writer: MessageWriter, operator: number, bytes: number[]): void {
  expression(writer, 'cmp', () => {
    writer.u32(attribute.compare.register, register.data);
    writer.u32(attribute.compare.operator, operator);
    value(writer, attribute.compare.data, Uint8Array.from(bytes));
  });
}

function maskWith(writer: MessageWriter, mask: Uint8Array): void {
  expression(writer, 'bitwise', () => {
    writer.u32(attribute.bitwise.source, register.data);
    writer.u32(attribute.bitwise.target, register.data);
    writer.u32(attribute.bitwise.length, mask.length);
    value(writer, attribute.bitwise.mask, mask);
    value(writer, attribute.bitwise.exclusiveOr, new Uint8Array(mask.length));
  });
}

function decide(writer: MessageWriter, code: number, chain?: string): void {
  expression(writer, 'immediate', () => {
    writer.u32(attribute.immediate.register, register.verdict);
    writer.begin(attribute.immediate.data);
    writer.begin(attribute.data.verdict);
    writer.u32(attribute.verdict.code, code);
    if (chain !== undefined) writer.text(attribute.verdict.chain, chain);
    writer.end();
    writer.end();
  });
}

function addRule(
  batch: Batch,
  table: string,
  chain: string,
  operation: string,
  body: (w: MessageWriter) => void,
): void {
  batch.add(command.newRule, flagCreate | flagAppend, operation, (writer) => {
    writer.text(attribute.rule.table, table);
    writer.text(attribute.rule.chain, chain);
    writer.begin(attribute.rule.expressions);
    body(writer);
    writer.end();
  });
}

/**
 * Loads the source of a packet of `family`, cut to `prefix` bits, into the register; packets of the
 * other family fall through.
 */
function loadSource(writer: MessageWriter, family: 4 | 6, prefix: number): void {
  const length = keyBytes[family];
  loadMeta(writer, metaKey.nfproto);
  compareWith(writer, compare.equal, [nfproto[family]]);
  loadPayload(writer, headerBase.network, sourceOffset[family], length);
  if (prefix < length * 8) maskWith(writer, prefixMask(prefix, length));
}

/** `[ip|ip6] saddr [& mask] @set counter drop`, or with `denial` a `goto` that chain instead. */
export function addDropRule(batch: Batch, table: string, chain: string, set: SetLayout, denial?: string): void {
  addRule(batch, table, chain, `add rule for set ${set.name}`, (writer) => {
    loadSource(writer, set.family, set.prefix);
    expression(writer, 'lookup', () => {
      writer.u32(attribute.lookup.register, register.data);
      writer.text(attribute.lookup.set, set.name);
    });
    if (denial !== undefined) return decide(writer, verdict.goTo, denial);
    expression(writer, 'counter', () => undefined);
    decide(writer, verdict.drop);
  });
}

/**
 * `[ip|ip6] saddr [& mask] == network return`: its packets go back to where the jail's chain was
 * left for.
 */
export function addAllowRule(batch: Batch, table: string, chain: string, network: Address): void {
  addRule(batch, table, chain, `add allow rule to ${chain}`, (writer) => {
    const length = keyBytes[network.family];
    loadSource(writer, network.family, network.prefix);
    const mask = prefixMask(network.prefix, length);
    compareWith(
      writer,
      compare.equal,
      [...network.bytes.subarray(16 - length)].map((byte, index) => byte & mask[index]!),
    );
    decide(writer, verdict.return);
  });
}

/** What becomes of packets that reach the end of a denial chain: `counter drop`, or an answer. */
export function addDenialRules(batch: Batch, table: string, chain: string, action: BanAction): void {
  const rule = (body: (writer: MessageWriter) => void) =>
    addRule(batch, table, chain, `add ${action} to ${chain}`, body);
  const reject = (writer: MessageWriter, type: number, code: number) => {
    expression(writer, 'counter', () => undefined);
    expression(writer, 'reject', () => {
      writer.u32(attribute.reject.type, type);
      writer.u8(attribute.reject.code, code);
    });
  };
  if (action === 'drop') {
    rule((writer) => {
      expression(writer, 'counter', () => undefined);
      decide(writer, verdict.drop);
    });
    return;
  }
  rule((writer) => {
    loadMeta(writer, metaKey.l4proto);
    compareWith(writer, compare.equal, [protocolNumber.tcp]);
    reject(writer, rejectWith.tcpReset, 0);
  });
  rule((writer) => reject(writer, rejectWith.icmpOfEither, administrativelyProhibited));
}

/** Compares the two bytes in the register, a port in network order. */
function compareWithPorts(writer: MessageWriter, { first, last }: PortRange): void {
  const bytes = (port: number) => [port >> 8, port & 0xff];
  if (first === last) compareWith(writer, compare.equal, bytes(first));
  else {
    compareWith(writer, compare.greaterOrEqual, bytes(first));
    compareWith(writer, compare.lessOrEqual, bytes(last));
  }
}

/** `jump chain`: every packet. */
export function addJumpRule(batch: Batch, table: string, chain: string, target: string): void {
  addRule(batch, table, chain, `add jump to ${target}`, (writer) => decide(writer, verdict.jump, target));
}

/**
 * The rules that send packets to some ports to a jail's chain. At the hook `forward` the packet's
 * own port may be that of a container behind a destination NAT: there the port that the client
 * asked for counts, which the connection remembers. A packet without a connection (untracked) was
 * not translated.
 *
 *     input:    [tcp|udp] dport RANGE jump chain
 *     forward:  [tcp|udp] ct original proto-dst RANGE jump chain
 *               [tcp|udp] ct state invalid,untracked dport RANGE jump chain
 */
export function addPortRules(
  batch: Batch,
  table: string,
  hook: Hook,
  target: string,
  { protocol, ports }: { protocol: 'tcp' | 'udp'; ports: PortRange },
): void {
  const rule = (loadPort: (writer: MessageWriter) => void) =>
    addRule(batch, table, hook, `add jump to ${target}`, (writer) => {
      loadMeta(writer, metaKey.l4proto);
      compareWith(writer, compare.equal, [protocolNumber[protocol]]);
      loadPort(writer);
      compareWithPorts(writer, ports);
      decide(writer, verdict.jump, target);
    });
  const loadOwnPort = (writer: MessageWriter) => loadPayload(writer, headerBase.transport, 2, 2);
  if (hook === 'input') {
    rule(loadOwnPort);
    return;
  }
  rule((writer) => loadConnection(writer, conntrackKey.destinationPort, originalDirection));
  rule((writer) => {
    loadConnection(writer, conntrackKey.state);
    maskWith(writer, withoutConnection);
    compareWith(writer, compare.notEqual, [0, 0, 0, 0]);
    loadOwnPort(writer);
  });
}

/**
 * `icmpv6 type 133-137 accept`: neighbour discovery passes whatever is banned. A router or a host
 * of our own link may be in a banned prefix; without its answers we would lose the network. The
 * kernel takes these messages from the own link only (hop limit 255).
 */
export function addDiscoveryRule(batch: Batch, table: string, hook: Hook): void {
  addRule(batch, table, hook, `let neighbour discovery pass at ${hook}`, (writer) => {
    loadMeta(writer, metaKey.l4proto);
    compareWith(writer, compare.equal, [protocolNumber.icmp6]);
    loadMeta(writer, metaKey.nfproto);
    compareWith(writer, compare.equal, [nfproto[6]]);
    loadPayload(writer, headerBase.transport, 0, 1);
    compareWith(writer, compare.greaterOrEqual, [discoveryTypes.first]);
    compareWith(writer, compare.lessOrEqual, [discoveryTypes.last]);
    decide(writer, verdict.accept);
  });
}
