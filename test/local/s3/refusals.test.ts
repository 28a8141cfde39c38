import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { expect, test, vi } from 'vitest';
import { bucket, filesBelow, rawExchange, sha256, signedPutHead, startWorld } from './fixture.ts';

const HELLO = 'hello';
const md5 = (text: string) => createHash('md5').update(text).digest('base64');
/** CRC32 of `hello`: 0x3610a686. */
const CRC32 = 'NhCmhg==';
const LENGTH = { 'content-length': '5' };
const CHUNKED = {
  'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  'x-amz-decoded-content-length': '5',
  'x-amz-trailer': 'x-amz-checksum-crc32',
  'transfer-encoding': 'chunked',
};
const retention = (mode: string, until: string) => ({
  'x-amz-checksum-crc32': CRC32,
  'x-amz-object-lock-mode': mode,
  'x-amz-object-lock-retain-until-date': until,
});
/** In HTTP's chunked transfer coding, as the SDK sends it. */
const chunked = (inner: string) => `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`;
const aws = (trailer: string) => chunked(`5\r\nhello\r\n0\r\n${trailer}\r\n`);

test.each<[string, Record<string, string>, string]>([
  ['a SHA-256 in a header', { ...LENGTH, 'x-amz-checksum-sha256': sha256(HELLO) }, HELLO],
  ['a CRC32 in a header', { ...LENGTH, 'x-amz-checksum-crc32': CRC32 }, HELLO],
  ['a Content-MD5', { ...LENGTH, 'content-md5': md5(HELLO) }, HELLO],
  [
    'a literal x-amz-content-sha256',
    { ...LENGTH, 'x-amz-content-sha256': createHash('sha256').update(HELLO).digest('hex') },
    HELLO,
  ],
  ['a CRC32 in the trailer', CHUNKED, aws(`x-amz-checksum-crc32:${CRC32}\r\n`)],
  [
    'a SHA-256 in the trailer',
    { ...CHUNKED, 'x-amz-trailer': 'x-amz-checksum-sha256' },
    aws(`x-amz-checksum-sha256:${sha256(HELLO)}\r\n`),
  ],
])('stores an object with %s that matches', async (_what, headers, body) => {
  const { server, client } = await startWorld();

  const response = await rawExchange(
    server.endpoint,
    (await signedPutHead(server.endpoint, 'a', headers)) + body,
  );

  expect(response).toMatch(/^HTTP\/1\.1 200 /);
  const get = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a' }));
  expect(await get.Body?.transformToString()).toBe(HELLO);
});

test.each<[string, Record<string, string | undefined>, string, number, string]>([
  ['a wrong SHA-256', { ...LENGTH, 'x-amz-checksum-sha256': sha256('other') }, HELLO, 400, 'BadDigest'],
  ['a SHA-256 in hex', { ...LENGTH, 'x-amz-checksum-sha256': 'ab'.repeat(32) }, HELLO, 400, 'InvalidRequest'],
  [
    'a SHA-256 that is too short',
    { ...LENGTH, 'x-amz-checksum-sha256': CRC32 },
    HELLO,
    400,
    'InvalidRequest',
  ],
  ['a wrong CRC32', { ...LENGTH, 'x-amz-checksum-crc32': 'AAAAAA==' }, HELLO, 400, 'BadDigest'],
  ['a malformed CRC32', { ...LENGTH, 'x-amz-checksum-crc32': 'AAAA' }, HELLO, 400, 'InvalidRequest'],
  [
    'two checksums',
    { ...LENGTH, 'x-amz-checksum-crc32': CRC32, 'x-amz-checksum-sha256': sha256(HELLO) },
    HELLO,
    400,
    'InvalidRequest',
  ],
  ['an unsupported checksum', { ...LENGTH, 'x-amz-checksum-sha1': md5(HELLO) }, HELLO, 501, 'NotImplemented'],
  [
    'an algorithm without a checksum',
    { ...LENGTH, 'x-amz-sdk-checksum-algorithm': 'SHA256' },
    HELLO,
    400,
    'InvalidRequest',
  ],
  [
    'an algorithm that differs from the checksum',
    { ...LENGTH, 'x-amz-sdk-checksum-algorithm': 'SHA256', 'x-amz-checksum-crc32': CRC32 },
    HELLO,
    400,
    'InvalidRequest',
  ],
  ['a wrong Content-MD5', { ...LENGTH, 'content-md5': md5('other') }, HELLO, 400, 'BadDigest'],
  ['a malformed Content-MD5', { ...LENGTH, 'content-md5': 'x' }, HELLO, 400, 'InvalidDigest'],
  [
    'a wrong x-amz-content-sha256',
    { ...LENGTH, 'x-amz-content-sha256': 'ab'.repeat(32) },
    HELLO,
    400,
    'XAmzContentSHA256Mismatch',
  ],
  [
    'a malformed x-amz-content-sha256',
    { ...LENGTH, 'x-amz-content-sha256': 'x' },
    HELLO,
    400,
    'InvalidArgument',
  ],
  [
    'signed chunks',
    { ...LENGTH, 'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' },
    HELLO,
    501,
    'NotImplemented',
  ],
  ['a missing length', {}, '', 411, 'MissingContentLength'],
  ['chunks of unknown length', { 'transfer-encoding': 'chunked' }, chunked(HELLO), 501, 'NotImplemented'],
  [
    'aws-chunked without the decoded length',
    { ...CHUNKED, 'x-amz-decoded-content-length': undefined },
    aws(`x-amz-checksum-crc32:${CRC32}\r\n`),
    411,
    'MissingContentLength',
  ],
  ['more than 5 GiB', { 'content-length': String(5 * 1024 ** 3 + 1) }, HELLO, 400, 'EntityTooLarge'],
  ['a wrong CRC32 in the trailer', CHUNKED, aws('x-amz-checksum-crc32:AAAAAA==\r\n'), 400, 'BadDigest'],
  ['a malformed CRC32 in the trailer', CHUNKED, aws('x-amz-checksum-crc32:x\r\n'), 400, 'InvalidRequest'],
  ['a missing trailer that was announced', CHUNKED, aws(''), 400, 'MalformedTrailerError'],
  [
    'a trailer that was not announced',
    CHUNKED,
    aws(`x-amz-checksum-sha256:${sha256(HELLO)}\r\n`),
    400,
    'MalformedTrailerError',
  ],
  [
    'fewer bytes than the decoded length',
    { ...CHUNKED, 'x-amz-decoded-content-length': '6' },
    aws(`x-amz-checksum-crc32:${CRC32}\r\n`),
    400,
    'IncompleteBody',
  ],
  [
    'more bytes than the decoded length',
    { ...CHUNKED, 'x-amz-decoded-content-length': '4' },
    aws(`x-amz-checksum-crc32:${CRC32}\r\n`),
    400,
    'IncompleteBody',
  ],
  ['an aws-chunked body without its end', CHUNKED, chunked('5\r\nhello\r\n'), 400, 'IncompleteBody'],
  ['If-None-Match with an ETag', { ...LENGTH, 'if-none-match': '"a"' }, HELLO, 501, 'NotImplemented'],
  ['If-Match with any object', { ...LENGTH, 'if-match': '*' }, HELLO, 501, 'NotImplemented'],
  ['two conditions', { ...LENGTH, 'if-match': '"a"', 'if-none-match': '*' }, HELLO, 501, 'NotImplemented'],
  ['If-Match without an object', { ...LENGTH, 'if-match': '"a"' }, HELLO, 404, 'NoSuchKey'],
  ['an ACL', { ...LENGTH, 'x-amz-acl': 'public-read' }, HELLO, 501, 'NotImplemented'],
  [
    'a retention without a date',
    { ...LENGTH, 'x-amz-object-lock-mode': 'GOVERNANCE' },
    HELLO,
    400,
    'InvalidArgument',
  ],
  [
    'an unknown retention mode',
    { ...LENGTH, ...retention('FOREVER', '2999-01-01T00:00:00Z') },
    HELLO,
    400,
    'InvalidArgument',
  ],
  [
    'a retention that has ended',
    { ...LENGTH, ...retention('COMPLIANCE', '2001-01-01T00:00:00Z') },
    HELLO,
    400,
    'InvalidArgument',
  ],
  [
    'a retention until a day that does not exist',
    { ...LENGTH, ...retention('COMPLIANCE', '2999-02-30T00:00:00Z') },
    HELLO,
    400,
    'InvalidArgument',
  ],
  [
    'an unknown legal hold',
    { ...LENGTH, 'x-amz-object-lock-legal-hold': 'MAYBE' },
    HELLO,
    400,
    'InvalidArgument',
  ],
  [
    'a legal hold without a checksum',
    { ...LENGTH, 'x-amz-object-lock-legal-hold': 'ON' },
    HELLO,
    400,
    'InvalidRequest',
  ],
  ['a copy', { ...LENGTH, 'x-amz-copy-source': '/a/b' }, HELLO, 501, 'NotImplemented'],
  [
    'an unknown encryption',
    { ...LENGTH, 'x-amz-server-side-encryption': 'rot13' },
    HELLO,
    400,
    'InvalidRequest',
  ],
  [
    'metadata of more than 2 kB',
    { ...LENGTH, 'x-amz-meta-a': 'x'.repeat(2048) },
    HELLO,
    400,
    'MetadataTooLarge',
  ],
  ['another owner', { ...LENGTH, 'x-amz-expected-bucket-owner': '111111111111' }, HELLO, 403, 'AccessDenied'],
])('rejects %s and stores nothing', async (_what, headers, body, status, code) => {
  const { server, directory, errors } = await startWorld();

  const response = await rawExchange(
    server.endpoint,
    (await signedPutHead(server.endpoint, 'a', headers)) + body,
  );

  expect(response).toContain(`HTTP/1.1 ${status} `);
  expect(response).toContain(`<Code>${code}</Code>`);
  expect(await filesBelow(directory)).toEqual([]);
  expect(errors).toEqual([]);
});

test.each([
  ['../../etc/passwd', '../../etc/passwd', 404, 'NoSuchKey'],
  ['../../etc/passwd', '%2e%2e/%2E%2E/etc/passwd', 404, 'NoSuchKey'],
  ['a//b', 'a//b', 404, 'NoSuchKey'],
  ['a/', 'a/', 404, 'NoSuchKey'],
  ['a/b/', 'a/b/', 404, 'NoSuchKey'],
  ['/etc/passwd', '/etc/passwd', 404, 'NoSuchKey'],
  ['a\0b', 'a%00b', 404, 'NoSuchKey'],
  ['.s3/secret', '.s3/secret', 404, 'NoSuchKey'],
  ['x'.repeat(256), 'x'.repeat(256), 404, 'NoSuchKey'],
  ['x/'.repeat(600), 'x/'.repeat(600), 400, 'KeyTooLongError'],
  ['a', '%ff', 400, 'InvalidURI'],
])(
  'finds nothing under the key %j, sent as %s, even with a valid signature',
  async (key, path, status, code) => {
    const { server, directory, errors } = await startWorld();
    await mkdir(join(directory, '.s3'));
    await writeFile(join(directory, '.s3/secret'), 'secret');
    await mkdir(join(directory, 'a'));
    await writeFile(join(directory, 'a/b'), 'b');
    const link = server.presignGet(bucket, key, { expiresInSeconds: 60 });
    const query = link.slice(link.indexOf('?'));

    // Write to the socket: a URL parser would resolve the dots.
    const response = await rawExchange(
      server.endpoint,
      `GET /${bucket}/${path}${query} HTTP/1.1\r\nhost: ${new URL(link).host}\r\nconnection: close\r\n\r\n`,
    );

    expect(response).toContain(`HTTP/1.1 ${status} `);
    expect(response).toContain(`<Code>${code}</Code>`);
    expect(errors).toEqual([]);
  },
);

test('stores nothing and leaves no file when the client ends the body early', async () => {
  const { server, directory, errors } = await startWorld();
  const head = await signedPutHead(server.endpoint, 'a', { 'content-length': '100000' });

  await rawExchange(server.endpoint, head + 'x'.repeat(50_000), { thenEnd: true });

  await vi.waitFor(() => expect(server.connections.open).toBe(0));
  await vi.waitFor(async () => expect(await filesBelow(directory)).toEqual([]));
  expect(errors).toEqual([]);
});

test('leaves no file when the client resets the connection during the body', async () => {
  const { server, directory, errors } = await startWorld();
  const head = await signedPutHead(server.endpoint, 'a', { 'content-length': '100000' });
  const { hostname, port } = new URL(server.endpoint);
  const socket = connect(Number(port), hostname);
  socket.write(head + 'x'.repeat(50_000));
  // Wait until the upload has started.
  await vi.waitFor(async () => expect(await filesBelow(directory)).toHaveLength(1));

  socket.resetAndDestroy();

  await vi.waitFor(async () => expect(await filesBelow(directory)).toEqual([]));
  expect(errors).toEqual([]);
});

test('rejects a conditional put of an existing key before it reads the body', async () => {
  const { server, client, errors } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'first' }));
  let read = 0;
  const body = new Readable({
    read() {
      read += 1;
      this.push(randomBytes(65_536));
    },
  });

  // The SDK sends Expect: 100-continue for a body of this size.
  await expect(
    client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: 'a',
        Body: body,
        ContentLength: 5 * 1024 ** 3,
        ChecksumSHA256: sha256('x'),
        IfNoneMatch: '*',
      }),
    ),
  ).rejects.toMatchObject({ name: 'PreconditionFailed', $metadata: { httpStatusCode: 412 } });
  body.destroy();

  expect(read).toBeLessThan(10);
  expect(errors).toEqual([]);
  expect(server.requests.get('PutObject')).toBe(2);
});

test('delivers the error to a client that sends its whole body before it reads', async () => {
  const { server, client, errors } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'first' }));
  const head = await signedPutHead(server.endpoint, 'a', {
    'content-length': '20000000',
    'if-none-match': '*',
  });
  const { hostname, port } = new URL(server.endpoint);
  const socket = connect(Number(port), hostname).pause();

  const failed = await new Promise<Error | null | undefined>((resolve) => {
    socket.on('error', resolve);
    socket.write(head);
    socket.write(Buffer.alloc(20_000_000), resolve);
  });
  const response = await text(socket);

  expect(failed).toBeFalsy();
  expect(response).toMatch(/^HTTP\/1\.1 412 /);
  expect(response).toContain('<Code>PreconditionFailed</Code>');
  expect(errors).toEqual([]);
});

test('delivers the error to the SDK while it sends a body', async () => {
  const { server, client } = await startWorld({}, { expectContinueHeader: false });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'first' }));

  for (let round = 0; round < 10; round += 1) {
    const bytes = randomBytes(8_000_000);
    await expect(
      client.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: 'a',
          Body: Readable.from([bytes.subarray(0, 4_000_000), bytes.subarray(4_000_000)]),
          ContentLength: bytes.length,
          ChecksumSHA256: sha256(bytes),
          IfNoneMatch: '*',
        }),
      ),
    ).rejects.toMatchObject({ name: 'PreconditionFailed' });
  }
  await vi.waitFor(() => expect(server.connections.open).toBeLessThanOrEqual(1));
});

test('rejects small chunks of a stream as S3 does', async () => {
  const { client, directory } = await startWorld();

  await expect(
    client.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: 'a',
        Body: Readable.from([Buffer.alloc(100), Buffer.alloc(100)]),
        ContentLength: 200,
      }),
    ),
  ).rejects.toMatchObject({ name: 'InvalidChunkSizeError', $metadata: { httpStatusCode: 403 } });
  expect(await filesBelow(directory)).toEqual([]);
});

test('returns 404 with the right code for a missing key, bucket or version', async () => {
  const { client } = await startWorld();
  const missing = { Bucket: bucket, Key: 'missing' };

  await expect(client.send(new GetObjectCommand(missing))).rejects.toMatchObject({
    name: 'NoSuchKey',
    Key: 'missing',
  });
  await expect(client.send(new HeadObjectCommand(missing))).rejects.toMatchObject({ name: 'NotFound' });
  await expect(client.send(new GetObjectCommand({ ...missing, Bucket: 'other' }))).rejects.toMatchObject({
    name: 'NoSuchBucket',
  });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' }));
  await expect(
    client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a', VersionId: 'other' })),
  ).rejects.toMatchObject({ name: 'NoSuchVersion' });
});

test('returns 501 for unsupported operations, counts them by name and changes nothing', async () => {
  const { server, client } = await startWorld();
  const one = { Bucket: bucket, Key: 'a' };
  await client.send(new PutObjectCommand({ ...one, Body: 'a' }));

  const refused = { $metadata: { httpStatusCode: 501 } };
  await expect(
    client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [one] } })),
  ).rejects.toMatchObject(refused);
  await expect(client.send(new GetObjectTaggingCommand(one))).rejects.toMatchObject(refused);
  await expect(client.send(new DeleteObjectCommand({ ...one, IfMatch: '"a"' }))).rejects.toMatchObject(
    refused,
  );
  await expect(
    client.send(new ListObjectVersionsCommand({ Bucket: bucket, Delimiter: '/' })),
  ).rejects.toMatchObject(refused);
  // The SDK adds x-id=GetObject, which must not hide the other parameters.
  await expect(
    client.send(new GetObjectCommand({ ...one, ResponseContentType: 'text/html' })),
  ).rejects.toMatchObject(refused);

  expect(Object.fromEntries(server.requests)).toEqual({
    PutObject: 1,
    'POST Bucket delete': 1,
    'GET Object tagging': 1,
    DeleteObject: 1,
    ListObjectVersions: 1,
    'GET Object response-content-type': 1,
  });
  const get = await client.send(new GetObjectCommand(one));
  expect(await get.Body?.transformToString()).toBe('a');
});

test('aborts a running upload on close', async () => {
  const { server, directory, errors } = await startWorld();
  const head = await signedPutHead(server.endpoint, 'a', { 'content-length': '100000' });
  const { hostname, port } = new URL(server.endpoint);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => socket.destroy());
  socket.write(head + 'x'.repeat(50_000));
  await vi.waitFor(async () => expect(await filesBelow(directory)).toHaveLength(1));
  const closed = once(socket, 'close');

  await server.close();

  await closed;
  expect(await filesBelow(directory)).toEqual([]);
  expect(errors).toEqual([]);
  expect(server.connections).toMatchObject({ accepted: 1, open: 0 });
});

test('closes idle keep-alive connections on close', async () => {
  const { server, client } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' }));
  expect(server.connections.open).toBe(1);

  await server.close();

  expect(server.connections.open).toBe(0);
});
