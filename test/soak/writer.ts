/**
 * Writes the attack's lines at a bounded rate into a real log file that is rotated by rename, as
 * logrotate does.
 */
import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { failing, failureLine } from './attack.ts';

/** A file is rotated when it has grown to this, bytes. */
const rotateBytes = 128 * 1024 * 1024;
/** The attack waits while the daemon has more than this left to read, bytes. */
const backlogBytesMax = 32 * 1024 * 1024;
/** Lines are written this often, ms. */
const tickMs = 20;

export interface Progress {
  step: number;
  lines: number;
  bytes: number;
}

export interface WriterOptions {
  path: string;
  sources: number;
  linesPerSecond: number;
  /**
   * Takes further steps until this is true. When all sources have been used, they begin again with
   * the first.
   */
  done: (progress: Progress) => boolean;
  /** Bytes the daemon has read so far. */
  readBytes: () => number;
}

/** Resolves when `done`. `progress` is updated all the while. */
export async function writeAttack(options: WriterOptions, progress: Progress): Promise<void> {
  const { path, sources, linesPerSecond, done, readBytes } = options;
  let file = openSync(path, 'a');
  let fileBytes = 0;
  let due = 0;
  let last = performance.now();
  try {
    while (!done(progress)) {
      await pause(tickMs);
      const now = performance.now();
      // If this process was held up, it catches up with one second's worth of lines at most.
      due = Math.min(due + ((now - last) * linesPerSecond) / 1_000, linesPerSecond);
      last = now;
      if (progress.bytes - readBytes() > backlogBytesMax) continue;
      const time = new Date().toISOString();
      const lines: string[] = [];
      while (due >= 1 && !done(progress)) {
        const before = lines.length;
        failing(progress.step, sources, (source) =>
          lines.push(failureLine(time, source, progress.lines + lines.length)),
        );
        due -= Math.max(1, lines.length - before);
        progress.step++;
      }
      progress.lines += lines.length;
      const bytes = writeSync(file, lines.join(''));
      progress.bytes += bytes;
      fileBytes += bytes;
      if (fileBytes < rotateBytes) continue;
      closeSync(file);
      renameSync(path, `${path}.1`);
      file = openSync(path, 'a');
      fileBytes = 0;
    }
  } finally {
    closeSync(file);
  }
}
