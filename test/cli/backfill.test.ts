import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { backfill, backfillOptions } from '../../cli/commands/backfill.ts';
import { startWorld } from './queues-world.ts';
import { newFolder, startArchive } from './world.ts';

const options = (parsed: Parameters<typeof backfillOptions>[0]) => backfillOptions(parsed, Date.now());
const archived = async (archive: string) => (await readdir(join(archive, 'receipts')).catch(() => [])).length;
const tenFiles = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`${n}.txt`, `document ${n}`]));

describe('archiver backfill', () => {
  it('archives everything from the oldest day on, follows it to the end, and finds nothing to do afterwards', async () => {
    const { archive, run } = await startArchive(tenFiles);

    const told = await run((s) => backfill(options({ all: true, yes: true, watch: true }), s));

    expect(told).toMatchObject({ exitCode: 0, questions: [] });
    expect(told.records).toContainEqual({ type: 'plan', lane: 'spans', documents: 10, messages: 1 });
    expect(told.records.at(-1)).toMatchObject({
      type: 'end',
      found: 10,
      queued: 10,
      archived: 10,
      failed: 0,
    });
    expect(await archived(archive)).toBe(10);

    const again = await run((s) => backfill(options({ all: true, yes: true, watch: true }), s));

    expect(again.records.at(-1)).toMatchObject({ queued: expect.any(Number), failed: 0 });
    expect(await archived(archive)).toBe(10);
  });

  it('sends nothing unless somebody agrees', async () => {
    const { run, stack } = await startArchive(tenFiles);

    const refused = await run((s) => backfill(options({ since: '2d' }), s), { answer: false });
    const dry = await run((s) => backfill(options({ since: '2d', dryRun: true }), s));

    expect(refused.questions).toHaveLength(1);
    expect(refused.noted).toMatch(/Nothing was sent/);
    expect(dry.records).toMatchObject([{ type: 'plan', documents: 10 }]);
    expect(await stack.depth()).toBe(0);
  });

  it('takes ids from a file, and ends with 1 where one of them became a dead letter', async () => {
    const { archive, run, ids } = await startArchive(tenFiles);
    const file = join(await newFolder(), 'ids');
    await writeFile(file, [...ids().slice(0, 3), '5a3b1e00-0000-4000-8000-0000000000ff'].join('\n'));

    const told = await run((s) => backfill(options({ ids: file, yes: true, watch: true }), s));

    expect(told.exitCode).toBe(1);
    expect(told.records).toContainEqual({ type: 'plan', lane: 'backfill', documents: 4, messages: 4 });
    expect(told.records.at(-1)).toMatchObject({ type: 'end', failed: 1, deadLetters: 1 });
    expect(told.printed).toContain('1 document (1 dead letter) failed');
    expect(await archived(archive)).toBe(3);
  });

  it('sends time spans to a lane of their own, so that they delay no sweep', async () => {
    const { run, depth, bodies } = await startWorld();

    await run((s) => backfill(options({ since: '3d', yes: true }), s));

    expect([await depth('spans'), await depth('discovery')]).toEqual([expect.any(Number), 0]);
    const kinds = (await bodies('spans')).map((body) => JSON.parse(body).kind);
    expect(kinds.length).toBeGreaterThanOrEqual(3);
    expect(new Set(kinds)).toEqual(new Set(['span']));
  });

  it('waits for the spans and counts documents that failed, without those that had failed before', async () => {
    const { run, letter, empty, depth } = await startWorld();
    const [old, failed] = ['5a3b1e00-0000-4000-8000-000000000001', '5a3b1e00-0000-4000-8000-000000000002'];
    await letter(old, { lane: 'backfill' });
    await letter(old, { lane: 'spans', body: '{"v":1,"kind":"span"}' });
    const records: object[] = [];

    const running = run(({ terminal, ...rest }) =>
      backfill(options({ since: '1d', yes: true, watch: true }), {
        ...rest,
        terminal: { ...terminal, record: (value) => records.push(value) },
      }),
    );
    await vi.waitFor(async () => expect(await depth('spans')).toBeGreaterThan(0), { timeout: 30_000 });
    for (let n = 0; n < 3; n += 1) await letter(failed, { lane: 'backfill' });
    // Ten looks take five times as long as an empty lane must stay empty for the backfill to be over.
    const spans = await depth('spans');
    const looks = () => records.filter((record) => isDeepStrictEqual({ ...record, ...waiting }, record));
    const waiting = { type: 'watch', spans, waiting: 0, deadLetters: 3 };
    await vi.waitFor(() => expect(looks().length).toBeGreaterThan(10), { timeout: 30_000 });
    await empty('spans');
    const told = await running;

    expect(told.exitCode).toBe(1);
    expect(records.at(-1)).toMatchObject({ type: 'end', failed: 1, deadLetters: 3 });
    expect(told.printed).toContain('1 document (3 dead letters) failed');
  });

  it('finds the documents of a customer reference', async () => {
    const { archive, run, stack } = await startArchive(tenFiles);
    await stack.standIn?.documents.add('mine.txt', Buffer.from('mine'), { customerReference: 'PO-1' });

    const told = await run((s) => backfill(options({ reference: 'PO-1', yes: true, watch: true }), s));

    expect(told.records).toContainEqual({ type: 'plan', lane: 'backfill', documents: 1, messages: 1 });
    expect(await archived(archive)).toBe(1);
  });

  it.each([
    [{}, /one of --since/],
    [{ since: '1d', all: true }, /one of --since/],
    [{ all: true, until: '1d' }, /--until requires --since/],
    [{ since: '1d', until: '2d' }, /--since must be earlier than --until/],
    [{ since: 'soon' }, /--since soon: it must be a date/],
  ])('refuses %j', (parsed, message) => {
    expect(() => options(parsed)).toThrow(message);
  });
});
