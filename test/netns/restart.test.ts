/** Restarts and disk faults of the real daemon, each scenario in namespaces of its own. */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './restart.scenario.ts';

describe('the daemon', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'restart.scenario.ts'), name));
  }
});
