/**
 * The ipset backend: two sets per jail over netlink, of addresses (hash:ip) and of IPv6 prefixes
 * and addresses (hash:net), whose elements carry their own timeout, and one rule per set in a chain
 * of legacy iptables that matches them. ipset has no transactions: if a request is refused, the
 * elements before the refused one are applied; applying it again does no harm. A new start keeps
 * the sets and replaces the rules in one step per family. A set is full at `bansMaxLargest`: the
 * kernel returns IPSET_ERR_HASH_FULL, which the caller gets.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { bansMaxLargest, chainNameMax, changesPerTransactionMax, ipsetTimeoutSecondsMax } from '../../limits.ts';
import { native } from '../../native.ts';
import type { Backend, Drops, JailScaffold } from '../../types.ts';
import { type Element, inParts, keyBytes, type SetChanges, type SetShape, widthOfKey } from '../elements.ts';
import { isErrno, KernelError, nameErrors } from '../kernel-error.ts';
import { kernelName } from '../names.ts';
import { AttributeReader, type Field, flagAck, flagDump, flagRequest, MessageWriter } from '../netlink/message.ts';
import { type Expected, NetlinkSocket, openTransport, type Transport } from '../netlink/socket.ts';
import { SetBackend, type VisitElement } from '../set-backend.ts';
import { denialChains, denialOf, dropsOf, jumpRules, type Ours, passRules } from './rules.ts';
import { Xtables } from './xtables.ts';

const { EBADMSG, EEXIST, EMSGSIZE, ENOBUFS, ENOENT } = constants.errno;

const netlinkNetfilter = 12;
const subsystem = 6 << 8;
const protocolVersion = 7;
const command = { create: 2, destroy: 3, list: 7, swap: 6, add: 9, del: 10 } as const;
/**
 * Set types and their oldest revisions with everything that we use (Linux 3.19); newer kernels
 * still accept them. A set of networks looks up each prefix length that it holds.
 */
const setTypes = { addresses: { name: 'hash:ip', revision: 4 }, networks: { name: 'hash:net', revision: 6 } } as const;
/** Whether a set holds networks, not only single addresses. */
const hasNetworks = ({ family, prefix }: SetShape) => family === 6 || prefix < 32;
/**
 * IPSET_FLAG_LIST_SETNAME and IPSET_FLAG_LIST_HEADER: only names, or only headers without members.
 */
const list = { names: 2, headers: 4 } as const;
/** Flag in the type of an attribute whose number is big-endian. */
const networkOrder = 0x4000;
/** Attributes of linux/netfilter/ipset/ip_set.h, by the object that they belong to. */
const attribute = {
  protocol: 1,
  set: 2,
  /** In a swap the other set; in a new set its type. */
  other: 3,
  revision: 4,
  family: 5,
  flags: 6 | networkOrder,
  data: 7,
  list: 8,
  line: 9 | networkOrder,
} as const;
const dataAttribute = { address: 1, prefix: 3, timeout: 6, seed: 17, elementsMax: 19, elements: 24 } as const;
const addressAttribute = { 4: 1 | networkOrder, 6: 2 | networkOrder } as const;
const families = { 4: 2, 6: 10 } as const;
/**
 * Elements of one message: the list's length is 16 bits, an IPv6 element with its timeout takes 36
 * bytes.
 */
const elementsPerMessage = 1600;
/** getsockopt SO_IP_SET with IP_SET_OP_GET_BYNAME. */
const optionSet = 83;
const opGetByName = 6;
const noIndex = 0xffff;

// Errors of linux/netfilter/ipset/ip_set.h, then those of its hash types.
const errors =
  'PROTOCOL FIND_TYPE MAX_SETS BUSY EXIST_SETNAME2 TYPE_MISMATCH EXIST INVALID_CIDR INVALID_NETMASK INVALID_FAMILY ' +
  'TIMEOUT REFERENCED IPADDR_IPV4 IPADDR_IPV6';
const named = (text: string) => text.split(' ').map((name) => `IPSET_ERR_${name}`);
nameErrors(4097, named(errors));
nameErrors(4352, named('HASH_FULL HASH_ELEM'));

/** Every set or chain with this prefix is ours. */
export const ipsetPrefix = 'f2z';
const chainPrefix = `${ipsetPrefix}-`;
const temporarySet = `${ipsetPrefix}-new`;

interface JailSets {
  jail: string;
  chain: string;
  sets: { 4: SetShape; 6: SetShape };
}

export interface IpsetOptions {
  open?: () => Transport;
  /** `maxelem` of every set. */
  setElementsMax?: number;
}

const byte = (value: number) => Uint8Array.of(value);
const isOurs = (name: string) => /^f2z[46-]/.test(name);

/** A request of one or more messages. */
class Request {
  readonly writer = new MessageWriter(1024);
  readonly expected: Expected[] = [];
  readonly #socket: NetlinkSocket;

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  add(number: number, operation: string, fields: readonly Field[], more?: () => void): void {
    const sequence = this.#socket.nextSequence();
    this.expected.push({ sequence, operation });
    beginMessage(this.writer, number, flagAck, sequence, fields);
    more?.();
    this.writer.endMessage();
  }

  send(): Promise<void> {
    return this.#socket.exchange(this.writer.bytes(), this.expected);
  }
}

function beginMessage(
  writer: MessageWriter,
  number: number,
  flags: number,
  sequence: number,
  fields: readonly Field[],
): void {
  writer.beginMessage(subsystem | number, flagRequest | flags, sequence, families[4]);
  writer.fields([[attribute.protocol, byte(protocolVersion)], ...fields]);
}

export class IpsetBackend extends SetBackend<SetShape, JailSets> implements Backend {
  readonly name = 'ipset';
  readonly timeoutMsMax = ipsetTimeoutSecondsMax * 1000;
  readonly #tables = ([4, 6] as const).map((family) => new Xtables(family, chainPrefix));
  readonly #setElementsMax: number;
  /** What others may have changed, at the last look; null = not looked yet. */
  #seen: { marks: string; sets: number; elements: number } | null = null;
  /** Number of elements that we have added and deleted since. */
  #added = 0;
  #deleted = 0;
  /** When the first known element may expire at the earliest, monotonic ms. */
  #soonestEnd = Number.POSITIVE_INFINITY;

  constructor({ open = () => openTransport(netlinkNetfilter), setElementsMax = bansMaxLargest }: IpsetOptions = {}) {
    super(new NetlinkSocket(open()));
    this.#setElementsMax = setElementsMax;
  }

  close(): void {
    this.socket.close();
    for (const each of this.#tables) each.close();
  }

  /** Makes sets and rules what `jails` ask for. Existing sets keep their elements. */
  async install(jails: JailScaffold[]): Promise<void> {
    const layouts = jails.map(layoutOf);
    const sets = layouts.flatMap((layout) => [layout.sets[4], layout.sets[6]]);
    for (const set of sets) await this.#makeSet(set);
    for (const table of this.#tables) await table.put(this.#rules(jails, layouts, table.family));
    // The rules of removed jails are gone, so their sets can be removed now.
    const wanted = new Set(sets.map((set) => set.name));
    for (const name of await this.#names()) if (!wanted.has(name)) await this.#destroy(name);
    await this.note(layouts);
    await this.#look();
  }

  override each(visit: Parameters<Backend['each']>[0]): Promise<number> {
    this.#soonestEnd = Number.POSITIVE_INFINITY;
    return super.each((ban) => {
      this.#noteEnd(ban.timeoutMs);
      visit(ban);
    });
  }

  /**
   * ipset reports no changes to others. So we compare the number of sets and elements, and the
   * properties of the sets: a set of equal size that others swapped in has another bound, or a
   * seed, which the kernel only shows for sets of newer programs, not for ours. Elements also
   * become fewer by expiring: if some may have expired, only the loss of more than half counts as a
   * change by others.
   */
  async disturbed(): Promise<boolean> {
    const before = this.#seen;
    const { marks, sets, elements, added, deleted } = await this.#look();
    if (before === null) return false;
    const least = before.elements - deleted;
    const mayHaveEnded = performance.now() >= this.#soonestEnd;
    const areMissing = elements < (mayHaveEnded ? least / 2 : least);
    return marks !== before.marks || sets !== before.sets || areMissing || elements > before.elements + added;
  }

  /**
   * Reads what others may have changed; our own changes since the last look are part of the result.
   */
  async #look() {
    const rules = this.#tables.map((table) => table.mark()).join('');
    const seen = { marks: rules, sets: 0, elements: 0 };
    let ours = { added: 0, deleted: 0 };
    await this.#dump(
      'count elements',
      [attribute.flags, list.headers],
      (bytes, start, end) => {
        ours = { added: this.#added, deleted: this.#deleted };
        const { elements, make } = decodeHeader(bytes, start, end);
        if (elements < 0) return;
        seen.marks += make;
        seen.sets++;
        seen.elements += elements;
      },
      () => {
        Object.assign(seen, { marks: rules, sets: 0, elements: 0 });
      },
    );
    this.#added -= ours.added;
    this.#deleted -= ours.deleted;
    this.#seen = seen;
    return { ...seen, ...ours };
  }

  async drops(): Promise<Drops> {
    return dropsOf(this.#tables, [...this.layouts.values()]);
  }

  /** Removes rules, chains and sets; absent ones are no error. */
  async remove(): Promise<void> {
    for (const table of this.#tables) await table.put({ chains: [], jumps: [] });
    for (const name of await this.#names()) await this.#destroy(name);
    this.forget();
  }

  // --- Sets and rules ----------------------------------------------------------------------------

  #request(number: number, operation: string, fields: readonly Field[]): Promise<void> {
    const request = new Request(this.socket);
    request.add(number, operation, fields);
    return request.send();
  }

  #create(name: string, set: SetShape): Promise<void> {
    const type = setTypes[hasNetworks(set) ? 'networks' : 'addresses'];
    const data: Field[] = [
      // A default timeout of 0: the set supports timeouts, and an element without one stays.
      [dataAttribute.timeout | networkOrder, 0],
      // The bound includes the prefix length, so that the kernel's answer shows for which prefix
      // length a set was created.
      [dataAttribute.elementsMax | networkOrder, this.#setElementsMax + (hasNetworks(set) ? set.prefix : 0)],
    ];
    return this.#request(command.create, `create set ${name}`, [
      [attribute.set, name],
      [attribute.other, type.name],
      [attribute.revision, byte(type.revision)],
      [attribute.family, byte(families[set.family])],
      [attribute.data, data],
    ]);
  }

  #destroy(name: string): Promise<void> {
    return this.#request(command.destroy, `destroy set ${name}`, [[attribute.set, name]]);
  }

  /**
   * Creates a set; an existing one with other properties is replaced by swapping, with its
   * elements, under the rules.
   */
  async #makeSet(set: SetShape): Promise<void> {
    try {
      return await this.#create(set.name, set);
    } catch (error) {
      if (!isErrno(error, EEXIST)) throw error;
    }
    const elements = await this.readElements(set);
    if ((await this.#names()).includes(temporarySet)) await this.#destroy(temporarySet);
    await this.#create(temporarySet, set);
    // A smaller set takes those that last longest.
    const bans = elements
      .sort((a, b) => (b.timeoutMs || Number.MAX_VALUE) - (a.timeoutMs || Number.MAX_VALUE))
      .slice(0, this.#setElementsMax);
    const target = { ...set, name: temporarySet };
    for (const part of inParts({ set: target, bans, unbans: [] }, changesPerTransactionMax)) {
      await this.applyGroups([part]);
    }
    await this.#request(command.swap, `swap set ${set.name}`, [
      [attribute.set, temporarySet],
      [attribute.other, set.name],
    ]);
    await this.#destroy(temporarySet);
  }

  #rules(jails: JailScaffold[], layouts: JailSets[], family: 4 | 6): Ours {
    const ours: Ours = { chains: denialChains(jails, chainPrefix), jumps: [] };
    layouts.forEach(({ chain, sets }, index) => {
      const allowed = passRules(jails[index]!, family);
      ours.chains.push({
        name: chain,
        rules: [...allowed, { setIndex: this.#index(sets[family].name), target: denialOf(jails[index]!, chainPrefix) }],
      });
      ours.jumps.push(...jumpRules(jails[index]!, chain));
    });
    return ours;
  }

  /** The number by which a rule refers to a set. */
  #index(name: string): number {
    const operation = `look up set ${name}`;
    const fd = native.xtablesOpen(4);
    if (fd < 0) throw new KernelError(-fd, operation);
    const question = Buffer.alloc(40);
    question.writeUInt32LE(opGetByName, 0);
    question.writeUInt32LE(protocolVersion, 4);
    question.write(name, 8);
    const result = native.socketOption(fd, 0, optionSet, question);
    closeSync(fd);
    if (result < 0) throw new KernelError(-result, operation);
    const index = question.readUInt16LE(8);
    if (index === noIndex) throw new KernelError(ENOENT, operation);
    return index;
  }

  /** Rules and the sets they refer to; '' if a set is gone. */
  protected async readFingerprint(): Promise<string> {
    const indices: number[] = [];
    try {
      for (const { sets } of this.layouts.values()) indices.push(this.#index(sets[4].name), this.#index(sets[6].name));
    } catch (error) {
      if (isErrno(error, ENOENT)) return '';
      throw error;
    }
    return [indices.join(' '), ...this.#tables.map((table) => table.shape())].join('\n');
  }

  async #names(): Promise<string[]> {
    let names: string[] = [];
    await this.#dump(
      'list sets',
      [attribute.flags, list.names],
      (bytes, start, end) => {
        const reader = new AttributeReader(bytes, start, end);
        while (reader.next()) if (reader.type === attribute.set) names.push(reader.text());
      },
      () => {
        names = [];
      },
    );
    return names.filter(isOurs);
  }

  // --- Elements ----------------------------------------------------------------------------------

  /** Sends smaller requests if this one is too large, or has too many answers. */
  protected async applyGroups(groups: SetChanges<SetShape>[]): Promise<void> {
    const request = new Request(this.socket);
    for (const { set, bans, unbans } of groups) {
      encodeElements(request, command.del, set, unbans);
      encodeElements(request, command.add, set, bans);
    }
    if (request.expected.length === 0) return;
    for (const { bans } of groups) for (const { timeoutMs } of bans) this.#noteEnd(timeoutMs);
    try {
      await request.send();
    } catch (error) {
      if (isErrno(error, EMSGSIZE, ENOBUFS)) return this.applySmaller(groups, error);
      throw error;
    }
    for (const { bans, unbans } of groups) {
      this.#added += bans.length;
      this.#deleted += unbans.length;
    }
  }

  /**
   * The kernel counts in ticks, which may be faster than our clock, and says "one second" of less
   * than one: an element may end so much earlier.
   */
  #noteEnd(timeoutMs: number): void {
    const earliest = performance.now() + timeoutMs * 0.999 - 1000;
    if (timeoutMs > 0) this.#soonestEnd = Math.min(this.#soonestEnd, earliest);
  }

  protected dumpElements({ name, family }: SetShape, visit: VisitElement, restart: () => void): Promise<void> {
    const operation = `list set ${name}`;
    const visitPart = (bytes: Buffer, start: number, end: number) => {
      const visitHere = (at: number, timeoutMs: number) => visit(bytes, at, timeoutMs);
      if (decodeMembers(bytes, start, end, keyBytes[family], visitHere)) return;
      throw new KernelError(EBADMSG, operation, 'malformed element');
    };
    return this.#dump(operation, [attribute.set, name], visitPart, restart);
  }

  /** A dump that one attribute limits. */
  #dump(
    operation: string,
    field: Field,
    visit: (bytes: Buffer, start: number, end: number) => void,
    restart: () => void,
  ): Promise<void> {
    const encode = (writer: MessageWriter, sequence: number) => {
      beginMessage(writer, command.list, flagDump, sequence, [field]);
      writer.endMessage();
    };
    return this.socket.dump(encode, operation, visit, restart);
  }
}

function layoutOf(jail: JailScaffold): JailSets {
  const { ipv4Prefix = 32 } = jail;
  // The kernel does not replace a set by one of another type.
  const kind = ipv4Prefix === 32 ? '4-' : '4n-';
  return {
    jail: jail.name,
    chain: kernelName(chainPrefix, jail.name, chainNameMax),
    sets: {
      4: { name: kernelName(`${ipsetPrefix}${kind}`, jail.name), family: 4, prefix: ipv4Prefix },
      // Names of sets of the other type had no letter.
      6: { name: kernelName(`${ipsetPrefix}6n-`, jail.name), family: 6, prefix: jail.ipv6Prefix },
    },
  };
}

/**
 * Without NLM_F_EXCL, adding an element again renews its timeout, and deleting an absent one
 * succeeds.
 */
function encodeElements(
  request: Request,
  number: typeof command.add | typeof command.del,
  set: SetShape,
  elements: Element[],
): void {
  const { name, family, prefix } = set;
  const adds = number === command.add;
  const { writer } = request;
  // ipset cannot hold the unspecified address; the kernel accepts no packet with that source
  // anyway.
  const possible = elements.filter(({ key }) => key.some((byte) => byte !== 0));
  for (let from = 0; from < possible.length; from += elementsPerMessage) {
    const part = possible.slice(from, from + elementsPerMessage);
    // With a line number the kernel processes the whole list.
    const fields: Field[] = [
      [attribute.set, name],
      [attribute.line, 0],
    ];
    request.add(number, `${adds ? 'add' : 'delete'} ${part.length} elements of set ${name}`, fields, () => {
      writer.begin(attribute.list);
      for (const { key, timeoutMs } of part) {
        writer.begin(attribute.data);
        writer.begin(dataAttribute.address);
        writer.raw(addressAttribute[family], key);
        writer.end();
        if (hasNetworks(set)) writer.raw(dataAttribute.prefix, byte(widthOfKey(key, prefix)));
        const seconds = Math.min(ipsetTimeoutSecondsMax, Math.ceil(timeoutMs / 1000));
        if (adds) writer.u32(dataAttribute.timeout | networkOrder, seconds);
        writer.end();
      }
      writer.end();
    });
  }
}

/**
 * The number of elements and the properties of a set in a dump of headers; -1 = the set is not
 * ours.
 */
function decodeHeader(bytes: Buffer, start: number, end: number): { elements: number; make: string } {
  const reader = new AttributeReader(bytes, start, end);
  let elements = -1;
  let make = '';
  while (reader.next()) {
    if (reader.type === attribute.set && !isOurs(reader.text())) return { elements: -1, make };
    if (reader.type !== attribute.data) continue;
    const data = reader.nested();
    while (data.next()) {
      if (data.type === dataAttribute.elements) elements = data.u32();
      else if (data.type === dataAttribute.elementsMax || data.type === dataAttribute.seed) make += ` ${data.u32()}`;
    }
  }
  return { elements, make };
}

/**
 * Calls `visit` for the members in one dumped message: the key is at bytes [at, at + length), the
 * time in milliseconds. @returns false if the message is malformed
 */
export function decodeMembers(
  bytes: Buffer,
  start: number,
  end: number,
  length: number,
  visit: (at: number, timeoutMs: number) => void,
): boolean {
  const reader = new AttributeReader(bytes, start, end);
  while (reader.next()) {
    if (reader.type !== attribute.list) continue;
    const list = reader.nested();
    while (list.next()) {
      let at = -1;
      let seconds = 0;
      const member = list.nested();
      while (member.next()) {
        if (member.type === dataAttribute.address) {
          const address = member.nested();
          while (address.next()) if (address.end - address.start === length) at = address.start;
        } else if (member.type === dataAttribute.timeout) seconds = member.u32();
      }
      if (at < 0 || seconds < 0 || member.malformed) return false;
      visit(at, seconds * 1000);
    }
    if (list.malformed) return false;
  }
  return !reader.malformed;
}
