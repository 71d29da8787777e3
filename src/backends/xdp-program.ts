/**
 * The eBPF program of the xdp backend: drops every packet of a banned source as it comes off the wire, before the network
 * stack sees it. The packet is the attacker's: every byte is bounds-checked before it is read, as the verifier demands, and
 * whatever the program does not understand passes.
 *
 *   Ethernet → up to two VLAN tags → IPv4: source in `drop4`; IPv6: source, masked to each prefix length in use, in `drop6`
 *   value: end of the ban on the boot clock in nanoseconds, 0 = never; over: passes
 */
import { Assembler, helper } from './bpf.ts';

/** XDP_DROP and XDP_PASS. */
const verdict = { drop: 1, pass: 2 } as const;
/** EtherTypes as a little-endian load reads them. */
const etherType = { ipv4: 0x0008, ipv6: 0xdd86, vlan: 0x0081, serviceVlan: 0xa888 } as const;
const ethernetBytes = 14;
const vlanBytes = 4;
const ipv4 = { header: 20, source: 12 } as const;
const ipv6 = { header: 40, source: 8 } as const;
const vlanTagsMax = 2;
/** struct xdp_md: where the packet starts and ends. */
const context = { data: 0, end: 4 } as const;

/** Key of `drop6`: u32 prefix length, then the 16 bytes of the prefix. */
export const drop6KeyBytes = 20;
export const drop4KeyBytes = 4;
/** Value of both: u64 nanoseconds. */
export const dropValueBytes = 8;
/** Elements of the counter map: packets dropped of each family. */
export const counted = { 4: 0, 6: 1 } as const;

export interface XdpMaps {
  drop4: number;
  drop6: number;
  counters: number;
  /** Not read by the program: it only keeps the map, so that a later start finds it. */
  bans: number;
}

/** Bits of word `index` of a prefix, as a little-endian load sees them. */
function wordMask(prefix: number, index: number): number {
  let mask = 0;
  for (let byte = 0; byte < 4; byte++) {
    const bits = Math.min(8, Math.max(0, prefix - index * 32 - byte * 8));
    mask |= ((0xff00 >> bits) & 0xff) << (byte * 8);
  }
  return mask;
}

/** @param maps descriptors @param prefixes lengths of IPv6 prefixes that may be banned, each looked up */
export function xdpProgram(maps: XdpMaps, prefixes: readonly number[]): Buffer {
  const code = new Assembler();
  // A map lives as long as a program refers to it.
  code.loadMap(2, maps.bans);
  // r6: what is not read yet, r7: end of the packet, r3: EtherType.
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
    .jump('pass')

    .label('ipv4')
    .move(2, 6)
    .add(2, ipv4.header)
    .jumpIfRegister(2, 'greater', 7, 'pass')
    .load('word', 3, 6, ipv4.source)
    .store('word', 10, -drop4KeyBytes, 3);
  lookUp(code, maps.drop4, drop4KeyBytes, 'drop 4', 'pass');

  code.label('ipv6').move(2, 6).add(2, ipv6.header).jumpIfRegister(2, 'greater', 7, 'pass');
  for (const prefix of prefixes) {
    code.storeValue('word', 10, -drop6KeyBytes, prefix);
    for (let word = 0; word < 4; word++) {
      code
        .load('word', 3, 6, ipv6.source + word * 4)
        .mask(3, wordMask(prefix, word))
        .store('word', 10, -drop6KeyBytes + 4 + word * 4, 3);
    }
    lookUp(code, maps.drop6, drop6KeyBytes, 'drop 6', `not in /${prefix}`);
    code.label(`not in /${prefix}`);
  }
  code.jump('pass');

  for (const family of [4, 6] as const) {
    code
      .label(`drop ${family}`)
      .storeValue('word', 10, -4, counted[family])
      .loadMap(1, maps.counters)
      .move(2, 10)
      .add(2, -4)
      .call(helper.mapLookup)
      .jumpIf(0, 'equal', 0, 'drop')
      .set(1, 1)
      .addToMemory(0, 0, 1)
      .jump('drop');
  }
  code.label('drop').set(0, verdict.drop).exit();
  return code.label('pass').set(0, verdict.pass).exit().finish();
}

/** Looks the key at the stack's end up: to `found` while its ban runs, else to `absent`. */
function lookUp(code: Assembler, map: number, keyBytes: number, found: string, absent: string): void {
  code
    .loadMap(1, map)
    .move(2, 10)
    .add(2, -keyBytes)
    .call(helper.mapLookup)
    .jumpIf(0, 'equal', 0, absent)
    .load('double', 8, 0, 0)
    .jumpIf(8, 'equal', 0, found)
    .call(helper.bootNanoseconds)
    .jumpIfRegister(0, 'greater', 8, absent)
    .jump(found);
}
