/** Reads the manifests in the bucket: their digests, and the references between them. */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { ListedObject } from './listing.ts';
import {
  type ManifestLine,
  parseLine,
  parseManifestKey,
  parsePredecessor,
  readManifestEntries,
} from './manifest-text.ts';
import { openObject } from './open-object.ts';
import { asBucketError } from './s3-errors.ts';
import type { StorageRetry } from './storage-retry.ts';
import type { Bucket } from './store.ts';

export interface Manifest {
  key: string;
  timestamp: string;
  /** Lower-case hex. */
  sha256: string;
  /** The previous manifest, as this one names it. */
  predecessor: ManifestLine | undefined;
}

/** A manifest or a tag file names a manifest: its key and its digest. */
export interface ManifestReference {
  from: string;
  to: ManifestLine;
}

export interface ManifestDependencies {
  s3: Pick<S3Client, 'send'>;
  name: string;
  bucket: Pick<Bucket, 'head' | 'hash' | 'read'>;
  retry: StorageRetry;
  onRequest: () => void;
}

/** More than any first line: a digest, two spaces and a key. */
const firstLineBytes = 200;
/** More than any tag file, which has one line. */
const maxTagBytes = 4_096;
/** A manifest of millions of documents takes longer than the client's default timeout. */
const downloadMs = 3_600_000;

/**
 * @param listed the objects under `manifests/`
 * @returns manifests, oldest first; references, first those of tag files, then those of manifests, newest first
 * @throws ArchiverError the errors of `Bucket`
 */
export async function readManifests(
  listed: AsyncIterable<ListedObject>,
  dependencies: ManifestDependencies,
): Promise<{ manifests: Manifest[]; references: ManifestReference[] }> {
  const manifests: Manifest[] = [];
  const references: ManifestReference[] = [];
  for await (const { key, bytes } of listed) {
    const parsed = parseManifestKey(key);
    if (parsed?.isTag && bytes > maxTagBytes) continue;
    if (parsed?.isTag) {
      for (const to of await readTag(key, dependencies)) references.push({ from: key, to });
    } else if (parsed) {
      manifests.push({ key, timestamp: parsed.timestamp, ...(await readManifest(key, dependencies)) });
    }
  }
  for (const { key, predecessor } of manifests.toReversed()) {
    if (predecessor) references.push({ from: key, to: predecessor });
  }
  return { manifests, references };
}

async function readManifest(
  key: string,
  { s3, name, bucket, retry, onRequest }: ManifestDependencies,
): Promise<{ sha256: string; predecessor: ManifestLine | undefined }> {
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
      const bucketError = asBucketError(error);
      // S3 refuses any range of an empty object, which is not a manifest.
      if (bucketError.message.includes('InvalidRange')) return '';
      throw bucketError;
    }
  });
  return { sha256, predecessor: parsePredecessor(start.replace(/\n.*/s, '')) };
}

async function readTag(
  key: string,
  { bucket, retry, onRequest }: ManifestDependencies,
): Promise<ManifestLine[]> {
  const text = await retry((signal) => {
    onRequest();
    return bucket.read(key, signal);
  });
  return (text?.toString('utf8') ?? '')
    .split('\n')
    .flatMap((line) => parseLine(line) ?? [])
    .filter(({ key: named }) => parseManifestKey(named)?.isTag === false);
}

/**
 * Downloads a manifest to a file.
 *
 * @returns the number of documents; undefined if the archiver did not write the text in this form
 * @throws ArchiverError the errors of `Bucket`
 */
export async function downloadManifest(
  key: string,
  path: string,
  { s3, name, retry, onRequest }: ManifestDependencies,
): Promise<number | undefined> {
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
    let documents = 0;
    for await (const _entry of readManifestEntries(path)) documents += 1;
    return documents;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
