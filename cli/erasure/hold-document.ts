/** Places and releases the legal hold of one document, on every version of its object and its receipt. */
import { writeHoldRecord } from '../../functions/bucket/holds.ts';
import { contextPrefix, documentKey } from '../../functions/bucket/keys.ts';
import { type ErasureDependencies, type Examination, examine } from './examine.ts';

export interface HoldOrder {
  reason: string;
  /** Role that holds or releases, without its session. */
  by: string;
}

/**
 * `erased`: an erasure was complete before the hold was in place. `partly-erased`: it had deleted some versions; the
 * others are held.
 */
export type HoldOutcome = 'held' | 'already-held' | 'partly-erased' | 'erased' | 'not-archived';
export type ReleaseOutcome = 'released' | 'not-held' | 'not-archived';

/**
 * The record comes first: an erasure that reads it stops before its next deletion. The hold counts once the legal holds
 * are on and a listing shows that the versions are still there.
 *
 * @throws ArchiverError the errors of `Bucket`
 */
export async function placeHold(
  documentId: string,
  { reason, by }: HoldOrder,
  dependencies: ErasureDependencies,
): Promise<HoldOutcome> {
  const { bucket, versions, retry, now, archiver } = dependencies;
  const found = await examine(documentId, dependencies);
  const record = (action: 'hold' | 'release', why: string) =>
    retry((signal) =>
      writeHoldRecord({ documentId, action, by, reason: why, archiver }, now(), bucket, signal),
    );
  const tooLate = async () => {
    await record('release', 'The document was erased before the hold was in place.');
    return 'erased' as const;
  };
  if (lockable(found).length === 0) {
    if (!found.tombstone) return 'not-archived';
    // An interrupted command has left the record, which would stop every later erasure.
    return found.hold ? tooLate() : 'erased';
  }
  const wasHeld = found.hold !== undefined && lockable(found).every(({ lock }) => lock.held);
  if (!found.hold) await record('hold', reason);
  for (;;) {
    const left = lockable(await examine(documentId, dependencies));
    if (left.length === 0) return tooLate();
    const open = left.filter(({ lock }) => !lock.held);
    if (open.length === 0) {
      const hasObject = left.some(({ key }) => key === documentKey(documentId));
      const isWhole = left.length >= lockable(found).length && (hasObject || !found.tombstone);
      if (!isWhole) return 'partly-erased';
      return wasHeld ? 'already-held' : 'held';
    }
    for (const { key, versionId } of open) {
      await retry((signal) => versions.setHold(key, versionId, true, signal));
    }
  }
}

/**
 * The record comes last: killed before it, the document still counts as held, and the same command goes on.
 *
 * @throws ArchiverError the errors of `Bucket`
 */
export async function releaseHold(
  documentId: string,
  { reason, by }: HoldOrder,
  dependencies: ErasureDependencies,
): Promise<ReleaseOutcome> {
  const { bucket, versions, retry, now, archiver } = dependencies;
  const found = await examine(documentId, dependencies);
  const held = lockable(found).filter(({ lock }) => lock.held);
  if (!found.hold && held.length === 0) {
    return found.versions.some(isOfDocument) || found.tombstone ? 'not-held' : 'not-archived';
  }
  for (const { key, versionId } of held) {
    await retry((signal) => versions.setHold(key, versionId, false, signal));
  }
  await retry((signal) =>
    writeHoldRecord({ documentId, action: 'release', by, reason, archiver }, now(), bucket, signal),
  );
  return 'released';
}

/** A delete marker cannot be on hold. */
function lockable({ versions }: Examination): Examination['versions'] {
  return versions.filter((version) => !version.isDeleteMarker && isOfDocument(version));
}

/** Contexts get no legal hold in S3: the record of the hold keeps them from being erased. */
function isOfDocument({ key }: Examination['versions'][number]): boolean {
  return !key.startsWith(contextPrefix);
}
