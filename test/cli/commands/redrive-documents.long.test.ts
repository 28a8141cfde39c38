/** `redrive` per document, on queues without functions, so that each message can be counted. */
import { describe, expect, it } from 'vitest';
import { type RedriveOptions, redrive } from '../../../cli/commands/redrive.ts';
import { errorCodes } from '../../../functions/errors.ts';
import { bodyFor, startWorld } from '../queues-world.ts';
import type { CommandResult } from '../world.ts';

const baseOptions: RedriveOptions = { rate: 1_000, wait: 0, yes: true };
const [first, second, third] = [1, 2, 3].map(
  (n) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`,
) as [string, string, string];
const ofType = ({ records }: CommandResult, type: string) => records.filter((record) => record.type === type);
const end = (result: CommandResult) => ofType(result, 'end')[0];

describe('archiver redrive', () => {
  it('shows the number of documents and dead letters by the code of the newest letter', async () => {
    const { run, addDeadLetter } = await startWorld();
    for (let n = 0; n < 3; n += 1) await addDeadLetter(first, { code: 'DocumentInfected' });
    await addDeadLetter(second);
    await addDeadLetter('', { lane: 'discovery', body: 'not a message', code: 'MalformedMessage' });

    const result = await run((context) => redrive({ ...baseOptions, dryRun: true }, context));

    expect(result.printed).toContain('2 documents and 1 other message (5 dead letters)');
    expect(ofType(result, 'group')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          lane: 'documents',
          code: 'DocumentInfected',
          documents: 1,
          letters: 3,
        }),
        expect.objectContaining({ lane: 'documents', code: 'DocumentGone', documents: 1, letters: 1 }),
        expect.objectContaining({
          lane: 'discovery',
          code: 'MalformedMessage',
          documents: 0,
          letters: 1,
        }),
      ]),
    );
    expect(ofType(result, 'letter')).toHaveLength(5);
  });

  it('prints a table of at most 80 columns for the longest error code', async () => {
    const { run, addDeadLetter } = await startWorld();
    const longest = errorCodes.toSorted((a, b) => b.length - a.length)[0];
    await addDeadLetter(first, { lane: 'discovery', code: longest });

    const { printed } = await run((context) => redrive({ ...baseOptions, dryRun: true }, context));

    const rows = printed.split('\n').filter((line) => /^[┌├│└]/.test(line));
    expect(rows).toHaveLength(5);
    expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(80);
    expect(printed).toContain(`  ${first}`);
  });

  it('sends one message for a document with several dead letters and deletes all of them', async () => {
    const { run, addDeadLetter, messages, deadLetters } = await startWorld();
    for (let n = 0; n < 12; n += 1) await addDeadLetter(first);
    await addDeadLetter(first, { lane: 'backfill' });
    await addDeadLetter(second);

    const result = await run((context) => redrive(baseOptions, context));

    expect(result.exitCode).toBe(0);
    expect(end(result)).toMatchObject({ redriven: 2, failedAgain: 0, notSent: 0, notDeleted: 0 });
    expect(result.printed).toContain('2 documents (14 dead letters) redriven');
    expect([await messages('documents'), await messages('backfill')]).toEqual([2, 0]);
    expect([await deadLetters('documents'), await deadLetters('backfill')]).toEqual([0, 0]);
  });

  it('sends the oldest message that this version can read', async () => {
    const { run, addDeadLetter, bodies } = await startWorld();
    await addDeadLetter(first, { body: `{"v":2,"kind":"document","documentId":"${first}"}` });
    await addDeadLetter(first, { body: bodyFor(first, 'webhook') });
    await addDeadLetter(first, { body: bodyFor(first, 'sweep') });

    await run((context) => redrive(baseOptions, context));

    expect(await bodies('documents')).toEqual([bodyFor(first, 'webhook')]);
  });

  it('redrives each message without a document, and time spans to the spans lane', async () => {
    const { run, addDeadLetter, bodies, deadLetters, messages } = await startWorld();
    const span = (day: number) => `{"v":1,"kind":"span","createdAfter":"2026-11-0${day}T00:00:00Z"}`;
    await addDeadLetter('', { lane: 'spans', body: span(1), code: 'TelnyxUnavailable' });
    await addDeadLetter('', { lane: 'spans', body: span(2), code: 'TelnyxUnavailable' });

    const result = await run((context) => redrive({ ...baseOptions, lane: 'spans' }, context));

    expect(result.printed).toContain('2 messages (2 dead letters) redriven');
    expect((await bodies('spans')).sort()).toEqual([span(1), span(2)]);
    expect([await deadLetters('spans'), await messages('discovery')]).toEqual([0, 0]);
  });

  it('selects a document by the code of any of its dead letters', async () => {
    const { run, addDeadLetter, deadLetters } = await startWorld();
    await addDeadLetter(first, { code: 'LinkRefused' });
    await addDeadLetter(first, { code: 'DocumentGone' });
    await addDeadLetter(second, { code: 'DocumentGone' });

    const result = await run((context) => redrive({ ...baseOptions, code: ['LinkRefused'] }, context));

    expect(end(result)).toMatchObject({ redriven: 1 });
    expect(await deadLetters('documents')).toBe(1);
  });

  it('asks for confirmation with the number of documents and changes nothing when the answer is no', async () => {
    const { run, addDeadLetter, writeReceipt, visibleDeadLetters, messages } = await startWorld();
    await addDeadLetter(first);
    await addDeadLetter(first);
    await addDeadLetter(second);
    await writeReceipt(second);

    const result = await run((context) => redrive({ ...baseOptions, yes: false }, context), {
      answer: false,
    });

    expect(result.questions).toEqual(['Redrive 1 document (2 dead letters)?']);
    expect([await visibleDeadLetters('documents'), await messages('documents')]).toEqual([3, 0]);
  });
});

describe('archiver redrive of dead letters that another command has locked', () => {
  it('says how many there are and until when, instead of that there are none', async () => {
    const { run, addDeadLetter, lockDeadLetters } = await startWorld();
    for (const id of [first, second, third]) await addDeadLetter(id);
    expect(await lockDeadLetters('documents')).toBe(3);

    const result = await run((context) => redrive(baseOptions, context));

    const [, hours, minutes] = /visible again by (\d\d):(\d\d) UTC/.exec(result.printed) ?? [];
    const minutesLeft = Math.round((Number(hours) * 60 + Number(minutes) - Date.now() / 60_000) % 1_440);
    expect(result.exitCode).toBe(1);
    expect(result.printed).toContain('3 dead letters are in use by another command');
    expect(result.printed).not.toContain('No dead letters');
    expect((minutesLeft + 1_440) % 1_440).toBeGreaterThanOrEqual(9);
    expect((minutesLeft + 1_440) % 1_440).toBeLessThanOrEqual(11);
    expect(ofType(result, 'total')).toEqual([
      { type: 'total', documents: 0, otherMessages: 0, deadLetters: 0, lockedElsewhere: 3 },
    ]);
  });

  it('redrives the others and returns 1', async () => {
    const { run, addDeadLetter, lockDeadLetters, messages, deadLetters } = await startWorld();
    await addDeadLetter(first);
    expect(await lockDeadLetters('documents')).toBe(1);
    await addDeadLetter(second);

    const result = await run((context) => redrive(baseOptions, context));

    expect(result.exitCode).toBe(1);
    expect(result.printed).toContain('1 dead letter is in use by another command');
    expect(end(result)).toMatchObject({ redriven: 1 });
    expect([await messages('documents'), await deadLetters('documents')]).toEqual([1, 1]);
  });

  it('does not count the dead letters that it has locked itself', async () => {
    const { run, addDeadLetter } = await startWorld();
    await addDeadLetter(first);

    const result = await run((context) => redrive({ ...baseOptions, dryRun: true }, context));

    expect(result.exitCode).toBe(0);
    expect(ofType(result, 'total')).toEqual([
      { type: 'total', documents: 1, otherMessages: 0, deadLetters: 1, lockedElsewhere: 0 },
    ]);
  });
});

describe('archiver redrive of documents that have been archived since', () => {
  it('clears their dead letters without sending messages', async () => {
    const { run, addDeadLetter, writeReceipt, messages, deadLetters, bodies } = await startWorld();
    for (const id of [first, first, first, second, second, third]) await addDeadLetter(id);
    await writeReceipt(first);
    await writeReceipt(second);

    const result = await run((context) => redrive(baseOptions, context));

    expect(result.exitCode).toBe(0);
    expect(result.printed).toContain(
      '2 documents have been archived or erased since; their 5 dead letters are cleared.',
    );
    expect(ofType(result, 'archived')).toEqual(
      expect.arrayContaining([{ type: 'archived', documentId: first, codes: ['DocumentGone'], letters: 3 }]),
    );
    expect(ofType(result, 'cleared')).toEqual([{ type: 'cleared', documents: 2, letters: 5 }]);
    expect(end(result)).toMatchObject({ redriven: 1 });
    expect([await deadLetters('documents'), await messages('documents')]).toEqual([0, 1]);
    expect(await bodies('documents')).toEqual([bodyFor(third)]);
  });

  it('clears nothing with --dry-run and prints what a redrive would clear', async () => {
    const { run, addDeadLetter, writeReceipt, visibleDeadLetters } = await startWorld();
    await addDeadLetter(first);
    await writeReceipt(first);

    const result = await run((context) => redrive({ ...baseOptions, dryRun: true }, context));

    expect(result.printed).toContain(
      '1 document has been archived or erased since; redrive clears its 1 dead letter without sending anything.',
    );
    expect(ofType(result, 'cleared')).toEqual([]);
    expect(await visibleDeadLetters('documents')).toBe(1);
  });
});

describe('archiver redrive with partial failures of batches', () => {
  it('keeps the dead letters of messages that SQS did not accept', async () => {
    const { run, addDeadLetter, proxySqs, messages, visibleDeadLetters } = await startWorld();
    for (const id of [first, first, second, third]) await addDeadLetter(id);
    await proxySqs({ operation: 'SendMessageBatch', refuses: (position) => position !== 1 });

    const result = await run((context) => redrive(baseOptions, context));

    expect(result.exitCode).toBe(1);
    expect(end(result)).toMatchObject({ redriven: 1, notSent: 2 });
    expect(result.printed).toMatch(/SQS did not accept 2 messages; their dead letters were kept/);
    expect(await messages('documents')).toBe(1);
    const left = await run((context) => redrive({ ...baseOptions, dryRun: true }, context));
    const kept = new Set(ofType(left, 'letter').map(({ documentId }) => documentId));
    expect(kept.size).toBe(2);
    expect(await visibleDeadLetters('documents')).toBe(ofType(left, 'letter').length);
  });

  it('keeps the dead letters when the response of SQS is lost', async () => {
    const { run, addDeadLetter, proxySqs, visibleDeadLetters } = await startWorld();
    for (const id of [first, second, third]) await addDeadLetter(id);
    await proxySqs({ operation: 'SendMessageBatch', losesResponse: true });

    await expect(run((context) => redrive(baseOptions, context))).rejects.toThrow();

    expect(await visibleDeadLetters('documents')).toBe(3);
  });

  it('prints how many dead letters SQS did not delete and releases them', async () => {
    const { run, addDeadLetter, proxySqs, messages, visibleDeadLetters } = await startWorld();
    for (const id of [first, first, first, second]) await addDeadLetter(id);
    await proxySqs({ operation: 'DeleteMessageBatch', refuses: (position) => position > 0 });

    const result = await run((context) => redrive(baseOptions, context));

    expect(result.exitCode).toBe(1);
    expect(end(result)).toMatchObject({ redriven: 2, notSent: 0, notDeleted: 3 });
    expect(result.printed).toMatch(/SQS did not delete 3 dead letters/);
    expect([await messages('documents'), await visibleDeadLetters('documents')]).toEqual([2, 3]);
  });

  it('does not report dead letters of archived documents as cleared when SQS did not delete them', async () => {
    const { run, addDeadLetter, writeReceipt, proxySqs } = await startWorld();
    for (const id of [first, first]) await addDeadLetter(id);
    await writeReceipt(first);
    await proxySqs({ operation: 'DeleteMessageBatch', refuses: (position) => position > 0 });

    const result = await run((context) => redrive(baseOptions, context));

    expect(result.exitCode).toBe(1);
    expect(ofType(result, 'cleared')).toEqual([{ type: 'cleared', documents: 1, letters: 1 }]);
    expect(result.printed).not.toContain('are cleared');
    expect(result.printed).toMatch(/SQS did not delete 1 dead letter/);
  });

  it('splits ten large messages into batches of at most 1 MiB', async () => {
    const { run, addDeadLetter, messages, deadLetters } = await startWorld();
    for (let n = 0; n < 10; n += 1) {
      await addDeadLetter('', {
        lane: 'discovery',
        body: `${n}${'ü'.repeat(250_000)}`,
        code: 'MalformedMessage',
      });
    }

    const result = await run((context) => redrive(baseOptions, context));

    expect(end(result)).toMatchObject({ redriven: 10, notSent: 0 });
    expect([await messages('discovery'), await deadLetters('discovery')]).toEqual([10, 0]);
  });
});

describe('archiver redrive --acknowledge', () => {
  const note = 'Malware; the customer has sent a clean copy.';

  it('clears only the dead letters of the given document and prints a record with codes, time and note', async () => {
    const { run, addDeadLetter, visibleDeadLetters, deadLetters, messages } = await startWorld();
    for (let n = 0; n < 11; n += 1) await addDeadLetter(first, { code: 'DocumentInfected' });
    await addDeadLetter(first, { lane: 'backfill', code: 'LinkRefused' });
    await addDeadLetter(second);
    const before = Date.now();

    const result = await run((context) =>
      redrive({ ...baseOptions, acknowledge: [first.toUpperCase()], note }, context),
    );

    expect(result.exitCode).toBe(0);
    const [record] = ofType(result, 'acknowledged');
    expect(record).toEqual({
      type: 'acknowledged',
      documentId: first,
      codes: ['LinkRefused', 'DocumentInfected'],
      deadLetters: 12,
      at: expect.any(String),
      note,
    });
    expect(Date.parse(String(record?.at))).toBeGreaterThanOrEqual(before);
    expect(result.printed).toContain(
      `${first}  LinkRefused, DocumentInfected  12 dead letters cleared: ${note}`,
    );
    expect([await visibleDeadLetters('documents'), await deadLetters('backfill')]).toEqual([1, 0]);
    expect([await messages('documents'), await messages('backfill')]).toEqual([0, 0]);
  });

  it('accepts several IDs, and a message ID for a message without a document', async () => {
    const { run, addDeadLetter, deadLetters } = await startWorld();
    await addDeadLetter(first);
    const messageId = await addDeadLetter('', {
      lane: 'discovery',
      body: 'not a message',
      code: 'MalformedMessage',
    });
    await addDeadLetter('', { lane: 'discovery', body: 'neither', code: 'MalformedMessage' });

    const result = await run((context) =>
      redrive({ ...baseOptions, acknowledge: [first, messageId], note }, context),
    );

    expect(ofType(result, 'acknowledged')).toEqual([
      expect.objectContaining({ documentId: first, codes: ['DocumentGone'] }),
      expect.objectContaining({ messageId, codes: ['MalformedMessage'], deadLetters: 1 }),
    ]);
    expect([await deadLetters('documents'), await deadLetters('discovery')]).toEqual([0, 1]);
  });

  it.each([undefined, '', ' \t', 'x'.repeat(201)])('rejects the note %j', async (bad) => {
    const { run, addDeadLetter, visibleDeadLetters } = await startWorld();
    await addDeadLetter(first);

    const refused = run((context) =>
      redrive({ ...baseOptions, acknowledge: [first], ...(bad !== undefined && { note: bad }) }, context),
    );

    await expect(refused).rejects.toThrow(/--note/);
    expect(await visibleDeadLetters('documents')).toBe(1);
  });

  it('accepts a note of 200 characters outside the basic multilingual plane', async () => {
    const { run, addDeadLetter, deadLetters } = await startWorld();
    await addDeadLetter(first);

    await run((context) =>
      redrive({ ...baseOptions, acknowledge: [first], note: '📄'.repeat(200) }, context),
    );

    expect(await deadLetters('documents')).toBe(0);
  });

  it('clears nothing when one of the IDs has no dead letters', async () => {
    const { run, addDeadLetter, visibleDeadLetters } = await startWorld();
    const messageId = await addDeadLetter(first);

    const refused: [id: string, shown: string][] = [
      [second, second],
      [messageId, messageId],
      ['\u001b[2J', '\\u{1b}[2j'],
    ];
    for (const [id, shown] of refused) {
      await expect(
        run((context) => redrive({ ...baseOptions, acknowledge: [first, id], note }, context)),
      ).rejects.toThrow(`No dead letters for ${shown}. Nothing was cleared.`);
    }

    expect(await visibleDeadLetters('documents')).toBe(1);
  });

  it.each([{ code: ['DocumentGone'] }, { id: [first] }, { lane: 'documents' as const }])(
    'rejects --acknowledge together with %j',
    async (filter) => {
      const { run, addDeadLetter, visibleDeadLetters } = await startWorld();
      await addDeadLetter(first);

      const refused = run((context) =>
        redrive({ ...baseOptions, ...filter, acknowledge: [first], note }, context),
      );

      await expect(refused).rejects.toThrow('--acknowledge cannot be combined with --code, --id or --lane.');
      expect(await visibleDeadLetters('documents')).toBe(1);
    },
  );

  it('rejects --note without --acknowledge', async () => {
    const { run, addDeadLetter, visibleDeadLetters } = await startWorld();
    await addDeadLetter(first);

    await expect(run((context) => redrive({ ...baseOptions, note }, context))).rejects.toThrow(
      '--note requires --acknowledge.',
    );
    expect(await visibleDeadLetters('documents')).toBe(1);
  });

  it('asks for confirmation, and clears nothing with --dry-run', async () => {
    const { run, addDeadLetter, visibleDeadLetters } = await startWorld();
    await addDeadLetter(first);
    await addDeadLetter(first);
    const acknowledging = { ...baseOptions, acknowledge: [first], note };

    const refused = await run((context) => redrive({ ...acknowledging, yes: false }, context), {
      answer: false,
    });
    const dry = await run((context) => redrive({ ...acknowledging, dryRun: true }, context));

    expect(refused.questions).toEqual([
      'Clear the dead letters of 1 document (2 dead letters) and leave it unarchived?',
    ]);
    expect([...ofType(refused, 'acknowledged'), ...ofType(dry, 'acknowledged')]).toEqual([]);
    expect(dry.questions).toEqual([]);
    expect(await visibleDeadLetters('documents')).toBe(2);
  });

  it('prints no acknowledgement for a document that has been archived since', async () => {
    const { run, addDeadLetter, writeReceipt, deadLetters } = await startWorld();
    await addDeadLetter(first);
    await writeReceipt(first);

    const result = await run((context) => redrive({ ...baseOptions, acknowledge: [first], note }, context));

    expect(ofType(result, 'acknowledged')).toEqual([]);
    expect(result.printed).toContain(
      '1 document has been archived or erased since; its 1 dead letter is cleared.',
    );
    expect(await deadLetters('documents')).toBe(0);
  });

  it('counts only the dead letters that SQS deleted', async () => {
    const { run, addDeadLetter, proxySqs } = await startWorld();
    for (let n = 0; n < 3; n += 1) await addDeadLetter(first);
    await proxySqs({ operation: 'DeleteMessageBatch', refuses: (position) => position > 0 });

    const result = await run((context) => redrive({ ...baseOptions, acknowledge: [first], note }, context));

    expect(result.exitCode).toBe(1);
    expect(ofType(result, 'acknowledged')).toEqual([expect.objectContaining({ deadLetters: 1 })]);
    expect(end(result)).toMatchObject({ redriven: 0, notDeleted: 2 });
  });
});

it('archiver redrive escapes control characters in codes, reasons and notes', async () => {
  const { run, addDeadLetter } = await startWorld();
  const reason = 'wiped\u001b]0;x\u0007 \u202etxt\nAll is well.';
  await addDeadLetter(first, { code: 'Bad\u001b[2J\nAll is well.', reason });

  const result = await run((context) =>
    redrive({ ...baseOptions, acknowledge: [first], note: 'ends\u009b31m here' }, context),
  );

  expect(result.printed).toContain('Bad\\u{1b}[2J\\u{a}All is well.');
  expect(result.printed).toContain('wiped\\u{1b}]0;x\\u{7} \\u{202e}txt\\u{a}All is well.');
  expect(result.printed).not.toMatch(/^All is well/m);
  expect(result.printed).toContain('ends\\u{9b}31m here');
  for (const control of ['\u001b', '\u0007', '\u009b', '\u202e'])
    expect(result.printed).not.toContain(control);
});

it('archiver redrive escapes control characters in codes and options when nothing matches', async () => {
  const { run, addDeadLetter } = await startWorld();
  await addDeadLetter(first, { code: 'Bad\u001b[2J\nAll is well.' });

  const result = await run((context) => redrive({ ...baseOptions, code: ['x\u009b31m'] }, context));

  expect(result.printed).toBe(
    'No match for --code x\\u{9b}31m among 1 document (1 dead letter) with the code Bad\\u{1b}[2J\\u{a}All is well..\n',
  );
});
