/**
 * How many cases a fuzz test tries: so many in the suite, a million with `npm run fuzz`, few for each mutant of
 * `npm run mutate`. On a failure fast-check prints the seed and the smallest case.
 */
export function fuzzRuns(inTheSuite = 10_000): number {
  if (process.env.MODE === 'fuzz') return 1_000_000;
  return process.env.FEW_FUZZ_RUNS ? 300 : inTheSuite;
}
