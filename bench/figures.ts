/** What a measurement comes to: a figure with its spread, and what was to be reached. */

export interface Spread {
  median: number;
  low: number;
  high: number;
}

export interface Figure {
  /** As in docs/performance.md. */
  name: string;
  /** `×`, `MB`, `ms`, … */
  unit: string;
  value: Spread;
  reach?: { atMost: number } | { atLeast: number };
}

/** One thing beside others: a row of a table whose columns are the same for all. */
export interface Measured {
  name: string;
  values: Record<string, Spread>;
}

export interface Table {
  title: string;
  rows: readonly Measured[];
}

export interface Findings {
  figures: readonly Figure[];
  tables?: readonly Table[];
  /** What a reader must know: what was left out, and why. */
  notes?: readonly string[];
}

/** A group of measurements that can be run by itself: `npm run bench -- --only <name>`. */
export interface Section {
  name: string;
  title: string;
  /** Whether it is part of the short set. */
  short: boolean;
  run(options: SectionOptions): Promise<Findings>;
}

interface SectionOptions {
  full: boolean;
  /** Told what is being done. */
  say: (what: string) => void;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 0 ? (at(middle - 1) + at(middle)) / 2 : at(middle);
  return { median, low: at(0), high: at(sorted.length - 1) };
}

/** A figure that needs no repetition, such as a count. */
export function exactly(value: number): Spread {
  return { median: value, low: value, high: value };
}

/** The ratio of each round by itself, so that whatever else the machine did in that round cancels out. */
export function ratioOf(values: readonly number[], to: readonly number[]): Spread {
  return spreadOf(values.map((value, round) => value / (to[round] ?? Number.NaN)));
}

export function isMet({ value, reach }: Figure): boolean | undefined {
  if (reach === undefined) return undefined;
  return 'atMost' in reach ? value.median <= reach.atMost : value.median >= reach.atLeast;
}

/** Whether it was, in the given words; nothing where there was nothing to reach. */
export function reached(figure: Figure, { met, missed }: { met: string; missed: string }): string {
  const isIt = isMet(figure);
  return isIt === undefined ? '' : isIt ? met : missed;
}
