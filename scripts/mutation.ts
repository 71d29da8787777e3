/**
 * `npm run mutation`, see `usage`: Stryker over the files of a room, judged by the tests that
 * import the room; incremental, so that only what changed since the last run is tried again.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine } from './lab/command-line.ts';
import { note } from './long/record.ts';
import { mutatedRooms } from './long/runs.ts';
import { type MutationReport, mutationScore, survivorsOf } from './scores.ts';

const usage = `npm run mutation -- [ROOM] [--mutate FILE…] [--force] [--jobs N] [--record]

  ROOM           one of ${mutatedRooms.join(', ')} (engine)
  --mutate FILE  this file of the room alone; may be given more than once
  --force        tries again what an earlier run tried
  --jobs N       so many at once (2)
  --record       keeps the score in test/evidence

  Writes reports/mutation/ROOM.json and .html; prints the survivors.`;

const { values, positionals, misuse } = readCommandLine(
  'mutation',
  usage,
  { mutate: { type: 'string', multiple: true }, force: { type: 'boolean' }, jobs: { type: 'string', default: '2' } },
  true,
);
const room = positionals[0] ?? 'engine';
if (!mutatedRooms.includes(room)) misuse(`no room ${room}`);
/** Emitted, or run only as wasm. Stryker divides what it is given at commas, so no braces. */
const notMutated = ['!src/engine/generated/**', '!src/engine/wasm/**', '!src/engine/simd/**', '!src/**/*.d.ts'];
const root = join(import.meta.dirname, '..');
const folder = join(root, 'reports/mutation');
mkdirSync(folder, { recursive: true });
const files = values.mutate ?? [`src/${room}/**/*.ts`];
const { status } = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/@stryker-mutator/core/bin/stryker.js'),
    ...['run', '--incremental', '--incrementalFile', `reports/mutation/incremental-${room}.json`],
    ...['--mutate', [...files, ...notMutated].join(',')],
    ...['--concurrency', values.jobs],
    ...(values.force ? ['--force'] : []),
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, MUTATION_ROOM: room } },
);
if (status === 0) {
  const whole = JSON.parse(readFileSync(join(folder, 'mutation.json'), 'utf8')) as MutationReport;
  // An incremental report also contains what earlier runs found in other files.
  const asked = Object.entries(whole.files).filter(([path]) => values.mutate?.includes(path) ?? true);
  const report: MutationReport = { files: Object.fromEntries(asked) };
  const survivors = survivorsOf(report);
  for (const survivor of survivors) console.log(`survived  ${survivor}`);
  note({ files: files.join(' '), score: mutationScore(report, `src/${room}`).text, survivors: survivors.length });
}
process.exit(status ?? 1);
