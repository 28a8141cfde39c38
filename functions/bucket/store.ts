/**
 * The archive bucket, written once per key and never deleted from. All of the archiver's S3 requests are here.
 */
import { createHash } from 'node:crypto';
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

/** An object as S3 states it. Digests are lower-case hex. */
export interface StoredObject {
  bytes: number;
  /** The full-object SHA-256 that S3 has verified; undefined for a composite one, or none. */
  sha256: string | undefined;
  etag: string | undefined;
  versionId: string | undefined;
}

export interface NewObject {
  key: string;
  /** A stream is read at S3's pace and must end after exactly `bytes`, or be aborted through the signal. */
  body: Readable | Buffer;
  bytes: number;
  /** Sent up front, so that S3 refuses other bytes; without it, the digest of what is sent follows as a trailer. */
  sha256: string | undefined;
  contentType: string;
  contentDisposition?: string;
}

export interface Bucket {
  /** The object's properties, or undefined where there is none. */
  head(key: string, signal: AbortSignal): Promise<StoredObject | undefined>;
  /**
   * One PUT, which creates the object or, where the key is taken, does nothing.
   *
   * @returns what S3 stored, or `exists`
   */
  putOnce(object: NewObject, signal: AbortSignal): Promise<StoredObject | 'exists'>;
  /** A small object's bytes, or undefined where there is none. */
  read(key: string, signal: AbortSignal): Promise<Buffer | undefined>;
  /** SHA-256 of an object's bytes as they are read back, in lower-case hex. */
  hash(key: string, signal: AbortSignal): Promise<string>;
  /** Up to 1,000 keys under `prefix`, in order, after `startAfter`. An empty page is the end. */
  list(prefix: string, startAfter: string | undefined, signal: AbortSignal): Promise<string[]>;
}

export interface BucketOptions {
  s3: Pick<S3Client, 'send'>;
  name: string;
  /** Account id that must own the bucket. */
  owner?: string | undefined;
  time: Time;
}

/**
 * Every method throws ArchiverError BucketUnavailable, BucketMisconfigured, BucketConflict, ChecksumMismatch or
 * EncryptionKeyUnavailable, or the signal's reason.
 */
export function createBucket({ s3, name, owner, time }: BucketOptions): Bucket {
  const address = { Bucket: name, ...(owner === undefined ? {} : { ExpectedBucketOwner: owner }) };

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
    withDeadline(time, calls.bucketMs, signal, tooLate, (limited) => call(limited, send));

  return {
    head: (key, signal) =>
      withTimeout(signal, async (abortSignal) => {
        try {
          const answer = await s3.send(
            new HeadObjectCommand({ ...address, Key: key, ChecksumMode: 'ENABLED' }),
            { abortSignal },
          );
          return {
            bytes: answer.ContentLength ?? 0,
            sha256: base64ToHex(answer.ChecksumSHA256),
            etag: answer.ETag,
            versionId: answer.VersionId,
          };
        } catch (error) {
          if (statusOf(error) === 404) return undefined;
          throw error;
        }
      }),

    putOnce: ({ key, body, bytes, sha256, contentType, contentDisposition }, signal) =>
      call(signal, async (abortSignal) => {
        const checksum =
          sha256 === undefined
            ? { ChecksumAlgorithm: 'SHA256' as const }
            : { ChecksumSHA256: hexToBase64(sha256) };
        try {
          const answer = await s3.send(
            new PutObjectCommand({
              ...address,
              ...checksum,
              Key: key,
              Body: body,
              ContentLength: bytes,
              ContentType: contentType,
              ...(contentDisposition === undefined ? {} : { ContentDisposition: contentDisposition }),
              IfNoneMatch: '*',
            }),
            { abortSignal },
          );
          return {
            bytes,
            sha256: base64ToHex(answer.ChecksumSHA256),
            etag: answer.ETag,
            versionId: answer.VersionId,
          };
        } catch (error) {
          if (statusOf(error) === 412) return 'exists';
          throw error;
        }
      }),

    read: (key, signal) =>
      withTimeout(signal, async (abortSignal) => {
        try {
          const { Body } = await s3.send(new GetObjectCommand({ ...address, Key: key }), { abortSignal });
          return Body === undefined ? Buffer.alloc(0) : Buffer.from(await Body.transformToByteArray());
        } catch (error) {
          // A bucket that does not exist is a 404 too.
          if (nameOf(error) === 'NoSuchKey') return undefined;
          throw error;
        }
      }),

    hash: (key, signal) =>
      call(signal, async (abortSignal) => {
        const { Body } = await s3.send(new GetObjectCommand({ ...address, Key: key }), { abortSignal });
        const hash = createHash('sha256');
        await pipeline(Body as Readable, hash, { signal: abortSignal });
        return hash.digest('hex');
      }),

    list: (prefix, startAfter, signal) =>
      withTimeout(signal, async (abortSignal) => {
        const answer = await s3.send(
          new ListObjectsV2Command({
            ...address,
            Prefix: prefix,
            ...(startAfter === undefined ? {} : { StartAfter: startAfter }),
          }),
          { abortSignal },
        );
        return (answer.Contents ?? []).flatMap((entry) => entry.Key ?? []);
      }),
  };
}

function tooLate(): ArchiverError {
  return new ArchiverError('BucketUnavailable', `S3 did not answer within ${calls.bucketMs / 1_000} s.`);
}
