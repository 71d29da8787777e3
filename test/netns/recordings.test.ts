/**
 * What unit tests replay is true of the kernel here. `RECORDINGS=write npx vitest run
 * test/netns/recordings.test.ts` records it anew.
 */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenes } from '../support/recorded-scenes.ts';

describe('a recorded scene on the real kernel', () => {
  test.each(Object.keys(scenes))('%s', async (name) => {
    await runScenario(join(import.meta.dirname, 'recordings.scenario.ts'), name);
  });
});
