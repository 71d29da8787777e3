/** `doctor` and the real kernel. */
import { join } from 'node:path';
import { test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './doctor.scenario.ts';

for (const name of Object.keys(scenarios))
  test(name, () => runScenario(join(import.meta.dirname, 'doctor.scenario.ts'), name));
