/**
 * `npm run coverage`, see `usage`: c8 over the tests and the processes that they start; then lines
 * and branches of each room, which `--record` stores in test/evidence.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine } from './lab/command-line.ts';
import { note } from './long/record.ts';
import { type CoverageSummary, coverageScore, folderCoverage } from './scores.ts';

const usage = `npm run coverage -- [TESTS…] [--project NAME] [--more] [--record]

  TESTS           test files or folders (all)
  --project NAME  plain or kernel, as vitest.config.ts divides the tests
  --more          adds to what earlier runs covered
  --record        keeps the figures of each room in test/evidence

  Writes reports/coverage. Exit status 1 where a test failed.`;

const { values, positionals } = readCommandLine(
  'coverage',
  usage,
  { project: { type: 'string' }, more: { type: 'boolean' } },
  true,
);
const root = join(import.meta.dirname, '..');
const program = (path: string): string => join(root, 'node_modules', path);
const { status } = spawnSync(
  process.execPath,
  [
    program('c8/bin/c8.js'),
    ...(values.more ? ['--clean=false'] : []),
    ...[process.execPath, program('vitest/vitest.mjs'), 'run'],
    ...(values.project === undefined ? [] : ['--project', values.project]),
    ...positionals,
  ],
  { cwd: root, stdio: 'inherit' },
);
const summary = JSON.parse(
  readFileSync(join(root, 'reports/coverage/coverage-summary.json'), 'utf8'),
) as CoverageSummary;
const { total: _, ...files } = summary;
const rooms = new Set(
  Object.keys(files).map((path) => /^src\/[^/]+/.exec(path.slice(root.length + 1))?.[0] ?? 'elsewhere'),
);
const folders = [...rooms].filter((room) => !room.endsWith('.ts') && room !== 'elsewhere').sort();
note({
  tests: positionals.join(' ') || (values.project ?? 'all'),
  src: coverageScore(summary).text,
  ...Object.fromEntries(folders.map((room) => [room, folderCoverage(summary, room).text])),
});
for (const room of folders) console.log(`${room.padEnd(20)} ${folderCoverage(summary, room).text}`);
process.exit(status ?? 1);
