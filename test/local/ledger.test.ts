import { describe, expect, it, vi } from 'vitest';
import { createLog, type LogFields } from '../../functions/log.ts';
import type { ReceiveOutcome } from '../../functions/queue/batch.ts';
import { Ledger } from '../../local/ledger.ts';
import { startArchive } from '../cli/world.ts';

/** A ledger that has read these log lines of a function. */
function ledgerOf(...lines: (LogFields & { outcome: ReceiveOutcome })[]) {
  const ledger = new Ledger();
  const log = createLog({ name: 'test', write: (line) => ledger.read(line), now: Date.now });
  for (const fields of lines) log.info('Any message', fields);
  return ledger;
}

const span = { lane: 'spans', kind: 'span', messageId: 'span-1' };
const document = (documentId: string) => ({ lane: 'backfill', documentId, messageId: `of-${documentId}` });

describe('Ledger', () => {
  it('counts nothing of what the audit queues, compares and finds', () => {
    const audit = { lane: 'audit', messageId: 'audit-1' };

    const ledger = ledgerOf(
      { ...audit, kind: 'audit-start', outcome: 'done', queued: 3 },
      { ...audit, kind: 'audit-part', outcome: 'done', status: 'complete', found: 9, problems: 1 },
    );

    expect(ledger.entries.size).toBe(0);
    expect(ledger.totals()).toMatchObject({ found: 0, documents: 0, unreadable: false });
  });

  it('lists a waiting message of the audit, which is no document', () => {
    const waits = { lane: 'audit', messageId: 'audit-1', outcome: 'waiting' } as const;

    const known = ledgerOf({ ...waits, kind: 'audit-part', code: 'BucketUnavailable' });
    const unreadable = ledgerOf({ ...waits, code: 'MalformedMessage' });

    expect(known.entries.get('audit-1')).toMatchObject({ lane: 'audit', kind: 'audit-part' });
    expect(known.totals()).toMatchObject({ documents: 0, waiting: 1 });
    expect(unreadable.entries.get('audit-1')).toMatchObject({ kind: 'audit' });
  });

  it('counts the documents that a span found and queued, but not the span itself', () => {
    const ledger = ledgerOf(
      { ...span, outcome: 'done', found: 5, queued: 2, ms: 30 },
      { ...document('a'), outcome: 'archived', bytes: 10 },
    );

    expect([...ledger.entries.keys()]).toEqual(['a']);
    expect(ledger.totals()).toEqual({
      listed: true,
      found: 5,
      documents: 2,
      ended: 1,
      archived: 1,
      alreadyArchived: 0,
      erased: 0,
      waiting: 0,
      deadLettered: 0,
      unreadable: false,
      bytes: 10,
    });
  });

  it('lists a waiting discovery message until it is done', () => {
    const waits = { ...span, outcome: 'waiting', code: 'TelnyxUnavailable' } as const;

    const waiting = ledgerOf(waits);
    const done = ledgerOf(waits, { ...span, outcome: 'done', found: 1, queued: 0 });
    const gone = ledgerOf(waits, { ...span, outcome: 'nothing-to-do', code: 'OrderGone' });

    expect(waiting.entries.get('span-1')).toMatchObject({ kind: 'span', code: 'TelnyxUnavailable' });
    expect(waiting.totals()).toMatchObject({ documents: 0, ended: 0, waiting: 1 });
    expect(done.totals()).toMatchObject({ found: 1, documents: 0, ended: 0, waiting: 0 });
    expect(gone.totals()).toMatchObject({ documents: 0, waiting: 0 });
  });

  it('counts each document once, in its latest state', () => {
    const ledger = ledgerOf(
      { ...document('a'), outcome: 'waiting', code: 'LinkExpired', receives: 1 },
      { ...document('b'), outcome: 'waiting', code: 'LinkExpired', receives: 1 },
      { ...document('c'), outcome: 'waiting', code: 'LinkExpired', receives: 1 },
      { ...document('a'), outcome: 'dead-lettered', code: 'LinkExpired', reason: 'Expired.', receives: 2 },
      { ...document('b'), outcome: 'archived', bytes: 3, receives: 2 },
      { ...document('b'), outcome: 'already-archived' },
    );

    expect(ledger.totals()).toMatchObject({
      documents: 3,
      ended: 2,
      archived: 1,
      alreadyArchived: 0,
      waiting: 1,
      deadLettered: 1,
      bytes: 3,
    });
    expect(ledger.entries.get('a')).toMatchObject({ code: 'LinkExpired', reason: 'Expired.', receives: 2 });
    expect(ledger.entries.get('b')).toMatchObject({ state: 'archived', receives: 2 });
  });

  it('counts an erased document as ended, and not as a dead letter', () => {
    const ledger = ledgerOf({ ...document('a'), outcome: 'erased' });

    expect(ledger.totals()).toMatchObject({
      documents: 1,
      ended: 1,
      archived: 0,
      erased: 1,
      deadLettered: 0,
    });
  });

  it('knows whether a span was read to its end', () => {
    const failed = {
      ...span,
      outcome: 'dead-lettered',
      code: 'UnexpectedResponse',
      reason: 'No list.',
    } as const;
    const sweep = { lane: 'discovery', kind: 'recent', messageId: 'sweep-1', outcome: 'done' } as const;

    expect(ledgerOf(failed, sweep).totals()).toMatchObject({ listed: false, deadLettered: 1 });
    expect(ledgerOf({ ...span, outcome: 'done', found: 0 }).totals()).toMatchObject({ listed: true });
  });

  it('knows whether Telnyx listed rows without a valid document ID', () => {
    const done = { ...span, outcome: 'done', found: 1 } as const;
    const oddFields = { ...document('a'), outcome: 'archived', problems: 2 } as const;

    expect(ledgerOf({ ...done, problems: 2 }).totals().unreadable).toBe(true);
    expect(ledgerOf({ ...done, problems: 0 }, oddFields).totals().unreadable).toBe(false);
  });

  it('is not changed by a log line about a webhook event, which has an outcome too', () => {
    const ledger = new Ledger();

    ledger.read(JSON.stringify({ outcome: 'accepted', eventType: 'number_order.complete', queued: 2 }));

    expect(ledger.entries.size).toBe(0);
    expect(ledger.totals().documents).toBe(0);
  });

  it('lists the dead letter of a span logged by a running stack', async () => {
    const ledger = new Ledger();
    const { stack } = await startArchive({}, { onLog: (line) => ledger.read(line) });
    await stack.send(
      stack.lanes.spans.queueUrl,
      [
        {
          v: 1,
          kind: 'span',
          createdAfter: '2026-11-02T00:00:00Z',
          createdBefore: '2026-11-01T00:00:00Z',
          requestedAt: '2026-11-25T00:00:00Z',
        },
      ],
      new AbortController().signal,
    );

    await vi.waitFor(() => expect(ledger.entries.size).toBe(1), { timeout: 30_000 });

    expect([...ledger.entries.values()]).toMatchObject([
      { state: 'dead-lettered', kind: 'span', code: 'MalformedMessage' },
    ]);
    expect(ledger.totals()).toMatchObject({ documents: 0, ended: 0, deadLettered: 1 });
  });
});
