/**
 * Everything that is followed: log files, and the journal if a jail asks for it.
 */
import type { FileSource, FileStatus, ReadPosition } from './file.ts';
import type { JournalCursor, JournalSource } from './journal/journal.ts';
import type { SavedHistory } from './silence.ts';

export class Logs {
  readonly #files: FileSource;
  readonly #journal: JournalSource | undefined;

  constructor(files: FileSource, journal: JournalSource | undefined) {
    this.#files = files;
    this.#journal = journal;
  }

  start(): void {
    this.#files.start();
    this.#journal?.start();
  }

  stop(): void {
    this.#files.stop();
    this.#journal?.stop();
  }

  drain(): void {
    this.#files.drain();
    this.#journal?.drain();
  }

  pause(): void {
    this.#files.pause();
    this.#journal?.pause();
  }

  unpause(): void {
    this.#files.unpause();
    this.#journal?.unpause();
  }

  wake(): void {
    this.#files.wake();
    this.#journal?.wake();
  }

  status(): FileStatus[] {
    return [...this.#files.status(), ...(this.#journal?.status() ?? [])];
  }

  problems(): string[] {
    return [...this.#files.problems(), ...(this.#journal?.problems() ?? [])];
  }

  positions(): ReadPosition[] {
    return this.#files.positions();
  }

  cursors(): JournalCursor[] {
    return this.#journal?.cursors() ?? [];
  }

  histories(): SavedHistory[] {
    return [...this.#files.histories(), ...(this.#journal?.histories() ?? [])];
  }
}
