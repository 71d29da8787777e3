/** Breakages of the state file: how it is written, and what is believed of it. */
import type { Breakage } from '../breakage.ts';

export const state: readonly Breakage[] = [
  {
    name: 'a save looks at half the marks of a set',
    find: 'return (int(layout.marksAt + first) | int(layout.marksAt + first + 4)) === 0;',
    put: 'return int(layout.marksAt + first) === 0;',
    claims: ['X-kept'],
    tests: ['test/unit/saved-table.test.ts'],
  },
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
  {
    name: 'the new name of the state file is not synced',
    find: '    await handle.sync();\n    await closeOnce();\n    return bytes;',
    put: '    await closeOnce();\n    return bytes;',
    claims: ['T-02a'],
  },
  {
    name: 'the state file is written over',
    find: 'return `${path}.new`;\n}\n\n',
    put: 'return path;\n}\n\n',
    claims: ['T-02a'],
  },
  {
    name: 'a state file of somebody else is believed',
    find: 'if (info.uid !== 0 && info.uid !== process.geteuid!()) damaged(',
    put: 'if (info.uid < 0) damaged(',
    claims: ['T-02b'],
  },
  {
    name: 'a damaged state is believed as far as it goes',
    find: 'const state = readPass(descriptor, null);',
    put: 'const state = readPass(descriptor, visitor);',
    claims: ['T-02b'],
  },
  {
    name: 'a damaged state is thrown away',
    find: 'renameSync(path, asideAs);',
    put: 'unlinkSync(path);',
    claims: ['T-02b'],
  },
  {
    name: 'a damaged state is set aside without a warning',
    find: "else log.warn('saved state is not usable, starting empty', { path, why, asideAs });",
    put: '',
    claims: ['T-02b'],
  },
  {
    name: 'bans of the state file are left out',
    find: 'entries: (bytes: Buffer) => restoring?.take(bytes),',
    put: 'entries: (_: Buffer) => undefined,',
    claims: ['T-02b'],
  },
  {
    name: 'a table without findtimes is not read',
    find: '[layoutWithoutRows, layoutWithoutCounts].includes(saved.layout)',
    put: '[layoutWithoutRows].includes(saved.layout)',
    claims: ['X-states'],
  },
  {
    name: 'a table of another form is left out, and written over',
    find: 'if (visitor?.table(table) === false)',
    put: 'if (visitor?.table(table) === undefined && visitor !== null)',
    claims: ['X-states'],
  },
  {
    name: 'the state is not saved at the stop',
    find: '      await this.#save(readers);\n    };',
    put: '    };',
    claims: ['X-kept'],
    tests: ['test/unit/state-keeper.test.ts'],
  },
  {
    name: 'a ban that was restored is counted as a new one',
    find: 'const ofBan = (meta & layout.META_MANUAL) | layout.META_RESTORED | layout.DECIDED;',
    put: 'const ofBan = (meta & layout.META_MANUAL) | layout.DECIDED;',
    claims: ['X-kept'],
    tests: ['test/unit/saved-table.test.ts', 'test/unit/state-keeper.test.ts', 'test/unit/enforcer.test.ts'],
  },
];
