/** Reads a receipt back and checks it, trusting neither its content nor its key. */
import { hash } from 'node:crypto';
import * as v from 'valibot';
import { documentKey } from '../bucket/keys.ts';
import { type Receipt, receiptText } from '../bucket/receipts.ts';
import { faultyMember } from '../faulty-member.ts';
import { membersOf } from '../json-text.ts';
import { type Fields, isFields, readFacts } from '../telnyx/record.ts';

/** 64 lower-case hex digits. */
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const bytes = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = v.string();
const instant = v.pipe(v.string(), v.isoTimestamp());

/** The form that `functions/bucket/receipts.ts` writes. */
const receipt = v.strictObject({
  v: v.literal(1),
  documentId: text,
  archivedAt: instant,
  object: v.strictObject({
    key: text,
    bytes,
    sha256: digest,
    sha256StatedBy: v.picklist(['telnyx', 'archiver']),
    etag: v.optional(text),
    versionId: v.optional(text),
  }),
  request: v.strictObject({
    trigger: v.picklist(['webhook', 'sweep', 'backfill', 'operator']),
    event: v.optional(v.strictObject({ id: text, type: text, occurredAt: text })),
    requestedAt: instant,
    receives: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  }),
  archiver: text,
  telnyxCut: v.optional(v.literal(true)),
  telnyx: v.custom<Fields>(isFields),
});

export interface ReceiptReading {
  /** SHA-256 of the receipt's own bytes, in lower-case hex. */
  digest: string;
  /** A sign that the receipt was changed after the archiver wrote it, in words; undefined if there is none. */
  alteration: string | undefined;
  /** Size and SHA-256 of the document according to the receipt; undefined if the receipt is not credible. */
  stated: { bytes: number | undefined; sha256: string | undefined };
  archivedAt: number | undefined;
  createdAt: number | undefined;
  fileName: string | undefined;
  customerReference: string | undefined;
  contentType: string | undefined;
  trigger: string | undefined;
  /** Version of the object in the bucket; undefined if the bucket has no versions. */
  versionId: string | undefined;
}

const emptyReading: Omit<ReceiptReading, 'digest'> = {
  alteration: undefined,
  stated: { bytes: undefined, sha256: undefined },
  archivedAt: undefined,
  createdAt: undefined,
  fileName: undefined,
  customerReference: undefined,
  contentType: undefined,
  trigger: undefined,
  versionId: undefined,
};

/** The reading of an object that is too large to be a receipt. */
export function tooLargeReceipt(bytes: number): ReceiptReading {
  return {
    ...emptyReading,
    // Stryker disable next-line StringLiteral: any text that is not a digest differs from every digest.
    digest: '',
    alteration: `${bytes} bytes, too large for a receipt`,
  };
}

/** @param documentId the one in the receipt's key */
export function readReceipt(documentId: string, body: Buffer): ReceiptReading {
  const reading: ReceiptReading = {
    ...emptyReading,
    digest: hash('sha256', body),
  };
  const json = parse(body);
  if (json === undefined) return { ...reading, alteration: 'not JSON' };
  const result = v.safeParse(receipt, json);
  if (!result.success) {
    const alteration = `${faultyMember(result.issues[0])} is missing, unknown or not valid`;
    return { ...reading, alteration };
  }
  const { object, telnyx, archivedAt, request } = result.output;
  reading.archivedAt = Date.parse(archivedAt);
  const { facts } = readFacts(telnyx);
  reading.createdAt = facts.createdAt === undefined ? undefined : Date.parse(facts.createdAt);
  reading.fileName = facts.fileName;
  reading.customerReference = facts.customerReference;
  reading.contentType = facts.contentType;
  reading.trigger = request.trigger;
  reading.versionId = object.versionId;

  const mismatch = identityMismatch(documentId, result.output);
  if (mismatch !== undefined) return { ...reading, alteration: mismatch };
  return {
    ...reading,
    alteration: contradiction(object, facts) ?? layoutDifference(json as Receipt, body),
    // If the two differ, `alteration` is set. Telnyx's record takes precedence.
    stated: {
      bytes: facts.bytes ?? object.bytes,
      sha256: facts.sha256 ?? object.sha256,
    },
  };
}

type ParsedReceipt = v.InferOutput<typeof receipt>;

function identityMismatch(documentId: string, written: ParsedReceipt): string | undefined {
  if (written.documentId !== documentId) return 'the receipt of another document';
  if (written.telnyx.id !== documentId) return 'it contains Telnyx’s record of another document';
  if (written.object.key !== documentKey(documentId)) return 'it names a different key';
  return undefined;
}

function contradiction(
  object: ParsedReceipt['object'],
  telnyx: { bytes: number | undefined; sha256: string | undefined },
): string | undefined {
  if (telnyx.sha256 !== undefined && telnyx.sha256 !== object.sha256) {
    return 'its SHA-256 differs from Telnyx’s record in it';
  }
  if (telnyx.bytes !== undefined && telnyx.bytes !== object.bytes) {
    return 'its size differs from Telnyx’s record in it';
  }
  if ((object.sha256StatedBy === 'telnyx') !== (telnyx.sha256 !== undefined)) {
    return 'its sha256StatedBy does not match Telnyx’s record in it';
  }
  return undefined;
}

/**
 * A receipt that was edited by hand or with another program is rarely formatted as the archiver formats it. This checks
 * the archiver's own part: Telnyx's record keeps Telnyx's text or, in receipts of 0.1.0, is indented like the rest.
 */
function layoutDifference(json: Receipt, body: Buffer): string | undefined {
  const telnyx = membersOf(body.toString('utf8')).get('telnyx') as string;
  const written = Buffer.from(receiptText({ ...json, telnyx }));
  return body.equals(written) ? undefined : 'not formatted as the archiver formats it';
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // The parser's message quotes the receipt, so it is not reported.
  }
  return undefined;
}
