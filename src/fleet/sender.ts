/**
 * The agent: sends our bans and unbans from the file of records to the server. Two loops with the
 * spool between them: one reads and stores, one sends. Input: records of our daemon; answers of the
 * server. Invariant: no text of a log line leaves the host, only who was banned by which jail,
 * when, for how long, and after how many failures. A ban is sent once: if it is unknown whether the
 * server took a batch, the server is asked about each ban before any is sent again.
 */

import { Backoff } from '../backoff.ts';
import { readRecords } from '../client/records.ts';
import type { Event } from '../history/event.ts';
import type { Logger } from '../log.ts';
import type { Figures } from './figures.ts';
import { bansPerRequest, foreverSeconds, heartbeatMs, positionMs, retryMs, retryMsMax } from './limits.ts';
import type { LocalDaemon } from './local.ts';
import { pause } from './pause.ts';
import { type Alert, type Server, ServerError } from './server.ts';
import { type Ban, type Batch, isAfter, isUnban, type Place, type Spool } from './spool.ts';

/** The scenario of our decisions: `fail2zig/sshd`. */
export const scenarioOf = (jail: string): string => `fail2zig/${jail}`;

/** The same with the host that decided, by which a host recognises its own. */
export const decisionScenario = (jail: string, machine: string): string => `${scenarioOf(jail)}@${machine}`;

const scopeOf = (address: string): 'Ip' | 'Range' => (address.includes('/') ? 'Range' : 'Ip');

/** A ban in the server's format. */
export function alertOf(ban: Ban, machine: string): Alert {
  const { jail, address, at, number, index, failures = 0 } = ban;
  const time = new Date(at * 1000).toISOString();
  const scope = scopeOf(address);
  const seconds = ban.seconds < 0 ? foreverSeconds : Math.max(1, Math.ceil(ban.seconds));
  const place = scope === 'Ip' ? { ip: address } : { ip: address.split('/')[0], range: address };
  return {
    // Unique for each ban of a host: the server is asked for it if an answer was lost.
    message: `${address} banned by jail ${jail} of ${machine} (record ${number}.${index} of ${time})`,
    scenario: scenarioOf(jail),
    scenario_hash: '',
    scenario_version: '',
    capacity: 0,
    leakspeed: '0',
    simulated: false,
    remediation: true,
    events: [],
    events_count: failures,
    start_at: time,
    stop_at: time,
    source: { scope, value: address, ...place },
    decisions: [
      {
        type: 'ban',
        scope,
        value: address,
        duration: `${seconds}s`,
        // cscli shows this origin by default and would hide another one.
        origin: 'crowdsec',
        scenario: decisionScenario(jail, machine),
      },
    ],
  };
}

export interface SenderOptions {
  machine: string;
  /** Bans of this jail came from the server. */
  fleetJail: string;
  /** Bantimes of the jails, seconds: records of a burst do not contain them. */
  bantimes: ReadonlyMap<string, number>;
  daemon: Pick<LocalDaemon, 'records'>;
  server: Pick<Server, 'send' | 'withdraw' | 'holds' | 'heartbeat'>;
  spool: Spool;
  figures: Figures;
  log: Pick<Logger, 'info' | 'warn'>;
  /** First pause after a failure, ms. */
  retryMs?: number;
}

/** The bans and unbans of a record that are to be sent and come after `read`. */
export function bansOf(event: Event, read: Place, options: Pick<SenderOptions, 'fleetJail' | 'bantimes'>): Ban[] {
  const { jail, addresses = [], number, at, until, failures } = event;
  if ((event.event !== 'ban' && event.event !== 'unban') || jail === undefined || jail === options.fleetJail) return [];
  const length = until === undefined ? (options.bantimes.get(jail) ?? 600) : until < 0 ? -1 : Math.max(1, until - at);
  const seconds = event.event === 'unban' ? 0 : length;
  const all = addresses.map(
    (address, index): Ban => ({
      number,
      index,
      at,
      jail,
      address,
      seconds: Math.ceil(seconds),
      ...(failures !== undefined && { failures }),
    }),
  );
  return all.filter((ban) => isAfter(ban, read));
}

export class Sender {
  readonly #options: SenderOptions;
  readonly #backoff: Backoff;
  #heardAt = Number.NEGATIVE_INFINITY;
  #wake = (): void => {};

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#backoff = new Backoff(() => performance.now(), options.retryMs ?? retryMs, retryMsMax);
  }

  /** Runs until `signal`. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#readAll(signal), this.#sendAll(signal)]);
  }

  // --- Records to spool --------------------------------------------------------------------------

  async #readAll(signal: AbortSignal): Promise<void> {
    const { figures } = this.#options;
    const backoff = new Backoff(() => performance.now(), retryMs, retryMsMax);
    while (!signal.aborted) {
      try {
        await this.#follow(signal);
      } catch (error) {
        figures.fail('records', (error as Error).message);
        await pause(backoff.next(), signal);
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { daemon, spool, figures } = this.#options;
    const { path, number } = await daemon.records();
    // A new host does not send its old bans.
    if (spool.read === undefined) spool.skipTo({ number, index: Number.MAX_SAFE_INTEGER, at: Date.now() / 1000 });
    let saved = performance.now();
    let last: Place = spool.read!;
    const wanted = ({ number, at }: Event): boolean =>
      isAfter({ number, at, index: 0 }, last) || number === last.number;
    for await (const { events } of readRecords(path, wanted, true)) {
      await this.#keep(events);
      figures.mend('records');
      last = spool.read!;
      if (performance.now() - saved > positionMs) {
        await spool.save();
        saved = performance.now();
      }
      if (signal.aborted) return;
    }
  }

  async #keep(events: readonly Event[]): Promise<void> {
    const { spool, figures } = this.#options;
    const bans: Ban[] = [];
    let read = spool.read!;
    for (const event of events) {
      const place = { number: event.number, index: Number.MAX_SAFE_INTEGER, at: event.at };
      if (event.number > read.number + 1) figures.counters.recordsMissed += event.number - read.number - 1;
      if (event.event === 'lost') figures.counters.recordsLost += event.count ?? 0;
      bans.push(...bansOf(event, read, this.#options));
      if (isAfter(place, read)) read = place;
    }
    if (bans.length > 0) await spool.append(bans);
    spool.skipTo(read);
    if (bans.length > 0) this.#wake();
  }

  // --- Spool to server ---------------------------------------------------------------------------

  async #sendAll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (!(await this.#sendNext(signal))) await this.#idle(signal);
        this.#options.figures.mend('spool');
      } catch (error) {
        // Failures of the server are handled inside: this is one of the disk.
        this.#options.figures.fail('spool', (error as Error).message);
        await pause(this.#backoff.next(), signal);
      }
    }
  }

  /** Sends a batch; false if none waits. */
  async #sendNext(signal: AbortSignal): Promise<boolean> {
    const { spool, figures } = this.#options;
    let isDoubtful = spool.isUncertain;
    const batch = await spool.next(bansPerRequest);
    if (batch === undefined) return false;
    await spool.begin(batch);
    while (!signal.aborted) {
      try {
        const sent = await this.#deliver(batch, isDoubtful);
        await spool.acknowledge(batch, sent);
        figures.mend('alerts');
        return true;
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        isDoubtful ||= error.maybeDone;
        figures.fail('alerts', error.message);
        await pause(this.#backoff.next(), signal);
      }
    }
    return true;
  }

  /** How many of the batch the server has taken now. Rejects if it has to be tried again. */
  async #deliver({ bans }: Batch, isDoubtful: boolean): Promise<number> {
    const { server, machine, figures } = this.#options;
    if (isUnban(bans[0]!)) return this.#withdraw(bans);
    const alerts = bans.map((ban) => alertOf(ban, machine));
    const missing = isDoubtful ? await this.#missing(alerts, bans) : alerts;
    figures.counters.alertsKnown += alerts.length - missing.length;
    if (missing.length === 0) return 0;
    try {
      await server.send(missing);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return this.#deliverEach(missing);
    }
    this.#heardAt = performance.now();
    figures.counters.alertsSent += missing.length;
    return missing.length;
  }

  /**
   * One by one after the server refused the batch: otherwise a single refused ban would block all.
   */
  async #deliverEach(alerts: readonly Alert[]): Promise<number> {
    const { server, figures, log } = this.#options;
    let sent = 0;
    for (const alert of alerts) {
      try {
        await server.send([alert]);
        sent++;
        figures.counters.alertsSent++;
      } catch (error) {
        // The part of the batch that was sent may be known to the server, which will be asked.
        if (!isRefusal(error)) throw new ServerError((error as Error).message, undefined, true);
        figures.counters.alertsRefused++;
        log.warn('the server refused a ban', { address: alert.source.value, why: (error as Error).message });
      }
    }
    return sent;
  }

  /**
   * Ends our decisions about addresses that an operator has unbanned; repeats it if the result is
   * unknown.
   */
  async #withdraw(bans: readonly Ban[]): Promise<number> {
    const { server, machine, figures, log } = this.#options;
    for (const { jail, address } of bans) {
      try {
        await server.withdraw(scopeOf(address), address, decisionScenario(jail, machine));
        figures.counters.unbansSent++;
      } catch (error) {
        if (!isRefusal(error)) throw error;
        figures.counters.alertsRefused++;
        log.warn('the server refused an unban', { address, why: (error as Error).message });
      }
    }
    this.#heardAt = performance.now();
    return bans.length;
  }

  async #missing(alerts: readonly Alert[], bans: readonly Ban[]): Promise<Alert[]> {
    const { server } = this.#options;
    const missing: Alert[] = [];
    for (const [index, alert] of alerts.entries()) {
      const age = Math.max(0, Date.now() / 1000 - bans[index]!.at);
      if (!(await server.holds(alert, age))) missing.push(alert);
    }
    return missing;
  }

  /** Waits until there is something to send, or a heartbeat is due. */
  async #idle(signal: AbortSignal): Promise<void> {
    const { server, figures, spool } = this.#options;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    const left = this.#heardAt + heartbeatMs - performance.now();
    if (left > 0 && spool.waiting === 0) await pause(left, AbortSignal.any([signal, woken.signal]));
    if (signal.aborted || woken.signal.aborted || spool.waiting > 0) return;
    try {
      await server.heartbeat();
      this.#heardAt = performance.now();
      figures.mend('alerts');
    } catch (error) {
      figures.fail('alerts', (error as Error).message);
      await pause(this.#backoff.next(), AbortSignal.any([signal, woken.signal]));
    }
  }
}

/** Whether the server will never accept the request, however often it is repeated. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof ServerError) || error.maybeDone) return false;
  const { status = 0 } = error;
  return status >= 400 && status < 500 && ![401, 403, 404, 408, 425, 429].includes(status);
}
