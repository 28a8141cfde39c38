import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { send } from '../../../cli/commands/send.ts';
import { startWorld } from '../queues-world.ts';
import { startArchive } from '../world.ts';

const unknownId = '5a3b1e00-0000-4000-8000-0000000000ff';

describe('archiver send', () => {
  it('queues documents and waits for their receipts with --wait', async () => {
    const { archive, run, ids } = await startArchive({ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' });
    const wanted = ids().slice(0, 2);

    const result = await run((context) => send({ documentIds: wanted, wait: 30 }, context));

    expect(result.exitCode).toBe(0);
    expect(result.records).toHaveLength(2);
    expect(result.records).toContainEqual({
      type: 'document',
      documentId: wanted[0],
      archived: true,
      fileName: expect.stringMatching(/^[abc].txt$/),
    });
    expect(result.printed).toMatch(new RegExp(`^${wanted[0]}  archived  [abc].txt$`, 'm'));
    expect((await readdir(join(archive, 'documents'))).sort()).toEqual([...wanted].sort());
  });

  it('prints code and reason as soon as a document is a dead letter, and does not wait for it', async () => {
    const { run, ids } = await startArchive({ 'a.txt': 'a' });
    const started = performance.now();

    const result = await run((context) => send({ documentIds: [...ids(), unknownId], wait: 60 }, context));

    expect(result.exitCode).toBe(1);
    expect(performance.now() - started).toBeLessThan(30_000);
    expect(result.records).toContainEqual({
      type: 'document',
      documentId: unknownId,
      archived: false,
      code: 'DocumentGone',
      reason: expect.stringContaining('404'),
    });
    expect(result.printed).toMatch(
      new RegExp(`^${unknownId}  failed  DocumentGone: Telnyx returned 404`, 'm'),
    );
    expect(result.noted).not.toContain('may still be archived');
    expect(result.noted).toMatch(/npm run archiver -- redrive --dry-run --local/);
  });

  it('ignores an earlier dead letter of the same document', async () => {
    const { run, addDeadLetter, visibleDeadLetters } = await startWorld();
    await addDeadLetter(unknownId);

    const result = await run((context) => send({ documentIds: [unknownId], wait: 1 }, context));

    expect(result.exitCode).toBe(1);
    expect(result.records).toEqual([{ type: 'document', documentId: unknownId, archived: false }]);
    expect(result.noted).toMatch(/^It may still be archived/);
    expect(await visibleDeadLetters('documents')).toBe(1);
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
