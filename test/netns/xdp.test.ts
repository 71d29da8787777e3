/**
 * The xdp backend against the real kernel, each scenario in its own namespaces. If bpftool is not
 * available, the scenarios that compare with it are left out, and that is reported.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { runScenario } from '../support/namespace.ts';
import { scenarios } from './xdp.scenario.ts';

const hasBpftool = spawnSync('bpftool', ['version'], { stdio: 'ignore' }).status === 0;
if (!hasBpftool) console.warn('NOT COMPARED with bpftool: it is not here (apt-get install bpftool)');

describe('xdp backend', () => {
  for (const name of Object.keys(scenarios)) {
    test.skipIf(!hasBpftool && name.startsWith('bpftool'))(name, () =>
      runScenario(join(import.meta.dirname, 'xdp.scenario.ts'), name),
    );
  }
});
