/**
 * The iptables backend, for kernels with neither nf_tables nor ipset: one chain per jail in the
 * legacy filter table, one rule per ban, one replace per family for a whole batch. The kernel has
 * no timeouts there, so we end the bans ourselves: if the daemon dies, a ban stays until the next
 * start reconciles it. Each replace costs O(rules), so there are at most `iptablesBansMax` bans per
 * family; beyond that the whole batch is refused with ENOSPC and nothing changes. The two families
 * are two replaces.
 */
import { constants } from 'node:os';
import { chainNameMax, iptablesBansMax } from '../../limits.ts';
import { Turns } from '../../turns.ts';
import type { Address, Backend, Ban, Change, Drops, JailScaffold } from '../../types.ts';
import {
  groupChanges,
  keyBytes,
  keyOfText,
  keyText,
  prefixMask,
  type SetChanges,
  type SetShape,
  setFor,
  toAddress,
  widthOfKey,
} from '../elements.ts';
import { KernelError } from '../kernel-error.ts';
import { kernelName } from '../names.ts';
import { denialChains, denialOf, dropsOf, jumpRules, type Ours, passRules } from './rules.ts';
import { Xtables } from './xtables.ts';

const chainPrefix = 'f2z-';
/**
 * Expired bans are removed in at most one replace per this time; a failed one is tried again after
 * it, ms.
 */
const endingsApartMs = 250;
/** Longest timer of Node, ms. */
const timerMillisecondsMax = 2 ** 31 - 1;

/** The bans of one jail and family; the name is that of their chain. */
interface Bans extends SetShape {
  /** End of each ban by key, on the monotonic clock in milliseconds; Infinity = never. */
  ends: Map<string, number>;
}

interface JailBans {
  scaffold: JailScaffold;
  sets: { 4: Bans; 6: Bans };
}

export interface IptablesOptions {
  bansMax?: number;
  /** A clock in milliseconds that does not jump. */
  now?: () => number;
  /** Called if ending bans failed; it is tried again. */
  onError?: (error: unknown) => void;
}

export class IptablesBackend implements Backend {
  readonly name = 'iptables';
  readonly holds = true;
  readonly keepsEnds = false;
  readonly #tables: { 4: Xtables; 6: Xtables };
  readonly bansMax: number;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  #jails = new Map<string, JailBans>();
  #shapes: { 4: string; 6: string } | null = null;
  /** The state of both tables when we last wrote or read them (see Xtables.mark). */
  #marks: string | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #turns = new Turns();

  constructor({
    bansMax = iptablesBansMax,
    now = () => performance.now(),
    onError = () => undefined,
  }: IptablesOptions = {}) {
    this.#tables = { 4: new Xtables(4, chainPrefix), 6: new Xtables(6, chainPrefix) };
    this.bansMax = bansMax;
    this.#now = now;
    this.#onError = onError;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#tables[4].close();
    this.#tables[6].close();
  }

  /**
   * Makes chains and rules what `jails` ask for. Rules of an earlier run are kept without an end,
   * until reconciliation sets it.
   */
  install(jails: JailScaffold[]): Promise<void> {
    return this.#turns.take(() => this.#install(jails));
  }

  /**
   * Bans and unbans, with one replace for each family concerned; of several changes of one address
   * the last one counts.
   */
  apply(changes: Change[]): Promise<void> {
    return this.#turns.take(() => this.#applyGroups(groupChanges(changes, 0, changes.length, this.#setOf)));
  }

  each(visit: (ban: Ban) => void): Promise<number> {
    return this.#turns.take(async () => {
      const now = this.#now();
      let count = 0;
      for (const [jail, { sets }] of this.#jails) {
        for (const set of [sets[4], sets[6]]) {
          for (const key of this.#tables[set.family].sources(set.name)) {
            const end = set.ends.get(keyText(key)) ?? Infinity;
            const timeoutMs = end === Infinity ? 0 : Math.max(1, end - now);
            visit({ jail, address: toAddress(set, key), timeoutMs });
            count++;
          }
        }
      }
      return count;
    });
  }

  reconcile(jails: JailScaffold[]): Promise<boolean> {
    return this.#turns.take(async () => {
      if (this.#isAsPut()) return false;
      await this.#install(jails);
      return true;
    });
  }

  disturbed(): Promise<boolean> {
    return this.#turns.take(async () => {
      const marks = this.#readMarks();
      const isDisturbed = this.#marks !== null && this.#marks !== marks;
      this.#marks = marks;
      return isDisturbed;
    });
  }

  #readMarks(): string {
    return this.#tables[4].mark() + this.#tables[6].mark();
  }

  drops(): Promise<Drops> {
    const chains = [...this.#jails].map(([jail, { sets }]) => ({ jail, chain: sets[4].name }));
    return dropsOf([this.#tables[4], this.#tables[6]], chains);
  }

  remove(): Promise<void> {
    return this.#turns.take(async () => {
      clearTimeout(this.#timer);
      for (const family of [4, 6] as const) await this.#tables[family].put({ chains: [], jumps: [] });
      this.#jails.clear();
      this.#shapes = null;
    });
  }

  readonly #setOf = (jail: string, address: Address) => setFor(this.#jails.get(jail)?.sets, jail, address);

  async #install(jails: JailScaffold[]): Promise<void> {
    const next = new Map<string, JailBans>();
    for (const scaffold of jails) {
      const chain = kernelName(chainPrefix, scaffold.name, chainNameMax);
      const make = (family: 4 | 6, prefix: number): Bans => {
        const set: Bans = { name: chain, family, prefix, ends: new Map() };
        const known = this.#jails.get(scaffold.name)?.sets[family].ends;
        for (const key of this.#tables[family].sources(chain, prefix)) {
          const text = keyText(key);
          const end = known?.get(text) ?? Infinity;
          set.ends.set(text, Math.max(set.ends.get(text) ?? end, end));
        }
        return set;
      };
      next.set(scaffold.name, {
        scaffold,
        sets: { 4: make(4, scaffold.ipv4Prefix ?? 32), 6: make(6, scaffold.ipv6Prefix) },
      });
    }
    for (const family of [4, 6] as const) await this.#tables[family].put(this.#rules(next, family));
    this.#jails = next;
    this.#notePut();
    this.#schedule();
  }

  #rules(jails: Map<string, JailBans>, family: 4 | 6, replaced?: Map<Bans, Bans['ends']>): Ours {
    const scaffolds = [...jails.values()].map(({ scaffold }) => scaffold);
    const ours: Ours = { chains: denialChains(scaffolds, chainPrefix), jumps: [] };
    let count = 0;
    for (const { scaffold, sets } of jails.values()) {
      const set = sets[family];
      const sourceOf = (text: string) => {
        const key = keyOfText(text);
        return { key, mask: prefixMask(widthOfKey(key, set.prefix), keyBytes[family]) };
      };
      const ends = replaced?.get(set) ?? set.ends;
      count += ends.size;
      const target = denialOf(scaffold, chainPrefix);
      const rules = [...ends.keys()].map((text) => ({ source: sourceOf(text), target }));
      ours.chains.push({ name: set.name, rules: [...passRules(scaffold, family), ...rules] });
      ours.jumps.push(...jumpRules(scaffold, set.name));
    }
    if (count > this.bansMax) {
      throw new KernelError(
        constants.errno.ENOSPC,
        `put ${count} rules into the IPv${family} filter table`,
        `this backend holds ${this.bansMax}`,
      );
    }
    return ours;
  }

  async #applyGroups(groups: SetChanges<Bans>[]): Promise<void> {
    const now = this.#now();
    const replaced = new Map<Bans, Bans['ends']>();
    for (const { set, bans, unbans } of groups) {
      if (bans.length + unbans.length === 0) continue;
      const ends = new Map(set.ends);
      for (const { key } of unbans) ends.delete(keyText(key));
      for (const { key, timeoutMs } of bans) ends.set(keyText(key), timeoutMs === 0 ? Infinity : now + timeoutMs);
      replaced.set(set, ends);
    }
    const touched = ([4, 6] as const).filter((family) => [...replaced.keys()].some((set) => set.family === family));
    // Both are computed before the first one is written, so that a full table changes nothing.
    const rules = touched.map((family) => this.#rules(this.#jails, family, replaced));
    for (const [index, family] of touched.entries()) {
      await this.#tables[family].put(rules[index]!);
      for (const [set, ends] of replaced) if (set.family === family) set.ends = ends;
    }
    if (touched.length > 0) this.#notePut();
    this.#schedule();
  }

  #notePut(): void {
    this.#shapes = { 4: this.#tables[4].shape(), 6: this.#tables[6].shape() };
    this.#marks = this.#readMarks();
  }

  #isAsPut(): boolean {
    const shapes = this.#shapes;
    return shapes !== null && ([4, 6] as const).every((family) => this.#tables[family].shape() === shapes[family]);
  }

  /** Sets the timer for the next ban that ends. */
  #schedule(): void {
    clearTimeout(this.#timer);
    let next = Infinity;
    for (const { sets } of this.#jails.values()) {
      for (const set of [sets[4], sets[6]]) for (const end of set.ends.values()) next = Math.min(next, end);
    }
    if (next === Infinity) return;
    const wait = Math.min(timerMillisecondsMax, Math.max(endingsApartMs, next - this.#now()));
    this.#timer = setTimeout(() => this.#turns.take(() => this.#endBans()).catch(this.#onError), wait);
    this.#timer.unref();
  }

  async #endBans(): Promise<void> {
    const now = this.#now();
    const groups: SetChanges<Bans>[] = [];
    for (const { sets } of this.#jails.values()) {
      for (const set of [sets[4], sets[6]]) {
        const over = [...set.ends].filter(([, end]) => end <= now);
        groups.push({ set, bans: [], unbans: over.map(([text]) => ({ key: keyOfText(text), timeoutMs: 0 })) });
      }
    }
    try {
      await this.#applyGroups(groups);
    } catch (error) {
      this.#timer = setTimeout(() => this.#turns.take(() => this.#endBans()).catch(this.#onError), endingsApartMs);
      this.#timer.unref();
      throw error;
    }
  }
}
