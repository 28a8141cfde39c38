import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ListedObject } from '../../functions/bucket/listing.ts';
import { lineOf, manifestKey, tagManifestKey } from '../../functions/bucket/manifest-text.ts';
import { draftManifest } from '../../functions/bucket/manifest-writer.ts';
import {
  downloadManifest,
  type ManifestDependencies,
  readManifests,
} from '../../functions/bucket/manifests.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { collected } from '../collected.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const stamp = '20261124T120000Z';
const key = manifestKey(stamp);
const tag = tagManifestKey(stamp);
const signal = new AbortController().signal;
const digest = 'ab'.repeat(32);

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'manifests-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function world() {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const s3 = memory as never;
  const dependencies: ManifestDependencies = {
    s3,
    name: 'archive',
    bucket: createBucket({ s3, name: 'archive', time }),
    retry: (work) => work(signal),
    onRequest: () => undefined,
  };
  async function* listed(): AsyncGenerator<ListedObject> {
    for (const [name, { body, modified }] of memory.objects) {
      yield { key: name, bytes: body.length, modified };
    }
  }
  return { memory, time, dependencies, read: () => readManifests(listed(), dependencies), listed };
}

describe('the manifests in a bucket', () => {
  it('have the digest of their bytes where S3 has verified none', async () => {
    const { memory, read } = world();
    memory.put(key, 'some text', noon, { verified: false });

    expect(await read()).toEqual({
      manifests: [{ key, stamp, sha256: sha256('some text'), predecessor: undefined }],
      claims: [],
    });
  });

  it('are named by no tag file that is larger than any, or gone by the time it is read', async () => {
    const { memory, dependencies, listed, read } = world();
    const claim = lineOf({ sha256: digest, key });
    memory.put(tag, claim, noon);
    expect((await read()).claims).toEqual([{ by: tag, names: { sha256: digest, key } }]);

    const before = await collected(listed());
    memory.objects.delete(tag);
    const gone = await readManifests(
      (async function* () {
        yield* before;
      })(),
      dependencies,
    );
    memory.put(tag, claim.repeat(40), noon);

    expect(gone.claims).toEqual([]);
    expect((await read()).claims).toEqual([]);
  });

  it('cannot be read without the permission to', async () => {
    const { memory, dependencies, read } = world();
    memory.put(key, 'some text', noon);
    memory.refuse = (operation) => (operation === 'get' ? { name: 'AccessDenied', status: 403 } : undefined);

    await expect(read()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    const copying = downloadManifest(key, join(await temporaryFolder(), 'copy'), dependencies);
    await expect(copying).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });

  it('are not taken for manifests if their text is none, and a file that is lost is no such text', async () => {
    const { memory, dependencies } = world();
    const path = join(await temporaryFolder(), 'copy');
    memory.put(key, 'no manifest\n', noon);
    const loses: ManifestDependencies['retry'] = async (work) => {
      const result = await work(signal);
      await rm(path);
      return result;
    };

    expect(await downloadManifest(key, path, dependencies)).toBe(false);
    const lost = downloadManifest(key, path, { ...dependencies, retry: loses });
    await expect(lost).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a manifest that is written', () => {
  const idOf = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;

  async function drafting(file?: string) {
    const { memory, time, dependencies } = world();
    const draft = await draftManifest({
      folder: await temporaryFolder(),
      predecessor: undefined,
      latestStamp: undefined,
      file,
      time,
      signal,
      ...dependencies,
      bucket: createBucket({ s3: memory as never, name: 'archive', time }),
    });
    return { memory, draft };
  }

  it('holds every line, however many', async () => {
    const file = join(await temporaryFolder(), 'manifest.txt');
    const { draft } = await drafting(file);
    for (let number = 0; number < 2_000; number += 1) {
      await draft.add({ id: idOf(number), document: digest, receipt: digest });
    }

    const written = await draft.publish();

    const text = await readFile(file, 'utf8');
    expect(text.split('\n')).toHaveLength(4_001);
    expect(written).toEqual({ place: file, sha256: sha256(text), documents: 2_000 });
  });

  it('is published although the answer to its upload was lost', async () => {
    const { memory, draft } = await drafting();
    await draft.add({ id: idOf(1), document: digest, receipt: digest });
    memory.put(key, `${digest}  documents/${idOf(1)}\n${digest}  receipts/${idOf(1)}.json\n`, noon);

    const written = await draft.publish();

    expect(written.place).toBe(`s3://archive/${key}`);
    expect(memory.text(tag)).toBe(lineOf({ sha256: written.sha256, key }));
  });

  it('overwrites no other, and says why it cannot be written', async () => {
    const taken = await drafting();
    taken.memory.put(key, 'of somebody else', noon);
    const denied = await drafting();
    denied.memory.refuse = () => ({ name: 'AccessDenied', status: 403 });

    await expect(taken.draft.publish()).rejects.toThrow('Somebody else is writing a manifest');
    await expect(denied.draft.publish()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    expect(taken.memory.text(key)).toBe('of somebody else');
  });
});
