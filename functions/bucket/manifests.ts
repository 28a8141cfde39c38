/** Reads the manifests in the bucket: their digests, and which manifest each of them and each tag file names. */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { ListedObject } from './listing.ts';
import { documentsIn, manifestOfKey, type NamedFile, predecessorIn, readLine } from './manifest-text.ts';
import { openObject } from './open-object.ts';
import { asBucketError } from './s3-errors.ts';
import type { StorageRetry } from './storage-retry.ts';
import type { Bucket } from './store.ts';

export interface Manifest {
  key: string;
  stamp: string;
  sha256: string;
  predecessor: NamedFile | undefined;
}

/** What the file `by` says of a manifest: its key and its digest. */
export interface ManifestClaim {
  by: string;
  names: NamedFile;
}

export interface ManifestDependencies {
  s3: Pick<S3Client, 'send'>;
  name: string;
  bucket: Pick<Bucket, 'head' | 'hash' | 'read'>;
  retry: StorageRetry;
  onRequest: () => void;
}

/** More than the longest first line: a digest, two spaces, a key. */
const firstLineBytes = 200;
/** A tag file has one line. */
const largestTagBytes = 4_096;
/** Downloading a manifest of millions of documents takes longer than a function's requests may. */
const downloadMs = 3_600_000;

/**
 * @param listed what is under `manifests/`
 * @returns manifests, oldest first; claims, those of tag files first, then those of manifests from the newest on
 * @throws ArchiverError those of `Bucket`
 */
export async function readManifests(
  listed: AsyncIterable<ListedObject>,
  dependencies: ManifestDependencies,
): Promise<{ manifests: Manifest[]; claims: ManifestClaim[] }> {
  const manifests: Manifest[] = [];
  const claims: ManifestClaim[] = [];
  for await (const { key, bytes } of listed) {
    const place = manifestOfKey(key);
    if (place?.isTag && bytes > largestTagBytes) continue;
    if (place?.isTag) {
      for (const names of await readTag(key, dependencies)) claims.push({ by: key, names });
    } else if (place) {
      manifests.push({ key, stamp: place.stamp, ...(await readManifest(key, dependencies)) });
    }
  }
  for (const { key, predecessor } of manifests.toReversed()) {
    if (predecessor) claims.push({ by: key, names: predecessor });
  }
  return { manifests, claims };
}

async function readManifest(
  key: string,
  { s3, name, bucket, retry, onRequest }: ManifestDependencies,
): Promise<{ sha256: string; predecessor: NamedFile | undefined }> {
  const sha256 = await retry(async (signal) => {
    onRequest();
    return (await bucket.head(key, signal))?.sha256 ?? bucket.hash(key, signal);
  });
  const start = await retry(async (abortSignal) => {
    onRequest();
    try {
      const range = `bytes=0-${firstLineBytes - 1}`;
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: name, Key: key, Range: range }), {
        abortSignal,
      });
      return await (Body as NonNullable<typeof Body>).transformToString();
    } catch (error) {
      abortSignal.throwIfAborted();
      const refused = asBucketError(error);
      // An empty object has no range, and is not a manifest either.
      if (refused.message.includes('InvalidRange')) return '';
      throw refused;
    }
  });
  return { sha256, predecessor: predecessorIn(start.replace(/\n.*/s, '')) };
}

async function readTag(
  key: string,
  { bucket, retry, onRequest }: ManifestDependencies,
): Promise<NamedFile[]> {
  const text = await retry((signal) => {
    onRequest();
    return bucket.read(key, signal);
  });
  return (text?.toString('utf8') ?? '')
    .split('\n')
    .flatMap((line) => readLine(line) ?? [])
    .filter((named) => manifestOfKey(named.key)?.isTag === false);
}

/**
 * Downloads a manifest to a file.
 *
 * @returns false if the text is not a manifest of the archiver
 * @throws ArchiverError those of `Bucket`
 */
export async function downloadManifest(
  key: string,
  path: string,
  { s3, name, retry, onRequest }: ManifestDependencies,
): Promise<boolean> {
  await retry(async (abortSignal) => {
    onRequest();
    try {
      const body = await openObject({ s3, name }, key, { signal: abortSignal, requestTimeoutMs: downloadMs });
      await pipeline(body, createWriteStream(path), { signal: abortSignal });
    } catch (error) {
      abortSignal.throwIfAborted();
      throw asBucketError(error);
    }
  });
  try {
    for await (const _document of documentsIn(path));
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
