/** Does one part of a run: compares, writes the result once, queues what it left, and ends the run if it was the last. */
import { type AuditPart, parsePartName, partName } from '../audit-names.ts';
import { auditResultKey } from '../bucket/keys.ts';
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
import { sendParts, writeRunObject } from './run-objects.ts';

/** Kept back at the end of an invocation, to write the result and to end the run. */
const endMs = 20_000;

/**
 * Safe to repeat, and to run twice at once: the first result that is written counts.
 *
 * @throws ArchiverError MalformedMessage if there is no such run; those of the bucket, of Telnyx's API and of the queues
 */
export async function runPart(
  message: AuditPartMessage,
  receive: AuditReceive,
  dependencies: AuditDependencies,
): Promise<LogFields> {
  const { signal } = receive;
  const part = parsePartName(message.part) as AuditPart;
  const tally = createRunTally();
  const bucket = runBucket(dependencies, signal, tally);
  const plan = await readRunPlan(bucket, message.run, signal);
  if (!plan) throw noSuchRun();
  let result = await readPartResult(bucket, plan.run, part, signal);
  if (!result) {
    const own = await doPart(part, plan, receive, dependencies);
    const written = await writeRunObject(auditResultKey(plan.run, part), own, bucket, signal);
    // Another delivery may have been faster, and may have ended elsewhere.
    result = written === 'exists' ? await readPartResult(bucket, plan.run, part, signal) : own;
  }
  if (result?.rest !== undefined) await sendParts(plan, [result.rest], signal, dependencies);
  return { requests: tally.requests, ...(await finishRun(plan, bucket, signal, dependencies)) };
}

/** @returns the result, also of a part that could not be done for so long that it is given up */
async function doPart(
  part: AuditPart,
  plan: AuditPlan,
  { receivedAt, deadline, signal }: AuditReceive,
  dependencies: AuditDependencies,
): Promise<PartResult> {
  const { time } = dependencies;
  const startedAt = time.now();
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
      context.tally.repaired = await repairDocuments(findings, context);
      return result({
        ...work,
        ...(rest && { rest: partName(rest) }),
        tally: context.tally,
        findings: findings.map(recordFinding),
      });
    });
  } catch (thrown) {
    signal.throwIfAborted();
    if (receivedAt - Date.parse(plan.startedAt) < nightlyAudit.uncheckedAfterMs) throw thrown;
    const { code, message } = asArchiverError(thrown);
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
      return auditOthers(context);
  }
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
