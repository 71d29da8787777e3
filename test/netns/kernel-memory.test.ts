/**
 * Bans in the memory of the real kernel, under the memory limit of a control group. Each scenario
 * runs in namespaces of its own.
 */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './kernel-memory.scenario.ts';

describe('kernel memory', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'kernel-memory.scenario.ts'), name));
  }
});
