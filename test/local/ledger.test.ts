import { describe, expect, it, vi } from 'vitest';
import { createLog, type LogFields } from '../../functions/log.ts';
import { Ledger } from '../../local/ledger.ts';
import { startArchive } from '../cli/world.ts';

/** A ledger that reads what a function's log writes. */
function ledgerOf(...lines: [message: string, fields: LogFields][]) {
  const ledger = new Ledger();
  const log = createLog({ name: 'test', write: (line) => ledger.read(line), now: Date.now });
  for (const [message, fields] of lines) log.info(message, fields);
  return ledger;
}

const span = { lane: 'spans', kind: 'span', messageId: 'span-1' };
const document = (documentId: string) => ({ lane: 'backfill', documentId, messageId: `of-${documentId}` });

describe('The ledger of the local stack', () => {
  it('counts what a span has found and queued, and takes the span for no document', () => {
    const ledger = ledgerOf(
      ['Done', { ...span, found: 5, queued: 2, ms: 30 }],
      ['Done', { ...document('a'), outcome: 'archived', bytes: 10 }],
    );

    expect([...ledger.entries.keys()]).toEqual(['a']);
    expect(ledger.totals()).toEqual({
      found: 5,
      documents: 2,
      ended: 1,
      archived: 1,
      alreadyArchived: 0,
      waiting: 0,
      deadLettered: 0,
      bytes: 10,
    });
  });

  it('shows a message of discovery that waits, until it is done', () => {
    const waits: [string, LogFields] = ['Comes back later', { ...span, code: 'TelnyxUnavailable' }];

    const waiting = ledgerOf(waits);
    const done = ledgerOf(waits, ['Done', { ...span, found: 1, queued: 0 }]);
    const gone = ledgerOf(waits, ['Nothing to do', { ...span, code: 'OrderGone' }]);

    expect(waiting.entries.get('span-1')).toMatchObject({ kind: 'span', code: 'TelnyxUnavailable' });
    expect(waiting.totals()).toMatchObject({ documents: 0, ended: 0, waiting: 1 });
    expect(done.totals()).toMatchObject({ found: 1, documents: 0, ended: 0, waiting: 0 });
    expect(gone.totals()).toMatchObject({ documents: 0, waiting: 0 });
  });

  it('counts a document once, with the latest that became of it', () => {
    const ledger = ledgerOf(
      ['Comes back later', { ...document('a'), code: 'LinkExpired', receives: 1 }],
      ['Comes back later', { ...document('b'), code: 'LinkExpired', receives: 1 }],
      ['Comes back later', { ...document('c'), code: 'LinkExpired', receives: 1 }],
      ['Dead letter', { ...document('a'), code: 'LinkExpired', reason: 'Expired.', receives: 2 }],
      ['Done', { ...document('b'), outcome: 'archived', bytes: 3, receives: 2 }],
      ['Done', { ...document('b'), outcome: 'already-archived' }],
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

  it('has the dead letter of a span, as the stack’s functions log it', async () => {
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
