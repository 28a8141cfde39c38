import { once } from 'node:events';
import type {
  ListObjectsV2Command,
  ListObjectsV2CommandInput,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type KeyRange,
  type ListingOptions,
  listArchive,
  listVersions,
} from '../../functions/bucket/listing.ts';
import { calls } from '../../functions/limits.ts';
import { collected } from '../collected.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';
import { propertyRuns } from '../fuzz-runs.ts';

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

  it('yields 0 or an empty text for what S3 does not state, and throws BucketMisconfigured for an object without a key', async () => {
    const withKey = optionsOf(async () => ({ Contents: [{ Key: 'a' }] }));
    const withoutKey = optionsOf(async () => ({ Contents: [{ Size: 3 }] }));

    expect(await collected(listArchive(withKey.options, {}))).toEqual([{ key: 'a', bytes: 0, modified: 0 }]);
    await expect(collected(listArchive(withoutKey.options, {}))).rejects.toMatchObject({
      code: 'BucketMisconfigured',
    });
  });

  it('leaves no request running if the caller stops while the next page is read', async () => {
    const memory = new MemoryBucket(virtualTime(noon));
    memory.pageKeys = 1;
    for (const key of ['a', 'b']) memory.put(key, key, noon);
    let running = 0;
    const { options } = optionsOf(async (command, { abortSignal }) => {
      running += 1;
      const isSecond = (command as ListObjectsV2Command).input.StartAfter !== undefined;
      if (isSecond) await once(abortSignal, 'abort');
      running -= 1;
      return memory.send(command);
    });

    for await (const { key } of listArchive(options, {})) {
      expect([key, running]).toEqual(['a', 1]);
      break;
    }

    expect(running).toBe(0);
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

  it.each([
    ['objects', listArchive],
    ['versions', listVersions],
  ])('throws BucketUnavailable if S3 does not respond within 10 s: %s', async (_what, list) => {
    const { time, options } = optionsOf(
      (_command, { abortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal.addEventListener('abort', () => reject(abortSignal.reason));
        }),
    );

    await expect(collected<unknown>(list(options, {}))).rejects.toMatchObject({
      code: 'BucketUnavailable',
      message: 'S3 did not respond to a listing within 10 s.',
    });
    expect(time.monotonic()).toBe(calls.bucketMs);
  });
});

describe('the requests of a listing', () => {
  /** Lists a bucket of these keys: what was listed, and the input of each request. */
  async function listed(keys: readonly string[], pageKeys: number, range: KeyRange) {
    const memory = new MemoryBucket(virtualTime(noon));
    memory.pageKeys = pageKeys;
    for (const key of keys) memory.put(key, key, noon);
    const inputs: ListObjectsV2CommandInput[] = [];
    let told = 0;
    const { options } = optionsOf(async (command) => {
      inputs.push((command as ListObjectsV2Command).input);
      return memory.send(command);
    });
    const objects = await collected(listArchive({ ...options, onRequest: () => (told += 1) }, range));
    return { keys: objects.map(({ key }) => key), inputs, told };
  }

  const letters = [...'abcdefghij'];

  it('name the bucket, and nothing that is not asked for', async () => {
    const { keys, inputs } = await listed(letters, 1_000, {});

    expect(keys).toEqual(letters);
    expect(inputs).toStrictEqual([{ Bucket: 'archive', EncodingType: 'url' }]);
  });

  it('go on after the last key of the page before, within the prefix', async () => {
    const { keys, inputs, told } = await listed(['p/a', 'p/b', 'p/c', 'q/a'], 2, { prefix: 'p/' });

    expect(keys).toEqual(['p/a', 'p/b', 'p/c']);
    expect(inputs).toStrictEqual([
      { Bucket: 'archive', EncodingType: 'url', Prefix: 'p/' },
      { Bucket: 'archive', EncodingType: 'url', Prefix: 'p/', StartAfter: 'p/b' },
    ]);
    expect(told).toBe(2);
  });

  it('begin just before the first key of a stretch', async () => {
    const { keys, inputs } = await listed(['c', 'c\u{10ffff}z', 'd', 'e'], 1_000, { from: 'd' });

    expect(inputs).toMatchObject([{ StartAfter: 'c\u{10ffff}' }]);
    expect(keys).toEqual(['d', 'e']);
  });

  it.each([
    ['c', 1, 2],
    ['d', 2, 3],
    ['g', 3, 6],
  ])('are no more than it takes to get before %s: %i', async (before, requests, count) => {
    const { keys, told } = await listed(letters, 3, { before });

    expect(keys).toEqual(letters.slice(0, count));
    expect(told).toBe(requests);
  });

  it('end with an empty page, although S3 says that there are more', async () => {
    const { options } = optionsOf(async () => ({ Contents: [], IsTruncated: true }));

    expect(await collected(listArchive(options, {}))).toEqual([]);
  });

  it.each([[['b', 'a']], [['a', 'a']], [['\u{1f600}', '\uffee']]])(
    'show a bucket whose order is another: %j',
    async (keys) => {
      const { options } = optionsOf(async () => ({ Contents: keys.map((Key) => ({ Key })) }));

      await expect(collected(listArchive(options, {}))).rejects.toMatchObject({
        code: 'BucketMisconfigured',
        message: expect.stringMatching(/^The bucket does not list its keys in/),
      });
    },
  );

  it('throw the reason of their signal, whatever the S3 client makes of it', async () => {
    const stop = new AbortController();
    const { options } = optionsOf(async () => {
      stop.abort(new RangeError('Stopped.'));
      throw new Error('AbortError');
    });

    await expect(
      collected(listArchive({ ...options, retry: (work) => work(stop.signal) }, {})),
    ).rejects.toThrow(RangeError);
  });

  it('list exactly the keys of the stretch, whatever they are made of and however long the pages', async () => {
    const part = fc.string({
      unit: fc.constantFrom('a', 'b', 'c', '/', '+', ' ', '%', '&', 'ä', '\uffee', '\u{1f600}'),
      minLength: 1,
      maxLength: 4,
    });
    const bound = fc.option(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 3 }), {
      nil: undefined,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(part, { maxLength: 30 }),
        fc.integer({ min: 1, max: 8 }),
        bound,
        bound,
        fc.constantFrom(undefined, 'a', 'b/'),
        async (keys, pageKeys, from, before, prefix) => {
          const { keys: found } = await listed(keys, pageKeys, {
            ...(from !== undefined && { from }),
            ...(before !== undefined && { before }),
            ...(prefix !== undefined && { prefix }),
          });

          expect(found).toEqual(
            keys
              .filter((key) => prefix === undefined || key.startsWith(prefix))
              .filter((key) => (from === undefined || key >= from) && (before === undefined || key < before))
              .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
          );
        },
      ),
      { numRuns: propertyRuns(300) },
    );
  });
});

describe('listVersions', () => {
  it('yields each key once with its current version, its other versions and its delete markers, on pages of any length', async () => {
    const action = fc.record({
      key: fc.constantFrom('a', 'a/b', 'b', 'b/ä', 'b/\uffee', 'b/\u{1f600}', 'c +', 'd'),
      deletes: fc.boolean(),
    });
    const bound = fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 25 }),
        fc.integer({ min: 1, max: 6 }),
        bound,
        bound,
        fc.constantFrom(undefined, 'b/'),
        async (actions, pageKeys, from, before, prefix) => {
          const memory = new MemoryBucket(virtualTime(noon));
          memory.pageKeys = pageKeys;
          for (const [number, { key, deletes }] of actions.entries()) {
            if (deletes) memory.versioned.delete(key);
            else memory.put(key, 'x'.repeat(number), noon + number);
          }
          const { options } = optionsOf(memory.send);

          const rows = await collected(
            listVersions(options, {
              ...(from !== undefined && { from }),
              ...(before !== undefined && { before }),
              ...(prefix !== undefined && { prefix }),
            }),
          );

          const keys = [...new Set(actions.map(({ key }) => key))]
            .filter((key) => prefix === undefined || key.startsWith(prefix))
            .filter((key) => (from === undefined || key >= from) && (before === undefined || key < before))
            .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
          const expected = keys.map((key) => {
            const versions = memory.versioned.versions(key);
            const current = memory.versioned.current(key);
            const bodies = versions.filter(({ body }) => body !== undefined).length;
            return {
              key,
              current: current && {
                bytes: current.body.length,
                modified: current.modified,
                versionId: current.versionId,
                etag: current.etag,
              },
              otherVersions: bodies - (current ? 1 : 0),
              deleteMarkers: versions.length - bodies,
            };
          });
          expect(rows).toEqual(expected);
        },
      ),
      { numRuns: propertyRuns(200) },
    );
  });

  it('goes on after the last version of the page before', async () => {
    const inputs: unknown[] = [];
    const { options } = optionsOf(async (command) => {
      inputs.push((command as ListObjectVersionsCommand).input);
      const page = { IsTruncated: true, NextKeyMarker: 'a+b', NextVersionIdMarker: 'v2' };
      const versions = [{ Key: 'a+b', IsLatest: inputs.length === 1, Size: 1, VersionId: 'v', ETag: 'e' }];
      return { Versions: versions, ...(inputs.length === 1 && page) };
    });

    const rows = await collected(listVersions(options, { prefix: 'a' }));

    expect(rows).toEqual([
      {
        key: 'a b',
        current: { bytes: 1, modified: 0, versionId: 'v', etag: 'e' },
        otherVersions: 1,
        deleteMarkers: 0,
      },
    ]);
    const address = { Bucket: 'archive', EncodingType: 'url', Prefix: 'a' };
    expect(inputs).toStrictEqual([address, { ...address, KeyMarker: 'a b', VersionIdMarker: 'v2' }]);
  });

  it('reads a bucket without versions, and yields 0 or an empty text for what S3 does not state', async () => {
    const { options } = optionsOf(async () => ({ Versions: [{ Key: 'a', IsLatest: true }] }));

    expect(await collected(listVersions(options, {}))).toEqual([
      {
        key: 'a',
        current: { bytes: 0, modified: 0, versionId: 'null', etag: '' },
        otherVersions: 0,
        deleteMarkers: 0,
      },
    ]);
  });

  it.each([
    ['the same key', ['a', 'v3'], ['a', 'v2']],
    ['another key with the same version ID', ['a', 'null'], ['b', 'null']],
  ] as const)('goes on if a page ends at %s', async (_what, first, second) => {
    const ends = [first, second];
    let requests = 0;
    const { options } = optionsOf(async () => {
      const [Key, VersionId] = ends[Math.min(requests, 1)] ?? first;
      requests += 1;
      const page = { IsTruncated: true, NextKeyMarker: Key, NextVersionIdMarker: VersionId };
      return requests < 3 ? { Versions: [{ Key, VersionId }], ...page } : {};
    });

    const rows = await collected(listVersions(options, {}));

    expect(rows.reduce((sum, { otherVersions }) => sum + otherVersions, 0)).toBe(2);
    expect(requests).toBe(3);
  });

  it('throws BucketMisconfigured if a later page does not say where the next one begins', async () => {
    let requests = 0;
    const { options } = optionsOf(async () => {
      requests += 1;
      const Key = requests === 1 ? 'a' : 'b';
      return {
        Versions: [{ Key }],
        IsTruncated: true,
        ...(requests === 1 && { NextKeyMarker: Key, NextVersionIdMarker: 'v1' }),
      };
    });

    await expect(collected(listVersions(options, {}))).rejects.toThrow(
      /does not list its versions to the end/,
    );
    expect(requests).toBe(2);
  });

  it('throws BucketMisconfigured for a version without a key', async () => {
    const { options } = optionsOf(async () => ({ Versions: [{ VersionId: 'v1', IsLatest: true }] }));

    await expect(collected(listVersions(options, {}))).rejects.toThrow(/byte order/);
  });

  it.each([
    ['does not say where the next page begins', { IsTruncated: true }],
    ['begins every page at the same place', { IsTruncated: true, NextKeyMarker: 'a' }],
  ])('throws BucketMisconfigured if S3 %s', async (_case, page) => {
    const { options } = optionsOf(async () => ({ Versions: [{ Key: 'a', IsLatest: true }], ...page }));

    await expect(collected(listVersions(options, {}))).rejects.toMatchObject({
      code: 'BucketMisconfigured',
      message: expect.stringMatching(/^The bucket does not list its versions to the end/),
    });
  });

  it('throws BucketMisconfigured if a page begins before the end of the page before', async () => {
    const { options } = optionsOf(async (command) =>
      (command as ListObjectVersionsCommand).input.KeyMarker === undefined
        ? { Versions: [{ Key: 'b' }], IsTruncated: true, NextKeyMarker: 'b', NextVersionIdMarker: 'v1' }
        : { Versions: [{ Key: 'a' }] },
    );

    await expect(collected(listVersions(options, {}))).rejects.toThrow(/byte order/);
  });
});
