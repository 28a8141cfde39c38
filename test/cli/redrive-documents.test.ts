/** What `redrive` does per document: on queues that no function reads, so that each message can be counted. */
import { DeleteMessageBatchCommand, SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import { type RedriveOptions, redrive } from '../../cli/commands/redrive.ts';
import { errorCodes } from '../../functions/errors.ts';
import { bodyFor, refusing, startWorld } from './queues-world.ts';
import type { Told } from './world.ts';

const plain: RedriveOptions = { rate: 1_000, settle: 0, yes: true };
const [first, second, third] = [1, 2, 3].map(
  (n) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`,
) as [string, string, string];
const ofType = ({ records }: Told, type: string) => records.filter((record) => record.type === type);
const end = (told: Told) => ofType(told, 'end')[0];

describe('archiver redrive counts documents', () => {
  it('shows documents beside dead letters, by the code of the newest letter', async () => {
    const { run, letter } = await startWorld();
    for (let n = 0; n < 3; n += 1) await letter(first, { code: 'DocumentInfected' });
    await letter(second);
    await letter('', { lane: 'discovery', body: 'not a message', code: 'MalformedMessage' });

    const told = await run((s) => redrive({ ...plain, dryRun: true }, s));

    expect(told.printed).toContain('2 documents and 1 other message (5 dead letters)');
    expect(ofType(told, 'group')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ lane: 'documents', code: 'DocumentInfected', documents: 1, letters: 3 }),
        expect.objectContaining({ lane: 'documents', code: 'DocumentGone', documents: 1, letters: 1 }),
        expect.objectContaining({ lane: 'discovery', code: 'MalformedMessage', documents: 0, letters: 1 }),
      ]),
    );
    expect(ofType(told, 'letter')).toHaveLength(5);
  });

  it('fits the table of dead letters into 80 columns for every error code', async () => {
    const { run, letter } = await startWorld();
    const longest = errorCodes.toSorted((a, b) => b.length - a.length)[0];
    await letter(first, { lane: 'discovery', code: longest });

    const { printed } = await run((s) => redrive({ ...plain, dryRun: true }, s));

    const rows = printed.split('\n').filter((line) => /^[┌├│└]/.test(line));
    expect(rows).toHaveLength(5);
    expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(80);
    expect(printed).toContain(`For example ${first}`);
  });

  it('sends one message for a document with several dead letters and deletes all of them', async () => {
    const { run, letter, depth, letters } = await startWorld();
    for (let n = 0; n < 12; n += 1) await letter(first);
    await letter(first, { lane: 'backfill' });
    await letter(second);

    const told = await run((s) => redrive(plain, s));

    expect(told.exitCode).toBe(0);
    expect(end(told)).toMatchObject({ redriven: 2, failedAgain: 0, notSent: 0, notDeleted: 0 });
    expect(told.printed).toContain('2 documents (14 dead letters) redriven');
    expect([await depth('documents'), await depth('backfill')]).toEqual([2, 0]);
    expect([await letters('documents'), await letters('backfill')]).toEqual([0, 0]);
  });

  it('sends the oldest message that this version can read', async () => {
    const { run, letter, bodies } = await startWorld();
    await letter(first, { body: `{"v":2,"kind":"document","documentId":"${first}"}` });
    await letter(first, { body: bodyFor(first, 'webhook') });
    await letter(first, { body: bodyFor(first, 'sweep') });

    await run((s) => redrive(plain, s));

    expect(await bodies('documents')).toEqual([bodyFor(first, 'webhook')]);
  });

  it('redrives messages without a document one by one, and time spans into their own lane', async () => {
    const { run, letter, bodies, letters, depth } = await startWorld();
    const span = (day: number) => `{"v":1,"kind":"span","createdAfter":"2026-11-0${day}T00:00:00Z"}`;
    await letter('', { lane: 'spans', body: span(1), code: 'TelnyxUnavailable' });
    await letter('', { lane: 'spans', body: span(2), code: 'TelnyxUnavailable' });

    const told = await run((s) => redrive({ ...plain, lane: 'spans' }, s));

    expect(told.printed).toContain('2 messages (2 dead letters) redriven');
    expect((await bodies('spans')).sort()).toEqual([span(1), span(2)]);
    expect([await letters('spans'), await depth('discovery')]).toEqual([0, 0]);
  });

  it('chooses a document by any code that its dead letters have', async () => {
    const { run, letter, letters } = await startWorld();
    await letter(first, { code: 'LinkRefused' });
    await letter(first, { code: 'DocumentGone' });
    await letter(second, { code: 'DocumentGone' });

    const told = await run((s) => redrive({ ...plain, code: ['LinkRefused'] }, s));

    expect(end(told)).toMatchObject({ redriven: 1 });
    expect(await letters('documents')).toBe(1);
  });

  it('asks with the number of documents and changes nothing when the answer is no', async () => {
    const { run, letter, settle, visibleLetters, depth } = await startWorld();
    await letter(first);
    await letter(first);
    await letter(second);
    await settle(second);

    const told = await run((s) => redrive({ ...plain, yes: false }, s), { answer: false });

    expect(told.questions).toEqual(['Redrive 1 document (2 dead letters)?']);
    expect([await visibleLetters('documents'), await depth('documents')]).toEqual([3, 0]);
  });
});

describe('archiver redrive and documents that have been archived since', () => {
  it('clears their dead letters without sending them', async () => {
    const { run, letter, settle, depth, letters, bodies } = await startWorld();
    for (const id of [first, first, first, second, second, third]) await letter(id);
    await settle(first);
    await settle(second);

    const told = await run((s) => redrive(plain, s));

    expect(told.exitCode).toBe(0);
    expect(told.printed).toContain('2 documents have been archived since; their 5 dead letters are cleared.');
    expect(ofType(told, 'settled')).toEqual(
      expect.arrayContaining([{ type: 'settled', documentId: first, codes: ['DocumentGone'], letters: 3 }]),
    );
    expect(ofType(told, 'cleared')).toEqual([{ type: 'cleared', documents: 2, letters: 5 }]);
    expect(end(told)).toMatchObject({ redriven: 1 });
    expect([await letters('documents'), await depth('documents')]).toEqual([0, 1]);
    expect(await bodies('documents')).toEqual([bodyFor(third)]);
  });

  it('clears nothing with --dry-run and says what a redrive would clear', async () => {
    const { run, letter, settle, visibleLetters } = await startWorld();
    await letter(first);
    await settle(first);

    const told = await run((s) => redrive({ ...plain, dryRun: true }, s));

    expect(told.printed).toContain(
      '1 document has been archived since; redrive clears its 1 dead letter without sending anything.',
    );
    expect(ofType(told, 'cleared')).toEqual([]);
    expect(await visibleLetters('documents')).toBe(1);
  });
});

describe('archiver redrive and batches that SQS takes in part', () => {
  it('keeps the dead letters of messages that SQS did not take', async () => {
    const { run, letter, sqs, through, depth, visibleLetters } = await startWorld();
    for (const id of [first, first, second, third]) await letter(id);
    through(refusing(sqs, SendMessageBatchCommand, (position) => position !== 1));

    const told = await run((s) => redrive(plain, s));

    expect(told.exitCode).toBe(1);
    expect(end(told)).toMatchObject({ redriven: 1, notSent: 2 });
    expect(told.printed).toMatch(/SQS did not accept 2 messages; their dead letters were kept/);
    expect(await depth('documents')).toBe(1);
    const left = await run((s) => redrive({ ...plain, dryRun: true }, s));
    const kept = new Set(ofType(left, 'letter').map(({ documentId }) => documentId));
    expect(kept.size).toBe(2);
    expect(await visibleLetters('documents')).toBe(ofType(left, 'letter').length);
  });

  it('tells how many dead letters SQS did not delete and releases them', async () => {
    const { run, letter, sqs, through, depth, visibleLetters } = await startWorld();
    for (const id of [first, first, first, second]) await letter(id);
    through(refusing(sqs, DeleteMessageBatchCommand, (position) => position > 0));

    const told = await run((s) => redrive(plain, s));

    expect(told.exitCode).toBe(1);
    expect(end(told)).toMatchObject({ redriven: 2, notSent: 0, notDeleted: 3 });
    expect(told.printed).toMatch(/SQS did not delete 3 dead letters/);
    expect([await depth('documents'), await visibleLetters('documents')]).toEqual([2, 3]);
  });

  it('does not say that dead letters of archived documents are cleared when SQS did not delete them', async () => {
    const { run, letter, settle, sqs, through } = await startWorld();
    for (const id of [first, first]) await letter(id);
    await settle(first);
    through(refusing(sqs, DeleteMessageBatchCommand, (position) => position > 0));

    const told = await run((s) => redrive(plain, s));

    expect(told.exitCode).toBe(1);
    expect(ofType(told, 'cleared')).toEqual([{ type: 'cleared', documents: 1, letters: 1 }]);
    expect(told.printed).not.toContain('are cleared');
    expect(told.printed).toMatch(/SQS did not delete 1 dead letter/);
  });

  it('stays below 1 MiB with each batch of large messages', async () => {
    const { run, letter, depth, letters } = await startWorld();
    for (let n = 0; n < 5; n += 1) {
      await letter('', { lane: 'discovery', body: `${n}${'ü'.repeat(250_000)}`, code: 'MalformedMessage' });
    }

    const told = await run((s) => redrive(plain, s));

    expect(end(told)).toMatchObject({ redriven: 5, notSent: 0 });
    expect([await depth('discovery'), await letters('discovery')]).toEqual([5, 0]);
  });
});

describe('archiver redrive --acknowledge', () => {
  const note = 'Malware; the customer has sent a clean copy.';

  it('clears the dead letters of this document alone and records code, time and note', async () => {
    const { run, letter, visibleLetters, letters, depth } = await startWorld();
    for (let n = 0; n < 11; n += 1) await letter(first, { code: 'DocumentInfected' });
    await letter(first, { lane: 'backfill', code: 'LinkRefused' });
    await letter(second);
    const before = Date.now();

    const told = await run((s) => redrive({ ...plain, acknowledge: [first.toUpperCase()], note }, s));

    expect(told.exitCode).toBe(0);
    const [record] = ofType(told, 'acknowledged');
    expect(record).toEqual({
      type: 'acknowledged',
      documentId: first,
      codes: ['LinkRefused', 'DocumentInfected'],
      deadLetters: 12,
      at: expect.any(String),
      note,
    });
    expect(Date.parse(String(record?.at))).toBeGreaterThanOrEqual(before);
    expect(told.printed).toContain(
      `${first}  LinkRefused, DocumentInfected  12 dead letters cleared: ${note}`,
    );
    expect([await visibleLetters('documents'), await letters('backfill')]).toEqual([1, 0]);
    expect([await depth('documents'), await depth('backfill')]).toEqual([0, 0]);
  });

  it('takes several IDs, and a message ID for a message that names no document', async () => {
    const { run, letter, letters } = await startWorld();
    await letter(first);
    const messageId = await letter('', {
      lane: 'discovery',
      body: 'not a message',
      code: 'MalformedMessage',
    });
    await letter('', { lane: 'discovery', body: 'neither', code: 'MalformedMessage' });

    const told = await run((s) => redrive({ ...plain, acknowledge: [first, messageId], note }, s));

    expect(ofType(told, 'acknowledged')).toEqual([
      expect.objectContaining({ documentId: first, codes: ['DocumentGone'] }),
      expect.objectContaining({ messageId, codes: ['MalformedMessage'], deadLetters: 1 }),
    ]);
    expect([await letters('documents'), await letters('discovery')]).toEqual([0, 1]);
  });

  it.each([undefined, '', ' \t', 'x'.repeat(201)])('refuses the note %j', async (bad) => {
    const { run, letter, visibleLetters } = await startWorld();
    await letter(first);

    const refused = run((s) =>
      redrive({ ...plain, acknowledge: [first], ...(bad !== undefined && { note: bad }) }, s),
    );

    await expect(refused).rejects.toThrow(/--note/);
    expect(await visibleLetters('documents')).toBe(1);
  });

  it('takes a note of 200 characters, whatever their number of code units', async () => {
    const { run, letter, letters } = await startWorld();
    await letter(first);

    await run((s) => redrive({ ...plain, acknowledge: [first], note: '📄'.repeat(200) }, s));

    expect(await letters('documents')).toBe(0);
  });

  it('clears nothing when one of the IDs has no dead letters', async () => {
    const { run, letter, visibleLetters } = await startWorld();
    const messageId = await letter(first);

    const refused: [id: string, shown: string][] = [
      [second, second],
      [messageId, messageId],
      ['\u001b[2J', '\\u{1b}[2j'],
    ];
    for (const [id, shown] of refused) {
      await expect(run((s) => redrive({ ...plain, acknowledge: [first, id], note }, s))).rejects.toThrow(
        `No dead letters for ${shown}. Nothing was cleared.`,
      );
    }

    expect(await visibleLetters('documents')).toBe(1);
  });

  it.each([{ code: ['DocumentGone'] }, { id: [first] }, { lane: 'documents' as const }])(
    'refuses --acknowledge together with %j',
    async (filter) => {
      const { run, letter, visibleLetters } = await startWorld();
      await letter(first);

      const refused = run((s) => redrive({ ...plain, ...filter, acknowledge: [first], note }, s));

      await expect(refused).rejects.toThrow('--acknowledge cannot be combined with --code, --id or --lane.');
      expect(await visibleLetters('documents')).toBe(1);
    },
  );

  it('refuses --note without --acknowledge', async () => {
    const { run, letter, visibleLetters } = await startWorld();
    await letter(first);

    await expect(run((s) => redrive({ ...plain, note }, s))).rejects.toThrow(
      '--note requires --acknowledge.',
    );
    expect(await visibleLetters('documents')).toBe(1);
  });

  it('asks first, and clears nothing with --dry-run', async () => {
    const { run, letter, visibleLetters } = await startWorld();
    await letter(first);
    await letter(first);
    const acknowledging = { ...plain, acknowledge: [first], note };

    const refused = await run((s) => redrive({ ...acknowledging, yes: false }, s), { answer: false });
    const dry = await run((s) => redrive({ ...acknowledging, dryRun: true }, s));

    expect(refused.questions).toEqual([
      'Clear the dead letters of 1 document (2 dead letters) and leave it unarchived?',
    ]);
    expect([...ofType(refused, 'acknowledged'), ...ofType(dry, 'acknowledged')]).toEqual([]);
    expect(dry.questions).toEqual([]);
    expect(await visibleLetters('documents')).toBe(2);
  });

  it('records no acknowledgement for a document that has been archived since', async () => {
    const { run, letter, settle, letters } = await startWorld();
    await letter(first);
    await settle(first);

    const told = await run((s) => redrive({ ...plain, acknowledge: [first], note }, s));

    expect(ofType(told, 'acknowledged')).toEqual([]);
    expect(told.printed).toContain('1 document has been archived since; its 1 dead letter is cleared.');
    expect(await letters('documents')).toBe(0);
  });

  it('counts only the dead letters that SQS deleted', async () => {
    const { run, letter, sqs, through } = await startWorld();
    for (let n = 0; n < 3; n += 1) await letter(first);
    through(refusing(sqs, DeleteMessageBatchCommand, (position) => position > 0));

    const told = await run((s) => redrive({ ...plain, acknowledge: [first], note }, s));

    expect(told.exitCode).toBe(1);
    expect(ofType(told, 'acknowledged')).toEqual([expect.objectContaining({ deadLetters: 1 })]);
    expect(end(told)).toMatchObject({ redriven: 0, notDeleted: 2 });
  });
});

it('archiver redrive shows the words of others without the characters that a terminal obeys', async () => {
  const { run, letter } = await startWorld();
  await letter(first, { code: 'Bad\u001b[2J', reason: 'wiped\u001b]0;x\u0007 \u202etxt' });

  const told = await run((s) => redrive({ ...plain, acknowledge: [first], note: 'ends\u009b31m here' }, s));

  expect(told.printed).toContain('Bad\\u{1b}[2J');
  expect(told.printed).toContain('wiped\\u{1b}]0;x\\u{7} \\u{202e}txt');
  expect(told.printed).toContain('ends\\u{9b}31m here');
  for (const obeyed of ['\u001b', '\u0007', '\u009b', '\u202e']) expect(told.printed).not.toContain(obeyed);
});
