import type { Context } from 'aws-lambda';
import { expect, it, onTestFinished, vi } from 'vitest';
import { sqsEvent } from '../fakes/sqs-records.ts';

it('Lambda’s entry point needs only its environment, and exports a handler without a callback', async () => {
  const queue = (name: string) => `https://sqs.us-east-1.amazonaws.com/000000000000/${name}`;
  const environment = {
    AWS_REGION: 'us-east-1',
    BUCKET_NAME: 'archive',
    AUDIT_QUEUE_URL: queue('audit'),
    AUDIT_DEAD_LETTER_QUEUE_URL: queue('audit-dead-letters'),
    BACKFILL_QUEUE_URL: queue('backfill'),
    TELNYX_API_KEY_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:000000000000:secret:key',
    ARCHIVER_NAME: 'test',
    ARCHIVER_VERSION: '0.0.0-test',
  };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  const context = { getRemainingTimeInMillis: () => 60_000 } as Context;

  const { handler } = await import('../../functions/audit/lambda.ts');

  expect(handler.length).toBeLessThanOrEqual(2);
  expect(await handler(sqsEvent(), context)).toEqual({ batchItemFailures: [] });
});
