/** A part of the audit: all objects of the bucket that belong to no document, including manifests and records of runs. */
import type { AuditPart } from '../audit-names.ts';
import {
  auditPrefix,
  auditRunPrefix,
  contextPrefix,
  documentPrefix,
  holdPrefix,
  manifestPrefix,
  parseAuditKey,
  receiptPrefix,
} from '../bucket/keys.ts';
import { type KeyRange, listVersions } from '../bucket/listing.ts';
import { parseManifestKey } from '../bucket/manifest-text.ts';
import { nightlyAudit } from '../limits.ts';
import type { Finding } from './findings.ts';
import { foreignObject, limitForeign } from './foreign-objects.ts';
import { judgeVersions } from './judge-versions.ts';
import { countFinding, type PartContext, type PartWork } from './part-context.ts';

/** The names of manifests and of runs begin with a digit. */
const afterDigits = ':';

/** Key ranges without an object of the archiver. */
const foreignRanges: readonly KeyRange[] = [
  { before: `${auditPrefix}0` },
  { from: auditPrefix + afterDigits, before: contextPrefix },
  { from: behind(contextPrefix), before: documentPrefix },
  { from: behind(documentPrefix), before: holdPrefix },
  { from: behind(holdPrefix), before: `${manifestPrefix}0` },
  { from: manifestPrefix + afterDigits, before: receiptPrefix },
  { from: behind(receiptPrefix) },
];

/**
 * If the time is up after the records of some runs, the next delivery does those of the others. The place is the name of a
 * run, because the record must not keep a key that others chose.
 *
 * @throws ArchiverError the errors of `listVersions`
 */
export async function auditOthers(
  { from }: Extract<AuditPart, { sort: 'others' }>,
  context: PartContext,
): Promise<PartWork> {
  const found: Finding[] = [];
  if (from === undefined) {
    for (const range of foreignRanges) found.push(...(await listForeign(range, context)));
    found.push(...(await auditManifests(context)));
  }
  const { findings: ofRuns, rest } = await auditRuns(from, context);
  const findings = [...found, ...limitForeign(ofRuns)];
  for (const finding of findings) countFinding(context.tally, finding);
  return { findings, ...(rest !== undefined && { rest: { sort: 'others', from: rest } }) };
}

async function listForeign(range: KeyRange, { listing }: PartContext): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const row of listVersions(listing, range)) {
    if (findings.length < nightlyAudit.foreignObjects) findings.push(foreignObject(row));
    else return [...findings, notListed(range)];
  }
  return findings;
}

function notListed({ from, before }: KeyRange): Finding {
  const place = [from && `from ${from} on`, before && `before ${before}`].filter(Boolean).join(' and ');
  const limit = nightlyAudit.foreignObjects.toLocaleString('en');
  return {
    code: 'unreadable',
    key: 'bucket',
    detail: `more than ${limit} objects with keys ${place} were not written by the archiver; not all were listed`,
  };
}

/** The chain of manifests is judged with their versions when the run starts. */
async function auditManifests({ listing }: PartContext): Promise<Finding[]> {
  const findings: Finding[] = [];
  const range = { from: `${manifestPrefix}0`, before: manifestPrefix + afterDigits };
  for await (const row of listVersions(listing, range)) {
    if (!parseManifestKey(row.key)) findings.push(foreignObject(row));
  }
  return limitForeign(findings);
}

/** @param from name of the first run; undefined: the first one of all @returns `rest`: name of the run that is next */
async function auditRuns(
  from: string | undefined,
  { listing, time, stopAt }: PartContext,
): Promise<{ findings: Finding[]; rest?: string }> {
  const findings: Finding[] = [];
  const range = {
    from: from === undefined ? `${auditPrefix}0` : auditRunPrefix(from),
    before: auditPrefix + afterDigits,
  };
  let current = from;
  for await (const row of listVersions(listing, range)) {
    const run = parseAuditKey(row.key)?.run;
    if (run === undefined) findings.push(foreignObject(row));
    else {
      if (current !== undefined && run !== current && time.monotonic() >= stopAt)
        return { findings, rest: run };
      current = run;
      findings.push(...judgeVersions(row));
    }
  }
  return { findings };
}

/** The first key after all keys with this prefix, which ends with a slash. */
function behind(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}
