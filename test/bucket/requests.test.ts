/** What exactly is asked of S3, and how often a command asks again: in memory and virtual time. */
import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createReceipts, type NewReceipt, receiptText } from '../../functions/bucket/receipts.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createStorageRetry } from '../../functions/bucket/storage-retry.ts';
import {
  type Bucket,
  createBucket,
  type NewObject,
  type ReplaceableBucket,
} from '../../functions/bucket/store.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { calls, timeouts } from '../../functions/limits.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import { serviceError } from '../fakes/service-error.ts';

const never = new AbortController().signal;
const body = Buffer.from('bytes');
const digest = { hex: sha256(body), base64: sha256(body, 'base64') };
const object = { key: 'documents/x', body, bytes: 5, contentType: 'text/plain' };

/** A bucket whose S3 remembers what it is asked, and answers so. */
function bucketOf(answer: () => unknown) {
  const asked: { command: unknown; input: unknown; options: { abortSignal: AbortSignal } }[] = [];
  const s3 = {
    send: async (command: { input: unknown }, options: { abortSignal: AbortSignal }) => {
      asked.push({ command, input: command.input, options });
      return answer();
    },
  } as unknown as Pick<S3Client, 'send'>;
  return { asked, bucket: createBucket({ s3, name: 'archive', time: virtualTime(noon) }) };
}

const stated = { ETag: '"e"', VersionId: 'v', ChecksumSHA256: digest.base64 };

describe('a request to S3', () => {
  it.each<[string, (bucket: ReplaceableBucket) => Promise<unknown>, unknown, object]>([
    [
      'to look for an object',
      (bucket) => bucket.head('documents/x', never),
      HeadObjectCommand,
      { Bucket: 'archive', Key: 'documents/x', ChecksumMode: 'ENABLED' },
    ],
    [
      'to read an object',
      (bucket) => bucket.read('receipts/x', never),
      GetObjectCommand,
      { Bucket: 'archive', Key: 'receipts/x' },
    ],
    [
      'to read a version of an object',
      (bucket) => bucket.read('receipts/x', never, 'v1'),
      GetObjectCommand,
      { Bucket: 'archive', Key: 'receipts/x', VersionId: 'v1' },
    ],
    [
      'to list keys',
      (bucket) => bucket.list('receipts/', undefined, never),
      ListObjectsV2Command,
      { Bucket: 'archive', Prefix: 'receipts/' },
    ],
    [
      'to list further keys',
      (bucket) => bucket.list('receipts/', 'receipts/a', never),
      ListObjectsV2Command,
      { Bucket: 'archive', Prefix: 'receipts/', StartAfter: 'receipts/a' },
    ],
    [
      'to put an object whose digest is known, only where there is none',
      (bucket) => bucket.putOnce({ ...object, sha256: digest.hex, contentDisposition: 'attachment' }, never),
      PutObjectCommand,
      {
        Bucket: 'archive',
        Key: 'documents/x',
        Body: body,
        ContentLength: 5,
        ContentType: 'text/plain',
        ContentDisposition: 'attachment',
        ChecksumSHA256: digest.base64,
        IfNoneMatch: '*',
      },
    ],
    [
      'to put an object whose digest is not known, only where there is none',
      (bucket) => bucket.putOnce({ ...object, sha256: undefined }, never),
      PutObjectCommand,
      {
        Bucket: 'archive',
        Key: 'documents/x',
        Body: body,
        ContentLength: 5,
        ContentType: 'text/plain',
        ChecksumAlgorithm: 'SHA256',
        IfNoneMatch: '*',
      },
    ],
    [
      'to replace an object that has an ETag',
      (bucket) =>
        bucket.putOver({ ...object, sha256: digest.hex, metadata: { state: 'erased' } }, '"old"', never),
      PutObjectCommand,
      {
        Bucket: 'archive',
        Key: 'documents/x',
        Body: body,
        ContentLength: 5,
        ContentType: 'text/plain',
        ChecksumSHA256: digest.base64,
        Metadata: { state: 'erased' },
        IfMatch: '"old"',
      },
    ],
  ])('%s has these parameters and no others, and a signal', async (_what, ask, Command, input) => {
    const { asked, bucket } = bucketOf(() => ({}));

    await ask(bucket);

    expect(asked[0]?.command).toBeInstanceOf(Command);
    expect(asked.map((request) => request.input)).toStrictEqual([input]);
    expect(asked[0]?.options.abortSignal).toBeInstanceOf(AbortSignal);
  });

  it('tells what S3 states of an object', async () => {
    const { bucket } = bucketOf(() => ({ ...stated, ContentLength: 7 }));
    const properties = { sha256: digest.hex, etag: '"e"', versionId: 'v' };

    expect(await bucket.head('documents/x', never)).toEqual({ bytes: 7, ...properties });
    expect(await bucket.putOnce({ ...object, sha256: undefined }, never)).toEqual({
      bytes: 5,
      ...properties,
    });
    expect(await bucket.list('receipts/', undefined, never)).toEqual([]);
  });

  it.each([
    ['head', 404, undefined],
    ['read', 404, 'NoSuchBucket'],
    ['hash', 404, 'NoSuchKey'],
    ['putOnce', 409, 'PreconditionFailed'],
  ] as const)('to %s that S3 answers %i %s', async (method, httpStatusCode, name) => {
    const { bucket } = bucketOf(() => {
      throw Object.assign(new Error('x'), { $metadata: { httpStatusCode }, ...(name && { name }) });
    });
    const asked = {
      head: () => bucket.head('x', never),
      read: () => bucket.read('x', never),
      hash: () => bucket.hash('x', never),
      putOnce: () => bucket.putOnce({ ...object, sha256: undefined }, never),
    }[method]();

    if (method === 'head') expect(await asked).toBeUndefined();
    else await expect(asked).rejects.toBeInstanceOf(ArchiverError);
  });
});

describe('a conditional PUT', () => {
  it.each([
    ['putOnce', 412, 'PreconditionFailed', 'exists'],
    ['putOver', 412, 'PreconditionFailed', 'changed'],
    ['putOver', 404, 'NoSuchKey', 'changed'],
  ] as const)(
    'does nothing if its condition does not hold: %s, %i %s',
    async (method, status, name, outcome) => {
      const { bucket } = bucketOf(() => {
        throw serviceError(name, status);
      });
      const put = {
        putOnce: () => bucket.putOnce({ ...object, sha256: undefined }, never),
        putOver: () => bucket.putOver({ ...object, sha256: undefined }, '"old"', never),
      };

      expect(await put[method]()).toBe(outcome);
    },
  );

  it('of a new object that S3 answers NoSuchKey fails', async () => {
    const { bucket } = bucketOf(() => {
      throw serviceError('NoSuchKey', 404);
    });

    await expect(bucket.putOnce({ ...object, sha256: undefined }, never)).rejects.toBeInstanceOf(
      ArchiverError,
    );
  });

  it('that replaces an object fails if the bucket does not exist', async () => {
    const { bucket } = bucketOf(() => {
      throw serviceError('NoSuchBucket', 404);
    });

    await expect(bucket.putOver({ ...object, sha256: undefined }, '"old"', never)).rejects.toMatchObject({
      code: 'BucketMisconfigured',
    });
  });

  it('returns the properties of the object that replaced another', async () => {
    const { bucket } = bucketOf(() => stated);

    expect(await bucket.putOver({ ...object, sha256: undefined }, '"old"', never)).toEqual({
      bytes: 5,
      sha256: digest.hex,
      etag: '"e"',
      versionId: 'v',
    });
  });
});

describe('an object that is read', () => {
  it.each(['NoSuchKey', 'NoSuchVersion'])('is undefined if S3 answers %s', async (name) => {
    const { bucket } = bucketOf(() => {
      throw serviceError(name, 404);
    });

    expect(await bucket.read('x', never, 'v1')).toBeUndefined();
  });

  it('is its bytes, and empty if S3 sends no body', async () => {
    const whole = bucketOf(() => ({ Body: { transformToByteArray: async () => new Uint8Array(body) } }));
    const empty = bucketOf(() => ({}));

    expect(await whole.bucket.read('x', never)).toEqual(body);
    expect(await empty.bucket.read('x', never)).toEqual(Buffer.alloc(0));
  });
});

describe('the metadata of an object', () => {
  it.each([
    ['erased', { Metadata: { state: 'erased' } }],
    [undefined, { Metadata: { state: 'archived' } }],
    [undefined, { Metadata: {} }],
    [undefined, {}],
  ])('states that it is %s: %j', async (state, answer) => {
    const { bucket } = bucketOf(() => answer);

    expect((await bucket.head('documents/x', never))?.state).toBe(state);
  });
});

describe('an answer of S3', () => {
  it('is read to its end for a digest, with the signal', async () => {
    const { bucket, asked } = bucketOf(() => ({ Body: Readable.from([body]) }));

    expect(await bucket.hash('documents/x', never)).toBe(digest.hex);
    expect(asked[0]?.input).toStrictEqual({ Bucket: 'archive', Key: 'documents/x' });
    expect(asked[0]?.options).toEqual({ abortSignal: never });
  });

  it('that does not end is left when the signal aborts', async () => {
    const stop = new AbortController();
    const { bucket } = bucketOf(() => {
      setTimeout(() => stop.abort(new RangeError('Stopped.')), 10);
      return { Body: new Readable({ read: () => undefined }) };
    });
    const hanging = new Promise((resolve) => setTimeout(() => resolve('It hangs.'), 2_000));

    await expect(Promise.race([bucket.hash('documents/x', stop.signal), hanging])).rejects.toThrow(
      RangeError,
    );
  });

  it('to a listing is its keys', async () => {
    const { bucket } = bucketOf(() => ({ Contents: [{ Key: 'a' }, {}, { Key: 'b' }] }));

    expect(await bucket.list('', undefined, never)).toEqual(['a', 'b']);
  });

  it.each([403, 500])('%i to a HEAD is an error, not an object that is missing', async (httpStatusCode) => {
    const { bucket } = bucketOf(() => {
      throw Object.assign(new Error('x'), { $metadata: { httpStatusCode } });
    });

    await expect(bucket.head('documents/x', never)).rejects.toBeInstanceOf(ArchiverError);
  });

  it('that never comes is given up after ten seconds', async () => {
    const { bucket, asked } = bucketOf(
      () =>
        new Promise((_resolve, reject) => {
          const { abortSignal } = asked.at(-1)?.options ?? {};
          abortSignal?.addEventListener('abort', () => reject(abortSignal.reason));
        }),
    );

    await expect(bucket.head('documents/x', never)).rejects.toMatchObject({
      code: 'BucketUnavailable',
      message: 'S3 did not respond within 10 s.',
    });
  });

  it('does not matter once the signal has aborted: its reason is thrown', async () => {
    const stop = new AbortController();
    const { bucket } = bucketOf(() => {
      stop.abort(new RangeError('Stopped.'));
      throw new Error('AbortError');
    });

    await expect(bucket.hash('documents/x', stop.signal)).rejects.toThrow(RangeError);
  });
});

describe('a receipt', () => {
  const receipt: NewReceipt = {
    v: 1,
    documentId: '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01',
    archivedAt: '2026-11-24T00:00:00.000Z',
    object: {
      key: 'documents/x',
      bytes: 5,
      sha256: digest.hex,
      sha256StatedBy: 'telnyx',
      etag: undefined,
      versionId: undefined,
    },
    request: { trigger: 'sweep', requestedAt: '2026-11-24T00:00:00.000Z', receives: 1 },
    archiver: '1.0.0',
    telnyx: '{"id":"x"}',
  };
  const written = Buffer.from(receiptText(receipt));
  const receiptsOn = (stored: 'new' | 'exists', existing?: Buffer) => {
    const put: NewObject[] = [];
    let reads = 0;
    const receipts = createReceipts({
      putOnce: async (object: NewObject) => {
        put.push(object);
        return stored === 'exists' ? stored : { bytes: 0 };
      },
      read: async () => {
        reads += 1;
        return existing;
      },
    } as unknown as Bucket);
    return { put, receipts, reads: () => reads };
  };

  it('is put as JSON with its length and digest, and not read again', async () => {
    const { put, receipts, reads } = receiptsOn('new');

    expect(await receipts.writeOnce(receipt, never)).toBe('written');

    expect(put).toEqual([
      {
        key: 'receipts/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01.json',
        body: written,
        bytes: written.length,
        sha256: sha256(written),
        contentType: 'application/json',
      },
    ]);
    expect(reads()).toBe(0);
  });

  it.each([
    ['the same one', written, 'written'],
    [
      'another one for the same bytes',
      Buffer.from(receiptText({ ...receipt, archiver: '2.0.0' })),
      'archived',
    ],
  ])('that finds %s there is done', async (_what, existing, outcome) => {
    expect(await receiptsOn('exists', existing).receipts.writeOnce(receipt, never)).toBe(outcome);
  });

  it.each([
    [
      'is gone again',
      undefined,
      'BucketConflict',
      'The receipt existed during the write, but was gone when it was read.',
    ],
    [
      'is not JSON',
      Buffer.from('{'),
      'KeyCollision',
      'A receipt for other bytes exists under this document ID. Nothing was overwritten. Compare the two by hand.',
    ],
    [
      'is about other bytes',
      Buffer.from('{"object":{"sha256":"x"}}'),
      'KeyCollision',
      'A receipt for other bytes exists under this document ID. Nothing was overwritten. Compare the two by hand.',
    ],
  ])('that finds one that %s fails', async (_what, existing, code, message) => {
    await expect(receiptsOn('exists', existing).receipts.writeOnce(receipt, never)).rejects.toMatchObject({
      code,
      message,
    });
  });
});

describe('the S3 client', () => {
  it('streams without a round trip before, in chunks that S3 takes, and keeps silent', async () => {
    const client = createS3Client({ region: 'eu-central-1' });
    onTestFinished(() => client.destroy());
    const { config } = client;

    expect(config.requestStreamBufferSize).toBe(65_536);
    expect(config.region).toBeTypeOf('function');
    expect(await (config.responseChecksumValidation as () => Promise<string>)()).toBe('WHEN_REQUIRED');
    expect(config.expectContinueHeader).toBe(false);
    const silent = config.logger as unknown as Record<string, (text: string) => undefined>;
    expect(Object.keys(silent).sort()).toEqual(['debug', 'error', 'info', 'trace', 'warn']);
    for (const write of Object.values(silent)) {
      expect(write).not.toBe(console.log);
      expect(write('x')).toBeUndefined();
    }
    const { configProvider } = config.requestHandler as unknown as { configProvider: Promise<object> };
    expect(await configProvider).toMatchObject({
      socketTimeout: calls.bucketIdleMs,
      requestTimeout: timeouts.archiveMs,
    });
  });
});

describe('a command’s retries of the storage', () => {
  const retryOn = (random: () => number, signal = never) => {
    const time = virtualTime(noon);
    const at: number[] = [];
    const retry = createStorageRetry({ time, random, signal });
    const run = (work: (attempt: number, signal: AbortSignal) => Promise<unknown>) =>
      retry((limited) => {
        at.push(time.monotonic());
        return work(at.length, limited);
      });
    return { at, run };
  };
  const failing = (code: 'BucketUnavailable' | 'BucketConflict' | 'BucketMisconfigured') => async () => {
    throw new ArchiverError(code, 'x');
  };

  it.each([
    ['longest', () => 1, [0, 500, 1_500, 3_500, 7_500, 15_500, 25_500]],
    ['shortest', () => 0, [0, 250, 750, 1_750, 3_750, 7_750, 12_750]],
  ])(
    'are six, after twice the wait each time and ten seconds at most: the %s',
    async (_which, random, moments) => {
      const { at, run } = retryOn(random);

      await expect(run(failing('BucketUnavailable'))).rejects.toMatchObject({ code: 'BucketUnavailable' });

      expect(at).toEqual(moments);
    },
  );

  it.each([
    ['BucketUnavailable', 7],
    ['BucketConflict', 7],
    ['BucketMisconfigured', 1],
  ] as const)('make of %s %i attempts', async (code, attempts) => {
    const { at, run } = retryOn(() => 0);

    await expect(run(failing(code))).rejects.toMatchObject({ code });

    expect(at).toHaveLength(attempts);
  });

  it('end with the first success', async () => {
    const { at, run } = retryOn(() => 0);

    const result = await run(async (attempt) => {
      if (attempt < 3) throw new ArchiverError('BucketUnavailable', 'x');
      return 'done';
    });

    expect([result, at.length]).toEqual(['done', 3]);
  });

  it('throw an error that is not the archiver’s as it is, after one attempt', async () => {
    const error = new TypeError('x');
    const { at, run } = retryOn(() => 0);

    await expect(run(() => Promise.reject(error))).rejects.toBe(error);

    expect(at).toHaveLength(1);
  });

  it('pass their signal on, and throw its reason whatever broke because of it', async () => {
    const stop = new AbortController();
    const reason = new RangeError('Stopped.');
    const { at, run } = retryOn(() => 0, stop.signal);

    const ended = run(async (_attempt, signal) => {
      expect(signal).toBe(stop.signal);
      stop.abort(reason);
      throw new Error('Something else.');
    });

    await expect(ended).rejects.toBe(reason);
    expect(at).toHaveLength(1);
  });
});
