/** Where the catalogue is kept: the same contract for a bucket in memory, the local S3 over the wire, and a folder. */
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type CatalogueStore, createCatalogueBucket } from '../../functions/bucket/catalogue.ts';
import { calls } from '../../functions/limits.ts';
import { systemTime as time } from '../../functions/time.ts';
import { openCatalogueFolder } from '../../local/catalogue-folder.ts';
import { createCredentials, folderBucket, localBucket } from '../../local/s3/archive-bucket.ts';
import { startS3 } from '../../local/s3/server.ts';
import { newFolder } from '../cli/world.ts';
import { createCatalogue } from '../fakes/catalogue.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';

const never = new AbortController().signal;
const [one, two] = [Buffer.from('one'), Buffer.from('two')];

async function folderStore() {
  const archive = join(await newFolder(), 'archive');
  const store = openCatalogueFolder(archive);
  onTestFinished(() => store.close());
  return store;
}

const stores: Record<string, () => Promise<CatalogueStore>> = {
  'in a bucket in memory': async () => createCatalogue().store,
  'in a bucket of the local S3': async () => {
    const [folder, credentials] = [await newFolder(), createCredentials()];
    const s3 = await startS3({ buckets: { [localBucket]: folder }, credentials: [credentials], time });
    onTestFinished(() => s3.close());
    const { client, name } = folderBucket(s3.endpoint, folder, credentials);
    onTestFinished(() => client.destroy());
    return createCatalogueBucket({ s3: client, name, time });
  },
  'in a folder': folderStore,
};

describe.each(Object.entries(stores))('a catalogue %s', (_name, open) => {
  it('has no shards before the first is written', async () => {
    const store = await open();

    expect(await store.list(never)).toEqual([]);
    expect(await store.read('0a7', never)).toBeUndefined();
  });

  it('reads back what was written, and lists the names of the shards in their order', async () => {
    const store = await open();
    for (const shard of ['fff', '000', '0a7']) {
      expect(await store.write(shard, one, undefined, never)).toBe(true);
    }

    const read = await store.read('0a7', never);

    expect(read?.body).toEqual(one);
    expect(Math.abs((read?.modified ?? 0) - Date.now())).toBeLessThan(1e11);
    expect(await store.list(never)).toEqual(['000', '0a7', 'fff']);
  });

  it('replaces a shard only if it has not changed since it was read', async () => {
    const store = await open();
    await store.write('0a7', one, undefined, never);
    const first = await store.read('0a7', never);

    expect(await store.write('0a7', two, first?.etag, never)).toBe(true);
    expect(await store.write('0a7', one, first?.etag, never)).toBe(false);
    expect(await store.write('0a7', one, undefined, never)).toBe(false);
    expect((await store.read('0a7', never))?.body).toEqual(two);
  });

  it('does not replace a shard that is no longer there', async () => {
    const store = await open();
    await store.write('0a7', one, undefined, never);
    const etag = (await store.read('0a7', never))?.etag;

    expect(await store.write('0a8', two, etag, never)).toBe(false);
    expect(await store.list(never)).toEqual(['0a7']);
  });

  it('lets one of several writers win', async () => {
    const store = await open();
    await store.write('0a7', one, undefined, never);
    const etag = (await store.read('0a7', never))?.etag;

    const won = await Promise.all(
      Array.from({ length: 8 }, (_, index) => store.write('0a7', Buffer.from(`${index}`), etag, never)),
    );

    expect(won.filter(Boolean)).toHaveLength(1);
    expect((await store.read('0a7', never))?.body.toString()).toBe(String(won.indexOf(true)));
  });
});

describe('a catalogue in a bucket', () => {
  it('lists only shards, over several pages of the listing', async () => {
    const { store, bucket } = createCatalogue();
    bucket.pageKeys = 2;
    const names = ['rows/000.jsonl.gz', 'rows/00g.jsonl.gz', 'rows/0000.jsonl.gz', 'rows/fff.jsonl.gz'];
    for (const key of [...names, 'rows/fff.jsonl.gz.bak', 'other/111.jsonl.gz']) bucket.put(key, 'x', 0);

    expect(await store.list(never)).toEqual(['000', 'fff']);
  });

  it('reports a bucket that denies access', async () => {
    const { store, bucket } = createCatalogue();
    bucket.refuse = () => ({ name: 'AccessDenied', status: 403 });

    await expect(store.list(never)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    await expect(store.read('000', never)).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    await expect(store.write('000', one, undefined, never)).rejects.toMatchObject({
      code: 'BucketMisconfigured',
    });
  });
});

describe('a request to the bucket of a catalogue', () => {
  it('writes gzip with its checksum', async () => {
    const { bucket } = createCatalogue();
    const inputs: object[] = [];
    const send = async (command: { input: object }) => {
      inputs.push(command.input);
      return bucket.send(command);
    };

    await createCatalogueBucket({ s3: { send } as never, name: 'catalogue', time }).write(
      '0a7',
      one,
      undefined,
      never,
    );

    expect(inputs).toMatchObject([
      { ContentType: 'application/gzip', ChecksumSHA256: sha256(one, 'base64'), ContentLength: 3 },
    ]);
  });

  it('is given up after ten seconds, and when its caller has no more time', async () => {
    const clock = virtualTime(noon);
    const s3 = {
      send: (_command: unknown, { abortSignal }: { abortSignal: AbortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal.addEventListener('abort', () => reject(new Error('Request aborted.')));
        }),
    } as never;
    const store = createCatalogueBucket({ s3, name: 'catalogue', time: clock });
    const stop = new AbortController();

    await expect(store.read('0a7', never)).rejects.toMatchObject({
      code: 'BucketUnavailable',
      message: `S3 did not respond within ${calls.bucketMs / 1_000} s.`,
    });
    expect(clock.now() - noon).toBe(calls.bucketMs);

    const read = store.read('0a7', stop.signal);
    stop.abort(new Error('Enough.'));
    await expect(read).rejects.toThrow('Enough.');
  });
});

describe('a catalogue in a folder', () => {
  it('does nothing once its signal is aborted', async () => {
    const store = await folderStore();
    const aborted = AbortSignal.abort(new Error('Enough.'));

    await expect(store.list(aborted)).rejects.toThrow('Enough.');
    await expect(store.read('0a7', aborted)).rejects.toThrow('Enough.');
    await expect(store.write('0a7', one, undefined, aborted)).rejects.toThrow('Enough.');
    expect(await store.list(never)).toEqual([]);
  });

  it('is beside the archive, for its owner only, and is created by the first write', async () => {
    const store = await folderStore();
    await store.list(never);
    const before = await readdir(join(store.path, '..'));

    await store.write('0a7', one, undefined, never);

    const file = join(store.path, 'rows', '0a7.jsonl.gz');
    expect(before).toEqual([]);
    expect(store.path).toMatch(/archive\.catalogue$/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(store.path)).mode & 0o777).toBe(0o700);
  });

  it('leaves nothing but the shards behind when it is closed', async () => {
    const store = await folderStore();
    await store.write('0a7', one, undefined, never);

    await store.close();

    expect(await readdir(store.path)).toEqual(['rows']);
    expect(await readdir(join(store.path, 'rows'))).toEqual(['0a7.jsonl.gz']);
  });

  it('follows no link in the place of a shard, and replaces it', async () => {
    const store = await folderStore();
    const target = join(await newFolder(), 'of-somebody-else');
    await writeFile(target, 'kept');
    await mkdir(join(store.path, 'rows'), { recursive: true });
    await symlink(target, join(store.path, 'rows', '0a7.jsonl.gz'));

    expect(await store.read('0a7', never)).toBeUndefined();
    expect(await store.write('0a7', one, undefined, never)).toBe(true);
    expect(await readFile(target, 'utf8')).toBe('kept');
    expect((await store.read('0a7', never))?.body).toEqual(one);
  });

  it('writes through no link in the place of its folder', async () => {
    const store = await folderStore();
    const target = await newFolder();
    await mkdir(store.path, { recursive: true });
    await symlink(target, join(store.path, 'rows'));

    expect(await store.list(never)).toEqual([]);
    await expect(store.write('0a7', one, undefined, never)).rejects.toThrow('not followed');
    expect(await readdir(target)).toEqual([]);
  });

  it('treats a shard that was written again with the same bytes as changed', async () => {
    const store = await folderStore();
    await store.write('0a7', one, undefined, never);
    const first = await store.read('0a7', never);

    await store.write('0a7', one, first?.etag, never);

    expect((await store.read('0a7', never))?.etag).not.toBe(first?.etag);
  });

  it('waits for no other process that writes the same shard, and says so', async () => {
    const store = await folderStore();
    await store.write('0a8', one, undefined, never);
    // Process 1 always exists, and holds the name of the shard.
    const other = join(store.path, '.writing-1-00000000-0000-4000-8000-000000000000');
    await mkdir(other);
    await writeFile(join(other, '0a7'), '');

    await expect(store.write('0a7', one, undefined, never)).rejects.toMatchObject({ code: 'BucketConflict' });
    expect(await store.list(never)).toEqual(['0a8']);
  });

  it('names the folder and the reason when nothing can be written', async () => {
    const store = await folderStore();
    await mkdir(store.path, { recursive: true });
    // Root may write in spite of the mode, so a file is in the place of the folder.
    const blocked = openCatalogueFolder(join(store.path, 'file'));
    await writeFile(`${join(store.path, 'file')}.catalogue`, '');
    await chmod(store.path, 0o700);

    await expect(blocked.write('0a7', one, undefined, never)).rejects.toThrow(/file\.catalogue/);
  });
});
