import { defineConfig } from 'vitest/config';

/** What is beyond one machine: a real Spark. A run of its own, `npm run test:scale`. */
export default defineConfig({
  test: {
    include: ['test/scale/**/*.test.ts'],
    setupFiles: ['test/support/setup.ts'],
    testTimeout: 600_000,
    hookTimeout: 900_000,
    pool: 'forks',
    reporters: ['default'],
  },
});
