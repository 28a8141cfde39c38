import { describe, expect, it } from 'vitest';
import { readRow } from '../../functions/audit/catalogue-reading.ts';
import { readReceipt } from '../../functions/audit/receipt-reading.ts';
import { type ListedRecords, stampOf } from '../../functions/bucket/catalogue-rows.ts';
import { type ContextFact, keyOfFact, maxContextBytes } from '../../functions/bucket/contexts.ts';
import { contextKey, documentKey, holdKey, receiptKey } from '../../functions/bucket/keys.ts';
import type { ListedKey } from '../../functions/bucket/listing.ts';
import { maxReceiptBytes } from '../../functions/bucket/receipts.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { tombstoneText } from '../../functions/bucket/tombstones.ts';
import { virtualTime } from '../fakes/clock.ts';
import { documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const never = new AbortController().signal;
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const document = documentOf(id, Buffer.from('a passport'));
document.record.customer_reference = 'PO-1';
const tombstone = {
  v: 1,
  state: 'erased',
  documentId: id,
  erasedAt: '2026-11-24T11:59:58.000Z',
  erasedBy: 'local',
  basis: 'DSR-1',
  erased: {},
  archiver: '0.2.0',
} as const;

function createArchive() {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const bucket = createBucket({ s3: memory as never, name: 'archive', time });
  const listed = (key: string): ListedKey => {
    const current = memory.versioned.current(key);
    return {
      key,
      current: current && {
        bytes: current.body.length,
        modified: current.modified,
        versionId: current.versionId,
        etag: current.etag,
      },
      otherVersions: 0,
      deleteMarkers: 0,
    };
  };
  const holds: string[] = [];
  const contexts: string[] = [];
  return {
    memory,
    put: (body: Buffer | string) => memory.put(receiptKey(id), body, noon),
    hold: (action: 'hold' | 'release', day: number, changes: object = {}) => {
      const at = `2026-11-0${day}T00:00:00.000Z`;
      const key = holdKey(id, Date.parse(at));
      const record = { v: 1, documentId: id, action, at, by: 'local', reason: 'Case 1', archiver: '0.2.0' };
      memory.put(key, JSON.stringify({ ...record, ...changes }), noon);
      holds.push(key);
    },
    learn: (fact: object, key?: string) => {
      const whole = { documentId: id, kind: 'porting-order', id: 'order-1', ...fact } as ContextFact;
      const at = key ?? keyOfFact(whole);
      const learntAt = '2026-11-20T00:00:00.000Z';
      memory.put(at, JSON.stringify({ v: 1, ...whole, learntAt, archiver: '0.2.0' }), noon);
      contexts.push(at);
    },
    read: async (known?: Parameters<typeof readRow>[4]) => {
      const records: ListedRecords = {
        receipt: listed(receiptKey(id)),
        contexts: contexts.toSorted().map(listed),
        holds: holds.map(listed),
      };
      return { row: await readRow(id, records, bucket, never, known), stamp: stampOf(records) };
    },
  };
}

describe('the row of an archived document', () => {
  it('states what its receipt states, in the order of the schema', async () => {
    const { put, read } = createArchive();
    put(written(receiptOf(document)));

    const { row, stamp } = await read();

    expect(JSON.stringify(row)).toBe(
      JSON.stringify({
        id,
        state: 'archived',
        stamp,
        name: '6e0c.pdf',
        reference: 'PO-1',
        type: 'application/pdf',
        bytes: 10,
        sha256: sha256('a passport'),
        created: '2026-11-14T12:00:00.000Z',
        archived: '2026-11-14T12:00:04.000Z',
        trigger: 'sweep',
      }),
    );
  });

  it('does not state what its receipt does not', async () => {
    const { put, read } = createArchive();
    const receipt = receiptOf(document);
    put(written({ ...receipt, telnyx: { id, sha256: document.record.sha256 } }));

    const { row } = await read();

    expect(row).toMatchObject({ id, state: 'archived', bytes: 10, archived: '2026-11-14T12:00:04.000Z' });
    expect(row).toMatchObject({ name: undefined, reference: undefined, created: undefined });
  });

  it('is made from a receipt that was read before, without reading it again', async () => {
    const { memory, put, read } = createArchive();
    const receipt = written(receiptOf(document));
    put(receipt);
    const { row } = await read();
    memory.requests.length = 0;

    const again = await read({ reading: readReceipt(id, Buffer.from(receipt)) });

    expect(again.row).toEqual(row);
    expect(memory.requests).toEqual([]);
  });

  it.each<[string, Parameters<ReturnType<typeof createArchive>['hold']>[], true | undefined]>([
    ['a hold', [['hold', 1]], true],
    [
      'a hold and its release',
      [
        ['hold', 1],
        ['release', 2],
      ],
      undefined,
    ],
    [
      'a hold after a release',
      [
        ['release', 1],
        ['hold', 2],
      ],
      true,
    ],
    [
      'a hold and a later record that the archiver did not write',
      [
        ['hold', 1],
        ['release', 2, { by: 7 }],
      ],
      true,
    ],
    ['a record for another document alone', [['hold', 1, { documentId: 'x' }]], undefined],
  ])('with %s says whether it is held', async (_what, records, held) => {
    const archive = createArchive();
    archive.put(written(receiptOf(document)));
    for (const record of records) archive.hold(...record);

    const { row } = await archive.read();

    expect(row?.held).toBe(held);
    expect(row?.state).toBe('archived');
  });

  it('is not made if a record cannot be read: the error is thrown', async () => {
    const { memory, put, hold, read } = createArchive();
    put(written(receiptOf(document)));
    hold('hold', 1);
    memory.refuse = (_operation, key) =>
      key.startsWith('holds/') ? { name: 'AccessDenied', status: 403 } : undefined;

    await expect(read()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });
});

describe('the relations of a row', () => {
  it('are what the contexts say, in the order of their keys', async () => {
    const { put, learn, read } = createArchive();
    put(written(receiptOf(document)));
    learn({ reference: 'LOA 7', numbers: ['+493012345678'] });
    learn({ kind: 'link', id: 'resource-1', type: 'porting_order' });

    const { row } = await read();

    expect(row?.relations).toHaveLength(2);
    expect(row?.relations).toContainEqual({
      kind: 'porting-order',
      id: 'order-1',
      reference: 'LOA 7',
      numbers: ['+493012345678'],
    });
    expect(row?.relations).toContainEqual({ kind: 'link', id: 'resource-1', type: 'porting_order' });
  });

  it('leave out objects that the archiver did not write, or that are too large', async () => {
    const { memory, put, learn, read } = createArchive();
    put(written(receiptOf(document)));
    learn({ id: 'forged' }, contextKey(id, 'a'.repeat(64)));
    learn({ id: 'large' }, contextKey(id, 'b'.repeat(64)));
    memory.put(contextKey(id, 'b'.repeat(64)), Buffer.alloc(maxContextBytes + 1), noon);
    learn({ id: 'whole' });

    const { row } = await read();

    expect(row?.relations).toEqual([{ kind: 'porting-order', id: 'whole' }]);
    expect(memory.requests).not.toContain(`get ${contextKey(id, 'b'.repeat(64))}`);
  });

  it('state a context of the largest size', async () => {
    const { memory, put, learn, read } = createArchive();
    put(written(receiptOf(document)));
    learn({ id: 'large' });
    const key = keyOfFact({ documentId: id, kind: 'porting-order', id: 'large' });
    const text = memory.text(key);
    memory.objects.delete(key);
    memory.put(key, text.padEnd(maxContextBytes), noon);

    const { row } = await read();

    expect(row?.relations).toEqual([{ kind: 'porting-order', id: 'large' }]);
  });

  it('of an erased document are not even read', async () => {
    const { memory, put, learn, read } = createArchive();
    put(tombstoneText(tombstone));
    learn({});

    const { row } = await read();

    expect(row).not.toHaveProperty('relations');
    expect(memory.requests.filter((request) => request.includes('contexts/'))).toEqual([]);
  });
});

describe('the row of an erased document', () => {
  it('states nothing but that it is erased', async () => {
    const { put, read } = createArchive();
    put(tombstoneText(tombstone));

    const { row, stamp } = await read();

    expect(row).toEqual({ id, state: 'erased', stamp });
  });

  it('also says that it is held', async () => {
    const { put, hold, read } = createArchive();
    put(tombstoneText(tombstone));
    hold('hold', 1);

    const { row, stamp } = await read();

    expect(row).toEqual({ id, state: 'erased', stamp, held: true });
  });
});

describe('there is no row for', () => {
  const receipt = receiptOf(document);
  it.each<[string, Buffer | string]>([
    ['no JSON', 'half a rec'],
    ['a receipt of another document', written({ ...receipt, documentId: id.replace('6', '7') })],
    [
      'a receipt that names another key',
      written({ ...receipt, object: { ...receipt.object, key: documentKey(id.replace('6', '7')) } }),
    ],
    ['a receipt that was edited', JSON.stringify(receipt)],
    ['a tombstone of another document', tombstoneText({ ...tombstone, documentId: id.replace('6', '7') })],
  ])('%s', async (_what, body) => {
    const { put, read } = createArchive();
    put(body);

    expect((await read()).row).toBeUndefined();
  });

  it('a receipt that is hidden or gone', async () => {
    const { memory, put, read } = createArchive();
    const missing = await read();
    put(written(receipt));
    memory.versioned.delete(receiptKey(id), undefined, { bypassGovernance: false });
    const hidden = await read();

    expect([missing.row, hidden.row]).toEqual([undefined, undefined]);
    expect(memory.requests).toEqual([]);
  });

  it('a receipt that is gone since it was listed', async () => {
    const { memory, put, read } = createArchive();
    put(written(receipt));
    memory.refuse = () => {
      memory.objects.delete(receiptKey(id));
      return undefined;
    };

    expect((await read()).row).toBeUndefined();
  });

  it.each([
    [maxReceiptBytes, true],
    [maxReceiptBytes + 1, false],
  ])('%d bytes that are not a receipt; they are read: %s', async (bytes, isRead) => {
    const { memory, put, read } = createArchive();
    put(Buffer.alloc(bytes));

    expect((await read()).row).toBeUndefined();
    expect(memory.requests).toEqual(isRead ? [`get ${receiptKey(id)}`] : []);
  });
});
