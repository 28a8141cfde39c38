/**
 * Where the catalogue is kept: a cache that is rewritten and erased at will. Deployed, a bucket of its own without versions
 * and without lock; locally, a folder beside the archive.
 */

/** One shard: the rows of the documents whose IDs share their first digits, as compressed JSON Lines. */
export interface StoredShard {
  /** gzip. */
  body: Buffer;
  /** Changes with each write. */
  etag: string;
  /** Milliseconds since the Unix epoch. */
  modified: number;
}

/** Each method throws ArchiverError as `Bucket` does, or the signal's reason. */
export interface CatalogueStore {
  /** Names of the shards that exist, such as `0a7`, sorted. */
  list(signal: AbortSignal): Promise<string[]>;
  /** @returns undefined if it does not exist */
  read(shard: string, signal: AbortSignal): Promise<StoredShard | undefined>;
  /**
   * Writes a shard, or deletes it if there are no rows (`body` undefined).
   *
   * @param etag of the shard that is replaced; undefined if there was none
   * @returns false, without effect, if the shard has changed since
   */
  write(
    shard: string,
    body: Buffer | undefined,
    etag: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean>;
}
