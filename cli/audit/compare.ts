import { isHeld } from '../../functions/audit/evidence.ts';
import { type Finding, isRepairable, type Tally } from '../../functions/audit/findings.ts';
import { type InspectDependencies, type Inspection, inspect } from '../../functions/audit/inspect.ts';
import { claimsErasure } from '../../functions/audit/judge-erasure.ts';
import { judgeVersions } from '../../functions/audit/judge-versions.ts';
import type { ManifestChain } from '../../functions/audit/manifest-chain.ts';
import { manifestEntryOf } from '../../functions/audit/manifest-entry.ts';
import { createRecheck, type Recheck } from '../../functions/audit/recheck.ts';
import { mergeSources } from '../../functions/audit/sources.ts';
import { documentKey } from '../../functions/bucket/keys.ts';
import type { ListedKey } from '../../functions/bucket/listing.ts';
import type { ManifestDraft } from '../../functions/bucket/manifest-writer.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
import { mapStreamConcurrently } from '../../functions/map-concurrently.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import type { AuditRun } from './run.ts';

/** Documents that are inspected at the same time. */
const concurrency = 32;
/** If none of this many first documents can be read, the audit stops: the cause is not in the documents. */
const maxUnreadable = 50;

/**
 * Inspects every document of every source, reports the findings, and adds the documents to the manifest's draft.
 *
 * @returns IDs of the documents that the archiver can repair
 */
export async function compareDocuments(
  { startedAt, telnyxListed }: { startedAt: number; telnyxListed: boolean },
  chain: ManifestChain,
  draft: ManifestDraft | undefined,
  run: AuditRun,
): Promise<string[]> {
  const { options, context, archive, tally, statistics, report, reportOther } = run;
  const repairable: string[] = [];
  const recheck = createMissingRecheck(repairable, run);
  const rows = mergeSources({
    listing: run.listing,
    telnyx: run.documents.sorted(),
    manifests: chain.valid,
    onRecord: (object) => {
      for (const finding of judgeVersions(object)) reportOther(finding);
    },
    onForeign: (object) => reportOther({ code: 'foreign', key: object.key, detail: describeForeign(object) }),
  });
  const dependencies = inspectDependencies(startedAt, telnyxListed, run);
  const inspections = mapStreamConcurrently(rows, concurrency, context.signal, (row, limited) =>
    inspect(row, limited, dependencies),
  );
  const unreadable = new UnreadableDocuments();
  for await (const inspection of inspections) {
    const { documentId } = inspection.evidence;
    const [first] = inspection.findings;
    count(tally, inspection);
    // Stryker disable next-line OptionalChaining: a document has at least one finding; required by the type.
    if (first?.code === 'unreadable' && first.key === documentKey(documentId)) {
      first.detail = (await archive.localFolder?.openError(documentId)) ?? first.detail;
      unreadable.add(first);
      if (tally.documents >= maxUnreadable) unreadable.throwIfAll(tally.documents, 'first ');
    }
    statistics.add(inspection);
    // Stryker disable next-line OptionalChaining: a document has at least one finding; required by the type.
    if (first?.code === 'missing') await recheck.add(inspection);
    else {
      for (const finding of inspection.findings) report(finding);
      if (inspection.findings.some(isRepairable)) repairable.push(documentId);
    }
    const entry = manifestEntryOf(inspection, options.acceptReceipts);
    if (entry) await draft?.add(entry);
  }
  unreadable.throwIfAll(tally.documents);
  await recheck.end();
  return repairable;
}

function describeForeign({ current, otherVersions }: ListedKey): string {
  const others = otherVersions === 0 ? '' : `, other versions: ${otherVersions}`;
  return (current ? formatBytes(current.bytes) : 'hidden by a delete marker') + others;
}

/** A missing document is reported, and added to `repairable`, after a second lookup. */
function createMissingRecheck(
  repairable: string[],
  { archive, retry, statistics, report, onRequest }: AuditRun,
): Recheck {
  const list: Bucket['list'] = (...parameters) => {
    onRequest();
    return archive.bucket.list(...parameters);
  };
  return createRecheck({ list }, retry, (inspection, isMissing) => {
    for (const finding of inspection.findings) {
      report(isMissing ? finding : { ...finding, code: 'pending', detail: 'archived during the audit' });
    }
    if (!isMissing) return;
    statistics.addMissing(inspection);
    repairable.push(inspection.evidence.documentId);
  });
}

function inspectDependencies(
  startedAt: number,
  telnyxListed: boolean,
  { options, context, archive, retry, tally, onRequest }: AuditRun,
): InspectDependencies {
  const { random, time } = context;
  return {
    bucket: archive.bucket,
    versions: createVersions({ ...archive, time }),
    retry,
    conditions: { startedAt, telnyxListed, graceMs: options.graceMinutes * 60_000 },
    quick: options.quick,
    readData: () => random() * 100 < options.readData,
    now: time.now,
    onRequest,
    onRead: (bytes) => {
      tally.objectsRead += 1;
      tally.bytesRead += bytes;
    },
  };
}

function count(tally: Tally, { evidence }: Inspection): void {
  tally.documents += 1;
  if (isHeld(evidence)) tally.held += 1;
  if (!evidence.receipt || claimsErasure(evidence)) return;
  tally.archived += 1;
  tally.bytes += evidence.object?.bytes ?? 0;
}

/** Stops the audit if no document can be read: the cause, such as a missing permission, is then not in the documents. */
class UnreadableDocuments {
  #count = 0;
  // Stryker disable next-line StringLiteral: the first document that is added replaces it.
  #detail = '';

  add({ detail }: Finding): void {
    this.#count += 1;
    this.#detail = detail;
  }

  /** @param which inserted before the number @throws Error if all documents are unreadable */
  throwIfAll(documents: number, which = ''): void {
    if (documents === 0 || this.#count < documents) return;
    const subject =
      documents === 1 ? 'The only document could not' : `None of the ${which}${documents} documents could`;
    throw new Error(`${subject} be read. ${this.#detail}`);
  }
}
