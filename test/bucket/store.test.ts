import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { ownedBy } from '../../functions/bucket/owned-by.ts';
import { type Bucket, createBucket } from '../../functions/bucket/store.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { systemTime } from '../../functions/time.ts';
import type { S3Fault } from '../../local/s3/faults.ts';
import { acceleratedTime, isUpload, sha256, someBytes, startWorld } from '../archive/world.ts';

const never = new AbortController().signal;
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const key = documentKey(id);
const bytes = someBytes(100_000);
const otherBytes = someBytes(100_001).subarray(1);

/** The bytes as a stream, in pieces that match no chunk size. */
const streamed = (content = bytes, digest: string | undefined = sha256(content)) => ({
  key,
  body: Readable.from(
    Array.from({ length: Math.ceil(content.length / 7_777) }, (_, at) =>
      content.subarray(at * 7_777, (at + 1) * 7_777),
    ),
  ),
  bytes: content.length,
  sha256: digest,
  contentType: 'application/pdf',
});
const whole = (content = bytes) => ({ ...streamed(content), body: content });

const anyRequest = () => true;
const truncated: S3Fault = { kind: 'truncate', afterBytes: 10, withLength: true };
const stalled: S3Fault = { kind: 'stall', during: 'request', afterBytes: 0 };

describe('putOnce', () => {
  it.each([
    ['in a header', sha256(bytes)],
    ['in a trailer', undefined],
  ])('stores an object with its digest %s, as S3 verified it', async (_place, digest) => {
    const { dependencies, object } = await startWorld();
    const { bucket } = dependencies;

    const stored = await bucket.putOnce({ ...streamed(), sha256: digest }, never);

    expect(stored).toMatchObject({ bytes: bytes.length, sha256: sha256(bytes), etag: expect.any(String) });
    expect(await bucket.head(key, never)).toEqual(stored);
    expect((await object(id))?.equals(bytes)).toBe(true);
  });

  it('stores the content type and the file name', async () => {
    const { dependencies, client } = await startWorld();
    const contentDisposition = 'attachment; filename="letter.pdf"';

    await dependencies.bucket.putOnce({ ...streamed(), contentDisposition }, never);

    const head = await client.send(new HeadObjectCommand({ Bucket: 'archive', Key: key }));
    expect(head).toMatchObject({ ContentType: 'application/pdf', ContentDisposition: contentDisposition });
  });

  it.each([streamed, whole])(
    'does nothing if the object exists, for a stream and for a buffer',
    async (form) => {
      const { dependencies, object } = await startWorld();
      const { bucket } = dependencies;
      await bucket.putOnce(form(bytes), never);

      expect(await bucket.putOnce(form(bytes), never)).toBe('exists');
      expect(await bucket.putOnce(form(otherBytes), never)).toBe('exists');

      expect((await object(id))?.equals(bytes)).toBe(true);
    },
  );

  it('creates the object once for 20 concurrent calls, and returns `exists` to the others', async () => {
    const { dependencies } = await startWorld();

    const results = await Promise.all(
      Array.from({ length: 20 }, () => dependencies.bucket.putOnce(streamed(), never)),
    );

    expect(results.filter((result) => result !== 'exists')).toHaveLength(1);
  });

  it.each([
    ['as a stream', streamed(bytes, sha256(otherBytes))],
    ['as a buffer', { ...whole(), sha256: sha256(otherBytes) }],
  ])('fails with ChecksumMismatch and stores nothing if the digest is wrong: %s', async (_form, object) => {
    const { dependencies } = await startWorld();

    await expect(dependencies.bucket.putOnce(object, never)).rejects.toMatchObject({
      code: 'ChecksumMismatch',
    });
    expect(await dependencies.bucket.head(key, never)).toBeUndefined();
  });

  it('fails with BucketUnavailable if the response to a stream is lost, although the object exists', async () => {
    const world = await startWorld();
    world.fail({ kind: 'lose-reply' }, isUpload);
    const { bucket } = world.dependencies;

    await expect(bucket.putOnce(streamed(), never)).rejects.toMatchObject({ code: 'BucketUnavailable' });

    expect(await bucket.putOnce(streamed(), never)).toBe('exists');
    expect(await bucket.hash(key, never)).toBe(sha256(bytes));
  });

  it('rejects with the signal’s reason when it aborts', async () => {
    const world = await startWorld();
    world.fail({ kind: 'stall', during: 'request', afterBytes: 10 }, isUpload);
    const controller = new AbortController();
    const outOfTime = new ArchiverError('OutOfTime', 'Out of time.');
    const put = world.dependencies.bucket.putOnce(whole(), controller.signal);

    await expect.poll(() => world.s3.requests.get('PutObject')).toBe(1);
    controller.abort(outOfTime);

    await expect(put).rejects.toBe(outOfTime);
  });
});

describe('reading an object', () => {
  it('returns undefined from head and read if it does not exist', async () => {
    const { bucket } = (await startWorld()).dependencies;

    expect(await bucket.head(key, never)).toBeUndefined();
    expect(await bucket.read(key, never)).toBeUndefined();
    await expect(bucket.hash(key, never)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });

  it('returns all bytes, also of an empty object', async () => {
    const { bucket } = (await startWorld()).dependencies;
    await bucket.putOnce(whole(), never);
    const empty = { ...whole(Buffer.alloc(0)), key: receiptKey(id) };
    await bucket.putOnce(empty, never);

    expect((await bucket.read(key, never))?.equals(bytes)).toBe(true);
    expect(await bucket.hash(key, never)).toBe(sha256(bytes));
    expect(await bucket.read(empty.key, never)).toEqual(Buffer.alloc(0));
    expect(await bucket.head(empty.key, never)).toMatchObject({ bytes: 0, sha256: sha256(Buffer.alloc(0)) });
  });

  it.each(['read', 'hash'] as const)(
    'fails with BucketUnavailable if the download is truncated: %s',
    async (method) => {
      const world = await startWorld();
      const { bucket } = world.dependencies;
      await bucket.putOnce(whole(), never);
      world.fail(truncated, (request) => request.operation === 'GetObject');

      await expect(bucket[method](key, never)).rejects.toMatchObject({ code: 'BucketUnavailable' });
    },
  );

  it('returns no digest if S3 has a composite checksum', async () => {
    const composite = { ContentLength: 7, ChecksumSHA256: `${Buffer.alloc(32).toString('base64')}-2` };

    expect(await bucketWithResponse(composite).head(key, never)).toMatchObject({
      bytes: 7,
      sha256: undefined,
    });
  });

  it('returns an empty object if S3’s response has neither length nor body', async () => {
    const bucket = bucketWithResponse({});

    expect(await bucket.head(key, never)).toMatchObject({ bytes: 0 });
    expect(await bucket.read(key, never)).toEqual(Buffer.alloc(0));
  });
});

/** A bucket whose S3 gives the same response to every request. */
function bucketWithResponse(response: object) {
  const s3 = { send: async () => response } as unknown as Pick<S3Client, 'send'>;
  return createBucket({ s3, name: 'archive', time: systemTime });
}

describe('listing keys', () => {
  it('returns pages of 1,000 sorted keys, and an empty page at the end', async () => {
    const { dependencies, directory } = await startWorld();
    const { bucket } = dependencies;
    const keys = Array.from({ length: 1_003 }, (_, n) =>
      receiptKey(`6e0c8a55-2d0b-4bb0-9d6a-${String(n).padStart(12, '0')}`),
    );
    await bucket.putOnce(whole(), never);
    await mkdir(join(directory, 'archive/receipts'));
    for (const each of keys) await writeFile(join(directory, 'archive', each), 'x');

    const pages: string[][] = [];
    for (let last: string | undefined; ; last = pages.at(-1)?.at(-1)) {
      const page = await bucket.list('receipts/', last, never);
      pages.push(page);
      if (page.length === 0) break;
    }

    expect(pages.map(({ length }) => length)).toEqual([1_000, 3, 0]);
    expect(pages.flat()).toEqual(keys);
  });

  it('skips entries without a key', async () => {
    const bucket = bucketWithResponse({ Contents: [{}, { Key: 'receipts/x' }] });

    expect(await bucket.list('receipts/', undefined, never)).toEqual(['receipts/x']);
  });
});

describe('a bucket', () => {
  const calls = {
    head: (bucket: Bucket, signal = never) => bucket.head(key, signal),
    read: (bucket: Bucket, signal = never) => bucket.read(key, signal),
    hash: (bucket: Bucket, signal = never) => bucket.hash(key, signal),
    list: (bucket: Bucket, signal = never) => bucket.list('receipts/', undefined, signal),
    putOnce: (bucket: Bucket, signal = never) => bucket.putOnce(whole(), signal),
  };
  const names = Object.keys(calls) as (keyof typeof calls)[];
  const withTimeout = names.filter((name) => name !== 'hash' && name !== 'putOnce');

  it.each(names)('fails with BucketMisconfigured if another account owns it: %s', async (name) => {
    const { client } = await startWorld();
    const bucket = createBucket({ s3: ownedBy('999999999999', client), name: 'archive', time: systemTime });

    await expect(calls[name](bucket)).rejects.toMatchObject({
      code: 'BucketMisconfigured',
      retryPolicy: 'wait',
    });
  });

  it('is used if the expected account owns it', async () => {
    const { client } = await startWorld();
    const bucket = createBucket({ s3: ownedBy('000000000000', client), name: 'archive', time: systemTime });

    expect(await bucket.list('receipts/', undefined, never)).toEqual([]);
  });

  // A HEAD request cannot tell the difference: its 404 has no body. The PUT that follows can.
  it.each(names.filter((name) => name !== 'head'))(
    'fails with BucketMisconfigured if it does not exist: %s',
    async (name) => {
      const { client } = await startWorld();
      const bucket = createBucket({ s3: client, name: 'no-such-bucket', time: systemTime });

      await expect(calls[name](bucket)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    },
  );

  it.each(withTimeout)('repeats a request after SlowDown: %s', async (name) => {
    const world = await startWorld();
    const { bucket } = world.dependencies;
    await bucket.putOnce(whole(), never);
    world.fail({ kind: 'error', status: 503, code: 'SlowDown', when: 'before-body' }, anyRequest, 2);

    expect(await calls[name](bucket)).toBeDefined();
  });

  it.each(withTimeout)(
    'fails with BucketUnavailable if S3 does not respond within 10 s: %s',
    async (name) => {
      const world = await startWorld({ time: acceleratedTime(50) });
      world.fail(stalled, anyRequest, 10);

      await expect(calls[name](world.dependencies.bucket)).rejects.toMatchObject({
        code: 'BucketUnavailable',
        message: 'S3 did not respond within 10 s.',
      });
    },
  );

  it.each(names)('rejects with the signal’s reason if S3 does not respond: %s', async (name) => {
    const world = await startWorld();
    const outOfTime = new ArchiverError('OutOfTime', 'Out of time.');
    const controller = new AbortController();
    world.fail(
      stalled,
      () => {
        controller.abort(outOfTime);
        return true;
      },
      10,
    );

    await expect(calls[name](world.dependencies.bucket, controller.signal)).rejects.toBe(outOfTime);
  });
});
