import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type HoldRecord,
  latestHoldRecord,
  parseHoldRecord,
  writeHoldRecord,
} from '../../functions/bucket/holds.ts';
import { holdKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon, written } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const never = new AbortController().signal;
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const otherId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f02';
const order = {
  documentId: id,
  action: 'hold',
  by: 'arn:aws:iam::1:role/legal',
  reason: 'Case 1',
  archiver: '1.0.0',
} as const;
const record: HoldRecord = { v: 1, at: '2026-11-24T12:00:00.000Z', ...order };
const key = holdKey(id, noon);

function startBucket() {
  const memory = new MemoryBucket(virtualTime(noon));
  return { memory, bucket: createBucket({ s3: memory as never, name: 'archive', time: virtualTime(noon) }) };
}

describe('a hold record', () => {
  const records = fc.record({
    documentId: fc.uuid(),
    action: fc.constantFrom('hold' as const, 'release' as const),
    by: fc.string({ unit: 'binary' }),
    reason: fc.string({ unit: 'binary' }),
    archiver: fc.string(),
  });
  const instants = fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') });

  it('is read back as it was written, at the key of its document and instant', async () => {
    await fc.assert(
      fc.asyncProperty(records, instants, async (written, at) => {
        const { memory, bucket } = startBucket();

        const stored = await writeHoldRecord(written, at, bucket, never);

        expect(stored).toEqual({ v: 1, at: new Date(at).toISOString(), ...written });
        expect([...memory.objects.keys()]).toEqual([holdKey(written.documentId, at)]);
        expect(await latestHoldRecord(written.documentId, bucket, never)).toEqual(stored);
      }),
      { numRuns: propertyRuns(500) },
    );
  });

  it('is indented JSON that ends with a line break, put with its type, length and digest', async () => {
    const put: unknown[] = [];
    const { bucket } = startBucket();
    const putOnce: typeof bucket.putOnce = async (object, signal) => {
      put.push(object);
      return bucket.putOnce(object, signal);
    };

    await writeHoldRecord(order, noon, { ...bucket, putOnce }, never);

    const text = `{
  "v": 1,
  "documentId": "${id}",
  "action": "hold",
  "at": "2026-11-24T12:00:00.000Z",
  "by": "arn:aws:iam::1:role/legal",
  "reason": "Case 1",
  "archiver": "1.0.0"
}
`;
    expect(put).toEqual([
      {
        key: `holds/${id}/2026-11-24T12:00:00.000Z.json`,
        body: Buffer.from(text),
        bytes: text.length,
        sha256: sha256(text),
        contentType: 'application/json',
      },
    ]);
  });

  it.each<[string, string, unknown]>([
    ['of another document', key, { ...record, documentId: otherId }],
    ['at the key of another document', holdKey(otherId, noon), record],
    ['at the key of another instant', holdKey(id, noon + 1), record],
    ['at a key without an instant', `holds/${id}/latest.json`, { ...record, at: 'latest' }],
    [
      'at a key whose instant has another form',
      `holds/${id}/2026-11-24T12:00:00+14.json`,
      { ...record, at: '2026-11-24T12:00:00+14' },
    ],
    ['below another prefix', `receipts/${id}/2026-11-24T12:00:00.000Z.json`, record],
    ['of another version of the format', key, { ...record, v: 2 }],
    ['with an unknown action', key, { ...record, action: 'pause' }],
    ['with an unknown member', key, { ...record, approved: true }],
    ['without a reason', key, { ...record, reason: undefined }],
    ['with a number as its author', key, { ...record, by: 7 }],
    ['that is an array', key, [record]],
    ['that is null', key, null],
  ])('is not one %s', (_what, at, content) => {
    expect(() => parseHoldRecord(at, Buffer.from(written(content)))).toThrow(
      expect.objectContaining({
        code: 'UnexpectedResponse',
        message: `The object ${at} is not a hold record that the archiver wrote there. Read it, and find out who wrote it.`,
      }),
    );
  });

  it('is not one if it ends early, and its text is not quoted', () => {
    const text = written(record);
    for (let length = 0; length < text.trimEnd().length; length += 1) {
      const thrown = errorOf(() => parseHoldRecord(key, Buffer.from(text.slice(0, length))));
      expect(thrown).toMatchObject({ code: 'UnexpectedResponse' });
      expect(inspect(thrown)).not.toContain('legal');
    }
  });
});

describe('the latest hold record', () => {
  it('is undefined if there is none, and nothing is read', async () => {
    const { memory, bucket } = startBucket();
    memory.put(holdKey(otherId, noon), written({ ...record, documentId: otherId }), noon);

    expect(await latestHoldRecord(id, bucket, never)).toBeUndefined();
    expect(memory.requests).toEqual([`list holds/${id}/`]);
  });

  it('is undefined if the record is gone when it is read', async () => {
    const { memory, bucket } = startBucket();
    memory.put(key, written(record), noon);
    const read = async () => undefined;

    expect(await latestHoldRecord(id, { ...bucket, read }, never)).toBeUndefined();
  });

  it('is the last one on the last page', async () => {
    const { memory, bucket } = startBucket();
    memory.pageKeys = 2;
    for (let count = 0; count < 5; count += 1) {
      await writeHoldRecord({ ...order, reason: String(count) }, noon + count, bucket, never);
    }

    expect(await latestHoldRecord(id, bucket, never)).toMatchObject({ reason: '4' });
  });

  it('fails with UnexpectedResponse if another object comes after all records', async () => {
    const { memory, bucket } = startBucket();
    await writeHoldRecord(order, noon, bucket, never);
    memory.put(`holds/${id}/notes.json`, written({ ...record, action: 'release' }), noon);

    await expect(latestHoldRecord(id, bucket, never)).rejects.toMatchObject({ code: 'UnexpectedResponse' });
  });
});

describe('a new hold record', () => {
  it.each([
    ['behind', -60_000, noon + 1],
    ['equal', 0, noon + 1],
    ['ahead', 60_000, noon + 60_000],
  ])('comes after the latest one if the clock is %s', async (_what, difference, instant) => {
    const { bucket } = startBucket();
    await writeHoldRecord(order, noon, bucket, never);

    const release = await writeHoldRecord({ ...order, action: 'release' }, noon + difference, bucket, never);

    expect(release.at).toBe(new Date(instant).toISOString());
    expect(await latestHoldRecord(id, bucket, never)).toEqual(release);
  });

  it('comes after one that is written at the same time', async () => {
    const { memory, bucket } = startBucket();
    let isFirst = true;
    const putOnce: typeof bucket.putOnce = async (object, signal) => {
      if (isFirst) memory.put(key, written({ ...record, reason: 'Case 2' }), noon);
      isFirst = false;
      return bucket.putOnce(object, signal);
    };

    const stored = await writeHoldRecord(order, noon, { ...bucket, putOnce }, never);

    expect(stored.at).toBe('2026-11-24T12:00:00.001Z');
    expect([...memory.objects.keys()]).toEqual([key, holdKey(id, noon + 1)]);
    expect(JSON.parse(memory.text(key)).reason).toBe('Case 2');
  });
});

function errorOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
