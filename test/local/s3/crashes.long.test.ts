/** Kills the process, or fails the disk, between any two steps of a write to a versioned bucket. */
import { type FileHandle, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, expect, test, vi } from 'vitest';
import { isObject } from '../../../local/s3/object-reader.ts';
import { ObjectStore } from '../../../local/s3/object-store.ts';
import { collected } from '../../collected.ts';
import { filesBelow, temporaryDirectory } from './fixture.ts';

/** What happens at the steps of the file system; reset after each test. */
const disk = vi.hoisted(() => ({
  /** Number of steps until it happens; infinite if it does not. */
  stepsLeft: Number.POSITIVE_INFINITY,
  /** Runs instead of the step; a killed process never continues. */
  happens: async (): Promise<void> => undefined,
  hasHardLinks: true,
  /** Files that were created, for those that a killed process leaves open. */
  created: [] as FileHandle[],
}));
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const step = async () => {
    disk.stepsLeft -= 1;
    if (disk.stepsLeft < 0) await disk.happens();
  };
  const stepping =
    <Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>, alsoAfter = false) =>
    async (...args: Args): Promise<Result> => {
      await step();
      const result = await work(...args);
      if (alsoAfter) await step();
      return result;
    };
  const link: typeof original.link = async (...args) => {
    if (!disk.hasHardLinks) throw Object.assign(new Error('EPERM: failed'), { code: 'EPERM' });
    await original.link(...args);
  };
  // A new file may stay empty, and a moved one may be reported as not moved.
  const create = stepping(async (...args: Parameters<typeof original.open>) => {
    const handle = await original.open(...args);
    disk.created.push(handle);
    return handle;
  }, true);
  return {
    ...original,
    open: (...args: Parameters<typeof original.open>) =>
      args[1] === 'wx' ? create(...args) : original.open(...args),
    link: stepping(link, true),
    rename: stepping(original.rename, true),
    rm: stepping(original.rm),
    rmdir: stepping(original.rmdir),
    mkdir: stepping(original.mkdir),
    utimes: stepping(original.utimes),
  };
});
// The next process knows nothing of the temporary folders of the killed one.
vi.resetModules();
const { ObjectStore: NextStore } = await import('../../../local/s3/object-store.ts');

function heal(): void {
  disk.stepsLeft = Number.POSITIVE_INFINITY;
  disk.happens = async () => undefined;
}
afterEach(async () => {
  heal();
  disk.hasHardLinks = true;
  for (const handle of disk.created.splice(0)) await handle.close();
});

const NOW = Date.parse('2026-11-24T10:00:00Z');
const bypass = { governance: false, now: NOW };
const key = 'documents/one';

async function put(bucket: ObjectStore, body: string, etag?: string, to = key): Promise<string> {
  const upload = await bucket.upload();
  try {
    await upload.write(Buffer.from(body));
    const stored = await upload.commit({
      key: to,
      md5: `md5 of ${body}`,
      checksum: undefined,
      headers: { 'x-amz-meta-body': body },
      lastModified: NOW,
      ...(etag !== undefined && { condition: { etag } }),
    });
    return stored.versionId;
  } finally {
    await upload.discard();
  }
}

/** Everything that a client can see of the key, without the IDs. */
async function view(bucket: ObjectStore): Promise<string[]> {
  const listed = await bucket.listVersions({ prefix: key, after: '', afterVersionId: undefined, limit: 100 });
  const ids = listed.map(({ version }) => version.versionId);
  expect(new Set(ids).size, 'a version appears twice').toBe(ids.length);
  const lines: string[] = [];
  for (const { version, isLatest } of listed) {
    const mark = isLatest ? ' (latest)' : '';
    if (!isObject(version)) {
      lines.push(`delete marker${mark}`);
      continue;
    }
    const open = await bucket.read(key, version.versionId);
    if (!open || !('object' in open)) throw new Error('A listed version cannot be read.');
    const bytes = await buffer(open.stream(0, open.object.size));
    await open.close();
    lines.push(`${bytes} ${version.headers['x-amz-meta-body']} ${version.lock?.legalHold}${mark}`);
  }
  const isCurrent = lines[0] !== undefined && !lines[0].startsWith('delete');
  expect(await collected(bucket.keys('documents/', ''))).toEqual(isCurrent ? [key] : []);
  return lines;
}

interface Write {
  /** Version IDs, the oldest first. */
  prepare(bucket: ObjectStore): Promise<string[]>;
  run(bucket: ObjectStore, ids: readonly string[]): Promise<unknown>;
}

const marker = async (bucket: ObjectStore) => (await bucket.putDeleteMarker(key, NOW)).versionId;
const two = async (bucket: ObjectStore) => [await put(bucket, 'first'), await put(bucket, 'other')];
const remove = (bucket: ObjectStore, id: string | undefined) => bucket.deleteVersion(key, id ?? '', bypass);

const writes: Record<string, Write> = {
  'a first object': { prepare: async () => [], run: (bucket) => put(bucket, 'first') },
  'an overwrite': { prepare: two, run: (bucket) => put(bucket, 'third') },
  'an overwrite by If-Match': { prepare: two, run: (bucket) => put(bucket, 'third', 'md5 of other') },
  'a delete marker': { prepare: two, run: marker },
  'a delete marker of a missing key': { prepare: async () => [], run: marker },
  'an object after a delete marker': {
    prepare: async (bucket) => [await put(bucket, 'first'), await marker(bucket)],
    run: (bucket) => put(bucket, 'third'),
  },
  'the deletion of an earlier version': { prepare: two, run: (bucket, ids) => remove(bucket, ids[0]) },
  'the deletion of the latest version': { prepare: two, run: (bucket, ids) => remove(bucket, ids[1]) },
  'the deletion of the only version': {
    prepare: async (bucket) => [await put(bucket, 'first')],
    run: (bucket, ids) => remove(bucket, ids[0]),
  },
  'the deletion of a delete marker': {
    prepare: async (bucket) => [await put(bucket, 'first'), await marker(bucket)],
    run: (bucket, ids) => remove(bucket, ids[1]),
  },
  'the deletion of an object below a delete marker': {
    prepare: async (bucket) => [await put(bucket, 'first'), await marker(bucket)],
    run: (bucket, ids) => remove(bucket, ids[0]),
  },
  'a legal hold': {
    prepare: two,
    run: (bucket, ids) => bucket.changeLock(key, ids[0], (lock) => ({ ...lock, legalHold: 'ON' })),
  },
};

/** Expects the files that the versions need, and no more. */
async function expectTidy(directory: string, bucket: ObjectStore, spareMetadata = 0): Promise<void> {
  const listed = await bucket.listVersions({ prefix: '', after: '', afterVersionId: undefined, limit: 100 });
  const files = await filesBelow(directory);
  const objects = listed.filter(({ version }) => isObject(version));
  const inPlace = objects.filter(({ isLatest }) => isLatest);
  const withEarlier = new Set(
    listed.filter(({ version, isLatest }) => !isLatest || !isObject(version)).map((entry) => entry.key),
  );
  expect(files.filter((path) => !path.startsWith('.s3/'))).toEqual(inPlace.map((entry) => entry.key));
  const metadata = files.filter((path) => path.startsWith('.s3/metadata/')).length;
  expect([0, spareMetadata]).toContain(metadata - objects.length);
  expect(files.filter((path) => path.startsWith('.s3/versions/'))).toHaveLength(
    listed.length - inPlace.length + withEarlier.size,
  );
}

async function run(name: string) {
  const write = writes[name];
  if (!write) throw new Error('There is no such write.');
  const directory = await temporaryDirectory();
  const bucket = await ObjectStore.open(directory);
  const ids = await write.prepare(bucket);
  // Opens the folder for uploads, also if nothing was prepared.
  await put(bucket, 'other key', undefined, 'other');
  const before = await view(bucket);
  return { directory, bucket, before, start: () => write.run(bucket, ids) };
}

/** What a client sees after the write, and the number of its steps. */
async function finished(name: string) {
  const { directory, bucket, before, start } = await run(name);
  disk.stepsLeft = 10_000;
  await start();
  const steps = 10_000 - disk.stepsLeft;
  heal();
  const after = await view(bucket);
  expect(after).not.toEqual(before);
  await expectTidy(directory, bucket);
  return { before, after, steps };
}

const cases = Object.keys(writes).flatMap((name) => [
  { name, links: true },
  { name, links: false },
]);

test.each(cases)(
  'does $name wholly or not at all, wherever the process is killed (links: $links)',
  async ({ name, links }) => {
    disk.hasHardLinks = links;
    const { before, after, steps } = await finished(name);
    const seen = new Set<string>();

    for (let at = 0; at < steps; at += 1) {
      const { directory, start } = await run(name);
      const killed = new Promise<void>((resolve) => {
        disk.happens = () => {
          resolve();
          return new Promise(() => undefined);
        };
      });
      disk.stepsLeft = at;
      void start();
      await killed;
      heal();

      const next = await NextStore.open(directory);
      const found = await view(next);
      // The first write of the next process tidies up.
      await put(next, 'other key', undefined, 'another');
      const tidied = await view(next);

      expect([before, after], `killed at step ${at}`).toContainEqual(found);
      expect(tidied).toEqual(found);
      // Metadata of a first object that was never stored is found once the key has versions.
      await expectTidy(directory, next, name === 'a first object' ? 1 : 0);
      seen.add(found.join());
    }
    expect(seen).toEqual(new Set([before.join(), after.join()]));
  },
);

test.each(cases)(
  'does $name wholly or not at all, wherever the disk fails (links: $links)',
  async ({ name, links }) => {
    disk.hasHardLinks = links;
    const { before, after, steps } = await finished(name);

    for (let at = 0; at < steps; at += 1) {
      const { directory, bucket, start } = await run(name);
      let failures = 1;
      disk.happens = async () => {
        failures -= 1;
        if (failures === 0) throw Object.assign(new Error('EIO: failed'), { code: 'EIO' });
      };
      disk.stepsLeft = at;
      const outcome = await start().then(
        () => 'done',
        () => 'failed',
      );
      heal();

      const found = await view(bucket);
      await bucket.close();
      const next = await NextStore.open(directory);
      await put(next, 'other key', undefined, 'another');

      expect(outcome === 'done' ? [after] : [before, after], `failed at step ${at}`).toContainEqual(found);
      expect(await view(next)).toEqual(found);
      await expectTidy(directory, next);
    }
  },
);

test('leaves no byte of a version whose deletion was interrupted once the deletion is repeated', async () => {
  const { steps } = await finished('the deletion of an earlier version');

  for (let at = 0; at < steps; at += 1) {
    const { directory, start } = await run('the deletion of an earlier version');
    const killed = new Promise<void>((resolve) => {
      disk.happens = () => {
        resolve();
        return new Promise(() => undefined);
      };
    });
    disk.stepsLeft = at;
    void start();
    await killed;
    heal();
    const next = await NextStore.open(directory);
    const listed = await next.listVersions({ prefix: key, after: '', afterVersionId: undefined, limit: 9 });

    for (const { version, isLatest } of listed) if (!isLatest) await remove(next, version.versionId);
    await put(next, 'other key', undefined, 'another');

    for (const file of await filesBelow(directory)) {
      expect(await readFile(join(directory, file), 'latin1'), file).not.toContain('first');
    }
  }
});
