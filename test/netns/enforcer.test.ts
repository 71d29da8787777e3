/**
 * The enforcer over the nftables backend against the real kernel, each scenario in namespaces of
 * its own.
 */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './enforcer.scenario.ts';

describe('enforcer', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'enforcer.scenario.ts'), name));
  }
});
