/** Reading manifests in the bucket: which files they name, and what they say within a range of IDs. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  formatEntry,
  formatLine,
  type IdRange,
  isWithin,
  type ManifestEntry,
  manifestKey,
} from '../../functions/bucket/manifest-text.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { readClaimsWithin, streamObject } from '../../functions/bucket/stored-manifests.ts';
import { collected } from '../collected.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';
import { putRootManifest } from '../fakes/root-manifests.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const timestamp = '20261124T120000Z';
const key = manifestKey(timestamp);
const signal = new AbortController().signal;
const idOf = (start: number) => `${start.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
const all: IdRange = { from: '', before: '' };

function entryOf(start: number): ManifestEntry {
  return { id: idOf(start), document: sha256(`document ${start}`), receipt: sha256(`receipt ${start}`) };
}

function world() {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const s3 = memory as never;
  let requests = 0;
  const dependencies = {
    s3,
    name: 'archive',
    bucket: createBucket({ s3, name: 'archive', time }),
    retry: <Result>(work: (signal: AbortSignal) => Promise<Result>) => work(signal),
    onRequest: () => {
      requests += 1;
    },
  };
  return { memory, dependencies, requests: () => requests };
}

/** One entry in each of three stretches. */
const entries = [0x1, 0x40000000, 0x80000000].map(entryOf);

async function worldWithRoot() {
  const { memory, dependencies, requests } = world();
  const { root, stretches } = await putRootManifest(dependencies.bucket, timestamp, entries);
  memory.requests.length = 0;
  const replace = (name: string, text: string) => {
    memory.objects.delete(name);
    memory.put(name, text, noon);
  };
  return { memory, dependencies, requests, root, keys: stretches.map((stretch) => stretch.key), replace };
}

describe('readClaimsWithin', () => {
  it('returns what was written within any range, however it is split into stretches, and of a single file', async () => {
    const starts = fc.uniqueArray(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 30 });
    const digests = fc.constantFrom('both', 'document', 'receipt');
    const bound = fc.oneof(
      fc.constant(''),
      fc.stringMatching(/^[0-9a-f]{1,8}$/),
      fc.integer({ min: 0, max: 0xffffffff }).map(idOf),
    );
    const range = fc
      .record({ from: bound, before: bound })
      .filter(({ from, before }) => before === '' || from < before);

    await fc.assert(
      fc.asyncProperty(
        starts,
        fc.infiniteStream(digests),
        fc.uniqueArray(
          bound.filter((text) => text !== ''),
          { maxLength: 8 },
        ),
        range,
        async (ids, named, bounds, within) => {
          const written = ids
            .toSorted((a, b) => a - b)
            .map((start) => {
              const which = named.next().value;
              return {
                ...entryOf(start),
                ...(which === 'document' && { receipt: undefined }),
                ...(which === 'receipt' && { document: undefined }),
              };
            });
          const { memory, dependencies } = world();
          const { root } = await putRootManifest(dependencies.bucket, timestamp, written, {
            bounds: bounds.toSorted(),
          });
          const text = written.map(formatEntry).join('');
          const single = { key: manifestKey('20261125T120000Z'), sha256: sha256(text) };
          memory.put(single.key, formatLine(root) + text, noon);

          const ofRoot = await readClaimsWithin(root, within, dependencies);
          const ofSingle = await readClaimsWithin(single, within, dependencies);

          const expected = written.filter(({ id }) => isWithin(id, within));
          expect(ofRoot).toEqual({ entries: expected });
          expect(ofSingle).toEqual({ entries: expected });
          expect(await readClaimsWithin(root, all, dependencies)).toEqual({ entries: written });
        },
      ),
      { numRuns: propertyRuns(500) },
    );
  });

  it('downloads only the root and the stretch files that overlap the range', async () => {
    const { memory, dependencies, requests, root, keys } = await worldWithRoot();

    const claims = await readClaimsWithin(root, { from: '5', before: '9' }, dependencies);

    expect(claims).toEqual({ entries: [entries[2]] });
    expect(memory.requests).toEqual([key, keys[1], keys[2]].map((name) => `get ${name}`));
    expect(requests()).toBe(3);
  });

  it.each(['flipped', 'cut off', 'emptied', 'lengthened', 'not a manifest'])(
    'returns the defect of a stretch file that is %s',
    async (how) => {
      const { memory, dependencies, root, keys, replace } = await worldWithRoot();
      const [, stretch = ''] = keys;
      const text = memory.text(stretch);
      const altered = {
        flipped: text.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
        'cut off': text.slice(0, -40),
        emptied: '',
        lengthened: text + formatEntry(entryOf(0x50000000)),
        'not a manifest': 'x\n',
      }[how];
      replace(stretch, altered ?? '');

      const { defect } = await readClaimsWithin(root, all, dependencies);
      const outside = await readClaimsWithin(root, { from: '8', before: '' }, dependencies);

      const isFormat = how === 'cut off' || how === 'not a manifest';
      expect(defect).toEqual({
        code: 'manifest-altered',
        key: stretch,
        detail: isFormat ? 'not in the format of a manifest' : `its SHA-256 differs from the one in ${key}`,
      });
      expect(outside).toEqual({ entries: [entries[2]] });
    },
  );

  it('returns the defect of a stretch file whose bytes changed outside the range', async () => {
    const { memory, dependencies, root, keys, replace } = await worldWithRoot();
    const [first = ''] = keys;
    replace(first, memory.text(first) + formatEntry(entryOf(0x30000000)));

    const { defect } = await readClaimsWithin(root, { from: '0', before: '1' }, dependencies);

    expect(defect).toMatchObject({ code: 'manifest-altered', key: first });
  });

  it('returns the defect of a stretch file, a root or a single file that is missing', async () => {
    const { memory, dependencies, root, keys } = await worldWithRoot();
    memory.objects.delete(keys[1] ?? '');

    const withoutStretch = await readClaimsWithin(root, all, dependencies);
    memory.objects.delete(key);
    const withoutRoot = await readClaimsWithin(root, all, dependencies);

    expect(withoutStretch).toEqual({
      defect: { code: 'manifest-removed', key: keys[1], detail: `named by ${key}` },
    });
    expect(withoutRoot).toEqual({
      defect: { code: 'manifest-removed', key, detail: 'named by the plan of the audit' },
    });
  });

  it('returns the defect of a root whose bytes changed, and of a single file in another format', async () => {
    const { memory, dependencies, root, replace } = await worldWithRoot();
    const [first = ''] = memory.text(key).split('\n');
    replace(key, `${first}\n`);
    const single = { key: manifestKey('20261125T120000Z'), sha256: '' };
    memory.put(single.key, `${formatEntry(entryOf(1))}x\n`, noon);

    expect(await readClaimsWithin(root, all, dependencies)).toEqual({
      defect: {
        code: 'manifest-altered',
        key,
        detail: 'its SHA-256 differs from the one in the plan of the audit',
      },
    });
    expect(await readClaimsWithin(single, all, dependencies)).toEqual({
      defect: { code: 'manifest-altered', key: single.key, detail: 'not in the format of a manifest' },
    });
  });

  it('reads a single file only up to the end of the range', async () => {
    const { memory, dependencies } = world();
    const text = [1, 2, 3].map((start) => formatEntry(entryOf(start))).join('');
    async function* chunks() {
      yield Buffer.from(text);
      throw new Error('Read too far.');
    }
    const send = async () => ({ Body: Readable.from(chunks(), { highWaterMark: 1 }) });
    memory.put(key, text, noon);

    const claims = await readClaimsWithin(
      { key, sha256: '' },
      { from: idOf(1), before: idOf(2) },
      {
        ...dependencies,
        s3: { send } as never,
      },
    );

    expect(claims).toEqual({ entries: [entryOf(1)] });
  });

  it('throws the error of S3', async () => {
    const { memory, dependencies, root } = await worldWithRoot();
    for (const denied of ['/manifest-', '/ids_']) {
      memory.refuse = (_operation, name) =>
        name.includes(denied) ? { name: 'AccessDenied', status: 403 } : undefined;

      const reading = readClaimsWithin(root, all, dependencies);

      await expect(reading).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    }
  });
});

describe('streamObject', () => {
  it('ends the download when its reader stops', async () => {
    let closed: (value: unknown) => void = () => undefined;
    const isClosed = new Promise((resolve) => {
      closed = resolve;
    });
    const server = createServer((_request, response) => {
      response.once('close', closed);
      // More than the buffers of both ends.
      response.writeHead(200, { 'content-length': 1_000_000_000 });
      const write = () => {
        while (response.write(Buffer.alloc(64 * 1024, 'x')));
      };
      response.on('drain', write);
      write();
    });
    onTestFinished(() => {
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const s3 = createS3Client({
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
    });
    onTestFinished(() => s3.destroy());
    const readFirst = async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) return chunk;
      return undefined;
    };

    const read = await streamObject('manifests/x', readFirst, { ...world().dependencies, s3 });

    await isClosed;
    expect(read).toEqual({ result: expect.any(Buffer), sha256: sha256(read?.result ?? '') });
  });

  it('throws the reason of its signal while no byte arrives', async () => {
    const stop = new AbortController();
    const reason = new RangeError('Stopped.');
    const send = async () => {
      setImmediate(() => stop.abort(reason));
      return { Body: new Readable({ read: () => undefined }) };
    };

    const reading = streamObject('manifests/x', collected, {
      ...world().dependencies,
      s3: { send } as never,
      retry: (work) => work(stop.signal),
    });

    await expect(reading).rejects.toBe(reason);
  });
});
