/**
 * The `filter` table of legacy iptables, read, edited and replaced through socket options, without
 * iptables. A table is one blob of entries that refer to each other by offset; it is taken apart
 * into entries that refer to entries, ours are taken out and put in anew, and the whole goes back
 * in one atomic replace: packets see the old table or the new one. Rules of others keep their place
 * and their counters. The blob is the kernel's, yet every offset in it is checked. The lock of the
 * iptables programs is honoured. A replace costs O(rules of the table)
 * (linux/netfilter_ipv4/ip_tables.h).
 */
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { xtablesLockMs } from '../../limits.ts';
import { native } from '../../native.ts';
import { Turns } from '../../turns.ts';
import type { Drops, JailScaffold, PortRange } from '../../types.ts';
import { keyBytes, prefixMask } from '../elements.ts';
import { KernelError } from '../kernel-error.ts';

const { EAGAIN, EBADMSG } = constants.errno;

const levels = { 4: 0, 6: 41 } as const;
const getInfo = 64;
const getEntries = 65;
const addCounters = 65;
const table = 'filter';
const infoBytes = 84;
const entriesHeaderBytes = 40;
const replaceHeaderBytes = 96;
const counterBytes = 16;
const countersHeaderBytes = 40;
const matchHeaderBytes = 32;
const errorTarget = 'ERROR';
const rejectTarget = 'REJECT';
const verdict = { drop: -1, return: -5 } as const;
const protocolNumber = { tcp: 6, udp: 17 } as const;
/** Targets of the module REJECT: a TCP reset, else "administratively prohibited". */
const rejectWith = { 4: { reset: 7, prohibited: 8 }, 6: { reset: 6, prohibited: 1 } } as const;
/** Reads and replaces that may lose the race against another writer. */
const replaceTriesMax = 5;

/** Netfilter's hook numbers. */
export const hookNumbers = { input: 1, forward: 2 } as const;
export type Hook = keyof typeof hookNumbers;

/** Where struct ipt_entry and ip6t_entry keep what we read and write. */
const layouts = {
  4: {
    header: 112,
    source: 0,
    sourceMask: 8,
    protocol: 80,
    flags: -1,
    target: 88,
    next: 90,
    comefrom: 92,
    counters: 96,
  },
  6: {
    header: 168,
    source: 0,
    sourceMask: 32,
    protocol: 128,
    flags: 131,
    target: 140,
    next: 142,
    comefrom: 144,
    counters: 152,
  },
} as const;
/** IP6T_F_PROTO: the protocol is to be compared. */
const flagProtocol = 1;

/** A rule of ours. */
export interface Rule {
  protocol?: 'tcp' | 'udp';
  /** Destination ports; only with a protocol. */
  ports?: PortRange;
  /** Network-order source address and mask, 4 or 16 bytes each. */
  source?: { key: Uint8Array; mask: Uint8Array };
  /** Index of an ipset that must hold the source. */
  setIndex?: number;
  target: 'drop' | 'return' | keyof (typeof rejectWith)[4] | { chain: string };
}

/** All of ours in the table: chains, and the jumps to them at the head of the hooks, in order. */
export interface Ours {
  chains: { name: string; rules: Rule[] }[];
  jumps: { hook: Hook; rule: Rule }[];
}

/**
 * What becomes of the packets of a jail's banned sources; and the chain that this needs, shared by
 * all jails, before theirs.
 */
export function denialOf({ action }: JailScaffold, prefix: string): Rule['target'] {
  return action === 'reject' ? { chain: rejectChainName(prefix) } : 'drop';
}

export function denialChains(jails: JailScaffold[], prefix: string): Ours['chains'] {
  if (!jails.some(({ action }) => action === 'reject')) return [];
  return [{ name: rejectChainName(prefix), rules: [{ protocol: 'tcp', target: 'reset' }, { target: 'prohibited' }] }];
}

/** No chain of a jail: the names of those have no colon (see kernelName). */
const rejectChainName = (prefix: string) => `${prefix}:reject`;

/**
 * The jumps of a jail to its chain: one per hook, protocol and port range; without ports one for
 * every packet.
 */
export function jumpRules({ hooks, ports, protocols }: JailScaffold, chain: string): Ours['jumps'] {
  const rules: Rule[] = ports.length === 0 ? [{ target: { chain } }] : [];
  for (const range of ports)
    for (const protocol of protocols) rules.push({ protocol, ports: range, target: { chain } });
  return hooks.flatMap((hook) => rules.map((rule) => ({ hook, rule })));
}

/**
 * The rules at the head of a jail's chain that let packets of its allowed networks pass, whatever
 * is banned.
 */
export function allowRules({ allow = [] }: JailScaffold, family: 4 | 6): Rule[] {
  const length = keyBytes[family];
  return allow
    .filter((network) => network.family === family)
    .map(({ bytes, prefix }) => {
      const mask = prefixMask(prefix, length);
      return {
        source: { key: bytes.subarray(16 - length).map((byte, at) => byte & mask[at]!), mask },
        target: 'return',
      };
    });
}

/** Packets that the chains of jails dropped, both families together. */
export async function dropsOf(tables: Xtables[], chains: { jail: string; chain: string }[]): Promise<Drops> {
  const dropped: Drops = new Map(chains.map(({ jail }) => [jail, 0]));
  for (const each of tables) {
    const counts = await each.dropped();
    for (const { jail, chain } of chains) dropped.set(jail, dropped.get(jail)! + (counts.get(chain) ?? 0));
  }
  return dropped;
}

interface Entry {
  bytes: Buffer;
  /** Where its verdict leads, if that is an entry. */
  to: Entry | null;
  /** Place in the table as it was read, -1 for a new one. */
  oldIndex: number;
  offset: number;
}

interface Table {
  validHooks: number;
  entries: Entry[];
  hookEntries: (Entry | null)[];
  underflows: (Entry | null)[];
  /** Number of entries in the kernel. */
  count: number;
}

/** The filter table of one family. */
export class Xtables {
  readonly family: 4 | 6;
  readonly #prefix: string;
  readonly #lockPath: string;
  readonly #fd: number;
  /**
   * What the rules that we replaced had counted, by chain; undefined until the first replace, which
   * meets an earlier run's.
   */
  #counted: Map<string, number> | undefined;
  readonly #turns = new Turns();

  /** @param prefix of the names of our chains: what bears it is ours */
  constructor(family: 4 | 6, prefix: string, lockPath = '/run/xtables.lock') {
    this.family = family;
    this.#prefix = prefix;
    this.#lockPath = lockPath;
    this.#fd = native.xtablesOpen(family);
    if (this.#fd < 0) throw new KernelError(-this.#fd, `open socket for IPv${family} tables`);
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Replaces all of ours by `ours`, in one step. */
  put(ours: Ours): Promise<void> {
    return this.#turns.take(() => this.#put(ours));
  }

  /** Packets that the rules of our chains dropped or rejected, by chain, since the first `put`. */
  dropped(): Promise<Map<string, number>> {
    return this.#turns.take(async () => {
      const found = this.#read();
      const counts = new Map(this.#counted);
      const { counters } = layouts[this.family];
      for (const [name, entry] of this.#denials(found)) {
        counts.set(name, (counts.get(name) ?? 0) + Number(entry.bytes.readBigUInt64LE(counters)));
      }
      return counts;
    });
  }

  /**
   * The rules of our chains that packets of banned sources end in, with the names of the chains.
   */
  *#denials(found: Table): Generator<[chain: string, entry: Entry]> {
    const { target } = layouts[this.family];
    for (const { name, builtin, entries } of chainsOf(found, this.family)) {
      if (builtin || !name.startsWith(this.#prefix)) continue;
      for (const entry of entries.slice(1)) if (deniesPacket(entry, target)) yield [name, entry];
    }
  }

  async #put(ours: Ours): Promise<void> {
    const lock = await this.#lock();
    try {
      for (let tries = 1; ; tries++) {
        const found = this.#read();
        const denials = [...this.#denials(found)];
        removeOurs(found, this.family, this.#prefix);
        addOurs(found, this.family, ours);
        const result = await this.#replace(found, denials);
        if (result === 0) return;
        // Somebody without the lock was faster: the number of counters is no longer right.
        if (result !== -EAGAIN || tries === replaceTriesMax) throw new KernelError(-result, this.#operation('replace'));
      }
    } finally {
      closeSync(lock);
    }
  }

  /** A text that changes when any of ours in the kernel does (counters and places apart). */
  shape(): string {
    const found = this.#read();
    const lines: string[] = [];
    const chains = chainsOf(found, this.family);
    for (const { name, entries, builtin } of chains) {
      if (!builtin && name.startsWith(this.#prefix))
        for (const entry of entries) lines.push(`${name} ${this.#text(entry)}`);
    }
    const heads = ourHeads(chains, this.#prefix);
    found.entries.forEach((entry) => {
      const target = entry.to && heads.get(entry.to);
      if (target) lines.push(`${builtinOf(found, entry)} → ${target} ${this.#text(entry)}`);
    });
    return lines.join('\n');
  }

  /** Source keys of the rules in one of our chains. */
  sources(chain: string): Uint8Array[] {
    const { source, target } = layouts[this.family];
    const found = chainsOf(this.#read(), this.family).find(({ name }) => name === chain);
    // Not its head, not its end, and not the rules that let someone pass.
    const rules = (found === undefined ? [] : found.entries.slice(1, -1)).filter((entry) =>
      deniesPacket(entry, target),
    );
    return rules.map(({ bytes }) => Uint8Array.from(bytes.subarray(source, source + (this.family === 4 ? 4 : 16))));
  }

  #text({ bytes }: Entry): string {
    const { comefrom, counters, target } = layouts[this.family];
    const copy = Buffer.from(bytes);
    copy.fill(0, comefrom, counters + counterBytes);
    // A jump's offset says nothing; where it leads is told by name.
    if (isStandard(copy, target)) {
      const at = copy.readUInt16LE(target) + matchHeaderBytes;
      if (copy.readInt32LE(at) >= 0) copy.writeInt32LE(0, at);
    }
    return copy.toString('hex');
  }

  #operation(verb: string): string {
    return `${verb} IPv${this.family} table ${table}`;
  }

  async #lock(): Promise<number> {
    const fd = openSync(this.#lockPath, 'a', 0o600);
    const deadline = performance.now() + xtablesLockMs;
    for (;;) {
      const result = native.tryLock(fd);
      if (result === 0) return fd;
      if (result !== -EAGAIN || performance.now() > deadline) {
        closeSync(fd);
        throw new KernelError(-result, this.#operation('lock'), {
          explanation: `${this.#lockPath} is held by another program`,
        });
      }
      await pause(20);
    }
  }

  #ask(option: number, bytes: Buffer): void {
    const length = native.socketOption(this.#fd, levels[this.family], option, bytes);
    if (length < 0) throw new KernelError(-length, this.#operation('read'));
  }

  #read(): Table {
    for (let tries = 1; ; tries++) {
      const info = Buffer.alloc(infoBytes);
      info.write(table);
      this.#ask(getInfo, info);
      const size = info.readUInt32LE(80);
      const answer = Buffer.alloc(entriesHeaderBytes + size);
      answer.write(table);
      answer.writeUInt32LE(size, 32);
      try {
        this.#ask(getEntries, answer);
      } catch (error) {
        // The table changed between the two questions.
        if (error instanceof KernelError && error.errno === EAGAIN && tries < replaceTriesMax) continue;
        throw error;
      }
      const parsed = parseTable(answer.subarray(entriesHeaderBytes), info, this.family);
      if (parsed === null) throw new KernelError(EBADMSG, this.#operation('read'), { explanation: 'malformed table' });
      return parsed;
    }
  }

  /** @param denials rules that go, of which the kernel says at last what they counted */
  async #replace(found: Table, denials: [chain: string, entry: Entry][]): Promise<number> {
    const replace = emitTable(found, this.family);
    const old = Buffer.alloc(Math.max(1, found.count) * counterBytes);
    const result = await native.xtablesReplace(this.#fd, levels[this.family], replace, old);
    if (result < 0) return result;
    const counted = this.#counted ?? new Map<string, number>();
    if (this.#counted !== undefined) {
      for (const [chain, { oldIndex }] of denials) {
        counted.set(chain, (counted.get(chain) ?? 0) + Number(old.readBigUInt64LE(oldIndex * counterBytes)));
      }
    }
    this.#counted = counted;
    // A new table starts at zero: give the rules that stayed what they had counted.
    const counters = Buffer.alloc(countersHeaderBytes + found.entries.length * counterBytes);
    counters.write(table);
    counters.writeUInt32LE(found.entries.length, 32);
    found.entries.forEach(({ oldIndex }, index) => {
      if (oldIndex < 0) return;
      old.copy(
        counters,
        countersHeaderBytes + index * counterBytes,
        oldIndex * counterBytes,
        (oldIndex + 1) * counterBytes,
      );
    });
    native.setSocketOption(this.#fd, levels[this.family], addCounters, counters);
    return 0;
  }
}

/** Whether the entry's target is the standard one (a verdict), which has no name. */
function isStandard(bytes: Buffer, targetField: number): boolean {
  return bytes[bytes.readUInt16LE(targetField) + 2] === 0;
}

/** Whether a rule of ours is for packets of banned sources: it does not let them pass. */
function deniesPacket({ bytes }: Entry, targetField: number): boolean {
  const at = bytes.readUInt16LE(targetField) + matchHeaderBytes;
  return !isStandard(bytes, targetField) || bytes.readInt32LE(at) !== verdict.return;
}

/**
 * The name in an ERROR target: a user chain's head, or ERROR at the table's end; null for other
 * entries.
 */
function errorName(bytes: Buffer, targetField: number): string | null {
  const at = bytes.readUInt16LE(targetField);
  if (bytes.toString('latin1', at + 2, at + 8) !== `${errorTarget}\0`) return null;
  const end = bytes.indexOf(0, at + matchHeaderBytes);
  return bytes.toString('latin1', at + matchHeaderBytes, end < 0 ? bytes.length : end);
}

/** Takes a blob apart. null = it is not one. */
export function parseTable(blob: Buffer, info: Buffer, family: 4 | 6): Table | null {
  const layout = layouts[family];
  const byOffset = new Map<number, Entry>();
  const entries: Entry[] = [];
  for (let offset = 0; offset < blob.length; ) {
    if (blob.length - offset < layout.header + matchHeaderBytes) return null;
    const target = blob.readUInt16LE(offset + layout.target);
    const next = blob.readUInt16LE(offset + layout.next);
    if (target < layout.header || next < target + matchHeaderBytes + 4 || next > blob.length - offset) return null;
    const entry: Entry = {
      bytes: Buffer.from(blob.subarray(offset, offset + next)),
      to: null,
      oldIndex: entries.length,
      offset,
    };
    byOffset.set(offset, entry);
    entries.push(entry);
    offset += next;
  }
  for (const entry of entries) {
    if (!isStandard(entry.bytes, layout.target)) continue;
    const destination = entry.bytes.readInt32LE(entry.bytes.readUInt16LE(layout.target) + matchHeaderBytes);
    if (destination < 0) continue;
    entry.to = byOffset.get(destination) ?? null;
    if (entry.to === null) return null;
  }
  const validHooks = info.readUInt32LE(32);
  const places = (from: number) =>
    [0, 1, 2, 3, 4].map((hook) =>
      (validHooks & (1 << hook)) === 0 ? null : (byOffset.get(info.readUInt32LE(from + hook * 4)) ?? null),
    );
  const found = { validHooks, entries, hookEntries: places(36), underflows: places(56), count: entries.length };
  const last = entries.at(-1);
  if (last === undefined || errorName(last.bytes, layout.target) !== errorTarget) return null;
  // A hook we would put a jump into must lead somewhere: a jump left out would be a ban pretended.
  for (const hook of Object.values(hookNumbers)) if (!found.hookEntries[hook] || !found.underflows[hook]) return null;
  return found;
}

interface Chain {
  name: string;
  builtin: boolean;
  entries: Entry[];
}

/**
 * The chains in the order of the blob; a user chain's first entry is its head. The end of the table
 * is in none.
 */
function chainsOf(found: Table, family: 4 | 6): Chain[] {
  const chains: Chain[] = [];
  for (const entry of found.entries) {
    const hook = found.hookEntries.indexOf(entry);
    const head = errorName(entry.bytes, layouts[family].target);
    if (head === errorTarget) break;
    if (head !== null) chains.push({ name: head, builtin: false, entries: [] });
    else if (hook >= 0) chains.push({ name: String(hook), builtin: true, entries: [] });
    chains.at(-1)?.entries.push(entry);
  }
  return chains;
}

/** The first rule of each of our chains → its name. */
function ourHeads(chains: Chain[], prefix: string): Map<Entry, string> {
  const ours = chains.filter(({ builtin, name, entries }) => !builtin && name.startsWith(prefix) && entries.length > 1);
  return new Map(ours.map(({ name, entries }) => [entries[1]!, name]));
}

/** The number of the hook in whose chain an entry stands. */
function builtinOf(found: Table, entry: Entry): string {
  let hook = '';
  for (const each of found.entries) {
    const starts = found.hookEntries.indexOf(each);
    if (starts >= 0) hook = String(starts);
    if (each === entry) break;
  }
  return hook;
}

function removeOurs(found: Table, family: 4 | 6, prefix: string): void {
  const chains = chainsOf(found, family);
  const heads = ourHeads(chains, prefix);
  const ours = new Set(
    chains.filter(({ builtin, name }) => !builtin && name.startsWith(prefix)).flatMap((chain) => chain.entries),
  );
  const gone = (entry: Entry) => ours.has(entry) || (entry.to !== null && heads.has(entry.to));
  // What led to an entry that goes (a rule that falls through to the next one) leads to the next
  // one that stays.
  const successor = new Map<Entry, Entry>();
  let next: Entry | undefined;
  for (const entry of found.entries.toReversed()) {
    if (!gone(entry)) next = entry;
    else if (next) successor.set(entry, next);
  }
  const moved = (entry: Entry | null) => (entry === null ? null : (successor.get(entry) ?? entry));
  found.entries = found.entries.filter((entry) => !gone(entry));
  for (const entry of found.entries) entry.to = moved(entry.to);
  found.hookEntries = found.hookEntries.map(moved);
  found.underflows = found.underflows.map(moved);
}

function addOurs(found: Table, family: 4 | 6, ours: Ours): void {
  const heads = new Map<string, Entry>();
  const added: Entry[] = [];
  for (const { name, rules } of ours.chains) {
    added.push(headEntry(family, name));
    const body = [...rules.map((rule) => ruleEntry(family, rule, heads)), ruleEntry(family, null, heads)];
    heads.set(name, body[0]!);
    for (const entry of body) added.push(entry);
  }
  // The table's last entry stays the last.
  const end = found.entries.length - 1;
  found.entries = [...found.entries.slice(0, end), ...added, ...found.entries.slice(end)];
  for (const hook of Object.keys(hookNumbers) as Hook[]) {
    const jumps = ours.jumps.filter((jump) => jump.hook === hook).map(({ rule }) => ruleEntry(family, rule, heads));
    const first = found.hookEntries[hookNumbers[hook]];
    if (jumps.length === 0 || !first) continue;
    found.entries.splice(found.entries.indexOf(first), 0, ...jumps);
    found.hookEntries[hookNumbers[hook]] = jumps[0]!;
  }
}

const newEntry = (bytes: Buffer, to: Entry | null): Entry => ({ bytes, to, oldIndex: -1, offset: 0 });

function headEntry(family: 4 | 6, name: string): Entry {
  const { header, target, next } = layouts[family];
  const bytes = Buffer.alloc(header + 64);
  bytes.writeUInt16LE(header, target);
  bytes.writeUInt16LE(bytes.length, next);
  bytes.writeUInt16LE(64, header);
  bytes.write(errorTarget, header + 2);
  bytes.write(name, header + matchHeaderBytes, 29, 'latin1');
  return newEntry(bytes, null);
}

/** A rule as an entry; null is the end of a chain (RETURN). */
function ruleEntry(family: 4 | 6, rule: Rule | null, heads: Map<string, Entry>): Entry {
  const layout = layouts[family];
  const matches = rule === null ? [] : matchesOf(rule);
  const head = Buffer.alloc(layout.header);
  const target = Buffer.alloc(40);
  target.writeUInt16LE(target.length, 0);
  let to: Entry | null = null;
  if (rule === null || rule.target === 'return') target.writeInt32LE(verdict.return, matchHeaderBytes);
  else if (rule.target === 'drop') target.writeInt32LE(verdict.drop, matchHeaderBytes);
  else if (typeof rule.target === 'object') to = heads.get(rule.target.chain) ?? null;
  else {
    target.write(rejectTarget, 2);
    target.writeInt32LE(rejectWith[family][rule.target], matchHeaderBytes);
  }
  if (rule?.protocol) {
    head.writeUInt16LE(protocolNumber[rule.protocol], layout.protocol);
    if (layout.flags >= 0) head[layout.flags] = flagProtocol;
  }
  if (rule?.source) {
    head.set(rule.source.key, layout.source);
    head.set(rule.source.mask, layout.sourceMask);
  }
  const bytes = Buffer.concat([head, ...matches, target]);
  bytes.writeUInt16LE(bytes.length - target.length, layout.target);
  bytes.writeUInt16LE(bytes.length, layout.next);
  return newEntry(bytes, to);
}

function match(name: string, revision: number, data: Buffer): Buffer {
  const bytes = Buffer.alloc(matchHeaderBytes + data.length);
  bytes.writeUInt16LE(bytes.length, 0);
  bytes.write(name, 2);
  bytes[31] = revision;
  data.copy(bytes, matchHeaderBytes);
  return bytes;
}

function matchesOf(rule: Rule): Buffer[] {
  const matches: Buffer[] = [];
  if (rule.protocol && rule.ports) {
    // struct xt_tcp and xt_udp begin alike: source ports, destination ports.
    const data = Buffer.alloc(16);
    data.writeUInt16LE(0xffff, 2);
    data.writeUInt16LE(rule.ports.first, 4);
    data.writeUInt16LE(rule.ports.last, 6);
    matches.push(match(rule.protocol, 0, data));
  }
  if (rule.setIndex !== undefined) {
    // struct xt_set_info_match_v4: index, one dimension, which is the source.
    const data = Buffer.alloc(48);
    data.writeUInt16LE(rule.setIndex, 0);
    data[2] = 1;
    data[3] = 2;
    matches.push(match('set', 4, data));
  }
  return matches;
}

/**
 * struct ipt_replace and its entries, with every offset filled in. The addon adds the counters'
 * address.
 */
function emitTable(found: Table, family: 4 | 6): Buffer {
  const { target } = layouts[family];
  let size = 0;
  for (const entry of found.entries) {
    entry.offset = size;
    size += entry.bytes.length;
  }
  const replace = Buffer.alloc(replaceHeaderBytes + size);
  replace.write(table);
  replace.writeUInt32LE(found.validHooks, 32);
  replace.writeUInt32LE(found.entries.length, 36);
  replace.writeUInt32LE(size, 40);
  for (let hook = 0; hook < 5; hook++) {
    replace.writeUInt32LE(found.hookEntries[hook]?.offset ?? 0, 44 + hook * 4);
    replace.writeUInt32LE(found.underflows[hook]?.offset ?? 0, 64 + hook * 4);
  }
  replace.writeUInt32LE(found.count, 84);
  for (const { bytes, to, offset } of found.entries) {
    if (to !== null) bytes.writeInt32LE(to.offset, bytes.readUInt16LE(target) + matchHeaderBytes);
    bytes.copy(replace, replaceHeaderBytes + offset);
  }
  return replace;
}
