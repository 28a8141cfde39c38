/** How fast `redrive` sends, when it stops, and what it says at the end: in virtual time, on an SQS in memory. */
import {
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { type RedriveOptions, redrive, redriveCommand } from '../../../cli/commands/redrive.ts';
import type { Target } from '../../../cli/target/target.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { firstSentAt, memoryLanes as lanes, memorySqs } from '../../fakes/memory-sqs.ts';
import { recordingTerminal } from '../world.ts';

const idOf = (n: number) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`;
const bodyOf = (documentId: string) =>
  JSON.stringify({
    v: 1,
    kind: 'document',
    documentId,
    trigger: 'sweep',
    requestedAt: '2026-11-24T08:00:00Z',
  });

/**
 * Dead letters of so many documents; those that `failsAgain` names become dead letters again at once, and SQS does not
 * accept those that `isRefused` names.
 */
function startWorld(
  count: number,
  failsAgain: (n: number) => boolean = () => false,
  isRefused: (n: number) => boolean = () => false,
) {
  const memory = memorySqs();
  for (let n = 0; n < count; n += 1) memory.put('documents-dead', bodyOf(idOf(n)));
  const time = virtualTime(firstSentAt + 60_000);
  const sentAt: number[] = [];
  const lookedAt: number[] = [];
  const bodiesOf = (isMeant: (n: number) => boolean) =>
    new Set(
      Array.from({ length: count }, (_, n) => n)
        .filter(isMeant)
        .map((n) => bodyOf(idOf(n))),
    );
  const [again, refused] = [bodiesOf(failsAgain), bodiesOf(isRefused)];
  const interrupt = new AbortController();
  /** Called for each batch that is sent. */
  const hooks: { onSend?: () => void } = {};
  const sqs = {
    send: async (command: unknown) => {
      if (command instanceof SendMessageBatchCommand) {
        sentAt.push(time.monotonic());
        hooks.onSend?.();
        const Entries = command.input.Entries?.filter(({ MessageBody = '' }) => !refused.has(MessageBody));
        return memory.sqs.send(new SendMessageBatchCommand({ ...command.input, Entries }));
      }
      if (command instanceof ReceiveMessageCommand && command.input.QueueUrl === 'documents-dead') {
        lookedAt.push(time.monotonic());
        const lane = memory.at('documents');
        for (const { body } of lane.filter(({ body }) => again.has(body))) memory.put('documents-dead', body);
        lane.splice(0, lane.length, ...lane.filter(({ body }) => !again.has(body)));
      }
      return memory.sqs.send(command as never);
    },
  } as unknown as SQSClient;
  const run = async (options: Partial<RedriveOptions> = {}) => {
    const { terminal, result: told } = recordingTerminal();
    let progress = {};
    const context = {
      target: {
        options: [],
        queues: async () => ({ sqs, lanes }),
        bucket: async () => ({ bucket: { list: async () => [] } }),
      } as unknown as Target,
      terminal: {
        ...terminal,
        paint: (style: string, text: string) => `<${style}>${text}`,
        progress: (describe: Parameters<typeof terminal.progress>[0]) => ({
          stop: () => {
            progress = describe();
          },
        }),
      },
      // A clock that does not begin with the command.
      time: { ...time, monotonic: () => time.monotonic() + 1_000_000 },
      random: () => 0.5,
      signal: interrupt.signal,
    };
    const exitCode = await redrive({ rate: 10, wait: 0, yes: true, ...options }, context);
    return { ...told, exitCode, progress, end: told.records.find(({ type }) => type === 'end') };
  };
  return { ...memory, run, time, sentAt, interrupt, hooks, looks: () => [...new Set(lookedAt)] };
}

describe('archiver redrive', () => {
  it('sends batches of ten, as many documents a second as it may', async () => {
    const { run, sentAt, time } = startWorld(35);

    const { exitCode, end, progress, printed, records } = await run({ rate: 10 });

    expect(sentAt).toEqual([0, 1_000, 2_000, 3_000]);
    expect(time.monotonic()).toBe(3_000);
    expect(exitCode).toBe(0);
    expect(end).toEqual({
      type: 'end',
      redriven: 35,
      failedAgain: 0,
      notSent: 0,
      notDeleted: 0,
      stopped: false,
    });
    expect(progress).toEqual({ ended: 35, total: 35, text: '35 of 35 redriven · 0 failed again' });
    expect(printed).toContain('35 documents (35 dead letters) redriven, 0 failed again so far.');
    expect(printed).not.toContain('<red>');
    expect(printed).not.toContain('erased since');
    expect(records.filter(({ type }) => type === 'cleared')).toEqual([]);
  });

  it('keeps its pace for messages that SQS does not accept, and does not count them as left', async () => {
    const { run, sentAt } = startWorld(
      60,
      (n) => n % 2 === 0,
      (n) => n >= 10 && n < 20,
    );

    const { end, printed } = await run({ rate: 10 });

    expect(sentAt).toEqual([0, 1_000, 2_000]);
    expect(end).toMatchObject({ redriven: 20, failedAgain: 10, notSent: 10, stopped: true });
    expect(printed).toContain('The other 30 are still in the dead-letter queue.');
  });

  it('sends nothing more once its signal has aborted, and releases what is left', async () => {
    const { run, put, at, sentAt, interrupt, hooks } = startWorld(10);
    put('spans-dead', 'x');
    hooks.onSend = () => interrupt.abort(new Error('Stopped.'));

    await expect(run({ rate: 99_999 })).rejects.toThrow('Stopped.');

    expect(sentAt).toHaveLength(1);
    expect(at('spans-dead').map(({ isVisible }) => isVisible)).toEqual([true]);
  });

  it('sends no more than one MiB in a batch', async () => {
    const { run, put, sentAt, at } = startWorld(0);
    for (let n = 0; n < 2; n += 1) put('spans-dead', `${n}`.repeat(600_000));

    await run();

    expect(sentAt).toHaveLength(2);
    expect(at('spans')).toHaveLength(2);
  });

  it('waits at its end no longer than it was told', async () => {
    const { run, time } = startWorld(1);

    await run({ wait: 1.5 });

    expect(time.monotonic()).toBe(1_500);
  });

  it('looks for what has failed again every two seconds and more, and during the settling', async () => {
    const { run, looks } = startWorld(65);

    await run({ rate: 10, wait: 2 });

    expect(looks()).toEqual([0, 3_000, 6_000, 7_000, 8_000]);
  });

  it('stops when half of the first documents have failed again, and leaves the rest alone', async () => {
    const { run, at, sentAt } = startWorld(60, (n) => n % 2 === 0);

    const { exitCode, end, printed } = await run();

    // It looks before the fourth batch: 15 of 30 have failed.
    expect(sentAt).toHaveLength(3);
    expect(exitCode).toBe(1);
    expect(end).toMatchObject({ redriven: 30, failedAgain: 15, stopped: true });
    expect(printed).toContain('30 documents (30 dead letters) redriven, 15 failed again so far.');
    expect(printed).toContain(
      '<red>Stopped: the cause persists. The other 30 are still in the dead-letter queue.\n',
    );
    expect(at('documents-dead').filter(({ isVisible }) => isVisible)).toHaveLength(45);
    expect(at('documents')).toHaveLength(15);
  });

  it('says so of a single one that it leaves', async () => {
    const { run } = startWorld(31, (n) => n % 2 === 0);

    const { printed } = await run();

    expect(printed).toContain(
      '<red>Stopped: the cause persists. The other one is still in the dead-letter queue.\n',
    );
  });

  it('goes on when fewer than half have failed again', async () => {
    const { run } = startWorld(60, (n) => n % 3 === 0);

    const { exitCode, end, printed } = await run({ wait: 1 });

    expect(exitCode).toBe(1);
    expect(end).toMatchObject({ redriven: 60, failedAgain: 20, stopped: false });
    expect(printed).not.toContain('Stopped');
  });

  it.each([
    [2, false],
    [3, true],
  ])('with %i of the first 4 documents failing again, stops early: %s', async (failing, stopped) => {
    const { run, put } = startWorld(4, (n) => n < failing);
    // The next batch, four seconds later, is of another lane.
    for (let n = 10; n < 15; n += 1) put('backfill-dead', bodyOf(idOf(n)));

    const { end } = await run({ rate: 1 });

    expect(end).toMatchObject({ redriven: stopped ? 4 : 9, failedAgain: failing, stopped });
  });

  it('stops settling as soon as all have failed again', async () => {
    const { run, time } = startWorld(3, () => true);

    const { end } = await run({ wait: 60 });

    expect(end).toMatchObject({ redriven: 3, failedAgain: 3, stopped: false });
    expect(time.monotonic()).toBe(1_000);
  });

  it('counts only dead letters whose message it has sent itself as failed again', async () => {
    const { run, put, time } = startWorld(1);
    time.after(500, () => put('documents-dead', bodyOf(idOf(77))));

    const { end } = await run({ wait: 2 });

    expect(end).toMatchObject({ redriven: 1, failedAgain: 0 });
  });

  it('shows nothing to do where there are no dead letters', async () => {
    const { run, commands } = startWorld(0);

    const { exitCode, printed, end } = await run();

    expect(exitCode).toBe(0);
    expect(printed).toBe('No dead letters.\n');
    expect(end).toBeUndefined();
    expect(
      commands.every(
        (command) => command instanceof ReceiveMessageCommand || command instanceof GetQueueAttributesCommand,
      ),
    ).toBe(true);
  });

  it('keeps letters for ten minutes, and for half a minute where it only shows them', async () => {
    const seconds = async (options: Partial<RedriveOptions>) => {
      const { run, commands } = startWorld(1);
      await run(options);
      return commands.find((command) => command instanceof ReceiveMessageCommand)?.input.VisibilityTimeout;
    };

    expect([await seconds({}), await seconds({ dryRun: true })]).toEqual([600, 30]);
  });
});

describe('the options of archiver redrive', () => {
  const parse = (...words: string[]) => {
    const command = redriveCommand.configure(
      new Command('redrive').exitOverride().configureOutput({ writeErr: () => undefined }),
    ) as unknown as Command;
    return command.parse(words, { from: 'user' }).opts();
  };

  it('are ten documents a second and five seconds at the end', () => {
    expect(parse()).toEqual({ rate: 10, wait: 5 });
  });

  it('can be repeated where they name something', () => {
    expect(
      parse('--code', 'A', '--code', 'B', '--id', 'x', '--acknowledge', 'y', '--acknowledge', 'z'),
    ).toMatchObject({
      code: ['A', 'B'],
      id: ['x'],
      acknowledge: ['y', 'z'],
    });
  });

  it.each(['1', '7', '99999'])('take the number %s', (number) => {
    expect(parse('--rate', number, '--wait', number)).toMatchObject({
      rate: Number(number),
      wait: Number(number),
    });
  });

  it.each(['documents', 'backfill', 'discovery', 'spans'])('take the lane %s', (lane) => {
    expect(parse('--lane', lane)).toMatchObject({ lane });
  });

  it('name the lanes', () => {
    const { options } = redriveCommand.configure(new Command('redrive'));

    expect(options.find(({ long }) => long === '--lane')?.description).toBe(
      'only dead letters of this lane: documents, backfill, discovery, spans, audit',
    );
  });

  it('take no waiting at all', () => {
    expect(parse('--wait', '0')).toMatchObject({ wait: 0 });
  });

  it.each([
    ['--rate', '100000', 'Must be a whole number from 0 to 99999.'],
    ['--rate', '1.5', 'Must be a whole number from 0 to 99999.'],
    ['--rate', '0', 'Must be at least 1.'],
    ['--wait', '-1', 'Must be a whole number from 0 to 99999.'],
    ['--wait', 'x1', 'Must be a whole number from 0 to 99999.'],
    ['--lane', 'fast', 'Must be one of documents, backfill, discovery, spans, audit.'],
  ])('refuse %s %s', (option, value, words) => {
    expect(() => parse(option, value)).toThrow(words);
  });
});
