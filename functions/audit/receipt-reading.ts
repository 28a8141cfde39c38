/** A receipt as it is read back: by somebody who trusts neither its text nor where it lies. */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { documentKey } from '../bucket/keys.ts';
import { type Receipt, receiptText } from '../bucket/receipts.ts';
import { membersOf } from '../json-text.ts';
import { type Fields, isFields, readFacts } from '../telnyx/record.ts';

/** 64 lower-case hex digits. */
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const bytes = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const text = v.string();
const instant = v.pipe(v.string(), v.isoTimestamp());

/** As `functions/bucket/receipts.ts` writes it. */
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
  /** SHA-256 of the receipt itself, in lower-case hex. */
  digest: string;
  /** What is not as the archiver wrote it; undefined where nothing shows. */
  alteration: string | undefined;
  /** What the receipt states, as far as it can be believed. */
  stated: { bytes: number | undefined; sha256: string | undefined };
  archivedAt: number | undefined;
  createdAt: number | undefined;
  fileName: string | undefined;
  contentType: string | undefined;
  trigger: string | undefined;
}

const nothing: Omit<ReceiptReading, 'digest'> = {
  alteration: undefined,
  stated: { bytes: undefined, sha256: undefined },
  archivedAt: undefined,
  createdAt: undefined,
  fileName: undefined,
  contentType: undefined,
  trigger: undefined,
};

/** A receipt has some 2 kB, of which Telnyx's record is the most. What is larger is not worth reading. */
export const largestReceiptBytes = 1024 ** 2;

/** Of an object in a receipt's place that cannot be one. */
export function tooLargeReceipt(bytes: number): ReceiptReading {
  return { ...nothing, digest: '', alteration: `it has ${bytes} bytes, more than any receipt` };
}

/** @param documentId the one in the receipt's key */
export function readReceipt(documentId: string, body: Buffer): ReceiptReading {
  const reading: ReceiptReading = { ...nothing, digest: createHash('sha256').update(body).digest('hex') };
  const json = parse(body);
  if (json === undefined) return { ...reading, alteration: 'it is not JSON' };
  const result = v.safeParse(receipt, json);
  if (!result.success) {
    const place = v.getDotPath(result.issues[0]) ?? 'its top level';
    return { ...reading, alteration: `${place} is missing, unknown or not as the archiver writes it` };
  }
  const { object, telnyx, archivedAt, request } = result.output;
  reading.archivedAt = Date.parse(archivedAt);
  const { facts } = readFacts(telnyx);
  reading.createdAt = facts.createdAt === undefined ? undefined : Date.parse(facts.createdAt);
  reading.fileName = facts.fileName;
  reading.contentType = facts.contentType;
  reading.trigger = request.trigger;

  const stranger = aboutAnother(documentId, result.output);
  if (stranger !== undefined) return { ...reading, alteration: stranger };
  return {
    ...reading,
    alteration: contradiction(object, facts) ?? otherLayout(json as Receipt, body),
    // Where the two differ, Telnyx's words stand against the archiver's.
    stated: {
      bytes: facts.bytes ?? object.bytes,
      sha256: facts.sha256 ?? object.sha256,
    },
  };
}

type Written = v.InferOutput<typeof receipt>;

function aboutAnother(documentId: string, written: Written): string | undefined {
  if (written.documentId !== documentId) return 'it is about another document';
  if (written.telnyx.id !== documentId) return 'Telnyx’s record in it is about another document';
  if (written.object.key !== documentKey(documentId)) return 'it names another key';
  return undefined;
}

function contradiction(
  object: Written['object'],
  telnyx: { bytes: number | undefined; sha256: string | undefined },
): string | undefined {
  if (telnyx.sha256 !== undefined && telnyx.sha256 !== object.sha256) {
    return 'it states another SHA-256 than Telnyx’s record in it';
  }
  if (telnyx.bytes !== undefined && telnyx.bytes !== object.bytes) {
    return 'it states another size than Telnyx’s record in it';
  }
  if ((object.sha256StatedBy === 'telnyx') !== (telnyx.sha256 !== undefined)) {
    return 'it does not say correctly whether Telnyx stated the SHA-256';
  }
  return undefined;
}

/**
 * Whoever edits a receipt by hand or with another program rarely lays it out as the archiver does. That goes for the
 * archiver's own part: the text of Telnyx's record is Telnyx's, or, in receipts of 0.1.0, indented like the rest.
 */
function otherLayout(json: Receipt, body: Buffer): string | undefined {
  const telnyx = membersOf(body.toString('utf8')).get('telnyx') as string;
  const written = Buffer.from(receiptText({ ...json, telnyx }));
  return body.equals(written) ? undefined : 'it is laid out otherwise than the archiver does';
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // The parser's words quote the receipt, and there is nothing else to say.
    return undefined;
  }
}
