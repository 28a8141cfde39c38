import { describe, expect, it } from 'vitest';
import { examine, refusalOf } from '../../../cli/erasure/examine.ts';
import { placeHold, releaseHold } from '../../../cli/erasure/hold-document.ts';
import { latestHoldRecord } from '../../../functions/bucket/holds.ts';
import { contextKey, documentKey, holdPrefix, receiptKey } from '../../../functions/bucket/keys.ts';
import { type Tombstone, tombstoneObject, tombstoneText } from '../../../functions/bucket/tombstones.ts';
import { serviceError } from '../../fakes/service-error.ts';
import { createArchive, id, type Send } from './world.ts';

const keys = [documentKey(id), receiptKey(id)];
const never = new AbortController().signal;
const why = { reason: 'Case 1', by: 'local' };
type World = ReturnType<typeof createArchive>;
const holdsOf = ({ bucket }: World) =>
  keys.flatMap((key) => bucket.versioned.versions(key).map((version) => version.body && version.legalHold));
const recordOf = ({ dependencies: { bucket } }: World) => latestHoldRecord(id, bucket, never);
const recordKeys = ({ bucket }: World) =>
  [...bucket.objects.keys()].filter((key) => key.startsWith(holdPrefix));

/** Both tombstones and nothing else, as an erasure leaves them that had read no hold record yet. */
async function replaceByTombstones(world: World): Promise<void> {
  const erased = createArchive();
  erased.archive();
  const { tombstone } = await erased.erase();
  for (const key of keys) {
    world.bucket.versioned.remove(key);
    world.bucket.versioned.put(key, Buffer.from(tombstoneText(tombstone)), { metadata: { state: 'erased' } });
  }
}

describe('a hold', () => {
  it('is on object and receipt, and recorded with its reason', async () => {
    const world = createArchive();
    world.archive();

    const outcome = await placeHold(id, why, world.dependencies);

    expect(outcome).toBe('held');
    expect(holdsOf(world)).toEqual(['ON', 'ON']);
    expect(await recordOf(world)).toMatchObject({ action: 'hold', reason: 'Case 1', by: 'local' });
    expect(recordKeys(world)).toEqual([`holds/${id}/2026-11-24T12:00:00.000Z.json`]);
  });

  it('is not on contexts, which its record keeps from being erased', async () => {
    const world = createArchive();
    world.archive();
    const context = contextKey(id, '0'.repeat(64));
    world.bucket.put(context, 'who it is about', world.time.now());

    await placeHold(id, why, world.dependencies);

    expect(world.bucket.versioned.current(context)?.legalHold).toBeUndefined();
    const { unfinished } = await world.erase();
    expect(unfinished?.reason).toBe('held');
    expect(world.bucket.text(context)).toBe('who it is about');
  });

  it('is not placed on what is known of a document that is not archived', async () => {
    const world = createArchive();
    world.bucket.put(contextKey(id, '0'.repeat(64)), 'who it is about', world.time.now());

    expect(await placeHold(id, why, world.dependencies)).toBe('not-archived');
    expect(await releaseHold(id, why, world.dependencies)).toBe('not-archived');
    expect(recordKeys(world)).toEqual([]);
  });

  it('is on noncurrent versions as well, and leaves delete markers alone', async () => {
    const world = createArchive();
    world.bucket.put(documentKey(id), 'an older version', world.time.now());
    world.archive();
    world.bucket.versioned.delete(documentKey(id));

    expect(await placeHold(id, why, world.dependencies)).toBe('held');

    expect(holdsOf(world)).toEqual([undefined, 'ON', 'ON', 'ON']);
  });

  it('is on no tombstone if an erasure begins before any of its requests', async () => {
    const tombstone: Tombstone = {
      v: 1,
      state: 'erased',
      documentId: id,
      erasedAt: '2026-11-24T12:00:00.000Z',
      erasedBy: 'local',
      basis: 'Ticket 1',
      erased: {},
      archiver: 'test',
    };
    let requests = 1;
    for (let erasedBefore = 0; erasedBefore < requests; erasedBefore += 1) {
      requests = 0;
      const world: World = createArchive((send: Send) => async (command) => {
        if (requests === erasedBefore) {
          for (const key of keys.toReversed()) {
            const { body } = tombstoneObject(key, tombstone);
            world.bucket.versioned.put(key, body, { metadata: { state: 'erased' } });
          }
        }
        requests += 1;
        return send(command);
      });
      world.archive();

      expect(await placeHold(id, why, world.dependencies)).toBe('held');

      expect(holdsOf(world)).toEqual([undefined, 'ON', undefined, 'ON']);
    }
  });

  it('leaves no record for an ID of which there are only delete markers', async () => {
    const world = createArchive();
    for (const key of keys) world.bucket.versioned.delete(key);

    expect(await placeHold(id, why, world.dependencies)).toBe('not-archived');

    expect(recordKeys(world)).toEqual([]);
  });

  it('that was interrupted at any request is placed by the next call, with one record', async () => {
    const isInterruptedAt = async (limit: number) => {
      let sent = 0;
      const world = createArchive((send: Send) => async (command) => {
        sent += 1;
        if (sent > limit) throw serviceError('AccessDenied', 403);
        return send(command);
      });
      world.archive();
      const interrupted = await placeHold(id, why, world.dependencies).then(
        () => false,
        () => true,
      );
      const whole = world.dependenciesOf(world.bucket.send);
      const outcome = await placeHold(id, why, whole);
      expect(['held', 'already-held']).toContain(outcome);
      expect(holdsOf(world)).toEqual(['ON', 'ON']);
      expect(recordKeys(world)).toHaveLength(1);
      return interrupted;
    };

    let limit = 0;
    while (await isInterruptedAt(limit)) limit += 1;

    expect(limit).toBeGreaterThan(10);
  });

  it('of a document that is not archived changes nothing', async () => {
    const world = createArchive();

    expect(await placeHold(id, why, world.dependencies)).toBe('not-archived');
    expect(recordKeys(world)).toEqual([]);
  });

  it('of an erased document changes nothing', async () => {
    const world = createArchive();
    world.archive();
    await world.erase();

    expect(await placeHold(id, why, world.dependencies)).toBe('erased');
    expect(recordKeys(world)).toEqual([]);
  });

  it('that comes too late for some versions says so, and holds the others', async () => {
    const world = createArchive((send) => async (command) => {
      const answer = await send(command);
      // The erasure deletes the object when the hold has read that it is there.
      if (!erased && world.bucket.requests.at(-1)?.startsWith('put holds/')) {
        erased = true;
        world.bucket.versioned.remove(documentKey(id));
      }
      return answer;
    });
    let erased = false;
    world.archive();

    expect(await placeHold(id, why, world.dependencies)).toBe('partly-erased');
    expect(holdsOf(world)).toEqual(['ON']);
  });

  it('that was interrupted by the end of the erasure is recorded as released by the next call', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.refuse = (operation) =>
      operation === 'hold' ? { name: 'AccessDenied', status: 403 } : undefined;
    await expect(placeHold(id, why, world.dependencies)).rejects.toThrow('S3 denies access');
    const { dependencies } = world;
    await replaceByTombstones(world);

    expect(await placeHold(id, why, dependencies)).toBe('erased');
    expect(await recordOf(world)).toMatchObject({ action: 'release' });
    expect(refusalOf(await examine(id, dependencies), false, world.time.now())).toBeUndefined();
  });

  it('on what a stopped erasure has left says that the document is gone', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.refuse = (operation, key) =>
      operation === 'delete' && key === receiptKey(id) ? { name: 'AccessDenied', status: 403 } : undefined;
    await expect(world.erase()).rejects.toThrow('S3 denies access');

    expect(await placeHold(id, why, world.dependencies)).toBe('partly-erased');
    expect(world.versions()[0]).toHaveLength(1);
  });

  it('on a document whose erasure has deleted nothing yet says that it is held', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.refuse = (operation) =>
      operation === 'delete' ? { name: 'AccessDenied', status: 403 } : undefined;
    await expect(world.erase()).rejects.toThrow('S3 denies access');

    expect(await placeHold(id, why, world.dependencies)).toBe('held');
    expect(holdsOf(world)).toEqual([undefined, 'ON', undefined, 'ON']);
  });

  it('is recorded although somebody else has set the legal holds', async () => {
    const world = createArchive();
    world.archive();
    for (const key of keys) world.bucket.versioned.setLegalHold(key, undefined, 'ON');

    expect(await placeHold(id, why, world.dependencies)).toBe('held');
    expect(await recordOf(world)).toMatchObject({ action: 'hold', reason: 'Case 1' });
  });

  it('that comes too late for all versions is recorded as released', async () => {
    const world = createArchive((send) => async (command) => {
      const answer = await send(command);
      if (!erased && world.bucket.requests.at(-1)?.startsWith('put holds/')) {
        erased = true;
        for (const key of keys) world.bucket.versioned.remove(key);
      }
      return answer;
    });
    let erased = false;
    world.archive();

    expect(await placeHold(id, why, world.dependencies)).toBe('erased');
    expect(await recordOf(world)).toMatchObject({
      action: 'release',
      reason: 'The document was erased before the hold was in place.',
    });
  });

  it('that is in place is not placed again, but on versions that have come since', async () => {
    const world = createArchive();
    world.archive();
    await placeHold(id, why, world.dependencies);
    world.advance(1);

    const again = await placeHold(id, { ...why, reason: 'Case 2' }, world.dependencies);
    world.bucket.put(documentKey(id), 'a later version', world.time.now());
    const later = await placeHold(id, why, world.dependencies);

    expect([again, later]).toEqual(['already-held', 'held']);
    expect(holdsOf(world)).toEqual(['ON', 'ON', 'ON']);
    expect(recordKeys(world)).toHaveLength(1);
  });
});

describe('a release', () => {
  it('ends the hold of object and receipt, and is recorded after it', async () => {
    const world = createArchive();
    world.archive();
    await placeHold(id, why, world.dependencies);

    const outcome = await releaseHold(id, { reason: 'closed', by: 'local' }, world.dependencies);

    expect(outcome).toBe('released');
    expect(holdsOf(world)).toEqual(['OFF', 'OFF']);
    expect(await recordOf(world)).toMatchObject({ action: 'release', reason: 'closed' });
    expect((await examine(id, world.dependencies)).hold).toBeUndefined();
  });

  it('ends a legal hold that has no record', async () => {
    const world = createArchive();
    world.archive();
    world.bucket.versioned.setLegalHold(receiptKey(id), undefined, 'ON');

    expect(await releaseHold(id, why, world.dependencies)).toBe('released');
    expect(holdsOf(world)).toEqual([undefined, 'OFF']);
  });

  it('leaves the document held while its record is not written', async () => {
    const world = createArchive();
    world.archive();
    await placeHold(id, why, world.dependencies);
    world.bucket.refuse = (operation, key) =>
      operation === 'put' && key.startsWith(holdPrefix) ? { name: 'AccessDenied', status: 403 } : undefined;

    await expect(releaseHold(id, why, world.dependencies)).rejects.toMatchObject({
      code: 'BucketMisconfigured',
    });

    expect((await examine(id, world.dependencies)).hold?.action).toBe('hold');
    world.bucket.refuse = () => undefined;
    expect(await releaseHold(id, why, world.dependencies)).toBe('released');
  });

  it('tells an ID that is not held from one that is not archived', async () => {
    const world = createArchive();

    expect(await releaseHold(id, why, world.dependencies)).toBe('not-archived');
    world.archive();
    expect(await releaseHold(id, why, world.dependencies)).toBe('not-held');
    expect(recordKeys(world)).toEqual([]);
  });

  it('sorts after the hold although the clock has gone back', async () => {
    const world = createArchive();
    world.archive();
    await placeHold(id, why, world.dependencies);
    world.advance(-60_000);

    await releaseHold(id, why, world.dependencies);

    expect(await recordOf(world)).toMatchObject({ action: 'release', at: '2026-11-24T12:00:00.001Z' });
  });
});
