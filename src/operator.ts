/**
 * What the running daemon answers its operators (control/answers.ts `Operator`). The verb's row has
 * checked the arguments; here they are compared with the running daemon: jails, ignoreip, the
 * table, the kernel.
 */
import { closeSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import {
  type BanResult,
  type IgnoreResult,
  type JailStatus,
  type JailView,
  type ListPart,
  type Operator,
  OperatorError,
  type Peer,
  type Records,
  type Reloaded,
  type Stats,
  type Status,
  type UnbanResult,
  type Why,
} from './control/answers.ts';
import { statusParts } from './control/pages.ts';
import type { Ignored } from './enforcer/ignored.ts';
import { FILTER_LINES, FILTER_MATCHED, JAIL_FAILURES } from './engine/counters.ts';
import type { TableBan } from './engine/host.ts';
import type { Recorder } from './history/recorder.ts';
import * as limits from './limits.ts';
import type { ListPlace, Lists, ListView } from './lists/lists.ts';
import type { Level, Logger } from './log.ts';
import { kernelBytes } from './memory/kernel.ts';
import { residentBytes } from './memory/resident.ts';
import { native } from './native.ts';
import type { CrowdedLinks } from './observe/crowded-links.ts';
import { type Figure, type Observed, statsOf } from './observe/figures.ts';
import type { LogClocks } from './observe/log-clocks.ts';
import { isTaken } from './places.ts';
import type { FileSource } from './sources/file.ts';
import type { SourceRoutes } from './sources/routes.ts';
import { formatAddress, isWithin, maskAddress, neverSource, parseCidr } from './text/address.ts';
import { printable } from './text/printable.ts';
import { readCoreConfig } from './text/record.ts';
import type { Address, CoreConfig, JailConfig } from './types.ts';
import { version } from './version.ts';

export interface Running
  extends Omit<Observed, 'control' | 'files' | 'log' | 'memory' | 'operator' | 'recorder' | 'followed' | 'routes'> {
  /** What is never banned, and the networks of this host. */
  ignored?: Pick<Ignored, 'isListed' | 'isBroadcast' | 'byHand' | 'ignore' | 'lists'>;
  files: Pick<FileSource, 'status' | 'problems'>;
  routes: Pick<SourceRoutes, 'logsOf'>;
  clocks?: Pick<LogClocks, 'problems'>;
  crowds?: Pick<CrowdedLinks, 'problems'>;
  /** Absent where no lists are configured. */
  lists?: Pick<Lists, 'problems' | 'views' | 'find' | 'bans'> | undefined;
  recorder: Recorder;
  log: Pick<Logger, 'setLevel'>;
  /** Replaces the configuration; absent where that is not possible. */
  reload?: (next: CoreConfig) => Promise<Reloaded>;
  /** The figures that `stats` shows. */
  figures: () => readonly Figure[];
  /** Why the configured metrics page is not available; undefined when it is. */
  pageProblem: () => string | undefined;
}

/** F_SEAL_SEAL, _SHRINK, _GROW and _WRITE of linux/fcntl.h. */
const sealed = 15;

/** A ban's place: in which jail, and the address as that jail bans it. */
type Place = { jail: number; address: Address };

export class DaemonOperator implements Operator {
  readonly #running: Running;

  constructor(running: Running) {
    this.#running = running;
  }

  /** What an operator must know, one sentence each, the worst first. */
  problems(): string[] {
    const { backend, clocks, crowds, enforcer, files, keeper, lists, recorder, pageProblem } = this.#running;
    const followed = files.status();
    return [
      backend.holds ? undefined : 'log-only: nothing is banned',
      ...enforcer.problems,
      keeper?.problem,
      ...(lists?.problems() ?? []),
      recorder.problem,
      pageProblem(),
      ...files.problems(),
      ...(clocks?.problems() ?? []),
      ...(crowds?.problems() ?? []),
      ...this.idleJails(followed).map(
        ({ name, logpath, journal }) =>
          `jail ${name} reads no log: ${journal ? 'there is no journal' : `no file matches ${logpath.join(', ')}`}`,
      ),
    ].filter((problem) => problem !== undefined);
  }

  /**
   * A filter that reads many lines and matches none may be the wrong one, or simply see no attack.
   */
  #hints(): string[] {
    const { config, engine } = this.#running;
    return config.jails.filter(isTaken).flatMap(({ name, filter, mode }) => {
      const { filter: number } = engine.resolveFilter(filter, mode);
      const lines = engine.filterCounter(number, FILTER_LINES);
      if (lines < limits.unmatchedLinesMin || engine.filterCounter(number, FILTER_MATCHED) > 0) return [];
      return [`jail ${name}: filter ${filter} has matched none of ${lines} lines`];
    });
  }

  /** Jails that found no log at their path. */
  idleJails(followed = this.#running.files.status()): JailConfig[] {
    const { config, routes } = this.#running;
    return config.jails.filter(
      ({ journal, logpath }, index) => (journal || logpath.length > 0) && routes.logsOf(index, followed).length === 0,
    );
  }

  async *status({ jail }: { jail?: string }): AsyncGenerator<Status> {
    const { config, engine, backend, lists } = this.#running;
    const chosen = jail === undefined ? this.#numbers() : [this.#indexOf(jail)];
    const counts = await engine.countBans(Date.now() / 1000);
    yield* statusParts({
      version,
      pid: process.pid,
      uptimeSeconds: Math.floor(process.uptime()),
      backend: backend.name,
      memory: {
        residentBytes: residentBytes(),
        ceilingBytes: config.memory.ceilingBytes,
        kernelBytes: kernelBytes(counts),
        slots: engine.slots,
        slotsUsed: engine.tracked,
      },
      problems: this.problems(),
      hints: [
        ...this.#hints(),
        ...this.#ignoredRows().map(({ address }) => `ignored by hand: ${address}`),
        ...(config.handed?.lacking ?? []).map((what) => `not confined: ${what}`),
      ],
      confined: config.handed?.confined ?? [],
      ...(lists && { lists: lists.views().map(listText) }),
      jails: Array.from(chosen, (index) => this.#jailStatus(index, counts[index]!)),
    });
  }

  #jailStatus(index: number, { held, pending }: { held: number; pending: number }): JailStatus {
    const { config, engine, enforcer, drops, files, routes } = this.#running;
    const { name, filter, mode } = config.jails[index]!;
    return {
      jail: name,
      filter: filterText(filter, mode),
      bansActive: held,
      bansPending: pending,
      bansTotal: enforcer.counters.bans[index]!,
      packetsDropped: drops.of(name),
      failuresTotal: engine.jailCounter(index, JAIL_FAILURES),
      sources: routes.logsOf(index, files.status()),
    };
  }

  stats(): Promise<Stats> {
    return statsOf(this.#running.figures());
  }

  async *list({ jail }: { jail?: string }): AsyncGenerator<ListPart> {
    if (jail !== undefined) this.#indexOf(jail);
    for await (const bans of this.#bans(jail)) {
      const now = Date.now() / 1000;
      yield {
        bans: bans.map((ban) => ({
          jail: ban.name,
          address: formatAddress(ban.address),
          remainingSeconds: Number.isFinite(ban.end) ? Math.max(0, Math.ceil(ban.end - now)) : -1,
        })),
      };
    }
    for await (const bans of this.#running.lists?.bans(jail) ?? []) {
      const named = (file: string): string => printable(`list ${basename(file)}`, limits.listNameMax);
      yield { bans: bans.map(({ file, ...ban }) => ({ ...ban, remainingSeconds: -1, pattern: named(file) })) };
    }
  }

  /**
   * The active bans, in pieces, so that others get their turn between slices of the table. A reload
   * may come between two pieces, so each ban keeps the name that its jail had when it was found.
   */
  async *#bans(jail: string | undefined): AsyncGenerator<(TableBan & { name: string })[]> {
    const { config, engine } = this.#running;
    const bans: (TableBan & { name: string })[] = [];
    for (let at = 0; at >= 0; ) {
      const now = Date.now() / 1000;
      at = engine.eachBan(engine.passOver(at), limits.sweepEntries, (ban) => {
        const { name } = config.jails[ban.jail]!;
        if (ban.end > now && (jail === undefined || name === jail)) bans.push({ ...ban, name });
      });
      while (bans.length >= limits.listPartRowsMax) yield bans.splice(0, limits.listPartRowsMax);
      await turn();
    }
    if (bans.length > 0) yield bans;
  }

  async *jails(): AsyncGenerator<{ jails: { jail: string; filter: string; bansActive: number }[] }> {
    for await (const { jails } of this.status({})) {
      yield { jails: jails.map(({ jail, filter, bansActive }) => ({ jail, filter, bansActive })) };
    }
  }

  async ban(
    { jail, addresses, seconds, reason }: { jail: string; addresses: string[]; seconds?: number; reason?: string },
    { uid, pid }: Peer,
  ): Promise<BanResult> {
    const { config, enforcer, recorder } = this.#running;
    const length = seconds ?? config.jails[this.#indexOf(jail)]!.bantime;
    const banned: string[] = [];
    const refusals: { address: string; error: OperatorError }[] = [];
    for (let at = 0; at < addresses.length; at += limits.addressesAtOnce) {
      // What the logs show has its turn in between; so may have a reload.
      if (at > 0) await turn();
      const refusedBefore = refusals.length;
      const part = addresses.slice(at, at + limits.addressesAtOnce);
      try {
        const index = this.#indexOf(jail);
        const targets: Address[] = [];
        for (const address of part) {
          try {
            targets.push(this.#bannable(index, address));
          } catch (error) {
            if (!(error instanceof OperatorError)) throw error;
            refusals.push({ address, error });
            recorder.refused(error.message, { command: 'ban', jail, addresses: [address], by: { uid, pid } });
          }
        }
        if (targets.length === 0) continue;
        await this.#inKernel(enforcer.ban(index, targets, length));
        const until = length < 0 ? -1 : Math.ceil(Date.now() / 1000 + length);
        const told = targets.map((target) => ({
          address: formatAddress(target),
          details: () => ({ until, seconds: length }),
        }));
        recorder.bans('ban', jail, told, { by: { uid, pid }, reason });
        for (const { address } of told) banned.push(address);
      } catch (error) {
        if (banned.length === 0 || !(error instanceof OperatorError)) throw error;
        // The parts before are banned, which the answer says.
        refusals.splice(refusedBefore);
        refusals.push(...addresses.slice(at).map((address) => ({ address, error })));
        break;
      }
    }
    if (banned.length === 0) throw refusals[0]!.error;
    return {
      jail,
      addresses: banned,
      seconds: length,
      refused: refusals.map(({ address, error: { code, message } }) => ({ address, code, why: message })),
    };
  }

  async *unban(
    { jail, addresses, all }: { jail?: string; addresses?: string[]; all?: true },
    by: Peer,
  ): AsyncGenerator<UnbanResult> {
    const chosen = jail === undefined ? undefined : this.#indexOf(jail);
    if (addresses !== undefined) yield* this.#unbanAddresses(chosen, addresses, by);
    else if (chosen !== undefined || all) yield* this.#unbanAll(jail, by);
    else throw new OperatorError('bad-argument', 'unban: name addresses, a jail (--jail JAIL), or --all');
  }

  async *#unbanAddresses(jail: number | undefined, addresses: string[], by: Peer): AsyncGenerator<UnbanResult> {
    const { config, engine } = this.#running;
    const result: UnbanResult['addresses'] = [];
    const held: Place[] = [];
    const unknown: Place[] = [];
    for (const text of addresses) {
      const places = this.#placesOf(jail, text);
      const known = places.filter((place) => engine.isBanned(place.jail, place.address));
      held.push(...known);
      if (known.length === 0) unknown.push(...places);
      result.push({ address: text, jails: known.map((place) => config.jails[place.jail]!.name) });
    }
    // The kernel may hold bans that the table does not know: it is asked as well.
    const kernelOnly = unknown.length === 0 ? [] : [...(await this.#heldOf(unknown)).keys()];
    for (const { address, jail: index } of kernelOnly) {
      const row = result.find(
        (each) => each.address === formatAddress(address) || this.#isAt(each.address, index, address),
      );
      if (row !== undefined) row.kernelOnly = [...(row.kernelOnly ?? []), config.jails[index]!.name];
    }
    await this.#lift([...held, ...unknown], [...held, ...kernelOnly], by);
    // Those first that nothing else is said of.
    for (const row of result
      .toSorted((one, other) => one.jails.length - other.jails.length)
      .slice(0, limits.listAskedMax)) {
      const lists = await this.#listsWith(row.address, 'ban');
      if (lists.length > 0) row.lists = lists;
    }
    // An address may have been banned in every jail.
    while (result.length > 0) yield { addresses: result.splice(0, limits.unbansPerPart) };
  }

  async *#unbanAll(jail: string | undefined, by: Peer): AsyncGenerator<UnbanResult> {
    const { jails } = this.#running.config;
    for await (const found of this.#bans(jail)) {
      // If a reload removed a jail meanwhile, its bans are gone already.
      const bans = found.filter((ban) => jails[ban.jail]!.name === ban.name);
      await this.#lift(bans, bans, by);
      yield { addresses: bans.map((ban) => ({ address: formatAddress(ban.address), jails: [ban.name] })) };
    }
  }

  async *ignore(
    { addresses, seconds = limits.ignoredByHandSeconds }: { addresses?: string[]; seconds?: number },
    by: Peer,
  ): AsyncGenerator<IgnoreResult> {
    const { enforcer } = this.#running;
    const networks = (addresses ?? []).map(parsed);
    if (networks.length > 0) {
      this.#ignore(networks, seconds < 0 ? Number.POSITIVE_INFINITY : Date.now() / 1000 + seconds);
      if (!enforcer.follow(false)) {
        this.#ignore(networks, 0);
        enforcer.follow();
        throw new OperatorError('no-room', 'there is no room for more ignored networks: restart to make room');
      }
      try {
        yield* this.#liftWithin(networks, by);
      } finally {
        enforcer.allowAnew();
      }
    }
    yield { ignored: this.#ignoredRows() };
  }

  async *#liftWithin(networks: readonly Address[], by: Peer): AsyncGenerator<IgnoreResult> {
    const { jails } = this.#running.config;
    for await (const bans of this.#bans(undefined)) {
      const covered = bans.filter(
        ({ address, jail, name }) =>
          jails[jail]!.name === name && networks.some((network) => isWithin(address, network)),
      );
      if (covered.length === 0) continue;
      await this.#lift(covered, covered, by);
      yield {
        lifted: covered.map(({ address, name }) => ({ address: formatAddress(address), jail: name })),
      };
    }
  }

  unignore({ addresses }: { addresses: string[] }): IgnoreResult {
    const { enforcer } = this.#running;
    const rows = this.#ignoredRows();
    const networks = addresses.map(parsed);
    const unknown = networks.map(formatAddress).find((text) => !rows.some(({ address }) => address === text));
    if (unknown !== undefined) {
      const known = rows.length === 0 ? 'nothing is' : `there are ${rows.map(({ address }) => address).join(', ')}`;
      throw new OperatorError('not-ignored', `${unknown} is not ignored by hand; ${known}`);
    }
    this.#ignore(networks, 0);
    enforcer.follow();
    return { ignored: this.#ignoredRows() };
  }

  /** In every jail until epoch second `until`; ignores either all of the networks or none. */
  #ignore(networks: readonly Address[], until: number): void {
    const { ignored, keeper } = this.#running;
    const all = new Set([...this.#ignoredRows().map(({ address }) => address), ...networks.map(formatAddress)]);
    if (until > 0 && all.size > limits.ignoredByHandMax)
      throw new OperatorError(
        'no-room',
        `at most ${limits.ignoredByHandMax} networks are ignored by hand; use ignoreip`,
      );
    for (const network of networks) ignored?.ignore(network, until);
    keeper?.changed();
  }

  #ignoredRows() {
    const { ignored } = this.#running;
    const now = Date.now() / 1000;
    return (ignored?.byHand ?? []).map(({ network, until }) => ({
      address: formatAddress(network),
      remainingSeconds: Number.isFinite(until) ? Math.max(0, Math.ceil(until - now)) : -1,
    }));
  }

  /** Ends bans in kernel and table; those in `held` are recorded. */
  async #lift(places: readonly Place[], held: readonly Place[], { uid, pid }: Peer): Promise<void> {
    const { config, enforcer, recorder } = this.#running;
    // Named before a reload may replace a jail.
    const ofJails = Map.groupBy(held, (place) => config.jails[place.jail]!.name);
    await this.#inKernel(enforcer.unban(places));
    for (const [jail, each] of ofJails) {
      const told = each.map(({ address }) => ({ address: formatAddress(address) }));
      recorder.bans('unban', jail, told, { by: { uid, pid } });
    }
  }

  /** Where an address may be banned: in one jail, or in every jail that can hold it. */
  #placesOf(jail: number | undefined, text: string): Place[] {
    const target = parsed(text);
    const numbers = this.#numbers();
    // `list` may show a prefix for one jail that is wider than what another jail bans. That jail
    // cannot hold it.
    const able = numbers.filter((index) => target.prefix >= this.#widthOf(index, target));
    const chosen = jail !== undefined ? [jail] : able.length > 0 ? able : numbers;
    return chosen.map((index) => ({ jail: index, address: this.#masked(index, text) }));
  }

  #isAt(text: string, jail: number, address: Address): boolean {
    const target = parsed(text);
    return (
      target.prefix >= this.#widthOf(jail, target) && formatAddress(this.#masked(jail, text)) === formatAddress(address)
    );
  }

  /**
   * The bans among `places` that the kernel holds, with their remaining time (`Ban.timeoutMs`).
   * Reads everything the kernel holds: some tenths of a second for 100,000 bans.
   */
  async #heldOf(places: readonly Place[]): Promise<Map<Place, number>> {
    const { backend, config } = this.#running;
    const wanted = new Map(
      places.map((place) => [`${config.jails[place.jail]!.name} ${formatAddress(place.address)}`, place]),
    );
    const held = new Map<Place, number>();
    await this.#inKernel(
      backend.each(({ jail, address, timeoutMs }) => {
        const place = wanted.get(`${jail} ${formatAddress(address)}`);
        if (place !== undefined) held.set(place, timeoutMs);
      }),
    );
    return held;
  }

  async why({ address }: { address: string }): Promise<Why> {
    const { config, engine, files, ignored, recorder, routes } = this.#running;
    const places = this.#placesOf(undefined, address);
    const held = await this.#heldOf(places);
    const followed = files.status();
    const now = Date.now() / 1000;
    const ignoredRows = this.#ignoredRows();
    const views = places.map((place): JailView => {
      const { jail, address: banned } = place;
      const { name, filter, mode, maxretry, findtime } = config.jails[jail]!;
      const end = engine.banEnd(jail, banned);
      const timeoutMs = held.get(place);
      const rule = ignored?.lists[jail]?.find((network) => isWithin(banned, network));
      const isListed = ignored?.isListed(banned) ?? false;
      const ignoredBy = rule ? formatAddress(rule) : isListed ? 'a list' : undefined;
      const byHand = ignoredRows.find((row) => row.address === ignoredBy);
      return {
        jail: name,
        address: formatAddress(banned),
        filter: filterText(filter, mode),
        failures: engine.failuresOf(jail, banned, now - findtime),
        ignored: engine.isIgnored(jail, banned) || isListed,
        ...(ignoredBy !== undefined && { ignoredBy }),
        ...(byHand && { ignoredSeconds: byHand.remainingSeconds }),
        ...(end !== undefined && end > now && { until: Number.isFinite(end) ? end : -1 }),
        kernel: timeoutMs !== undefined,
        ...(timeoutMs !== undefined && { kernelSeconds: timeoutMs === 0 ? -1 : Math.ceil(timeoutMs / 1000) }),
        maxretry,
        findtime,
        sources: routes.logsOf(jail, followed).slice(0, limits.whySourcesMax),
      };
    });
    const records = recorder.path === undefined ? {} : { records: await this.#records(places) };
    const unread = this.#running.lists?.problems() ?? [];
    const lists = [...(await this.#listsWith(address)), ...unread.map((problem) => `not known: ${problem}`)];
    const named = lists.length === 0 ? {} : { lists };
    return { address, config: config.path, views: views.slice(0, limits.whyViewsMax), ...named, ...records };
  }

  /** Where files of addresses, of one use or of both, name it. */
  async #listsWith(address: string, of?: ListPlace['use']): Promise<string[]> {
    const places = (await this.#running.lists?.find(parsed(address))) ?? [];
    return places.filter(({ use }) => of === undefined || use === of).map(placeText);
  }

  history({ address }: { address?: string }): Promise<Records> {
    return this.#records(address === undefined ? undefined : this.#placesOf(undefined, address));
  }

  watch(): Promise<Records> {
    return this.#records();
  }

  /** Where the records are. Everything that happened until now is on disk when it resolves. */
  async #records(about?: readonly Place[]): Promise<Records> {
    const { recorder } = this.#running;
    const { path } = recorder;
    if (path === undefined) throw new OperatorError('not-kept', 'no records are kept: set state.enabled');
    await recorder.flush();
    const addresses = about?.map(({ address }) => formatAddress(address));
    return { path, number: recorder.number, ...(addresses && { addresses: [...new Set(addresses)] }) };
  }

  set({ level }: { level: Level }): { level: Level } {
    this.#running.log.setLevel(level);
    return { level };
  }

  async *reload(_: object, { uid, pid, hands }: Peer): AsyncGenerator<{ ready: true } | Reloaded> {
    const { recorder, reload } = this.#running;
    yield { ready: true };
    const file = (await hands?.()) ?? -1;
    if (file < 0 || reload === undefined)
      throw new OperatorError('not-handed', 'no configuration was handed over: fail2zig-client reload does it');
    const next = recordIn(file);
    const reloaded = await reload(next);
    recorder.command('reload', { uid, pid });
    yield reloaded;
  }

  version(): { version: string } {
    return { version };
  }

  /** The numbers of the jails that exist. */
  #numbers(): number[] {
    const { jails } = this.#running.config;
    return [...jails.keys()].filter((index) => isTaken(jails[index]!));
  }

  #indexOf(name: string): number {
    const { jails } = this.#running.config;
    const index = jails.findIndex((jail) => jail.name === name);
    if (index >= 0) return index;
    const names = this.#numbers().map((number) => jails[number]!.name);
    throw new OperatorError('no-such-jail', `no jail ${name}; there are ${names.join(', ')}`);
  }

  /** The prefix length with which `jail` bans an address; a running ban keeps its own. */
  #widthOf(jail: number, address: Address): number {
    const { engine } = this.#running;
    const single = address.family === 4 ? 32 : 128;
    if (address.prefix === single && engine.isBanned(jail, address)) return single;
    return engine.sourceWidth(jail, address) || single;
  }

  /** The address as `jail` bans it: a prefix where the jail counts prefixes as one source. */
  #masked(jail: number, text: string): Address {
    const address = parsed(text);
    const width = this.#widthOf(jail, address);
    if (address.prefix >= width) return maskAddress({ ...address, prefix: width });
    const { name } = this.#running.config.jails[jail]!;
    throw new OperatorError('too-wide', `${text} is wider than a /${width}, which is what jail ${name} bans`);
  }

  #bannable(jail: number, text: string): Address {
    const address = this.#masked(jail, text);
    const { engine, ignored } = this.#running;
    const never = neverSource(address);
    if (never !== undefined) throw new OperatorError('bad-argument', `${text} is ${never}: nothing comes from it`);
    if (ignored?.isBroadcast(address))
      throw new OperatorError(
        'bad-argument',
        `${text} is the broadcast address of a network of ours: nothing comes from it`,
      );
    if (engine.sourceWidth(jail, address) === 0)
      throw new OperatorError('bad-argument', `${text} is the first address of a network of ours, that of its routers`);
    if (ignored?.isListed(address))
      throw new OperatorError('ignored', `${formatAddress(address)} is ignored by a list: why ${text} shows which`);
    if (!engine.isIgnored(jail, address)) return address;
    const { name } = this.#running.config.jails[jail]!;
    const byHand = this.#ignoredBy(address);
    const why = byHand === undefined ? `in ignoreip of jail ${name}` : `ignored by hand (${byHand})`;
    throw new OperatorError('ignored', `${formatAddress(address)} is ${why}`);
  }

  /** The network that an operator ignored and that covers the address. */
  #ignoredBy(address: Address): string | undefined {
    const found = this.#running.ignored?.byHand.find(({ network }) => isWithin(address, network));
    return found && formatAddress(found.network);
  }

  async #inKernel(task: Promise<unknown>): Promise<void> {
    await task.catch((error: Error) => {
      throw new OperatorError('kernel', error.message);
    });
  }
}

const useText = ({ use, jail }: Pick<ListView, 'use' | 'jail'>): string =>
  use === 'ban' ? `banned in ${jail}` : 'ignored';
/** A list as `status` shows it. */
const listText = (list: ListView): string => `${list.file}: ${list.entries} entries, ${useText(list)}`;
/** Where a list names an address, as text. */
const placeText = (place: ListPlace): string => {
  const lines = place.first === place.last ? `${place.first}` : `${place.first} to ${place.last}`;
  return printable(`${place.file}:${lines}: ${place.entry}, ${useText(place)}`, limits.statusTextMax);
};

/** A filter as people write it. */
const filterText = (filter: string, mode: string): string => (mode === '' ? filter : `${filter}:${mode}`);

/** Reads the record from a sealed memory file, which nobody can change any more, and closes it. */
function recordIn(file: number): CoreConfig {
  const seals = native.seals(file);
  if (seals < 0 || (seals & sealed) !== sealed) {
    closeSync(file);
    throw new OperatorError('not-handed', 'the file that was handed over is not a sealed memory file');
  }
  try {
    return readCoreConfig(file);
  } catch (error) {
    throw new OperatorError('bad-argument', (error as Error).message);
  }
}

/** An address that the verb's row has already checked. */
const parsed = (text: string): Address => parseCidr(text, 'clear') as Address;
