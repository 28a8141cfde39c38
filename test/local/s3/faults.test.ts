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
  /** How it ended: `end`, the error's code, or `stalled` when nothing more came. */
  readonly ending: string;
}

/** Downloads the object under a fault, with a client that believes the wire and nothing else. */
async function download(fault: S3Fault, until?: (bytes: number) => boolean): Promise<Download> {
  const { server, client, errors } = await startWorld({
    intercept: ({ operation }) => (operation === 'GetObject' ? fault : undefined),
  });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: BYTES }));
  const link = server.presignGet(bucket, 'a', { expiresInSeconds: 60 });
  const chunks: Buffer[] = [];
  let answer: IncomingMessage | undefined;
  const ending = await new Promise<string>((resolve) => {
    const request = httpGet(link, { agent: false }, (message) => {
      answer = message;
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
  return { status: answer?.statusCode, headers: answer?.headers ?? {}, bytes: Buffer.concat(chunks), ending };
}

test('truncated with length: fewer bytes than announced, and the client can tell', async () => {
  const { headers, bytes, ending } = await download({
    kind: 'truncate',
    afterBytes: 100_000,
    withLength: true,
  });

  expect(headers['content-length']).toBe('300000');
  expect(bytes.equals(BYTES.subarray(0, 100_000))).toBe(true);
  expect(ending).toBe('ECONNRESET');
});

test('truncated without length: fewer bytes, and the client cannot tell', async () => {
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

test('longer with length: more bytes on the wire than were announced', async () => {
  const { server, client } = await startWorld({
    intercept: ({ operation }) =>
      operation === 'GetObject' ? { kind: 'longer', extraBytes: 10, withLength: true } : undefined,
  });
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: BYTES }));
  const { pathname, search, host } = new URL(server.presignGet(bucket, 'a', { expiresInSeconds: 60 }));

  const answer = await rawExchange(
    server.endpoint,
    `GET ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
  );

  const head = answer.indexOf('\r\n\r\n') + 4;
  expect(answer.slice(0, head)).toContain('content-length: 300000\r\n');
  expect(answer.length - head).toBe(300_010);
});

test('longer without length: the extra bytes come too', async () => {
  const { bytes, ending } = await download({ kind: 'longer', extraBytes: 10, withLength: false });

  expect(bytes).toHaveLength(300_010);
  expect(ending).toBe('end');
});

test.each([0, 1, 299_999])('corrupt: exactly one bit differs, in byte %i', async (atByte) => {
  const { bytes, ending } = await download({ kind: 'corrupt', atByte });

  const different = [...bytes.keys()].filter((at) => bytes[at] !== BYTES[at]);
  expect(different).toEqual([atByte]);
  expect((bytes[atByte] ?? 0) ^ (BYTES[atByte] ?? 0)).toBe(1);
  expect(ending).toBe('end');
});

test.each([0, 65_536, 200_000])('reset while answering, after %i bytes', async (afterBytes) => {
  const { bytes, ending } = await download({ kind: 'reset', during: 'response', afterBytes });

  expect(bytes.length).toBeLessThanOrEqual(afterBytes);
  expect(ending).toBe('ECONNRESET');
});

test('reset before any answer', async () => {
  const { status, ending } = await download({ kind: 'reset', during: 'request', afterBytes: 0 });

  expect(status).toBeUndefined();
  expect(ending).toBe('ECONNRESET');
});

test('stalled while answering: so many bytes, and then nothing', async () => {
  const { status, bytes, ending } = await download(
    { kind: 'stall', during: 'response', afterBytes: 1000 },
    (received) => received >= 1000,
  );

  expect(status).toBe(200);
  expect(bytes).toHaveLength(1000);
  expect(ending).toBe('stalled');
});

test('gzip for real: other bytes, which decode to the right ones', async () => {
  const { headers, bytes } = await download({ kind: 'gzip', real: true });

  expect(headers['content-encoding']).toBe('gzip');
  expect(gunzipSync(bytes).equals(BYTES)).toBe(true);
});

test('gzip as a lie: the header alone', async () => {
  const { headers, bytes } = await download({ kind: 'gzip', real: false });

  expect(headers['content-encoding']).toBe('gzip');
  expect(bytes.equals(BYTES)).toBe(true);
});

test('a redirect says where to, and has an XML body', async () => {
  const { status, headers, bytes } = await download({ kind: 'redirect', location: 'http://127.0.0.1:1/x' });

  expect(status).toBe(307);
  expect(headers.location).toBe('http://127.0.0.1:1/x');
  expect(bytes.toString()).toContain('<Code>TemporaryRedirect</Code>');
});

test('a drip keeps its pace on the clock it was given', async () => {
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

  const answer = await fetch(server.presignGet(bucket, 'a', { expiresInSeconds: 60 }));
  const bytes = Buffer.from(await answer.arrayBuffer());

  expect(bytes.equals(BYTES)).toBe(true);
  expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThanOrEqual(3000);
});

test('latency delays, on the clock it was given, and changes nothing', async () => {
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
  'an error %s reaches the client, and nothing is stored',
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

test('a lost reply: the object is there, and the client hears nothing of it', async () => {
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

test('a reset in the middle of an upload: a broken connection and nothing stored', async () => {
  const { client, directory } = await startWorld({
    intercept: () => ({ kind: 'reset', during: 'request', afterBytes: 100_000 }),
  });

  await expect(client.send(new PutObjectCommand(put))).rejects.toMatchObject({
    code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/),
  });
  expect(await filesBelow(directory)).toEqual([]);
});

test('a stalled upload neither goes on nor holds up closing', async () => {
  const { client, server, directory } = await startWorld({
    intercept: () => ({ kind: 'stall', during: 'request', afterBytes: 0 }),
  });
  const broken = client.send(new PutObjectCommand(put)).catch((error: NodeJS.ErrnoException) => error.code);
  await vi.waitFor(() => expect(server.requests.get('PutObject')).toBe(1));

  await server.close();

  expect(await broken).toMatch(/^(ECONNRESET|EPIPE)$/);
  expect(await filesBelow(directory)).toEqual([]);
});

test('a stalled answer ends when the client gives up', async () => {
  const { client, server } = await startWorld({
    intercept: () => ({ kind: 'stall', during: 'request', afterBytes: 0 }),
  });
  const giveUp = new AbortController();
  const given = client
    .send(new GetObjectCommand({ Bucket: bucket, Key: 'a' }), { abortSignal: giveUp.signal })
    .catch((error: Error) => error.name);
  await vi.waitFor(() => expect(server.requests.get('GetObject')).toBe(1));

  giveUp.abort();

  expect(await given).toBe('AbortError');
  await vi.waitFor(() => expect(server.connections.open).toBe(0));
});

test('an interceptor sees what is asked for before it is checked', async () => {
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
