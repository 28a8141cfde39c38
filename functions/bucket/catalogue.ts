/**
 * Where the catalogue is kept: a cache that is rewritten and erased at will. Deployed, a bucket of its own without versions
 * and without lock; locally, a folder beside the archive.
 */

import { createHash } from 'node:crypto';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { ArchiverError, nameOf } from '../errors.ts';
import { calls } from '../limits.ts';
import { withDeadline } from '../time.ts';
import { catalogueFolder, shardKey, shardOfKey } from './keys.ts';
import { asBucketError, statusOf } from './s3-errors.ts';
import type { BucketOptions } from './store.ts';

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
   * Writes a shard. Nothing is ever deleted: a shard may be empty.
   *
   * @param etag of the shard that is replaced; undefined if there was none
   * @returns false, without effect, if the shard has changed since
   */
  write(shard: string, body: Buffer, etag: string | undefined, signal: AbortSignal): Promise<boolean>;
}

/** The catalogue in a bucket of its own. */
export function createCatalogueBucket({ s3, name, owner, time }: BucketOptions): CatalogueStore {
  const address = { Bucket: name, ...(owner === undefined ? {} : { ExpectedBucketOwner: owner }) };
  const call = <Result>(signal: AbortSignal, send: (abortSignal: AbortSignal) => Promise<Result>) =>
    withDeadline(time, calls.bucketMs, signal, timedOut, async (abortSignal) => {
      try {
        return await send(abortSignal);
      } catch (error) {
        abortSignal.throwIfAborted();
        throw asBucketError(error);
      }
    });

  return {
    list: async (signal) => {
      const shards: string[] = [];
      let token: string | undefined;
      do {
        const page = await call(signal, (abortSignal) =>
          s3.send(
            new ListObjectsV2Command({ ...address, Prefix: catalogueFolder, ContinuationToken: token }),
            { abortSignal },
          ),
        );
        for (const { Key = '' } of page.Contents ?? []) {
          const shard = shardOfKey(Key);
          if (shard !== undefined) shards.push(shard);
        }
        token = page.NextContinuationToken;
      } while (token !== undefined);
      return shards;
    },

    read: (shard, signal) =>
      call(signal, async (abortSignal) => {
        try {
          const command = new GetObjectCommand({ ...address, Key: shardKey(shard) });
          const { Body, ETag = '', LastModified } = await s3.send(command, { abortSignal });
          const body = Buffer.from((await Body?.transformToByteArray()) ?? []);
          return { body, etag: ETag, modified: LastModified?.getTime() ?? 0 };
        } catch (error) {
          if (nameOf(error) === 'NoSuchKey') return undefined;
          throw error;
        }
      }),

    write: (shard, body, etag, signal) =>
      call(signal, async (abortSignal) => {
        const condition = etag === undefined ? { IfNoneMatch: '*' } : { IfMatch: etag };
        try {
          await s3.send(
            new PutObjectCommand({
              ...address,
              ...condition,
              Key: shardKey(shard),
              Body: body,
              ChecksumSHA256: createHash('sha256').update(body).digest('base64'),
              ContentType: 'application/gzip',
            }),
            { abortSignal },
          );
          return true;
        } catch (error) {
          // 404: `If-Match` on a key without an object (Amazon S3 API reference, PutObject).
          if (statusOf(error) === 412 || nameOf(error) === 'NoSuchKey') return false;
          throw error;
        }
      }),
  };
}

function timedOut(): ArchiverError {
  return new ArchiverError('BucketUnavailable', `S3 did not respond within ${calls.bucketMs / 1_000} s.`);
}
