/**
 * The tests that judge mutants of engine and compiler: plain TypeScript only. Tests of the wasm build, of processes and
 * of the kernel would run the unmutated program, so they are left out, as are tests that compare files on disk.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts', 'test/corpus/**/*.test.ts'],
    exclude: ['test/**/*.kernel.test.ts', 'test/unit/imports.test.ts', 'test/unit/ledger*.test.ts'],
    testTimeout: 30_000,
  },
});
