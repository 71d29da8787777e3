/**
 * Decodes the kernel's dumps of our objects. Every length is checked; null = malformed.
 */
import { keyBytes } from '../elements.ts';
import { AttributeReader } from '../netlink/message.ts';
import { commentType, type SetLayout, setFlagTimeout } from './messages.ts';
import { attribute } from './numbers.ts';

/** Decodes one dumped message; null = malformed. */
export type Decoder<Facts> = (bytes: Buffer, start: number, end: number) => Facts | null;

/** The attribute of a value, its default if absent, and how to read it. */
type Fact<Value> = readonly [type: number, absent: Value, read: (reader: AttributeReader) => Value];

const text = (reader: AttributeReader): string => reader.text();
const hex = (reader: AttributeReader): string => reader.copy().toString('hex');
const u32 = (reader: AttributeReader): number => reader.u32();

/** A decoder of objects whose values are one attribute each. */
function decoder<Facts extends object>(table: { [Name in keyof Facts]: Fact<Facts[Name]> }): Decoder<Facts> {
  const facts = Object.entries(table) as [keyof Facts, Fact<Facts[keyof Facts]>][];
  const byType = new Map(facts.map(([name, [type, , read]]) => [type, { name, read }]));
  return (bytes, start, end) => {
    const found = Object.fromEntries(facts.map(([name, [, absent]]) => [name, absent])) as Facts;
    const reader = new AttributeReader(bytes, start, end);
    while (reader.next()) {
      const fact = byType.get(reader.type);
      if (fact !== undefined) found[fact.name] = fact.read(reader);
    }
    return reader.malformed ? null : found;
  };
}

/** The name and flags of one table. */
export const decodeTable = decoder({
  table: [attribute.table, '', text],
  flags: [attribute.tableFlags, 0, u32],
});

/** One chain: its name, and its fixed properties. */
export const decodeChain = decoder({
  table: [attribute.table, '', text],
  name: [attribute.chain.name, '', text],
  hook: [attribute.chain.hook, '', hex],
  policy: [attribute.chain.policy, '', hex],
  type: [attribute.chain.type, '', hex],
});

/** One set; `comment` is '' if we did not create the set. */
export const decodeSet = decoder({
  table: [attribute.table, '', text],
  name: [attribute.set.name, '', text],
  flags: [attribute.set.flags, -1, u32],
  keyBytes: [attribute.set.keyBytes, -1, u32],
  comment: [attribute.set.userData, '', readComment],
});

function readComment(reader: AttributeReader): string {
  const data = reader.copy();
  const isComment = data.length >= 3 && data[0] === commentType && data[1] === data.length - 2;
  return isComment ? data.toString('latin1', 2, data.length - 1) : '';
}

/** Whether the set in the kernel is the same as the one that we would create. */
export function isSameSet(facts: NonNullable<ReturnType<typeof decodeSet>>, set: SetLayout): boolean {
  return facts.flags === setFlagTimeout && facts.keyBytes === keyBytes[set.family] && facts.comment === set.comment;
}

/** The expressions of a rule without the values of its counters, and these values. */
interface Expressions {
  shape: string;
  packets: number;
}

/** One rule. */
export const decodeRule = decoder({
  table: [attribute.table, '', text],
  chain: [attribute.rule.chain, '', text],
  expressions: [attribute.rule.expressions, { shape: '', packets: 0 }, readExpressions],
});

const decodeExpression = decoder({
  name: [attribute.expression.name, '', text],
  data: [attribute.expression.data, Buffer.alloc(0), (reader) => reader.copy()],
});
const decodeCounter = decoder({ packets: [attribute.counter.packets, 0, (reader) => reader.u64()] });

function readExpressions(reader: AttributeReader): Expressions {
  const list = reader.nested();
  const found: Expressions = { shape: '', packets: 0 };
  while (list.next()) {
    const { name, data } = list.decode(decodeExpression) ?? { name: '', data: Buffer.alloc(0) };
    const isCounter = name === 'counter';
    if (isCounter) found.packets += Math.max(0, decodeCounter(data, 0, data.length)?.packets ?? 0);
    found.shape += isCounter ? `${name};` : `${name}:${data.toString('hex')};`;
  }
  reader.malformed ||= list.malformed;
  return found;
}

/**
 * The generation number of the ruleset: each transaction of any program adds one. -1 = malformed.
 */
export function decodeGeneration(bytes: Buffer, start: number, end: number): number {
  return decodeId(bytes, start, end)?.id ?? -1;
}

const decodeId = decoder({ id: [attribute.generation.id, -1, u32] });

/**
 * Calls `visit` for the elements of one dumped message: the key is bytes [at, at + length) of
 * `bytes`; `remainingMs` 0 = without end. An element that has just expired is left out. @returns
 * false if the message is malformed
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
