/**
 * What a ban must not cut off, and what it must not miss. Each scenario runs in namespaces of its
 * own.
 */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './reachable.scenario.ts';

describe('reachable', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'reachable.scenario.ts'), name));
  }
});
