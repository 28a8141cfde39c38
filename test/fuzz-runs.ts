/**
 * The number of cases for each property, by kind of run. On a failure fast-check prints the seed and the smallest case.
 *
 * | run | cases |
 * |---|---|
 * | `npm test` | a twentieth of the full number, but at least 25 |
 * | `npm run test:long`, which runs every file that imports this one | the full number |
 * | `npm run fuzz` | a million (`fuzzRuns`), or the full number (`propertyRuns`) |
 * | `npm run mutate` | as `npm test`, but at most 300 |
 */
const quickShare = 1 / 20;
const quickMin = 25;
const mutationMax = 300;
const million = 1_000_000;

const mode = process.env.MODE;

/** For a property whose cases are slow, or need an expensive set-up. */
export function propertyRuns(full: number): number {
  if (mode === 'fuzz' || mode === 'long') return full;
  const quick = Math.min(full, Math.max(quickMin, Math.ceil(full * quickShare)));
  return process.env.FEW_FUZZ_RUNS ? Math.min(quick, mutationMax) : quick;
}

/** For a property of code that reads input written by others: `npm run fuzz` tries a million cases. */
export function fuzzRuns(full = 10_000): number {
  return mode === 'fuzz' ? million : propertyRuns(full);
}
