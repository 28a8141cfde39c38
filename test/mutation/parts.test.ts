import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parts, partsNamed } from './parts.ts';

const filesOf = (globs: readonly string[]) => globs.flatMap((glob) => globSync(glob));

describe('npm run mutate', () => {
  it('covers every file of functions/ exactly once', () => {
    const mutated = filesOf(parts.map(({ mutate }) => mutate));

    expect(mutated.filter((file) => file.startsWith('functions/')).sort()).toEqual(
      globSync('functions/**/*.ts').sort(),
    );
    expect(new Set(mutated).size).toBe(mutated.length);
  });

  it('covers every folder of cli/ but those that show results or find the archiver', () => {
    const mutated = filesOf(parts.map(({ mutate }) => mutate));

    const others = globSync('cli/*/').filter((folder) => !mutated.some((file) => file.startsWith(folder)));
    expect(others.map((folder) => basename(folder)).sort()).toEqual(['report', 'target']);
  });

  it.each(parts)('finds files and tests for $mutate', ({ mutate, tests }) => {
    expect(filesOf([mutate]).length).toBeGreaterThan(0);
    for (const glob of tests) expect(filesOf([glob]).length).toBeGreaterThan(0);
  });

  it.each(['functions/webhook', 'functions/webhook/**'])('accepts a folder name: %s', (name) => {
    const files = partsNamed(name).flatMap(({ mutate }) => mutate.split(','));

    expect(files.sort()).toEqual(globSync('functions/webhook/**/*.ts').sort());
  });

  it('accepts a file name', () => {
    expect(partsNamed('functions/webhook/handler.ts')).toEqual([
      { mutate: 'functions/webhook/handler.ts', tests: ['test/webhook/**/*.test.ts', 'test/*.test.ts'] },
    ]);
  });

  it('finds no part for an unknown name', () => {
    expect(partsNamed('functions/nowhere')).toEqual([]);
  });
});
