/** Counts over time, by size and by name. Memory is bounded, however many values are added. */

export interface HistogramBucket {
  /** Inclusive; milliseconds since the Unix epoch. */
  from: number;
  count: number;
  bytes: number;
}

const maxBuckets = 2_048;

type Counted = Map<number, { count: number; bytes: number }>;

/** Counts over time. Starts with buckets of one second, and doubles their width when there are too many. */
export class TimeHistogram {
  #widthMs = 1_000;
  #buckets: Counted = new Map();

  /** @param instant milliseconds since the Unix epoch */
  add(instant: number, bytes: number): void {
    const position = Math.floor(instant / this.#widthMs);
    this.#addTo(this.#buckets, position, 1, bytes);
    while (this.#buckets.size > maxBuckets) {
      this.#widthMs *= 2;
      const coarser: Counted = new Map();
      for (const [finer, { count, bytes: size }] of this.#buckets) {
        this.#addTo(coarser, Math.floor(finer / 2), count, size);
      }
      this.#buckets = coarser;
    }
  }

  /** Oldest first, without empty buckets. */
  buckets(): HistogramBucket[] {
    return [...this.#buckets]
      .sort(([a], [b]) => a - b)
      .map(([position, counted]) => ({ from: position * this.#widthMs, ...counted }));
  }

  #addTo(buckets: Counted, position: number, count: number, bytes: number): void {
    const bucket = buckets.get(position);
    if (!bucket) buckets.set(position, { count, bytes });
    else {
      bucket.count += count;
      bucket.bytes += bytes;
    }
  }
}

/** Counts in buckets with fixed edges. */
export class Histogram {
  readonly counts: number[];
  readonly edges: readonly number[];

  /** @param edges ascending. The first bucket is below the first edge, the last one is from the last edge on */
  constructor(edges: readonly number[]) {
    this.edges = edges;
    this.counts = Array.from({ length: edges.length + 1 }, () => 0);
  }

  add(value: number): void {
    const above = this.edges.findIndex((edge) => value < edge);
    const bucket = above === -1 ? this.edges.length : above;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }
}

/** Quantiles of positive numbers, with an error of at most 2.5 %. */
export class Quantiles {
  readonly #perOctave = 20;
  readonly #counts = new Map<number, number>();
  #total = 0;

  add(value: number): void {
    const bucket = Math.floor(Math.log2(Math.max(value, 1)) * this.#perOctave);
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1);
    this.#total += 1;
  }

  /** @param quantile from 0 to 1 @returns undefined if no value was added */
  at(quantile: number): number | undefined {
    let remaining = Math.ceil(quantile * this.#total);
    for (const [bucket, count] of [...this.#counts].sort(([a], [b]) => a - b)) {
      remaining -= count;
      if (remaining <= 0) return 2 ** ((bucket + 0.5) / this.#perOctave);
    }
    return undefined;
  }
}

const maxNames = 200;

/** Counts by name. The names come from Telnyx, so their number is not bounded: names after the first 200 share one count. */
export class NameCounts {
  readonly #counts = new Map<string, number>();
  #others = 0;

  add(name: string): void {
    const count = this.#counts.get(name);
    if (count === undefined && this.#counts.size >= maxNames) this.#others += 1;
    else this.#counts.set(name, (count ?? 0) + 1);
  }

  /** The most frequent names first; all others together under `restName`. */
  top(names: number, restName: string): { name: string; count: number }[] {
    const sorted = [...this.#counts]
      .map(([name, count]) => ({ name, count }))
      .sort((a, b) => b.count - a.count);
    const rest = sorted.slice(names).reduce((sum, { count }) => sum + count, this.#others);
    return [...sorted.slice(0, names), ...(rest > 0 ? [{ name: restName, count: rest }] : [])];
  }
}
