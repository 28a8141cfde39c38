/** Writes a root manifest: first the files of its stretches, in any order, then the root and its tag file. */
import { hash } from 'node:crypto';
import { ArchiverError } from '../errors.ts';
import {
  countDocuments,
  formatEntry,
  formatLine,
  type IdRange,
  type ManifestEntry,
  type ManifestLine,
  manifestKey,
  readManifestEntries,
  readManifestHead,
  stretchManifestKey,
  tagManifestKey,
} from './manifest-text.ts';
import { type Bucket, objectInMemory } from './store.ts';

/** Of manifests and tag files. */
export const manifestContentType = 'text/plain; charset=utf-8';

interface StretchManifest extends IdRange {
  /** Of the root manifest. */
  timestamp: string;
  /** Sorted by ID, all of them within the stretch. */
  entries: readonly ManifestEntry[];
}

/**
 * Writes the file of a stretch. A file that another delivery has written stays, and its digest is returned.
 *
 * @throws RangeError if the entries are not sorted or not of this stretch; ArchiverError KeyCollision if something else
 *   is at its key, and the errors of `Bucket`
 */
export async function writeStretchManifest(
  { timestamp, from, before, entries }: StretchManifest,
  bucket: Pick<Bucket, 'putOnce' | 'read'>,
  signal: AbortSignal,
): Promise<ManifestLine & { documents: number }> {
  const stretch = { from, before };
  const key = stretchManifestKey(timestamp, stretch);
  const body = Buffer.from(entries.map(formatEntry).join(''));
  const count = (bytes: Buffer) => countDocuments(readManifestEntries([bytes], stretch));
  // It cannot be replaced later, so its text is checked first.
  if ((await count(body)) !== entries.length) {
    throw new RangeError('The entries are not sorted, or not of this stretch.');
  }
  const { bytes, sha256 } = await putText(key, body, bucket, signal);
  const documents = await count(bytes);
  if (documents === undefined) throw collision('Another text is at the key of a stretch of the manifest.');
  return { key, sha256, documents };
}

interface RootManifest {
  timestamp: string;
  /** The previous manifest. */
  predecessor?: ManifestLine | undefined;
  /** The stretch files of this timestamp, in the order of their stretches. */
  stretches: readonly ManifestLine[];
}

/**
 * Writes a root manifest, then its tag file. Has no effect if both are there with the same bytes.
 *
 * @throws RangeError if the stretches are not in order or overlap; ArchiverError KeyCollision if another manifest is at
 *   its key, and the errors of `Bucket`
 */
export async function writeRootManifest(
  { timestamp, predecessor, stretches }: RootManifest,
  bucket: Pick<Bucket, 'putOnce' | 'read'>,
  signal: AbortSignal,
): Promise<ManifestLine> {
  const key = manifestKey(timestamp);
  const body = Buffer.from([...(predecessor ? [predecessor] : []), ...stretches].map(formatLine).join(''));
  const written = await readManifestHead([body], key);
  if ((written.stretches ?? []).length !== stretches.length) {
    throw new RangeError('The stretches of the manifest are not in order, or overlap.');
  }
  const { bytes, sha256 } = await putText(key, body, bucket, signal);
  if (!bytes.equals(body)) throw collision('Another manifest is at the key of this one.');
  await putTagFile(timestamp, sha256, bucket, signal);
  return { key, sha256 };
}

/**
 * Writes the tag file of a manifest, if there is none.
 *
 * @param sha256 of the manifest
 * @throws ArchiverError the errors of `Bucket`
 */
export async function putTagFile(
  timestamp: string,
  sha256: string,
  bucket: Pick<Bucket, 'putOnce'>,
  signal: AbortSignal,
): Promise<void> {
  const line = formatLine({ sha256, key: manifestKey(timestamp) });
  await bucket.putOnce(objectInMemory(tagManifestKey(timestamp), line, manifestContentType), signal);
}

/** @returns the bytes at the key: these, or those that were there before */
async function putText(
  key: string,
  body: Buffer,
  bucket: Pick<Bucket, 'putOnce' | 'read'>,
  signal: AbortSignal,
): Promise<{ bytes: Buffer; sha256: string }> {
  const object = objectInMemory(key, body, manifestContentType);
  if ((await bucket.putOnce(object, signal)) !== 'exists') return { bytes: body, sha256: object.sha256 };
  const bytes = await bucket.read(key, signal);
  if (bytes === undefined) {
    throw new ArchiverError(
      'BucketConflict',
      'The manifest existed during the write, but was gone when it was read.',
    );
  }
  return { bytes, sha256: hash('sha256', bytes) };
}

function collision(message: string): ArchiverError {
  return new ArchiverError('KeyCollision', `${message} Nothing was overwritten.`);
}
