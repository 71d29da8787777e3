/**
 * State files in every form that was ever written, read by today's state keeper: bans, windows and
 * positions are kept. It sets aside what it cannot read, says why, and overwrites nothing.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { savedTableLayout } from '../../src/engine/saved-table.ts';
import { sectionHeadBytes, sectionTag, stateVersion } from '../../src/state/format.ts';
import { temporaryDirectory } from '../support/control.ts';
import * as states from '../support/old-states.ts';
import { v4 } from '../support/table-driver.ts';

const { stateOf, changedState, overState, v6, writtenAt } = states;
const home = { path: '', remove: (): void => {} };
beforeEach(() => Object.assign(home, temporaryDirectory()));
afterEach(() => home.remove());

test('every file of the corpus is tried', () => {
  const listed = [states.unreadable, ...states.stateForms.map(({ file }) => file)];
  expect(readdirSync(states.oldStates).sort()).toEqual(listed.toSorted());
});

describe.each(states.stateForms)('a state of $from', ({ file, histories = 0, cursors = 0, ignored = 0, ...form }) => {
  test.each(['plain', 'wasm'] as const)('gives its bans, windows and positions (%s)', async (build) => {
    const found = await overState(home.path, stateOf(file), build);
    expect(found.positions).toEqual([
      { path: '/var/log/auth.log', device: 2049n, inode: 77n, offset: 4096, mark: { hash: 12_345, length: 64 } },
    ]);
    const { keeper, driver } = found;
    expect([keeper.histories.length, keeper.cursors.length, found.ignored.length]).toEqual([
      histories,
      cursors,
      ignored,
    ]);
    const byHand = form.makers ? ' by hand' : '';
    expect(found.bans).toEqual(
      [
        'sshd 192.0.2.3 until 1700003602',
        `sshd 192.0.2.100 until 1700009000${byHand}`,
        `sshd 2001:db8:0:aa::${form.singles ? '1' : '/64'} until 1700003602`,
        `web 192.0.2.101 until Infinity${byHand}`,
        'web 2001:db8:0:9::/64 until Infinity',
      ].toSorted(),
    );
    // This is the failure that was missing for a ban.
    const sshd = 1;
    expect(driver.fail(sshd, v4('192.0.2.1'), writtenAt + 20)).toMatchObject({ failures: 3 });
    expect(driver.fail(sshd, v6(7n), writtenAt + 20)).toBe(undefined);
    expect(driver.fail(sshd, v6(7n, 2n), writtenAt + 21)).toMatchObject({ failures: 3 });
  });
});

const newest = stateOf(states.stateForms.at(-1)!.file);
const laterTag = sectionTag.ignored + 1;

test.each([
  ['the first form of all', stateOf(states.unreadable), 'a read position has a wrong offset'],
  [
    'a newer version',
    changedState(newest, (bytes) => bytes.writeUInt32LE(stateVersion + 1, 8)),
    `it has version ${stateVersion + 1}; this program reads ${stateVersion}`,
  ],
  [
    'a newer form of the table',
    changedState(newest, (bytes) => bytes.writeUInt32LE(savedTableLayout + 1, states.tableFormAt(bytes))),
    `its table has form ${savedTableLayout + 1}, which this program does not read`,
  ],
  [
    'a section that came later',
    changedState(newest, (bytes) => {
      bytes.writeUInt32LE(laterTag, states.sectionAt(bytes, sectionTag.ignored) - sectionHeadBytes);
    }),
    `it has an unknown section ${laterTag}`,
  ],
])('a state of %s is set aside whole, with the reason', async (_, bytes, why) => {
  const { path, engine, log, keeper, positions, ignored } = await overState(home.path, bytes);
  expect(positions).toEqual([]);
  expect([engine.tracked, keeper.histories.length, keeper.cursors.length, ignored.length]).toEqual([0, 0, 0, 0]);
  expect(existsSync(path)).toBe(false);
  const asideAs = join(home.path, 'state.damaged-20231114T221350Z');
  expect(readFileSync(asideAs)).toEqual(bytes);
  expect(log.said).toContainEqual({
    level: 'warn',
    text: 'saved state is not usable, starting empty',
    fields: { path, why, asideAs },
  });
});
