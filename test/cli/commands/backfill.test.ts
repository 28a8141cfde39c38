import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { backfill, backfillOptions } from '../../../cli/commands/backfill.ts';
import { startWorld } from '../queues-world.ts';
import { newFolder, startArchive } from '../world.ts';

const options = (parsed: Parameters<typeof backfillOptions>[0]) => backfillOptions(parsed, Date.now());
const archived = async (archive: string) => (await readdir(join(archive, 'receipts')).catch(() => [])).length;
const tenFiles = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`${n}.txt`, `document ${n}`]));

describe('archiver backfill', () => {
  it('archives all documents with --all and --watch, and archives nothing on a second run', async () => {
    const { archive, run } = await startArchive(tenFiles);

    const result = await run((context) => backfill(options({ all: true, yes: true, watch: true }), context));

    expect(result).toMatchObject({ exitCode: 0, questions: [] });
    expect(result.records).toContainEqual({ type: 'plan', lane: 'spans', documents: 10, messages: 1 });
    expect(result.records.at(-1)).toMatchObject({
      type: 'end',
      found: 10,
      queued: 10,
      archived: 10,
      failed: 0,
    });
    expect(await archived(archive)).toBe(10);

    const again = await run((context) => backfill(options({ all: true, yes: true, watch: true }), context));

    expect(again.records.at(-1)).toMatchObject({ queued: expect.any(Number), failed: 0 });
    expect(await archived(archive)).toBe(10);
  });

  it('sends nothing with --dry-run or when the answer is no', async () => {
    const { run, stack } = await startArchive(tenFiles);

    const refused = await run((context) => backfill(options({ since: '2d' }), context), { answer: false });
    const dry = await run((context) => backfill(options({ since: '2d', dryRun: true }), context));

    expect(refused.questions).toHaveLength(1);
    expect(refused.noted).toMatch(/Nothing was sent/);
    expect(dry.records).toMatchObject([{ type: 'plan', documents: 10 }]);
    expect(await stack.messageCount()).toBe(0);
  });

  it('reads IDs from a file and returns 1 when one of the documents becomes a dead letter', async () => {
    const { archive, run, ids } = await startArchive(tenFiles);
    const file = join(await newFolder(), 'ids');
    await writeFile(file, [...ids().slice(0, 3), '5a3b1e00-0000-4000-8000-0000000000ff'].join('\n'));

    const result = await run((context) => backfill(options({ ids: file, yes: true, watch: true }), context));

    expect(result.exitCode).toBe(1);
    expect(result.records).toContainEqual({ type: 'plan', lane: 'backfill', documents: 4, messages: 4 });
    expect(result.records.at(-1)).toMatchObject({ type: 'end', failed: 1, deadLetters: 1 });
    expect(result.printed).toContain('1 document (1 dead letter) failed');
    expect(await archived(archive)).toBe(3);
  });

  it('sends time spans to the spans lane and not to the lane of sweeps', async () => {
    const { run, messages, bodies } = await startWorld();

    await run((context) => backfill(options({ since: '3d', yes: true }), context));

    expect([await messages('spans'), await messages('discovery')]).toEqual([expect.any(Number), 0]);
    const kinds = (await bodies('spans')).map((body) => JSON.parse(body).kind);
    expect(kinds.length).toBeGreaterThanOrEqual(3);
    expect(new Set(kinds)).toEqual(new Set(['span']));
  });

  it('waits until the spans lane is empty and counts failed documents, except those that had failed before', async () => {
    const { run, addDeadLetter, purge, messages } = await startWorld();
    const [old, failed] = ['5a3b1e00-0000-4000-8000-000000000001', '5a3b1e00-0000-4000-8000-000000000002'];
    await addDeadLetter(old, { lane: 'backfill' });
    await addDeadLetter(old, { lane: 'spans', body: '{"v":1,"kind":"span"}' });
    const records: object[] = [];

    const running = run(({ terminal, ...rest }) =>
      backfill(options({ since: '1d', yes: true, watch: true }), {
        ...rest,
        terminal: { ...terminal, record: (value) => records.push(value) },
      }),
    );
    await vi.waitFor(async () => expect(await messages('spans')).toBeGreaterThan(0), { timeout: 30_000 });
    for (let n = 0; n < 3; n += 1) await addDeadLetter(failed, { lane: 'backfill' });
    // Ten polls take five times as long as a lane must stay empty for the backfill to end.
    const spans = await messages('spans');
    const polls = () => records.filter((record) => isDeepStrictEqual({ ...record, ...waiting }, record));
    const waiting = { type: 'watch', spans, waiting: 0, deadLetters: 3 };
    await vi.waitFor(() => expect(polls().length).toBeGreaterThan(10), { timeout: 30_000 });
    await purge('spans');
    const result = await running;

    expect(result.exitCode).toBe(1);
    expect(records.at(-1)).toMatchObject({ type: 'end', failed: 1, deadLetters: 3 });
    expect(result.printed).toContain('1 document (3 dead letters) failed');
  });

  it('archives the documents with the customer reference of --reference', async () => {
    const { archive, run, stack } = await startArchive(tenFiles);
    await stack.standIn?.documents.add('mine.txt', Buffer.from('mine'), { customerReference: 'PO-1' });

    const result = await run((context) =>
      backfill(options({ reference: 'PO-1', yes: true, watch: true }), context),
    );

    expect(result.records).toContainEqual({ type: 'plan', lane: 'backfill', documents: 1, messages: 1 });
    expect(await archived(archive)).toBe(1);
  });
});
