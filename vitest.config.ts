import { defineConfig } from 'vitest/config';

export default defineConfig(({ mode }) => ({
  test: {
    include: ['test/**/*.test.ts'],
    // A busy two-core machine may take long over a real socket; a hang is what this catches.
    // A million cases (`npm run fuzz`) take as long as they take.
    testTimeout: mode === 'fuzz' ? 3_600_000 : 60_000,
    hookTimeout: 60_000,
    // An unhandled rejection anywhere fails the run: the archiver never leaves one behind.
    dangerouslyIgnoreUnhandledErrors: false,
    allowOnly: false,
    // `npm run coverage`: by the tests of the functions themselves, since the simulation would cover nearly all by itself.
    coverage: {
      provider: 'v8',
      include: ['functions/**/*.ts'],
      reporter: ['text', 'html'],
      thresholds: { statements: 100, branches: 100, functions: 100, lines: 100 },
    },
  },
}));
