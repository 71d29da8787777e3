/**
 * The netlink backends under every fault, over the real kernel, each scenario in a namespace of its
 * own.
 */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './faults.scenario.ts';

describe('netlink backends', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'faults.scenario.ts'), name));
  }
});
