/** The bucket's keys in S3's order, with what a listing tells of each object. */
import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { ArchiverError } from '../errors.ts';
import { calls } from '../limits.ts';
import { type Time, withDeadline } from '../time.ts';
import { asBucketError } from './s3-errors.ts';
import type { StorageRetry } from './storage-retry.ts';

export interface ListedObject {
  key: string;
  bytes: number;
  /** Milliseconds since the Unix epoch. */
  modified: number;
}

export interface Stretch {
  /** This key and those after it. @default the first key */
  from?: string;
  /** Keys before this one. @default no end */
  before?: string;
  prefix?: string;
}

export interface ListingOptions {
  s3: Pick<S3Client, 'send'>;
  name: string;
  time: Time;
  retry: StorageRetry;
  /** Told of each request. */
  onRequest: () => void;
}

interface Page {
  objects: ListedObject[];
  isLast: boolean;
}

/**
 * General purpose buckets list their keys in the order of their UTF-8 bytes (Amazon S3 API reference,
 * ListObjectsV2); other kinds and other servers may not, and nothing here works then. The next page is asked for
 * while one is worked on.
 *
 * @throws ArchiverError BucketUnavailable, BucketMisconfigured and those of `createBucket`
 */
export async function* listArchive(options: ListingOptions, stretch: Stretch): AsyncGenerator<ListedObject> {
  const from = stretch.from ?? '';
  let last = somewhatBefore(from);
  let next: Promise<Page> | undefined = readPage(options, stretch.prefix, last);
  while (next) {
    const { objects, isLast }: Page = await next;
    const end: string = objects.at(-1)?.key ?? last;
    const isPast: boolean = stretch.before !== undefined && end >= stretch.before;
    next = isLast || isPast || objects.length === 0 ? undefined : readPage(options, stretch.prefix, end);
    // Whoever stops reading here leaves it behind.
    next?.catch(() => undefined);
    for (const object of objects) {
      if (!isBefore(last, object.key)) {
        throw new ArchiverError(
          'BucketMisconfigured',
          'The bucket does not list its keys in the order of their bytes, as S3’s general purpose buckets do.',
        );
      }
      last = object.key;
      if (object.key < from) continue;
      if (stretch.before !== undefined && object.key >= stretch.before) return;
      yield object;
    }
  }
}

/** S3 lists what comes after a key, the key itself excluded. What lies between is skipped. */
function somewhatBefore(key: string): string {
  const last = key.length - 1;
  return key === '' ? '' : `${key.slice(0, last)}${String.fromCharCode(key.charCodeAt(last) - 1)}\u{10ffff}`;
}

function readPage(
  { s3, name, time, retry, onRequest }: ListingOptions,
  prefix: string | undefined,
  after: string,
): Promise<Page> {
  const command = new ListObjectsV2Command({
    Bucket: name,
    // XML cannot hold every character that a key can.
    EncodingType: 'url',
    ...(prefix === undefined ? {} : { Prefix: prefix }),
    ...(after === '' ? {} : { StartAfter: after }),
  });
  return retry((signal) =>
    withDeadline(time, calls.bucketMs, signal, tooLate, async (abortSignal) => {
      onRequest();
      try {
        const answer = await s3.send(command, { abortSignal });
        const objects = (answer.Contents ?? []).map(({ Key, Size, LastModified }) => ({
          key: decoded(Key ?? ''),
          bytes: Size ?? 0,
          modified: LastModified?.getTime() ?? 0,
        }));
        return { objects, isLast: answer.IsTruncated !== true };
      } catch (error) {
        abortSignal.throwIfAborted();
        throw asBucketError(error);
      }
    }),
  );
}

const plain = /^[\w./-]*$/;

function decoded(key: string): string {
  return plain.test(key) ? key : decodeURIComponent(key.replaceAll('+', ' '));
}

/** In the order of UTF-8, which differs from that of JavaScript's strings beyond U+FFFF only. */
function isBefore(a: string, b: string): boolean {
  return plain.test(a) && plain.test(b) ? a < b : Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}

function tooLate(): ArchiverError {
  return new ArchiverError('BucketUnavailable', `S3 did not list within ${calls.bucketMs / 1_000} s.`);
}
