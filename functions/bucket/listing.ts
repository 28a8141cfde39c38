/** Lists the bucket's objects, or all their versions, in the order of their keys. */
import { ListObjectsV2Command, ListObjectVersionsCommand, type S3Client } from '@aws-sdk/client-s3';
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

/** Everything that a bucket has at one key. */
export interface ListedKey {
  key: string;
  /** The version that a GET returns; undefined if a delete marker hides the object. */
  current:
    | {
        bytes: number;
        /** Milliseconds since the Unix epoch. */
        modified: number;
        versionId: string;
        etag: string;
      }
    | undefined;
  /** Number of versions besides the current one. */
  otherVersions: number;
  deleteMarkers: number;
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

/** The place after which a page begins. */
interface Position {
  key: string;
  /** Set if the page may begin with further versions of this key. */
  versionId?: string | undefined;
}

interface Page<Item> {
  /** Sorted by key, without duplicates. */
  items: Item[];
  /** Undefined if this is the last page. */
  next: Position | undefined;
}

/**
 * Lists the objects of a key range. Requests the next page while the caller works on the current one. When the caller
 * stops, that request is aborted and awaited: no request is left running.
 *
 * @throws ArchiverError BucketMisconfigured if the keys are not in UTF-8 byte order, and the errors of `createBucket`
 */
export function listArchive(options: ListingOptions, range: KeyRange): AsyncGenerator<ListedObject> {
  return readInOrder(range, (after, stopped) => readObjects(options, range.prefix, after, stopped));
}

/**
 * Lists all versions and delete markers of a key range, one row per key. Otherwise like `listArchive`. In a bucket without
 * versions, each key has only the current one, `null`.
 */
export async function* listVersions(options: ListingOptions, range: KeyRange): AsyncGenerator<ListedKey> {
  let row: ListedKey | undefined;
  const pages = readInOrder(range, (after, stopped) => readVersions(options, range.prefix, after, stopped));
  for await (const part of pages) {
    if (row?.key === part.key) addTo(row, part);
    else {
      if (row) yield row;
      row = part;
    }
  }
  if (row) yield row;
}

/** Adds what a later page has of the same key. */
function addTo(row: ListedKey, { current, otherVersions, deleteMarkers }: ListedKey): void {
  row.current ??= current;
  row.otherVersions += otherVersions;
  row.deleteMarkers += deleteMarkers;
}

/**
 * General purpose buckets list their keys in the order of their UTF-8 bytes (Amazon S3 API reference, ListObjectsV2 and
 * ListObjectVersions). Other types of bucket and other servers may not; the audit relies on this order.
 */
async function* readInOrder<Item extends { key: string }>(
  range: KeyRange,
  readPage: (after: Position, stopped: AbortSignal) => Promise<Page<Item>>,
): AsyncGenerator<Item> {
  const from = range.from ?? '';
  const { before } = range;
  let after: Position = { key: startAfterFor(from) };
  let last = after.key;
  const stop = new AbortController();
  let pending: Promise<Page<Item>> | undefined = readPage(after, stop.signal);
  try {
    while (pending) {
      const page: Page<Item> = await pending;
      // Stryker disable next-line ConditionalExpression: no key is at or after undefined; required by the type.
      const isPast: boolean = page.next !== undefined && before !== undefined && page.next.key >= before;
      pending = page.next === undefined || isPast ? undefined : readPage(page.next, stop.signal);
      // Prevents an unhandled rejection while the caller works on the current page.
      pending?.catch(() => undefined);
      let mayRepeat = after.versionId !== undefined;
      for (const item of page.items) {
        const order = compareKeys(last, item.key);
        if (order > 0 || (order === 0 && !mayRepeat)) {
          throw new ArchiverError(
            'BucketMisconfigured',
            'The bucket does not list its keys in UTF-8 byte order. Use a general purpose bucket.',
          );
        }
        mayRepeat = false;
        last = item.key;
        if (item.key < from) continue;
        // Stryker disable next-line ConditionalExpression: no key is at or after undefined; required by the type.
        if (before !== undefined && item.key >= before) return;
        yield item;
      }
      after = page.next ?? after;
    }
  } finally {
    stop.abort(new Error('The rest of the listing is not needed.'));
    await pending?.catch(() => undefined);
  }
}

/** A page excludes the key after which it begins, so this is a key just before it. The caller skips keys between the two. */
function startAfterFor(key: string): string {
  const last = key.length - 1;
  return key === '' ? '' : `${key.slice(0, last)}${String.fromCharCode(key.charCodeAt(last) - 1)}\u{10ffff}`;
}

async function readObjects(
  options: ListingOptions,
  prefix: string | undefined,
  after: Position,
  stopped: AbortSignal,
): Promise<Page<ListedObject>> {
  const command = new ListObjectsV2Command({
    ...address(options, prefix),
    ...(after.key === '' ? {} : { StartAfter: after.key }),
  });
  const response = await request(options, stopped, (s3, abortSignal) => s3.send(command, { abortSignal }));
  const items = (response.Contents ?? []).map(({ Key, Size, LastModified }) => ({
    key: decodeKey(Key ?? ''),
    bytes: Size ?? 0,
    modified: LastModified?.getTime() ?? 0,
  }));
  const last = items.at(-1);
  return { items, next: response.IsTruncated && last ? { key: last.key } : undefined };
}

async function readVersions(
  options: ListingOptions,
  prefix: string | undefined,
  after: Position,
  stopped: AbortSignal,
): Promise<Page<ListedKey>> {
  const command = new ListObjectVersionsCommand({
    ...address(options, prefix),
    ...(after.key === '' ? {} : { KeyMarker: after.key }),
    ...(after.versionId === undefined ? {} : { VersionIdMarker: after.versionId }),
  });
  const response = await request(options, stopped, (s3, abortSignal) => s3.send(command, { abortSignal }));
  const rows = new Map<string, ListedKey>();
  const rowOf = (encoded = ''): ListedKey => {
    const key = decodeKey(encoded);
    const row = rows.get(key) ?? { key, current: undefined, otherVersions: 0, deleteMarkers: 0 };
    rows.set(key, row);
    return row;
  };
  for (const { Key, Size, LastModified, VersionId, ETag, IsLatest } of response.Versions ?? []) {
    const row = rowOf(Key);
    if (IsLatest) {
      const modified = LastModified?.getTime() ?? 0;
      row.current = { bytes: Size ?? 0, modified, versionId: VersionId ?? 'null', etag: ETag ?? '' };
    } else row.otherVersions += 1;
  }
  for (const { Key } of response.DeleteMarkers ?? []) rowOf(Key).deleteMarkers += 1;
  // The SDK separates delete markers from versions, which S3 lists together.
  const items = [...rows.values()].sort((a, b) => compareKeys(a.key, b.key));
  if (!response.IsTruncated) return { items, next: undefined };
  const key = decodeKey(response.NextKeyMarker ?? '');
  const next = { key, versionId: response.NextVersionIdMarker };
  if (key === '' || (key === after.key && next.versionId === after.versionId)) {
    throw new ArchiverError('BucketMisconfigured', 'The bucket does not list its versions to the end.');
  }
  return { items, next };
}

function address({ name }: ListingOptions, prefix: string | undefined) {
  return {
    Bucket: name,
    // XML cannot represent every character that a key can contain.
    EncodingType: 'url' as const,
    ...(prefix === undefined ? {} : { Prefix: prefix }),
  };
}

function request<Response>(
  { s3, time, retry, onRequest }: ListingOptions,
  stopped: AbortSignal,
  send: (s3: ListingOptions['s3'], abortSignal: AbortSignal) => Promise<Response>,
): Promise<Response> {
  return retry((signal) =>
    withDeadline(time, calls.bucketMs, AbortSignal.any([signal, stopped]), timedOut, async (abortSignal) => {
      onRequest();
      try {
        return await send(s3, abortSignal);
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

/** In UTF-8 byte order, which differs from the order of JavaScript's strings only above U+FFFF. */
function compareKeys(a: string, b: string): number {
  // Stryker disable next-line ConditionalExpression,LogicalOperator,BooleanLiteral: the two orders differ only if neither key is plain.
  if (!plainKey.test(a) || !plainKey.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : Number(a > b);
}

function timedOut(): ArchiverError {
  return new ArchiverError(
    'BucketUnavailable',
    `S3 did not respond to a listing within ${calls.bucketMs / 1_000} s.`,
  );
}
