/** Judges what was learnt about whose document it is. Pure: no request, no clock. */
import { type Evidence, finding, tombstoneOf } from './evidence.ts';
import type { Finding } from './findings.ts';
import { judgeVersions } from './judge-versions.ts';

/** Of a document that was not erased. */
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

/** Of a document of which a tombstone is left. An erasure that left none for the contexts is one of an earlier version. */
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
  // A delete marker hides it, which is among what remains.
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
