/**
 * The blob of a legacy table (linux/netfilter_ipv4/ip_tables.h): entries that refer to each other
 * by offset. It is decoded into entries that refer to entries, our entries are removed and added,
 * and it is encoded again. The blob comes from the kernel, but every offset in it is checked.
 */
import { crc32 } from 'node:zlib';
import { type Hook, hookNumbers, type Ours, type Rule } from './rules.ts';

export const table = 'filter';
const replaceHeaderBytes = 96;
export const counterBytes = 16;
export const matchHeaderBytes = 32;
const errorTarget = 'ERROR';
const rejectTarget = 'REJECT';
const verdict = { drop: -1, return: -5 } as const;
const protocolNumber = { tcp: 6, udp: 17, icmp6: 58 } as const;
/** Targets of the module REJECT: a TCP reset, else "administratively prohibited". */
const rejectWith = { 4: { reset: 7, prohibited: 8 }, 6: { reset: 6, prohibited: 1 } } as const;
/** Offsets in struct ipt_entry and ip6t_entry of the fields that we read and write. */
export const layouts = {
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
/** IP6T_F_PROTO: compare the protocol. */
const flagProtocol = 1;

export interface Entry {
  bytes: Buffer;
  /** The entry to which its verdict jumps, if any. */
  to: Entry | null;
  /** Its index in the table as it was read, -1 for a new entry. */
  oldIndex: number;
  offset: number;
}

export interface Table {
  validHooks: number;
  entries: Entry[];
  hookEntries: (Entry | null)[];
  underflows: (Entry | null)[];
  /** Number of entries in the kernel. */
  count: number;
}

/** Whether the entry's target is the standard one (a verdict), which has no name. */
export function isStandard(bytes: Buffer, targetField: number): boolean {
  return bytes[bytes.readUInt16LE(targetField) + 2] === 0;
}

/** Whether a rule of ours drops or rejects packets, rather than letting them pass. */
export function deniesPacket({ bytes }: Entry, targetField: number): boolean {
  const at = bytes.readUInt16LE(targetField) + matchHeaderBytes;
  return !isStandard(bytes, targetField) || bytes.readInt32LE(at) !== verdict.return;
}

/**
 * The name in an ERROR target: that of a user chain at its head, or ERROR at the end of the table;
 * null for other entries.
 */
export function errorName(bytes: Buffer, targetField: number): string | null {
  const at = bytes.readUInt16LE(targetField);
  if (bytes.toString('latin1', at + 2, at + 8) !== `${errorTarget}\0`) return null;
  const end = bytes.indexOf(0, at + matchHeaderBytes);
  return bytes.toString('latin1', at + matchHeaderBytes, end < 0 ? bytes.length : end);
}

/** Decodes a blob. null = malformed. */
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
  // The hooks into which we put a jump must exist: leaving a jump out would only pretend to ban.
  for (const hook of Object.values(hookNumbers)) if (!found.hookEntries[hook] || !found.underflows[hook]) return null;
  return found;
}

/**
 * A checksum of the chains whose names begin with `prefix`, without counters; changes the blob. If
 * somebody replaced a rule by another one of the same size, the table's size does not show it, but
 * this does.
 */
export function checksumOf(blob: Buffer, family: 4 | 6, prefix: string): number {
  const { header, next, target, counters } = layouts[family];
  let checksum = 0;
  let isOurs = false;
  for (let offset = 0; blob.length - offset >= header + matchHeaderBytes; ) {
    const entry = blob.subarray(offset, offset + Math.max(header, blob.readUInt16LE(offset + next)));
    const name = isStandard(entry, target) ? null : errorName(entry, target);
    if (name !== null) isOurs = name.startsWith(prefix);
    if (isOurs) checksum = crc32(entry.fill(0, counters, counters + counterBytes), checksum);
    offset += entry.length;
  }
  return checksum;
}

interface Chain {
  name: string;
  builtin: boolean;
  entries: Entry[];
}

/**
 * The chains in the order of the blob; a user chain's first entry is its head. The end of the table
 * belongs to none.
 */
export function chainsOf(found: Table, family: 4 | 6): Chain[] {
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
export function ourHeads(chains: Chain[], prefix: string): Map<Entry, string> {
  const ours = chains.filter(({ builtin, name, entries }) => !builtin && name.startsWith(prefix) && entries.length > 1);
  return new Map(ours.map(({ name, entries }) => [entries[1]!, name]));
}

/** The number of the hook in whose chain an entry stands. */
export function builtinOf(found: Table, entry: Entry): string {
  let hook = '';
  for (const each of found.entries) {
    const starts = found.hookEntries.indexOf(each);
    if (starts >= 0) hook = String(starts);
    if (each === entry) break;
  }
  return hook;
}

export function removeOurs(found: Table, family: 4 | 6, prefix: string): void {
  const chains = chainsOf(found, family);
  const heads = ourHeads(chains, prefix);
  const ours = new Set(
    chains.filter(({ builtin, name }) => !builtin && name.startsWith(prefix)).flatMap((chain) => chain.entries),
  );
  const gone = (entry: Entry) => ours.has(entry) || (entry.to !== null && heads.has(entry.to));
  // Entries that led to a removed entry (a rule falls through to the next one) now lead to the next
  // remaining one.
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

export function addOurs(found: Table, family: 4 | 6, ours: Ours): void {
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

/**
 * struct xt_conntrack_mtinfo3 (linux/netfilter/xt_conntrack.h); numbers in the machine's byte
 * order.
 */
const connection = {
  bytes: 168,
  askedFirst: 140,
  flags: 146,
  state: 150,
  askedLast: 156,
  matchState: 1 << 0,
  matchAsked: 1 << 9,
  invalid: 1 << 0,
  untracked: 1 << 8,
} as const;

function connectionMatch({ asked, isUntracked = false }: Pick<Rule, 'asked' | 'isUntracked'>): Buffer {
  const data = Buffer.alloc(connection.bytes);
  data.writeUInt16LE((isUntracked ? connection.matchState : 0) | (asked ? connection.matchAsked : 0), connection.flags);
  if (asked) {
    data.writeUInt16LE(asked.first, connection.askedFirst);
    data.writeUInt16LE(asked.last, connection.askedLast);
  }
  if (isUntracked) data.writeUInt16LE(connection.invalid | connection.untracked, connection.state);
  return match('conntrack', 3, data);
}

function matchesOf(rule: Rule): Buffer[] {
  const matches: Buffer[] = [];
  if (rule.protocol && rule.ports) {
    // struct xt_tcp and xt_udp begin the same way: source ports, destination ports.
    const data = Buffer.alloc(16);
    data.writeUInt16LE(0xffff, 2);
    data.writeUInt16LE(rule.ports.first, 4);
    data.writeUInt16LE(rule.ports.last, 6);
    matches.push(match(rule.protocol, 0, data));
  }
  if (rule.icmpType !== undefined) {
    // struct ip6t_icmp: the type, then the range of codes, here all.
    const data = Buffer.alloc(8);
    data.set([rule.icmpType, 0, 0xff]);
    matches.push(match('icmp6', 0, data));
  }
  if (rule.asked) matches.push(connectionMatch({ asked: rule.asked }));
  if (rule.isUntracked) matches.push(connectionMatch({ isUntracked: true }));
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
 * struct ipt_replace and its entries, with every offset filled in. The addon adds the address of
 * the counters.
 */
export function emitTable(found: Table, family: 4 | 6): Buffer {
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
