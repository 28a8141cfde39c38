import { createHash } from 'node:crypto';
import { getEventListeners } from 'node:events';
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
  it.each([
    [0, 8_000],
    [60, 10_000],
  ])(
    'fails with DownloadFailed before the timeout of S3 when the source stalls after %i bytes',
    async (sent, failsAt) => {
      const time = virtualTime(noon);
      const body = new Readable({ read: () => undefined });
      if (sent > 0) body.push(Buffer.alloc(sent));

      const copying = copyToBucket(
        responseWith(body),
        target,
        { bucket: silentBucket, time },
        new AbortController().signal,
      );

      await expect(copying).rejects.toMatchObject({
        code: 'DownloadFailed',
        message: 'The storage sent nothing for 8 s. The next attempt uses a fresh link.',
      });
      expect(time.monotonic()).toBe(failsAt);
      expect(failsAt).toBeLessThan(calls.bucketIdleMs);
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

      await expect(reading).rejects.toMatchObject({
        code: 'DownloadFailed',
        message:
          'The storage sent only 10 bytes in 16 s; the minimum is 131072 bytes per second. The next attempt uses a fresh link.',
      });
      expect(time.monotonic()).toBe(16_000);
      expect(body.destroyed).toBe(true);
    },
  );

  it('is not ended by its pace while it has sent exactly the minimum on average', async () => {
    const time = virtualTime(noon);
    const body = new Readable({ read: () => undefined });
    const minimumOf16Seconds = 16 * 128 * 1_024;
    time.after(1_000, () => body.push(Buffer.alloc(minimumOf16Seconds - 1)));
    time.after(9_000, () => body.push(Buffer.alloc(1)));

    const reading = measureDownload(
      responseWith(body),
      { bytes: 100_000_000, sha256: undefined },
      time,
      new AbortController().signal,
    );

    await expect(reading).rejects.toThrow('The storage sent nothing for 8 s.');
    expect(time.monotonic()).toBe(18_000);
  });

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

describe('a copy that has ended', () => {
  it('leaves neither a timer nor a listener of its signal behind', async () => {
    const clock = virtualTime(noon);
    const timers = new Set<symbol>();
    const time: Time = {
      ...clock,
      after: (ms, callback) => {
        const timer = Symbol();
        timers.add(timer);
        const cancel = clock.after(ms, () => {
          timers.delete(timer);
          callback();
        });
        return () => {
          timers.delete(timer);
          cancel();
        };
      },
    };
    const { signal } = new AbortController();
    const source = new Readable({ read: () => undefined });
    clock.after(5_000, () => {
      source.push(Buffer.alloc(target.bytes));
      source.push(null);
    });

    await measureDownload(responseWith(source), target, time, signal);

    expect(timers.size).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('has closed the download if S3 did not read it to its end', async () => {
    const taken = { putOnce: async () => 'exists' } as unknown as Bucket;
    const source = new Readable({ read: () => undefined });

    const copied = await copyToBucket(
      responseWith(source),
      target,
      { bucket: taken, time: virtualTime(noon) },
      new AbortController().signal,
    );

    expect(copied).toEqual({ stored: 'exists', digest: undefined });
    expect(source.destroyed).toBe(true);
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
  /** A bucket that reads the body and returns this SHA-256. */
  const bucketReturning = (sha256: string) =>
    ({
      putOnce: async ({ body }: NewObject) => {
        for await (const _ of body as Readable);
        return { bytes: target.bytes, sha256, etag: undefined, versionId: undefined };
      },
    }) as unknown as Bucket;
  const copyTo = (bucket: Bucket) =>
    copyToBucket(
      responseWith(Readable.from([Buffer.alloc(target.bytes)])),
      target,
      { bucket, time: virtualTime(noon) },
      new AbortController().signal,
    );

  it('causes ChecksumMismatch when it differs from the bytes sent, even if Telnyx states none', async () => {
    await expect(copyTo(bucketReturning('0'.repeat(64)))).rejects.toMatchObject({
      code: 'ChecksumMismatch',
      message: 'S3 returned a SHA-256 that does not match the bytes sent.',
    });
  });

  it('is accepted when it is that of the bytes sent', async () => {
    const sha256 = createHash('sha256').update(Buffer.alloc(target.bytes)).digest('hex');

    expect(await copyTo(bucketReturning(sha256))).toMatchObject({ stored: { sha256 }, digest: sha256 });
  });
});

describe('measureDownload', () => {
  it('rejects with the reason of a signal that is already aborted and closes the download', async () => {
    const source = new Readable({ read: () => undefined });
    const reason = new Error('The invocation ends.');

    const reading = measureDownload(
      responseWith(source),
      target,
      virtualTime(noon),
      AbortSignal.abort(reason),
    );

    await expect(reading).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
  });

  it('rejects with the reason of a signal that aborts midway and closes the download', async () => {
    const time = virtualTime(noon);
    const invocation = new AbortController();
    const reason = new Error('The invocation ends.');
    const source = new Readable({ read: () => undefined });
    source.push(Buffer.alloc(60));
    time.after(1_000, () => invocation.abort(reason));

    const reading = measureDownload(responseWith(source), target, time, invocation.signal);

    await expect(reading).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
    expect(time.monotonic()).toBe(1_000);
  });

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
