/**
 * Erases one document: a tombstone at the receipt's key, the same at the object's key, then every other version of both
 * is deleted. From the first step on, no delivery archives the document again. Killed anywhere, the same call goes on.
 */
import { latestHoldRecord } from '../../functions/bucket/holds.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { parseTombstone, type Tombstone, tombstoneObject } from '../../functions/bucket/tombstones.ts';
import { ArchiverError } from '../../functions/errors.ts';
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

/** A writer other than a delivery competes for the keys; only a break-glass role can. */
const maxRounds = 5;

/** @param found a recent examination that `refusalOf` has no objection to @throws ArchiverError the errors of `Bucket` */
export async function eraseDocument(
  found: Examination,
  order: ErasureOrder,
  dependencies: ErasureDependencies,
): Promise<Erasure> {
  const { documentId } = found;
  const { now, archiver } = dependencies;
  const planned: Tombstone = found.tombstone ?? {
    v: 1,
    state: 'erased',
    documentId,
    erasedAt: new Date(now()).toISOString(),
    erasedBy: order.erasedBy,
    basis: order.basis,
    erased: found.current,
    archiver,
  };
  const deleted: ErasableVersion[] = [];
  for (let round = 0; round < maxRounds; round += 1) {
    const tombstone = await ensureTombstone(receiptKey(documentId), planned, dependencies);
    await ensureTombstone(documentKey(documentId), tombstone, dependencies);
    const left = await examine(documentId, dependencies);
    if (!left.hasBothTombstones) continue;
    if (left.versions.length === 0) return { ...provenErasure(tombstone), deleted };
    const unfinished = await deleteVersions(left, order, deleted, dependencies);
    if (unfinished) return { ...provenErasure(tombstone), deleted, unfinished };
  }
  throw new ArchiverError(
    'BucketConflict',
    'Something else keeps writing to the keys of this document. Find out what it is, then run the command again.',
  );
}

/**
 * Makes the tombstone the current object of a key.
 *
 * @returns the tombstone that is there: an earlier one, if it is whole
 */
async function ensureTombstone(
  key: string,
  tombstone: Tombstone,
  { bucket, retry }: ErasureDependencies,
): Promise<Tombstone> {
  const object = tombstoneObject(key, tombstone);
  const isReceipt = key === receiptKey(tombstone.documentId);
  for (let round = 0; round < maxRounds; round += 1) {
    const head = await retry((signal) => bucket.head(key, signal));
    if (head?.state === 'erased') {
      const body = await retry((signal) => bucket.read(key, signal));
      const existing = body && parseTombstone(tombstone.documentId, body);
      if (typeof existing === 'object' && (isReceipt || body?.equals(object.body))) return existing;
    }
    const written = await retry(async (signal) =>
      head?.etag === undefined
        ? (await bucket.putOnce(object, signal)) !== 'exists'
        : (await bucket.putOver(object, head.etag, signal)) !== 'changed',
    );
    if (written) return tombstone;
  }
  throw new ArchiverError(
    'BucketConflict',
    `Something else keeps writing to ${key}. Find out what it is, then run the command again.`,
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
