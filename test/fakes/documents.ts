/** Documents with their Telnyx records and the receipts that the archiver writes for them. */
import { documentKey } from '../../functions/bucket/keys.ts';
import type { Receipt } from '../../functions/bucket/receipts.ts';
import { sha256 } from './memory-bucket.ts';

export const noon = Date.parse('2026-11-24T12:00:00Z');
export const day = 24 * 3_600_000;

export interface TelnyxRecord {
  id: string;
  created_at: string;
  filename: string;
  customer_reference?: string | null;
  content_type: string;
  sha256?: string | undefined;
  size?: { unit: 'bytes'; amount: number } | undefined;
  av_scan_status: string;
}

export interface Archived {
  record: TelnyxRecord;
  body: Buffer;
}

/** A document with its Telnyx record. */
export function documentOf(
  id: string,
  body: Buffer,
  { createdAt = noon - 10 * day, statesDigest = true, statesSize = true } = {},
): Archived {
  return {
    body,
    record: {
      id,
      created_at: new Date(createdAt).toISOString(),
      filename: `${id.slice(0, 4)}.pdf`,
      content_type: 'application/pdf',
      ...(statesDigest && { sha256: sha256(body) }),
      ...(statesSize && { size: { unit: 'bytes', amount: body.length } }),
      av_scan_status: 'scanned',
    },
  };
}

export function receiptOf({ record, body }: Archived): Receipt {
  return {
    v: 1,
    documentId: record.id,
    archivedAt: new Date(Date.parse(record.created_at) + 4_000).toISOString(),
    object: {
      key: documentKey(record.id),
      bytes: body.length,
      sha256: sha256(body),
      sha256StatedBy: record.sha256 === undefined ? 'archiver' : 'telnyx',
      etag: '"0123456789abcdef"',
      versionId: undefined,
    },
    request: { trigger: 'sweep', requestedAt: record.created_at, receives: 1 },
    archiver: '0.1.0',
    telnyx: { ...record },
  };
}

export function written(receipt: unknown): string {
  return `${JSON.stringify(receipt, undefined, 2)}\n`;
}
