/**
 * Lists of addresses in the running daemon: a bundle that is loaded only if one is configured. The
 * entries themselves are in the files and in the kernel; this room only holds them while it
 * compares both. A changed file is first read whole and checked; then the kernel gets the
 * differences, in small transactions between those of bans. If a file is wrong, that is reported
 * and its last content stays in force. Whoever writes a list controls its text. Claims: X-lists.
 */
import { statSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Backoff } from '../backoff.ts';
import * as limits from '../limits.ts';
import type { Logger } from '../log.ts';
import { mounts } from '../sources/place.ts';
import { formatAddress, isWithin, maskAddress } from '../text/address.ts';
import { printable } from '../text/printable.ts';
import type { Address, Backend, CoreList, JailScaffold, Lengths, Listed, ListSet } from '../types.ts';
import type { Entries } from './entries.ts';
import { stampOf } from './file.ts';
import { exactly, FileProblem, Files, type Filled, type Plan, planBytes } from './group.ts';
import type { Visitor } from './reader.ts';
import { sifted } from './survey.ts';

/** Access to the kernel, between the transactions of bans. */
export interface ListsStart {
  backend: Pick<Backend, 'name' | 'holds' | 'listed' | 'pause'>;
  enforcer: {
    /** Runs a transaction in its turn. */
    inTurn(task: () => Promise<void>): Promise<void>;
    /** Makes the sets and rules what the jails ask for now. */
    install(): Promise<void>;
    /** Ends the bans of addresses that are ignored by now. */
    allowAnew(): void;
  };
  /** The jails that every room shares. */
  jails: readonly JailScaffold[];
  log: Logger;
}

/** A list as `status` and `list` show it. */
export interface ListView extends Pick<CoreList, 'file' | 'use' | 'jail'> {
  /** Lines with an entry. */
  entries: number;
}

/** Where a list names an address. */
export interface ListPlace extends Pick<CoreList, 'file' | 'use' | 'jail'> {
  /** The first and last line that covers it. */
  first: number;
  last: number;
  /** The entry in the first of these lines. */
  entry: string;
}

interface Group {
  /** '' = ignored. */
  jail: string;
  rows: readonly CoreList[];
  /** Prefix lengths for which the kernel has sets. */
  lengths: Lengths;
  /** The state of the files when they were last read, and when they were last checked. */
  stamps: string;
  seen: string;
  isDue: boolean;
  problem: string | undefined;
  backoff: Backoff;
  /** Not before this time, and not before the one for changes by others (monotonic ms). */
  notBefore: number;
  restsUntil: number;
  views: ListView[];
}

/** Keys that the kernel holds and the list does not. */
interface Stale {
  parts: { set: ListSet; keys: Uint8Array }[];
  /** Whether these are all such keys. */
  isWhole: boolean;
}

const families = [4, 6] as const;
const keyLength = { 4: 4, 6: 16 } as const;
const none = new Uint8Array(0);
const union = (one: readonly number[], other: readonly number[]): number[] =>
  [...new Set([...one, ...other])].toSorted((left, right) => left - right);
const same = (one: Lengths, other: Lengths): boolean => JSON.stringify(one) === JSON.stringify(other);

export class Lists {
  /** Bytes held while a list is brought into the kernel. */
  #passing = 0;
  /** What is ignored, as last read: prefixes as they are written, their lengths, the files. */
  #ignored: (Filled & { lengths: Lengths; stamps: string }) | undefined;
  /** The lists at the start. */
  readonly #lists: readonly CoreList[];
  #groups: Group[] = [];
  #started: ListsStart | undefined;
  /** Why lists cannot be used at all. */
  #problem: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> | undefined;
  /** A jail without lists still has its sets. */
  #mustShape = false;
  /** The jail whose sets are being created. */
  #shaping: string | undefined;
  #isStopped = false;

  constructor(lists: readonly CoreList[]) {
    this.#lists = lists;
    this.#groups = groupsOf(lists);
  }

  /** Our memory while a list is read, at most, bytes: twice what it takes now. */
  get bytesMax(): number {
    const bytes = ({ rows }: Group): number => planBytes(roomOf(rows));
    const groups = groupsOf(this.#lists);
    // Ignored prefixes stay in memory, and are there twice while they are read again.
    const ignored = groups.filter(({ jail }) => jail === '').map((group) => 2 * bytes(group));
    return Math.max(0, ...groups.map(bytes)) + (ignored[0] ?? 0) + limits.listStaleBytes;
  }

  /** What lists take now, bytes. */
  get bytes(): number {
    const { entries } = this.#ignored ?? {};
    return this.#passing + (entries === undefined ? 0 : entries[4].bytes + entries[6].bytes);
  }

  /** Whether a list says to ignore the whole address or prefix. */
  covers({ family, bytes, prefix }: Address): boolean {
    if (this.#ignored === undefined) return false;
    const { entries, lengths } = this.#ignored;
    return lengths[family].some((length) => {
      if (length > prefix) return false;
      entries[family].askBytes(bytes, family === 4 ? 12 : 0, length);
      return entries[family].find(length) >= 0;
    });
  }

  /** Reads the ignored prefixes before anybody is banned. */
  async prepare(): Promise<void> {
    for (const group of this.#groups.filter(({ jail }) => jail === '')) {
      try {
        await this.#read(group);
      } catch (error) {
        // A problem with a file is reported when it is read next.
        if (!(error instanceof FileProblem)) throw error;
      }
    }
  }

  /** What is wrong, one sentence each. */
  problems(): string[] {
    return [this.#problem, ...this.#groups.map(({ problem }) => problem)].filter((problem) => problem !== undefined);
  }

  views(): ListView[] {
    return this.#groups.flatMap(({ views }) => views);
  }

  /** Why these lists cannot replace the present ones. */
  unfit(next: readonly CoreList[]): string[] {
    const isTooLarge = groupsOf(next).some((group) => planBytes(elementsOf(group.rows)) > this.#roomBytes(group));
    return isTooLarge ? ['lists are larger than the memory that was kept for them at the start'] : [];
  }

  /** Bytes reserved at the start for the lists of a jail, or for ignored ones. */
  #roomBytes({ jail }: Pick<Group, 'jail'>): number {
    const alike = groupsOf(this.#lists).filter((group) => (group.jail === '') === (jail === ''));
    return Math.max(0, ...alike.map(({ rows }) => planBytes(roomOf(rows))));
  }

  /** Replaces the present lists; the jails have changed. */
  change(next: readonly CoreList[]): void {
    const before = this.#groups;
    this.#groups = groupsOf(next).map((group) => {
      const known = before.find(({ jail }) => jail === group.jail);
      // The kernel still has the old sets.
      return { ...group, lengths: known?.lengths ?? { 4: [], 6: [] }, views: known?.views ?? [] };
    });
    const isGone = before.some(({ jail }) => !this.#groups.some((group) => group.jail === jail));
    this.#mustShape ||= isGone;
    if (!next.some(({ use }) => use === 'ignore')) this.#ignored = undefined;
    this.#work();
  }

  /** Sets in each jail which list sets it has. */
  dress(jails: readonly JailScaffold[]): void {
    const lengthsOf = (name: string): Lengths | undefined => this.#groups.find(({ jail }) => jail === name)?.lengths;
    const allowed = lengthsOf('');
    for (const jail of jails) {
      const lengths = lengthsOf(jail.name);
      if (lengths === undefined) delete jail.lists;
      else jail.lists = lengths;
      if (allowed === undefined) delete jail.allowLists;
      else jail.allowLists = allowed;
    }
  }

  /** Brings the lists into the kernel, and updates them from then on. */
  start(start: ListsStart): void {
    const { holds, listed, name } = start.backend;
    this.#started = start;
    if (listed === undefined) {
      // Ignored prefixes are in force anyway.
      this.#groups = this.#groups.filter(({ jail }) => jail === '');
      if (holds && this.#lists.some(({ use }) => use === 'ban'))
        this.#problem = `lists are not in force: ${name} cannot hold them; set firewall.backend to "nftables"`;
    } else
      listed.emptied = (jail) => {
        if (jail !== this.#shaping) this.compare();
      };
    this.#timer = setInterval(() => this.look(), limits.listLookMs);
    this.#timer.unref();
    this.compare();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#isStopped = true;
    await this.#working;
  }

  /** Resolves when nothing is in progress. */
  async settled(): Promise<void> {
    await this.#working;
  }

  /** The kernel may no longer hold what it should: compare again. */
  compare(): void {
    for (const group of this.#groups) group.isDue = true;
    this.#work();
  }

  /**
   * Others changed the kernel's sets, perhaps ours: compares unless the last comparison was a short
   * time ago.
   */
  disturbed(): void {
    for (const group of this.#groups) {
      if (group.isDue) continue;
      group.isDue = true;
      group.notBefore = group.restsUntil;
    }
  }

  /** Checks the files; called at intervals. */
  look(): void {
    for (const group of this.#groups) {
      const now = stampsOf(group.rows);
      // A file that changes between two checks is still being written.
      if (now === group.seen && now !== group.stamps) group.isDue = true;
      group.seen = now;
    }
    this.#work();
  }

  #work(): void {
    this.#working ??= this.#workAll().finally(() => {
      this.#working = undefined;
    });
  }

  async #workAll(): Promise<void> {
    if (this.#mustShape) {
      this.dress(this.#started!.jails);
      await this.#started!.enforcer.install().catch(() => undefined);
      this.#mustShape = false;
    }
    for (const group of this.#groups) {
      if (this.#isStopped || !group.isDue || performance.now() < group.notBefore) continue;
      group.isDue = false;
      const started = performance.now();
      try {
        await this.#bring(group);
        const ended = performance.now();
        group.restsUntil = ended + Math.max(limits.reconcileApartMs, (ended - started) * limits.comparisonRests.quiet);
        if (group.problem !== undefined) this.#started!.log.info('the list is in force again', { jail: group.jail });
        group.problem = undefined;
      } catch (error) {
        if (this.#isStopped) return;
        this.#failed(group, error as Error);
      } finally {
        this.#passing = 0;
      }
    }
  }

  #failed(group: Group, error: Error): void {
    const what = error instanceof FileProblem ? error.text : `the list does not reach the kernel: ${error.message}`;
    const problem = printable(`${what}; what it held before goes on`, limits.logFieldMax);
    if (problem !== group.problem) this.#started!.log.error('list refused', { problem });
    group.problem = problem;
    // A file is read again when it changes; the kernel is tried again after a while.
    group.isDue = !(error instanceof FileProblem);
    group.notBefore = group.isDue ? performance.now() + group.backoff.next() : 0;
  }

  /** Reads the files, whole; ignored prefixes also for our own use. */
  async #read(group: Group): Promise<{ plan: Plan; filled: Filled }> {
    const stamps = stampsOf(group.rows);
    // What cannot be opened is tried at each look: its directory may be the reason.
    group.stamps = '';
    const files = new Files(group.rows);
    group.stamps = stamps;
    try {
      const plan = await this.#inTurns(files.survey());
      if (planBytes(plan.elements) > this.#roomBytes(group))
        throw new FileProblem(group.rows[0]!.file, 0, 'there is no memory for so many entries', 'restart to make room');
      const filled = await this.#inTurns(files.fill(plan));
      if (group.jail === '' && stamps !== this.#ignored?.stamps) {
        const exact = exactly(plan);
        this.#ignored = { ...(await this.#inTurns(files.fill(exact))), lengths: exact.lengths, stamps };
        this.#started?.enforcer.allowAnew();
      }
      return { plan, filled };
    } finally {
      files.close();
    }
  }

  /** Makes the kernel hold what the files say. */
  async #bring(group: Group): Promise<void> {
    const started = performance.now();
    const { plan, filled } = await this.#read(group);
    this.#passing = filled.entries[4].bytes + filled.entries[6].bytes + limits.listStaleBytes;
    const before = sizeOf(group);
    group.views = plan.lists.map(({ row, survey }) => ({ ...row, entries: survey.entries }));
    if (this.#started!.backend.listed === undefined) return;
    const wide = { 4: union(group.lengths[4], plan.lengths[4]), 6: union(group.lengths[6], plan.lengths[6]) };
    await this.#shape(group, wide);
    // Sets of lengths that are no longer needed are removed whole.
    const changes = await this.#level(group, plan.lengths, filled.entries);
    await this.#shape(group, plan.lengths);
    if (changes.added + changes.removed === 0 && before === sizeOf(group)) return;
    this.#started!.log.info('list in force', {
      ...(group.jail === '' ? {} : { jail: group.jail }),
      files: group.rows.map(({ file }) => file).join(' '),
      entries: sizeOf(group),
      twice: filled.twice,
      ...changes,
      seconds: Math.round(performance.now() - started) / 1000,
    });
  }

  /** Creates sets of these lengths in the kernel. */
  async #shape(group: Group, lengths: Lengths): Promise<void> {
    if (same(group.lengths, lengths)) return;
    const before = group.lengths;
    group.lengths = lengths;
    this.dress(this.#started!.jails);
    this.#shaping = group.jail;
    try {
      await this.#started!.enforcer.install();
    } catch (error) {
      group.lengths = before;
      this.dress(this.#started!.jails);
      throw error;
    } finally {
      this.#shaping = undefined;
    }
  }

  /** Adds what the kernel lacks, then removes what the list does not name. */
  async #level(
    group: Group,
    lengths: Lengths,
    entries: Record<4 | 6, Entries>,
  ): Promise<{ added: number; removed: number }> {
    const sets = families.flatMap((family) =>
      lengths[family].map((prefix): ListSet => ({ jail: group.jail, family, prefix })),
    );
    const total = { added: 0, removed: 0 };
    for (let isWhole = false; !isWhole; ) {
      for (const family of families) entries[family].unmarkAll();
      const stale = await this.#compare(sets, entries);
      for (const family of families) total.added += await this.#add(group.jail, family, entries[family]);
      for (const part of stale.parts) total.removed += await this.#remove(part);
      isWhole = stale.isWhole;
    }
    return total;
  }

  /** Marks the entries that the kernel holds, and collects its keys that the list does not name. */
  async #compare(sets: readonly ListSet[], entries: Record<4 | 6, Entries>): Promise<Stale> {
    const stale: Stale = { parts: [], isWhole: true };
    const kept = new Uint8Array(limits.listStaleBytes);
    let end = 0;
    for (const set of sets) {
      const wanted = entries[set.family];
      const length = keyLength[set.family];
      const from = end;
      await this.#started!.backend.listed!.each(set, (bytes, at) => {
        if (this.#isStopped) throw new Error('stopped');
        wanted.askBytes(bytes, at);
        const slot = wanted.find(set.prefix);
        if (slot >= 0) wanted.mark(slot);
        else if (end + length > kept.length) stale.isWhole = false;
        else {
          for (let index = 0; index < length; index++) kept[end + index] = bytes[at + index]!;
          end += length;
        }
      });
      if (end > from) stale.parts.push({ set, keys: kept.subarray(from, end) });
    }
    return stale;
  }

  async #remove({ set, keys }: Stale['parts'][number]): Promise<number> {
    const length = keyLength[set.family];
    const bytes = limits.listBatchMax * length;
    for (let at = 0; at < keys.length; at += bytes, await turn()) {
      const removes = keys.subarray(at, Math.min(keys.length, at + bytes));
      await this.#apply([{ set, adds: none, removes }]);
    }
    return keys.length / length;
  }

  async #add(jail: string, family: 4 | 6, entries: Entries): Promise<number> {
    const length = keyLength[family];
    let added = 0;
    for (let at = 0; at >= 0; await turn()) {
      const byPrefix = new Map<number, { keys: Uint8Array; end: number }>();
      at = entries.takeUnmarked(at, limits.sweepEntries, limits.listBatchMax, (slot, prefix) => {
        let part = byPrefix.get(prefix);
        if (part === undefined) {
          part = { keys: new Uint8Array(limits.listBatchMax * length), end: 0 };
          byPrefix.set(prefix, part);
        }
        entries.copyKey(slot, part.keys, part.end);
        part.end += length;
        added++;
      });
      const changes = [...byPrefix].map(([prefix, { keys, end }]) => ({
        set: { jail, family, prefix },
        adds: keys.subarray(0, end),
        removes: none,
      }));
      if (changes.length > 0) await this.#apply(changes);
    }
    return added;
  }

  async #apply(changes: Parameters<Listed['apply']>[0]): Promise<void> {
    if (this.#isStopped) throw new Error('stopped');
    const { backend, enforcer } = this.#started!;
    const pause = backend.pause?.();
    if (pause !== undefined) await pause;
    await enforcer.inTurn(() => backend.listed!.apply(changes));
  }

  /** Runs work in pieces, so that others get their turn in between. */
  async #inTurns<Result>(work: Generator<void, Result>): Promise<Result> {
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
      if (this.#isStopped) throw new Error('stopped');
      await turn();
    }
  }

  /** The bans of lists, as their files name them, in parts. */
  async *bans(jail: string | undefined): AsyncGenerator<{ jail: string; address: string; file: string }[]> {
    for (const { jail: name, rows } of this.#groups) {
      if (name === '' || (jail !== undefined && jail !== name)) continue;
      const files = openOrNot(rows);
      const part: { jail: string; address: string; file: string }[] = [];
      const reading = files?.read((use, index) =>
        namesIn(use, (address) => part.push({ jail: name, address, file: rows[index]!.file })),
      );
      try {
        for (let isOver = reading === undefined; !isOver; await turn()) {
          isOver = reading!.next().done === true;
          while (part.length >= limits.listRowsMax || (isOver && part.length > 0))
            yield part.splice(0, limits.listRowsMax);
        }
      } finally {
        files?.close();
      }
    }
  }

  /** Where the files name the address, or a prefix around it; reads the files through. */
  async find(address: Address): Promise<ListPlace[]> {
    const found: ListPlace[] = [];
    for (const { rows } of this.#groups) {
      const files = openOrNot(rows);
      try {
        if (files) await this.#inTurns(files.read((use, index) => placesIn(address, use, rows[index]!, found)));
      } finally {
        files?.close();
      }
    }
    return found;
  }
}

/** Opens the files; undefined if something is wrong with them, which is reported elsewhere. */
function openOrNot(rows: readonly CoreList[]): Files | undefined {
  try {
    return new Files(rows);
  } catch (error) {
    if (error instanceof FileProblem) return undefined;
    throw error;
  }
}

/** Lines with an entry. */
const sizeOf = ({ views }: Pick<Group, 'views'>): number => views.reduce((sum, { entries }) => sum + entries, 0);

const nothing = (): void => {};

/** Calls `tell` with the text of each entry. */
function namesIn(use: CoreList['use'], tell: (address: string) => void): Visitor {
  const visitor = sifted(
    use,
    {
      four: (key, prefix) => tell(formatAddress({ family: 4, bytes: mapped(key), prefix })),
      six: (bytes, prefix) => tell(formatAddress({ family: 6, bytes, prefix })),
    },
    nothing,
  );
  return { ...visitor, bad: nothing };
}

function mapped(key: number): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.fill(0xff, 10, 12);
  bytes.set([key / 2 ** 24, key >>> 16, key >>> 8, key], 12);
  return bytes;
}

/** The number of elements when the lists were handed over. */
function elementsOf(rows: readonly CoreList[]): Record<4 | 6, number> {
  const sum = (family: 4 | 6): number => rows.reduce((total, { elements }) => total + elements[family], 0);
  return { 4: sum(4), 6: sum(6) };
}

/** Room for growth: twice the present number, and some. */
function roomOf(rows: readonly CoreList[]): Record<4 | 6, number> {
  const now = elementsOf(rows);
  const room = (family: 4 | 6): number =>
    Math.min(limits.listEntriesMax.ban, 2 * now[family] + limits.listEntriesSpare);
  return { 4: room(4), 6: room(6) };
}

function groupsOf(lists: readonly CoreList[]): Group[] {
  return [...Map.groupBy(lists, ({ use, jail }) => (use === 'ignore' ? '' : jail))].map(([jail, rows]) => ({
    jail,
    rows,
    lengths: rows[0]!.lengths,
    stamps: '',
    seen: '',
    isDue: true,
    problem: undefined,
    backoff: new Backoff(() => performance.now(), limits.banRetryMs, limits.banRetryMsMax),
    notBefore: 0,
    restsUntil: 0,
    views: [],
  }));
}

/** The state of the files now. */
function stampsOf(rows: readonly CoreList[]): string {
  return rows
    .map(({ file }) => {
      try {
        mounts.check(file);
        return stampOf(statSync(file));
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'unknown';
      }
    })
    .join('\n');
}

/** Records each line that covers the address. */
function placesIn(address: Address, use: CoreList['use'], row: CoreList, found: ListPlace[]) {
  let place: ListPlace | undefined;
  const seen = (network: Address, line: number): void => {
    if (!isWithin(address, network)) return;
    if (place !== undefined) {
      place.last = line;
      return;
    }
    place = { file: row.file, use, jail: row.jail, first: line, last: line, entry: formatAddress(network) };
    found.push(place);
  };
  const number = Buffer.from(address.bytes).readUInt32BE(12);
  return {
    ...sifted(
      use,
      {
        four: (key, prefix, line) => {
          if (address.family === 6 || prefix > address.prefix) return;
          const size = 2 ** (32 - prefix);
          if (number >= key && number < key + size)
            seen(maskAddress({ family: 4, bytes: address.bytes, prefix }), line);
        },
        six: (bytes, prefix, line) => {
          if (address.family === 6) seen({ family: 6, bytes, prefix }, line);
        },
      },
      nothing,
    ),
    bad: nothing,
  };
}
