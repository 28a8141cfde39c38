/** What `redrive` chooses, asks, clears and says: on an SQS in memory. */
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import { type RedriveOptions, redrive } from '../../../cli/commands/redrive.ts';
import type { Target } from '../../../cli/target/target.ts';
import type { LaneName } from '../../../functions/queue/lanes.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { firstSentAt, memoryLanes as lanes, memorySqs, type Verdict } from '../../fakes/memory-sqs.ts';
import { recordingTerminal } from '../world.ts';

const [first, second, third] = [1, 2, 3].map(
  (n) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`,
) as [string, string, string];
const bodyOf = (documentId: string) =>
  JSON.stringify({
    v: 1,
    kind: 'document',
    documentId,
    trigger: 'sweep',
    requestedAt: '2026-11-24T08:00:00Z',
  });

function startWorld({
  archived = [] as string[],
  verdict = (): Verdict => 'done',
  hasAuditLane = true,
} = {}) {
  const memory = memorySqs(verdict);
  const letter = (documentId: string, code: string, lane: LaneName = 'documents') =>
    memory.put(`${lane}-dead`, bodyOf(documentId), { code });
  const run = async (options: Partial<RedriveOptions> = {}, answer = false) => {
    const { terminal, result: told } = recordingTerminal({ answer });
    const keys = archived.map((id) => `receipts/${id}.json`);
    const target = {
      options: [],
      queues: async () => ({
        sqs: memory.sqs,
        lanes: { ...lanes, ...(!hasAuditLane && { audit: undefined }) },
      }),
      bucket: async () => ({
        bucket: { list: async (prefix: string) => keys.filter((key) => key.startsWith(prefix)) },
      }),
    } as unknown as Target;
    told.exitCode = await redrive(
      { rate: 1_000, wait: 0, yes: true, ...options },
      {
        target,
        terminal: { ...terminal, paint: (style, text) => `<${style}>${text}` },
        time: virtualTime(firstSentAt + 60_000),
        random: () => 0.5,
        signal: new AbortController().signal,
      },
    );
    return { ...told, end: told.records.find(({ type }) => type === 'end') };
  };
  /** Document IDs that have been sent. */
  const sent = () =>
    memory.commands
      .filter((command) => command instanceof SendMessageBatchCommand)
      .flatMap(({ input }) => input.Entries ?? [])
      .map(({ MessageBody = '' }) => JSON.parse(MessageBody).documentId)
      .sort();
  const allVisible = () =>
    ['documents-dead', 'backfill-dead'].flatMap((url) => memory.at(url)).every(({ isVisible }) => isVisible);
  return { ...memory, letter, run, sent, allVisible };
}

describe('archiver redrive chooses', () => {
  it.each<[string, Partial<RedriveOptions>, string[]]>([
    ['all', {}, [first, second, third]],
    ['those of a code, in any case', { code: ['documentgone'] }, [first]],
    ['those of one of several codes', { code: ['DocumentGone', 'LinkRefused'] }, [first, second]],
    ['those of a document', { id: [second.toUpperCase()] }, [second]],
    ['those of a document and a code', { id: [second], code: ['DocumentGone'] }, []],
    ['those of a lane', { lane: 'backfill' }, [third]],
  ])('%s', async (_which, options, chosen) => {
    const { letter, run, sent, allVisible } = startWorld();
    letter(first, 'DocumentGone');
    letter(second, 'LinkRefused');
    letter(third, 'TelnyxUnavailable', 'backfill');

    const { exitCode, printed } = await run(options);

    expect(exitCode).toBe(0);
    expect(sent()).toEqual(chosen);
    expect(allVisible()).toBe(true);
    if (chosen.length === 0) {
      expect(printed).toBe(
        `No match for --code DocumentGone --id ${second} among 3 documents (3 dead letters) with the codes DocumentGone, LinkRefused, TelnyxUnavailable.\n`,
      );
    }
  });

  it('a document by any of the codes that its dead letters have', async () => {
    const { letter, run, sent, bodies } = startWorld();
    letter(first, 'LinkRefused');
    letter(first, 'DocumentGone');

    await run({ code: ['LinkRefused'] });

    expect([sent(), bodies('documents-dead')]).toEqual([[first], []]);
  });

  it('messages of the audit, which go back to the queue of the audit', async () => {
    const { put, letter, run, bodies, at } = startWorld();
    const requestedAt = '2026-11-24T02:15:00Z';
    const start = JSON.stringify({ v: 1, kind: 'audit-start', requestedAt });
    const part = JSON.stringify({
      v: 1,
      kind: 'audit-part',
      run: '20261124T021500Z',
      part: 'ids__',
      requestedAt,
    });
    for (const body of [start, part]) put('audit-dead', body, { code: 'BucketUnavailable' });
    letter(first, 'DocumentGone');

    const { exitCode, printed, end } = await run({ lane: 'audit' });

    expect(exitCode).toBe(0);
    expect(bodies('audit').sort()).toEqual([part, start]);
    expect(at('audit-dead')).toEqual([]);
    expect(bodies('documents')).toEqual([]);
    expect(end).toMatchObject({ redriven: 2, failedAgain: 0 });
    expect(printed).toContain('2 messages (2 dead letters) redriven');
  });

  it('the dead letters of an archiver of an older version, which has no audit', async () => {
    const { letter, run, sent } = startWorld({ hasAuditLane: false });
    letter(first, 'DocumentGone');

    await expect(run({ lane: 'audit' })).rejects.toThrow(
      'This archiver has no lane audit: an older version deployed it. Deploy again',
    );
    expect(sent()).toEqual([]);

    await run();

    expect(sent()).toEqual([first]);
  });

  it.each<[Partial<RedriveOptions>, string]>([
    [{ acknowledge: [first], note: 'x', code: ['A'] }, '--acknowledge cannot be combined with'],
    [{ acknowledge: [first], note: 'x', id: [first] }, '--acknowledge cannot be combined with'],
    [{ acknowledge: [first], note: 'x', lane: 'documents' }, '--acknowledge cannot be combined with'],
    [{ acknowledge: [first] }, '--acknowledge requires --note: say why the document stays unarchived.'],
    [{ acknowledge: [first], note: ' \t' }, '--acknowledge requires --note'],
    [{ acknowledge: [first], note: 'x'.repeat(201) }, '--note has 201 characters. The maximum is 200.'],
    [{ note: 'x' }, '--note requires --acknowledge.'],
    [{ id: ['x'] }, '--id 1: "x"'],
    [
      { acknowledge: [second, first], note: 'x' },
      `No dead letters for ${second}. Nothing was cleared. Pass document IDs as shown by`,
    ],
  ])('nothing with %j', async (options, words) => {
    const { letter, run, bodies, sent, allVisible } = startWorld();
    letter(first, 'DocumentGone');

    await expect(run(options)).rejects.toThrow(words);

    expect(bodies('documents-dead')).toHaveLength(1);
    expect([sent(), allVisible()]).toEqual([[], true]);
  });
});

describe('archiver redrive asks', () => {
  it.each<[string, Partial<RedriveOptions>, string[], string]>([
    ['what is redriven', {}, [], 'Redrive 2 documents (3 dead letters)?'],
    ['what is redriven beside what is cleared', {}, [first], 'Redrive 1 document (1 dead letter)?'],
    ['what is cleared', {}, [first, second], 'Clear the dead letters of 2 archived or erased documents?'],
    [
      'what is acknowledged',
      { acknowledge: [first], note: 'x' },
      [],
      'Clear the dead letters of 1 document (2 dead letters) and leave it unarchived?',
    ],
    [
      'what is acknowledged, of several',
      { acknowledge: [first, ` ${second.toUpperCase()}`], note: 'x' },
      [],
      'Clear the dead letters of 2 documents (3 dead letters) and leave them unarchived?',
    ],
  ])('%s, and changes nothing without a yes', async (_what, options, archived, question) => {
    const { letter, run, bodies, sent, allVisible } = startWorld({ archived });
    letter(first, 'DocumentGone');
    letter(first, 'DocumentGone');
    letter(second, 'LinkRefused');

    const { exitCode, questions, noted, end } = await run({ ...options, yes: false });

    expect(exitCode).toBe(0);
    expect(questions).toEqual([question]);
    expect(noted).toBe('Nothing was changed.\n');
    expect([bodies('documents-dead').length, sent(), allVisible(), end]).toEqual([3, [], true, undefined]);
  });

  it('and does it after a yes', async () => {
    const { letter, run, bodies } = startWorld();
    letter(first, 'DocumentGone');

    await run({ yes: false }, true);

    expect([bodies('documents').length, bodies('documents-dead').length]).toEqual([1, 0]);
  });

  it('nothing with --dry-run, which shows everything and changes nothing', async () => {
    const { letter, run, sent, bodies } = startWorld({ archived: [second] });
    letter(first, 'DocumentGone');
    letter(second, 'LinkRefused');

    const { questions, printed, records } = await run({ dryRun: true, yes: false });

    expect(questions).toEqual([]);
    expect(printed).toMatch(/^1 document \(1 dead letter\)\n\n/);
    expect(printed).toContain(
      '1 document has been archived or erased since; redrive clears its 1 dead letter without sending anything.\n',
    );
    expect(records.at(-1)).toEqual({
      type: 'archived',
      documentId: second,
      codes: ['LinkRefused'],
      letters: 1,
    });
    expect([sent(), bodies('documents-dead').length]).toEqual([[], 2]);
  });
});

describe('archiver redrive says', () => {
  it('what it has cleared, and shows no table where nothing else is left', async () => {
    const { letter, run, sent } = startWorld({ archived: [first] });
    letter(first, 'DocumentGone');
    letter(first, 'DocumentGone');

    const { exitCode, printed, records } = await run();

    expect(exitCode).toBe(0);
    expect(printed).toBe(
      '1 document has been archived or erased since; redrive clears its 2 dead letters without sending anything.\n' +
        '1 document has been archived or erased since; its 2 dead letters are cleared.\n',
    );
    expect(records).toEqual([
      { type: 'total', documents: 1, otherMessages: 0, deadLetters: 2, lockedElsewhere: 0 },
      { type: 'archived', documentId: first, codes: ['DocumentGone'], letters: 2 },
      { type: 'cleared', documents: 1, letters: 2 },
      { type: 'end', redriven: 0, failedAgain: 0, notSent: 0, notDeleted: 0, stopped: false },
    ]);
    expect(sent()).toEqual([]);
  });

  it('what SQS did not delete of what it cleared, acknowledged and redrove', async () => {
    const world = () => {
      const created = startWorld({ archived: [second], verdict: () => verdicts.shift() ?? 'done' });
      created.letter(first, 'DocumentGone');
      created.letter(first, 'DocumentGone');
      created.letter(second, 'LinkRefused');
      return created;
    };
    // Of the archived document's letter, then of the message sent, then of the two letters.
    const verdicts: Verdict[] = ['failed', 'done', 'done', 'failed'];
    const redriven = await world().run();
    verdicts.splice(0, verdicts.length, 'failed', 'failed');
    const acknowledged = await world().run({ acknowledge: [first], note: 'x' });

    expect([redriven.exitCode, acknowledged.exitCode]).toEqual([1, 1]);
    expect(redriven.records).toContainEqual({ type: 'cleared', documents: 1, letters: 0 });
    expect(redriven.end).toMatchObject({ redriven: 1, notSent: 0, notDeleted: 2 });
    expect(acknowledged.end).toMatchObject({ redriven: 0, notSent: 0, notDeleted: 2 });
    expect(redriven.printed).toContain(
      '<red>SQS did not delete 2 dead letters. Run `npm run archiver -- redrive` again: it clears dead letters of archived or erased documents.\n',
    );
    expect(redriven.printed).not.toContain('its 1 dead letter is cleared');
  });

  it('what SQS did not accept', async () => {
    const verdicts: Verdict[] = ['failed', 'done'];
    const { letter, run, bodies } = startWorld({ verdict: () => verdicts.shift() ?? 'done' });
    letter(first, 'DocumentGone');
    letter(second, 'DocumentGone');

    const { exitCode, printed, end } = await run();

    expect(exitCode).toBe(1);
    expect(end).toMatchObject({ redriven: 1, notSent: 1, notDeleted: 0 });
    expect(printed).toContain(
      '<red>SQS did not accept 1 message; its dead letters were kept. Run `npm run archiver -- redrive` again.\n',
    );
    expect(bodies('documents-dead')).toEqual([bodyOf(first)]);
  });

  it('what SQS did not accept, of several', async () => {
    const verdicts: Verdict[] = ['failed', 'failed'];
    const { letter, run } = startWorld({ verdict: () => verdicts.shift() ?? 'done' });
    letter(first, 'DocumentGone');
    letter(second, 'DocumentGone');

    const { exitCode, printed } = await run();

    expect(exitCode).toBe(1);
    expect(printed).toContain('SQS did not accept 2 messages; their dead letters were kept.');
    expect(printed).not.toContain('redriven,');
  });

  it('that there are none in the lane, or none of the code or document', async () => {
    const { letter, run } = startWorld();
    letter(first, 'DocumentGone');

    const ofLane = await run({ lane: 'spans' });
    const ofCode = await run({ code: ['LinkRefused'] });
    const ofDocument = await run({ id: [second] });

    expect([ofLane.exitCode, ofCode.exitCode, ofDocument.exitCode]).toEqual([0, 0, 0]);
    expect(ofDocument.printed).toMatch(`No match for --id ${second} among 1 document`);
    expect(ofLane.printed).toBe('No dead letters in the lane spans.\n');
    expect(ofCode.printed).toBe(
      'No match for --code LinkRefused among 1 document (1 dead letter) with the code DocumentGone.\n',
    );
  });
});

describe('archiver redrive of dead letters that another command has locked', () => {
  it.each<[string, Partial<RedriveOptions>, number]>([
    ['beside those that it redrives', {}, 1],
    ['beside those that it only shows', { dryRun: true }, 0],
    ['beside those that the options do not select', { code: ['LinkRefused'] }, 0],
  ])('says until when they are locked and ends with 1: %s', async (_what, options, redriven) => {
    const { letter, run, sent } = startWorld();
    letter(first, 'DocumentGone');
    letter(second, 'DocumentGone').isVisible = false;

    const { exitCode, printed, records } = await run(options);

    expect(exitCode).toBe(1);
    expect(records[0]).toEqual({
      type: 'total',
      documents: 1,
      otherMessages: 0,
      deadLetters: 1,
      lockedElsewhere: 1,
    });
    expect(printed).toMatch(
      /^<yellow>1 dead letter is in use by another command \(counted by SQS, up to a minute late\)\.\n<yellow>If that command has ended, it is visible again by 12:11 UTC\.\n/,
    );
    expect(sent()).toHaveLength(redriven);
  });

  it('does not say that there are none', async () => {
    const { letter, run } = startWorld();
    for (const id of [first, second]) letter(id, 'DocumentGone').isVisible = false;

    const { exitCode, printed } = await run();

    expect(exitCode).toBe(1);
    expect(printed).toBe(
      '<yellow>2 dead letters are in use by another command (counted by SQS, up to a minute late).\n' +
        '<yellow>If that command has ended, they are visible again by 12:11 UTC.\n',
    );
  });
});
