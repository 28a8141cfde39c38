/** Judges the hold of a document: its records, and whether S3 holds object and receipt. Pure: no request, no clock. */
import { type Evidence, finding, isHeld, newestHold, tombstoneOf } from './evidence.ts';
import type { Finding } from './findings.ts';
import { judgeVersions } from './judge-versions.ts';

export function judgeHold(evidence: Evidence): Finding[] {
  const { hold, documentId } = evidence;
  if (!hold) return [];
  const findings = hold.records.flatMap(({ listed, content }): Finding[] => {
    const replaced = judgeVersions(listed).map((problem) => ({ ...problem, documentId }));
    if (replaced.length > 0 || content) return replaced;
    return [finding(evidence, 'foreign', 'not a hold record of this document', listed.key)];
  });
  if (!isHeld(evidence)) return findings;
  const erasedAt = tombstoneOf(evidence)?.content?.erasedAt;
  const heldAt = newestHold(evidence)?.at;
  if (erasedAt !== undefined && heldAt !== undefined && Date.parse(heldAt) < Date.parse(erasedAt)) {
    findings.push(finding(evidence, 'hold-missing', 'erased while it was held'));
  }
  for (const { key, state } of hold.locks) {
    if (state === 'off') findings.push(finding(evidence, 'hold-missing', '', key));
    else if (state !== 'on') {
      const detail = `the legal hold of ${key}: ${state.unreadable}`;
      findings.push(finding(evidence, 'unreadable', detail, hold.records.at(-1)?.listed.key));
    }
  }
  return findings;
}
