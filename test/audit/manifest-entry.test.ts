import { expect, it } from 'vitest';
import type { Evidence } from '../../functions/audit/evidence.ts';
import { manifestEntryOf } from '../../functions/audit/manifest-entry.ts';
import { type ReceiptReading, tooLargeReceipt } from '../../functions/audit/receipt-reading.ts';
import type { Tombstone } from '../../functions/bucket/tombstones.ts';
import { noon } from '../fakes/documents.ts';

const documentId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

function receiptWith(changes: Partial<ReceiptReading> = {}): NonNullable<Evidence['receipt']> {
  const reading = {
    ...tooLargeReceipt(0),
    alteration: undefined,
    digest: 'receipt',
    stated: { bytes: 10, sha256: 'document' },
    ...changes,
  };
  return { modified: noon, reading };
}
const claims = [{ manifest: 'm1', document: 'document', receipt: 'older receipt' }];
const grave = { modified: noon, tombstone: { digest: 'tombstone', content: {} as Tombstone } };

it.each<[string, Partial<Evidence>, boolean, string | undefined, string | undefined]>([
  ['new', { receipt: receiptWith() }, false, 'document', 'receipt'],
  [
    'with an altered receipt',
    { receipt: receiptWith({ alteration: 'not JSON' }) },
    false,
    undefined,
    undefined,
  ],
  ['without a receipt', {}, false, undefined, undefined],
  [
    'whose receipt states no SHA-256',
    { receipt: receiptWith({ stated: { bytes: 10, sha256: undefined } }) },
    false,
    undefined,
    undefined,
  ],
  ['deleted since', { claims }, true, 'document', 'older receipt'],
  ['with a new receipt', { claims, receipt: receiptWith() }, false, 'document', 'older receipt'],
  ['with a new receipt to accept', { claims, receipt: receiptWith() }, true, 'document', 'receipt'],
  [
    'with a new receipt for other bytes',
    { claims, receipt: receiptWith({ stated: { bytes: 10, sha256: 'other' } }) },
    true,
    'document',
    'older receipt',
  ],
  [
    'with an altered receipt, named before',
    { claims, receipt: receiptWith({ alteration: 'not JSON' }) },
    true,
    'document',
    'older receipt',
  ],
  [
    'named without a receipt',
    { claims: [{ manifest: 'm1', document: 'document', receipt: undefined }], receipt: receiptWith() },
    false,
    'document',
    'receipt',
  ],
  ['being erased', { claims, receipt: grave }, true, 'document', 'older receipt'],
])('A manifest names a document %s', (_case, evidence, acceptReceipts, document, receipt) => {
  const finding = { code: 'same' as const, key: 'documents/x', detail: '' };
  const inspection = { evidence: { documentId, ...evidence }, findings: [finding] };

  expect(manifestEntryOf(inspection, acceptReceipts)).toEqual(
    document === undefined ? undefined : { id: documentId, document, receipt },
  );
});

it('A manifest names the tombstone of an erased document at both keys', () => {
  const findings = (['erased', 'manifest-differs'] as const).map((code) => ({ code, key: 'x', detail: '' }));

  expect(manifestEntryOf({ evidence: { documentId, receipt: grave, claims }, findings }, false)).toEqual({
    id: documentId,
    document: 'tombstone',
    receipt: 'tombstone',
  });
});
