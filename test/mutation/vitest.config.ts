import { defineConfig } from 'vitest/config';
import { sources } from '../../vite.config.ts';

const tests = process.env.MUTATION_TESTS ?? '';

/** The one project that Stryker's runner takes; a mutant by which a test waits for ever is found by the timeout. */
export default defineConfig({
  resolve: { alias: sources() },
  test: {
    include: ['test/mutation/all.test.ts'],
    setupFiles: 'test/unit/seed.ts',
    // What takes seconds by itself.
    testNamePattern: /^(?!.*a million events)/,
    testTimeout: tests.includes('model') ? 60_000 : 8_000,
    expect: { poll: { timeout: 4_000 } },
  },
});
