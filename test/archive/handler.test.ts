import { readFile } from 'node:fs/promises';
import { ChangeMessageVisibilityCommand, SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { Context, SQSEvent } from 'aws-lambda';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createArchiveHandler } from '../../functions/archive/handler.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { retryTimings, timeouts } from '../../functions/limits.ts';
import { systemTime } from '../../functions/time.ts';
import { receivedAgain, sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';
import { acceleratedTime, isDownload, messageFor, someBytes, startWorld, type World } from './world.ts';

const documentId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const otherId = '0b3f7f0e-6f0e-4d0c-9a51-2f6f0c1f7a02';

async function sampleEvent(name: string): Promise<SQSEvent> {
  return JSON.parse(await readFile(new URL(`../../events/${name}`, import.meta.url), 'utf8'));
}

function contextWith(remainingMs: number): Context {
  const end = systemTime.monotonic() + remainingMs;
  return { getRemainingTimeInMillis: () => end - systemTime.monotonic() } as Context;
}

/** The handler with a fake SQS that accepts and records all requests. */
function handlerOf(world: World, lowLaneTelnyx = world.dependencies.telnyx) {
  const deadLetters: { queueUrl: string; body: string; attributes: Record<string, string | undefined> }[] =
    [];
  const visibilities: { receiptHandle: string; seconds: number }[] = [];
  const sqs = {
    send: async (command: unknown) => {
      if (command instanceof SendMessageCommand) {
        const { QueueUrl = '', MessageBody = '', MessageAttributes = {} } = command.input;
        const attributes = Object.fromEntries(
          Object.entries(MessageAttributes).map(([name, { StringValue }]) => [name, StringValue]),
        );
        deadLetters.push({ queueUrl: QueueUrl, body: MessageBody, attributes });
      } else if (command instanceof ChangeMessageVisibilityCommand) {
        const { ReceiptHandle = '', VisibilityTimeout = -1 } = command.input;
        visibilities.push({ receiptHandle: ReceiptHandle, seconds: VisibilityTimeout });
      }
      return {};
    },
  } as unknown as Pick<SQSClient, 'send'>;
  const handler = createArchiveHandler({ ...world.dependencies, sqs, lowLaneTelnyx });
  const invoke = (event: SQSEvent, remainingMs: number = timeouts.archiveMs) =>
    handler(event, contextWith(remainingMs));
  return { handler, invoke, deadLetters, visibilities };
}

describe('the archive function', () => {
  it('has at most two parameters, because Lambda would wait for a callback otherwise', async () => {
    const { handler } = handlerOf(await startWorld());

    expect(handler.length).toBeLessThanOrEqual(2);
  });

  it('archives the document of a single message, writes one log line and counts metrics', async () => {
    const world = await startWorld();
    await world.add(someBytes(1_000), { id: documentId });
    const { invoke, deadLetters } = handlerOf(world);

    const response = await invoke(await sampleEvent('sqs-single.json'));

    expect(response).toEqual({ batchItemFailures: [] });
    expect(deadLetters).toEqual([]);
    expect((await world.receipt(documentId))?.request).toMatchObject({
      trigger: 'webhook',
      event: { type: 'number_order.complete' },
    });
    const lines = world.lines.map((line) => JSON.parse(line));
    expect(lines.find(({ outcome }) => outcome !== undefined)).toMatchObject({
      documentId,
      outcome: 'archived',
      bytes: 1_000,
    });
    expect(lines.filter((line) => '_aws' in line).flatMap((line) => Object.keys(line))).toEqual(
      expect.arrayContaining(['DocumentsArchived', 'BytesArchived', 'ArchiveLatency']),
    );
  });

  it('uses the low-lane Telnyx client for the backfill lane only', async () => {
    const world = await startWorld();
    const ids = ['0b3f7f0e-6f0e-4d0c-9a51-2f6f0c1f7a02', '0b3f7f0e-6f0e-4d0c-9a51-2f6f0c1f7a03'] as const;
    for (const id of ids) await world.add(someBytes(10), { id });
    const lowLaneIds: string[] = [];
    const { telnyx } = world.dependencies;
    const { invoke } = handlerOf(world, {
      ...telnyx,
      document: (id, signal) => {
        lowLaneIds.push(id);
        return telnyx.document(id, signal);
      },
    });

    const response = await invoke(
      sqsEvent(
        sqsRecord(0, { body: ids[0], queue: 'documents' }),
        sqsRecord(1, { body: ids[1], queue: 'backfill' }),
      ),
    );

    expect(response).toEqual({ batchItemFailures: [] });
    expect(lowLaneIds).toEqual([ids[1]]);
  });

  it('archives the valid messages of a batch and sends the others to the dead-letter queue with a reason', async () => {
    const world = await startWorld({
      overrides: { time: { ...systemTime, now: () => Date.parse('2026-11-24T00:00:01Z') } },
    });
    await world.add(someBytes(1_000), { id: documentId });
    await world.add(someBytes(2_000), { id: otherId });
    const { invoke, deadLetters, visibilities } = handlerOf(world);
    const event = await sampleEvent('sqs-batch.json');

    const response = await invoke(event);

    expect(await world.receipt(documentId)).toBeDefined();
    expect((await world.receipt(otherId))?.request.trigger).toBe('operator');
    expect(deadLetters.map(({ body, attributes }) => [body, attributes.code])).toEqual(
      expect.arrayContaining([
        [event.Records[1]?.body, 'MalformedMessage'],
        [event.Records[4]?.body, 'MalformedMessage'],
        [event.Records[5]?.body, 'MalformedMessage'],
        [event.Records[6]?.body, 'UnknownMessageKind'],
      ]),
    );
    expect(deadLetters).toHaveLength(4);
    for (const { queueUrl, attributes } of deadLetters) {
      expect(queueUrl).toContain('documents-dead-letters');
      expect(attributes).toMatchObject({ attempts: '1', firstSeenAt: '2026-11-24T00:00:00.250Z' });
      expect(attributes.reason?.length).toBeGreaterThan(20);
    }
    // A message of a newer version returns to the queue, for a newer version of the function.
    const newer = event.Records[7];
    expect(response.batchItemFailures).toEqual([{ itemIdentifier: newer?.messageId }]);
    expect(visibilities).toEqual([{ receiptHandle: newer?.receiptHandle, seconds: 5 }]);
  });

  it('waits as long as a faulty document is old before each retry and sends it to the dead-letter queue after ten minutes', async () => {
    let now = Date.parse('2026-11-24T00:00:00Z');
    const world = await startWorld({
      overrides: {
        time: { ...acceleratedTime(10), now: () => now },
        timings: { ...retryTimings, attemptsSpanMs: 200 },
      },
    });
    await world.add(someBytes(1_000), { id: documentId, sha256: 'b'.repeat(64) });
    const { invoke, deadLetters, visibilities } = handlerOf(world);
    const event = sqsEvent(sqsRecord(0, { body: JSON.stringify(messageFor(documentId)), sentAt: now }));

    for (let receives = 1; deadLetters.length === 0 && receives < 30; receives += 1) {
      const { batchItemFailures } = await invoke(receivedAgain(event, receives));
      if (batchItemFailures.length > 0) now += 1_000 * (visibilities.at(-1)?.seconds ?? 0);
    }

    const waits = visibilities.map(({ seconds }) => seconds);
    expect(waits[0]).toBe(5);
    expect(Math.max(...waits)).toBeLessThanOrEqual(120);
    expect(waits.reduce((sum, seconds) => sum + seconds, 0)).toBeGreaterThanOrEqual(600 - 30);
    expect(deadLetters.map(({ attributes }) => attributes)).toEqual([
      {
        code: 'ChecksumMismatch',
        reason: expect.stringContaining('SHA-256'),
        attempts: String(waits.length + 1),
        firstSeenAt: '2026-11-24T00:00:00.000Z',
      },
    ]);
  });

  it('spreads three attempts with fresh links over attemptsSpanMs before it sends a document to the dead-letter queue', async () => {
    const time = { ...systemTime, now: () => Date.parse('2026-11-24T00:11:00Z') };
    const timings = { ...retryTimings, attemptsSpanMs: 900 };
    const world = await startWorld({ overrides: { time, timings } });
    await world.add(someBytes(1_000), { id: documentId, sha256: 'b'.repeat(64) });
    const { invoke, deadLetters } = handlerOf(world);
    const before = time.monotonic();

    await invoke(
      sqsEvent(
        sqsRecord(0, {
          body: JSON.stringify(messageFor(documentId)),
          receives: 8,
          sentAt: Date.parse('2026-11-24T00:00:00Z'),
        }),
      ),
    );

    expect(deadLetters).toHaveLength(1);
    expect(world.linkCalls).toHaveLength(3);
    expect(time.monotonic() - before).toBeGreaterThanOrEqual(900);
  });

  it.each(['ApiKeyRejected', 'TelnyxUnavailable', 'RateLimited'] as const)(
    'returns a document to the queue as long as Telnyx is at fault with %s',
    async (code) => {
      const world = await startWorld();
      await world.add(someBytes(1_000), { id: documentId });
      vi.spyOn(world.dependencies.telnyx, 'document').mockRejectedValue(
        new ArchiverError(code, 'not available'),
      );
      const { invoke, deadLetters, visibilities } = handlerOf(world);
      const dayAgo = systemTime.now() - 86_400_000;

      const response = await invoke(
        sqsEvent(
          sqsRecord(0, { body: JSON.stringify(messageFor(documentId)), receives: 700, sentAt: dayAgo }),
        ),
      );

      expect(response.batchItemFailures).toHaveLength(1);
      expect(deadLetters).toEqual([]);
      expect(visibilities).toEqual([{ receiptHandle: 'handle-0', seconds: 1_440 }]);
    },
  );

  it('ends before its time limit and returns unfinished messages to the queue', async () => {
    const world = await startWorld();
    await world.add(someBytes(1_000), { id: otherId });
    await world.add(someBytes(20_000_000), { id: documentId });
    world.fail(
      { kind: 'drip', bytesPerSecond: 100_000 },
      (request) => isDownload(request) && request.key === documentId,
    );
    const { invoke, visibilities } = handlerOf(world);
    const records = (await sampleEvent('sqs-batch.json')).Records;
    const event = sqsEvent(...[records[0], records[3]].filter((record) => record !== undefined));
    const began = systemTime.monotonic();
    const limit = timeouts.reserveMs + 1_500;

    const response = await invoke(event, limit);

    expect(systemTime.monotonic() - began).toBeLessThan(limit - timeouts.lastResortMs);
    expect(response.batchItemFailures).toEqual([{ itemIdentifier: records[0]?.messageId }]);
    expect(visibilities).toHaveLength(1);
    expect(await world.receipt(otherId)).toBeDefined();
    expect(await world.object(documentId)).toBeUndefined();
  });

  it('returns no failures for an event without records and throws for an event that is not from SQS', async () => {
    const { invoke } = handlerOf(await startWorld());

    expect(await invoke(sqsEvent())).toEqual({ batchItemFailures: [] });
    await expect(invoke({} as SQSEvent)).rejects.toThrow('SQS event source mapping');
  });

  it('counts no ArchiveLatency when Telnyx states no created_at', async () => {
    const world = await startWorld();
    const { id } = await world.add(someBytes(1_000), { createdAt: undefined });
    const { invoke } = handlerOf(world);
    const message = { ...messageFor(id), trigger: 'webhook' };

    await invoke(sqsEvent(sqsRecord(0, { body: JSON.stringify(message) })));

    expect(world.lines.join('')).toContain('"DocumentsArchived":1');
    expect(world.lines.join('')).not.toContain('ArchiveLatency');
  });

  it('exports a handler from the module that Lambda loads', async () => {
    const queue = (name: string) => `http://127.0.0.1:1/000000000000/${name}`;
    const environment = {
      AWS_REGION: 'us-east-1',
      BUCKET_NAME: 'archive',
      DOCUMENTS_QUEUE_URL: queue('documents'),
      DOCUMENTS_DEAD_LETTER_QUEUE_URL: queue('documents-dead-letters'),
      BACKFILL_QUEUE_URL: queue('backfill'),
      BACKFILL_DEAD_LETTER_QUEUE_URL: queue('backfill-dead-letters'),
      TELNYX_API_KEY_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:000000000000:secret:key',
      ARCHIVER_NAME: 'test',
      ARCHIVER_VERSION: '0.0.0-test',
    };
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });

    const { handler } = await import('../../functions/archive/lambda.ts');

    expect(await handler(sqsEvent(), contextWith(60_000))).toEqual({ batchItemFailures: [] });
  });

  it('leaves no timer running', async () => {
    const world = await startWorld();
    await world.add(someBytes(100_000), { id: documentId });
    const { invoke } = handlerOf(world);
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();

    await invoke(await sampleEvent('sqs-single.json'));

    await vi.waitFor(() => expect(timers()).toBeLessThanOrEqual(before));
  });
});
