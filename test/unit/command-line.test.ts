/**
 * The project's own programs answer like any command: with their usage, and with what is wrong in
 * their arguments.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const run = (program: string, ...options: string[]) =>
  spawnSync(process.execPath, [program, ...options], { cwd: root, encoding: 'utf8' });

test.each([
  ['bench', 'bench/main.ts'],
  ['fuzz', 'test/fuzz/main.ts'],
  ['soak', 'test/soak/main.ts'],
  ['verify', 'scripts/verify.ts'],
  ['start', 'scripts/demo.ts'],
])('npm %s', (name, program) => {
  const helped = run(program, '--help');
  expect(helped).toMatchObject({ status: 0, stderr: '' });
  expect(helped.stdout).toMatch(name === 'start' ? /^npm start\n/ : new RegExp(`^npm run ${name}\\b`));
  const misused = run(program, '--nonsense');
  expect(misused).toMatchObject({ status: 2, stdout: '' });
  expect(misused.stderr.split('\n')[0]).toMatch(new RegExp(`^${name}: .*--nonsense`));
  expect(misused.stderr.endsWith(helped.stdout)).toBe(true);
});
