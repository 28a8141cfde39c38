/** The parts of `npm run mutate`: a run over everything at once takes too long to be repeated. */
import { globSync } from 'node:fs';
import stryker from '../../stryker.config.json' with { type: 'json' };

export interface Part {
  /** Its glob in `stryker.config.json`. */
  mutate: string;
  /** Globs of the tests that must notice. */
  tests: string[];
}

/** The tests of a folder stand in the folder of the same name; the files at the top have theirs at the top. */
function testsOf(mutate: string): string[] {
  const [room = '', folder = ''] = mutate.split('/');
  if (room !== 'functions') return [`test/${room}/**/*.test.ts`];
  // The judge is tried through the command as well.
  if (folder === 'audit') return ['test/audit/**/*.test.ts', 'test/cli/audit/**/*.test.ts'];
  return folder.includes('*')
    ? ['test/*.test.ts', 'test/queue/*.test.ts']
    : [`test/${folder}/**/*.test.ts`, 'test/*.test.ts'];
}

export const parts: readonly Part[] = stryker.mutate.map((mutate) => ({ mutate, tests: testsOf(mutate) }));

/** @param name a folder, a file or the glob itself. @returns the parts that it names, narrowed to it */
export function partsNamed(name: string): Part[] {
  const inside = globSync(name.endsWith('.ts') ? name : `${name.replace(/\/?\**$/, '')}/**/*.ts`);
  return parts.flatMap(({ mutate, tests }) => {
    const files = globSync(mutate).filter((file) => inside.includes(file));
    return files.length === 0 ? [] : [{ mutate: files.join(','), tests }];
  });
}
