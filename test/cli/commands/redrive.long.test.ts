import { describe, expect, it, vi } from 'vitest';
import { type RedriveOptions, redrive } from '../../../cli/commands/redrive.ts';
import { send } from '../../../cli/commands/send.ts';
import { startArchive } from '../world.ts';

const baseOptions: RedriveOptions = { rate: 100, wait: 1, yes: true };
const unknownIds = (count: number) =>
  Array.from({ length: count }, (_, n) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`);

/** An archive with dead letters for documents that Telnyx does not have. */
async function startWithDeadLetters(count: number) {
  const world = await startArchive({ 'a.txt': 'a' });
  const ids = unknownIds(count);
  await world.run((context) => send({ documentIds: ids }, context));
  await vi.waitFor(async () => expect(await world.stack.deadLetterCount()).toBe(count), { timeout: 30_000 });
  return { ...world, ids };
}

describe('archiver redrive', () => {
  it('shows dead letters by code with the advice of the runbook and, with --names, the names that Telnyx has', async () => {
    const { run, stack, ids } = await startWithDeadLetters(3);
    const [named = '', nameless = '', unknown = ''] = ids;
    const facts = { customerReference: 'PO-1' };
    await stack.standIn?.documents.add('LOA\u001b[2J.pdf', Buffer.from('a'), { ...facts, id: named });
    await stack.standIn?.documents.add('', Buffer.from('b'), { id: nameless });

    const result = await run((context) => redrive({ ...baseOptions, dryRun: true }, context));
    const withNames = await run((context) => redrive({ ...baseOptions, dryRun: true, names: true }, context));

    expect(result.exitCode).toBe(0);
    expect(result.records[1]).toMatchObject({
      type: 'group',
      lane: 'documents',
      code: 'DocumentGone',
      letters: 3,
    });
    expect(result.records.filter(({ type }) => type === 'letter')).toHaveLength(3);
    expect(result.printed).toMatch(/There is nothing left to archive/);
    expect(withNames.records).toHaveLength(result.records.length);
    expect(withNames.records).toContainEqual(
      expect.objectContaining({ documentId: named, fileName: 'LOA\u001b[2J.pdf', customerReference: 'PO-1' }),
    );
    expect(withNames.printed).toContain(`  ${named}  LOA\\u{1b}[2J.pdf · reference PO-1\n`);
    expect(withNames.printed).toContain(`  ${nameless}\n`);
    expect(withNames.printed).toContain(`  ${unknown}  (not at Telnyx)\n`);
    expect(await stack.deadLetterCount()).toBe(3);
  });

  it('sends the messages again, so that the documents are archived when the cause has been removed', async () => {
    const { run, stack, ids } = await startWithDeadLetters(25);
    for (const id of ids) await stack.standIn?.documents.add('late.txt', Buffer.from(id), { id });

    const result = await run((context) => redrive(baseOptions, context));

    expect(result).toMatchObject({ exitCode: 0 });
    expect(result.records.at(-1)).toMatchObject({ redriven: 25, failedAgain: 0, stopped: false });
    expect(await stack.deadLetterCount()).toBe(0);
    await vi.waitFor(async () => expect(await stack.messageCount()).toBe(0), { timeout: 30_000 });
    for (const id of ids)
      expect(await stack.bucket.head(`receipts/${id}.json`, new AbortController().signal)).toBeDefined();
  });

  it('stops and loses no dead letter when the cause persists', async () => {
    const { run, stack } = await startWithDeadLetters(80);

    const result = await run((context) => redrive({ ...baseOptions, rate: 10 }, context));

    expect(result.exitCode).toBe(1);
    expect(result.records.at(-1)).toMatchObject({ stopped: true });
    expect(result.printed).toMatch(/Stopped: the cause persists/);
    await vi.waitFor(async () => expect(await stack.deadLetterCount()).toBe(80), { timeout: 30_000 });
    const left = await run((context) => redrive({ ...baseOptions, dryRun: true }, context));
    expect(left.records[0]).toMatchObject({ type: 'total', documents: 80 });
  });

  it('redrives only documents that match --code, --id and --lane', async () => {
    const { run, stack, ids } = await startWithDeadLetters(3);
    const [one = ''] = ids;

    const otherCode = await run((context) => redrive({ ...baseOptions, code: ['ApiKeyRejected'] }, context));
    const otherLane = await run((context) => redrive({ ...baseOptions, lane: 'backfill' }, context));
    await stack.standIn?.documents.add('late.txt', Buffer.from(one), { id: one });
    const byId = await run((context) =>
      redrive({ ...baseOptions, id: [one], code: ['documentgone'] }, context),
    );

    expect(otherCode.printed).toBe(
      'No match for --code ApiKeyRejected among 3 documents (3 dead letters) with the code DocumentGone.\n',
    );
    expect(otherLane.printed).toBe('No dead letters in the lane backfill.\n');
    expect(byId.records.at(-1)).toMatchObject({ redriven: 1, failedAgain: 0 });
    expect(await stack.deadLetterCount()).toBe(2);
  });

  it('releases all dead letters on Ctrl-C', async () => {
    const { run, stack } = await startWithDeadLetters(30);
    const interrupt = new AbortController();
    const started = Promise.withResolvers<void>();
    const running = run(
      (context) => {
        const progress: typeof context.terminal.progress = (describe) => {
          started.resolve();
          return context.terminal.progress(describe);
        };
        return redrive(
          { ...baseOptions, rate: 1 },
          { ...context, terminal: { ...context.terminal, progress } },
        );
      },
      { signal: interrupt.signal },
    );
    await started.promise;

    interrupt.abort(new Error('Stopped.'));

    await expect(running).rejects.toThrow('Stopped.');
    await vi.waitFor(async () => expect(await stack.deadLetterCount()).toBe(30), { timeout: 30_000 });
    const shown = await run((context) => redrive({ ...baseOptions, dryRun: true }, context));
    expect(shown.records.filter(({ type }) => type === 'letter')).toHaveLength(30);
  });

  it('asks for confirmation', async () => {
    const { run, stack } = await startWithDeadLetters(1);

    const result = await run((context) => redrive({ ...baseOptions, yes: false }, context), {
      answer: false,
    });

    expect(result.questions).toEqual(['Redrive 1 document (1 dead letter)?']);
    expect(await stack.deadLetterCount()).toBe(1);
  });
});
