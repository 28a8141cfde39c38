/** `send`: queues documents in the live lane. */
import { InvalidArgumentError } from 'commander';
import { readReceipt } from '../../functions/audit/receipt-reading.ts';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { parseTombstone } from '../../functions/bucket/tombstones.ts';
import type { DocumentMessage } from '../../functions/queue/messages.ts';
import { createSender } from '../../functions/queue/send.ts';
import { serialiseMessage } from '../../functions/queue/serialise.ts';
import { sleep } from '../../functions/time.ts';
import { formatCount } from '../../terminal/counts.ts';
import { styled } from '../../terminal/styled.ts';
import type { ArchiverCommand, CommandContext } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { noCode } from '../dead-letters/failures.ts';
import { peekDeadLetters } from '../dead-letters/lock.ts';
import { parseDocumentIds } from '../document-ids.ts';
import { formatName } from '../document-name.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';

export interface SendOptions {
  documentIds: readonly string[];
  /** Wait for the receipts; a number is the maximum in seconds. */
  wait?: true | number;
}

const help: CommandHelp = {
  text: `
Queues the documents in the live lane, ahead of any backfill. Documents that have a receipt are skipped, and so are
erased ones.`,
  examples: [
    ['send <document-id>', 'queue one document'],
    ['send <document-id> <document-id> --wait 120', 'queue two, and wait up to two minutes for them'],
  ],
  exitCodes: {
    0: 'queued; with --wait, all archived',
    1: 'with --wait, some erased, failed or not archived in time',
  },
  permissions: `
sqs:GetQueueUrl and sqs:SendMessage; with --wait also s3:ListBucket and s3:GetObject on receipts/*, kms:Decrypt and
${findStackPermissions}, and on the dead-letter queue sqs:ReceiveMessage and sqs:ChangeMessageVisibility.`,
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
/** Dead letters are read after a pause of this many times the last reading's duration: a long queue takes long to read. */
const pausePerReading = 2;

/** @returns the exit code */
export async function send({ documentIds, wait }: SendOptions, context: CommandContext): Promise<number> {
  const { target, terminal, time, signal } = context;
  const ids = parseDocumentIds(documentIds, 'argument');
  const { sqs, lanes } = await target.queues();
  const requestedAt = new Date(time.now()).toISOString();
  const messages = ids.map(
    (documentId): DocumentMessage => ({
      v: 1,
      kind: 'document',
      documentId,
      trigger: 'operator',
      requestedAt,
    }),
  );
  await createSender(sqs)(lanes.documents.queueUrl, messages, signal);
  if (wait !== undefined)
    return await waitForOutcomes(messages, wait === true ? defaultWaitSeconds : wait, context);
  terminal.print(`${formatCount(ids.length, 'document')} queued.`);
  terminal.record({ type: 'queued', queued: ids.length });
  return 0;
}

/**
 * Prints each document as soon as it is archived, known to be erased, or one of its messages is a dead letter.
 *
 * @returns the exit code
 */
async function waitForOutcomes(
  messages: readonly DocumentMessage[],
  waitSeconds: number,
  { target, terminal, time, signal }: CommandContext,
): Promise<number> {
  const queues = await target.queues();
  const { bucket } = await target.bucket();
  const deadline = time.monotonic() + 1_000 * waitSeconds;
  // A dead letter has the body of its message, so an earlier dead letter of the same document does not count.
  const openByBody = new Map(messages.map((message) => [serialiseMessage(message), message.documentId]));
  let readAgainAt = Number.NEGATIVE_INFINITY;
  let failed = 0;
  let erased = 0;
  for (;;) {
    for (const [body, id] of openByBody) {
      const receipt = await bucket.read(receiptKey(id), signal);
      if (receipt === undefined) continue;
      openByBody.delete(body);
      const tombstone = parseTombstone(id, receipt);
      if (tombstone !== undefined) {
        erased += 1;
        const when =
          typeof tombstone === 'string'
            ? `but the tombstone is not valid: ${tombstone}`
            : `on ${tombstone.erasedAt}, basis ${tombstone.basis}`;
        terminal.print(styled`${id}  ${terminal.paint('red', 'erased')}  ${when}`);
        terminal.record({ type: 'document', documentId: id, archived: false, erased: true });
        continue;
      }
      const { fileName, customerReference } = readReceipt(id, receipt);
      const name = { fileName, customerReference };
      const suffix = `  ${formatName(name)}`.trimEnd();
      terminal.print(styled`${id}  ${terminal.paint('green', 'archived')}${suffix}`);
      terminal.record({ type: 'document', documentId: id, archived: true, ...name });
    }
    const isOver = time.monotonic() >= deadline;
    if (openByBody.size > 0 && (isOver || time.monotonic() >= readAgainAt)) {
      const started = time.monotonic();
      for (const { body, code = noCode, reason } of await peekDeadLetters(queues, signal, ['documents'])) {
        const id = openByBody.get(body);
        if (id === undefined) continue;
        openByBody.delete(body);
        failed += 1;
        const why = reason === undefined ? code : `${code}: ${reason}`;
        terminal.print(styled`${id}  ${terminal.paint('red', 'failed')}  ${why}`);
        terminal.record({ type: 'document', documentId: id, archived: false, code, reason });
      }
      readAgainAt = time.monotonic() + pausePerReading * (time.monotonic() - started);
    }
    if (openByBody.size === 0 || isOver) break;
    await sleep(time, pollMs, signal);
  }
  for (const id of openByBody.values()) {
    terminal.print(styled`${id}  ${terminal.paint('yellow', 'not yet archived')}`);
    terminal.record({ type: 'document', documentId: id, archived: false });
  }
  if (openByBody.size > 0) {
    const [they, them] = openByBody.size === 1 ? ['It', 'its'] : ['They', 'their'];
    terminal.note(
      `${they} may still be archived. To follow ${them} progress, run \`${commandLine(target, 'status')}\`.`,
    );
  }
  if (erased > 0) terminal.note('An erased document is not archived again.');
  if (failed > 0) terminal.note(`To see what to do, run \`${commandLine(target, 'redrive --dry-run')}\`.`);
  return failed + erased + openByBody.size === 0 ? 0 : 1;
}

function asSeconds(value: string): number {
  if (/^\d{1,6}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('Must be a whole number of seconds.');
}
