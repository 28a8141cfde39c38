/** Versions, delete markers and conditional overwrites, as a client sees them. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type DeleteMarkerEntry,
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandInput,
  type ObjectVersion,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { bucket, filesBelow, startWorld } from './fixture.ts';

const one = { Bucket: bucket, Key: 'documents/one' };

async function put(client: S3Client, Body: string, more: object = {}) {
  const { ETag = '', VersionId = '' } = await client.send(new PutObjectCommand({ ...one, Body, ...more }));
  return { ETag, VersionId };
}

const remove = (client: S3Client, VersionId?: string, Key = one.Key) =>
  client.send(new DeleteObjectCommand({ ...one, Key, VersionId }));

async function textOf(client: S3Client, VersionId?: string): Promise<string | undefined> {
  return (await client.send(new GetObjectCommand({ ...one, VersionId }))).Body?.transformToString();
}

/** All pages of a listing, as `key version`; the latest with `*`, delete markers with `-`. */
async function listed(client: S3Client, input: Partial<ListObjectVersionsCommandInput> = {}) {
  const lines: string[] = [];
  let next: Partial<ListObjectVersionsCommandInput> = {};
  for (;;) {
    const page = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, ...input, ...next }));
    const shown = (mark: string) => (entry: ObjectVersion | DeleteMarkerEntry) => ({
      key: decodeURIComponent(entry.Key ?? ''),
      line: `${mark}${decodeURIComponent(entry.Key ?? '')} ${entry.VersionId}${entry.IsLatest ? '*' : ''}`,
    });
    const entries = [...(page.Versions ?? []).map(shown('')), ...(page.DeleteMarkers ?? []).map(shown('-'))];
    expect(entries.length).toBeLessThanOrEqual(input.MaxKeys ?? 1000);
    lines.push(...entries.map(({ line }) => line));
    if (!page.IsTruncated) {
      expect(page.NextKeyMarker).toBeUndefined();
      return lines;
    }
    next = {
      KeyMarker: decodeURIComponent(page.NextKeyMarker ?? ''),
      VersionIdMarker: page.NextVersionIdMarker,
    };
  }
}

test('keeps every version that is overwritten, each with its bytes and headers', async () => {
  const { client, directory, errors } = await startWorld();
  const first = await put(client, 'first', { Metadata: { n: '1' } });
  const second = await put(client, 'second', { Metadata: { n: '2' } });

  const earlier = await client.send(new HeadObjectCommand({ ...one, VersionId: first.VersionId }));

  expect(earlier).toMatchObject({ ETag: first.ETag, VersionId: first.VersionId, Metadata: { n: '1' } });
  expect(await textOf(client, first.VersionId)).toBe('first');
  expect(await textOf(client, second.VersionId)).toBe('second');
  expect(await textOf(client)).toBe('second');
  expect(await readFile(join(directory, one.Key), 'utf8')).toBe('second');
  expect(await listed(client)).toEqual([
    `documents/one ${second.VersionId}*`,
    `documents/one ${first.VersionId}`,
  ]);
  expect(errors).toEqual([]);
});

test('reports that the bucket is versioned', async () => {
  const { client } = await startWorld();

  expect(await client.send(new GetBucketVersioningCommand({ Bucket: bucket }))).toMatchObject({
    Status: 'Enabled',
  });
});

test('hides a deleted object behind a delete marker, and shows it again when the marker is deleted', async () => {
  const { client, directory, server } = await startWorld();
  const { VersionId } = await put(client, 'hello');

  const deleted = await remove(client);
  const marker = deleted.VersionId ?? '';
  const get = client.send(new GetObjectCommand(one)).catch((error: unknown) => error);
  const head = await fetch(server.presignGet(bucket, one.Key, { expiresInSeconds: 60 }));
  const keys = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
  const versions = await listed(client);
  const restored = await remove(client, marker);

  expect(deleted).toMatchObject({ DeleteMarker: true, $metadata: { httpStatusCode: 204 } });
  expect(await get).toMatchObject({ name: 'NoSuchKey' });
  expect(head.headers.get('x-amz-delete-marker')).toBe('true');
  expect(head.headers.get('x-amz-version-id')).toBe(marker);
  expect(keys.KeyCount).toBe(0);
  expect(versions.sort()).toEqual([`-documents/one ${marker}*`, `documents/one ${VersionId}`]);
  expect(restored).toMatchObject({ DeleteMarker: true, VersionId: marker });
  expect(await textOf(client)).toBe('hello');
  expect(await readFile(join(directory, one.Key), 'utf8')).toBe('hello');
});

test('refuses to read a delete marker by its version ID', async () => {
  const { client } = await startWorld();
  const { VersionId } = await remove(client);

  const get = client.send(new GetObjectCommand({ ...one, VersionId }));
  const head = client.send(new HeadObjectCommand({ ...one, VersionId })).catch((error) => error);

  await expect(get).rejects.toMatchObject({ name: 'MethodNotAllowed', $metadata: { httpStatusCode: 405 } });
  const { $response } = await head;
  expect($response.statusCode).toBe(405);
  expect($response.headers).toMatchObject({ 'x-amz-delete-marker': 'true', allow: 'DELETE' });
});

test('answers 204 to the deletion of a version that does not exist', async () => {
  const { client, directory } = await startWorld();
  await put(client, 'hello');

  for (const key of [one.Key, 'missing']) {
    const { DeleteMarker, $metadata } = await remove(client, 'no-such-version', key);
    expect([DeleteMarker, $metadata.httpStatusCode]).toEqual([undefined, 204]);
  }
  expect(await textOf(client)).toBe('hello');
  expect(await filesBelow(directory)).toHaveLength(2);
});

test('leaves no byte and no name of a version that was deleted for good', async () => {
  const { client, directory } = await startWorld();
  const secret = { Metadata: { name: 'confidential-name' }, ContentDisposition: 'confidential-name' };
  const { VersionId, ETag } = await put(client, 'confidential-bytes', secret);
  await put(client, 'tombstone', { IfMatch: ETag });
  const before = await searched(directory, 'confidential');

  await remove(client, VersionId);

  expect(before).toHaveLength(2);
  expect(await searched(directory, 'confidential')).toEqual([]);
  expect(await filesBelow(directory)).toHaveLength(2);
  await expect(textOf(client, VersionId)).rejects.toMatchObject({ name: 'NoSuchVersion' });
});

async function searched(directory: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const file of await filesBelow(directory)) {
    if (`${file}${await readFile(join(directory, file), 'latin1')}`.includes(text)) found.push(file);
  }
  return found;
}

test('makes the version before the current one when the latest is deleted for good', async () => {
  const { client, directory } = await startWorld();
  const first = await put(client, 'first');
  const second = await put(client, 'second');

  await remove(client, second.VersionId);

  expect(await listed(client)).toEqual([`documents/one ${first.VersionId}*`]);
  expect(await readFile(join(directory, one.Key), 'utf8')).toBe('first');
  expect(await filesBelow(directory)).toHaveLength(2);
});

test('overwrites by If-Match only the object with this ETag', async () => {
  const { client } = await startWorld();
  const first = await put(client, 'first');
  const second = await put(client, 'second', { IfMatch: first.ETag });

  await expect(put(client, 'third', { IfMatch: first.ETag })).rejects.toMatchObject({
    name: 'PreconditionFailed',
    $metadata: { httpStatusCode: 412 },
  });
  await remove(client);
  await expect(put(client, 'third', { IfMatch: second.ETag })).rejects.toMatchObject({ name: 'NoSuchKey' });
  const third = await put(client, 'third', { IfNoneMatch: '*' });

  expect(await textOf(client, third.VersionId)).toBe('third');
  expect(await listed(client)).toHaveLength(4);
});

test('lets exactly one of many concurrent overwrites by If-Match succeed, also of two servers', async () => {
  const { client, directory } = await startWorld();
  const { client: neighbour } = await startWorld({ directory });
  const { ETag: IfMatch } = await put(client, 'first');

  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, at) => put(at % 2 ? client : neighbour, `body ${at}`, { IfMatch })),
  );

  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(await listed(client)).toHaveLength(2);
});

test('shows a file that was added or edited by hand as the version null, and keeps it when it is overwritten', async () => {
  const { client, directory } = await startWorld();
  await mkdir(dirname(join(directory, one.Key)));
  await writeFile(join(directory, one.Key), 'by hand');
  const { ETag, VersionId } = await client.send(new HeadObjectCommand(one));
  const { VersionId: next } = await put(client, 'stored', { IfMatch: ETag });

  const versions = await listed(client);
  const byHand = await textOf(client, 'null');
  await remove(client, 'null');

  expect(VersionId).toBe('null');
  expect(versions).toEqual([`documents/one ${next}*`, 'documents/one null']);
  expect(byHand).toBe('by hand');
  expect(await listed(client)).toEqual([`documents/one ${next}*`]);
  expect(await searched(directory, 'by hand')).toEqual([]);
});

test('lists a version null once when a file is edited by hand again, and deletes all of it', async () => {
  const { client, directory } = await startWorld();
  await writeFile(join(directory, 'file'), 'by hand, first');
  const file = { Bucket: bucket, Key: 'file' };
  const { VersionId } = await client.send(new PutObjectCommand({ ...file, Body: 'stored' }));
  await client.send(new PutObjectCommand({ ...file, Body: 'stored' }));
  await writeFile(join(directory, 'file'), 'by hand, again');

  const versions = await listed(client);
  await remove(client, 'null', 'file');

  expect(versions).toEqual(['file null*', `file ${VersionId}`]);
  expect(await listed(client)).toEqual([`file ${VersionId}*`]);
  expect(await searched(directory, 'by hand')).toEqual([]);
});

test('continues a listing when the version it stopped at was deleted', async () => {
  const { client } = await startWorld();
  const ids: string[] = [];
  for (const body of ['a', 'b', 'c', 'd']) ids.push((await put(client, body)).VersionId);
  const page = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, MaxKeys: 2 }));
  await remove(client, ids[2]);

  const rest = await listed(client, {
    KeyMarker: page.NextKeyMarker,
    VersionIdMarker: page.NextVersionIdMarker,
  });

  expect(page.NextVersionIdMarker).toBe(ids[2]);
  expect(rest).toEqual(expect.arrayContaining([`documents/one ${ids[1]}`, `documents/one ${ids[0]}`]));
});

test('encodes the keys of a listing on request, also those it continues at', async () => {
  const { client } = await startWorld();
  const keys = ['a b', 'b+&<é>', 'c\u0001'];
  for (const Key of keys) await client.send(new PutObjectCommand({ ...one, Key, Body: 'x' }));
  const input = { Bucket: bucket, EncodingType: 'url' as const, MaxKeys: 1 };

  const first = await client.send(new ListObjectVersionsCommand(input));
  const rest = await client.send(
    new ListObjectVersionsCommand({ ...input, MaxKeys: 9, KeyMarker: 'a b', Prefix: '' }),
  );
  const plain = await client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: 'b+' }));

  expect(first).toMatchObject({ EncodingType: 'url', NextKeyMarker: 'a+b', Versions: [{ Key: 'a+b' }] });
  expect(rest.Versions?.map(({ Key }) => Key)).toEqual(['b%2B%26%3C%C3%A9%3E', 'c%01']);
  expect(plain.Versions).toMatchObject([{ Key: 'b+&<é>', Size: 1, ChecksumAlgorithm: ['CRC32'] }]);
});

test('refuses a version-ID marker without a key marker', async () => {
  const { client } = await startWorld();

  await expect(
    client.send(new ListObjectVersionsCommand({ Bucket: bucket, VersionIdMarker: 'x' })),
  ).rejects.toMatchObject({ name: 'InvalidArgument' });
});

test('keeps a deleted key apart from a key below it', async () => {
  const { client } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'file' }));
  const { VersionId } = await remove(client, undefined, 'a');
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a/b', Body: 'below' }));

  await remove(client, VersionId, 'a');

  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a' }));
  const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
  expect(await Body?.transformToString()).toBe('file');
  expect(Contents?.map(({ Key }) => Key)).toEqual(['a', 'a/b']);
});
