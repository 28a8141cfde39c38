import { describe, expect, it } from 'vitest';
import { eraseDocument } from '../../../cli/erasure/erase-document.ts';
import { examine, refusalOf } from '../../../cli/erasure/examine.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { maxTombstoneBytes, parseTombstone, tombstoneText } from '../../../functions/bucket/tombstones.ts';
import { day, documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { serviceError } from '../../fakes/service-error.ts';
import { createArchive, id, order, otherId, type Send, secret } from './world.ts';

const keys = [documentKey(id), receiptKey(id)];
type World = ReturnType<typeof createArchive>;

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

  it('gives up when something else replaces the objects again and again', async () => {
    const world = createArchive((send) => async (command) => {
      const answer = await send(command);
      if (world.bucket.requests.at(-1)?.startsWith('put'))
        for (const key of keys) world.bucket.put(key, 'x', 0);
      return answer;
    });
    world.archive();

    await expect(world.erase()).rejects.toMatchObject({ code: 'BucketConflict' });
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

    expect((await examine(id, world.dependencies)).hasBothTombstones).toBe(true);
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
      const interrupted = await world.erase().then(
        () => false,
        () => true,
      );
      const whole = world.dependenciesOf(world.bucket.send);
      const { tombstone } = await eraseDocument(await examine(id, whole), order, whole);
      expect(world.versions()).toEqual([[tombstoneText(tombstone)], [tombstoneText(tombstone)]]);
      expect(tombstone.erased.document?.sha256).toBe(sha256(secret));
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

  it('deletes a version under a GOVERNANCE lock only with the bypass', async () => {
    const world = createArchive();
    world.bucket.versioned.defaultRetention = { mode: 'GOVERNANCE', days: 30 };
    world.archive();

    const stopped = await world.erase();
    const erased = await world.erase({ bypassGovernance: true });

    expect(stopped.unfinished?.detail).toBe(
      'GOVERNANCE lock until 2026-12-24T12:00:00.000Z; pass --bypass-governance',
    );
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

describe('refusalOf', () => {
  const version = {
    key: documentKey(id),
    versionId: 'v',
    isLatest: true,
    isDeleteMarker: false,
    bytes: 1,
    modified: noon,
    lock: { held: false, retention: undefined },
  };

  it('names the latest lock, and COMPLIANCE before GOVERNANCE', () => {
    const lock = (mode: string, days: number) => ({
      ...version,
      lock: { held: false, retention: { mode, until: noon + days * day } },
    });

    const refusal = refusalOf(
      { versions: [lock('GOVERNANCE', 9), lock('COMPLIANCE', 1), lock('COMPLIANCE', 2)], hold: undefined },
      true,
      noon,
    );

    expect(refusal?.detail).toMatch(/^COMPLIANCE lock until 2026-11-26T12:00/);
  });

  it('names the reason of a hold before all locks', () => {
    const hold = {
      v: 1,
      documentId: id,
      action: 'hold',
      at: '2026-11-24T12:00:00.000Z',
      by: 'local',
      reason: 'Case 1',
      archiver: 'test',
    } as const;

    expect(refusalOf({ versions: [version], hold }, false, noon)).toEqual({
      reason: 'held',
      detail: 'on hold since 2026-11-24T12:00:00.000Z: Case 1',
    });
  });

  it('objects to a hold although nothing is left of the document', () => {
    const hold = {
      v: 1,
      documentId: id,
      action: 'hold',
      at: '2026-11-24T12:00:00.000Z',
      by: 'local',
      reason: 'Case 1',
      archiver: 'test',
    } as const;

    expect(refusalOf({ versions: [], hold }, false, noon)?.reason).toBe('held');
  });

  it('has no objection to a lock that has ended', () => {
    const ended = { held: false, retention: { mode: 'COMPLIANCE', until: noon } };

    expect(
      refusalOf({ versions: [{ ...version, lock: ended }], hold: undefined }, false, noon),
    ).toBeUndefined();
  });
});
