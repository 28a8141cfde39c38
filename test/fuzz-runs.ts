/**
 * How many cases a fuzz test tries: so many in the suite, a million with `npm run fuzz`. On a failure fast-check
 * prints the seed and the smallest case.
 */
export function fuzzRuns(inTheSuite = 10_000): number {
  return process.env.MODE === 'fuzz' ? 1_000_000 : inTheSuite;
}
