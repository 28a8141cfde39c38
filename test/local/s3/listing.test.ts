import { mkdir, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { dirname, join } from 'node:path';
import {
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { propertyRuns } from '../../fuzz-runs.ts';
import { bucket, credentials, startWorld } from './fixture.ts';

/** What a listing shows: keys, and common prefixes after `>`, in the order of their names. */
type Shown = string[];

async function write(directory: string, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    await mkdir(dirname(join(directory, key)), { recursive: true });
    await writeFile(join(directory, key), key);
  }
}

const shown = (
  contents: readonly { Key?: string | undefined }[] = [],
  prefixes: readonly { Prefix?: string | undefined }[] = [],
): Shown => [...contents.map(({ Key = '' }) => Key), ...prefixes.map(({ Prefix = '' }) => `>${Prefix}`)];

const byName = (items: Shown) =>
  items.toSorted((a, b) => Buffer.compare(Buffer.from(a.replace('>', '')), Buffer.from(b.replace('>', ''))));

/** All pages of ListObjectsV2. */
async function listAllV2(client: S3Client, input: Partial<ListObjectsV2CommandInput>): Promise<Shown> {
  const items: Shown = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, ...input, ...(ContinuationToken && { ContinuationToken }) }),
    );
    const entries = shown(page.Contents, page.CommonPrefixes);
    expect(page.KeyCount).toBe(entries.length);
    expect(entries.length).toBeLessThanOrEqual(input.MaxKeys ?? 1_000);
    expect(page.IsTruncated).toBe(page.NextContinuationToken !== undefined);
    items.push(...byName(entries));
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  return items;
}

/** All pages of ListObjects, as its clients ask for them. */
async function listAllV1(client: S3Client, input: Partial<ListObjectsV2CommandInput>): Promise<Shown> {
  const items: Shown = [];
  const { StartAfter, ...rest } = input;
  let Marker = StartAfter;
  for (;;) {
    const page = await client.send(
      new ListObjectsCommand({ Bucket: bucket, ...rest, ...(Marker && { Marker }) }),
    );
    items.push(...byName(shown(page.Contents, page.CommonPrefixes)));
    if (!page.IsTruncated) return items;
    // S3 states NextMarker only for a listing with a delimiter.
    expect(page.NextMarker !== undefined).toBe((input.Delimiter ?? '') !== '');
    Marker = page.NextMarker ?? page.Contents?.at(-1)?.Key;
  }
}

/** A listing by its definition: grouped by the delimiter, without the group in which it starts. */
function expectedListing(
  keys: readonly string[],
  { Prefix = '', Delimiter = '', StartAfter = '' }: Partial<ListObjectsV2CommandInput>,
): Shown {
  const items = keys
    .filter((key) => key.startsWith(Prefix))
    .filter((key) => Buffer.compare(Buffer.from(key), Buffer.from(StartAfter)) > 0)
    .map((key) => {
      const at = Delimiter === '' ? -1 : key.indexOf(Delimiter, Prefix.length);
      return at === -1 ? key : `>${key.slice(0, at + Delimiter.length)}`;
    })
    .filter((item) => !item.startsWith('>') || !StartAfter.startsWith(item.slice(1)));
  return byName([...new Set(items)]);
}

const archived = ['documents/1', 'documents/2', 'manifests/2026/a.json', 'readme.txt', 'receipts/1.json'];

describe('a listing', () => {
  it.each<[string, Partial<ListObjectsV2CommandInput>, Shown]>([
    ['the top level', { Delimiter: '/' }, ['>documents/', '>manifests/', 'readme.txt', '>receipts/']],
    ['a folder', { Delimiter: '/', Prefix: 'manifests/' }, ['>manifests/2026/']],
    ['a folder of objects', { Delimiter: '/', Prefix: 'documents/' }, ['documents/1', 'documents/2']],
    ['a folder without its slash', { Delimiter: '/', Prefix: 'documents' }, ['>documents/']],
    ['everything, with an empty delimiter', { Delimiter: '', Prefix: '' }, archived],
    [
      'a delimiter of several characters',
      { Delimiter: 's/' },
      ['>documents/', '>manifests/', 'readme.txt', '>receipts/'],
    ],
    ['a prefix that no key can have', { Delimiter: '/', Prefix: 'documents//' }, []],
  ])('shows %s, by both versions of the operation', async (_what, input, expected) => {
    const { client, directory } = await startWorld();
    await write(directory, archived);

    expect(await listAllV2(client, input)).toEqual(expected);
    expect(await listAllV1(client, input)).toEqual(expected);
  });

  it('is the same by both versions, in pages of any size, for any keys, prefix, delimiter and start', async () => {
    const { client, directory } = await startWorld();
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-', '.', 'é'), minLength: 1, maxLength: 2 });
    const key = fc
      .array(name, { minLength: 1, maxLength: 3 })
      .filter((names) => !names.some((each) => /^\.+$/.test(each)))
      .map((names) => names.join('/'));
    const part = fc.string({ unit: fc.constantFrom('a', 'b', '/', '-'), maxLength: 3 });
    const input = fc.record(
      { Prefix: part, Delimiter: fc.constantFrom('', '/', 'a', '-', 'a/'), StartAfter: part },
      { requiredKeys: [] },
    );

    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 8 }),
        fc.array(fc.tuple(input, fc.integer({ min: 1, max: 4 })), { minLength: 1, maxLength: 4 }),
        async (candidates, listings) => {
          // A path cannot be both a file and a folder.
          const keys = candidates.filter((one) => !candidates.some((other) => other.startsWith(`${one}/`)));
          await rm(directory, { recursive: true });
          await mkdir(directory);
          await write(directory, keys);
          for (const [listing, MaxKeys] of listings) {
            const expected = expectedListing(keys, listing);
            expect(await listAllV2(client, { ...listing, MaxKeys })).toEqual(expected);
            expect(await listAllV1(client, { ...listing, MaxKeys })).toEqual(expected);
          }
        },
      ),
      { numRuns: propertyRuns(500) },
    );
  });

  it('encodes keys, prefixes and delimiter when asked to', async () => {
    const { client, directory } = await startWorld();
    await write(directory, ['a b/ü', 'a+b']);

    const page = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Delimiter: '/', EncodingType: 'url' }),
    );

    expect(shown(page.Contents, page.CommonPrefixes)).toEqual(['a%2Bb', '>a+b/']);
    expect(page).toMatchObject({ Delimiter: '/', EncodingType: 'url' });
  });

  it('states owners in ListObjects, and in ListObjectsV2 only when asked to', async () => {
    const { client, directory } = await startWorld();
    await write(directory, ['a']);
    const v2 = (FetchOwner: boolean) => client.send(new ListObjectsV2Command({ Bucket: bucket, FetchOwner }));

    const first = await client.send(new ListObjectsCommand({ Bucket: bucket }));

    expect(first.Contents?.[0]?.Owner).toEqual({ ID: 'local' });
    expect((await v2(true)).Contents?.[0]?.Owner).toEqual({ ID: 'local' });
    expect((await v2(false)).Contents?.[0]?.Owner).toBeUndefined();
  });

  it('returns 400 for another type of listing', async () => {
    const { client } = await startWorld();
    client.middlewareStack.add(
      (next) => (args) => {
        (args.request as { query: Record<string, string> }).query['list-type'] = '3';
        return next(args);
      },
      { step: 'build' },
    );

    await expect(client.send(new ListObjectsV2Command({ Bucket: bucket }))).rejects.toMatchObject({
      name: 'InvalidArgument',
    });
  });
});

test('serves a client that has the bucket in the host name, as SDKs have by default', async () => {
  const { server, directory } = await startWorld();
  await write(directory, archived);
  // As systems resolve names below localhost.
  const httpAgent = new Agent({
    lookup: (_host, { all }, done) =>
      all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
  });
  const client = new S3Client({
    endpoint: server.endpoint.replace('127.0.0.1', 'localhost'),
    region: 'us-east-1',
    credentials,
    requestHandler: { httpAgent },
  });
  onTestFinished(() => client.destroy());
  const hosts: unknown[] = [];
  client.middlewareStack.add(
    (next) => (args) => {
      hosts.push(Reflect.get(args.request as object, 'hostname'));
      return next(args);
    },
    { step: 'finalizeRequest' },
  );

  const put = new PutObjectCommand({ Bucket: bucket, Key: 'documents/3', Body: '3' });
  await client.send(put);
  const get = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'documents/3' }));

  expect(await get.Body?.transformToString()).toBe('3');
  expect(await listAllV2(client, { Prefix: 'documents/' })).toEqual([
    'documents/1',
    'documents/2',
    'documents/3',
  ]);
  expect(new Set(hosts)).toEqual(new Set(['archive.localhost']));
});

test('HeadBucket and GetBucketLocation return the region of the bucket', async () => {
  const { client } = await startWorld();

  const head = await client.send(new HeadBucketCommand({ Bucket: bucket }));
  const location = await client.send(new GetBucketLocationCommand({ Bucket: bucket }));

  expect(head).toMatchObject({ $metadata: { httpStatusCode: 200 }, BucketRegion: 'us-east-1' });
  // S3 states this region as empty.
  expect(location.LocationConstraint ?? '').toBe('');
});

test('HeadBucket and GetBucketLocation return 404 for another bucket', async () => {
  const { client } = await startWorld();

  await expect(client.send(new HeadBucketCommand({ Bucket: 'other' }))).rejects.toMatchObject({
    name: 'NotFound',
  });
  await expect(client.send(new GetBucketLocationCommand({ Bucket: 'other' }))).rejects.toMatchObject({
    name: 'NoSuchBucket',
  });
});

test('ListBuckets names each bucket with the time at which its folder was created', async () => {
  const { client, directory } = await startWorld();
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a', Body: 'a' }));

  const { Buckets, Owner } = await client.send(new ListBucketsCommand());

  expect(Owner).toEqual({ ID: 'local' });
  expect(Buckets).toEqual([{ Name: bucket, CreationDate: expect.any(Date) }]);
  expect(Math.abs(Date.now() - Number(Buckets?.[0]?.CreationDate))).toBeLessThan(60_000);
  expect(directory).not.toContain(bucket);
});
