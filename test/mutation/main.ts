/** `npm run mutate -- <part>`: mutates the code with Stryker and reports the mutants that no test detects. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parts, partsNamed } from './parts.ts';

const stryker = join(
  dirname(createRequire(import.meta.url).resolve('@stryker-mutator/core/package.json')),
  'bin/stryker.js',
);
const names = process.argv.slice(2);
const chosen = names.length === 0 ? parts : names.flatMap(partsNamed);
if (chosen.length === 0) {
  console.error(
    `Unknown part: ${names.join(', ')}. Parts:\n  ${parts.map(({ mutate }) => mutate).join('\n  ')}`,
  );
  process.exitCode = 2;
}

for (const { mutate, tests } of chosen) {
  console.log(`\nMutating ${mutate}`);
  const { status } = spawnSync(process.execPath, [stryker, 'run', '--mutate', mutate], {
    stdio: 'inherit',
    env: { ...process.env, MUTATION_TESTS: JSON.stringify(tests) },
  });
  if (status !== 0) process.exitCode = 1;
}
