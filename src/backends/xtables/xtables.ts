/**
 * The `filter` table of legacy iptables, read, edited and replaced through socket options, without
 * the iptables programs. Our chains and rules are taken out and put in again, and the whole table
 * is written in one atomic replace: packets see the old table or the new one. Rules of others keep
 * their place and their counters. We take the lock of the iptables programs. A replace costs
 * O(rules of the table).
 */
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { xtablesLockMs } from '../../limits.ts';
import { native } from '../../native.ts';
import { Turns } from '../../turns.ts';
import { keyBytes, prefixMask } from '../elements.ts';
import { KernelError } from '../kernel-error.ts';
import {
  addOurs,
  builtinOf,
  chainsOf,
  checksumOf,
  counterBytes,
  deniesPacket,
  type Entry,
  emitTable,
  isStandard,
  layouts,
  matchHeaderBytes,
  ourHeads,
  parseTable,
  removeOurs,
  type Table,
  table,
} from './blob.ts';
import type { Ours } from './rules.ts';

const { EAGAIN, EBADMSG } = constants.errno;

const levels = { 4: 0, 6: 41 } as const;
const getInfo = 64;
const getEntries = 65;
const addCounters = 65;
const infoBytes = 84;
const entriesHeaderBytes = 40;
const countersHeaderBytes = 40;
/** Reads and replaces that may fail because another program wrote at the same time. */
const replaceTriesMax = 5;

/** The filter table of one family. */
export class Xtables {
  readonly family: 4 | 6;
  readonly #prefix: string;
  readonly #lockPath: string;
  readonly #fd: number;
  /**
   * What the rules that we replaced had counted, by chain; undefined until the first replace, which
   * finds the rules of an earlier run.
   */
  #counted: Map<string, number> | undefined;
  readonly #turns = new Turns();

  /** @param prefix of the names of our chains: every chain with it is ours */
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

  /** The rules of our chains that drop or reject packets, with the names of the chains. */
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
        // A program without the lock was faster: the number of counters no longer matches.
        if (result !== -EAGAIN || tries === replaceTriesMax) throw new KernelError(-result, this.#operation('replace'));
      }
    } finally {
      closeSync(lock);
    }
  }

  /**
   * A text that changes with the number or the size of the table's rules, whoever changes them, and
   * with the content of our chains: a cheap check.
   */
  mark(): string {
    const { info, blob } = this.#entries();
    return `${info.toString('latin1')} ${checksumOf(blob, this.family, this.#prefix)}`;
  }

  /** A text that changes when any of ours in the kernel does (except counters and positions). */
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

  /**
   * Source keys of the rules in one of our chains, masked to `prefix` bits except single addresses.
   */
  sources(chain: string, prefix = 128): Uint8Array[] {
    const { source, target } = layouts[this.family];
    const found = chainsOf(this.#read(), this.family).find(({ name }) => name === chain);
    // Without its head, its end, and the rules that let packets pass.
    const rules = (found === undefined ? [] : found.entries.slice(1, -1)).filter((entry) =>
      deniesPacket(entry, target),
    );
    const length = keyBytes[this.family];
    return rules.map(({ bytes }) => {
      // Source, destination, and the mask of each.
      const own = bytes.subarray(source + 2 * length, source + 3 * length);
      const mask = prefixMask(own.every((bits) => bits === 0xff) ? 128 : prefix, length);
      return mask.map((bits, at) => bits & bytes[source + at]!);
    });
  }

  #text({ bytes }: Entry): string {
    const { comefrom, counters, target } = layouts[this.family];
    const copy = Buffer.from(bytes);
    copy.fill(0, comefrom, counters + counterBytes);
    // The offset of a jump may change; the name of its target is stable.
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
        throw new KernelError(-result, this.#operation('lock'), `${this.#lockPath} is held by another program`);
      }
      await pause(20);
    }
  }

  #ask(option: number, bytes: Buffer): void {
    const length = native.socketOption(this.#fd, levels[this.family], option, bytes);
    if (length < 0) throw new KernelError(-length, this.#operation('read'));
  }

  /** struct ipt_getinfo. */
  #info(): Buffer {
    const info = Buffer.alloc(infoBytes);
    info.write(table);
    this.#ask(getInfo, info);
    return info;
  }

  #read(): Table {
    const { info, blob } = this.#entries();
    const parsed = parseTable(blob, info, this.family);
    if (parsed === null) throw new KernelError(EBADMSG, this.#operation('read'), 'malformed table');
    return parsed;
  }

  #entries(): { info: Buffer; blob: Buffer } {
    for (let tries = 1; ; tries++) {
      const info = this.#info();
      const size = info.readUInt32LE(80);
      const answer = Buffer.alloc(entriesHeaderBytes + size);
      answer.write(table);
      answer.writeUInt32LE(size, 32);
      try {
        this.#ask(getEntries, answer);
      } catch (error) {
        // The table changed between the two calls.
        if (error instanceof KernelError && error.errno === EAGAIN && tries < replaceTriesMax) continue;
        throw error;
      }
      return { info, blob: answer.subarray(entriesHeaderBytes) };
    }
  }

  /** @param denials rules that are removed; the kernel returns their last counts */
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
    // A new table starts at zero: restore the counters of the rules that stayed.
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
