/**
 * Error paths of the nftables backend against the real kernel, each scenario in a namespace of its
 * own.
 */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './nftables-errors.scenario.ts';

describe('nftables backend, refused', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'nftables-errors.scenario.ts'), name));
  }
});
