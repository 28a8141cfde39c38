/** The statement of an erasure: what a person files as evidence. Has no file name and no reference of a document. */
import { contextTombstoneKey, documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount } from '../../terminal/counts.ts';
import { printable } from '../../terminal/escape.ts';
import { formatPairs } from '../../terminal/tables.ts';
import { shellWord } from '../command-line.ts';
import type { Operator } from '../target/target.ts';
import type { Erasure } from './erase-document.ts';
import type { ErasableVersion } from './examine.ts';

export interface StatementFacts {
  /** The archiver or the folder. */
  archive: string;
  bucket: string;
  operator: Operator;
  basis: string;
  /** Whether the archiver keeps a catalogue. */
  hasCatalogue: boolean;
  /** Milliseconds since the Unix epoch. */
  writtenAt: number;
  /** Version of the archiver. */
  version: string;
  erasures: readonly Erasure[];
  /** Documents of the order that are not erased, and why. */
  others: readonly { documentId: string; why: string }[];
}

export function erasureStatement(facts: StatementFacts): string {
  const { archive, bucket, operator, basis, hasCatalogue, writtenAt, version, erasures, others } = facts;
  const finished = erasures.filter(({ unfinished }) => !unfinished);
  const begun = erasures.length - finished.length;
  const [example] = finished;
  const lines = [
    'STATEMENT OF ERASURE',
    '',
    ...table([
      ['Archive', archive],
      ...(bucket === archive ? [] : [['Bucket', bucket] as const]),
      ['Written', new Date(writtenAt).toISOString()],
      ['Written by', operator.role + (operator.session === undefined ? '' : `, session ${operator.session}`)],
      ['Basis', basis],
      ['Program', `telnyx-document-archiver ${version}`],
      [
        'Result',
        [
          `${formatCount(finished.length, 'document')} erased`,
          ...(begun > 0 ? [`${formatCount(begun, 'document')} not finished`] : []),
          ...(others.length > 0 ? [`${formatCount(others.length, 'document')} not erased`] : []),
        ].join(', '),
      ],
    ]),
    ...erasures.flatMap((erasure) => describe(erasure, hasCatalogue)),
    ...(others.length > 0
      ? ['', 'NOT ERASED', '', ...others.map(({ documentId, why }) => `${documentId}  ${why}`)]
      : []),
    '',
    'HOW TO VERIFY',
    '',
    'Each of the three keys of an erased document has one version, the tombstone, and no delete marker. All have the',
    'SHA-256 stated above. Nothing is left below contexts/<document ID>/.',
    ...(example ? ['', ...verification(bucket, example)] : []),
    '',
    'WHAT THIS STATEMENT DOES NOT COVER',
    '',
    'Copies outside the archive: Telnyx itself, exports, reports and backups. docs/erasure.md lists them.',
  ];
  return `${lines.map(printable).join('\n')}\n`;
}

function describe({ tombstone, sha256, deleted, unfinished }: Erasure, hasCatalogue: boolean): string[] {
  const { documentId, erasedAt, erasedBy, basis, erased } = tombstone;
  const { document, receipt, archivedAt } = erased;
  return [
    '',
    `DOCUMENT ${documentId}`,
    '',
    ...table([
      // A hold may have stopped it for months since.
      ['Begun', `${erasedAt}, by ${erasedBy}`],
      ['Erased', unfinished ? `not finished: ${unfinished.detail}` : 'complete when this was written'],
      ['Basis', basis],
      ['Archived', archivedAt ?? 'unknown: no receipt'],
      ['Object', document ? `${formatBytes(document.bytes)}, SHA-256 ${document.sha256}` : 'none'],
      ['Receipt', receipt ? `SHA-256 ${receipt.sha256}` : 'none'],
      ['Tombstone', `SHA-256 ${sha256}, at all three keys`],
      ['Contexts', unfinished ? 'not finished' : 'none left'],
      ...(hasCatalogue ? [['Catalogue', 'states at most that it is erased'] as const] : []),
    ]),
    ...(deleted.length === 0
      ? [
          `  Deleted by this run: nothing; ${document || receipt ? 'an earlier run did' : 'nothing was archived'}.`,
        ]
      : ['  Deleted by this run:', ...deleted.map((version) => `    ${describeVersion(version)}`)]),
  ];
}

function describeVersion({ key, versionId, isDeleteMarker, bytes, modified }: ErasableVersion): string {
  const what = isDeleteMarker ? 'delete marker' : formatBytes(bytes);
  return `${key}  version ${versionId}  ${what}, written ${new Date(modified).toISOString()}`;
}

function verification(bucket: string, { tombstone: { documentId } }: Erasure): string[] {
  const keys = [documentKey(documentId), receiptKey(documentId), contextTombstoneKey(documentId)];
  if (!bucket.startsWith('s3://')) return keys.map((key) => `  sha256sum ${shellWord(`${bucket}/${key}`)}`);
  const name = bucket.slice('s3://'.length);
  return keys.flatMap((key) => [
    // Without its suffix the last prefix is also that of all contexts.
    `  aws s3api list-object-versions --bucket ${name} --prefix ${key.replace('.json', '')}`,
    `  aws s3 cp s3://${name}/${key} - | sha256sum`,
  ]);
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  return formatPairs(rows).map((line) => `  ${line}`);
}
