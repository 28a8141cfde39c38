import { countDefects, countUnchecked, type Tally } from '../../functions/audit/findings.ts';

export interface AuditOptions {
  /** Compare listings only. */
  quick: boolean;
  /** Percentage of the objects to download and hash. */
  readData: number;
  /** List documents without problems, too. */
  all: boolean;
  /** Queue missing documents for archiving. */
  repair: boolean;
  /** With `repair`: only count the documents that would be queued. */
  dryRun: boolean;
  /** Compare with Telnyx's list. */
  telnyx: boolean;
  /** How long the archiver may take to archive a document before it counts as missing. */
  graceMinutes: number;
  /** Write a manifest: to the bucket, or to a file at this path. */
  manifest: 'bucket' | { file: string } | undefined;
  /** Accept in the manifest receipts that were written again for the same bytes. */
  acceptReceipts: boolean;
  /** SHA-256 of a manifest that must be in the bucket. */
  expectManifest: string | undefined;
  /** Path of the HTML report to write. */
  html: string | undefined;
}

/** The command's help lists them. */
export const exitCodes = { success: 0, problems: 1, incomplete: 3 } as const;

export function exitCodeOf(tally: Pick<Tally, 'counts'>): number {
  if (countDefects(tally) > 0) return exitCodes.problems;
  return countUnchecked(tally) > 0 ? exitCodes.incomplete : exitCodes.success;
}
