/**
 * `npm run soak -- killed`: the real daemon under a growing log, killed at random instants and
 * started again (test/netns/restart-kill.test.ts), as often as requested. Exit status 1 if a line
 * was lost or counted twice.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readCommandLine } from '../../scripts/lab/command-line.ts';

const usage = `npm run soak -- killed [options]

  --times N   kills (200)
  --seed N    when they happen (a new one each time; it is printed)
  --record    keeps what was found in test/evidence`;

const { values, misuse } = readCommandLine('soak killed', usage, {
  times: { type: 'string', default: '200' },
  seed: { type: 'string', default: '' },
});
for (const [name, value] of Object.entries(values))
  if (!/^([1-9][0-9]{0,8})?$/.test(String(value))) misuse(`--${name} must be a whole number`);

const root = join(import.meta.dirname, '..', '..');
const { status } = spawnSync(join(root, 'node_modules/.bin/vitest'), ['run', 'test/netns/restart-kill.test.ts'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, STATE_KILLS: values.times, ...(values.seed === '' ? {} : { SEED: values.seed }) },
});
process.exit(status === 0 ? 0 : 1);
