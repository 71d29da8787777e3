/**
 * The ipset and iptables backends against the real kernel, each scenario in namespaces of its own.
 */
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './iptables-ipset.scenario.ts';

describe('ipset and iptables backends', () => {
  for (const name of Object.keys(scenarios)) {
    test(name, () => runScenario(join(import.meta.dirname, 'iptables-ipset.scenario.ts'), name));
  }
});
