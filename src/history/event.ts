/**
 * What the audit log holds: one event a line, as JSON in ASCII. The daemon writes it; the client
 * and the daemon's next run read it.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

export type EventKind =
  | 'ban'
  | 'restored'
  | 'unban'
  | 'expired'
  | 'command'
  | 'refused'
  /** Events that were not recorded: `count` of them. */
  | 'lost'
  /** What a write left behind that was cut off: `bytes`, with their hash in `torn`. */
  | 'recovered'
  /** At the start the log had not what its seal names: the last record was `last`. */
  | 'missing';

export interface Event {
  /** One more than the number of the event before, over restarts too. */
  number: number;
  /** Epoch seconds, with thousandths. */
  at: number;
  event: EventKind;
  jail?: string;
  /** One, or several that were banned or unbanned at once. */
  addresses?: string[];
  /** Epoch second at which the ban ends; -1 = it does not. */
  until?: number;
  /** For how long it was banned, seconds; -1 = for ever. */
  seconds?: number;
  /** What led to the ban: failures within findtime, and the line that was the last of them. */
  failures?: number;
  pattern?: string;
  file?: string;
  offset?: number;
  /** An operator: who asked and why. Of a refusal: why it was refused. */
  by?: { uid: number; pid: number };
  reason?: string;
  command?: string;
  /** Events that could not be written, or refusals that were not recorded before this one. */
  count?: number;
  bytes?: number;
  torn?: string;
  last?: number;
  /** SHA-256 over the hash of the line before and this one (chain.ts). */
  hash?: string;
}

/** What happened, before it has its place in the log. */
export type Happened = Omit<Event, 'number' | 'at' | 'hash'>;

/** The event of a line; undefined where it holds none (a header, or what a crash cut). */
export function eventOf(line: string): Event | undefined {
  try {
    const event = JSON.parse(line) as Event;
    return typeof event.number === 'number' ? event : undefined;
  } catch {
    return undefined;
  }
}

/** A file of records to be read; undefined where there is none. Rejects where it is no file. */
export async function openToRead(path: string): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((error) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined || (await file.stat()).isFile()) return file;
  await file.close();
  throw new Error(`${path} is no regular file`);
}
