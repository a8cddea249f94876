import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real servers and a real Spark: runs of their own, npm run test:stack and npm run test:scale.
    exclude: ['**/node_modules/**', 'test/stack/**', 'test/scale/**'],
    setupFiles: ['test/support/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Most of them wait for processes and files; the default of one worker less than there are cores would be one.
    maxWorkers: 2,
    reporters: ['default'],
  },
});
