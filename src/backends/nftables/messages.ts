/**
 * The nf_tables messages that build our table: pure functions of their arguments, no socket. Each
 * jail has two hash sets of single elements (an IPv6 prefix is one element: the rule masks the
 * source first), one chain that looks them up, and one jump per hook and port range.
 */
import { type Element, keyBytes, type SetShape } from '../elements.ts';
import { type Field, flagAck, flagCreate, flagDump, flagRequest, MessageWriter } from '../netlink/message.ts';
import type { Expected } from '../netlink/socket.ts';
import { attribute, command, family, type Hook, hookNumber, subsystem, verdict } from './numbers.ts';

const batchBegin = 0x10;
const batchEnd = 0x11;
export const setFlagTimeout = 0x10;
/**
 * nft's own numbers for the key types (its datatype.h); only programs that print the set use them.
 */
const keyType = { 4: 7, 6: 8 } as const;
/** nft stores a set's comment in its user data as type 7 (libnftnl/udata.h). */
export const commentType = 7;
/** Our chains run before those at the usual `filter` priority. */
const chainPriority = -10;

/** A set as we create it. */
export interface SetLayout extends SetShape {
  /** Shown by `nft list`; a later start also sees from it how the set was created. */
  comment: string;
}

/** A jail's objects in the kernel. */
export interface JailLayout {
  jail: string;
  chain: string;
  /**
   * The chain for packets of banned sources, if a drop alone is not enough: networks that pass, an
   * answer.
   */
  denial: string | undefined;
  sets: { 4: SetLayout; 6: SetLayout };
  /** Sets for lists, one for each prefix length: to ban, and to let pass. */
  lists: SetLayout[];
  allowLists: SetLayout[];
}

/**
 * Elements per message: `nla_len` of their list is 16 bits; 52 bytes is the largest, an IPv6
 * element with a timeout.
 */
export const elementsPerMessage = 1250;

/** One transaction on one table, being built: every message asks for its ACK. */
export class Batch {
  readonly writer = new MessageWriter();
  /** Messages whose ACK must be read. */
  readonly expected: Expected[] = [];
  /** Batch begin and end, which are answered only if refused. */
  readonly strays: Expected[] = [];
  readonly #table: string;
  readonly #nextSequence: () => number;
  /** Where each message in `expected` starts. */
  readonly #starts: number[] = [];

  constructor(table: string, nextSequence: () => number) {
    this.#table = table;
    this.#nextSequence = nextSequence;
    this.#frame(batchBegin, 'batch begin');
  }

  #frame(type: number, operation: string): void {
    const sequence = this.#nextSequence();
    this.strays.push({ sequence, operation });
    this.writer.beginMessage(type, flagRequest, sequence, family.unspecified, 10);
    this.writer.endMessage();
  }

  /** Adds a message about the table or an object in it; `more` writes what follows the fields. */
  add(number: number, flags: number, operation: string, fields: readonly Field[], more?: () => void): void {
    const sequence = this.#nextSequence();
    this.expected.push({ sequence, operation });
    this.#starts.push(this.writer.length);
    this.writer.beginMessage(subsystem | number, flagRequest | flagAck | flags, sequence, family.inet);
    this.writer.fields([[attribute.table, this.#table], ...fields]);
    more?.();
    this.writer.endMessage();
  }

  addTable(): void {
    this.add(command.newTable, flagCreate, `add table ${this.#table}`, [[attribute.tableFlags, 0]]);
  }

  deleteTable(): void {
    this.add(command.delTable, 0, `delete table ${this.#table}`, []);
  }

  /** Deletes every rule of a chain. */
  flushChain(chain: string): void {
    this.add(command.delRule, 0, `flush chain ${chain}`, [[attribute.rule.chain, chain]]);
  }

  deleteChain(chain: string): void {
    this.add(command.delChain, 0, `delete chain ${chain}`, [[attribute.chain.name, chain]]);
  }

  deleteSet(set: string): void {
    this.add(command.delSet, 0, `delete set ${set}`, [[attribute.set.name, set]]);
  }

  /** @param id unique in its transaction @param elementsMax the set's `size`, 0 = none */
  addSet({ name, family, comment }: SetLayout, id: number, elementsMax = 0): void {
    const { set, setDescription } = attribute;
    const size: Field = [set.description, [[setDescription.size, elementsMax]]];
    this.add(command.newSet, flagCreate, `add set ${name}`, [
      [set.name, name],
      [set.flags, setFlagTimeout],
      [set.keyType, keyType[family]],
      [set.keyBytes, keyBytes[family]],
      [set.id, id],
      ...(elementsMax > 0 ? [size] : []),
      [set.userData, commentData(comment)],
    ]);
  }

  /** A plain chain, or with `hook` a base chain of type filter with policy accept. */
  addChain(name: string, hook?: Hook): void {
    const { chain, hook: place } = attribute;
    const base: Field[] =
      hook === undefined
        ? []
        : [
            [
              chain.hook,
              [
                [place.number, hookNumber[hook]],
                [place.priority, chainPriority],
              ],
            ],
            [chain.policy, verdict.accept],
            [chain.type, 'filter'],
          ];
    this.add(command.newChain, flagCreate, `add chain ${name}`, [[chain.name, name], ...base]);
  }

  /** `leftMs`: what is left of their timeouts, where that is not all. */
  addElements(set: string, elements: Element[], leftMs?: number): void {
    this.#changeElements(command.newElement, flagCreate, 'add', set, elements, leftMs);
  }

  /** A deletion has no timeouts. */
  deleteElements(set: string, elements: Element[]): void {
    this.#changeElements(command.delElement, 0, 'delete', set, elements);
  }

  /** In as many messages as needed. */
  #changeElements(number: number, flags: number, verb: string, set: string, elements: Element[], leftMs?: number) {
    const { writer } = this;
    for (let from = 0; from < elements.length; from += elementsPerMessage) {
      const to = Math.min(elements.length, from + elementsPerMessage);
      const operation = `${verb} ${to - from} element${to - from === 1 ? '' : 's'} of set ${set}`;
      // Not written as fields: for thousands of elements those would cost more than everything
      // else.
      this.add(number, flags, operation, [[attribute.elements.set, set]], () => {
        writer.begin(attribute.elements.list);
        for (let index = from; index < to; index++) {
          const { key, timeoutMs } = elements[index]!;
          writer.begin(attribute.list.item);
          writer.begin(attribute.element.key);
          writer.raw(attribute.data.value, key);
          writer.end();
          if (number === command.newElement && timeoutMs > 0) {
            writer.u64(attribute.element.timeout, timeoutMs);
            // Without it an element that has this timeout already ends when it did before.
            writer.u64(attribute.element.expiration, leftMs ?? timeoutMs);
          }
          writer.end();
        }
        writer.end();
      });
    }
  }

  /**
   * Adds or deletes permanent elements: their keys one after the other, at most
   * `elementsPerMessage`.
   */
  changeKeys(verb: 'add' | 'delete', { name, family }: SetLayout, keys: Uint8Array): void {
    if (keys.length === 0) return;
    const [number, flags] = verb === 'add' ? [command.newElement, flagCreate] : [command.delElement, 0];
    this.add(number, flags, `${verb} keys of set ${name}`, [[attribute.elements.set, name]], () => {
      this.writer.begin(attribute.elements.list);
      this.writer.framed(frames[family], keys, keyBytes[family]);
      this.writer.end();
    });
  }

  /**
   * Closes the transaction: without its end message the kernel ACKs everything and applies nothing.
   */
  finish(): Uint8Array {
    this.#frame(batchEnd, 'batch end');
    return this.writer.bytes();
  }

  /**
   * The finished transaction, asking for one ACK only, that of its last message: the kernel still
   * reports every refusal.
   */
  askOnce(): { request: Uint8Array; expected: Expected[]; strays: Expected[] } {
    const request = this.writer.bytes();
    for (const start of this.#starts.slice(0, -1)) request[start + 6]! &= ~flagAck;
    return { request, expected: this.expected.slice(-1), strays: [...this.strays, ...this.expected.slice(0, -1)] };
  }
}

/** An element without end, except for its key. */
function frameOf(family: 4 | 6): Uint8Array {
  const writer = new MessageWriter(64);
  writer.begin(attribute.list.item);
  writer.begin(attribute.element.key);
  writer.raw(attribute.data.value, new Uint8Array(keyBytes[family]));
  writer.end();
  writer.end();
  return writer.bytes();
}

const frames = { 4: frameOf(4), 6: frameOf(6) };

function commentData(comment: string): Buffer {
  const text = Buffer.from(`${comment}\0`, 'latin1');
  return Buffer.concat([Buffer.from([commentType, text.length]), text]);
}

/** A dump request in family inet, limited by `fields`. */
export function encodeDump(
  writer: MessageWriter,
  sequence: number,
  number: number,
  fields: readonly Field[] = [],
): void {
  writer.beginMessage(subsystem | number, flagRequest | flagDump, sequence, family.inet);
  writer.fields(fields);
  writer.endMessage();
}

/** A request that is answered by one message and an ACK. */
export function encodeQuestion(writer: MessageWriter, sequence: number, number: number): void {
  writer.beginMessage(subsystem | number, flagRequest | flagAck, sequence, family.unspecified);
  writer.endMessage();
}
