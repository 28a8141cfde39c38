import { runName } from '../../functions/audit-names.ts';
import { createSender } from '../../functions/queue/send.ts';
import type { CommandContext } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { queuesOf } from '../target/target.ts';

/**
 * Asks the audit function for a run, as the schedule does every night.
 *
 * @param full whether the run reads everything, not only what is new and one daily share
 * @returns the exit code
 * @throws Error for an archiver without an audit; ArchiverError QueueUnavailable
 */
export async function startAudit(
  full: boolean,
  { target, terminal, time, signal }: CommandContext,
): Promise<number> {
  const queues = await target.queues();
  const { queueUrl } = queuesOf(queues, 'audit');
  const now = time.now();
  await createSender(queues.sqs)(
    queueUrl,
    [
      {
        v: 1,
        kind: 'audit-start',
        ...(full && { full }),
        requestedAt: new Date(now).toISOString(),
      },
    ],
    signal,
  );
  const run = runName(now, full);
  terminal.print(
    `Requested the run ${run}${full ? ', which reads everything' : ''}.`,
    `To see its result, run \`${commandLine(target, 'audit --latest')}\`. Until the run has ended, this shows the previous one.`,
  );
  terminal.record({ type: 'requested', run, full });
  return 0;
}
