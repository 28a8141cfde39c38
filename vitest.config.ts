import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A busy two-core machine may take long over a real socket; a hang is what this catches.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // An unhandled rejection anywhere fails the run: the archiver never leaves one behind.
    dangerouslyIgnoreUnhandledErrors: false,
    allowOnly: false,
    coverage: { provider: 'v8', include: ['functions/**/*.ts'], reporter: ['text', 'html'] },
  },
});
