/**
 * Properties and behaviour of the process of the running daemon. Each scenario runs in namespaces
 * of its own.
 */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './process.scenario.ts';

describe('the process of the daemon', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'process.scenario.ts'), name));
  }
});
