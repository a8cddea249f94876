import { defineConfig } from 'vitest/config';

/** Tests with real servers: `npm run test:stack`. One file after the other, as each keeps both a server and a service busy. */
export default defineConfig({
  test: {
    include: ['test/stack/**/*.test.ts'],
    globalSetup: ['test/stack/setup.ts'],
    setupFiles: ['test/support/setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    fileParallelism: false,
    reporters: ['default'],
  },
});
