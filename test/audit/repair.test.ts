import { expect, it } from 'vitest';
import type { Finding } from '../../functions/audit/findings.ts';
import type { PartContext } from '../../functions/audit/part-context.ts';
import { repairDocuments } from '../../functions/audit/repair.ts';
import { systemTime } from '../../functions/time.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const missing = { code: 'missing', key: '', detail: '', atTelnyx: true } as const satisfies Finding;

/** A full run without a run before it. */
async function repair(findings: readonly Finding[]) {
  const signal = new AbortController().signal;
  const sent: unknown[] = [];
  let retries = 0;
  const context = {
    backfillQueueUrl: 'backfill',
    plan: { full: true, shares: [], shareDays: 30 },
    bucket: {},
    retry: (work: (limited: AbortSignal) => unknown) => {
      retries += 1;
      return work(signal);
    },
    send: async (queueUrl: string, messages: readonly object[]) => sent.push({ queueUrl, messages }),
    tally: { repaired: 0 },
    time: { ...systemTime, now: () => Date.parse('2026-11-24T12:00:00Z') },
    signal,
  } as unknown as PartContext;

  const queued = await repairDocuments(findings, { sort: 'others' }, context);
  return { queued, sent, retries };
}

it('A repair is an operator’s request in the backfill lane', async () => {
  const { queued, sent } = await repair([{ ...missing, documentId: id }]);

  expect(queued).toEqual(new Set([id]));
  const requestedAt = '2026-11-24T12:00:00.000Z';
  const message = { v: 1, kind: 'document', documentId: id, trigger: 'operator', requestedAt };
  expect(sent).toEqual([{ queueUrl: 'backfill', messages: [message] }]);
});

it.each([
  ['there are no findings', []],
  ['a finding is about no document', [missing]],
  ['the document is no longer at Telnyx', [{ ...missing, documentId: id, atTelnyx: false }]],
])('Nothing is read and nothing is queued if %s', async (_why, findings) => {
  expect(await repair(findings)).toEqual({ queued: new Set(), sent: [], retries: 0 });
});
