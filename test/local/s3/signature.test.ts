import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { expect, onTestFinished, test } from 'vitest';
import { bucket, credentials, shiftedTime, startWorld } from './fixture.ts';

const keys = ['plain', "sp ace+plus&amp=eq?q#h%41!'()*~", 'ünï/\u{1F600}', 'a:b;c,d@e$f[g]'];

test.each(keys)('accepts presigned links of this server and of the SDK for the key %j', async (key) => {
  const { server, client } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: key }));

  const own = await fetch(server.presignGet(bucket, key, { expiresInSeconds: 60 }));
  const fromSdk = await fetch(
    await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: key }), { expiresIn: 60 }),
  );

  expect([own.status, await own.text()]).toEqual([200, key]);
  expect([fromSdk.status, await fromSdk.text()]).toEqual([200, key]);
});

test('rejects an expired link with AccessDenied in XML', async () => {
  const time = shiftedTime();
  const { server, client } = await startWorld({ time });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' }));
  const link = server.presignGet(bucket, 'a', { expiresInSeconds: 60 });
  time.shift(58_000);
  const beforeExpiry = await fetch(link);
  time.shift(3_000);
  const afterExpiry = await fetch(link);

  expect(beforeExpiry.status).toBe(200);
  expect(afterExpiry.status).toBe(403);
  expect(afterExpiry.headers.get('content-type')).toBe('application/xml');
  expect(afterExpiry.headers.get('x-amz-request-id')).toMatch(/^[0-9A-F]{16}$/);
  expect(await afterExpiry.text()).toMatch(
    /^<\?xml version="1.0" encoding="UTF-8"\?>\n<Error><Code>AccessDenied<\/Code><Message>Request has expired<\/Message><X-Amz-Expires>60<\/X-Amz-Expires><Expires>[^<]+Z<\/Expires><ServerTime>[^<]+Z<\/ServerTime><RequestId>[0-9A-F]{16}<\/RequestId><HostId>[^<]+<\/HostId><\/Error>$/,
  );
});

test('rejects a link with a changed signature, key, expiry, host, method or header', async () => {
  const time = shiftedTime();
  const { server, client } = await startWorld({ time });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' }));
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'b', Body: 'b' }));
  const link = server.presignGet(bucket, 'a', { expiresInSeconds: 60 });
  const codeOf = async (url: string, init?: RequestInit) =>
    /<Code>(.*?)<\/Code>/.exec(await (await fetch(url, init)).text())?.[1];
  const flipped = link.replace(/(Signature=)(.)/, (_all, name, digit) => name + (digit === '0' ? '1' : '0'));

  expect(await codeOf(flipped)).toBe('SignatureDoesNotMatch');
  expect(await codeOf(link.replace('/a?', '/b?'))).toBe('SignatureDoesNotMatch');
  expect(await codeOf(link.replace('Expires=60', 'Expires=61'))).toBe('SignatureDoesNotMatch');
  expect(await codeOf(link.replace('127.0.0.1', 'localhost'))).toBe('SignatureDoesNotMatch');
  expect(await codeOf(link, { method: 'PUT', body: 'x' })).toBe('SignatureDoesNotMatch');
  expect(await codeOf(link.replace(credentials.accessKeyId, 'AKIDOTHER'))).toBe('InvalidAccessKeyId');
  expect(await codeOf(link.replace('Expires=60', 'Expires=604801'))).toBe(
    'AuthorizationQueryParametersError',
  );
  expect(await codeOf(link.replace('Expires=60', 'Expires=-1'))).toBe('AuthorizationQueryParametersError');
  expect(await codeOf(link, { headers: { 'x-amz-meta-a': 'b' } })).toBe('AccessDenied');
  expect(await codeOf(link, { headers: { authorization: 'AWS4-HMAC-SHA256 x' } })).toBe('InvalidArgument');
  expect(await codeOf(link.slice(0, link.indexOf('?')))).toBe('AccessDenied');
  time.shift(-20 * 60_000);
  expect(await codeOf(link)).toBe('AccessDenied');
});

test('rejects a client with a wrong secret, an unknown access key or a wrong clock', async () => {
  const time = shiftedTime();
  const { server } = await startWorld({ time });
  const get = async (accessKeyId: string, secretAccessKey: string) => {
    const client = new S3Client({
      endpoint: server.endpoint,
      region: 'eu-central-1',
      credentials: { accessKeyId, secretAccessKey },
      forcePathStyle: true,
      maxAttempts: 1,
    });
    onTestFinished(() => client.destroy());
    return client.send(new GetObjectCommand({ Bucket: bucket, Key: 'missing' }));
  };
  const { accessKeyId, secretAccessKey } = credentials;

  await expect(get(accessKeyId, 'wrong')).rejects.toMatchObject({
    name: 'SignatureDoesNotMatch',
    $metadata: { httpStatusCode: 403 },
  });
  await expect(get('AKIDOTHER', secretAccessKey)).rejects.toMatchObject({ name: 'InvalidAccessKeyId' });
  await expect(get(accessKeyId, secretAccessKey)).rejects.toMatchObject({ name: 'NoSuchKey' });
  time.shift(16 * 60_000);
  await expect(get(accessKeyId, secretAccessKey)).rejects.toMatchObject({ name: 'RequestTimeTooSkewed' });
});

test('returns 400 for a malformed Authorization header', async () => {
  const { server } = await startWorld();

  const response = await fetch(`${server.endpoint}/${bucket}/a`, { headers: { authorization: 'Bearer x' } });

  expect([response.status, await response.text()]).toEqual([
    400,
    expect.stringContaining('AuthorizationHeaderMalformed'),
  ]);
});
