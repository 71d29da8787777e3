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
  /** An earlier write was cut off: `bytes` were left, with their hash in `torn`. */
  | 'recovered'
  /** At the start the log lacked records that its seal names; `last` is its last record. */
  | 'missing';

export interface Event {
  /** One more than the number of the event before, also over restarts. */
  number: number;
  /** Epoch seconds, with thousandths. */
  at: number;
  event: EventKind;
  jail?: string;
  /** One, or several that were banned or unbanned at once. */
  addresses?: string[];
  /** Epoch second at which the ban ends; -1 = never. */
  until?: number;
  /** Length of the ban, seconds; -1 = permanent. */
  seconds?: number;
  /** What led to the ban: failures within findtime, and the last of their lines. */
  failures?: number;
  pattern?: string;
  file?: string;
  offset?: number;
  /** The operator who asked, and the reason. Of a refusal: why it was refused. */
  by?: { uid: number; pid: number };
  reason?: string;
  command?: string;
  /** Events that could not be written, or refusals before this one that were not recorded. */
  count?: number;
  bytes?: number;
  torn?: string;
  last?: number;
  /** SHA-256 over the hash of the line before and this one (chain.ts). */
  hash?: string;
}

/** What happened, before it has a number in the log. */
export type Happened = Omit<Event, 'number' | 'at' | 'hash'>;

/** The event in a line; undefined if there is none (a header, or a line that a crash cut). */
export function eventOf(line: string): Event | undefined {
  try {
    const event = JSON.parse(line) as Event;
    return typeof event.number === 'number' ? event : undefined;
  } catch {
    return undefined;
  }
}

/** Opens a file of records for reading; undefined if there is none. Rejects if it is not a file. */
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
