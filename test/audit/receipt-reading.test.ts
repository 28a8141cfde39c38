import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readReceipt } from '../../functions/audit/receipt-reading.ts';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { createReceipts, type NewReceipt, type Receipt } from '../../functions/bucket/receipts.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { boundRecord } from '../../functions/telnyx/record.ts';
import { createWorld } from '../cli/audit/world.ts';
import { day, documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const archived = documentOf(id, Buffer.from('some bytes'));

/** What the archiver itself writes for a receipt. */
async function writtenByArchiver(receipt: NewReceipt): Promise<Buffer> {
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
        fc.constantFrom(undefined, 1, '\t'),
        async (extra, versionId, trigger, hasEvent, indentation) => {
          const receipt = receiptOf(archived);
          receipt.object.versionId = versionId;
          receipt.request.trigger = trigger;
          receipt.request.event = hasEvent
            ? { id: 'e', type: 'number_order.complete', occurredAt: 'then' }
            : undefined;
          const telnyx = JSON.stringify({ ...extra, ...archived.record }, undefined, indentation);
          // Release 0.1.0 parsed the record and indented it with the rest of the receipt.
          const released = { ...receipt, telnyx: JSON.parse(telnyx) };

          for (const body of [
            await writtenByArchiver({ ...receipt, telnyx }),
            await writtenByArchiver({ ...receipt, telnyx, telnyxCut: true }),
            Buffer.from(written(released)),
          ]) {
            const reading = readReceipt(id, body);

            expect(reading.alteration).toBeUndefined();
            expect(reading.stated).toEqual({ bytes: receipt.object.bytes, sha256: receipt.object.sha256 });
          }
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
    const telnyx = JSON.stringify({ ...receipt.telnyx, ...changes });
    receipt.object.sha256StatedBy = statedBy;

    expect(readReceipt(id, await writtenByArchiver({ ...receipt, telnyx })).alteration).toBeUndefined();
  });

  it.each([
    ['rounds no number', `"account":2791500000000000123,"big":1e400,"small":-0.10,"z":1,"a":2`],
    ['names a member twice', '"status":"pending","status":"denied","__proto__":{"id":7}'],
    ['is spread over lines', '\n\t"status" :\r\n [ ]  '],
    ['is nested as deeply as a receipt takes', `"x":${'['.repeat(31)}${']'.repeat(31)}`],
    ['is as long as a receipt takes', `"x":"${'ü'.repeat(60_000)}"`],
    [
      'has malformed fields',
      '"filename":12345,"content_type":{},"av_scan_status":[],"created_at":1764000000',
    ],
  ])('holds a record’s own text, which %s, and is read as unaltered', async (_what, members) => {
    const receipt = receiptOf(archived);
    const { sha256, size } = archived.record;
    const telnyx = `{${members},"id":"${id}","sha256":"${sha256}","size":${JSON.stringify(size)}}`;

    const body = await writtenByArchiver({ ...receipt, telnyx });

    expect(body.toString('utf8')).toContain(`"telnyx": ${telnyx}\n}`);
    expect(readReceipt(id, body)).toMatchObject({
      alteration: undefined,
      stated: { bytes: receipt.object.bytes, sha256: receipt.object.sha256 },
    });
  });

  it.each([
    ['sha256', 'not available'],
    ['size', 10],
    ['size', { unit: 'bytes', amount: '10' }],
    ['size', { unit: 'bytes', amount: 2 ** 53 }],
  ])('is read as unaltered where Telnyx’s %s is malformed, such as %j', async (field, value) => {
    const receipt = receiptOf(archived);
    const telnyx = JSON.stringify({ ...receipt.telnyx, [field]: value });
    receipt.object.sha256StatedBy = field === 'sha256' ? 'archiver' : 'telnyx';

    const reading = readReceipt(id, await writtenByArchiver({ ...receipt, telnyx }));

    expect(reading.alteration).toBeUndefined();
    expect(reading.stated).toEqual({ bytes: receipt.object.bytes, sha256: receipt.object.sha256 });
  });

  it('is read as unaltered with all that it takes from others at its longest', async () => {
    const text = '\u0001'.repeat(200);
    const receipt = receiptOf(archived);
    receipt.request.event = { id: text, type: text, occurredAt: text };
    receipt.object.versionId = 'v'.repeat(1_024);
    const record = JSON.stringify({ ...archived.record, customer_reference: 'r'.repeat(1_100_000) });

    const body = await writtenByArchiver({ ...receipt, telnyx: boundRecord(record).text, telnyxCut: true });

    expect(body.length).toBeLessThan(16_000);
    expect(readReceipt(id, body).alteration).toBeUndefined();
  });
});

it.each([
  ['a line in the archiver’s own part', (text: string) => text.replace('\n  "v"', '\n "v"')],
  ['something behind Telnyx’s record', (text: string) => text.replace(/\n}\n$/, ' \n}\n')],
  ['a second record', (text: string) => text.replace('"telnyx":', '"telnyx": {},\n  "telnyx":')],
  [
    'a mark that it is not cut',
    (text: string) => text.replace('  "telnyx":', '  "telnyxCut": false,\n  "telnyx":'),
  ],
  ['another size in Telnyx’s record', (text: string) => text.replace('"amount":10', '"amount":11')],
  ['another id in Telnyx’s record', (text: string) => text.replace(/("telnyx": .*"id":"6)e/, '$1f')],
  ['a record that is null', (text: string) => text.replace(/"telnyx": .*/, '"telnyx": null')],
  ['a record that is not an object', (text: string) => text.replace(/"telnyx": .*/, '"telnyx": []')],
  ['a byte that is not UTF-8', (text: string) => Buffer.from(text.replace('.pdf', '.p\u00ff'), 'latin1')],
])('A receipt with %s added or changed is altered', async (_what, change) => {
  const receipt = receiptOf(archived);
  const body = await writtenByArchiver({ ...receipt, telnyx: JSON.stringify(archived.record) });
  expect(readReceipt(id, body).alteration).toBeUndefined();

  const changed = Buffer.from(change(body.toString('utf8')));

  expect(changed.equals(body)).toBe(false);
  expect(readReceipt(id, changed).alteration).toBeDefined();
});

it('A receipt with any one character changed is either altered, or says the same of the bytes', () => {
  const text = written(receiptOf(archived));
  const { stated } = readReceipt(id, Buffer.from(text));
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
      const reading = readReceipt(id, Buffer.from(text.slice(0, at) + character + text.slice(at + 1)));

      if (reading.alteration === undefined) expect(reading.stated).toEqual(stated);
    }),
    { numRuns: propertyRuns(2_000) },
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

it.each(['5', 'null', '"receipt"'])('A receipt that is %s is altered as a whole', (text) => {
  expect(readReceipt(id, Buffer.from(text)).alteration).toMatch(/^its top level is missing, unknown/);
});
