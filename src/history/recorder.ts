/**
 * Records what happened to bans, who asked for it, and what was refused. Each record goes to the
 * audit log (audit-file.ts), which the client reads (client/records.ts), to journald if available,
 * and to our own log. Input: our own events, with texts that an operator or a file system chose.
 * Invariant: every ban, unban and expiry is written with its address. A burst is written in batches
 * of addresses, so in a flood each costs some 20 bytes. The queue for the disk is bounded: an event
 * without room gets no number and is counted, and the count becomes an event. Nothing waits for
 * journald. Claims: R-01a, R-01d.
 */
import { Bucket } from '../bucket.ts';
import * as limits from '../limits.ts';
import { type Fields, type Logger, textOf } from '../log.ts';
import { native } from '../native.ts';
import { asciiJson } from '../text/json.ts';
import { printable } from '../text/printable.ts';
import { Turns } from '../turns.ts';
import { AuditFile } from './audit-file.ts';
import type { Seal } from './chain.ts';
import type { Event, EventKind, Happened } from './event.ts';

export interface RecorderOptions {
  /** Absent if no records are kept: then events go to log and journal only. */
  path: string | undefined;
  /** The group that may read them beside root; undefined = none. */
  groupId?: number | undefined;
  log: Pick<Logger, 'record' | 'error' | 'warn'>;
  /** Journald's socket, connected. */
  journal?: number | undefined;
  /**
   * Which records also go to our own log; those in the log reach the journal, or syslog, from
   * there.
   */
  logs?: 'records' | 'records and seals' | 'neither';
  /** Epoch milliseconds. */
  now?: () => number;
  /** Size of all files, and how long a record is kept at most. */
  bytes?: number;
  keepSeconds?: number;
}

/** Details of a ban. */
export type Details = Pick<Event, 'until' | 'seconds' | 'failures' | 'pattern' | 'file' | 'offset'>;

/** A ban that began or ended; `details` is called only if they are recorded. */
export interface Told {
  address: string;
  details?: () => Details;
}

/** The event in the words of log and journal. */
const texts: Record<EventKind, string> = {
  ban: 'banned',
  restored: 'restored',
  unban: 'unbanned',
  expired: 'ban is over',
  command: 'operator command',
  refused: 'refused',
  lost: 'records were lost',
  recovered: 'the audit log was cut off and goes on',
  missing: 'the audit log lacks records that it had: see fail2zig audit verify',
};
/** A seal for the journal. */
type SealEvent = { event: 'seal'; number: number; hash: string };
type BanEvent = 'ban' | 'restored' | 'unban' | 'expired';

export class Recorder {
  readonly counters = { events: 0, lost: 0, undelivered: 0 };
  readonly #options: RecorderOptions;
  readonly #now: () => number;
  readonly #details: Bucket;
  readonly #refusals: Bucket;
  readonly #file: AuditFile | undefined;
  #isStarted = false;
  /** Lines that are not written yet, and their number of bytes. */
  readonly #waiting: string[] = [];
  #waitingBytes = 0;
  #lostUnsaid = 0;
  #refusedUnsaid = 0;
  /** Addresses of a burst that have no record yet. */
  readonly #bursts = new Map<string, Happened & { addresses: string[] }>();
  readonly #turns = new Turns();
  #timer: NodeJS.Timeout | undefined;
  #sealTimer: NodeJS.Timeout | undefined;
  #problem: string | undefined;
  #missing: string | undefined;

  constructor(options: RecorderOptions) {
    this.#options = options;
    const { path, bytes = Number.POSITIVE_INFINITY, keepSeconds = limits.banSecondsMax } = options;
    this.#now = options.now ?? Date.now;
    this.#details = new Bucket(() => performance.now(), limits.historyBurst, limits.historyRefillMs);
    this.#refusals = new Bucket(() => performance.now(), limits.refusalBurst, limits.refusalRefillMs);
    const sealed = (seal: Seal): void => this.#tellSeal(seal);
    if (path !== undefined)
      this.#file = new AuditFile({ ...options, path, bytes, keepSeconds, now: this.#now, sealed });
  }

  /** Why records are not written now, or are incomplete; undefined when all is well. */
  get problem(): string | undefined {
    return this.#problem ?? this.#missing;
  }

  /** Number of the last written event. */
  get number(): number {
    return this.#file?.number ?? 0;
  }

  /** The file; undefined if no records are kept. */
  get path(): string | undefined {
    return this.#options.path;
  }

  /** Continues the log of the last run. */
  async start(): Promise<void> {
    if (this.#file === undefined) return;
    await this.flush();
    this.#sealTimer = setInterval(() => void this.#turns.take(() => this.#write(true)), limits.auditSealMs).unref();
  }

  async #begin(file: AuditFile): Promise<void> {
    const found = await file.start();
    this.#isStarted = true;
    for (const what of found) {
      if (what.event === 'missing') this.#missing = texts.missing;
      this.#tell(what);
    }
  }

  /**
   * Bans that began or ended: one record each, or in a burst many to a record. The addresses of one
   * command (at most `addressesPerRequestMax`) are one record, with the details of the first: so a
   * long list from a fleet does not take the room for the host's own records and their details.
   */
  bans(event: BanEvent, jail: string, bans: readonly Told[], asked: Pick<Event, 'by' | 'reason'> = {}): void {
    if (asked.by !== undefined && bans.length > 1 && this.#file !== undefined) {
      const addresses = bans.map(({ address }) => address);
      this.#put({ event, jail, addresses, ...bans[0]!.details?.(), ...asked });
      return;
    }
    for (const { address, details } of bans) {
      if (this.#details.take()) this.#put({ event, jail, addresses: [address], ...details?.(), ...asked });
      else this.#gather({ event, jail, ...asked }, address);
    }
  }

  #gather(what: Happened, address: string): void {
    const key = JSON.stringify(what);
    const burst = this.#bursts.get(key) ?? { ...what, addresses: [] };
    this.#bursts.set(key, burst);
    burst.addresses.push(address);
    if (burst.addresses.length === limits.historyAddressesMax) this.#endBurst(key, burst);
    else this.#flushSoon();
  }

  #endBurst(key: string, burst: Happened): void {
    this.#bursts.delete(key);
    this.#put(burst);
  }

  /** An operator's command: the verb with its arguments. */
  command(command: string, by: Event['by']): void {
    this.#put({ event: 'command', command, by });
  }

  /** What was refused to an operator, or to somebody without rights. */
  refused(reason: string, what: Pick<Event, 'command' | 'jail' | 'addresses' | 'by'>): void {
    const count = this.#refusedUnsaid;
    if (!this.#refusals.take()) this.#refusedUnsaid++;
    else {
      this.#refusedUnsaid = 0;
      this.#put({ event: 'refused', ...what, reason, ...(count > 0 && { count }) });
    }
  }

  #put(what: Happened): void {
    this.#tell(what);
    if (this.#file === undefined) return;
    // Every character is one byte: the file can be read from any position.
    const body = asciiJson({ at: this.#now() / 1000, ...what });
    if (this.#waitingBytes + body.length > limits.historyWaitBytesMax) {
      this.counters.lost++;
      this.#lostUnsaid++;
      return;
    }
    this.#waiting.push(body);
    this.#waitingBytes += body.length;
    this.#flushSoon();
  }

  /** Writes it to log and journal. */
  #tell(what: Happened): void {
    this.counters.events++;
    const { log, logs } = this.#options;
    const fields = fieldsOf(what);
    if (logs !== 'neither') log.record(texts[what.event], fields);
    this.#tellJournal(texts[what.event], what, fields);
  }

  /** An entry in journald's own form (systemd.io/JOURNAL_NATIVE_PROTOCOL). */
  #tellJournal(text: string, values: Partial<Happened> | SealEvent, fields: Fields): void {
    const { journal } = this.#options;
    if (journal === undefined) return;
    const { addresses, by, ...others } = values as Partial<Happened>;
    let entry = `MESSAGE=${textOf(text, fields)}\nPRIORITY=6\nSYSLOG_IDENTIFIER=fail2zig\n`;
    for (const [name, value] of Object.entries({ ...others, ...by, address: addresses })) {
      for (const each of value === undefined ? [] : [value].flat())
        entry += `FAIL2ZIG_${name.toUpperCase()}=${printable(String(each), limits.pathBytesMax)}\n`;
    }
    const bytes = Buffer.from(entry);
    if (native.writeNow(journal, bytes) !== bytes.length) this.counters.undelivered++;
  }

  #tellSeal({ number, head }: Seal): void {
    const text = 'audit log sealed';
    const seal = { number, hash: head };
    if (this.#options.logs === 'records and seals') this.#options.log.record(text, seal);
    this.#tellJournal(text, { event: 'seal', ...seal }, seal);
  }

  #flushSoon(): void {
    this.#timer ??= setTimeout(() => void this.flush(), limits.historyFlushMs);
  }

  /** Writes the waiting records. Never rejects. */
  async flush(): Promise<void> {
    for (const [key, burst] of this.#bursts) this.#endBurst(key, burst);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#turns.take(() => this.#write());
  }

  async #write(seals = false): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    const waiting = this.#waiting;
    try {
      if (!this.#isStarted) await this.#begin(file);
      for (;;) {
        await file.ready();
        if (file.unsealed >= limits.auditSealRecords) await file.seal();
        if (waiting.length === 0) break;
        const bodies = waiting.splice(0, limits.auditBatchRecords);
        for (const { length } of bodies) this.#waitingBytes -= length;
        await file.append(bodies);
      }
      if (seals) await file.seal();
      this.#problem = undefined;
      const count = this.#lostUnsaid;
      this.#lostUnsaid = 0;
      if (count > 0) this.#put({ event: 'lost', count });
    } catch (error) {
      this.#fail(error as Error);
      this.#timer ??= setTimeout(() => void this.flush(), 10 * limits.historyFlushMs);
    }
  }

  #fail(error: Error): void {
    const problem = `records are not written: ${error.message}`;
    if (this.#problem !== problem) this.#options.log.error(problem);
    this.#problem = problem;
  }

  async close(): Promise<void> {
    clearInterval(this.#sealTimer);
    await this.flush();
    await this.#turns.take(() => this.#write(true));
    clearTimeout(this.#timer);
    const count = this.#waiting.length + this.#lostUnsaid;
    if (count > 0) this.#options.log.error('records were lost', { count });
    await this.#file?.close();
  }
}

function fieldsOf(what: Happened): Fields {
  const { jail, addresses = [], until, by, reason, command, count, bytes, last } = what;
  const end = until === undefined ? undefined : until < 0 ? 'for ever' : new Date(until * 1000).toISOString();
  const who = { uid: by?.uid, pid: by?.pid, command, reason };
  if (addresses.length === 1) return { jail, address: addresses[0], until: end, ...who };
  if (addresses.length === 0) return { jail, count, until: end, ...who, bytes, last };
  // A line names all addresses of a burst; for a command only the audit log names all.
  const isLong = addresses.length > limits.historyAddressesMax;
  const named = isLong ? { first: addresses[0], last: addresses.at(-1) } : { addresses: addresses.join(' ') };
  return { jail, count: addresses.length, ...named, until: end, ...who };
}
