/**
 * The keys of the objects in the bucket. A key contains the document ID and no text from elsewhere, such as a file
 * name: 512 characters of Unicode exceed S3's limit of 1,024 bytes, and the SDK does not reject `..`.
 */
import { type AuditPart, isPartStartName, isRunName, partStartName } from '../audit-names.ts';
import { isUuid } from '../uuid.ts';

export const documentPrefix = 'documents/';
export const receiptPrefix = 'receipts/';
/** Written by the audit function and the `audit` command. */
export const manifestPrefix = 'manifests/';
/** Written by the audit function: plan, results and summary of each run. */
export const auditPrefix = 'audits/';
/** Written by the discover function: what it learnt about whose document it is. */
export const contextPrefix = 'contexts/';
/** Written by the `hold` and `release` commands, never by a function. */
export const holdPrefix = 'holds/';
const jsonSuffix = '.json';

/** `documents/<id>` */
export function documentKey(documentId: string): string {
  return documentPrefix + checkId(documentId);
}

/** `receipts/<id>.json` */
export function receiptKey(documentId: string): string {
  return receiptPrefix + checkId(documentId) + jsonSuffix;
}

/** The document ID in the key of an archived document, or undefined for any other key. */
export function documentIdOfObject(key: string): string | undefined {
  if (!key.startsWith(documentPrefix)) return undefined;
  const id = key.slice(documentPrefix.length);
  return isUuid(id) ? id : undefined;
}

/** The document ID in the key of a receipt, or undefined for any other key. */
export function documentIdOfReceipt(key: string): string | undefined {
  if (!key.startsWith(receiptPrefix) || !key.endsWith(jsonSuffix)) return undefined;
  const id = key.slice(receiptPrefix.length, -jsonSuffix.length);
  return isUuid(id) ? id : undefined;
}

/** `holds/<id>/`, the prefix of all hold records of a document. */
export function holdsOfPrefix(documentId: string): string {
  return `${holdPrefix}${checkId(documentId)}/`;
}

/** `holds/<id>/<instant>.json`: the keys of one document sort by time. @param at milliseconds since the Unix epoch */
export function holdKey(documentId: string, at: number): string {
  return `${holdsOfPrefix(documentId)}${new Date(at).toISOString()}${jsonSuffix}`;
}

const holdKeyPattern = /^holds\/([^/]+)\/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\.json$/;

/** The document ID in the key of a hold record, or undefined for any other key. */
export function documentIdOfHold(key: string): string | undefined {
  return holdKeyPattern.exec(key)?.find(isUuid);
}

/** `audits/<run>/`, the prefix of all objects of a run. */
export function auditRunPrefix(run: string): string {
  return `${auditPrefix}${checkRun(run)}/`;
}

/** `audits/<run>/plan.json` */
export function auditPlanKey(run: string): string {
  return `${auditRunPrefix(run)}plan.json`;
}

/** `audits/<run>/results/`, the prefix of the results of a run. */
export function auditResultPrefix(run: string): string {
  return `${auditRunPrefix(run)}results/`;
}

/**
 * `audits/<run>/results/<sort>_<from>.json`: a part that ends early, and the rest of it, have results of their own. The
 * end is not in the key, so of two deliveries of a part that end in different places only one writes its result.
 */
export function auditResultKey(run: string, part: AuditPart): string {
  return `${auditResultPrefix(run)}${partStartName(part)}${jsonSuffix}`;
}

/** `audits/<run>/summary.json`, written last: a run has ended if and only if its summary exists. */
export function auditSummaryKey(run: string): string {
  return `${auditRunPrefix(run)}summary.json`;
}

const auditKeyPattern = /^audits\/([^/]+)\/(plan|summary|results\/([^/]+))\.json$/;

/** The run and, for a result, the name of its part's start. @returns undefined for a key that the archiver does not write */
export function parseAuditKey(
  key: string,
): { run: string; file: 'plan' | 'summary' | { result: string } } | undefined {
  const [, run, file, result] = auditKeyPattern.exec(key) ?? [];
  if (run === undefined || !isRunName(run)) return undefined;
  if (file === 'plan' || file === 'summary') return { run, file };
  return result !== undefined && isPartStartName(result) ? { run, file: { result } } : undefined;
}

/** `contexts/<id>/`, the prefix of all contexts of a document. */
export function contextsOfPrefix(documentId: string): string {
  return `${contextPrefix}${checkId(documentId)}/`;
}

/** `contexts/<id>/<digest>.json` @param digest of the fact; 64 lower-case hex digits */
export function contextKey(documentId: string, digest: string): string {
  return `${contextsOfPrefix(documentId)}${digest}${jsonSuffix}`;
}

/**
 * `contexts/<id>.json`, the tombstone of an erased document's contexts. It sorts before them, so that the first page of
 * their listing has it.
 */
export function contextTombstoneKey(documentId: string): string {
  return contextPrefix + checkId(documentId) + jsonSuffix;
}

/** The document ID in the key of a tombstone of contexts, or undefined for any other key. */
export function documentIdOfContextTombstone(key: string): string | undefined {
  if (!key.startsWith(contextPrefix) || !key.endsWith(jsonSuffix)) return undefined;
  const id = key.slice(contextPrefix.length, -jsonSuffix.length);
  return isUuid(id) ? id : undefined;
}

const contextKeyPattern = /^contexts\/([^/]+)\/[0-9a-f]{64}\.json$/;

/** The document ID in the key of a context, or undefined for any other key. */
export function documentIdOfContext(key: string): string | undefined {
  return contextKeyPattern.exec(key)?.find(isUuid);
}

/** Prefix of all keys of the catalogue, which has a bucket or a folder of its own. */
export const catalogueFolder = 'rows/';

/** `rows/<shard>.jsonl.gz` */
export function shardKey(shard: string): string {
  return `${catalogueFolder}${shard}.jsonl.gz`;
}

/** The shard in a key of the catalogue, or undefined for any other key. */
export function shardOfKey(key: string): string | undefined {
  return /^rows\/([0-9a-f]{3})\.jsonl\.gz$/.exec(key)?.[1];
}

function checkRun(run: string): string {
  if (!isRunName(run)) throw new RangeError('Not the name of a run of the audit.');
  return run;
}

function checkId(documentId: string): string {
  // Messages and responses are validated earlier; this is a second line of defence.
  if (!isUuid(documentId)) throw new RangeError('The document ID is not a lower-case UUID.');
  return documentId;
}
