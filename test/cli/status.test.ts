import { describe, expect, it, vi } from 'vitest';
import { send } from '../../cli/send.ts';
import { status } from '../../cli/status.ts';
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
        deadLettersByCode: { DocumentGone: 1 },
        lanes: [
          { lane: 'documents', waiting: 0, deadLetters: 1 },
          { lane: 'backfill' },
          { lane: 'discovery' },
        ],
      },
    ]);
    expect(told.printed).toMatch(/Archived 2/);
    expect(await stack.deadLetters()).toBe(1);
  });

  it('tells what is archived where nothing runs', async () => {
    const { run, archiveAll, stop } = await startArchive({ 'a.txt': 'a' });
    await archiveAll();
    await stop();

    const told = await run((s) => status({ count: true }, s));

    expect(told).toMatchObject({ exitCode: 0, records: [{ archived: { inAll: 1 }, lanes: [] }] });
    expect(told.printed).toMatch(/Nothing runs here/);
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
