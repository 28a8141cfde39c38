import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { copyToBucket, measure } from '../../functions/archive/copy.ts';
import type { Bucket, NewObject } from '../../functions/bucket/store.ts';
import type { HttpAnswer } from '../../functions/http.ts';
import { calls } from '../../functions/limits.ts';
import { sleep, type Time } from '../../functions/time.ts';
import { noon } from '../discover/world.ts';
import { virtualTime } from '../fakes/clock.ts';

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
      signal.throwIfAborted();
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

describe('a copy whose time is over before it begins', () => {
  it('ends with the signal’s reason, and closes the download', async () => {
    const time = virtualTime(noon);
    const body = new Readable({ read: () => undefined });
    const reason = new Error('The invocation ends.');

    const copying = copyToBucket(
      answerOf(body),
      copy,
      { bucket: silentBucket, time },
      AbortSignal.abort(reason),
    );

    await expect(copying).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
  });
});

describe('a source that sends, but slowly', () => {
  /** Sends a piece at the start of every interval. */
  function sourceAt(
    time: Time,
    { piece, everyMs, bytes }: { piece: number; everyMs: number; bytes: number },
  ) {
    let left = bytes;
    return new Readable({
      read() {
        if (left === 0) {
          this.push(null);
          return;
        }
        time.after(everyMs, () => {
          const length = Math.min(piece, left);
          left -= length;
          this.push(Buffer.alloc(length));
        });
      },
    });
  }

  it.each([
    ['of 100 bytes', 100],
    ['of 100 MB', 100_000_000],
    ['of unknown length', undefined],
  ])('is DownloadFailed soon after 15 s at one byte every 1.5 s, in a document %s', async (_which, bytes) => {
    const time = virtualTime(noon);
    const body = sourceAt(time, { piece: 1, everyMs: 1_500, bytes: 100_000_000 });
    const promised =
      bytes === undefined
        ? { bytes: undefined, maxBytes: 100_000_000, sha256: undefined }
        : { bytes, sha256: undefined };

    const reading = measure(answerOf(body), promised, time, new AbortController().signal);

    await expect(reading).rejects.toMatchObject({ code: 'DownloadFailed' });
    expect(time.monotonic()).toBeGreaterThanOrEqual(15_000);
    expect(time.monotonic()).toBeLessThan(18_000);
    expect(body.destroyed).toBe(true);
  });

  it('is read to its end at 200 kB a second, for as long as that takes', async () => {
    const time = virtualTime(noon);
    const body = sourceAt(time, { piece: 100_000, everyMs: 500, bytes: 8_000_000 });

    const read = await measure(
      answerOf(body),
      { bytes: 8_000_000, sha256: undefined },
      time,
      new AbortController().signal,
    );

    expect(read.bytes).toBe(8_000_000);
    expect(time.monotonic()).toBeGreaterThanOrEqual(39_000);
  });

  it('is not blamed for an S3 that takes the bytes slowly', async () => {
    const time = virtualTime(noon);
    const bytes = 2_000_000;
    const slowBucket = {
      putOnce: async ({ body }: NewObject) => {
        for await (const _ of body as Readable) await sleep(time, 1_500);
        return { bytes, sha256: undefined, etag: undefined, versionId: undefined };
      },
    } as unknown as Bucket;
    const source = Readable.from(Array.from({ length: 40 }, () => Buffer.alloc(bytes / 40)));

    const copied = await copyToBucket(
      answerOf(source),
      { ...copy, bytes },
      { bucket: slowBucket, time },
      new AbortController().signal,
    );

    expect(copied.stored).toMatchObject({ bytes });
    expect(time.monotonic()).toBeGreaterThan(25_000);
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

    const reading = measure(
      answerOf(body),
      { bytes: copy.bytes, sha256: undefined },
      virtualTime(noon),
      new AbortController().signal,
    );

    await expect(reading).rejects.toMatchObject({ name: 'ArchiverError', code });
  });
});
