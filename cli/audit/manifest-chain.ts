/** The manifests in the bucket: whether each is there and as it was written, and what the newest one names. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { asBucketError } from '../../functions/bucket/s3-errors.ts';
import type { StorageRetry } from '../../functions/bucket/storage-retry.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import type { Finding } from './findings.ts';
import type { ListedObject } from './listing.ts';
import { documentsIn, manifestOfKey, type NamedFile, predecessorIn, readLine } from './manifest-text.ts';

export interface ManifestOnHand {
  key: string;
  stamp: string;
  sha256: string;
  predecessor: NamedFile | undefined;
}

export interface Chain {
  findings: Finding[];
  /** Oldest first, those that were altered included. */
  manifests: ManifestOnHand[];
  /** The newest manifest that is as it was written, and a copy of it on this machine. */
  base: { manifest: ManifestOnHand; path: string } | undefined;
  /** Of all of them and of those that are named. */
  latestStamp: string | undefined;
}

export interface ChainDependencies {
  s3: Pick<S3Client, 'send'>;
  name: string;
  bucket: Pick<Bucket, 'head' | 'hash' | 'read'>;
  retry: StorageRetry;
  signal: AbortSignal;
  onRequest: () => void;
}

/** Of the first line there is no more than this: a digest, two blanks, a key. */
const firstLineBytes = 200;
/** The second file beside a manifest has one line. */
const largestTagBytes = 4_096;
const manyMs = 3_600_000;

/**
 * Reads the manifests among `listed`, and looks for what must have been there: each manifest names the one before
 * it, and beside each lies a second file that names it. So no manifest can go or change by itself unseen. That the
 * newest one went together with the second file, only a copy of its digest elsewhere can tell (`expected`).
 *
 * @param expected SHA-256 of a manifest that must be there
 * @param spool path of a file to be written: the copy of the newest manifest
 */
export async function readChain(
  listed: AsyncIterable<ListedObject>,
  expected: string | undefined,
  spool: string,
  dependencies: ChainDependencies,
): Promise<Chain> {
  const manifests: ManifestOnHand[] = [];
  const claims: { by: string; names: NamedFile }[] = [];
  for await (const { key, bytes } of listed) {
    const place = manifestOfKey(key);
    if (place?.isTag && bytes > largestTagBytes) continue;
    if (place?.isTag) {
      for (const names of await readTag(key, dependencies)) claims.push({ by: key, names });
    } else if (place) {
      manifests.push({ key, stamp: place.stamp, ...(await readManifest(key, dependencies)) });
    }
  }
  // The newest first: what an altered manifest says of the one before it counts for nothing.
  for (const { key, predecessor } of manifests.toReversed()) {
    if (predecessor) claims.push({ by: key, names: predecessor });
  }

  const findings = new Map<string, Finding>();
  const onHand = new Map(manifests.map((manifest) => [manifest.key, manifest]));
  const found = (code: Finding['code'], key: string, detail: string) => {
    if (!findings.has(key)) findings.set(key, { code, key, detail });
  };
  for (const { by, names } of claims) {
    const manifest = onHand.get(names.key);
    if (!manifest) found('manifest-removed', names.key, `${by} names it`);
    else if (manifest.sha256 !== names.sha256 && !findings.has(by)) {
      found('manifest-altered', names.key, `its SHA-256 is not the one that ${by} names`);
    }
  }
  for (const { key, predecessor } of manifests.slice(1)) {
    if (!predecessor) found('manifest-altered', key, 'it does not name the manifest before it');
  }
  if (expected !== undefined && !manifests.some(({ sha256 }) => sha256 === expected)) {
    found('manifest-removed', 'manifests/', `none has the SHA-256 ${expected}`);
  }

  let base: Chain['base'];
  for (const manifest of manifests.toReversed()) {
    const { key } = manifest;
    if (findings.has(key)) continue;
    if (await spoolManifest(key, spool, dependencies)) {
      base = { manifest, path: spool };
      break;
    }
    found('manifest-altered', key, 'it is no manifest of the archiver’s');
  }
  const stamps = [...onHand.keys(), ...claims.map(({ names }) => names.key)].map(
    (key) => manifestOfKey(key)?.stamp,
  );
  const latestStamp = stamps.reduce(
    (latest = '', stamp = '') => (stamp > latest ? stamp : latest),
    undefined,
  );
  return { findings: [...findings.values()], manifests, base, latestStamp };
}

async function readManifest(
  key: string,
  { s3, name, bucket, retry, onRequest }: ChainDependencies,
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
      return Body === undefined ? '' : await Body.transformToString();
    } catch (error) {
      abortSignal.throwIfAborted();
      const refused = asBucketError(error);
      // An empty object has no range; it is no manifest either.
      if (refused.message.includes('InvalidRange')) return '';
      throw refused;
    }
  });
  return { sha256, predecessor: predecessorIn(start.split('\n', 1)[0] ?? '') };
}

async function readTag(key: string, { bucket, retry, onRequest }: ChainDependencies): Promise<NamedFile[]> {
  const text = await retry((signal) => {
    onRequest();
    return bucket.read(key, signal);
  });
  return (text?.toString('utf8') ?? '')
    .split('\n')
    .flatMap((line) => readLine(line) ?? [])
    .filter((named) => manifestOfKey(named.key)?.isTag === false);
}

/** @returns whether it is a manifest that the archiver may have written */
async function spoolManifest(
  key: string,
  path: string,
  { s3, name, retry, onRequest }: ChainDependencies,
): Promise<boolean> {
  await retry(async (abortSignal) => {
    onRequest();
    try {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: name, Key: key }), {
        abortSignal,
        requestTimeout: manyMs,
      });
      await pipeline(Body as Readable, createWriteStream(path), { signal: abortSignal });
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

/** SHA-256 of a text, in lower-case hex. */
export function sha256Of(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}
