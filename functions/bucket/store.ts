/**
 * The requests to the archive bucket for one object or one page of keys. Nothing is deleted, and a key is written once;
 * only an erasure replaces what is there.
 */
import { createHash, hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { ArchiverError, nameOf } from '../errors.ts';
import { calls } from '../limits.ts';
import { type Time, withDeadline } from '../time.ts';
import { base64ToHex, hexToBase64 } from './checksum.ts';
import { asBucketError, statusOf } from './s3-errors.ts';

/** Properties of an object in S3. Digests are lower-case hex. */
export interface StoredObject {
  bytes: number;
  /** The full-object SHA-256 that S3 verified; undefined if it is composite or absent. */
  sha256: string | undefined;
  etag: string | undefined;
  versionId: string | undefined;
  /** `erased` if the object is a tombstone, according to its metadata. */
  state?: 'erased' | undefined;
}

export interface NewObject {
  key: string;
  /** A stream is read as fast as S3 accepts it. It must end after exactly `bytes`, or be aborted through the signal. */
  body: Readable | Buffer;
  bytes: number;
  /** Sent in a header, so that S3 refuses other bytes. If undefined, the SDK computes the digest and sends it as a trailer. */
  sha256: string | undefined;
  contentType: string;
  contentDisposition?: string;
  /** User-defined metadata (`x-amz-meta-…`). */
  metadata?: Readonly<Record<string, string>>;
}

/** A small object, with the digest that S3 verifies. */
export function objectInMemory(
  key: string,
  content: Buffer | string,
  contentType: string,
): NewObject & { body: Buffer; sha256: string } {
  const body = Buffer.from(content);
  return { key, body, bytes: body.length, sha256: hash('sha256', body), contentType };
}

export interface Bucket {
  /** @returns undefined if the object does not exist */
  head(key: string, signal: AbortSignal): Promise<StoredObject | undefined>;
  /**
   * Creates the object with one conditional PUT. Does nothing if the key exists.
   *
   * @returns the properties of the new object, or `exists`
   */
  putOnce(object: NewObject, signal: AbortSignal): Promise<StoredObject | 'exists'>;
  /**
   * Reads a small object into memory.
   *
   * @param versionId @default the current version
   * @returns undefined if it does not exist
   */
  read(key: string, signal: AbortSignal, versionId?: string): Promise<Buffer | undefined>;
  /** Downloads an object and computes its SHA-256, in lower-case hex. */
  hash(key: string, signal: AbortSignal): Promise<string>;
  /** Up to 1,000 keys under `prefix` after `startAfter`, sorted. An empty page marks the end. */
  list(prefix: string, startAfter: string | undefined, signal: AbortSignal): Promise<string[]>;
}

/** For the commands that erase. The bucket policy denies the functions to replace an object. */
export interface ReplaceableBucket extends Bucket {
  /**
   * Replaces the current object with one conditional PUT. Does nothing if it no longer has this ETag.
   *
   * @returns the properties of the new object, or `changed`
   */
  putOver(object: NewObject, etag: string, signal: AbortSignal): Promise<StoredObject | 'changed'>;
}

export interface BucketOptions {
  s3: Pick<S3Client, 'send'>;
  name: string;
  time: Time;
}

/**
 * Every method throws ArchiverError BucketUnavailable, BucketMisconfigured, BucketConflict, ChecksumMismatch or
 * EncryptionKeyUnavailable, or the signal's reason.
 */
export function createBucket({ s3, name, time }: BucketOptions): ReplaceableBucket {
  const address = { Bucket: name };

  const call = async <Result>(
    signal: AbortSignal,
    send: (abortSignal: AbortSignal) => Promise<Result>,
  ): Promise<Result> => {
    try {
      return await send(signal);
    } catch (error) {
      signal.throwIfAborted();
      throw asBucketError(error);
    }
  };
  const withTimeout = <Result>(signal: AbortSignal, send: (abortSignal: AbortSignal) => Promise<Result>) =>
    withDeadline(time, calls.bucketMs, signal, timedOut, (limited) => call(limited, send));

  /** @returns undefined if the condition does not hold */
  const put = (
    { key, body, bytes, sha256, contentType, contentDisposition, metadata }: NewObject,
    condition: { IfNoneMatch: '*' } | { IfMatch: string },
    signal: AbortSignal,
  ): Promise<StoredObject | undefined> =>
    call(signal, async (abortSignal) => {
      const checksum =
        sha256 === undefined
          ? { ChecksumAlgorithm: 'SHA256' as const }
          : { ChecksumSHA256: hexToBase64(sha256) };
      try {
        const response = await s3.send(
          new PutObjectCommand({
            ...address,
            ...checksum,
            ...condition,
            Key: key,
            Body: body,
            ContentLength: bytes,
            ContentType: contentType,
            ...(contentDisposition === undefined ? {} : { ContentDisposition: contentDisposition }),
            ...(metadata === undefined ? {} : { Metadata: { ...metadata } }),
          }),
          { abortSignal },
        );
        return {
          bytes,
          sha256: base64ToHex(response.ChecksumSHA256),
          etag: response.ETag,
          versionId: response.VersionId,
        };
      } catch (error) {
        if (statusOf(error) === 412) return undefined;
        // `If-Match` on a key without a current object (Amazon S3 API reference, PutObject).
        if ('IfMatch' in condition && nameOf(error) === 'NoSuchKey') return undefined;
        throw error;
      }
    });

  return {
    head: (key, signal) =>
      withTimeout(signal, async (abortSignal) => {
        try {
          const response = await s3.send(
            new HeadObjectCommand({ ...address, Key: key, ChecksumMode: 'ENABLED' }),
            { abortSignal },
          );
          return {
            bytes: response.ContentLength ?? 0,
            sha256: base64ToHex(response.ChecksumSHA256),
            etag: response.ETag,
            versionId: response.VersionId,
            ...(response.Metadata?.state === 'erased' && { state: 'erased' }),
          };
        } catch (error) {
          if (statusOf(error) === 404) return undefined;
          throw error;
        }
      }),

    putOnce: async (object, signal) => (await put(object, { IfNoneMatch: '*' }, signal)) ?? 'exists',

    putOver: async (object, etag, signal) => (await put(object, { IfMatch: etag }, signal)) ?? 'changed',

    read: (key, signal, versionId) =>
      withTimeout(signal, async (abortSignal) => {
        try {
          const version = versionId === undefined ? {} : { VersionId: versionId };
          const command = new GetObjectCommand({ ...address, Key: key, ...version });
          const { Body } = await s3.send(command, { abortSignal });
          return Body === undefined ? Buffer.alloc(0) : Buffer.from(await Body.transformToByteArray());
        } catch (error) {
          // A missing bucket has the status 404 as well, so the status is not enough.
          if (['NoSuchKey', 'NoSuchVersion'].includes(nameOf(error))) return undefined;
          throw error;
        }
      }),

    hash: (key, signal) =>
      call(signal, async (abortSignal) => {
        const { Body } = await s3.send(new GetObjectCommand({ ...address, Key: key }), { abortSignal });
        const sha256 = createHash('sha256');
        await pipeline(Body as Readable, sha256, { signal: abortSignal });
        return sha256.digest('hex');
      }),

    list: (prefix, startAfter, signal) =>
      withTimeout(signal, async (abortSignal) => {
        const response = await s3.send(
          new ListObjectsV2Command({
            ...address,
            Prefix: prefix,
            ...(startAfter === undefined ? {} : { StartAfter: startAfter }),
          }),
          { abortSignal },
        );
        return response.Contents?.flatMap((entry) => entry.Key ?? []) ?? [];
      }),
  };
}

function timedOut(): ArchiverError {
  return new ArchiverError('BucketUnavailable', `S3 did not respond within ${calls.bucketMs / 1_000} s.`);
}
