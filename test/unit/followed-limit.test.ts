/**
 * Room for many log files: how many the launch stage counts, and how much heap it gives the core
 * for them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { coreArguments, coreFlags, filesExpected } from '../../src/commands/start.ts';
import { coreOldSpaceMegabytes } from '../../src/config/limits.ts';
import { followedFileBytes, followedFilesMax, followedFilesUsual } from '../../src/limits.ts';
import type { CoreConfig } from '../../src/types.ts';
import { temporaryDirectory } from '../support/control.ts';

const home = temporaryDirectory();
afterAll(() => home.remove());

/** What the function needs of a configuration. */
const reading = (...logpath: string[]) =>
  ({ jails: [{ logpath, network: false }] }) as unknown as Pick<CoreConfig, 'jails'>;

describe('room for log files', () => {
  test('a quarter more than fit now, and never less than the usual room', () => {
    const many = join(home.path, 'many');
    mkdirSync(many);
    for (let file = 0; file < 4_000; file++) writeFileSync(join(many, `${file}.log`), '');
    const pattern = join(many, '*.log');
    expect(filesExpected(reading(pattern))).toBe(5_000);
    expect(filesExpected(reading(pattern, pattern))).toBe(5_000);
    expect(filesExpected(reading(join(many, '1.log')))).toBe(followedFilesUsual);
    expect(filesExpected(reading(join(home.path, 'none/*')))).toBe(followedFilesUsual);
    for (const name of ['more', 'most']) {
      mkdirSync(join(home.path, name));
      for (let file = 0; file < 2_500; file++) writeFileSync(join(home.path, name, `${file}.log`), '');
    }
    expect(filesExpected(reading(join(home.path, '*/*.log')))).toBe(followedFilesMax);
  });

  test('the heap grows with it, and with nothing else', () => {
    const flags = (filesMax?: number): string[] => coreArguments(3, filesMax)!.slice(0, coreFlags.length);
    expect(flags()).toEqual(coreFlags);
    expect(flags(followedFilesUsual)).toEqual(coreFlags);
    const [heap, ...others] = flags(followedFilesMax);
    expect(others).toEqual(coreFlags.slice(1));
    const megabytes = Number(heap!.split('=')[1]) - coreOldSpaceMegabytes;
    expect(heap).toMatch(/^--max-old-space-size=/);
    expect(megabytes * 2 ** 20).toBeGreaterThanOrEqual((followedFilesMax - followedFilesUsual) * followedFileBytes);
  });
});
