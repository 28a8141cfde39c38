/** Reads all that the bucket has of one document: versions, locks, tombstones and holds. Changes nothing. */
import { createHash } from 'node:crypto';
import { type HoldRecord, latestHoldRecord } from '../../functions/bucket/holds.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import type { Receipt } from '../../functions/bucket/receipts.ts';
import type { StorageRetry } from '../../functions/bucket/storage-retry.ts';
import type { ReplaceableBucket } from '../../functions/bucket/store.ts';
import { parseTombstone, type Tombstone } from '../../functions/bucket/tombstones.ts';
import type { ObjectLock, ObjectVersion, Versions } from '../../functions/bucket/versions.ts';
import { type DocumentName, nameInRecord } from '../document-name.ts';

export interface ErasureDependencies {
  bucket: ReplaceableBucket;
  versions: Versions;
  retry: StorageRetry;
  /** Milliseconds since the Unix epoch. */
  now: () => number;
  /** Version of the archiver, for tombstones and hold records. */
  archiver: string;
}

/** A version that an erasure deletes: everything at the two keys but the current tombstones. */
export interface ErasableVersion extends ObjectVersion {
  key: string;
  lock: ObjectLock;
}

export interface Examination {
  documentId: string;
  versions: ErasableVersion[];
  /** The tombstone at the receipt's key; undefined if the document is not erased, nor being erased. */
  tombstone: Tombstone | undefined;
  /** Whether both tombstones are in place. */
  hasBothTombstones: boolean;
  /** What the current object and receipt are, for the tombstone. */
  current: Tombstone['erased'];
  name: DocumentName;
  /** The newest hold record, if it says that the document is held. */
  hold: HoldRecord | undefined;
}

/** @throws ArchiverError the errors of `Bucket` */
export async function examine(
  documentId: string,
  { bucket, versions, retry }: ErasureDependencies,
): Promise<Examination> {
  const keys = { object: documentKey(documentId), receipt: receiptKey(documentId) };
  const tombstoneAt = async (key: string) => {
    const head = await retry((signal) => bucket.head(key, signal));
    // A tombstone is recognised by its text; the metadata only saves reading a large object.
    const body =
      head?.state === 'erased' || key === keys.receipt
        ? await retry((signal) => bucket.read(key, signal))
        : undefined;
    const parsed = body && parseTombstone(documentId, body);
    return { head, body, tombstone: typeof parsed === 'object' ? parsed : undefined };
  };
  const erasable = async (key: string, hasTombstone: boolean) => {
    const found = await retry((signal) => versions.of(key, signal));
    const others = found.filter(({ isLatest }) => !(isLatest && hasTombstone));
    return Promise.all(
      others.map(async (version) => ({
        ...version,
        key,
        lock: version.isDeleteMarker
          ? unlocked
          : ((await retry((signal) => versions.lockOf(key, version.versionId, signal))) ?? unlocked),
      })),
    );
  };

  const [object, receipt, hold] = await Promise.all([
    tombstoneAt(keys.object),
    tombstoneAt(keys.receipt),
    retry((signal) => latestHoldRecord(documentId, bucket, signal)),
  ]);
  const [atObject, atReceipt] = await Promise.all([
    erasable(keys.object, object.tombstone !== undefined),
    erasable(keys.receipt, receipt.tombstone !== undefined),
  ]);
  const written = receipt.tombstone === undefined ? readFields(receipt.body) : undefined;
  const sha256 = object.head?.sha256 ?? written?.object?.sha256;
  return {
    documentId,
    versions: [...atObject, ...atReceipt],
    tombstone: receipt.tombstone,
    hasBothTombstones: receipt.tombstone !== undefined && isSameText(object.body, receipt.body),
    current: {
      ...(written?.archivedAt !== undefined && { archivedAt: written.archivedAt }),
      ...(object.head && !object.tombstone && sha256 && { document: { bytes: object.head.bytes, sha256 } }),
      ...(receipt.body &&
        !receipt.tombstone && {
          receipt: { sha256: createHash('sha256').update(receipt.body).digest('hex') },
        }),
    },
    name: nameInRecord(written?.telnyx ?? {}),
    hold: hold?.action === 'hold' ? hold : undefined,
  };
}

function isSameText(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a !== undefined && b !== undefined && a.equals(b);
}

const unlocked: ObjectLock = { held: false, retention: undefined };

/** The fields of a receipt that are well-formed. A receipt may have been changed, and is erased all the same. */
function readFields(body: Buffer | undefined): Partial<Receipt> | undefined {
  if (body === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    // Not a receipt. The parser's message would quote it.
    return undefined;
  }
  return typeof json === 'object' && json !== null ? json : undefined;
}

export type Refusal = { reason: 'held'; detail: string } | { reason: 'locked'; detail: string };

/** Why the document must not or cannot be erased now; undefined if it can. */
export function refusalOf(
  { versions, hold }: Pick<Examination, 'versions' | 'hold'>,
  bypassGovernance: boolean,
  now: number,
): Refusal | undefined {
  if (versions.length === 0) return undefined;
  if (hold) return { reason: 'held', detail: `on hold since ${hold.at}: ${hold.reason}` };
  if (versions.some(({ lock }) => lock.held)) return { reason: 'held', detail: 'on legal hold in S3' };
  const locks = versions.flatMap(({ lock }) => lock.retention ?? []).filter(({ until }) => until > now);
  const latest = (mode: string) => {
    const ends = locks.filter((lock) => lock.mode === mode).map(({ until }) => until);
    return ends.length === 0 ? undefined : new Date(Math.max(...ends)).toISOString();
  };
  const compliance = latest('COMPLIANCE');
  if (compliance !== undefined) {
    return { reason: 'locked', detail: `COMPLIANCE lock until ${compliance}; nobody can delete it before` };
  }
  const governance = latest('GOVERNANCE');
  if (governance === undefined || bypassGovernance) return undefined;
  return { reason: 'locked', detail: `GOVERNANCE lock until ${governance}; pass --bypass-governance` };
}
