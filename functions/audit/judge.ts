/** Judges one document by the evidence collected on it. Pure: no request, no clock. */
import { documentKey, receiptKey } from '../bucket/keys.ts';
import type { Finding } from './findings.ts';
import type { ReceiptReading } from './receipt-reading.ts';
import { clockSkewMs, type ListedDocument } from './telnyx-documents.ts';

/** What each source says about one document. Digests are lower-case hex. */
export interface Evidence {
  documentId: string;
  /** Telnyx's current list. */
  telnyx?: Omit<ListedDocument, 'id'>;
  /** `sha256` as S3 verified it or as computed from a download; undefined if it was not requested. */
  object?: { bytes: number; modified: number; sha256?: string | undefined };
  /** `reading` is undefined if the receipt was not read. */
  receipt?: { modified: number; reading?: ReceiptReading | undefined };
  /** The digests in the newest manifest. */
  manifest?: { document?: string | undefined; receipt?: string | undefined };
}

export interface AuditConditions {
  /** When the audit started to list Telnyx's documents, in milliseconds since the Unix epoch. */
  startedAt: number;
  /** Whether Telnyx's list is complete, so that a document absent from it is not at Telnyx. */
  telnyxListed: boolean;
  /** How long the archiver may take to archive a document before it counts as missing. */
  graceMs: number;
}

/** @returns the problems, or one of `same`, `kept`, `pending` and `infected` if there are none */
export function judge(evidence: Evidence, conditions: AuditConditions): Finding[] {
  const { object, receipt } = evidence;
  if (!object && !receipt) return [judgeUnarchived(evidence, conditions)];
  if (!object) return [finding(evidence, 'no-object', atTelnyx(evidence)), ...judgeReceipt(evidence)];
  if (!receipt) return [judgeWithoutReceipt(evidence, object, conditions)];
  const findings = [...judgeReceipt(evidence), ...judgeObject(evidence, object)];
  if (findings.length === 0) findings.push(...judgeAgainstTelnyx(evidence, object));
  return findings.length === 0 ? [judgeUnchanged(evidence, receipt, conditions)] : findings;
}

/** Neither object nor receipt. */
function judgeUnarchived(evidence: Evidence, { startedAt, graceMs }: AuditConditions): Finding {
  const { telnyx, manifest } = evidence;
  if (manifest) return finding(evidence, 'lost', atTelnyx(evidence));
  const created = telnyx?.createdAt;
  if (created !== undefined && created > startedAt - graceMs)
    return finding(evidence, 'pending', createdOn(created));
  if (telnyx?.infected) return finding(evidence, 'infected', '');
  return finding(evidence, 'missing', created === undefined ? '' : createdOn(created));
}

/** An object without a receipt. If it is recent, the archiver may be about to write the receipt. */
function judgeWithoutReceipt(
  evidence: Evidence,
  object: { modified: number },
  { startedAt, graceMs }: AuditConditions,
): Finding {
  if (!evidence.manifest && object.modified > startedAt - graceMs)
    return finding(evidence, 'pending', 'no receipt yet');
  return finding(evidence, 'no-receipt', atTelnyx(evidence));
}

/** Checks the receipt itself, and compares it with the manifest. */
function judgeReceipt(evidence: Evidence): Finding[] {
  const { receipt, manifest } = evidence;
  const reading = receipt?.reading;
  if (!reading) return [];
  const changed =
    manifest?.receipt !== undefined && manifest.receipt !== reading.digest
      ? 'its SHA-256 differs from the manifest'
      : undefined;
  const alteration = reading.alteration ?? changed;
  return alteration === undefined
    ? []
    : [
        {
          code: 'receipt-altered',
          key: receiptKey(evidence.documentId),
          documentId: evidence.documentId,
          detail: alteration,
        },
      ];
}

/** Compares the object with the manifest or, for a document that the manifest does not name, with the receipt. */
function judgeObject(evidence: Evidence, object: NonNullable<Evidence['object']>): Finding[] {
  const { receipt, manifest } = evidence;
  const stated = receipt?.reading?.stated;
  // A manifest has no sizes, and a receipt that differs from the manifest is no evidence of the size.
  const isReceiptTrusted = manifest?.receipt === undefined || manifest.receipt === receipt?.reading?.digest;
  if (stated?.bytes !== undefined && isReceiptTrusted && stated.bytes !== object.bytes) {
    return [finding(evidence, 'size-differs', `${inBytes(object.bytes)}, expected ${stated.bytes}`)];
  }
  const expected = manifest?.document ?? stated?.sha256;
  if (expected !== undefined && object.sha256 !== undefined && expected !== object.sha256) {
    const source = manifest?.document === undefined ? 'receipt' : 'manifest';
    return [
      finding(evidence, 'checksum-differs', `SHA-256 ${object.sha256}, expected ${expected} (${source})`),
    ];
  }
  return [];
}

/** Compares a consistent pair of object and receipt with Telnyx's current list. */
function judgeAgainstTelnyx(evidence: Evidence, object: NonNullable<Evidence['object']>): Finding[] {
  const { telnyx, receipt } = evidence;
  const reading = receipt?.reading;
  const archived = { bytes: object.bytes, sha256: object.sha256 ?? reading?.stated.sha256 };
  const differs = (now: unknown, then: unknown) => now !== undefined && then !== undefined && now !== then;
  if (differs(telnyx?.bytes, archived.bytes)) {
    return [
      finding(
        evidence,
        'telnyx-differs',
        `Telnyx states ${inBytes(telnyx?.bytes)}, archived ${archived.bytes}`,
      ),
    ];
  }
  if (differs(telnyx?.sha256, archived.sha256)) {
    return [
      finding(
        evidence,
        'telnyx-differs',
        `Telnyx states SHA-256 ${telnyx?.sha256}, archived ${archived.sha256}`,
      ),
    ];
  }
  // Telnyx's list may omit the fraction of a second that its record has.
  const apart = Math.abs((telnyx?.createdAt ?? Number.NaN) - (reading?.createdAt ?? Number.NaN));
  if (apart >= 1_000) {
    return [
      finding(
        evidence,
        'telnyx-differs',
        'Telnyx states a different creation time than its record in the receipt',
      ),
    ];
  }
  return [];
}

function judgeUnchanged(
  evidence: Evidence,
  receipt: { modified: number },
  { startedAt, telnyxListed }: AuditConditions,
): Finding {
  // A document archived after the listing started was at Telnyx then, even if the list does not have it.
  const isOlder = receipt.modified < startedAt - clockSkewMs;
  return finding(evidence, telnyxListed && !evidence.telnyx && isOlder ? 'kept' : 'same', '');
}

function finding(evidence: Evidence, code: Finding['code'], detail: string): Finding {
  const { documentId } = evidence;
  return { code, key: documentKey(documentId), documentId, detail };
}

function atTelnyx({ telnyx }: Evidence): string {
  return telnyx ? 'still at Telnyx' : '';
}

function createdOn(instant: number): string {
  return `created ${new Date(instant).toISOString()}`;
}

function inBytes(count: number | undefined): string {
  return `${count} ${count === 1 ? 'byte' : 'bytes'}`;
}
