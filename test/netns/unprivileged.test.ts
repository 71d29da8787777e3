/**
 * The daemon as a user of its own with two ambient capabilities, as systemd/unprivileged.conf runs
 * it: it bans, and state, records and socket are that user's.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';

const file = join(import.meta.dirname, 'unprivileged.scenario.ts');

test('a user with two ambient capabilities bans; what it makes is its own, and no more is left to it', async () => {
  expect(await runScenario(file, 'own user')).toEqual({
    banned: true,
    capabilities: '0000000000001004',
    bounding: '0000000000001004',
    uid: '65534',
    owners: {
      'run/control.sock': '660 65534:65534',
      'state/state': '600 65534:65534',
      'state/state.history': '640 65534:65534',
    },
    admitted: [true, true, false],
    warnings: [],
  });
});
