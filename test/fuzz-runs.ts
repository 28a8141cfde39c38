/**
 * The one place that says how many cases a property is tried with. On a failure fast-check prints the seed and the
 * smallest case.
 *
 * | run | cases |
 * |---|---|
 * | `npm test` | a twentieth of the full number, 25 at least |
 * | `npm run test:long`, which runs every file that asks here | the full number |
 * | `npm run fuzz` | a million of each property without a limit of its own, else the full number |
 * | `npm run mutate` | as `npm test`, 300 at most for each mutant |
 */
const quickShare = 1 / 20;
const quickLeast = 25;
const mostForAMutant = 300;
const million = 1_000_000;

const mode = process.env.MODE;

/** For a property that takes long, or that a world is built for. */
export function propertyRuns(full: number): number {
  if (mode === 'fuzz' || mode === 'long') return full;
  const quick = Math.min(full, Math.max(quickLeast, Math.ceil(full * quickShare)));
  return process.env.FEW_FUZZ_RUNS ? Math.min(quick, mostForAMutant) : quick;
}

/** For a property of what reads others' bytes: `npm run fuzz` tries it without end. */
export function fuzzRuns(full = 10_000): number {
  return mode === 'fuzz' ? million : propertyRuns(full);
}
