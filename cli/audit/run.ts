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
import { AuditAdvice } from '../report/advice.ts';
import { Statistics } from '../report/statistics.ts';
import { findingLine, findingRecord } from '../report/summary.ts';
import type { BucketAccess } from '../target/target.ts';
import type { AuditOptions } from './options.ts';

/** State and dependencies of one audit, which its steps share. */
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
  advice: AuditAdvice;
  /** What is being done before the first document is checked; shown as progress. */
  step: string;
  /** Number of documents that the newest manifest names. */
  inManifest: number;
  /** Counts a finding and prints it. */
  report: (finding: Finding) => void;
  /** Reports a finding that is not about a document. */
  reportOther: (finding: Finding) => void;
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
  const statistics = new Statistics();
  const advice = new AuditAdvice({ ...archive, folder: archive.localFolder?.path });
  const report = (finding: Finding) => {
    tally.counts[finding.code] += 1;
    advice.add(finding);
    if (!options.all && weightOf(finding.code) === 'fine') return;
    terminal.print(findingLine(finding, terminal.paint));
    terminal.record(findingRecord(finding));
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
    statistics,
    advice,
    step: 'Starting',
    inManifest: 0,
    report,
    reportOther: (finding) => {
      report(finding);
      statistics.addOther(finding);
    },
    onRequest,
  };
}

/** @param comparingMs milliseconds since the comparison started */
export function describeProgress(run: AuditRun, comparingMs: number): ProgressState {
  const { tally, documents } = run;
  if (tally.documents === 0) {
    return {
      ended: 0,
      total: undefined,
      text:
        documents.count === 0
          ? run.step
          : `${formatCount(documents.count, 'document')} listed at Telnyx so far`,
    };
  }
  // Telnyx's list and the manifest may each lack documents that the archive has, so the larger number is the better estimate.
  const expected = Math.max(documents.count, run.inManifest);
  const seconds = Math.max(0.001, comparingMs / 1_000);
  return {
    ended: tally.documents,
    total: expected > tally.documents ? expected : undefined,
    text: [
      `${formatCount(tally.documents, 'document')} checked`,
      `${formatNumber(Math.round(tally.documents / seconds))}/s`,
      formatCount(countDefects(tally), 'problem'),
    ].join(' · '),
  };
}
