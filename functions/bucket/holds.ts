/** Records of who placed or released a legal hold on a document, and why. Each is written once. */
import * as v from 'valibot';
import { ArchiverError } from '../errors.ts';
import { documentIdOfHold, holdKey, holdsOfPrefix } from './keys.ts';
import { type Bucket, objectInMemory } from './store.ts';

const holdRecord = v.strictObject({
  v: v.literal(1),
  documentId: v.string(),
  action: v.picklist(['hold', 'release']),
  /** ISO 8601; the instant in the record's key. */
  at: v.pipe(v.string(), v.isoTimestamp()),
  /** Role that did it, without its session. */
  by: v.string(),
  reason: v.string(),
  /** Version of the archiver that wrote the record. */
  archiver: v.string(),
});
const holdRecordJson = v.pipe(v.string(), v.parseJson(), holdRecord);

export type HoldRecord = v.InferOutput<typeof holdRecord>;

/** @throws ArchiverError UnexpectedResponse if the archiver did not write it at this key in this form */
export function parseHoldRecord(key: string, body: Buffer): HoldRecord {
  const { success, output } = v.safeParse(holdRecordJson, body.toString('utf8'));
  // A copy at a later key would count instead of the records before it.
  if (success && output.documentId === documentIdOfHold(key) && key.endsWith(`/${output.at}.json`)) {
    return output;
  }
  throw new ArchiverError(
    'UnexpectedResponse',
    `The object ${key} is not a hold record that the archiver wrote there. Read it, and find out who wrote it.`,
  );
}

/** The newest record of a document; undefined if there is none. @throws ArchiverError the errors of `Bucket` */
export async function latestHoldRecord(
  documentId: string,
  bucket: Pick<Bucket, 'list' | 'read'>,
  signal: AbortSignal,
): Promise<HoldRecord | undefined> {
  let newest: string | undefined;
  for (;;) {
    const keys = await bucket.list(holdsOfPrefix(documentId), newest, signal);
    if (keys.length === 0) break;
    newest = keys.at(-1);
  }
  if (newest === undefined) return undefined;
  const body = await bucket.read(newest, signal);
  return body && parseHoldRecord(newest, body);
}

/**
 * Writes a record that sorts after all others of the document, even if this machine's clock is behind.
 *
 * @param at milliseconds since the Unix epoch
 * @throws ArchiverError the errors of `Bucket`
 */
export async function writeHoldRecord(
  record: Omit<HoldRecord, 'v' | 'at'>,
  at: number,
  bucket: Pick<Bucket, 'list' | 'read' | 'putOnce'>,
  signal: AbortSignal,
): Promise<HoldRecord> {
  const { documentId } = record;
  for (;;) {
    const latest = await latestHoldRecord(documentId, bucket, signal);
    const instant = Math.max(at, latest === undefined ? 0 : Date.parse(latest.at) + 1);
    const { action, by, reason, archiver } = record;
    const written: HoldRecord = {
      v: 1,
      documentId,
      action,
      at: new Date(instant).toISOString(),
      by,
      reason,
      archiver,
    };
    const text = `${JSON.stringify(written, undefined, 2)}\n`;
    const object = objectInMemory(holdKey(documentId, instant), text, 'application/json');
    const stored = await bucket.putOnce(object, signal);
    if (stored !== 'exists') return written;
  }
}
