/** The judgement on one document: all that is known of it, and nothing else, goes in. */
import { documentKey, receiptKey } from '../bucket/keys.ts';
import type { Finding } from './findings.ts';
import type { ReceiptReading } from './receipt-reading.ts';
import { clockSkewMs, type ListedDocument } from './telnyx-documents.ts';

/** What witnesses say of a document's bytes. Digests are lower-case hex. */
export interface Evidence {
  documentId: string;
  /** As Telnyx lists it now. */
  telnyx?: Omit<ListedDocument, 'id'>;
  /** `sha256` of the bytes that are there, as S3 has verified or as they were read back; undefined: not looked at. */
  object?: { bytes: number; modified: number; sha256?: string | undefined };
  /** `reading` is undefined where the receipt was not read. */
  receipt?: { modified: number; reading?: ReceiptReading | undefined };
  /** The digests that the newest manifest names. */
  named?: { document?: string | undefined; receipt?: string | undefined };
}

export interface Circumstances {
  /** When the audit began to list Telnyx's documents, in milliseconds since the Unix epoch. */
  began: number;
  /** Whether Telnyx was listed, so that a document that is not on the list is not at Telnyx. */
  telnyxListed: boolean;
  /** How long the archiver may be at a document before it counts as missing. */
  graceMs: number;
}

/** @returns findings, or one of `same`, `kept`, `pending` and `infected` where there are none */
export function judge(evidence: Evidence, circumstances: Circumstances): Finding[] {
  const { object, receipt } = evidence;
  if (!object && !receipt) return [judgeAbsent(evidence, circumstances)];
  if (!object) return [finding(evidence, 'no-object', atTelnyx(evidence)), ...judgeReceipt(evidence)];
  if (!receipt) return [judgeOrphan(evidence, object, circumstances)];
  const findings = [...judgeReceipt(evidence), ...judgeObject(evidence, object)];
  if (findings.length === 0) findings.push(...judgeAgainstTelnyx(evidence, object));
  return findings.length === 0 ? [judgeSound(evidence, receipt, circumstances)] : findings;
}

/** Neither object nor receipt. */
function judgeAbsent(evidence: Evidence, { began, graceMs }: Circumstances): Finding {
  const { telnyx, named } = evidence;
  if (named) return finding(evidence, 'lost', atTelnyx(evidence));
  const created = telnyx?.createdAt;
  if (created !== undefined && created > began - graceMs)
    return finding(evidence, 'pending', createdOn(created));
  if (telnyx?.infected) return finding(evidence, 'infected', '');
  return finding(evidence, 'missing', created === undefined ? '' : createdOn(created));
}

/** An object without a receipt: the archiver may be about to write it. */
function judgeOrphan(
  evidence: Evidence,
  object: { modified: number },
  { began, graceMs }: Circumstances,
): Finding {
  if (!evidence.named && object.modified > began - graceMs)
    return finding(evidence, 'pending', 'its receipt is not yet there');
  return finding(evidence, 'no-receipt', atTelnyx(evidence));
}

/** Of the receipt by itself and against the manifest. */
function judgeReceipt(evidence: Evidence): Finding[] {
  const { receipt, named } = evidence;
  const reading = receipt?.reading;
  if (!reading) return [];
  const changed =
    named?.receipt !== undefined && named.receipt !== reading.digest
      ? 'it is not the one that the manifest names'
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

/** Of the object against whoever said first what it must be: the manifest, then the receipt. */
function judgeObject(evidence: Evidence, object: NonNullable<Evidence['object']>): Finding[] {
  const { receipt, named } = evidence;
  const stated = receipt?.reading?.stated;
  // The manifest names no size; a receipt that it does not name as it is now proves none.
  const isReceiptNamed = named?.receipt === undefined || named.receipt === receipt?.reading?.digest;
  if (stated?.bytes !== undefined && isReceiptNamed && stated.bytes !== object.bytes) {
    return [finding(evidence, 'size-differs', `${object.bytes} bytes, not ${stated.bytes}`)];
  }
  const expected = named?.document ?? stated?.sha256;
  if (expected !== undefined && object.sha256 !== undefined && expected !== object.sha256) {
    const witness = named?.document === undefined ? 'receipt' : 'manifest';
    return [
      finding(evidence, 'checksum-differs', `SHA-256 ${object.sha256}, the ${witness} says ${expected}`),
    ];
  }
  return [];
}

/** Of what is sound in itself against what Telnyx says today. */
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
        `Telnyx states ${telnyx?.bytes} bytes, archived are ${archived.bytes}`,
      ),
    ];
  }
  if (differs(telnyx?.sha256, archived.sha256)) {
    return [
      finding(
        evidence,
        'telnyx-differs',
        `Telnyx states SHA-256 ${telnyx?.sha256}, archived is ${archived.sha256}`,
      ),
    ];
  }
  // The list need not state fractions of a second as the record did.
  const apart = Math.abs((telnyx?.createdAt ?? Number.NaN) - (reading?.createdAt ?? Number.NaN));
  if (apart >= 1_000) {
    return [
      finding(
        evidence,
        'telnyx-differs',
        'Telnyx states another creation time than its record in the receipt',
      ),
    ];
  }
  return [];
}

function judgeSound(
  evidence: Evidence,
  receipt: { modified: number },
  { began, telnyxListed }: Circumstances,
): Finding {
  // Archived after Telnyx was listed: it was there then, whatever the list says.
  const isOlder = receipt.modified < began - clockSkewMs;
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
