/**
 * The nftables backend: one table `inet NAME` of ours, two hash sets per jail whose elements carry
 * their own end, one ACK read for every message. Whatever stands in the kernel is adopted: sets
 * made as we make them stay as they are, chains and rules are replaced in one transaction, so that
 * there is no instant without protection. Nothing is believed that the kernel did not confirm: a
 * lost answer is followed by reading back. Full: the kernel's ENFILE or ENOMEM reaches the caller
 * as KernelError and nothing of that transaction holds. NLM_F_EXCL is never used and nothing is
 * deleted that may be absent, since an aborted transaction costs the kernel milliseconds: an unban
 * adds its element first, then deletes it.
 */
import { constants } from 'node:os';
import { changesPerTransactionMax } from '../../limits.ts';
import type { Address, Backend, Ban, Change, Drops, JailScaffold } from '../../types.ts';
import {
  type Element,
  groupChanges,
  type Holdings,
  isLongEnough,
  keyBytes,
  keyOfText,
  keyText,
  longer,
  prefixMask,
  type SetChanges,
  setFor,
  toAddress,
} from '../elements.ts';
import { KernelError } from '../kernel-error.ts';
import { kernelName } from '../names.ts';
import { NetlinkSocket, openTransport, type Transport } from '../netlink/socket.ts';
import * as decode from './decode.ts';
import * as messages from './messages.ts';
import { attribute, command, type Hook, hookNumber, netlinkNetfilter } from './numbers.ts';
import { Pacer } from './pacer.ts';
import { addAllowRule, addDenialRules, addDiscoveryRule, addDropRule, addJumpRule, addPortRules } from './rules.ts';

const { EMSGSIZE, ENOBUFS, ENOENT, EBUSY, EEXIST, EINVAL, EBADMSG } = constants.errno;

export interface NftablesOptions {
  /** Name of our table in family inet. */
  table: string;
  /** `size` of every set, after which the kernel says ENFILE; 0 = none. */
  setElementsMax?: number;
  /**
   * Whether this kernel renews the timeout of an element added again; tried out at install where
   * not given.
   */
  refreshes?: boolean;
  /**
   * Opens the way to the kernel; `sendBytes` is the largest datagram it must take, if more than
   * usual.
   */
  open?: (sendBytes?: number) => Transport;
  /** How long an answer may take, ms. */
  answerMilliseconds?: number;
  /** Gives way to the transactions of other programs. */
  pacer?: Pacer;
}

/** What a survey of our table found. */
interface Survey {
  exists: boolean;
  chains: string[];
  sets: Map<string, { reusable: boolean }>;
}

type Changes = SetChanges<messages.SetLayout>;

export class NftablesBackend implements Backend {
  readonly name = 'nftables';
  readonly holds = true;
  readonly #table: string;
  readonly #setElementsMax: number;
  readonly #open: (sendBytes?: number) => Transport;
  readonly #answerMilliseconds: number | undefined;
  readonly #socket: NetlinkSocket;
  /** For long dumps, beside which transactions go on; opened when first needed. */
  #reader: NetlinkSocket | undefined;
  readonly #pacer: Pacer;
  /** The ruleset's generation when last asked, and our transactions since. */
  #generation = -1;
  #commits = 0;
  readonly #layouts = new Map<string, messages.JailLayout>();
  /**
   * Whether adding an element again renews its timeout (Linux 6.12 and later); null = not yet
   * tried.
   */
  #refreshes: boolean | null;
  /** How the table looked right after we made it. */
  #fingerprint: string | null = null;

  constructor(options: NftablesOptions) {
    this.#table = options.table;
    this.#setElementsMax = options.setElementsMax ?? 0;
    this.#open =
      options.open ?? ((sendBytes) => openTransport(netlinkNetfilter, sendBytes === undefined ? {} : { sendBytes }));
    this.#answerMilliseconds = options.answerMilliseconds;
    this.#refreshes = options.refreshes ?? null;
    this.#socket = new NetlinkSocket(this.#open(), this.#answerMilliseconds);
    this.#pacer = options.pacer ?? new Pacer();
  }

  close(): void {
    this.#socket.close();
    this.#reader?.close();
  }

  pause(): Promise<void> | undefined {
    return this.#pacer.pause();
  }

  /**
   * Makes the table what `jails` ask for, in one transaction. Elements of jails that remain are
   * kept with their remaining time; everything else in the table goes.
   */
  async install(jails: JailScaffold[]): Promise<void> {
    this.#refreshes ??= await this.#probeRefresh();
    const layouts = jails.map((jail) => this.#layout(jail));
    // Another program may change the table between our survey and our transaction, or refer to what
    // we replace: look again, and at last replace the table as a whole.
    for (const approach of ['adopt', 'adopt', 'replace'] as const) {
      try {
        await this.#scaffold(jails, layouts, approach);
        break;
      } catch (error) {
        const passing = error instanceof KernelError && [ENOENT, EBUSY, EEXIST, EINVAL].includes(error.errno);
        if (!passing || approach === 'replace') throw error;
      }
    }
    this.#layouts.clear();
    for (const layout of layouts) this.#layouts.set(layout.jail, layout);
    this.#fingerprint = await this.#readFingerprint();
  }

  /**
   * Bans and unbans; of several changes of one address the last one counts. Each transaction
   * (changesPerTransactionMax) is all or nothing. After an error any earlier transaction holds:
   * apply the same changes again, that is harmless.
   */
  async apply(changes: Change[]): Promise<void> {
    for (let from = 0; from < changes.length; from += changesPerTransactionMax) {
      const to = Math.min(changes.length, from + changesPerTransactionMax);
      await this.#applyGroups(groupChanges(changes, from, to, this.#setOf));
    }
  }

  /** The socket for what may take long. */
  #ownReader(): NetlinkSocket {
    this.#reader ??= new NetlinkSocket(this.#open(), this.#answerMilliseconds);
    return this.#reader;
  }

  /** Over a socket of its own, beside which transactions go on. */
  async each(visit: (ban: Ban) => void): Promise<number> {
    const socket = this.#ownReader();
    let count = 0;
    for (const { jail, sets } of this.#layouts.values()) {
      for (const set of [sets[4], sets[6]]) {
        const visitElement = (bytes: Buffer, at: number, timeoutMs: number) => {
          count++;
          visit({ jail, address: toAddress(set, bytes.subarray(at, at + keyBytes[set.family])), timeoutMs });
        };
        await this.#dumpElements(set, visitElement, () => undefined, { socket, tolerant: true });
      }
    }
    return count;
  }

  async reconcile(jails: JailScaffold[]): Promise<boolean> {
    if (this.#fingerprint !== null && (await this.#readFingerprint()) === this.#fingerprint) return false;
    await this.install(jails);
    return true;
  }

  /** Counted by the rules that end in a drop or an answer. */
  async drops(): Promise<Drops> {
    const dropped: Drops = new Map();
    for (const { jail, chain, denial = chain } of [...this.#layouts.values()]) {
      let packets = 0;
      await this.#dump(
        command.getRule,
        `list chain ${denial}`,
        decode.decodeRule,
        (facts) => {
          if (facts.table === this.#table && facts.chain === denial) packets += facts.packets;
        },
        { socket: this.#ownReader(), chain: denial },
      );
      dropped.set(jail, packets);
    }
    return dropped;
  }

  /** Asks for the ruleset's generation, which our own transactions move by one each. */
  async disturbed(): Promise<boolean> {
    let generation = -1;
    let commits = 0;
    await this.#socket.ask(
      (writer, sequence) => messages.encodeQuestion(writer, sequence, command.getGeneration),
      'read the generation',
      (bytes, start, end) => {
        generation = decode.decodeGeneration(bytes, start, end);
        commits = this.#commits;
      },
    );
    const isKnown = this.#generation >= 0;
    const expected = (this.#generation + commits) >>> 0;
    this.#generation = generation;
    this.#commits -= commits;
    return isKnown && generation !== expected;
  }

  /** Removes the table; an absent one is success. */
  async remove(): Promise<void> {
    const batch = new messages.Batch(() => this.#socket.nextSequence());
    messages.addTable(batch, this.#table);
    messages.deleteTable(batch, this.#table);
    await this.#commit(batch);
    this.#layouts.clear();
    this.#fingerprint = null;
  }

  #layout(jail: JailScaffold): messages.JailLayout {
    const comment = `${this.#table} /${jail.ipv6Prefix}`;
    return {
      jail: jail.name,
      chain: kernelName('jail-', jail.name),
      denial: jail.action === 'reject' || jail.allow?.length ? kernelName('deny-', jail.name) : undefined,
      sets: {
        4: { name: kernelName('ban4-', jail.name), family: 4, prefix: 32, comment: this.#table },
        6: { name: kernelName('ban6-', jail.name), family: 6, prefix: jail.ipv6Prefix, comment },
      },
    };
  }

  readonly #setOf = (jail: string, address: Address) => setFor(this.#layouts.get(jail)?.sets, jail, address);

  /**
   * One transaction. Where answers were lost it may hold or not: it is sent again asking for a
   * single one, which does no harm, since no message of ours minds being repeated.
   */
  async #commit(batch: messages.Batch): Promise<void> {
    try {
      await this.#socket.exchange(batch.finish(), batch.expected, batch.strays);
      this.#commits++;
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== ENOBUFS || batch.expected.length === 1) throw error;
      const { request, expected, strays } = batch.askOnce();
      await this.#socket.exchange(request, expected, strays);
      this.#commits++;
    }
  }

  // --- Scaffold ----------------------------------------------------------------------------------

  async #scaffold(jails: JailScaffold[], layouts: messages.JailLayout[], approach: 'adopt' | 'replace'): Promise<void> {
    const sets = layouts.flatMap((layout) => [layout.sets[4], layout.sets[6]]);
    const survey = await this.#survey(sets);
    const adopts = approach === 'adopt';
    // Elements of sets that cannot stay as they are move into their successors.
    const moved = new Map<messages.SetLayout, Element[]>();
    for (const set of sets) {
      const present = survey.sets.get(set.name);
      if (present && !(adopts && present.reusable)) moved.set(set, await this.#readElements(set));
    }

    const batch = new messages.Batch(() => this.#socket.nextSequence());
    messages.addTable(batch, this.#table);
    if (adopts) {
      for (const chain of survey.chains) messages.flushChain(batch, this.#table, chain);
      for (const chain of survey.chains) messages.deleteChain(batch, this.#table, chain);
      for (const [name, { reusable }] of survey.sets) if (!reusable) messages.deleteSet(batch, this.#table, name);
    } else {
      messages.deleteTable(batch, this.#table);
      messages.addTable(batch, this.#table);
    }
    sets.forEach((set, index) => {
      messages.addSet(batch, this.#table, set, index + 1);
      // Not with the set, for whose hash table memory would be taken at once for so many; older
      // kernels leave the size as it is.
      if (this.#setElementsMax > 0) messages.addSet(batch, this.#table, set, index + 1, this.#setElementsMax);
      messages.changeElements(batch, command.newElement, this.#table, set.name, moved.get(set) ?? []);
    });
    this.#addChains(batch, jails, layouts);
    await this.#commitLarge(batch);
  }

  #addChains(batch: messages.Batch, jails: JailScaffold[], layouts: messages.JailLayout[]): void {
    layouts.forEach(({ chain, denial, sets }, index) => {
      const { allow = [], action = 'drop' } = jails[index]!;
      if (denial !== undefined) {
        messages.addChain(batch, this.#table, denial);
        for (const network of allow) addAllowRule(batch, this.#table, denial, network);
        addDenialRules(batch, this.#table, denial, action);
      }
      messages.addChain(batch, this.#table, chain);
      addDropRule(batch, this.#table, chain, sets[4], denial);
      addDropRule(batch, this.#table, chain, sets[6], denial);
    });
    for (const hook of Object.keys(hookNumber) as Hook[]) {
      const hooked = jails.filter((jail) => jail.hooks.includes(hook));
      if (hooked.length === 0) continue;
      messages.addChain(batch, this.#table, hook, hook);
      if (hooked.some(({ ports }) => ports.length === 0)) addDiscoveryRule(batch, this.#table, hook);
      jails.forEach((jail, index) => {
        if (!jail.hooks.includes(hook)) return;
        const { chain } = layouts[index]!;
        if (jail.ports.length === 0) addJumpRule(batch, this.#table, hook, chain);
        else
          for (const protocol of jail.protocols) {
            for (const ports of jail.ports) addPortRules(batch, this.#table, hook, chain, { protocol, ports });
          }
      });
    }
  }

  /**
   * Commits a scaffold, over a socket of its own where the usual one is too small for the elements
   * it moves.
   */
  async #commitLarge(batch: messages.Batch): Promise<void> {
    try {
      await this.#commit(batch);
    } catch (error) {
      if (!(error instanceof KernelError) || error.errno !== EMSGSIZE) throw error;
      const { request, expected, strays } = batch.askOnce();
      const large = new NetlinkSocket(this.#open(request.length + 4096), this.#answerMilliseconds);
      try {
        await large.exchange(request, expected, strays);
        this.#commits++;
      } finally {
        large.close();
      }
    }
  }

  async #survey(wanted: messages.SetLayout[]): Promise<Survey> {
    const byName = new Map(wanted.map((set) => [set.name, set]));
    const survey: Survey = { exists: false, chains: [], sets: new Map() };
    await this.#dump(command.getTable, 'list tables', decode.decodeTable, (facts) => {
      if (facts.name === this.#table) survey.exists = true;
    });
    if (!survey.exists) return survey;
    await this.#dump(command.getChain, 'list chains', decode.decodeChain, (facts) => {
      if (facts.table === this.#table) survey.chains.push(facts.name);
    });
    await this.#dump(command.getSet, 'list sets', decode.decodeSet, (facts) => {
      if (facts.table !== this.#table) return;
      const set = byName.get(facts.name);
      survey.sets.set(facts.name, { reusable: set !== undefined && decode.isSameSet(facts, set) });
    });
    return survey;
  }

  /** Everything about the table that must stay as we made it, except its elements. */
  async #readFingerprint(): Promise<string> {
    const lines: string[] = [];
    await this.#dump(command.getTable, 'list tables', decode.decodeTable, (facts) => {
      if (facts.name === this.#table) lines.push(`table ${facts.flags}`);
    });
    await this.#dump(command.getChain, 'list chains', decode.decodeChain, (facts) => {
      if (facts.table === this.#table) lines.push(`chain ${facts.name} ${facts.shape}`);
    });
    await this.#dump(command.getSet, 'list sets', decode.decodeSet, (facts) => {
      if (facts.table === this.#table) lines.push(`set ${facts.name} ${facts.flags} ${facts.comment}`);
    });
    await this.#dump(command.getRule, 'list rules', decode.decodeRule, (facts) => {
      if (facts.table === this.#table) lines.push(`rule ${facts.chain} ${facts.shape}`);
    });
    return lines.join('\n');
  }

  /** A dump of decoded objects, delivered once it is whole. */
  async #dump<Facts>(
    number: number,
    operation: string,
    decode: (bytes: Buffer, start: number, end: number) => Facts | null,
    deliver: (facts: Facts) => void,
    { socket = this.#socket, chain }: { socket?: NetlinkSocket; chain?: string } = {},
  ): Promise<void> {
    let seen: Facts[] = [];
    // Sets and rules are asked for by table, and rules by chain, where the kernel can do that; it
    // always filters by family.
    const body = number === command.getSet || number === command.getRule ? this.#table : null;
    try {
      await socket.dump(
        (writer, sequence) =>
          messages.encodeDump(writer, sequence, number, (w) => {
            if (body !== null) w.text(attribute.rule.table, body);
            if (chain !== undefined) w.text(attribute.rule.chain, chain);
          }),
        operation,
        (bytes, start, end) => {
          const facts = decode(bytes, start, end);
          if (facts === null) throw new KernelError(EBADMSG, operation, { explanation: 'malformed object' });
          seen.push(facts);
        },
        () => {
          seen = [];
        },
      );
    } catch (error) {
      // A table that is not there has no sets and no rules.
      if (!(body !== null && error instanceof KernelError && error.errno === ENOENT)) throw error;
    }
    for (const facts of seen) deliver(facts);
  }

  /**
   * Whether this kernel renews the timeout of an element that is added again; tried out in a table
   * of its own.
   */
  async #probeRefresh(): Promise<boolean> {
    const table = `${this.#table}-probe`;
    const set: messages.SetLayout = { name: 'probe', family: 4, prefix: 32, comment: table };
    const element = (timeoutMs: number) => [{ key: Uint8Array.of(192, 0, 2, 1), timeoutMs }];
    const send = (build: (batch: messages.Batch) => void) => {
      const batch = new messages.Batch(() => this.#socket.nextSequence());
      build(batch);
      return this.#commit(batch);
    };
    await send((batch) => {
      messages.addTable(batch, table);
      messages.addSet(batch, table, set, 1, 0);
      messages.changeElements(batch, command.newElement, table, set.name, element(3_600_000));
    });
    try {
      await send((batch) => messages.changeElements(batch, command.newElement, table, set.name, element(7_200_000)));
      let remaining = 0;
      const note = (_: Buffer, __: number, timeoutMs: number) => {
        remaining = timeoutMs;
      };
      await this.#dumpElements(set, note, () => undefined, { table });
      return remaining > 3_600_000;
    } finally {
      await send((batch) => messages.deleteTable(batch, table));
    }
  }

  // --- Elements ----------------------------------------------------------------------------------

  /**
   * One transaction; halved where the socket is too small for it, read back where its answer was
   * lost.
   */
  async #applyGroups(groups: Changes[]): Promise<void> {
    const batch = new messages.Batch(() => this.#socket.nextSequence());
    for (const group of groups) this.#encodeChanges(batch, group);
    if (batch.expected.length === 0) return;
    try {
      await this.#commit(batch);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (error.errno === EMSGSIZE) return this.#applyHalves(groups, error);
      if (error.errno !== ENOBUFS || !(await this.#holds(groups))) throw error;
    }
  }

  async #applyHalves(groups: Changes[], error: KernelError): Promise<void> {
    const count = groups.reduce((sum, { bans, unbans }) => sum + bans.length + unbans.length, 0);
    if (count <= 1) throw error;
    const half = (first: boolean) =>
      groups.map(({ set, bans, unbans }) => {
        const cut = (list: Element[]) => {
          const middle = Math.ceil(list.length / 2);
          return first ? list.slice(0, middle) : list.slice(middle);
        };
        return { set, bans: cut(bans), unbans: cut(unbans) };
      });
    const [first, second] = [half(true), half(false)];
    // Many sets with one element each do not get fewer by halving lists: then halve the list of
    // sets.
    if (second.every(({ bans, unbans }) => bans.length + unbans.length === 0)) {
      const middle = groups.length >> 1;
      if (middle === 0) throw error;
      await this.#applyGroups(groups.slice(0, middle));
      return this.#applyGroups(groups.slice(middle));
    }
    await this.#applyGroups(first);
    await this.#applyGroups(second);
  }

  #encodeChanges(batch: messages.Batch, { set, bans, unbans }: Changes): void {
    const change = (number: typeof command.newElement | typeof command.delElement, elements: Element[]) =>
      messages.changeElements(batch, number, this.#table, set.name, elements);
    // Deleting what is absent would abort the transaction, so it is added first.
    change(command.newElement, unbans);
    change(command.delElement, unbans);
    change(command.newElement, bans);
    if (this.#refreshes !== true) {
      change(command.delElement, bans);
      change(command.newElement, bans);
    }
  }

  /** Whether the kernel holds what `groups` ask for. */
  async #holds(groups: Changes[]): Promise<boolean> {
    for (const { set, bans, unbans } of groups) {
      const holdings = await this.#readHoldings(set);
      const held = (element: Element) => holdings.get(keyText(element.key));
      if (unbans.some((element) => held(element) !== undefined)) return false;
      const lacks = (element: Element) => {
        const remaining = held(element);
        return remaining === undefined || !isLongEnough(remaining, element.timeoutMs);
      };
      if (bans.some(lacks)) return false;
    }
    return true;
  }

  #dumpElements(
    set: messages.SetLayout,
    visit: (bytes: Buffer, at: number, remainingMs: number) => void,
    restart: () => void,
    { table = this.#table, socket = this.#socket, tolerant = false } = {},
  ): Promise<void> {
    const operation = `list set ${set.name}`;
    return socket.dump(
      (writer, sequence) =>
        messages.encodeDump(writer, sequence, command.getElement, (w) => {
          w.text(attribute.elements.table, table);
          w.text(attribute.elements.set, set.name);
        }),
      operation,
      (bytes, start, end) => {
        const whole = decode.decodeElements(bytes, start, end, keyBytes[set.family], (at, remaining) =>
          visit(bytes, at, remaining),
        );
        if (!whole) throw new KernelError(EBADMSG, operation, { explanation: 'malformed element' });
      },
      restart,
      { tolerant },
    );
  }

  async #readHoldings(set: messages.SetLayout): Promise<Holdings> {
    const holdings: Holdings = new Map();
    await this.#dumpElements(
      set,
      (bytes, at, remaining) => holdings.set(keyText(bytes, at, keyBytes[set.family]), remaining),
      () => holdings.clear(),
    );
    return holdings;
  }

  /** The elements of the kernel's set of that name, masked to the prefix of `set`. */
  async #readElements(set: messages.SetLayout): Promise<Element[]> {
    const byKey: Holdings = new Map();
    const mask = prefixMask(set.prefix, keyBytes[set.family]);
    try {
      await this.#dumpElements(
        set,
        (bytes, at, remaining) => {
          const text = keyText(mask.map((bits, index) => bits & bytes[at + index]!));
          const known = byKey.get(text);
          byKey.set(text, known === undefined ? remaining : longer(known, remaining));
        },
        () => byKey.clear(),
      );
    } catch (error) {
      // A set of that name with other keys is not one of ours: there is nothing to adopt.
      if (!(error instanceof KernelError) || error.errno !== EBADMSG) throw error;
      byKey.clear();
    }
    return [...byKey].map(([text, timeoutMs]) => ({ key: keyOfText(text), timeoutMs }));
  }
}
