import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ListedObject } from '../../functions/bucket/listing.ts';
import { formatLine, manifestKey, tagManifestKey } from '../../functions/bucket/manifest-text.ts';
import { draftManifest } from '../../functions/bucket/manifest-writer.ts';
import {
  countDocuments,
  type ManifestDependencies,
  readManifests,
} from '../../functions/bucket/manifests.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { collected } from '../collected.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const timestamp = '20261124T120000Z';
const key = manifestKey(timestamp);
const tag = tagManifestKey(timestamp);
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
  const read = async () => readManifests(listed(), await temporaryFolder(), dependencies);
  return { memory, time, dependencies, read, listed };
}

describe('reading the manifests of a bucket', () => {
  it('downloads and hashes a manifest, although S3 states the SHA-256 of other bytes', async () => {
    const { memory, read } = world();
    memory.put(key, 'some text', noon, { verified: Buffer.from('other text') });

    const { manifests, references } = await read();

    expect(manifests).toEqual([
      { key, timestamp, sha256: sha256('some text'), predecessor: undefined, path: expect.any(String) },
    ]);
    expect(await readFile(manifests[0]?.path ?? '', 'utf8')).toBe('some text');
    expect(references).toEqual([]);
  });

  it('ignores a tag file that is too large, and one that was deleted after the listing', async () => {
    const { memory, dependencies, listed, read } = world();
    const line = formatLine({ sha256: digest, key });
    memory.put(tag, line, noon);
    expect((await read()).references).toEqual([{ from: tag, to: { sha256: digest, key } }]);

    const before = await collected(listed());
    memory.objects.delete(tag);
    const gone = await readManifests(
      (async function* () {
        yield* before;
      })(),
      await temporaryFolder(),
      dependencies,
    );
    memory.put(tag, line.repeat(40), noon);

    expect(gone.references).toEqual([]);
    expect((await read()).references).toEqual([]);
  });

  it('throws BucketMisconfigured without permission to read', async () => {
    const { memory, read } = world();
    memory.put(key, 'some text', noon);
    memory.refuse = (operation) => (operation === 'get' ? { name: 'AccessDenied', status: 403 } : undefined);

    await expect(read()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });

  it('counts no documents in a text that is not a manifest, and throws if the copy has disappeared', async () => {
    const path = join(await temporaryFolder(), 'copy');
    await writeFile(path, 'not a manifest\n');

    expect(await countDocuments({ path })).toBeUndefined();
    await expect(countDocuments({ path: `${path}-2` })).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('draftManifest', () => {
  const idOf = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;

  async function startDraft(file?: string) {
    const { memory, time, dependencies } = world();
    const draft = await draftManifest({
      folder: await temporaryFolder(),
      predecessor: undefined,
      latestTimestamp: undefined,
      file,
      time,
      signal,
      ...dependencies,
      bucket: createBucket({ s3: memory as never, name: 'archive', time }),
    });
    return { memory, draft };
  }

  it('writes all lines of a large manifest', async () => {
    const file = join(await temporaryFolder(), 'manifest.txt');
    const { draft } = await startDraft(file);
    for (let number = 0; number < 2_000; number += 1) {
      await draft.add({ id: idOf(number), document: digest, receipt: digest });
    }

    const written = await draft.publish();

    const text = await readFile(file, 'utf8');
    expect(text.split('\n')).toHaveLength(4_001);
    expect(written).toEqual({ place: file, sha256: sha256(text), documents: 2_000 });
  });

  it('publishes a manifest whose upload succeeded although its response was lost', async () => {
    const { memory, draft } = await startDraft();
    await draft.add({ id: idOf(1), document: digest, receipt: digest });
    memory.put(key, `${digest}  documents/${idOf(1)}\n${digest}  receipts/${idOf(1)}.json\n`, noon);

    const written = await draft.publish();

    expect(written.place).toBe(`s3://archive/${key}`);
    expect(memory.text(tag)).toBe(formatLine({ sha256: written.sha256, key }));
  });

  it('overwrites no other manifest, and throws if the bucket refuses the upload', async () => {
    const taken = await startDraft();
    taken.memory.put(key, 'of another audit', noon);
    const denied = await startDraft();
    denied.memory.refuse = () => ({ name: 'AccessDenied', status: 403 });

    await expect(taken.draft.publish()).rejects.toThrow('Another audit wrote a manifest');
    await expect(denied.draft.publish()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    expect(taken.memory.text(key)).toBe('of another audit');
  });
});
