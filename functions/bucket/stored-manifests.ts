/** Reads manifests from the bucket as streams, without a local copy. */
import { createHash } from 'node:crypto';
import { addAbortSignal } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { nameOf } from '../errors.ts';
import {
  type IdRange,
  isWithin,
  type ManifestEntry,
  type ManifestHead,
  type ManifestLine,
  overlap,
  readManifestEntries,
  readManifestHead,
  type StretchLine,
} from './manifest-text.ts';
import { openObject } from './open-object.ts';
import { asBucketError } from './s3-errors.ts';
import type { StorageRetry } from './storage-retry.ts';
import type { Bucket } from './store.ts';

export interface ManifestDependencies {
  s3: Pick<S3Client, 'send'>;
  name: string;
  bucket: Pick<Bucket, 'read'>;
  retry: StorageRetry;
  /** Called before each request. */
  onRequest: () => void;
}

type StreamDependencies = Omit<ManifestDependencies, 'bucket'>;

/** What is wrong with a manifest, or with a stretch file that it names. */
export interface ManifestDefect {
  code: 'manifest-removed' | 'manifest-altered';
  key: string;
  detail: string;
}

/** A manifest of millions of documents takes longer than the client's default timeout. */
const downloadMs = 3_600_000;

/** The text is not that of a manifest. */
export function malformed(key: string): ManifestDefect {
  return { code: 'manifest-altered', key, detail: 'not in the format of a manifest' };
}

/** @param namedBy key of the file that names it */
export function missing(key: string, namedBy: string): ManifestDefect {
  return { code: 'manifest-removed', key, detail: `named by ${namedBy}` };
}

/** @param namedBy key of the file that states another SHA-256 */
export function differing(key: string, namedBy: string): ManifestDefect {
  return { code: 'manifest-altered', key, detail: `its SHA-256 differs from the one in ${namedBy}` };
}

/**
 * Downloads an object and calls `use` with its bytes as they arrive. After a temporary failure, starts again from the
 * beginning. The download ends when `use` has ended.
 *
 * @returns the result, and the SHA-256 in lower-case hex of the bytes that were read; undefined if there is no object
 * @throws ArchiverError the errors of `Bucket`, or a RangeError of `use`
 */
export function streamObject<Result>(
  key: string,
  use: (chunks: AsyncIterable<Buffer>) => Promise<Result>,
  { s3, name, retry, onRequest }: StreamDependencies,
): Promise<{ result: Result; sha256: string } | undefined> {
  return retry(async (signal) => {
    onRequest();
    const hash = createHash('sha256');
    async function* hashed(chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    }
    try {
      const body = await openObject({ s3, name }, key, { signal, requestTimeoutMs: downloadMs });
      const result = await use(hashed(addAbortSignal(signal, body)));
      return { result, sha256: hash.digest('hex') };
    } catch (error) {
      signal.throwIfAborted();
      if (nameOf(error) === 'NoSuchKey') return undefined;
      throw error instanceof RangeError ? error : asBucketError(error);
    }
  });
}

/** Reads which other files a manifest names. `sha256` is that of the whole manifest only if it is a root manifest. */
export async function readStoredHead(
  key: string,
  dependencies: StreamDependencies,
): Promise<(ManifestHead & { sha256: string }) | undefined> {
  const read = await streamObject(key, (chunks) => readManifestHead(chunks, key), dependencies);
  return read && { ...read.result, sha256: read.sha256 };
}

type Claims =
  | { entries: ManifestEntry[]; defect?: undefined }
  | { entries?: undefined; defect: ManifestDefect };

/**
 * Reads what a manifest names within a range of IDs. Of a root manifest, it reads the whole stretch files that overlap the
 * range, and compares their digests with the root's lines. Any other manifest is read up to the end of the range, and its
 * digest is not compared. Holds only the entries of the range in memory.
 *
 * @throws ArchiverError the errors of `Bucket`
 */
export async function readClaimsWithin(
  { key, sha256 }: ManifestLine,
  range: IdRange,
  dependencies: StreamDependencies,
): Promise<Claims> {
  const head = await readStoredHead(key, dependencies);
  if (!head?.stretches) return readEntriesWithin(key, range, undefined, dependencies);
  if (head.sha256 !== sha256) return { defect: differing(key, 'the plan of the audit') };
  const entries: ManifestEntry[] = [];
  for (const stretch of head.stretches) {
    if (!overlap(stretch, range)) continue;
    const claims = await readEntriesWithin(key, range, stretch, dependencies);
    if (claims.defect) return claims;
    for (const entry of claims.entries) entries.push(entry);
  }
  return { entries };
}

/** @param stretch of a root manifest; undefined: the manifest names the documents itself */
async function readEntriesWithin(
  manifestKey: string,
  range: IdRange,
  stretch: StretchLine | undefined,
  dependencies: StreamDependencies,
): Promise<Claims> {
  const key = stretch?.key ?? manifestKey;
  const readRange = async (chunks: AsyncIterable<Buffer>) => {
    const entries: ManifestEntry[] = [];
    for await (const entry of readManifestEntries(chunks, stretch)) {
      if (isWithin(entry.id, range)) {
        entries.push(entry);
        continue;
      }
      // A stretch file is read to its end, for its digest.
      // Stryker disable next-line EqualityOperator: the first ID of a range is within it.
      if (!stretch && entry.id >= range.from) break;
    }
    return entries;
  };
  try {
    const read = await streamObject(key, readRange, dependencies);
    if (!read) return { defect: missing(key, stretch ? manifestKey : 'the plan of the audit') };
    if (stretch && read.sha256 !== stretch.sha256) return { defect: differing(key, manifestKey) };
    return { entries: read.result };
  } catch (error) {
    if (error instanceof RangeError) return { defect: malformed(key) };
    throw error;
  }
}
