/** How `npm run test:package` runs: one file after the other; it makes a Debian in build/tools. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/package/*.check.ts'],
    experimental: { viteModuleRunner: false, nodeLoader: false },
    fileParallelism: false,
    reporters: ['default', './scripts/long/reporter.ts'],
  },
});
