/** Judges the contexts of a document. Pure: no request, no clock. */
import { type Evidence, finding, tombstoneOf } from './evidence.ts';
import type { Finding } from './findings.ts';
import { judgeVersions } from './judge-versions.ts';

/** Judges the contexts of a document that was not erased. */
export function judgeContexts(evidence: Evidence): Finding[] {
  const { documentId, contexts } = evidence;
  if (!contexts) return [];
  const { records, tombstone } = contexts;
  const findings = records.flatMap(({ listed, isWhole }): Finding[] => {
    const replaced = judgeVersions(listed).map((problem) => ({ ...problem, documentId }));
    if (replaced.length > 0 || isWhole !== false) return replaced;
    return [finding(evidence, 'foreign', 'not a context of this document', listed.key)];
  });
  if (tombstone) {
    const detail = 'the document was not erased, but no context of it can be written';
    findings.push(finding(evidence, 'tombstone-altered', detail, tombstone.listed.key));
  }
  return findings;
}

/** Judges the contexts of an erased document. Earlier versions of the archiver left no tombstone for them, which is accepted. */
export function judgeErasedContexts(evidence: Evidence): { alterations: Finding[]; remains: string[] } {
  const { records = [], tombstone } = evidence.contexts ?? {};
  const remains = records.length > 0 ? ['contexts are left'] : [];
  if (!tombstone) return { alterations: [], remains };
  const { listed, reading } = tombstone;
  if (listed.otherVersions > 0)
    remains.push(`other versions of the contexts’ tombstone: ${listed.otherVersions}`);
  if (listed.deleteMarkers > 0)
    remains.push(`delete markers of the contexts’ tombstone: ${listed.deleteMarkers}`);
  const whole = tombstoneOf(evidence);
  // A hidden tombstone is already among `remains`, as a delete marker.
  const alteration =
    !listed.current || (whole && reading?.digest === whole.digest)
      ? undefined
      : (reading?.alteration ?? 'another tombstone than the receipt’s');
  return {
    alterations:
      alteration === undefined ? [] : [finding(evidence, 'tombstone-altered', alteration, listed.key)],
    remains,
  };
}
