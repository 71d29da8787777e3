/**
 * The nf_tables messages of our table, encoded and decoded: pure functions of their arguments, no
 * socket. Numbers and attribute names are those of linux/netfilter/nf_tables.h. Each jail has two
 * hash sets of single elements (an IPv6 prefix is one element: the rule masks the source first),
 * one chain that looks them up, and one jump per hook and port range.
 */
import type { Address, BanAction, PortRange } from '../../types.ts';
import { type Element, keyBytes, prefixMask, type SetShape } from '../elements.ts';
import {
  AttributeReader,
  flagAck,
  flagAppend,
  flagCreate,
  flagDump,
  flagRequest,
  MessageWriter,
} from '../netlink/message.ts';
import type { Expected } from '../netlink/socket.ts';

/** NETLINK_NETFILTER. */
export const netlinkNetfilter = 12;
const subsystem = 10 << 8;
const familyUnspecified = 0;
export const familyInet = 1;
const batchBegin = 0x10;
const batchEnd = 0x11;

export const command = {
  newTable: 0,
  getTable: 1,
  delTable: 2,
  newChain: 3,
  getChain: 4,
  delChain: 5,
  newRule: 6,
  getRule: 7,
  delRule: 8,
  newSet: 9,
  getSet: 10,
  delSet: 11,
  newElement: 12,
  getElement: 13,
  delElement: 14,
  getGeneration: 16,
} as const;

const setFlagTimeout = 0x10;
/**
 * nft's own numbers for the key types (its datatype.h); they only matter to whoever prints the set.
 */
const keyType = { 4: 7, 6: 8 } as const;
/** nft keeps a set's comment in its user data as type 7 (libnftnl/udata.h). */
const commentType = 7;

const register1 = 1;
const verdictRegister = 0;
const compare = { equal: 0, lessOrEqual: 3, greaterOrEqual: 5 } as const;
const metaKey = { nfproto: 15, l4proto: 16 } as const;
const protocolNumber = { tcp: 6, udp: 17 } as const;
const headerBase = { network: 1, transport: 2 } as const;
const drop = 0;
const jump = -3;
const goTo = -4;
const giveBack = -5;
const accept = 1;
/** nft_reject_types, and the code that the kernel translates for either family. */
const rejectWith = { tcpReset: 1, icmpOfEither: 2 } as const;
const administrativelyProhibited = 3;
const sourceOffset = { 4: 12, 6: 8 } as const;
const nfproto = { 4: 2, 6: 10 } as const;

/** Our chains stand before those at the usual `filter` priority. */
const chainPriority = -10;
export const hookNumber = { input: 1, forward: 2 } as const;
export type Hook = keyof typeof hookNumber;

/** One transaction under construction: every message asks for its ACK. */
export class Batch {
  readonly writer = new MessageWriter();
  /** Messages whose ACK must be read. */
  readonly expected: Expected[] = [];
  /** The frame around them, which answers only when refused. */
  readonly strays: Expected[] = [];
  readonly #nextSequence: () => number;
  /** Where each expected message starts. */
  readonly #starts: number[] = [];

  constructor(nextSequence: () => number) {
    this.#nextSequence = nextSequence;
    this.#frame(batchBegin, 'batch begin');
  }

  #frame(type: number, operation: string): void {
    const sequence = this.#nextSequence();
    this.strays.push({ sequence, operation });
    this.writer.beginMessage(type, flagRequest, sequence, familyUnspecified, 10);
    this.writer.endMessage();
  }

  /** Adds a message to family inet; `body` writes its attributes. */
  add(number: number, flags: number, operation: string, body: (writer: MessageWriter) => void): void {
    const sequence = this.#nextSequence();
    this.expected.push({ sequence, operation });
    this.#starts.push(this.writer.length);
    this.writer.beginMessage(subsystem | number, flagRequest | flagAck | flags, sequence, familyInet);
    body(this.writer);
    this.writer.endMessage();
  }

  /** Closes the transaction: without its end the kernel ACKs everything and applies nothing. */
  finish(): Uint8Array {
    this.#frame(batchEnd, 'batch end');
    return this.writer.bytes();
  }

  /**
   * The finished transaction asking for one ACK, of its last message: the kernel still reports
   * every refusal.
   */
  askOnce(): { request: Uint8Array; expected: Expected[]; strays: Expected[] } {
    const request = this.writer.bytes();
    for (const start of this.#starts.slice(0, -1)) request[start + 6]! &= ~flagAck;
    return { request, expected: this.expected.slice(-1), strays: [...this.strays, ...this.expected.slice(0, -1)] };
  }
}

/** A request for a dump of family inet. */
export function encodeDump(
  writer: MessageWriter,
  sequence: number,
  number: number,
  body?: (writer: MessageWriter) => void,
): void {
  writer.beginMessage(subsystem | number, flagRequest | flagDump, sequence, familyInet);
  body?.(writer);
  writer.endMessage();
}

export function addTable(batch: Batch, table: string): void {
  batch.add(command.newTable, flagCreate, `add table ${table}`, (writer) => {
    writer.text(1, table);
    writer.u32(2, 0);
  });
}

export function deleteTable(batch: Batch, table: string): void {
  batch.add(command.delTable, 0, `delete table ${table}`, (writer) => writer.text(1, table));
}

/** Removes every rule of a chain. */
export function flushChain(batch: Batch, table: string, chain: string): void {
  batch.add(command.delRule, 0, `flush chain ${chain}`, (writer) => {
    writer.text(1, table);
    writer.text(2, chain);
  });
}

export function deleteChain(batch: Batch, table: string, chain: string): void {
  batch.add(command.delChain, 0, `delete chain ${chain}`, (writer) => {
    writer.text(1, table);
    writer.text(3, chain);
  });
}

export function deleteSet(batch: Batch, table: string, set: string): void {
  batch.add(command.delSet, 0, `delete set ${set}`, (writer) => {
    writer.text(1, table);
    writer.text(2, set);
  });
}

/** A set as we make it. */
export interface SetLayout extends SetShape {
  /** Shown by `nft list`; it also tells a later start how the set was made. */
  comment: string;
}

/** A jail's objects in the kernel. */
export interface JailLayout {
  jail: string;
  chain: string;
  /**
   * Where packets of banned sources go when more than a drop is asked for: networks to let pass, an
   * answer.
   */
  denial: string | undefined;
  sets: { 4: SetLayout; 6: SetLayout };
}

function commentData(comment: string): Buffer {
  const text = Buffer.from(`${comment}\0`, 'latin1');
  return Buffer.concat([Buffer.from([commentType, text.length]), text]);
}

/** @param id unique in its transaction; @param elementsMax the set's `size`, 0 = none */
export function addSet(batch: Batch, table: string, set: SetLayout, id: number, elementsMax: number): void {
  batch.add(command.newSet, flagCreate, `add set ${set.name}`, (writer) => {
    writer.text(1, table);
    writer.text(2, set.name);
    writer.u32(3, setFlagTimeout);
    writer.u32(4, keyType[set.family]);
    writer.u32(5, keyBytes[set.family]);
    writer.u32(10, id);
    if (elementsMax > 0) {
      writer.begin(9);
      writer.u32(1, elementsMax);
      writer.end();
    }
    writer.raw(13, commentData(set.comment));
  });
}

/** A plain chain, or with `hook` a base chain of type filter that accepts what no rule drops. */
export function addChain(batch: Batch, table: string, chain: string, hook?: Hook): void {
  batch.add(command.newChain, flagCreate, `add chain ${chain}`, (writer) => {
    writer.text(1, table);
    writer.text(3, chain);
    if (hook === undefined) return;
    writer.begin(4);
    writer.u32(1, hookNumber[hook]);
    writer.u32(2, chainPriority);
    writer.end();
    writer.u32(5, accept);
    writer.text(7, 'filter');
  });
}

function expression(writer: MessageWriter, name: string, body: () => void): void {
  writer.begin(1);
  writer.text(1, name);
  writer.begin(2);
  body();
  writer.end();
  writer.end();
}

function value(writer: MessageWriter, type: number, bytes: Uint8Array): void {
  writer.begin(type);
  writer.raw(1, bytes);
  writer.end();
}

function loadMeta(writer: MessageWriter, key: number): void {
  expression(writer, 'meta', () => {
    writer.u32(2, key);
    writer.u32(1, register1);
  });
}

function loadPayload(writer: MessageWriter, base: number, offset: number, length: number): void {
  expression(writer, 'payload', () => {
    writer.u32(1, register1);
    writer.u32(2, base);
    writer.u32(3, offset);
    writer.u32(4, length);
  });
}

function compareWith(writer: MessageWriter, operator: number, bytes: number[]): void {
  expression(writer, 'cmp', () => {
    writer.u32(1, register1);
    writer.u32(2, operator);
    value(writer, 3, Uint8Array.from(bytes));
  });
}

function maskWith(writer: MessageWriter, mask: Uint8Array): void {
  expression(writer, 'bitwise', () => {
    writer.u32(1, register1);
    writer.u32(2, register1);
    writer.u32(3, mask.length);
    value(writer, 4, mask);
    value(writer, 5, new Uint8Array(mask.length));
  });
}

function decide(writer: MessageWriter, code: number, chain?: string): void {
  expression(writer, 'immediate', () => {
    writer.u32(1, verdictRegister);
    writer.begin(2);
    writer.begin(2);
    writer.u32(1, code);
    if (chain !== undefined) writer.text(2, chain);
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
    writer.text(1, table);
    writer.text(2, chain);
    writer.begin(4);
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
      writer.u32(2, register1);
      writer.text(1, set.name);
    });
    if (denial !== undefined) return decide(writer, goTo, denial);
    expression(writer, 'counter', () => undefined);
    decide(writer, drop);
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
    decide(writer, giveBack);
  });
}

/** What becomes of packets that reach the end of a denial chain: `counter drop`, or an answer. */
export function addDenialRules(batch: Batch, table: string, chain: string, action: BanAction): void {
  const rule = (body: (writer: MessageWriter) => void) =>
    addRule(batch, table, chain, `add ${action} to ${chain}`, body);
  const reject = (writer: MessageWriter, type: number, code: number) => {
    expression(writer, 'counter', () => undefined);
    expression(writer, 'reject', () => {
      writer.u32(1, type);
      writer.u8(2, code);
    });
  };
  if (action === 'drop') {
    rule((writer) => {
      expression(writer, 'counter', () => undefined);
      decide(writer, drop);
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

/** `[tcp|udp dport range] jump chain`; without a protocol every packet. */
export function addJumpRule(
  batch: Batch,
  table: string,
  chain: string,
  target: string,
  only?: { protocol: 'tcp' | 'udp'; ports: PortRange },
): void {
  addRule(batch, table, chain, `add jump to ${target}`, (writer) => {
    if (only !== undefined) {
      const { first, last } = only.ports;
      loadMeta(writer, metaKey.l4proto);
      compareWith(writer, compare.equal, [protocolNumber[only.protocol]]);
      loadPayload(writer, headerBase.transport, 2, 2);
      if (first === last) compareWith(writer, compare.equal, [first >> 8, first & 0xff]);
      else {
        compareWith(writer, compare.greaterOrEqual, [first >> 8, first & 0xff]);
        compareWith(writer, compare.lessOrEqual, [last >> 8, last & 0xff]);
      }
    }
    decide(writer, jump, target);
  });
}

/**
 * Elements per message: `nla_len` of their list is 16 bits; 40 bytes is the largest, an IPv6
 * element with a timeout.
 */
export const elementsPerMessage = 1600;

/** Adds or deletes elements, in as many messages as needed. A deletion carries no timeouts. */
export function changeElements(
  batch: Batch,
  number: typeof command.newElement | typeof command.delElement,
  table: string,
  set: string,
  elements: Element[],
): void {
  const adds = number === command.newElement;
  for (let from = 0; from < elements.length; from += elementsPerMessage) {
    const to = Math.min(elements.length, from + elementsPerMessage);
    const operation = `${adds ? 'add' : 'delete'} ${to - from} element${to - from === 1 ? '' : 's'} of set ${set}`;
    batch.add(number, adds ? flagCreate : 0, operation, (writer) => {
      writer.text(1, table);
      writer.text(2, set);
      writer.begin(3);
      for (let index = from; index < to; index++) {
        const element = elements[index]!;
        writer.begin(1);
        value(writer, 1, element.key);
        if (adds && element.timeoutMs > 0) writer.u64(4, element.timeoutMs);
        writer.end();
      }
      writer.end();
    });
  }
}

/**
 * What a chain dump says about one chain. `shape` is what must not change: hook, priority, policy,
 * type.
 */
export interface ChainFacts {
  table: string;
  name: string;
  shape: string;
}

export function decodeChain(bytes: Buffer, start: number, end: number): ChainFacts | null {
  const facts: ChainFacts = { table: '', name: '', shape: '' };
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type === 1) facts.table = reader.text();
    else if (reader.type === 3) facts.name = reader.text();
    else if (reader.type === 4 || reader.type === 5 || reader.type === 7) {
      facts.shape += `${reader.type}=${reader.copy().toString('hex')};`;
    }
  }
  return reader.malformed ? null : facts;
}

/** What a set dump says about one set; `comment` is '' where it is not of our making. */
export interface SetFacts {
  table: string;
  name: string;
  flags: number;
  keyBytes: number;
  comment: string;
}

export function decodeSet(bytes: Buffer, start: number, end: number): SetFacts | null {
  const facts: SetFacts = { table: '', name: '', flags: -1, keyBytes: -1, comment: '' };
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type === 1) facts.table = reader.text();
    else if (reader.type === 2) facts.name = reader.text();
    else if (reader.type === 3) facts.flags = reader.u32();
    else if (reader.type === 5) facts.keyBytes = reader.u32();
    else if (reader.type === 13) {
      const data = reader.copy();
      if (data.length >= 3 && data[0] === commentType && data[1] === data.length - 2) {
        facts.comment = data.toString('latin1', 2, data.length - 1);
      }
    }
  }
  return reader.malformed ? null : facts;
}

/** Whether the set in the kernel is the one we would make. */
export function isSameSet(facts: SetFacts, set: SetLayout): boolean {
  return facts.flags === setFlagTimeout && facts.keyBytes === keyBytes[set.family] && facts.comment === set.comment;
}

/**
 * What a rule dump says about one rule: its chain, its expressions without their counters' values,
 * and what it counted.
 */
export interface RuleFacts {
  table: string;
  chain: string;
  shape: string;
  packets: number;
}

export function decodeRule(bytes: Buffer, start: number, end: number): RuleFacts | null {
  const facts: RuleFacts = { table: '', chain: '', shape: '', packets: 0 };
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type === 1) facts.table = reader.text();
    else if (reader.type === 2) facts.chain = reader.text();
    else if (reader.type === 4) {
      const expressions = reader.nested();
      while (expressions.next()) {
        facts.shape += `${expressionShape(expressions.nested())};`;
        facts.packets += countedPackets(expressions.nested());
      }
      if (expressions.malformed) return null;
    }
  }
  return reader.malformed ? null : facts;
}

function expressionShape(reader: AttributeReader): string {
  let name = '';
  let data = '';
  while (reader.next()) {
    if (reader.type === 1) name = reader.text();
    else if (reader.type === 2) data = reader.copy().toString('hex');
  }
  return name === 'counter' ? name : `${name}:${data}`;
}

/** What a counter says; 0 for any other expression. */
function countedPackets(reader: AttributeReader): number {
  let isCounter = false;
  let packets = 0;
  while (reader.next()) {
    if (reader.type === 1) isCounter = reader.text() === 'counter';
    else if (reader.type === 2 && isCounter) {
      const data = reader.nested();
      while (data.next()) if (data.type === 2) packets = Math.max(0, data.u64());
    }
  }
  return packets;
}

/**
 * The number of the ruleset's present state: each transaction of anybody adds one. -1 = malformed.
 */
export function decodeGeneration(bytes: Buffer, start: number, end: number): number {
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) if (reader.type === 1) return reader.u32();
  return -1;
}

/** A question that is answered by one message and an ACK. */
export function encodeQuestion(writer: MessageWriter, sequence: number, number: number): void {
  writer.beginMessage(subsystem | number, flagRequest | flagAck, sequence, familyUnspecified);
  writer.endMessage();
}

/** The name and flags of one table. */
export function decodeTable(bytes: Buffer, start: number, end: number): { name: string; flags: number } | null {
  const facts = { name: '', flags: 0 };
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type === 1) facts.name = reader.text();
    else if (reader.type === 2) facts.flags = reader.u32();
  }
  return reader.malformed ? null : facts;
}

/**
 * Hands the elements of one dumped message to `visit`: their key is bytes [at, at + length) of
 * `bytes`; `remainingMs` 0 = without end. An element that has just run out is left out.
 * @returns false when the message is malformed
 */
export function decodeElements(
  bytes: Buffer,
  start: number,
  end: number,
  length: number,
  visit: (at: number, remainingMs: number) => void,
): boolean {
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type !== 3) continue;
    const list = reader.nested();
    while (list.next()) {
      let at = -1;
      let timed = false;
      let remainingMs = 0;
      const element = list.nested();
      while (element.next()) {
        if (element.type === 1) {
          const key = element.nested();
          while (key.next()) if (key.type === 1 && key.end - key.start === length) at = key.start;
        } else if (element.type === 4) timed = element.u64() !== 0;
        else if (element.type === 5) remainingMs = element.u64();
      }
      if (at < 0 || element.malformed || remainingMs < 0) return false;
      if (!timed || remainingMs > 0) visit(at, timed ? remainingMs : 0);
    }
    if (list.malformed) return false;
  }
  return !reader.malformed;
}
