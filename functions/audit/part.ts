/** Does one part of a run: compares, writes the result once, and ends the run if all parts have their results. */
import { type AuditPart, parsePartName, partName } from '../audit-names.ts';
import { auditResultKey, auditSummaryKey } from '../bucket/keys.ts';
import type { Bucket } from '../bucket/store.ts';
import { ArchiverError, asArchiverError } from '../errors.ts';
import { nightlyAudit } from '../limits.ts';
import type { LogFields } from '../log.ts';
import type { AuditPartMessage } from '../queue/messages.ts';
import { withDeadline } from '../time.ts';
import { finishRun } from './finish.ts';
import type { AuditDependencies, AuditReceive } from './handler.ts';
import { createPartContext, type PartContext, type PartWork, runBucket } from './part-context.ts';
import { auditIds } from './part-ids.ts';
import { auditOthers } from './part-others.ts';
import { auditTelnyx } from './part-telnyx.ts';
import { type AuditPlan, createRunTally, type PartResult, recordFinding } from './records.ts';
import { repairDocuments } from './repair.ts';
import { readPartResult, readRunPlan } from './run-history.ts';
import { writeRunObject } from './run-objects.ts';

/** Milliseconds reserved at the end of an invocation, to write the result and to end the run. */
const endMs = 20_000;

/**
 * A part that takes longer than one invocation is done piece by piece. The result of a piece names what is left, and the
 * next delivery of the same message does that. The function does not send a message for the next piece: Lambda's recursive
 * loop detection would stop such a chain after 16 invocations (AWS Lambda developer guide, "Use Lambda recursive loop
 * detection to prevent infinite loops").
 *
 * Safe to repeat, and to run twice at the same time: the result that is written first counts.
 *
 * @throws ArchiverError PartUnfinished if a piece is left; MalformedMessage if the run does not exist; those of the bucket, of
 *   Telnyx's API and of the queues
 */
export async function runPart(
  message: AuditPartMessage,
  receive: AuditReceive,
  dependencies: AuditDependencies,
): Promise<LogFields> {
  const { signal } = receive;
  const tally = createRunTally();
  const bucket = runBucket(dependencies, signal, tally);
  const plan = await readRunPlan(bucket, message.run, signal);
  if (!plan) throw noSuchRun();
  // The run has ended: a later run may have closed it.
  if (await bucket.head(auditSummaryKey(plan.run), signal)) return {};
  const next = await nextPiece(plan.run, message.part, bucket, signal);
  if (next) {
    const own = await doPart(next, plan, receive, dependencies);
    const written = await writeRunObject(auditResultKey(plan.run, next), own, bucket, signal);
    // Another delivery was faster, and its piece may end at another document.
    if (own.rest !== undefined || written === 'exists') throw pieceDone();
  }
  const ended = await finishRun(plan, bucket, signal, dependencies);
  return { requests: tally.requests, ...ended };
}

/** The first piece of a part without a result; undefined if the whole part is done. */
async function nextPiece(
  run: string,
  name: string,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<AuditPart | undefined> {
  for (let rest: string | undefined = name; rest !== undefined; ) {
    const piece = parsePartName(rest) as AuditPart;
    const result = await readPartResult(bucket, run, piece, signal);
    if (!result) return piece;
    rest = result.rest;
  }
  return undefined;
}

/** @returns the result. A part that has failed for too long gets the result `unchecked` */
async function doPart(
  part: AuditPart,
  plan: AuditPlan,
  { receivedAt, deadline, signal }: AuditReceive,
  dependencies: AuditDependencies,
): Promise<PartResult> {
  const { time } = dependencies;
  const startedAt = time.now();
  const isGivenUp = receivedAt - Date.parse(plan.startedAt) >= nightlyAudit.uncheckedAfterMs;
  const workMs = Math.max(0, deadline - time.monotonic() - endMs);
  const result = (of: Omit<PartResult, 'v' | 'run' | 'part' | 'startedAt' | 'endedAt'>): PartResult => ({
    v: 1,
    run: plan.run,
    part: partName(part),
    startedAt: new Date(startedAt).toISOString(),
    endedAt: new Date(time.now()).toISOString(),
    ...of,
  });
  try {
    return await withDeadline(time, workMs, signal, outOfTime, async (limited) => {
      const context = createPartContext(plan, { workMs, signal: limited }, dependencies);
      const { findings, rest, ...work } = await workOf(part, context);
      let queued: ReadonlySet<string> = new Set();
      try {
        queued = await repairDocuments(findings, part, context);
      } catch (error) {
        limited.throwIfAborted();
        // What was found counts, even if it cannot be repaired now. The next night tries again.
        if (!isGivenUp) throw error;
        dependencies.log.warn('Documents not queued for repair', { code: asArchiverError(error).code });
      }
      return result({
        ...work,
        ...(rest && { rest: partName(rest) }),
        tally: context.tally,
        findings: findings.map((finding) => recordFinding(finding, queued)),
      });
    });
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message, retryPolicy, retryAfterMs } = asArchiverError(thrown);
    // Without `conclusive`, so that the message is retried: after six hours the part is recorded as unchecked instead.
    if (!isGivenUp && retryPolicy !== 'dead-letter') {
      throw new ArchiverError(code, message, { cause: thrown, retryAfterMs });
    }
    const tally = { ...createRunTally(), counts: { unreadable: 1 } };
    return result({ tally, findings: [], unchecked: { code, reason: message } });
  }
}

function workOf(part: AuditPart, context: PartContext): Promise<PartWork> {
  switch (part.sort) {
    case 'ids':
      return auditIds(part, context);
    case 'telnyx':
      return auditTelnyx(part, context);
    case 'others':
      return auditOthers(part, context);
  }
}

function pieceDone(): ArchiverError {
  return new ArchiverError(
    'PartUnfinished',
    'A piece of the part is done. The next delivery does the next one.',
  );
}

function noSuchRun(): ArchiverError {
  return new ArchiverError(
    'MalformedMessage',
    'No run of the audit has the name in the message. Start one with "archiver audit --start".',
  );
}

function outOfTime(): ArchiverError {
  return new ArchiverError(
    'OutOfTime',
    'The invocation ran out of time before the part was done; the message returns to the queue.',
  );
}
