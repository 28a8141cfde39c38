/** A part of the audit: the objects of the bucket that belong to no document, among them manifests and records of runs. */
import { contextPrefix, documentPrefix, holdPrefix, parseAuditKey, receiptPrefix } from '../bucket/keys.ts';
import { type KeyRange, listVersions } from '../bucket/listing.ts';
import { parseManifestKey } from '../bucket/manifest-text.ts';
import type { Finding } from './findings.ts';
import { judgeVersions } from './judge-versions.ts';
import { countFinding, type PartContext, type PartWork } from './part-context.ts';
import { foreignObject } from './part-ids.ts';

/** The keys before, between and after those of contexts, documents, holds and receipts. */
const ranges: readonly KeyRange[] = [
  { before: contextPrefix },
  { from: behind(contextPrefix), before: documentPrefix },
  { from: behind(documentPrefix), before: holdPrefix },
  { from: behind(holdPrefix), before: receiptPrefix },
  { from: behind(receiptPrefix) },
];

/** @throws ArchiverError the errors of `listVersions` */
export async function auditOthers({ listing, tally }: PartContext): Promise<PartWork> {
  const findings: Finding[] = [];
  for (const range of ranges) {
    for await (const row of listVersions(listing, range)) {
      const isOwn = parseManifestKey(row.key) !== undefined || parseAuditKey(row.key) !== undefined;
      // The chain of manifests is judged with their versions when the run starts.
      if (!isOwn) findings.push(foreignObject(row));
      else if (parseAuditKey(row.key)) findings.push(...judgeVersions(row));
    }
  }
  for (const finding of findings) countFinding(tally, finding);
  return { findings };
}

/** The first key after all keys with this prefix, which ends with a slash. */
function behind(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}
