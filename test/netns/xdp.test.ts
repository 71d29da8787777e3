/** The xdp backend against the real kernel, each scenario in namespaces of its own. */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './xdp.scenario.ts';

describe('xdp backend', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'xdp.scenario.ts'), name));
  }
});
