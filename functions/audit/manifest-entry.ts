import type { ManifestEntry } from '../bucket/manifest-text.ts';
import { tombstoneOf } from './evidence.ts';
import type { Inspection } from './inspect.ts';
import { lastNamed } from './manifest-claims.ts';

/**
 * The entry of a document in the new manifest. What a manifest names is named again with the same digests, so that every
 * later audit reports a document that was deleted or changed. There are two exceptions: a new receipt for the same bytes,
 * if the operator accepts it, and the tombstone of an erased document. An altered receipt is never added.
 */
export function manifestEntryOf(
  { evidence, findings }: Inspection,
  acceptReceipts: boolean,
): ManifestEntry | undefined {
  const { documentId: id, receipt } = evidence;
  const tombstone = findings.some(({ code }) => code === 'erased') ? tombstoneOf(evidence) : undefined;
  if (tombstone) return { id, document: tombstone.digest, receipt: tombstone.digest };
  const named = lastNamed(evidence);
  const reading = receipt?.reading?.alteration === undefined ? receipt?.reading : undefined;
  const document = named.document ?? reading?.stated.sha256;
  if (document === undefined) return undefined;
  const hasSameBytes = reading !== undefined && reading.stated.sha256 === document;
  const isAccepted = named.receipt === undefined || acceptReceipts;
  return { id, document, receipt: isAccepted && hasSameBytes ? reading.digest : named.receipt };
}
