/**
 * What the running daemon answers its operators (control/answers.ts `Operator`). Arguments are
 * checked by the verb's row; here they are compared with what runs: jails, ignoreip, the table, the
 * kernel.
 */
import { setImmediate as turn } from 'node:timers/promises';
import {
  type BanResult,
  type JailStatus,
  type ListPart,
  type Operator,
  OperatorError,
  type Stats,
  type Status,
  type UnbanResult,
} from './control/answers.ts';
import { statusParts } from './control/pages.ts';
import type { Enforcer } from './enforcer/enforcer.ts';
import { FILTER_LINES, FILTER_MATCHED, JAIL_FAILURES } from './engine/counters.ts';
import type { Engine, TableBan } from './engine/host.ts';
import { listPartRowsMax, sweepEntries, sweepTurnEntries, unbansPerPart, unmatchedLinesMin } from './limits.ts';
import { kernelBytes } from './memory/kernel.ts';
import { residentBytes } from './memory/resident.ts';
import type { DropTally } from './observe/drop-tally.ts';
import { type Figure, statsOf } from './observe/figures.ts';
import type { LogClocks } from './observe/log-clocks.ts';
import type { FileSource } from './sources/file.ts';
import type { SourceRoutes } from './sources/routes.ts';
import type { StateKeeper } from './state/keeper.ts';
import { formatAddress, maskAddress, neverSource, parseCidr } from './text/address.ts';
import type { Address, Backend, CoreConfig } from './types.ts';
import { version } from './version.ts';

export interface Running {
  config: CoreConfig;
  engine: Engine;
  enforcer: Enforcer;
  drops: DropTally;
  backend: Backend;
  files: Pick<FileSource, 'status' | 'problems'>;
  routes: Pick<SourceRoutes, 'logsOf'>;
  /** Absent where nothing is saved. */
  keeper: StateKeeper | undefined;
  clocks?: Pick<LogClocks, 'problems'>;
  /** What `stats` shows. */
  figures: () => readonly Figure[];
}

export class DaemonOperator implements Operator {
  readonly #running: Running;

  constructor(running: Running) {
    this.#running = running;
  }

  /** What an operator must know about, one sentence each, the worst first. */
  problems(): string[] {
    const { backend, clocks, config, enforcer, files, keeper, routes } = this.#running;
    const followed = files.status();
    return [
      backend.holds ? undefined : 'log-only: nothing is banned',
      enforcer.problem,
      enforcer.disturbance,
      enforcer.adoption,
      keeper?.problem,
      ...files.problems(),
      ...(clocks?.problems() ?? []),
      ...config.jails
        .filter((_, index) => routes.logsOf(index, followed).length === 0)
        .map(({ name, logpath }) => `jail ${name} reads no log: no file fits ${logpath.join(', ')}`),
    ].filter((problem) => problem !== undefined);
  }

  /** A filter that reads many lines and matches none may be the wrong one; it need not. */
  #hints(): string[] {
    const { config, engine } = this.#running;
    return config.jails.flatMap(({ name, filter, mode }) => {
      const { filter: number } = engine.resolveFilter(filter, mode);
      const lines = engine.filterCounter(number, FILTER_LINES);
      if (lines < unmatchedLinesMin || engine.filterCounter(number, FILTER_MATCHED) > 0) return [];
      return [`jail ${name}: filter ${filter} has matched none of ${lines} lines`];
    });
  }

  async *status({ jail }: { jail?: string }): AsyncGenerator<Status> {
    const { config, engine, backend } = this.#running;
    const chosen = jail === undefined ? config.jails.keys() : [this.#indexOf(jail)];
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
      hints: this.#hints(),
      jails: Array.from(chosen, (index) => this.#jailStatus(index, counts[index]!)),
    });
  }

  #jailStatus(index: number, { held, pending }: { held: number; pending: number }): JailStatus {
    const { config, engine, enforcer, drops, files, routes } = this.#running;
    const { name, filter, mode } = config.jails[index]!;
    return {
      jail: name,
      filter: mode === '' ? filter : `${filter}:${mode}`,
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
    const { config } = this.#running;
    const wanted = jail === undefined ? undefined : this.#indexOf(jail);
    for await (const bans of this.#bans(wanted)) {
      const now = Date.now() / 1000;
      yield {
        bans: bans.map((ban) => ({
          jail: config.jails[ban.jail]!.name,
          address: formatAddress(ban.address),
          remainingSeconds: Number.isFinite(ban.end) ? Math.max(0, Math.ceil(ban.end - now)) : -1,
        })),
      };
    }
  }

  /** The bans that hold, in pieces; others have their turn between slices of the table. */
  async *#bans(jail: number | undefined): AsyncGenerator<TableBan[]> {
    const { engine } = this.#running;
    const bans: TableBan[] = [];
    for (let at = 0; at >= 0; ) {
      const now = Date.now() / 1000;
      const slice = at;
      at = engine.eachBan(at, sweepEntries, (ban) => {
        if (ban.end > now && (jail === undefined || ban.jail === jail)) bans.push(ban);
      });
      while (bans.length >= listPartRowsMax) yield bans.splice(0, listPartRowsMax);
      if (slice % sweepTurnEntries === 0) await turn();
    }
    if (bans.length > 0) yield bans;
  }

  async ban({ jail, addresses, seconds }: { jail: string; addresses: string[]; seconds?: number }): Promise<BanResult> {
    const { config, enforcer } = this.#running;
    const index = this.#indexOf(jail);
    const length = seconds ?? config.jails[index]!.bantime;
    const targets: Address[] = [];
    const refusals: { address: string; error: OperatorError }[] = [];
    for (const address of addresses) {
      try {
        targets.push(this.#bannable(index, address));
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error;
        refusals.push({ address, error });
      }
    }
    if (targets.length === 0) throw refusals[0]!.error;
    await this.#inKernel(enforcer.ban(index, targets, length));
    return {
      jail,
      addresses: targets.map(formatAddress),
      seconds: length,
      refused: refusals.map(({ address, error }) => ({ address, why: error.message })),
    };
  }

  async *unban({ jail, addresses }: { jail?: string; addresses: string[] }): AsyncGenerator<UnbanResult> {
    const { config, engine, enforcer } = this.#running;
    const { jails } = config;
    const changes: { jail: number; address: Address }[] = [];
    const result: UnbanResult['addresses'] = [];
    for (const text of addresses) {
      const target = this.#parsed(text);
      // A prefix as `list` shows it for one jail may be wider than what another bans: that jail
      // cannot hold it.
      const able = [...jails.keys()].filter((index) => target.prefix >= this.#widthOf(index, target));
      const chosen = jail !== undefined ? [this.#indexOf(jail)] : able.length > 0 ? able : [...jails.keys()];
      const found = chosen.map((index) => ({ jail: index, address: this.#masked(index, text) }));
      const held = found.filter((each) => engine.isBanned(each.jail, each.address));
      changes.push(...found);
      result.push({ address: text, jails: held.map((each) => jails[each.jail]!.name) });
    }
    await this.#inKernel(enforcer.unban(changes));
    // An address may have been banned in every jail.
    while (result.length > 0) yield { addresses: result.splice(0, unbansPerPart) };
  }

  #indexOf(name: string): number {
    const { jails } = this.#running.config;
    const index = jails.findIndex((jail) => jail.name === name);
    if (index >= 0) return index;
    throw new OperatorError('no-such-jail', `no jail ${name}; there are ${jails.map((jail) => jail.name).join(', ')}`);
  }

  #parsed(text: string): Address {
    const address = parseCidr(text, 'clear');
    if (typeof address === 'string') throw new OperatorError('bad-argument', `${text} is no address`);
    return address;
  }

  /** Bits of the prefixes that `jail` bans. */
  #widthOf(jail: number, { family }: Address): number {
    return family === 4 ? 32 : this.#running.config.jails[jail]!.ipv6Prefix;
  }

  /** The address as `jail` bans it: an IPv6 address becomes the jail's prefix. */
  #masked(jail: number, text: string): Address {
    const address = this.#parsed(text);
    const width = this.#widthOf(jail, address);
    if (address.prefix >= width) return maskAddress({ ...address, prefix: width });
    const { name } = this.#running.config.jails[jail]!;
    throw new OperatorError('bad-argument', `${text} is wider than a /${width}, which is what jail ${name} bans`);
  }

  #bannable(jail: number, text: string): Address {
    const address = this.#masked(jail, text);
    const never = neverSource(address);
    if (never !== undefined) throw new OperatorError('bad-argument', `${text} is ${never}: nothing comes from it`);
    if (!this.#running.engine.isIgnored(jail, address)) return address;
    const { name } = this.#running.config.jails[jail]!;
    throw new OperatorError('ignored', `${formatAddress(address)} is in ignoreip of jail ${name}`);
  }

  async #inKernel(task: Promise<void>): Promise<void> {
    await task.catch((error: Error) => {
      throw new OperatorError('kernel', error.message);
    });
  }
}
