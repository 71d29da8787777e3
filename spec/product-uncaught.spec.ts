/**
 * What our programs print at an unexpected error: a message for people, and no source code.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, given, twin } from './claim.ts';

const bundles = join(import.meta.dirname, '../dist');

/** Each program with a bug in it, or with a missing part. */
const programs = [
  { bundle: 'main.cjs', words: ['--version'], says: /^fail2zig: this is a mistake in fail2zig: Error: injected/ },
  { bundle: 'client.cjs', words: ['--version'], says: /^fail2zig-client: this is a mistake .*: Error: injected/ },
  { bundle: 'fleet.cjs', words: ['--version'], says: /^fail2zig-fleet: this is a mistake .*: Error: injected/ },
  { bundle: 'core.cjs', words: ['--config-fd', '99'], says: /^fail2zig: this is a mistake in fail2zig: .*EBADF/ },
  {
    bundle: 'main.cjs',
    words: ['check', '--config', 'fail2zig.toml'],
    says: /^fail2zig: fail2zig\.node not found in /,
  },
] as const;

/** A bug after the first turn of the script, before the program can end. */
const injected = 'if (process.argv.includes("--version")) process.nextTick(() => { throw new Error("injected"); });\n';
/** Longest line that people get to see. */
const lineCharactersMax = 300;

/** A script that is loaded before the program. */
const before = given('');

claim(
  'X-uncaught',
  before,
  (first) => {
    const { path, remove } = temporaryDirectory();
    try {
      mkdirSync(join(path, 'dist'));
      cpSync(bundles, join(path, 'dist'), { recursive: true, filter: (name) => !/\/fail2zig[^/]*$/.test(name) });
      writeFileSync(join(path, 'before.cjs'), first + injected);
      writeFileSync(join(path, 'fail2zig.toml'), '[jails.sshd]\nlogpath = "/var/log/auth.log"\n', { mode: 0o600 });
      for (const { bundle, words, says } of programs) {
        const { status, stderr } = spawnSync(
          process.execPath,
          ['--require', './before.cjs', join(path, 'dist', bundle), ...words],
          { cwd: path, encoding: 'utf8', timeout: 60_000, env: { PATH: process.env.PATH } },
        );
        const longest = Math.max(...stderr.split('\n').map(({ length }) => length));
        assert.ok(longest < lineCharactersMax, `a line of ${longest} characters from ${bundle}`);
        assert.match(stderr, says, `what ${bundle} ${words[0]} says`);
        assert.equal(status, 70, `status of ${bundle}`);
      }
    } finally {
      remove();
    }
    return `${programs.length} ends of four programs: who, what and where, no line of source, status 70`;
  },
  [
    twin(
      'programs that leave it to Node',
      given(
        'const { on } = process; process.on = (name, ...rest) => name === "uncaughtException" || on.call(process, name, ...rest);\n',
      ),
      /what main\.cjs --version says|characters from/,
    ),
  ],
  { needs: ['built'], timeoutMs: 120_000 },
);
