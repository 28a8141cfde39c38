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

describe('a listing', () => {
  it('is empty where S3 lists no contents', async () => {
    const { options } = optionsOf(async () => ({ IsTruncated: false }));

    expect(await collected(listArchive(options, {}))).toEqual([]);
  });

  it('takes what S3 does not tell of an object for nothing, and refuses one without a key', async () => {
    const told = optionsOf(async () => ({ Contents: [{ Key: 'a' }] }));
    const untold = optionsOf(async () => ({ Contents: [{ Size: 3 }] }));

    expect(await collected(listArchive(told.options, {}))).toEqual([{ key: 'a', bytes: 0, modified: 0 }]);
    await expect(collected(listArchive(untold.options, {}))).rejects.toMatchObject({
      code: 'BucketMisconfigured',
    });
  });

  it('leaves no rejection behind where its reader stops and the page ahead fails', async () => {
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
    // A rejection that nobody handles would end the run here.
    await new Promise(setImmediate);

    expect(requests).toBe(2);
  });

  it('is given up where S3 does not answer in time', async () => {
    const { time, options } = optionsOf(
      (_command, { abortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal.addEventListener('abort', () => reject(abortSignal.reason));
        }),
    );

    await expect(collected(listArchive(options, {}))).rejects.toMatchObject({
      code: 'BucketUnavailable',
      message: 'S3 did not list within 10 s.',
    });
    expect(time.monotonic()).toBe(calls.bucketMs);
  });
});
