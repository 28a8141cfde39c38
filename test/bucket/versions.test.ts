import { DeleteObjectCommand, ListObjectVersionsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createBucket } from '../../functions/bucket/store.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
import { systemTime as time } from '../../functions/time.ts';
import { createCredentials, folderBucket, localBucket } from '../../local/s3/archive-bucket.ts';
import { startS3 } from '../../local/s3/server.ts';
import { newFolder } from '../cli/world.ts';

const never = new AbortController().signal;
const key = 'documents/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

async function startBucket(mode?: 'GOVERNANCE' | 'COMPLIANCE') {
  const folder = await newFolder();
  const credentials = createCredentials();
  const s3 = await startS3({
    buckets: { [localBucket]: folder },
    credentials: [credentials],
    time,
    ...(mode && { defaultRetention: { [localBucket]: { mode, days: 1 } } }),
  });
  const { client, name } = folderBucket(s3.endpoint, folder, credentials);
  onTestFinished(async () => {
    client.destroy();
    await s3.close();
  });
  const put = async (body: string, at = key) => {
    const { VersionId = '' } = await client.send(new PutObjectCommand({ Bucket: name, Key: at, Body: body }));
    return VersionId;
  };
  return {
    client,
    put,
    mark: () => client.send(new DeleteObjectCommand({ Bucket: name, Key: key })),
    bucket: createBucket({ s3: client, name, time }),
    versions: createVersions({ s3: client, name, time }),
  };
}

describe('the versions of a key', () => {
  it('are listed newest first with delete markers, without those of keys that begin with it', async () => {
    const { put, mark, versions } = await startBucket();
    const first = await put('a');
    const second = await put('bc');
    await put('another', `${key}.bak`);
    const { VersionId: marker } = await mark();

    const found = await versions.of(key, never);

    expect(found).toMatchObject([
      { versionId: marker, isLatest: true, isDeleteMarker: true },
      { versionId: second, isLatest: false, isDeleteMarker: false, bytes: 2 },
      { versionId: first, isLatest: false, isDeleteMarker: false, bytes: 1 },
    ]);
  });

  it('are listed of all keys with a prefix, in the order of the keys', async () => {
    const { put, versions } = await startBucket();
    const b1 = await put('b1', 'contexts/x/b');
    const a1 = await put('a1', 'contexts/x/a');
    const b2 = await put('b2', 'contexts/x/b');
    await put('another', 'contexts/x.json');

    const found = await versions.under('contexts/x/', never);

    expect(found).toMatchObject([
      { key: 'contexts/x/a', versionId: a1, isLatest: true },
      { key: 'contexts/x/b', versionId: b2, isLatest: true },
      { key: 'contexts/x/b', versionId: b1, isLatest: false },
    ]);
    expect(await versions.under('contexts/x', never)).toHaveLength(4);
  });

  it('are none for a key that does not exist', async () => {
    const { versions } = await startBucket();

    expect(await versions.of(key, never)).toEqual([]);
  });

  it('are all listed if there are more than one page', async () => {
    const { put, client } = await startBucket();
    for (let count = 0; count < 5; count += 1) await put(String(count));
    const send = (command: { input: object }, options: object) => {
      if (command instanceof ListObjectVersionsCommand) command.input.MaxKeys = 2;
      return client.send(command as never, options);
    };
    const paged = createVersions({ s3: { send } as never, name: localBucket, time });

    expect(await paged.of(key, never)).toHaveLength(5);
  });

  it('can be deleted one by one, and again without effect', async () => {
    const { put, versions } = await startBucket();
    const first = await put('a');
    await put('b');

    await versions.delete(key, first, false, never);
    await versions.delete(key, first, false, never);

    expect(await versions.of(key, never)).toHaveLength(1);
  });
});

describe('the lock of a version', () => {
  it('is none without retention and hold, and undefined if the version does not exist', async () => {
    const { put, versions } = await startBucket();
    const first = await put('a');
    await put('b');
    await versions.delete(key, first, false, never);
    const [{ versionId } = { versionId: '' }] = await versions.of(key, never);

    expect(await versions.lockOf(key, versionId, never)).toEqual({ held: false, retention: undefined });
    expect(await versions.lockOf(key, first, never)).toBeUndefined();
  });

  it.each(['GOVERNANCE', 'COMPLIANCE'] as const)(
    'states the retention by default in %s mode',
    async (mode) => {
      const { put, versions } = await startBucket(mode);

      const lock = await versions.lockOf(key, await put('a'), never);

      expect(lock).toMatchObject({ held: false, retention: { mode } });
      expect(Math.abs((lock?.retention?.until ?? 0) - time.now() - 24 * 3_600_000)).toBeLessThan(600_000);
    },
  );

  it('in GOVERNANCE mode yields to the bypass only, in COMPLIANCE mode to nothing', async () => {
    const [governance, compliance] = [await startBucket('GOVERNANCE'), await startBucket('COMPLIANCE')];
    const refused = { code: 'BucketMisconfigured' };
    const [first, second] = [await governance.put('a'), await compliance.put('a')];

    await expect(governance.versions.delete(key, first, false, never)).rejects.toMatchObject(refused);
    await expect(compliance.versions.delete(key, second, true, never)).rejects.toMatchObject(refused);
    await governance.versions.delete(key, first, true, never);

    expect(await governance.versions.of(key, never)).toEqual([]);
    expect(await compliance.versions.of(key, never)).toHaveLength(1);
  });

  it('is a hold until it is released', async () => {
    const { put, versions } = await startBucket();
    const versionId = await put('a');

    expect(await versions.setHold(key, versionId, true, never)).toBe(true);
    expect(await versions.lockOf(key, versionId, never)).toMatchObject({ held: true });
    await expect(versions.delete(key, versionId, true, never)).rejects.toThrow('S3 denies access');
    expect(await versions.setHold(key, versionId, false, never)).toBe(true);
    await versions.delete(key, versionId, false, never);

    expect(await versions.of(key, never)).toEqual([]);
  });

  it('cannot be a hold of a version that does not exist', async () => {
    const { put, versions } = await startBucket();
    const versionId = await put('a');
    await versions.delete(key, versionId, false, never);

    expect(await versions.setHold(key, versionId, true, never)).toBe(false);
  });
});

describe('putOver', () => {
  const object = { key, body: Buffer.from('new'), bytes: 3, sha256: undefined, contentType: 'text/plain' };

  it('replaces an object that has the ETag, and keeps the old version', async () => {
    const { put, bucket, versions } = await startBucket();
    await put('old');
    const etag = (await bucket.head(key, never))?.etag ?? '';

    const stored = await bucket.putOver({ ...object, metadata: { state: 'erased' } }, etag, never);

    expect(stored).toMatchObject({ bytes: 3 });
    expect((await bucket.read(key, never))?.toString()).toBe('new');
    expect(await bucket.head(key, never)).toMatchObject({ state: 'erased' });
    expect(await versions.of(key, never)).toHaveLength(2);
  });

  it('changes nothing if the object has changed or is gone', async () => {
    const { put, mark, bucket } = await startBucket();
    await put('old');
    const etag = (await bucket.head(key, never))?.etag ?? '';
    await put('newer');

    expect(await bucket.putOver(object, etag, never)).toBe('changed');
    await mark();
    expect(await bucket.putOver(object, etag, never)).toBe('changed');
  });
});
