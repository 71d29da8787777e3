/** What the set-up leaves alone: with FAIL2ZIG_PACKAGES=no it installs no Debian packages. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/control.ts';

const script = join(import.meta.dirname, '../../scripts/setup.mjs');
const home = { path: '', remove: (): void => {} };

/** A checkout in which only packages are missing, and an apt-get that only notes its calls. */
beforeEach(() => {
  Object.assign(home, temporaryDirectory());
  for (const folder of ['scripts', 'node_modules/.bin', 'path'])
    mkdirSync(join(home.path, folder), { recursive: true });
  copyFileSync(script, join(home.path, 'scripts/setup.mjs'));
  for (const file of ['package-lock.json', 'node_modules/.package-lock.json'])
    writeFileSync(join(home.path, file), '{}');
  for (const [name, text] of [
    ['node_modules/.bin/node', 'exit 0'],
    ['path/apt-get', `echo "$@" >> '${home.path}/asked'; exit 1`],
  ] as const) {
    writeFileSync(join(home.path, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(home.path, name), 0o755);
  }
});
afterEach(() => home.remove());

function setUp(env: Record<string, string>, ...words: string[]): { status: number | null; asked: boolean } {
  const { status } = spawnSync(process.execPath, [join(home.path, 'scripts/setup.mjs'), ...words], {
    env: { PATH: `${home.path}/path:/usr/bin:/bin`, ...env },
    timeout: 60_000,
  });
  return { status, asked: existsSync(join(home.path, 'asked')) };
}

test('packages are installed with --tools, and not without', () => {
  expect(setUp({})).toEqual({ status: 0, asked: false });
  expect(setUp({}, '--tools')).toEqual({ status: 0, asked: true });
});

test('FAIL2ZIG_PACKAGES=no installs none', () => {
  expect(setUp({ FAIL2ZIG_PACKAGES: 'no' }, '--tools')).toEqual({ status: 0, asked: false });
  expect(setUp({ FAIL2ZIG_PACKAGES: 'yes' }, '--tools')).toEqual({ status: 0, asked: true });
});
