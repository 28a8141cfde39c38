/** What the report shows of all documents, gathered while they pass by. */
import type { Code, Finding } from '../../functions/audit/findings.ts';
import type { Inspected } from '../../functions/audit/inspect.ts';
import { Histogram, NameCounts, Quantiles, TimeHistogram } from './histograms.ts';

/** One line of the report's table. Times are milliseconds since the Unix epoch. */
export interface DocumentRow {
  id: string;
  codes: Code[];
  detail: string;
  fileName: string | undefined;
  contentType: string | undefined;
  bytes: number | undefined;
  createdAt: number | undefined;
  archivedAt: number | undefined;
  trigger: string | undefined;
  sha256: string | undefined;
}

/** Documents in the table beside those with findings: the newest. A browser shows as many at once without effort. */
export const mostRows = 5_000;
export const mostFindings = 5_000;

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** From upload to archive, in milliseconds; Telnyx deletes an unlinked document after 30 minutes. */
export const latencyEdges = [5, 10, 30]
  .map((n) => n * second)
  .concat(
    [1, 2, 5, 10, 30].map((n) => n * minute),
    6 * hour,
  );
/** Bytes. Telnyx takes files of up to 20 MB. */
export const sizeEdges = [1e3, 1e4, 1e5, 1e6, 5e6, 1e7, 2e7];

export class Statistics {
  readonly growth = new TimeHistogram();
  readonly sizes = new Histogram(sizeEdges);
  /** Of documents that came in live: a backfill archives what is months old. */
  readonly latencies = new Histogram(latencyEdges);
  readonly latency = new Quantiles();
  readonly types = new NameCounts();
  readonly triggers = new NameCounts();
  #newest: DocumentRow[] = [];
  readonly #amiss: DocumentRow[] = [];
  readonly #otherFindings: Finding[] = [];
  #unlisted = 0;

  add(inspected: Inspected): void {
    const row = rowOf(inspected);
    const { archivedAt, createdAt, bytes = 0 } = row;
    if (inspected.findings.some(({ code }) => code !== 'same' && code !== 'kept' && code !== 'missing')) {
      this.#addAmiss(row);
    } else if (archivedAt !== undefined) this.#addNewest(row);
    // An altered receipt may state anything.
    if (archivedAt === undefined || row.codes.includes('receipt-altered')) return;
    this.growth.add(archivedAt, bytes);
    this.sizes.add(bytes);
    this.types.add(row.contentType ?? 'unknown');
    this.triggers.add(row.trigger ?? 'unknown');
    if (createdAt === undefined || !isLive(row.trigger)) return;
    const latency = Math.max(0, archivedAt - createdAt);
    this.latencies.add(latency);
    this.latency.add(latency);
  }

  /** A document that turned out to be missing indeed. */
  addMissing(id: string, createdAt: number | undefined, bytes: number | undefined): void {
    this.#addAmiss({ ...emptyRow, id, codes: ['missing'], createdAt, bytes });
  }

  /** A finding that is about no document. */
  addOther(finding: Finding): void {
    if (this.#otherFindings.length < mostFindings) this.#otherFindings.push(finding);
    else this.#unlisted += 1;
  }

  /** Those with findings, then the newest. */
  rows(): DocumentRow[] {
    this.#keepNewest();
    return [...this.#amiss, ...this.#newest];
  }

  get otherFindings(): readonly Finding[] {
    return this.#otherFindings;
  }

  /** Findings that are in no table, because there are so many. */
  get unlisted(): number {
    return this.#unlisted;
  }

  #addAmiss(row: DocumentRow): void {
    if (this.#amiss.length < mostFindings) this.#amiss.push(row);
    else this.#unlisted += 1;
  }

  #addNewest(row: DocumentRow): void {
    this.#newest.push(row);
    if (this.#newest.length >= 2 * mostRows) this.#keepNewest();
  }

  #keepNewest(): void {
    this.#newest.sort((a, b) => (b.archivedAt ?? 0) - (a.archivedAt ?? 0));
    this.#newest.length = Math.min(this.#newest.length, mostRows);
  }
}

const emptyRow: Omit<DocumentRow, 'id' | 'codes'> = {
  detail: '',
  fileName: undefined,
  contentType: undefined,
  bytes: undefined,
  createdAt: undefined,
  archivedAt: undefined,
  trigger: undefined,
  sha256: undefined,
};

function rowOf({ evidence, findings }: Inspected): DocumentRow {
  const { documentId, object, receipt, telnyx, named } = evidence;
  const reading = receipt?.reading;
  return {
    id: documentId,
    codes: findings.map(({ code }) => code),
    detail: findings.flatMap(({ detail }) => detail || []).join(' · '),
    fileName: reading?.fileName,
    contentType: reading?.contentType,
    bytes: object?.bytes ?? reading?.stated.bytes ?? telnyx?.bytes,
    createdAt: reading?.createdAt ?? telnyx?.createdAt,
    archivedAt: reading?.archivedAt,
    trigger: reading?.trigger,
    sha256: named?.document ?? reading?.stated.sha256,
  };
}

function isLive(trigger: string | undefined): boolean {
  return trigger === 'webhook' || trigger === 'sweep';
}
