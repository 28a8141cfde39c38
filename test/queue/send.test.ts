import type { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DocumentMessage } from '../../functions/queue/messages.ts';
import { createSender } from '../../functions/queue/send.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const queueUrl = 'http://127.0.0.1/0/documents';
const never = new AbortController().signal;

function messages(count: number): DocumentMessage[] {
  return Array.from({ length: count }, (_, position) => ({
    v: 1,
    kind: 'document',
    documentId: `5a3b1e00-0000-4000-8000-${String(position).padStart(12, '0')}`,
    trigger: 'webhook',
    requestedAt: '2026-11-24T00:00:00.000Z',
  }));
}

/** A fake SQS that accepts the entries for which `accepts` is true, and records their document ids. */
function createSqs(accepts: (entry: { Id?: string | undefined }, call: number) => boolean) {
  const accepted: string[] = [];
  const state = { calls: 0, inFlight: 0, maxInFlight: 0 };
  const send = async ({ input }: SendMessageBatchCommand) => {
    const call = state.calls;
    state.calls += 1;
    state.inFlight += 1;
    state.maxInFlight = Math.max(state.maxInFlight, state.inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    state.inFlight -= 1;
    const entries = input.Entries ?? [];
    const successful = entries.filter((entry) => accepts(entry, call));
    accepted.push(...successful.map((entry) => JSON.parse(entry.MessageBody ?? '').documentId));
    return {
      Successful: successful.map(({ Id }) => ({ Id })),
      Failed: entries
        .filter((entry) => !successful.includes(entry))
        .map(({ Id }) => ({ Id, Code: 'InternalError' })),
    };
  };
  return { sqs: { send } as unknown as Pick<SQSClient, 'send'>, accepted, state };
}

describe('createSender', () => {
  it('sends every message once, in batches of ten with at most ten batches in flight', async () => {
    const { sqs, accepted, state } = createSqs(() => true);
    const all = messages(1_003);

    await createSender(sqs)(queueUrl, all, never);

    expect(accepted.toSorted()).toEqual(all.map(({ documentId }) => documentId));
    expect(state.calls).toBe(101);
    expect(state.maxInFlight).toBe(10);
  });

  it('makes no request for an empty list of messages', async () => {
    const { sqs, state } = createSqs(() => true);

    await createSender(sqs)(queueUrl, [], never);

    expect(state.calls).toBe(0);
  });

  it('either sends all messages or throws QueueUnavailable, whichever entries SQS reports as failed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 35 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 200 }),
        async (count, results) => {
          let entries = 0;
          const { sqs, accepted } = createSqs(() => results[entries++ % results.length] ?? false);
          const all = messages(count);

          const outcome = await createSender(sqs)(queueUrl, all, never).then(
            () => 'sent' as const,
            (error: unknown) => error,
          );

          if (outcome !== 'sent') expect(outcome).toMatchObject({ code: 'QueueUnavailable' });
          else expect(accepted.toSorted()).toEqual(all.map(({ documentId }) => documentId));
        },
      ),
      { numRuns: propertyRuns(300) },
    );
  });

  it('sends only the failed entries again', async () => {
    const { sqs, accepted, state } = createSqs(({ Id }, call) => Id !== '3' || call > 1);
    const all = messages(10);

    await createSender(sqs)(queueUrl, all, never);

    expect(state.calls).toBe(3);
    expect(accepted).toHaveLength(10);
  });

  it('throws QueueUnavailable if SQS reports entries neither as successful nor as failed', async () => {
    const sqs = { send: async () => ({}) } as unknown as Pick<SQSClient, 'send'>;

    await expect(createSender(sqs)(queueUrl, messages(2), never)).rejects.toMatchObject({
      code: 'QueueUnavailable',
    });
  });

  it('starts no further batch after a failure and leaves none in flight', async () => {
    const { sqs, state } = createSqs(() => false);

    await expect(createSender(sqs)(queueUrl, messages(1_000), never)).rejects.toMatchObject({
      code: 'QueueUnavailable',
    });

    expect(state.inFlight).toBe(0);
    expect(state.calls).toBeLessThanOrEqual(30);
  });

  it('are not sent when SQS cannot be reached: the error names the cause and says what to do', async () => {
    const cause = Object.assign(new Error('secret words'), { code: 'ECONNREFUSED' });
    const sqs = { send: () => Promise.reject(cause) } as unknown as Pick<SQSClient, 'send'>;

    await expect(createSender(sqs)(queueUrl, messages(2), never)).rejects.toMatchObject({
      code: 'QueueUnavailable',
      message: 'Could not send messages to SQS (Error ECONNREFUSED). It is safe to retry.',
      cause,
    });
  });

  it('are counted in the error when SQS does not take some of them after three tries', async () => {
    const { sqs, state } = createSqs(({ Id }) => Id !== '1' && Id !== '3');

    await expect(createSender(sqs)(queueUrl, messages(5), never)).rejects.toMatchObject({
      code: 'QueueUnavailable',
      message: 'SQS did not accept 2 of 5 messages. It is safe to retry.',
    });
    expect(state.calls).toBe(3);
  });

  it('are sent with the signal of the caller', async () => {
    const signals: unknown[] = [];
    const sqs = {
      send: async ({ input }: SendMessageBatchCommand, { abortSignal }: { abortSignal: AbortSignal }) => {
        signals.push(abortSignal);
        return { Successful: input.Entries?.map(({ Id }) => ({ Id })) };
      },
    } as unknown as Pick<SQSClient, 'send'>;

    await createSender(sqs)(queueUrl, messages(1), never);

    expect(signals).toEqual([never]);
  });
});
