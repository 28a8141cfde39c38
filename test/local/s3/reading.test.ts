import { randomBytes } from 'node:crypto';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { Agent, get as httpGet, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import {
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { expect, onTestFinished, test } from 'vitest';
import type { S3ResponseInfo } from '../../../local/s3/server.ts';
import { bucket, shiftedTime, startWorld } from './fixture.ts';

const TEXT = '0123456789';

test.each([
  ['bytes=0-0', '0', 'bytes 0-0/10'],
  ['bytes=2-4', '234', 'bytes 2-4/10'],
  ['bytes=7-', '789', 'bytes 7-9/10'],
  ['bytes=7-100', '789', 'bytes 7-9/10'],
  ['bytes=-3', '789', 'bytes 7-9/10'],
  ['bytes=-100', TEXT, 'bytes 0-9/10'],
])('returns 206 with only the bytes of the range %s', async (Range, expected, contentRange) => {
  const { client } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: TEXT }));

  const get = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a', Range }));

  expect(get.$metadata.httpStatusCode).toBe(206);
  expect(get.ContentRange).toBe(contentRange);
  expect(get.ContentLength).toBe(expected.length);
  expect(await get.Body?.transformToString()).toBe(expected);
});

test.each(['bytes=4-2', 'bytes=0-1,4-5', 'bytes=-', 'lines=1-2', 'bytes=a-b'])(
  'ignores the malformed or multiple range %s',
  async (Range) => {
    const { client } = await startWorld();
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: TEXT }));

    const get = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a', Range }));

    expect(get.$metadata.httpStatusCode).toBe(200);
    expect(await get.Body?.transformToString()).toBe(TEXT);
  },
);

test.each([
  ['bytes=10-', TEXT],
  ['bytes=-0', TEXT],
  ['bytes=0-', ''],
])('returns 416 for the range %s, which contains no byte of the object', async (Range, Body) => {
  const { client } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body }));

  await expect(client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a', Range }))).rejects.toMatchObject({
    name: 'InvalidRange',
    $metadata: { httpStatusCode: 416 },
    ActualObjectSize: String(Body.length),
  });
});

const past = new Date(Date.now() - 3_600_000);
const future = new Date(Date.now() + 3_600_000);
type Conditions = Pick<
  GetObjectCommandInput,
  'IfMatch' | 'IfNoneMatch' | 'IfModifiedSince' | 'IfUnmodifiedSince'
>;

test.each<[number, string, (etag: string) => Conditions]>([
  [200, 'If-Match names it', (IfMatch) => ({ IfMatch })],
  [
    200,
    'If-Match names it among others, without quotes',
    (etag) => ({ IfMatch: `"x", ${etag.slice(1, -1)}` }),
  ],
  [200, 'If-Match is *', () => ({ IfMatch: '*' })],
  [412, 'If-Match names another', () => ({ IfMatch: '"other"' })],
  [304, 'If-None-Match names it', (IfNoneMatch) => ({ IfNoneMatch })],
  [304, 'If-None-Match names it as weak', (etag) => ({ IfNoneMatch: `W/${etag}` })],
  [200, 'If-None-Match names another', () => ({ IfNoneMatch: '"other"' })],
  [200, 'it was modified since', () => ({ IfModifiedSince: past })],
  [304, 'it was not modified since', () => ({ IfModifiedSince: future })],
  [412, 'it was not to be modified since', () => ({ IfUnmodifiedSince: past })],
  [200, 'it was indeed not modified since', () => ({ IfUnmodifiedSince: future })],
  // An ETag is exact, so it overrides a date.
  [200, 'If-Match names it, whatever the date', (IfMatch) => ({ IfMatch, IfUnmodifiedSince: past })],
  [
    200,
    'If-None-Match names another, whatever the date',
    () => ({ IfNoneMatch: '"x"', IfModifiedSince: future }),
  ],
  [
    412,
    'If-Match fails, although If-None-Match names it',
    (IfNoneMatch) => ({ IfMatch: '"x"', IfNoneMatch }),
  ],
])('returns %i for an object if %s', async (status, _what, conditionsOf) => {
  const { client } = await startWorld();
  const { ETag = '' } = await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: TEXT }));
  const input = { Bucket: bucket, Key: 'a', ...conditionsOf(ETag) };

  for (const command of [new GetObjectCommand(input), new HeadObjectCommand(input)]) {
    const received = await client.send(command as GetObjectCommand).then(
      ({ $metadata }) => $metadata.httpStatusCode,
      ({ $metadata }) => $metadata.httpStatusCode,
    );
    expect(received).toBe(status);
  }
});

test('keeps the connection of a client that has the object already', async () => {
  const { server, client } = await startWorld();
  const { ETag } = await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: TEXT }));

  const cached = client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a', IfNoneMatch: ETag }));
  await expect(cached).rejects.toMatchObject({ $metadata: { httpStatusCode: 304 } });
  const again = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a' }));

  expect(await again.Body?.transformToString()).toBe(TEXT);
  expect(server.connections.accepted).toBe(1);
});

test('omits the checksum for a range and when it is not requested', async () => {
  const { client } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: TEXT }));
  const one = { Bucket: bucket, Key: 'a', ChecksumMode: 'ENABLED' } as const;

  const part = await client.send(new HeadObjectCommand({ ...one, Range: 'bytes=0-1' }));
  const whole = await client.send(new HeadObjectCommand(one));
  const unasked = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'a' }));

  expect(part).toMatchObject({ ContentLength: 2, ContentRange: 'bytes 0-1/10' });
  expect(part.ChecksumCRC32).toBeUndefined();
  expect(whole.ChecksumCRC32).toBeDefined();
  expect(unasked.ChecksumCRC32).toBeUndefined();
});

test('stores and returns an empty object', async () => {
  const { client } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: '' }));

  const get = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a' }));

  expect(get).toMatchObject({ ContentLength: 0, ETag: '"d41d8cd98f00b204e9800998ecf8427e"' });
  expect(await get.Body?.transformToString()).toBe('');
});

test('sets Last-Modified by the given clock', async () => {
  const time = shiftedTime();
  const { client } = await startWorld({ time });
  time.shift(10 * 60_000);
  const put = new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' });

  await client.send(put);
  const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'a' }));

  expect(Math.abs((head.LastModified?.getTime() ?? 0) - time.now())).toBeLessThan(60_000);
});

test('lists in pages of any size, from any start, and includes files added by hand', async () => {
  const { client, directory } = await startWorld();
  const keys = ['a', 'a.txt', 'a/b', 'b c+&=<é>', 'c\u{1F600}', 'd\u0001'];
  // `a` and `a/b` cannot both be files.
  const stored = keys.filter((key) => key !== 'a');
  for (const key of stored) await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: key }));
  await mkdir(join(directory, 'mine'));
  await writeFile(join(directory, 'mine/scan.pdf'), 'scan');
  const all = [...stored, 'mine/scan.pdf'];

  const byTwo: string[] = [];
  let token: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        MaxKeys: 2,
        EncodingType: 'url',
        ...(token !== undefined && { ContinuationToken: token }),
      }),
    );
    expect(page.KeyCount).toBe(page.Contents?.length);
    byTwo.push(...(page.Contents ?? []).map(({ Key = '' }) => decodeURIComponent(Key.replaceAll('+', ' '))));
    token = page.NextContinuationToken;
  } while (token !== undefined);
  const after = await client.send(
    new ListObjectsV2Command({ Bucket: bucket, StartAfter: 'a/b', Prefix: 'b', EncodingType: 'url' }),
  );
  const none = await client.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 0 }));
  const plain = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: 'b c' }));

  expect(byTwo).toEqual(all.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  expect(after).toMatchObject({ KeyCount: 1, StartAfter: 'a/b', EncodingType: 'url' });
  expect(none).toMatchObject({ KeyCount: 0, IsTruncated: false });
  expect(plain.Contents).toMatchObject([
    {
      Key: 'b c+&=<é>',
      Size: Buffer.byteLength('b c+&=<é>'),
      ChecksumAlgorithm: ['CRC32'],
      StorageClass: 'STANDARD',
    },
  ]);
});

test.each<[object]>([[{ ContinuationToken: '!' }], [{ MaxKeys: -1 }], [{ EncodingType: 'rot13' }]])(
  'returns 400 for a listing with the invalid parameter %j',
  async (parameter) => {
    const { client } = await startWorld();

    await expect(
      client.send(new ListObjectsV2Command({ Bucket: bucket, ...parameter })),
    ).rejects.toMatchObject({ name: 'InvalidArgument' });
  },
);

/** Uses a keep-alive connection, so that only a broken connection ends a body that is too short. */
const open = (url: string) => {
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  return new Promise<IncomingMessage>((resolve, reject) =>
    httpGet(url, { agent }, resolve).on('error', reject),
  );
};

test('breaks the connection when a file shrinks while it is read', async () => {
  const { server, directory } = await startWorld();
  await writeFile(join(directory, 'big'), randomBytes(20_000_000));
  const response = await open(server.presignGet(bucket, 'big', { expiresInSeconds: 60 }));
  await truncate(join(directory, 'big'), 1000);

  const outcome = await new Promise<string>((resolve) => {
    response.on('end', () => resolve('end'));
    response.on('error', (error) => resolve(error.message));
    response.resume();
  });

  expect(response.headers['content-length']).toBe('20000000');
  expect(outcome).toBe('aborted');
  // Less than the time after which an idle connection is closed.
}, 4000);

test('reports every request once, without its query', async () => {
  const log: S3ResponseInfo[] = [];
  const { client, server } = await startWorld({ onResponse: (response) => log.push(response) });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' }));
  await (await fetch(server.presignGet(bucket, 'b', { expiresInSeconds: 60 }))).text();

  expect(log).toEqual([
    { operation: 'PutObject', bucket, key: 'a', status: 200 },
    { operation: 'GetObject', bucket, key: 'b', status: 404, code: 'NoSuchKey' },
  ]);
});
