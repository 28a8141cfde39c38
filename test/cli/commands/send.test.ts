import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { send } from '../../../cli/commands/send.ts';
import { startArchive } from '../world.ts';

const unknownId = '5a3b1e00-0000-4000-8000-0000000000ff';

describe('archiver send', () => {
  it('queues documents and waits for their receipts with --wait', async () => {
    const { archive, run, ids } = await startArchive({ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' });
    const wanted = ids().slice(0, 2);

    const result = await run((context) => send({ documentIds: wanted, wait: 30 }, context));

    expect(result.exitCode).toBe(0);
    expect(result.records).toHaveLength(2);
    expect((await readdir(join(archive, 'documents'))).sort()).toEqual([...wanted].sort());
  });

  it('returns 1 and prints the documents that are not archived in time', async () => {
    const { run, ids } = await startArchive({ 'a.txt': 'a' });

    const result = await run((context) => send({ documentIds: [...ids(), unknownId], wait: 2 }, context));

    expect(result.exitCode).toBe(1);
    expect(result.records).toContainEqual({ documentId: unknownId, archived: false });
  });

  it('sends nothing when one of the IDs is not valid', async () => {
    const { run, ids, stack } = await startArchive({ 'a.txt': 'a' });

    const result = run((context) => send({ documentIds: [...ids(), 'x'] }, context));

    await expect(result).rejects.toThrow(/argument 2/);
    expect(await stack.messageCount()).toBe(0);
  });

  it('throws with the command to run when no local stack is running', async () => {
    const { run, stop } = await startArchive({});
    await stop();

    const result = run((context) => send({ documentIds: [unknownId] }, context));

    await expect(result).rejects.toThrow(/npm start -- --archive/);
  });
});
