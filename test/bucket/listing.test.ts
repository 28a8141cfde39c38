import { describe, expect, it } from 'vitest';
import { type ListingOptions, listArchive } from '../../functions/bucket/listing.ts';
import { calls } from '../../functions/limits.ts';
import { collected } from '../collected.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const signal = new AbortController().signal;

function optionsOf(send: (command: unknown, options: { abortSignal: AbortSignal }) => Promise<unknown>) {
  const time = virtualTime(noon);
  const options: ListingOptions = {
    s3: { send } as never,
    name: 'archive',
    time,
    retry: (work) => work(signal),
    onRequest: () => undefined,
  };
  return { time, options };
}

describe('listArchive', () => {
  it('yields nothing if S3 lists no contents', async () => {
    const { options } = optionsOf(async () => ({ IsTruncated: false }));

    expect(await collected(listArchive(options, {}))).toEqual([]);
  });

  it('yields 0 for a size or date that S3 does not state, and throws BucketMisconfigured for an object without a key', async () => {
    const withKey = optionsOf(async () => ({ Contents: [{ Key: 'a' }] }));
    const withoutKey = optionsOf(async () => ({ Contents: [{ Size: 3 }] }));

    expect(await collected(listArchive(withKey.options, {}))).toEqual([{ key: 'a', bytes: 0, modified: 0 }]);
    await expect(collected(listArchive(withoutKey.options, {}))).rejects.toMatchObject({
      code: 'BucketMisconfigured',
    });
  });

  it('leaves no unhandled rejection if the caller stops and the prefetched page fails', async () => {
    const memory = new MemoryBucket(virtualTime(noon));
    memory.pageKeys = 1;
    for (const key of ['a', 'b']) memory.put(key, key, noon);
    let requests = 0;
    const { options } = optionsOf(async (command) => {
      requests += 1;
      if (requests === 2) throw Object.assign(new Error('SlowDown'), { $metadata: { httpStatusCode: 503 } });
      return memory.send(command);
    });

    for await (const { key } of listArchive(options, {})) {
      expect(key).toBe('a');
      break;
    }
    // An unhandled rejection would fail the test run here.
    await new Promise(setImmediate);

    expect(requests).toBe(2);
  });

  it('throws BucketUnavailable if S3 does not respond within 10 s', async () => {
    const { time, options } = optionsOf(
      (_command, { abortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal.addEventListener('abort', () => reject(abortSignal.reason));
        }),
    );

    await expect(collected(listArchive(options, {}))).rejects.toMatchObject({
      code: 'BucketUnavailable',
      message: 'S3 did not respond to a listing within 10 s.',
    });
    expect(time.monotonic()).toBe(calls.bucketMs);
  });
});
