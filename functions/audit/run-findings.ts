import { type FindingCode, weightOf } from './findings.ts';
import {
  type AuditPlan,
  addTallies,
  type PartResult,
  type RecordedFinding,
  type RunTally,
} from './records.ts';

/** Findings of a comparison with Telnyx's list. */
const byList: ReadonlySet<FindingCode> = new Set(['missing', 'telnyx-differs']);

/**
 * The problems of a run, each once. Several parts can find the same one: every part that reads an altered manifest, and two
 * pieces that meet at the same document.
 */
export function findingsOf(
  plan: Pick<AuditPlan, 'findings'>,
  results: readonly Pick<PartResult, 'findings'>[],
): RecordedFinding[] {
  const all = [...plan.findings, ...results.flatMap(({ findings }) => findings)];
  // The part of Telnyx's list does not read manifests and versions. What the other parts find by them says more.
  const known = new Set(all.filter(({ code }) => !byList.has(code)).map(({ documentId }) => documentId));
  const byIdentity = new Map<string, RecordedFinding>();
  for (const finding of all) {
    if (byList.has(finding.code) && known.has(finding.documentId)) continue;
    byIdentity.set([finding.code, finding.documentId, finding.key, finding.detail].join('\n'), finding);
  }
  return [...byIdentity.values()];
}

/** The counts of a run: problems from its findings, everything else from the tallies of its parts. */
export function tallyOf(plan: Pick<AuditPlan, 'findings'>, results: readonly PartResult[]): RunTally {
  const tally = addTallies(results.map((result) => result.tally));
  const counts: RunTally['counts'] = {};
  const add = (code: FindingCode, count: number) => {
    counts[code] = (counts[code] ?? 0) + count;
  };
  for (const [code, count] of Object.entries(tally.counts) as [FindingCode, number][]) {
    if (weightOf(code) === 'fine') add(code, count);
  }
  for (const { code } of findingsOf(plan, results)) add(code, 1);
  const unchecked = results.filter((result) => result.unchecked).length;
  if (unchecked > 0) add('unreadable', unchecked);
  return { ...tally, counts };
}
