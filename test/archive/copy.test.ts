import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { copyToBucket, measureDownload } from '../../functions/archive/copy.ts';
import type { Bucket, NewObject } from '../../functions/bucket/store.ts';
import type { HttpResponse } from '../../functions/http.ts';
import { calls } from '../../functions/limits.ts';
import { sleep, type Time } from '../../functions/time.ts';
import { noon } from '../discover/world.ts';
import { virtualTime } from '../fakes/clock.ts';

const target = {
  key: 'documents/x',
  bytes: 100,
  sha256: undefined,
  contentType: 'text/plain',
  contentDisposition: 'attachment',
};

/** A bucket that reads the body and never responds. */
const silentBucket = {
  putOnce: ({ body }: NewObject, signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      signal.throwIfAborted();
      if (body instanceof Readable) body.resume();
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
} as unknown as Bucket;

function responseWith(body: Readable): HttpResponse {
  return { status: 200, headers: {}, body };
}

describe('copyToBucket', () => {
  it.each([0, 60])(
    'fails with DownloadFailed before the timeout of S3 when the source stalls after %i bytes',
    async (sent) => {
      const time = virtualTime(noon);
      const body = new Readable({ read: () => undefined });
      if (sent > 0) body.push(Buffer.alloc(sent));

      const copying = copyToBucket(
        responseWith(body),
        target,
        { bucket: silentBucket, time },
        new AbortController().signal,
      );

      await expect(copying).rejects.toMatchObject({ code: 'DownloadFailed' });
      expect(time.monotonic()).toBeGreaterThanOrEqual(calls.downloadIdleMs);
      expect(time.monotonic()).toBeLessThan(calls.bucketIdleMs);
    },
  );

  it('rejects with the reason of a signal that is already aborted and closes the download', async () => {
    const time = virtualTime(noon);
    const body = new Readable({ read: () => undefined });
    const reason = new Error('The invocation ends.');

    const copying = copyToBucket(
      responseWith(body),
      target,
      { bucket: silentBucket, time },
      AbortSignal.abort(reason),
    );

    await expect(copying).rejects.toBe(reason);
    expect(body.destroyed).toBe(true);
  });
});

describe('a slow download', () => {
  /** Sends `piece` bytes every `everyMs`, `bytes` in total. */
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
  ])(
    'fails with DownloadFailed soon after 15 s at one byte every 1.5 s for a document %s',
    async (_which, bytes) => {
      const time = virtualTime(noon);
      const body = sourceAt(time, { piece: 1, everyMs: 1_500, bytes: 100_000_000 });
      const promised =
        bytes === undefined
          ? { bytes: undefined, maxBytes: 100_000_000, sha256: undefined }
          : { bytes, sha256: undefined };

      const reading = measureDownload(responseWith(body), promised, time, new AbortController().signal);

      await expect(reading).rejects.toMatchObject({ code: 'DownloadFailed' });
      expect(time.monotonic()).toBeGreaterThanOrEqual(15_000);
      expect(time.monotonic()).toBeLessThan(18_000);
      expect(body.destroyed).toBe(true);
    },
  );

  it('completes at 200 kB per second no matter how long it takes', async () => {
    const time = virtualTime(noon);
    const body = sourceAt(time, { piece: 100_000, everyMs: 500, bytes: 8_000_000 });

    const read = await measureDownload(
      responseWith(body),
      { bytes: 8_000_000, sha256: undefined },
      time,
      new AbortController().signal,
    );

    expect(read.bytes).toBe(8_000_000);
    expect(time.monotonic()).toBeGreaterThanOrEqual(39_000);
  });

  it('completes when only the upload is slow', async () => {
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
      responseWith(source),
      { ...target, bytes },
      { bucket: slowBucket, time },
      new AbortController().signal,
    );

    expect(copied.stored).toMatchObject({ bytes });
    expect(time.monotonic()).toBeGreaterThan(25_000);
  });
});

describe('an upload whose bytes have all been sent', () => {
  it('is aborted when the invocation ends', async () => {
    const time = virtualTime(noon);
    const invocation = new AbortController();
    const body = Readable.from([Buffer.alloc(target.bytes)]);
    const timeout = new Error('The time is up.');
    body.on('close', () => setImmediate(() => invocation.abort(timeout)));

    const copying = copyToBucket(
      responseWith(body),
      target,
      { bucket: silentBucket, time },
      invocation.signal,
    );

    await expect(copying).rejects.toBe(timeout);
  }, 2_000);
});

describe('the SHA-256 that S3 returns', () => {
  it('causes ChecksumMismatch when it differs from the bytes sent, even if Telnyx states none', async () => {
    const corruptingBucket = {
      putOnce: async ({ body }: NewObject) => {
        for await (const _ of body as Readable);
        return { bytes: target.bytes, sha256: '0'.repeat(64), etag: undefined, versionId: undefined };
      },
    } as unknown as Bucket;

    const copying = copyToBucket(
      responseWith(Readable.from([Buffer.alloc(target.bytes)])),
      target,
      { bucket: corruptingBucket, time: virtualTime(noon) },
      new AbortController().signal,
    );

    await expect(copying).rejects.toMatchObject({ code: 'ChecksumMismatch' });
  });
});

describe('measureDownload', () => {
  it.each([
    ['is interrupted', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), 'DownloadFailed'],
    ['ends early', undefined, 'SizeMismatch'],
  ])('rejects when the download %s', async (_how, error, code) => {
    const body = Readable.from(
      (function* () {
        yield Buffer.alloc(60);
        if (error) throw error;
      })(),
    );

    const reading = measureDownload(
      responseWith(body),
      { bytes: target.bytes, sha256: undefined },
      virtualTime(noon),
      new AbortController().signal,
    );

    await expect(reading).rejects.toMatchObject({ name: 'ArchiverError', code });
  });
});
