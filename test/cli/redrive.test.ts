import { describe, expect, it, vi } from 'vitest';
import { type RedriveOptions, redrive } from '../../cli/commands/redrive.ts';
import { send } from '../../cli/commands/send.ts';
import { startArchive } from './world.ts';

const plain: RedriveOptions = { rate: 100, settle: 1, yes: true };
const unknownIds = (count: number) =>
  Array.from({ length: count }, (_, n) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`);

/** An archive with dead letters for documents that Telnyx does not have. */
async function startWithDeadLetters(count: number) {
  const world = await startArchive({ 'a.txt': 'a' });
  const ids = unknownIds(count);
  await world.run((context) => send({ documentIds: ids }, context));
  await vi.waitFor(async () => expect(await world.stack.deadLetters()).toBe(count), { timeout: 30_000 });
  return { ...world, ids };
}

describe('archiver redrive', () => {
  it('shows dead letters by code with the advice of the runbook, and leaves them where they are', async () => {
    const { run, stack } = await startWithDeadLetters(3);

    const told = await run((s) => redrive({ ...plain, dryRun: true }, s));
    const again = await run((s) => redrive({ ...plain, dryRun: true }, s));

    expect(told.exitCode).toBe(0);
    expect(told.records[0]).toMatchObject({
      type: 'group',
      lane: 'documents',
      code: 'DocumentGone',
      letters: 3,
    });
    expect(told.records.filter(({ type }) => type === 'letter')).toHaveLength(3);
    expect(told.printed).toMatch(/There is nothing left to archive/);
    expect(again.records).toHaveLength(told.records.length);
    expect(await stack.deadLetters()).toBe(3);
  });

  it('puts them back, and the documents are archived once the cause is gone', async () => {
    const { run, stack, ids } = await startWithDeadLetters(25);
    for (const id of ids) await stack.standIn?.documents.add('late.txt', Buffer.from(id), { id });

    const told = await run((s) => redrive(plain, s));

    expect(told).toMatchObject({ exitCode: 0 });
    expect(told.records.at(-1)).toMatchObject({ redriven: 25, failedAgain: 0, stopped: false });
    expect(await stack.deadLetters()).toBe(0);
    await vi.waitFor(async () => expect(await stack.depth()).toBe(0), { timeout: 30_000 });
    for (const id of ids)
      expect(await stack.bucket.head(`receipts/${id}.json`, new AbortController().signal)).toBeDefined();
  });

  it('stops where the cause persists, and no letter is lost', async () => {
    const { run, stack } = await startWithDeadLetters(80);

    const told = await run((s) => redrive({ ...plain, rate: 10 }, s));

    expect(told.exitCode).toBe(1);
    expect(told.records.at(-1)).toMatchObject({ stopped: true });
    expect(told.printed).toMatch(/Stopped: the cause persists/);
    await vi.waitFor(async () => expect(await stack.deadLetters()).toBe(80), { timeout: 30_000 });
  });

  it('redrives only the code, the document or the lane that is asked for', async () => {
    const { run, stack, ids } = await startWithDeadLetters(3);
    const [one = ''] = ids;

    const otherCode = await run((s) => redrive({ ...plain, code: ['ApiKeyRejected'] }, s));
    const otherLane = await run((s) => redrive({ ...plain, lane: 'backfill' }, s));
    await stack.standIn?.documents.add('late.txt', Buffer.from(one), { id: one });
    const byId = await run((s) => redrive({ ...plain, id: [one], code: ['documentgone'] }, s));

    expect(otherCode.printed).toMatch(/No dead letters/);
    expect(otherLane.printed).toMatch(/No dead letters/);
    expect(byId.records.at(-1)).toMatchObject({ redriven: 1, failedAgain: 0 });
    expect(await stack.deadLetters()).toBe(2);
  });

  it('gives everything back at Ctrl-C', async () => {
    const { run, stack } = await startWithDeadLetters(30);
    const interrupt = new AbortController();
    const begun = Promise.withResolvers<void>();
    const running = run(
      (s) => {
        const progress: typeof s.terminal.progress = (describe) => {
          begun.resolve();
          return s.terminal.progress(describe);
        };
        return redrive({ ...plain, rate: 1 }, { ...s, terminal: { ...s.terminal, progress } });
      },
      { signal: interrupt.signal },
    );
    await begun.promise;

    interrupt.abort(new Error('Stopped.'));

    await expect(running).rejects.toThrow('Stopped.');
    await vi.waitFor(async () => expect(await stack.deadLetters()).toBe(30), { timeout: 30_000 });
    const shown = await run((s) => redrive({ ...plain, dryRun: true }, s));
    expect(shown.records.filter(({ type }) => type === 'letter')).toHaveLength(30);
  });

  it('asks first', async () => {
    const { run, stack } = await startWithDeadLetters(1);

    const told = await run((s) => redrive({ ...plain, yes: false }, s), { answer: false });

    expect(told.questions).toEqual(['Redrive 1 document (1 dead letter)?']);
    expect(await stack.deadLetters()).toBe(1);
  });
});
