/** A catalogue in memory. */
import { gzipSync } from 'node:zlib';
import type { CatalogueStore, StoredShard } from '../../functions/bucket/catalogue.ts';
import { type CatalogueRow, formatRows, shardOf } from '../../functions/bucket/catalogue-rows.ts';

export class MemoryCatalogue implements CatalogueStore {
  readonly shards = new Map<string, StoredShard>();
  /** Method and shard of each request. */
  readonly requests: string[] = [];
  /** Returns the error with which a request fails; undefined if it succeeds. */
  refuse: (method: 'list' | 'read' | 'write', shard: string) => Error | undefined = () => undefined;
  readonly #now: () => number;
  #writes = 0;

  /** @param now milliseconds since the Unix epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Stores rows as the archiver writes them. */
  put(rows: readonly CatalogueRow[]): void {
    for (const [shard, ofShard] of Map.groupBy(rows, ({ id }) => shardOf(id))) {
      this.putBody(shard, gzipSync(formatRows(ofShard.toSorted((a, b) => (a.id < b.id ? -1 : 1)))));
    }
  }

  putBody(shard: string, body: Buffer): void {
    this.#writes += 1;
    this.shards.set(shard, { body, etag: `"${this.#writes}"`, modified: this.#now() });
  }

  async list(): Promise<string[]> {
    this.#request('list', '');
    return [...this.shards.keys()].sort();
  }

  async read(shard: string): Promise<StoredShard | undefined> {
    this.#request('read', shard);
    return this.shards.get(shard);
  }

  async write(shard: string, body: Buffer, etag: string | undefined): Promise<boolean> {
    this.#request('write', shard);
    if (this.shards.get(shard)?.etag !== etag) return false;
    this.putBody(shard, body);
    return true;
  }

  #request(method: 'list' | 'read' | 'write', shard: string): void {
    this.requests.push(`${method} ${shard}`.trim());
    const error = this.refuse(method, shard);
    if (error) throw error;
  }
}
