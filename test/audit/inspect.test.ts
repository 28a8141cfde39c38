import { describe, expect, it } from 'vitest';
import { type InspectDependencies, inspect } from '../../functions/audit/inspect.ts';
import type { SourceRow } from '../../functions/audit/sources.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
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
    versions: createVersions({ s3: memory as never, name: 'archive', time }),
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

const listed = (key: string, bytes: number) => ({
  id,
  key,
  current: { bytes, modified: noon - 1, versionId: 'null' },
  otherVersions: 0,
  deleteMarkers: 0,
});

describe.each([false, true])('A document that only one listing has (quick: %s)', (quick) => {
  it('has its object looked up', async () => {
    const { evidence } = await inspectRow({ receipt: listed(receiptKey(id), 900) }, quick);

    expect(evidence.object).toEqual({ bytes: 10, modified: noon + 1, sha256: archived.record.sha256 });
  });

  it('has its receipt looked up', async () => {
    const { evidence } = await inspectRow({ object: listed(documentKey(id), 10) }, quick);

    expect(evidence.receipt).toMatchObject({
      modified: noon + 1,
      reading: { alteration: undefined, stated: { bytes: 10 } },
    });
  });
});
