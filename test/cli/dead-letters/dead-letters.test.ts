/** Reading, locking, grouping and clearing dead letters, on an SQS in memory. */
import {
  ChangeMessageVisibilityBatchCommand,
  type GetQueueAttributesCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import type { CommandContext } from '../../../cli/command.ts';
import { acknowledge, failuresWithIds, parseNote } from '../../../cli/dead-letters/acknowledge.ts';
import { describeArchived, splitByReceipt } from '../../../cli/dead-letters/by-receipt.ts';
import {
  codeOf,
  codesOf,
  describeCount,
  describeFailures,
  type Failure,
  failuresOf,
  letterToSend,
} from '../../../cli/dead-letters/failures.ts';
import { showFailures } from '../../../cli/dead-letters/failures-table.ts';
import {
  createDeadLetterLock,
  type LockedMessage,
  peekDeadLetters,
  withDeadLetterLock,
} from '../../../cli/dead-letters/lock.ts';
import { type LaneName, laneNames } from '../../../functions/queue/lanes.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { firstSentAt, memoryLanes as lanes, memorySqs, type Verdict } from '../../fakes/memory-sqs.ts';
import { recordingTerminal } from '../world.ts';

const never = new AbortController().signal;
const [first, second] = [1, 2].map((n) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`) as [
  string,
  string,
];
const bodyOf = (documentId: string, v = 1) =>
  JSON.stringify({ v, kind: 'document', documentId, trigger: 'sweep', requestedAt: '2026-11-24T08:00:00Z' });

function lockOn(sqs: SQSClient, of: readonly LaneName[] = laneNames, signal = never) {
  return createDeadLetterLock({ sqs, lanes }, { lanes: of, forSeconds: 77, signal });
}

/** A dead letter; the later ones of a list are younger. */
const letter = (facts: Partial<LockedMessage> = {}): LockedMessage => ({
  lane: 'documents',
  messageId: 'm-1',
  receiptHandle: 'h',
  body: bodyOf(first),
  code: 'DocumentGone',
  reason: undefined,
  attempts: undefined,
  deadSince: firstSentAt,
  documentId: first,
  ...facts,
});

describe('the lock on dead letters', () => {
  it('asks for ten at a time, by a long poll, with everything that a letter says of itself', async () => {
    const { sqs, commands } = memorySqs();

    await lockOn(sqs, ['spans']).acquire();

    expect(commands).toHaveLength(4);
    for (const command of commands) {
      expect(command).toBeInstanceOf(ReceiveMessageCommand);
      expect((command as ReceiveMessageCommand).input).toEqual({
        QueueUrl: 'spans-dead',
        MaxNumberOfMessages: 10,
        VisibilityTimeout: 77,
        WaitTimeSeconds: 1,
        MessageAttributeNames: ['All'],
        MessageSystemAttributeNames: ['SentTimestamp'],
      });
    }
  });

  it('takes all letters of its lanes, each once, and later only those that are new', async () => {
    const { sqs, put } = memorySqs();
    for (let n = 0; n < 57; n += 1) put('documents-dead', bodyOf(first));
    put('backfill-dead', bodyOf(first));
    put('spans-dead', 'not of these lanes');
    const lock = lockOn(sqs, ['documents', 'backfill']);

    const taken = await lock.acquire();
    const again = await lock.acquire();
    put('documents-dead', bodyOf(second));
    const added = await lock.acquire();

    expect(new Set(taken.map(({ messageId }) => messageId)).size).toBe(58);
    expect(again).toEqual([]);
    expect(added.map(({ documentId }) => documentId)).toEqual([second]);
    expect(lock.letters()).toHaveLength(59);
  });

  it.each<[string, string, Record<string, string>, Partial<LockedMessage>]>([
    [
      'of a function',
      bodyOf(first),
      { code: 'DocumentGone', reason: 'Gone.', attempts: '7' },
      { code: 'DocumentGone', reason: 'Gone.', attempts: 7, documentId: first },
    ],
    [
      'of the scheduler',
      '{"v":1,"kind":"recent"}',
      { ERROR_CODE: 'NO_PERMISSIONS', ERROR_MESSAGE: 'Denied.' },
      { code: 'NO_PERMISSIONS', reason: 'Denied.', attempts: undefined, documentId: undefined },
    ],
    ['of SQS', bodyOf(first), {}, { code: undefined, reason: undefined, documentId: first }],
    ['with an ID alone', ` ${first}\n`, {}, { documentId: first, body: ` ${first}\n` }],
    ['of a later version', bodyOf(first, 2), {}, { documentId: first }],
    ['that is not JSON', 'x', {}, { documentId: undefined }],
    ['that is null', 'null', {}, { documentId: undefined }],
    ['of another kind', `{"kind":"span","documentId":"${first}"}`, {}, { documentId: undefined }],
    ['with another ID than a UUID', '{"kind":"document","documentId":"x"}', {}, { documentId: undefined }],
    ['with a list as its ID', `{"kind":"document","documentId":["${first}"]}`, {}, { documentId: undefined }],
  ])('reads a letter %s', async (_whose, body, attributes, expected) => {
    const { sqs, put } = memorySqs();
    put('documents-dead', body, attributes);

    const [read] = await lockOn(sqs).acquire();

    expect(read).toMatchObject({ lane: 'documents', messageId: 'm-1', deadSince: firstSentAt, ...expected });
  });

  it('reads a letter of which SQS says nothing', async () => {
    let asked = 0;
    const sqs = { send: async () => (asked++ === 0 ? { Messages: [{}] } : {}) } as unknown as SQSClient;

    expect(await lockOn(sqs, ['documents']).acquire()).toEqual([
      letter({
        messageId: '',
        receiptHandle: '',
        body: '',
        code: undefined,
        deadSince: 0,
        documentId: undefined,
      }),
    ]);
  });

  it('deletes with the receipt handle of the last receive, and releases what SQS did not delete', async () => {
    const verdicts: Verdict[] = ['done', 'failed', 'forgotten', 'done in silence'];
    const { sqs, put, at } = memorySqs(() => verdicts.shift() ?? 'done');
    const stored = Array.from({ length: 5 }, (_, n) =>
      put('documents-dead', bodyOf(first), { code: String(n) }),
    );
    const lock = lockOn(sqs);
    const before = await lock.acquire();
    // Their locks have run out: they are received again.
    for (const message of stored) message.isVisible = true;
    expect(await lock.acquire()).toEqual([]);

    const kept = await lock.delete(before.slice(0, 4));

    expect(kept).toBe(3);
    expect(lock.letters().map(({ messageId }) => messageId)).toEqual(['m-2', 'm-3', 'm-4', 'm-5']);
    await lock.release();
    expect(at('documents-dead').map(({ id, isVisible }) => [id, isVisible])).toEqual([
      ['m-2', true],
      ['m-3', true],
      ['m-5', true],
    ]);
    expect(lock.letters()).toEqual([]);
  });

  it('counts a letter once, though SQS names it twice', async () => {
    const { sqs, put } = memorySqs();
    for (let n = 0; n < 3; n += 1) put('documents-dead', bodyOf(first));
    const lock = lockOn(sqs);
    const letters = await lock.acquire();
    const doubling = {
      send: async () => ({ Successful: [{ Id: '0' }, { Id: '0' }, { Id: '9' }] }),
    } as unknown as SQSClient;
    Object.assign(sqs, doubling);

    expect(await lock.delete(letters)).toBe(2);
  });

  it('takes no more than 100,000 letters, and waits ten seconds for each response', async () => {
    const Messages = Array.from({ length: 10 }, (_, n) => ({ MessageId: `m-${n}`, Body: first }));
    const waits: unknown[] = [];
    const send = async (_command: unknown, options: unknown) => {
      waits.push(options);
      return { Messages };
    };

    await lockOn({ send } as unknown as SQSClient, ['spans']).acquire();

    expect(waits).toHaveLength(10_000);
    expect(waits[0]).toEqual({ requestTimeout: 10_000 });
  });

  it.each<[string, object, string | undefined]>([
    ['releases all', { Successful: [{ Id: '0' }, { Id: '1' }] }, undefined],
    [
      'says that their locks have expired',
      { Failed: [0, 1].map((n) => ({ Id: `${n}`, SenderFault: true })) },
      undefined,
    ],
    [
      'does not release one',
      { Successful: [{ Id: '0' }], Failed: [{ Id: '1', SenderFault: false }] },
      'SQS did not release 1 dead letter: visible again in 77 s.',
    ],
    ['says nothing', {}, 'SQS did not release 2 dead letters: visible again in 77 s.'],
  ])('counts at its end what SQS did not release, when SQS %s', async (_what, response, message) => {
    const { sqs, put } = memorySqs();
    for (let n = 0; n < 2; n += 1) put('documents-dead', bodyOf(first));
    const releasing = {
      send: async (command: unknown) =>
        command instanceof ChangeMessageVisibilityBatchCommand ? response : sqs.send(command as never),
    } as unknown as SQSClient;

    const ended = withDeadLetterLock(
      { sqs: releasing, lanes },
      { lanes: ['documents'], forSeconds: 77, signal: never },
      async (lock) => (await lock.acquire()).length,
    ).catch((error: Error) => error.message);

    expect(await ended).toBe(message ?? 2);
  });

  it('counts the letters that others have locked in its lanes, and none of its own', async () => {
    const { sqs, put, at, commands } = memorySqs();
    for (let n = 0; n < 3; n += 1) put('documents-dead', bodyOf(first)).isVisible = n > 1;
    put('backfill-dead', bodyOf(first));
    put('spans-dead', bodyOf(first)).isVisible = false;
    const lock = lockOn(sqs, ['documents', 'backfill', 'spans']);

    const before = await lock.countLockedElsewhere();
    const [asked] = commands as GetQueueAttributesCommand[];
    await lock.acquire();

    expect([before, await lock.countLockedElsewhere()]).toEqual([3, 3]);
    expect(asked?.input.AttributeNames).toEqual(['ApproximateNumberOfMessagesNotVisible']);
    // SQS counts late.
    put('spans-dead', bodyOf(first));
    await lock.acquire();
    for (const url of ['documents-dead', 'spans-dead']) at(url).length = 0;
    expect(await lock.countLockedElsewhere()).toBe(0);
  });

  it('counts no letters where SQS states no number', async () => {
    const sqs = { send: async () => ({}) } as unknown as SQSClient;

    expect(await lockOn(sqs).countLockedElsewhere()).toBe(0);
  });

  it('releases in batches of ten of one lane each, at once', async () => {
    const { sqs, put, commands } = memorySqs();
    for (let n = 0; n < 12; n += 1) put('documents-dead', bodyOf(first));
    put('spans-dead', 'x');
    const lock = lockOn(sqs);
    await lock.acquire();
    const before = commands.length;

    await lock.release();

    const inputs = commands
      .slice(before)
      .map((command) => (command as ChangeMessageVisibilityBatchCommand).input);
    expect(inputs.map(({ QueueUrl, Entries }) => [QueueUrl, Entries?.length])).toEqual([
      ['documents-dead', 10],
      ['documents-dead', 2],
      ['spans-dead', 1],
    ]);
    expect(inputs[0]?.Entries?.[1]).toEqual({
      Id: '1',
      ReceiptHandle: expect.stringMatching(/^m-2-/),
      VisibilityTimeout: 0,
    });
  });

  it('throws the failure of one receiver once all have ended, and keeps what the others took', async () => {
    const { sqs, put, at } = memorySqs();
    put('documents-dead', bodyOf(first));
    const failing = {
      send: async (command: { input: { QueueUrl?: string } }) => {
        if (command.input.QueueUrl === 'backfill-dead') throw new Error('away');
        await new Promise(setImmediate);
        return sqs.send(command as never);
      },
    } as unknown as SQSClient;
    const lock = lockOn(failing, ['documents', 'backfill']);

    await expect(lock.acquire()).rejects.toThrow('away');

    expect(lock.letters()).toHaveLength(1);
    await lock.release();
    expect(at('documents-dead')[0]?.isVisible).toBe(true);
  });

  it('asks for nothing once its signal has aborted', async () => {
    const { sqs, commands } = memorySqs();

    await expect(lockOn(sqs, laneNames, AbortSignal.abort(new Error('Stopped.'))).acquire()).rejects.toThrow(
      'Stopped.',
    );
    expect(commands).toEqual([]);
  });

  it('is given back by a look at the letters, also when that fails', async () => {
    const { sqs, put, at } = memorySqs();
    put('documents-dead', bodyOf(first));
    put('spans-dead', 'x');

    const seen = await peekDeadLetters({ sqs, lanes }, never, ['documents']);
    const all = await peekDeadLetters({ sqs, lanes }, never);
    const failing = {
      send: async (command: { input: { QueueUrl?: string } }) => {
        if (command instanceof ReceiveMessageCommand && command.input.QueueUrl === 'spans-dead')
          throw new Error('away');
        return sqs.send(command as never);
      },
    } as unknown as SQSClient;
    await expect(peekDeadLetters({ sqs: failing, lanes }, never)).rejects.toThrow('away');

    expect(seen.map(({ documentId }) => documentId)).toEqual([first]);
    expect(all).toHaveLength(2);
    expect([...at('documents-dead'), ...at('spans-dead')].map(({ isVisible }) => isVisible)).toEqual([
      true,
      true,
    ]);
  });
});

describe('failures', () => {
  const old = letter({ messageId: 'm-1', code: 'LinkRefused', deadSince: 1 });
  const young = letter({ messageId: 'm-2', deadSince: 3 });
  const stranger = letter({
    messageId: 'm-3',
    documentId: undefined,
    body: 'x',
    code: undefined,
    deadSince: 2,
  });

  it('are documents with their letters, newest letter first, oldest failure first', () => {
    expect(failuresOf([old, stranger, young])).toEqual([
      { id: 'm-3', isDocument: false, letters: [stranger] },
      { id: first, isDocument: true, letters: [young, old] },
    ]);
  });

  it('have the code of their newest letter, and each code once', () => {
    const [without, withCodes] = failuresOf([old, stranger, young, letter({ deadSince: 0 })]) as [
      Failure,
      Failure,
    ];

    expect([codeOf(without), codeOf(withCodes)]).toEqual(['none', 'DocumentGone']);
    expect([codesOf(without), codesOf(withCodes)]).toEqual([['none'], ['DocumentGone', 'LinkRefused']]);
  });

  it.each([
    [0, 0, 0, '0 documents (0 dead letters)'],
    [1, 0, 1, '1 document (1 dead letter)'],
    [0, 1, 2, '1 message (2 dead letters)'],
    [3, 2, 9, '3 documents and 2 other messages (9 dead letters)'],
  ])(
    '%i of documents and %i of other messages with %i letters are described as %s',
    (documents, otherMessages, deadLetters, words) => {
      expect(describeCount({ documents, otherMessages, deadLetters })).toBe(words);
    },
  );

  it('are counted as documents and as other messages', () => {
    expect(describeFailures(failuresOf([old, stranger, young]))).toBe(
      '1 document and 1 other message (3 dead letters)',
    );
  });

  it.each<[string, Partial<LockedMessage>[], string]>([
    ['the oldest', [{ messageId: 'new' }, { messageId: 'old' }], 'old'],
    ['that of the live lane', [{ messageId: 'live' }, { messageId: 'low', lane: 'backfill' }], 'live'],
    [
      'that of the low lane',
      [
        { messageId: 'low', lane: 'backfill' },
        { messageId: 'x', body: 'x' },
      ],
      'low',
    ],
    [
      'the newest if none can be read',
      [
        { messageId: 'new', body: 'x' },
        { messageId: 'old', body: 'y' },
      ],
      'new',
    ],
  ])('are redriven by one message: %s', (_which, letters, sent) => {
    const [newest, ...older] = letters.map(letter) as [LockedMessage, ...LockedMessage[]];

    expect(letterToSend({ id: first, isDocument: true, letters: [newest, ...older] }).messageId).toBe(sent);
  });
});

function context(receipts: readonly string[] = [], signal = never) {
  const { terminal, result: told } = recordingTerminal();
  const listings: string[] = [];
  const bucket = {
    list: async (prefix: string) => {
      listings.push(prefix);
      return receipts.map((id) => `receipts/${id}.json`).filter((key) => key.startsWith(prefix));
    },
  };
  const given = {
    terminal: { ...terminal, paint: (style: string, text: string) => `<${style}>${text}` },
    time: virtualTime(firstSentAt + 90_000),
    random: () => 0.5,
    signal,
    target: { options: [], bucket: async () => ({ bucket }) },
  } as unknown as CommandContext;
  return { given, told, listings };
}

describe('failures and receipts', () => {
  const failureOf = (id: string, isDocument = true): Failure => ({
    id,
    isDocument,
    letters: [letter({ documentId: isDocument ? id : undefined })],
  });

  it('are archived where the document has a receipt', async () => {
    const { given } = context([second]);
    const failures = [failureOf(first), failureOf(second), failureOf('m-1', false)];

    expect(await splitByReceipt(failures, given)).toEqual({
      open: [failures[0], failures[2]],
      archived: [failures[1]],
    });
  });

  it('are open without a look at the bucket where none is of a document', async () => {
    const { given, listings } = context();
    const failures = [failureOf('m-1', false)];

    expect(await splitByReceipt(failures, given)).toEqual({ open: failures, archived: [] });
    expect(listings).toEqual([]);
  });

  it.each([
    [
      1,
      'before',
      '1 document has been archived or erased since; redrive clears its 1 dead letter without sending anything.',
    ],
    [
      2,
      'before',
      '2 documents have been archived or erased since; redrive clears their 2 dead letters without sending anything.',
    ],
    [1, 'after', '1 document has been archived or erased since; its 1 dead letter is cleared.'],
    [2, 'after', '2 documents have been archived or erased since; their 2 dead letters are cleared.'],
  ] as const)('are described: %i, %s', (count, when, words) => {
    expect(
      describeArchived(
        [first, second].slice(0, count).map((id) => failureOf(id)),
        when,
      ),
    ).toBe(words);
  });
});

describe('dead letters on the terminal', () => {
  it('stand by lane and code with counts and ages, the advice of the runbook and every field of each letter', async () => {
    const { given, told } = context();
    const letters = [
      letter({ messageId: 'm-1', reason: 'Gone.', attempts: 3 }),
      letter({ messageId: 'm-2', reason: 'Gone again.', deadSince: firstSentAt + 30_000 }),
      letter({ messageId: 'm-3', documentId: undefined, body: 'x', code: undefined, lane: 'spans' }),
    ];

    await showFailures(failuresOf(letters), undefined, given);

    expect(told.records).toEqual([
      { type: 'group', lane: 'spans', code: 'none', documents: 0, letters: 1, oldestSeconds: 90 },
      { type: 'group', lane: 'documents', code: 'DocumentGone', documents: 1, letters: 2, oldestSeconds: 90 },
      expect.objectContaining({ type: 'letter', messageId: 'm-3', code: undefined, documentId: undefined }),
      expect.objectContaining({ type: 'letter', messageId: 'm-2', deadSince: '2026-11-24T12:00:29.001Z' }),
      {
        type: 'letter',
        lane: 'documents',
        messageId: 'm-1',
        documentId: first,
        code: 'DocumentGone',
        reason: 'Gone.',
        attempts: 3,
        deadSince: '2026-11-24T11:59:59.001Z',
        body: bodyOf(first),
      },
    ]);
    expect(told.printed).toMatch(
      /\n\n<bold>none\n {2}No function stated a reason: .*\n<dim> {2}m-3\n<dim> {2}docs\/runbook\.md#deadlettergrowth\n/,
    );
    expect(told.printed).toMatch(
      /\n<bold>DocumentGone: Gone again\.\n {2}There is nothing left to archive[\s\S]*\n<dim> {2}docs\/runbook\.md#documentgone\n/,
    );
    expect(told.printed).toContain(`\n<dim>  ${first}\n`);
    const cells = told.printed
      .split('\n')
      .filter((line) => line.includes('│'))
      .map((line) =>
        line
          .split('│')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    expect(cells).toEqual([
      ['lane', 'code', 'documents', 'letters', 'oldest', 'newest'],
      ['spans', 'none', '–', '1', '90 s', '90 s'],
      ['documents', 'DocumentGone', '1', '2', '90 s', '60 s'],
    ]);
  });

  it('have their names, as far as Telnyx has them', async () => {
    const { given, told } = context();
    const letters = [
      letter(),
      letter({ messageId: 'm-2', documentId: second, deadSince: firstSentAt + 1 }),
      letter({ messageId: 'm-3', documentId: undefined, body: 'x', deadSince: firstSentAt + 2 }),
    ];
    const names = new Map([[first, { fileName: 'loa.pdf', customerReference: 'PO-1' }]]);

    await showFailures(failuresOf(letters), names, given);

    expect(told.printed).toContain(
      `\n<dim>  ${first}  loa.pdf · reference PO-1\n<dim>  ${second}  (not at Telnyx)\n<dim>  m-3\n`,
    );
    expect(told.records.filter(({ type }) => type === 'letter')).toMatchObject([
      { documentId: first, fileName: 'loa.pdf', customerReference: 'PO-1' },
      expect.not.objectContaining({ fileName: expect.anything() }),
      expect.not.objectContaining({ fileName: expect.anything() }),
    ]);
  });

  it.each([
    [5, /-000000000005\n<dim> {2}https/],
    [6, /-000000000005\n<dim> {2}and 1 more: --json lists them\n<dim> {2}https/],
  ])('are five examples of each code: of %i documents', async (count, end) => {
    const { given, told } = context();
    Object.assign(given.target, { runbookUrl: async () => 'https://example.com/runbook.md' });
    const letters = Array.from({ length: count }, (_, n) =>
      letter({
        messageId: `m-${n}`,
        documentId: `5a3b1e00-0000-4000-8000-00000000000${n + 1}`,
        deadSince: firstSentAt + n,
        code: 'Nonsense',
      }),
    );

    await showFailures(failuresOf(letters), undefined, given);

    expect(told.printed).toMatch(end);
    expect(told.printed).toContain(
      '<bold>Nonsense\n  The runbook has no article for this code. No function of this version writes it.\n',
    );
    expect(told.printed).toContain('\n<dim>  https://example.com/runbook.md#deadlettergrowth\n');
  });
});

describe('acknowledged failures', () => {
  const failure: Failure = {
    id: first,
    isDocument: true,
    letters: [letter({ messageId: 'm-2' }), letter({ messageId: 'm-1', code: 'LinkRefused' })],
  };
  const lockThatKeeps = (kept: number) => {
    const deleted: string[] = [];
    return {
      deleted,
      lock: {
        delete: async (letters: readonly LockedMessage[]) => {
          deleted.push(...letters.map(({ messageId }) => messageId));
          return kept;
        },
      } as never,
    };
  };

  it.each([
    [0, 2, 0, '2 dead letters'],
    [1, 1, 1, '1 dead letter'],
  ])('are recorded with what was cleared when SQS keeps %i', async (keeps, deadLetters, kept, words) => {
    const { given, told } = context();

    expect(await acknowledge([failure], 'A note.', lockThatKeeps(keeps).lock, given)).toBe(kept);

    expect(told.records).toEqual([
      {
        type: 'acknowledged',
        documentId: first,
        codes: ['DocumentGone', 'LinkRefused'],
        deadLetters,
        at: '2026-11-24T12:01:29.001Z',
        note: 'A note.',
      },
    ]);
    expect(told.printed).toBe(`${first}  DocumentGone, LinkRefused  ${words} cleared: A note.\n`);
  });

  it('are recorded with the message ID where there is no document', async () => {
    const { given, told } = context();
    const stranger = letter({ messageId: 'm-3', documentId: undefined, code: undefined });

    await acknowledge(failuresOf([stranger]), 'A note.', lockThatKeeps(0).lock, given);

    expect(told.records).toMatchObject([{ messageId: 'm-3', codes: ['none'], deadLetters: 1 }]);
  });

  it('may have a note of 200 characters', () => {
    const note = '📄'.repeat(200);

    expect(parseNote(` ${note}\n`)).toBe(note);
    expect(() => parseNote(`${note}.`)).toThrow('--note has 201 characters. The maximum is 200.');
  });

  it('are refused together with the names of all IDs that have no dead letters', () => {
    expect(() => failuresWithIds([failure], ['X', first, second])).toThrow(
      `No dead letters for x, ${second}. Nothing was cleared.`,
    );
  });

  it('are not recorded when SQS keeps all, and all that it keeps is counted', async () => {
    const { given, told } = context();

    expect(await acknowledge([failure, failure], 'A note.', lockThatKeeps(2).lock, given)).toBe(4);

    expect(told.records).toEqual([]);
    expect(told.printed).toBe('');
  });

  it('are left alone once the signal has aborted', async () => {
    const { given } = context([], AbortSignal.abort(new Error('Stopped.')));
    const { lock, deleted } = lockThatKeeps(0);

    await expect(acknowledge([failure], 'A note.', lock, given)).rejects.toThrow('Stopped.');
    expect(deleted).toEqual([]);
  });
});
