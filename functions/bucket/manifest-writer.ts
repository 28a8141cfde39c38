/** Writes a manifest to a local draft file line by line, then publishes it with one PUT or one rename. */
import { createHash, randomBytes } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Time } from '../time.ts';
import { hexToBase64 } from './checksum.ts';
import {
  formatEntry,
  formatLine,
  type ManifestEntry,
  type ManifestLine,
  manifestKey,
  nextTimestamp,
} from './manifest-text.ts';
import { asBucketError, statusOf } from './s3-errors.ts';
import type { StorageRetry } from './storage-retry.ts';
import type { Bucket } from './store.ts';
import { manifestContentType, putTagFile } from './stretch-manifest.ts';

interface WrittenManifest {
  /** `s3://<bucket>/<key>`, or the path of a file. */
  place: string;
  /** Lower-case hex. */
  sha256: string;
  documents: number;
}

export interface ManifestDraft {
  add(entry: ManifestEntry): Promise<void>;
  /** Ends the draft and writes the manifest to its destination. Nothing is visible there before. */
  publish(): Promise<WrittenManifest>;
  /** Deletes the draft. Has no effect on a published manifest. */
  discard(): Promise<void>;
}

export interface DraftOptions {
  /** A folder that no other process uses. */
  folder: string;
  /** The previous manifest, named in the first line. */
  predecessor: ManifestLine | undefined;
  /** Latest timestamp of the manifests in the bucket; the new one is later. */
  latestTimestamp: string | undefined;
  /** Absolute path of a file to write, or undefined to write to the bucket. */
  file: string | undefined;
  s3: Pick<S3Client, 'send'>;
  name: string;
  bucket: Pick<Bucket, 'head' | 'putOnce'>;
  retry: StorageRetry;
  time: Time;
  signal: AbortSignal;
}

/** Lines are buffered and written in blocks of this size. */
const blockBytes = 256 * 1024;
/** A manifest of a million documents has about 230 MB, too much for the client's default timeout on a slow network. */
const uploadMs = 3_600_000;

export async function draftManifest(options: DraftOptions): Promise<ManifestDraft> {
  const { predecessor, file, signal } = options;
  const path = join(options.folder, 'manifest.draft');
  const handle = await open(path, 'w');
  const hash = createHash('sha256');
  let bytes = 0;
  let documents = 0;
  let buffered = predecessor ? formatLine(predecessor) : '';
  const flush = async () => {
    const block = Buffer.from(buffered);
    buffered = '';
    hash.update(block);
    bytes += block.length;
    await handle.writeFile(block);
  };
  return {
    add: async (entry) => {
      documents += 1;
      buffered += formatEntry(entry);
      if (buffered.length >= blockBytes) await flush();
    },
    publish: async () => {
      await flush();
      await handle.close();
      signal.throwIfAborted();
      const sha256 = hash.digest('hex');
      const place =
        file === undefined ? await upload(path, sha256, bytes, options) : await copyTo(path, file);
      return { place, sha256, documents };
    },
    discard: async () => {
      await handle.close();
      await rm(path, { force: true });
    },
  };
}

async function copyTo(path: string, file: string): Promise<string> {
  const partial = `${file}.${randomBytes(6).toString('hex')}.part`;
  // The draft may be on another file system, and a rename works within one only.
  try {
    await copyFile(path, partial, constants.COPYFILE_EXCL);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  return file;
}

async function upload(
  path: string,
  sha256: string,
  bytes: number,
  { s3, name, bucket, latestTimestamp, retry, time }: DraftOptions,
): Promise<string> {
  const timestamp = nextTimestamp(latestTimestamp, time.now() / 1_000);
  const key = manifestKey(timestamp);
  await retry(async (abortSignal) => {
    try {
      await s3.send(
        new PutObjectCommand({
          Bucket: name,
          Key: key,
          Body: createReadStream(path),
          ContentLength: bytes,
          ContentType: manifestContentType,
          ChecksumSHA256: hexToBase64(sha256),
          IfNoneMatch: '*',
        }),
        { abortSignal, requestTimeout: uploadMs },
      );
    } catch (error) {
      abortSignal.throwIfAborted();
      // An earlier attempt wrote it, but its response was lost.
      if (statusOf(error) === 412 && (await bucket.head(key, abortSignal))?.sha256 === sha256) return;
      if (statusOf(error) === 412) {
        throw new Error(
          'Another audit wrote a manifest at the same time. Nothing was overwritten. Run the audit again.',
        );
      }
      throw asBucketError(error);
    }
  });
  await retry((abortSignal) => putTagFile(timestamp, sha256, bucket, abortSignal));
  return `s3://${name}/${key}`;
}
