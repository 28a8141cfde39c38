import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readReceipt } from '../../functions/audit/receipt-reading.ts';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { createReceipts, type NewReceipt, type Receipt } from '../../functions/bucket/receipts.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { boundRecord } from '../../functions/telnyx/record.ts';
import { createWorld } from '../cli/audit/world.ts';
import { day, documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const archived = documentOf(id, Buffer.from('some bytes'));

/** The bytes that the archiver writes for a receipt. */
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

describe('A receipt that the archiver wrote', () => {
  const json = fc.jsonValue({ maxDepth: 3 });

  it('is unaltered for any record of Telnyx', async () => {
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
          // Version 0.1.0 parsed the record and indented it with the rest of the receipt.
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
    ['the SHA-256 in upper case', { sha256: archived.record.sha256?.toUpperCase() }, 'telnyx'],
    ['an empty SHA-256', { sha256: '' }, 'archiver'],
    ['null for SHA-256 and size', { sha256: null, size: null }, 'archiver'],
    ['no size', { size: undefined }, 'telnyx'],
    ['a size without an amount', { size: { unit: 'bytes', amount: null } }, 'telnyx'],
  ] as const)('is unaltered if Telnyx states %s', async (_case, changes, statedBy) => {
    const receipt = receiptOf(archived);
    const telnyx = JSON.stringify({ ...receipt.telnyx, ...changes });
    receipt.object.sha256StatedBy = statedBy;

    expect(readReceipt(id, await writtenByArchiver({ ...receipt, telnyx })).alteration).toBeUndefined();
  });

  it.each([
    ['has numbers of any precision', `"account":2791500000000000123,"big":1e400,"small":-0.10,"z":1,"a":2`],
    ['has duplicate members', '"status":"pending","status":"denied","__proto__":{"id":7}'],
    ['has white space and line breaks', '\n\t"status" :\r\n [ ]  '],
    ['has the maximum nesting depth', `"x":${'['.repeat(31)}${']'.repeat(31)}`],
    ['has the maximum length', `"x":"${'ü'.repeat(60_000)}"`],
    [
      'has malformed fields',
      '"filename":12345,"content_type":{},"av_scan_status":[],"created_at":1764000000',
    ],
  ])('is unaltered and keeps the text of a record that %s', async (_case, members) => {
    const receipt = receiptOf(archived);
    const { sha256, size } = archived.record;
    const telnyx = `{${members},"id":"${id}","sha256":"${sha256}","size":${JSON.stringify(size)}}`;

    const body = await writtenByArchiver({ ...receipt, telnyx });

    expect(body.toString('utf8')).toContain(`"telnyx": ${telnyx}\n}`);
    expect(readReceipt(id, body)).toMatchObject({
      alteration: undefined,
      createdAt: undefined,
      stated: { bytes: receipt.object.bytes, sha256: receipt.object.sha256 },
    });
  });

  it('is read with all that the audit compares or shows', async () => {
    const receipt = receiptOf(archived);
    receipt.object.versionId = 'v1';
    const telnyx = JSON.stringify({ ...archived.record, customer_reference: 'PO-17' });

    const body = await writtenByArchiver({ ...receipt, telnyx });

    expect(readReceipt(id, body)).toEqual({
      digest: sha256(body),
      alteration: undefined,
      stated: { bytes: 10, sha256: sha256('some bytes') },
      archivedAt: noon - 10 * day + 4_000,
      createdAt: noon - 10 * day,
      fileName: '6e0c.pdf',
      customerReference: 'PO-17',
      contentType: 'application/pdf',
      trigger: 'sweep',
      versionId: 'v1',
    });
  });

  it.each([
    ['sha256', 'not available'],
    ['size', 10],
    ['size', { unit: 'bytes', amount: '10' }],
    ['size', { unit: 'bytes', amount: 2 ** 53 }],
  ])('is unaltered if Telnyx’s %s is malformed, such as %j', async (field, value) => {
    const receipt = receiptOf(archived);
    const telnyx = JSON.stringify({ ...receipt.telnyx, [field]: value });
    receipt.object.sha256StatedBy = field === 'sha256' ? 'archiver' : 'telnyx';

    const reading = readReceipt(id, await writtenByArchiver({ ...receipt, telnyx }));

    expect(reading.alteration).toBeUndefined();
    expect(reading.stated).toEqual({ bytes: receipt.object.bytes, sha256: receipt.object.sha256 });
  });

  it('is unaltered if every value from outside has its maximum length', async () => {
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

const layout = 'not formatted as the archiver formats it';

it.each([
  ['a different indentation', layout, (text: string) => text.replace('\n  "v"', '\n "v"')],
  ['a space after Telnyx’s record', layout, (text: string) => text.replace(/\n}\n$/, ' \n}\n')],
  [
    'a second record of Telnyx',
    layout,
    (text: string) => text.replace('"telnyx":', '"telnyx": {},\n  "telnyx":'),
  ],
  [
    'telnyxCut set to false',
    'telnyxCut is missing, unknown or not valid',
    (text: string) => text.replace('  "telnyx":', '  "telnyxCut": false,\n  "telnyx":'),
  ],
  ['no end', 'not JSON', (text: string) => text.slice(0, -3)],
  [
    'another document’s ID',
    'the receipt of another document',
    (text: string) => text.replace('"documentId": "6', '"documentId": "7'),
  ],
  [
    'a different key',
    'it names a different key',
    (text: string) => text.replace('"documents/6', '"documents/7'),
  ],
  [
    'a different size in Telnyx’s record',
    'its size differs from Telnyx’s record in it',
    (text: string) => text.replace('"amount":10', '"amount":11'),
  ],
  [
    'a different SHA-256 in Telnyx’s record',
    'its SHA-256 differs from Telnyx’s record in it',
    (text: string) => text.replace(/"sha256":"\w+"/, `"sha256":"${sha256('other bytes')}"`),
  ],
  [
    'a SHA-256 that Telnyx’s record does not state',
    'its sha256StatedBy does not match Telnyx’s record in it',
    (text: string) => text.replace(/"sha256":"\w+",/, ''),
  ],
  [
    'a different ID in Telnyx’s record',
    'it contains Telnyx’s record of another document',
    (text: string) => text.replace(/("telnyx": .*"id":"6)e/, '$1f'),
  ],
  [
    'a record of null',
    'telnyx is missing, unknown or not valid',
    (text: string) => text.replace(/"telnyx": .*/, '"telnyx": null'),
  ],
  [
    'an array for a record',
    'telnyx is missing, unknown or not valid',
    (text: string) => text.replace(/"telnyx": .*/, '"telnyx": []'),
  ],
  [
    'a byte that is not UTF-8',
    layout,
    (text: string) => Buffer.from(text.replace('.pdf', '.p\u00ff'), 'latin1'),
  ],
])('A receipt with %s is altered: %s', async (_case, alteration, change) => {
  const receipt = receiptOf(archived);
  const body = await writtenByArchiver({ ...receipt, telnyx: JSON.stringify(archived.record) });
  expect(readReceipt(id, body).alteration).toBeUndefined();

  const changed = Buffer.from(change(body.toString('utf8')));

  expect(changed.equals(body)).toBe(false);
  expect(readReceipt(id, changed)).toMatchObject({ alteration, digest: sha256(changed) });
});

it('A receipt with one changed character is altered, or states the same size and SHA-256', () => {
  const text = written(receiptOf(archived));
  const { stated } = readReceipt(id, Buffer.from(text));
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (position, character) => {
      const reading = readReceipt(
        id,
        Buffer.from(text.slice(0, position) + character + text.slice(position + 1)),
      );

      if (reading.alteration === undefined) expect(reading.stated).toEqual(stated);
    }),
    { numRuns: propertyRuns(2_000) },
  );
});

it('An object too large for a receipt is reported without a download', async () => {
  const world = createWorld();
  world.archive(archived);
  world.replace(receiptKey(id), Buffer.alloc(1024 ** 2 + 1), noon - day);

  const { findings, details } = await world.run();

  expect(findings).toEqual([`receipt-altered ${receiptKey(id)}`]);
  expect(details.get(`receipt-altered ${receiptKey(id)}`)).toBe('1048577 bytes, too large for a receipt');
  expect(world.bucket.requests).not.toContain(`get ${receiptKey(id)}`);
});

it.each(['5', 'null', '"receipt"'])('A receipt of %s is altered at its top level', (text) => {
  expect(readReceipt(id, Buffer.from(text)).alteration).toMatch(/^the top level is missing, unknown/);
});
