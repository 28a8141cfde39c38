/** What the archive function logs and counts, and how long it works: in memory and virtual time. */
import { Readable } from 'node:stream';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { createArchiveHandler } from '../../functions/archive/handler.ts';
import type { ReceiptState } from '../../functions/bucket/receipts.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { retryTimings, timeouts } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import type { TelnyxClient, TelnyxDocument } from '../../functions/telnyx/client.ts';
import { systemTime, type Time } from '../../functions/time.ts';
import type { Trigger } from '../../functions/trigger.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import { sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const bytes = Buffer.from('the bytes');
const event = { id: 'e1', type: 'document.uploaded', occurredAt: '2026-11-24T11:59:00Z' };

interface Options {
  createdAt?: string | undefined;
  receipt?: ReceiptState;
  telnyx?: Partial<TelnyxClient>;
  lowLaneTelnyx?: Partial<TelnyxClient>;
  /** Whether the message names a Telnyx event. @default true */
  hasEvent?: boolean;
  /** @default 'documents' */
  queue?: string;
  time?: Time;
  remainingMs?: number;
}

async function invoke(trigger: Trigger, options: Options = {}) {
  const { createdAt, receipt, telnyx = {}, remainingMs = timeouts.archiveMs } = options;
  const time = options.time ?? virtualTime(noon);
  const lines: Record<string, unknown>[] = [];
  const document: TelnyxDocument = {
    id,
    fileName: undefined,
    customerReference: undefined,
    contentType: undefined,
    createdAt,
    sha256: sha256(bytes),
    bytes: bytes.length,
    infected: false,
    record: '{}',
    cut: false,
    malformed: [],
  };
  const client: TelnyxClient = {
    document: async () => document,
    downloadLink: async () => 'link',
    get: () => Promise.reject(new Error('The archive function reads no lists.')),
    ...telnyx,
  };
  const bucket = {
    putOnce: async ({ body }: { body: Readable }) => {
      for await (const _chunk of body);
      return { bytes: bytes.length, sha256: sha256(bytes), etag: undefined, versionId: undefined };
    },
  } as unknown as Bucket;
  const handler = createArchiveHandler({
    telnyx: client,
    lowLaneTelnyx: { ...client, ...options.lowLaneTelnyx },
    download: async () => ({ status: 200, headers: {}, body: Readable.from([bytes]) }),
    bucket,
    receipts: { state: async () => receipt, writeOnce: async () => 'written' },
    log: createLog({ name: 'test', write: (line) => lines.push(JSON.parse(line)), now: time.now }),
    time,
    random: () => 0.5,
    timings: retryTimings,
    archiveInfected: false,
    maxDocumentBytes: 1_000,
    version: '1.2.3',
    lanes: [
      { name: 'documents', live: true, queueUrl: 'http://sqs/1/documents', deadLetterQueueUrl: 'dead' },
      { name: 'backfill', live: false, queueUrl: 'http://sqs/1/backfill', deadLetterQueueUrl: 'dead' },
    ],
    sqs: { send: async () => ({}) } as unknown as SQSClient,
  });
  const body = JSON.stringify({
    v: 1,
    kind: 'document',
    documentId: id,
    trigger,
    ...((options.hasEvent ?? true) && { event }),
    requestedAt: '2026-11-24T11:59:00Z',
  });
  const { queue = 'documents' } = options;
  const answer = await handler(sqsEvent(sqsRecord(0, { body, queue, sentAt: noon })), {
    getRemainingTimeInMillis: () => remainingMs,
  } as Context);
  return {
    answer,
    time,
    logged: lines.filter((line) => !('_aws' in line)),
    counted: lines.filter((line) => '_aws' in line).map(({ _aws, ...metrics }) => metrics),
  };
}

const archived = [{ DocumentsArchived: 1 }, { BytesArchived: bytes.length }];

describe('the archive function', () => {
  it('logs the document with what asked for it, and what became of it', async () => {
    const { answer, logged } = await invoke('webhook');

    expect(answer).toEqual({ batchItemFailures: [] });
    expect(logged).toEqual([
      {
        level: 'INFO',
        time: new Date(noon).toISOString(),
        message: 'Done',
        documentId: id,
        messageId: 'message-0',
        eventId: 'e1',
        eventType: 'document.uploaded',
        lane: 'documents',
        trigger: 'webhook',
        outcome: 'archived',
        receives: 1,
        bytes: bytes.length,
        ms: expect.any(Number),
      },
    ]);
  });

  it('logs a document that no event asked for without one', async () => {
    const { answer, logged } = await invoke('sweep', { hasEvent: false });

    expect(answer).toEqual({ batchItemFailures: [] });
    expect(logged).toMatchObject([{ outcome: 'archived', trigger: 'sweep' }]);
    expect(logged[0]).not.toHaveProperty('eventId');
    expect(logged[0]).not.toHaveProperty('eventType');
  });

  it.each<[Trigger, string | undefined, object[]]>([
    ['webhook', '2026-11-24T11:59:00Z', [{ ArchiveLatency: 60_000 }]],
    ['sweep', '2026-11-24T11:58:00Z', [{ ArchiveLatency: 120_000 }]],
    ['sweep', '2026-11-24T12:01:00Z', [{ ArchiveLatency: 0 }]],
    ['sweep', undefined, []],
    ['backfill', '2026-11-24T11:59:00Z', []],
    ['operator', '2026-11-24T11:59:00Z', []],
  ])(
    'counts an archived document of a %s, created %s, with its bytes and its latency',
    async (trigger, createdAt, latency) => {
      const { counted } = await invoke(trigger, { createdAt });

      expect(counted).toEqual([...archived, ...latency]);
    },
  );

  it.each([
    ['documents', ['live']],
    ['backfill', ['low lane']],
  ])('asks Telnyx about a document of the lane %s as its rate limit allows', async (queue, clients) => {
    const asked: string[] = [];
    const linkAs = (client: string) => ({
      downloadLink: async () => {
        asked.push(client);
        return 'link';
      },
    });

    await invoke('webhook', { queue, telnyx: linkAs('live'), lowLaneTelnyx: linkAs('low lane') });

    expect(asked).toEqual(clients);
  });

  it('counts a document that is archived already, and logs no bytes', async () => {
    const { counted, logged } = await invoke('webhook', {
      receipt: 'archived',
      createdAt: '2026-11-24T11:59:00Z',
    });

    expect(counted).toEqual([{ DocumentsAlreadyArchived: 1 }]);
    expect(logged).toMatchObject([{ outcome: 'already-archived' }]);
    expect(logged[0]).not.toHaveProperty('bytes');
  });

  it('acknowledges and counts a message whose document was erased, and logs no bytes', async () => {
    const { answer, counted, logged } = await invoke('webhook', { receipt: 'erased' });

    expect(answer).toEqual({ batchItemFailures: [] });
    expect(counted).toEqual([{ DocumentsErased: 1 }]);
    expect(logged).toMatchObject([{ level: 'INFO', documentId: id, outcome: 'erased' }]);
    expect(logged[0]).not.toHaveProperty('bytes');
  });

  it('tries again for as long as there is time until three seconds before the end', async () => {
    let requests = 0;
    const document = async () => {
      requests += 1;
      throw new ArchiverError('TelnyxUnavailable', '503.');
    };

    // Of which 3 are reserved, and an attempt needs 5.
    await invoke('webhook', { telnyx: { document }, remainingMs: 8_350 });
    const enough = requests;
    await invoke('webhook', { telnyx: { document }, remainingMs: 8_250 });

    expect([enough, requests - enough]).toEqual([2, 1]);
  });

  it('returns the message three seconds before its time is over, and says why', async () => {
    const { answer, time, logged } = await invoke('webhook', {
      telnyx: {
        document: (_id, signal) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      },
    });

    expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: 'message-0' }] });
    expect(time.monotonic()).toBe(timeouts.archiveMs - timeouts.reserveMs);
    expect(logged).toMatchObject([
      {
        message: 'Message returns to the queue',
        code: 'OutOfTime',
        reason:
          'The invocation ran out of time before the document was archived. The message returns to its queue.',
      },
    ]);
  });

  it('fails half a second before Lambda would end it, should something never settle', async () => {
    const began = systemTime.monotonic();

    await expect(
      invoke('webhook', {
        telnyx: { document: () => new Promise(() => undefined) },
        time: {
          ...systemTime,
          now: () => noon,
          after: (ms, callback) => systemTime.after(Math.max(0, ms), callback),
        },
        remainingMs: timeouts.lastResortMs + 100,
      }),
    ).rejects.toThrow();

    expect(systemTime.monotonic() - began).toBeLessThan(timeouts.lastResortMs);
  });
});
