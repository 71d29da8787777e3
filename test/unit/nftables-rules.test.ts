/**
 * What our nf_tables rules do with packets, by a small interpreter of their expressions: the kernel
 * tests (test/netns) show that the kernel reads them alike.
 */
import { describe, expect, test } from 'vitest';
import { keyText } from '../../src/backends/elements.ts';
import type { Field } from '../../src/backends/netlink/message.ts';
import type { Batch, JailLayout, SetLayout } from '../../src/backends/nftables/messages.ts';
import { attribute, command, type Hook, verdict } from '../../src/backends/nftables/numbers.ts';
import * as rules from '../../src/backends/nftables/rules.ts';
import { parseCidr } from '../../src/text/address.ts';
import type { Address } from '../../src/types.ts';

/** A packet as the rules see it. */
interface Packet {
  source: string;
  protocol: number;
  port: number;
  /** The port that the client asked for, as conntrack has it; absent: there is no connection. */
  asked?: number;
  icmpType?: number;
}

const tcp = 6;
const udp = 17;
const icmp6 = 58;
const address = (text: string): Address => parseCidr(text, 'clear') as Address;
const keyOf = ({ family, bytes }: Address): Uint8Array => (family === 4 ? bytes.slice(12) : bytes);

/** Chains and sets of a table that exists in this test alone. */
class Table {
  readonly #chains = new Map<string, (readonly Field[])[]>();
  readonly sets = new Map<string, Set<string>>();
  /** Takes rules like a transaction. */
  readonly batch = {
    add: (number: number, _flags: number, _operation: string, fields: readonly Field[]) => {
      expect(number).toBe(command.newRule);
      const [, chain] = fields.find(([type]) => type === attribute.rule.chain) as [number, string];
      const [, list] = fields.find(([type]) => type === attribute.rule.expressions) as [number, readonly Field[]];
      this.#chains.set(chain, [...(this.#chains.get(chain) ?? []), list]);
    },
  } as unknown as Batch;

  put(set: SetLayout, ...elements: string[]): void {
    this.sets.set(set.name, new Set(elements.map((text) => keyText(keyOf(address(text))))));
  }

  /** What becomes of a packet: `pass` where no rule decides. */
  verdictOf(packet: Packet, chain: string): string {
    for (const rule of this.#chains.get(chain) ?? []) {
      const found = this.#decided(packet, rule);
      if (found === 'return') break;
      if (found !== undefined) return found;
    }
    return 'pass';
  }

  /** The decision of a rule; undefined where it does not apply or decides nothing. */
  #decided(packet: Packet, rule: readonly Field[]): string | undefined {
    let data: Uint8Array = new Uint8Array(0);
    for (const [, item] of rule) {
      const [[, name], details] = item as readonly [[number, string], [number, readonly Field[]]?];
      const of = (type: number) => details![1].find(([found]) => found === type)?.[1];
      const bytes = (type: number): Uint8Array => (of(type) as readonly Field[])[0]![1] as Uint8Array;
      if (name === 'meta') data = this.#meta(packet, of(attribute.meta.key) as number);
      else if (name === 'payload') {
        const at = of(attribute.payload.offset) as number;
        const from = of(attribute.payload.base) === 1 ? networkHead(packet) : transportHead(packet);
        data = from.slice(at, at + (of(attribute.payload.length) as number));
      } else if (name === 'ct') {
        const isPort = of(attribute.conntrack.key) === 12;
        if (isPort && packet.asked === undefined) return undefined;
        // The state is a word in the machine's byte order: 2 is established, 0x40 untracked.
        data = isPort ? portBytes(packet.asked!) : Uint8Array.of(packet.asked === undefined ? 0x40 : 2, 0, 0, 0);
      } else if (name === 'bitwise') {
        const mask = bytes(attribute.bitwise.mask);
        data = data.map((each, index) => each & mask[index]!);
      } else if (name === 'cmp') {
        if (!compares(of(attribute.compare.operator) as number, data, bytes(attribute.compare.data))) return undefined;
      } else if (name === 'lookup') {
        if (!this.sets.get(of(attribute.lookup.set) as string)?.has(keyText(data))) return undefined;
      } else if (name === 'reject') return `reject ${of(attribute.reject.type)}`;
      else if (name === 'immediate') return this.#immediate(packet, of(attribute.immediate.data) as readonly Field[]);
      else expect(name).toBe('counter');
    }
    return undefined;
  }

  #meta({ source, protocol }: Packet, key: number): Uint8Array {
    if (key === 15) return Uint8Array.of(address(source).family === 4 ? 2 : 10);
    expect(key).toBe(16);
    return Uint8Array.of(protocol);
  }

  #immediate(packet: Packet, [decision]: readonly Field[]): string | undefined {
    const [[, code], target] = decision![1] as readonly [[number, number], [number, string]?];
    if (code === verdict.drop) return 'drop';
    if (code === verdict.accept) return 'accept';
    if (code === verdict.return) return 'return';
    const found = this.verdictOf(packet, target![1]);
    // After a jump the next rule follows; what a goto does not decide is decided by nobody.
    return found === 'pass' && code === verdict.jump ? undefined : found;
  }
}

const portBytes = (port: number): Uint8Array => Uint8Array.of(port >> 8, port & 0xff);

/** The header of IPv4 or IPv6, as far as the source. */
function networkHead({ source }: Packet): Uint8Array {
  const { family, bytes } = address(source);
  return Uint8Array.from([...new Array(family === 4 ? 12 : 8).fill(0), ...keyOf({ family, bytes, prefix: 0 })]);
}

/** The first bytes of TCP or UDP, or the type of an ICMP message. */
const transportHead = ({ port, icmpType }: Packet): Uint8Array =>
  icmpType === undefined ? Uint8Array.from([0, 0, ...portBytes(port)]) : Uint8Array.of(icmpType, 0, 0, 0);

function compares(operator: number, left: Uint8Array, right: Uint8Array): boolean {
  const order = Buffer.compare(left.subarray(0, right.length), right);
  if (operator === 0) return order === 0;
  if (operator === 1) return order !== 0;
  return operator === 3 ? order <= 0 : order >= 0;
}

const set = (family: 4 | 6, prefix: number, name = `ban${family}`): SetLayout => ({
  name,
  family,
  prefix,
  comment: '',
});
const layout = (more: Partial<JailLayout> = {}): JailLayout => ({
  ...{ jail: 'sshd', chain: 'jail-sshd', denial: undefined, lists: [], allowLists: [] },
  sets: { 4: set(4, 32), 6: set(6, 64) },
  ...more,
});
const from = (source: string, more: Partial<Packet> = {}): Packet => ({ source, protocol: tcp, port: 22, ...more });

describe('a chain of a jail', () => {
  test('drops what its sets hold, by their prefixes and no wider', () => {
    const table = new Table();
    const { sets, chain } = layout({ sets: { 4: set(4, 24), 6: set(6, 64) } });
    rules.addDropRules(table.batch, layout({ sets }));
    table.put(sets[4], '192.0.2.0', '198.51.100.7');
    table.put(sets[6], '2001:db8:0:7::', '2001:db8::9', '2002:c000:201::');
    const verdicts = (...sources: string[]) => sources.map((source) => table.verdictOf(from(source), chain));
    expect(verdicts('192.0.2.0', '192.0.2.255', '198.51.100.7')).toEqual(['drop', 'drop', 'drop']);
    expect(verdicts('192.0.3.0', '198.51.100.8', '0.0.0.0')).toEqual(['pass', 'pass', 'pass']);
    expect(verdicts('2001:db8:0:7::1', '2001:db8:0:7:ffff::', '2001:db8::9')).toEqual(['drop', 'drop', 'drop']);
    expect(verdicts('2001:db8:0:8::1', '2001:db8::8')).toEqual(['pass', 'pass']);
    // Its bytes at the place of an IPv4 source are those of a banned one.
    expect(verdicts('2001:db8:c633:6407::1')).toEqual(['pass']);
  });

  test('a customer of 6to4 is a /48, whatever the length of the jail; nobody else is', () => {
    for (const prefix of [56, 64, 128]) {
      const table = new Table();
      const sets = { 4: set(4, 32), 6: set(6, prefix) };
      rules.addDropRules(table.batch, layout({ sets }));
      table.put(sets[4]);
      table.put(sets[6], '2002:c000:201::', '2001:db8:1::');
      const verdicts = (...sources: string[]) => sources.map((source) => table.verdictOf(from(source), 'jail-sshd'));
      expect(verdicts('2002:c000:201:1::1', '2002:c000:201:ffff::7')).toEqual(['drop', 'drop']);
      expect(verdicts('2002:c000:202::1', '2001:db8:1:ffff::1')).toEqual(['pass', 'pass']);
    }
  });

  test('lists drop too, each by its length', () => {
    const table = new Table();
    const lists = [set(4, 16, 'list4-16'), set(6, 32, 'list6-32')];
    rules.addDropRules(table.batch, layout({ lists }));
    table.put(lists[0]!, '203.0.0.0');
    table.put(lists[1]!, '2001:db8::');
    const verdicts = (...sources: string[]) => sources.map((source) => table.verdictOf(from(source), 'jail-sshd'));
    expect(verdicts('203.0.113.9', '2001:db8:ffff::1')).toEqual(['drop', 'drop']);
    expect(verdicts('203.1.0.1', '2001:db9::1')).toEqual(['pass', 'pass']);
  });

  test.each([
    ['drop', ['drop', 'drop']],
    // A reset for TCP; for all else an ICMP message of either family.
    ['reject', ['reject 1', 'reject 2']],
  ] as const)('with networks that pass and the action %s', (action, denied) => {
    const table = new Table();
    const allowLists = [set(4, 24, 'ignored4-24'), set(6, 64, 'ignored6-64')];
    const sets = { 4: set(4, 16), 6: set(6, 48) };
    rules.addDropRules(table.batch, layout({ sets, denial: 'deny-sshd' }));
    for (const network of ['198.18.5.0/24', '2001:db8:0:5::/64', '198.18.9.9/32'])
      rules.addAllowRule(table.batch, 'deny-sshd', address(network));
    for (const each of allowLists) rules.addAllowSetRule(table.batch, 'deny-sshd', each);
    rules.addDenialRules(table.batch, 'deny-sshd', action);
    table.put(sets[4], '198.18.0.0');
    table.put(sets[6], '2001:db8::');
    table.put(allowLists[0]!, '198.18.7.0');
    table.put(allowLists[1]!, '2001:db8:0:7::');
    const of = (source: string, protocol = tcp) => table.verdictOf(from(source, { protocol }), 'jail-sshd');
    for (const source of ['198.18.5.255', '2001:db8:0:5::1', '198.18.9.9', '198.18.7.1', '2001:db8:0:7::1'])
      expect([source, of(source)]).toEqual([source, 'pass']);
    for (const source of ['198.18.6.0', '2001:db8:0:6::1', '198.18.9.8', '198.18.8.1'])
      expect([source, of(source), of(source, udp)]).toEqual([source, ...denied]);
  });
});

describe('a hook', () => {
  /** A table in which every source of the test is banned. */
  function guarded(hook: Hook, protocol: 'tcp' | 'udp', first: number, last = first): Table {
    const table = new Table();
    rules.addDropRules(table.batch, layout());
    table.put(set(4, 32), '192.0.2.7');
    rules.addPortRules(table.batch, hook, 'jail-sshd', { protocol, ports: { first, last } });
    return table;
  }
  const verdicts = (table: Table, hook: Hook, packets: readonly Partial<Packet>[]) =>
    packets.map((packet) => table.verdictOf(from('192.0.2.7', packet), hook));

  test('sends the ports of a jail to its chain, from the first to the last, of its protocol alone', () => {
    const range = guarded('input', 'tcp', 255, 1_024);
    expect(verdicts(range, 'input', [{ port: 255 }, { port: 256 }, { port: 1_023 }, { port: 1_024 }])).toEqual(
      new Array(4).fill('drop'),
    );
    expect(verdicts(range, 'input', [{ port: 254 }, { port: 1_025 }, { port: 300, protocol: udp }])).toEqual(
      new Array(3).fill('pass'),
    );
    const single = guarded('input', 'udp', 5_060);
    const packets = [5_059, 5_060, 5_061].map((port) => ({ port, protocol: udp }));
    expect(verdicts(single, 'input', packets)).toEqual(['pass', 'drop', 'pass']);
    expect(single.verdictOf(from('192.0.2.8', { port: 5_060, protocol: udp }), 'input')).toBe('pass');
  });

  test('what is forwarded counts by the port that the client asked for, or by its own without a connection', () => {
    const table = guarded('forward', 'tcp', 80, 90);
    expect(verdicts(table, 'forward', [{ port: 8_080, asked: 80 }, { port: 8_080, asked: 90 }, { port: 85 }])).toEqual(
      new Array(3).fill('drop'),
    );
    // A container behind another published port may listen on ours.
    expect(verdicts(table, 'forward', [{ port: 80, asked: 8_080 }, { port: 91 }, { port: 80, asked: 91 }])).toEqual(
      new Array(3).fill('pass'),
    );
  });

  test('neighbour discovery passes before everything is sent to a chain, and nothing else does', () => {
    const table = new Table();
    rules.addDropRules(table.batch, layout());
    table.put(set(6, 64), '2001:db8::', 'fe80::');
    table.put(set(4, 32), '192.0.2.7');
    rules.addDiscoveryRule(table.batch, 'input');
    rules.addJumpRule(table.batch, 'input', 'jail-sshd');
    const type = (source: string, icmpType: number) =>
      table.verdictOf(from(source, { protocol: icmp6, icmpType }), 'input');
    for (const icmpType of [133, 134, 135, 136, 137]) expect(type('2001:db8::1', icmpType)).toBe('accept');
    for (const icmpType of [128, 132, 138, 0]) expect(type('2001:db8::1', icmpType)).toBe('drop');
    expect(table.verdictOf(from('192.0.2.7', { protocol: icmp6, icmpType: 135 }), 'input')).toBe('drop');
    expect(table.verdictOf(from('2001:db8::1', { icmpType: 135 }), 'input')).toBe('drop');
  });
});
