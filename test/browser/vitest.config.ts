/** How `npm run test:browser` runs; it unpacks Debian's Chromium under build/browser. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/browser/*.check.ts'],
    experimental: { viteModuleRunner: false, nodeLoader: false },
    fileParallelism: false,
    reporters: ['default', './scripts/long/reporter.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
