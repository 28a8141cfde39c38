/** A part of the audit: the documents of a stretch of IDs, by listings, receipts, objects, manifests and hold records. */
import type { AuditPart } from '../audit-names.ts';
import type { ManifestEntry } from '../bucket/manifest-text.ts';
import { readClaimsWithin } from '../bucket/stored-manifests.ts';
import { writeStretchManifest } from '../bucket/stretch-manifest.ts';
import { nightlyAudit } from '../limits.ts';
import { mapStreamConcurrently } from '../map-concurrently.ts';
import { askTelnyx } from './ask-telnyx.ts';
import { Fingerprints, isBefore, type MarkedRow, markUnchanged, type Stretch } from './cells.ts';
import { isHeld } from './evidence.ts';
import type { Finding } from './findings.ts';
import { foreignObject, limitForeign } from './foreign-objects.ts';
import { type Inspection, inspect } from './inspect.ts';
import { isProblem } from './judge.ts';
import { claimsErasure } from './judge-erasure.ts';
import { readLastListing } from './last-listing.ts';
import { lastNamed } from './manifest-claims.ts';
import { manifestEntryOf } from './manifest-entry.ts';
import { PartCatalogue } from './part-catalogue.ts';
import { countFinding, inspectDependencies, type PartContext, type PartWork } from './part-context.ts';
import type { AuditPlan, RunTally } from './records.ts';
import { shareOf } from './shares.ts';
import { type AuditSources, mergeSources } from './sources.ts';

/** What the part reads of a document, in addition to the listings. */
interface Reading {
  /** The receipt, and the checksum that S3 states. */
  records: boolean;
  /** The bytes of the object. */
  bytes: boolean;
}

/** @throws ArchiverError those of `Bucket`, or the signal's reason */
export async function auditIds(
  part: Extract<AuditPart, { sort: 'ids' }>,
  context: PartContext,
): Promise<PartWork> {
  const { plan, bucket, listing, retry, tally, signal } = context;
  const found: Finding[] = [];
  const entries: ManifestEntry[] = [];
  const fingerprints = new Fingerprints(Date.parse(plan.newFrom));
  const manifests = await readManifests(part, context, found);
  const rows = mergeSources({
    listing,
    stretch: part,
    // Stryker disable next-line ArrayDeclaration: a text has no ID, so it is in no row.
    telnyx: [],
    manifests,
    onForeign: (object) => found.push(foreignObject(object)),
  });
  const marked = markUnchanged(
    rows,
    part,
    await retry((limited) => readLastListing(plan, part, bucket, limited)),
  );
  const limit = new PartLimit(context);
  const taken = limit.take(marked, plan);
  const catalogue = PartCatalogue.of(context, part);
  const inspections = mapStreamConcurrently(
    catalogue?.follow(taken) ?? taken,
    nightlyAudit.documentsAtOnce,
    signal,
    async ({ row, reading }, limited) => {
      const dependencies = inspectDependencies(context, !reading.records, reading.bytes);
      const inspection = await askTelnyx(await inspect(row, limited, dependencies), {
        ...context,
        signal: limited,
      });
      return { row, reading, inspection };
    },
  );
  for await (const { row, inspection } of inspections) {
    count(inspection, tally);
    fingerprints.add(row);
    found.push(...inspection.findings.filter(isProblem));
    // Stryker disable next-line ConditionalExpression: only saves time and memory.
    const entry = plan.manifest === undefined ? undefined : manifestEntryOf(inspection, false);
    if (entry) entries.push(entry);
    await catalogue?.add(row, inspection);
  }

  const covered: Stretch = { from: part.from, before: limit.stoppedAt ?? part.before };
  const isCatalogued = (await catalogue?.end(covered)) ?? false;
  return {
    // The listings run ahead of the documents. The next piece finds again what is after the end of this one.
    findings: limitForeign(found.filter(({ code, key }) => code !== 'foreign' || isWithin(key, covered))),
    ...(limit.stoppedAt !== undefined && { rest: { ...part, from: limit.stoppedAt } }),
    cells: fingerprints.of(covered),
    ...(isCatalogued && { catalogue: true }),
    ...(plan.manifest !== undefined && {
      manifest: await writeManifest({ timestamp: plan.manifest, ...covered, entries }, context),
    }),
  };
}

function writeManifest(
  content: Parameters<typeof writeStretchManifest>[0],
  { bucket, retry }: PartContext,
): ReturnType<typeof writeStretchManifest> {
  return retry((signal) => writeStretchManifest(content, bucket, signal));
}

/** Reads what the manifests name in the stretch. A manifest that is altered or removed is reported and not used. */
async function readManifests(stretch: Stretch, { plan, ...dependencies }: PartContext, found: Finding[]) {
  const manifests: AuditSources['manifests'][number][] = [];
  for (const manifest of plan.manifests) {
    const { entries, defect } = await readClaimsWithin(manifest, stretch, dependencies);
    if (defect) found.push(defect);
    else manifests.push({ key: manifest.key, entries: () => entries });
  }
  return manifests;
}

/** Ends a part early, before the time of its function is up or when it has read many documents or bytes. */
class PartLimit {
  /** ID of the first document that is left to the next piece; undefined if none is. */
  stoppedAt: string | undefined;
  readonly #context: PartContext;
  #documents = 0;
  #bytes = 0;

  constructor(context: PartContext) {
    this.#context = context;
  }

  /** Passes on at least one row, so that each piece makes progress. */
  async *take(rows: AsyncIterable<MarkedRow>, plan: AuditPlan) {
    for await (const marked of rows) {
      if (this.#documents > 0 && this.#isReached()) {
        this.stoppedAt = marked.row.id;
        return;
      }
      const reading = readingOf(marked, plan);
      this.#documents += 1;
      if (reading.bytes) this.#bytes += marked.row.object?.current?.bytes ?? 0;
      yield { row: marked.row, reading };
    }
  }

  #isReached(): boolean {
    return (
      this.#documents >= nightlyAudit.maxPartDocuments ||
      this.#bytes >= nightlyAudit.maxPartBytes ||
      this.#context.time.monotonic() >= this.#context.stopAt
    );
  }
}

/** Reads what is new, what has changed, the share of the day, and what the next manifest must name for the first time. */
function readingOf({ row, unchanged }: MarkedRow, plan: AuditPlan): Reading {
  const isOfShare = plan.full || plan.shares.includes(shareOf(row.id, plan.shareDays));
  const { document, receipt } = lastNamed({ documentId: row.id, ...row.manifests });
  const isNamed = document !== undefined && receipt !== undefined;
  const records =
    !unchanged ||
    isOfShare ||
    (plan.manifest !== undefined && !isNamed) ||
    // The two tombstones of an erased document have the same size. Only their content shows that they are tombstones.
    row.object?.current?.bytes === row.receipt?.current?.bytes;
  // In the first run everything is new. It reads the bytes of one share only, as each later night does.
  const bytes = plan.readsBytes && (isOfShare || (!unchanged && plan.lastRun !== undefined));
  return { records, bytes };
}

function count({ evidence, findings }: Inspection, tally: RunTally): void {
  tally.documents += 1;
  for (const finding of findings) countFinding(tally, finding);
  if (evidence.receipt?.reading || evidence.receipt?.tombstone) tally.receiptsRead += 1;
  if (isHeld(evidence)) tally.held += 1;
  if (!evidence.receipt || claimsErasure(evidence)) return;
  tally.archived += 1;
  tally.bytes += evidence.object?.bytes ?? 0;
}

/** Whether the key of an object that belongs to no document is in the stretch. */
function isWithin(key: string, { before }: Stretch): boolean {
  return isBefore(key.slice(key.indexOf('/') + 1), before);
}
