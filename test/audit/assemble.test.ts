import {
  ChangeMessageVisibilityCommand,
  type SendMessageBatchCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import { expect, it } from 'vitest';
import { assembleAudit } from '../../functions/audit/assemble.ts';
import { readAuditSettings } from '../../functions/audit/settings.ts';
import { runName } from '../../functions/audit-names.ts';
import { auditSummaryKey, documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { timeouts } from '../../functions/limits.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';
import { sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';

const queue = (name: string) => `https://sqs.us-east-1.amazonaws.com/000000000000/${name}`;
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

it('completes a run in the buckets of its account, with one document and an empty list of Telnyx', async () => {
  const time = virtualTime(noon);
  const buckets = { archive: new MemoryBucket(time), catalogue: new MemoryBucket(time) };
  const document = documentOf(id, Buffer.from('a letter'));
  buckets.archive.put(documentKey(id), document.body, noon - 3 * day);
  buckets.archive.put(receiptKey(id), written(receiptOf(document)), noon - 3 * day);
  const owners = new Set<unknown>();
  const urls = new Set<string>();
  const messages = [JSON.stringify({ v: 1, kind: 'audit-start', requestedAt: new Date(noon).toISOString() })];
  const lines: string[] = [];
  const handler = assembleAudit(
    readAuditSettings({
      ARCHIVER_NAME: 'emea',
      ARCHIVER_VERSION: '1.2.3',
      BUCKET_NAME: 'archive',
      CATALOGUE_BUCKET_NAME: 'catalogue',
      BUCKET_OWNER: '123456789012',
      TELNYX_API_KEY_SECRET_ARN: 'arn:secret',
      TELNYX_API_URL: 'https://telnyx.example/v2',
      AUDIT_QUEUE_URL: queue('audit'),
      AUDIT_DEAD_LETTER_QUEUE_URL: queue('audit-dead'),
      BACKFILL_QUEUE_URL: queue('backfill'),
    }),
    {
      readSecret: async () => 'KEY0000FIRST',
      telnyxGet: async (url, { headers }) => {
        urls.add(`${url.origin}${url.pathname} ${headers?.authorization}`);
        return { status: 200, headers: {}, body: [Buffer.from('{"data":[]}')] as never };
      },
      s3: {
        send: async (command: {
          input: { Bucket: 'archive' | 'catalogue'; ExpectedBucketOwner?: string };
        }) => {
          owners.add(command.input.ExpectedBucketOwner);
          return buckets[command.input.Bucket].send(command);
        },
      } as never,
      sqs: {
        send: async (command: unknown) => {
          if (command instanceof ChangeMessageVisibilityCommand) return {};
          if (command instanceof SendMessageCommand) throw new Error('Nothing is a dead letter.');
          const { QueueUrl, Entries = [] } = (command as SendMessageBatchCommand).input;
          expect(QueueUrl).toBe(queue('audit'));
          messages.push(...Entries.map(({ MessageBody = '' }) => MessageBody));
          return { Successful: Entries.map(({ Id }) => ({ Id })) };
        },
      } as never,
      writeLog: (line) => lines.push(line),
      time,
      random: () => 0.5,
    },
  );

  for (const body of messages) {
    const record = sqsRecord(0, { queue: 'audit', body, sentAt: noon });
    const context = { getRemainingTimeInMillis: () => timeouts.auditMs } as Context;
    expect(await handler(sqsEvent(record), context)).toEqual({ batchItemFailures: [] });
  }

  expect(JSON.parse(buckets.archive.text(auditSummaryKey(runName(noon))))).toMatchObject({
    status: 'complete',
    tally: { documents: 1 },
  });
  expect([...buckets.catalogue.objects.keys()]).toEqual(['rows/6e0.jsonl.gz']);
  expect(owners).toEqual(new Set(['123456789012']));
  expect(urls).toEqual(new Set(['https://telnyx.example/v2/documents Bearer KEY0000FIRST']));
  expect(lines.join()).toContain('"TelnyxArchiver/emea"');
});
