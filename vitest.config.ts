/**
 * How the tests run. Two projects: `plain` may use every core; `kernel` (network namespaces, real
 * daemons, resident size) runs one file at a time and after it, since its figures and sockets must
 * not compete with other tests.
 */
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
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'kernel',
          include: kernelFiles,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
