/** Collects the evidence on each document from the listings, Telnyx, the manifests and the bucket, and judges it. */
import { hash } from 'node:crypto';
import { maxContextBytes, parseContext } from '../bucket/contexts.ts';
import { parseHoldRecord } from '../bucket/holds.ts';
import { documentKey, receiptKey } from '../bucket/keys.ts';
import type { ListedKey } from '../bucket/listing.ts';
import { maxReceiptBytes } from '../bucket/receipts.ts';
import type { StorageRetry } from '../bucket/storage-retry.ts';
import type { Bucket } from '../bucket/store.ts';
import { maxTombstoneBytes, parseTombstone } from '../bucket/tombstones.ts';
import type { Versions } from '../bucket/versions.ts';
import { ArchiverError, asArchiverError } from '../errors.ts';
import {
  type AuditConditions,
  type ContextEvidence,
  type Evidence,
  finding,
  type HoldEvidence,
  isHeld,
  type TombstoneReading,
} from './evidence.ts';
import type { Finding } from './findings.ts';
import { isProblem, judge } from './judge.ts';
import { readReceipt, tooLargeReceipt } from './receipt-reading.ts';
import type { SourceRow } from './sources.ts';

export interface Inspection {
  evidence: Evidence;
  findings: Finding[];
}

export interface InspectDependencies {
  bucket: Pick<Bucket, 'head' | 'read' | 'hash'>;
  versions: Pick<Versions, 'lockOf'>;
  retry: StorageRetry;
  conditions: AuditConditions;
  /** Judge by the listings alone, except documents that are held or seem to have a problem. */
  quick: boolean;
  /** Decides for each object whether to download and hash it although S3 verified its SHA-256. */
  readData: () => boolean;
  /** Milliseconds since the Unix epoch. */
  now: () => number;
  /** Called before each request. */
  onRequest: () => void;
  /** Called with the size of each object that was downloaded and hashed. */
  onRead: (bytes: number) => void;
}

/** @returns the findings; a failed request is the finding `unreadable`. @throws the signal's reason */
export async function inspect(
  row: SourceRow,
  signal: AbortSignal,
  dependencies: InspectDependencies,
): Promise<Inspection> {
  const { conditions, quick } = dependencies;
  const known = evidenceOf(row);
  const inspection = (of: Evidence, findings: Finding[]) => inspectionOf(of, findings, conditions);
  if (quick && !row.hold && !needsLookup(row)) {
    const listed = { ...known, ...currentVersions(row) };
    const findings = judge(listed, conditions);
    // Stryker disable next-line MethodExpression: either all findings of a document are problems, or none is.
    if (!findings.some(isProblem)) return inspection(listed, findings);
  }
  try {
    const [object, receipt, records, contexts] = await allOf([
      inspectObject(row, dependencies),
      inspectReceipt(row, dependencies),
      readHoldRecords(row, dependencies),
      readContexts(row, dependencies),
    ]);
    const evidence: Evidence = {
      ...known,
      ...(object && { object }),
      ...(receipt && { receipt }),
      ...(contexts && { contexts }),
    };
    if (object && receipt?.tombstone)
      object.tombstone ??= await readTombstoneAt(documentKey(row.id), row.id, object.bytes, dependencies);
    if (records) {
      evidence.hold = { records, locks: [] };
      if (isHeld(evidence)) evidence.hold.locks = await readLocks(row, evidence, dependencies);
    }
    signal.throwIfAborted();
    return inspection(evidence, judge(evidence, conditions));
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = asArchiverError(thrown);
    return inspection(known, [finding(known, 'unreadable', `${code}: ${message}`)]);
  }
}

/** Adds to each finding what a reader wants to know about its document. */
export function inspectionOf(
  evidence: Evidence,
  findings: Finding[],
  conditions: AuditConditions,
): Inspection {
  const facts = documentFacts(evidence, conditions);
  return { evidence, findings: findings.map((each) => ({ ...each, ...facts })) };
}

/** What is known without a request. */
function evidenceOf({ id, object, receipt, telnyx, manifests, contexts }: SourceRow): Evidence {
  return {
    documentId: id,
    listed: { object, receipt },
    ...(telnyx && { telnyx }),
    ...(manifests && { claims: manifests.claims }),
    ...(contexts && {
      contexts: {
        records: contexts.records.map((listed) => ({ listed, isWhole: undefined })),
        tombstone: contexts.tombstone && { listed: contexts.tombstone, reading: undefined },
      },
    }),
  };
}

/** Object and receipt as listed. */
function currentVersions({ object, receipt }: SourceRow): Pick<Evidence, 'object' | 'receipt'> {
  return {
    ...(object?.current && { object: object.current }),
    ...(receipt?.current && { receipt: { modified: receipt.current.modified } }),
  };
}

/** Waits for all, so that no request is left running. @throws the first failure */
async function allOf<Results extends readonly unknown[]>(
  promises: { [Index in keyof Results]: Promise<Results[Index]> },
): Promise<Results> {
  await Promise.allSettled(promises);
  return (await Promise.all(promises)) as unknown as Results;
}

function documentFacts(
  evidence: Evidence,
  { telnyxListed }: AuditConditions,
): Pick<Finding, 'fileName' | 'customerReference' | 'versionId' | 'atTelnyx'> {
  const { telnyx, receipt } = evidence;
  return {
    ...namesOf(evidence),
    versionId: receipt?.reading?.versionId,
    atTelnyx: telnyx ? true : telnyxListed ? false : undefined,
  };
}

/** File name and reference as the receipt states them. Telnyx's list takes precedence over an altered receipt. */
export function namesOf({ telnyx, receipt }: Evidence): Pick<Finding, 'fileName' | 'customerReference'> {
  const reading = receipt?.reading;
  const [first, second] = reading?.alteration === undefined ? [reading, telnyx] : [telnyx, reading];
  return {
    fileName: first?.fileName ?? second?.fileName,
    customerReference: first?.customerReference ?? second?.customerReference,
  };
}

/**
 * The two listings are not read at the same moment. So a document that only one of them has is looked up again, as is
 * one that a manifest, a hold record or a tombstone names and neither has.
 */
function needsLookup({ object, receipt, manifests, hold, contexts, notListed }: SourceRow): boolean {
  const isNamed = manifests !== undefined || hold !== undefined || contexts?.tombstone !== undefined;
  return notListed === true || (object === undefined) !== (receipt === undefined) || (isNamed && !object);
}

/** Whether there is nothing to read: not listed, or hidden by a delete marker. */
function isAbsent(listed: ListedKey | undefined, row: SourceRow): boolean {
  return listed ? listed.current === undefined : !needsLookup(row);
}

async function inspectObject(row: SourceRow, dependencies: InspectDependencies): Promise<Evidence['object']> {
  const { bucket, retry, readData, now, onRequest, onRead } = dependencies;
  if (isAbsent(row.object, row)) return undefined;
  const current = row.object?.current;
  const key = documentKey(row.id);
  const head = await retry((limited) => {
    onRequest();
    return bucket.head(key, limited);
  });
  if (!head) return undefined;
  const found: NonNullable<Evidence['object']> = {
    bytes: head.bytes,
    modified: current?.modified ?? now(),
    sha256: head.sha256,
  };
  if (head.state === 'erased') {
    found.tombstone = (await readTombstoneAt(key, row.id, head.bytes, dependencies)) ?? {
      digest: '',
      alteration: 'not a tombstone, although its metadata says so',
    };
  }
  // Without a SHA-256 that S3 verified, only the bytes themselves are evidence.
  if (head.sha256 !== undefined && !readData()) return found;
  found.sha256 = await retry((limited) => {
    onRequest();
    return bucket.hash(key, limited);
  });
  onRead(head.bytes);
  return found;
}

/** @returns undefined if the object is not a tombstone */
async function readTombstoneAt(
  key: string,
  documentId: string,
  bytes: number,
  { bucket, retry, onRequest }: InspectDependencies,
): Promise<TombstoneReading | undefined> {
  if (bytes > maxTombstoneBytes) return undefined;
  const body = await retry((limited) => {
    onRequest();
    return bucket.read(key, limited);
  });
  return body && readTombstone(documentId, body);
}

async function inspectReceipt(
  row: SourceRow,
  { bucket, retry, now, onRequest }: InspectDependencies,
): Promise<Evidence['receipt']> {
  if (isAbsent(row.receipt, row)) return undefined;
  const current = row.receipt?.current;
  const modified = current?.modified ?? now();
  const bytes = current?.bytes ?? 0;
  if (bytes > maxReceiptBytes) return { modified, reading: tooLargeReceipt(bytes) };
  const body = await retry((limited) => {
    onRequest();
    return bucket.read(receiptKey(row.id), limited);
  });
  if (!body) return undefined;
  const tombstone = readTombstone(row.id, body);
  return tombstone ? { modified, tombstone } : { modified, reading: readReceipt(row.id, body) };
}

function readTombstone(documentId: string, body: Buffer): TombstoneReading | undefined {
  const parsed = parseTombstone(documentId, body);
  if (parsed === undefined) return undefined;
  const digest = hash('sha256', body);
  return typeof parsed === 'string' ? { digest, alteration: parsed } : { digest, content: parsed };
}

async function readContexts(
  { id, contexts }: SourceRow,
  dependencies: InspectDependencies,
): Promise<ContextEvidence | undefined> {
  if (!contexts) return undefined;
  const { bucket, retry, onRequest } = dependencies;
  const records: ContextEvidence['records'] = [];
  for (const listed of contexts.records) {
    const { key, current } = listed;
    if (!current || current.bytes > maxContextBytes) {
      records.push({ listed, isWhole: false });
      continue;
    }
    const body = await retry((limited) => {
      onRequest();
      return bucket.read(key, limited);
    });
    // Gone since the listing: an erasure deletes contexts.
    if (body) records.push({ listed, isWhole: wholeRecord(() => parseContext(key, body)) !== undefined });
  }
  const listed = contexts.tombstone;
  const bytes = listed?.current?.bytes;
  const reading =
    listed && bytes !== undefined ? await readTombstoneAt(listed.key, id, bytes, dependencies) : undefined;
  return { records, tombstone: listed && { listed, reading } };
}

async function readHoldRecords(
  { hold }: SourceRow,
  { bucket, retry, onRequest }: InspectDependencies,
): Promise<HoldEvidence['records'] | undefined> {
  if (!hold) return undefined;
  const records: HoldEvidence['records'] = [];
  for (const listed of hold.records) {
    const { key, current } = listed;
    const body =
      current &&
      (await retry((limited) => {
        onRequest();
        return bucket.read(key, limited);
      }));
    records.push({ listed, content: body && wholeRecord(() => parseHoldRecord(key, body)) });
  }
  return records;
}

/** @returns undefined if the archiver did not write the record there in this form */
export function wholeRecord<Content>(parse: () => Content): Content | undefined {
  try {
    return parse();
  } catch (thrown) {
    if (thrown instanceof ArchiverError) return undefined;
    throw thrown;
  }
}

/** An object that is a tombstone need not be on legal hold, nor what hides behind a delete marker. */
async function readLocks(
  row: SourceRow,
  { object, receipt }: Evidence,
  { versions, retry, onRequest }: InspectDependencies,
): Promise<HoldEvidence['locks']> {
  const locks: HoldEvidence['locks'] = [];
  for (const [part, listed] of [
    [object, row.object],
    [receipt, row.receipt],
  ] as const) {
    if (!part || part.tombstone || !listed?.current) continue;
    const { key, current } = listed;
    try {
      const lock = await retry((limited) => {
        onRequest();
        return versions.lockOf(key, current.versionId, limited);
      });
      locks.push({ key, state: lock?.held ? 'on' : 'off' });
    } catch (thrown) {
      // The rest of the document can be judged without its locks. The signal's reason is thrown by the caller.
      const { code, message } = asArchiverError(thrown);
      locks.push({ key, state: { unreadable: `${code}: ${message}` } });
    }
  }
  return locks;
}
