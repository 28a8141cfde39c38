import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { backfill, backfillOptions } from '../../cli/backfill.ts';
import { newFolder, startArchive } from './world.ts';

const fail = (message: string): never => {
  throw new Error(message);
};
const options = (parsed: Parameters<typeof backfillOptions>[0]) => backfillOptions(parsed, Date.now(), fail);
const archived = async (archive: string) => (await readdir(join(archive, 'receipts')).catch(() => [])).length;
const tenFiles = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`${n}.txt`, `document ${n}`]));

describe('archiver backfill', () => {
  it('archives everything from the oldest day on, follows it to the end, and finds nothing to do afterwards', async () => {
    const { archive, run } = await startArchive(tenFiles);

    const told = await run((s) => backfill(options({ all: true, yes: true, watch: true }), s));

    expect(told).toMatchObject({ exitCode: 0, questions: [] });
    expect(told.records).toContainEqual({ type: 'plan', lane: 'discovery', documents: 10, messages: 1 });
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
    expect(told.records.at(-1)).toMatchObject({ type: 'end', failed: 1 });
    expect(await archived(archive)).toBe(3);
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
    [{ all: true, until: '1d' }, /--until goes with --since/],
    [{ since: '1d', until: '2d' }, /ends before it begins/],
    [{ since: 'soon' }, /--since soon: it must be a date/],
  ])('refuses %j', (parsed, message) => {
    expect(() => options(parsed)).toThrow(message);
  });
});
