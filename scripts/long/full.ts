/** `npm run verify -- --full`: makes the long runs, and finds the records that support a claim. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buildHash, pathOf, readRecord, recordText } from './record.ts';
import { longRuns } from './runs.ts';

const root = join(import.meta.dirname, '../..');

/** Makes and records all long runs, or a single one; returns those that failed. */
export function makeLongRuns(only?: string): string[] {
  const troubles: string[] = [];
  for (const { name, says, script, parameters, minutes } of longRuns) {
    if (only !== undefined && name !== only) continue;
    console.log(`\nLONG RUN ${name}: ${says} (about ${minutes} minutes)`);
    const command = ['run', script, '--', ...parameters, '--record'];
    const { status } = spawnSync('npm', command, { cwd: root, stdio: 'inherit' });
    if (status !== 0) troubles.push(`npm ${command.join(' ')}: exit status ${status}`);
  }
  return troubles;
}

const build = buildHash();

/** The records that support a claim; nothing if there is none. */
export function recordsOf(id: string): { longRuns?: { path: string; says: string }[] } {
  const found = longRuns.flatMap(({ name, claims }) => {
    const record = claims.includes(id) ? readRecord(name) : undefined;
    return record === undefined ? [] : [{ path: pathOf(name), says: recordText(record, build) }];
  });
  return found.length === 0 ? {} : { longRuns: found };
}
