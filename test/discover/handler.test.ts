import { ChangeMessageVisibilityCommand, SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { Context, SQSEvent } from 'aws-lambda';
import { expect, it, vi } from 'vitest';
import { createDiscoverHandler } from '../../functions/discover/handler.ts';
import { readDiscoverSettings } from '../../functions/discover/settings.ts';
import { retryTimings, timeouts } from '../../functions/limits.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import { serialiseMessage } from '../../functions/queue/serialise.ts';
import { systemTime } from '../../functions/time.ts';
import { sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';
import { createWorld, noon, recent, someDocuments, span, type WorldOptions } from './world.ts';

const queue = (name: string) => `http://127.0.0.1:1/000000000000/${name}`;

function setUp(options: WorldOptions) {
  // With the real clock the handler would skip the sweeps of `noon` as too late.
  const time = { ...systemTime, now: () => noon };
  const world = createWorld({ ...options, overrides: { time, ...options.overrides } });
  const lowLaneRequests: string[] = [];
  const commands: { queueUrl: string | undefined; kind: string; code?: string | undefined }[] = [];
  const sqs = {
    send: async (command: unknown) => {
      if (command instanceof SendMessageCommand) {
        const { QueueUrl, MessageAttributes } = command.input;
        commands.push({
          queueUrl: QueueUrl,
          kind: 'dead letter',
          code: MessageAttributes?.code?.StringValue,
        });
      } else if (command instanceof ChangeMessageVisibilityCommand) {
        commands.push({ queueUrl: command.input.QueueUrl, kind: 'visibility change' });
      }
      return {};
    },
  } as unknown as Pick<SQSClient, 'send'>;
  const handler = createDiscoverHandler({
    ...world.dependencies,
    lanes: ['discovery', 'spans'].map((name) => ({
      name,
      live: name === 'discovery',
      queueUrl: queue(name),
      deadLetterQueueUrl: queue(`${name}-dead-letters`),
    })),
    sqs,
    lowLaneTelnyx: {
      get: (...request) => {
        lowLaneRequests.push(request[0]);
        return world.dependencies.telnyx.get(...request);
      },
    },
    spansQueueUrl: queue('spans'),
    timings: retryTimings,
  });
  const invoke = (
    bodies: string[],
    { remainingMs = timeouts.discoverMs, lane = 'discovery' }: { remainingMs?: number; lane?: string } = {},
  ) => handler(eventOf(bodies, lane), { getRemainingTimeInMillis: () => remainingMs } as Context);
  return { world, commands, handler, invoke, lowLaneRequests };
}

function eventOf(bodies: string[], lane: string): SQSEvent {
  return sqsEvent(
    ...bodies.map((body, position) => sqsRecord(position, { body, queue: lane, sentAt: noon })),
  );
}

it('processes each message and sends nothing to the queue that it reads', async () => {
  const documents = someDocuments(30, noon, 1_000);
  const { world, commands, invoke } = setUp({ documents });
  const orderId = 'b41d7f0a-93c4-4f57-8a2b-1c9d4e5f6071';
  const event = { id: 'event-1', type: 'portout.status_changed', occurredAt: '2026-11-24T11:59:58Z' };
  const requestedAt = new Date(noon).toISOString();
  const messages: DiscoveryMessage[] = [
    recent(noon),
    { v: 1, kind: 'port-out', orderId, event, requestedAt },
  ];

  const response = await invoke(messages.map(serialiseMessage));

  expect(response).toEqual({ batchItemFailures: [] });
  expect(new Set(world.sent.map(({ queueUrl }) => queueUrl))).toEqual(new Set(['documents']));
  expect(commands).toEqual([]);
  expect(world.lines.filter(({ outcome }) => outcome === 'done')).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ kind: 'recent', found: 30, queued: 30, overdue: 0 }),
      expect.objectContaining({ kind: 'port-out', eventId: 'event-1' }),
    ]),
  );
});

it('forwards a span in the discovery queue to the spans queue without any request to Telnyx', async () => {
  const { world, commands, invoke, lowLaneRequests } = setUp({
    documents: someDocuments(3, noon, 1_000),
  });

  const response = await invoke([serialiseMessage(span(noon - 86_400_000, noon))]);

  expect(response).toEqual({ batchItemFailures: [] });
  expect(world.sent).toEqual([{ queueUrl: queue('spans'), message: span(noon - 86_400_000, noon) }]);
  expect([...world.requested, ...lowLaneRequests, ...commands]).toEqual([]);
});

it('uses the low-lane Telnyx client only for messages of the spans lane', async () => {
  const { world, invoke, lowLaneRequests } = setUp({ documents: someDocuments(3, noon, 1_000) });

  await invoke([serialiseMessage(recent(noon))]);
  expect(lowLaneRequests).toEqual([]);

  await invoke([serialiseMessage(span(noon - 86_400_000, noon))], { lane: 'spans' });
  expect(lowLaneRequests).not.toEqual([]);
  expect(world.sent.map(({ queueUrl }) => queueUrl)).toContain('backfill');
});

it('dead-letters an invalid message and processes the other messages of the batch', async () => {
  const { world, commands, invoke } = setUp({ documents: someDocuments(3, noon, 1_000) });

  const response = await invoke(['{"v":1}', serialiseMessage(recent(noon))]);

  expect(response).toEqual({ batchItemFailures: [] });
  expect(commands).toEqual([
    { queueUrl: queue('discovery-dead-letters'), kind: 'dead letter', code: 'MalformedMessage' },
  ]);
  expect(world.sent).toHaveLength(3);
});

it('returns a message with OutOfTime before Lambda ends the invocation', async () => {
  const { world, commands, invoke } = setUp({
    overrides: {
      telnyx: {
        get: (_path, _query, _gone, signal) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      },
    },
  });

  const response = await invoke([serialiseMessage(recent(noon))], { remainingMs: timeouts.reserveMs + 50 });

  expect(response).toEqual({ batchItemFailures: [{ itemIdentifier: 'message-0' }] });
  expect(commands).toEqual([{ queueUrl: queue('discovery'), kind: 'visibility change' }]);
  expect(world.lines).toContainEqual(expect.objectContaining({ code: 'OutOfTime', kind: 'recent' }));
});

it('accepts at most two parameters, so that Lambda does not treat the handler as callback-style', () => {
  const { handler } = setUp({});

  expect(handler.length).toBeLessThanOrEqual(2);
});

const environment = {
  BUCKET_NAME: 'archive',
  DOCUMENTS_QUEUE_URL: queue('documents'),
  BACKFILL_QUEUE_URL: queue('backfill'),
  DISCOVERY_QUEUE_URL: queue('discovery'),
  DISCOVERY_DEAD_LETTER_QUEUE_URL: queue('discovery-dead-letters'),
  SPANS_QUEUE_URL: queue('spans'),
  SPANS_DEAD_LETTER_QUEUE_URL: queue('spans-dead-letters'),
  ARCHIVER_NAME: 'test',
  ARCHIVER_VERSION: '1.2.3',
  TELNYX_API_KEY_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:000000000000:secret:key',
};

it('reads its settings from the environment', () => {
  const settings = readDiscoverSettings({ ...environment, LOW_LANE_INVOCATIONS: '10' });

  expect(settings).toMatchObject({
    lowLaneInvocations: 10,
    archiveInfected: false,
    bucketName: 'archive',
    version: '1.2.3',
  });
});

it('exports a handler from its Lambda entry point', async () => {
  for (const [name, value] of Object.entries({ ...environment, AWS_REGION: 'us-east-1' })) {
    vi.stubEnv(name, value);
  }

  const { handler } = await import('../../functions/discover/lambda.ts');

  vi.unstubAllEnvs();
  expect(handler).toBeTypeOf('function');
});
