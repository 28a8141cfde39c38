import { describe, expect, it } from 'vitest';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { createReceipts, type NewReceipt } from '../../functions/bucket/receipts.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { type Tombstone, tombstoneObject } from '../../functions/bucket/tombstones.ts';
import { isReceiptUpload, sha256, startWorld } from '../archive/world.ts';

const never = new AbortController().signal;
const documentId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

const erasedContent: Tombstone = {
  v: 1,
  state: 'erased',
  documentId,
  erasedAt: '2026-11-24T12:00:00.000Z',
  erasedBy: 'arn:aws:iam::111122223333:role/break-glass',
  basis: 'ticket 4711',
  erased: { receipt: { sha256: 'a'.repeat(64) } },
  archiver: '0.0.0-test',
};

function receiptOf(content: string, archivedAt = '2026-11-24T00:00:00.000Z'): NewReceipt {
  return {
    v: 1,
    documentId,
    archivedAt,
    object: {
      key: `documents/${documentId}`,
      bytes: content.length,
      sha256: sha256(Buffer.from(content)),
      sha256StatedBy: 'telnyx',
      etag: '"an etag"',
      versionId: undefined,
    },
    request: { trigger: 'sweep', requestedAt: '2026-11-24T00:00:00.000Z', receives: 1 },
    archiver: '0.0.0-test',
    telnyx: `{"id":"${documentId}", "filename":"Vollmacht Müller – 2026 📄.pdf",\n"unknown":[null,{"a":1}]}`,
  };
}

describe('a receipt', () => {
  it('exists after it is written, complete and readable', async () => {
    const { dependencies, receipt } = await startWorld();
    const { receipts, bucket } = dependencies;
    expect(await receipts.state(documentId, never)).toBeUndefined();

    const written = await receipts.writeOnce(receiptOf('bytes'), never);

    expect(written).toBe('written');
    expect(await receipts.state(documentId, never)).toBe('archived');
    const { telnyx, ...own } = receiptOf('bytes');
    expect(await receipt(documentId)).toEqual({
      ...JSON.parse(JSON.stringify(own)),
      telnyx: JSON.parse(telnyx),
    });
    const text = (await bucket.read(receiptKey(documentId), never))?.toString('utf8') ?? '';
    expect(text).toContain('Vollmacht Müller – 2026 📄.pdf');
    // Telnyx's record is kept byte for byte, including its white space.
    expect(text).toContain(`"telnyx": ${telnyx}\n}\n`);
    expect(text.endsWith('}\n')).toBe(true);
  });

  it('is not replaced by a later receipt for the same bytes', async () => {
    const { dependencies, receipt } = await startWorld();
    const first = receiptOf('bytes');
    await dependencies.receipts.writeOnce(first, never);

    const written = await dependencies.receipts.writeOnce(
      receiptOf('bytes', '2026-11-25T00:00:00.000Z'),
      never,
    );

    expect(written).toBe('archived');
    expect((await receipt(documentId))?.archivedAt).toBe(first.archivedAt);
  });

  it('is not replaced by a receipt for other bytes, which fails with KeyCollision', async () => {
    const { dependencies, receipt } = await startWorld();
    await dependencies.receipts.writeOnce(receiptOf('bytes'), never);

    await expect(dependencies.receipts.writeOnce(receiptOf('other'), never)).rejects.toMatchObject({
      code: 'KeyCollision',
      retryPolicy: 'dead-letter',
    });

    expect((await receipt(documentId))?.object.sha256).toBe(receiptOf('bytes').object.sha256);
  });

  it.each(['', 'not JSON', 'null', '{}', '{"object":{"sha256":7}}'])(
    'fails with KeyCollision if its key has an object that is not a receipt: %j',
    async (existing) => {
      const { dependencies } = await startWorld();
      const body = Buffer.from(existing);
      await dependencies.bucket.putOnce(
        {
          key: receiptKey(documentId),
          body,
          bytes: body.length,
          sha256: undefined,
          contentType: 'text/plain',
        },
        never,
      );

      await expect(dependencies.receipts.writeOnce(receiptOf('bytes'), never)).rejects.toMatchObject({
        code: 'KeyCollision',
      });
    },
  );

  it('is not written over a tombstone', async () => {
    const { dependencies } = await startWorld();
    const tombstone = tombstoneObject(receiptKey(documentId), erasedContent);
    await dependencies.bucket.putOnce(tombstone, never);

    const written = await dependencies.receipts.writeOnce(receiptOf('bytes'), never);

    expect(written).toBe('erased');
    expect(await dependencies.bucket.read(tombstone.key, never)).toEqual(tombstone.body);
  });

  it.each([
    ['of another document', { documentId: '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f02' }],
    ['with an unknown field', { reason: 'none' }],
  ])('fails with KeyCollision if its key has a tombstone %s', async (_, change) => {
    const { dependencies } = await startWorld();
    const tombstone = tombstoneObject(receiptKey(documentId), { ...erasedContent, ...change });
    await dependencies.bucket.putOnce(tombstone, never);

    await expect(dependencies.receipts.writeOnce(receiptOf('bytes'), never)).rejects.toMatchObject({
      code: 'KeyCollision',
    });
  });

  it.each([
    [undefined, undefined],
    [{}, 'archived'],
    [{ state: 'erased' }, 'erased'],
  ] as const)('is told from a tombstone by the metadata of its object: %j is %s', async (existing, state) => {
    const object = existing && {
      bytes: 1,
      sha256: undefined,
      etag: undefined,
      versionId: undefined,
      ...existing,
    };
    const receipts = createReceipts({ head: async () => object } as unknown as Bucket);

    expect(await receipts.state(documentId, never)).toBe(state);
  });

  it('is written, although the first response is lost', async () => {
    const world = await startWorld();
    world.fail({ kind: 'lose-reply' }, isReceiptUpload);

    const written = await world.dependencies.receipts.writeOnce(receiptOf('bytes'), never);

    expect(world.s3.requests.get('PutObject')).toBe(2);
    expect(written).toBe('written');
  });

  it('fails with BucketConflict if an existing receipt is gone when it is read', async () => {
    const world = await startWorld();
    world.fail(
      { kind: 'error', status: 412, code: 'PreconditionFailed', when: 'after-body' },
      isReceiptUpload,
    );

    await expect(world.dependencies.receipts.writeOnce(receiptOf('bytes'), never)).rejects.toMatchObject({
      code: 'BucketConflict',
      retryPolicy: 'wait',
    });
  });
});
