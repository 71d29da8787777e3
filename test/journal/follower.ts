/**
 * A process that follows a journal until it is killed. At intervals it saves its position together
 * with its counts, like the daemon's state file, which holds both of the same instant.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { JournalCursor } from '../../src/sources/journal/journal.ts';
import { driveJournal } from '../support/journal-sink.ts';

export interface Saved {
  cursors: JournalCursor[];
  /** Count and sum of the numbers that were read. */
  count: number;
  sum: number;
}

const [, , directory = '', path = ''] = process.argv;

function load(): Saved {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Saved;
  } catch {
    return { cursors: [], count: 0, sum: 0 };
  }
}

const saved = load();
const { source, sink } = driveJournal(directory, { findtime: 3_600, resume: saved.cursors });
source.start();
setInterval(() => {
  for (const { text } of sink.taken.splice(0)) {
    saved.count++;
    saved.sum += Number(/number (\d+)/.exec(text)![1]);
  }
  writeFileSync(`${path}.new`, JSON.stringify({ ...saved, cursors: source.cursors() }));
  renameSync(`${path}.new`, path);
}, 5);
