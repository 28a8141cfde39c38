import { expect, it } from 'vitest';
import { backfill, backfillOptions } from '../../../cli/commands/backfill.ts';
import { send } from '../../../cli/commands/send.ts';
import { startArchive } from '../world.ts';

const tenFiles = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`${n}.txt`, `document ${n}`]));

it('archiver backfill --watch counts only the documents of --reference, not those that were archived just before', async () => {
  const { run, stack, archiveAll } = await startArchive(tenFiles);
  await archiveAll();
  const [gone, before, late] = ['d', 'e', 'f'].map(
    (digit) => `5a3b1e00-0000-4000-8000-0000000000${digit}0`,
  ) as [string, string, string];
  for (const id of [gone, before, late]) {
    await stack.standIn?.documents.add('mine.txt', Buffer.from(id), { id, customerReference: 'PO-1' });
  }
  await run((context) => send({ documentIds: [before], wait: 30 }, context));

  const result = await run((context) => {
    // Deleted at Telnyx after the list was read.
    const confirm = async () => {
      await stack.standIn?.documents.remove(gone);
      return true;
    };
    const terminal = { ...context.terminal, confirm };
    return backfill(backfillOptions({ reference: 'PO-1', watch: true }, Date.now()), {
      ...context,
      terminal,
    });
  });

  expect(result.exitCode).toBe(1);
  expect(result.records.at(-1)).toMatchObject({
    type: 'end',
    found: 3,
    queued: 3,
    archived: 1,
    alreadyArchived: 1,
    failed: 1,
    unaccounted: 0,
  });
  expect(result.printed).toContain(
    '1 archived, 1 already archived or erased, 1 document (1 dead letter) failed, in ',
  );
});
