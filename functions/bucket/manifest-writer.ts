/** Writes a manifest: first into a file on this machine, line by line, then in one PUT or one rename to its place. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Time } from '../time.ts';
import { hexToBase64 } from './checksum.ts';
import {
  lineOf,
  linesOf,
  manifestKey,
  type NamedDocument,
  secondsOfStamp,
  stampOf,
  tagManifestKey,
} from './manifest-text.ts';
import type { Manifest } from './manifests.ts';
import { asBucketError, statusOf } from './s3-errors.ts';
import type { StorageRetry } from './storage-retry.ts';
import type { Bucket } from './store.ts';

interface WrittenManifest {
  /** `s3://<bucket>/<key>`, or a file's path. */
  place: string;
  /** Lower-case hex. */
  sha256: string;
  documents: number;
}

export interface ManifestDraft {
  add(document: NamedDocument): Promise<void>;
  /** Ends the draft. Only now is anything seen of it outside. */
  publish(): Promise<WrittenManifest>;
  /** Forgets the draft; does nothing after it was published. */
  discard(): Promise<void>;
}

export interface DraftOptions {
  /** A folder of this process's own. */
  folder: string;
  /** The manifest that this one follows. */
  predecessor: Manifest | undefined;
  /** The latest of all in the bucket: this one comes after it. */
  latestStamp: string | undefined;
  /** Where it goes: a file's absolute path, or undefined for the bucket. */
  file: string | undefined;
  s3: Pick<S3Client, 'send'>;
  name: string;
  bucket: Pick<Bucket, 'head' | 'putOnce'>;
  retry: StorageRetry;
  time: Time;
  signal: AbortSignal;
}

const contentType = 'text/plain; charset=utf-8';
/** Lines are written to the file in pieces of this size. */
const pieceBytes = 256 * 1024;
/** A manifest of a million documents has some 230 MB; the functions' own limit of 60 s is not enough for every line. */
const uploadMs = 3_600_000;

export async function draftManifest(options: DraftOptions): Promise<ManifestDraft> {
  const { predecessor, file, signal } = options;
  const path = join(options.folder, 'manifest.draft');
  const handle = await open(path, 'w');
  const hash = createHash('sha256');
  let bytes = 0;
  let documents = 0;
  let piece = predecessor ? lineOf(predecessor) : '';
  const flush = async () => {
    const written = Buffer.from(piece);
    piece = '';
    hash.update(written);
    bytes += written.length;
    await handle.writeFile(written);
  };
  return {
    add: async (document) => {
      documents += 1;
      piece += linesOf(document);
      if (piece.length >= pieceBytes) await flush();
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
  const beside = `${file}.part`;
  // The draft may lie on another file system, from which nothing can be renamed.
  await copyFile(path, beside);
  await rename(beside, file);
  return file;
}

async function upload(
  path: string,
  sha256: string,
  bytes: number,
  { s3, name, bucket, latestStamp, retry, time }: DraftOptions,
): Promise<string> {
  // Names follow the order of the chain, whatever this machine's clock says.
  const earliest = latestStamp === undefined ? 0 : secondsOfStamp(latestStamp) + 1;
  const stamp = stampOf(Math.max(earliest, Math.floor(time.now() / 1_000)));
  const key = manifestKey(stamp);
  await retry(async (abortSignal) => {
    try {
      await s3.send(
        new PutObjectCommand({
          Bucket: name,
          Key: key,
          Body: createReadStream(path),
          ContentLength: bytes,
          ContentType: contentType,
          ChecksumSHA256: hexToBase64(sha256),
          IfNoneMatch: '*',
        }),
        { abortSignal, requestTimeout: uploadMs },
      );
    } catch (error) {
      abortSignal.throwIfAborted();
      // An attempt whose answer was lost on the way has written it.
      if (statusOf(error) === 412 && (await bucket.head(key, abortSignal))?.sha256 === sha256) return;
      if (statusOf(error) === 412) {
        throw new Error(
          'Somebody else is writing a manifest at this moment. Nothing was overwritten: try again.',
        );
      }
      throw asBucketError(error);
    }
  });
  const tag = Buffer.from(lineOf({ sha256, key }));
  const witness = {
    key: tagManifestKey(stamp),
    body: tag,
    bytes: tag.length,
    sha256: createHash('sha256').update(tag).digest('hex'),
    contentType,
  };
  await retry((abortSignal) => bucket.putOnce(witness, abortSignal));
  return `s3://${name}/${key}`;
}
