/**
 * Where the catalogue is stored. It is a cache, and can be rewritten or emptied at any time. A deployed archiver has a bucket
 * of its own for it, without versions and without a lock; a local archive has a folder beside it.
 */

import { GetObjectCommand } from '@aws-sdk/client-s3';
import { ArchiverError, nameOf } from '../errors.ts';
import { calls } from '../limits.ts';
import { withDeadline } from '../time.ts';
import { catalogueFolder, shardKey, shardOfKey } from './keys.ts';
import { asBucketError } from './s3-errors.ts';
import { type BucketOptions, createBucket, objectInMemory } from './store.ts';

/** One shard: the rows of the documents whose IDs share their first digits, as compressed JSON Lines. */
export interface StoredShard {
  /** gzip. */
  body: Buffer;
  /** Another one after each write. */
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
   * Writes a shard. Shards are never deleted, only emptied.
   *
   * @param etag the ETag of the shard to replace; undefined if there was none
   * @returns false, without effect, if the shard has changed since it was read
   */
  write(shard: string, body: Buffer, etag: string | undefined, signal: AbortSignal): Promise<boolean>;
}

/** The catalogue in a bucket of its own. */
export function createCatalogueBucket(options: BucketOptions): CatalogueStore {
  const { s3, name, time } = options;
  const bucket = createBucket(options);
  return {
    list: async (signal) => {
      const shards: string[] = [];
      let after: string | undefined;
      for (;;) {
        const keys = await bucket.list(catalogueFolder, after, signal);
        if (keys.length === 0) return shards;
        shards.push(...keys.flatMap((key) => shardOfKey(key) ?? []));
        after = keys.at(-1);
      }
    },

    read: (shard, signal) =>
      withDeadline(time, calls.bucketMs, signal, timedOut, async (abortSignal) => {
        try {
          const command = new GetObjectCommand({ Bucket: name, Key: shardKey(shard) });
          const { Body, ETag, LastModified } = await s3.send(command, { abortSignal });
          // Stryker disable OptionalChaining,ArrayDeclaration,StringLiteral: S3 always sends them; required by the type.
          const body = Buffer.from((await Body?.transformToByteArray()) ?? []);
          return { body, etag: ETag ?? '', modified: LastModified?.getTime() ?? 0 };
          // Stryker restore OptionalChaining,ArrayDeclaration,StringLiteral
        } catch (error) {
          if (nameOf(error) === 'NoSuchKey') return undefined;
          abortSignal.throwIfAborted();
          throw asBucketError(error);
        }
      }),

    write: async (shard, body, etag, signal) => {
      const object = objectInMemory(shardKey(shard), body, 'application/gzip');
      return etag === undefined
        ? (await bucket.putOnce(object, signal)) !== 'exists'
        : (await bucket.putOver(object, etag, signal)) !== 'changed';
    },
  };
}

function timedOut(): ArchiverError {
  return new ArchiverError('BucketUnavailable', `S3 did not respond within ${calls.bucketMs / 1_000} s.`);
}
