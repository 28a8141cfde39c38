/** Results of benchmarks: figures with their spread and target. */

export interface Spread {
  median: number;
  low: number;
  high: number;
}

export interface Figure {
  /** Name in docs/performance.md. */
  name: string;
  /** `×`, `MB`, `ms`, … */
  unit: string;
  value: Spread;
  target?: { atMost: number } | { atLeast: number };
}

/** A row of a table. All rows of a table have the same columns. */
export interface Row {
  name: string;
  values: Record<string, Spread>;
}

export interface Table {
  title: string;
  rows: readonly Row[];
}

export interface SectionResult {
  figures: readonly Figure[];
  tables?: readonly Table[];
  /** Notes for the reader, such as what was skipped and why. */
  notes?: readonly string[];
}

/** A group of measurements that can be run separately: `npm run bench -- --only <name>`. */
export interface Section {
  name: string;
  title: string;
  /** Whether it is part of the short set, without `--full`. */
  short: boolean;
  run(options: SectionOptions): Promise<SectionResult>;
}

interface SectionOptions {
  full: boolean;
  /** Reports progress. */
  report: (what: string) => void;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 0 ? (at(middle - 1) + at(middle)) / 2 : at(middle);
  return { median, low: at(0), high: at(sorted.length - 1) };
}

/** A value without spread, such as a count. */
export function exact(value: number): Spread {
  return { median: value, low: value, high: value };
}

/** Computes the ratio per round, so that other load of the machine in a round cancels out. */
export function ratioOf(values: readonly number[], to: readonly number[]): Spread {
  return spreadOf(values.map((value, round) => value / (to[round] ?? Number.NaN)));
}

export function isTargetMet({ value, target }: Figure): boolean | undefined {
  if (target === undefined) return undefined;
  return 'atMost' in target ? value.median <= target.atMost : value.median >= target.atLeast;
}

/** Text for whether the target was met; empty without a target. */
export function targetResult(figure: Figure, { met, missed }: { met: string; missed: string }): string {
  const isMet = isTargetMet(figure);
  return isMet === undefined ? '' : isMet ? met : missed;
}
