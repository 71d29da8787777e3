/**
 * How the tests run: as many files at once as there are cores. Two projects: `plain`, and `kernel`
 * (network namespaces, real daemons, resident size), which may take longer. No test waits for a
 * time where it could wait for a state, and no figure of a test is a time; so they may run beside
 * each other.
 */
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Files that make namespaces, start the daemon or measure it. */
const kernelFiles = [
  'test/netns/**/*.test.ts',
  'test/soak/**/*.test.ts',
  'test/**/*.kernel.test.ts',
  'spec/**/*.kernel.spec.ts',
];

export default defineConfig({
  test: {
    environment: 'node',
    // Vitest leaves one core free by itself: of two that would be half.
    maxWorkers: availableParallelism(),
    reporters: ['default', ['json', { outputFile: 'reports/tests.json' }]],
    setupFiles: ['test/support/take-coverage.ts'],
    experimental: { viteModuleRunner: false, nodeLoader: false },
    projects: [
      {
        extends: true,
        test: {
          name: 'plain',
          include: ['test/**/*.test.ts', 'spec/**/*.spec.ts'],
          exclude: kernelFiles,
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'kernel',
          include: kernelFiles,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
