import type { SeededBug } from './seeded-bugs.ts';

function auditBug(
  name: string,
  file: string,
  fragment: string,
  replacement: string,
  onlyFaults?: SeededBug['onlyFaults'],
): SeededBug {
  return { name, edits: [{ file, fragment, replacement }], ...(onlyFaults && { onlyFaults }) };
}

/** Bugs of the audit function, which the simulation of its nights must detect. */
export const auditBugs: readonly SeededBug[] = [
  {
    name: 'the summary of a run is written before its metrics are published',
    edits: [
      {
        file: 'audit/finish.ts',
        fragment: 'const problems = countRun(tally, isComplete, log);',
        replacement: 'const problems = 0;',
      },
      {
        file: 'audit/finish.ts',
        fragment: 'await writeRunObject(auditSummaryKey(plan.run), summary, bucket, signal);',
        replacement:
          'await writeRunObject(auditSummaryKey(plan.run), summary, bucket, signal); countRun(tally, isComplete, log);',
      },
    ],
  },
  auditBug(
    'a part counts as done when its first piece is',
    'audit/part.ts',
    "if (own.rest !== undefined || written === 'exists') throw pieceDone();",
    "if (written === 'exists') throw pieceDone();",
  ),
  auditBug(
    'a delivery that finds its part done does not end the run',
    'audit/part.ts',
    'const ended = await finishRun(plan, bucket, signal, dependencies);',
    'const ended = next && (await finishRun(plan, bucket, signal, dependencies));',
  ),
  auditBug(
    'a run is complete when the first pieces of its parts are done',
    'audit/finish.ts',
    'if (unfinished.length > 0) return {};',
    '',
  ),
  auditBug(
    'records of a run are replaced by a second delivery',
    'bucket/store.ts',
    "put(object, { IfNoneMatch: '*' }, signal)",
    'put(object, {}, signal)',
  ),
  {
    name: 'of two runs at once both write a manifest',
    edits: [
      {
        file: 'audit/finish.ts',
        fragment: 'if (await hasRival(plan.run, bucket, signal)) return undefined;',
        replacement: '',
      },
      {
        file: 'audit/finish.ts',
        fragment: 'if (await hasSuccessor(plan, timestamp, bucket, signal)) return undefined;',
        replacement: '',
      },
    ],
  },
  auditBug(
    'a run that never ended is not closed',
    'audit/start.ts',
    'if (isOld) await closeRun(',
    'if (isOld && plan.v !== 1) await closeRun(',
    ['audit-object-kills-function'],
  ),
  auditBug(
    'the share that is read is the same every night',
    'audit/start.ts',
    'sharesOf(day, last?.day, shareDays)',
    'sharesOf(0, undefined, shareDays)',
    [],
  ),
  auditBug(
    'an object of the share is not read',
    'audit/part-ids.ts',
    'const bytes = plan.readsBytes && (isOfShare ||',
    'const bytes = plan.readsBytes && (',
    [],
  ),
  auditBug(
    'a finding counts once for each piece that has it',
    'audit/run-findings.ts',
    '[finding.code, finding.documentId, finding.key, finding.detail].join',
    '[String(byIdentity.size)].join',
    ['list-row-malformed'],
  ),
  auditBug(
    'a row of the catalogue is not made again when a context is added',
    'bucket/catalogue-rows.ts',
    'of [receipt, ...contexts, ...holds])',
    'of [receipt, ...holds])',
  ),
  {
    name: 'an erasure does not wait until its row in the catalogue is erased',
    edits: [
      {
        file: 'cli/erasure/erase-document.ts',
        fragment: '    if (tombstone) await eraseRow(documentId, dependencies);\n',
        replacement: '',
      },
      {
        file: 'cli/erasure/erase-document.ts',
        fragment: ' || found.isInCatalogue) continue;',
        replacement: ') continue;',
      },
    ],
  },
  auditBug(
    'the requests of the audit do not name the owner of the bucket',
    'audit/assemble.ts',
    'ownedBy(settings.bucketOwner, services.s3)',
    'services.s3',
    [],
  ),
];
