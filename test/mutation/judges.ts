/**
 * The tests that judge mutants of engine and compiler: those that know either, or the filters.
 * Tests of processes and of the kernel would run an unmutated program, and tests of other rooms
 * could not notice a mutant, so they are left out.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a test that can notice a mutant imports, itself or through a helper. */
const subjects = [
  'src/engine/',
  'src/compiler/',
  'src/filters/',
  'support/corpus',
  'support/matchers',
  'support/oracle',
];
/**
 * They compare files on disk or read the source as text, where mutants stand out without any
 * behaviour.
 */
const readers = ['imports', 'ledger', 'readme'];
/**
 * They take seconds, through a program around the engine or by sheer number: what they notice, a
 * nearer test does.
 */
const slow = ['bench', 'decision-ring', 'file-source-engine', 'operator-commands', 'state-keeper', 'table-placement'];

/** Paths under `root`, the short ones first. */
export function judgesUnder(root: string): string[] {
  return ['test/unit', 'test/property']
    .flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: root }).sort())
    .filter((path) => !path.endsWith('.kernel.test.ts'))
    .filter((path) => ![...readers, ...slow].some((name) => path.includes(name)))
    .filter((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      return subjects.some((name) => text.includes(name));
    });
}
