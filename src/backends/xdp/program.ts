/**
 * The eBPF program of the xdp backend: drops the packets of a banned source before the network
 * stack sees them. The attacker controls the packet: every byte is bounds-checked before it is
 * read, as the verifier demands, and a packet passes unless it is known to come from a banned
 * source.
 *
 *   Ethernet → up to two VLAN tags → IPv4: source in `drop4`; IPv6: source, masked to each
 *   prefix length in use, in `drop6`
 *   value: a slot for each scope (see below) that says until when the source is dropped there
 *
 * A scope is a set of jails with the same ports and the same allowed networks. If a scope has
 * ports, the destination port is read after IPv4 options and up to `xdpExtensionBytesMax` of IPv6
 * extension headers; `ports` says in which scopes it is. A later fragment has no ports and passes
 * there: without its first fragment it never becomes a packet. A banned source cannot hide its
 * ports behind more headers or a truncated one: such a packet is dropped if the source is banned in
 * any scope.
 *
 * Pointers into the packet only move by constants: Linux 6.1 lets them move by a register only with
 * CAP_PERFMON, which the daemon does not have.
 */
import { xdpExtensionBytesMax } from '../../limits.ts';
import { maskByte } from '../../text/address.ts';
import type { JailScaffold } from '../../types.ts';
import { discoveryTypes } from '../elements.ts';
import { Assembler, helper } from './bpf.ts';

/** XDP_DROP and XDP_PASS. */
const verdict = { drop: 1, pass: 2 } as const;
/** EtherTypes as a little-endian load reads them. */
const etherType = { ipv4: 0x0008, ipv6: 0xdd86, vlan: 0x0081, serviceVlan: 0xa888 } as const;
const ethernetBytes = 14;
const vlanBytes = 4;
const ipv4 = { header: 20, fragment: 6, protocol: 9, source: 12 } as const;
const ipv6 = { header: 40, nextHeader: 6, source: 8 } as const;
const vlanTagsMax = 2;
/** struct xdp_md: where the packet starts and ends. */
const context = { data: 0, end: 4 } as const;
const transport = { tcp: 6, udp: 17, icmp6: 58 } as const;
/** Headers between an IPv6 header and its transport header, by the format of their length. */
const extension = { plain: [0, 43, 60, 135, 139, 140], fragment: 44, authentication: 51 } as const;
/** Their lengths are multiples of this; a header with another length has no end for us. */
const extensionStepBytes = 8;
/** The bits that are set in a later fragment, as a little-endian load reads them. */
const laterFragment = { 4: 0xff1f, 6: 0xf8ff } as const;

/**
 * Numbers of a destination: a TCP port, a UDP port (above the TCP ones), no port, or one that
 * cannot be found.
 */
const destination = { tcp: 0, udp: 0x1_0000, none: 0x2_0000, hidden: 0x2_0001 } as const;
export const destinations = destination.hidden + 1;

/**
 * Key of `drop6` and of the allowed networks: u32 prefix length, then the 16 bytes of the prefix.
 */
export const drop6KeyBytes = 20;
export const drop4KeyBytes = 4;
/**
 * Stack offset of a number used as a key: beside those keys, in the half of a slot that no spill
 * uses.
 */
const numberAt = -28;
/** Value of both: a slot for each scope. */
export const slotBytes = 8;
/**
 * Value of `ports`: one bit for each scope that contains the destination. Value of `allow`: one bit
 * for each scope that does not let the network pass.
 */
export const scopeBitsBytes = 4;

/**
 * A slot without end. Other slots hold the end on the boot clock in nanoseconds. Both have the
 * jail's number in the lowest byte.
 */
const withoutEnd = 0xffff_ffff_ffff_ff00n;

/** @param end nanoseconds on the boot clock, 0 = without end @param jail below 256 */
export function slotOf(end: bigint, jail: number): bigint {
  return (end === 0n ? withoutEnd : (end + 0xffn) & withoutEnd) | BigInt(jail);
}

/** The number of the jail whose counter a slot uses. */
export const jailOfSlot = (slot: bigint): number => Number(slot & 0xffn);

/**
 * The scopes of each destination, as bits, for scopes with these ports and protocols; a scope
 * without ports contains every destination.
 */
export function scopesByDestination(scopes: readonly Pick<JailScaffold, 'ports' | 'protocols'>[]): Uint32Array {
  const bits = new Uint32Array(destinations);
  scopes.forEach(({ ports, protocols }, scope) => {
    const put = (first: number, last: number) => {
      for (let index = first; index <= last; index++) bits[index]! |= 1 << scope;
    };
    if (ports.length === 0) put(0, destination.none);
    for (const protocol of protocols) {
      for (const { first, last } of ports) put(destination[protocol] + first, destination[protocol] + last);
    }
    put(destination.hidden, destination.hidden);
  });
  return bits;
}

/** Descriptors. */
export interface XdpMaps {
  drop4: number;
  drop6: number;
  /** Dropped packets, by the number of the jail. */
  counters: number;
  /** undefined = no scope has ports. */
  ports: number | undefined;
  /** undefined = no network is allowed. */
  allow: number | undefined;
  /** The program does not read it but keeps the map alive, so that a later start finds it. */
  bans: number;
}

/** Bits of word `index` of a prefix, as a little-endian load sees them. */
function wordMask(prefix: number, index: number): number {
  let mask = 0;
  for (let byte = 0; byte < 4; byte++) {
    mask |= maskByte(prefix, index * 4 + byte) << (byte * 8);
  }
  return mask;
}

/**
 * @param prefixes lengths of IPv6 prefixes that may be banned, each looked up @param scopes number
 * of scopes
 */
export function xdpProgram(maps: XdpMaps, prefixes: readonly number[], scopes: number): Buffer {
  const code = new Assembler();
  // A map lives as long as a program refers to it.
  code.loadMap(2, maps.bans);
  // r6: start of the unread part, later the IP header; r7: end of the packet; r3: EtherType; r8:
  // destination.
  code
    .load('word', 6, 1, context.data)
    .load('word', 7, 1, context.end)
    .move(2, 6)
    .add(2, ethernetBytes)
    .jumpIfRegister(2, 'greater', 7, 'pass')
    .load('half', 3, 6, ethernetBytes - 2)
    .add(6, ethernetBytes);
  for (let tag = 0; tag < vlanTagsMax; tag++) {
    code
      .jumpIf(3, 'equal', etherType.vlan, `tag ${tag}`)
      .jumpIf(3, 'equal', etherType.serviceVlan, `tag ${tag}`)
      .jump('network')
      .label(`tag ${tag}`)
      .move(2, 6)
      .add(2, vlanBytes)
      .jumpIfRegister(2, 'greater', 7, 'pass')
      .load('half', 3, 6, 2)
      .add(6, vlanBytes);
  }
  code
    .label('network')
    .jumpIf(3, 'equal', etherType.ipv4, 'ipv4')
    .jumpIf(3, 'equal', etherType.ipv6, 'ipv6')
    .jump('pass');

  code.label('ipv4').move(2, 6).add(2, ipv4.header).jumpIfRegister(2, 'greater', 7, 'pass');
  if (maps.ports !== undefined) findDestination4(code);
  code.load('word', 3, 6, ipv4.source).store('word', 10, -drop4KeyBytes, 3);
  // An IPv4 ban is one address: if it is allowed, it is never banned.
  lookUp(code, { map: maps.drop4, keyBytes: drop4KeyBytes, ports: maps.ports, allow: undefined, scopes, name: 'IPv4' });
  code.label('not in IPv4').jump('pass');

  code.label('ipv6').move(2, 6).add(2, ipv6.header).jumpIfRegister(2, 'greater', 7, 'pass');
  passDiscovery(code);
  if (maps.ports !== undefined) findDestination6(code);
  for (const prefix of prefixes) {
    storeKey6(code, prefix);
    const { drop6: map, ports, allow } = maps;
    lookUp(code, { map, keyBytes: drop6KeyBytes, ports, allow, scopes, name: `IPv6 /${prefix}` });
    code.label(`not in IPv6 /${prefix}`);
  }
  code.jump('pass');

  // r1: the slot; its lowest byte is the jail, which is the number of its counter.
  code
    .label('banned')
    .mask(1, 0xff)
    .store('word', 10, numberAt, 1)
    .loadMap(1, maps.counters)
    .move(2, 10)
    .add(2, numberAt)
    .call(helper.mapLookup)
    .jumpIf(0, 'equal', 0, 'drop')
    .set(1, 1)
    .addToMemory(0, 0, 1)
    .label('drop')
    .set(0, verdict.drop)
    .exit();
  return code.label('pass').set(0, verdict.pass).exit().finish();
}

/** Neighbour discovery passes, whatever is banned: without it we could lose the network. */
function passDiscovery(code: Assembler): void {
  code
    .load('byte', 3, 6, ipv6.nextHeader)
    .jumpIf(3, 'notEqual', transport.icmp6, 'no discovery')
    .move(2, 6)
    .add(2, ipv6.header + 1)
    .jumpIfRegister(2, 'greater', 7, 'no discovery')
    .load('byte', 3, 6, ipv6.header)
    .jumpIf(3, 'less', discoveryTypes.first, 'no discovery')
    .jumpIf(3, 'less', discoveryTypes.last + 1, 'pass')
    .label('no discovery');
}

/**
 * Stores the source, masked to `prefix` bits, as a key at the end of the stack. In units of eight
 * bytes: before 6.8, Linux treats a write of half a slot as one that could corrupt a pointer,
 * unless the process has CAP_PERFMON.
 */
function storeKey6(code: Assembler, prefix: number): void {
  const start = -drop6KeyBytes;
  code.storeValue('word', 10, start, prefix);
  for (let word = 0; word < 4; word += 2) {
    code
      .load('word', 3, 6, ipv6.source + word * 4)
      .mask(3, wordMask(prefix, word))
      .load('word', 4, 6, ipv6.source + word * 4 + 4)
      .mask(4, wordMask(prefix, word + 1))
      .shiftLeft(4, 32)
      .addRegister(3, 4)
      .store('double', 10, start + 4 + word * 4, 3);
  }
}

// --- Destination: into r8; r6 stays --------------------------------------------------------------

function findDestination4(code: Assembler): void {
  code
    .load('byte', 5, 6, 0)
    .mask(5, 0x0f)
    .load('half', 4, 6, ipv4.fragment)
    .jumpIf(4, 'anyBit', laterFragment[4], 'none 4')
    .load('byte', 3, 6, ipv4.protocol)
    .move(2, 6)
    .add(2, ipv4.header);
  for (let words = ipv4.header / 4; words <= 0x0f; words++) code.jumpIf(5, 'equal', words, 'transport 4').add(2, 4);
  code.jump('hidden 4').label('transport 4');
  findPort(code, 4);
}

/** Eight bytes a step, whatever a header says of its length: see above. */
function findDestination6(code: Assembler): void {
  // r2: what to read, r3: the number of the header there, r4: what is left of the one before it.
  code.load('byte', 3, 6, ipv6.nextHeader).move(2, 6).add(2, ipv6.header).set(4, 0);
  for (let step = 0; step <= xdpExtensionBytesMax / extensionStepBytes; step++) {
    code
      .jumpIf(4, 'notEqual', 0, `within ${step}`)
      .jumpIf(3, 'equal', transport.tcp, 'transport 6')
      .jumpIf(3, 'equal', transport.udp, 'transport 6');
    for (const number of [...extension.plain, extension.fragment, extension.authentication]) {
      code.jumpIf(3, 'equal', number, `extension ${step}`);
    }
    code
      .jump('none 6')
      .label(`extension ${step}`)
      .move(1, 2)
      .add(1, extensionStepBytes)
      .jumpIfRegister(1, 'greater', 7, 'hidden 6')
      .jumpIf(3, 'equal', extension.fragment, `fragment ${step}`)
      .load('byte', 4, 2, 1)
      .shiftLeft(4, 3)
      .jumpIf(3, 'notEqual', extension.authentication, `number ${step}`)
      .shiftRight(4, 1)
      .jump(`number ${step}`)
      .label(`fragment ${step}`)
      .load('half', 4, 2, 2)
      .jumpIf(4, 'anyBit', laterFragment[6], 'none 6')
      .set(4, 0)
      .label(`number ${step}`)
      .load('byte', 3, 2, 0)
      .jump(`next ${step}`)
      .label(`within ${step}`)
      .add(4, -extensionStepBytes)
      .label(`next ${step}`)
      .add(2, extensionStepBytes);
  }
  code.jump('hidden 6').label('transport 6');
  findPort(code, 6);
}

/** r2: the transport header, r3: its protocol. */
function findPort(code: Assembler, family: 4 | 6): void {
  code
    .set(8, destination.tcp)
    .jumpIf(3, 'equal', transport.tcp, `ports ${family}`)
    .set(8, destination.udp)
    .jumpIf(3, 'notEqual', transport.udp, `none ${family}`)
    .label(`ports ${family}`)
    .move(1, 2)
    .add(1, 4)
    .jumpIfRegister(1, 'greater', 7, `hidden ${family}`)
    .load('half', 4, 2, 2)
    .fromNetworkHalf(4)
    .addRegister(8, 4)
    .jump(`destination ${family}`)
    .label(`none ${family}`)
    .set(8, destination.none)
    .jump(`destination ${family}`)
    .label(`hidden ${family}`)
    .set(8, destination.hidden)
    .label(`destination ${family}`);
}

// --- Lookup --------------------------------------------------------------------------------------

interface Lookup {
  map: number;
  keyBytes: number;
  ports: number | undefined;
  allow: number | undefined;
  scopes: number;
  /** Part of the labels. */
  name: string;
}

/**
 * Looks up the key at the end of the stack: jumps to `banned` if a scope of the packet drops its
 * source now, else to `not in`.
 */
function lookUp(code: Assembler, { map, keyBytes, ports, allow, scopes, name }: Lookup): void {
  const absent = `not in ${name}`;
  const find = (descriptor: number, at: number, otherwise: string) =>
    code.loadMap(1, descriptor).move(2, 10).add(2, at).call(helper.mapLookup).jumpIf(0, 'equal', 0, otherwise);
  find(map, -keyBytes, absent);
  // Few packets get here: only banned sources pay for what follows. r9: the slots, r7: the scopes
  // of the packet.
  code.move(9, 0).set(7, -1);
  if (ports !== undefined) {
    code.store('word', 10, numberAt, 8);
    find(ports, numberAt, absent);
    code.load('word', 7, 0, 0);
  }
  if (allow !== undefined) {
    storeKey6(code, 128);
    find(allow, -drop6KeyBytes, `${absent}, not allowed`);
    code.load('word', 1, 0, 0).andRegister(7, 1).label(`${absent}, not allowed`);
  }
  code.call(helper.bootNanoseconds);
  for (let scope = 0; scope < scopes; scope++) {
    const next = `${absent}, scope ${scope}`;
    code
      .load('double', 1, 9, scope * slotBytes)
      .jumpIfRegister(0, 'greater', 1, next)
      // Each bit is tested in another register: the verifier would remember each test of r7 and try
      // every combination.
      .move(2, 7)
      .shiftRight(2, scope)
      .mask(2, 1)
      .jumpIf(2, 'notEqual', 0, 'banned')
      .label(next);
  }
  code.jump(absent);
}
