import { createHash } from 'node:crypto';
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { hasSystemCode } from '../../../functions/errors.ts';
import { DiskError } from '../../../local/s3/file-errors.ts';
import { checkKey } from '../../../local/s3/object-key.ts';
import { isObject, type OpenObject } from '../../../local/s3/object-reader.ts';
import { type CommitOptions, ObjectStore } from '../../../local/s3/object-store.ts';
import { collected } from '../../collected.ts';
import { filesBelow, temporaryDirectory } from './fixture.ts';

/** What the file system of the test does differently; reset after each test. */
const disk = vi.hoisted(() => ({
  /** Runs once, before the store opens a metadata file to read it. */
  beforeMetadata: undefined as (() => Promise<unknown>) | undefined,
  /** Code with which each `link` fails. */
  linkFails: undefined as string | undefined,
  /** Replaces `rename`. */
  rename: undefined as ((from: string, to: string) => Promise<void>) | undefined,
  /** Code with which each write to an upload fails. */
  writeFails: undefined as string | undefined,
}));
const failure = vi.hoisted(() => (code: string) => Object.assign(new Error(`${code}: failed`), { code }));
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const open = async (...args: Parameters<typeof original.open>) => {
    const path = String(args[0]);
    if (path.includes('/.s3/metadata/') && args[1] !== 'wx') {
      const run = disk.beforeMetadata;
      disk.beforeMetadata = undefined;
      await run?.();
    }
    const handle = await original.open(...args);
    if (disk.writeFails !== undefined && path.includes('/.s3/uploads/')) {
      handle.write = () => Promise.reject(failure(disk.writeFails ?? ''));
    }
    return handle;
  };
  const link = (from: string, to: string) =>
    disk.linkFails === undefined ? original.link(from, to) : Promise.reject(failure(disk.linkFails));
  const rename = (from: string, to: string) => (disk.rename ?? original.rename)(from, to);
  return { ...original, open, link, rename };
});
const { rename: realRename } = await vi.importActual<typeof import('node:fs/promises')>('node:fs/promises');
afterEach(() => {
  for (const name of Object.keys(disk)) Reflect.set(disk, name, undefined);
});

const NOW = Date.parse('2026-11-24T10:00:00.123Z');

/** @returns undefined if a condition is not met */
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
      ...options,
    });
  } catch (error) {
    if (hasSystemCode(error, 'PreconditionFailed')) return undefined;
    throw error;
  } finally {
    await upload.discard();
  }
}

async function describeObject(bucket: ObjectStore, key: string) {
  const found = await bucket.describe(key);
  return isObject(found) ? found : undefined;
}

async function openObject(bucket: ObjectStore, key: string): Promise<OpenObject> {
  const found = await bucket.read(key);
  if (!found || !('object' in found)) throw new Error('The object vanished.');
  return found;
}

test('keeps objects and their metadata after a restart', async () => {
  const directory = await temporaryDirectory();
  const before = await put(await ObjectStore.open(directory), 'documents/one', 'hello');

  const after = await (await ObjectStore.open(directory)).describe('documents/one');

  expect(after).toMatchObject(before ?? {});
  expect(after?.lastModified).toBe(NOW);
  expect(await readFile(join(directory, 'documents/one'), 'utf8')).toBe('hello');
});

test('keeps the version that is overwritten, with its metadata', async () => {
  const directory = await temporaryDirectory();
  const bucket = await ObjectStore.open(directory);
  const first = await put(bucket, 'one', 'first');
  const second = await put(bucket, 'one', 'other');

  expect(await bucket.describe('one')).toMatchObject({ etag: 'md5 of other', versionId: second?.versionId });
  expect(await bucket.describe('one', first?.versionId)).toEqual(first);
  // Data and metadata of both, and the key of the earlier one.
  expect(await filesBelow(directory)).toHaveLength(5);
});

test('tells a file that was added by hand from an object of the same size and time', async () => {
  const directory = await temporaryDirectory();
  const bucket = await ObjectStore.open(directory);
  await writeFile(join(directory, 'one'), 'by hand');
  await utimes(join(directory, 'one'), NOW / 1000, NOW / 1000);
  const before = await bucket.describe('one');
  const stored = await put(bucket, 'one', 'a store');

  expect(await bucket.describe('one', 'null')).toEqual(before);
  expect(await bucket.describe('one')).toEqual(stored);
});

test('does not change an open object when it is overwritten', async () => {
  const bucket = await ObjectStore.open(await temporaryDirectory());
  await put(bucket, 'one', 'first');
  const open = await openObject(bucket, 'one');
  await put(bucket, 'one', 'other');

  const bytes = await buffer(open.stream(0, 5));
  await open.close();

  expect(bytes.toString()).toBe('first');
  expect(open.object.etag).toBe('md5 of first');
});

test('returns matching data and metadata when an object is replaced for good while it is opened', async () => {
  const bucket = await ObjectStore.open(await temporaryDirectory());
  let { versionId = '' } = (await put(bucket, 'one', 'first')) ?? {};
  const replaceBy = async (body: string) => {
    const next = await put(bucket, 'one', body);
    await bucket.deleteVersion('one', versionId, { governance: false, now: NOW });
    versionId = next?.versionId ?? '';
  };

  disk.beforeMetadata = () => replaceBy('second');
  const described = await describeObject(bucket, 'one');
  disk.beforeMetadata = () => replaceBy('third');
  const open = await openObject(bucket, 'one');
  const bytes = await buffer(open.stream(0, open.object.size));
  await open.close();

  expect(described?.etag).toBe('md5 of second');
  expect(open.object.etag).toBe('md5 of third');
  expect(bytes.toString()).toBe('third');
});

test('returns the metadata that matches the data during concurrent overwrites', async () => {
  const bucket = await ObjectStore.open(await temporaryDirectory());
  await put(bucket, 'one', 'body 0');
  let writing = true;
  const seen = new Set<string>();
  const reader = async () => {
    while (writing) {
      const open = await openObject(bucket, 'one');
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

/** `undefined` is a file system with hard links; Windows reports EISDIR. */
const linkFailures = [undefined, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EISDIR'];

test.each(linkFailures)(
  'stores exactly one object with its own metadata for concurrent conditional writes of two servers (link: %s)',
  async (code) => {
    disk.linkFails = code;
    const directory = await temporaryDirectory();
    const buckets = [await ObjectStore.open(directory), await ObjectStore.open(directory)];

    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        put(buckets[at % 2] as ObjectStore, 'one', `body ${10 + at}`, { condition: 'absent' }),
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
  },
);

test('ignores metadata without data, left by a killed process', async () => {
  const directory = await temporaryDirectory();
  const killed = await ObjectStore.open(directory);
  await put(killed, 'documents/one', 'hello');
  await rm(join(directory, 'documents/one'));

  const bucket = await ObjectStore.open(directory);
  const afterKill = await bucket.describe('documents/one');
  const again = await put(bucket, 'documents/one', 'HELLO', { condition: 'absent' });

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
  await put(bucket, 'one', 'HELLO', { condition: 'absent' });

  expect(await bucket.describe('one')).toMatchObject({ etag: 'md5 of HELLO' });
});

test('removes unfinished uploads of dead processes, but not of running ones', async () => {
  const directory = await temporaryDirectory();
  const uploads = join(directory, '.s3/uploads');
  // No process ID is this high; the parent process is running.
  const uuid = '5a3b1e00-0000-4000-8000-000000000001';
  const dead = [`999999999-${uuid}`, `${process.pid}-${uuid}`];
  const kept = [`${process.ppid}-${uuid}`, 'a folder of the user'];
  for (const name of [...dead, ...kept]) {
    await mkdir(join(uploads, name), { recursive: true });
    await writeFile(join(uploads, name, 'half'), 'ha');
  }
  const neighbour = await ObjectStore.open(directory);
  const itsUpload = await neighbour.upload();

  await put(await ObjectStore.open(directory), 'one', 'hello');

  const left = await readdir(uploads);
  expect(left).toEqual(expect.arrayContaining(kept));
  expect(left.filter((name) => dead.includes(name))).toEqual([]);
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
    const object = await describeObject(bucket, key);
    expect(object).toMatchObject({ size: 5, versionId: 'null', headers: {} });
    expect(object?.etag).toMatch(/^[0-9a-f]{32}-1$/);
    expect(object?.checksum).toBeUndefined();
  }
});

test('writes nothing to a folder that is only read', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'mine.pdf'), 'mine');
  const bucket = await ObjectStore.open(directory);

  const open = await openObject(bucket, 'mine.pdf');
  await open.close();
  await bucket.close();

  expect(await readdir(directory)).toEqual(['mine.pdf']);
});

test('rejects a key that conflicts with an existing file or folder, and stores nothing', async () => {
  const directory = await temporaryDirectory();
  const bucket = await ObjectStore.open(directory);
  await put(bucket, 'a', 'hello');
  await put(bucket, 'b/c', 'hello');

  for (const [key, condition] of [
    ['a/b', 'absent'],
    ['b', 'absent'],
    ['b', undefined],
  ] as const) {
    await expect(put(bucket, key, 'x', { condition })).rejects.toMatchObject({ code: 'InvalidArgument' });
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

test.each([undefined, 'EPERM'])(
  'returns 409 while another process writes the key, but not for what a power failure left behind (link: %s)',
  async (code) => {
    disk.linkFails = code;
    const directory = await temporaryDirectory();
    const bucket = await ObjectStore.open(directory);
    let name = '';
    disk.rename = async (from, to) => {
      [name = ''] = (await readdir(dirname(from))).filter((entry) => /^[0-9a-f]{64}$/.test(entry));
      await realRename(from, to);
    };
    await put(bucket, 'documents/other', 'x');
    await put(bucket, 'documents/one', 'first');
    const other = join(directory, `.s3/uploads/${process.ppid}-5a3b1e00-0000-4000-8000-000000000001`);
    await mkdir(other);
    await writeFile(join(other, name), '');

    const conflicts = await Promise.all(
      [
        put(bucket, 'documents/one', 'second'),
        put(bucket, 'documents/one', 'second', { condition: { etag: 'md5 of first' } }),
        bucket.putDeleteMarker('documents/one', NOW),
        bucket.deleteVersion('documents/one', 'x', { governance: false, now: NOW }),
        bucket.changeLock('documents/one', undefined, (lock) => lock),
      ].map((write) => write.catch((error: unknown) => error)),
    );
    const longAgo = Date.now() / 1000 - 120;
    await utimes(join(other, name), longAgo, longAgo);
    await put(bucket, 'documents/one', 'third');

    for (const conflict of conflicts) {
      expect(conflict).toMatchObject({ status: 409, code: 'ConditionalRequestConflict' });
    }
    expect(await readFile(join(directory, 'documents/one'), 'utf8')).toBe('third');
  },
);

describe('without hard links', () => {
  test('never replaces an object by a conditional write, and shows an overwrite with its own metadata', async () => {
    disk.linkFails = 'EPERM';
    const directory = await temporaryDirectory();
    const bucket = await ObjectStore.open(directory);
    await put(bucket, 'documents/one', 'first');

    const refused = await put(bucket, 'documents/one', 'second', { condition: 'absent' });
    const before = await readFile(join(directory, 'documents/one'), 'utf8');
    await put(bucket, 'documents/one', 'third');

    expect(refused).toBeUndefined();
    expect(before).toBe('first');
    expect(await bucket.describe('documents/one')).toMatchObject({ etag: 'md5 of third' });
    await bucket.close();
    expect(await filesBelow(directory)).toHaveLength(5);
  });

  test.each(['before', 'after'])(
    'an object exists with its whole content or not at all when the process is killed %s the rename',
    async (at) => {
      disk.linkFails = 'EPERM';
      const directory = await temporaryDirectory();
      const killed = await ObjectStore.open(directory);
      const reached = Promise.withResolvers<void>();
      // A killed process runs nothing any more: neither its clean-up nor the rest of the upload.
      disk.rename = async (from, to) => {
        if (at === 'after') await realRename(from, to);
        reached.resolve();
        await new Promise(() => undefined);
      };
      void put(killed, 'documents/one', 'hello', { condition: 'absent' });
      await reached.promise;
      disk.rename = undefined;

      // A new process knows nothing of the directories of the killed one.
      vi.resetModules();
      const next = await import('../../../local/s3/object-store.ts');
      const bucket = await next.ObjectStore.open(directory);
      const listed = await collected(bucket.keys('', ''));
      const found = await describeObject(bucket, 'documents/one');
      const again = await put(bucket, 'documents/one', 'hello', { condition: 'absent' });
      await bucket.close();

      expect(listed).toEqual(at === 'after' ? ['documents/one'] : []);
      expect(found?.etag).toBe(at === 'after' ? 'md5 of hello' : undefined);
      expect(again?.etag).toBe(at === 'after' ? undefined : 'md5 of hello');
      expect(await readFile(join(directory, 'documents/one'), 'utf8')).toBe('hello');
      expect(await readdir(join(directory, '.s3/uploads'))).toEqual([]);
    },
  );

  test('lists a new object where a rename leaves the time of the directory unchanged', async () => {
    disk.linkFails = 'EPERM';
    const directory = await temporaryDirectory();
    const bucket = await ObjectStore.open(directory);
    await put(bucket, 'documents/a', 'x');
    const longAgo = Date.now() / 1000 - 60;
    await utimes(join(directory, 'documents'), longAgo, longAgo);
    await collected(bucket.keys('', ''));
    disk.rename = async (from, to) => {
      await realRename(from, to);
      await utimes(dirname(to), longAgo, longAgo);
    };

    await put(bucket, 'documents/b', 'x');

    expect(await collected(bucket.keys('', ''))).toEqual(['documents/a', 'documents/b']);
  });
});

describe('a disk that fails', () => {
  test.each([
    ['ENOSPC', 'the disk is full'],
    ['EDQUOT', 'the disk quota is used up'],
    ['EROFS', 'the file system is read-only'],
    ['EIO', 'the disk reports an input/output error'],
  ])('throws an error that names the folder and the reason for %s', async (code, reason) => {
    const directory = await temporaryDirectory();
    const bucket = await ObjectStore.open(directory);
    disk.writeFails = code;

    const error = await put(bucket, 'one', 'hello').catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(DiskError);
    expect(error).toMatchObject({ message: `Cannot write to ${directory}: ${reason} (${code}).` });
    expect(await bucket.describe('one')).toBeUndefined();
  });

  test('stores the next object once there is space again', async () => {
    const bucket = await ObjectStore.open(await temporaryDirectory());
    disk.rename = () => Promise.reject(failure('ENOSPC'));
    await expect(put(bucket, 'one', 'hello')).rejects.toThrow('the disk is full');
    disk.rename = undefined;

    expect(await put(bucket, 'one', 'hello')).toMatchObject({ etag: 'md5 of hello' });
  });

  test('refuses a name that is too long for the file system as a key that is too long', async () => {
    const bucket = await ObjectStore.open(await temporaryDirectory());
    disk.rename = () => Promise.reject(failure('ENAMETOOLONG'));

    await expect(put(bucket, 'one', 'hello')).rejects.toMatchObject({ code: 'KeyTooLongError' });
  });
});

describe('a folder that somebody else prepared', () => {
  test('follows no symbolic link to read', async () => {
    const [victim, directory] = [await temporaryDirectory(), await temporaryDirectory()];
    await writeFile(join(victim, 'secret'), 'secret');
    await symlink(join(victim, 'secret'), join(directory, 'file'));
    await symlink(victim, join(directory, 'documents'));
    const bucket = await ObjectStore.open(directory);

    for (const key of ['file', 'documents/secret']) {
      expect(await bucket.read(key)).toBeUndefined();
      expect(await bucket.describe(key)).toBeUndefined();
    }
    expect(await collected(bucket.keys('', ''))).toEqual([]);
  });

  test.each(['documents', '.s3', '.s3/uploads', '.s3/metadata', '.s3/versions'])(
    'writes and deletes nothing through a symbolic link at %s',
    async (place) => {
      const [victim, directory] = [await temporaryDirectory(), await temporaryDirectory()];
      const uuid = '5a3b1e00-0000-4000-8000-000000000001';
      await mkdir(join(victim, `999999999-${uuid}`));
      await mkdir(join(victim, 'uploads', `999999999-${uuid}`), { recursive: true });
      await mkdir(dirname(join(directory, place)), { recursive: true });
      await symlink(victim, join(directory, place));
      const before = await readdir(victim, { recursive: true });
      const bucket = await ObjectStore.open(directory);

      await expect(
        place === '.s3/versions'
          ? bucket.putDeleteMarker('documents/one', NOW)
          : put(bucket, 'documents/one', 'hello'),
      ).rejects.toThrow();

      expect(await readdir(victim, { recursive: true })).toEqual(before);
    },
  );

  test('replaces a symbolic link in the place of an object instead of its target', async () => {
    const [victim, directory] = [await temporaryDirectory(), await temporaryDirectory()];
    await writeFile(join(victim, 'file'), 'mine');
    await symlink(join(victim, 'file'), join(directory, 'one'));
    const bucket = await ObjectStore.open(directory);

    await expect(put(bucket, 'one', 'hello', { condition: 'absent' })).rejects.toMatchObject({ status: 400 });
    await expect(bucket.putDeleteMarker('one', NOW)).rejects.toMatchObject({ status: 400 });
    expect(await readlink(join(directory, 'one'))).toBe(join(victim, 'file'));
    await put(bucket, 'one', 'hello');

    expect((await lstat(join(directory, 'one'))).isFile()).toBe(true);
    expect(await readFile(join(victim, 'file'), 'utf8')).toBe('mine');
  });

  test.each([
    ['NULs after a crash', () => '\0'.repeat(400)],
    ['a header of the connection', (text: string) => text.replace('x-amz-meta-body', 'transfer-encoding')],
    ['a line break in a header', (text: string) => text.replace('"hello"', '"a\\r\\nset-cookie: b"')],
    ['metadata of another key', (text: string) => text.replace('"key": "one"', '"key": "two"')],
  ])(
    'serves the object without metadata when the metadata is not as the store writes it: %s',
    async (_, damage) => {
      const directory = await temporaryDirectory();
      const bucket = await ObjectStore.open(directory);
      await put(bucket, 'one', 'hello');
      const [file = ''] = (await filesBelow(directory)).filter((path) => path.includes('metadata'));
      const text = await readFile(join(directory, file), 'utf8');
      const damaged = damage(text);
      await writeFile(join(directory, file), damaged);

      const described = await bucket.describe('one');

      expect(damaged).not.toBe(text);
      expect(described).toMatchObject({ size: 5, versionId: 'null', headers: {} });
    },
  );
});

describe('versions that somebody else prepared', () => {
  const hash = createHash('sha256').update('one').digest('hex');

  async function prepared(files: Record<string, string>) {
    const [victim, directory] = [await temporaryDirectory(), await temporaryDirectory()];
    await writeFile(join(victim, 'secret'), 'secret');
    const folder = join(directory, '.s3/versions', hash);
    await mkdir(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return { victim, directory, folder, bucket: await ObjectStore.open(directory) };
  }

  const listing = { prefix: '', after: '', afterVersionId: undefined, limit: 10 };

  test('ignores markers that the store would not write, and other names', async () => {
    const { bucket } = await prepared({
      key: 'one',
      '1.marker': '\0\0\0',
      '2.marker': '{ "versionId": "a\\r\\nb", "lastModified": 1 }',
      '3.marker': '{ "versionId": "a", "lastModified": 1e300 }',
      '04': 'x',
      five: 'x',
      '1000000000000000': 'x',
    });

    expect(await bucket.listVersions(listing)).toEqual([]);
    expect(await bucket.describe('one')).toBeUndefined();
    await put(bucket, 'one', 'hello', { condition: 'absent' });
    expect(await describeObject(bucket, 'one')).toMatchObject({ etag: 'md5 of hello' });
  });

  test('follows no symbolic link in the place of a version or of a folder', async () => {
    const { bucket, victim, folder, directory } = await prepared({ key: 'one' });
    await symlink(join(victim, 'secret'), join(folder, '1'));
    await symlink(victim, join(directory, '.s3/versions', createHash('sha256').update('two').digest('hex')));
    await put(bucket, 'one', 'first');

    await put(bucket, 'one', 'second');
    await expect(bucket.putDeleteMarker('two', NOW)).rejects.toThrow();

    const versions = (await bucket.listVersions(listing)).map(({ version }) => version);
    expect(versions).toMatchObject([{ etag: 'md5 of second' }, { etag: 'md5 of first' }]);
    expect(await readlink(join(folder, '1'))).toBe(join(victim, 'secret'));
    expect(await readdir(victim)).toEqual(['secret']);
  });

  test('lists no key that leads out of the bucket or into the private folder, or that its folder does not prove', async () => {
    const { bucket, directory, victim } = await prepared({ key: 'not one', 1: 'x' });
    await writeFile(join(directory, '.s3/planted'), 'planted');
    for (const key of [`../${basename(victim)}/secret`, '.s3/planted']) {
      const folder = join(directory, '.s3/versions', createHash('sha256').update(key).digest('hex'));
      await mkdir(folder);
      await writeFile(join(folder, 'key'), key);
      await writeFile(join(folder, '1'), 'x');
    }
    await put(bucket, 'other', 'x');

    expect((await bucket.listVersions(listing)).map(({ key }) => key)).toEqual(['other']);
    expect(await collected(bucket.keys('', ''))).toEqual(['other']);
    expect(await readFile(join(victim, 'secret'), 'utf8')).toBe('secret');
  });
});

test('creates folders and files for their owner only', async () => {
  const directory = join(await temporaryDirectory(), 'archive');
  const bucket = await ObjectStore.open(directory);
  const upload = await bucket.upload();
  const uploads = await readdir(join(directory, '.s3/uploads'), { recursive: true });
  await upload.discard();
  await put(bucket, 'documents/one', 'hello');
  await put(bucket, 'documents/one', 'again');
  await bucket.putDeleteMarker('documents/one', NOW);

  const entries = await readdir(directory, { recursive: true });
  for (const entry of ['', ...entries]) {
    const found = await stat(join(directory, entry));
    expect([entry, (found.mode & 0o777).toString(8)]).toEqual([entry, found.isFile() ? '600' : '700']);
  }
  expect(uploads).toHaveLength(2);
});
