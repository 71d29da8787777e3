/**
 * The xdp backend against the real kernel, each scenario in namespaces of its own. Where bpftool
 * cannot be had, what it would say is not compared: the scenarios about other eyes are left out,
 * aloud.
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
