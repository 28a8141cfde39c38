/**
 * What a run of the audit function writes under `audits/<run>/`: a plan, one result per piece of a part, and a summary. It is
 * evidence, kept as long as the documents. So it holds IDs, digests, codes and numbers, and nothing about a person:
 * `archiver audit --latest` adds file names and references when it shows a run.
 */
import { hash } from 'node:crypto';
import * as v from 'valibot';
import { isRunName, parsePartName } from '../audit-names.ts';
import { type Finding, type FindingCode, findingCodes } from './findings.ts';

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const instant = v.pipe(v.string(), v.isoTimestamp());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const run = v.pipe(v.string(), v.check(isRunName));
const part = v.pipe(
  v.string(),
  v.check((name) => parsePartName(name) !== undefined),
);

const code = v.picklist(findingCodes);

const recordedFinding = v.strictObject({
  code,
  key: v.string(),
  documentId: v.optional(v.string()),
  versionId: v.optional(v.string()),
  atTelnyx: v.optional(v.boolean()),
  /** Whether this run, or one before it, has queued the document for archiving. */
  queued: v.optional(v.literal(true)),
  detail: v.string(),
});

/** A finding as a run records it. */
export type RecordedFinding = v.InferOutput<typeof recordedFinding>;

/**
 * Leaves out what may be about a person. A foreign object can have any key, so the SHA-256 of the key is recorded.
 *
 * @param queued IDs of documents that are queued for archiving
 */
export function recordFinding(finding: Finding, queued: ReadonlySet<string> = new Set()): RecordedFinding {
  const { code, key, documentId, versionId, atTelnyx, detail } = finding;
  const isOthersKey = code === 'foreign' && documentId === undefined;
  return {
    code,
    key: isOthersKey ? `sha256:${hash('sha256', key)}` : key,
    detail,
    ...(documentId !== undefined && { documentId }),
    ...(versionId !== undefined && { versionId }),
    ...(atTelnyx !== undefined && { atTelnyx }),
    ...(documentId !== undefined && queued.has(documentId) && { queued: true as const }),
  };
}

const namedManifest = v.strictObject({ key: v.string(), sha256: digest });

/** Written before the parts are queued. Every part of the run follows it. */
const plan = v.strictObject({
  v: v.literal(1),
  run,
  startedAt: instant,
  /** Whether the run reads everything, even what earlier runs have read. */
  full: v.boolean(),
  /** Days within which everything is read once. */
  shareDays: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** Whether the bytes of objects are read, too. */
  readsBytes: v.boolean(),
  /** Days since the Unix epoch. */
  day: count,
  /** The daily shares that the run reads (see `shareOf`): today's, and those of days without a complete run. */
  shares: v.array(count),
  /** The same for Telnyx's list: also those of days on which a run could not read it. */
  listShares: v.array(count),
  /** What was written at this time or later counts as new in the next run. */
  newFrom: instant,
  /** The last complete run, with which the archive is compared. */
  lastRun: v.optional(run),
  /** The last complete run that read its whole share of Telnyx's list. */
  lastListed: v.optional(run),
  parts: v.array(part),
  /** The unchanged manifests whose names are compared with the archive, oldest first. */
  manifests: v.array(namedManifest),
  /** The newest unchanged manifest: the predecessor of the next one. */
  newestManifest: v.optional(namedManifest),
  /** Timestamp of the manifest that the run writes; absent if it writes none. */
  manifest: v.optional(v.string()),
  /** Findings about the chain of manifests. */
  findings: v.array(recordedFinding),
  /** Version of the archiver. */
  archiver: v.string(),
});
export type AuditPlan = v.InferOutput<typeof plan>;

const counts = v.partial(
  v.object(
    Object.fromEntries(findingCodes.map((name) => [name, count])) as Record<FindingCode, typeof count>,
  ),
);

const tally = v.strictObject({
  /** Findings by code, including those that are not problems. A code without findings is absent. */
  counts,
  documents: count,
  archived: count,
  held: count,
  bytes: count,
  objectsRead: count,
  bytesRead: count,
  /** Receipts read. */
  receiptsRead: count,
  /** Documents of Telnyx's list that were compared. */
  listedAtTelnyx: count,
  requests: count,
  /** Documents that were queued for archiving. */
  repaired: count,
});
export type RunTally = v.InferOutput<typeof tally>;

const result = v.strictObject({
  v: v.literal(1),
  run,
  /** The piece of a part that was to be done: the whole part, or what the piece before it left. */
  part,
  /** What this piece left to the next one, if it ended early. */
  rest: v.optional(part),
  startedAt: instant,
  endedAt: instant,
  tally,
  /** The problems. */
  findings: v.array(recordedFinding),
  /**
   * Parts of sort `ids`: fingerprints of what the listings show (see `cells.ts`), without what is new. The next run
   * compares them with its own listings.
   */
  cells: v.optional(v.record(v.string(), v.string())),
  /** Parts of sort `ids` of a run that writes a manifest: the stretch file. */
  manifest: v.optional(v.strictObject({ key: v.string(), sha256: digest, documents: count })),
  /** Parts of sort `ids`: set if the catalogue is up to date for all documents of the piece. */
  catalogue: v.optional(v.literal(true)),
  /** Set if nothing could be checked, with the reason. */
  unchecked: v.optional(v.strictObject({ code: v.string(), reason: v.string() })),
});
export type PartResult = v.InferOutput<typeof result>;

const summary = v.strictObject({
  v: v.literal(1),
  run,
  /** `incomplete` if parts have no result: the run was closed by a later one. */
  status: v.picklist(['complete', 'incomplete']),
  startedAt: instant,
  endedAt: instant,
  full: v.boolean(),
  shareDays: count,
  readsBytes: v.boolean(),
  day: count,
  newFrom: instant,
  tally,
  /** Each piece with a result, and what it left to the next one. */
  parts: v.array(v.strictObject({ part, rest: v.optional(part) })),
  /** Parts that have no result, or not for their last piece. */
  unfinished: v.array(part),
  /** Parts of which nothing could be checked. */
  unchecked: v.array(part),
  /** The newest manifest: the one that the run wrote or, if it wrote none, the newest that it found. */
  manifest: v.optional(namedManifest),
  /** Set if the run brought all of the catalogue up to date. */
  catalogue: v.optional(v.literal(true)),
  /** Whether the run wrote that manifest. */
  wroteManifest: v.boolean(),
  /** Key of the oldest manifest whose entries the next run compares: this run has compared it with the earlier ones. */
  namedSince: v.optional(v.string()),
  archiver: v.string(),
});
export type RunSummary = v.InferOutput<typeof summary>;

/** Each throws RangeError if the archiver did not write the text in this form. */
export const parsePlan = parserOf(plan);
export const parseResult = parserOf(result);
export const parseSummary = parserOf(summary);

function parserOf<Schema extends v.GenericSchema>(schema: Schema) {
  return (body: Buffer): v.InferOutput<Schema> => {
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), body.toString('utf8'));
    if (parsed.success) return parsed.output as v.InferOutput<Schema>;
    throw new RangeError('The audit function did not write this object in this form.');
  };
}

export function recordText(record: AuditPlan | PartResult | RunSummary): string {
  return `${JSON.stringify(record)}\n`;
}

export function createRunTally(): RunTally {
  return {
    counts: {},
    documents: 0,
    archived: 0,
    held: 0,
    bytes: 0,
    objectsRead: 0,
    bytesRead: 0,
    receiptsRead: 0,
    listedAtTelnyx: 0,
    requests: 0,
    repaired: 0,
  };
}

export function addTallies(tallies: readonly RunTally[]): RunTally {
  const sum = createRunTally();
  for (const { counts: found, ...numbers } of tallies) {
    for (const name of findingCodes) {
      if (found[name] !== undefined) sum.counts[name] = (sum.counts[name] ?? 0) + found[name];
    }
    for (const [name, value] of Object.entries(numbers) as [Exclude<keyof RunTally, 'counts'>, number][]) {
      sum[name] += value;
    }
  }
  return sum;
}
