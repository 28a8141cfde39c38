import { describe, expect, it } from 'vitest';
import { type InspectDependencies, inspect, type SourceRow } from '../../functions/audit/inspect.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { virtualTime } from '../fakes/clock.ts';
import { documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const archived = documentOf(id, Buffer.from('some bytes'));
const signal = new AbortController().signal;

/** Inspects a document whose object and receipt are both in the bucket, whatever the listings had. */
function inspectRow(row: Omit<SourceRow, 'id'>, quick: boolean) {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  memory.put(documentKey(id), archived.body, noon);
  memory.put(receiptKey(id), written(receiptOf(archived)), noon);
  const dependencies: InspectDependencies = {
    bucket: createBucket({ s3: memory as never, name: 'archive', time }),
    retry: (work) => work(signal),
    conditions: { startedAt: noon, telnyxListed: true, graceMs: 0 },
    quick,
    readData: () => false,
    now: () => noon + 1,
    onRequest: () => undefined,
    onRead: () => undefined,
  };
  return inspect({ id, ...row }, signal, dependencies);
}

const listedObject = { id, key: documentKey(id), bytes: 10, modified: noon - 1 };
const listedReceipt = { id, key: receiptKey(id), bytes: 900, modified: noon - 1 };

describe('A document that only one listing has', () => {
  it('has its object looked up, without a checksum in a quick audit', async () => {
    const full = await inspectRow({ receipt: listedReceipt }, false);
    const quick = await inspectRow({ receipt: listedReceipt }, true);

    expect(full.evidence.object).toEqual({
      bytes: 10,
      modified: noon + 1,
      sha256: archived.record.sha256,
    });
    expect(quick.evidence.object).toEqual({ bytes: 10, modified: noon + 1 });
  });

  it('has its receipt looked up, without its content in a quick audit', async () => {
    const full = await inspectRow({ object: listedObject }, false);
    const quick = await inspectRow({ object: listedObject }, true);

    expect(full.evidence.receipt).toMatchObject({
      modified: noon + 1,
      reading: { alteration: undefined, stated: { bytes: 10 } },
    });
    expect(quick.evidence.receipt).toEqual({ modified: noon + 1, reading: undefined });
  });
});
