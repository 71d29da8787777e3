/**
 * The tests that judge mutants of engine and compiler: those that know either, or the filters. Tests of processes and of
 * the kernel would run an unmutated program, and tests of other rooms could not notice a mutant, so they are left out.
 */
import { globSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** What a test that can notice a mutant imports, itself or through a helper. */
const subjects = [
  'src/engine/',
  'src/compiler/',
  'src/filters/',
  'support/corpus',
  'support/matchers',
  'support/oracle',
];
/** They compare files on disk or read the source as text, where mutants stand out without any behaviour. */
const readers = ['imports', 'ledger', 'readme', 'generated'];

const judges = globSync('test/{unit,property,corpus}/**/*.test.ts').filter((path) => {
  const text = readFileSync(path, 'utf8');
  return subjects.some((name) => text.includes(name)) && !readers.some((name) => path.includes(name));
});

export default defineConfig({
  test: { environment: 'node', include: judges, exclude: ['**/*.kernel.test.ts'], testTimeout: 60_000 },
});
