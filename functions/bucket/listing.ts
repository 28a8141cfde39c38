/** Lists the bucket's objects in the order of their keys. */
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

export interface KeyRange {
  /** First key, inclusive. @default the first key of the bucket */
  from?: string;
  /** End of the range, exclusive. @default no end */
  before?: string;
  prefix?: string;
}

export interface ListingOptions {
  s3: Pick<S3Client, 'send'>;
  name: string;
  time: Time;
  retry: StorageRetry;
  /** Called before each request. */
  onRequest: () => void;
}

interface Page {
  objects: ListedObject[];
  isLast: boolean;
}

/**
 * Lists the objects of a key range. Requests the next page while the caller works on the current one.
 *
 * General purpose buckets list their keys in the order of their UTF-8 bytes (Amazon S3 API reference, ListObjectsV2).
 * Other types of bucket and other servers may not; the audit relies on this order.
 *
 * @throws ArchiverError BucketMisconfigured if the keys are not in that order, and the errors of `createBucket`
 */
export async function* listArchive(options: ListingOptions, range: KeyRange): AsyncGenerator<ListedObject> {
  const from = range.from ?? '';
  let last = startAfterFor(from);
  let next: Promise<Page> | undefined = readPage(options, range.prefix, last);
  while (next) {
    const { objects, isLast }: Page = await next;
    const end: string = objects.at(-1)?.key ?? last;
    const isPast: boolean = range.before !== undefined && end >= range.before;
    next = isLast || isPast || objects.length === 0 ? undefined : readPage(options, range.prefix, end);
    // Prevents an unhandled rejection when the caller stops before this page.
    next?.catch(() => undefined);
    for (const object of objects) {
      if (!isBefore(last, object.key)) {
        throw new ArchiverError(
          'BucketMisconfigured',
          'The bucket does not list its keys in UTF-8 byte order. Use a general purpose bucket.',
        );
      }
      last = object.key;
      if (object.key < from) continue;
      if (range.before !== undefined && object.key >= range.before) return;
      yield object;
    }
  }
}

/** `StartAfter` excludes the key itself, so this is a key just before it. The caller skips keys between the two. */
function startAfterFor(key: string): string {
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
    // XML cannot represent every character that a key can contain.
    EncodingType: 'url',
    ...(prefix === undefined ? {} : { Prefix: prefix }),
    ...(after === '' ? {} : { StartAfter: after }),
  });
  return retry((signal) =>
    withDeadline(time, calls.bucketMs, signal, timedOut, async (abortSignal) => {
      onRequest();
      try {
        const response = await s3.send(command, { abortSignal });
        const objects = (response.Contents ?? []).map(({ Key, Size, LastModified }) => ({
          key: decodeKey(Key ?? ''),
          bytes: Size ?? 0,
          modified: LastModified?.getTime() ?? 0,
        }));
        return { objects, isLast: response.IsTruncated !== true };
      } catch (error) {
        abortSignal.throwIfAborted();
        throw asBucketError(error);
      }
    }),
  );
}

const plainKey = /^[\w./-]*$/;

function decodeKey(key: string): string {
  return plainKey.test(key) ? key : decodeURIComponent(key.replaceAll('+', ' '));
}

/** Compares in UTF-8 byte order, which differs from the order of JavaScript's strings only above U+FFFF. */
function isBefore(a: string, b: string): boolean {
  // Stryker disable next-line ConditionalExpression,LogicalOperator: comparing bytes always works, but is slower.
  return plainKey.test(a) && plainKey.test(b) ? a < b : Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
}

function timedOut(): ArchiverError {
  return new ArchiverError(
    'BucketUnavailable',
    `S3 did not respond to a listing within ${calls.bucketMs / 1_000} s.`,
  );
}
