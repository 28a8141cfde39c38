/**
 * Erases one document. Writes a tombstone at the key of the receipt, then the same at the keys of the object and of the
 * contexts. Then rewrites its row in the catalogue, and deletes every other version at these keys and every context. From the
 * first tombstone on, no delivery archives the document again; from the third on, no look-up writes a context. If the process
 * is killed at any point, the same call goes on.
 */
import { latestHoldRecord } from '../../functions/bucket/holds.ts';
import { contextTombstoneKey, documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import type { NewObject, ReplaceableBucket } from '../../functions/bucket/store.ts';
import { type Tombstone, tombstoneObject } from '../../functions/bucket/tombstones.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { eraseRow } from './catalogue-row.ts';
import {
  type ErasableVersion,
  type ErasureDependencies,
  type Examination,
  examine,
  type Refusal,
  refusalOf,
} from './examine.ts';

export interface ErasureOrder {
  /** Reference to the reason, such as a ticket. */
  basis: string;
  /** Role that erases, without its session. */
  erasedBy: string;
  bypassGovernance: boolean;
}

export interface Erasure {
  tombstone: Tombstone;
  /** SHA-256 of the tombstone's text, in lower-case hex. */
  sha256: string;
  /** What this call deleted. */
  deleted: ErasableVersion[];
  /** Why versions are left; undefined if a listing has shown that only the tombstones are. */
  unfinished: Refusal | undefined;
}

/** The erasure of a document that an examination has shown to be complete. */
export function provenErasure(tombstone: Tombstone): Erasure {
  const { sha256 } = tombstoneObject(documentKey(tombstone.documentId), tombstone);
  return { tombstone, sha256, deleted: [], unfinished: undefined };
}

/** Rounds until a conflict is reported. Only another writer with a break-glass role can cause so many. */
const maxRounds = 5;

/** @param first a recent examination that `refusalOf` has no objection to @throws ArchiverError the errors of `Bucket` */
export async function eraseDocument(
  first: Examination,
  order: ErasureOrder,
  dependencies: ErasureDependencies,
): Promise<Erasure> {
  const { documentId } = first;
  const deleted: ErasableVersion[] = [];
  let found = first;
  for (let round = 0; round < maxRounds; round += 1) {
    const tombstone = found.tombstone ?? (await replaceReceipt(found, order, dependencies));
    if (tombstone && !found.hasAllTombstones) {
      await replaceObject(documentKey(documentId), tombstone, dependencies);
      await replaceObject(contextTombstoneKey(documentId), tombstone, dependencies);
    }
    if (tombstone) await eraseRow(documentId, dependencies);
    found = await examine(documentId, dependencies);
    if (!tombstone || !found.hasAllTombstones || found.isInCatalogue) continue;
    if (found.versions.length === 0) return { ...provenErasure(tombstone), deleted };
    const unfinished = await deleteVersions(found, order, deleted, dependencies);
    if (unfinished) return { ...provenErasure(tombstone), deleted, unfinished };
  }
  throw busy(documentId);
}

/**
 * Puts a tombstone at the receipt's key.
 *
 * @returns undefined if the receipt has changed since the examination: the tombstone would state a wrong digest
 */
async function replaceReceipt(
  { documentId, found, receiptEtag }: Examination,
  { basis, erasedBy }: ErasureOrder,
  { bucket, retry, now, archiver }: ErasureDependencies,
): Promise<Tombstone | undefined> {
  const tombstone: Tombstone = {
    v: 1,
    state: 'erased',
    documentId,
    erasedAt: new Date(now()).toISOString(),
    erasedBy,
    basis,
    erased: found,
    archiver,
  };
  const object = tombstoneObject(receiptKey(documentId), tombstone);
  const isWritten = await retry((signal) => putIfUnchanged(object, receiptEtag, bucket, signal));
  return isWritten ? tombstone : undefined;
}

/** Puts the tombstone at a key, whatever is there. */
async function replaceObject(
  key: string,
  tombstone: Tombstone,
  { bucket, retry }: ErasureDependencies,
): Promise<void> {
  const object = tombstoneObject(key, tombstone);
  for (let round = 0; round < maxRounds; round += 1) {
    const head = await retry((signal) => bucket.head(object.key, signal));
    if (head?.state === 'erased' && head.sha256 === object.sha256) return;
    if (await retry((signal) => putIfUnchanged(object, head?.etag, bucket, signal))) return;
  }
  throw busy(tombstone.documentId);
}

/** @param etag of the object that the key must have; undefined: none @returns false if the key has another */
async function putIfUnchanged(
  object: NewObject,
  etag: string | undefined,
  bucket: ReplaceableBucket,
  signal: AbortSignal,
): Promise<boolean> {
  return etag === undefined
    ? (await bucket.putOnce(object, signal)) !== 'exists'
    : (await bucket.putOver(object, etag, signal)) !== 'changed';
}

function busy(documentId: string): ArchiverError {
  return new ArchiverError(
    'BucketConflict',
    `Something else keeps writing to the keys of ${documentId}. Find out what it is, then run the command again.`,
  );
}

/** @param deleted receives each version that was deleted @returns why versions are left, if any are */
async function deleteVersions(
  found: Examination,
  { bypassGovernance }: ErasureOrder,
  deleted: ErasableVersion[],
  { bucket, versions, retry, now }: ErasureDependencies,
): Promise<Refusal | undefined> {
  for (const version of found.versions) {
    const { key, versionId } = version;
    // A hold may have been placed since the examination: its record is written before S3's own legal hold.
    const hold = await retry((signal) => latestHoldRecord(found.documentId, bucket, signal));
    const refusal = refusalOf(
      { versions: [version], hold: hold?.action === 'hold' ? hold : undefined },
      bypassGovernance,
      now(),
    );
    if (refusal) return refusal;
    try {
      await retry((signal) => versions.delete(key, versionId, bypassGovernance, signal));
    } catch (error) {
      const lock = version.isDeleteMarker
        ? undefined
        : await retry((signal) => versions.lockOf(key, versionId, signal));
      const reason =
        lock && refusalOf({ versions: [{ ...version, lock }], hold: undefined }, bypassGovernance, now());
      if (!reason) throw error;
      return reason;
    }
    deleted.push(version);
  }
  return undefined;
}
