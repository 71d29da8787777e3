/**
 * The backends over the recorded answers of a real kernel: every message, socket option and bpf
 * call is, byte for byte, what that kernel has accepted, and its answers are read.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { replayKernel } from '../support/kernel-recording.ts';
import { scenes } from '../support/recorded-scenes.ts';

const folder = join(import.meta.dirname, '../recordings');

test('each scene has a recording', () => {
  const names = Object.keys(scenes).map((name) => `${name}.txt`);
  expect(readdirSync(folder).sort()).toEqual(names.sort());
});

describe('as recorded', () => {
  test.each(Object.entries(scenes))('%s', async (name, scene) => {
    await replayKernel(readFileSync(join(folder, `${name}.txt`), 'utf8'), () => scene(() => undefined));
  });
});
