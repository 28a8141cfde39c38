/** Judges one document by the evidence collected on it. Pure: no request, no clock. */
import { receiptKey } from '../bucket/keys.ts';
import { clockSkewMs } from '../limits.ts';
import { type AuditConditions, type Evidence, finding } from './evidence.ts';
import { type Finding, weightOf } from './findings.ts';
import { judgeContexts } from './judge-contexts.ts';
import { claimsErasure, judgeErasure } from './judge-erasure.ts';
import { judgeHold } from './judge-hold.ts';
import { isHidden, judgeVersions } from './judge-versions.ts';
import { acceptedReceiptIn, judgeClaims, lastNamed, type NamedDigests } from './manifest-claims.ts';

/**
 * @returns the problems, or one finding that is not a problem if there are none. Nothing about a document of which only
 *   contexts are known: it may never have been archived
 */
export function judge(evidence: Evidence, conditions: AuditConditions): Finding[] {
  const findings = [
    ...(claimsErasure(evidence)
      ? judgeErasure(evidence)
      : [...judgeDocument(evidence, conditions), ...judgeContexts(evidence)]),
    ...judgeClaims(evidence),
    ...judgeHold(evidence),
  ];
  const problems = findings.filter(isProblem);
  return problems.length > 0 ? problems : findings;
}

/** Also if it could not be checked. */
export function isProblem({ code }: Finding): boolean {
  return weightOf(code) !== 'fine';
}

/** A document that was not erased. */
function judgeDocument(evidence: Evidence, conditions: AuditConditions): Finding[] {
  const { documentId, object, receipt, listed } = evidence;
  const replaced = [listed?.object, listed?.receipt]
    .flatMap((key) => (key ? judgeVersions(key) : []))
    .map((problem) => ({ ...problem, documentId }));
  if (!object && !receipt) return replaced.length > 0 ? replaced : judgeUnarchived(evidence, conditions);
  const named = lastNamed(evidence);
  const altered = judgeReceipt(evidence, named);
  if (!object && !isHidden(listed?.object)) {
    return [finding(evidence, 'no-object', atTelnyx(evidence)), ...replaced, ...altered];
  }
  if (object && !receipt && !isHidden(listed?.receipt)) {
    return [judgeWithoutReceipt(evidence, object, conditions), ...replaced];
  }
  const findings = [...replaced, ...altered, ...(object ? judgeObject(evidence, object, named) : [])];
  if (findings.length > 0 || !object || !receipt) return findings;
  const differences = judgeAgainstTelnyx(evidence, object, receipt);
  return differences.length > 0 ? differences : [judgeUnchanged(evidence, receipt, conditions)];
}

/** Neither object nor receipt. */
function judgeUnarchived(evidence: Evidence, { startedAt, graceMs }: AuditConditions): Finding[] {
  const { telnyx, claims, hold, contexts } = evidence;
  if (claims || hold) return [finding(evidence, 'lost', atTelnyx(evidence))];
  if (contexts && !telnyx) return [];
  const created = telnyx?.createdAt;
  // Stryker disable next-line ConditionalExpression: undefined is not later than anything; required by the type.
  if (created !== undefined && created > startedAt - graceMs)
    return [finding(evidence, 'pending', createdOn(created))];
  if (telnyx?.infected) return [finding(evidence, 'infected', '')];
  return [finding(evidence, 'missing', created === undefined ? '' : createdOn(created))];
}

/** An object without a receipt. If it is recent, the archiver may be about to write the receipt. */
function judgeWithoutReceipt(
  evidence: Evidence,
  object: { modified: number },
  { startedAt, graceMs }: AuditConditions,
): Finding {
  if (!evidence.claims && object.modified > startedAt - graceMs)
    return finding(evidence, 'pending', 'no receipt yet');
  return finding(evidence, 'no-receipt', atTelnyx(evidence));
}

/** Checks the receipt itself, and compares it with the manifests. */
function judgeReceipt(evidence: Evidence, named: NamedDigests): Finding[] {
  const reading = evidence.receipt?.reading;
  if (!reading) return [];
  const changed =
    named.receipt !== undefined && named.receipt !== reading.digest
      ? 'its SHA-256 differs from the manifest'
      : undefined;
  const alteration = reading.alteration ?? changed;
  return alteration === undefined
    ? []
    : [finding(evidence, 'receipt-altered', alteration, receiptKey(evidence.documentId))];
}

/** Compares the object with the manifests or, for a document that no manifest names, with the receipt. */
function judgeObject(
  evidence: Evidence,
  object: NonNullable<Evidence['object']>,
  named: NamedDigests,
): Finding[] {
  const { receipt } = evidence;
  const stated = receipt?.reading?.stated;
  // A manifest has no sizes, and a receipt that differs from the manifest is no evidence of the size.
  const isReceiptTrusted = named.receipt === undefined || named.receipt === receipt?.reading?.digest;
  if (stated?.bytes !== undefined && isReceiptTrusted && stated.bytes !== object.bytes) {
    return [finding(evidence, 'size-differs', `${inBytes(object.bytes)}, expected ${stated.bytes}`)];
  }
  const expected = named.document ?? stated?.sha256;
  if (expected !== undefined && object.sha256 !== undefined && expected !== object.sha256) {
    const source = named.document === undefined ? 'receipt' : 'manifest';
    return [
      finding(evidence, 'checksum-differs', `SHA-256 ${object.sha256}, expected ${expected} (${source})`),
    ];
  }
  return [];
}

/** Compares a consistent pair of object and receipt with Telnyx's current list. */
function judgeAgainstTelnyx(
  evidence: Evidence,
  object: NonNullable<Evidence['object']>,
  { reading }: NonNullable<Evidence['receipt']>,
): Finding[] {
  const { bytes, sha256, createdAt } = evidence.telnyx ?? {};
  const archived = { bytes: object.bytes, sha256: object.sha256 ?? reading?.stated.sha256 };
  const differs = (now: unknown, then: unknown) => now !== undefined && then !== undefined && now !== then;
  if (differs(bytes, archived.bytes)) {
    return [
      finding(evidence, 'telnyx-differs', `Telnyx states ${inBytes(bytes)}, archived ${archived.bytes}`),
    ];
  }
  if (differs(sha256, archived.sha256)) {
    return [
      finding(evidence, 'telnyx-differs', `Telnyx states SHA-256 ${sha256}, archived ${archived.sha256}`),
    ];
  }
  // Telnyx's list may omit the fraction of a second that its record has.
  const apart = Math.abs((createdAt ?? Number.NaN) - (reading?.createdAt ?? Number.NaN));
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
  const accepted = acceptedReceiptIn(evidence);
  if (accepted !== undefined) return finding(evidence, 'receipt-accepted', `in ${accepted}`);
  // A document archived after the listing started was at Telnyx then, even if the list does not have it.
  const isOlder = receipt.modified < startedAt - clockSkewMs;
  return finding(evidence, telnyxListed && !evidence.telnyx && isOlder ? 'kept' : 'same', '');
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
