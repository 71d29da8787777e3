/** Tampering: files that somebody else may have changed. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfigFile } from '../src/config/file.ts';
import { ConfigError } from '../src/config/problem.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, given, twin } from './claim.ts';
import { validConfig } from './support/configuration.ts';

type Read = (path: string) => { text: string };

/** Why `read` refuses the file, or undefined where it takes it. */
function refusal(read: Read, path: string): string | undefined {
  try {
    read(path);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

claim(
  ['T-01b', 'FM-3'],
  given<Read>(readConfigFile),
  (read) => {
    const directory = temporaryDirectory();
    try {
      const path = join(directory.path, 'fail2zig.toml');
      writeFileSync(path, validConfig);
      for (const mode of [0o644, 0o600, 0o664]) {
        chmodSync(path, mode);
        assert.equal(refusal(read, path), undefined, `mode ${mode.toString(8)} is refused`);
      }
      for (const mode of [0o646, 0o666, 0o777, 0o602]) {
        chmodSync(path, mode);
        assert.match(refusal(read, path) ?? 'accepted', /any user/, `mode ${mode.toString(8)} is accepted`);
      }
      const open = join(directory.path, 'open');
      mkdirSync(open);
      chmodSync(open, 0o777);
      writeFileSync(join(open, 'fail2zig.toml'), validConfig, { mode: 0o644 });
      assert.match(
        refusal(read, join(open, 'fail2zig.toml')) ?? 'accepted',
        /any user/,
        'an open directory is accepted',
      );
      return '4 world-writable modes and a world-writable directory refused, 3 sound modes accepted';
    } finally {
      directory.remove();
    }
  },
  [
    twin(
      'a reader that does not look at the mode',
      given<Read>((path) => ({ text: readFileSync(path, 'utf8') })),
      /mode 646 is accepted/,
    ),
  ],
);
