/** Writing the stretch files of a root manifest, the root and its tag file. */
import { describe, expect, it } from 'vitest';
import {
  formatEntry,
  formatLine,
  manifestKey,
  stretchManifestKey,
  tagManifestKey,
} from '../../functions/bucket/manifest-text.ts';
import { createBucket, type NewObject } from '../../functions/bucket/store.ts';
import { writeRootManifest, writeStretchManifest } from '../../functions/bucket/stretch-manifest.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const timestamp = '20261124T120000Z';
const signal = new AbortController().signal;
const digest = 'ab'.repeat(32);
const id = (digit: string) => `${digit}0000000-0000-4000-8000-000000000000`;
const entryOf = (digit: string) => ({ id: id(digit), document: digest, receipt: digest });
const contentType = 'text/plain; charset=utf-8';

function world() {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  return { memory, bucket: createBucket({ s3: memory as never, name: 'archive', time }) };
}

describe('writeStretchManifest', () => {
  const stretch = { timestamp, from: '4', before: '8' };
  const key = stretchManifestKey(timestamp, stretch);
  const entries = [entryOf('4'), { ...entryOf('5'), receipt: undefined }];
  const text = entries.map(formatEntry).join('');

  it('writes the entries with type, length and digest, only if there is no file yet', async () => {
    const put: NewObject[] = [];
    const bucket = {
      putOnce: async (object: NewObject) => {
        put.push(object);
        return { bytes: object.bytes, sha256: object.sha256, etag: undefined, versionId: undefined };
      },
      read: async () => undefined,
    };

    const written = await writeStretchManifest({ ...stretch, entries }, bucket, signal);

    expect(written).toEqual({ key, sha256: sha256(text), documents: 2 });
    expect(put).toEqual([
      { key, body: Buffer.from(text), bytes: text.length, sha256: sha256(text), contentType },
    ]);
  });

  it('writes an empty file for a stretch without documents', async () => {
    const { memory, bucket } = world();

    const written = await writeStretchManifest({ ...stretch, entries: [] }, bucket, signal);

    expect(written).toEqual({ key, sha256: sha256(''), documents: 0 });
    expect(memory.objects.get(key)?.body.length).toBe(0);
  });

  it('keeps the file of an earlier delivery, and returns its digest and number of documents', async () => {
    const { memory, bucket } = world();
    const first = await writeStretchManifest({ ...stretch, entries }, bucket, signal);

    const second = await writeStretchManifest({ ...stretch, entries: [entryOf('6')] }, bucket, signal);

    expect(second).toEqual(first);
    expect(memory.text(key)).toBe(text);
    expect(memory.versioned.versions(key)).toHaveLength(1);
  });

  it('throws KeyCollision if something else is at its key, and BucketConflict if it is then gone', async () => {
    const { memory, bucket } = world();
    memory.put(key, `${digest}  documents/${id('9')}\n`, noon);
    const gone = { putOnce: async () => 'exists' as const, read: async () => undefined };

    const colliding = writeStretchManifest({ ...stretch, entries }, bucket, signal);
    const vanished = writeStretchManifest({ ...stretch, entries }, gone, signal);

    await expect(colliding).rejects.toMatchObject({
      code: 'KeyCollision',
      message: 'Another text is at the key of a stretch of the manifest. Nothing was overwritten.',
    });
    await expect(vanished).rejects.toMatchObject({
      code: 'BucketConflict',
      message: 'The manifest existed during the write, but was gone when it was read.',
    });
    expect(memory.text(key)).toContain(id('9'));
  });

  it.each([
    ['are not sorted', [entryOf('5'), entryOf('4')]],
    ['are of another stretch', [entryOf('4'), entryOf('8')]],
    ['have an ID twice', [entryOf('4'), entryOf('4')]],
    ['name nothing', [{ id: id('4'), document: undefined, receipt: undefined }]],
  ])('writes nothing and throws RangeError if entries %s', async (_case, wrong) => {
    const { memory, bucket } = world();

    const writing = writeStretchManifest({ ...stretch, entries: wrong }, bucket, signal);

    await expect(writing).rejects.toThrow(
      new RangeError('The entries are not sorted, or not of this stretch.'),
    );
    expect(memory.requests).toEqual([]);
  });
});

describe('writeRootManifest', () => {
  const key = manifestKey(timestamp);
  const line = (from: string, before: string, at = timestamp) => ({
    sha256: digest,
    key: stretchManifestKey(at, { from, before }),
  });
  const stretches = [line('', '8'), line('8', '')];
  const predecessor = { sha256: sha256('before'), key: manifestKey('20261117T120000Z') };
  const text = [predecessor, ...stretches].map(formatLine).join('');

  it('writes the previous manifest and the stretch files, then the tag file', async () => {
    const { memory, bucket } = world();

    const root = await writeRootManifest({ timestamp, predecessor, stretches }, bucket, signal);

    expect(root).toEqual({ key, sha256: sha256(text) });
    expect(memory.text(key)).toBe(text);
    expect(memory.text(tagManifestKey(timestamp))).toBe(formatLine(root));
    expect(memory.requests).toEqual([`put ${key}`, `put ${tagManifestKey(timestamp)}`]);
  });

  it('writes a first manifest without a previous one', async () => {
    const { memory, bucket } = world();

    await writeRootManifest({ timestamp, stretches }, bucket, signal);

    expect(memory.text(key)).toBe(stretches.map(formatLine).join(''));
  });

  it('has no effect if it is there, and adds its tag file if only that is missing', async () => {
    const { memory, bucket } = world();
    const first = await writeRootManifest({ timestamp, predecessor, stretches }, bucket, signal);
    memory.objects.delete(tagManifestKey(timestamp));

    const second = await writeRootManifest({ timestamp, predecessor, stretches }, bucket, signal);

    expect(second).toEqual(first);
    expect(memory.versioned.versions(key)).toHaveLength(1);
    expect(memory.text(tagManifestKey(timestamp))).toBe(formatLine(first));
  });

  it('throws KeyCollision and writes no tag file if another manifest is at its key', async () => {
    const { memory, bucket } = world();
    await writeRootManifest({ timestamp, stretches: stretches.slice(1) }, bucket, signal);
    memory.objects.delete(tagManifestKey(timestamp));

    const writing = writeRootManifest({ timestamp, stretches }, bucket, signal);

    await expect(writing).rejects.toMatchObject({
      code: 'KeyCollision',
      message: 'Another manifest is at the key of this one. Nothing was overwritten.',
    });
    expect(memory.text(tagManifestKey(timestamp))).toBe('');
  });

  it.each([
    ['overlap', [line('', '8'), line('4', '')]],
    ['are not in order', [line('8', ''), line('', '8')]],
    ['are of another manifest', [line('', '', '20261117T120000Z')]],
    ['are not stretch files', [{ sha256: digest, key: 'documents/x' }]],
    ['have no digest', [{ sha256: '', key: line('', '').key }]],
  ])('writes nothing and throws RangeError if stretches %s', async (_case, wrong) => {
    const { memory, bucket } = world();

    const writing = writeRootManifest({ timestamp, stretches: wrong }, bucket, signal);

    await expect(writing).rejects.toThrow(
      new RangeError('The stretches of the manifest are not in order, or overlap.'),
    );
    expect(memory.requests).toEqual([]);
  });
});
