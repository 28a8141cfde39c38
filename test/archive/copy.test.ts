import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { copyToBucket } from '../../functions/archive/copy.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { calls } from '../../functions/limits.ts';
import { noon, virtualTime } from '../discover/world.ts';

const copy = {
  key: 'documents/x',
  bytes: 100,
  sha256: undefined,
  contentType: 'text/plain',
  contentDisposition: 'attachment',
};

describe('a source that stalls', () => {
  it.each([0, 60])('after %i bytes is found out before S3 could be blamed for it', async (sent) => {
    const time = virtualTime(noon);
    const body = new Readable({ read: () => undefined });
    if (sent > 0) body.push(Buffer.alloc(sent));
    const bucket = {
      putOnce: ({ body: upload }, signal) =>
        new Promise((_resolve, reject) => {
          if (upload instanceof Readable) upload.resume();
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        }),
    } satisfies Partial<Bucket>;

    const copying = copyToBucket(
      { status: 200, headers: {}, body },
      copy,
      { bucket: bucket as unknown as Bucket, time },
      new AbortController().signal,
    );

    await expect(copying).rejects.toMatchObject({ code: 'DownloadFailed' });
    expect(time.monotonic()).toBeGreaterThanOrEqual(calls.downloadIdleMs);
    expect(time.monotonic()).toBeLessThan(calls.bucketIdleMs);
  });
});
