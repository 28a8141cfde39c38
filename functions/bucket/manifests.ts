/** Reads the manifests of a bucket: their digests, the references between them, and local copies of their text. */
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ArchiverError } from '../errors.ts';
import { manifestPrefix } from './keys.ts';
import type { ListedObject } from './listing.ts';
import {
  type ManifestEntry,
  type ManifestHead,
  type ManifestLine,
  parseManifestKey,
  parseManifestReference,
  readManifestEntries,
  readManifestHead,
} from './manifest-text.ts';
import { type ManifestDependencies, streamObject } from './stored-manifests.ts';

/** A manifest in the bucket: its key, its digest, and the files that it names. */
export interface NamedManifest extends ManifestLine, ManifestHead {}

/** A manifest with a local copy. */
export interface Manifest extends NamedManifest {
  /** Reads the copy: the documents, sorted by ID. Throws RangeError if the archiver did not write it in this form. */
  entries: () => AsyncGenerator<ManifestEntry>;
}

/** A manifest or a tag file names a manifest: its key and its digest. */
export interface ManifestReference {
  from: string;
  to: ManifestLine;
}

/** More than any tag file, which has one line. */
const maxTagBytes = 4_096;

/**
 * @param listed the objects under `manifests/`
 * @param read reads a manifest
 * @returns manifests, oldest first; references, first those of tag files, then those of manifests, newest first
 * @throws ArchiverError the errors of `Bucket`
 */
export async function readManifests<Read extends NamedManifest>(
  listed: AsyncIterable<ListedObject>,
  read: (key: string) => Promise<Read>,
  dependencies: Pick<ManifestDependencies, 'bucket' | 'retry' | 'onRequest'>,
): Promise<{ manifests: Read[]; references: ManifestReference[] }> {
  const manifests: Read[] = [];
  const references: ManifestReference[] = [];
  for await (const { key, bytes } of listed) {
    const file = parseManifestKey(key)?.file;
    if (file === 'manifest') manifests.push(await read(key));
    if (file !== 'tag' || bytes > maxTagBytes) continue;
    for (const to of await readTag(key, dependencies)) references.push({ from: key, to });
  }
  for (const { key, predecessor } of manifests.toReversed()) {
    if (predecessor) references.push({ from: key, to: predecessor });
  }
  return { manifests, references };
}

async function readTag(
  key: string,
  { bucket, retry, onRequest }: Pick<ManifestDependencies, 'bucket' | 'retry' | 'onRequest'>,
): Promise<ManifestLine[]> {
  const text = await retry((signal) => {
    onRequest();
    return bucket.read(key, signal);
  });
  if (text === undefined) return [];
  const lines = text.toString('utf8').split('\n');
  return lines.flatMap((line) => parseManifestReference(line) ?? []);
}

/**
 * Copies a manifest to a local folder, without the stretch files of a root manifest.
 *
 * @throws ArchiverError BucketConflict if it no longer exists, and the errors of `Bucket`
 */
export async function copyManifest(
  key: string,
  folder: string,
  dependencies: ManifestDependencies,
): Promise<Manifest> {
  const sha256 = await copyManifestFile(key, folder, dependencies);
  if (sha256 === undefined) throw deletedMeanwhile();
  const head = await readManifestHead(readCopy(key, folder), key);
  async function* entries(): AsyncGenerator<ManifestEntry> {
    if (!head.stretches) yield* readManifestEntries(readCopy(key, folder));
    else
      for (const stretch of head.stretches)
        yield* readManifestEntries(readCopy(stretch.key, folder), stretch);
  }
  return { key, sha256, ...head, entries };
}

/** Copies one file. @returns the SHA-256 of the bytes; undefined if it does not exist */
export async function copyManifestFile(
  key: string,
  folder: string,
  dependencies: ManifestDependencies,
): Promise<string | undefined> {
  const copy = (chunks: AsyncIterable<Buffer>) => pipeline(chunks, createWriteStream(pathOf(key, folder)));
  return (await streamObject(key, copy, dependencies))?.sha256;
}

export function deletedMeanwhile(): ArchiverError {
  return new ArchiverError('BucketConflict', 'A manifest was listed, but was gone when it was read.');
}

function readCopy(key: string, folder: string): AsyncIterable<Buffer> {
  // Stryker disable next-line ObjectLiteral: only saves time.
  return createReadStream(pathOf(key, folder), { highWaterMark: 256 * 1024 });
}

/** @param key one that the archiver writes: it has no `..` and two slashes */
function pathOf(key: string, folder: string): string {
  // Stryker disable next-line StringLiteral: any name does that only one key has.
  return join(folder, key.slice(manifestPrefix.length).replace('/', '-'));
}
