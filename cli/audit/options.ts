export interface AuditOptions {
  /** Compare listings only. */
  quick: boolean;
  /** Percent of the objects whose bytes are read back. */
  readData: number;
  /** Say what is as it should be, too. */
  all: boolean;
  /** Queue what is missing. */
  repair: boolean;
  /** Compare with Telnyx's list. */
  telnyx: boolean;
  /** How long the archiver may be at a document before it counts as missing. */
  graceMinutes: number;
  /** Write a manifest: into the bucket, or into the file of this path. */
  manifest: 'bucket' | { file: string } | undefined;
  /** Have the manifest name receipts as they are now, where they were written anew for the same bytes. */
  acceptReceipts: boolean;
  /** SHA-256 of a manifest that must be in the bucket. */
  expectManifest: string | undefined;
  /** Path of the HTML report to be written. */
  html: string | undefined;
}

/** Exit codes, as the command's help has them. */
export const exitCodes = { well: 0, findings: 1, incomplete: 3, interrupted: 130 } as const;
