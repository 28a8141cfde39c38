/** Reads everything that the archive has of one document: versions, locks, tombstones, holds and catalogue. Changes nothing. */
import { hash } from 'node:crypto';
import * as v from 'valibot';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import { type HoldRecord, latestHoldRecord } from '../../functions/bucket/holds.ts';
import {
  contextsOfPrefix,
  contextTombstoneKey,
  documentKey,
  receiptKey,
} from '../../functions/bucket/keys.ts';
import { maxReceiptBytes } from '../../functions/bucket/receipts.ts';
import type { StorageRetry } from '../../functions/bucket/storage-retry.ts';
import type { ReplaceableBucket, StoredObject } from '../../functions/bucket/store.ts';
import { maxTombstoneBytes, parseTombstone, type Tombstone } from '../../functions/bucket/tombstones.ts';
import type { ObjectLock, ObjectVersion, Versions } from '../../functions/bucket/versions.ts';
import { type Fields, isFields } from '../../functions/telnyx/record.ts';
import { type DocumentName, nameInRecord } from '../document-name.ts';
import { isInCatalogue } from './catalogue-row.ts';

export interface ErasureDependencies {
  bucket: ReplaceableBucket;
  /** Undefined for an archiver that keeps no catalogue. */
  catalogue: CatalogueStore | undefined;
  versions: Versions;
  retry: StorageRetry;
  /** Milliseconds since the Unix epoch. */
  now: () => number;
  /** Version of the archiver, for tombstones and hold records. */
  archiver: string;
}

/** A version that an erasure deletes: everything at the three keys but the current tombstones, and all contexts. */
export interface ErasableVersion extends ObjectVersion {
  key: string;
  lock: ObjectLock;
}

export interface Examination {
  documentId: string;
  versions: ErasableVersion[];
  /** The tombstone at the receipt's key; undefined if the document is not erased, nor being erased. */
  tombstone: Tombstone | undefined;
  /** ETag of the current object at the receipt's key. */
  receiptEtag: string | undefined;
  /** Whether the tombstones of receipt, object and contexts are in place. */
  hasAllTombstones: boolean;
  /** What the tombstone will state about object and receipt. Taken from the receipt, so that it agrees with the manifests. */
  found: Tombstone['erased'];
  name: DocumentName;
  /** Whether the catalogue states, or may state, more about it than that it is erased. */
  isInCatalogue: boolean;
  /** The newest hold record, if it says that the document is held. */
  hold: HoldRecord | undefined;
}

/** @throws ArchiverError the errors of `Bucket` */
export async function examine(documentId: string, dependencies: ErasureDependencies): Promise<Examination> {
  const { bucket, retry } = dependencies;
  const [object, receipt, contextTombstone, contexts, hold, catalogued] = await Promise.all([
    examineKey(documentId, documentKey(documentId), dependencies),
    examineKey(documentId, receiptKey(documentId), dependencies),
    examineKey(documentId, contextTombstoneKey(documentId), dependencies),
    examineContexts(documentId, dependencies),
    retry((signal) => latestHoldRecord(documentId, bucket, signal)),
    isInCatalogue(documentId, dependencies),
  ]);
  const stated = receipt.tombstone ? undefined : readFields(receipt.body);
  return {
    documentId,
    versions: [...object.erasable, ...receipt.erasable, ...contextTombstone.erasable, ...contexts],
    tombstone: receipt.tombstone,
    receiptEtag: receipt.current?.etag,
    hasAllTombstones:
      receipt.tombstone !== undefined &&
      isSameText(object.body, receipt.body) &&
      isSameText(contextTombstone.body, receipt.body),
    found:
      receipt.hiddenTombstone?.erased ??
      withoutUndefined({
        archivedAt: stated?.archivedAt,
        document: stated?.object ?? digestOf(object.tombstone ? undefined : object.current),
        receipt: receipt.body && !receipt.tombstone ? { sha256: hash('sha256', receipt.body) } : undefined,
      }),
    name: nameInRecord(stated?.telnyx ?? {}),
    isInCatalogue: catalogued,
    hold: hold?.action === 'hold' ? hold : undefined,
  };
}

interface ExaminedKey {
  current: StoredObject | undefined;
  /** Text of the newest version that is not a delete marker; undefined for a document. */
  body: Buffer | undefined;
  /** The current object, if it is a whole tombstone. */
  tombstone: Tombstone | undefined;
  /** A whole tombstone below a delete marker. */
  hiddenTombstone: Tombstone | undefined;
  erasable: ErasableVersion[];
}

async function examineKey(
  documentId: string,
  key: string,
  dependencies: ErasureDependencies,
): Promise<ExaminedKey> {
  const { bucket, versions, retry } = dependencies;
  const current = await retry((signal) => bucket.head(key, signal));
  const all = await retry((signal) => versions.of(key, signal));
  const newest = all.find(({ isDeleteMarker }) => !isDeleteMarker);
  // A tombstone is recognised by its text; its metadata only saves reading a document, if the HEAD was about this version.
  const isNewer =
    newest?.isLatest === true && (!current || (current.versionId ?? 'null') !== newest.versionId);
  const isReceipt = key === receiptKey(documentId);
  const maxBytes = isReceipt ? maxReceiptBytes : maxTombstoneBytes;
  const body =
    newest && newest.bytes <= maxBytes && (isReceipt || isNewer || current?.state === 'erased')
      ? await retry((signal) => bucket.read(key, signal, newest.versionId))
      : undefined;
  const parsed = body && parseTombstone(documentId, body);
  const whole = typeof parsed === 'object' ? parsed : undefined;
  const tombstone = newest?.isLatest ? whole : undefined;
  const erasable = await withLocks(
    all.filter(({ isLatest }) => !(isLatest && tombstone)).map((version) => ({ ...version, key })),
    dependencies,
  );
  return { current, body, tombstone, hiddenTombstone: newest?.isLatest ? undefined : whole, erasable };
}

/** Everything below `contexts/<id>/`, whoever wrote it. */
async function examineContexts(
  documentId: string,
  dependencies: ErasureDependencies,
): Promise<ErasableVersion[]> {
  const { versions, retry } = dependencies;
  const all = await retry((signal) => versions.under(contextsOfPrefix(documentId), signal));
  return withLocks(all, dependencies);
}

function withLocks(
  all: readonly Omit<ErasableVersion, 'lock'>[],
  { versions, retry }: ErasureDependencies,
): Promise<ErasableVersion[]> {
  return Promise.all(
    all.map(async (version) => {
      const { key, versionId, isDeleteMarker } = version;
      const lock = isDeleteMarker
        ? undefined
        : await retry((signal) => versions.lockOf(key, versionId, signal));
      return { ...version, lock: lock ?? unlocked };
    }),
  );
}

function digestOf(object: StoredObject | undefined): Tombstone['erased']['document'] {
  return object?.sha256 === undefined ? undefined : { bytes: object.bytes, sha256: object.sha256 };
}

function withoutUndefined(
  facts: {
    [Name in keyof Tombstone['erased']]: Tombstone['erased'][Name] | undefined;
  },
): Tombstone['erased'] {
  return Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined));
}

function isSameText(a: Buffer | undefined, b: Buffer | undefined): boolean {
  // Stryker disable next-line OptionalChaining: the second is that of a tombstone, so it exists; required by the type.
  return a !== undefined && b?.equals(a) === true;
}

const unlocked: ObjectLock = { held: false, retention: undefined };

/** A receipt may have been changed, and is erased all the same: a malformed field counts as not stated. */
const receiptFields = v.object({
  archivedAt: v.fallback(v.optional(v.pipe(v.string(), v.isoTimestamp())), undefined),
  object: v.fallback(
    v.optional(v.object({ bytes: v.number(), sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) })),
    undefined,
  ),
  telnyx: v.fallback(v.optional(v.custom<Fields>(isFields)), undefined),
});

function readFields(body: Buffer | undefined): v.InferOutput<typeof receiptFields> | undefined {
  let json: unknown;
  try {
    json = JSON.parse(String(body));
  } catch {
    // No receipt, or not JSON: it states nothing. The parser's message would quote it.
  }
  const result = v.safeParse(receiptFields, json);
  return result.success ? result.output : undefined;
}

export type Refusal = { reason: 'held'; detail: string } | { reason: 'locked'; detail: string };

/** Why the document must not or cannot be erased now; undefined if it can. */
export function refusalOf(
  { versions, hold }: Pick<Examination, 'versions' | 'hold'>,
  bypassGovernance: boolean,
  now: number,
): Refusal | undefined {
  if (hold) return { reason: 'held', detail: `on hold since ${hold.at}: ${hold.reason}` };
  if (versions.some(({ lock }) => lock.held)) return { reason: 'held', detail: 'on legal hold in S3' };
  // Stryker disable next-line ArrayDeclaration: what has no `until` is not later than now.
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
