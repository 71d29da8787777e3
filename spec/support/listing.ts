/**
 * Lists of addresses without the daemon: real files, the real room of lists, and a kernel of sets
 * in memory. An oracle of bit strings decides what a list covers.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Compiled, compilePieces } from '../../src/config/compile.ts';
import { knownFilters } from '../../src/config/known-filters.ts';
import type { ListReading } from '../../src/config/lists.ts';
import { Lists } from '../../src/lists/lists.ts';
import { parseCidr } from '../../src/text/address.ts';
import type { CoreConfig, JailScaffold, Lengths, Listed, ListSet } from '../../src/types.ts';
import { rememberingLog, temporaryDirectory } from '../../test/support/control.ts';

const bitsOf = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');

/** A prefix as its family and its bits. */
function bitText(text: string): string {
  const parsed = parseCidr(text, 'refuse');
  if (typeof parsed === 'string') throw new Error(`${text}: ${parsed}`);
  const { family, bytes, prefix } = parsed;
  return `${family}:${bitsOf(family === 4 ? bytes.subarray(12) : bytes).slice(0, prefix)}`;
}

/** What lines cover, in the fewest prefixes, so that two lists that cover the same are equal. */
export function covered(prefixes: Iterable<string>): string[] {
  const all = new Set(prefixes);
  for (;;) {
    const before = all.size;
    for (const prefix of [...all].sort((one, other) => other.length - one.length)) {
      if (!all.has(prefix) || prefix.endsWith(':')) continue;
      const shorter = Array.from({ length: prefix.length - 2 }, (_, at) => prefix.slice(0, at + 2));
      if (shorter.some((each) => all.has(each))) all.delete(prefix);
      else {
        const head = prefix.slice(0, -1);
        const sibling = head + (prefix.endsWith('0') ? '1' : '0');
        if (all.has(sibling)) {
          all.delete(prefix);
          all.delete(sibling);
          all.add(head);
        }
      }
    }
    if (all.size === before) return [...all].sort();
  }
}

export const coveredBy = (lines: readonly string[]): string[] => covered(lines.map(bitText));

/** Consecutive keys, as text. */
function keysOf({ family }: ListSet, keys: Uint8Array): string[] {
  const length = family === 4 ? 4 : 16;
  return Array.from({ length: keys.length / length }, (_, at) =>
    Buffer.from(keys.subarray(at * length, (at + 1) * length)).toString('hex'),
  );
}

/** The kernel's sets by name; a set that no jail asks for is removed. */
export class Kernel implements Listed {
  readonly sets = new Map<string, Set<string>>();
  emptied = (_: string): void => {};
  /** Told after each change. */
  changed = (): void => {};
  /** The next transaction is refused. */
  refuses = false;
  transactions = 0;

  install(jails: readonly JailScaffold[]): void {
    const named = (jail: string, lists: Lengths = { 4: [], 6: [] }): string[] =>
      ([4, 6] as const).flatMap((family) => lists[family].map((prefix) => this.#name({ jail, family, prefix })));
    const wanted = [...jails.flatMap(({ name, lists }) => named(name, lists)), ...named('', jails[0]?.allowLists)];
    for (const name of this.sets.keys()) if (!wanted.includes(name)) this.sets.delete(name);
    for (const name of wanted) {
      if (this.sets.has(name)) continue;
      this.sets.set(name, new Set());
      this.emptied(name.split(' ')[0]!);
    }
    this.changed();
  }

  async each(set: ListSet, visit: (bytes: Uint8Array, at: number) => void): Promise<void> {
    for (const key of [...this.#set(set)]) visit(Buffer.from(key, 'hex'), 0);
  }

  async apply(changes: Parameters<Listed['apply']>[0]): Promise<void> {
    this.transactions++;
    if (this.refuses) {
      this.refuses = false;
      throw new Error('no room');
    }
    for (const { set, adds, removes } of changes) {
      const held = this.#set(set);
      for (const key of keysOf(set, removes)) held.delete(key);
      for (const key of keysOf(set, adds)) held.add(key);
    }
    this.changed();
  }

  /** All that the sets of a jail hold. */
  held(jail: string): string[] {
    const prefixes: string[] = [];
    for (const [name, keys] of this.sets) {
      const [of, family, prefix] = name.split(' ');
      if (of !== jail) continue;
      for (const key of keys) prefixes.push(`${family}:${bitsOf(Buffer.from(key, 'hex')).slice(0, Number(prefix))}`);
    }
    return covered(prefixes);
  }

  #name({ jail, family, prefix }: ListSet): string {
    return `${jail} ${family} ${prefix}`;
  }

  #set(set: ListSet): Set<string> {
    const held = this.sets.get(this.#name(set));
    if (held === undefined) throw new Error(`there is no set ${this.#name(set)}`);
    return held;
  }
}

/** A jail whose bans an ignored list concerns. */
const jail = '[jails.sshd]\nlogpath = "/var/log/auth.log"\n';

/** A jail's list, as in the daemon. */
export class Listing {
  readonly kernel = new Kernel();
  readonly #home = temporaryDirectory();
  readonly folder = join(this.#home.path, 'lists');
  readonly file = join(this.folder, 'drop.txt');
  lists!: Lists;
  readonly #jails: JailScaffold[] = [];

  readonly #use: string;

  constructor(use: 'ban' | 'ignore' = 'ban') {
    this.#use = use;
    mkdirSync(this.folder, { mode: 0o755 });
  }

  write(lines: readonly string[], mode = 0o600): void {
    // A new file each time, so that two writes within one tick of the clock differ.
    rmSync(this.file, { force: true });
    writeFileSync(this.file, lines.map((line) => `${line}\n`).join(''), { mode });
  }

  /** The configuration, checked as `check` and a reload do it; throws ConfigError. */
  config(extra = ''): CoreConfig {
    return this.compiled('checked', extra).config;
  }

  /** The same, its lists read in this way. */
  compiled(lists: ListReading, extra = ''): Compiled {
    const path = join(this.#home.path, 'fail2zig.toml');
    const text = `[[list]]\nfile = "${this.file}"\nuse = "${this.#use}"\n${this.#use === 'ban' ? '' : jail}${extra}`;
    return compilePieces([{ path, text }], { filters: knownFilters, groupId: () => 0, lists });
  }

  /** The bits of a prefix. */
  bits(text: string): string {
    return bitText(text).slice(2);
  }

  async start(allowAnew = () => {}): Promise<void> {
    const { jails, lists = [] } = this.compiled('tried').config;
    this.lists = new Lists(lists);
    this.#jails.splice(0, this.#jails.length, ...jails);
    this.lists.dress(this.#jails);
    this.kernel.install(this.#jails);
    this.lists.start({
      backend: { name: 'nftables', holds: true, listed: this.kernel },
      enforcer: { inTurn: (task) => task(), install: async () => this.kernel.install(this.#jails), allowAnew },
      jails: this.#jails,
      log: rememberingLog(),
    });
    await this.lists.settled();
  }

  /** Like time passing: a changed file is checked until it no longer changes. */
  async pass(): Promise<void> {
    for (let looks = 0; looks < 3; looks++) {
      this.lists.look();
      await this.lists.settled();
    }
  }

  async end(): Promise<void> {
    await this.lists?.stop();
    this.#home.remove();
  }
}
