import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect, test, vi } from 'vitest';
import { type CommitOptions, checkKey, ObjectStore } from '../../../local/s3/object-store.ts';
import { filesBelow, temporaryDirectory } from './fixture.ts';

/** Callback that runs once, before the store reads a metadata file. */
const beforeMetadata = vi.hoisted(() => ({ run: undefined as (() => Promise<unknown>) | undefined }));
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const readFile = async (...args: Parameters<typeof original.readFile>) => {
    const { run } = beforeMetadata;
    beforeMetadata.run = undefined;
    await run?.();
    return original.readFile(...args);
  };
  return { ...original, readFile };
});

const NOW = Date.parse('2026-11-24T10:00:00.123Z');

async function put(bucket: ObjectStore, key: string, body: string, options: Partial<CommitOptions> = {}) {
  const upload = await bucket.upload();
  try {
    await upload.write(Buffer.from(body));
    return await upload.commit({
      key,
      md5: `md5 of ${body}`,
      checksum: { algorithm: 'SHA256', value: `sha256 of ${body}` },
      headers: { 'x-amz-meta-body': body },
      lastModified: NOW,
      ifAbsent: false,
      ...options,
    });
  } finally {
    await upload.discard();
  }
}

test('keeps objects and their metadata after a restart', async () => {
  const directory = await temporaryDirectory();
  const before = await put(await ObjectStore.open(directory), 'documents/one', 'hello');

  const after = await (await ObjectStore.open(directory)).describe('documents/one');

  expect(after).toMatchObject(before ?? {});
  expect(after?.lastModified).toBe(NOW);
  expect(await readFile(join(directory, 'documents/one'), 'utf8')).toBe('hello');
});

test('replaces data and metadata on overwrite and leaves no other files', async () => {
  const directory = await temporaryDirectory();
  const bucket = await ObjectStore.open(directory);
  await put(bucket, 'one', 'first');
  const second = await put(bucket, 'one', 'other');

  expect(await bucket.describe('one')).toMatchObject({ etag: 'md5 of other', versionId: second?.versionId });
  expect(await filesBelow(directory)).toHaveLength(2);
});

test('does not change an open object when it is overwritten', async () => {
  const bucket = await ObjectStore.open(await temporaryDirectory());
  await put(bucket, 'one', 'first');
  const open = await bucket.read('one');
  await put(bucket, 'one', 'other');

  const bytes = open ? await buffer(open.stream(0, 5)) : undefined;
  await open?.close();

  expect(bytes?.toString()).toBe('first');
  expect(open?.object.etag).toBe('md5 of first');
});

test('returns matching data and metadata when an object is overwritten while it is opened', async () => {
  const bucket = await ObjectStore.open(await temporaryDirectory());
  await put(bucket, 'one', 'first');

  beforeMetadata.run = () => put(bucket, 'one', 'second');
  const described = await bucket.describe('one');
  beforeMetadata.run = () => put(bucket, 'one', 'third');
  const open = await bucket.read('one');
  const bytes = open && (await buffer(open.stream(0, open.object.size)));
  await open?.close();

  expect(described?.etag).toBe('md5 of second');
  expect(open?.object.etag).toBe('md5 of third');
  expect(bytes?.toString()).toBe('third');
});

test('returns the metadata that matches the data during concurrent overwrites', async () => {
  const bucket = await ObjectStore.open(await temporaryDirectory());
  await put(bucket, 'one', 'body 0');
  let writing = true;
  const seen = new Set<string>();
  const reader = async () => {
    while (writing) {
      const open = await bucket.read('one');
      if (!open) throw new Error('The object vanished.');
      const bytes = await buffer(open.stream(0, open.object.size));
      await open.close();
      seen.add(`${bytes}: ${open.object.etag}`);
    }
  };
  const readers = [reader(), reader()];
  // Same size and same time, so only the moved modification time distinguishes them.
  for (let at = 1; at <= 9; at += 1) await put(bucket, 'one', `body ${at}`);
  writing = false;
  await Promise.all(readers);

  expect(seen.size).toBeGreaterThan(1);
  for (const line of seen) expect(line).toMatch(/^(body \d): md5 of \1$/);
});

test('stores exactly one object with its own metadata for concurrent conditional writes of two servers', async () => {
  const directory = await temporaryDirectory();
  const buckets = [await ObjectStore.open(directory), await ObjectStore.open(directory)];

  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, at) =>
      put(buckets[at % 2] as ObjectStore, 'one', `body ${10 + at}`, { ifAbsent: true }),
    ),
  );

  const winners = outcomes.flatMap((outcome) => outcome ?? []);
  expect(winners).toHaveLength(1);
  const bytes = await readFile(join(directory, 'one'), 'utf8');
  expect(await buckets[0]?.describe('one')).toMatchObject({
    etag: `md5 of ${bytes}`,
    versionId: winners[0]?.versionId,
  });
  expect(await filesBelow(directory)).toHaveLength(2);
});

test('ignores metadata without data, left by a killed process', async () => {
  const directory = await temporaryDirectory();
  const killed = await ObjectStore.open(directory);
  await put(killed, 'documents/one', 'hello');
  await rm(join(directory, 'documents/one'));

  const bucket = await ObjectStore.open(directory);
  const afterKill = await bucket.describe('documents/one');
  const again = await put(bucket, 'documents/one', 'HELLO', { ifAbsent: true });

  expect(afterKill).toBeUndefined();
  expect(again?.etag).toBe('md5 of HELLO');
  expect(await bucket.describe('documents/one')).toMatchObject({ versionId: again?.versionId });
});

test('does not use incomplete metadata, left by a killed process, for a later object', async () => {
  const directory = await temporaryDirectory();
  const killed = await ObjectStore.open(directory);
  await put(killed, 'one', 'hello');
  await rm(join(directory, 'one'));
  const [half = ''] = await filesBelow(directory);
  await writeFile(join(directory, half), '{ "key": "on');

  const bucket = await ObjectStore.open(directory);
  await put(bucket, 'one', 'HELLO', { ifAbsent: true });

  expect(await bucket.describe('one')).toMatchObject({ etag: 'md5 of HELLO' });
});

test('removes unfinished uploads of dead processes, but not of running ones', async () => {
  const directory = await temporaryDirectory();
  const uploads = join(directory, '.s3/uploads');
  // No process ID is this high; the parent process is running.
  for (const name of ['999999999-gone', `${process.ppid}-alive`, `${process.pid}-before-us`]) {
    await mkdir(join(uploads, name), { recursive: true });
    await writeFile(join(uploads, name, 'half'), 'ha');
  }
  const neighbour = await ObjectStore.open(directory);
  const itsUpload = await neighbour.upload();

  await put(await ObjectStore.open(directory), 'one', 'hello');

  const left = await readdir(uploads);
  expect(left).toContain(`${process.ppid}-alive`);
  expect(left.filter((name) => name.startsWith('999999999') || name.endsWith('before-us'))).toEqual([]);
  await itsUpload.write(Buffer.from('x'));
  await itsUpload.discard();
});

test('removes the directory of unfinished uploads on close', async () => {
  const directory = await temporaryDirectory();
  const bucket = await ObjectStore.open(directory);
  await put(bucket, 'one', 'hello');

  await bucket.close();

  expect(await readdir(join(directory, '.s3/uploads'))).toEqual([]);
});

test('serves a file that was added or edited by hand without a checksum', async () => {
  const directory = await temporaryDirectory();
  const bucket = await ObjectStore.open(directory);
  await put(bucket, 'edited', 'hello');
  await writeFile(join(directory, 'edited'), 'HELLO');
  await writeFile(join(directory, 'dropped'), 'hello');

  for (const key of ['edited', 'dropped']) {
    const object = await bucket.describe(key);
    expect(object).toMatchObject({ size: 5, versionId: 'null', headers: {} });
    expect(object?.etag).toMatch(/^[0-9a-f]{32}-1$/);
    expect(object?.checksum).toBeUndefined();
  }
});

test('writes nothing to a folder that is only read', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'mine.pdf'), 'mine');
  const bucket = await ObjectStore.open(directory);

  const open = await bucket.read('mine.pdf');
  await open?.close();
  await bucket.close();

  expect(await readdir(directory)).toEqual(['mine.pdf']);
});

test('rejects a key that conflicts with an existing file or folder, and stores nothing', async () => {
  const directory = await temporaryDirectory();
  const bucket = await ObjectStore.open(directory);
  await put(bucket, 'a', 'hello');
  await put(bucket, 'b/c', 'hello');

  for (const [key, ifAbsent] of [
    ['a/b', true],
    ['b', true],
    ['b', false],
  ] as const) {
    await expect(put(bucket, key, 'x', { ifAbsent })).rejects.toMatchObject({ code: 'InvalidArgument' });
  }
  expect(await bucket.describe('b')).toBeUndefined();
  expect(await bucket.describe('a/b')).toBeUndefined();
  expect(await filesBelow(directory)).toHaveLength(4);
});

test('keeps metadata in a copy of the folder with the same modification times', async () => {
  const [from, to] = [await temporaryDirectory(), await temporaryDirectory()];
  await put(await ObjectStore.open(from), 'documents/one', 'hello');
  for (const file of await filesBelow(from)) {
    await mkdir(dirname(join(to, file)), { recursive: true });
    await writeFile(join(to, file), await readFile(join(from, file)));
    const { atime, mtime } = await stat(join(from, file));
    await utimes(join(to, file), atime, mtime);
  }

  expect(await (await ObjectStore.open(to)).describe('documents/one')).toMatchObject({
    etag: 'md5 of hello',
  });
});

test.each(['..', 'a/../b', '.', './a', '/a', 'a//b', 'a/', 'a\0b', '.s3/metadata/x', '.S3/x'])(
  'checkKey rejects the key %j, which is not a valid path inside the bucket',
  (key) => {
    expect(() => checkKey(key)).toThrow(expect.objectContaining({ code: 'InvalidArgument' }));
  },
);

test.each(['x'.repeat(256), `${'a/'.repeat(600)}b`, 'é'.repeat(128)])(
  'checkKey rejects a key that is too long (%#)',
  (key) => {
    expect(() => checkKey(key)).toThrow(expect.objectContaining({ code: 'KeyTooLongError' }));
  },
);
