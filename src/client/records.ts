/**
 * Reads the file of records for `history`, `why` and `watch`: the daemon says where it is, and this
 * process reads it, so a slow reader does not delay the daemon. Input: a path chosen by whoever
 * listens on the socket, and any content; only regular files are read, and only events are shown.
 * Invariant: events come in order; if a file is replaced while it is read, none is lost.
 */
import type { Stats } from 'node:fs';
import { type FileHandle, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchPauseMs, whyEventsMax } from '../config/limits.ts';
import type { BanRow, ListPart, Records, Why } from '../control/answers.ts';
import { fileAt } from '../history/chain.ts';
import { type Event, eventOf, openToRead } from '../history/event.ts';
import { auditFilesMax, historyReadBytes } from '../limits.ts';
import { UnreachableError } from './call.ts';
import { commandsFor } from './why.ts';

/** One part of the records; an empty one says that there is nothing new. */
export interface EventPart {
  events: Event[];
}

/** The selection of records in a verb's arguments. */
interface Wanted {
  jail?: string;
  since?: number;
  after?: number;
}

type Choice = (event: Event) => boolean;

/** A verb's answer, with the records that it refers to. */
export async function* withRecords(
  verb: string,
  args: Wanted,
  data: object,
  known?: Map<string, KnownBan>,
): AsyncGenerator<object> {
  if (verb === 'why') {
    const { records, ...known } = data as { records?: Records };
    const events: Event[] = [];
    if (records !== undefined) {
      for await (const part of readRecords(records.path, about(records))) {
        events.push(...part.events);
        events.splice(0, events.length - whyEventsMax);
      }
    }
    yield { ...known, events, commands: commandsFor(data as Why, events) };
  } else if (verb === 'history') {
    const { jail, since = Number.POSITIVE_INFINITY } = args;
    const from = Date.now() / 1000 - since;
    const isAbout = about(data as Records);
    const isWanted = (event: Event) => event.at >= from && (jail === undefined || event.jail === jail);
    yield* readRecords((data as Records).path, (event) => isWanted(event) && isAbout(event));
  } else if (verb === 'list' && known !== undefined) {
    const { bans } = data as ListPart;
    // Of what a list names the file is the cause, whatever else happened to it.
    const told = (ban: BanRow) => (ban.pattern === undefined ? known.get(`${ban.jail} ${ban.address}`) : {});
    yield { bans: bans.map((ban) => ({ ...ban, ...told(ban) })) };
  } else if (verb === 'watch') {
    const { path, number } = data as Records;
    const { after = number } = args;
    yield* readRecords(path, (event) => event.number > after, true);
  } else yield data;
}

/** What the records say about an active ban. */
export interface KnownBan {
  /** Epoch second of its record. */
  start: number;
  failures?: number;
  pattern?: string;
  reason?: string;
  by?: Event['by'];
}

/** An active ban, with what the records say about it. */
export type ShownBan = BanRow & Partial<KnownBan>;

/** By jail and address, the last recorded ban. */
export async function knownBans(path: string | undefined): Promise<Map<string, KnownBan>> {
  const known = new Map<string, KnownBan>();
  if (path === undefined) return known;
  for await (const { events } of readRecords(path, ({ event }) => event === 'ban' || event === 'restored')) {
    for (const { event, jail, addresses = [], at, failures, pattern, reason, by } of events) {
      for (const address of addresses) {
        const key = `${jail} ${address}`;
        // A restored ban is not a new one.
        if (event === 'restored' && known.has(key)) continue;
        known.set(key, {
          start: at,
          ...(failures !== undefined && { failures }),
          ...(pattern !== undefined && { pattern }),
          ...(reason !== undefined && { reason }),
          ...(by !== undefined && { by }),
        });
      }
    }
  }
  return known;
}

/** Whether an event names one of the requested addresses, if there are any. */
function about({ addresses }: Records): Choice {
  if (addresses === undefined) return () => true;
  const texts = new Set(addresses);
  return (event) => event.addresses?.some((address) => texts.has(address)) ?? false;
}

/** The events that match `wanted`, oldest first; `follow`: continues with new ones. */
export async function* readRecords(path: string, wanted: Choice, follow = false): AsyncGenerator<EventPart> {
  let file = await fileAfter(path);
  try {
    while (file !== undefined) {
      // Checked first: everything written before the file was replaced is read before the next
      // file.
      const isOver = await isReplaced(path, file);
      yield* eventsOf(file, wanted);
      if (isOver) {
        const read = await file.handle.stat();
        await file.handle.close();
        file = await fileAfter(path, read);
      } else if (follow) {
        yield { events: [] };
        await sleep(watchPauseMs);
      } else return;
    }
  } finally {
    await file?.handle.close();
  }
}

/** A file, read up to its handle's position, and the line that has begun there. */
interface OpenFile {
  handle: FileHandle;
  rest: string;
}

/** The rest of the file. */
async function* eventsOf(file: OpenFile, wanted: Choice): AsyncGenerator<EventPart> {
  const bytes = Buffer.alloc(historyReadBytes);
  for (;;) {
    const { bytesRead } = await file.handle.read(bytes, 0, bytes.length, null);
    if (bytesRead === 0) return;
    const lines = (file.rest + bytes.toString('latin1', 0, bytesRead)).split('\n');
    file.rest = lines.pop() as string;
    const events = lines.map(eventOf).filter((event) => event !== undefined && wanted(event));
    if (events.length > 0) yield { events: events as Event[] };
  }
}

const isSame = (one: Stats, other: Stats): boolean => one.ino === other.ino && one.dev === other.dev;

/** Whether another file is at `path` by now. */
async function isReplaced(path: string, { handle }: OpenFile): Promise<boolean> {
  const now = await stat(path).catch(() => undefined);
  return now !== undefined && !isSame(now, await handle.stat());
}

/**
 * The file after the one that was read; the oldest one at first, or if the reader is too far
 * behind.
 */
async function fileAfter(path: string, read?: Stats): Promise<OpenFile | undefined> {
  let next: FileHandle | undefined;
  let last: Stats | undefined;
  // In this order a file that is renamed meanwhile is found twice, and none is missed.
  for (let age = 0; age <= auditFilesMax; age++) {
    const older = await openRecords(fileAt(path, age));
    const kind = await older?.stat();
    if (kind !== undefined && read !== undefined && isSame(kind, read)) {
      await older?.close();
      break;
    }
    if (kind === undefined || (last !== undefined && isSame(kind, last))) await older?.close();
    else {
      await next?.close();
      [next, last] = [older, kind];
    }
  }
  return next && { handle: next, rest: '' };
}

async function openRecords(path: string): Promise<FileHandle | undefined> {
  try {
    return await openToRead(path);
  } catch (error) {
    throw new UnreachableError(`the records cannot be read: ${(error as Error).message}`);
  }
}
