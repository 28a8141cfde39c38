import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { send } from '../../cli/commands/send.ts';
import { startArchive } from './world.ts';

const nowhere = '5a3b1e00-0000-4000-8000-0000000000ff';

describe('archiver send', () => {
  it('has documents archived and waits for their receipts', async () => {
    const { archive, run, ids } = await startArchive({ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' });
    const wanted = ids().slice(0, 2);

    const told = await run((context) => send({ documentIds: wanted, wait: 30 }, context));

    expect(told.exitCode).toBe(0);
    expect(told.records).toHaveLength(2);
    expect((await readdir(join(archive, 'documents'))).sort()).toEqual([...wanted].sort());
  });

  it('says which ones are not there when the time is up', async () => {
    const { run, ids } = await startArchive({ 'a.txt': 'a' });

    const told = await run((context) => send({ documentIds: [...ids(), nowhere], wait: 2 }, context));

    expect(told.exitCode).toBe(1);
    expect(told.records).toContainEqual({ documentId: nowhere, archived: false });
  });

  it('sends nothing where one of the ids is none', async () => {
    const { run, ids, stack } = await startArchive({ 'a.txt': 'a' });

    const told = run((context) => send({ documentIds: [...ids(), 'x'] }, context));

    await expect(told).rejects.toThrow(/argument 2/);
    expect(await stack.depth()).toBe(0);
  });

  it('says how to go on where nothing runs on the archive', async () => {
    const { run, stop } = await startArchive({});
    await stop();

    const told = run((context) => send({ documentIds: [nowhere] }, context));

    await expect(told).rejects.toThrow(/npm start -- --archive/);
  });
});
