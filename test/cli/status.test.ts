import { describe, expect, it, vi } from 'vitest';
import { send } from '../../cli/commands/send.ts';
import { status } from '../../cli/commands/status.ts';
import { startWorld } from './queues-world.ts';
import { startArchive } from './world.ts';

describe('archiver status', () => {
  it('shows queues, the last sweep, what is archived and the dead letters by code, and consumes none', async () => {
    const { run, archiveAll, stack } = await startArchive({ 'a.txt': 'a', 'b.txt': 'b' });
    await archiveAll();
    await stack.sweep();
    await run((s) => send({ documentIds: ['5a3b1e00-0000-4000-8000-0000000000ff'] }, s));
    await vi.waitFor(async () => expect([await stack.depth(), await stack.deadLetters()]).toEqual([0, 1]), {
      timeout: 30_000,
    });

    const told = await run((s) => status({ count: true }, s));

    expect(told.exitCode).toBe(1);
    expect(told.records).toMatchObject([
      {
        archived: { inAll: 2 },
        lastSweepSeconds: expect.any(Number),
        lastHour: { deadLetters: 1, documentsOverdue: 0 },
        failed: { documents: 1, otherMessages: 0, deadLetters: 1 },
        failedByCode: { DocumentGone: { documents: 1, deadLetters: 1 } },
        lanes: [
          { lane: 'documents', waiting: 0, failed: 1, deadLetters: 1 },
          { lane: 'backfill', failed: 0 },
          { lane: 'discovery' },
          { lane: 'spans' },
        ],
      },
    ]);
    expect(told.printed).toMatch(/Archived 2/);
    expect(await stack.deadLetters()).toBe(1);
  });

  it('counts documents beside dead letters, in each lane and by the code of the newest letter', async () => {
    const { run, letter, visibleLetters } = await startWorld();
    const [first, second] = ['5a3b1e00-0000-4000-8000-000000000001', '5a3b1e00-0000-4000-8000-000000000002'];
    for (let n = 0; n < 4; n += 1) await letter(first, { code: 'DocumentInfected' });
    await letter(first, { lane: 'backfill', code: 'LinkRefused' });
    await letter(second, { code: 'Bad\u001b[2J' });
    await letter('', { lane: 'spans', body: '{"v":1,"kind":"span"}', code: 'TelnyxUnavailable' });

    const told = await run((s) => status({ count: false }, s));

    expect(told.exitCode).toBe(1);
    expect(told.records).toMatchObject([
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
        ],
      },
    ]);
    expect(told.printed).toContain('Failed: 2 documents and 1 other message (7 dead letters)');
    expect(told.printed).toContain('LinkRefused  1 document (5 dead letters)');
    expect(told.printed).toContain('Bad\\u{1b}[2J  1 document (1 dead letter)');
    expect(await visibleLetters('documents')).toBe(5);
  });

  it('shows how many documents are overdue and how old the oldest unarchived one is', async () => {
    const { run, counted } = await startWorld();
    counted.sums = { DeadLetters: 3, DocumentsOverdue: 1 };
    counted.maxima = { OldestUnarchived: 720_000 };

    const told = await run((s) => status({ count: false }, s));

    expect(told.records).toMatchObject([
      { lastHour: { deadLetters: 3, documentsOverdue: 1 }, oldestUnarchivedSeconds: 720 },
    ]);
    expect(told.printed).toContain('Last hour: 1 document overdue, 3 new dead letters');
    expect(told.printed).toContain('Sweeps of the last 10 min found unarchived documents up to 12 min old');
  });

  it('says of a local archive how old the oldest document was that a sweep found unarchived', async () => {
    const { run, stack } = await startArchive({});
    const createdAt = Date.now() - 90_000;
    await stack.standIn?.documents.add('late.txt', Buffer.from('late'), { createdAt, linked: true });
    await stack.standIn?.documents.add('new.txt', Buffer.from('new'), { linked: true });
    await stack.sweep();
    await vi.waitFor(async () => expect(await stack.depth()).toBe(0), { timeout: 30_000 });

    const told = await run((s) => status({ count: false }, s));

    expect(told.records).toMatchObject([{ oldestUnarchivedSeconds: expect.any(Number) }]);
    const [{ oldestUnarchivedSeconds }] = told.records as [{ oldestUnarchivedSeconds: number }];
    expect(oldestUnarchivedSeconds).toBeGreaterThanOrEqual(90);
    expect(oldestUnarchivedSeconds).toBeLessThan(120);
  });

  it('tells what is archived where nothing runs', async () => {
    const { run, archiveAll, stop } = await startArchive({ 'a.txt': 'a' });
    await archiveAll();
    await stop();

    const told = await run((s) => status({ count: true }, s));

    expect(told).toMatchObject({ exitCode: 0, records: [{ archived: { inAll: 1 }, lanes: [] }] });
    expect(told.printed).toMatch(/No local stack is running/);
  });

  it('looks again and again until Ctrl-C', async () => {
    const { run } = await startArchive({});
    const interrupt = new AbortController();
    let looks = 0;

    const watching = run(
      ({ terminal, ...rest }) =>
        status(
          { watch: 1, count: false },
          {
            ...rest,
            terminal: {
              ...terminal,
              record: () => {
                looks += 1;
                if (looks === 2) interrupt.abort(new Error('Stopped.'));
              },
            },
          },
        ),
      { signal: interrupt.signal },
    );

    await expect(watching).rejects.toThrow('Stopped.');
    expect(looks).toBe(2);
  });
});
