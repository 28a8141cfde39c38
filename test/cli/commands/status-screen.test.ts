/** What `status` reads and shows: on an SQS and a bucket in memory. */
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { type StatusOptions, status, statusCommand } from '../../../cli/commands/status.ts';
import type { Alarm, Target } from '../../../cli/target/target.ts';
import { holdKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { noon } from '../../fakes/documents.ts';
import { MemoryBucket } from '../../fakes/memory-bucket.ts';
import { firstSentAt, memoryLanes as lanes, memorySqs } from '../../fakes/memory-sqs.ts';
import { recordingTerminal } from '../world.ts';

const minuteMs = 60_000;
const now = firstSentAt + minuteMs;
const idAt = (n: number) => `${(n % 16).toString(16)}a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`;
const bodyOf = (documentId: string) =>
  JSON.stringify({
    v: 1,
    kind: 'document',
    documentId,
    trigger: 'sweep',
    requestedAt: '2026-11-24T08:00:00Z',
  });
const alarm = (name: string, state: Alarm['state']): Alarm => ({
  name,
  state,
  description: `${name} \u001b[2J means this.`,
});

interface WorldOptions {
  hasStack?: boolean;
  alarms?: Alarm[];
  /** Milliseconds since the Unix epoch. */
  lastSweep?: number;
  /** Milliseconds since the Unix epoch. */
  lastAudit?: number;
  hasAuditLane?: boolean;
  /** Milliseconds. */
  oldestUnarchived?: number;
}

function startWorld({
  hasStack = true,
  hasAuditLane = true,
  alarms,
  lastSweep,
  lastAudit,
  oldestUnarchived,
}: WorldOptions = {}) {
  const time = virtualTime(now);
  const memory = memorySqs();
  const bucket = new MemoryBucket(time);
  const s3 = { send: bucket.send } as never;
  const asked: unknown[][] = [];
  const metrics = {
    latest: async (...args: unknown[]) => {
      asked.push(args);
      return args[0] === 'SweepsCompleted' ? lastSweep : lastAudit;
    },
    sums: async (...args: unknown[]) => {
      asked.push(args);
      return { DeadLetters: 1, DocumentsOverdue: 1_200 };
    },
    maximum: async (...args: unknown[]) => {
      asked.push(args);
      return oldestUnarchived;
    },
  };
  const target = {
    name: 'telnyx-archiver in eu-central-1',
    options: [],
    queues: async () => ({
      sqs: memory.sqs,
      lanes: { ...lanes, ...(!hasAuditLane && { audit: undefined }) },
    }),
    bucket: async () => ({ s3, name: 'archive', bucket: createBucket({ s3, name: 'archive', time }) }),
    metrics: async () => (hasStack ? metrics : undefined),
    oldestAge: async (lane: string) => {
      asked.push(['oldestAge', lane]);
      return lane === 'documents' ? 150_400 : undefined;
    },
    alarms: async () => alarms,
  } as unknown as Target;
  /** What is cleared and printed, in its order. */
  const screen: string[] = [];
  const interrupt = new AbortController();
  const { terminal, result } = recordingTerminal();
  const context = {
    target,
    terminal: {
      ...terminal,
      paint: (style: string, text: string) => `<${style}>${text}`,
      clear: () => void screen.push('cleared'),
      print: (...lines: Parameters<typeof terminal.print>) => {
        screen.push('printed');
        terminal.print(...lines);
      },
    },
    time,
    random: () => 0,
    signal: interrupt.signal,
  };
  const run = async (options: Partial<StatusOptions> = {}) => {
    result.exitCode = await status({ count: false, ...options }, context);
    return result;
  };
  return { ...memory, time, bucket, asked, screen, interrupt, context, result, run };
}

describe('archiver status', () => {
  it('shows everything on one screen', async () => {
    const { put, bucket, run, asked } = startWorld({
      alarms: [alarm('Quiet', 'OK'), alarm('Loud', 'ALARM'), alarm('New', 'INSUFFICIENT_DATA')],
      lastSweep: now - 100 * minuteMs,
      lastAudit: now - 600 * minuteMs,
      oldestUnarchived: 12 * minuteMs,
    });
    put('documents', bodyOf(idAt(1)));
    put('backfill', bodyOf(idAt(1)));
    put('documents-dead', bodyOf(idAt(2)), { code: 'LinkRefused' });
    for (let n = 0; n < 2; n += 1) put('documents-dead', bodyOf(idAt(3)), { code: 'Bad\u001b[2J' });
    put('documents-dead', bodyOf(idAt(5)), { code: 'LinkRefused' }).isVisible = false;
    put('spans-dead', '{"v":1,"kind":"span"}', {});
    const midnight = Date.parse('2026-11-24T00:00:00Z');
    for (let n = 0; n < 16; n += 1) bucket.put(receiptKey(idAt(n)), '{}', midnight - (n < 14 ? 1 : 0));
    const hold = { v: 1, documentId: idAt(3), action: 'hold', at: '2026-11-24T12:00:00.000Z', by: 'x' };
    const text = JSON.stringify({ ...hold, reason: 'Case 1', archiver: 'test' });
    bucket.put(holdKey(idAt(3), noon), text, noon);

    const { exitCode, printed, records } = await run({ count: true });

    expect(exitCode).toBe(1);
    expect(printed).toMatchInlineSnapshot(`
      "<bold>telnyx-archiver in eu-central-1  <dim>2026-11-24T12:00:59.001Z

      ┌───────────┬─────────┬────────┬────────┬──────────────┐
      │ lane      │ waiting │ oldest │ failed │ dead letters │
      ├───────────┼─────────┼────────┼────────┼──────────────┤
      │ documents │       1 │  3 min │ <red>2 │       <red>4 │
      │ backfill  │       1 │      – │      0 │            0 │
      │ discovery │       0 │      – │      0 │            0 │
      │ spans     │       0 │      – │ <red>1 │       <red>1 │
      │ audit     │       0 │      – │      0 │            0 │
      └───────────┴─────────┴────────┴────────┴──────────────┘
      Last sweep 1.7 h ago
      Last complete audit 10.0 h ago; \`audit --latest\` shows it
      Archived or erased 16, 2 of them today
      Held 1
      Sweeps of the last 10 min found unarchived documents up to 12 min old
      Last hour: 1,200 documents overdue, 1 new dead letter
      Failed: 2 documents and 1 other message (4 dead letters)
        <red>Bad\\u{1b}[2J  1 document (2 dead letters)
        <red>LinkRefused  1 document (1 dead letter)
        <red>none  1 message (1 dead letter)
      <yellow>1 dead letter is in use by another command (counted by SQS, up to a minute late).
      <yellow>If that command has ended, it is visible again by 12:11 UTC.

      <red>Loud  Loud \\u{1b}[2J means this.
      "
    `);
    const none = { oldestSeconds: undefined, failed: 0, deadLetters: 0 };
    expect(records).toMatchObject([
      {
        type: 'status',
        at: '2026-11-24T12:00:59.001Z',
        lanes: [
          { lane: 'documents', waiting: 1, oldestSeconds: 150, failed: 2, deadLetters: 4 },
          { ...none, lane: 'backfill', waiting: 1 },
          { ...none, lane: 'discovery', waiting: 0 },
          { ...none, lane: 'spans', waiting: 0, failed: 1, deadLetters: 1 },
          { ...none, lane: 'audit', waiting: 0 },
        ],
        lastSweepSeconds: 6_000,
        lastAuditSeconds: 36_000,
        archived: { today: 2, total: 16 },
        held: { documents: 1, incomplete: undefined },
        oldestUnarchivedSeconds: 720,
        lastHour: { deadLetters: 1, documentsOverdue: 1_200 },
        failed: { documents: 2, otherMessages: 1, deadLetters: 4 },
        lockedElsewhere: 1,
        failedByCode: {
          LinkRefused: { documents: 1, otherMessages: 0, deadLetters: 1 },
          none: { documents: 0, otherMessages: 1, deadLetters: 1 },
        },
        alarms: [{ name: 'Quiet' }, { name: 'Loud', state: 'ALARM' }, { name: 'New' }],
      },
    ]);
    expect(asked).toEqual([
      ['SweepsCompleted', now - 180 * minuteMs],
      ['AuditCompleted', now - 3 * 24 * 60 * minuteMs],
      [['DeadLetters', 'DocumentsOverdue'], now - 60 * minuteMs],
      ['OldestUnarchived', now - 10 * minuteMs],
      ['oldestAge', 'documents'],
      ['oldestAge', 'backfill'],
    ]);
  });

  it('shows a healthy archiver, and lists nothing without counting', async () => {
    const { run, bucket, screen } = startWorld({
      alarms: [alarm('Quiet', 'OK'), alarm('New', 'INSUFFICIENT_DATA')],
      lastSweep: now + 2_000,
    });

    const { exitCode, printed, records } = await run();

    expect(exitCode).toBe(0);
    expect(printed).toMatchInlineSnapshot(`
      "<bold>telnyx-archiver in eu-central-1  <dim>2026-11-24T12:00:59.001Z

      ┌───────────┬─────────┬────────┬────────┬──────────────┐
      │ lane      │ waiting │ oldest │ failed │ dead letters │
      ├───────────┼─────────┼────────┼────────┼──────────────┤
      │ documents │       0 │      – │      0 │            0 │
      │ backfill  │       0 │      – │      0 │            0 │
      │ discovery │       0 │      – │      0 │            0 │
      │ spans     │       0 │      – │      0 │            0 │
      │ audit     │       0 │      – │      0 │            0 │
      └───────────┴─────────┴────────┴────────┴──────────────┘
      Last sweep 0 s ago
      Last hour: 1,200 documents overdue, 1 new dead letter
      2 alarms, none of them in alarm
      "
    `);
    expect(records).toMatchObject([{ lastSweepSeconds: 0, failedByCode: {}, lockedElsewhere: 0 }]);
    expect(bucket.requests).toEqual([]);
    expect(screen).toEqual(['printed']);
  });

  it('shows only the archive without a running stack', async () => {
    const { run, bucket, asked } = startWorld({ hasStack: false });
    bucket.put(receiptKey(idAt(1)), '{}', now);

    const { exitCode, printed, records } = await run({ count: true });

    expect(exitCode).toBe(0);
    expect(printed).toMatchInlineSnapshot(`
      "<bold>telnyx-archiver in eu-central-1  <dim>2026-11-24T12:00:59.001Z

      No local stack is running: there are no queues and no sweeps.
      Archived or erased 1, 1 of them today
      "
    `);
    expect(records).toMatchObject([{ lanes: [], failed: { documents: 0 }, lockedElsewhere: 0 }]);
    expect(asked).toEqual([]);
  });

  it('says that an archiver of an older version has no lane for audits', async () => {
    const { put, run } = startWorld({ hasAuditLane: false, lastSweep: now });
    put('spans', bodyOf(idAt(1)));

    const { exitCode, printed, records } = await run();

    expect(exitCode).toBe(0);
    expect(printed).toContain(
      '\n<yellow>This archiver has no lane audit: an older version deployed it. Deploy again',
    );
    expect(printed).not.toContain('│ audit');
    expect(records).toMatchObject([{ lanes: [{}, {}, {}, { lane: 'spans', waiting: 1 }] }]);
  });

  it('shows an audit lane with the others, and its dead letters as a problem', async () => {
    const { put, run } = startWorld({ lastSweep: now });
    put('audit-dead', '{"v":1,"kind":"audit-start","requestedAt":"2026-11-24T02:15:00Z"}');

    const { exitCode, printed } = await run();

    expect(exitCode).toBe(1);
    expect(printed).toContain('│ audit     │       0 │      – │ <red>1 │       <red>1 │');
    expect(printed).not.toContain('no lane audit');
  });

  it('says that there was no sweep', async () => {
    const { printed } = await startWorld().run();

    expect(printed).toContain('\n<yellow>No sweep in the last three hours\n');
  });

  it.each<[number, string, (world: ReturnType<typeof startWorld>) => void, Alarm[]]>([
    [1, 'an alarm', () => undefined, [alarm('Loud', 'ALARM'), alarm('Quiet', 'OK')]],
    [1, 'dead letters', ({ put }) => void put('backfill-dead', bodyOf(idAt(1))), []],
    [0, 'messages that wait', ({ put }) => void put('backfill', bodyOf(idAt(1))), []],
  ])('ends with %i for %s', async (exitCode, _what, prepare, alarms) => {
    const world = startWorld({ alarms });
    prepare(world);

    expect((await world.run()).exitCode).toBe(exitCode);
  });

  it('says that a hold record could not be read', async () => {
    const { run, bucket } = startWorld({ hasStack: false });
    bucket.put(holdKey(idAt(1), noon), 'no record', noon);

    const { printed, records } = await run({ count: true });

    expect(printed).toContain('\n<yellow>Not all hold records could be read: The object holds/');
    expect(printed).not.toContain('\nHeld');
    expect(records).toMatchObject([{ held: { documents: 0, incomplete: expect.any(String) } }]);
  });

  it.each<[StatusOptions['watch'] & {}, number]>([
    [true, 5_000],
    [7, 7_000],
  ])('clears the screen and refreshes it with --watch %j', async (watch, everyMs) => {
    const { run, time, screen, interrupt, result } = startWorld({ hasStack: false });
    time.after(2 * everyMs, () => undefined);
    time.after(2 * everyMs + 1, () => interrupt.abort(new Error('Stopped.')));

    await expect(run({ watch })).rejects.toThrow('Stopped.');

    expect(screen).toEqual(['cleared', 'printed', 'cleared', 'printed', 'cleared', 'printed']);
    expect(result.records.map(({ at }) => Date.parse(String(at)) - now)).toEqual([0, everyMs, 2 * everyMs]);
  });
});

describe('the command line of status', () => {
  const parse = (...args: string[]) =>
    statusCommand
      .configure(new Command('status').exitOverride().configureOutput({ writeErr: () => undefined }))
      .parse(args, { from: 'user' });

  it('counts unless it says otherwise, and refreshes every so many seconds', async () => {
    const { context, bucket, result } = startWorld({ hasStack: false });
    bucket.put(receiptKey(idAt(1)), '{}', now);

    await statusCommand.run(context as never, parse());

    expect(result.records).toMatchObject([{ archived: { total: 1 } }]);
    expect(parse('--no-count', '--watch').opts()).toEqual({ count: false, watch: true });
    expect(parse('--watch', '99999').opts()).toEqual({ count: true, watch: 99_999 });
  });

  it.each(['0', '1.5', '100000', '12x', 'x12'])('refuses to refresh every %j seconds', (seconds) => {
    expect(() => parse('--watch', seconds)).toThrow('Must be a whole number of seconds from 1 to 99999.');
  });
});
