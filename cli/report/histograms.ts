/** Counts of anything over time or size, in bounded memory however much is counted. */

export interface HistogramBucket {
  /** Included. */
  from: number;
  count: number;
  bytes: number;
}

const mostBuckets = 2_048;

type Counted = Map<number, { count: number; bytes: number }>;

/** Counts over time. Starts with buckets of a second and doubles their width whenever there are too many. */
export class TimeHistogram {
  #widthMs = 1_000;
  #buckets: Counted = new Map();

  /** @param instant milliseconds since the Unix epoch */
  add(instant: number, bytes: number): void {
    const position = Math.floor(instant / this.#widthMs);
    this.#into(this.#buckets, position, 1, bytes);
    while (this.#buckets.size > mostBuckets) {
      this.#widthMs *= 2;
      const coarser: Counted = new Map();
      for (const [finer, { count, bytes: size }] of this.#buckets) {
        this.#into(coarser, Math.floor(finer / 2), count, size);
      }
      this.#buckets = coarser;
    }
  }

  /** Oldest first, empty ones left out. */
  buckets(): HistogramBucket[] {
    return [...this.#buckets]
      .sort(([a], [b]) => a - b)
      .map(([position, counted]) => ({ from: position * this.#widthMs, ...counted }));
  }

  #into(buckets: Counted, position: number, count: number, bytes: number): void {
    const bucket = buckets.get(position);
    if (!bucket) buckets.set(position, { count, bytes });
    else {
      bucket.count += count;
      bucket.bytes += bytes;
    }
  }
}

/** Counts between fixed edges. */
export class Histogram {
  readonly counts: number[];
  readonly edges: readonly number[];

  /** @param edges ascending; bucket 0 is below the first, the last one from the last edge on */
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

/** Quantiles of positive numbers, within 2.5 % of the true ones. */
export class Quantiles {
  readonly #perOctave = 20;
  readonly #counts = new Map<number, number>();
  #total = 0;

  add(value: number): void {
    const bucket = Math.floor(Math.log2(Math.max(value, 1)) * this.#perOctave);
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1);
    this.#total += 1;
  }

  /** @param part from 0 to 1 @returns undefined where nothing was added */
  at(part: number): number | undefined {
    let left = Math.ceil(part * this.#total);
    for (const [bucket, count] of [...this.#counts].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return 2 ** ((bucket + 0.5) / this.#perOctave);
    }
    return undefined;
  }
}

const mostNames = 200;

/** Counts by name. Names come from elsewhere, so there may be any number of them: what comes late is counted as one. */
export class NameCounts {
  readonly #counts = new Map<string, number>();
  #others = 0;

  add(name: string): void {
    const count = this.#counts.get(name);
    if (count === undefined && this.#counts.size >= mostNames) this.#others += 1;
    else this.#counts.set(name, (count ?? 0) + 1);
  }

  /** The most frequent first; the rest together under `restName`. */
  top(names: number, restName: string): { name: string; count: number }[] {
    const sorted = [...this.#counts]
      .map(([name, count]) => ({ name, count }))
      .sort((a, b) => b.count - a.count);
    const rest = sorted.slice(names).reduce((sum, { count }) => sum + count, this.#others);
    return [...sorted.slice(0, names), ...(rest > 0 ? [{ name: restName, count: rest }] : [])];
  }
}
