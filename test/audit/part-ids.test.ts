/** One part of sort `ids`, with small limits: on a bucket in memory. */
import { describe, expect, it, vi } from 'vitest';
import { PartCatalogue } from '../../functions/audit/part-catalogue.ts';
import { createPartContext } from '../../functions/audit/part-context.ts';
import { auditIds } from '../../functions/audit/part-ids.ts';
import type { AuditPlan } from '../../functions/audit/records.ts';
import { shareOf } from '../../functions/audit/shares.ts';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import { shardOf, stampOf } from '../../functions/bucket/catalogue-rows.ts';
import { encodeShard } from '../../functions/bucket/catalogue-shards.ts';
import { contextKey, documentKey, holdKey, receiptKey, shardKey } from '../../functions/bucket/keys.ts';
import { formatEntry, manifestKey } from '../../functions/bucket/manifest-text.ts';
import { tombstoneText } from '../../functions/bucket/tombstones.ts';
import { sleep } from '../../functions/time.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { putRun, runRecords } from '../fakes/audit-runs.ts';
import { createCatalogue } from '../fakes/catalogue.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, receiptOf, type TelnyxRecord, written } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

vi.mock('../../functions/limits.ts', async (original) => {
  const limits = await original<typeof import('../../functions/limits.ts')>();
  return { ...limits, nightlyAudit: { ...limits.nightlyAudit, maxPartDocuments: 3, maxPartBytes: 1_000 } };
});

const [run, lastRun] = ['20261124T021500Z', '20261123T021500Z'];
const part = { sort: 'ids', from: '', before: '' } as const;
/** Of different first digits, in cells and shards of their own; 1001, 1002 and so on in those of 1. */
const idOf = (number: number) => `${String(number).padEnd(8, '0')}-0000-4000-8000-000000000001`;

function startWorld({
  catalogue,
  signal = new AbortController().signal,
}: {
  catalogue?: CatalogueStore;
  signal?: AbortSignal;
} = {}) {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const account = new Map<string, TelnyxRecord>();
  const { dependencies, lines } = createAuditFunction({ bucket, time, account, catalogue });
  /** @param changes of the plan, by which nothing is of the share of the day */
  const contextOf = (changes: Partial<AuditPlan> = {}) =>
    createPartContext(
      { ...runRecords(run, { shares: [] }).plan, ...changes },
      { workMs: 60_000, signal },
      dependencies,
    );
  return {
    time,
    bucket,
    account,
    lines,
    contextOf,
    listedReceipt: (number: number) => {
      const current = bucket.versioned.current(receiptKey(idOf(number)));
      const { body = Buffer.alloc(0), modified = 0, versionId = '', etag = '' } = current ?? {};
      return {
        id: idOf(number),
        key: receiptKey(idOf(number)),
        current: { bytes: body.length, modified, versionId, etag },
        otherVersions: 0,
        deleteMarkers: 0,
      };
    },
    archive: (number: number, bytes = 10) => {
      const document = documentOf(idOf(number), Buffer.alloc(bytes, number));
      bucket.put(documentKey(idOf(number)), document.body, noon - 9 * day);
      bucket.put(receiptKey(idOf(number)), written(receiptOf(document)), noon - 9 * day);
      return document;
    },
    erase: (number: number) => {
      const grave = tombstoneText({
        v: 1,
        state: 'erased',
        documentId: idOf(number),
        erasedAt: new Date(noon - day).toISOString(),
        erasedBy: 'role',
        basis: 'DSR-1',
        erased: {},
        archiver: '0.2.0',
      });
      for (const key of [documentKey(idOf(number)), receiptKey(idOf(number))]) {
        bucket.versioned.put(key, Buffer.from(grave), {
          verified: Buffer.from(grave),
          metadata: { state: 'erased' },
          modified: noon - 9 * day,
        });
      }
      return sha256(grave);
    },
    /** The archive as it is now is what the last run has found. */
    recordLastRun: async () => {
      const { cells = {} } = await auditIds(part, contextOf({ shares: [] }));
      putRun(bucket, lastRun, { parts: { ids__: { cells } } });
      bucket.requests.length = 0;
    },
    /** Puts a manifest with these lines, and returns how the plan names it. */
    putManifest: (timestamp: string, ...entries: Parameters<typeof formatEntry>) => {
      const text = entries.map(formatEntry).join('');
      bucket.put(manifestKey(timestamp), text, noon - 9 * day);
      return { key: manifestKey(timestamp), sha256: sha256(text) };
    },
    /** The requests for a document since the last call. */
    requestsFor: (number: number) =>
      bucket.requests.splice(0).filter((request) => request.includes(idOf(number))),
  };
}

const [head, receipt, bytes] = [
  `head ${documentKey(idOf(1))}`,
  `get ${receiptKey(idOf(1))}`,
  `get ${documentKey(idOf(1))}`,
];

describe('a part of IDs', () => {
  it('counts what it has gone over, and states only problems', async () => {
    const { bucket, archive, erase, contextOf } = startWorld();
    archive(1);
    const hold = { v: 1, documentId: idOf(1), action: 'hold', at: new Date(noon).toISOString() };
    bucket.put(
      holdKey(idOf(1), noon),
      JSON.stringify({ ...hold, by: 'role', reason: 'Case 12', archiver: '0.2.0' }),
      noon,
    );
    for (const key of [documentKey(idOf(1)), receiptKey(idOf(1))]) {
      bucket.versioned.setLegalHold(key, undefined, 'ON');
    }
    erase(2);
    archive(3);
    bucket.objects.delete(documentKey(idOf(3)));
    const context = contextOf({ full: true });

    const { findings, rest } = await auditIds(part, context);

    expect(rest).toBeUndefined();
    expect(findings).toMatchObject([{ code: 'no-object', documentId: idOf(3), atTelnyx: false }]);
    expect(context.tally).toMatchObject({
      documents: 3,
      archived: 2,
      held: 1,
      bytes: 10,
      receiptsRead: 3,
      counts: { same: 1, erased: 1, 'no-object': 1 },
    });
  });

  it('asks Telnyx for a document without a receipt, and judges it with the answer', async () => {
    const { bucket, account, archive, contextOf } = startWorld();
    account.set(idOf(1), archive(1).record);
    bucket.objects.delete(receiptKey(idOf(1)));
    const context = contextOf();

    const { findings } = await auditIds(part, context);

    expect(findings).toMatchObject([{ code: 'no-receipt', atTelnyx: true }]);
    expect(context.tally).toMatchObject({ documents: 1, archived: 0, bytes: 0, receiptsRead: 0 });
  });

  it('goes over its stretch only', async () => {
    const { archive, contextOf } = startWorld();
    for (const number of [1, 2, 3, 4]) archive(number);
    const context = contextOf();

    const { cells } = await auditIds({ ...part, from: '2', before: '4' }, context);

    expect(Object.keys(cells ?? {})).toEqual(['200', '300']);
    expect(context.tally.documents).toBe(2);
  });

  it('states a manifest that is gone, and goes on with the names of the others', async () => {
    const { putManifest, contextOf } = startWorld();
    const named = putManifest('20261110T120000Z', {
      id: idOf(1),
      document: sha256('1'),
      receipt: sha256('r'),
    });
    const gone = { key: manifestKey('20261111T120000Z'), sha256: sha256('gone') };

    const { findings } = await auditIds(part, contextOf({ manifests: [gone, named] }));

    expect(findings).toMatchObject([{ key: gone.key }, { code: 'lost', documentId: idOf(1) }]);
  });
});

describe('a part of IDs that has done enough', () => {
  it('after so many documents leaves the others to its rest', async () => {
    const { archive, contextOf } = startWorld();
    for (const number of [1, 2, 3, 4, 5]) archive(number);
    const context = contextOf();

    const { rest, cells } = await auditIds({ ...part, before: 'c' }, context);

    expect(rest).toEqual({ sort: 'ids', from: idOf(4), before: 'c' });
    expect(context.tally.documents).toBe(3);
    expect(Object.keys(cells ?? {})).toEqual(['100', '200', '300']);
  });

  it('has no rest after exactly so many documents', async () => {
    const { archive, contextOf } = startWorld();
    for (const number of [1, 2, 3]) archive(number);

    expect(await auditIds(part, contextOf())).not.toHaveProperty('rest');
  });

  it('ends after so many bytes, of the documents whose bytes it reads', async () => {
    const { bucket, archive, contextOf } = startWorld();
    for (const number of [1, 2, 3]) archive(number, 500);

    const read = await auditIds(part, contextOf({ full: true }));
    const notRead = await auditIds(part, contextOf({ full: true, readsBytes: false }));
    // What a delete marker hides has no bytes.
    bucket.versioned.delete(documentKey(idOf(1)), undefined, { bypassGovernance: false });
    const hidden = await auditIds(part, contextOf({ full: true }));

    expect(read.rest).toMatchObject({ from: idOf(3) });
    expect(notRead.rest).toBeUndefined();
    expect(hidden.rest).toBeUndefined();
  });

  it('ends when its time is up, after at least one document', async () => {
    const { time, archive, contextOf } = startWorld();
    for (const number of [1, 2]) archive(number);
    const context = contextOf();
    await sleep(time, 36_000);

    const { rest } = await auditIds(part, context);

    expect(rest).toMatchObject({ from: idOf(2) });
    expect(context.tally.documents).toBe(1);
  });

  it('leaves foreign objects behind its end to its rest, and no other finding', async () => {
    const { bucket, archive, contextOf } = startWorld();
    for (const number of [1, 2, 3, 4]) archive(number);
    for (const number of [1, 3, 4, 5]) bucket.put(`documents/${idOf(number)}.txt`, 'x', noon);
    bucket.put(`documents/${idOf(2)}.txt`, 'x', noon);
    bucket.versioned.delete(`documents/${idOf(2)}.txt`, undefined, { bypassGovernance: false });
    bucket.put(documentKey(idOf(3)), Buffer.alloc(10, 3), noon);

    const { findings } = await auditIds(part, contextOf());

    expect(findings.map(({ code, key, detail }) => [code, key, detail])).toEqual([
      ['foreign', `documents/${idOf(1)}.txt`, '1 bytes, other versions: 0'],
      ['foreign', `documents/${idOf(2)}.txt`, 'hidden by a delete marker, other versions: 1'],
      ['foreign', `documents/${idOf(3)}.txt`, '1 bytes, other versions: 0'],
      ['overwritten', documentKey(idOf(3)), expect.any(String)],
    ]);
  });
});

it('A part of IDs that ends early states a manifest that is gone as well', async () => {
  const { archive, contextOf } = startWorld();
  for (const number of [1, 1001, 1002, 1003]) archive(number);
  const gone = { key: manifestKey('20261111T120000Z'), sha256: sha256('gone') };

  const { findings, rest } = await auditIds(part, contextOf({ manifests: [gone] }));

  expect(rest).toMatchObject({ from: idOf(1003) });
  expect(findings).toMatchObject([{ key: gone.key }]);
});

describe('of a document that the last run saw as it is now, a part of IDs reads', () => {
  const share = [shareOf(idOf(1), 30)];

  it.each<[string, Partial<AuditPlan>, string[]]>([
    ['nothing, if it is not of the share of the day', {}, []],
    ['everything, if it is of the share of the day', { shares: share }, [head, receipt, bytes]],
    ['its records, if the stage reads no bytes', { shares: share, readsBytes: false }, [head, receipt]],
    ['everything, if the run is in full', { full: true }, [head, receipt, bytes]],
    ['its records, if the next manifest must name it', { manifest: run }, [head, receipt]],
    ['its records, if it is the first run', { lastRun: undefined as never }, [head, receipt]],
  ])('%s', async (_what, changes, expected) => {
    const { archive, recordLastRun, contextOf, requestsFor } = startWorld();
    archive(1);
    await recordLastRun();
    const context = contextOf({ lastRun, ...changes });

    await auditIds(part, context);

    expect(requestsFor(1)).toEqual(expected);
    expect(context.tally).toMatchObject({
      documents: 1,
      archived: 1,
      bytes: 10,
      receiptsRead: expected.includes(receipt) ? 1 : 0,
      objectsRead: expected.includes(bytes) ? 1 : 0,
      bytesRead: expected.includes(bytes) ? 10 : 0,
    });
  });

  it.each([
    ['nothing, if a manifest names its object and its receipt', { document: true, receipt: true }, []],
    ['its records, if the manifests name its object only', { document: true }, [head, receipt]],
    ['its records, if the manifests name its receipt only', { receipt: true }, [head, receipt]],
  ])('%s', async (_what, names: { document?: boolean; receipt?: boolean }, expected) => {
    const { archive, putManifest, recordLastRun, contextOf, requestsFor } = startWorld();
    const document = archive(1);
    const manifest = putManifest('20261110T120000Z', {
      id: idOf(1),
      document: names.document ? sha256(document.body) : undefined,
      receipt: names.receipt ? sha256(written(receiptOf(document))) : undefined,
    });
    await recordLastRun();

    await auditIds(part, contextOf({ lastRun, manifest: run, manifests: [manifest] }));

    expect(requestsFor(1)).toEqual(expected);
  });

  it('its records, if it is as large as its receipt: an erasure leaves the same at both keys', async () => {
    const { erase, recordLastRun, contextOf, requestsFor } = startWorld();
    erase(1);
    await recordLastRun();
    const context = contextOf({ lastRun });

    await auditIds(part, context);

    expect(requestsFor(1)).toContain(receipt);
    expect(context.tally).toMatchObject({ archived: 0, counts: { erased: 1 } });
  });

  it('its records, if delete markers hide them, whatever the last run has found', async () => {
    const { bucket, archive, recordLastRun, contextOf } = startWorld();
    archive(1);
    for (const key of [documentKey(idOf(1)), receiptKey(idOf(1))]) bucket.versioned.delete(key);
    await recordLastRun();

    const { findings } = await auditIds(part, contextOf({ lastRun }));

    expect(findings.map(({ code, key }) => [code, key])).toEqual([
      ['hidden', documentKey(idOf(1))],
      ['hidden', receiptKey(idOf(1))],
    ]);
  });

  it('its contexts, if it was never archived', async () => {
    const { bucket, recordLastRun, contextOf, requestsFor } = startWorld();
    const key = contextKey(idOf(1), '0'.repeat(64));
    bucket.put(key, 'x', noon - 9 * day);
    await recordLastRun();

    const { findings } = await auditIds(part, contextOf({ lastRun }));

    expect(requestsFor(1)).toEqual([`get ${key}`]);
    expect(findings).toMatchObject([{ code: 'foreign', key }]);
  });

  it('everything, if its listing differs now', async () => {
    const { bucket, archive, recordLastRun, contextOf, requestsFor } = startWorld();
    archive(1);
    await recordLastRun();
    bucket.objects.delete(documentKey(idOf(1)));
    archive(1);

    await auditIds(part, contextOf({ lastRun }));

    expect(requestsFor(1)).toEqual(expect.arrayContaining([head, receipt, bytes]));
  });
});

describe('a part of IDs in a run that writes a manifest', () => {
  it('writes the entries of its documents, tombstones included, and of those without a receipt none', async () => {
    const { bucket, archive, erase, contextOf } = startWorld();
    const document = archive(1);
    const grave = erase(2);
    archive(3);
    bucket.objects.delete(receiptKey(idOf(3)));

    const { manifest } = await auditIds({ ...part, before: '4' }, contextOf({ manifest: run }));

    expect(manifest).toMatchObject({ documents: 2, sha256: sha256(bucket.text(manifest?.key ?? '')) });
    expect(bucket.text(manifest?.key ?? '')).toBe(
      [
        { id: idOf(1), document: sha256(document.body), receipt: sha256(written(receiptOf(document))) },
        { id: idOf(2), document: grave, receipt: grave },
      ]
        .map(formatEntry)
        .join(''),
    );
  });

  it('names a receipt that was replaced as the manifests before, so that each later run reports it', async () => {
    const { bucket, archive, putManifest, contextOf } = startWorld();
    const entry = {
      id: idOf(1),
      document: sha256(archive(1).body),
      receipt: sha256('the receipt before'),
    };
    const manifests = [putManifest('20261110T120000Z', entry)];

    const { manifest } = await auditIds(part, contextOf({ manifest: run, manifests }));

    expect(bucket.text(manifest?.key ?? '')).toBe(formatEntry(entry));
  });

  it('names in its file what it has gone over', async () => {
    const { archive, contextOf } = startWorld();
    for (const number of [1, 2, 3, 4]) archive(number);

    const { manifest } = await auditIds(part, contextOf({ manifest: run }));

    expect(manifest).toMatchObject({ key: expect.stringContaining(idOf(4)), documents: 3 });
  });

  it('writes none otherwise', async () => {
    const { archive, contextOf } = startWorld();
    archive(1);

    expect(await auditIds(part, contextOf())).not.toHaveProperty('manifest');
  });
});

describe('a part of IDs with a catalogue', () => {
  it('says so once the catalogue has all of its documents', async () => {
    const { store, rows } = createCatalogue();
    const { archive, contextOf, listedReceipt } = startWorld({ catalogue: store });
    archive(1);
    const stamp = stampOf({ receipt: listedReceipt(1), contexts: [], holds: [] });

    expect(await auditIds(part, contextOf())).toMatchObject({ catalogue: true });
    expect(await rows()).toMatchObject([{ id: idOf(1), stamp }]);
  });

  it('reads the receipt of a document that has not changed only if its row is missing', async () => {
    const { store, bucket, rows } = createCatalogue();
    const { archive, recordLastRun, contextOf, requestsFor } = startWorld({ catalogue: store });
    archive(1);
    await recordLastRun();

    await auditIds(part, contextOf({ lastRun }));
    const withRow = requestsFor(1);
    const before = await rows();
    bucket.objects.delete(shardKey('100'));
    await auditIds(part, contextOf({ lastRun }));

    expect(withRow).toEqual([]);
    expect(requestsFor(1)).toEqual([receipt]);
    expect(await rows()).toEqual(before);
  });

  it('goes over no other shards if they cannot be listed', async () => {
    const { store, bucket } = createCatalogue();
    const { archive, contextOf } = startWorld({ catalogue: store });
    archive(1);
    bucket.refuse = (operation) => (operation === 'list' ? { name: 'AccessDenied', status: 403 } : undefined);

    await auditIds(part, contextOf());

    expect(bucket.requests).toEqual([`get ${shardKey('100')}`, `put ${shardKey('100')}`, 'list rows/']);
  });

  it('does not say so if the catalogue fails, or if there is none', async () => {
    const { store, bucket } = createCatalogue();
    bucket.refuse = () => ({ name: 'AccessDenied', status: 403 });
    const failing = startWorld({ catalogue: store });
    const none = startWorld();
    for (const { archive } of [failing, none]) archive(1);

    expect(await auditIds(part, failing.contextOf())).not.toHaveProperty('catalogue');
    expect(await auditIds(part, none.contextOf())).not.toHaveProperty('catalogue');
  });

  it('reads each shard once, and writes it once its last document is done', async () => {
    const { store, bucket } = createCatalogue();
    const { archive, contextOf, listedReceipt } = startWorld({ catalogue: store });
    for (const number of [1, 1001, 2]) archive(number);
    const context = contextOf();
    const catalogue = PartCatalogue.of(context, part);
    const rows = [1, 1001, 2].map((number) => ({
      row: { id: idOf(number), receipt: listedReceipt(number) },
    }));
    const inspection = { evidence: { documentId: '' }, findings: [] };

    for await (const { row } of catalogue?.follow(streamOf(rows)) ?? []) {
      await catalogue?.add(row, inspection);
    }
    const before = bucket.requests.splice(0);
    await catalogue?.end(part);

    expect(before).toEqual([`get ${shardKey('100')}`, `get ${shardKey('200')}`, `put ${shardKey('100')}`]);
    expect(bucket.requests).toEqual([`put ${shardKey('200')}`, 'list rows/', 'list rows/']);
    // Three receipts are read, too. A listing counts once.
    expect(context.tally.requests).toBe(3 + 2 + 3);
  });

  it('drops the rows of documents that are gone, in its stretch only', async () => {
    const { store, bucket, rows } = createCatalogue();
    const { archive, contextOf } = startWorld({ catalogue: store });
    const sibling = idOf(2).replace(/1$/, '0');
    for (const ids of [[idOf(1)], [sibling, idOf(2)], [idOf(3)], [idOf(4)]]) await putShard(store, ids);
    archive(3);
    bucket.requests.length = 0;

    await auditIds({ ...part, from: idOf(2), before: '4' }, contextOf());
    const reads = bucket.requests.filter((request) => request.startsWith('get '));

    expect(reads).toEqual(['300', '200'].map((shard) => `get ${shardKey(shard)}`));
    expect((await rows()).map(({ id }) => id)).toEqual([idOf(1), sibling, idOf(3), idOf(4)]);
  });

  it('drops the row of a document that is gone, also in a shard that it leaves behind', async () => {
    const { store, rows } = createCatalogue();
    const { bucket, archive, contextOf } = startWorld({ catalogue: store });
    const [gone, hidden] = ['f0000000-0000-4000-8000-000000000000', 'f0000000-0000-4000-8000-000000000001'];
    await putShard(store, [gone, hidden]);
    const document = documentOf('f0100000-0000-4000-8000-000000000001', Buffer.from('x'));
    for (const id of [hidden, document.record.id]) {
      bucket.put(documentKey(id), document.body, noon - 9 * day);
      bucket.put(receiptKey(id), written(receiptOf(document)), noon - 9 * day);
    }
    bucket.versioned.delete(receiptKey(hidden), undefined, { bypassGovernance: false });
    archive(1);

    await auditIds(part, contextOf());

    expect((await rows()).map(({ id }) => id)).toEqual([idOf(1), document.record.id]);
  });

  it('keeps the rows behind its end, without asking for their receipts', async () => {
    const { store, rows } = createCatalogue();
    const { bucket, archive, contextOf } = startWorld({ catalogue: store });
    const [gone, ...numbers] = [1, 1001, 1002, 1003, 1004] as const;
    await putShard(store, [gone, ...numbers].map(idOf));
    for (const number of numbers) archive(number);
    bucket.objects.delete(receiptKey(idOf(1004)));

    const { rest } = await auditIds(part, contextOf());

    expect(rest).toMatchObject({ from: idOf(1004) });
    expect((await rows()).map(({ id }) => id)).toEqual(numbers.map(idOf));
    const heads = bucket.requests.filter((request) => request.startsWith('head receipts/'));
    expect(heads).toEqual([`head ${receiptKey(idOf(gone))}`]);
  });

  it('logs once why a shard was not updated', async () => {
    const { store, bucket } = createCatalogue();
    const { archive, contextOf, lines } = startWorld({ catalogue: store });
    archive(1);
    bucket.refuse = (operation) => (operation === 'get' ? { name: 'AccessDenied', status: 403 } : undefined);

    await auditIds(part, contextOf());

    expect(lines.filter(({ level }) => level === 'WARN')).toEqual([
      expect.objectContaining({
        level: 'WARN',
        message: 'Catalogue not updated: the next night tries again',
        run,
        code: 'BucketMisconfigured',
        reason: expect.stringContaining('S3 denies access'),
        cause: 'AccessDenied',
      }),
    ]);
  });

  it('ends with the reason for which its invocation ends, and logs no failure of the catalogue then', async () => {
    const { store, bucket } = createCatalogue();
    const stop = new AbortController();
    const { archive, contextOf, lines } = startWorld({ catalogue: store, signal: stop.signal });
    archive(1);
    bucket.refuse = () => {
      stop.abort(new Error('over'));
      return { name: 'AccessDenied', status: 403 };
    };

    await expect(auditIds(part, contextOf())).rejects.toThrow('over');

    expect(lines).toEqual([]);
  });
});

/** Puts a shard with rows that no audit has made. */
async function putShard(store: CatalogueStore, ids: readonly string[]): Promise<void> {
  const rows = ids.map((id) => ({ id, state: 'archived' as const, stamp: 'x' }));
  await store.write(shardOf(ids[0] ?? ''), encodeShard(rows), undefined, new AbortController().signal);
}

async function* streamOf<Item>(items: readonly Item[]) {
  yield* items;
}

it('The context of a part states its limits from its own beginning on', async () => {
  const { time, contextOf } = startWorld();
  await sleep(time, 1_000);

  const context = contextOf();

  expect(context).toMatchObject({
    name: 'archive',
    stopAt: 37_000,
    deadline: 61_000,
    questions: { left: 1_000 },
    conditions: { startedAt: noon + 1_000, telnyxListed: false, graceMs: 15 * 60_000 },
  });
});
