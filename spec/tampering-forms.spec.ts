/**
 * State files over an upgrade and a downgrade: what a daemon of another version wrote.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { savedTableLayout } from '../src/engine/saved-table.ts';
import { stateVersion } from '../src/state/format.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { changedState, overState, stateForms, stateOf, tableFormAt } from '../test/support/old-states.ts';
import { claim, given, twin } from './claim.ts';

/** Starts with a state of these bytes; returns the result. */
type Start = (home: string, bytes: Buffer) => Promise<{ bans: readonly string[]; said: readonly string[] }>;

const start: Start = async (home, bytes) => {
  const { bans, log } = await overState(home, bytes);
  return { bans, said: log.said.map(({ text, fields }) => `${text}: ${String(fields.why)}`) };
};

const newest = stateOf(stateForms.at(-1)!.file);
const newer: Readonly<Record<string, Buffer>> = {
  version: changedState(newest, (bytes) => bytes.writeUInt32LE(stateVersion + 1, 8)),
  form: changedState(newest, (bytes) => bytes.writeUInt32LE(savedTableLayout + 1, tableFormAt(bytes))),
};

claim(
  'X-states',
  given(start),
  async (load) => {
    for (const { file } of stateForms) {
      const { path, remove } = temporaryDirectory();
      try {
        const { bans } = await load(path, stateOf(file));
        assert.equal(bans.length, 5, `bans of ${file}`);
        assert.ok(existsSync(join(path, 'state')), `${file} was set aside`);
      } finally {
        remove();
      }
    }
    for (const [what, bytes] of Object.entries(newer)) {
      const { path, remove } = temporaryDirectory();
      try {
        const { bans, said } = await load(path, bytes);
        const [left = ''] = readdirSync(path);
        assert.deepEqual(bans, [], `bans of a newer ${what}`);
        assert.match(left, /^state\.damaged-\d{8}T\d{6}Z$/, `a newer ${what} lies where the next save writes`);
        assert.ok(readFileSync(join(path, left)).equals(bytes), `a newer ${what} was changed`);
        assert.match(said.join(), new RegExp(`starting empty: .*${what} \\d`), `what is said of a newer ${what}`);
      } finally {
        remove();
      }
    }
    return `${stateForms.length} forms of state files, each with its 5 bans; a newer version and a newer table set aside, with the reason`;
  },
  [
    twin(
      'a daemon that reads the newest form alone',
      given<Start>((home, bytes) =>
        start(home, bytes.readUInt32LE(tableFormAt(bytes)) === savedTableLayout ? bytes : Buffer.alloc(0)),
      ),
      /bans of 2-table\.state/,
    ),
    twin(
      'a daemon that leaves out a table it cannot read',
      given<Start>(async (home, bytes) => {
        const found = await start(home, bytes);
        for (const name of readdirSync(home)) renameSync(join(home, name), join(home, 'state'));
        return found;
      }),
      /a newer version lies where the next save writes/,
    ),
    twin(
      'a daemon that does not say why',
      given<Start>(async (home, bytes) => ({ ...(await start(home, bytes)), said: [] })),
      /what is said of a newer version/,
    ),
  ],
);
