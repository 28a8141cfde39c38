/** All that an audit can say of a document or a key, each with a code, a mark, and what to do about it. */

/**
 * After `rclone check --combined`: `=` as it should be; `-` not in the archive; `+` in the archive only; `*` in the
 * archive, but not as it should be; `!` could not be checked.
 */
export type Mark = '=' | '-' | '+' | '*' | '!';

/**
 * - `fine`: as it should be, or not to be helped. Said with `--all` only.
 * - `defect`: a finding.
 * - `unchecked`: nobody knows; the audit is incomplete.
 */
export type Weight = 'fine' | 'defect' | 'unchecked';

interface Kind {
  mark: Mark;
  weight: Weight;
  /** What is counted, in the singular. */
  of: 'document' | 'object' | 'manifest' | 'item';
  /** Follows the count, as in "3 documents: …". */
  means: string;
  /** What to do, for a person; empty where there is nothing to do. */
  advice: string;
}

export const kinds = {
  same: { mark: '=', weight: 'fine', of: 'document', means: 'archived and unchanged', advice: '' },
  kept: {
    mark: '+',
    weight: 'fine',
    of: 'document',
    means: 'archived and unchanged, no longer at Telnyx: kept, as it should be',
    advice: '',
  },
  pending: {
    mark: '-',
    weight: 'fine',
    of: 'document',
    means: 'so young that the archiver may still be at it',
    advice: '',
  },
  infected: {
    mark: '-',
    weight: 'fine',
    of: 'document',
    means: "not archived, since Telnyx's scanner found malware",
    advice: 'Set `archiveInfected` for the stage to keep such documents too.',
  },

  missing: {
    mark: '-',
    weight: 'defect',
    of: 'document',
    means: 'at Telnyx, but not archived',
    advice:
      'Run the audit with `--repair` to queue them. If they stay away, `redrive` shows among the dead letters why.',
  },
  lost: {
    mark: '-',
    weight: 'defect',
    of: 'document',
    means: 'named by a manifest, but neither object nor receipt is there',
    advice:
      'Somebody has deleted them. In a versioned bucket the bytes are still there: find the versions with ' +
      '`aws s3api list-object-versions --prefix documents/<id>`, remove the delete markers, and find out who set them.',
  },
  'no-object': {
    mark: '-',
    weight: 'defect',
    of: 'document',
    means: 'a receipt is there, but not the object',
    advice:
      'Somebody has deleted the object. In a versioned bucket its bytes are still there: find the version that the ' +
      'receipt names with `aws s3api list-object-versions --prefix documents/<id>` and remove the delete marker.',
  },
  'no-receipt': {
    mark: '*',
    weight: 'defect',
    of: 'document',
    means: 'the object is there, but not the receipt',
    advice:
      'Run the audit with `--repair`: the archiver compares the object with Telnyx and writes the receipt. If the ' +
      'document is no longer at Telnyx, look for a deleted version of the receipt.',
  },
  'size-differs': {
    mark: '*',
    weight: 'defect',
    of: 'document',
    means: 'another size than what was archived',
    advice:
      'The object was replaced. Restore the version that the receipt names, and find out who replaced it.',
  },
  'checksum-differs': {
    mark: '*',
    weight: 'defect',
    of: 'document',
    means: 'other bytes than what was archived',
    advice:
      'The object was replaced. Restore the version that the receipt names, and find out who replaced it.',
  },
  'receipt-altered': {
    mark: '*',
    weight: 'defect',
    of: 'document',
    means: 'the receipt is not as the archiver wrote it',
    advice:
      'Restore the first version of the receipt (`aws s3api list-object-versions --prefix receipts/<id>`), and find ' +
      'out who replaced it. If the archiver wrote it anew after `--repair`, `--manifest --accept-receipts` names it ' +
      'from now on.',
  },
  'telnyx-differs': {
    mark: '*',
    weight: 'defect',
    of: 'document',
    means: 'Telnyx now states something else than when it was archived',
    advice:
      'The archive is consistent in itself: either Telnyx has changed the document, or object and receipt were ' +
      'both replaced. Compare by hand.',
  },
  foreign: {
    mark: '*',
    weight: 'defect',
    of: 'object',
    means: 'not written by the archiver',
    advice: 'The archiver has not written them. Find out who has, and whether they may be moved elsewhere.',
  },
  'manifest-removed': {
    mark: '-',
    weight: 'defect',
    of: 'manifest',
    means: 'gone, though another file names it',
    advice: 'Restore it from the bucket’s versions or from a copy, and find out who removed it.',
  },
  'manifest-altered': {
    mark: '*',
    weight: 'defect',
    of: 'manifest',
    means: 'not as it was written',
    advice: 'Restore it from the bucket’s versions or from a copy, and find out who replaced it.',
  },

  unreadable: {
    mark: '!',
    weight: 'unchecked',
    of: 'item',
    means: 'could not be checked',
    advice: 'Run the audit again. If it stays like this, the reason beside each says what is in the way.',
  },
} as const satisfies Record<string, Kind>;

export type Code = keyof typeof kinds;

export const codes = Object.keys(kinds) as Code[];

/** Such as `3 documents`. */
export function countOf(count: number, code: Code): string {
  const { of } = kinds[code];
  return `${count.toLocaleString('en')} ${count === 1 ? of : `${of}s`}`;
}

export function weightOf(code: Code): Weight {
  return kinds[code].weight;
}

export interface Finding {
  code: Code;
  /** The key that it is about, or the one that should be there. */
  key: string;
  /** Undefined where it is about something else than a document. */
  documentId?: string;
  /** What exactly, for a person; empty where the code says it all. */
  detail: string;
}

/** What an audit has counted. */
export interface Tally {
  /** Documents and keys by what was found of them. */
  counts: Record<Code, number>;
  /** Documents that are archived, whether or not as they should be. */
  archived: number;
  /** Bytes of their objects. */
  bytes: number;
  /** Bytes that were read back. */
  bytesRead: number;
  objectsRead: number;
  /** Requests to S3. */
  requests: number;
  /** Documents looked at, archived or not. */
  documents: number;
}

export function createTally(): Tally {
  const counts = Object.fromEntries(codes.map((code) => [code, 0])) as Record<Code, number>;
  return { counts, archived: 0, bytes: 0, bytesRead: 0, objectsRead: 0, requests: 0, documents: 0 };
}

export function defectsIn({ counts }: Tally): number {
  return sumOf(counts, 'defect');
}

export function uncheckedIn({ counts }: Tally): number {
  return sumOf(counts, 'unchecked');
}

function sumOf(counts: Tally['counts'], weight: ReturnType<typeof weightOf>): number {
  return codes.reduce((sum, code) => sum + (weightOf(code) === weight ? counts[code] : 0), 0);
}
