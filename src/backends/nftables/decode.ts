/** What the kernel's dumps say about our objects. Every length is checked; null = malformed. */
import { keyBytes } from '../elements.ts';
import { AttributeReader } from '../netlink/message.ts';
import { commentType, type SetLayout, setFlagTimeout } from './messages.ts';
import { attribute } from './numbers.ts';

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
  const { chain } = attribute;
  const facts: ChainFacts = { table: '', name: '', shape: '' };
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type === chain.table) facts.table = reader.text();
    else if (reader.type === chain.name) facts.name = reader.text();
    else if (reader.type === chain.hook || reader.type === chain.policy || reader.type === chain.type) {
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
  const { set } = attribute;
  const facts: SetFacts = { table: '', name: '', flags: -1, keyBytes: -1, comment: '' };
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type === set.table) facts.table = reader.text();
    else if (reader.type === set.name) facts.name = reader.text();
    else if (reader.type === set.flags) facts.flags = reader.u32();
    else if (reader.type === set.keyBytes) facts.keyBytes = reader.u32();
    else if (reader.type === set.userData) {
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
  const { rule } = attribute;
  const facts: RuleFacts = { table: '', chain: '', shape: '', packets: 0 };
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type === rule.table) facts.table = reader.text();
    else if (reader.type === rule.chain) facts.chain = reader.text();
    else if (reader.type === rule.expressions) {
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
    if (reader.type === attribute.expression.name) name = reader.text();
    else if (reader.type === attribute.expression.data) data = reader.copy().toString('hex');
  }
  return name === 'counter' ? name : `${name}:${data}`;
}

/** What a counter says; 0 for any other expression. */
function countedPackets(reader: AttributeReader): number {
  let isCounter = false;
  let packets = 0;
  while (reader.next()) {
    if (reader.type === attribute.expression.name) isCounter = reader.text() === 'counter';
    else if (reader.type === attribute.expression.data && isCounter) {
      const data = reader.nested();
      while (data.next()) if (data.type === attribute.counter.packets) packets = Math.max(0, data.u64());
    }
  }
  return packets;
}

/**
 * The number of the ruleset's present state: each transaction of anybody adds one. -1 = malformed.
 */
export function decodeGeneration(bytes: Buffer, start: number, end: number): number {
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) if (reader.type === attribute.generation.id) return reader.u32();
  return -1;
}

/** The name and flags of one table. */
export function decodeTable(bytes: Buffer, start: number, end: number): { name: string; flags: number } | null {
  const facts = { name: '', flags: 0 };
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type === attribute.table.name) facts.name = reader.text();
    else if (reader.type === attribute.table.flags) facts.flags = reader.u32();
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
  const { element: named } = attribute;
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type !== attribute.elements.list) continue;
    const list = reader.nested();
    while (list.next()) {
      let at = -1;
      let timed = false;
      let remainingMs = 0;
      const element = list.nested();
      while (element.next()) {
        if (element.type === named.key) {
          const key = element.nested();
          while (key.next()) if (key.type === attribute.data.value && key.end - key.start === length) at = key.start;
        } else if (element.type === named.timeout) timed = element.u64() !== 0;
        else if (element.type === named.expiration) remainingMs = element.u64();
      }
      if (at < 0 || element.malformed || remainingMs < 0) return false;
      if (!timed || remainingMs > 0) visit(at, timed ? remainingMs : 0);
    }
    if (list.malformed) return false;
  }
  return !reader.malformed;
}
