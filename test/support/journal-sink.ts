/**
 * Remembers the entries from a journal source, and drives one by hand.
 */
import type { EntrySink } from '../../src/engine/host.ts';
import { inputBytes } from '../../src/limits.ts';
import { type JournalEvent, JournalSource, type JournalSourceOptions } from '../../src/sources/journal/journal.ts';

export interface TakenEntry {
  source: number;
  text: string;
  seqnum: number;
  time: number;
  cut: boolean;
}

export class JournalSink implements EntrySink {
  readonly buffer = new Uint8Array(inputBytes);
  readonly taken: TakenEntry[] = [];

  feedEntry(source: number, length: number, seqnum: number, _now: number, time: number, cut: boolean): void {
    const text = Buffer.from(this.buffer.subarray(0, length)).toString('latin1');
    this.taken.push({ source, text, seqnum, time, cut });
  }
}

/** Whatever sshd writes. */
export const ofSshd = { text: 'sshd', groups: [{ terms: [['_SYSTEMD_UNIT', ['ssh.service']] as [string, string[]]] }] };

export interface Driven {
  source: JournalSource;
  sink: JournalSink;
  events: JournalEvent[];
  /** Lets the source look and read until there is nothing more to read. */
  read(): void;
}

export function driveJournal(directory: string, options: Partial<JournalSourceOptions> = {}): Driven {
  const sink = new JournalSink();
  const events: JournalEvent[] = [];
  const source = new JournalSource({
    directories: [directory],
    targets: [{ match: ofSshd, source: 3, name: 'journal:sshd' }],
    findtime: 600,
    sink,
    now: () => Date.now() / 1000,
    drain: () => {},
    waiting: () => 0,
    event: (event) => void events.push(event),
    ...options,
  });
  return { source, sink, events, read: () => source.drain() };
}
