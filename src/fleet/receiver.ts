/**
 * The bouncer: turns decisions of the server into bans of the fleet's jail. Input: lists of
 * decisions, chosen by the server and its sources. Invariant: the daemon has the last word
 * (ignoreip wins there); the jail holds at most its limit, of which community lists leave a share;
 * our own decisions are not banned again; only a complete list ends a ban by leaving it out. After
 * any failure the next list is a complete one, since the server does not repeat its updates.
 */
import { Backoff } from '../backoff.ts';
import type { FleetConfig } from '../config/fleet.ts';
import type { RefusalCode, Status } from '../control/answers.ts';
import { addressesPerRequestMax, banSecondsMax, iptablesBansMax, reasonCharactersMax } from '../limits.ts';
import type { Logger } from '../log.ts';
import { printable } from '../text/printable.ts';
import type { Figures, SkipReason } from './figures.ts';
import { Held } from './held.ts';
import {
  endSeconds,
  endShare,
  jailShare,
  ownShare,
  refusedShown,
  requestsAtOnce,
  retryMs,
  retryMsMax,
  wholeSeconds,
  windowDecisions,
} from './limits.ts';
import { type LocalDaemon, RefusedError } from './local.ts';
import { pause } from './pause.ts';
import { type Server, ServerError } from './server.ts';
import { type Decision, ListError } from './stream.ts';

/** A decision to be banned. */
interface Wanted {
  value: string;
  /** Epoch seconds. */
  end: number;
  reason: string;
  /** Nothing of it is banned yet. */
  isNew: boolean;
}

/** Refusals that a repetition does not change. */
const finalCodes = new Set<RefusalCode>(['bad-argument', 'ignored', 'too-wide']);
/** How refusals are counted; others as `refused`. */
const skippedFor: Partial<Record<RefusalCode, SkipReason>> = { ignored: 'ignored', 'too-wide': 'wider' };
/** Lists that a server gives to everybody. */
const communityOrigins = new Set(['CAPI', 'lists']);

export interface ReceiverOptions {
  config: Pick<FleetConfig, 'jail' | 'entriesMax' | 'intervalSeconds'>;
  /** The end of our own decisions' scenarios: `@MACHINE`; undefined if we send none. */
  ownMark: string | undefined;
  /** IPv6 prefix length of the jail's bans. */
  ipv6Prefix: number;
  /** `firewall.bans_max`; 0 = what the daemon reports. */
  bansMax: number;
  daemon: Pick<LocalDaemon, 'status' | 'list' | 'ban' | 'unban'>;
  server: Pick<Server, 'decisions'>;
  figures: Figures;
  log: Pick<Logger, 'info' | 'warn'>;
  /** Epoch milliseconds. */
  now?: () => number;
}

/** The reason that `list` and `why` show for a decision. */
export function reasonOf({ origin, scenario }: Pick<Decision, 'origin' | 'scenario'>): string {
  return printable(`${origin}: ${scenario}`, reasonCharactersMax).slice(0, reasonCharactersMax);
}

/** Groups bans into requests: each has one reason and ends that are close together. */
export function* requestsOf<One extends Pick<Wanted, 'end' | 'reason'>>(
  wanted: readonly One[],
  now: number,
): Generator<One[]> {
  for (const same of Map.groupBy(wanted, ({ reason }) => reason).values()) {
    let request: One[] = [];
    for (const one of same.toSorted((a, b) => a.end - b.end)) {
      const [first = one] = request;
      const latest = first.end + Math.max(endSeconds, (first.end - now) * endShare);
      if (request.length === addressesPerRequestMax || one.end > latest) {
        yield request;
        request = [];
      }
      request.push(one);
    }
    if (request.length > 0) yield request;
  }
}

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #held: Held;
  readonly #now: () => number;
  #round = 0;
  #wanted: Wanted[] = [];
  /** Bans that are wanted or in progress, but not confirmed yet. */
  #coming = 0;
  /** Decisions without room since the last complete list. */
  #over = 0;
  /** The next list must be a complete one. */
  #mustKnowAll = true;
  /** The content of the jail is unknown. */
  #mustLook = true;
  #wholeAt = Number.NEGATIVE_INFINITY;
  /** When the server was asked for the current list. */
  #askedAt = 0;
  #pid: number | undefined;
  /** Values of this list whose bans are wider than they are. */
  readonly #named = new Set<string>();

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#held = new Held(options.ipv6Prefix);
    this.#now = () => (options.now ?? Date.now)() / 1000;
  }

  /** Runs until `signal`. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, figures } = this.#options;
    const backoff = new Backoff(() => performance.now(), retryMs, retryMsMax);
    while (!signal.aborted) {
      try {
        await this.turn();
        for (const part of ['daemon', 'server', 'decisions'] as const) figures.mend(part);
        await pause(config.intervalSeconds * 1000, signal);
      } catch (error) {
        const part = error instanceof ServerError ? 'server' : error instanceof ListError ? 'decisions' : 'daemon';
        this.#mustLook ||= part === 'daemon';
        figures.fail(part, (error as Error).message);
        await pause(backoff.next(), signal);
      }
    }
  }

  /**
   * Takes one list and bans it. Rejects with ServerError, ListError, or the daemon's error;
   * existing bans stay until they end.
   */
  async turn(): Promise<void> {
    const { figures, server } = this.#options;
    await this.#meetDaemon();
    await this.#endOver();
    const all = this.#mustKnowAll;
    this.#mustKnowAll = true;
    this.#round++;
    this.#named.clear();
    this.#askedAt = this.#now();
    const deleted = new Set<string>();
    if (all) this.#over = 0;
    let banning = Promise.resolve();
    try {
      for await (const decisions of server.decisions(all, () => figures.skip('unreadable'))) {
        for (const decision of decisions) this.#take(decision, all ? undefined : deleted);
        if (this.#wanted.length < windowDecisions) continue;
        await banning;
        // The next decisions are read meanwhile; a failure shows at the next await.
        banning = this.#banWanted();
        banning.catch(() => undefined);
      }
      await banning;
      await this.#banWanted();
    } finally {
      await banning.catch(() => undefined);
      this.#wanted = [];
      this.#coming = 0;
      figures.held = this.#held.size;
    }
    await this.#unban(all ? this.#held.unnamed(this.#round) : this.#dropped(deleted));
    this.#mustKnowAll = false;
    figures.counters.polls++;
    figures.listedAt = this.#now();
    if (all) this.#wholeAt = figures.listedAt;
    if (all) figures.counters.resyncs++;
    figures.listSeconds = figures.listedAt - this.#askedAt;
    figures.held = this.#held.size;
    this.#tellOver();
  }

  #tellOver(): void {
    const { config, figures } = this.#options;
    const says = `${this.#over} decisions have no room among the ${figures.ceiling} bans of jail ${config.jail}: raise entries_max, or memory for more`;
    if (this.#over > 0) figures.problems.set('ceiling', says);
    else figures.mend('ceiling');
  }

  // --- The daemon --------------------------------------------------------------------------------

  /** Asks for the content of the jail if it may differ from what we know. */
  async #meetDaemon(): Promise<void> {
    const { config, daemon, figures } = this.#options;
    const status = await daemon.status(config.jail);
    figures.ceiling = this.#ceilingOf(status);
    // Everything is compared at intervals: somebody may have unbanned what the server still wants.
    if (status.pid !== this.#pid || this.#now() - this.#wholeAt > wholeSeconds) this.#mustLook = true;
    if (!this.#mustLook) return;
    this.#mustKnowAll = true;
    this.#held.clear();
    for await (const { bans } of daemon.list(config.jail)) {
      const now = this.#now();
      for (const { address, remainingSeconds: left } of bans)
        this.#held.found(address, now + (left < 0 ? banSecondsMax : left));
    }
    this.#pid = status.pid;
    this.#mustLook = false;
  }

  /** How much the jail may hold: bans of others must not displace those of this host. */
  #ceilingOf({ backend, memory }: Status): number {
    const { config, bansMax } = this.#options;
    const kernel = backend === 'iptables' ? iptablesBansMax : bansMax > 0 ? bansMax : memory.slots / 2;
    return Math.min(config.entriesMax, Math.floor(kernel * jailShare));
  }

  /** Ends bans whose time is over but which the kernel would hold longer. */
  async #endOver(): Promise<void> {
    const late: string[] = [];
    for (const [name, isHeld] of this.#held.over(this.#now())) {
      if (isHeld) late.push(name);
      else this.#held.delete(name);
    }
    await this.#unban(late);
  }

  // --- Decisions ---------------------------------------------------------------------------------

  #take(decision: Decision, deleted: Set<string> | undefined): void {
    const { figures } = this.#options;
    if (decision.kind === 'deleted') {
      figures.counters.decisionsDeleted++;
      const name = this.#held.name(decision.value);
      if (deleted !== undefined && name !== undefined && this.#held.get(name)) deleted.add(decision.value);
      return;
    }
    figures.counters.decisionsNew++;
    const reason = this.#whyNot(decision);
    if (reason !== undefined) figures.skip(reason);
    else this.#want(decision);
  }

  #whyNot({ type, scope, seconds, scenario, simulated }: Decision) {
    const { ownMark } = this.#options;
    if (ownMark !== undefined && scenario.startsWith('fail2zig/') && scenario.endsWith(ownMark)) return 'own';
    if (type !== 'ban') return 'type';
    if (scope !== 'ip' && scope !== 'range') return 'scope';
    if (simulated) return 'simulated';
    return seconds <= 0 ? 'over' : undefined;
  }

  #want(decision: Decision): void {
    const { figures } = this.#options;
    const { value, origin } = decision;
    const name = this.#held.name(value);
    if (name === undefined) {
      figures.skip('unreadable');
      return;
    }
    if (name !== value) this.#named.add(value);
    const now = this.#now();
    const seconds = Math.min(decision.seconds, banSecondsMax);
    const end = now + seconds;
    const held = this.#held.get(name);
    if (held !== undefined) {
      // The server may have written the time that is left whenever since we asked.
      const earliest = this.#askedAt + seconds - endSeconds;
      const latest = end + Math.max(endSeconds, seconds * endShare);
      if (held.kernelEnd >= earliest && held.kernelEnd <= latest) {
        this.#held.add(value, name, { end, kernelEnd: held.kernelEnd, round: this.#round });
        return;
      }
      held.round = this.#round;
    } else {
      const most = figures.ceiling * (communityOrigins.has(origin) ? 1 - ownShare : 1);
      if (this.#held.size + this.#coming >= most) {
        figures.skip('ceiling');
        this.#over++;
        return;
      }
      this.#coming++;
    }
    this.#wanted.push({ value, end, reason: reasonOf(decision), isNew: held === undefined });
  }

  async #banWanted(): Promise<void> {
    const wanted = this.#wanted;
    this.#wanted = [];
    const requests = requestsOf(wanted, this.#now());
    const work = async (): Promise<void> => {
      // All share one generator: each takes the next request when it is done.
      for (let next = requests.next(); !next.done; next = requests.next()) await this.#ban(next.value);
    };
    const workers = await Promise.allSettled(Array.from({ length: requestsAtOnce }, work));
    for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  }

  async #ban(request: readonly Wanted[]): Promise<void> {
    const { config, daemon, figures } = this.#options;
    const addresses = request.map(({ value }) => value);
    const seconds = Math.max(1, Math.ceil(request.at(-1)!.end - this.#now()));
    let answer: Awaited<ReturnType<typeof daemon.ban>>;
    try {
      answer = await daemon.ban(config.jail, addresses, Math.min(seconds, banSecondsMax), request[0]!.reason);
    } catch (error) {
      // If nothing of the request may be banned, that is final. The reason is that of the first.
      if (!(error instanceof RefusedError) || !finalCodes.has(error.code)) throw error;
      const [first, ...others] = request;
      this.#refused(first!, error);
      if (others.length > 0 && others.length <= refusedShown) return this.#ban(others);
      for (const other of others)
        this.#refused(other, { code: 'bad-argument', message: `refused together with ${first!.value}` });
      return;
    }
    const refused = new Map(answer.refused.map(({ address, code, why }) => [address, { code, message: why }]));
    const names = answer.addresses[Symbol.iterator]();
    const kernelEnd = this.#now() + answer.seconds;
    for (const wanted of request) {
      const { value, end, isNew } = wanted;
      const why = refused.get(value);
      if (why !== undefined) this.#refused(wanted, why);
      else {
        this.#held.add(value, names.next().value ?? value, { end, kernelEnd, round: this.#round });
        if (isNew) this.#coming--;
      }
    }
    figures.counters.banned += answer.addresses.length;
    figures.held = this.#held.size;
  }

  #refused({ value, isNew }: Wanted, { code, message }: Pick<RefusedError, 'code' | 'message'>): void {
    const { figures } = this.#options;
    if (isNew) this.#coming--;
    figures.skip(skippedFor[code] ?? 'refused');
    figures.refused.delete(value);
    figures.refused.set(value, message);
    const [oldest] = figures.refused.keys();
    if (figures.refused.size > refusedShown) figures.refused.delete(oldest!);
  }

  // --- Ends of bans ------------------------------------------------------------------------------

  /** Names that no value needs any more; those that this list named again stay. */
  *#dropped(values: Iterable<string>): Generator<string> {
    for (const value of values) {
      const named = this.#held.get(this.#held.name(value) ?? '');
      const isWanted = named?.values === undefined ? named?.round === this.#round : this.#named.has(value);
      if (named === undefined || isWanted) continue;
      const name = this.#held.drop(value);
      if (name !== undefined) yield name;
    }
  }

  async #unban(names: Iterable<string>): Promise<void> {
    const { config, daemon, figures } = this.#options;
    const all = [...names];
    while (all.length > 0) {
      const some = all.splice(-addressesPerRequestMax);
      await daemon.unban(config.jail, some);
      for (const name of some) this.#held.delete(name);
      figures.counters.unbanned += some.length;
    }
  }
}
