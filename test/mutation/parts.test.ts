import { globSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parts, partsNamed } from './parts.ts';

const filesOf = (globs: readonly string[]) => globs.flatMap((glob) => globSync(glob));

describe('the parts of npm run mutate', () => {
  it('have every file of functions/ exactly once', () => {
    const mutated = filesOf(parts.map(({ mutate }) => mutate));

    expect(mutated.filter((file) => file.startsWith('functions/')).sort()).toEqual(
      globSync('functions/**/*.ts').sort(),
    );
    expect(new Set(mutated).size).toBe(mutated.length);
  });

  it.each(parts)('have files and tests: $mutate', ({ mutate, tests }) => {
    expect(filesOf([mutate]).length).toBeGreaterThan(0);
    for (const glob of tests) expect(filesOf([glob]).length).toBeGreaterThan(0);
  });

  it.each(['functions/webhook', 'functions/webhook/**'])('are named by their folder: %s', (name) => {
    const files = partsNamed(name).flatMap(({ mutate }) => mutate.split(','));

    expect(files.sort()).toEqual(globSync('functions/webhook/**/*.ts').sort());
  });

  it('are narrowed to a file', () => {
    expect(partsNamed('functions/webhook/handler.ts')).toEqual([
      { mutate: 'functions/webhook/handler.ts', tests: ['test/webhook/**/*.test.ts', 'test/*.test.ts'] },
    ]);
  });

  it('are none for an unknown name', () => {
    expect(partsNamed('functions/nowhere')).toEqual([]);
  });
});
