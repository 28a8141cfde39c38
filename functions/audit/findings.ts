/** Every finding that an audit can report: its code, its mark, what it means, and what to do about it. */

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
  /** What the operator does about it. Empty if there is nothing to do. */
  advice: string;
}

export const findingKinds = {
  same: { mark: '=', weight: 'fine', subject: 'document', meaning: 'archived and unchanged', advice: '' },
  kept: {
    mark: '+',
    weight: 'fine',
    subject: 'document',
    meaning: 'archived and unchanged, no longer at Telnyx',
    advice: '',
  },
  pending: {
    mark: '-',
    weight: 'fine',
    subject: 'document',
    meaning: 'uploaded recently; the archiver may still be archiving it',
    advice: '',
  },
  infected: {
    mark: '-',
    weight: 'fine',
    subject: 'document',
    meaning: "not archived, because Telnyx's scanner found malware",
    advice: 'To archive such documents too, set `archiveInfected` for the stage.',
  },

  missing: {
    mark: '-',
    weight: 'defect',
    subject: 'document',
    meaning: 'at Telnyx, but not archived',
    advice:
      'Run the audit with `--repair` to queue them. If they are still missing afterwards, run `redrive --dry-run` to see why they failed.',
  },
  lost: {
    mark: '-',
    weight: 'defect',
    subject: 'document',
    meaning: 'named by a manifest, but object and receipt are missing',
    advice:
      'Both were deleted. A versioned bucket still has the bytes: list the versions with ' +
      '`aws s3api list-object-versions --prefix documents/<id>`, remove the delete markers, and find out who created them.',
  },
  'no-object': {
    mark: '-',
    weight: 'defect',
    subject: 'document',
    meaning: 'the receipt exists, but the object is missing',
    advice:
      'The object was deleted. A versioned bucket still has its bytes: find the version that the receipt names with ' +
      '`aws s3api list-object-versions --prefix documents/<id>`, and remove the delete marker.',
  },
  'no-receipt': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'the object exists, but the receipt is missing',
    advice:
      'Run the audit with `--repair`: the archiver compares the object with Telnyx and writes the receipt. If the ' +
      'document is no longer at Telnyx, look for a deleted version of the receipt.',
  },
  'size-differs': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'the object has a different size than the archived document',
    advice:
      'The object was replaced. Restore the version that the receipt names, and find out who replaced it.',
  },
  'checksum-differs': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'the object has different bytes than the archived document',
    advice:
      'The object was replaced. Restore the version that the receipt names, and find out who replaced it.',
  },
  'receipt-altered': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'the receipt was changed after the archiver wrote it',
    advice:
      'Restore the first version of the receipt (`aws s3api list-object-versions --prefix receipts/<id>`), and find ' +
      'out who replaced it. If the archiver wrote a new receipt after `--repair`, run the audit with ' +
      '`--manifest --accept-receipts`.',
  },
  'telnyx-differs': {
    mark: '*',
    weight: 'defect',
    subject: 'document',
    meaning: 'Telnyx states something else than when the document was archived',
    advice:
      'Object and receipt match each other: either Telnyx changed the document, or object and receipt were both ' +
      'replaced. Compare them by hand.',
  },
  foreign: {
    mark: '*',
    weight: 'defect',
    subject: 'object',
    meaning: 'not written by the archiver',
    advice: 'Find out who wrote them, and whether they can be moved elsewhere.',
  },
  'manifest-removed': {
    mark: '-',
    weight: 'defect',
    subject: 'manifest',
    meaning: 'missing, although another file names it',
    advice: 'Restore it from the bucket’s versions or from a copy, and find out who removed it.',
  },
  'manifest-altered': {
    mark: '*',
    weight: 'defect',
    subject: 'manifest',
    meaning: 'changed after it was written',
    advice: 'Restore it from the bucket’s versions or from a copy, and find out who replaced it.',
  },

  unreadable: {
    mark: '!',
    weight: 'unchecked',
    subject: 'item',
    meaning: 'could not be checked',
    advice: 'Run the audit again. If this remains, see the reason given for each.',
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
  documentId?: string;
  /** Reason in words. Empty if the code is enough. */
  detail: string;
}

/** The counts of an audit. */
export interface Tally {
  /** Findings by code. */
  counts: Record<FindingCode, number>;
  /** Documents with a receipt, with or without problems. */
  archived: number;
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
  return { counts, archived: 0, bytes: 0, bytesRead: 0, objectsRead: 0, requests: 0, documents: 0 };
}

export function countDefects({ counts }: Tally): number {
  return sumOf(counts, 'defect');
}

export function countUnchecked({ counts }: Tally): number {
  return sumOf(counts, 'unchecked');
}

function sumOf(counts: Tally['counts'], weight: Weight): number {
  return findingCodes.reduce((sum, code) => sum + (weightOf(code) === weight ? counts[code] : 0), 0);
}
