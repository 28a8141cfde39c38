import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, onTestFinished, test, vi } from 'vitest';
import { systemTime } from '../../../functions/time.ts';
import type { S3Fault } from '../../../local/s3/faults.ts';
import { bucket, filesBelow, rawExchange, sha256, startWorld } from './fixture.ts';

const BYTES = randomBytes(300_000);

interface Download {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
  /** `end`, the error's code, or `stalled`. */
  readonly ending: string;
}

/** Downloads the object under a fault, with a plain HTTP client. */
async function download(fault: S3Fault, until?: (bytes: number) => boolean): Promise<Download> {
  const { server, client, errors } = await startWorld({
    intercept: ({ operation }) => (operation === 'GetObject' ? fault : undefined),
  });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: BYTES }));
  const link = server.presignGet(bucket, 'a', { expiresInSeconds: 60 });
  const chunks: Buffer[] = [];
  let response: IncomingMessage | undefined;
  const ending = await new Promise<string>((resolve) => {
    const request = httpGet(link, { agent: false }, (message) => {
      response = message;
      let received = 0;
      message.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        received += chunk.length;
        if (until?.(received)) resolve('stalled');
      });
      message.on('end', () => resolve('end'));
      message.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    onTestFinished(() => {
      request.destroy();
    });
  });
  expect(errors).toEqual([]);
  return {
    status: response?.statusCode,
    headers: response?.headers ?? {},
    bytes: Buffer.concat(chunks),
    ending,
  };
}

test('truncate with length sends fewer bytes than announced, which the client detects', async () => {
  const { headers, bytes, ending } = await download({
    kind: 'truncate',
    afterBytes: 100_000,
    withLength: true,
  });

  expect(headers['content-length']).toBe('300000');
  expect(bytes.equals(BYTES.subarray(0, 100_000))).toBe(true);
  expect(ending).toBe('ECONNRESET');
});

test('truncate without length sends fewer bytes, which the client does not detect', async () => {
  const { headers, bytes, ending } = await download({
    kind: 'truncate',
    afterBytes: 100_000,
    withLength: false,
  });

  expect(headers['content-length']).toBeUndefined();
  expect(headers['transfer-encoding']).toBeUndefined();
  expect(bytes).toHaveLength(100_000);
  expect(ending).toBe('end');
});

test('longer with length sends more bytes than announced', async () => {
  const { server, client } = await startWorld({
    intercept: ({ operation }) =>
      operation === 'GetObject' ? { kind: 'longer', extraBytes: 10, withLength: true } : undefined,
  });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: BYTES }));
  const { pathname, search, host } = new URL(server.presignGet(bucket, 'a', { expiresInSeconds: 60 }));

  const response = await rawExchange(
    server.endpoint,
    `GET ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
  );

  const head = response.indexOf('\r\n\r\n') + 4;
  expect(response.slice(0, head)).toContain('content-length: 300000\r\n');
  expect(response.length - head).toBe(300_010);
});

test('longer without length delivers the extra bytes to the client', async () => {
  const { bytes, ending } = await download({ kind: 'longer', extraBytes: 10, withLength: false });

  expect(bytes).toHaveLength(300_010);
  expect(ending).toBe('end');
});

test.each([0, 1, 299_999])('corrupt flips exactly one bit, in byte %i', async (atByte) => {
  const { bytes, ending } = await download({ kind: 'corrupt', atByte });

  const different = [...bytes.keys()].filter((at) => bytes[at] !== BYTES[at]);
  expect(different).toEqual([atByte]);
  expect((bytes[atByte] ?? 0) ^ (BYTES[atByte] ?? 0)).toBe(1);
  expect(ending).toBe('end');
});

test.each([0, 65_536, 200_000])(
  'reset during the response closes the connection after %i bytes',
  async (afterBytes) => {
    const { bytes, ending } = await download({ kind: 'reset', during: 'response', afterBytes });

    expect(bytes.length).toBeLessThanOrEqual(afterBytes);
    expect(ending).toBe('ECONNRESET');
  },
);

test('reset during the request closes the connection without a response', async () => {
  const { status, ending } = await download({ kind: 'reset', during: 'request', afterBytes: 0 });

  expect(status).toBeUndefined();
  expect(ending).toBe('ECONNRESET');
});

test('stall during the response sends the given number of bytes, then nothing', async () => {
  const { status, bytes, ending } = await download(
    { kind: 'stall', during: 'response', afterBytes: 1000 },
    (received) => received >= 1000,
  );

  expect(status).toBe(200);
  expect(bytes).toHaveLength(1000);
  expect(ending).toBe('stalled');
});

test('gzip with real encoding sends bytes that decompress to the object', async () => {
  const { headers, bytes } = await download({ kind: 'gzip', real: true });

  expect(headers['content-encoding']).toBe('gzip');
  expect(gunzipSync(bytes).equals(BYTES)).toBe(true);
});

test('gzip without encoding sends only the header', async () => {
  const { headers, bytes } = await download({ kind: 'gzip', real: false });

  expect(headers['content-encoding']).toBe('gzip');
  expect(bytes.equals(BYTES)).toBe(true);
});

test('redirect sends a location and an XML body', async () => {
  const { status, headers, bytes } = await download({ kind: 'redirect', location: 'http://127.0.0.1:1/x' });

  expect(status).toBe(307);
  expect(headers.location).toBe('http://127.0.0.1:1/x');
  expect(bytes.toString()).toContain('<Code>TemporaryRedirect</Code>');
});

test('drip sends at the given rate, measured by the given clock', async () => {
  const waits: number[] = [];
  const { server, client } = await startWorld({
    intercept: ({ operation }) =>
      operation === 'GetObject' ? { kind: 'drip', bytesPerSecond: 100_000 } : undefined,
    time: {
      ...systemTime,
      after: (ms, callback) => {
        waits.push(ms);
        return systemTime.after(0, callback);
      },
    },
  });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: BYTES }));
  waits.length = 0;

  const response = await fetch(server.presignGet(bucket, 'a', { expiresInSeconds: 60 }));
  const bytes = Buffer.from(await response.arrayBuffer());

  expect(bytes.equals(BYTES)).toBe(true);
  expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThanOrEqual(3000);
});

test('latency delays the request by the given clock and changes nothing else', async () => {
  const waits: number[] = [];
  const { client } = await startWorld({
    intercept: () => ({ kind: 'latency', ms: 3_600_000 }),
    time: {
      ...systemTime,
      after: (ms, callback) => {
        waits.push(ms);
        return systemTime.after(0, callback);
      },
    },
  });

  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' }));

  expect(waits).toContain(3_600_000);
});

const put = { Bucket: bucket, Key: 'a', Body: BYTES, ChecksumSHA256: sha256(BYTES), IfNoneMatch: '*' };

test.each(['before-body', 'after-body'] as const)(
  'error %s returns the error and stores nothing',
  async (when) => {
    const { client, directory } = await startWorld({
      intercept: () => ({
        kind: 'error',
        status: 503,
        code: 'SlowDown',
        when,
        headers: { 'retry-after': '7' },
      }),
    });

    await expect(client.send(new PutObjectCommand(put))).rejects.toMatchObject({
      name: 'SlowDown',
      $metadata: { httpStatusCode: 503 },
      $response: { headers: { 'retry-after': '7' } },
    });
    expect(await filesBelow(directory)).toEqual([]);
  },
);

test('lose-reply stores the object and sends no response', async () => {
  let puts = 0;
  const { client, directory } = await startWorld({
    intercept: ({ operation }) => {
      puts += operation === 'PutObject' ? 1 : 0;
      return puts === 1 ? { kind: 'lose-reply' } : undefined;
    },
  });

  await expect(client.send(new PutObjectCommand(put))).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect((await readFile(join(directory, 'a'))).equals(BYTES)).toBe(true);
  await expect(client.send(new PutObjectCommand(put))).rejects.toMatchObject({ name: 'PreconditionFailed' });
});

test('reset during an upload breaks the connection and stores nothing', async () => {
  const { client, directory } = await startWorld({
    intercept: () => ({ kind: 'reset', during: 'request', afterBytes: 100_000 }),
  });

  await expect(client.send(new PutObjectCommand(put))).rejects.toMatchObject({
    code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/),
  });
  expect(await filesBelow(directory)).toEqual([]);
});

test('a stalled upload stores nothing and does not delay closing', async () => {
  const { client, server, directory } = await startWorld({
    intercept: () => ({ kind: 'stall', during: 'request', afterBytes: 0 }),
  });
  const broken = client.send(new PutObjectCommand(put)).catch((error: NodeJS.ErrnoException) => error.code);
  await vi.waitFor(() => expect(server.requests.get('PutObject')).toBe(1));

  await server.close();

  expect(await broken).toMatch(/^(ECONNRESET|EPIPE)$/);
  expect(await filesBelow(directory)).toEqual([]);
});

test('a stalled request ends when the client aborts', async () => {
  const { client, server } = await startWorld({
    intercept: () => ({ kind: 'stall', during: 'request', afterBytes: 0 }),
  });
  const abort = new AbortController();
  const outcome = client
    .send(new GetObjectCommand({ Bucket: bucket, Key: 'a' }), { abortSignal: abort.signal })
    .catch((error: Error) => error.name);
  await vi.waitFor(() => expect(server.requests.get('GetObject')).toBe(1));

  abort.abort();

  expect(await outcome).toBe('AbortError');
  await vi.waitFor(() => expect(server.connections.open).toBe(0));
});

test('an interceptor receives each request before it is checked', async () => {
  const seen: unknown[] = [];
  const { server } = await startWorld({
    intercept: ({ method, operation, bucket: name, key, query, headers }) => {
      seen.push({ method, operation, name, key, prefix: query.get('prefix'), host: headers.host });
      return undefined;
    },
  });
  const host = new URL(server.endpoint).host;

  await fetch(`${server.endpoint}/${bucket}/documents/a%20b`);
  await fetch(`${server.endpoint}/${bucket}?list-type=2&prefix=documents%2F`);

  expect(seen).toEqual([
    { method: 'GET', operation: 'GetObject', name: bucket, key: 'documents/a b', prefix: undefined, host },
    { method: 'GET', operation: 'ListObjectsV2', name: bucket, key: undefined, prefix: 'documents/', host },
  ]);
});
