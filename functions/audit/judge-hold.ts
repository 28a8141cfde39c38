/** Judges the hold of a document: its records, and whether object and receipt are on legal hold. Pure: no request, no clock. */
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
  const erasedAt = tombstoneOf(evidence)?.content.erasedAt;
  // Stryker disable next-line OptionalChaining: a held document has a record; required by the type.
  const heldAt = newestHold(evidence)?.at;
  // Stryker disable next-line ConditionalExpression,LogicalOperator: an undefined time is before no other; required by the type.
  if (erasedAt !== undefined && heldAt !== undefined && Date.parse(heldAt) < Date.parse(erasedAt)) {
    findings.push(finding(evidence, 'hold-missing', 'erased while it was held'));
  }
  for (const { key, state } of hold.locks) {
    if (state === 'off') findings.push(finding(evidence, 'hold-missing', '', key));
    else if (state !== 'on') {
      const detail = `the legal hold of ${key}: ${state.unreadable}`;
      // Stryker disable next-line OptionalChaining: a held document has a record; required by the type.
      findings.push(finding(evidence, 'unreadable', detail, hold.records.at(-1)?.listed.key));
    }
  }
  return findings;
}
