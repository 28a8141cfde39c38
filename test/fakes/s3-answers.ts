/** The answers of S3 to SDK commands, from a model of its objects. */
import { hash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  type DeleteObjectCommandInput,
  GetObjectCommand,
  type GetObjectCommandInput,
  GetObjectLegalHoldCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandInput,
  type PutObjectCommandInput,
  PutObjectLegalHoldCommand,
} from '@aws-sdk/client-s3';
import { statusOf } from '../../functions/bucket/s3-errors.ts';
import { serviceError } from './service-error.ts';
import type { PutOptions, StoredVersion, VersionedObjects, WriteCondition } from './versioned-objects.ts';

/**
 * Answers a command other than PutObject.
 *
 * @param pageKeys largest number of entries per page of a listing
 * @throws the error that the SDK throws for S3's error response; NotImplemented for other commands
 */
export function answerS3(objects: VersionedObjects, command: unknown, pageKeys = 1_000): object {
  if (command instanceof GetObjectCommand) return get(objects, command.input);
  if (command instanceof HeadObjectCommand) return withoutErrorCode(() => read(objects, command.input));
  if (command instanceof ListObjectsV2Command) return list(objects, command.input, pageKeys);
  if (command instanceof ListObjectVersionsCommand) return listVersions(objects, command.input, pageKeys);
  if (command instanceof DeleteObjectCommand) return deleteObject(objects, command.input);
  if (command instanceof GetObjectLegalHoldCommand) {
    const { Key = '', VersionId } = command.input;
    return { LegalHold: { Status: orNoLock(objects.read(Key, VersionId).legalHold) } };
  }
  if (command instanceof GetObjectRetentionCommand) {
    const { Key = '', VersionId } = command.input;
    const { mode, until } = orNoLock(objects.read(Key, VersionId).retention);
    return { Retention: { Mode: mode, RetainUntilDate: new Date(until) } };
  }
  if (command instanceof PutObjectLegalHoldCommand) {
    const { Key = '', VersionId, LegalHold } = command.input;
    if (LegalHold?.Status === undefined) throw serviceError('MalformedXML', 400);
    objects.setLegalHold(Key, VersionId, LegalHold.Status);
    return {};
  }
  throw serviceError('NotImplemented', 501);
}

function orNoLock<Lock>(lock: Lock | undefined): Lock {
  if (lock === undefined) throw serviceError('NoSuchObjectLockConfiguration', 404);
  return lock;
}

/** Answers a PutObject whose body has been read. @throws the errors of `answerS3` */
export function answerPut(objects: VersionedObjects, input: PutObjectCommandInput, body: Buffer): object {
  if (hasWrongDigest(input, body)) throw serviceError('BadDigest', 400);
  return storedAnswer(objects.put(input.Key ?? '', body, putOptionsOf(input, body)));
}

/** The answer to a PutObject that has stored this version. */
export function storedAnswer({ etag, versionId, verified }: StoredVersion) {
  return { ETag: etag, VersionId: versionId, ...(verified && { ChecksumSHA256: base64Digest(verified) }) };
}

/**
 * Whether S3 rejects the received bytes because of the checksum in the request. For `ChecksumAlgorithm` alone, the SDK
 * computes it from the bytes that it sends.
 */
export function hasWrongDigest(
  { ChecksumSHA256, ChecksumAlgorithm }: PutObjectCommandInput,
  received: Buffer,
  sent = received,
): boolean {
  const stated = ChecksumSHA256 ?? (ChecksumAlgorithm === 'SHA256' ? base64Digest(sent) : undefined);
  return stated !== undefined && stated !== base64Digest(received);
}

/** The condition of a PutObject. */
export function conditionOf({ IfMatch, IfNoneMatch }: PutObjectCommandInput): WriteCondition {
  if (IfNoneMatch !== undefined && IfNoneMatch !== '*') throw serviceError('NotImplemented', 501);
  return { ifMatch: IfMatch, ifNoneMatch: IfNoneMatch === '*' };
}

/** What a PutObject states about the new version. @param received the bytes of the body as S3 received them */
export function putOptionsOf(input: PutObjectCommandInput, received: Buffer): PutOptions {
  const { ChecksumSHA256, ChecksumAlgorithm, Metadata = {} } = input;
  const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until, ObjectLockLegalHoldStatus } = input;
  if ((mode === undefined) !== (until === undefined)) throw serviceError('InvalidArgument', 400);
  return {
    ...conditionOf(input),
    verified: ChecksumSHA256 !== undefined || ChecksumAlgorithm === 'SHA256' ? received : undefined,
    // They are HTTP headers.
    metadata: Object.fromEntries(
      Object.entries(Metadata).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    legalHold: ObjectLockLegalHoldStatus,
    retention: mode && until && { mode, until: until.getTime() },
  };
}

function read(objects: VersionedObjects, { Key = '', VersionId, ChecksumMode }: GetObjectCommandInput) {
  const version = objects.read(Key, VersionId);
  const { body, modified, metadata, legalHold, retention } = version;
  const { ChecksumSHA256, ...answer } = storedAnswer(version);
  return {
    ...answer,
    ...(ChecksumMode === 'ENABLED' && ChecksumSHA256 !== undefined && { ChecksumSHA256 }),
    ContentLength: body.length,
    LastModified: new Date(modified),
    Metadata: metadata,
    ...(legalHold && { ObjectLockLegalHoldStatus: legalHold }),
    ...(retention && {
      ObjectLockMode: retention.mode,
      ObjectLockRetainUntilDate: new Date(retention.until),
    }),
  };
}

function get(objects: VersionedObjects, input: GetObjectCommandInput) {
  const answer = read(objects, input);
  const { body } = objects.read(input.Key ?? '', input.VersionId);
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(input.Range ?? '') ?? [];
  if (from !== undefined && Number(from) >= body.length) throw serviceError('InvalidRange', 416);
  const part = from === undefined ? body : body.subarray(Number(from), Number(to) + 1);
  const Body = Object.assign(Readable.from([part]), {
    transformToByteArray: async () => new Uint8Array(part),
    transformToString: async () => part.toString('utf8'),
  });
  return { ...answer, ContentLength: part.length, Body };
}

/** The response to a HEAD has no body and so no error code: the SDK knows the status only. */
function withoutErrorCode<Answer>(answer: () => Answer): Answer {
  try {
    return answer();
  } catch (error) {
    const status = statusOf(error);
    if (status === undefined) throw error;
    throw serviceError(status === 404 ? 'NotFound' : 'Unknown', status);
  }
}

function list(objects: VersionedObjects, input: ListObjectsV2CommandInput, pageKeys: number) {
  if (input.Delimiter !== undefined || input.ContinuationToken !== undefined) {
    throw serviceError('NotImplemented', 501);
  }
  const page = objects.list(input.Prefix ?? '', input.StartAfter ?? '', pageSize(input, pageKeys));
  return {
    IsTruncated: page.isTruncated,
    ...orAbsent({
      Contents: page.objects.map((object) => listed(object, input)),
    }),
  };
}

function listVersions(objects: VersionedObjects, input: ListObjectVersionsCommandInput, pageKeys: number) {
  const { Prefix = '', KeyMarker = '', VersionIdMarker, Delimiter } = input;
  if (Delimiter !== undefined) throw serviceError('NotImplemented', 501);
  if (VersionIdMarker !== undefined && KeyMarker === '') throw serviceError('InvalidArgument', 400);
  const after = { key: KeyMarker, ...(VersionIdMarker !== undefined && { versionId: VersionIdMarker }) };
  const { entries, isTruncated } = objects.listVersions(Prefix, after, pageSize(input, pageKeys));
  const last = entries.at(-1)?.version;
  return {
    IsTruncated: isTruncated,
    ...(isTruncated &&
      last && { NextKeyMarker: encoded(last.key, input), NextVersionIdMarker: last.versionId }),
    ...orAbsent({
      Versions: entries.flatMap(({ version, isLatest }) =>
        version.body ? { ...listed(version, input), VersionId: version.versionId, IsLatest: isLatest } : [],
      ),
      DeleteMarkers: entries.flatMap(({ version, isLatest }) =>
        version.body
          ? []
          : {
              Key: encoded(version.key, input),
              VersionId: version.versionId,
              IsLatest: isLatest,
              LastModified: new Date(version.modified),
            },
      ),
    }),
  };
}

function deleteObject(objects: VersionedObjects, input: DeleteObjectCommandInput) {
  const { Key = '', VersionId, BypassGovernanceRetention: bypassGovernance = false, IfMatch } = input;
  if (IfMatch !== undefined) throw serviceError('NotImplemented', 501);
  const deleted = objects.delete(Key, VersionId, { bypassGovernance });
  const isMarker = deleted !== undefined && deleted.body === undefined;
  return { VersionId: VersionId ?? deleted?.versionId, ...(isMarker && { DeleteMarker: true }) };
}

function listed({ key, body, etag, modified }: StoredVersion, input: { EncodingType?: 'url' | undefined }) {
  return { Key: encoded(key, input), Size: body.length, ETag: etag, LastModified: new Date(modified) };
}

function pageSize({ MaxKeys = 1_000 }: { MaxKeys?: number | undefined }, pageKeys: number): number {
  return Math.min(MaxKeys, pageKeys);
}

/** The SDK omits a list without entries. */
function orAbsent(lists: Record<string, readonly object[]>) {
  return Object.fromEntries(Object.entries(lists).filter(([, entries]) => entries.length > 0));
}

function encoded(key: string, { EncodingType }: { EncodingType?: 'url' | undefined }): string {
  return EncodingType === 'url' ? encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+') : key;
}

function base64Digest(bytes: Buffer): string {
  return hash('sha256', bytes, 'base64');
}
