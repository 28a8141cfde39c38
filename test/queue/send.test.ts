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

/** An SQS that takes the entries that `takes` says, and remembers them. */
function sqsThat(takes: (entry: { Id?: string | undefined }, call: number) => boolean) {
  const taken: string[] = [];
  const state = { calls: 0, underWay: 0, most: 0 };
  const send = async ({ input }: SendMessageBatchCommand) => {
    const call = state.calls;
    state.calls += 1;
    state.underWay += 1;
    state.most = Math.max(state.most, state.underWay);
    await new Promise((resolve) => setImmediate(resolve));
    state.underWay -= 1;
    const entries = input.Entries ?? [];
    const good = entries.filter((entry) => takes(entry, call));
    taken.push(...good.map((entry) => JSON.parse(entry.MessageBody ?? '').documentId));
    return {
      Successful: good.map(({ Id }) => ({ Id })),
      Failed: entries
        .filter((entry) => !good.includes(entry))
        .map(({ Id }) => ({ Id, Code: 'InternalError' })),
    };
  };
  return { sqs: { send } as unknown as Pick<SQSClient, 'send'>, taken, state };
}

describe('messages sent to a queue', () => {
  it('are all taken, each once, in batches of ten of which several are under way at a time', async () => {
    const { sqs, taken, state } = sqsThat(() => true);
    const all = messages(1_003);

    await createSender(sqs)(queueUrl, all, never);

    expect(taken.toSorted()).toEqual(all.map(({ documentId }) => documentId));
    expect(state.calls).toBe(101);
    expect(state.most).toBe(10);
  });

  it('cost no call where there are none', async () => {
    const { sqs, state } = sqsThat(() => true);

    await createSender(sqs)(queueUrl, [], never);

    expect(state.calls).toBe(0);
  });

  it('are never lost in silence, whichever entries SQS names as failed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 35 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 200 }),
        async (count, verdicts) => {
          let asked = 0;
          const { sqs, taken } = sqsThat(() => verdicts[asked++ % verdicts.length] ?? false);
          const all = messages(count);

          const ended = await createSender(sqs)(queueUrl, all, never).then(
            () => 'taken' as const,
            (error: unknown) => error,
          );

          if (ended !== 'taken') expect(ended).toMatchObject({ code: 'QueueUnavailable' });
          else expect(taken.toSorted()).toEqual(all.map(({ documentId }) => documentId));
        },
      ),
      { numRuns: propertyRuns(300) },
    );
  });

  it('are sent again where they failed, and only those', async () => {
    const { sqs, taken, state } = sqsThat(({ Id }, call) => Id !== '3' || call > 1);
    const all = messages(10);

    await createSender(sqs)(queueUrl, all, never);

    expect(state.calls).toBe(3);
    expect(taken).toHaveLength(10);
  });

  it('count as not taken where SQS names them neither as taken nor as failed', async () => {
    const sqs = { send: async () => ({}) } as unknown as Pick<SQSClient, 'send'>;

    await expect(createSender(sqs)(queueUrl, messages(2), never)).rejects.toMatchObject({
      code: 'QueueUnavailable',
    });
  });

  it('begin no further batch once one has failed, and leave nothing under way', async () => {
    const { sqs, state } = sqsThat(() => false);

    await expect(createSender(sqs)(queueUrl, messages(1_000), never)).rejects.toMatchObject({
      code: 'QueueUnavailable',
    });

    expect(state.underWay).toBe(0);
    expect(state.calls).toBeLessThanOrEqual(30);
  });
});
