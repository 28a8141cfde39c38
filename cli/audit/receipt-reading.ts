/** A receipt as it is read back: by somebody who trusts neither its text nor where it lies. */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { documentKey } from '../../functions/bucket/keys.ts';

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
  telnyx: v.record(v.string(), v.unknown()),
});

/** What Telnyx's record says of the bytes, after `functions/telnyx/client.ts`. */
const record = v.object({
  id: text,
  sha256: v.nullish(v.pipe(v.string(), v.toLowerCase(), v.union([digest, v.literal('')]))),
  size: v.nullish(v.object({ amount: v.nullish(bytes) })),
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
  reading.createdAt = asInstant(telnyx.created_at);
  reading.fileName = asText(telnyx.filename);
  reading.contentType = asText(telnyx.content_type);
  reading.trigger = request.trigger;

  const stated = v.safeParse(record, telnyx);
  if (!stated.success) {
    return { ...reading, alteration: 'Telnyx’s record in it is not one that the archiver accepts' };
  }
  const telnyxSays = {
    id: stated.output.id,
    bytes: stated.output.size?.amount ?? undefined,
    sha256: stated.output.sha256 || undefined,
  };
  const stranger = aboutAnother(documentId, result.output, telnyxSays.id);
  if (stranger !== undefined) return { ...reading, alteration: stranger };
  return {
    ...reading,
    alteration: contradiction(object, telnyxSays) ?? otherLayout(json, body),
    // Where the two differ, Telnyx's words stand against the archiver's.
    stated: {
      bytes: telnyxSays.bytes ?? object.bytes,
      sha256: telnyxSays.sha256 ?? object.sha256,
    },
  };
}

type Written = v.InferOutput<typeof receipt>;

function aboutAnother(documentId: string, written: Written, telnyxId: string): string | undefined {
  if (written.documentId !== documentId) return 'it is about another document';
  if (telnyxId !== documentId) return 'Telnyx’s record in it is about another document';
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

/** Whoever edits a receipt by hand or with another program rarely lays it out as the archiver does. */
function otherLayout(json: unknown, body: Buffer): string | undefined {
  const written = Buffer.from(`${JSON.stringify(json, undefined, 2)}\n`);
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

function asInstant(value: unknown): number | undefined {
  const instant = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isFinite(instant) ? instant : undefined;
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
