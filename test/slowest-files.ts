/** A Vitest reporter that prints the slowest files at the end of the long run. */
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

const shown = 10;

/** Milliseconds of a file's tests and hooks, without the time to load it. */
function durationOf(module: TestModule): number {
  return module.diagnostic().duration;
}

export default class SlowestFiles implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const slowest = modules.toSorted((a, b) => durationOf(b) - durationOf(a)).slice(0, shown);
    console.log('\nSlowest files');
    for (const module of slowest) {
      const seconds = (durationOf(module) / 1_000).toFixed(1);
      console.log(`${seconds.padStart(8)} s  ${relative(process.cwd(), module.moduleId)}`);
    }
  }
}
