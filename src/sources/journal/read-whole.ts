/**
 * Reads one journal file at full speed, for `match` and `replay`. Anybody may have written its
 * content: a damaged entry is skipped and counted, and reading ends where the file is damaged.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { EntrySink } from '../../engine/host.ts';
import type { JournalMatch } from '../../types.ts';
import { EntryFeeder, type Unread } from './entry.ts';
import { DamagedEntry, DamagedFile, JournalFile, journalMagic } from './file.ts';
import { Matcher, Meanings } from './match.ts';

/** Every entry that has a message. */
export const everyEntry: JournalMatch = { text: '', groups: [{ terms: [] }] };

/** Whether a path is a journal file, by its first bytes. Throws the system's error. */
export function isJournal(path: string): boolean {
  if (path === '-') return false;
  const descriptor = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(journalMagic.length);
    return (
      readSync(descriptor, bytes, 0, bytes.length, null) === bytes.length && bytes.equals(Buffer.from(journalMagic))
    );
  } catch {
    // A directory, or a device that cannot be read.
    return false;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Feeds the entries of a journal file to the sources 0, 1, … whose match they fit. `fed` is called
 * after each. Throws DamagedFile with the path if nothing of it can be read.
 */
export function readJournal(
  path: string,
  matches: readonly JournalMatch[],
  sink: EntrySink,
  now: number,
  fed: () => void,
): { entries: number; damaged: number; unread: Unread; ends: string } {
  const matcher = new Matcher(matches);
  const feeder = new EntryFeeder(matcher, sink);
  const meanings = new Meanings();
  const sources = [...matches.keys()];
  const file = new JournalFile(path);
  let damaged = 0;
  let ends = '';
  for (let more = true; more; ) {
    try {
      more = file.next();
      if (more && feeder.feed(file, meanings, sources, now) > 0) fed();
    } catch (error) {
      if (error instanceof DamagedEntry) damaged++;
      else if (error instanceof DamagedFile) {
        ends = error.message;
        more = false;
      } else throw error;
    }
  }
  file.close();
  return { entries: file.passed, damaged, unread: feeder.unread, ends };
}
