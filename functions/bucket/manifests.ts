/** Downloads the manifests of a bucket, and reads their digests and the references between them. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import type { ListedObject } from './listing.ts';
import {
  type ManifestLine,
  parseManifestKey,
  parseManifestReference,
  readManifestEntries,
  readPredecessor,
} from './manifest-text.ts';
import { openObject } from './open-object.ts';
import { asBucketError } from './s3-errors.ts';
import type { StorageRetry } from './storage-retry.ts';
import type { Bucket } from './store.ts';

export interface Manifest {
  key: string;
  timestamp: string;
  /** Of the downloaded bytes. Lower-case hex. */
  sha256: string;
  /** The previous manifest, as this one names it. */
  predecessor: ManifestLine | undefined;
  /** Path of the local copy. */
  path: string;
}

/** A manifest or a tag file names a manifest: its key and its digest. */
export interface ManifestReference {
  from: string;
  to: ManifestLine;
}

export interface ManifestDependencies {
  s3: Pick<S3Client, 'send'>;
  name: string;
  bucket: Pick<Bucket, 'read'>;
  retry: StorageRetry;
  onRequest: () => void;
}

/** More than any tag file, which has one line. */
const maxTagBytes = 4_096;
/** A manifest of millions of documents takes longer than the client's default timeout. */
const downloadMs = 3_600_000;

/**
 * @param listed the objects under `manifests/`
 * @param folder for the copies
 * @returns manifests, oldest first; references, first those of tag files, then those of manifests, newest first
 * @throws ArchiverError the errors of `Bucket`
 */
export async function readManifests(
  listed: AsyncIterable<ListedObject>,
  folder: string,
  dependencies: ManifestDependencies,
): Promise<{ manifests: Manifest[]; references: ManifestReference[] }> {
  const manifests: Manifest[] = [];
  const references: ManifestReference[] = [];
  for await (const { key, bytes } of listed) {
    const parsed = parseManifestKey(key);
    if (parsed?.file === 'tag' && bytes > maxTagBytes) continue;
    if (parsed?.file === 'tag') {
      for (const to of await readTag(key, dependencies)) references.push({ from: key, to });
    } else if (parsed?.file === 'manifest') {
      const { timestamp } = parsed;
      const path = join(folder, `manifest-${timestamp}`);
      const sha256 = await download(key, path, dependencies);
      manifests.push({ key, timestamp, sha256, path, predecessor: await readPredecessor(path) });
    }
  }
  for (const { key, predecessor } of manifests.toReversed()) {
    if (predecessor) references.push({ from: key, to: predecessor });
  }
  return { manifests, references };
}

/** @returns the SHA-256 of the downloaded bytes */
function download(
  key: string,
  path: string,
  { s3, name, retry, onRequest }: ManifestDependencies,
): Promise<string> {
  return retry(async (abortSignal) => {
    onRequest();
    const hash = createHash('sha256');
    async function* hashed(chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    }
    try {
      const body = await openObject({ s3, name }, key, { signal: abortSignal, requestTimeoutMs: downloadMs });
      await pipeline(body, hashed, createWriteStream(path), { signal: abortSignal });
    } catch (error) {
      abortSignal.throwIfAborted();
      throw asBucketError(error);
    }
    return hash.digest('hex');
  });
}

async function readTag(
  key: string,
  { bucket, retry, onRequest }: ManifestDependencies,
): Promise<ManifestLine[]> {
  const text = await retry((signal) => {
    onRequest();
    return bucket.read(key, signal);
  });
  if (text === undefined) return [];
  const lines = text.toString('utf8').split('\n');
  return lines.flatMap((line) => parseManifestReference(line) ?? []);
}

/** @returns the number of documents; undefined if the archiver did not write the text in this form */
export async function countDocuments({ path }: Pick<Manifest, 'path'>): Promise<number | undefined> {
  try {
    let documents = 0;
    for await (const _entry of readManifestEntries(path)) documents += 1;
    return documents;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
