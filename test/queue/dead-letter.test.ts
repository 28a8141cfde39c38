import { ReceiveMessageCommand, type SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type DeadLetter, sendDeadLetter } from '../../functions/queue/dead-letter.ts';
import { startQueues } from '../../local/queues.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const never = new AbortController().signal;
const letter: DeadLetter = {
  body: '{"v":1,"kind":"document"}',
  code: 'MalformedMessage',
  reason: 'The message cannot be read: documentId is missing.',
  attempts: 7,
  firstSeenAt: '2026-11-24T00:00:00.250Z',
};

/** A dead-letter queue behind the real SQS protocol. `received` returns its messages with their attributes. */
async function startDeadLetterQueue() {
  const queues = await startQueues();
  const sqs = queues.createClient();
  onTestFinished(async () => {
    sqs.destroy();
    await queues.close();
  });
  const queueUrl = queues.lanes.documents.deadLetterQueueUrl;
  const received = async () => {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: queueUrl, MessageAttributeNames: ['All'] }),
    );
    return Messages.map(({ Body, MessageAttributes = {} }) => ({
      body: Body,
      ...Object.fromEntries(
        Object.entries(MessageAttributes).map(([name, { DataType, StringValue }]) => [
          name,
          `${DataType} ${StringValue}`,
        ]),
      ),
    }));
  };
  return { sqs, queueUrl, received };
}

/** The message attributes with which a dead letter is sent. */
async function attributesOf(
  overrides: Partial<DeadLetter>,
): Promise<[string, { DataType: string; StringValue: string }][]> {
  const sent: SendMessageCommand[] = [];
  const sqs = { send: async (command: SendMessageCommand) => sent.push(command) } as unknown as SQSClient;
  await sendDeadLetter(sqs, 'queue', { ...letter, ...overrides }, never);
  return Object.entries(sent[0]?.input.MessageAttributes ?? {}).map(
    ([name, { DataType = '', StringValue = '' }]) => [name, { DataType, StringValue }],
  );
}

describe('sendDeadLetter', () => {
  it.each([letter.body, 'not JSON\tbut söme\r\nother – text', 'x'.repeat(1_000_000)])(
    'sends the unchanged body with code, reason, attempts and the time of the first receive',
    async (body) => {
      const { sqs, queueUrl, received } = await startDeadLetterQueue();

      await sendDeadLetter(sqs, queueUrl, { ...letter, body }, never);

      expect(await received()).toEqual([
        {
          body,
          code: 'String MalformedMessage',
          reason: 'String The message cannot be read: documentId is missing.',
          attempts: 'Number 7',
          firstSeenAt: 'String 2026-11-24T00:00:00.250Z',
        },
      ]);
    },
  );

  it('sends attributes that SQS accepts, of less than 1 KiB in all, for any reason text', async () => {
    // Amazon SQS message quotas, "Message content".
    const allowed = /^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]+$/u;
    const anyText = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 2_000 }),
      fc
        .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1 })
        .map((units) => String.fromCharCode(...units)),
      // Truncated in the middle of a character.
      fc.nat({ max: 3 }).map((shift) => 'x'.repeat(198 + shift) + '📄'.repeat(400)),
    );
    await fc.assert(
      fc.asyncProperty(anyText, async (reason) => {
        const attributes = await attributesOf({ reason });

        let bytes = 0;
        for (const [name, { DataType, StringValue }] of attributes) {
          expect(StringValue).toMatch(allowed);
          bytes += Buffer.byteLength(name + DataType + StringValue);
        }
        expect(attributes.length).toBeLessThanOrEqual(10);
        expect(bytes).toBeLessThan(1_024);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });

  it('redacts secrets in the reason', async () => {
    const reason = 'S3 refused https://s3/x?X-Amz-Signature=f00d with Bearer KEY0123456789';

    const attributes = JSON.stringify(await attributesOf({ reason }));

    expect(attributes).not.toMatch(/f00d|KEY01/);
  });

  // Prefixes of different lengths move the cut to every position within a character.
  it.each(['x', 'ä', 'xä', '漢', 'x漢', 'xx漢'])(
    'truncates a body of 1 MiB between characters and sets the attribute truncated (body starts with %s)',
    async (prefix) => {
      const { sqs, queueUrl, received } = await startDeadLetterQueue();
      const character = prefix.slice(-1);
      const remaining = 1_048_576 - Buffer.byteLength(prefix);
      const body = prefix + character.repeat(Math.floor(remaining / Buffer.byteLength(character)));

      await sendDeadLetter(sqs, queueUrl, { ...letter, body, reason: 'ä'.repeat(300) }, never);

      const [sent] = await received();
      expect(sent).toMatchObject({ code: 'String MalformedMessage', truncated: 'String true' });
      expect(body.startsWith(sent?.body ?? 'nothing')).toBe(true);
      expect(Buffer.byteLength(sent?.body ?? '')).toBeGreaterThan(1_040_000);
    },
  );

  it('fails with QueueUnavailable when SQS cannot be reached', async () => {
    const { sqs, received } = await startDeadLetterQueue();
    const unreachable = 'http://127.0.0.1:1/000000000000/none';

    await expect(sendDeadLetter(sqs, unreachable, letter, never)).rejects.toMatchObject({
      code: 'QueueUnavailable',
      retryPolicy: 'wait',
      message: expect.stringMatching(/^Could not send.* \([\w. ]+\)\. The original stays in its queue\.$/),
    });

    expect(await received()).toEqual([]);
  });

  it('fails with QueueUnavailable when its signal is aborted', async () => {
    const { sqs, queueUrl } = await startDeadLetterQueue();

    await expect(sendDeadLetter(sqs, queueUrl, letter, AbortSignal.abort())).rejects.toMatchObject({
      code: 'QueueUnavailable',
      cause: { name: 'AbortError' },
    });
  });

  it.each([
    ['x', false],
    ['x', true],
    ['ä', true],
    ['漢', true],
  ])(
    'has 4 KiB free for its attributes: a body of %s is cut only if it is too long (%s)',
    async (character, isTooLong) => {
      const most = 1_048_576 - 4_096;
      const body = `${'x'.repeat(most % 6)}${character.repeat((most - (most % 6)) / Buffer.byteLength(character))}`;
      const sent: SendMessageCommand[] = [];
      const sqs = { send: async (command: SendMessageCommand) => sent.push(command) } as unknown as SQSClient;

      await sendDeadLetter(sqs, 'queue', { ...letter, body: isTooLong ? `x${body}` : body }, never);

      const { MessageBody = '', MessageAttributes } = sent[0]?.input ?? {};
      expect(Buffer.byteLength(MessageBody)).toBeLessThanOrEqual(most);
      expect(Buffer.byteLength(MessageBody)).toBeGreaterThan(most - 4);
      expect(MessageAttributes?.truncated?.StringValue).toBe(isTooLong ? 'true' : undefined);
    },
  );
});
