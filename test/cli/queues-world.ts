/** Real queues and a bucket without the functions: whatever a tool sends or deletes stays to be looked at. */

import { createHash } from 'node:crypto';
import {
  GetQueueAttributesCommand,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { onTestFinished, vi } from 'vitest';
import type { CommandContext } from '../../cli/command.ts';
import type { Target } from '../../cli/target/target.ts';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import type { MetricName } from '../../functions/metrics.ts';
import type { LaneName } from '../../functions/queue/lanes.ts';
import { queueDepth } from '../../functions/queue/queue-depth.ts';
import { systemTime as time } from '../../functions/time.ts';
import { startQueues } from '../../local/queues.ts';
import { folderBucket, localBucket, localCredentials } from '../../local/s3/archive-bucket.ts';
import { startS3 } from '../../local/s3/server.ts';
import { type CommandOptions, listeningTerminal, newFolder, type Told } from './world.ts';

export interface LetterOptions {
  lane?: LaneName;
  body?: string;
  /** Undefined for a letter that SQS itself has moved. */
  code?: string | undefined;
  reason?: string;
}

/** Message in the form of the functions'. */
export function bodyFor(documentId: string, trigger = 'sweep', requestedAt = '2026-11-24T08:00:00Z'): string {
  return JSON.stringify({ v: 1, kind: 'document', documentId, trigger, requestedAt });
}

export async function startWorld() {
  const folder = await newFolder();
  const s3 = await startS3({ buckets: { [localBucket]: folder }, credentials: [localCredentials], time });
  const opened = folderBucket(s3.endpoint, folder);
  const bucket = createBucket({ s3: opened.client, name: opened.name, time });
  const queues = await startQueues();
  const sqs = queues.createClient();
  onTestFinished(async () => {
    sqs.destroy();
    opened.client.destroy();
    await queues.close();
    await s3.close();
  });
  const { lanes } = queues;
  /** What the commands talk to SQS through; a test may put something between. */
  let between: SQSClient = sqs;

  const counted: Record<'sums' | 'maxima', Partial<Record<MetricName, number>>> = { sums: {}, maxima: {} };
  const run = async (
    command: (context: CommandContext) => Promise<number>,
    { answer, signal = new AbortController().signal }: CommandOptions = {},
  ): Promise<Told> => {
    const { terminal, told } = listeningTerminal(answer === undefined ? {} : { answer });
    const none = async () => undefined;
    const target: Target = {
      name: 'queues alone',
      bucket: async () => ({ s3: opened.client, name: opened.name, bucket }),
      queues: async () => ({ sqs: between, lanes }),
      telnyx: none,
      metrics: async () => ({
        sums: async (names) =>
          Object.fromEntries(names.map((name) => [name, counted.sums[name] ?? 0])) as never,
        latest: async () => undefined,
        maximum: async (name) => counted.maxima[name],
      }),
      oldestAge: none,
      alarms: none,
      pace: { pollMs: 50, countsLagMs: 100 },
      close: none,
    };
    told.exitCode = await command({ target, terminal, time, random: Math.random, signal });
    return told;
  };

  return {
    run,
    through: (wrapped: SQSClient) => {
      between = wrapped;
    },
    sqs,
    /** What the functions have counted. */
    counted,
    /** @returns the message's ID */
    letter: async (
      documentId: string,
      { lane = 'documents', body = bodyFor(documentId), ...why }: LetterOptions = {},
    ) => {
      const { code = 'DocumentGone', reason = 'Telnyx does not have it.' } = why;
      const string = (text: string) => ({ DataType: 'String', StringValue: text });
      const { MessageId = '' } = await sqs.send(
        new SendMessageCommand({
          QueueUrl: lanes[lane].deadLetterQueueUrl,
          MessageBody: body,
          ...(!('code' in why && why.code === undefined) && {
            MessageAttributes: { code: string(code), reason: string(reason) },
          }),
        }),
      );
      // The next one is younger by SQS's clock, which has milliseconds.
      const sentBefore = Date.now();
      await vi.waitUntil(() => Date.now() > sentBefore, { interval: 1 });
      return MessageId;
    },
    settle: async (documentId: string) => {
      const body = Buffer.from('{}\n');
      await bucket.putOnce(
        {
          key: receiptKey(documentId),
          body,
          bytes: body.length,
          sha256: createHash('sha256').update(body).digest('hex'),
          contentType: 'application/json',
        },
        new AbortController().signal,
      );
    },
    empty: (lane: LaneName) => sqs.send(new PurgeQueueCommand({ QueueUrl: lanes[lane].queueUrl })),
    depth: (lane: LaneName) => queueDepth(sqs, lanes[lane].queueUrl),
    letters: (lane: LaneName) => queueDepth(sqs, lanes[lane].deadLetterQueueUrl),
    /** Dead letters that can be received, as opposed to those that a tool keeps locked. */
    visibleLetters: async (lane: LaneName) => {
      const { Attributes } = await sqs.send(
        new GetQueueAttributesCommand({
          QueueUrl: lanes[lane].deadLetterQueueUrl,
          AttributeNames: ['ApproximateNumberOfMessages'],
        }),
      );
      return Number(Attributes?.ApproximateNumberOfMessages);
    },
    /** Bodies of up to ten messages that are in the lane. */
    bodies: async (lane: LaneName) => {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: lanes[lane].queueUrl,
          MaxNumberOfMessages: 10,
          VisibilityTimeout: 0,
        }),
      );
      return Messages.map(({ Body = '' }) => Body);
    },
  };
}

/**
 * SQS that takes only a part of each batch, and says so as it does: with 200 and a list of the failed ones.
 *
 * @param refuses whether it refuses an entry, by the position in its batch
 */
export function refusing(
  sqs: SQSClient,
  batchCommand: abstract new (...input: never[]) => object,
  refuses: (position: number) => boolean,
): SQSClient {
  const send = async (command: { input: { Entries: { Id: string }[] } }, options?: object) => {
    if (!(command instanceof batchCommand)) return await sqs.send(command as never, options as never);
    const all = command.input.Entries;
    command.input.Entries = all.filter((_, position) => !refuses(position));
    const answer =
      command.input.Entries.length === 0 ? {} : await sqs.send(command as never, options as never);
    return {
      ...answer,
      Failed: all
        .filter((_, position) => refuses(position))
        .map(({ Id }) => ({ Id, SenderFault: false, Code: 'InternalError' })),
    };
  };
  return { send } as unknown as SQSClient;
}
