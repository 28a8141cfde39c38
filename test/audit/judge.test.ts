import { expect, it } from 'vitest';
import { judge } from '../../functions/audit/judge.ts';
import { tooLargeReceipt } from '../../functions/audit/receipt-reading.ts';
import { documentKey } from '../../functions/bucket/keys.ts';
import { noon } from '../fakes/documents.ts';

const documentId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

it('A document at Telnyx without a creation time is missing, not pending', () => {
  const telnyx = {
    createdAt: undefined,
    bytes: 10,
    sha256: undefined,
    infected: false,
    fileName: undefined,
    customerReference: undefined,
  };

  const findings = judge({ documentId, telnyx }, { startedAt: noon, telnyxListed: true, graceMs: 60_000 });

  expect(findings).toEqual([{ code: 'missing', key: documentKey(documentId), documentId, detail: '' }]);
});

it.each([
  [1, '1 byte, expected 10'],
  [0, '0 bytes, expected 10'],
])('states a size of %d in the singular or plural', (bytes, detail) => {
  const stated = { bytes: 10, sha256: undefined };
  const reading = { ...tooLargeReceipt(0), alteration: undefined, stated };
  const evidence = { documentId, object: { bytes, modified: noon }, receipt: { modified: noon, reading } };

  expect(judge(evidence, { startedAt: noon, telnyxListed: true, graceMs: 0 })).toMatchObject([
    { code: 'size-differs', detail },
  ]);
});
