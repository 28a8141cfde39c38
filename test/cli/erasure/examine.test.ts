import { GetObjectCommand, HeadObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { examine, refusalOf } from '../../../cli/erasure/examine.ts';
import { placeHold, releaseHold } from '../../../cli/erasure/hold-document.ts';
import { contextTombstoneKey, documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { maxTombstoneBytes, tombstoneText } from '../../../functions/bucket/tombstones.ts';
import { day, documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { createArchive, id, otherId, secret } from './world.ts';

const document = documentOf(id, Buffer.from(secret));
const { archivedAt } = receiptOf(document);

describe('an examination', () => {
  it('finds the versions of both keys with their locks, the name and the digests, and does not read the object', async () => {
    const world = createArchive();
    world.bucket.versioned.defaultRetention = { mode: 'GOVERNANCE', days: 1 };
    world.archive();
    const held = { ...document, record: { ...document.record, customer_reference: 'PO-1' } };
    world.bucket.versioned.defaultRetention = undefined;
    world.bucket.put(receiptKey(id), written(receiptOf(held)), noon);
    world.bucket.versioned.setLegalHold(receiptKey(id), undefined, 'ON');

    const found = await examine(id, world.dependencies);

    expect(found).toMatchObject({
      documentId: id,
      tombstone: undefined,
      hasAllTombstones: false,
      found: {
        archivedAt,
        document: { bytes: secret.length, sha256: sha256(secret) },
        receipt: { sha256: sha256(written(receiptOf(held))) },
      },
      name: { fileName: '6e0c.pdf', customerReference: 'PO-1' },
      hold: undefined,
    });
    const locked = { held: false, retention: { mode: 'GOVERNANCE', until: noon + day } };
    expect(found.versions).toMatchObject([
      { key: documentKey(id), isLatest: true, isDeleteMarker: false, bytes: secret.length, lock: locked },
      { key: receiptKey(id), isLatest: true, lock: { held: true, retention: undefined } },
      { key: receiptKey(id), isLatest: false, lock: locked },
    ]);
    expect(world.bucket.requests).not.toContain(`get ${documentKey(id)}`);
  });

  it('does not read an object below a delete marker', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.versioned.delete(documentKey(id));

    const { versions } = await examine(id, world.dependencies);

    expect(versions.map(({ isDeleteMarker }) => isDeleteMarker)).toEqual([true, false, false]);
    expect(world.bucket.requests).not.toContain(`get ${documentKey(id)}`);
  });

  it('does not read the object of a storage without versions', async () => {
    const world = createArchive((send) => async (command) => {
      if (command instanceof GetObjectCommand) command.input.VersionId = undefined;
      const answer = (await send(command)) as { Versions?: { VersionId?: string }[] };
      if (command instanceof HeadObjectCommand) return { ...answer, VersionId: undefined };
      if (!(command instanceof ListObjectVersionsCommand)) return answer;
      return { ...answer, Versions: answer.Versions?.map((each) => ({ ...each, VersionId: 'null' })) };
    });
    world.archive();
    world.bucket.refuse = (operation) =>
      operation.startsWith('get-') ? { name: 'NoSuchObjectLockConfiguration', status: 404 } : undefined;

    const { versions } = await examine(id, world.dependencies);

    expect(versions.map(({ versionId }) => versionId)).toEqual(['null', 'null']);
    expect(world.bucket.requests).not.toContain(`get ${documentKey(id)}`);
  });

  it('finds nothing of an ID that was never archived', async () => {
    const found = await examine(otherId, createArchive().dependencies);

    expect(found).toStrictEqual({
      documentId: otherId,
      versions: [],
      tombstone: undefined,
      hasAllTombstones: false,
      receiptEtag: undefined,
      found: {},
      name: { fileName: undefined, customerReference: undefined },
      isInCatalogue: false,
      hold: undefined,
    });
  });

  it('states the digest that S3 has verified if the receipt states none', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.put(receiptKey(id), 'changed', noon);

    const { found } = await examine(id, world.dependencies);

    expect(found).toEqual({
      document: { bytes: secret.length, sha256: sha256(secret) },
      receipt: { sha256: sha256('changed') },
    });
  });

  it('states no digest that it does not know', async () => {
    const world = createArchive();
    world.bucket.put(documentKey(id), secret, noon, { verified: false });

    expect((await examine(id, world.dependencies)).found).toEqual({});
  });

  it.each<[string, string, object]>([
    ['null', 'null', {}],
    ['a number', '5', {}],
    [
      'a digest that is longer than a digest',
      written({ ...receiptOf(document), object: { bytes: 1, sha256: `${'a'.repeat(64)}a` } }),
      { archivedAt },
    ],
    [
      'a digest that begins before a digest',
      written({ ...receiptOf(document), object: { bytes: 1, sha256: `x${'a'.repeat(64)}` } }),
      { archivedAt },
    ],
    [
      'a time of archiving that is a number',
      written({ ...receiptOf(document), archivedAt: 5 }),
      { document: { bytes: secret.length, sha256: sha256(secret) } },
    ],
    [
      'a record that is a text',
      written({ ...receiptOf(document), telnyx: 'x' }),
      { archivedAt, document: { bytes: secret.length, sha256: sha256(secret) } },
    ],
  ])('leaves out what is malformed in a changed receipt: %s', async (_what, text, facts) => {
    const world = createArchive();
    world.bucket.put(receiptKey(id), text, noon);

    const { found } = await examine(id, world.dependencies);

    expect(found).toEqual({ ...facts, receipt: { sha256: sha256(text) } });
  });

  it('has both tombstones only if both are whole and the same', async () => {
    const world = createArchive();
    world.archive();
    const { tombstone } = await world.erase();
    const put = (key: string, changes: Partial<typeof tombstone>) =>
      world.bucket.versioned.put(key, Buffer.from(tombstoneText({ ...tombstone, ...changes })), {
        metadata: { state: 'erased' },
      });
    const isErased = async () => {
      const found = await examine(id, world.dependencies);
      return [found.tombstone?.basis, found.hasAllTombstones];
    };

    const erased = await isErased();
    put(documentKey(id), { basis: 'other' });
    const different = await isErased();
    for (const key of [documentKey(id), receiptKey(id), contextTombstoneKey(id)]) {
      put(key, { documentId: otherId });
    }
    const malformed = await isErased();

    expect(erased).toEqual(['DSR-2026-114', true]);
    expect(different).toEqual(['DSR-2026-114', false]);
    expect(malformed).toEqual([undefined, false]);
  });

  it('reads a tombstone of the largest size', async () => {
    const world = createArchive();
    world.archive();
    const { tombstone } = await world.erase();
    const missing = maxTombstoneBytes - tombstoneText(tombstone).length;
    const largest = { ...tombstone, erasedBy: `${tombstone.erasedBy}${'x'.repeat(missing)}` };
    for (const key of [documentKey(id), receiptKey(id), contextTombstoneKey(id)]) {
      const options = { metadata: { state: 'erased' } };
      world.bucket.versioned.put(key, Buffer.from(tombstoneText(largest)), options);
    }

    expect(await examine(id, world.dependencies)).toMatchObject({ hasAllTombstones: true });
  });

  it('states nothing that is erased as current', async () => {
    const world = createArchive();
    world.archive();
    await world.erase();

    expect(await examine(id, world.dependencies)).toMatchObject({ found: {}, versions: [], name: {} });
  });

  it('has the newest hold record only while it says that the document is held', async () => {
    const world = createArchive();
    world.archive();
    const hold = async () => (await examine(id, world.dependencies)).hold?.reason;

    await placeHold(id, { reason: 'Case 1', by: 'local' }, world.dependencies);
    const held = await hold();
    await releaseHold(id, { reason: 'closed', by: 'local' }, world.dependencies);

    expect([held, await hold()]).toEqual(['Case 1', undefined]);
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
  const locked = (mode: string, until: number) => ({
    ...version,
    lock: { held: false, retention: { mode, until } },
  });
  const hold = {
    v: 1,
    documentId: id,
    action: 'hold',
    at: '2026-11-24T12:00:00.000Z',
    by: 'local',
    reason: 'Case 1',
    archiver: 'test',
  } as const;

  it('names the latest lock, and COMPLIANCE before GOVERNANCE', () => {
    const versions = [
      version,
      locked('GOVERNANCE', noon + 9 * day),
      locked('COMPLIANCE', noon + day),
      locked('COMPLIANCE', noon + 2 * day),
    ];

    expect(refusalOf({ versions, hold: undefined }, true, noon)).toEqual({
      reason: 'locked',
      detail: 'COMPLIANCE lock until 2026-11-26T12:00:00.000Z; nobody can delete it before',
    });
  });

  it('has no objection to a GOVERNANCE lock with the bypass', () => {
    const versions = [locked('GOVERNANCE', noon + day)];

    expect(refusalOf({ versions, hold: undefined }, true, noon)).toBeUndefined();
    expect(refusalOf({ versions, hold: undefined }, false, noon)).toEqual({
      reason: 'locked',
      detail: 'GOVERNANCE lock until 2026-11-25T12:00:00.000Z; pass --bypass-governance',
    });
  });

  it('names the reason of a hold before all locks', () => {
    const versions = [{ ...version, lock: { held: true, retention: undefined } }];

    expect(refusalOf({ versions, hold }, false, noon)).toEqual({
      reason: 'held',
      detail: 'on hold since 2026-11-24T12:00:00.000Z: Case 1',
    });
  });

  it('objects to a legal hold of any version', () => {
    const versions = [{ ...version, lock: { held: true, retention: undefined } }, version];

    expect(refusalOf({ versions, hold: undefined }, true, noon)).toEqual({
      reason: 'held',
      detail: 'on legal hold in S3',
    });
  });

  it('has no objection to a lock that has ended', () => {
    const versions = [locked('COMPLIANCE', noon)];

    expect(refusalOf({ versions, hold: undefined }, false, noon)).toBeUndefined();
  });

  it('objects to a hold although nothing is left of the document', () => {
    expect(refusalOf({ versions: [], hold }, false, noon)?.reason).toBe('held');
  });
});
