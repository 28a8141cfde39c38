import { DeleteObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { eraseDocument } from '../../../cli/erasure/erase-document.ts';
import { examine } from '../../../cli/erasure/examine.ts';
import { writeHoldRecord } from '../../../functions/bucket/holds.ts';
import {
  contextKey,
  contextsOfPrefix,
  contextTombstoneKey,
  documentKey,
  receiptKey,
} from '../../../functions/bucket/keys.ts';
import { maxTombstoneBytes, parseTombstone, tombstoneText } from '../../../functions/bucket/tombstones.ts';
import { day, documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { serviceError } from '../../fakes/service-error.ts';
import { createArchive, id, order, otherId, type Send, secret } from './world.ts';

const keys = [documentKey(id), receiptKey(id)];
type World = ReturnType<typeof createArchive>;
const isErased = ({ bucket }: World, key: string) =>
  bucket.versioned.current(key)?.metadata.state === 'erased';

describe('an erasure', () => {
  it('leaves one version at both keys, the same tombstone', async () => {
    const world = createArchive();
    world.archive();

    const { tombstone, sha256: digest, deleted, unfinished } = await world.erase();

    const text = tombstoneText(tombstone);
    expect(world.versions()).toEqual([[text], [text]]);
    expect(sha256(text)).toBe(digest);
    expect(deleted.map(({ key }) => key)).toEqual(keys);
    expect(unfinished).toBeUndefined();
    for (const key of keys)
      expect(world.bucket.versioned.current(key)?.metadata).toEqual({ state: 'erased' });
  });

  it('writes who, when, why and the digests of what was there, and nothing else of the document', async () => {
    const world = createArchive();
    world.archive();
    const document = documentOf(id, Buffer.from(secret));

    const { tombstone } = await world.erase();

    expect(tombstone).toEqual({
      v: 1,
      state: 'erased',
      documentId: id,
      erasedAt: new Date(noon).toISOString(),
      erasedBy: 'local',
      basis: 'DSR-2026-114',
      erased: {
        archivedAt: receiptOf(document).archivedAt,
        document: { bytes: secret.length, sha256: sha256(secret) },
        receipt: { sha256: sha256(written(receiptOf(document))) },
      },
      archiver: 'test',
    });
    expect(parseTombstone(id, Buffer.from(tombstoneText(tombstone)))).toEqual(tombstone);
  });

  it('deletes noncurrent versions and delete markers as well', async () => {
    const world = createArchive();
    for (const key of keys) {
      world.bucket.put(key, 'an older version', noon);
      world.bucket.versioned.delete(key);
    }
    world.archive();
    world.bucket.versioned.delete(documentKey(id));

    const { deleted } = await world.erase();

    expect(deleted).toHaveLength(7);
    expect(world.versions().map((versions) => versions.length)).toEqual([1, 1]);
  });

  it('states the digests of a document that is archived before or after any request', async () => {
    let requests = 1;
    for (let archivedAt = 0; archivedAt < requests; archivedAt += 1) {
      requests = 0;
      let isArchived = false;
      const world = createArchive((send: Send) => async (command) => {
        const isFree = keys.every((key) => world.bucket.versioned.versions(key).length === 0);
        if (requests === archivedAt && isFree) {
          isArchived = true;
          world.archive();
        }
        requests += 1;
        return send(command);
      });

      const { tombstone } = await world.erase();

      const names = isArchived ? ['archivedAt', 'document', 'receipt'] : [];
      expect(Object.keys(tombstone.erased)).toEqual(names);
      expect(world.versions()).toEqual([[tombstoneText(tombstone)], [tombstoneText(tombstone)]]);
    }
  });

  it('keeps an ID that was never archived from being archived', async () => {
    const world = createArchive();

    const { tombstone } = await world.erase();

    expect(tombstone.erased).toEqual({});
    expect(world.versions()).toEqual([[tombstoneText(tombstone)], [tombstoneText(tombstone)]]);
  });

  it('ends where S3 states no checksum of the tombstones', async () => {
    const world = createArchive((send) => async (command) => ({
      ...((await send(command)) as object),
      ChecksumSHA256: undefined,
    }));
    world.archive();

    const { unfinished } = await world.erase();

    expect(unfinished).toBeUndefined();
    expect(world.versions().map((versions) => versions.length)).toEqual([1, 1]);
  });

  it('deletes every version of all contexts, and of whatever else is below their prefix', async () => {
    const world = createArchive();
    world.archive();
    world.archive(otherId);
    const other = contextKey(otherId, '0'.repeat(64));
    const below = [
      contextKey(id, '0'.repeat(64)),
      contextKey(id, 'f'.repeat(64)),
      `${contextsOfPrefix(id)}notes.txt`,
    ];
    for (const key of [...below, ...below, other]) world.bucket.put(key, 'who it is about', noon);
    world.bucket.versioned.delete(contextKey(id, 'f'.repeat(64)));

    const { tombstone, deleted } = await world.erase();

    const left = [...world.bucket.objects.keys()].filter((key) => key.startsWith('contexts/'));
    expect(left.sort()).toEqual([contextTombstoneKey(id), other].sort());
    expect(below.map((key) => world.bucket.versioned.versions(key))).toEqual([[], [], []]);
    expect(world.bucket.text(contextTombstoneKey(id))).toBe(tombstoneText(tombstone));
    expect(deleted).toHaveLength(2 + 7);
  });

  it('puts the tombstone of the contexts before it deletes any, and after the other tombstones', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.put(contextKey(id, '0'.repeat(64)), 'who it is about', noon);

    await world.erase();

    const changes = world.bucket.requests.filter((request) => /^(put|delete) /.test(request));
    expect(changes).toEqual([
      `put ${receiptKey(id)}`,
      `put ${documentKey(id)}`,
      `put ${contextTombstoneKey(id)}`,
      `delete ${documentKey(id)}`,
      `delete ${receiptKey(id)}`,
      `delete ${contextKey(id, '0'.repeat(64))}`,
    ]);
  });

  it('removes contexts that come after it when it is run again, and replaces a false tombstone of them', async () => {
    const world = createArchive();
    world.archive();
    const { tombstone } = await world.erase();
    world.bucket.put(contextKey(id, '0'.repeat(64)), 'who it is about', noon);
    world.bucket.put(contextTombstoneKey(id), 'not the tombstone', noon);

    const { unfinished } = await world.erase();

    expect(unfinished).toBeUndefined();
    expect(world.bucket.versioned.versions(contextKey(id, '0'.repeat(64)))).toEqual([]);
    expect(world.bucket.versioned.versions(contextTombstoneKey(id)).map(({ body }) => String(body))).toEqual([
      tombstoneText(tombstone),
    ]);
  });

  it('changes nothing of another document', async () => {
    const world = createArchive();
    world.archive();
    world.archive(otherId);
    const before = world.versions(otherId);

    await world.erase();

    expect(world.versions(otherId)).toEqual(before);
  });

  it('keeps the first tombstone when the document is erased again', async () => {
    const world = createArchive();
    world.archive();
    const first = await world.erase();
    world.advance(day);

    const second = await world.erase({ basis: 'another reason' });

    expect(second).toEqual({ ...first, deleted: [] });
    expect(world.versions()).toEqual([[tombstoneText(first.tombstone)], [tombstoneText(first.tombstone)]]);
  });

  it('states the digests of a document that was archived after the examination', async () => {
    const world = createArchive();
    const found = await examine(id, world.dependencies);
    world.archive();

    const { tombstone } = await eraseDocument(found, order, world.dependencies);

    expect(tombstone.erased.document?.sha256).toBe(sha256(secret));
    expect(world.versions()).toEqual([[tombstoneText(tombstone)], [tombstoneText(tombstone)]]);
  });

  it.each([
    [
      'hidden by delete markers',
      (world: World) => keys.forEach((key) => void world.bucket.versioned.delete(key)),
    ],
    ['with altered bytes', (world: World) => world.bucket.put(documentKey(id), 'altered', noon)],
  ])('states the digests of the archived document when it is %s', async (_how, change) => {
    const world = createArchive();
    world.archive();
    change(world);

    const { tombstone } = await world.erase();

    expect(tombstone.erased.document).toEqual({ bytes: secret.length, sha256: sha256(secret) });
    expect(tombstone.erased.receipt?.sha256).toBe(
      sha256(written(receiptOf(documentOf(id, Buffer.from(secret))))),
    );
  });

  it.each([
    ['no JSON', 'no JSON'],
    ['another type', '[]'],
    ['malformed fields', '{"archivedAt":"today","object":{"bytes":"1","sha256":"x"},"telnyx":5}'],
  ])('leaves whole tombstones of a receipt with %s', async (_what, text) => {
    const world = createArchive();
    world.archive();
    world.bucket.put(receiptKey(id), text, noon);

    const { tombstone, unfinished } = await world.erase();

    expect(unfinished).toBeUndefined();
    expect(tombstone.erased).toEqual({
      document: { bytes: secret.length, sha256: sha256(secret) },
      receipt: { sha256: sha256(text) },
    });
    expect(parseTombstone(id, Buffer.from(tombstoneText(tombstone)))).toEqual(tombstone);
  });

  it('gives up after five rounds when something else keeps replacing the receipt', async () => {
    let puts = 0;
    const world = createArchive((send) => async (command) => {
      if (command instanceof PutObjectCommand) {
        puts += 1;
        world.bucket.put(receiptKey(id), `other ${puts}`, noon);
      }
      return send(command);
    });
    world.archive();

    await expect(world.erase()).rejects.toMatchObject({
      code: 'BucketConflict',
      message: `Something else keeps writing to the keys of ${id}. Find out what it is, then run the command again.`,
    });

    expect(puts).toBe(5);
    expect(world.versions()[0]).toEqual([secret]);
  });

  it('gives up after five attempts when something else keeps replacing the object', async () => {
    let puts = 0;
    const world = createArchive((send) => async (command) => {
      if (command instanceof PutObjectCommand && command.input.Key === documentKey(id)) {
        puts += 1;
        world.bucket.put(documentKey(id), `other ${puts}`, noon);
      }
      return send(command);
    });
    world.archive();

    await expect(world.erase()).rejects.toMatchObject({ code: 'BucketConflict' });

    expect(puts).toBe(5);
    expect(world.versions()[0]).toContain(secret);
  });

  it('keeps the tombstone of another run that came after its examination', async () => {
    const world = createArchive();
    world.archive();
    const found = await examine(id, world.dependencies);
    const first = await world.erase({ basis: 'first' });

    const second = await eraseDocument(found, order, world.dependencies);

    expect(second.tombstone).toEqual(first.tombstone);
    expect(world.versions()).toEqual([[tombstoneText(first.tombstone)], [tombstoneText(first.tombstone)]]);
  });

  it('replaces the tombstone of the object if it is not that of the receipt', async () => {
    const world = createArchive();
    world.archive();
    const { tombstone } = await world.erase();
    const other = Buffer.from(tombstoneText({ ...tombstone, basis: 'another' }));
    world.bucket.versioned.put(documentKey(id), other, { metadata: { state: 'erased' } });

    await world.erase();

    expect(world.versions()).toEqual([[tombstoneText(tombstone)], [tombstoneText(tombstone)]]);
  });

  it('puts the tombstone of the object only when that of the receipt is in place', async () => {
    const hadReceipt: boolean[] = [];
    const world = createArchive((send) => async (command) => {
      if (command instanceof PutObjectCommand && command.input.Key === documentKey(id))
        hadReceipt.push(isErased(world, receiptKey(id)));
      return send(command);
    });
    const found = await examine(id, world.dependencies);
    world.archive();

    await eraseDocument(found, order, world.dependencies);

    expect(hadReceipt).toEqual([true]);
  });

  it('goes on when a delete marker covers the object after any request for it', async () => {
    let requests = 1;
    for (let covered = 0; covered < requests; covered += 1) {
      requests = 0;
      const world = createArchive((send) => async (command) => {
        const answer = await send(command);
        if (command instanceof HeadObjectCommand && command.input.Key === documentKey(id)) {
          if (requests === covered) world.bucket.versioned.delete(documentKey(id));
          requests += 1;
        }
        return answer;
      });
      world.archive();
      const whole = world.dependenciesOf(world.bucket.send);
      const { tombstone } = await eraseDocument(await examine(id, whole), order, whole);

      await world.erase();

      expect(world.versions()).toEqual([[tombstoneText(tombstone)], [tombstoneText(tombstone)]]);
    }
  });

  it('also deletes what is written between its first deletion and its last listing', async () => {
    let late = 1;
    const world = createArchive((send) => async (command) => {
      const answer = await send(command);
      if (command instanceof DeleteObjectCommand && late > 0) {
        late -= 1;
        world.bucket.put(documentKey(id), 'late', noon);
      }
      return answer;
    });
    world.archive();

    const { tombstone, unfinished } = await world.erase();

    expect(unfinished).toBeUndefined();
    expect(world.versions()).toEqual([[tombstoneText(tombstone)], [tombstoneText(tombstone)]]);
  });

  it('deletes a version only while both tombstones are in place', async () => {
    const wereErased: boolean[] = [];
    let late = 1;
    const world = createArchive((send) => async (command) => {
      if (command instanceof DeleteObjectCommand) wereErased.push(keys.every((key) => isErased(world, key)));
      const answer = await send(command);
      if (command instanceof PutObjectCommand && command.input.Key === documentKey(id) && late > 0) {
        late -= 1;
        world.bucket.put(receiptKey(id), 'late', noon);
      }
      return answer;
    });
    world.archive();

    const { deleted } = await world.erase();

    expect(wereErased).toEqual(deleted.map(() => true));
    expect(world.versions().map((versions) => versions.length)).toEqual([1, 1]);
  });

  it('writes each tombstone once, deletes each version once, and does not read the document', async () => {
    const world = createArchive();
    world.archive();

    await world.erase();

    const count = (request: string) => world.bucket.requests.filter((sent) => sent === request).length;
    const counts = ['put', 'delete', 'head', 'get'].map((operation) =>
      keys.map((key) => count(`${operation} ${key}`)),
    );
    // Three examinations: at first, after the tombstones, after the deletions. Before the last two, the object's digest is
    // compared.
    expect(counts).toEqual([
      [1, 1],
      [1, 1],
      [4, 3],
      [2, 3],
    ]);
  });

  it('that goes on puts only the tombstones that are missing', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.refuse = (operation, key) =>
      operation === 'put' && key === contextTombstoneKey(id)
        ? { name: 'AccessDenied', status: 403 }
        : undefined;
    await expect(world.erase()).rejects.toThrow('S3 denies access');
    world.bucket.refuse = () => undefined;
    const before = world.bucket.requests.length;

    await world.erase();

    const puts = world.bucket.requests.slice(before).filter((request) => request.startsWith('put '));
    expect(puts).toEqual([`put ${contextTombstoneKey(id)}`]);
  });

  it('replaces a malformed tombstone', async () => {
    const world = createArchive();
    world.archive();
    const { tombstone } = await world.erase();
    for (const key of keys) {
      world.bucket.versioned.put(key, Buffer.from(tombstoneText({ ...tombstone, documentId: otherId })), {
        metadata: { state: 'erased' },
      });
    }

    await world.erase();

    expect((await examine(id, world.dependencies)).hasAllTombstones).toBe(true);
    expect(world.versions().map((versions) => versions.length)).toEqual([1, 1]);
  });

  it('reads no large object that only claims to be a tombstone', async () => {
    const world = createArchive();
    world.archive(id, 'x'.repeat(maxTombstoneBytes + 1));
    const [{ body = Buffer.alloc(0) } = {}] = world.bucket.versioned.versions(documentKey(id));
    world.bucket.versioned.put(documentKey(id), body, { metadata: { state: 'erased' } });

    const { unfinished } = await world.erase();

    expect(unfinished).toBeUndefined();
    expect(world.versions().map((versions) => versions.length)).toEqual([1, 1]);
    const firstPut = world.bucket.requests.indexOf(`put ${documentKey(id)}`);
    expect(world.bucket.requests.slice(0, firstPut)).not.toContain(`get ${documentKey(id)}`);
  });

  it('that was interrupted at any request is finished by the next one', async () => {
    const requestsOf = async (limit: number) => {
      let sent = 0;
      const stopsAfter =
        (send: Send): Send =>
        async (command) => {
          sent += 1;
          if (sent > limit) throw serviceError('AccessDenied', 403);
          return send(command);
        };
      const world = createArchive(stopsAfter);
      world.archive();
      world.bucket.put(contextKey(id, '0'.repeat(64)), 'who it is about', noon);
      const interrupted = await world.erase().then(
        () => false,
        () => true,
      );
      const whole = world.dependenciesOf(world.bucket.send);
      const { tombstone } = await eraseDocument(await examine(id, whole), order, whole);
      expect(world.versions()).toEqual([[tombstoneText(tombstone)], [tombstoneText(tombstone)]]);
      expect(tombstone.erased.document?.sha256).toBe(sha256(secret));
      const contexts = [...world.bucket.objects.keys()].filter((key) => key.startsWith('contexts/'));
      expect(contexts).toEqual([contextTombstoneKey(id)]);
      expect((await examine(id, whole)).hasAllTombstones).toBe(true);
      return interrupted;
    };

    let limit = 0;
    while (await requestsOf(limit)) limit += 1;

    expect(limit).toBeGreaterThan(15);
  });

  it('goes on when the answer to a request is lost', async () => {
    let requests = 0;
    for (let lost = 0; lost <= requests; lost += 1) {
      requests = 0;
      const world = createArchive((send) => async (command) => {
        requests += 1;
        const answer = await send(command);
        if (requests === lost) throw new Error('socket hang up');
        return answer;
      });
      world.archive();

      const { tombstone, unfinished } = await world.erase();

      expect(unfinished).toBeUndefined();
      expect(world.versions()).toEqual([[tombstoneText(tombstone)], [tombstoneText(tombstone)]]);
    }
  });
});

describe('an erasure of a locked document', () => {
  it('stops with the reason when a legal hold is placed after the examination, and goes on after its release', async () => {
    const world = createArchive();
    world.archive();
    const found = await examine(id, world.dependencies);
    world.bucket.versioned.setLegalHold(documentKey(id), undefined, 'ON');

    const stopped = await eraseDocument(found, order, world.dependencies);

    expect(stopped.unfinished).toEqual({ reason: 'held', detail: 'on legal hold in S3' });
    expect(world.versions()[0]).toContain(secret);
    const [, original] = world.bucket.versioned.versions(documentKey(id));
    world.bucket.versioned.setLegalHold(documentKey(id), original?.versionId, 'OFF');
    expect(await world.erase()).toMatchObject({ unfinished: undefined });
    expect(world.versions().map((versions) => versions.length)).toEqual([1, 1]);
  });

  it('stops before its next deletion when a hold is recorded, and goes on after its release', async () => {
    let isHeld = false;
    const world = createArchive((send) => async (command) => {
      const answer = await send(command);
      if (command instanceof DeleteObjectCommand && !isHeld) {
        isHeld = true;
        await record('hold');
      }
      return answer;
    });
    const record = (action: 'hold' | 'release') =>
      writeHoldRecord(
        { documentId: id, action, by: 'local', reason: 'Case 1', archiver: 'test' },
        noon,
        world.dependencies.bucket,
        new AbortController().signal,
      );
    world.archive();

    const stopped = await world.erase();
    const left = world.versions().map((versions) => versions.length);
    await record('release');
    const { unfinished, deleted } = await world.erase();

    expect(stopped.unfinished).toEqual({
      reason: 'held',
      detail: 'on hold since 2026-11-24T12:00:00.000Z: Case 1',
    });
    expect(stopped.deleted.map(({ key }) => key)).toEqual([documentKey(id)]);
    expect(left).toEqual([1, 2]);
    expect(unfinished).toBeUndefined();
    expect(deleted.map(({ key }) => key)).toEqual([receiptKey(id)]);
  });

  it.each([
    ['a legal hold', { legalHold: 'ON' }, { reason: 'held', detail: 'on legal hold in S3' }],
    [
      'a lock',
      { retention: { mode: 'COMPLIANCE', until: noon + day } },
      {
        reason: 'locked',
        detail: 'COMPLIANCE lock until 2026-11-25T12:00:00.000Z; nobody can delete it before',
      },
    ],
  ])('stops with the reason when %s comes just before a deletion', async (_what, lock, unfinished) => {
    const world = createArchive((send) => async (command) => {
      if (command instanceof DeleteObjectCommand)
        Object.assign(world.bucket.versioned.read(documentKey(id), command.input.VersionId), lock);
      return send(command);
    });
    world.archive();

    const stopped = await world.erase();

    expect(stopped).toMatchObject({ unfinished, deleted: [] });
    expect(world.versions()[0]).toContain(secret);
  });

  it.each([
    ['a version', documentKey(id)],
    ['a delete marker', receiptKey(id)],
  ])('fails when S3 refuses to delete %s that has no lock', async (_what, key) => {
    const world = createArchive();
    world.archive();
    world.bucket.versioned.delete(receiptKey(id));
    world.bucket.refuse = (operation, refused) =>
      operation === 'delete' && refused === key ? { name: 'AccessDenied', status: 403 } : undefined;

    await expect(world.erase()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });

  it('deletes a version under a GOVERNANCE lock only with the bypass', async () => {
    const world = createArchive();
    world.bucket.versioned.defaultRetention = { mode: 'GOVERNANCE', days: 30 };
    world.archive();

    const stopped = await world.erase();
    const requested = [...world.bucket.requests];
    const erased = await world.erase({ bypassGovernance: true });

    expect(stopped.unfinished?.detail).toBe(
      'GOVERNANCE lock until 2026-12-24T12:00:00.000Z; pass --bypass-governance',
    );
    expect(requested.filter((request) => request.startsWith('delete'))).toEqual([]);
    expect(erased.unfinished).toBeUndefined();
  });

  it('deletes a version under a COMPLIANCE lock only when the lock has ended', async () => {
    const world = createArchive();
    world.bucket.versioned.defaultRetention = { mode: 'COMPLIANCE', days: 30 };
    world.archive();

    const stopped = await world.erase({ bypassGovernance: true });
    world.advance(31 * day);
    const erased = await world.erase();

    expect(stopped.unfinished?.detail).toBe(
      'COMPLIANCE lock until 2026-12-24T12:00:00.000Z; nobody can delete it before',
    );
    expect(erased.unfinished).toBeUndefined();
  });
});
