/** `send`: queues documents in the live lane. */
import { InvalidArgumentError } from 'commander';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { createSender } from '../../functions/queue/send.ts';
import { sleep } from '../../functions/time.ts';
import { formatCount } from '../../terminal/counts.ts';
import { styled } from '../../terminal/styled.ts';
import type { ArchiverCommand, CommandContext } from '../command.ts';
import { parseDocumentIds } from '../document-ids.ts';
import type { CommandHelp } from '../help.ts';

export interface SendOptions {
  documentIds: readonly string[];
  /** Wait for the receipts; a number is the maximum in seconds. */
  wait?: true | number;
}

const help: CommandHelp = {
  text: `
Queues the documents in the live lane, ahead of any backfill. Documents that have a receipt are skipped.`,
  examples: [
    ['send <document-id>', 'queue one document'],
    ['send <document-id> <document-id> --wait 120', 'queue two, and wait up to two minutes for them'],
  ],
  exitCodes: { 0: 'queued; with --wait, all archived', 1: 'with --wait, not all archived in time' },
  permissions: `
sqs:GetQueueUrl and sqs:SendMessage; with --wait also s3:ListBucket and s3:GetObject on receipts/*, kms:Decrypt and
cloudformation:DescribeStacks.`,
};

export const sendCommand: ArchiverCommand = {
  name: 'send',
  help,
  configure: (command) =>
    command
      .description('archive these documents now')
      .argument('<document-id...>', 'IDs of the documents at Telnyx')
      .option(
        '--wait [seconds]',
        'wait for so many seconds (default: 60) until they are archived',
        asSeconds,
      ),
  run: (context, parsed) => send({ ...parsed.opts(), documentIds: parsed.args }, context),
};

const defaultWaitSeconds = 60;
const pollMs = 500;

/** @returns the exit code */
export async function send(
  { documentIds, wait }: SendOptions,
  { target, terminal, time, signal }: CommandContext,
): Promise<number> {
  const ids = parseDocumentIds(documentIds, 'argument');
  const { sqs, lanes } = await target.queues();
  const requestedAt = new Date(time.now()).toISOString();
  await createSender(sqs)(
    lanes.documents.queueUrl,
    ids.map((documentId) => ({ v: 1, kind: 'document', documentId, trigger: 'operator', requestedAt })),
    signal,
  );
  if (wait === undefined) {
    terminal.print(`${formatCount(ids.length, 'document')} queued.`);
    terminal.record({ queued: ids.length });
    return 0;
  }

  const { bucket } = await target.bucket();
  const deadline = time.monotonic() + 1_000 * (wait === true ? defaultWaitSeconds : wait);
  const open = new Set(ids);
  for (;;) {
    for (const id of open) {
      if ((await bucket.head(receiptKey(id), signal)) === undefined) continue;
      open.delete(id);
      terminal.print(styled`${id}  ${terminal.paint('green', 'archived')}`);
      terminal.record({ documentId: id, archived: true });
    }
    if (open.size === 0) return 0;
    if (time.monotonic() >= deadline) break;
    await sleep(time, pollMs, signal);
  }
  for (const id of open) {
    terminal.print(styled`${id}  ${terminal.paint('yellow', 'not yet archived')}`);
    terminal.record({ documentId: id, archived: false });
  }
  terminal.note(
    `${open.size === 1 ? 'It' : 'They'} may still be archived. Run \`archiver status\` to follow the progress, and \`archiver redrive --dry-run\` to see failures.`,
  );
  return 1;
}

function asSeconds(value: string): number {
  if (/^\d{1,6}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('Must be a whole number of seconds.');
}
