import { defineConfig } from 'vitest/config';
import { sources } from '../../vite.config.ts';

/** The tests of project node that need no hour, as the one project that Stryker's runner takes. */
export default defineConfig({
  resolve: { alias: sources() },
  test: {
    include: (process.env.MUTATION_TESTS ?? '').split(' '),
    exclude: ['**/*.browser.test.ts', '**/types*.test.ts', '**/model*.test.ts', '**/package.node.test.ts'],
    setupFiles: 'test/unit/seed.ts',
    testTimeout: 120_000,
  },
});
