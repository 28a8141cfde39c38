import { Readable } from 'node:stream';
import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { systemTime } from '../../functions/time.ts';
import type { S3Fault } from '../../local/s3/faults.ts';
import { acceleratedTime, isUpload, sha256, someBytes, startWorld } from '../archive/world.ts';

const never = new AbortController().signal;
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const key = documentKey(id);
const bytes = someBytes(100_000);
const others = someBytes(100_001).subarray(1);

/** An object of these bytes as a stream, in pieces that no chunk size divides. */
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

describe('an object that is put', () => {
  it.each([
    ['with its digest up front', sha256(bytes)],
    ['with its digest behind', undefined],
  ])('%s stands there as S3 has verified it', async (_what, digest) => {
    const { dependencies, object } = await startWorld();
    const { bucket } = dependencies;

    const stored = await bucket.putOnce({ ...streamed(), sha256: digest }, never);

    expect(stored).toMatchObject({ bytes: bytes.length, sha256: sha256(bytes), etag: expect.any(String) });
    expect(await bucket.head(key, never)).toEqual(stored);
    expect((await object(id))?.equals(bytes)).toBe(true);
  });

  it('has the type and the name that it was given', async () => {
    const { dependencies, client } = await startWorld();
    const contentDisposition = 'attachment; filename="letter.pdf"';

    await dependencies.bucket.putOnce({ ...streamed(), contentDisposition }, never);

    const head = await client.send(new HeadObjectCommand({ Bucket: 'archive', Key: key }));
    expect(head).toMatchObject({ ContentType: 'application/pdf', ContentDisposition: contentDisposition });
  });

  it.each([streamed, whole])('where there is one does nothing, be it a stream or not', async (form) => {
    const { dependencies, object } = await startWorld();
    const { bucket } = dependencies;
    await bucket.putOnce(form(bytes), never);

    expect(await bucket.putOnce(form(bytes), never)).toBe('exists');
    expect(await bucket.putOnce(form(others), never)).toBe('exists');

    expect((await object(id))?.equals(bytes)).toBe(true);
  });

  it('by many at a time is one of theirs, and the rest know', async () => {
    const { dependencies } = await startWorld();

    const ends = await Promise.all(
      Array.from({ length: 20 }, () => dependencies.bucket.putOnce(streamed(), never)),
    );

    expect(ends.filter((end) => end !== 'exists')).toHaveLength(1);
  });

  it.each([
    ['as a stream', streamed(bytes, sha256(others))],
    ['at once', { ...whole(), sha256: sha256(others) }],
  ])('with another digest than its own is refused, and is not there: %s', async (_form, object) => {
    const { dependencies } = await startWorld();

    await expect(dependencies.bucket.putOnce(object, never)).rejects.toMatchObject({
      code: 'ChecksumMismatch',
    });
    expect(await dependencies.bucket.head(key, never)).toBeUndefined();
  });

  it('as a stream whose answer gets lost is BucketUnavailable, and turns out to be there', async () => {
    const world = await startWorld();
    world.fail({ kind: 'lose-reply' }, isUpload);
    const { bucket } = world.dependencies;

    await expect(bucket.putOnce(streamed(), never)).rejects.toMatchObject({ code: 'BucketUnavailable' });

    expect(await bucket.putOnce(streamed(), never)).toBe('exists');
    expect(await bucket.hash(key, never)).toBe(sha256(bytes));
  });

  it('ends with the reason of whoever ends it', async () => {
    const world = await startWorld();
    world.fail({ kind: 'stall', during: 'request', afterBytes: 10 }, isUpload);
    const end = new AbortController();
    const over = new ArchiverError('OutOfTime', 'over');
    const put = world.dependencies.bucket.putOnce(whole(), end.signal);

    await expect.poll(() => world.s3.requests.get('PutObject')).toBe(1);
    end.abort(over);

    await expect(put).rejects.toBe(over);
  });
});

describe('an object that is looked for', () => {
  it('and is not there is undefined', async () => {
    const { bucket } = (await startWorld()).dependencies;

    expect(await bucket.head(key, never)).toBeUndefined();
    expect(await bucket.read(key, never)).toBeUndefined();
    await expect(bucket.hash(key, never)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });

  it('is read whole, down to no bytes at all', async () => {
    const { bucket } = (await startWorld()).dependencies;
    await bucket.putOnce(whole(), never);
    const empty = { ...whole(Buffer.alloc(0)), key: receiptKey(id) };
    await bucket.putOnce(empty, never);

    expect((await bucket.read(key, never))?.equals(bytes)).toBe(true);
    expect(await bucket.hash(key, never)).toBe(sha256(bytes));
    expect(await bucket.read(empty.key, never)).toEqual(Buffer.alloc(0));
    expect(await bucket.head(empty.key, never)).toMatchObject({ bytes: 0, sha256: sha256(Buffer.alloc(0)) });
  });

  it.each(['read', 'hash'] as const)('and comes cut short is no object: %s', async (method) => {
    const world = await startWorld();
    const { bucket } = world.dependencies;
    await bucket.putOnce(whole(), never);
    world.fail(truncated, (request) => request.operation === 'GetObject');

    await expect(bucket[method](key, never)).rejects.toMatchObject({ code: 'BucketUnavailable' });
  });

  it('has no digest where S3 has only that of its parts', async () => {
    const composite = { ContentLength: 7, ChecksumSHA256: `${Buffer.alloc(32).toString('base64')}-2` };

    expect(await bucketThatAnswers(composite).head(key, never)).toMatchObject({
      bytes: 7,
      sha256: undefined,
    });
  });

  it('is empty where S3’s answer has neither length nor body', async () => {
    const bucket = bucketThatAnswers({});

    expect(await bucket.head(key, never)).toMatchObject({ bytes: 0 });
    expect(await bucket.read(key, never)).toEqual(Buffer.alloc(0));
  });
});

/** A bucket of an S3 that gives one answer to everything. */
function bucketThatAnswers(answer: object) {
  const s3 = { send: async () => answer } as unknown as Pick<S3Client, 'send'>;
  return createBucket({ s3, name: 'archive', time: systemTime });
}

describe('a list of keys', () => {
  it('comes a page of a thousand at a time, in order, and ends with an empty one', async () => {
    const { bucket } = (await startWorld()).dependencies;
    const keys = Array.from({ length: 1_003 }, (_, n) =>
      receiptKey(`6e0c8a55-2d0b-4bb0-9d6a-${String(n).padStart(12, '0')}`),
    );
    for (const each of keys) await bucket.putOnce({ ...whole(Buffer.from('x')), key: each }, never);
    await bucket.putOnce(whole(), never);

    const pages: string[][] = [];
    for (let last: string | undefined; ; last = pages.at(-1)?.at(-1)) {
      const page = await bucket.list('receipts/', last, never);
      pages.push(page);
      if (page.length === 0) break;
    }

    expect(pages.map(({ length }) => length)).toEqual([1_000, 3, 0]);
    expect(pages.flat()).toEqual(keys);
  });

  it('has no entry for what S3 lists without a key', async () => {
    const bucket = bucketThatAnswers({ Contents: [{}, { Key: 'receipts/x' }] });

    expect(await bucket.list('receipts/', undefined, never)).toEqual(['receipts/x']);
  });
});

describe('a bucket', () => {
  const calls = {
    head: (bucket: ReturnType<typeof createBucket>, signal = never) => bucket.head(key, signal),
    read: (bucket: ReturnType<typeof createBucket>, signal = never) => bucket.read(key, signal),
    hash: (bucket: ReturnType<typeof createBucket>, signal = never) => bucket.hash(key, signal),
    list: (bucket: ReturnType<typeof createBucket>, signal = never) =>
      bucket.list('receipts/', undefined, signal),
    putOnce: (bucket: ReturnType<typeof createBucket>, signal = never) => bucket.putOnce(whole(), signal),
  };
  const names = Object.keys(calls) as (keyof typeof calls)[];
  const small = names.filter((name) => name !== 'hash' && name !== 'putOnce');

  it.each(names)(
    'of another owner than the stage’s is not used, nor taken for an empty one: %s',
    async (name) => {
      const { client } = await startWorld();
      const bucket = createBucket({ s3: client, name: 'archive', owner: '999999999999', time: systemTime });

      await expect(calls[name](bucket)).rejects.toMatchObject({
        code: 'BucketMisconfigured',
        retryPolicy: 'wait',
      });
    },
  );

  it('of the owner that it should have is used', async () => {
    const { client } = await startWorld();
    const bucket = createBucket({ s3: client, name: 'archive', owner: '000000000000', time: systemTime });

    expect(await bucket.list('receipts/', undefined, never)).toEqual([]);
  });

  // A HEAD cannot tell: its 404 has no body. The PUT that follows does.
  it.each(names.filter((name) => name !== 'head'))(
    'that does not exist is no empty one: %s',
    async (name) => {
      const { client } = await startWorld();
      const bucket = createBucket({ s3: client, name: 'no-such-bucket', time: systemTime });

      await expect(calls[name](bucket)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    },
  );

  it.each(small)('is asked again a little later when it says SlowDown: %s', async (name) => {
    const world = await startWorld();
    const { bucket } = world.dependencies;
    await bucket.putOnce(whole(), never);
    world.fail({ kind: 'error', status: 503, code: 'SlowDown', when: 'before-body' }, anyRequest, 2);

    expect(await calls[name](bucket)).toBeDefined();
  });

  it.each(small)('that does not answer is given up after 10 s: %s', async (name) => {
    const world = await startWorld({ time: acceleratedTime(50) });
    world.fail(stalled, anyRequest, 10);

    await expect(calls[name](world.dependencies.bucket)).rejects.toMatchObject({
      code: 'BucketUnavailable',
      message: 'S3 did not answer within 10 s.',
    });
  });

  it.each(names)('that does not answer is left with the reason of whoever leaves it: %s', async (name) => {
    const world = await startWorld();
    const over = new ArchiverError('OutOfTime', 'over');
    const end = new AbortController();
    world.fail(
      stalled,
      () => {
        end.abort(over);
        return true;
      },
      10,
    );

    await expect(calls[name](world.dependencies.bucket, end.signal)).rejects.toBe(over);
  });
});
