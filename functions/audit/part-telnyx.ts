/** A part of the audit: documents of Telnyx's list, each looked up in the archive. */
import { type AuditPart, partName } from '../audit-names.ts';
import { withoutReceipt } from '../bucket/unarchived.ts';
import { ArchiverError } from '../errors.ts';
import { nightlyAudit } from '../limits.ts';
import { mapConcurrently } from '../map-concurrently.ts';
import { createConfirmingReader } from '../telnyx/confirm.ts';
import { type Candidate, listDocuments } from '../telnyx/lists.ts';
import { createRetryingTelnyx } from '../telnyx/retrying-telnyx.ts';
import { readWindow, type Window } from '../telnyx/window.ts';
import { documentAtTelnyx } from './ask-telnyx.ts';
import type { Finding, FindingCode } from './findings.ts';
import { inspect } from './inspect.ts';
import { isProblem } from './judge.ts';
import { readLastDifferences } from './last-listing.ts';
import { countFinding, inspectDependencies, type PartContext, type PartWork } from './part-context.ts';
import { telnyxWindows } from './shares.ts';
import { type ListedDocument, toListedDocument } from './telnyx-documents.ts';

/** Findings that only a comparison with Telnyx's list shows. The parts of sort `ids` report all others. */
const ownCodes: ReadonlySet<FindingCode> = new Set([
  'missing',
  'pending',
  'infected',
  'telnyx-differs',
  'unreadable',
]);

/**
 * If Telnyx's API or the bucket fails after some of the list was compared, what was compared counts, and the next delivery
 * goes on from there.
 *
 * @throws ArchiverError those of Telnyx's API and of the bucket, or the signal's reason
 */
export async function auditTelnyx(
  { until }: Extract<AuditPart, { sort: 'telnyx' }>,
  context: PartContext,
): Promise<PartWork> {
  const { plan, stopAt, signal, time, tally } = context;
  const findings: Finding[] = [];
  let invalidRows = 0;
  // The list is read newest first. Documents created until this second are left to compare; undefined: none.
  let left: number | undefined = until;
  const compare = async (candidates: readonly Candidate[]) => {
    const listed = candidates.flatMap((each) =>
      each.id === undefined ? [] : toListedDocument(each.id, each),
    );
    findings.push(...(await lookUp(listed, context)));
    invalidRows += candidates.length - listed.length;
    tally.listedAtTelnyx += listed.length;
    return listed.flatMap(({ createdAt }) => (createdAt === undefined ? [] : Math.floor(createdAt / 1_000)));
  };
  try {
    if (plan.parts.includes(partName({ sort: 'telnyx', until }))) {
      findings.push(...(await lookUpDifferences(context)));
    }
    const list = createList(context);
    for (const window of telnyxWindows({ ...plan, shares: plan.listShares }, until * 1_000)) {
      for await (const candidates of list(window)) {
        for (const created of await compare(candidates)) left = Math.min(left, created);
        if (time.monotonic() >= stopAt && left < until) return end();
      }
      left = Math.min(left, Math.floor(window.from / 1_000));
    }
    left = undefined;
  } catch (error) {
    signal.throwIfAborted();
    if (left === until) throw error;
  }
  return end();

  function end(): PartWork {
    if (invalidRows > 0) {
      findings.push({ code: 'unreadable', key: 'telnyx', detail: `${invalidRows} rows without a valid ID` });
    }
    for (const finding of findings) countFinding(tally, finding);
    return {
      findings: findings.filter(isProblem),
      ...(left !== undefined && { rest: { sort: 'telnyx', until: left } }),
    };
  }
}

/**
 * Looks up the documents that differed from Telnyx's list in the last run, so that each is reported until it no longer
 * differs. Asks Telnyx about a limited number of them. The others, and those whose record cannot be read, are reported as
 * before, and come first in the next run.
 */
async function lookUpDifferences(context: PartContext): Promise<Finding[]> {
  const { plan, bucket, telnyx, retry, signal, time, stopAt } = context;
  const last = await retry((limited) => readLastDifferences(plan, bucket, limited));
  const missing = last.flatMap(({ code, documentId }) => (code === 'missing' && documentId) || []);
  const without = new Set(await retry((limited) => withoutReceipt(missing, bucket, limited)));
  const kept: Finding[] = [];
  const listed: ListedDocument[] = [];
  const askUntil = (time.monotonic() + stopAt) / 2;
  let asked = 0;
  for (const finding of last) {
    const { code, documentId } = finding;
    // Stryker disable next-line ConditionalExpression: each has an ID; required by the type.
    if (documentId === undefined || (code === 'missing' && !without.has(documentId))) continue;
    if (asked >= nightlyAudit.questionsPerPart || time.monotonic() >= askUntil) {
      kept.push(finding);
      continue;
    }
    asked += 1;
    try {
      const answer = await documentAtTelnyx(documentId, telnyx, signal);
      if (answer) listed.push(answer);
    } catch (error) {
      // Stryker disable next-line CallExpression: the caller, and the next request, throw the reason as well.
      signal.throwIfAborted();
      if (!(error instanceof ArchiverError) || error.retryPolicy !== 'retry') throw error;
      kept.push(finding);
    }
  }
  return [...kept, ...(await lookUp(listed, context))];
}

/** Reads a window of Telnyx's list. */
function createList({ deadline, signal, time, random, timings, log, ...context }: PartContext) {
  const telnyx = createRetryingTelnyx(context.telnyx, { deadline, signal, timings, time, random, log });
  const reader = createConfirmingReader();
  return (window: Window) =>
    readWindow(window, (created, page) => listDocuments(telnyx, created, page), reader);
}

async function lookUp(listed: readonly ListedDocument[], context: PartContext): Promise<Finding[]> {
  // Stryker disable next-line BooleanLiteral: a document that is not listed is looked up in either case.
  const quick = false;
  const dependencies = inspectDependencies(context, quick, false);
  const inspections = await mapConcurrently(
    listed,
    nightlyAudit.documentsAtOnce,
    context.signal,
    (telnyx, limited) => inspect({ id: telnyx.id, telnyx, notListed: true }, limited, dependencies),
  );
  return inspections.flatMap(({ findings }) => findings.filter(({ code }) => ownCodes.has(code)));
}
