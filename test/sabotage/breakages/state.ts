/** Breakages of the state file: how it is written, and what is believed of it. */
import type { Breakage } from '../breakage.ts';

export const state: readonly Breakage[] = [
  {
    name: 'the checksum of the state file is not compared',
    find: 'if (reader.fill(Buffer.alloc(4)).readUInt32LE(0) !== expected) damaged(',
    put: 'if (reader.fill(Buffer.alloc(4)).readUInt32LE(0) !== expected && expected < 0) damaged(',
    claims: ['T-02b'],
  },
  {
    name: 'a state file that others may write is believed',
    find: "if ((info.mode & 0o022) !== 0) damaged('others may write it');",
    put: '',
    claims: ['T-02b'],
  },
  {
    name: 'the temporary state file may be a second name of another file',
    find: 'O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)',
    put: 'O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600)',
    claims: ['T-02a'],
  },
  {
    name: 'the temporary state file may be a link',
    find: 'O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);',
    put: 'O_CREAT | O_EXCL | (O_NOFOLLOW & 0), 0o600);',
    claims: ['T-02a'],
  },
  {
    name: 'the state file is not synced before the rename',
    find: "step = 'fsync';\n    await handle.sync();",
    put: "step = 'fsync';",
    claims: ['T-02a'],
  },
  {
    name: 'the state file is readable by all',
    find: 'O_EXCL | O_NOFOLLOW, 0o600)',
    put: 'O_EXCL | O_NOFOLLOW, 0o644)',
    claims: ['T-02a'],
  },
];
