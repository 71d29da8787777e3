/**
 * The nftables backend: one table `inet NAME` of ours, two hash sets per jail whose elements carry
 * their own timeout, one ACK read for every message. Existing objects in the kernel are adopted:
 * sets with the right properties stay as they are, chains and rules are replaced in one
 * transaction, so protection never stops. A change counts only when the kernel has confirmed it: if
 * an answer is lost, we read back. Full: the kernel's ENFILE or ENOMEM reaches the caller as
 * KernelError, and nothing of that transaction is applied. An aborted transaction costs the kernel
 * milliseconds. So NLM_F_EXCL is never used, and nothing is deleted that may be absent: an unban
 * adds its element first, then deletes it.
 */
import { constants } from 'node:os';
import type { Backend, Drops, JailScaffold, Lengths, Listed, ListSet } from '../../types.ts';
import { type Element, isLongEnough, keyBytes, keyText, type SetChanges } from '../elements.ts';
import { isErrno, KernelError } from '../kernel-error.ts';
import { kernelName } from '../names.ts';
import type { Field } from '../netlink/message.ts';
import { NetlinkSocket, openTransport, type Transport } from '../netlink/socket.ts';
import { SetBackend, type VisitElement } from '../set-backend.ts';
import * as decode from './decode.ts';
import { Batch, encodeDump, encodeQuestion, type JailLayout, type SetLayout } from './messages.ts';
import { attribute, command, type Hook, hookNumber, netlinkNetfilter } from './numbers.ts';
import { hasOthers, Pacer } from './pacer.ts';
import * as rules from './rules.ts';

const { EMSGSIZE, ENOBUFS, ENOENT, EBUSY, EEXIST, EINVAL, EBADMSG } = constants.errno;

export interface NftablesOptions {
  /** Name of our table in family inet. */
  table: string;
  /** `size` of every set, beyond which the kernel returns ENFILE; 0 = none. */
  setElementsMax?: number;
  /**
   * Whether this kernel renews the timeout of an element that is added again; tested at install if
   * not given.
   */
  refreshes?: boolean;
  /** Opens the netlink socket; `sendBytes` is the largest datagram, if larger than usual. */
  open?: (sendBytes?: number) => Transport;
  /** How long to wait for an answer, ms. */
  answerMilliseconds?: number;
  /** Leaves gaps for the transactions of other programs. */
  pacer?: Pacer;
}

type Changes = SetChanges<SetLayout>;

export class NftablesBackend extends SetBackend<SetLayout, JailLayout> implements Backend {
  readonly name = 'nftables';
  readonly listed: Listed = {
    emptied() {},
    each: (set, visit) => this.dumpElements(this.#listLayout(set), visit, () => undefined, { tolerant: true }),
    apply: (changes) =>
      this.#transact((batch) => {
        for (const { set, adds, removes } of changes) {
          const layout = this.#listLayout(set);
          // See #encodeChanges.
          batch.changeKeys('add', layout, removes);
          batch.changeKeys('delete', layout, removes);
          batch.changeKeys('add', layout, adds);
        }
      }),
  };
  readonly #options: NftablesOptions;
  readonly #open: (sendBytes?: number) => NetlinkSocket;
  /** For long dumps, during which transactions continue; opened when first needed. */
  #reader: NetlinkSocket | undefined;
  readonly #pacer: Pacer;
  /** The ruleset's generation when last read, and our transactions since. */
  #generation = -1;
  #commits = 0;
  /**
   * Whether adding an element again renews its timeout (Linux 6.12 and later); null = not yet
   * tested.
   */
  #refreshes: boolean | null;

  constructor(options: NftablesOptions) {
    const { open = (sendBytes) => openTransport(netlinkNetfilter, sendBytes === undefined ? {} : { sendBytes }) } =
      options;
    const openSocket = (sendBytes?: number) => new NetlinkSocket(open(sendBytes), options.answerMilliseconds);
    super(openSocket());
    this.#options = options;
    this.#open = openSocket;
    this.#refreshes = options.refreshes ?? null;
    this.#pacer = options.pacer ?? new Pacer(() => hasOthers(this.#reader === undefined ? 1 : 2));
  }

  close(): void {
    this.socket.close();
    this.#reader?.close();
  }

  pause(): Promise<void> | undefined {
    return this.#pacer.pause();
  }

  /**
   * Makes the table what `jails` ask for, in one transaction. Elements of remaining jails are kept
   * with their remaining time; everything else in the table is removed.
   */
  async install(jails: JailScaffold[]): Promise<void> {
    this.#refreshes ??= await this.#probeRefresh();
    const layouts = jails.map((jail) => this.#layout(jail));
    // Another program may change the table between our reading and our transaction, or refer to
    // what we replace. Then we read again, and at last replace the table as a whole.
    for (const approach of ['adopt', 'adopt', 'replace'] as const) {
      try {
        await this.#scaffold(jails, layouts, approach);
        break;
      } catch (error) {
        if (!isErrno(error, ENOENT, EBUSY, EEXIST, EINVAL) || approach === 'replace') throw error;
      }
    }
    await this.note(layouts);
  }

  /** Packets counted by the rules that end in a drop or an answer. */
  async drops(): Promise<Drops> {
    const dropped: Drops = new Map();
    for (const { jail, chain, denial = chain } of [...this.layouts.values()]) {
      const own = [this.#ofTable, [attribute.rule.chain, denial]] as const;
      const seen = await this.#dump(
        command.getRule,
        `list chain ${denial}`,
        decode.decodeRule,
        own,
        this.#longReader(),
      );
      const counted = seen.filter((rule) => rule.chain === denial).map(({ expressions }) => expressions.packets);
      dropped.set(
        jail,
        counted.reduce((sum, packets) => sum + packets, 0),
      );
    }
    return dropped;
  }

  /** Compares the ruleset's generation, to which each of our own transactions adds one. */
  async disturbed(): Promise<boolean> {
    let generation = -1;
    let commits = 0;
    await this.socket.ask(
      (writer, sequence) => encodeQuestion(writer, sequence, command.getGeneration),
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

  /** Removes the table; if it is absent, that is no error. */
  async remove(): Promise<void> {
    await this.#transact((batch) => {
      batch.addTable();
      batch.deleteTable();
    });
    this.forget();
  }

  #layout(jail: JailScaffold): JailLayout {
    const { table } = this.#options;
    const { ipv4Prefix = 32, ipv6Prefix } = jail;
    const allowLists = this.#listLayouts('', jail.allowLists);
    const comment = ipv4Prefix === 32 ? table : `${table} /${ipv4Prefix}`;
    return {
      jail: jail.name,
      chain: kernelName('jail-', jail.name),
      denial:
        jail.action === 'reject' || jail.allow?.length || allowLists.length
          ? kernelName('deny-', jail.name)
          : undefined,
      sets: {
        4: { name: kernelName('ban4-', jail.name), family: 4, prefix: ipv4Prefix, comment },
        6: { name: kernelName('ban6-', jail.name), family: 6, prefix: ipv6Prefix, comment: `${table} /${ipv6Prefix}` },
      },
      lists: this.#listLayouts(jail.name, jail.lists),
      allowLists,
    };
  }

  #listLayouts(jail: string, lengths: Lengths = { 4: [], 6: [] }): SetLayout[] {
    return ([4, 6] as const).flatMap((family) =>
      lengths[family].map((prefix) => this.#listLayout({ jail, family, prefix })),
    );
  }

  #listLayout({ jail, family, prefix }: ListSet): SetLayout {
    const name = jail === '' ? `ignored${family}-${prefix}` : kernelName(`list${family}-${prefix}-`, jail);
    return { name, family, prefix, comment: `${this.#options.table} list /${prefix}` };
  }

  // --- Transactions and dumps --------------------------------------------------------------------

  #batch(table = this.#options.table): Batch {
    return new Batch(table, () => this.socket.nextSequence());
  }

  #transact(build: (batch: Batch) => void, table?: string): Promise<void> {
    const batch = this.#batch(table);
    build(batch);
    return this.#commit(batch);
  }

  /**
   * One transaction. If answers were lost, it is unknown whether it was applied: it is sent again
   * and asks for a single ACK. Repeating does no harm, since every message of ours may be repeated.
   */
  async #commit(batch: Batch): Promise<void> {
    try {
      await this.socket.exchange(batch.finish(), batch.expected, batch.strays);
      this.#commits++;
    } catch (error) {
      if (!isErrno(error, ENOBUFS) || batch.expected.length === 1) throw error;
      await this.#commitOnce(this.socket, batch);
    }
  }

  /** Sends a finished transaction that asks for one ACK. */
  async #commitOnce(socket: NetlinkSocket, batch: Batch): Promise<void> {
    const { request, expected, strays } = batch.askOnce();
    await socket.exchange(request, expected, strays);
    this.#commits++;
  }

  /**
   * Commits a scaffold, over a socket of its own if the usual one is too small for the moved
   * elements.
   */
  async #commitLarge(batch: Batch): Promise<void> {
    try {
      await this.#commit(batch);
    } catch (error) {
      if (!isErrno(error, EMSGSIZE)) throw error;
      const large = this.#open(batch.writer.length + 4096);
      try {
        await this.#commitOnce(large, batch);
      } finally {
        large.close();
      }
    }
  }

  /** The socket for long dumps. */
  #longReader(): NetlinkSocket {
    this.#reader ??= this.#open();
    return this.#reader;
  }

  get #ofTable(): Field {
    return [attribute.table, this.#options.table];
  }

  /**
   * The decoded objects of our table. The kernel filters sets and rules by table, and rules by
   * chain, if it can; it always filters by family.
   */
  async #dump<Facts extends { table: string }>(
    number: number,
    operation: string,
    decoder: decode.Decoder<Facts>,
    fields: readonly Field[] = [],
    socket = this.socket,
  ): Promise<Facts[]> {
    let seen: Facts[] = [];
    const visit = (bytes: Buffer, start: number, end: number) => {
      const facts = decoder(bytes, start, end);
      if (facts === null) throw new KernelError(EBADMSG, operation, 'malformed object');
      if (facts.table === this.#options.table) seen.push(facts);
    };
    const restart = () => {
      seen = [];
    };
    try {
      await socket.dump((writer, sequence) => encodeDump(writer, sequence, number, fields), operation, visit, restart);
    } catch (error) {
      // A table that does not exist has no sets and no rules.
      if (fields.length === 0 || !isErrno(error, ENOENT)) throw error;
    }
    return seen;
  }

  /** The content of our table, except rules and elements. */
  async #survey() {
    const tables = await this.#dump(command.getTable, 'list tables', decode.decodeTable);
    const chains = await this.#dump(command.getChain, 'list chains', decode.decodeChain);
    const sets = await this.#dump(command.getSet, 'list sets', decode.decodeSet, [this.#ofTable]);
    return { tables, chains, sets };
  }

  /** Everything about the table that must stay as we made it, except its elements. */
  protected async readFingerprint(): Promise<string> {
    const survey = await this.#survey();
    const rules = await this.#dump(command.getRule, 'list rules', decode.decodeRule, [this.#ofTable]);
    return JSON.stringify([survey, rules.map(({ chain, expressions }) => [chain, expressions.shape])]);
  }

  // --- Scaffold ----------------------------------------------------------------------------------

  async #scaffold(jails: JailScaffold[], layouts: JailLayout[], approach: 'adopt' | 'replace'): Promise<void> {
    const { setElementsMax = 0 } = this.#options;
    const ofBans = layouts.flatMap((layout) => [layout.sets[4], layout.sets[6]]);
    const ofLists = layouts.flatMap(({ lists, allowLists }) => [...lists, ...allowLists]);
    const sets = [...ofBans, ...new Map(ofLists.map((set) => [set.name, set])).values()];
    const byName = new Map(sets.map((set) => [set.name, set]));
    const survey = await this.#survey();
    const [stay, go] = [new Set<string>(), new Set<string>()];
    for (const facts of survey.sets) {
      const set = byName.get(facts.name);
      const isReusable = approach === 'adopt' && set !== undefined && decode.isSameSet(facts, set);
      (isReusable ? stay : go).add(facts.name);
    }
    // Elements of sets that have to be replaced move to the new sets.
    const moved = new Map<SetLayout, Element[]>();
    for (const set of ofBans) if (go.has(set.name)) moved.set(set, await this.readElements(set));

    const batch = this.#batch();
    batch.addTable();
    if (approach === 'adopt') {
      for (const { name } of survey.chains) batch.flushChain(name);
      for (const { name } of survey.chains) batch.deleteChain(name);
      for (const name of go) batch.deleteSet(name);
    } else {
      batch.deleteTable();
      batch.addTable();
    }
    sets.forEach((set, index) => {
      batch.addSet(set, index + 1);
      // Not when the set is created: then its hash table would take memory for so many at once.
      // Older kernels ignore the later size.
      if (setElementsMax > 0 && index < ofBans.length) batch.addSet(set, index + 1, setElementsMax);
      batch.addElements(set.name, moved.get(set) ?? []);
    });
    this.#addChains(batch, jails, layouts);
    await this.#commitLarge(batch);
    // The files of lists say what their sets should hold, so nothing is moved.
    const isNew = ({ name }: SetLayout): boolean => !stay.has(name);
    for (const { jail, lists } of layouts) if (lists.some(isNew)) this.listed.emptied(jail);
    if (layouts[0]?.allowLists.some(isNew)) this.listed.emptied('');
  }

  #addChains(batch: Batch, jails: JailScaffold[], layouts: JailLayout[]): void {
    layouts.forEach((layout, index) => {
      const { chain, denial } = layout;
      const { allow = [], action = 'drop' } = jails[index]!;
      if (denial !== undefined) {
        batch.addChain(denial);
        for (const network of allow) rules.addAllowRule(batch, denial, network);
        for (const set of layout.allowLists) rules.addAllowSetRule(batch, denial, set);
        rules.addDenialRules(batch, denial, action);
      }
      batch.addChain(chain);
      rules.addDropRules(batch, layout);
    });
    for (const hook of Object.keys(hookNumber) as Hook[]) {
      const hooked = jails.filter((jail) => jail.hooks.includes(hook));
      if (hooked.length === 0) continue;
      batch.addChain(hook, hook);
      if (hooked.some(({ ports }) => ports.length === 0)) rules.addDiscoveryRule(batch, hook);
      for (const jail of hooked) {
        const { chain } = layouts[jails.indexOf(jail)]!;
        if (jail.ports.length === 0) rules.addJumpRule(batch, hook, chain);
        else
          for (const protocol of jail.protocols) {
            for (const ports of jail.ports) rules.addPortRules(batch, hook, chain, { protocol, ports });
          }
      }
    }
  }

  /**
   * Whether this kernel renews the timeout of an element that is added again; tested in a temporary
   * table.
   */
  async #probeRefresh(): Promise<boolean> {
    const table = `${this.#options.table}-probe`;
    const set: SetLayout = { name: 'probe', family: 4, prefix: 32, comment: table };
    const add = (batch: Batch, leftMs?: number) =>
      batch.addElements(set.name, [{ key: Uint8Array.of(192, 0, 2, 1), timeoutMs: 7_200_000 }], leftMs);
    await this.#transact((batch) => {
      batch.addTable();
      batch.addSet(set, 1);
      add(batch, 3_600_000);
    }, table);
    try {
      await this.#transact((batch) => add(batch), table);
      let remaining = 0;
      const note: VisitElement = (_bytes, _at, timeoutMs) => {
        remaining = timeoutMs;
      };
      await this.dumpElements(set, note, () => undefined, { table });
      return remaining > 3_600_000;
    } finally {
      await this.#transact((batch) => batch.deleteTable(), table);
    }
  }

  // --- Elements ----------------------------------------------------------------------------------

  /**
   * Sends smaller transactions if the socket is too small, and reads back if an answer was lost.
   */
  protected async applyGroups(groups: Changes[]): Promise<void> {
    const batch = this.#batch();
    for (const group of groups) this.#encodeChanges(batch, group);
    if (batch.expected.length === 0) return;
    try {
      await this.#commit(batch);
    } catch (error) {
      if (isErrno(error, EMSGSIZE)) return this.applySmaller(groups, error);
      if (!isErrno(error, ENOBUFS) || !(await this.#holds(groups))) throw error;
    }
  }

  #encodeChanges(batch: Batch, { set: { name }, bans, unbans }: Changes): void {
    // Deleting an absent element would abort the transaction, so it is added first.
    batch.addElements(name, unbans);
    batch.deleteElements(name, unbans);
    batch.addElements(name, bans);
    if (this.#refreshes !== true) {
      batch.deleteElements(name, bans);
      batch.addElements(name, bans);
    }
  }

  /** Whether the kernel holds what `groups` ask for. */
  async #holds(groups: Changes[]): Promise<boolean> {
    for (const { set, bans, unbans } of groups) {
      const holdings = await this.readHoldings(set);
      const remaining = ({ key }: Element) => holdings.get(keyText(key));
      const lacks = (ban: Element) => !isLongEnough(remaining(ban) ?? Number.NaN, ban.timeoutMs);
      if (unbans.some((unban) => remaining(unban) !== undefined) || bans.some(lacks)) return false;
    }
    return true;
  }

  /** A tolerant dump has a socket of its own, so that transactions continue meanwhile. */
  protected dumpElements(
    set: SetLayout,
    visit: VisitElement,
    restart: () => void,
    { table = this.#options.table, tolerant = false } = {},
  ): Promise<void> {
    const operation = `list set ${set.name}`;
    const socket = tolerant ? this.#longReader() : this.socket;
    const fields: Field[] = [
      [attribute.table, table],
      [attribute.elements.set, set.name],
    ];
    return socket.dump(
      (writer, sequence) => encodeDump(writer, sequence, command.getElement, fields),
      operation,
      (bytes, start, end) => {
        const visitHere = (at: number, remaining: number) => visit(bytes, at, remaining);
        if (decode.decodeElements(bytes, start, end, keyBytes[set.family], visitHere)) return;
        throw new KernelError(EBADMSG, operation, 'malformed element');
      },
      restart,
      { tolerant },
    );
  }

  protected override async readElements(set: SetLayout): Promise<Element[]> {
    try {
      return await super.readElements(set);
    } catch (error) {
      // A set of that name with other keys is not ours: there is nothing to adopt.
      if (!isErrno(error, EBADMSG)) throw error;
      return [];
    }
  }
}
