/** Tampering: files that somebody else may have changed. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfigFile } from '../src/config/file.ts';
import { ConfigError } from '../src/config/problem.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, given, sabotaged } from './claim.ts';
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

const sound = [0o644, 0o600, 0o664];
const unsound = [0o646, 0o666, 0o777, 0o602];

claim(
  ['T-01b', 'FM-3'],
  given<Read>(readConfigFile),
  (read) => {
    const directory = temporaryDirectory();
    try {
      const path = join(directory.path, 'fail2zig.toml');
      writeFileSync(path, validConfig);
      for (const mode of sound) {
        chmodSync(path, mode);
        assert.equal(refusal(read, path), undefined, `mode ${mode.toString(8)} is refused`);
      }
      for (const mode of unsound) {
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
      const link = join(directory.path, 'link.toml');
      symlinkSync(join(open, 'fail2zig.toml'), link);
      assert.match(refusal(read, link) ?? 'accepted', /any user/, 'a link into an open directory is accepted');
      return `${unsound.length} world-writable modes, a world-writable directory and a link into it refused; ${sound.length} sound modes accepted`;
    } finally {
      directory.remove();
    }
  },
  [
    sabotaged('a configuration that everyone may write is taken', /mode 646 is accepted/),
    sabotaged(
      'only the directory beside a link is looked at, not the one behind it',
      /a link into an open directory is accepted/,
    ),
  ],
);
