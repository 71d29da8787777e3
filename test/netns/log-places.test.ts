/** Logs on file systems of every kind, in a mount namespace (log-places.scenario.ts). */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';

const file = join(import.meta.dirname, 'log-places.scenario.ts');

test.each(['a mount that hangs', 'tmpfs, overlay and bind mounts', 'permission lost and regained'])(
  '%s',
  async (name) => {
    await runScenario(file, name);
  },
);

test('too few descriptors end with a reason', () => {
  const { status, stderr } = spawnSync('sh', ['-c', 'ulimit -n 17; exec bin/fail2zig check'], { encoding: 'utf8' });
  expect(stderr).toContain('17 open files are too few');
  expect(status).toBe(69);
});
