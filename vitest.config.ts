import './require-node.js';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

interface TestFile {
  path: string;
  text: string;
}

const testFiles: TestFile[] = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => ({ path: `test/${name}`, text: readFileSync(`test/${name}`, 'utf8') }));

/** By name: what takes long, or needs much of the machine. */
const isLong = ({ path }: TestFile) => path.endsWith('.long.test.ts');
/** Tried with fewer cases in the quick run, so with all of them in the long one. */
const hasProperties = ({ text }: TestFile) => text.includes("/fuzz-runs.ts'");

/** Which files a run has: `npm test` (mode `test`), `npm run test:long` and `npm run fuzz`. */
function isIn(mode: string, file: TestFile): boolean {
  if (mode === 'fuzz') return true;
  return mode === 'long' ? isLong(file) || hasProperties(file) : !isLong(file);
}

/**
 * Files of one synthesis, so that AWS CDK is loaded and each deployment synthesized once per process: see
 * `test/infra/deployments.ts`.
 */
const synthesizes = /from '[^']*\/(?:deployments|cloudwatch\/world)\.ts'|^test\/cloudwatch\//;
/** In path or text: changes the process, opens sockets, starts programs, measures time or keeps secrets in a module. */
const impure =
  /\bvi\.(?:mock|hoisted|stub|spyOn|useFake)|\bprocess\.|'node:(?:http|https|net|tls|child_process)'|\/(?:cpu-time|redact|world)\.ts'|\/(?:local|infra|simulation)\//;

function needsIsolation(file: TestFile): boolean {
  const pathAndText = `${file.path}\n${file.text}`;
  return isLong(file) || (impure.test(pathAndText) && !synthesizes.test(pathAndText));
}

export default defineConfig(({ mode }) => {
  const chosen = testFiles.filter((file) => isIn(mode, file));
  const project = (name: string, isolate: boolean) => ({
    extends: true as const,
    test: {
      name,
      isolate,
      include: chosen.filter((file) => needsIsolation(file) === isolate).map(({ path }) => path),
    },
  });
  return {
    test: {
      // A busy two-core machine may take long over a real socket; a hang is what this catches.
      // A million cases (`npm run fuzz`) take as long as they take.
      testTimeout: mode === 'fuzz' ? 3_600_000 : 60_000,
      hookTimeout: 60_000,
      // The quick tests wait for sockets and timers about half of their time; the long ones compute.
      maxWorkers: mode === 'test' ? availableParallelism() + 1 : '100%',
      // An unhandled rejection anywhere fails the run: the archiver never leaves one behind.
      dangerouslyIgnoreUnhandledErrors: false,
      allowOnly: false,
      // The bundles of the functions, which every synthesis reads.
      globalSetup: './test/infra/bundles.ts',
      // Files that change nothing around them share loaded modules, which saves loading them for each.
      projects: [project('shared', false), project('isolated', true)],
      // `npm run coverage`: by the tests of the functions themselves, since the simulation would cover nearly all by itself.
      coverage: {
        provider: 'v8',
        include: ['functions/**/*.ts'],
        reporter: ['text', 'html'],
        thresholds: { statements: 100, branches: 100, functions: 100, lines: 100 },
      },
    },
  };
});
