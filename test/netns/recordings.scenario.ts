/**
 * The scenes of test/support/recorded-scenes.ts on the real kernel, each in a namespace of its own.
 * With RECORDINGS=write their calls become the recordings that unit tests replay. Run by
 * recordings.test.ts.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordKernel } from '../support/kernel-recording.ts';
import { answerScenario, type Scenario } from '../support/namespace.ts';
import { scenes } from '../support/recorded-scenes.ts';

const outside = (command: string): void => {
  const [program = '', ...words] =
    command === 'packet' ? ['bash', '-c', 'echo > /dev/udp/127.0.0.1/9'] : command.split(' ');
  const { status, stderr, error } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command}: ${error?.message ?? stderr}`);
};

const scenarios: Record<string, Scenario> = Object.fromEntries(
  Object.entries(scenes).map(([name, scene]) => [
    name,
    async () => {
      outside('ip link set lo up');
      const recording = await recordKernel(() => scene(outside));
      const file = join(import.meta.dirname, `../recordings/${name}.txt`);
      if (process.env.RECORDINGS === 'write') writeFileSync(file, recording);
    },
  ]),
);

await answerScenario(import.meta.filename, scenarios);
