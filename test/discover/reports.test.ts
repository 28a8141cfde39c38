/** What discovery reports and queues in corners: its log, its metrics, late messages, and what may be left out. */
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { createDiscoverHandler } from '../../functions/discover/handler.ts';
import { retryTimings, timeouts } from '../../functions/limits.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import { serialiseMessage } from '../../functions/queue/serialise.ts';
import { systemTime, type Time } from '../../functions/time.ts';
import { sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';
import { createWorld, documentId, minutes, noon, recent, someDocuments, span, type World } from './world.ts';

const seconds = 1_000;
const orderId = 'b41d7f0a-93c4-4f57-8a2b-1c9d4e5f6071';
const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };
const order = (kind: 'porting-order' | 'port-out'): DiscoveryMessage => ({
  v: 1,
  kind,
  orderId,
  requestedAt: new Date(noon).toISOString(),
});

/** A world in which Telnyx has these answers by path, and no others. */
function worldOfOrder(answers: Record<string, unknown>, onRequest: () => void = () => undefined): World {
  const world = createWorld({
    overrides: {
      telnyx: {
        get: async (path) => {
          onRequest();
          return { body: { data: answers[path] ?? [] }, rateLimit };
        },
      },
    },
  });
  return world;
}
const logged = (world: World, message: string) => world.lines.filter((line) => line.message === message);

describe('discovery', () => {
  it('logs a superseded sweep with its kind', async () => {
    const world = createWorld();
    world.time.set(noon + 61 * minutes);

    await world.discover(recent(noon));

    expect(logged(world, 'Sweep skipped: later sweeps cover it')).toMatchObject([
      { level: 'INFO', kind: 'recent' },
    ]);
    expect(world.requested).toEqual([]);
  });

  it.each(['porting-order', 'port-out'] as const)(
    'works on a message of kind %s however late it is',
    async (kind) => {
      const world = worldOfOrder({
        [`porting_orders/${orderId}`]: { id: orderId, documents: { loa: documentId(1) } },
        [`portouts/${orderId}/supporting_documents`]: [{ id: 's', document_id: documentId(2) }],
      });
      world.time.set(noon + 1_000 * minutes);

      await world.discover(order(kind));

      expect(world.queued()).toEqual([documentId(kind === 'porting-order' ? 1 : 2)]);
    },
  );

  it('works on a span however late it is', async () => {
    const world = createWorld({ documents: someDocuments(3, noon, seconds) });
    world.time.set(noon + 1_000 * minutes);

    await world.discover(span(noon - minutes, noon + minutes));

    expect(world.queued()).toHaveLength(3);
  });

  it.each([
    ['none', 0],
    ['some', 1],
    ['all', 3],
  ])('counts the age of the oldest document without a receipt: %s are archived', async (_which, archived) => {
    const documents = [10, 20, 30].map((age, n) => ({ id: documentId(n), createdAt: noon - age * seconds }));
    const world = createWorld({
      documents,
      archived: documents.slice(-archived || documents.length).map(({ id }) => id),
      start: noon + seconds,
    });

    await world.discover(recent(noon));

    const ages = world.lines.flatMap((line) => ('OldestUnarchived' in line ? line.OldestUnarchived : []));
    expect(ages).toEqual([[31_000], [21_000], undefined, []][archived]);
  });

  it('counts no age of a document whose instant is not stated', async () => {
    const world = createWorld({
      documents: someDocuments(1, noon, seconds),
      rowOf: ({ id }) => ({ id }),
    });

    await world.discover(recent(noon));

    expect(world.queued()).toHaveLength(1);
    expect(world.lines.filter((line) => 'OldestUnarchived' in line)).toEqual([]);
  });

  it('warns of IDs that cannot be read, with their number, and of none where all can', async () => {
    const warning = 'Telnyx listed rows without a valid document ID';
    const some = worldOfOrder({
      [`portouts/${orderId}/supporting_documents`]: [
        { id: 'a', document_id: 'unreadable' },
        { id: 'b', document_id: documentId(1) },
      ],
    });
    const none = worldOfOrder({
      [`portouts/${orderId}/supporting_documents`]: [{ id: 'b', document_id: documentId(1) }],
    });

    expect(await some.discover(order('port-out'))).toMatchObject({ found: 1, unreadable: 1, overdue: 0 });
    await none.discover(order('port-out'));

    expect(logged(some, warning)).toMatchObject([{ level: 'WARN', problems: 1 }]);
    expect(logged(none, warning)).toEqual([]);
  });

  it('queues the document of one place before it asks the next', async () => {
    const sentWhenAsked: number[] = [];
    const world: World = worldOfOrder(
      { [`porting_orders/${orderId}`]: { id: orderId, documents: { loa: documentId(1) } } },
      () => sentWhenAsked.push(world.sent.length),
    );

    await world.discover(order('porting-order'));

    expect(sentWhenAsked.slice(0, 2)).toEqual([0, 1]);
  });

  it('sends an order’s document without an event where the message has none', async () => {
    const world = worldOfOrder({
      [`portouts/${orderId}/supporting_documents`]: [{ id: 's', document_id: documentId(1) }],
    });

    await world.discover(order('port-out'));

    expect(world.sent[0]?.message).toStrictEqual({
      v: 1,
      kind: 'document',
      documentId: documentId(1),
      trigger: 'webhook',
      requestedAt: new Date(noon).toISOString(),
    });
  });

  it('queues a document of exactly the allowed size, and leaves out a larger one', async () => {
    const world = createWorld({
      documents: someDocuments(2, noon, seconds),
      rowOf: ({ id, createdAt }) => ({
        id,
        created_at: new Date(createdAt).toISOString(),
        size: { unit: 'bytes', amount: id === documentId(0) ? 1_000 : 1_001 },
      }),
      overrides: { maxDocumentBytes: 1_000 },
    });

    expect(await world.discover(recent(noon))).toMatchObject({ queued: 1, leftOut: 1 });
    expect(world.queued()).toEqual([documentId(0)]);
  });

  it('queues all documents of a span, since a dead letter says why one cannot be archived', async () => {
    const world = createWorld({
      documents: someDocuments(2, noon, seconds),
      rowOf: ({ id, createdAt }) => ({
        id,
        created_at: new Date(createdAt).toISOString(),
        av_scan_status: 'infected',
      }),
    });

    expect(await world.discover(span(noon - minutes, noon + minutes))).toMatchObject({
      queued: 2,
      leftOut: 0,
    });
  });

  it('reads again after half the time that attempts must span, logs that, and counts what is left out once', async () => {
    const documents = someDocuments(100, noon + 7 * minutes, seconds);
    let isBroken = false;
    const world: World = createWorld({
      documents,
      pageRows: 20,
      rowOf: ({ id, createdAt }) => ({
        id,
        created_at: new Date(createdAt).toISOString(),
        ...(id === documentId(0) && { av_scan_status: 'infected' }),
      }),
      step: () => {
        if (isBroken || world.queued().length === 0) return {};
        isBroken = true;
        return { fault: 'nonsense' };
      },
    });

    expect(await world.discover(recent(noon + 7 * minutes))).toMatchObject({ queued: 99, leftOut: 1 });

    expect(logged(world, 'Retrying')).toMatchObject([
      { level: 'INFO', attempt: 1, retryInMs: 7_500, code: 'UnexpectedResponse' },
    ]);
  });

  it.each([0, -1])('refuses a span that ends %i ms after it begins', async (ms) => {
    const world = createWorld();

    await expect(world.discover(span(noon, noon + ms))).rejects.toMatchObject({
      code: 'MalformedMessage',
      message: 'The span ends before it begins: createdAfter must be earlier than createdBefore.',
    });
  });
});

describe('the discover function', () => {
  function handlerOf(world: World, time: Time) {
    return createDiscoverHandler({
      ...world.dependencies,
      lanes: ['discovery', 'spans'].map((name) => ({
        name,
        live: name === 'discovery',
        queueUrl: `http://sqs/1/${name}`,
        deadLetterQueueUrl: `http://sqs/1/${name}-dead`,
      })),
      sqs: { send: async () => ({}) } as unknown as SQSClient,
      lowLaneTelnyx: world.dependencies.telnyx,
      spansQueueUrl: 'http://sqs/1/spans',
      timings: retryTimings,
      time,
    });
  }
  const eventOf = (message: DiscoveryMessage) =>
    sqsEvent(sqsRecord(0, { body: serialiseMessage(message), queue: 'discovery', sentAt: noon }));
  const within = (ms: number) => ({ getRemainingTimeInMillis: () => ms }) as Context;

  it('has time to ask Telnyx again', async () => {
    const world = createWorld({
      documents: someDocuments(3, noon, seconds),
      start: noon,
      step: (request) => ({ fault: request === 1 ? 'unavailable' : undefined }),
    });

    const answer = await handlerOf(world, world.time)(eventOf(recent(noon)), within(timeouts.discoverMs));

    expect(answer).toEqual({ batchItemFailures: [] });
    expect(world.queued()).toHaveLength(3);
    expect(logged(world, 'Done')).toMatchObject([{ kind: 'recent', queued: 3, outcome: 'done' }]);
  });

  it('logs a span that it sends on as one queued message', async () => {
    const world = createWorld({ start: noon });

    await handlerOf(world, world.time)(eventOf(span(noon - minutes, noon)), within(timeouts.discoverMs));

    expect(logged(world, 'Done')).toMatchObject([{ kind: 'span', queued: 1 }]);
  });

  it('says what to do about a span that never fits when its time is over', async () => {
    const world = createWorld({
      start: noon,
      overrides: {
        telnyx: {
          get: (_path, _query, _gone, signal) =>
            new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        },
      },
    });

    const answer = await handlerOf(world, world.time)(eventOf(recent(noon)), within(timeouts.reserveMs + 50));

    expect(answer.batchItemFailures).toHaveLength(1);
    expect(logged(world, 'Message returns to the queue')).toMatchObject([
      {
        code: 'OutOfTime',
        reason:
          'The invocation ran out of time before the list was read; the message returns to the queue. Split a span that never completes into shorter spans.',
      },
    ]);
  });

  it('fails half a second before Lambda would end it, should something never settle', async () => {
    const time: Time = {
      ...systemTime,
      now: () => noon,
      after: (ms, callback) => systemTime.after(Math.max(0, ms), callback),
    };
    const world = createWorld({ overrides: { time, telnyx: { get: () => new Promise(() => undefined) } } });
    const began = systemTime.monotonic();

    await expect(
      handlerOf(world, time)(eventOf(recent(noon)), within(timeouts.lastResortMs + 100)),
    ).rejects.toThrow();

    expect(systemTime.monotonic() - began).toBeLessThan(timeouts.lastResortMs);
  });
});
