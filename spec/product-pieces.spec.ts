/** A configuration in several files. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePieces, type Surroundings } from '../src/config/compile.ts';
import { knownFilters } from '../src/config/known-filters.ts';
import { readPieces } from '../src/config/pieces.ts';
import { ConfigError } from '../src/config/problem.ts';
import type { Piece } from '../src/config/toml.ts';
import type { CoreConfig } from '../src/types.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { claim, given, twin } from './claim.ts';
import { compileText } from './support/configuration.ts';

type Load = (path: string) => CoreConfig;

const surroundings: Surroundings = { filters: knownFilters, groupId: () => 0 };
const compile = (pieces: readonly Piece[]): CoreConfig => compilePieces(pieces, surroundings).config;
const load: Load = (path) => compile(readPieces(path).pieces);

const main = '[defaults]\nmaxretry = 3\n[jails.sshd]\nlogpath = "/var/log/auth.log"\n';
/** Name and text of each piece, in the order of the names. */
const sound: [name: string, text: string][] = [
  [
    '10-own.toml',
    '[[filter]]\nname = "one"\npattern = "one {ip}"\n[jails.sshd]\nbantime = "2h"\n[defaults]\nfindtime = 60\n',
  ],
  [
    '9-last.toml',
    'jails.two = { filter = "two", logpath = "/var/log/two" }\n[[filter]]\nname = "two"\npattern = "two {ip}"\n',
  ],
];
/** What is not read. */
const passedOver = ['.hidden.toml', 'README', 'old.toml.bak'];

/** The same settings in a single file. */
const whole = `${main}bantime = "2h"\n[jails.two]\nfilter = "two"\nlogpath = "/var/log/two"
[[filter]]\nname = "one"\npattern = "one {ip}"\n[[filter]]\nname = "two"\npattern = "two {ip}"\n`.replace(
  'maxretry = 3',
  'maxretry = 3\nfindtime = 60',
);

const unusable: [why: string, name: string, text: string, says: RegExp][] = [
  [
    'a key that the file sets too',
    'a.toml',
    '\n[jails.sshd]\nlogpath = "/x"\n',
    /a\.toml:3:1: jails\.sshd\.logpath: is defined twice, first in [^ ]*fail2zig\.toml:4$/m,
  ],
  [
    'a key that an earlier piece sets',
    'c.toml',
    'log.level = "debug"\n',
    /c\.toml:1:5: log\.level: is defined twice, first in [^ ]*b\.toml:2$/m,
  ],
  [
    'a table where the file has a value',
    'd.toml',
    '[defaults.maxretry]\n',
    /d\.toml:1:11: defaults\.maxretry: is defined twice/m,
  ],
  ['an unknown key', 'e.toml', '[jails.sshd]\n  bantyme = 1\n', /e\.toml:2:3: jails\.sshd\.bantyme: unknown key/m],
  [
    'an unknown key of its second filter',
    'f.toml',
    '[[filter]]\nname = "q"\n[[filter]]\ncolour = 1\n',
    /f\.toml:4:1: filter\[1\]\.colour: unknown key/m,
  ],
  ['what is no TOML', 'g.toml', '[jails.sshd\n', /g\.toml:1:\d+: /m],
];

function refusal(read: Load, path: string): string {
  try {
    read(path);
    return 'accepted';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

claim(
  'X-pieces',
  given(load),
  (read) => {
    const home = temporaryDirectory();
    try {
      const path = join(home.path, 'fail2zig.toml');
      const directory = join(home.path, 'fail2zig.d');
      writeFileSync(path, main, { mode: 0o644 });
      assert.equal(read(path).jails.length, 1, 'jails without a directory');
      mkdirSync(directory, { mode: 0o755 });
      const put = (name: string, text: string): void => writeFileSync(join(directory, name), text, { mode: 0o644 });
      for (const [name, text] of sound) put(name, text);
      for (const name of passedOver) put(name, 'this is no configuration');
      assert.equal(refusal(read, path), 'accepted', 'files that fit together');
      const expected = compileText(whole);
      const { jails, filters } = read(path);
      assert.deepEqual(
        { jails, filters },
        { jails: expected.jails, filters: expected.filters },
        'what the files say together',
      );

      put('b.toml', '[log]\nlevel = "info"\n');
      for (const [, name, text] of unusable) put(name, text);
      const all = refusal(read, path);
      for (const [why, , , says] of unusable) assert.match(all, says, `${why} is not named`);
      for (const [, name] of unusable) rmSync(join(directory, name));

      chmodSync(join(directory, 'b.toml'), 0o646);
      put('c.toml', 'colour = 1\n');
      assert.match(
        refusal(read, path),
        /b\.toml: may be written by any user[\s\S]*c\.toml:1:1: /,
        'an open piece is accepted',
      );
      rmSync(join(directory, 'c.toml'));
      chmodSync(join(directory, 'b.toml'), 0o644);
      for (const mode of [0o757, 0o1777]) {
        chmodSync(directory, mode);
        assert.match(refusal(read, path), /fail2zig\.d: may be written by any user/, 'an open directory is accepted');
      }
      chmodSync(directory, 0o755);
      assert.equal(read(path).log.level, 'info', 'the level of the log');
      return `${sound.length + 1} files as one; ${unusable.length} mistakes in as many files, each named with its place; an open piece and an open directory refused`;
    } finally {
      home.remove();
    }
  },
  [
    twin(
      'a reader of the one file',
      given<Load>((path) => compile(readPieces(path).pieces.slice(0, 1))),
      /what the files say together/,
    ),
    twin(
      'a reader that takes the order of the numbers',
      given<Load>((path) => {
        const [first, ...rest] = readPieces(path).pieces;
        return compile([first!, ...rest.toReversed()]);
      }),
      /what the files say together/,
    ),
    twin(
      'a reader for which the files are one text',
      given<Load>((path) =>
        compile([
          {
            path,
            text: readPieces(path)
              .pieces.map(({ text }) => text)
              .join('\n'),
          },
        ]),
      ),
      /files that fit together/,
    ),
    twin(
      'a reader that stops at the first file with a mistake',
      given<Load>((path) => {
        const { pieces } = readPieces(path);
        for (const [index] of pieces.entries()) compile(pieces.slice(0, index + 1));
        return compile(pieces);
      }),
      /is not named/,
    ),
    twin(
      'a reader that passes over what it may not read',
      given<Load>((path) => compile(readPieces(path).pieces.filter(({ problems }) => problems === undefined))),
      /an open piece is accepted/,
    ),
    twin(
      'a reader that looks at the files alone',
      given<Load>((path) => compile(readPieces(path).pieces.filter((piece) => !piece.path.endsWith('.d')))),
      /an open directory is accepted/,
    ),
  ],
);
