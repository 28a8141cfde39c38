import {
  CopyObjectCommand,
  DeleteObjectCommand,
  type DeleteObjectCommandOutput,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  PutObjectCommand,
  type PutObjectCommandOutput,
  PutObjectLegalHoldCommand,
} from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { virtualTime } from './clock.ts';
import { MemoryBucket, sha256 } from './memory-bucket.ts';

const noon = Date.parse('2026-11-24T12:00:00Z');
const Bucket = 'archive';
const Key = 'documents/1';

function createBucket() {
  const memory = new MemoryBucket(virtualTime(noon));
  const send = <Output>(command: unknown) => memory.send(command) as Promise<Output>;
  const put = (text: string, more: Partial<PutObjectCommand['input']> = {}) =>
    send<PutObjectCommandOutput>(new PutObjectCommand({ Bucket, Key, Body: Buffer.from(text), ...more }));
  const head = (more: Partial<HeadObjectCommand['input']> = {}) =>
    send<HeadObjectCommandOutput>(new HeadObjectCommand({ Bucket, Key, ...more }));
  return { memory, send, put, head };
}

describe('PutObject', () => {
  it('replaces the object only if If-Match has its ETag', async () => {
    const { put, memory } = createBucket();
    const { ETag = '' } = await put('document', { IfNoneMatch: '*' });

    await put('tombstone', { IfMatch: ETag });

    await expect(put('again', { IfMatch: ETag })).rejects.toMatchObject({ name: 'PreconditionFailed' });
    expect(memory.text(Key)).toBe('tombstone');
  });

  it('rejects bytes with another SHA-256 than the request states', async () => {
    const { put, memory } = createBucket();
    const ChecksumSHA256 = sha256('document', 'base64');

    await expect(put('document?', { ChecksumSHA256 })).rejects.toMatchObject({ name: 'BadDigest' });

    expect(memory.versioned.versions(Key)).toEqual([]);
    expect(await put('document', { ChecksumSHA256 })).toMatchObject({ ChecksumSHA256 });
  });
});

describe('HeadObject and GetObject', () => {
  it('describe the lock, the metadata and the checksum of each version', async () => {
    const { send, put, head } = createBucket();
    const ObjectLockRetainUntilDate = new Date(noon + 1_000);
    const first = await put('first', {
      Metadata: { 'Erased-By': 'role' },
      ChecksumAlgorithm: 'SHA256',
      ObjectLockMode: 'COMPLIANCE',
      ObjectLockRetainUntilDate,
      ObjectLockLegalHoldStatus: 'ON',
    });
    await put('second');
    const { VersionId, ETag } = first;

    const described = await head({ VersionId, ChecksumMode: 'ENABLED' });
    const { Body, ...read } = await send<GetObjectCommandOutput>(
      new GetObjectCommand({ Bucket, Key, VersionId, ChecksumMode: 'ENABLED' }),
    );
    const current = await head({ ChecksumMode: 'ENABLED' });
    const unasked = await head({ VersionId });

    expect(described).toEqual({
      ETag,
      VersionId,
      ContentLength: 5,
      LastModified: new Date(noon),
      Metadata: { 'erased-by': 'role' },
      ChecksumSHA256: sha256('first', 'base64'),
      ObjectLockMode: 'COMPLIANCE',
      ObjectLockRetainUntilDate,
      ObjectLockLegalHoldStatus: 'ON',
    });
    expect(read).toEqual(described);
    expect(await Body?.transformToString()).toBe('first');
    expect(unasked).not.toHaveProperty('ChecksumSHA256');
    expect(current).toEqual({
      ETag: expect.not.stringMatching(ETag ?? ''),
      VersionId: expect.not.stringMatching(VersionId ?? ''),
      ContentLength: 6,
      LastModified: new Date(noon),
      Metadata: {},
    });
  });

  it('fail with the codes that the SDK reads from each response', async () => {
    const { send, put, head } = createBucket();
    await put('document');
    const get = (more: Partial<GetObjectCommand['input']> = {}) =>
      send(new GetObjectCommand({ Bucket, Key, ...more }));
    const { VersionId } = await send<DeleteObjectCommandOutput>(new DeleteObjectCommand({ Bucket, Key }));

    await expect(get()).rejects.toMatchObject({ name: 'NoSuchKey' });
    await expect(get({ VersionId: 'version-9' })).rejects.toMatchObject({ name: 'NoSuchVersion' });
    await expect(get({ VersionId })).rejects.toMatchObject({ name: 'MethodNotAllowed' });
    await expect(head()).rejects.toMatchObject({ name: 'NotFound', $metadata: { httpStatusCode: 404 } });
    await expect(head({ VersionId })).rejects.toMatchObject({
      name: 'Unknown',
      $metadata: { httpStatusCode: 405 },
    });
  });
});

describe('DeleteObject and PutObjectLegalHold', () => {
  it('delete a version for good only while it has no legal hold', async () => {
    const { send, put, memory } = createBucket();
    const { VersionId } = await put('document');
    const hold = (Status: 'ON' | 'OFF') =>
      send(new PutObjectLegalHoldCommand({ Bucket, Key, VersionId, LegalHold: { Status } }));
    const remove = () =>
      send(new DeleteObjectCommand({ Bucket, Key, VersionId, BypassGovernanceRetention: true }));
    await hold('ON');

    await expect(remove()).rejects.toMatchObject({ name: 'AccessDenied' });
    await hold('OFF');

    expect(await remove()).toEqual({ VersionId });
    expect(memory.versioned.versions(Key)).toEqual([]);
  });

  it('need the bypass for a version in governance mode', async () => {
    const { send, put, memory } = createBucket();
    memory.versioned.defaultRetention = { mode: 'GOVERNANCE', days: 1 };
    const { VersionId } = await put('document');

    await expect(send(new DeleteObjectCommand({ Bucket, Key, VersionId }))).rejects.toMatchObject({
      name: 'AccessDenied',
    });
    await send(new DeleteObjectCommand({ Bucket, Key, VersionId, BypassGovernanceRetention: true }));

    expect(memory.versioned.versions(Key)).toEqual([]);
  });

  it('say whether a delete marker was added or deleted', async () => {
    const { send } = createBucket();

    const added = await send<DeleteObjectCommandOutput>(new DeleteObjectCommand({ Bucket, Key }));
    const { VersionId } = added;
    const deleted = await send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
    const repeated = await send(new DeleteObjectCommand({ Bucket, Key, VersionId }));

    expect(added).toEqual({ VersionId: expect.stringMatching(/^version-/), DeleteMarker: true });
    expect(deleted).toEqual(added);
    expect(repeated).toEqual({ VersionId });
  });
});

describe('ListObjectVersions', () => {
  it('pages through versions and delete markers with encoded keys', async () => {
    const { memory, send } = createBucket();
    memory.put('a b/ä', 'one', noon - 1_000);
    memory.put('a b/ä', 'two', noon);
    await memory.send(new DeleteObjectCommand({ Bucket, Key: 'a b/ä' }));
    memory.put('a b/é', 'three', noon);
    memory.put('c', 'not listed', noon);
    const list = (more: Partial<ListObjectVersionsCommand['input']>) =>
      send<ListObjectVersionsCommandOutput>(
        new ListObjectVersionsCommand({ Bucket, Prefix: 'a b/', EncodingType: 'url', MaxKeys: 2, ...more }),
      );

    const first = await list({});
    const second = await list({ KeyMarker: 'a b/ä', VersionIdMarker: first.NextVersionIdMarker });

    expect(first).toEqual({
      IsTruncated: true,
      NextKeyMarker: 'a+b/%C3%A4',
      NextVersionIdMarker: 'version-2',
      Versions: [
        {
          Key: 'a+b/%C3%A4',
          VersionId: 'version-2',
          IsLatest: false,
          ETag: '"etag-2"',
          Size: 3,
          LastModified: new Date(noon),
        },
      ],
      DeleteMarkers: [
        { Key: 'a+b/%C3%A4', VersionId: 'version-3', IsLatest: true, LastModified: new Date(noon) },
      ],
    });
    expect(second).toMatchObject({
      IsTruncated: false,
      Versions: [
        { Key: 'a+b/%C3%A4', VersionId: 'version-1', IsLatest: false },
        { Key: 'a+b/%C3%A9', VersionId: 'version-4', IsLatest: true },
      ],
    });
    expect(second.NextKeyMarker).toBeUndefined();
    expect(second.DeleteMarkers).toBeUndefined();
  });

  it('rejects a version ID marker without a key marker', async () => {
    const { send } = createBucket();

    await expect(
      send(new ListObjectVersionsCommand({ Bucket, VersionIdMarker: 'version-1' })),
    ).rejects.toMatchObject({ name: 'InvalidArgument' });
  });
});

describe('MemoryBucket', () => {
  it('records each request and refuses the ones that the test chooses', async () => {
    const { memory, send } = createBucket();
    memory.refuse = (operation) => (operation === 'delete' ? { name: 'SlowDown', status: 503 } : undefined);

    await send(new ListObjectVersionsCommand({ Bucket, Prefix: 'documents/' }));
    await expect(send(new DeleteObjectCommand({ Bucket, Key }))).rejects.toMatchObject({ name: 'SlowDown' });

    expect(memory.requests).toEqual(['list-versions documents/', `delete ${Key}`]);
    expect(memory.versioned.versions(Key)).toEqual([]);
  });

  it.each([
    ['CopyObject', new CopyObjectCommand({ Bucket, Key, CopySource: 'archive/documents/2' })],
    ['a listing with a delimiter', new ListObjectsV2Command({ Bucket, Delimiter: '/' })],
    [
      'If-None-Match with an ETag',
      new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(0), IfNoneMatch: '"1"' }),
    ],
    ['a conditional delete', new DeleteObjectCommand({ Bucket, Key, IfMatch: '"1"' })],
  ])('does not implement %s', async (_what, command) => {
    const { send } = createBucket();

    await expect(send(command)).rejects.toMatchObject({ name: 'NotImplemented' });
  });
});
