import { describe, expect, it } from 'vitest';
import { createRunTally, recordText } from '../../functions/audit/records.ts';
import { repairDocuments } from '../../functions/audit/repair.ts';
import { sendParts, writeRunObject } from '../../functions/audit/run-objects.ts';
import { auditPlanKey } from '../../functions/bucket/keys.ts';
import type { NewObject } from '../../functions/bucket/store.ts';
import { runRecords } from '../fakes/audit-runs.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';

const { signal } = new AbortController();
const run = '20261124T021500Z';
const { plan } = runRecords(run);

/** A queue that keeps what is sent. */
function createQueue() {
  const sent: [string, readonly unknown[], AbortSignal][] = [];
  const send = async (...message: [string, readonly unknown[], AbortSignal]) => {
    sent.push(message);
  };
  return { sent, send };
}

describe('an object of a run', () => {
  it.each([
    [{ etag: 'e', versionId: 'v' }, 'written'],
    ['exists', 'exists'],
  ] as const)('is written once: S3 answers %j', async (answer, expected) => {
    const put: [NewObject, AbortSignal][] = [];
    const bucket = {
      putOnce: async (object: NewObject, aborted: AbortSignal) => {
        put.push([object, aborted]);
        return answer;
      },
    } as never;

    expect(await writeRunObject(auditPlanKey(run), plan, bucket, signal)).toBe(expected);

    const body = Buffer.from(recordText(plan));
    expect(put).toEqual([
      [
        {
          key: `audits/${run}/plan.json`,
          body,
          bytes: body.length,
          sha256: sha256(body),
          contentType: 'application/json',
        },
        signal,
      ],
    ]);
  });
});

describe('the parts of a run', () => {
  it('are queued with the run and its start', async () => {
    const { sent, send } = createQueue();

    await sendParts(plan, ['ids__8', 'others'], signal, { send, auditQueueUrl: 'audit' });

    const { startedAt } = plan;
    expect(sent).toEqual([
      [
        'audit',
        [
          { v: 1, kind: 'audit-part', run, part: 'ids__8', requestedAt: startedAt },
          { v: 1, kind: 'audit-part', run, part: 'others', requestedAt: startedAt },
        ],
        signal,
      ],
    ]);
  });
});

describe('repairDocuments', () => {
  const part = { sort: 'ids', from: '', before: '' } as const;
  const finding = (documentId: string | undefined, code: 'lost' | 'no-object' = 'lost', atTelnyx = true) => ({
    code,
    key: 'x',
    documentId,
    atTelnyx,
    detail: '',
  });
  const findings = [
    finding('a'),
    finding('a'),
    finding('b'),
    finding('c', 'no-object'),
    finding('d', 'lost', false),
    finding(undefined),
  ];
  const contextOf = (backfillQueueUrl: string | undefined) => {
    const { sent, send } = createQueue();
    const tally = createRunTally();
    const retry = (work: (limited: AbortSignal) => unknown) => work(signal);
    const time = virtualTime(noon);
    return { sent, tally, context: { backfillQueueUrl, plan, retry, send, tally, time, signal } as never };
  };

  it('queues each document that can be archived again once', async () => {
    const { sent, tally, context } = contextOf('backfill');

    expect(await repairDocuments(findings, part, context)).toEqual(new Set(['a', 'b']));

    const message = {
      v: 1,
      kind: 'document',
      trigger: 'operator',
      requestedAt: new Date(noon).toISOString(),
    };
    expect(sent).toEqual([
      ['backfill', ['a', 'b'].map((documentId) => ({ ...message, documentId })), signal],
    ]);
    expect(tally.repaired).toBe(2);
  });

  it('queues nothing if the stage does not repair', async () => {
    const { sent, tally, context } = contextOf(undefined);

    expect(await repairDocuments(findings, part, context)).toEqual(new Set());
    expect(sent).toEqual([]);
    expect(tally.repaired).toBe(0);
  });
});
