/** Lists of addresses in the real daemon, each scenario in namespaces of its own. */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './lists.scenario.ts';

describe('a list of addresses', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'lists.scenario.ts'), name));
  }
});
