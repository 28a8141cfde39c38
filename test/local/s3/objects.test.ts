import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { bucket, filesBelow, sha256, startWorld } from './fixture.ts';

test('stores an object with its SHA-256 as a plain file and returns it byte for byte', async () => {
  const { client, directory, errors } = await startWorld();
  const bytes = randomBytes(3_000_000);

  const put = await client.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: 'documents/one',
      Body: Readable.from([bytes.subarray(0, 10), bytes.subarray(10)]),
      ContentLength: bytes.length,
      ChecksumSHA256: sha256(bytes),
      ContentType: 'application/pdf',
      ContentDisposition: 'attachment; filename="a.pdf"',
      Metadata: { 'document-id': 'one' },
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: 'alias/archive',
      IfNoneMatch: '*',
      ExpectedBucketOwner: '000000000000',
    }),
  );
  const head = await client.send(
    new HeadObjectCommand({ Bucket: bucket, Key: 'documents/one', ChecksumMode: 'ENABLED' }),
  );
  const get = await client.send(
    new GetObjectCommand({ Bucket: bucket, Key: 'documents/one', ChecksumMode: 'ENABLED' }),
  );
  const got = Buffer.from((await get.Body?.transformToByteArray()) ?? []);

  expect(got.equals(bytes)).toBe(true);
  expect((await readFile(join(directory, 'documents/one'))).equals(bytes)).toBe(true);
  expect(put.ChecksumSHA256).toBe(sha256(bytes));
  expect(put.VersionId).toMatch(/^.{32}$/);
  for (const response of [head, get]) {
    expect(response).toMatchObject({
      ETag: put.ETag,
      VersionId: put.VersionId,
      ChecksumSHA256: sha256(bytes),
      ChecksumType: 'FULL_OBJECT',
      ContentLength: bytes.length,
      ContentType: 'application/pdf',
      ContentDisposition: 'attachment; filename="a.pdf"',
      Metadata: { 'document-id': 'one' },
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: 'alias/archive',
    });
  }
  expect(errors).toEqual([]);
});

test("decodes and stores a CRC32 in an aws-chunked trailer, the SDK's default", async () => {
  const { client, directory } = await startWorld();
  const bytes = randomBytes(1_000_000);

  await client.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: 'a',
      Body: Readable.from([bytes]),
      ContentLength: bytes.length,
    }),
  );
  const get = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a', ChecksumMode: 'ENABLED' }));

  expect(Buffer.from((await get.Body?.transformToByteArray()) ?? []).equals(bytes)).toBe(true);
  expect(get.ChecksumCRC32).toMatch(/^.{6}==$/);
  expect(get.ContentEncoding).toBeUndefined();
  expect(await filesBelow(directory)).toHaveLength(2);
});

test('stores exactly one of fifty concurrent conditional puts, with matching metadata', async () => {
  const { client, directory, errors } = await startWorld();

  const outcomes = await Promise.allSettled(
    Array.from({ length: 50 }, (_, at) =>
      client.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: 'documents/one',
          Body: `body ${String(at).padStart(3, '0')}`,
          ChecksumSHA256: sha256(`body ${String(at).padStart(3, '0')}`),
          IfNoneMatch: '*',
        }),
      ),
    ),
  );

  const losers = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(losers).toHaveLength(49);
  for (const { reason } of losers) {
    expect(reason).toMatchObject({ name: 'PreconditionFailed', $metadata: { httpStatusCode: 412 } });
  }
  const stored = await readFile(join(directory, 'documents/one'));
  const head = await client.send(
    new HeadObjectCommand({ Bucket: bucket, Key: 'documents/one', ChecksumMode: 'ENABLED' }),
  );
  expect(head.ChecksumSHA256).toBe(sha256(stored));
  expect(await filesBelow(directory)).toHaveLength(2);
  expect(errors).toEqual([]);
});

test('lists more than a thousand keys in pages, in the order of their UTF-8 bytes', async () => {
  const { client, directory } = await startWorld();
  const keys = Array.from({ length: 1100 }, (_, at) => `documents/${at}`);
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'receipts/0.json', Body: 'x' }));
  await mkdir(join(directory, 'documents'));
  for (const key of keys) await writeFile(join(directory, key), key);

  const listed: string[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: 'documents/', ContinuationToken: token }),
    );
    listed.push(...(page.Contents ?? []).map(({ Key = '' }) => Key));
    token = page.NextContinuationToken;
  } while (token !== undefined);

  expect(listed).toEqual([...keys].sort());
});
