import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readReceipt } from '../../../cli/audit/receipt-reading.ts';
import { receiptKey } from '../../../functions/bucket/keys.ts';
import { createReceipts, type Receipt } from '../../../functions/bucket/receipts.ts';
import type { Bucket } from '../../../functions/bucket/store.ts';
import { createWorld, day, documentOf, noon, receiptOf, written } from './world.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const archived = documentOf(id, Buffer.from('some bytes'));

/** What the archiver itself writes for a receipt. */
async function writtenByArchiver(receipt: Receipt): Promise<Buffer> {
  let body: Buffer = Buffer.alloc(0);
  const bucket: Pick<Bucket, 'putOnce'> = {
    putOnce: async (object) => {
      body = object.body as Buffer;
      return { bytes: body.length, sha256: object.sha256, etag: undefined, versionId: undefined };
    },
  };
  await createReceipts(bucket as Bucket).writeOnce(receipt, new AbortController().signal);
  return body;
}

describe('A receipt that the archiver has written', () => {
  const json = fc.jsonValue({ maxDepth: 3 });

  it('is read as unaltered, whatever Telnyx’s record holds', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string(), json),
        fc.option(fc.string(), { nil: undefined }),
        fc.constantFrom<Receipt['request']['trigger']>('webhook', 'sweep', 'backfill', 'operator'),
        fc.boolean(),
        async (extra, versionId, trigger, hasEvent) => {
          const receipt = receiptOf(archived);
          receipt.object.versionId = versionId;
          receipt.request.trigger = trigger;
          receipt.request.event = hasEvent
            ? { id: 'e', type: 'number_order.complete', occurredAt: 'then' }
            : undefined;
          // As it came from Telnyx: JSON that was parsed.
          receipt.telnyx = JSON.parse(JSON.stringify({ ...extra, ...archived.record }));

          const reading = readReceipt(id, await writtenByArchiver(receipt));

          expect(reading.alteration).toBeUndefined();
          expect(reading.stated).toEqual({ bytes: receipt.object.bytes, sha256: receipt.object.sha256 });
        },
      ),
    );
  });

  it.each([
    ['upper case', { sha256: archived.record.sha256?.toUpperCase() }, 'telnyx'],
    ['an empty digest', { sha256: '' }, 'archiver'],
    ['null for digest and size', { sha256: null, size: null }, 'archiver'],
    ['no size', { size: undefined }, 'telnyx'],
    ['a size without an amount', { size: { unit: 'bytes', amount: null } }, 'telnyx'],
  ] as const)('is read as unaltered where Telnyx states %s', async (_what, changes, statedBy) => {
    const receipt = receiptOf(archived);
    receipt.telnyx = { ...receipt.telnyx, ...changes };
    receipt.object.sha256StatedBy = statedBy;

    expect(readReceipt(id, await writtenByArchiver(receipt)).alteration).toBeUndefined();
  });
});

it('A receipt with any one character changed is either altered, or says the same of the bytes', () => {
  const text = written(receiptOf(archived));
  const { stated } = readReceipt(id, Buffer.from(text));
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
      const reading = readReceipt(id, Buffer.from(text.slice(0, at) + character + text.slice(at + 1)));

      if (reading.alteration === undefined) expect(reading.stated).toEqual(stated);
    }),
    { numRuns: 2_000 },
  );
});

it('An object of any size in a receipt’s place is found without being read', async () => {
  const world = createWorld();
  world.archive(archived);
  world.bucket.put(receiptKey(id), Buffer.alloc(1024 ** 2 + 1), noon - day);

  const { findings, details } = await world.run();

  expect(findings).toEqual([`receipt-altered ${receiptKey(id)}`]);
  expect(details.get(`receipt-altered ${receiptKey(id)}`)).toBe(
    'it has 1048577 bytes, more than any receipt',
  );
  expect(world.bucket.requests).not.toContain(`get ${receiptKey(id)}`);
});
