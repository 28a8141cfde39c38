import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { copyToBucket, digestOf } from '../../functions/archive/copy.ts';
import type { Bucket, NewObject } from '../../functions/bucket/store.ts';
import type { HttpAnswer } from '../../functions/http.ts';
import { calls } from '../../functions/limits.ts';
import { noon, virtualTime } from '../discover/world.ts';

const copy = {
  key: 'documents/x',
  bytes: 100,
  sha256: undefined,
  contentType: 'text/plain',
  contentDisposition: 'attachment',
};

/** An S3 that reads and never answers. */
const silentBucket = {
  putOnce: ({ body }: NewObject, signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      if (body instanceof Readable) body.resume();
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
} as unknown as Bucket;

function answerOf(body: Readable): HttpAnswer {
  return { status: 200, headers: {}, body };
}

describe('a source that stalls', () => {
  it.each([0, 60])('after %i bytes is found out before S3 could be blamed for it', async (sent) => {
    const time = virtualTime(noon);
    const body = new Readable({ read: () => undefined });
    if (sent > 0) body.push(Buffer.alloc(sent));

    const copying = copyToBucket(
      answerOf(body),
      copy,
      { bucket: silentBucket, time },
      new AbortController().signal,
    );

    await expect(copying).rejects.toMatchObject({ code: 'DownloadFailed' });
    expect(time.monotonic()).toBeGreaterThanOrEqual(calls.downloadIdleMs);
    expect(time.monotonic()).toBeLessThan(calls.bucketIdleMs);
  });
});

describe('the end of the invocation', () => {
  it('ends an upload too whose bytes are all under way already', async () => {
    const time = virtualTime(noon);
    const invocation = new AbortController();
    const body = Readable.from([Buffer.alloc(copy.bytes)]);
    const timeIsUp = new Error('The time is up.');
    body.on('close', () => setImmediate(() => invocation.abort(timeIsUp)));

    const copying = copyToBucket(answerOf(body), copy, { bucket: silentBucket, time }, invocation.signal);

    await expect(copying).rejects.toBe(timeIsUp);
  }, 2_000);
});

describe('an S3 that states another digest than that of the bytes sent', () => {
  it('is not believed, although Telnyx states none to compare with', async () => {
    const forgetfulBucket = {
      putOnce: async ({ body }: NewObject) => {
        for await (const _ of body as Readable);
        return { bytes: copy.bytes, sha256: '0'.repeat(64), etag: undefined, versionId: undefined };
      },
    } as unknown as Bucket;

    const copying = copyToBucket(
      answerOf(Readable.from([Buffer.alloc(copy.bytes)])),
      copy,
      { bucket: forgetfulBucket, time: virtualTime(noon) },
      new AbortController().signal,
    );

    await expect(copying).rejects.toMatchObject({ code: 'ChecksumMismatch' });
  });
});

describe('a download that is only read for its digest', () => {
  it.each([
    ['breaks off', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), 'DownloadFailed'],
    ['ends early', undefined, 'SizeMismatch'],
  ])('and %s fails as any other', async (_how, error, code) => {
    const body = Readable.from(
      (function* () {
        yield Buffer.alloc(60);
        if (error) throw error;
      })(),
    );

    const reading = digestOf(answerOf(body), copy.bytes, virtualTime(noon), new AbortController().signal);

    await expect(reading).rejects.toMatchObject({ name: 'ArchiverError', code });
  });
});
