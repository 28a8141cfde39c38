/** The audit function, with its queue in memory. */
import { ChangeMessageVisibilityCommand, SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import { assembleAudit } from '../../functions/audit/assemble.ts';
import { auditSettings } from '../../functions/audit/settings.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import type { HttpGet } from '../../functions/http.ts';
import { defaultsOf } from '../../functions/settings.ts';
import type { Time } from '../../functions/time.ts';
import { sqsEventOf } from '../sqs-event.ts';

interface NightOptions {
  /** Endpoint of S3. Telnyx's API is at `/v2`. */
  endpoint: string;
  telnyxGet: HttpGet;
  /** @default over HTTP */
  requestHandler?: Record<string, unknown>;
  time: Time;
  /** Time limit of an invocation. */
  limitMs: number;
}

export function createNightFunction({ endpoint, telnyxGet, requestHandler, time, limitMs }: NightOptions) {
  /** Bodies of the messages that the function has sent. */
  const queue: string[] = [];
  const log: string[] = [];
  const send = async (command: unknown) => {
    if (command instanceof ChangeMessageVisibilityCommand) return {};
    if (!(command instanceof SendMessageBatchCommand)) throw new Error('The night has no dead letters.');
    const { Entries = [] } = command.input;
    queue.push(...Entries.map(({ MessageBody = '' }) => MessageBody));
    return { Successful: Entries.map(({ Id }) => ({ Id })) };
  };
  const s3 = createS3Client({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-bench' },
    forcePathStyle: true,
    ...(requestHandler && { requestHandler }),
  });
  const handler = assembleAudit(
    {
      ...defaultsOf(auditSettings),
      archiverName: 'bench',
      version: 'bench',
      bucketName: 'archive',
      // The key is passed directly.
      apiKeySecretArn: '',
      telnyxUrl: new URL(`${endpoint}/v2`),
      auditQueueUrl: 'audit',
      auditDeadLetterQueueUrl: 'dead-letters',
      backfillQueueUrl: 'backfill',
    },
    {
      readSecret: async () => 'KEY0123456789ABCDEF',
      telnyxGet,
      s3,
      sqs: { send } as unknown as SQSClient,
      writeLog: (line) => log.push(line),
      time,
      random: Math.random,
    },
  );
  return {
    s3,
    queue,
    /** Delivers a message, again as long as a piece of its part is left. @throws Error if the function fails */
    deliver: async (body: string): Promise<void> => {
      for (;;) {
        const logged = log.length;
        const end = time.monotonic() + limitMs;
        const context = { getRemainingTimeInMillis: () => Math.max(0, end - time.monotonic()) } as Context;
        const event = sqsEventOf(body, 'arn:aws:sqs:us-east-1:000000000000:audit', time.now());
        const { batchItemFailures } = await handler(event, context);
        if (batchItemFailures.length === 0) return;
        if (!log.slice(logged).some((line) => line.includes('PartUnfinished')))
          throw new Error(log.join('\n'));
      }
    },
  };
}
