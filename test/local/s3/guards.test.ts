/** What keeps web pages, and commands that only read, from changing or reading more than they may. */
import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { expect, test } from 'vitest';
import { createCredentials, folderBucket } from '../../../local/s3/archive-bucket.ts';
import { bucket, filesBelow, startWorld } from './fixture.ts';

const page = { Bucket: bucket, Key: 'page.html', Body: '<script>', ContentType: 'text/html' };
const sandboxed = { 'content-security-policy': 'sandbox', 'x-content-type-options': 'nosniff' };

test('sandboxes every response, so that a document cannot act as a page of the archive', async () => {
  const { server, client } = await startWorld();
  await client.send(new PutObjectCommand(page));

  const object = await fetch(server.presignGet(bucket, page.Key, { expiresInSeconds: 60 }));
  const missing = await fetch(server.presignGet(bucket, 'missing', { expiresInSeconds: 60 }));
  const unsigned = await fetch(`${server.endpoint}/${bucket}/${page.Key}`);

  expect([object.status, missing.status, unsigned.status]).toEqual([200, 404, 403]);
  for (const { headers } of [object, missing, unsigned]) {
    expect(Object.fromEntries(headers)).toMatchObject(sandboxed);
  }
});

test.each([
  'ResponseContentType',
  'ResponseContentDisposition',
  'ResponseContentLanguage',
  'ResponseContentEncoding',
  'ResponseCacheControl',
])('returns 501 for a signed link that would change the headers of an object by %s', async (parameter) => {
  const { client } = await startWorld();
  await client.send(new PutObjectCommand({ ...page, ContentType: 'text/plain' }));
  const command = new GetObjectCommand({ Bucket: bucket, Key: page.Key, [parameter]: 'text/html' });

  const response = await fetch(await getSignedUrl(client, command, { expiresIn: 60 }));

  expect(response.status).toBe(501);
  expect(response.headers.get('content-type')).toBe('application/xml');
  expect(await response.text()).toContain('<Code>NotImplemented</Code>');
});

test('refuses a link that a web page fetches', async () => {
  const { server, client } = await startWorld();
  await client.send(new PutObjectCommand(page));

  const response = await fetch(server.presignGet(bucket, page.Key, { expiresInSeconds: 60 }), {
    headers: { origin: 'http://127.0.0.1:8080' },
  });

  expect(response.status).toBe(403);
  expect(await response.text()).toContain('<Code>AccessDenied</Code>');
});

test('refuses a link for another host name, even if it is signed for it', async () => {
  const { server, client } = await startWorld();
  await client.send(new PutObjectCommand(page));
  const { port } = new URL(server.endpoint);
  const link = server.presignGet(bucket, page.Key, {
    expiresInSeconds: 60,
    origin: `http://evil.example:${port}`,
  });

  const status = await new Promise<number | undefined>((resolve, reject) => {
    const url = new URL(link.replace('evil.example', '127.0.0.1'));
    request(url, { headers: { host: `evil.example:${port}` } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });

  expect(status).toBe(403);
});

test('a read-only server reads and lists, and changes nothing', async () => {
  const { client: writer, directory } = await startWorld();
  const { VersionId } = await writer.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' }));
  const before = await filesBelow(directory);
  const { client } = await startWorld({ directory, readOnly: true });
  const denied = { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } };

  for (const Key of ['a', 'b']) {
    await expect(client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'b' }))).rejects.toMatchObject(
      denied,
    );
  }
  const one = { Bucket: bucket, Key: 'a' };
  for (const command of [
    new DeleteObjectCommand(one),
    new DeleteObjectCommand({ ...one, VersionId: VersionId ?? '' }),
    new PutObjectRetentionCommand({ ...one, Retention: {} }),
    new PutObjectLegalHoldCommand({ ...one, LegalHold: { Status: 'ON' } }),
  ]) {
    await expect(client.send(command as DeleteObjectCommand)).rejects.toMatchObject(denied);
  }
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a' }));
  const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));

  expect(await Body?.transformToString()).toBe('a');
  expect(Contents).toMatchObject([{ Key: 'a' }]);
  expect(await filesBelow(directory)).toEqual(before);
});

test('creates other credentials each time, which open only the server they were given', async () => {
  const first = createCredentials();
  const { server, client, directory } = await startWorld({ credentials: [first] });
  const stranger = folderBucket(server.endpoint, directory, createCredentials());
  const owner = folderBucket(server.endpoint, directory, first);

  await owner.client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' }));

  await expect(
    stranger.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'a' })),
  ).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
  await expect(client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a' }))).rejects.toMatchObject({
    name: 'InvalidAccessKeyId',
  });
  owner.client.destroy();
  stranger.client.destroy();
});

test('stores objects for their owner only', async () => {
  const { client, directory } = await startWorld();

  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'documents/a', Body: 'a' }));

  for (const file of await filesBelow(directory)) {
    expect((await stat(`${directory}/${file}`)).mode & 0o777, file).toBe(0o600);
  }
  expect((await stat(`${directory}/documents`)).mode & 0o777).toBe(0o700);
  expect((await stat(`${directory}/.s3`)).mode & 0o777).toBe(0o700);
});
