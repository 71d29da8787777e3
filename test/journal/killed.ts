/**
 * Kill -9 and resume under a writer: the follower counts exactly what was written.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { temporaryDirectory } from '../support/control.ts';
import { JournalWriter, journalIds, sshdEntry } from '../support/journal-writer.ts';
import { until } from '../support/until.ts';
import type { Saved } from './follower.ts';

const follower = join(import.meta.dirname, 'follower.ts');

/**
 * Kills a follower this many times while entries are written and files rotate; returns a summary.
 */
export async function killed(times: number): Promise<string> {
  const directory = temporaryDirectory();
  const state = join(directory.path, 'state');
  const at = (name: string): string => join(directory.path, name);
  const ids = journalIds();
  let writer = new JournalWriter(at('system.journal'), {}, ids);
  let written = 0;
  let files = 1;
  const saved = (): Saved =>
    existsSync(state) ? (JSON.parse(readFileSync(state, 'utf8')) as Saved) : { cursors: [], count: 0, sum: 0 };
  const write = (count: number): void => {
    for (let n = 0; n < count; n++) {
      written++;
      writer.append(sshdEntry(written, Date.now() * 1000, `number ${written}`));
    }
  };
  const rotate = (): void => {
    renameSync(writer.path, at(`system@${files++}.journal`));
    writer.archive();
    writer.close();
    writer = new JournalWriter(at('system.journal'), {}, { ...ids, fileId: journalIds().fileId });
  };
  try {
    for (let run = 0; run <= times; run++) {
      const child = spawn(process.execPath, [follower, directory.path, state], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const over = new Promise((resolve) => child.once('exit', resolve));
      try {
        const { count } = saved();
        write(40);
        if (run % 5 === 0) rotate();
        // The kill comes at any instant: before the first entry, or as soon as some are saved.
        if (run % 2 === 0) await until(() => saved().count > count, { what: 'some entries', withinMs: 60_000 });
        await pause((run * 37) % 120);
        write(20);
        if (run === times) await until(() => saved().count >= written, { what: 'every entry', withinMs: 60_000 });
      } finally {
        child.kill('SIGKILL');
        await over;
      }
    }
    const { count, sum } = saved();
    assert.equal(count, written, 'entries counted');
    assert.equal(sum, (written * (written + 1)) / 2, 'each once');
    return `${times} times killed while ${written} entries were written to ${files} files: each counted once`;
  } finally {
    writer.close();
    directory.remove();
  }
}
