/** Every finding that an audit can report: its code, its mark and what it means. */

/**
 * As in `rclone check --combined`: `=` archived and unchanged; `-` not in the archive; `+` only in the archive; `*` in
 * the archive, but with a problem; `!` could not be checked.
 */
export type Mark = '=' | '-' | '+' | '*' | '!';

/**
 * - `fine`: not a problem. Listed only with `--all`.
 * - `defect`: a problem.
 * - `unchecked`: could not be checked, so the audit is incomplete.
 */
export type Weight = 'fine' | 'defect' | 'unchecked';

interface FindingKind {
  mark: Mark;
  weight: Weight;
  /** What the finding is about, in the singular. */
  subject: 'document' | 'object' | 'manifest' | 'item';
  /** Follows the count, as in "3 documents: …". */
  meaning: string;
}

export const findingKinds = {
  same: { mark: '=', weight: 'fine', subject: 'document', meaning: 'archived and unchanged' },
  kept: {
    mark: '+',
    weight: 'fine',
    subject: 'document',
    meaning: 'archived and unchanged, no longer at Telnyx',
  },
  'receipt-accepted': {
    mark: '=',
    weight: 'fine',
    subject: 'document',
    meaning: 'archived and unchanged, with a new receipt that a manifest accepted',
  },
  erased: {
    mark: '-',
    weight: 'fine',
    subject: 'document',
    meaning: 'erased; tombstones are in place of object and receipt',
  },
  pending: {
    mark: '-',
    weight: 'fine',
    subject: 'document',
    meaning: 'uploaded recently; the archiver may still be archiving it',
  },
  infected: {
    mark: '-',
    weight: 'fine',
    subject: 'document',
    meaning: "not archived, because Telnyx's scanner found malware",
  },

  missing: {
    mark: '-',
    weight: 'defect',
    subject: 'document',
    meaning: 'at Telnyx, but not archived',
  },
  lost: {
    mark: '-',
    weight: 'defect',
    subject: 'document',
    meaning: 'named by a manifest or a hold record, but object and receipt are missing',
  },
  'no-object': {
    mark: '-',
    weight: 'defect',
    subject: 'document',
    meaning: 'the receipt exists, but the object is missing',
  },
  'no-receipt': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'the object exists, but the receipt is missing',
  },
  'size-differs': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'the object has a different size than the archived document',
  },
  'checksum-differs': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'the object has different bytes than the archived document',
  },
  'receipt-altered': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'the receipt was changed after the archiver wrote it',
  },
  hidden: {
    mark: '-',
    weight: 'defect',
    subject: 'object',
    meaning: 'hidden by a delete marker',
  },
  overwritten: {
    mark: '*',
    weight: 'defect',
    subject: 'object',
    meaning: 'replaced, or deleted and written again; other versions are left',
  },
  'erasure-unfinished': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'being erased, but the erasure has not ended',
  },
  'tombstone-altered': {
    mark: '*',
    weight: 'defect',
    subject: 'object',
    meaning: 'claims to be a tombstone, but does not agree with itself, its pair or the manifests',
  },
  'hold-missing': {
    mark: '*',
    weight: 'defect',
    subject: 'object',
    meaning: 'to be held according to the hold record, but not on legal hold',
  },
  'telnyx-differs': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'Telnyx states something else than when the document was archived',
  },
  foreign: {
    mark: '*',
    weight: 'defect',
    subject: 'object',
    meaning: 'not written by the archiver',
  },
  'manifest-removed': {
    mark: '-',
    weight: 'defect',
    subject: 'manifest',
    meaning: 'missing, although another file names it',
  },
  'manifest-altered': {
    mark: '*',
    weight: 'defect',
    subject: 'manifest',
    meaning: 'changed after it was written',
  },
  'manifest-differs': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'a manifest leaves it out or states another SHA-256, although an earlier one names it',
  },

  unreadable: {
    mark: '!',
    weight: 'unchecked',
    subject: 'item',
    meaning: 'could not be checked',
  },
} as const satisfies Record<string, FindingKind>;

export type FindingCode = keyof typeof findingKinds;

export const findingCodes = Object.keys(findingKinds) as FindingCode[];

/** Such as `3 documents`. */
export function formatFindingCount(count: number, code: FindingCode): string {
  const { subject } = findingKinds[code];
  return `${count.toLocaleString('en')} ${count === 1 ? subject : `${subject}s`}`;
}

export function weightOf(code: FindingCode): Weight {
  return findingKinds[code].weight;
}

export interface Finding {
  code: FindingCode;
  /** Key of the object, existing or expected. */
  key: string;
  /** Absent if the finding is not about a document. */
  documentId?: string | undefined;
  /** As the receipt or, without a credible one, Telnyx's list states it. */
  fileName?: string | undefined;
  customerReference?: string | undefined;
  /** Version of the object that the receipt names. */
  versionId?: string | undefined;
  /** Whether Telnyx's list has the document; undefined without the complete list. */
  atTelnyx?: boolean | undefined;
  /** Reason in words. Empty if the code is enough. */
  detail: string;
}

/** The archiver skips documents that have a receipt. */
export const codesWithoutReceipt: ReadonlySet<FindingCode> = new Set(['missing', 'lost', 'no-receipt']);

/** Whether the archiver archives the document again. */
export function isRepairable({ code, atTelnyx }: Pick<Finding, 'code' | 'atTelnyx'>): boolean {
  return atTelnyx === true && codesWithoutReceipt.has(code);
}

/** The counts of an audit. */
export interface Tally {
  /** Findings by code. */
  counts: Record<FindingCode, number>;
  /** Documents with a receipt, with or without problems. */
  archived: number;
  /** Documents on hold, according to their records. */
  held: number;
  /** Bytes of their objects. */
  bytes: number;
  /** Bytes that were downloaded and hashed. */
  bytesRead: number;
  /** Objects that were downloaded and hashed. */
  objectsRead: number;
  /** Requests to S3. */
  requests: number;
  /** Documents that were checked, archived or not. */
  documents: number;
}

export function createTally(): Tally {
  const counts = Object.fromEntries(findingCodes.map((code) => [code, 0])) as Record<FindingCode, number>;
  return { counts, archived: 0, held: 0, bytes: 0, bytesRead: 0, objectsRead: 0, requests: 0, documents: 0 };
}

export function countDefects({ counts }: Pick<Tally, 'counts'>): number {
  return sumOf(counts, 'defect');
}

export function countUnchecked({ counts }: Pick<Tally, 'counts'>): number {
  return sumOf(counts, 'unchecked');
}

function sumOf(counts: Tally['counts'], weight: Weight): number {
  return findingCodes.reduce((sum, code) => sum + (weightOf(code) === weight ? counts[code] : 0), 0);
}
