/**
 * The nf_tables messages that make our table: pure functions of their arguments, no socket. Each
 * jail has two hash sets of single elements (an IPv6 prefix is one element: the rule masks the
 * source first), one chain that looks them up, and one jump per hook and port range.
 */
import { type Element, keyBytes, type SetShape } from '../elements.ts';
import { flagAck, flagCreate, flagDump, flagRequest, MessageWriter } from '../netlink/message.ts';
import type { Expected } from '../netlink/socket.ts';
import { attribute, command, family, type Hook, hookNumber, subsystem, verdict } from './numbers.ts';

const batchBegin = 0x10;
const batchEnd = 0x11;
export const setFlagTimeout = 0x10;
/**
 * nft's own numbers for the key types (its datatype.h); they only matter to whoever prints the set.
 */
const keyType = { 4: 7, 6: 8 } as const;
/** nft keeps a set's comment in its user data as type 7 (libnftnl/udata.h). */
export const commentType = 7;
/** Our chains stand before those at the usual `filter` priority. */
const chainPriority = -10;

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
    this.writer.beginMessage(type, flagRequest, sequence, family.unspecified, 10);
    this.writer.endMessage();
  }

  /** Adds a message to family inet; `body` writes its attributes. */
  add(number: number, flags: number, operation: string, body: (writer: MessageWriter) => void): void {
    const sequence = this.#nextSequence();
    this.expected.push({ sequence, operation });
    this.#starts.push(this.writer.length);
    this.writer.beginMessage(subsystem | number, flagRequest | flagAck | flags, sequence, family.inet);
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
  writer.beginMessage(subsystem | number, flagRequest | flagDump, sequence, family.inet);
  body?.(writer);
  writer.endMessage();
}

export function addTable(batch: Batch, table: string): void {
  batch.add(command.newTable, flagCreate, `add table ${table}`, (writer) => {
    writer.text(attribute.table.name, table);
    writer.u32(attribute.table.flags, 0);
  });
}

export function deleteTable(batch: Batch, table: string): void {
  batch.add(command.delTable, 0, `delete table ${table}`, (writer) => writer.text(attribute.table.name, table));
}

/** Removes every rule of a chain. */
export function flushChain(batch: Batch, table: string, chain: string): void {
  batch.add(command.delRule, 0, `flush chain ${chain}`, (writer) => {
    writer.text(attribute.rule.table, table);
    writer.text(attribute.rule.chain, chain);
  });
}

export function deleteChain(batch: Batch, table: string, chain: string): void {
  batch.add(command.delChain, 0, `delete chain ${chain}`, (writer) => {
    writer.text(attribute.chain.table, table);
    writer.text(attribute.chain.name, chain);
  });
}

export function deleteSet(batch: Batch, table: string, set: string): void {
  batch.add(command.delSet, 0, `delete set ${set}`, (writer) => {
    writer.text(attribute.set.table, table);
    writer.text(attribute.set.name, set);
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
export function addSet(batch: Batch, table: string, set: SetLayout, id: number, elementsMax = 0): void {
  batch.add(command.newSet, flagCreate, `add set ${set.name}`, (writer) => {
    const { set: named, setDescription } = attribute;
    writer.text(named.table, table);
    writer.text(named.name, set.name);
    writer.u32(named.flags, setFlagTimeout);
    writer.u32(named.keyType, keyType[set.family]);
    writer.u32(named.keyBytes, keyBytes[set.family]);
    writer.u32(named.id, id);
    if (elementsMax > 0) {
      writer.begin(named.description);
      writer.u32(setDescription.size, elementsMax);
      writer.end();
    }
    writer.raw(named.userData, commentData(set.comment));
  });
}

/** A plain chain, or with `hook` a base chain of type filter that accepts what no rule drops. */
export function addChain(batch: Batch, table: string, chain: string, hook?: Hook): void {
  batch.add(command.newChain, flagCreate, `add chain ${chain}`, (writer) => {
    writer.text(attribute.chain.table, table);
    writer.text(attribute.chain.name, chain);
    if (hook === undefined) return;
    writer.begin(attribute.chain.hook);
    writer.u32(attribute.hook.number, hookNumber[hook]);
    writer.u32(attribute.hook.priority, chainPriority);
    writer.end();
    writer.u32(attribute.chain.policy, verdict.accept);
    writer.text(attribute.chain.type, 'filter');
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
      writer.text(attribute.elements.table, table);
      writer.text(attribute.elements.set, set);
      writer.begin(attribute.elements.list);
      for (let index = from; index < to; index++) {
        const { key, timeoutMs } = elements[index]!;
        writer.begin(attribute.list.item);
        writer.begin(attribute.element.key);
        writer.raw(attribute.data.value, key);
        writer.end();
        if (adds && timeoutMs > 0) writer.u64(attribute.element.timeout, timeoutMs);
        writer.end();
      }
      writer.end();
    });
  }
}

/** A question that is answered by one message and an ACK. */
export function encodeQuestion(writer: MessageWriter, sequence: number, number: number): void {
  writer.beginMessage(subsystem | number, flagRequest | flagAck, sequence, family.unspecified);
  writer.endMessage();
}
