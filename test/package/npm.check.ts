/**
 * The npm package, packed and installed with its own prefix: with the addon in it, and with one
 * built there.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { commands } from '../../src/commands/table.ts';
import { version } from '../../src/version.ts';

const project = join(import.meta.dirname, '../..');
const scratch = mkdtempSync(join(project, 'build', 'npm-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }), 60_000);

test('a packed tarball installs and runs, and its addon can be built again', () => {
  const run = (command: string, ...words: string[]): string =>
    execFileSync(command, words, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  run('npm', 'pack', '--pack-destination', scratch);
  run('npm', 'install', '-g', '--prefix', scratch, join(scratch, `fail2zig-${version}.tgz`));
  const program = (name: string) => join(scratch, 'bin', name);
  expect(run(program('fail2zig'), 'version')).toContain(`fail2zig ${version} (Node 24.`);
  expect(run(program('fail2zig-client'), '--version')).toBe(`fail2zig-client ${version}\n`);
  for (const name of Object.keys(commands)) run(program('fail2zig'), name, '--help');
  for (const name of ['doctor', 'report', 'top', 'reload']) run(program('fail2zig-client'), name, '--help');
  run(program('fail2zig-fleet'), '--help');
  const home = join(scratch, 'lib/node_modules/fail2zig');
  rmSync(join(home, 'build/fail2zig.node'));
  expect(run('node', join(home, 'scripts/native.mjs'))).toMatch(/^built: /);
}, 300_000);
