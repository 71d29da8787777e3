/**
 * The daemon running as its own user with two ambient capabilities, as in
 * systemd/unprivileged.conf: it bans, and state, records and socket belong to that user.
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
