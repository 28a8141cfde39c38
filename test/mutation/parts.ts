/** The parts of `npm run mutate`. A run over all code takes too long to repeat. */
import { globSync } from 'node:fs';
import stryker from '../../stryker.config.json' with { type: 'json' };

export interface Part {
  /** Glob in `stryker.config.json`. */
  mutate: string;
  /** Globs of the tests that must detect the mutants. */
  tests: string[];
}

/** The tests of a folder are in the folder of the same name below `test/`; those of top-level files in `test/` itself. */
function testsOf(mutate: string): string[] {
  const [top = '', folder = ''] = mutate.split('/');
  if (top !== 'functions') return [`test/${top}/**/*.test.ts`];
  // The audit command tests these files, too.
  if (folder === 'audit') return ['test/audit/**/*.test.ts', 'test/cli/audit/**/*.test.ts'];
  // Discovery is what reads the lists.
  if (folder === 'telnyx') {
    return [
      'test/telnyx/**/*.test.ts',
      'test/discover/{discover,orders,sweep,reports}.test.ts',
      'test/*.test.ts',
    ];
  }
  return folder.includes('*')
    ? ['test/*.test.ts', 'test/queue/*.test.ts']
    : [`test/${folder}/**/*.test.ts`, 'test/*.test.ts'];
}

export const parts: readonly Part[] = stryker.mutate.map((mutate) => ({ mutate, tests: testsOf(mutate) }));

/** @param name a folder, file or glob. @returns the parts with these files, reduced to them; empty if there are none */
export function partsNamed(name: string): Part[] {
  const selected = globSync(name.endsWith('.ts') ? name : `${name.replace(/\/?\**$/, '')}/**/*.ts`);
  return parts.flatMap(({ mutate, tests }) => {
    const files = globSync(mutate).filter((file) => selected.includes(file));
    return files.length === 0 ? [] : [{ mutate: files.join(','), tests }];
  });
}
