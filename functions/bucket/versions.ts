/**
 * The requests for the versions of an object and for their locks. No function uses them: only the commands `erase`, `hold`
 * and `release`, run by a role that the bucket policy allows to, and `audit`, which reads locks.
 */
import {
  DeleteObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectLegalHoldCommand,
} from '@aws-sdk/client-s3';
import { ArchiverError, nameOf } from '../errors.ts';
import { calls } from '../limits.ts';
import { withDeadline } from '../time.ts';
import { asBucketError } from './s3-errors.ts';
import type { BucketOptions } from './store.ts';

export interface ObjectVersion {
  versionId: string;
  isLatest: boolean;
  isDeleteMarker: boolean;
  bytes: number;
  /** Milliseconds since the Unix epoch. */
  modified: number;
}

/** What prevents the deletion of a version. */
export interface ObjectLock {
  /** Whether it is on legal hold. */
  held: boolean;
  retention: { mode: string /** Milliseconds since the Unix epoch. */; until: number } | undefined;
}

/** Each method throws ArchiverError as `Bucket` does, or the signal's reason. */
export interface Versions {
  /** All versions and delete markers of one key, newest first. */
  of(key: string, signal: AbortSignal): Promise<ObjectVersion[]>;
  /** The same of all keys that begin with `prefix`, in the order of their keys. */
  under(prefix: string, signal: AbortSignal): Promise<(ObjectVersion & { key: string })[]>;
  /** @returns undefined if the version does not exist */
  lockOf(key: string, versionId: string, signal: AbortSignal): Promise<ObjectLock | undefined>;
  /**
   * Deletes a version, or a delete marker, for good. Has no effect on a version that does not exist.
   *
   * @param bypassGovernance whether to delete it although a GOVERNANCE lock has not ended
   */
  delete(key: string, versionId: string, bypassGovernance: boolean, signal: AbortSignal): Promise<void>;
  /** Places or releases the legal hold. @returns false if the version does not exist */
  setHold(key: string, versionId: string, held: boolean, signal: AbortSignal): Promise<boolean>;
}

export function createVersions({ s3, name, time }: BucketOptions): Versions {
  const bucket = { Bucket: name };
  const call = <Result>(signal: AbortSignal, send: (abortSignal: AbortSignal) => Promise<Result>) =>
    withDeadline(time, calls.bucketMs, signal, timedOut, async (abortSignal) => {
      try {
        return await send(abortSignal);
      } catch (error) {
        abortSignal.throwIfAborted();
        throw asBucketError(error);
      }
    });

  /** All versions of the keys that begin with `prefix`. @param isWanted stops the listing at the first key without it */
  const list = async (
    prefix: string,
    isWanted: (key: string) => boolean,
    signal: AbortSignal,
  ): Promise<(ObjectVersion & { key: string })[]> => {
    const versions: (ObjectVersion & { key: string })[] = [];
    let next: { KeyMarker: string | undefined; VersionIdMarker: string | undefined } | undefined;
    do {
      const page = await call(signal, (abortSignal) =>
        s3.send(new ListObjectVersionsCommand({ ...bucket, Prefix: prefix, ...next }), { abortSignal }),
      );
      // Stryker disable ArrayDeclaration: an entry without this key is left out.
      const entries = [
        ...(page.Versions ?? []).map((entry) => ({ ...entry, isDeleteMarker: false })),
        ...(page.DeleteMarkers ?? []).map((entry) => ({ ...entry, isDeleteMarker: true, Size: 0 })),
      ];
      // Stryker restore ArrayDeclaration
      for (const { Key: key, VersionId, IsLatest, LastModified, Size, isDeleteMarker } of entries) {
        if (key === undefined || !isWanted(key)) continue;
        versions.push({
          key,
          versionId: VersionId ?? 'null',
          isLatest: IsLatest ?? false,
          isDeleteMarker,
          bytes: Size ?? 0,
          modified: LastModified?.getTime() ?? 0,
        });
      }
      const isPast = page.NextKeyMarker !== undefined && !isWanted(page.NextKeyMarker);
      next =
        page.IsTruncated && !isPast
          ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
          : undefined;
    } while (next !== undefined);
    return versions.sort(
      (a, b) =>
        (a.key < b.key ? -1 : Number(a.key > b.key)) ||
        Number(b.isLatest) - Number(a.isLatest) ||
        b.modified - a.modified,
    );
  };

  return {
    of: async (key, signal) => {
      // Other keys may begin with this one, and sort after it.
      const versions = await list(key, (listed) => listed === key, signal);
      return versions.map(({ key: _, ...version }) => version);
    },

    under: (prefix, signal) => list(prefix, () => true, signal),

    lockOf: async (key, versionId, signal) => {
      const address = { ...bucket, Key: key, VersionId: versionId };
      // A HEAD states the lock only to callers that may read it, and leaves it out otherwise.
      const [hold, retention] = await Promise.all([
        call(signal, (abortSignal) => {
          const command = new GetObjectLegalHoldCommand(address);
          return s3.send(command, { abortSignal }).then(({ LegalHold }) => LegalHold, withoutLock);
        }),
        call(signal, (abortSignal) => {
          const command = new GetObjectRetentionCommand(address);
          return s3.send(command, { abortSignal }).then(({ Retention }) => Retention, withoutLock);
        }),
      ]);
      if (hold === 'gone' || retention === 'gone') return undefined;
      const until = retention?.RetainUntilDate?.getTime();
      return {
        held: hold?.Status === 'ON',
        retention:
          retention?.Mode === undefined || until === undefined ? undefined : { mode: retention.Mode, until },
      };
    },

    delete: (key, versionId, bypassGovernance, signal) =>
      call(signal, async (abortSignal) => {
        await s3.send(
          new DeleteObjectCommand({
            ...bucket,
            Key: key,
            VersionId: versionId,
            ...(bypassGovernance && { BypassGovernanceRetention: true }),
          }),
          { abortSignal },
        );
      }),

    setHold: (key, versionId, held, signal) =>
      call(signal, async (abortSignal) => {
        try {
          await s3.send(
            new PutObjectLegalHoldCommand({
              ...bucket,
              Key: key,
              VersionId: versionId,
              LegalHold: { Status: held ? 'ON' : 'OFF' },
            }),
            { abortSignal },
          );
          return true;
        } catch (error) {
          if (isGone(error)) return false;
          throw error;
        }
      }),
  };
}

/** The codes of an object without a lock, and of a bucket without Object Lock (Amazon S3 API reference, "Error responses"). */
const noLockCodes = new Set([
  'NoSuchObjectLockConfiguration',
  'ObjectLockConfigurationNotFoundError',
  'InvalidRequest',
]);

function withoutLock(error: unknown): undefined | 'gone' {
  if (isGone(error)) return 'gone';
  if (noLockCodes.has(nameOf(error))) return undefined;
  throw error;
}

function isGone(error: unknown): boolean {
  return ['NoSuchVersion', 'NoSuchKey', 'MethodNotAllowed'].includes(nameOf(error));
}

function timedOut(): ArchiverError {
  return new ArchiverError('BucketUnavailable', `S3 did not respond within ${calls.bucketMs / 1_000} s.`);
}
