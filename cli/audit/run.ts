import {
  countDefects,
  createTally,
  type Finding,
  type Tally,
  weightOf,
} from '../../functions/audit/findings.ts';
import { TelnyxDocuments } from '../../functions/audit/telnyx-documents.ts';
import type { ListingOptions } from '../../functions/bucket/listing.ts';
import { createStorageRetry, type StorageRetry } from '../../functions/bucket/storage-retry.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import type { ProgressState } from '../../terminal/progress.ts';
import type { CommandContext } from '../command.ts';
import { Statistics } from '../report/statistics.ts';
import { findingLine, findingRecord } from '../report/summary.ts';
import type { BucketAccess } from '../target/target.ts';
import type { AuditOptions } from './options.ts';

/** What the steps of one audit share. */
export interface AuditRun {
  options: AuditOptions;
  context: CommandContext;
  archive: BucketAccess;
  retry: StorageRetry;
  listing: ListingOptions;
  /** A folder that only this audit uses. */
  folder: string;
  tally: Tally;
  documents: TelnyxDocuments;
  statistics: Statistics;
  /** Counts a finding and prints it. */
  report: (finding: Finding) => void;
  /** Counts a request to S3. */
  onRequest: () => void;
}

export function createAuditRun(
  options: AuditOptions,
  context: CommandContext,
  archive: BucketAccess,
  folder: string,
): AuditRun {
  const { terminal, time, random, signal } = context;
  const tally = createTally();
  const retry = createStorageRetry({ time, random, signal });
  const onRequest = () => {
    tally.requests += 1;
  };
  return {
    options,
    context,
    archive,
    retry,
    listing: { s3: archive.s3, name: archive.name, time, retry, onRequest },
    folder,
    tally,
    documents: new TelnyxDocuments(),
    statistics: new Statistics(),
    report: (finding) => {
      tally.counts[finding.code] += 1;
      if (!options.all && weightOf(finding.code) === 'fine') return;
      terminal.print(findingLine(finding, terminal.paint));
      terminal.record(findingRecord(finding));
    },
    onRequest,
  };
}

/** @param comparingMs milliseconds since the comparison started */
export function describeProgress({ tally, documents }: AuditRun, comparingMs: number): ProgressState {
  if (tally.documents === 0) {
    return {
      ended: 0,
      total: undefined,
      text: `${formatCount(documents.count, 'document')} listed at Telnyx so far`,
    };
  }
  const seconds = Math.max(0.001, comparingMs / 1_000);
  return {
    ended: tally.documents,
    total: documents.count > tally.documents ? documents.count : undefined,
    text: [
      `${formatCount(tally.documents, 'document')} checked`,
      `${formatNumber(Math.round(tally.documents / seconds))}/s`,
      formatCount(countDefects(tally), 'problem'),
    ].join(' · '),
  };
}
