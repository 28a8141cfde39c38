/** The report's figures on all documents, collected during the audit in bounded memory. */

import { tombstoneOf } from '../../functions/audit/evidence.ts';
import type { Finding, FindingCode } from '../../functions/audit/findings.ts';
import { type Inspection, namesOf } from '../../functions/audit/inspect.ts';
import { claimsErasure } from '../../functions/audit/judge-erasure.ts';
import { lastNamed } from '../../functions/audit/manifest-claims.ts';
import { Histogram, NameCounts, Quantiles, TimeHistogram } from './histograms.ts';

/** One row of the report's table. Times are milliseconds since the Unix epoch. */
export interface DocumentRow {
  id: string;
  codes: FindingCode[];
  detail: string;
  fileName: string | undefined;
  customerReference: string | undefined;
  contentType: string | undefined;
  bytes: number | undefined;
  createdAt: number | undefined;
  archivedAt: number | undefined;
  trigger: string | undefined;
  sha256: string | undefined;
}

/** Newest documents in the table, in addition to those with findings. Browsers handle this many without delay. */
export const maxNewest = 5_000;
/** Rows with findings in the table; also the findings that are not about a document. */
export const maxFindings = 5_000;

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** Milliseconds from upload to archive. Telnyx deletes an unlinked document after 30 minutes. */
export const latencyEdges = [5, 10, 30]
  .map((n) => n * second)
  .concat(
    [1, 2, 5, 10, 30].map((n) => n * minute),
    6 * hour,
  );
/** Bytes. Telnyx accepts files of up to 20 MB. */
export const sizeEdges = [1e3, 1e4, 1e5, 1e6, 5e6, 1e7, 2e7];

/** Documents with other codes precede the newest ones in the table. A missing one is added later. */
const unremarkable: ReadonlySet<FindingCode> = new Set([
  'same',
  'kept',
  'receipt-accepted',
  'erased',
  'missing',
]);

export class Statistics {
  readonly growth = new TimeHistogram();
  readonly sizes = new Histogram(sizeEdges);
  /** Of live documents only: a backfill archives documents that are months old. */
  readonly latencies = new Histogram(latencyEdges);
  readonly latency = new Quantiles();
  readonly types = new NameCounts();
  readonly triggers = new NameCounts();
  #newest: DocumentRow[] = [];
  readonly #withFindings: DocumentRow[] = [];
  readonly #otherFindings: Finding[] = [];
  #unlisted = 0;

  add(inspection: Inspection): void {
    const row = rowOf(inspection);
    const { archivedAt, createdAt, bytes = 0 } = row;
    if (!row.codes.every((code) => unremarkable.has(code))) {
      this.#addWithFindings(row);
    } else if (archivedAt !== undefined) this.#addNewest(row);
    // An altered receipt is not credible, and a tombstone is not a document.
    if (
      archivedAt === undefined ||
      row.codes.includes('receipt-altered') ||
      claimsErasure(inspection.evidence)
    )
      return;
    this.growth.add(archivedAt, bytes);
    this.sizes.add(bytes);
    this.types.add(row.contentType ?? 'unknown');
    this.triggers.add(row.trigger ?? 'unknown');
    if (createdAt === undefined || !isLive(row.trigger)) return;
    const latency = Math.max(0, archivedAt - createdAt);
    this.latencies.add(latency);
    this.latency.add(latency);
  }

  /** Adds a document that is missing after the second lookup. */
  addMissing(inspection: Inspection): void {
    this.#addWithFindings(rowOf(inspection));
  }

  /** Adds a finding that is not about a document. */
  addOther(finding: Finding): void {
    if (this.#otherFindings.length < maxFindings) this.#otherFindings.push(finding);
    else this.#unlisted += 1;
  }

  /** Documents with findings, then the newest ones. */
  rows(): DocumentRow[] {
    this.#keepNewest();
    return [...this.#withFindings, ...this.#newest];
  }

  get otherFindings(): readonly Finding[] {
    return this.#otherFindings;
  }

  /** Number of findings beyond `maxFindings`, which the report does not list. */
  get unlisted(): number {
    return this.#unlisted;
  }

  #addWithFindings(row: DocumentRow): void {
    if (this.#withFindings.length < maxFindings) this.#withFindings.push(row);
    else this.#unlisted += 1;
  }

  #addNewest(row: DocumentRow): void {
    this.#newest.push(row);
    if (this.#newest.length >= 2 * maxNewest) this.#keepNewest();
  }

  #keepNewest(): void {
    this.#newest.sort((a, b) => (b.archivedAt ?? 0) - (a.archivedAt ?? 0));
    this.#newest.length = Math.min(this.#newest.length, maxNewest);
  }
}

function rowOf({ evidence, findings }: Inspection): DocumentRow {
  const { documentId, object, receipt, telnyx } = evidence;
  const reading = receipt?.reading;
  const erased = tombstoneOf(evidence)?.content?.erased;
  const { fileName, customerReference } = namesOf(evidence);
  return {
    id: documentId,
    codes: findings.map(({ code }) => code),
    detail: findings.flatMap(({ detail }) => detail || []).join(' · '),
    fileName,
    customerReference,
    contentType: reading?.contentType,
    bytes: object?.bytes ?? reading?.stated.bytes ?? telnyx?.bytes,
    createdAt: reading?.createdAt ?? telnyx?.createdAt,
    archivedAt:
      reading?.archivedAt ?? (erased?.archivedAt === undefined ? undefined : Date.parse(erased.archivedAt)),
    trigger: reading?.trigger,
    sha256: lastNamed(evidence).document ?? reading?.stated.sha256,
  };
}

function isLive(trigger: string | undefined): boolean {
  return trigger === 'webhook' || trigger === 'sweep';
}
