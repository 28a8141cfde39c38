import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { erase } from '../../../cli/commands/erase.ts';
import { hold } from '../../../cli/commands/hold.ts';
import { release } from '../../../cli/commands/release.ts';
import { send } from '../../../cli/commands/send.ts';
import { status } from '../../../cli/commands/status.ts';
import { startWorld } from '../queues-world.ts';
import { startArchive } from '../world.ts';

describe('archiver status', () => {
  it('shows queues, the last sweep, archived documents and dead letters by code without consuming them', async () => {
    const { run, archiveAll, stack } = await startArchive({ 'a.txt': 'a', 'b.txt': 'b' });
    await archiveAll();
    await stack.sweep();
    await run((context) => send({ documentIds: ['5a3b1e00-0000-4000-8000-0000000000ff'] }, context));
    await vi.waitFor(
      async () => expect([await stack.messageCount(), await stack.deadLetterCount()]).toEqual([0, 1]),
      {
        timeout: 30_000,
      },
    );

    const result = await run((context) => status({ count: true }, context));

    expect(result.exitCode).toBe(1);
    expect(result.records).toMatchObject([
      {
        archived: { total: 2 },
        lastSweepSeconds: expect.any(Number),
        lastHour: { deadLetters: 1, documentsOverdue: 0 },
        failed: { documents: 1, otherMessages: 0, deadLetters: 1 },
        failedByCode: { DocumentGone: { documents: 1, deadLetters: 1 } },
        lanes: [
          { lane: 'documents', waiting: 0, failed: 1, deadLetters: 1 },
          { lane: 'backfill', failed: 0 },
          { lane: 'discovery' },
          { lane: 'spans' },
          { lane: 'audit', waiting: 0, failed: 0, deadLetters: 0 },
        ],
      },
    ]);
    expect(result.printed).toMatch(/^Archived or erased 2, /m);
    expect(result.printed).not.toContain('Held');
    expect(await stack.deadLetterCount()).toBe(1);
  });

  it('counts documents and dead letters in each lane and by the code of the newest letter', async () => {
    const { run, addDeadLetter, visibleDeadLetters } = await startWorld();
    const [first, second] = ['5a3b1e00-0000-4000-8000-000000000001', '5a3b1e00-0000-4000-8000-000000000002'];
    for (let n = 0; n < 4; n += 1) await addDeadLetter(first, { code: 'DocumentInfected' });
    await addDeadLetter(first, { lane: 'backfill', code: 'LinkRefused' });
    await addDeadLetter(second, { code: 'Bad\u001b[2J\nx' });
    await addDeadLetter('', { lane: 'spans', body: '{"v":1,"kind":"span"}', code: 'TelnyxUnavailable' });

    const result = await run((context) => status({ count: false }, context));

    expect(result.exitCode).toBe(1);
    expect(result.records).toMatchObject([
      {
        failed: { documents: 2, otherMessages: 1, deadLetters: 7 },
        failedByCode: {
          LinkRefused: { documents: 1, otherMessages: 0, deadLetters: 5 },
          TelnyxUnavailable: { documents: 0, otherMessages: 1, deadLetters: 1 },
        },
        lanes: [
          { lane: 'documents', failed: 2, deadLetters: 5 },
          { lane: 'backfill', failed: 1, deadLetters: 1 },
          { lane: 'discovery', failed: 0, deadLetters: 0 },
          { lane: 'spans', failed: 1, deadLetters: 1 },
          { lane: 'audit', failed: 0, deadLetters: 0 },
        ],
      },
    ]);
    expect(result.printed).toContain('Failed: 2 documents and 1 other message (7 dead letters)');
    expect(result.printed).toContain('LinkRefused  1 document (5 dead letters)');
    expect(result.printed).toContain('Bad\\u{1b}[2J\\u{a}x  1 document (1 dead letter)');
    expect(await visibleDeadLetters('documents')).toBe(5);
  });

  it('says how many dead letters another command has locked', async () => {
    const { run, addDeadLetter, lockDeadLetters } = await startWorld();
    await addDeadLetter('5a3b1e00-0000-4000-8000-000000000001');
    expect(await lockDeadLetters('documents')).toBe(1);

    const result = await run((context) => status({ count: false }, context));

    expect(result.exitCode).toBe(1);
    expect(result.records).toMatchObject([{ failed: { documents: 0 }, lockedElsewhere: 1 }]);
    expect(result.printed).toContain('1 dead letter is in use by another command');
  });

  it('shows how many documents are overdue and how old the oldest unarchived one is', async () => {
    const { run, metrics } = await startWorld();
    metrics.sums = { DeadLetters: 3, DocumentsOverdue: 1 };
    metrics.maxima = { OldestUnarchived: 720_000 };

    const result = await run((context) => status({ count: false }, context));

    expect(result.records).toMatchObject([
      { lastHour: { deadLetters: 3, documentsOverdue: 1 }, oldestUnarchivedSeconds: 720 },
    ]);
    expect(result.printed).toContain('Last hour: 1 document overdue, 3 new dead letters');
    expect(result.printed).toContain('Sweeps of the last 10 min found unarchived documents up to 12 min old');
  });

  it('shows for a local archive the age of the oldest document that a sweep found unarchived', async () => {
    const { run, stack } = await startArchive({});
    const createdAt = Date.now() - 90_000;
    await stack.standIn?.documents.add('late.txt', Buffer.from('late'), { createdAt, linked: true });
    await stack.standIn?.documents.add('new.txt', Buffer.from('new'), { linked: true });
    await stack.sweep();
    await vi.waitFor(async () => expect(await stack.messageCount()).toBe(0), { timeout: 30_000 });

    const result = await run((context) => status({ count: false }, context));

    expect(result.records).toMatchObject([{ oldestUnarchivedSeconds: expect.any(Number) }]);
    const [{ oldestUnarchivedSeconds }] = result.records as [{ oldestUnarchivedSeconds: number }];
    expect(oldestUnarchivedSeconds).toBeGreaterThanOrEqual(90);
    expect(oldestUnarchivedSeconds).toBeLessThan(120);
  });

  it('counts archived documents without a running stack', async () => {
    const { run, archiveAll, stop } = await startArchive({ 'a.txt': 'a' });
    await archiveAll();
    await stop();

    const result = await run((context) => status({ count: true }, context));

    expect(result).toMatchObject({ exitCode: 0, records: [{ archived: { total: 1 }, lanes: [] }] });
    expect(result.printed).toMatch(/No local stack is running/);
  });

  it('counts the documents on hold, and an erased one with the archived ones', async () => {
    const { run, archiveAll, stop, ids } = await startArchive({ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' });
    await archiveAll();
    await stop();
    const [held = '', released = '', erased = ''] = ids();
    const reason = 'Case 1';
    await run((context) => hold({ documentIds: [held, released], reason }, context));
    await run((context) => release({ documentIds: [released], reason }, context));
    await run((context) => erase({ documentIds: [erased], basis: 'DSR-1', yes: true }, context));

    const result = await run((context) => status({ count: true }, context));

    expect(result.records).toMatchObject([{ archived: { total: 3 }, held: { documents: 1 } }]);
    expect(result.printed).toMatch(/^Archived or erased 3, 3 of them today\nHeld 1$/m);
  });

  it('says that a hold record could not be read, and shows everything else', async () => {
    const { archive, run, archiveAll, stop, ids } = await startArchive({ 'a.txt': 'a' });
    await archiveAll();
    await stop();
    const folder = join(archive, 'holds', ids()[0] ?? '');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, '2026-11-22T09:00:00.000Z.json'), 'not JSON');

    const result = await run((context) => status({ count: true }, context));

    expect(result).toMatchObject({
      exitCode: 0,
      records: [{ archived: { total: 1 }, held: { documents: 0, incomplete: expect.any(String) } }],
    });
    expect(result.printed).toMatch(/^Not all hold records could be read: The object holds/m);
  });

  it('refreshes until Ctrl-C with --watch', async () => {
    const { run } = await startArchive({});
    const interrupt = new AbortController();
    let refreshes = 0;

    const watching = run(
      ({ terminal, ...rest }) =>
        status(
          { watch: 1, count: false },
          {
            ...rest,
            terminal: {
              ...terminal,
              record: () => {
                refreshes += 1;
                if (refreshes === 2) interrupt.abort(new Error('Stopped.'));
              },
            },
          },
        ),
      { signal: interrupt.signal },
    );

    await expect(watching).rejects.toThrow('Stopped.');
    expect(refreshes).toBe(2);
  });
});
