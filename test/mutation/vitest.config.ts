/** The tests of one part of `npm run mutate`. Stryker runs those that reach the mutant. */
import { defineConfig } from 'vitest/config';

const include: string[] = JSON.parse(process.env.MUTATION_TESTS ?? '["test/*/*.test.ts"]');

export default defineConfig({
  test: {
    include,
    // Tests of the source tree itself, and tests that are too slow for what they detect.
    exclude: [
      '**/*.long.test.ts',
      'test/{architecture,connections}.test.ts',
      'test/{simulation,infra,docs,mutation}/**',
    ],
    env: { FEW_FUZZ_RUNS: 'yes' },
    testTimeout: 60_000,
  },
});
