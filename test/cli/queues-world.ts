/** Local queues and a bucket without the functions, so that a test can inspect what a command sends or deletes. */

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
import { createCredentials, folderBucket, localBucket } from '../../local/s3/archive-bucket.ts';
import { startS3 } from '../../local/s3/server.ts';
import { type SqsProxyOptions, startSqsProxy } from './sqs-proxy.ts';
import { type CommandOptions, type CommandResult, newFolder, recordingTerminal } from './world.ts';

export interface DeadLetterOptions {
  lane?: LaneName;
  body?: string;
  /** Undefined for a letter moved by SQS itself. */
  code?: string | undefined;
  reason?: string;
}

/** Body of a document message, as the functions write it. */
export function bodyFor(documentId: string, trigger = 'sweep', requestedAt = '2026-11-24T08:00:00Z'): string {
  return JSON.stringify({ v: 1, kind: 'document', documentId, trigger, requestedAt });
}

export async function startWorld() {
  const folder = await newFolder();
  const credentials = createCredentials();
  const s3 = await startS3({ buckets: { [localBucket]: folder }, credentials: [credentials], time });
  const opened = folderBucket(s3.endpoint, folder, credentials);
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
  /** Client of the commands. */
  let commandSqs: SQSClient = sqs;

  const metrics: Record<'sums' | 'maxima', Partial<Record<MetricName, number>>> = { sums: {}, maxima: {} };
  const run = async (
    command: (context: CommandContext) => Promise<number>,
    { answer, signal = new AbortController().signal }: CommandOptions = {},
  ): Promise<CommandResult> => {
    const { terminal, result } = recordingTerminal(answer === undefined ? {} : { answer });
    const none = async () => undefined;
    const target: Target = {
      name: 'queues alone',
      options: ['--local', 'queues alone'],
      bucket: async () => ({ s3: opened.client, name: opened.name, bucket }),
      queues: async () => ({ sqs: commandSqs, lanes }),
      catalogue: none,
      telnyx: none,
      metrics: async () => ({
        sums: async (names) =>
          Object.fromEntries(names.map((name) => [name, metrics.sums[name] ?? 0])) as never,
        latest: async () => undefined,
        maximum: async (name) => metrics.maxima[name],
      }),
      oldestAge: none,
      alarms: none,
      operator: async () => ({ role: 'local' }),
      checks: async () => [],
      polling: { intervalMs: 50, countsLagMs: 100 },
      close: none,
    };
    result.exitCode = await command({ target, terminal, time, random: Math.random, signal });
    return result;
  };

  return {
    run,
    /** Puts a proxy between the commands and SQS. */
    proxySqs: async (options: SqsProxyOptions) => {
      const client = queues.createClient(await startSqsProxy(queues, options));
      onTestFinished(() => client.destroy());
      commandSqs = client;
    },
    /** Metrics that the commands read. */
    metrics,
    /** @returns the message's ID */
    addDeadLetter: async (
      documentId: string,
      { lane = 'documents', body = bodyFor(documentId), ...why }: DeadLetterOptions = {},
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
      // SQS timestamps have milliseconds: wait, so that the next letter is newer.
      const sentBefore = Date.now();
      await vi.waitUntil(() => Date.now() > sentBefore, { interval: 1 });
      return MessageId;
    },
    writeReceipt: async (documentId: string) => {
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
    purge: (lane: LaneName) => sqs.send(new PurgeQueueCommand({ QueueUrl: lanes[lane].queueUrl })),
    messages: (lane: LaneName) => queueDepth(sqs, lanes[lane].queueUrl),
    deadLetters: (lane: LaneName) => queueDepth(sqs, lanes[lane].deadLetterQueueUrl),
    /** Dead letters that can be received; locked ones are not counted. */
    visibleDeadLetters: async (lane: LaneName) => {
      const { Attributes } = await sqs.send(
        new GetQueueAttributesCommand({
          QueueUrl: lanes[lane].deadLetterQueueUrl,
          AttributeNames: ['ApproximateNumberOfMessages'],
        }),
      );
      return Number(Attributes?.ApproximateNumberOfMessages);
    },
    /** Locks up to ten dead letters, as another command does. @returns how many */
    lockDeadLetters: async (lane: LaneName) => {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: lanes[lane].deadLetterQueueUrl,
          MaxNumberOfMessages: 10,
          VisibilityTimeout: 600,
        }),
      );
      return Messages.length;
    },
    /** Bodies of up to ten messages in the lane. */
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
