/** What the core of the daemon may still do. Each scenario runs in namespaces of its own. */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './confined.scenario.ts';

describe('the confined core', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'confined.scenario.ts'), name));
  }
});
